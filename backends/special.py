"""``xp.special``: functions of mathematical statistics, with one signature on every backend.

All are elementwise but the last two. Formulas are those of the Digital Library of Mathematical Functions (DLMF).

==========================================  ========================================================  ==============
function                                    value                                                     DLMF
==========================================  ========================================================  ==============
``erf(x)``, ``erfc(x)``                     error function, and 1 minus it                            7.2
``erfinv(y)``                               x with ``erf(x) = y``                                     7.17
``lgamma(x)``                               log |Gamma(x)|                                            5.2
``digamma(x)``                              slope of log Gamma                                        5.2
``expit(x)``                                1 / (1 + exp(-x))
``logit(p)``                                log(p / (1 - p))
``xlogy(x, y)``                             x log y; 0 where x = 0
``betainc(a, b, x)``                        regularised incomplete beta function I_x(a, b)            8.17
``gammainc(a, x)``                          regularised lower incomplete gamma function P(a, x)       8.2
``i0(x)``, ``i1(x)``                        modified Bessel functions of orders 0 and 1               10.25
``logsumexp(x, axis=None, keepdims=False)``  log of the sum of exp(x) over the axes, all by default
``log_softmax(x, axis=None)``               x - logsumexp(x) over one axis, by default over all entries
==========================================  ========================================================  ==============

Arguments are arrays of one floating dtype, which the result keeps, or of integers, which become floats. ``axis`` and
``keepdims`` are passed by name. A function that a framework lacks raises `Absent`. Some derivatives are missing too:
those of ``betainc`` in a and b, and those of ``gammainc`` in a; `autodiff_compare` reports what each framework answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autodiff_compare.backends.operators.objective import Absent

#: The functions of ``xp.special``.
NAMES = (
    "erf", "erfc", "erfinv", "lgamma", "digamma", "expit", "logit", "xlogy", "betainc", "gammainc", "i0", "i1",
    "logsumexp", "log_softmax",
)  # fmt: skip


def of_scipy(module: Any) -> dict[str, Callable[..., Any]]:
    """Return all of `NAMES` from ``scipy.special``, or from a module with its names."""
    return {name: getattr(module, {"lgamma": "gammaln"}.get(name, name)) for name in NAMES}


class Special:
    """The special functions of one framework as attributes.

    Parameters
    ----------
    owner
        Name of the framework, for messages.
    functions
        Name, one of `NAMES`, -> the framework's function.

    Raises
    ------
    Absent
        By an attribute in `NAMES` that ``functions`` lacks.
    AttributeError
        By any other attribute.
    """

    def __init__(self, owner: str, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._owner = owner
        vars(self).update(functions)

    def __getattr__(self, name: str) -> Any:
        if name in NAMES:
            raise Absent(f"{self._owner} has no xp.special.{name}")
        raise AttributeError(f"got xp.special.{name}, expected one of: {', '.join(NAMES)}")
