"""A graph as kernels and NumPy calls: which results are kept in memory is found by trial.

A result that is written into expressions is computed again wherever an expression has it at another index, which
`Kernel.work` counts. What is dear and computed more often than it has entries becomes an array in memory, and the
kernels are written again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op, WriteError
from autodiff_compare.backends.numpy_autodiff.loops.entries import WRITERS
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel
from autodiff_compare.backends.numpy_autodiff.loops.plan import Plan, make_plan
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import TYPES, cost
from autodiff_compare.backends.numpy_autodiff.loops.rounds import write_stage

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
    forced: set[Op] = set()
    kept: set[Op] = set()
    outside = set(wanted)
    within: float = _FORMULAS * len(graph.ops)
    for _ in range(_MOST_TRIALS):
        found = _trial(graph, outside, kept, forced, names, within)
        needed = {op for kernel in found.kernels for op in kernel.needed}
        if unmet := needed & forced:
            raise WriteError(f"got {next(iter(unmet)).name}, which loops cannot read")
        crossing = {
            x for kernel in found.kernels for x in kernel.taken.values() if isinstance(x, Op)
        } & found.plan.roots
        dear = set() if needed else _dear(found)
        if crossing <= outside and not dear and not needed:
            if found.whole:
                _check_loops(found)
                return found
            within = math.inf
        outside |= crossing
        forced |= needed | {op for op in dear if _is_repeated(found, op)}
        kept |= dear
    raise WriteError("got a graph whose loops depend on each other in too many ways")


def _check_loops(found: Program) -> None:
    lines = (line for kernel in found.kernels for line in kernel.frames[0].lines)
    loops = sum(line.lstrip().startswith("for ") for line in lines)
    if loops > MOST_LOOPS:
        raise WriteError(f"got {loops} loops, expected at most {MOST_LOOPS}")


def _is_repeated(found: Program, op: Op) -> bool:
    """Return whether a single kernel computes a result too often, so that its own loops must read it from memory."""
    return max(kernel.work[op] for kernel in found.kernels) > _TOO_OFTEN * op.size


def _trial(
    graph: Graph, outside: set[Op], kept: set[Op], forced: set[Op], names: dict[Any, str], within: float
) -> Program:
    """Write all kernels, or as many as take ``within`` formulas.

    A formula of y_k holds those of all y before it. Where each of them is a loop of its own, writing all formulas takes
    time quadratic in their number. The first ones already show which results are computed too often.
    """
    plan = make_plan(graph, outside | kept, forced, passing=True)
    if plan.stages > MOST_KERNELS:
        raise WriteError(
            f"got NumPy calls that split the loops into {plan.stages} kernels, expected at most {MOST_KERNELS}"
        )
    kernels: list[Kernel] = []
    for stage in range(plan.stages):
        kernel = Kernel(plan, stage, outside, names, forced | kept, WRITERS)
        kernels.append(kernel)
        if not write_stage(kernel, plan, stage, within):
            return Program(plan, kernels, names, whole=False)
        within -= kernel.formulas
    return Program(plan, kernels, names)


def _dear(found: Program) -> set[Op]:
    """Return what is to be kept in memory: the first of those that are dear and computed too often."""
    total: Counter[Op] = Counter()
    plans: list[tuple[Plan, int]] = [(found.plan, 1)]
    for kernel in found.kernels:
        total.update(kernel.work)
        plans += kernel.nested
    return {op for plan, rounds in plans for op in _dear_in(plan, rounds, total)}


def _dear_in(plan: Plan, rounds: int, total: Mapping[Op, int]) -> set[Op]:
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
