"""Rewrites of loops: what does not change moves out of them, what no result needs is left out.

An operation whose arguments are all invariants is computed once, before the loop. An output is needed if a result is
taken of it or if it is the next value of a carry that is needed, so carries are found by repetition: each round of the
search adds the next values of the carries that the last one reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Any

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op
from autodiff_compare.backends.numpy_autodiff.compiler.loop import Body, placeholder


def hoisted(loop: Op, place: Callable[[Op], Any], optimize: Callable[[Graph], Graph]) -> Op:
    """Return the loop with its invariant operations placed before it, and its body optimized."""
    body: Body = loop.kwargs["body"]
    graph, first = body.graph, body.invariants
    outside: dict[Any, Any] = dict(zip(graph.inputs[first:], loop.args[first:], strict=True))
    new: dict[Op, Op] = {x: x for x in graph.inputs[:first]}
    inputs: dict[Op, Op] = {}

    def inner(x: Any) -> Any:
        """Return what stands for an argument in the new body."""
        if not isinstance(x, Op):
            return x
        if x not in outside:
            return new[x]
        value = outside[x]
        if not isinstance(value, Op):
            return value
        if value not in inputs:
            inputs[value] = placeholder(value)
        return inputs[value]

    ops = []
    for op in graph.ops:
        if all(a in outside for a in op.inputs):
            outside[op] = place(op.with_args([outside[a] if isinstance(a, Op) else a for a in op.args]))
        else:
            new[op] = op.with_args([inner(a) for a in op.args])
            ops.append(new[op])
    outputs = [inner(x) for x in graph.outputs]
    inside = optimize(Graph([*graph.inputs[:first], *inputs.values()], ops, outputs, list))
    return _with(loop, (*loop.args[:first], *inputs), inside, body)


def _with(loop: Op, args: tuple[Any, ...], graph: Graph, body: Body) -> Op:
    made = loop.with_args(args)
    made.kwargs = {"body": Body(graph, body.length, body.carries, body.elements, body.lasts)}
    return made


def needs(loop: Op, wanted: Iterable[int]) -> tuple[list[int], Set[Op]]:
    """Return the positions of the outputs that are needed for the ``wanted`` ones, and all operations they reach."""
    body: Body = loop.kwargs["body"]
    graph = body.graph
    kept = set(wanted)
    while True:
        reached = {x for i in kept if isinstance(x := graph.outputs[i], Op)}
        for op in reversed(graph.ops):
            if op in reached or watched(op):
                reached.update(op.inputs)
        more = {i for i in range(body.carries) if graph.inputs[i] in reached} - kept
        if not more:
            return sorted(kept), reached
        kept |= more


def watched(op: Op) -> bool:
    """Return whether an operation is a guard, or a loop with one."""
    return op.name == "guard" or (op.name == "loop" and any(map(watched, op.kwargs["body"].graph.ops)))


def prune(loop: Op, readers: Iterable[Op], alive: Callable[[Graph], Graph]) -> None:
    """Reduce a loop, in place, to what the operations that take its results need, and give these their new places."""
    readers = list(readers)
    body: Body = loop.kwargs["body"]
    kept, reached = needs(loop, {op.args[1] for op in readers})
    for op in readers:
        op.args = (loop, kept.index(op.args[1]))
    inputs = [i for i, x in enumerate(body.graph.inputs) if x in reached]
    graph = Graph([body.graph.inputs[i] for i in inputs], body.graph.ops, [body.graph.outputs[i] for i in kept], list)
    steps = tuple(body.elements[i - body.carries] for i in inputs if body.carries <= i < body.invariants)
    carries, lasts = (sum(i < end for i in kept) for end in (body.carries, body.collected))
    loop.args = tuple(loop.args[i] for i in inputs)
    loop.kwargs = {"body": Body(alive(graph), body.length, carries, steps, lasts - carries)}
