"""Each operator as the eager code that a TensorFlow user would write, and second ways where a graph cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.objective import Function, Var
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Differentiated:
    """What an operator is made of: ``function(*args)`` and the arguments it is differentiated by."""

    tf: Any
    function: Function
    argnums: tuple[int, ...]
    n_args: int
    #: Whether `tf.vectorized_map` replaces the loop over output entries in Jacobians.
    vectorized: bool

    def split(self, given: Sequence[Var]) -> tuple[Sequence[Var], list[Var], Sequence[Var]]:
        """(arguments, the differentiated among them, directions).

        A tape knows a tensor by its identity: given the same tensor twice, it would count both uses in
        both gradients, so that then each argument becomes a tensor of its own.
        """
        args = given[: self.n_args]
        if len({id(a) for a in args}) < len(args):
            args = [self.tf.identity(a) for a in args]
        return args, [args[i] for i in self.argnums], given[self.n_args :]

    def value(self, args: Sequence[Var]) -> Var:
        return self.tf.convert_to_tensor(self.function(*args))

    def scalar(self, args: Sequence[Var]) -> Var:
        y = self.value(args)
        if y.shape.rank != 0:
            raise ValueError(
                f"got an output of shape {tuple(y.shape)}, expected (): pass a scalar function, or use vjp"
            )
        return y

    def tape(self, persistent: bool = False) -> Any:
        return self.tf.GradientTape(persistent=persistent, watch_accessed_variables=False)

    def tangent(self, forward: Any, y: Var) -> Var:
        zero = self.tf.UnconnectedGradients.ZERO
        return self.tf.convert_to_tensor(forward.jvp(y, unconnected_gradients=zero))

    def reverse(self, tape: Any, y: Var, xs: Sequence[Var], cotangent: Any = None) -> tuple[Var, ...]:
        zero = self.tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(y, xs, output_gradients=cotangent, unconnected_gradients=zero)
        return tuple(self.tf.convert_to_tensor(g) for g in gradients)

    def jacobian(self, tape: Any, y: Var, xs: Sequence[Var]) -> tuple[Var, ...]:
        if y.shape.rank == 0:
            return self.reverse(tape, y, xs)  # vectorizing one row through a while loop takes 15 s to trace
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
            y = p.value(args)
        return p.jacobian(tape, y, xs)

    return jacobian


def _hvp(p: Differentiated) -> Function:
    """Forward over reverse: the tangent of the gradient."""

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
    """Reverse over reverse: the Jacobian of each gradient."""

    def hessian(*given: Var) -> tuple[tuple[Var, ...], ...]:
        args, xs, _ = p.split(given)
        with p.tape(persistent=True) as outer:
            outer.watch(xs)
            with p.tape() as inner:
                inner.watch(xs)
                y = p.scalar(args)
            gradients = p.reverse(inner, y, xs)
        return tuple(p.jacobian(outer, g, xs) for g in gradients)

    return hessian


def _jvp_by_two_tapes(p: Differentiated) -> Function:
    """The pull-back is linear in its cotangent, so that its gradient along the tangents is the tangent."""

    def jvp(*given: Var) -> Var:
        args, xs, tangents = p.split(given)
        with p.tape() as outer:
            with p.tape() as inner:
                inner.watch(xs)
                y = p.value(args)
            cotangent = p.tf.zeros_like(y)
            outer.watch(cotangent)
            pulled = p.reverse(inner, y, xs, cotangent)
        (tangent,) = p.reverse(outer, pulled, [cotangent], list(tangents))
        return tangent

    return jvp


def _hvp_by_two_tapes(p: Differentiated) -> Function:
    """Reverse over reverse: the pull-back of the gradient."""

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

#: Taken where tracing `OPERATORS` fails. In TensorFlow 2.21 a graph has no forward mode through a while loop
#: that fills a `tf.TensorArray` (TypeError: variant dtype), some operations have no second gradient, and
#: the vectorized Jacobian knows neither the second derivative of a while loop nor, under XLA, its lists.
SECOND_WAYS: Mapping[Operator, Callable[[Differentiated], Function]] = MappingProxyType(
    {
        Operator.JVP: _jvp_by_two_tapes,
        Operator.HVP: _hvp_by_two_tapes,
        Operator.JACOBIAN: lambda p: _jacobian(replace(p, vectorized=False)),
        Operator.HESSIAN: lambda p: _hessian(replace(p, vectorized=False)),
    }
)
