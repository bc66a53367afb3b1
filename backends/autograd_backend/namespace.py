"""The array namespace of HIPS autograd: ``autograd.numpy``, completed by functions that have no derivative rule there.

``autograd.numpy`` wraps all of NumPy. Many names that NumPy 2 added for the array API standard have no rule:
``concat``, ``take``, ``cumulative_sum``, ``linalg.eigvalsh`` and others. They are written here in terms of functions
that have one.
Errors and gaps of autograd itself remain visible: ``prod`` of an array with a zero, the forward rules of ``linalg``.

Signatures and results are those of the standard (https://data-apis.org/array-api/2024.12/).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, Union

import autograd.numpy as anp
import autograd.numpy.fft as afft
import autograd.numpy.linalg as alinalg
import autograd.scipy.special as aspecial
import numpy as np
from autograd.tracer import getval

from autodiff_compare.backends import plain_namespace
from autodiff_compare.backends.default_dtype import Namespace, in_cells
from autodiff_compare.backends.special import Special

Array = Any
Axis = Union[int, tuple[int, ...], None]  # noqa: UP007 - a worker's Python may be 3.9


class EighResult(NamedTuple):
    eigenvalues: Array
    eigenvectors: Array


class SlogdetResult(NamedTuple):
    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    U: Array
    S: Array
    Vh: Array


def asarray(x: Array, /, *, dtype: Any = None, copy: bool | None = None) -> Array:
    """Return an array made of numbers, nested sequences or arrays; a traced array stays traced."""
    made = anp.array(x) if dtype is None else anp.array(x).astype(dtype)
    return made + 0 if copy and made is x else made


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """Return the entries at ``indices`` along an axis."""
    if axis is None:
        if anp.ndim(x) != 1:
            raise ValueError(f"got axis=None for an array of {anp.ndim(x)} dimensions: pass axis")
        axis = 0
    return x[(slice(None),) * (axis % anp.ndim(x)) + (indices,)]


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """Return, for each position in ``indices``, the entry with that index along an axis; other axes broadcast."""
    axis %= anp.ndim(x)
    grids = list(np.indices(indices.shape, sparse=True))
    grids[axis] = indices
    wide = [n if i == axis else m for i, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True))]
    lead = np.broadcast_shapes(*([1 if i == axis else n for i, n in enumerate(s)] for s in (x.shape, wide)))
    return broadcast_to(x, tuple(x.shape[i] if i == axis else n for i, n in enumerate(lead)))[tuple(grids)]


def flip(x: Array, /, *, axis: Axis = None) -> Array:
    """Reverse the entries along the axes, by default along all."""
    rank = anp.ndim(x)
    axes = {a % rank for a in (range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis)}
    return x[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(rank))]


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """Join arrays along an axis, or flatten and join them if ``axis`` is `None`."""
    if axis is None:
        return anp.concatenate([anp.ravel(a) for a in arrays])
    return anp.concatenate(list(arrays), axis=axis)


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """Join arrays of one shape along a new axis."""
    return anp.stack(list(arrays), axis=axis)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """Return the slices along an axis as a tuple."""
    return tuple(anp.moveaxis(x, axis, 0))


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """Broadcast to a shape. The rank is raised first, because autograd's rule supports no new axes."""
    own = tuple(anp.shape(x))
    return anp.broadcast_to(anp.reshape(x, (1,) * (len(shape) - len(own)) + own), shape)


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """Limit entries to the range from ``min`` to ``max``; by autograd's own rule where both are numbers."""
    if np.isscalar(min) and np.isscalar(max):
        return anp.clip(x, min, max)
    x = x if min is None else anp.maximum(x, min)
    return x if max is None else anp.minimum(x, max)


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """Broadcast arrays to their common shape."""
    shape = np.broadcast_shapes(*(anp.shape(a) for a in arrays))
    return tuple(broadcast_to(a, shape) for a in arrays)


