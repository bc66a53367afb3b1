"""The array namespace of JAX: ``jax.numpy``, which conforms to the array API standard, with ``special`` beside it.

Two functions differ in the dtype of their results, and are completed here.

Importing this module imports JAX, so only the adapter's ``open()`` does that.
"""

from __future__ import annotations

import sys
from typing import Any

import jax.numpy
import jax.scipy.special
from jax.numpy import *  # noqa: F403 - the namespace is JAX's
from jax.numpy import fft, linalg

from autodiff_compare.backends.special import NAMES, Special

__all__ = ["fft", "linalg", "special"]

special = Special(
    "jax",
    {name: getattr(jax.scipy.special, {"lgamma": "gammaln"}.get(name, name)) for name in NAMES},
)


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
