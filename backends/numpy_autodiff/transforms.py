"""Derivatives of functions: each takes a function and returns one, and all of them nest in any order.

``argnums`` is the position of the differentiated argument (default 0) or a tuple of positions; an argument may be an
array, a number, or nested tuples, lists and dicts of them. With ``has_aux`` the function returns
``(output, aux)`` and ``aux`` is handed through. Gradients of complex arguments are ``dL/da + i dL/db``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np

from backends.numpy_autodiff.fitting import cast
from backends.numpy_autodiff.holding import release
from backends.numpy_autodiff.recording import Recording, differentiable
from backends.numpy_autodiff.tracing import Node, Trace, clear, constant, consume_back, primal, pull_back, push_forward
from backends.numpy_autodiff.trees import flatten

Function = Callable[..., Any]
Argnums = Union[int, Sequence[int]]  # noqa: UP007 - a worker's Python may be 3.9


def _positions(argnums: Argnums) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def _scalar_output(r: Recording) -> Any:
    """The one real scalar that a gradient can be taken of."""
    leaf = r.outputs[0] if len(r.outputs) == 1 else None
    if isinstance(leaf, Node) and leaf.primal.__class__ is np.float64:
        return leaf
    shape: Any = np.shape(constant(r.value(leaf))) if leaf is not None else f"a container of {len(r.outputs)}"
    if leaf is None or shape != ():
        raise ValueError(f"got an output of shape {shape}, expected a scalar: use jacobian or vjp, or sum it")
    if getattr(leaf, "dtype", np.dtype(float)).kind == "c":
        raise TypeError("got a complex output, expected a real one: take np.real or np.abs, or use vjp")
    return leaf


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """``(f(x), gradient)``, or ``((f(x), aux), gradient)``.

    Raises
    ------
    ValueError
        If the output is not a scalar.
    TypeError
        If a differentiated argument is not floating or complex, or the output is complex.
    """
    where = _positions(argnums)

    def both(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        held: list[Any] = []
        try:
            # Keywords would cost a tenth of a gradient of ten operations.
            r = Recording(f, args, where, kwargs, None, None, has_aux, held)
            leaf = value = _scalar_output(r)
            if isinstance(leaf, Node) and leaf.tape is r.tape:
                value = leaf.primal
                leaf.flow = 1.0 if value.__class__ is np.float64 else constant(value).dtype.type(1)
                consume_back(r.tape.nodes)
            leaves = r.gradients()
            found = tuple(leaves) if r.bare else r.input_trees(leaves)
        finally:
            if held:
                release(held)
        gradient = found[0] if isinstance(argnums, int) else found
        return ((value, r.aux) if has_aux else value), gradient

    return both


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The gradient of a scalar function; with ``has_aux``, ``(gradient, aux)``. See `value_and_grad`."""
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def _direction(leaf: Any, like: Any, what: str) -> Any:
    """A tangent or cotangent of the right shape, in the dtype of what it belongs to."""
    leaf = leaf if isinstance(leaf, Node) else np.asarray(leaf)[()]
    if leaf.shape != like.shape:
        raise ValueError(
            f"got a {what} of shape {leaf.shape}, expected {like.shape}: "
            "tangents are shaped like the arguments, cotangents like the output"
        )
    return cast(leaf, like.dtype)


