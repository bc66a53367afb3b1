"""CasADi's matrices (MX) as arrays of at most two axes.

A matrix of CasADi has two axes and is numbered by columns. An array of one axis is held as a column, a number as 1 x 1.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.interface import Unsupported

Axes = int | tuple[int, ...] | None


class Matrix:
    """A matrix of CasADi, with the shape of the array that it holds."""

    def __init__(self, arithmetic: Arithmetic, mx: Any, shape: tuple[int, ...]) -> None:
        self.arithmetic, self.mx, self.shape = arithmetic, mx, shape

    def __neg__(self) -> Matrix:
        return self.arithmetic.each(operator.neg)(self)

    def __abs__(self) -> Matrix:
        return self.arithmetic.each(self.arithmetic.casadi.fabs)(self)

    def __matmul__(self, other: Matrix) -> Matrix:
        return self.arithmetic.matmul(self, other)


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Matrix, Any], Matrix]:
    return lambda self, other: self.arithmetic.each(function)(self, other)


for _name in ("add", "sub", "mul", "truediv", "pow", "lt", "le", "gt", "ge"):
    setattr(Matrix, f"__{_name}__", _operator(getattr(operator, _name)))


def two_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return rows and columns of the matrix that holds an array of this shape."""
    if len(shape) > 2:
        raise Unsupported(f"got an array of shape {shape}, expected at most two axes: CasADi's matrices have no more")
    return (*shape, 1, 1)[:2]


def _reduced(x: Matrix, axis: Axes) -> set[int]:
    named = range(len(x.shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return {a % len(x.shape) for a in named}


class Arithmetic:
    """Functions of arrays that are held in matrices; numbers and NumPy's arrays are taken as constants."""

    def __init__(self, casadi: Any) -> None:
        self.casadi = casadi

    def matrix(self, x: Any) -> Matrix:
        """Return numbers as a matrix, and a matrix unchanged."""
        if isinstance(x, Matrix):
            return x
        array = np.asarray(x, dtype=float)
        return Matrix(self, self.casadi.MX(self.casadi.DM(array.reshape(two_axes(array.shape)))), array.shape)

    def each(self, function: Callable[..., Any]) -> Callable[..., Matrix]:
        """Return a function of entries as one of arrays, which are broadcast as by NumPy."""

        def call(*args: Any) -> Matrix:
            arrays = list(map(self.matrix, args))
            shape = np.broadcast_shapes(*(a.shape for a in arrays))
            return Matrix(self, function(*(self._fitted(a, shape) for a in arrays)), shape)

        return call

    def _fitted(self, x: Matrix, shape: tuple[int, ...]) -> Any:
        """Return the matrix repeated to a shape; a number stays one, as CasADi broadcasts it."""
        mx = x.mx.T if len(x.shape) == 1 and len(shape) == 2 else x.mx
        times = np.floor_divide(two_axes(shape), np.maximum(mx.shape, 1)).tolist()
        return mx if mx.numel() == 1 or times == [1, 1] else self.casadi.repmat(mx, *times)

    def moved(self, function: Callable[..., Any]) -> Callable[..., Matrix]:
        """Return a function that moves entries, from one of NumPy that is given their places."""

        def call(x: Any, *args: Any, **options: Any) -> Matrix:
            x = self.matrix(x)
            count, rows, columns = x.mx.numel(), *x.mx.shape
            places = np.asarray(function(np.arange(count).reshape(x.shape), *args, **options))
            two = places.reshape(two_axes(places.shape))
            if two.shape == (rows, columns) and np.array_equal(two.ravel(), np.arange(count)):
                return Matrix(self, x.mx, places.shape)
            by_column = (two % columns * rows + two // columns).ravel(order="F").tolist()
            return Matrix(self, self.casadi.reshape(self.casadi.vec(x.mx)[by_column], *two.shape), places.shape)

        return call

    def sum(self, x: Any, *, axis: Axes = None, keepdims: bool = False) -> Matrix:
        x = self.matrix(x)
        axes, mx = _reduced(x, axis), x.mx
        for a in axes:
            mx = (self.casadi.sum1, self.casadi.sum2)[a](mx)
        kept = Matrix(self, mx, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
        return kept if keepdims else self._without(kept, axes)

    def _without(self, x: Matrix, axes: set[int]) -> Matrix:
        return self.moved(np.reshape)(x, tuple(n for a, n in enumerate(x.shape) if a not in axes))

    def folded(self, function: Callable[[Any, Any], Any]) -> Callable[..., Matrix]:
        """Return a reduction by a function of two matrices, one row or column after the other."""

        def fold(x: Any, *, axis: Axes = None, keepdims: bool = False) -> Matrix:
            x = self.matrix(x)
            axes = _reduced(x, axis)
            for a in axes:
                parts = (self.casadi.vertsplit, self.casadi.horzsplit)[a](x.mx)
                x = Matrix(self, functools.reduce(function, parts), (*x.shape[:a], 1, *x.shape[a + 1 :]))
            return x if keepdims else self._without(x, axes)

        return fold

    def matmul(self, a: Any, b: Any) -> Matrix:
        a, b = self.matrix(a), self.matrix(b)
        left = a.mx.T if len(a.shape) == 1 else a.mx
        shape = (*a.shape[:-1], *b.shape[1:])
        product = left @ b.mx
        return Matrix(self, product.T if len(a.shape) == 1 else product, shape)
