"""NumPy alone, in any precision: what references and numerical differences evaluate an objective with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from backends.interface import Function, python_scan, python_while


class Plain:
    """The members of a backend that a problem may use, on NumPy arrays that nothing records."""

    xp = np

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return python_scan(np, f, init, xs)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        return python_while(cond, body, init, limit)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        """By our own engine, the only one here that keeps ``np.longdouble``."""
        from backends import numpy_autodiff

        if mode == "reverse":
            gradient: Function = numpy_autodiff.grad(f)
            return gradient
        forward: Function = numpy_autodiff.jacobian(f, mode="forward")
        return forward


PLAIN = Plain()
