"""CasADi (Andersson et al. 2019): graphs of symbolic scalars, made for optimal control.

``compare.py run sphere -b numpy -b ./examples/backends/casadi_backend.py@PATH/TO/python``; ``make peers`` makes such an
environment. Arrays of any rank are arrays of its scalars (``SX``); ``linalg`` takes matrices of rank two. It computes
in float64 alone. Indices and labels must be known when the graph is built, so that integer data is unsupported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import numpy as np

from autodiff_compare.backends.bases.graphs import Graphs
from autodiff_compare.backends.bases.namespace import Namespace, on_arrays
from autodiff_compare.backends.bases.scalars import filled, scalar_array, scalar_functions
from autodiff_compare.backends.interface import Unsupported


@final
class CasadiBackend(Graphs):
    name = "casadi"
    requires = ("casadi",)
    dtypes: ClassVar[tuple[str, ...]] = ("float64",)

    def open(self) -> None:
        import casadi

        super().open()
        self.casadi = casadi
        unary = {name: getattr(casadi, name) for name in _UNARY}
        unary |= {"abs": casadi.fabs}
        binary = {"maximum": casadi.fmax, "minimum": casadi.fmin, "atan2": casadi.atan2, "hypot": casadi.hypot}
        own = scalar_functions(unary, binary, casadi.if_else)
        linalg = {
            "solve": lambda a, b: self._matrix(casadi.solve(self._sx(a), self._sx(b)), np.shape(b)),
            "inv": lambda a: self._matrix(casadi.inv(self._sx(a)), np.shape(a)),
            "det": lambda a: self._matrix(casadi.det(self._sx(a)), ()),
            "cholesky": lambda a: self._matrix(casadi.chol(self._sx(a)).T, np.shape(a)),
        }
        self.xp = Namespace(
            "CasADi", own, on_arrays(linalg, np.linalg), {"erf": _mapped(casadi.erf), "erfinv": _mapped(casadi.erfinv)}
        )

    def symbol(self, shape: tuple[int, ...], dtype: str) -> Any:
        if np.dtype(dtype).kind not in "fO":  # O: of an array of scalars, within a larger graph
            raise Unsupported(f"CasADi has no symbols of dtype {dtype}: indices must be known when a graph is built")
        vector = self.casadi.SX.sym("x", math.prod(shape))
        return filled([vector[i] for i in range(vector.numel())], shape)

    def gradients(self, scalar: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        found = self.casadi.gradient(self._column([scalar]), self._column(inputs))
        return self._split(found, inputs)

    def compiled(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., Sequence[Any]]:
        f = self.casadi.Function("f", [self._column([x]) for x in inputs], [self._column([y]) for y in outputs])
        shapes = [np.shape(y) for y in outputs]

        def run(*given: Any) -> Sequence[Any]:
            found = f.call([self.casadi.DM(np.ravel(g).tolist()) for g in given])
            return [y.full().reshape(shape) for y, shape in zip(found, shapes, strict=True)]

        return run

    def replaced(self, outputs: Sequence[Any], old: Sequence[Any], new: Sequence[Any]) -> Sequence[Any]:
        given = [[self._column([x]) for x in arrays] for arrays in (outputs, old, new)]
        found = self.casadi.substitute(*given)
        return [self._matrix(each, np.shape(y)) for each, y in zip(found, outputs, strict=True)]

    def _column(self, arrays: Sequence[Any]) -> Any:
        """Return the entries of arrays, in C order, as one column."""
        entries = [e for a in arrays for e in np.ravel(np.asarray(scalar_array(a))).tolist()]
        return self.casadi.vertcat(*entries) if entries else self.casadi.SX(0, 1)

    def _split(self, column: Any, like: Sequence[Any]) -> Sequence[Any]:
        ends = np.cumsum([x.size for x in like]).tolist()
        return [self._matrix(column[end - x.size : end], x.shape) for x, end in zip(like, ends, strict=True)]

    def _matrix(self, found: Any, shape: tuple[int, ...]) -> Any:
        """Return the entries of a matrix or a column, read by rows, in a shape."""
        rows, columns = found.shape
        return filled([found[i, j] for i in range(rows) for j in range(columns)], shape)

    def _sx(self, x: Any) -> Any:
        """Return a vector or matrix of scalars as a matrix of CasADi."""
        if np.ndim(x) > 2:
            raise Unsupported(f"got an array of rank {np.ndim(x)}, expected a matrix: CasADi's have rank two")
        rows = np.asarray(scalar_array(x)).reshape(np.shape(x)[0], -1).tolist()
        return self.casadi.vertcat(*[self.casadi.horzcat(*row) for row in rows])


def _mapped(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    each = np.frompyfunc(function, 1, 1)
    return lambda x: scalar_array(each(x))


#: Functions of CasADi that have the name of the standard.
_UNARY = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor", "log", "log10",
    "log1p", "sign", "sin", "sinh", "sqrt", "tan", "tanh",
)  # fmt: skip