def vjp(f: Function, *args: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``(f(*args), pullback)``: ``pullback(cotangent)`` gives a tuple, one cotangent per argument.

    The cotangent is shaped like the output. The pullback may be called any number of times, by any thread.
    """
    r = Recording(f, args, range(len(args)), has_aux=has_aux, outlives=True)
    lock = threading.Lock()
    like = [constant(r.value(leaf)) for leaf in r.outputs]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        given, _ = flatten(cotangent)
        if len(given) != len(like):
            raise ValueError(f"got {len(given)} cotangents, expected {len(like)}: pass a container like the output")
        given = [_direction(g, np.asarray(x), "cotangent") for g, x in zip(given, like, strict=True)]
        with lock:
            for leaf, g in zip(r.outputs, given, strict=True):
                if r.traced(leaf):
                    g = np.conj(g) if g.dtype.kind == "c" else _as_flow(g, leaf.primal)
                    leaf.flow = g if leaf.flow is None else leaf.flow + g
            pull_back(r.tape.nodes)
            return r.input_trees(r.gradients(given))

    return (r.copied_output(), pullback, r.aux) if has_aux else (r.copied_output(), pullback)


def _as_flow(g: Any, x: Any) -> Any:
    return float(g) if g.__class__ is x.__class__ is np.float64 else g


def jvp(f: Function, args: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple[Any, ...]:
    """``(f(*args), tangent of the output)``, in one pass that keeps no graph."""
    leaves = [differentiable(leaf) for leaf in flatten(tuple(args))[0]]
    given = flatten(tuple(tangents))[0]
    if len(given) != len(leaves):
        raise ValueError(f"got {len(given)} tangents, expected {len(leaves)}: pass one per argument, shaped like it")
    pushed = [_direction(t, x, "tangent") for t, x in zip(given, leaves, strict=True)]
    r = Recording(f, args, range(len(args)), trace=Trace.streaming(), tangents=pushed, has_aux=has_aux)
    out = r.rebuild_output([_tangent(r, leaf) for leaf in r.outputs])
    return (r.output_value(), out, r.aux) if has_aux else (r.output_value(), out)


def _tangent(r: Recording, leaf: Any) -> Any:
    if r.traced(leaf) and leaf.flow is not None:
        return leaf.flow
    zero = np.zeros_like(np.asarray(constant(r.value(leaf))))
    return zero if zero.shape else zero[()]


def linearize(f: Function, *args: Any) -> tuple[Any, Function]:
    """``(f(*args), pushforward)``: the tangent of the output for any tangents, without computing ``f`` again."""
    r = Recording(f, args, range(len(args)), outlives=True)
    lock = threading.Lock()

    def pushforward(*tangents: Any) -> Any:
        given = flatten(tuple(tangents))[0]
        with lock:
            for node, t in zip(r.inputs, given, strict=True):
                node.flow = _direction(t, node.primal, "tangent")
            try:
                push_forward(r.tape.nodes)
                return r.rebuild_output([_tangent(r, leaf) for leaf in r.outputs])
            finally:
                clear(r.tape.nodes)
                clear(r.inputs)

    return r.copied_output(), pushforward


def jacobian(f: Function, argnums: Argnums = 0, mode: str | None = None) -> Function:
    """Arrays of ``output.shape + input.shape``.

    Parameters
    ----------
    mode
        ``"reverse"`` (one sweep per output), ``"forward"`` (one per input), or None for the fewer sweeps.
    """
    if mode not in (None, "reverse", "forward"):
        raise ValueError(f"got mode {mode!r}, expected 'reverse', 'forward' or None")
    where = _positions(argnums)

    def table(*args: Any) -> Any:
        def partial(*chosen: Any) -> Any:
            given = list(args)
            for i, x in zip(where, chosen, strict=True):
                given[i] = x
            return f(*given)

        chosen = [args[i] for i in where]
        inputs, rebuild = flatten(tuple(chosen))
        inputs = [differentiable(x) for x in inputs]
        blocks = _jacobian_blocks(partial, chosen, inputs, mode)
        out = rebuild(blocks)
        return out[0] if isinstance(argnums, int) else out

    return table


def _units(x: Any) -> Any:
    plain = constant(x)
    return np.eye(plain.size, dtype=plain.dtype).reshape(plain.size, *plain.shape)


def _jacobian_blocks(f: Function, args: Sequence[Any], inputs: list[Any], mode: str | None) -> list[Any]:
    columns = sum(math.prod(x.shape) for x in inputs)
    if mode == "forward":
        return _by_columns(f, args, inputs)
    out, pullback = vjp(f, *args)
    if isinstance(out, (tuple, list, dict)):
        raise TypeError(f"got an output of type {type(out).__name__}, expected one array: stack or concatenate it")
    rows = math.prod(np.shape(out))
    if mode is None and columns < rows:
        return _by_columns(f, args, inputs)
    found = [flatten(pullback(unit))[0] for unit in _units(np.asarray(constant(out)))]
    shape = np.shape(out)
    if not found:
        return [np.zeros(shape + x.shape, x.dtype) for x in inputs]
    # A row of the matrix is the transpose, not the conjugate transpose, of a pullback.
    return [
        np.reshape(np.stack([np.conj(row[k]) if x.dtype.kind == "c" else row[k] for row in found]), shape + x.shape)
        for k, x in enumerate(inputs)
    ]


def _by_columns(f: Function, args: Sequence[Any], inputs: list[Any]) -> list[Any]:
    out, push = linearize(f, *args)
    _, rebuild = flatten(tuple(args))
    zeros = [np.zeros(x.shape, x.dtype) for x in inputs]
    blocks = []
    for k, x in enumerate(inputs):
        columns = [push(*rebuild([*zeros[:k], unit, *zeros[k + 1 :]])) for unit in _units(x)]
        shape = np.shape(out) + x.shape
        dtype = constant(x).dtype
        blocks.append(np.reshape(np.stack(columns, axis=-1), shape) if columns else np.zeros(shape, dtype))
    return blocks


def hvp(f: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """The Hessian of a scalar function times a direction, one part per argument: forward over reverse."""
    gradient = grad(f, tuple(range(len(args))))
    found: tuple[Any, ...] = jvp(gradient, args, tangents)[1]
    return found


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """Second derivatives of a scalar function: a nested tuple of blocks for a tuple of ``argnums``."""
    where = _positions(argnums)

    def table(*args: Any) -> Any:
        def gradient(*chosen: Any) -> Any:
            given = list(args)
            for i, x in zip(where, chosen, strict=True):
                given[i] = x
            return grad(f, where)(*given)

        chosen = [args[i] for i in where]
        rows = []
        for k in range(len(where)):
            parts = _by_columns(lambda *xs, k=k: gradient(*xs)[k], chosen, [differentiable(x) for x in chosen])
            rows.append(tuple(parts))
        return rows[0][0] if isinstance(argnums, int) else tuple(rows)

    return table


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant, at every level of nesting."""
    leaves, rebuild = flatten(x)
    return rebuild([primal(leaf) for leaf in leaves])
