"""Jacobians, Hessians and Hessian-vector products, composed of sweeps in either mode.

A backward sweep from the i-th unit cotangent gives row i of the Jacobian, a forward sweep from the j-th unit tangent
gives column j. The Hessian is the Jacobian of the gradient, by columns: forward over reverse.

Complex numbers
---------------
A table of complex numbers ``J`` can express the derivative in these cases, and means the same in both modes:

- real input: ``dy = J dx``. A pushforward gives column ``J t``. A pullback gives ``Re(J^H g)``, so that the cotangents
  ``1`` and ``i`` give the real and the imaginary part of a row.
- complex input, real output: ``dy = Re(J dz)``, so that ``J = dy/da - i dy/db``. A pullback gives ``conj(J)``. The
  tangents ``1`` and ``i`` give ``dy/da`` and ``dy/db``.
- complex input, complex output: ``dy = J dz`` if the function is holomorphic. Otherwise ``dy`` along ``i t`` is not
  ``i`` times ``dy`` along ``t``, no table has that property, and one more pair of sweeps shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant
from autodiff_compare.backends.numpy_autodiff.transforms.arguments import (
    Argnums,
    check_arguments,
    placed,
    positions,
)
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import Function, grad
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp, linearize
from autodiff_compare.backends.numpy_autodiff.transforms.recording import differentiable
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import vjp


def jacobian(f: Function, argnums: Argnums = 0, mode: str | None = None) -> Function:
    """Return a function that gives the Jacobian, of shape ``output.shape + input.shape``, for one array as output.

    The Jacobian is complex if the input or the output is.

    Parameters
    ----------
    mode
        ``"reverse"`` (one sweep per entry of the output), ``"forward"`` (one per entry of the input), or None for
        whichever needs fewer sweeps.

    Raises
    ------
    ValueError
        If ``argnums`` names an argument twice, or there is no such mode.
    TypeError
        When called, if the output is not one array, or a function of complex numbers is not holomorphic.
    """
    if mode not in (None, "reverse", "forward"):
        raise ValueError(f"got mode {mode!r}, expected 'reverse', 'forward' or None")
    where, alone = positions(argnums)

    def table(*args: Any, **kwargs: Any) -> Any:
        partial, chosen = _chosen(f, where, args, kwargs)
        inputs, rebuild = flatten(tuple(chosen))
        inputs = [differentiable(x) for x in inputs]
        out = rebuild(_jacobian_blocks(partial, chosen, inputs, mode))
        return out[0] if alone else out

    return table


def _chosen(f: Function, where: tuple[int, ...], args: Any, kwargs: Any) -> tuple[Function, list[Any]]:
    """Return ``f`` as a function of the differentiated arguments alone, and their values."""
    at, args, kwargs = placed(f, where, args, kwargs)

    def partial(*chosen: Any) -> Any:
        given = list(args)
        for i, x in zip(at, chosen, strict=True):
            given[i] = x
        return f(*given, **kwargs)

    return partial, [args[i] for i in at]


def _units(x: Any) -> Any:
    plain = np.asarray(constant(x))
    return np.eye(plain.size, dtype=plain.dtype).reshape(plain.size, *plain.shape)


def _is_complex(x: Any) -> bool:
    dtype = x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype
    return bool(dtype.kind == "c")


def _jacobian_blocks(f: Function, args: Sequence[Any], inputs: list[Any], mode: str | None) -> list[Any]:
    if mode == "forward":
        return _by_columns(f, args, inputs)
    out, pullback = vjp(f, *args)
    _check_one_array(out)
    complex_inputs = [_is_complex(x) for x in inputs]
    rows = math.prod(np.shape(out))
    columns = sum([math.prod(x.shape) for x in inputs])
    if _is_complex(out):
        rows *= 1 if all(complex_inputs) else 2
    elif any(complex_inputs):
        columns += sum([math.prod(x.shape) for x, double in zip(inputs, complex_inputs, strict=True) if double])
    if mode is None and columns < rows:
        return _by_columns(f, args, inputs)
    return _by_rows(out, pullback, inputs, complex_inputs)


def _check_one_array(out: Any) -> None:
    if isinstance(out, (tuple, list, dict)):
        raise TypeError(f"got an output of type {type(out).__name__}, expected one array: stack or concatenate it")


def _by_rows(out: Any, pullback: Callable[[Any], Any], inputs: list[Any], complex_inputs: list[bool]) -> list[Any]:
    units, shape, several = _units(out), np.shape(out), _is_complex(out)
    found = [flatten(pullback(unit))[0] for unit in units]
    imaginary = [flatten(pullback(1j * unit))[0] for unit in units] if several and not all(complex_inputs) else found
    blocks = []
    for k, (x, is_complex) in enumerate(zip(inputs, complex_inputs, strict=True)):
        # A row of the matrix is the transpose, not the conjugate transpose, of a pullback.
        if is_complex:
            rows = [np.conj(row[k]) for row in found]
        elif several:
            rows = [row[k] + 1j * other[k] for row, other in zip(found, imaginary, strict=True)]
        else:
            rows = [row[k] for row in found]
        blocks.append(_joined(rows, 0, shape + x.shape, out, x))
    if several and any(complex_inputs):
        _check_holomorphic(lambda factor: flatten(pullback(factor * _direction(out)))[0], inputs)
    return blocks


def _by_columns(f: Function, args: Sequence[Any], inputs: list[Any]) -> list[Any]:
    """Return the blocks of one output."""
    return _tables(lambda *given: (f(*given),), args, inputs)[0]


def _tables(f: Function, args: Sequence[Any], inputs: list[Any]) -> list[list[Any]]:
    """Return the blocks of each output of a function with a tuple of them: a sweep gives one column of all."""
    outs, push = linearize(f, *args)
    for out in outs:
        _check_one_array(out)
    _, rebuild = flatten(tuple(args))
    zeros = [np.zeros(x.shape, constant(x).dtype) for x in inputs]

    def along(k: int, tangent: Any) -> Any:
        return push(*rebuild([*zeros[:k], tangent, *zeros[k + 1 :]]))

    tables: list[list[Any]] = [[] for _ in outs]
    for k, x in enumerate(inputs):
        columns = [along(k, unit) for unit in _units(x)]
        turned = (
            [along(k, 1j * unit) for unit in _units(x)] if _is_complex(x) and not all(map(_is_complex, outs)) else []
        )
        for i, (out, blocks) in enumerate(zip(outs, tables, strict=True)):
            own = [column[i] for column in columns]
            if _is_complex(x) and _is_complex(out):
                _check_holomorphic(lambda factor, k=k, x=x, i=i: [along(k, factor * _direction(x))[i]], [x])  # type: ignore[misc]
            elif _is_complex(x):
                own = [t - 1j * other[i] for t, other in zip(own, turned, strict=True)]
            blocks.append(_joined(own, -1, np.shape(out) + x.shape, out, x))
    return tables


def _joined(parts: list[Any], axis: int, shape: tuple[int, ...], out: Any, x: Any) -> Any:
    """Return the rows or columns of one block as an array; without any, an empty one."""
    if parts:
        return np.reshape(np.stack(parts, axis=axis), shape)
    return np.zeros(shape, np.result_type(constant(x).dtype, np.asarray(constant(out)).dtype))


def _direction(x: Any) -> Any:
    """Return a complex direction shaped like ``x`` that has no symmetry by which derivatives could cancel."""
    k = np.arange(1.0, math.prod(np.shape(x)) + 1.0).reshape(np.shape(x))
    return (np.cos(k) + 1j * np.sin(2 * k)).astype(constant(x).dtype)[()]


def _check_holomorphic(along: Callable[[complex], list[Any]], inputs: list[Any]) -> None:
    """Reject a derivative that is linear in real factors only.

    Parameters
    ----------
    along
        The derivative along a fixed direction times a complex factor, one part for each input.
    """
    for part, turned, x in zip(along(1), along(1j), inputs, strict=True):
        if not _is_complex(x):
            continue
        a, b = np.asarray(constant(part)), np.asarray(constant(turned))
        size = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
        # sqrt(eps) leaves half of the digits to rounding; what is not holomorphic below it changes no other digit.
        if np.max(np.abs(b - 1j * a), initial=0.0) > np.sqrt(np.finfo(a.dtype).eps) * size:
            raise TypeError(
                "got a function of complex arguments that is not holomorphic, whose derivative no complex matrix "
                "expresses: differentiate real and imaginary parts, or use jvp (for a Hessian hvp) along t and 1j * t"
            )


def hvp(f: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """Return the Hessian of a scalar function times a direction, one part per argument: forward over reverse.

    ``args`` and ``tangents`` are tuples with one entry per argument of ``f``: ``hvp(f, (x,), (v,))``.
    """
    check_arguments(args, "hvp")
    gradient = grad(f, tuple(range(len(args))))
    found: tuple[Any, ...] = jvp(gradient, args, tangents)[1]
    return found


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """Return a function that gives the Hessian; for a tuple of ``argnums``, a nested tuple of blocks."""
    where, alone = positions(argnums)

    def table(*args: Any, **kwargs: Any) -> Any:
        partial, chosen = _chosen(f, where, args, kwargs)
        gradient = grad(partial, tuple(range(len(where))))
        inputs = [differentiable(x) for x in chosen]
        rows = [tuple(blocks) for blocks in _tables(gradient, chosen, inputs)]
        return rows[0][0] if alone else tuple(rows)

    return table
