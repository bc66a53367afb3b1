"""One recorded call, as the rules of dependence see it: its primitive, arguments, and the index sets of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.forward import jvp_rule
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, values_of
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
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

    def slopes(self, i: int) -> Any:
        """Return where the slope of an elementwise function in argument ``i`` is not zero; None if it is nowhere."""
        one = np.ones(np.shape(self.values[i]), self.values[i].dtype)[()]
        with np.errstate(all="ignore"):
            found = jvp_rule(self.primitive, i)(one, self.ans, *self.values, **self.kwargs)
        return None if found is None else np.not_equal(found, 0)

    def weights(self) -> Any:
        """Return which entries of the only argument have a slope that is not zero in a reduction of it."""
        one = np.ones(np.shape(self.ans), self.ans.dtype)[()]
        with np.errstate(all="ignore"):
            found = self.primitive.vjp(0)(one, self.ans, *self.values, **self.kwargs)
        return np.not_equal(found, 0)

    def all(self) -> int:
        """Return the number of the union of all sets of all arguments."""
        parts = [np.unique(self.numbers[i]).tolist() for i in self.where]
        return self.sets.all_of([k for part in parts for k in part])
