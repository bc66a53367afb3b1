"""Sparsity patterns of Jacobians and Hessians, found by running the function once with index sets beside the values.

The inputs are lifted on a trace whose ``record`` sees every operation and works out, from the index sets of the
arguments, those of the result (`autodiff_compare.backends.numpy_autodiff.dependence.rules`). For a Hessian the function
is differentiated within that trace, as any derivative is nested in another, and the sets of the gradient's entries are
its rows. A Hessian is symmetric, so an entry that the sets have in one triangle only is zero in truth, and is dropped.

Two patterns are told apart:

*global*: the entries that may be non-zero at some point. What the function compares, selects by ``where``, sorts,
indexes by computed positions or takes the maximum of may come out differently elsewhere, so all of its sides count. One
thing is not followed: an ``if`` or ``while`` of Python on a computed value goes the way of the given point. Such
branches are counted, and a pattern with any holds for the points that take the same ones.

*local*: the entries that are non-zero at the given point, as far as single operations tell: a side that ``where`` does
not take has no part, nor has a factor that multiplies zero, unless an infinite slope lies within it. Two terms that
cancel are not noticed. It holds at that point alone.

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff import jacobian_pattern
>>> def f(x):
...     return np.maximum(x[1:], x[:-1] * x[:-1])
>>> (rows, columns), = jacobian_pattern(f, np.array([0.0, 2.0, 3.0])).blocks
>>> list(zip(rows.tolist(), columns.tolist()))
[(0, 0), (0, 1), (1, 1), (1, 2)]
>>> (rows, columns), = jacobian_pattern(f, np.array([0.0, 2.0, 3.0]), local=True).blocks
>>> list(zip(rows.tolist(), columns.tolist()))
[(0, 1), (1, 1)]
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import lift
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant, ended
from autodiff_compare.backends.numpy_autodiff.dependence.rules import passed
from autodiff_compare.backends.numpy_autodiff.dependence.sets import IndexSets
from autodiff_compare.backends.numpy_autodiff.dependence.step import Step
from autodiff_compare.backends.numpy_autodiff.transforms.arguments import Argnums, placed, positions
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import Function, grad
from autodiff_compare.backends.numpy_autodiff.transforms.recording import differentiable

#: The engine's own package, under whatever name it is imported.
_OWN = __name__.removesuffix("dependence.patterns")


@dataclass(frozen=True)
class Places:
    """Where the blocks of a Jacobian or Hessian may be non-zero.

    Attributes
    ----------
    shapes
        Rows and columns of each block: entries of the output (for a Hessian, of the row's input) by those of an input.
    blocks
        For each block a pair of int64 vectors, the rows and the columns of its places, by rows and then by columns. A
        Jacobian has one block for each differentiated leaf; a Hessian of k leaves has k times k, row by row.
    branches
        Decisions of Python's control flow on computed values that the pattern takes as given; 0 for a local pattern.
    """

    shapes: tuple[tuple[int, int], ...]
    blocks: tuple[tuple[Any, Any], ...]
    branches: int


class _Following(Trace):
    """A trace that works out the index sets of every result and keeps no graph.

    It is symbolic for a global pattern: then comparisons and the like are recorded too, and nothing that depends on the
    inputs is taken for a constant.
    """

    __slots__ = ("branches", "local", "sets")
    purpose = ("while a sparsity pattern is found", "take the pattern of this point alone (local=True)")

    def __init__(self, local: bool) -> None:
        super().__init__(symbolic=not local)
        self.sets, self.local, self.branches = IndexSets(), local, 0
        self.record = self._follow

    def _follow(self, node: Node) -> None:
        if node.call.primitive.constant:
            ans = node.primal
            node.flow = tuple(map(_none, ans)) if isinstance(ans, tuple) else _none(ans)
        else:
            node.flow = passed(Step(self.sets, node, self.local))
        node.args = ()

    def decide(self, node: Node) -> bool:
        if not sys._getframe(2).f_globals.get("__name__", "").startswith(_OWN):
            self.branches += 1
        return bool(constant(node))


def _none(x: Any) -> Any:
    return np.zeros(np.shape(x), np.int64)


def jacobian_pattern(f: Function, *args: Any, argnums: Argnums = 0, local: bool = False) -> Places:
    """Return where the Jacobian of a function may be non-zero, for one array as output.

    Parameters
    ----------
    f, args
        The function and a point. Arguments that are not differentiated are constants, whose zeros count.
    argnums
        The differentiated argument or arguments.
    local
        Return the places that are non-zero at this point instead of those that may be at some point.

    Raises
    ------
    TypeError
        If the output is not one array, or the function computes something that no rule of the engine can follow, such
        as an index by a mask of computed values.
    ValueError
        If the matrix is dense and too large.
    """
    return _pattern(lambda g, _: g, f, args, argnums, local)


def hessian_pattern(f: Function, *args: Any, argnums: Argnums = 0, local: bool = False) -> Places:
    """Return where the Hessian of a scalar function may be non-zero; parameters and errors as `jacobian_pattern`'s."""
    return _pattern(grad, f, args, argnums, local, symmetric=True)


def _pattern(
    transform: Callable[[Function, tuple[int, ...]], Function],
    f: Function,
    args: Sequence[Any],
    argnums: Argnums,
    local: bool,
    symmetric: bool = False,
) -> Places:
    where, _ = positions(argnums)
    at, args, _ = placed(f, where, args, {})
    trace = _Following(local)
    given, starts = list(args), [0]
    for i in at:
        leaves, rebuild = flatten(args[i])
        nodes = []
        for leaf in map(differentiable, leaves):
            node = lift(leaf, trace)
            node.flow = trace.sets.singles(starts[-1], leaf.shape)
            starts.append(starts[-1] + leaf.size)
            nodes.append(node)
        given[i] = rebuild(nodes)
    try:
        with np.errstate(all="ignore"):
            out = transform(f, at)(*given)
    finally:
        trace.record = ended
    found = flatten(out)[0]
    if not symmetric and isinstance(out, (tuple, list, dict)):
        raise TypeError(f"got an output of type {type(out).__name__}, expected one array: stack or concatenate it")
    rows = [part.flow if isinstance(part, Node) and part.tape is trace else _none(constant(part)) for part in found]
    spans = list(itertools.pairwise(starts))
    blocks = [trace.sets.places(part, *span) for part in rows for span in spans]
    shapes = tuple((part.size, stop - start) for part in rows for start, stop in spans)
    return Places(shapes, tuple(_symmetric(blocks, shapes, len(spans)) if symmetric else blocks), trace.branches)


def _symmetric(blocks: list[Any], shapes: Sequence[tuple[int, int]], k: int) -> list[Any]:
    """Keep the places of each block whose mirror image is a place of the mirrored block."""
    kept = []
    for i in range(k):
        for j in range(k):
            (rows, columns), (mirrored, across) = blocks[i * k + j], blocks[j * k + i]
            width = max(shapes[i * k + j][1], 1)
            both = np.isin(rows * width + columns, across * width + mirrored)
            kept.append((rows[both], columns[both]))
    return kept
