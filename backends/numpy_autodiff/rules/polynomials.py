"""Polynomials by their coefficients, highest power first, as in NumPy's older interface; and grids of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.tracing import primal
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array


def polyval(p: Any, x: Any) -> Any:
    """Compute `numpy.polyval`, by Horner's rule."""
    p, x = as_array(p), as_array(x)
    found = x * 0
    for i in range(p.shape[0]):
        found = found * x + p[i]
    return found


def _filled(p: Any, n: int) -> Any:
    """Return ``n`` coefficients, with zeros in front."""
    return np.concatenate((np.zeros(n - p.shape[0], p.dtype), p)) if n > p.shape[0] else p


def _sum(sign: int) -> Any:
    def combined(a1: Any, a2: Any) -> Any:
        a1, a2 = np.atleast_1d(as_array(a1)), np.atleast_1d(as_array(a2))
        n = max(a1.shape[0], a2.shape[0])
        return _filled(a1, n) + _filled(a2, n) if sign > 0 else _filled(a1, n) - _filled(a2, n)

    return combined


def polymul(a1: Any, a2: Any) -> Any:
    """Compute `numpy.polymul`."""
    return np.convolve(as_array(a1), as_array(a2))


def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Compute `numpy.polydiv`: the quotient and the remainder without leading coefficients near zero."""
    u, v = np.atleast_1d(as_array(u)) + 0.0, np.atleast_1d(as_array(v)) + 0.0
    m, n = u.shape[0], v.shape[0]
    # Only n coefficients change in a step, so the others are taken in when it comes to them.
    quotient, rest = [], u[:n]
    for k in range(n, max(m, n - 1) + 1):
        factor = rest[0] / v[0]
        quotient.append(factor)
        rest = np.concatenate((rest[1:] - factor * v[1:], u[k : k + 1]))
    rest = np.concatenate((np.zeros(1, rest.dtype), rest)) if not rest.shape[0] else rest
    first = 0
    while first < rest.shape[0] - 1 and np.allclose(primal(rest)[first], 0, rtol=1e-14):
        first += 1
    return (np.stack(quotient) if quotient else np.zeros(1, u.dtype)), rest[first:]


def polyder(p: Any, m: int = 1) -> Any:
    """Compute `numpy.polyder`."""
    if m < 0:
        raise ValueError(f"got a derivative of order {m}, expected 0 or more: see polyint")
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Compute `numpy.polyint`."""
    if m < 0:
        raise ValueError(f"got an integral of order {m}, expected 0 or more: see polyder")
    p = as_array(p)
    constants = np.zeros(m) if k is None else np.broadcast_to(np.atleast_1d(as_array(k)), (m,))
    for i in range(m):
        p = np.concatenate((p / np.arange(p.shape[0], 0, -1), constants[i : i + 1]))
    return p


def poly(seq_of_zeros: Any) -> Any:
    """Compute `numpy.poly`: the coefficients for given roots, or the characteristic polynomial of a matrix."""
    roots = np.atleast_1d(as_array(seq_of_zeros))
    if len(roots.shape) == 2:
        roots = np.linalg.eigvals(roots)
    found = np.ones(1, roots.dtype)
    for i in range(roots.shape[0]):
        grown = np.concatenate((found, np.zeros(1, found.dtype)))
        found = grown - roots[i] * np.concatenate((np.zeros(1, found.dtype), found))
    values = primal(roots)
    if values.dtype.kind == "c" and np.all(np.sort(values) == np.sort(np.conj(values))):
        return np.real(found)
    return found


