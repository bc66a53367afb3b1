"""NumPy alone, in any precision: what references and numerical differences evaluate an objective with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from autodiff_compare.backends.loops import python_scan, python_while
from autodiff_compare.backends.objective import Function
from autodiff_compare.backends.registry import load


class Plain:
    """The members of a backend that a problem may use, on NumPy arrays that nothing records."""

    xp = np

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return python_scan(np, f, init, xs)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        return python_while(cond, body, init, limit)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        """By our own engine, the only one here that keeps ``np.longdouble``."""
        from autodiff_compare.backends import numpy_autodiff

        if mode == "reverse":
            gradient: Function = numpy_autodiff.grad(f)
            return gradient
        forward: Function = numpy_autodiff.jacobian(f, mode="forward")
        return forward

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        derivative = self.derivative(f, mode)
        return lambda x: (f(x), derivative(x))

    def implementation(self, native: Mapping[str, Function], neutral: Function | None) -> Function:
        """The ``neutral`` function, else NumPy's own; else the first of them, by way of its framework."""
        found = neutral or native.get("numpy")
        if found is not None:
            return found
        spec, function = next(iter(native.items()))
        return functools.partial(_by_way_of, spec, function)


PLAIN = Plain()


def _by_way_of(spec: str, function: Function, *arrays: Any) -> Any:
    """A framework's own function on NumPy arrays; in float64, since frameworks have nothing wider."""
    backend = _opened(spec)
    given = [np.asarray(a, dtype=np.float64) if np.asarray(a).dtype == np.longdouble else a for a in arrays]
    return backend.to_numpy(backend.block(function(*map(backend.to_var, given))))


@functools.cache
def _opened(spec: str) -> Any:
    backend = load(spec)
    backend.open()
    return backend
