"""Graphs of CasADi's matrices (MX): an operation on a whole matrix is one node."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from casadi_matrix import Arithmetic, Matrix, two_axes
from casadi_scalars import BINARY, UNARY

from autodiff_compare.backends.bases.graphs import Traced, lifted, raw
from autodiff_compare.backends.bases.namespace import Namespace, on_arrays

#: Functions that move entries -> their names in NumPy.
_MOVES = {
    "reshape": "reshape", "permute_dims": "transpose", "broadcast_to": "broadcast_to", "flip": "flip", "roll": "roll",
    "tile": "tile", "repeat": "repeat",
}  # fmt: skip


class Matrices:
    """The arrays of a graph of matrices, with what `Traced` asks of a system."""

    def __init__(self, casadi: Any) -> None:
        self.casadi, self.arithmetic = casadi, Arithmetic(casadi)
        each, folded = self.arithmetic.each, self.arithmetic.folded
        own = {name: each(getattr(casadi, name)) for name in UNARY}
        own |= {name: each(getattr(casadi, of)) for name, of in BINARY.items()}
        own |= {name: self.arithmetic.moved(getattr(np, of)) for name, of in _MOVES.items()}
        own |= {
            "abs": each(casadi.fabs), "where": each(casadi.if_else), "max": folded(casadi.fmax),
            "min": folded(casadi.fmin), "prod": folded(operator.mul), "sum": self.arithmetic.sum,
            "concat": self._concat, "matmul": self.arithmetic.matmul, "cumulative_sum": self._cumulative_sum,
            "astype": lambda x, dtype: x,  # noqa: ARG005 - there is float64 alone
        }  # fmt: skip
        linalg = {
            "solve": lambda a, b: self._of(casadi.solve(self.arithmetic.matrix(a).mx, self.arithmetic.matrix(b).mx), b),
            "inv": lambda a: self._of(casadi.inv(a.mx), a),
            "det": lambda a: Matrix(self.arithmetic, casadi.det(a.mx), ()),
        }
        own, linalg = ({name: lifted(self, f) for name, f in table.items()} for table in (own, linalg))
        special = {name: lifted(self, each(getattr(casadi, name))) for name in ("erf", "erfinv")}
        self.xp = Namespace("CasADi (mx)", on_arrays(own), on_arrays(linalg, np.linalg), special)

    def symbol(self, shape: tuple[int, ...]) -> Traced:
        return self.array(self.casadi.MX.sym("x", *two_axes(shape)), shape)

    def gradients(self, scalar: Traced, inputs: Sequence[Traced]) -> Sequence[Traced]:
        return [self.array(self.casadi.gradient(scalar.of.mx, x.of.mx), x.shape) for x in inputs]

    def expression(self, array: Any) -> Any:
        return self.arithmetic.matrix(raw(array)).mx

    def array(self, mx: Any, shape: tuple[int, ...]) -> Traced:
        return Traced(self, Matrix(self.arithmetic, mx, shape))

    def shape(self, of: Matrix) -> tuple[int, ...]:
        return of.shape

    def dtype(self, of: Matrix) -> str:  # noqa: ARG002 - the signature that `Traced` calls
        return "float64"

    def operand(self, x: Any, like: Matrix) -> Matrix:  # noqa: ARG002 - the signature that `Traced` calls
        return self.arithmetic.matrix(x)

    def index(self, of: Matrix, key: Any) -> Matrix:
        return self.arithmetic.moved(lambda places: places[key])(of)

    def _of(self, mx: Any, like: Any) -> Matrix:
        return Matrix(self.arithmetic, mx, np.shape(like))

    def _concat(self, xs: Sequence[Any], *, axis: int | None = 0) -> Matrix:
        arrays = [self.arithmetic.matrix(x) if axis is not None else self.arithmetic.moved(np.ravel)(x) for x in xs]
        rank = len(arrays[0].shape)
        mx = (self.casadi.vertcat, self.casadi.horzcat)[(axis or 0) % rank](*(x.mx for x in arrays))
        return Matrix(self.arithmetic, mx, mx.shape[:rank])

    def _cumulative_sum(self, x: Matrix, *, axis: int | None = None) -> Matrix:
        return self._of(self.casadi.cumsum(x.mx, 0 if axis is None else axis % len(x.shape)), x)
