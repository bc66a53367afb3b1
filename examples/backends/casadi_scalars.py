"""Arrays of CasADi's scalars (SX), of any rank: NumPy's arrays with a scalar in each entry."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.bases.namespace import Namespace, on_arrays
from autodiff_compare.backends.bases.scalars import filled, scalar_array, scalar_functions
from autodiff_compare.backends.interface import Unsupported

#: Functions of CasADi that have the name of the standard.
UNARY = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor", "log", "log10",
    "log1p", "sign", "sin", "sinh", "sqrt", "tan", "tanh",
)  # fmt: skip
#: Functions of two arrays -> their names in CasADi.
BINARY = {"maximum": "fmax", "minimum": "fmin", "atan2": "atan2", "hypot": "hypot"}


class Entries:
    """The arrays of a graph of scalars, and the expression of CasADi for each: its entries in C order, as a column."""

    def __init__(self, casadi: Any) -> None:
        self.casadi = casadi
        unary = {name: getattr(casadi, name) for name in UNARY} | {"abs": casadi.fabs}
        binary = {name: getattr(casadi, of) for name, of in BINARY.items()}
        own = scalar_functions(unary, binary, casadi.if_else)
        linalg = {
            "solve": lambda a, b: self.array(casadi.solve(self._sx(a), self._sx(b)), np.shape(b)),
            "inv": lambda a: self.array(casadi.inv(self._sx(a)), np.shape(a)),
            "det": lambda a: self.array(casadi.det(self._sx(a)), ()),
            "cholesky": lambda a: self.array(casadi.chol(self._sx(a)).T, np.shape(a)),
        }
        special = {"erf": _mapped(casadi.erf), "erfinv": _mapped(casadi.erfinv)}
        self.xp = Namespace("CasADi", own, on_arrays(linalg, np.linalg), special)

    def symbol(self, shape: tuple[int, ...]) -> Any:
        vector = self.casadi.SX.sym("x", math.prod(shape))
        return filled([vector[i] for i in range(vector.numel())], shape)

    def gradients(self, scalar: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        found = self.casadi.gradient(self.expression(scalar), self._column(inputs))
        ends = np.cumsum([x.size for x in inputs]).tolist()
        return [self.array(found[end - x.size : end], x.shape) for x, end in zip(inputs, ends, strict=True)]

    def expression(self, array: Any) -> Any:
        return self._column([array])

    def array(self, found: Any, shape: tuple[int, ...]) -> Any:
        """Return the entries of a matrix or a column, read by rows, in a shape."""
        rows, columns = found.shape
        return filled([found[i, j] for i in range(rows) for j in range(columns)], shape)

    def _column(self, arrays: Sequence[Any]) -> Any:
        entries = [e for a in arrays for e in np.ravel(np.asarray(scalar_array(a))).tolist()]
        return self.casadi.vertcat(*entries) if entries else self.casadi.SX(0, 1)

    def _sx(self, x: Any) -> Any:
        """Return a vector or matrix of scalars as a matrix of CasADi."""
        if np.ndim(x) > 2:
            raise Unsupported(f"got an array of rank {np.ndim(x)}, expected a matrix: CasADi's have rank two")
        rows = np.asarray(scalar_array(x)).reshape(np.shape(x)[0], -1).tolist()
        return self.casadi.vertcat(*[self.casadi.horzcat(*row) for row in rows])


def _mapped(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    each = np.frompyfunc(function, 1, 1)
    return lambda x: scalar_array(each(x))
