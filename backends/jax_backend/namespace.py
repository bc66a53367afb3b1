"""The array namespace of JAX: ``jax.numpy``, which conforms to the array API standard, with ``special`` beside it.

Two functions differ in the dtype of their results, special functions in what they take; they are completed here.

Importing this module imports JAX, so only the adapter's ``open()`` does that.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import jax.numpy
import jax.scipy.special
from jax.numpy import *  # noqa: F403 - the namespace is JAX's
from jax.numpy import fft, linalg

from autodiff_compare.backends.special import Special, of_scipy

__all__ = ["fft", "linalg", "special"]


def _of_floats(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Return a function that makes floats of integers; the derivative of JAX's own `xlogy` fails with them."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> jax.Array:
        dtype = jax.numpy.result_type(*args)
        return function(*(jax.numpy.asarray(x, dtype if dtype.kind in "fc" else "float64") for x in args), **options)

    return call


special = Special("jax", {name: _of_floats(function) for name, function in of_scipy(jax.scipy.special).items()})


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
