"""A graph as kernels and NumPy calls: which results are kept in memory is found by trial.

A result that is written into expressions is computed again wherever an expression has it at another index. `Kernel.work`
counts that. What is dear and computed more often than it has entries becomes an array in memory, and the kernels are
written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from autodiff_compare.backends.numpy_autodiff.compiler.graph import CompileError, Graph, Op
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel, NeedsMemory
from autodiff_compare.backends.numpy_autodiff.loops.nests import write_level
from autodiff_compare.backends.numpy_autodiff.loops.plan import Plan, is_nest, make_plan
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import cost

#: Operations beyond which a compiler takes minutes, and kernels between NumPy calls beyond which nothing is won.
MOST_OPERATIONS, MOST_KERNELS = 6000, 16
#: A result is kept if it costs more additions than this and would be computed this much too often.
_DEAR, _TOO_OFTEN, _WASTE = 12, 1.25, 500
_MOST_TRIALS = 40


@dataclass
class Program:
    """The plan of a graph and the kernel of each stage."""

    plan: Plan
    kernels: list[Kernel]
    names: dict[Any, str]


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
    CompileError
        If the graph is too long to be worth compiling.
    """
    if len(graph.ops) > MOST_OPERATIONS:
        raise CompileError(
            f"got {len(graph.ops)} operations, expected at most {MOST_OPERATIONS} for loops: use numpy:compiled"
        )
    names = names | {op: f"v{i}" for i, op in enumerate(graph.ops)}
    forced: set[Op] = set()
    outside = set(wanted)
    for _ in range(_MOST_TRIALS):
        found = _trial(graph, outside, forced, names)
        if found is None:
            continue
        crossing = {x for kernel in found.kernels for x in kernel.taken if isinstance(x, Op) and x in found.plan.roots}
        dear = _dear(found)
        if crossing <= outside and not dear:
            return found
        outside |= crossing
        forced |= dear
    raise CompileError("got a graph whose loops depend on each other in too many ways: use numpy:compiled")


def _trial(graph: Graph, outside: set[Op], forced: set[Op], names: dict[Any, str]) -> Program | None:
    """Write all kernels; None if a result must be kept in memory, which is then added to ``forced``."""
    plan = make_plan(graph, outside, forced)
    if plan.stages > MOST_KERNELS:
        raise CompileError(
            f"got NumPy calls that split the loops into {plan.stages} kernels, expected at most {MOST_KERNELS}: "
            "use numpy:compiled"
        )
    kernels = []
    for stage in range(plan.stages):
        kernel = Kernel(plan, outside, names)
        try:
            write_stage(kernel, plan, stage)
        except NeedsMemory as asked:
            if asked.op in forced:
                raise CompileError(f"got {asked.op.name}, which loops cannot read: use numpy:compiled") from asked
            forced.add(asked.op)
            return None
        kernels.append(kernel)
    return Program(plan, kernels, names)


def write_stage(kernel: Kernel, plan: Plan, stage: int) -> None:
    """Write the roots of one stage, level by level: numbers first, then loops."""
    for level in plan.levels(stage):
        nests = []
        for op in plan.at_level(stage, level):
            kind = plan.forms[op]
            if is_nest(op, kind):
                nests.append((op, kind))
            elif kind == "guard":
                kernel.guard(op)
            else:
                kernel.bound[op] = kernel.expression(op, ())
        write_level(kernel, nests)


def _dear(found: Program) -> set[Op]:
    """Return what is to be kept in memory: the first of those that are dear and computed too often."""
    total: dict[Op, int] = {}
    price: dict[Op, int] = {}
    chosen: set[Op] = set()
    for kernel in found.kernels:
        for op, n in kernel.work.items():
            total[op] = total.get(op, 0) + n
    for op in found.plan.graph.ops:
        inline = op not in found.plan.roots and found.plan.forms[op] != "call"
        price[op] = min(10**6, cost(op) + sum(price.get(a, 0) for a in op.inputs)) if inline else 0
        if not inline or not op.size or price[op] <= _DEAR or chosen & set(_below(op, found.plan)):
            continue
        often = total.get(op, 0) / op.size
        if often > _TOO_OFTEN and (often - 1) * op.size * price[op] > _WASTE:
            chosen.add(op)
            price[op] = 0
    return chosen


def _below(op: Op, plan: Plan) -> Sequence[Op]:
    """Return the operations whose expressions an expression holds."""
    return [a for a in op.inputs if a not in plan.roots]
