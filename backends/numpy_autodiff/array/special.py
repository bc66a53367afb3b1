"""The functions of `scipy.special` that have derivative rules, for arrays and variables alike.

The ufuncs of SciPy take variables by themselves (``scipy.special.erf(x)``). This namespace names all functions with
rules, and adds those that are not ufuncs: ``polygamma``, and without SciPy ``logsumexp``, ``softmax``, ``log_softmax``.

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff import grad, special
>>> grad(special.logsumexp)(np.array([-np.inf, 800.0, 800.0]))
array([0. , 0.5, 0.5])
"""

from __future__ import annotations

from typing import Any

from autodiff_compare.backends.numpy_autodiff.rules.softmax import log_softmax, logsumexp, softmax
from autodiff_compare.backends.numpy_autodiff.rules.special import POLYGAMMA, RULES, primitive

__all__ = ["log_softmax", "logsumexp", "polygamma", "softmax"]

#: Other names of the same functions.
_ALIASES = {"digamma": "psi", "jn": "jv", "lgamma": "gammaln"}


def polygamma(n: Any, x: Any) -> Any:
    """Compute `scipy.special.polygamma`, differentiable in ``x``."""
    return POLYGAMMA(n, x)


def __getattr__(name: str) -> Any:
    name = _ALIASES.get(name, name)
    if name not in RULES:
        raise AttributeError(f"got special.{name}, expected one of {', '.join(__dir__())}")
    return primitive(name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_ALIASES, *RULES])
