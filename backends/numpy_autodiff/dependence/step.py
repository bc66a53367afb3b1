"""One recorded call, as the rules of dependence see it: its primitive, arguments, and the index sets of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.forward import jvp_rule
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, values_of
from autodiff_compare.backends.numpy_autodiff.dependence.sets import IndexSets


@final
class Step:
    """A call whose index sets are wanted.

    Attributes
    ----------
    sets
        The table of sets.
    primitive, kwargs, where
        What was called, with which keywords, and the positions of the traced arguments.
    values, ans
        The arguments and the result as plain values.
    numbers
        The numbers of the sets of each argument, in its shape; None where it is not traced.
    local
        Whether values may be used: then what has no effect at this point is left out.
    """

    __slots__ = ("ans", "kwargs", "local", "numbers", "primitive", "sets", "values", "where")

    def __init__(self, sets: IndexSets, node: Node, local: bool) -> None:
        call = node.call
        self.sets, self.local = sets, local
        self.primitive: Primitive = call.primitive
        self.kwargs, self.where = call.kwargs, call.where
        self.values: Sequence[Any] = values_of(node, call.where)
        self.ans = node.primal
        self.numbers: list[Any] = [node.args[i].flow if i in call.where else None for i in range(len(node.args))]

    def known(self, i: int) -> bool:
        """Return whether the value of argument ``i`` is the same at every point, or may be used because it is local."""
        return self.local or self.numbers[i] is None

    def is_flat(self, i: int) -> bool:
        """Return whether an elementwise function has no slope in argument ``i`` at any point."""
        return not self._slopes(i)

    def passed(self, i: int) -> Any:
        """Return the numbers of argument ``i`` that an elementwise function passes on at this point."""
        return self._through(self.numbers[i], self._slopes(i))

    def weighted(self) -> Any:
        """Return the numbers of the only argument that a reduction of it passes on at this point."""
        rule = self.primitive.vjp(0)
        return self._through(
            self.numbers[0], _slopes(lambda one: rule(one, self.ans, *self.values, **self.kwargs), self.ans)
        )

    def _slopes(self, i: int) -> list[Any]:
        rule = jvp_rule(self.primitive, i)
        return _slopes(lambda one: rule(one, self.ans, *self.values, **self.kwargs), self.values[i])

    def _through(self, numbers: Any, slopes: Sequence[Any]) -> Any:
        """Return the numbers where some slope is not zero, marked where one is infinite, elsewhere those with a mark.

        ``sqrt(x)**2`` at 0 is a slope of zero times an infinite one: the product is 1 in truth, and nan in arithmetic,
        so that the outer slope of zero must not cut what the inner one passes on.
        """
        if not slopes:
            return np.zeros_like(numbers)
        nonzero = np.logical_or.reduce([np.not_equal(part, 0) for part in slopes])
        infinite = np.logical_or.reduce([~np.isfinite(part) for part in slopes])
        if infinite.any():
            numbers = np.where(infinite, self.sets.marked(numbers), numbers)
        return np.where(nonzero, numbers, self.sets.of_marked(numbers))

    def all(self) -> int:
        """Return the number of the union of all sets of all arguments."""
        parts = [np.unique(self.numbers[i]).tolist() for i in self.where]
        return self.sets.all_of([k for part in parts for k in part])


def _slopes(rule: Callable[[Any], Any], like: Any) -> list[Any]:
    """Return the slopes of a linear function of numbers like ``like``; none if it has none at any point.

    Complex numbers have two directions, and a function of them may be flat in one: ``abs`` at 2i along 1.
    """
    ones = np.ones(np.shape(like), like.dtype)[()]
    with np.errstate(all="ignore"):
        found = [rule(ones * unit) for unit in ((1, 1j) if like.dtype.kind == "c" else (1,))]
    return [part for part in found if part is not None]
