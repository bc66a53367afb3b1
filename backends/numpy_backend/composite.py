"""Composite operators of our engine: the function is recorded once for all results, directions and rows.

A batch is the operator of one row, captured as a graph and evaluated for all rows at once (`batching.vectorised`). A
function that cannot be captured, because it branches on values, is recorded at each call. Its recording is linear in
the direction: ``vjp`` returns a pull-back and ``linearize`` a push-forward, which are applied to one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.operators.composite import stacked
from autodiff_compare.backends.operators.objective import Prepared, Var
from autodiff_compare.backends.operators.orders import closed
from autodiff_compare.backends.operators.request import Request
from autodiff_compare.vocabulary import SAMPLED, Operator


def _chosen(request: Request, args: Sequence[Var]) -> tuple[Any, list[Var], Sequence[Var]]:
    """Return the function of the differentiated arguments alone, these arguments, and the directions."""
    n = len(request.args)
    return closed(request.function, args[:n], request.argnums), [args[i] for i in request.argnums], args[n:]


def _value_and_jvp(engine: Any, request: Request) -> Prepared:
    def value_and_jvp(*given: Var) -> tuple[Var, Var]:
        f, xs, tangents = _chosen(request, given)
        value, tangent = engine.jvp(f, xs, tangents)
        return value, tangent

    return value_and_jvp


def _value_and_vjp(engine: Any, request: Request) -> Prepared:
    def value_and_vjp(*given: Var) -> tuple[Var, tuple[Var, ...]]:
        f, xs, (cotangent,) = _chosen(request, given)
        value, pull = engine.vjp(f, *xs)
        return value, pull(cotangent)

    return value_and_vjp


def _value_and_jacobian(engine: Any, request: Request) -> Prepared:
    """Compute rows from one recording if they are fewer than the columns, as `numpy_autodiff.jacobian` does."""

    def value_and_jacobian(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        f, xs, _ = _chosen(request, args)
        value, pull = engine.vjp(f, *xs)
        if any(map(np.iscomplexobj, (value, *xs))):
            # Rows of complex numbers take two sweeps, or are conjugated: see `numpy_autodiff.transforms.jacobian`.
            return value, engine.jacobian(f, tuple(range(len(xs))))(*xs)
        shape, sizes = np.shape(value), [np.size(x) for x in xs]
        if sum(sizes) < np.size(value):
            return value, _columns(engine.linearize(f, *xs)[1], xs, value)
        found = [pull(unit) for unit in _units(value)]
        if not found:
            return value, tuple(np.zeros(shape + np.shape(x), x.dtype) for x in xs)
        blocks = zip(*found, strict=True)
        return value, tuple(np.reshape(np.stack(b), shape + np.shape(x)) for b, x in zip(blocks, xs, strict=True))

    return value_and_jacobian


def _value_gradient_hessian(engine: Any, request: Request) -> Prepared:
    """Push unit tangents through one recording of the gradient: forward over reverse."""

    def value_gradient_hessian(*args: Var) -> tuple[Any, ...]:
        f, xs, _ = _chosen(request, args)
        both = engine.value_and_grad(f, tuple(range(len(xs))))
        (value, slopes), push = engine.linearize(both, *xs)
        return value, slopes, _tables(lambda *tangents: push(*tangents)[1], xs, slopes)

    return value_gradient_hessian


def _columns(push: Callable[..., Var], xs: Sequence[Var], like: Var) -> tuple[Var, ...]:
    """Return the Jacobian blocks of an output like ``like``, column by column."""
    return _tables(lambda *tangents: (push(*tangents),), xs, (like,))[0]


def _tables(push: Callable[..., Sequence[Var]], xs: Sequence[Var], likes: Sequence[Var]) -> tuple[tuple[Var, ...], ...]:
    """Return the Jacobian blocks of each of several outputs like ``likes``: one push gives a column of all of them."""
    zeros = [np.zeros(np.shape(x), x.dtype) for x in xs]
    rows: list[list[Var]] = [[] for _ in likes]
    for k, x in enumerate(xs):
        found = [push(*zeros[:k], unit, *zeros[k + 1 :]) for unit in _units(x)]
        for i, (blocks, like) in enumerate(zip(rows, likes, strict=True)):
            shape = np.shape(like) + np.shape(x)
            own = [column[i] for column in found]
            blocks.append(np.reshape(np.stack(own, axis=-1), shape) if own else np.zeros(shape, x.dtype))
    return tuple(map(tuple, rows))


def _units(x: Var) -> Var:
    return np.eye(np.size(x), dtype=x.dtype).reshape(np.size(x), *np.shape(x))


def _jvp_batch(engine: Any, request: Request) -> Prepared:
    request.rows()

    def jvp_batch(*given: Var) -> Var:
        f, xs, directions = _chosen(request, given)
        push = engine.linearize(f, *xs)[1]
        return stacked(np, [push(*row) for row in zip(*directions, strict=True)])

    return jvp_batch


def _vjp_batch(engine: Any, request: Request) -> Prepared:
    request.rows()

    def vjp_batch(*given: Var) -> tuple[Var, ...]:
        f, xs, (cotangents,) = _chosen(request, given)
        pull = engine.vjp(f, *xs)[1]
        found: tuple[Var, ...] = stacked(np, [pull(cotangent) for cotangent in cotangents])
        return found

    return vjp_batch


def _hvp_batch(engine: Any, request: Request) -> Prepared:
    request.rows()

    def hvp_batch(*given: Var) -> tuple[Var, ...]:
        f, xs, directions = _chosen(request, given)
        push = engine.linearize(engine.grad(f, tuple(range(len(xs)))), *xs)[1]
        found: tuple[Var, ...] = stacked(np, [push(*row) for row in zip(*directions, strict=True)])
        return found

    return hvp_batch


def _gradient_of_samples(engine: Any, request: Request) -> Prepared:
    return _by_samples(request, engine.grad(request.function, request.argnums))


def _jacobian_of_samples(engine: Any, request: Request) -> Prepared:
    return _by_samples(request, engine.jacobian(request.function, request.argnums))


def _by_samples(request: Request, one: Prepared) -> Prepared:
    count = request.rows()
    return lambda *args: stacked(np, [one(*request.sample(args, k)) for k in range(count)])


def _vectorised(row: Operator, by_rows: Callable[[Any, Request], Prepared]) -> Callable[[Any, Request], Prepared]:
    """Return the builder of a batch of ``row``, which falls back to ``by_rows``."""

    def build(engine: Any, request: Request) -> Prepared:
        from autodiff_compare.backends.numpy_autodiff import compiler
        from autodiff_compare.backends.numpy_autodiff.batching.vectorised import OtherBranch, vectorise

        request.rows()
        slow, n, sampled = by_rows(engine, request), len(request.args), request.operator in SAMPLED
        given = [*request.args, *request.directions]
        mapped = request.samples if sampled else range(n, len(given))
        one = _ROWS[row](engine, request)

        def of_row(*args: Var) -> Any:
            return one(*(a[None] if sampled and i in mapped else a for i, a in enumerate(args)))

        try:
            fast = vectorise(of_row, [a[0] if i in mapped else a for i, a in enumerate(given)], tuple(mapped))
        except compiler.CompileError:
            return slow

        def batch(*args: Var) -> Any:
            try:
                return fast(*args)
            except OtherBranch:
                return slow(*args)

        return batch

    return build


def _push(engine: Any, request: Request) -> Prepared:
    def jvp(*given: Var) -> Var:
        f, xs, tangents = _chosen(request, given)
        return engine.jvp(f, xs, tangents)[1]

    return jvp


def _pull(engine: Any, request: Request) -> Prepared:
    def vjp(*given: Var) -> Any:
        f, xs, (cotangent,) = _chosen(request, given)
        return engine.vjp(f, *xs)[1](cotangent)

    return vjp


def _second(engine: Any, request: Request) -> Prepared:
    def hvp(*given: Var) -> Any:
        f, xs, tangents = _chosen(request, given)
        return engine.hvp(f, xs, tangents)

    return hvp


#: Operator -> the function of one row.
_ROWS: Mapping[Operator, Callable[[Any, Request], Prepared]] = {
    Operator.JVP: _push,
    Operator.VJP: _pull,
    Operator.HVP: _second,
    Operator.GRADIENT: lambda engine, request: engine.grad(request.function, request.argnums),
    Operator.JACOBIAN: lambda engine, request: engine.jacobian(request.function, request.argnums),
}

COMPOSITE: Mapping[Operator, Callable[[Any, Request], Prepared]] = MappingProxyType(
    {
        Operator.VALUE_AND_JVP: _value_and_jvp,
        Operator.VALUE_AND_VJP: _value_and_vjp,
        Operator.VALUE_AND_JACOBIAN: _value_and_jacobian,
        Operator.VALUE_GRADIENT_HESSIAN: _value_gradient_hessian,
        Operator.JVP_BATCH: _vectorised(Operator.JVP, _jvp_batch),
        Operator.VJP_BATCH: _vectorised(Operator.VJP, _vjp_batch),
        Operator.HVP_BATCH: _vectorised(Operator.HVP, _hvp_batch),
        Operator.GRADIENT_BATCH: _vectorised(Operator.GRADIENT, _gradient_of_samples),
        Operator.JACOBIAN_BATCH: _vectorised(Operator.JACOBIAN, _jacobian_of_samples),
    }
)
