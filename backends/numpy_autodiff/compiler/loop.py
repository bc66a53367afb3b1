"""Rolled loops in a graph: one operation ``loop`` stands for all rounds of a repetition.

A `Body` is the graph of one round. It is closed: whatever a round reads is an input, one for each argument of the
operation, in the order carries, elements, invariants. For ``n`` rounds of ``y = y * a[k]``, from ``y0``:

    loop(y0, a)     carries: y, at first y0;  elements: a[start + step k];  no invariants
    round           v = y * a_k;  the next y is v

The outputs of a body are the next carries, then the *lasts*, whose value after the last round is a result, then the
*collected*, of which every round adds one entry to a sequence. Operations outside take these results:

    last(loop, i)         output i of the last round
    collected(loop, i)    the sequence of output i, one entry a round, all of one shape and dtype
    entry(sequence, k)    one of its entries
    sequence(*ops)        a sequence of results that no loop collected

A sequence of constants is a ``range`` or a ``tuple`` among the arguments.

Rewrites move what does not change out of a loop, and leave out what no result needs. An operation whose arguments are
all invariants is computed once, before the loop. An output is needed if a result is taken of it or if it is the next
value of a carry that is needed, so carries are found by repetition: each round of the search adds the next values of
the carries that the last one reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, final

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op


@final
class Body:
    """One round of a loop.

    Attributes
    ----------
    graph : Graph
        Inputs are carries, elements and invariants; outputs are next carries, lasts and collected.
    length : int
        The number of rounds, at least 2.
    carries : int
        The number of carries.
    elements : tuple of (int, int)
        Start and step: round k takes entry ``start + step k`` of the sequence.
    lasts : int
        The number of outputs whose value after the last round is a result.
    """

    __slots__ = ("carries", "elements", "graph", "lasts", "length")

    def __init__(
        self, graph: Graph, length: int, carries: int, elements: tuple[tuple[int, int], ...], lasts: int
    ) -> None:
        self.graph = graph
        self.length = length
        self.carries = carries
        self.elements = elements
        self.lasts = lasts

    @property
    def invariants(self) -> int:
        """The position of the first invariant among the inputs."""
        return self.carries + len(self.elements)

    @property
    def collected(self) -> int:
        """The position of the first collected output."""
        return self.carries + self.lasts


class GuardError(ValueError):
    """The operations do not hold for these values."""


def run(*args: Any, body: Body) -> tuple[Any, ...]:
    """Compute the outputs of a loop round by round; those that are collected are lists."""
    graph, first = body.graph, body.invariants
    state, fixed = list(args[: body.carries]), args[first:]
    outputs: list[Any] = []
    gathered: list[list[Any]] = [[] for _ in graph.outputs[body.collected :]]
    for k in range(body.length):
        taken = [args[body.carries + i][start + step * k] for i, (start, step) in enumerate(body.elements)]
        outputs = evaluate(graph, [*state, *taken, *fixed])
        state = outputs[: body.carries]
        for entries, value in zip(gathered, outputs[body.collected :], strict=True):
            entries.append(value)
    return (*outputs[: body.collected], *gathered)


def evaluate(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """Return the outputs of a graph for plain inputs, one operation after the other.

    Raises
    ------
    GuardError
        If a guard fails: the graph was captured for other values.
    """
    known = dict(zip(graph.inputs, inputs, strict=True))
    for op in graph.ops:
        args = [known[a] if isinstance(a, Op) else a for a in op.args]
        if op.name != "guard":
            known[op] = op.function(*args, **op.kwargs)
        elif bool(args[0]) is not op.kwargs["way"]:
            raise GuardError(
                "got values at which a derivative rule takes another branch, expected those of the example"
            )
    return [known[x] if isinstance(x, Op) else x for x in graph.outputs]


def _component(parts: Sequence[Any], index: int) -> Any:
    return parts[index]


def _together(*parts: Any) -> tuple[Any, ...]:
    return parts


def placeholder(like: Any) -> Op:
    """Return an input of a body, of the form of an operation or a constant."""
    return Op("input", _together, (), {}, like)


def last(loop: Op, like: Op) -> Op:
    """Return the operation that takes an output of the last round; whoever makes the body gives it its arguments."""
    return Op("last", _component, (loop,), {}, like)


def collected(loop: Op) -> Op:
    """Return the operation that takes a sequence of outputs; whoever makes the body gives it its arguments."""
    return Op("collected", _component, (loop,), {}, None)


def entry(sequence: Op, k: int, like: Op) -> Op:
    """Return entry ``k`` of a collected sequence; ``like`` is an operation of its form."""
    return Op("entry", _component, (sequence, k), {}, like)


def together(ops: Sequence[Op]) -> Op:
    """Return a sequence of separate results."""
    return Op("sequence", _together, ops, {}, None)


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
