"""The plan of a graph: which results are arrays in memory or variables, and when each of them is computed.

A *root* is a result that is computed at a place of its own: a scalar, a reduction, a scatter, what a caller needs. All
other results are written into the expressions that use them. NumPy calls split a graph into *stages*: kernel 0, calls,
kernel 1, calls. Within a kernel, *levels* order the loops: a root that needs the total of a loop comes one level later.
Roots of one level do not wait for each other, so their loops may be one. An array that is kept only for others outside
of the kernel does not make its users in the kernel wait: they are of its level, and use the entry while it is in a
variable. It is *passing*:

    for i: d = exp(x[i]);  kept[i] = d;  total += d
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op
from autodiff_compare.backends.numpy_autodiff.loops.forms import WRITTEN_OUT, form, reduction

_PASSING = frozenset({"pointwise", "view", "gather", "reduction"})
_NESTS = frozenset({"reduction", "scan", "join", "scatter", "loop", "sequence"})


@dataclass
class Plan:
    """Where each operation is computed.

    Attributes
    ----------
    forms
        The form of each operation (`forms.form`).
    roots
        Operations with a place of their own.
    passing
        Roots whose users in the same level take the formula.
    at, available
        Stage and level at which a root is computed, and from which on any operation can be used.
    """

    graph: Graph
    forms: dict[Op, str] = field(default_factory=dict)
    roots: set[Op] = field(default_factory=set)
    passing: set[Op] = field(default_factory=set)
    at: dict[Op, tuple[int, int]] = field(default_factory=dict)
    available: dict[Op, tuple[int, int]] = field(default_factory=dict)
    #: Addresses that an index array selects, as constants.
    tables: dict[Op, Any] = field(default_factory=dict)

    def at_level(self, stage: int, level: int) -> list[Op]:
        return [op for op in self.graph.ops if op in self.roots and self.at[op] == (stage, level)]

    @property
    def stages(self) -> int:
        """The number of kernels, some of which may be empty."""
        return 1 + max((stage for stage, _ in self.at.values()), default=0)

    def levels(self, stage: int) -> list[int]:
        return sorted({level for at, level in (self.at[op] for op in self.roots) if at == stage})


def written_out(op: Op) -> bool:
    """Return whether a reduction has so few terms that it is an expression."""
    found = reduction(op)
    if found is None:
        return False
    return math.prod(found.domain) <= WRITTEN_OUT * max(1, math.prod(found.domain[i] for i in found.kept))


def is_nest(op: Op, kind: str) -> bool:
    """Return whether a root takes loops, so that its result exists one level later."""
    return bool(op.shape) or (kind in _NESTS and not (kind == "reduction" and written_out(op)))


def make_plan(graph: Graph, wanted: Iterable[Op], forced: Set[Op], *, passing: bool) -> Plan:
    """Place all operations.

    Parameters
    ----------
    wanted
        Results that are used outside of kernels.
    forced
        Results to keep in memory and to read from there.
    passing
        Whether users in the same level may take the formula of what is kept. They must not where it is written over
        what it is computed of.
    """
    found = Plan(graph)
    wanted = set(wanted) | forced
    found.available.update(dict.fromkeys(graph.inputs, (0, 0)))
    guarded = 0
    for op in graph.ops:
        kind = found.forms[op] = form(op, found.forms)
        ready = max([found.available[a] for a in op.inputs], default=(0, 0))
        if kind == "call":
            stage = max(guarded, *(_computed(found, a) for a in op.inputs), 0)
            found.at[op] = (stage, -1)
            found.available[op] = (stage + 1, 0)
            continue
        found.available[op] = ready
        apart = kind in _NESTS and not (kind == "reduction" and written_out(op))
        if kind == "collected":
            continue
        if op in wanted or not op.shape or apart:
            found.roots.add(op)
            found.at[op] = ready
            if passing and kind in _PASSING and op.shape and not apart and op not in forced:
                found.passing.add(op)
            elif is_nest(op, kind):
                found.available[op] = (ready[0], ready[1] + 1)
        if kind == "guard":
            guarded = max(guarded, ready[0])
    return found


def _computed(plan: Plan, op: Op) -> int:
    """Return the stage after whose kernel a result exists."""
    stage, _ = plan.available[op]
    return stage