def matrix_transpose(x: Array, /) -> Array:
    """Swap the last two axes."""
    return anp.swapaxes(x, -1, -2)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Sum the products along an axis, with ``x1`` conjugated."""
    return anp.sum(anp.conj(x1) * x2, axis=axis)


def positive(x: Array, /) -> Array:
    """Return ``+x``, as a new array."""
    return x + 0


def copysign(x1: Array, x2: Array, /) -> Array:
    """Return the absolute values of ``x1`` with the signs of ``x2``."""
    signs = np.where(np.signbit(getval(x2)), -1, 1).astype(np.result_type(getval(x1), getval(x2)))
    return abs(x1) * signs


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """Return the indices that sort along an axis; the sort is always stable."""
    del stable
    values = getval(x)
    if not descending:
        return np.argsort(values, axis=axis, stable=True)
    # So that equal entries keep their order, the reversed array is sorted, then positions and result are reversed.
    reverse = np.flip(np.argsort(np.flip(values, axis=axis), axis=axis, stable=True), axis=axis)
    return values.shape[axis] - 1 - reverse


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """Sort along an axis; a cotangent goes back to the entry that was moved to its position."""
    return take_along_axis(x, argsort(x, axis=axis, descending=descending, stable=stable), axis=axis)


def diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    """Return the ``n``-th differences along an axis, after joining ``prepend`` and ``append``."""
    parts = [part for part in (prepend, x, append) if part is not None]
    return anp.diff(anp.concatenate(parts, axis=axis) if len(parts) > 1 else x, n, axis)


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """Repeat the array along each axis; missing axes of either are 1."""
    own = tuple(anp.shape(x))
    rank = max(len(own), len(repetitions))
    return anp.tile(anp.reshape(x, (1,) * (rank - len(own)) + own), (1,) * (rank - len(repetitions)) + repetitions)


def roll(x: Array, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Array:
    """Roll entries along axes, or the flattened array if ``axis`` is `None`."""
    if not isinstance(axis, tuple):
        return anp.roll(x, shift, axis)
    for one, amount in zip(axis, (shift,) * len(axis) if isinstance(shift, int) else shift, strict=True):
        x = anp.roll(x, amount, one)
    return x


def meshgrid(*arrays: Array, indexing: str = "xy") -> list[Array]:
    """Return coordinate arrays of the grid that the vectors span."""
    rank = len(arrays)
    places = [1, 0, *range(2, rank)] if indexing == "xy" and rank > 1 else list(range(rank))
    spread = [
        anp.reshape(a, tuple(-1 if i == k else 1 for i in range(rank))) for k, a in zip(places, arrays, strict=True)
    ]
    return list(broadcast_arrays(*spread))


def _axis_of(x: Array, axis: int | None) -> int:
    if axis is None and anp.ndim(x) != 1:
        raise ValueError(f"got axis=None for an array of {anp.ndim(x)} dimensions: pass axis")
    return 0 if axis is None else axis % anp.ndim(x)


def _with_initial(x: Array, axis: int, initial: float) -> Array:
    first = np.full([1 if i == axis else n for i, n in enumerate(x.shape)], initial, dtype=x.dtype)
    return anp.concatenate([first, x], axis=axis)


def cumulative_sum(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Return the running sums along an axis, after a zero if ``include_initial``."""
    axis = _axis_of(x, axis)
    out = anp.cumsum(x if dtype is None else x.astype(dtype), axis=axis)
    return _with_initial(out, axis, 0) if include_initial else out


