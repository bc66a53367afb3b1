"""Evaluation of objectives on plain NumPy arrays, in any precision: for references and numerical differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from autodiff_compare.backends import plain_namespace
from autodiff_compare.backends.loops import python_scan, python_while
from autodiff_compare.backends.operators.implicit import Solutions
from autodiff_compare.backends.operators.objective import Function
from autodiff_compare.backends.registry import load


class Plain(Solutions):
    """The members of a backend that an objective may use, on NumPy arrays and without recording anything.

    `autodiff_compare.backends.interface.Backend` describes the methods.

    Parameters
    ----------
    xp
        The array namespace: NumPy, or that of our engine, for a function that is traced without a backend.
    """

    def __init__(self, xp: Any = plain_namespace) -> None:
        self.xp = xp

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return python_scan(self.xp, f, init, xs)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        return python_while(cond, body, init, limit)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        """Return the gradient function by our own engine, the only one here that keeps ``np.longdouble``."""
        from autodiff_compare.backends import (
            numpy_autodiff,  # only where an objective contains a derivative: it loads 49 modules
        )

        if mode == "reverse":
            gradient: Function = numpy_autodiff.grad(f)
            return gradient
        forward: Function = numpy_autodiff.jacobian(f, mode="forward")
        return forward

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        derivative = self.derivative(f, mode)
        return lambda x: (f(x), derivative(x))

    def stop_gradient(self, x: Any) -> Any:
        """Return the value of ``x``, which a derivative taken by our engine may have traced."""
        from autodiff_compare.backends import numpy_autodiff

        return numpy_autodiff.stop_gradient(x)

    def implementation(self, native: Mapping[str, Function], neutral: Function | None) -> Function:
        """Return the ``neutral`` function, else the one for NumPy, else the first one, called through its framework."""
        found = neutral or native.get("numpy")
        if found is not None:
            return found
        spec, function = next(iter(native.items()))
        return functools.partial(_through, spec, function)


PLAIN = Plain()


def _through(spec: str, function: Function, *arrays: Any) -> Any:
    """Call a framework's function on NumPy arrays. `numpy.longdouble` becomes float64, their widest dtype."""
    backend = _opened(spec)
    given = [np.asarray(a, dtype=np.float64) if np.asarray(a).dtype == np.longdouble else a for a in arrays]
    return backend.to_numpy(backend.block(backend.on_variables(function)(*map(backend.to_var, given))))


@functools.cache
def _opened(spec: str) -> Any:
    backend = load(spec)
    backend.open()
    return backend
