"""The array namespace of JAX: ``jax.numpy``, which conforms to the array API standard, with ``special`` beside it.

Functions that differ in the dtype of their results, and special functions, which differ in what they take, are
completed here.

Importing this module imports JAX, so only the adapter's ``open()`` does that.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable
from typing import Any

import jax.numpy
import jax.scipy.special
from jax.numpy import *  # noqa: F403 - the namespace is JAX's
from jax.numpy import fft, linalg

from autodiff_compare.backends.default_dtype import default_dtype
from autodiff_compare.backends.special import Special, of_scipy

__all__ = ["fft", "linalg", "special"]


def _is_exact(x: Any) -> bool:
    """Return whether ``x`` is a Python number, or an array of integers or truth values."""
    return isinstance(x, (int, float)) or (isinstance(x, jax.Array) and x.dtype.kind in "biu")


def _of_floats(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Return a function that makes floats of integers, of the default dtype; JAX makes float64 of them."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> jax.Array:
        if default_dtype() != "float64" and builtins.all(map(_is_exact, args)):
            args = tuple([jax.numpy.asarray(x, default_dtype()) for x in args])
        return function(*args, **options)

    return call


def _of_one_dtype(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Return a function whose arguments have one floating dtype: JAX's `xlogy` of integers has no derivative."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> jax.Array:
        dtype = jax.numpy.result_type(*args)
        common = dtype if jax.numpy.issubdtype(dtype, jax.numpy.inexact) else default_dtype()
        return function(*(jax.numpy.asarray(x, common) for x in args), **options)

    return call


special = Special("jax", {name: _of_one_dtype(function) for name, function in of_scipy(jax.scipy.special).items()})


#: Functions of floats, but for ``divide`` and operators: ``n / 7`` is weak in JAX, and takes the dtype beside it.
_FLOATS = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "exp", "expm1", "hypot", "log", "log10",
    "log1p", "log2", "logaddexp", "mean", "reciprocal", "sin", "sinh", "sqrt", "std", "tan", "tanh", "var",
)  # fmt: skip
globals().update({name: _of_floats(getattr(jax.numpy, name)) for name in _FLOATS})


def cumulative_prod(  # type: ignore[no-redef]
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> jax.Array:
    """Return the products of the entries so far; of integers as wide as `prod` has them."""
    if dtype is None and x.dtype.kind in "iu":
        dtype = "uint64" if x.dtype.kind == "u" else "int64"
    return jax.numpy.cumulative_prod(x, axis=axis, dtype=dtype, include_initial=include_initial)


def searchsorted(  # type: ignore[no-redef]
    x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None
) -> jax.Array:
    """Return the places of ``x2`` in ``x1`` as int64, the dtype of indices; JAX's function returns int32."""
    return jax.numpy.searchsorted(x1, x2, side=side, sorter=sorter).astype("int64")


def __getattr__(name: str) -> Any:
    """Return the attributes that an import of all names leaves out, such as ``__array_api_version__``.

    Raises
    ------
    AttributeError
        If there is none; it names this namespace, by which a hint is found.
    """
    try:
        return getattr(jax.numpy, name)
    except AttributeError as error:
        error.name, error.obj = name, sys.modules[__name__]
        raise
