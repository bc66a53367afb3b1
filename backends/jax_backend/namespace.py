"""The array namespace of JAX: ``jax.numpy``, which conforms to the array API standard, with ``special`` beside it.

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
