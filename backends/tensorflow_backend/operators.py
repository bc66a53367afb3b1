"""The operators as eager TensorFlow code, and fallbacks for those that a graph cannot express.

The adapter runs this code as it is or traces it into a graph. Jacobians J = dy/dx come from one pull-back per entry of
y, which `tf.vectorized_map` (pfor) may batch. A jvp without forward mode is the transpose of the pull-back: v(u) = u' J
is linear in the cotangent u, and the gradient of <v(u), t> with respect to u is J t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.operators.objective import Function, Var
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Differentiated:
    """A function of ``n_args`` arguments, to be differentiated with respect to ``argnums``."""

    tf: Any
    function: Function
    argnums: tuple[int, ...]
    n_args: int
    #: Whether Jacobians use `tf.vectorized_map` instead of a loop over output entries.
    vectorized: bool
    #: Positions of the arguments whose leading axis counts samples.
    samples: tuple[int, ...] = ()

    def split(self, given: Sequence[Var]) -> tuple[Sequence[Var], list[Var], Sequence[Var]]:
        """Split into all arguments, the differentiated ones among them, and the directions.

        A tape tracks tensors by their id. If one tensor is passed for two arguments, each of the two gradients would
        count both uses, so every argument is copied first.
        """
        args = given[: self.n_args]
        if len({id(a) for a in args}) < len(args):
            args = [self.tf.identity(a) for a in args]
        return args, [args[i] for i in self.argnums], given[self.n_args :]

    def value(self, args: Sequence[Var]) -> Var:
        """Return the output as a tensor, also where the function returns a Python number or a variable."""
        return self.tf.convert_to_tensor(self.function(*args))

    def scalar(self, args: Sequence[Var]) -> Var:
        """Return the output; reject one that is not a scalar with a `ValueError`."""
        y = self.value(args)
        if y.shape.rank != 0:
            raise ValueError(
                f"got an output of shape {tuple(y.shape)}, expected (): pass a scalar function, or use vjp"
            )
        return y

    def tape(self, persistent: bool = False) -> Any:
        """Return a tape that records only what it is told to watch."""
        return self.tf.GradientTape(persistent=persistent, watch_accessed_variables=False)

    def tangent(self, forward: Any, y: Var) -> Var:
        """Return the tangent of ``y`` in a forward accumulator, zeros where ``y`` does not depend on the inputs."""
        zero = self.tf.UnconnectedGradients.ZERO
        return self.tf.convert_to_tensor(forward.jvp(y, unconnected_gradients=zero))

    def reverse(self, tape: Any, y: Var, xs: Sequence[Var], cotangent: Any = None) -> tuple[Var, ...]:
        """Pull a cotangent of ``y``, ones by default, back to each input: dense tensors, zeros where unconnected."""
        zero = self.tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(y, xs, output_gradients=cotangent, unconnected_gradients=zero)
        return tuple(self.tf.convert_to_tensor(g) for g in gradients)

    def parts(self, y: Var, xs: Sequence[Var]) -> tuple[Var, ...]:
        """Return the outputs whose rows make a Jacobian, computed where the tape records: `jacobian` takes them.

        They are ``y`` alone for real numbers. Of complex numbers, a tape gives the rows of a complex output by complex
        inputs and those of a real output by real inputs: ``y`` as complex numbers, then its real parts.
        """
        if not any(x.dtype.is_complex for x in (y, *xs)):
            return (y,)
        if y.dtype.is_complex:
            return y, self.tf.math.real(y), self.tf.math.imag(y)
        return self.tf.complex(y, self.tf.zeros_like(y)), y

    def jacobian(self, tape: Any, parts: Sequence[Var], xs: Sequence[Var]) -> tuple[Var, ...]:
        """Return dy/dx for each input, of shape ``y.shape + x.shape``; the tape is persistent.

        The tape gives ``J^H u`` for a cotangent u: for a unit u a row of ``conj(J)``.
        """
        whole, *split = parts
        if not split:
            return self._rows(tape, whole, xs)
        return tuple(self._block(tape, whole, split, x) for x in xs)

    def _block(self, tape: Any, whole: Var, split: Sequence[Var], x: Var) -> Var:
        """Return the Jacobian by one input where there are complex numbers."""
        if x.dtype.is_complex:
            return self.tf.math.conj(self._rows(tape, whole, [x])[0])
        found = [self._rows(tape, part, [x])[0] for part in split]
        return self.tf.complex(*found) if len(found) > 1 else found[0]

    def _rows(self, tape: Any, y: Var, xs: Sequence[Var]) -> tuple[Var, ...]:
        """Return the rows that the tape gives for the unit cotangents of ``y``."""
        if y.shape.rank == 0:
            return self.reverse(tape, y, xs)  # a vectorized single row takes 15 s to trace through a while loop
        if 0 in tuple(y.shape):
            return tuple(self.tf.zeros(tuple(y.shape) + tuple(x.shape), y.dtype) for x in xs)
        zero = self.tf.UnconnectedGradients.ZERO
        blocks = tape.jacobian(y, xs, unconnected_gradients=zero, experimental_use_pfor=self.vectorized)
        return tuple(
            self.tf.reshape(self.tf.convert_to_tensor(b), tuple(y.shape) + tuple(x.shape))
            for b, x in zip(blocks, xs, strict=True)
        )


def _value(p: Differentiated) -> Function:
    return lambda *args: p.value(args)


def _gradient(p: Differentiated) -> Function:
    def gradient(*given: Var) -> tuple[Var, ...]:
        args, xs, _ = p.split(given)
        with p.tape() as tape:
            tape.watch(xs)
            y = p.scalar(args)
        return p.reverse(tape, y, xs)

    return gradient


def _value_and_gradient(p: Differentiated) -> Function:
    def value_and_gradient(*given: Var) -> tuple[Var, tuple[Var, ...]]:
        args, xs, _ = p.split(given)
        with p.tape() as tape:
            tape.watch(xs)
            y = p.scalar(args)
        return y, p.reverse(tape, y, xs)

    return value_and_gradient


def _jvp(p: Differentiated) -> Function:
    def jvp(*given: Var) -> Var:
        args, xs, tangents = p.split(given)
        with p.tf.autodiff.ForwardAccumulator(xs, list(tangents)) as forward:
            y = p.value(args)
        return p.tangent(forward, y)

    return jvp


def _vjp(p: Differentiated) -> Function:
    def vjp(*given: Var) -> tuple[Var, ...]:
        args, xs, (cotangent,) = p.split(given)
        with p.tape() as tape:
            tape.watch(xs)
            y = p.value(args)
        return p.reverse(tape, y, xs, cotangent)

    return vjp


def _jacobian(p: Differentiated) -> Function:
    def jacobian(*given: Var) -> tuple[Var, ...]:
        args, xs, _ = p.split(given)
        with p.tape(persistent=True) as tape:
            tape.watch(xs)
            parts = p.parts(p.value(args), xs)
        return p.jacobian(tape, parts, xs)

    return jacobian


def _hvp(p: Differentiated) -> Function:
    """Compute the tangent of the gradient: forward over reverse."""

    def hvp(*given: Var) -> tuple[Var, ...]:
        args, xs, tangents = p.split(given)
        with p.tf.autodiff.ForwardAccumulator(xs, list(tangents)) as forward:
            with p.tape() as tape:
                tape.watch(xs)
                y = p.scalar(args)
            gradients = p.reverse(tape, y, xs)
        return tuple(p.tangent(forward, g) for g in gradients)

    return hvp


def _hessian(p: Differentiated) -> Function:
    """Compute the Jacobian of each gradient: reverse over reverse."""

    def hessian(*given: Var) -> tuple[tuple[Var, ...], ...]:
        args, xs, _ = p.split(given)
        with p.tape(persistent=True) as outer:
            outer.watch(xs)
            with p.tape() as inner:
                inner.watch(xs)
                y = p.scalar(args)
            gradients = p.reverse(inner, y, xs)
        return tuple(p.jacobian(outer, (g,), xs) for g in gradients)

    return hessian


def _jvp_by_two_tapes(p: Differentiated) -> Function:
    both = tangent_by_two_tapes(p)
    return lambda *given: both(*given)[1]


def tangent_by_two_tapes(p: Differentiated) -> Function:
    """Return value and tangent by transposing the pull-back, recorded at a cotangent of zeros; any would do."""

    def value_and_jvp(*given: Var) -> tuple[Var, Var]:
        args, xs, tangents = p.split(given)
        with p.tape() as outer:
            with p.tape() as inner:
                inner.watch(xs)
                y = p.value(args)
            cotangent = p.tf.zeros_like(y)
            outer.watch(cotangent)
            pulled = p.reverse(inner, y, xs, cotangent)
        (tangent,) = p.reverse(outer, pulled, [cotangent], list(tangents))
        return y, tangent

    return value_and_jvp


def _hvp_by_two_tapes(p: Differentiated) -> Function:
    """Pull the tangent back through the gradient: reverse over reverse."""

    def hvp(*given: Var) -> tuple[Var, ...]:
        args, xs, tangents = p.split(given)
        with p.tape() as outer:
            outer.watch(xs)
            with p.tape() as inner:
                inner.watch(xs)
                y = p.scalar(args)
            gradients = p.reverse(inner, y, xs)
        return p.reverse(outer, gradients, xs, list(tangents))

    return hvp


OPERATORS: Mapping[Operator, Callable[[Differentiated], Function]] = MappingProxyType(
    {
        Operator.VALUE: _value,
        Operator.GRADIENT: _gradient,
        Operator.VALUE_AND_GRADIENT: _value_and_gradient,
        Operator.JVP: _jvp,
        Operator.VJP: _vjp,
        Operator.JACOBIAN: _jacobian,
        Operator.HVP: _hvp,
        Operator.HESSIAN: _hessian,
    }
)

#: Used where tracing the entry of `OPERATORS` fails. In TensorFlow 2.21, a graph has no forward mode through a while
#: loop that fills a `tf.TensorArray` (TypeError: variant dtype), some operations have no second gradient, and the
#: vectorized Jacobian supports neither the second derivative of a while loop nor, under XLA, its lists.
FALLBACKS: Mapping[Operator, Callable[[Differentiated], Function]] = MappingProxyType(
    {
        Operator.JVP: _jvp_by_two_tapes,
        Operator.HVP: _hvp_by_two_tapes,
        Operator.JACOBIAN: lambda p: _jacobian(replace(p, vectorized=False)),
        Operator.HESSIAN: lambda p: _hessian(replace(p, vectorized=False)),
    }
)
