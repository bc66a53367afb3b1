"""The lines of a rolled loop: its head, its end, and the names of its results.

A carry is a variable that the end of each round sets anew, an element a loop variable, a collected output a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op
from autodiff_compare.backends.numpy_autodiff.compiler.loop import Body
from autodiff_compare.backends.numpy_autodiff.compiler.source import Source

#: Constants up to which a sequence of them is written out.
_LONGEST = 8


def rounds(
    source: Source,
    loop: Op,
    names: dict[Op, str],
    tag: str,
    write: Callable[[Graph], list[str]],
    literal: Callable[[Any], str],
    at_once: int = 1,
) -> tuple[list[str], list[str]]:
    """Return the lines of a loop, and the names of its outputs after the last round.

    Parameters
    ----------
    names
        Operation -> its name. Those of the body are added.
    tag
        Part of all names made here, which no other loop has.
    write
        Returns the lines of a round, and adds the names of its operations to ``names``.
    literal
        Returns the source of a constant.
    at_once
        The number of rounds that are written one after the other, if no round takes an element.
    """
    body: Body = loop.kwargs["body"]
    graph, c = body.graph, body.carries
    given = [names[a] if isinstance(a, Op) else _constant(source, a, literal) for a in loop.args]
    for i, x in enumerate(graph.inputs):
        names[x] = f"y{tag}{i}" if i < c else f"e{tag}{i}" if i < body.invariants else given[i]
    lists = [f"l{tag}{i}" for i in range(body.collected, len(graph.outputs))]
    before = [f"y{tag}{i} = {x}" for i, x in enumerate(given[:c])] + [f"{x} = []" for x in lists]
    once = write(graph)
    outputs = [names[x] if isinstance(x, Op) else _constant(source, x, literal) for x in graph.outputs]
    once += _end(body, outputs, names, lists, tag)
    results = [*(f"y{tag}{i}" for i in range(c)), *outputs[c : body.collected], *lists]
    if body.elements:
        head = _head(loop, given, [names[x] for x in graph.inputs])
        return [*before, head, *(f"    {line}" for line in once)], results
    at_once = min(at_once, body.length)
    often, rest = divmod(body.length, at_once)
    lines = [*before, f"for _ in range({often}):", *(f"    {line}" for line in once * at_once), *once * rest]
    return lines, results


def _constant(source: Source, x: Any, literal: Callable[[Any], str]) -> str:
    """Return a constant, or a sequence of constants, as source; a long sequence gets a global name."""
    if isinstance(x, range):
        return repr(x)
    if not isinstance(x, tuple):
        return literal(x)
    return source.literal(x) if len(x) <= _LONGEST else source.name(x, f"c{len(source.names)}")


def _head(loop: Op, given: Sequence[str], inputs: Sequence[str]) -> str:
    body: Body = loop.kwargs["body"]
    c, e = body.carries, body.invariants
    bounds = zip(given[c:e], loop.args[c:e], body.elements, strict=True)
    taken = [_taken(x, _entries(a), body.length, *steps) for x, a, steps in bounds]
    together = ", ".join(taken)
    return f"for {', '.join(inputs[c:e])} in {together if len(taken) == 1 else f'zip({together})'}:"


def _entries(sequence: Any) -> int:
    """Return the number of entries of a sequence."""
    if not isinstance(sequence, Op):
        return len(sequence)
    made: Body | None = sequence.args[0].kwargs.get("body") if sequence.name == "collected" else None
    return made.length if made is not None else len(sequence.args)


def _taken(name: str, entries: int, length: int, start: int, step: int) -> str:
    """Return the expression for those entries of a sequence that the rounds take, in their order."""
    if entries == length and (start, step) == (0, 1):
        return name
    if entries == length and (start, step) == (length - 1, -1):
        return f"reversed({name})"
    stop = start + step * length
    return f"{name}[{start}:{stop if stop >= 0 else ''}:{step}]"


def _end(body: Body, outputs: list[str], names: dict[Op, str], lists: list[str], tag: str) -> list[str]:
    """Return the last lines of a round, and rename those of the ``outputs`` that they overwrite."""
    c, carried = body.carries, [names[x] for x in body.graph.inputs[: body.carries]]
    lines = [f"{x}.append({y})" for x, y in zip(lists, outputs[body.collected :], strict=True)]
    for i in range(c, body.collected):
        if outputs[i] in carried:
            lines.append(f"z{tag}{i} = {outputs[i]}")
            outputs[i] = f"z{tag}{i}"
    changed = [(x, y) for x, y in zip(carried, outputs[:c], strict=True) if x != y]
    if changed:
        lines.append(f"{', '.join(x for x, _ in changed)} = {', '.join(y for _, y in changed)}")
    return lines or ["pass"]
