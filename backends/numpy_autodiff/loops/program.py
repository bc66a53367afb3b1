"""A graph as kernels and NumPy calls: which results are kept in memory is found by trial.

A result that is written into expressions is computed again wherever an expression has it at another index, which
`Kernel.work` counts. What is dear and computed more often than it has entries becomes an array in memory, and the
kernels are written again. Arrays that nothing reads in the end are given up.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op, WriteError
from autodiff_compare.backends.numpy_autodiff.loops.entries import WRITERS
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel
from autodiff_compare.backends.numpy_autodiff.loops.plan import Plan, make_plan
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import TYPES, cost
from autodiff_compare.backends.numpy_autodiff.loops.rounds import write_stage
from autodiff_compare.backends.numpy_autodiff.loops.terms import Buffer

#: Operations and loops beyond which a compiler takes minutes, and kernels between NumPy calls beyond which nothing is
#: won.
MOST_OPERATIONS, MOST_LOOPS, MOST_KERNELS = 6000, 256, 16
#: A result is kept if it costs more additions than this and would be computed this much too often.
_DEAR, _TOO_OFTEN, _MANY, _WASTE = 12, 1.25, 8, 500
#: The same for what is in memory anyway, and need only be read.
_LOAD = 2
_MOST_TRIALS = 40
#: Formulas for each operation, on average, after which a trial ends to choose what is kept.
_FORMULAS = 16


@dataclass
class Program:
    """The plan of a graph and the kernel of each stage."""

    plan: Plan
    kernels: list[Kernel]
    names: dict[Any, str]
    #: Whether all kernels were written.
    whole: bool = True


def make_program(graph: Graph, wanted: Iterable[Op], names: dict[Any, str]) -> Program:
    """Write the kernels of a graph.

    Parameters
    ----------
    wanted
        Results that calls or the caller need as arrays or numbers.
    names
        Names of the inputs, to which those of results and constants are added.

    Raises
    ------
    WriteError
        If the graph is too long to be worth compiling.
    """
    if len(graph.ops) > MOST_OPERATIONS:
        raise WriteError(f"got {len(graph.ops)} operations, expected at most {MOST_OPERATIONS} for loops")
    names = names | {op: f"v{i}" for i, op in enumerate(graph.ops)}
    stored = _Stored(set(wanted), set(), set())
    within: float = _FORMULAS * len(graph.ops)
    tidied = False
    for _ in range(_MOST_TRIALS):
        found = _trial(graph, stored, names, within)
        needed = {op for kernel in found.kernels for op in kernel.needed}
        if unmet := needed & stored.read:
            raise WriteError(f"got {next(iter(unmet)).name}, which loops cannot read")
        crossing = _taken(found) & found.plan.roots
        dear = set() if needed else _dear(found)
        if needed or dear or not crossing <= stored.outside:
            stored.outside |= crossing
            stored.read |= needed | {op for op in dear if _is_repeated(found, op)}
            stored.kept |= dear
            continue
        unread = _unread(found, stored, set(wanted)) if found.whole and not tidied else set()
        if found.whole and not unread:
            _check_loops(found)
            return found
        within, tidied = math.inf, found.whole
        stored = _Stored(stored.outside - unread, stored.kept - unread, stored.read - unread)
    raise WriteError("got a graph whose loops depend on each other in too many ways")


@dataclass
class _Stored:
    """Results that are arrays in memory.

    Attributes
    ----------
    outside
        Those that other kernels, NumPy calls or the caller need.
    kept
        Those that would be computed too often.
    read
        Those that loops of their own kernel read from memory, too.
    """

    outside: set[Op]
    kept: set[Op]
    read: set[Op]


def _taken(found: Program) -> set[Op]:
    return {x for kernel in found.kernels for x in kernel.taken.values() if isinstance(x, Op)}


def _unread(found: Program, stored: _Stored, wanted: Set[Op]) -> set[Op]:
    """Return which results are stored for nobody: they were chosen before what is computed of them was."""
    lines = [line for kernel in found.kernels for line in kernel.frames[0].lines]
    read = {name for line in lines for name in re.findall(r"(\w+)\[", line.partition(" = ")[2])}
    candidates = ((stored.outside | stored.kept | stored.read) & found.plan.passing) - wanted - _taken(found)
    places = {op: kernel.bound[op] for kernel in found.kernels for op in candidates & kernel.bound.keys()}
    return {op for op, place in places.items() if isinstance(place, Buffer) and place.name not in read}


def _check_loops(found: Program) -> None:
    lines = (line for kernel in found.kernels for line in kernel.frames[0].lines)
    loops = sum(line.lstrip().startswith("for ") for line in lines)
    if loops > MOST_LOOPS:
        raise WriteError(f"got {loops} loops, expected at most {MOST_LOOPS}")


def _is_repeated(found: Program, op: Op) -> bool:
    """Return whether a single kernel computes a result too often, so that its own loops must read it from memory."""
    return max(kernel.work.get(op, 0) for kernel in found.kernels) > _TOO_OFTEN * op.size


def _trial(graph: Graph, stored: _Stored, names: dict[Any, str], within: float) -> Program:
    """Write all kernels, or as many as take ``within`` formulas.

    A formula of y_k holds those of all y before it. Where each of them is a loop of its own, writing all formulas takes
    time quadratic in their number. The first ones already show which results are computed too often.
    """
    plan = make_plan(graph, stored.outside | stored.kept, stored.read, passing=True)
    if plan.stages > MOST_KERNELS:
        raise WriteError(
            f"got NumPy calls that split the loops into {plan.stages} kernels, expected at most {MOST_KERNELS}"
        )
    kernels: list[Kernel] = []
    for stage in range(plan.stages):
        kernel = Kernel(plan, stage, stored.outside, names, stored.read | stored.kept, WRITERS)
        kernels.append(kernel)
        if not write_stage(kernel, plan, stage, within):
            return Program(plan, kernels, names, whole=False)
        within -= kernel.formulas
    return Program(plan, kernels, names)


def _dear(found: Program) -> set[Op]:
    """Return what is to be kept in memory: the first of those that are dear and computed too often."""
    total: dict[Op, float] = defaultdict(float)
    plans: list[tuple[Plan, float]] = [(found.plan, 1)]
    for kernel in found.kernels:
        for op, times in kernel.work.items():
            total[op] += times
        plans += kernel.nested
    return {op for plan, rounds in plans for op in _dear_in(plan, rounds, total)}


def _dear_in(plan: Plan, rounds: float, total: Mapping[Op, float]) -> set[Op]:
    price: dict[Op, int] = {}
    chosen: set[Op] = set()
    for op in plan.graph.ops:
        inline = (op not in plan.roots or op in plan.passing) and plan.forms[op] != "call"
        price[op] = min(10**6, cost(op) + sum(price.get(a, 0) for a in op.inputs)) if inline else 0
        size = op.size * rounds
        if not inline or not size or op.dtype not in TYPES or not chosen.isdisjoint(op.inputs):
            continue
        often = total.get(op, 0) / size
        dear = price[op] > (_LOAD if op in plan.passing else _DEAR) or (often > _MANY and price[op] > 1)
        if dear and often > _TOO_OFTEN and (often - 1) * size * price[op] > _WASTE:
            chosen.add(op)
            price[op] = 0
        elif op in plan.passing:
            price[op] = 0
    return chosen
