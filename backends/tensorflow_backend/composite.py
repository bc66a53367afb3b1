"""Composite operators of TensorFlow: several results of one recording, and batches by ``tf.vectorized_map``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.operators.composite import stacked
from autodiff_compare.backends.operators.objective import Function, Var
from autodiff_compare.backends.tensorflow_backend.operators import (
    FALLBACKS,
    OPERATORS,
    Differentiated,
    tangent_by_two_tapes,
)
from autodiff_compare.vocabulary import BATCHES, SAMPLED, Operator


def _value_and_jvp(p: Differentiated) -> Function:
    def value_and_jvp(*given: Var) -> tuple[Var, Var]:
        args, xs, tangents = p.split(given)
        with p.tf.autodiff.ForwardAccumulator(xs, list(tangents)) as forward:
            y = p.value(args)
        return y, p.tangent(forward, y)

    return value_and_jvp


def _value_and_vjp(p: Differentiated) -> Function:
    def value_and_vjp(*given: Var) -> tuple[Var, tuple[Var, ...]]:
        args, xs, (cotangent,) = p.split(given)
        with p.tape() as tape:
            tape.watch(xs)
            y = p.value(args)
        return y, p.reverse(tape, y, xs, cotangent)

    return value_and_vjp


def _value_and_jacobian(p: Differentiated) -> Function:
    def value_and_jacobian(*given: Var) -> tuple[Var, tuple[Var, ...]]:
        args, xs, _ = p.split(given)
        with p.tape(persistent=True) as tape:
            tape.watch(xs)
            y = p.value(args)
            parts = p.parts(y, xs)
        return y, p.jacobian(tape, parts, xs)

    return value_and_jacobian


def _value_gradient_hessian(p: Differentiated) -> Function:
    """Compute the Jacobian of each gradient beside it: reverse over reverse."""

    def value_gradient_hessian(*given: Var) -> tuple[Var, tuple[Var, ...], tuple[tuple[Var, ...], ...]]:
        args, xs, _ = p.split(given)
        with p.tape(persistent=True) as outer:
            outer.watch(xs)
            with p.tape() as inner:
                inner.watch(xs)
                y = p.scalar(args)
            gradients = p.reverse(inner, y, xs)
        return y, gradients, tuple(p.jacobian(outer, (g,), xs) for g in gradients)

    return value_gradient_hessian


def _batch(operator: Operator, rows: Mapping[Operator, Callable[[Differentiated], Function]]) -> Any:
    """Return the builder of a batch of one of ``rows``, vectorised or, if ``p`` is not, unrolled."""

    def build(p: Differentiated) -> Function:
        row, n = rows[BATCHES[operator]](p), p.n_args

        def over_directions(*given: Var) -> Any:
            return _each(p, lambda direction: row(*given[:n], *direction), given[n:])

        def over_samples(*args: Var) -> Any:
            def one(sample: Sequence[Var]) -> Any:
                of = dict(zip(p.samples, sample, strict=True))
                return row(*(of[i][None] if i in of else a for i, a in enumerate(args)))

            return _each(p, one, [args[i] for i in p.samples])

        return over_samples if operator in SAMPLED else over_directions

    return build


def _each(p: Differentiated, row: Callable[[Any], Any], over: Sequence[Var]) -> Any:
    """Apply ``row`` to each row of the arrays ``over``, and stack the results."""
    if p.vectorized:
        return p.tf.vectorized_map(row, tuple(over), fallback_to_while_loop=False)
    return stacked(p.tf, [row(parts) for parts in zip(*map(p.tf.unstack, over), strict=True)])


#: As `operators.OPERATORS`, for composite operators.
COMPOSITE: Mapping[Operator, Callable[[Differentiated], Function]] = MappingProxyType(
    {
        Operator.VALUE_AND_JVP: _value_and_jvp,
        Operator.VALUE_AND_VJP: _value_and_vjp,
        Operator.VALUE_AND_JACOBIAN: _value_and_jacobian,
        Operator.VALUE_GRADIENT_HESSIAN: _value_gradient_hessian,
        **{operator: _batch(operator, OPERATORS) for operator in BATCHES},
    }
)


def _unrolled(operator: Operator) -> Callable[[Differentiated], Function]:
    """Return a batch whose rows are unrolled in the graph, each by its own fallback."""
    build = _batch(operator, {**OPERATORS, **FALLBACKS})
    return lambda p: build(replace(p, vectorized=False))


#: As `operators.FALLBACKS`, for composite operators.
COMPOSITE_FALLBACKS: Mapping[Operator, Callable[[Differentiated], Function]] = MappingProxyType(
    {
        Operator.VALUE_AND_JVP: tangent_by_two_tapes,
        Operator.VALUE_AND_JACOBIAN: lambda p: _value_and_jacobian(replace(p, vectorized=False)),
        Operator.VALUE_GRADIENT_HESSIAN: lambda p: _value_gradient_hessian(replace(p, vectorized=False)),
        **{operator: _unrolled(operator) for operator in BATCHES},
    }
)
