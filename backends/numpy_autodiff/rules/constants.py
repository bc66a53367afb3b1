"""Functions that are locally constant, or return integers and booleans: computed on the values, never recorded.

A symbolic trace does record them, because a compiler replays comparisons at other values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array

_UFUNCS: tuple[Any, ...] = (
    *(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal),
    *(np.logical_and, np.logical_or, np.logical_not, np.logical_xor),
    *(np.isnan, np.isinf, np.isfinite, np.signbit, np.heaviside),
    *(np.floor, np.ceil, np.trunc, np.rint, np.floor_divide, np.spacing),
    # Of comparisons and of computed indices, which a symbolic trace records.
    *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift),
)
_FUNCTIONS: tuple[Any, ...] = (
    *(np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.flatnonzero, np.count_nonzero, np.searchsorted),
    *(np.any, np.all, np.round, np.fix, np.isclose, np.allclose, np.array_equal, np.argpartition),
    *(np.around, np.nanargmax, np.nanargmin, np.array_equiv),
    *(np.zeros_like, np.ones_like, np.empty_like, np.iscomplex, np.isreal),
    *(np.linalg.matrix_rank, np.isin, np.digitize, np.isposinf, np.isneginf),
)
_STATIC: tuple[Any, ...] = (
    np.iscomplexobj,
    np.isrealobj,
    np.result_type,
    np.can_cast,
    np.shape,
    np.size,
    np.ndim,
    np.array2string,
    np.common_type,
    np.min_scalar_type,
    np.diag_indices_from,
    np.tril_indices_from,
    np.triu_indices_from,
    np.einsum_path,
    np.array_repr,
    np.array_str,
    np.may_share_memory,
    np.shares_memory,
)
CONSTANT: dict[Any, Primitive] = {f: Primitive(f.__name__, f, constant=True) for f in (*_UFUNCS, *_FUNCTIONS)}


def _static(function: Any) -> Any:
    """Make the handler of a function of shapes and dtypes, which need no recording, not even for a compiler."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*map(constant, args), **kwargs)

    return call


def _full_like(a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    """Compute `numpy.full_like`: the shape is that of ``a``, the derivative that of the fill value."""
    filled = np.broadcast_to(as_array(fill_value), np.shape(a) if shape is None else shape)
    return filled.astype(dtype or as_array(a).dtype)


_LEXSORT: Primitive = Primitive("lexsort", lambda *keys, axis: np.lexsort(keys, axis), constant=True)


def _lexsort(keys: Any, axis: int = -1) -> Any:
    """Compute `numpy.lexsort`; the keys are a list of arrays, or the rows of one."""
    return _LEXSORT(*(as_array(key) for key in keys), axis=axis)


REDUCE: Primitive = Primitive("reduce", lambda x, ufunc, **kwargs: ufunc.reduce(x, **kwargs), constant=True)
STOP: Primitive = Primitive("stop_gradient", lambda x: x, constant=True)
#: The sign of a complex number is not constant, nor is the value that `numpy.heaviside` has at 0: see `elementwise`.
UFUNCS: dict[Any, Any] = {f: CONSTANT[f] for f in _UFUNCS if f not in (np.sign, np.heaviside)}
HANDLERS: dict[Any, Any] = (
    {f: CONSTANT[f] for f in _FUNCTIONS}
    | {f: _static(f) for f in _STATIC}
    | {np.full_like: _full_like, np.lexsort: _lexsort}
)
