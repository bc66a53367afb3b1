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
"""

from __future__ import annotations

from collections.abc import Sequence
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
