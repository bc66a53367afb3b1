"""One recorded call, as the rules of Taylor mode see it: its primitive, its arguments and their series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import cast
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, values_of
from autodiff_compare.backends.numpy_autodiff.taylor.series import Series


@final
class SeriesCall:
    """A call whose series is wanted.

    Attributes
    ----------
    primitive, kwargs, where
        What was called, with which keywords, and the positions of the traced arguments.
    values, ans
        The arguments and the result.
    series
        The series of each argument, of ``order + 1`` coefficients; None where it is not traced.
    order
        The highest power of t.
    """

    __slots__ = ("ans", "kwargs", "order", "primitive", "series", "values", "where")

    def __init__(self, node: Node, order: int) -> None:
        call = node.call
        self.primitive: Primitive = call.primitive
        self.kwargs, self.where, self.order = call.kwargs, call.where, order
        self.values: Sequence[Any] = values_of(node, call.where)
        self.ans = node.primal
        self.series: list[Any] = [node.args[i].flow if i in call.where else None for i in range(len(node.args))]

    def of(self, i: int) -> Series:
        """Return the series of an argument, which may be a constant."""
        return self.series[i] or [self.values[i], *[None] * self.order]

    @property
    def traced(self) -> bool:
        """Whether an argument moves along the curve at all."""
        return any(c is not None for i in self.where for c in self.series[i][1:])


def fitted(coefficients: Series, ans: Any) -> Series:
    """Bring the coefficients after the first to the shape and dtype of the result, which is the first."""
    return [ans, *(None if c is None else _fitted(c, ans) for c in coefficients[1:])]


def _fitted(c: Any, ans: Any) -> Any:
    if np.shape(c) != np.shape(ans):
        c = np.broadcast_to(c, np.shape(ans))
    return c if c.dtype == ans.dtype else cast(c, ans.dtype)