def cumulative_prod(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Return the running products along an axis, by successive multiplication, whose derivative holds at zeros too."""
    axis = _axis_of(x, axis)
    running: list[Array] = []
    for part in unstack(x if dtype is None else x.astype(dtype), axis=axis):
        running.append(running[-1] * part if running else part)
    out = anp.stack(running, axis=axis) if running else anp.cumprod(x, axis=axis)
    return _with_initial(out, axis, 1) if include_initial else out


def _count(x: Array, axis: Axis) -> int:
    shape = anp.shape(x)
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return math.prod(shape[a] for a in axes)


def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the mean over axes."""
    return anp.sum(x, axis=axis, keepdims=keepdims) / _count(x, axis)


def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Return the sum of squared deviations from the mean, divided by ``n - correction``."""
    centred = x - mean(x, axis=axis, keepdims=True)
    return anp.sum(centred * centred, axis=axis, keepdims=keepdims) / max(_count(x, axis) - correction, 0)


def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Return the square root of `var`."""
    return anp.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def eigh(x: Array, /) -> EighResult:
    """Return ascending eigenvalues and eigenvectors of symmetric matrices."""
    return EighResult(*alinalg.eigh(x))


def eigvalsh(x: Array, /) -> Array:
    """Return the ascending eigenvalues of symmetric matrices."""
    return alinalg.eigh(x)[0]


def slogdet(x: Array, /) -> SlogdetResult:
    """Return the sign of the determinant and the logarithm of its absolute value."""
    return SlogdetResult(*alinalg.slogdet(x))


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """Return the lower (or upper) Cholesky factor of symmetric positive definite matrices."""
    lower = alinalg.cholesky(x)
    return matrix_transpose(lower) if upper else lower


def svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    """Return the singular value decomposition ``U, S, Vh``."""
    return SVDResult(*alinalg.svd(x, full_matrices=full_matrices))


def svdvals(x: Array, /) -> Array:
    """Return the descending singular values."""
    return alinalg.svd(x, full_matrices=False)[1]


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """Return a diagonal of the last two axes."""
    rows, columns = x.shape[-2:]
    start = (max(-offset, 0), max(offset, 0))
    k = np.arange(max(min(rows - start[0], columns - start[1]), 0))
    return x[..., k + start[0], k + start[1]]


def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """Sum a diagonal of the last two axes."""
    found = anp.sum(diagonal(x, offset=offset), axis=-1)
    return found if dtype is None else found.astype(dtype)


def outer(x1: Array, x2: Array, /) -> Array:
    """Return the outer product of two vectors."""
    return x1[:, None] * x2[None, :]


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Return the vector product along an axis of length 3."""
    a, b = unstack(x1, axis=axis), unstack(x2, axis=axis)
    return anp.stack([a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)], axis=axis)


def matrix_power(x: Array, n: int, /) -> Array:
    """Return the ``n``-th power of a square matrix; a negative ``n`` takes powers of the inverse."""
    if n == 0:
        return x * 0 + np.eye(x.shape[-1], dtype=x.dtype)
    if n < 0:
        return matrix_power(alinalg.inv(x), -n)
    out = x
    for _ in range(n - 1):
        out = anp.matmul(out, x)
    return out


def vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    """Return the norm of order ``ord`` over axes, by default over all."""
    if ord == 2:
        return anp.sqrt(anp.sum(anp.real(x * anp.conj(x)), axis=axis, keepdims=keepdims))
    size = anp.abs(x)
    if math.isinf(ord):
        return (anp.max if ord > 0 else anp.min)(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return anp.sum((size != 0).astype(size.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return anp.sum(size, axis=axis, keepdims=keepdims)
    return anp.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _of_values(reduce: Callable[..., Array]) -> Callable[[Array], Array]:
    return lambda x: reduce(svdvals(x), axis=-1)


def _of_sums(reduce: Callable[..., Array], axis: int) -> Callable[[Array], Array]:
    return lambda x: reduce(anp.sum(anp.abs(x), axis=axis), axis=-1)


_MATRIX_NORMS: dict[float | str, Callable[[Array], Array]] = {
    "fro": lambda x: vector_norm(x, axis=(-2, -1)),
    "nuc": _of_values(anp.sum),
    2: _of_values(anp.max),
    -2: _of_values(anp.min),
    1: _of_sums(anp.max, -2),
    -1: _of_sums(anp.min, -2),
    math.inf: _of_sums(anp.max, -1),
    -math.inf: _of_sums(anp.min, -1),
}


def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: float | str = "fro") -> Array:
    """Return the norm of order ``ord`` of the matrices in the last two axes."""
    out = _MATRIX_NORMS[ord](x)
    return out[..., None, None] if keepdims else out


_OWN = (
    asarray, take, take_along_axis, flip, concat, stack, unstack, clip, broadcast_to, broadcast_arrays, meshgrid,
    matrix_transpose, vecdot, positive, copysign, cumulative_sum, cumulative_prod, mean, var, std, sort, argsort, diff,
    tile, roll,
)  # fmt: skip
_OWN_LINALG = (
    cholesky, eigh, eigvalsh, slogdet, svd, svdvals, diagonal, trace, outer, cross, matrix_power, vector_norm,
    matrix_norm, matrix_transpose, vecdot,
)  # fmt: skip
#: ``autograd.numpy`` replaces these dtypes by subclasses, which NumPy does not accept as dtypes.
_DTYPES = ("int8", "int16", "int32", "int64")


#: Functions of ``xp.special`` under the names that autograd gives them. It has no ``xlogy``.
_SPECIAL = ("erf", "erfc", "erfinv", "digamma", "expit", "logit", "betainc", "gammainc", "i0", "i1", "logsumexp")


def _special() -> Special:
    """Return the special functions of ``autograd.scipy``."""
    named = {name: getattr(aspecial, name) for name in _SPECIAL}

    def log_softmax(x: Array, /, *, axis: Axis = None) -> Array:
        # Any constant shift gives the same derivatives; this one keeps the digits of entries near the largest.
        low = x - np.max(getval(x), axis=axis, keepdims=True)
        return low - aspecial.logsumexp(low, axis=axis, keepdims=True)

    return Special("autograd", named | {"lgamma": aspecial.gammaln, "log_softmax": log_softmax})


def _fft() -> SimpleNamespace:
    """Return autograd's functions, and those of frequencies with the standard's parameters."""
    names = {name: value for name, value in vars(afft).items() if not name.startswith("_")}
    return SimpleNamespace(**names | {name: getattr(plain_namespace.fft, name) for name in ("fftfreq", "rfftfreq")})


def namespace() -> Namespace:
    """Return ``autograd.numpy`` with the functions of this module in place of those without a rule."""
    names = {name: value for name, value in vars(anp).items() if not name.startswith("_")}
    names |= {f.__name__: f for f in _OWN}
    names |= {name: getattr(np, name) for name in _DTYPES}
    linalg = {name: getattr(alinalg, name) for name in ("det", "inv", "pinv", "qr", "solve", "matrix_rank")}
    linalg |= {f.__name__: f for f in _OWN_LINALG}
    linalg |= {"matmul": anp.matmul, "tensordot": anp.tensordot}
    names |= {
        "linalg": SimpleNamespace(**linalg),
        "fft": _fft(),
        "bool": np.bool,
        "newaxis": None,
        "special": _special(),
    }
    names["__array_api_version__"] = "2024.12"
    return in_cells(SimpleNamespace(**names))
