"""The functions of `scipy.special` that have derivative rules, for arrays and variables alike.

The ufuncs of SciPy take variables by themselves (``scipy.special.erf(x)``). This namespace names all functions with
rules, and adds those that are not ufuncs: ``polygamma``, and without SciPy ``logsumexp``, ``softmax``, ``log_softmax``.

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff import grad, special
>>> grad(special.logsumexp)(np.array([-np.inf, 800.0, 800.0]))
array([0. , 0.5, 0.5])

Half precision is kept: values and derivatives are computed in float32 and rounded. SciPy's own functions return float32
or float64 of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.tracing import primal
from autodiff_compare.backends.numpy_autodiff.rules import softmax as _softmax
from autodiff_compare.backends.numpy_autodiff.rules.special import POLYGAMMA, RULES, primitive

__all__ = ["log_softmax", "logsumexp", "polygamma", "softmax"]

#: Other names of the same functions.
_ALIASES = {"digamma": "psi", "jn": "jv", "lgamma": "gammaln"}


_HALF = np.dtype(np.float16)


def _is_half(x: Any) -> bool:
    return getattr(x, "dtype", None) is _HALF


def _in_half(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes in float32 where its result is to be float16."""

    def call(*args: Any, **options: Any) -> Any:
        for x in args:  # a loop takes half the time of any()
            if getattr(x, "dtype", None) is _HALF:
                return _rounded(function, args, options)
        return function(*args, **options)

    return functools.wraps(function, updated=())(call)


def _rounded(function: Callable[..., Any], args: Any, options: Any) -> Any:
    """Compute in float32, and round unless another argument is wider than float16."""
    found = function(*(x.astype(np.float32) if _is_half(x) else x for x in args), **options)
    return found.astype(_HALF) if np.result_type(*map(primal, args)) == _HALF else found


def polygamma(n: Any, x: Any) -> Any:
    """Compute `scipy.special.polygamma`, differentiable in ``x``."""
    return POLYGAMMA(n, x)


log_softmax, logsumexp = _in_half(_softmax.log_softmax), _in_half(_softmax.logsumexp)
softmax = _in_half(_softmax.softmax)


def __getattr__(name: str) -> Any:
    name = _ALIASES.get(name, name)
    if name not in RULES:
        raise AttributeError(f"got special.{name}, expected one of {', '.join(__dir__())}")
    return _of_scipy(name)


@functools.cache
def _of_scipy(name: str) -> Callable[..., Any]:
    return _in_half(primitive(name))


def __dir__() -> list[str]:
    return sorted([*__all__, *_ALIASES, *RULES])