def roots(p: Any) -> Any:
    """Compute `numpy.roots`: the eigenvalues of the companion matrix."""
    first, last = 0, p.shape[0]
    while first < last and primal(p)[first] == 0:
        first += 1
    while first < last and primal(p)[last - 1] == 0:
        last -= 1
    if first == last:
        return np.array([])
    zeros = p.shape[0] - last
    p = p[first:last]
    n = p.shape[0] - 1
    if not n:
        return np.zeros(zeros, p.dtype)
    companion = np.concatenate((np.reshape(-p[1:] / p[0], (1, n)), np.eye(n - 1, n, dtype=p.dtype)))
    found = np.linalg.eigvals(companion)
    return np.concatenate((found, np.zeros(zeros, found.dtype))) if zeros else found


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Compute `numpy.vander`."""
    n = x.shape[0] if N is None else N
    x = x.astype(np.promote_types(x.dtype, int))
    columns: list[Any] = [np.ones(x.shape, x.dtype)]
    for _ in range(1, n):
        columns.append(columns[-1] * x)
    return np.stack((columns if increasing else columns[::-1])[:n] or [x[:0]], axis=-1) if n else x[:, None][:, :0]


def polyfit(x: Any, y: Any, deg: int, rcond: float | None = None, *, w: Any = None) -> Any:
    """Compute `numpy.polyfit`: the coefficients, without ``full`` and ``cov``."""
    x, y = as_array(x) + 0.0, as_array(y) + 0.0
    if not isinstance(deg, int):
        raise NotImplementedError(f"got deg={deg!r} in polyfit of a variable, expected an integer")
    rcond = x.shape[0] * float(np.finfo(x.dtype).eps) if rcond is None else rcond
    left = vander(x, deg + 1)
    if w is not None:
        w = as_array(w) + 0.0
        left, y = left * w[:, None], y * (w[:, None] if len(y.shape) == 2 else w)
    scale = np.sqrt(np.sum(left * left, axis=0))
    found = np.linalg.lstsq(left / scale, y, rcond)[0]
    return found / (scale[:, None] if len(y.shape) == 2 else scale)


# --- Grids


def _steps(num: int, endpoint: bool) -> Any:
    return np.arange(num) / max(num - 1 if endpoint else num, 1)


def _ends(start: Any, stop: Any, dtype: Any) -> tuple[Any, Any]:
    del dtype
    start, stop = (x if x.dtype.kind in "fc" else x.astype(float) for x in (as_array(start), as_array(stop)))
    return start, stop


def _placed(found: Any, axis: int, dtype: Any) -> Any:
    found = np.moveaxis(found, 0, axis) if axis else found
    return found if dtype is None else found.astype(dtype)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Compute `numpy.linspace`, differentiable in both ends."""
    start, stop = _ends(start, stop, dtype)
    shape = np.broadcast_shapes(np.shape(start), np.shape(stop))
    t = _steps(num, endpoint).reshape((num, *(1,) * len(shape)))
    found = start * (1 - t) + stop * t
    # Integers are rounded down, not cut.
    found = np.floor(found) if dtype is not None and np.dtype(dtype).kind in "iu" else found
    found, steps = _placed(found, axis, dtype), num - 1 if endpoint else num
    return (found, (stop - start) / steps if steps > 0 else np.nan) if retstep else found


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """Compute `numpy.logspace`, differentiable in both ends and the base."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    base = np.expand_dims(base, axis) if np.ndim(base) else base
    found = np.power(base, exponents)
    return found if dtype is None else found.astype(dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Compute `numpy.geomspace`, differentiable in both ends."""
    start, stop = _ends(start, stop, dtype)
    shape = np.broadcast_shapes(np.shape(start), np.shape(stop))
    t = _steps(num, endpoint).reshape((num, *(1,) * len(shape)))
    return _placed(start * np.exp(t * np.log(stop / start)), axis, dtype)


def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute `numpy.apply_along_axis`: apply a function of vectors to every vector along an axis."""
    axis %= len(arr.shape)
    moved = np.moveaxis(arr, axis, -1)
    lead: Sequence[int] = moved.shape[:-1]
    rows = np.reshape(moved, (-1, moved.shape[-1]))
    found = np.stack([as_array(func1d(rows[i], *args, **kwargs)) for i in range(rows.shape[0])])
    found = np.reshape(found, (*lead, *found.shape[1:]))
    new = range(len(lead), len(found.shape))
    return np.moveaxis(found, tuple(new), tuple(axis + i for i in range(len(new))))


def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """Compute `numpy.apply_over_axes`: reduce one axis after the other, and keep them."""
    n = len(a.shape)
    for axis in [axes] if np.ndim(axes) == 0 else list(axes):
        found = func(a, axis)
        a = found if len(found.shape) == n else np.expand_dims(found, axis % n)
    return a


HANDLERS: dict[Any, Any] = {
    np.polyval: polyval,
    np.polyadd: _sum(1),
    np.polysub: _sum(-1),
    np.polymul: polymul,
    np.polydiv: polydiv,
    np.polyder: polyder,
    np.polyint: polyint,
    np.poly: poly,
    np.roots: roots,
    np.polyfit: polyfit,
    np.vander: vander,
    np.linspace: linspace,
    np.logspace: logspace,
    np.geomspace: geomspace,
    np.apply_along_axis: apply_along_axis,
    np.apply_over_axes: apply_over_axes,
}
