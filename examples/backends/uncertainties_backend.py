"""Uncertainties (Lebigot 2010): scalars that carry their derivatives, made for the propagation of measurement errors.

``compare.py run sphere -b numpy -b ./examples/backends/uncertainties_backend.py@PATH/TO/python``; ``make peers`` makes
such an environment. A result is a linear combination of independent scalars, so that one evaluation gives all first
derivatives. There are no second ones. Each operation is a Python call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, final

from autodiff_compare.backends.bases.namespace import Namespace
from autodiff_compare.backends.bases.scalars import Scalars, scalar_functions


@final
class UncertaintiesBackend(Scalars):
    name = "uncertainties"
    requires = ("uncertainties",)
    dtypes: ClassVar[tuple[str, ...]] = ("float64",)

    def open(self) -> None:
        import uncertainties
        from uncertainties import umath

        super().open()
        self._uncertainties = uncertainties
        unary = {name: getattr(umath, name) for name in _UNARY} | {"abs": abs}
        binary = {
            "atan2": umath.atan2,
            "hypot": umath.hypot,
            "maximum": lambda a, b: a if a >= b else b,
            "minimum": lambda a, b: a if a <= b else b,
        }
        own = scalar_functions(unary, binary, lambda condition, a, b: a if condition else b)
        special = scalar_functions({"erf": umath.erf, "erfc": umath.erfc, "lgamma": umath.lgamma}, {}, max)
        self.xp = Namespace("uncertainties", own, special={name: special[name] for name in ("erf", "erfc", "lgamma")})

    def scalar(self, value: float) -> Any:
        return self._uncertainties.ufloat(value, 1.0)

    def number(self, scalar: Any) -> float:
        return float(self._uncertainties.nominal_value(scalar))

    def slopes(self, scalar: Any, inputs: Sequence[Any]) -> Sequence[float]:
        if isinstance(scalar, (int, float)):
            return [0.0] * len(inputs)
        found = scalar.derivatives
        return [found.get(x, 0.0) for x in inputs]


#: Functions of ``umath`` that have the name of the standard.
_UNARY = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor", "log", "log10",
    "log1p", "sin", "sinh", "sqrt", "tan", "tanh",
)  # fmt: skip
