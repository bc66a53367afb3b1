"""Jacobians, Hessians and Hessian-vector products, composed of sweeps in either mode.

A backward sweep from the i-th unit cotangent gives row i of the Jacobian, a forward sweep from the j-th unit tangent
gives column j. The Hessian is the Jacobian of the gradient, by columns: forward over reverse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import Argnums, Function, grad, positions
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp, linearize
from autodiff_compare.backends.numpy_autodiff.transforms.recording import differentiable
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import vjp


def jacobian(f: Function, argnums: Argnums = 0, mode: str | None = None) -> Function:
    """Return a function that gives the Jacobian, of shape ``output.shape + input.shape``, for one array as output.

    Parameters
    ----------
    mode
        ``"reverse"`` (one sweep per entry of the output), ``"forward"`` (one per entry of the input), or None for
        whichever needs fewer sweeps.
    """
    if mode not in (None, "reverse", "forward"):
        raise ValueError(f"got mode {mode!r}, expected 'reverse', 'forward' or None")
    where = positions(argnums)

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
    """Return the Hessian of a scalar function times a direction, one part per argument: forward over reverse."""
    gradient = grad(f, tuple(range(len(args))))
    found: tuple[Any, ...] = jvp(gradient, args, tangents)[1]
    return found


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """Return a function that gives the Hessian; for a tuple of ``argnums``, a nested tuple of blocks."""
    where = positions(argnums)

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
