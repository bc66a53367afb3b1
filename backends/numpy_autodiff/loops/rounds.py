"""Rolled loops within a kernel, and the order of all that a kernel computes.

A round reads the carries, writes the next ones elsewhere, and takes them over when it ends. A carry that each entry
needs only at its own place, as in ``y = y * a + b``, is overwritten in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op, RollError
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel
from autodiff_compare.backends.numpy_autodiff.loops.nests import write_level
from autodiff_compare.backends.numpy_autodiff.loops.plan import Plan, is_nest, make_plan
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import TYPES
from autodiff_compare.backends.numpy_autodiff.loops.terms import Affine, Alias, Buffer, Term, address


def write_stage(kernel: Kernel, plan: Plan, stage: int, within: float = math.inf) -> bool:
    """Write the roots of one stage, level by level: numbers first, then loops over entries, then rounds.

    Returns
    -------
    bool
        Whether all were written; no level begins after ``within`` formulas.
    """
    for level in plan.levels(stage):
        if kernel.formulas > within:
            return False
        nests = []
        rounds = []
        for op in plan.at_level(stage, level):
            kind = plan.forms[op]
            if kind in ("loop", "sequence"):
                rounds.append((op, kind))
            elif is_nest(op, kind):
                nests.append((op, kind))
            elif kind == "guard":
                kernel.guard(op)
            else:
                kernel.bound[op] = kernel.expression(op, ())
        write_level(kernel, nests)
        for op, kind in rounds:
            _loop(kernel, op) if kind == "loop" else _sequence(kernel, op)
    return True


def _sequence(kernel: Kernel, op: Op) -> None:
    """Write separate results one after the other in memory."""
    like = op.args[0]
    place = kernel.allocate((len(op.args), *like.shape), like.dtype, kernel.depth)
    for i, part in enumerate(op.args):
        _copy(kernel, part, _row(place, Affine(i), like, kernel.depth))
    kernel.sequences[op] = place


def _row(place: Buffer, at: Affine, like: Op, depth: int) -> Buffer:
    """Return one entry of a sequence in memory."""
    return Buffer(place.name, like.shape, place.dtype, place.offset + at * math.prod(like.shape), depth)


def _copy(kernel: Kernel, x: Any, target: Buffer) -> None:
    base = kernel.depth
    index = tuple([kernel.open("0", str(n), n) for n in target.shape])
    found = kernel.value(x, index, target.dtype)
    kernel.add(f"{target.name}[{(target.offset + address(index, target.shape)).text}] = {found.text}")
    while kernel.depth > base:
        kernel.close()


def _loop(kernel: Kernel, op: Op) -> None:
    body = op.kwargs["body"]
    if body in kernel.bodies:
        raise RollError("got one body for two loops")
    kernel.bodies.add(body)
    graph: Graph = body.graph
    outputs = graph.outputs
    plan = make_plan(
        graph,
        [x for x in outputs if isinstance(x, Op) and x.shape and x not in graph.inputs],
        kernel.forced,
        passing=False,
    )
    outside = kernel.depth
    states = [_state(kernel, place, first) for place, first in zip(graph.inputs, op.args[: body.carries], strict=False)]
    lists = [kernel.allocate((body.length, *_shape(x)), _dtype(x), outside) for x in outputs[body.collected :]]
    lasts = [_last_place(kernel, x, outputs[: body.carries], states) for x in outputs[body.carries : body.collected]]
    round_ = kernel.open("0", str(body.length), body.length)
    kernel.plans.append(plan)
    kernel.nested.append((plan, kernel.frames[-1].trips))
    _write_round(kernel, op, plan, round_, states, lists, lasts)
    kernel.plans.pop()
    kernel.close()
    kernel.results[op] = [_outside(place, outside) for place in (*states, *lasts)]
    kernel.collections[op] = (body.collected, lists)


def _write_round(
    kernel: Kernel,
    op: Op,
    plan: Plan,
    round_: Affine,
    states: Sequence[Buffer | Term],
    lists: Sequence[Buffer],
    lasts: Sequence[Buffer | Term],
) -> None:
    """Write a round of a loop: its operations, the entries that it collects, its results, and the next carries."""
    body = op.kwargs["body"]
    graph: Graph = body.graph
    outputs = graph.outputs
    _bind_inputs(kernel, op, states, round_)
    gathered = outputs[body.collected :]
    rows = [_row(place, round_, _like(x), kernel.depth) for place, x in zip(lists, gathered, strict=True)]
    _aim(kernel, plan, graph, states, rows, gathered)
    write_stage(kernel, plan, 0)
    for x, target in zip(gathered, rows, strict=True):
        if not (isinstance(x, Op) and kernel.bound.get(x) == target):
            _copy(kernel, x, target)
    for x, last in zip(outputs[body.carries : body.collected], lasts, strict=True):
        if last not in states:
            _take_over(kernel, [(x, last)])
    _take_over(kernel, list(zip(outputs[: body.carries], states, strict=True)))


def _shape(x: Any) -> tuple[int, ...]:
    return x.shape if isinstance(x, Op) else np.shape(x)


def _dtype(x: Any) -> Any:
    return x.dtype if isinstance(x, Op) else np.asarray(x).dtype


def _like(x: Any) -> Any:
    return x if isinstance(x, Op) else np.asarray(x)


def _state(kernel: Kernel, place: Op, first: Any) -> Buffer | Term:
    """Return where a carry is, after its first value was put there."""
    if not place.shape:
        name = kernel.fresh("y")
        kernel.add(f"{name} = {kernel.value(first, (), place.dtype).text}")
        return Term(name, kernel.depth + 1)
    buffer = kernel.allocate(place.shape, place.dtype, kernel.depth + 1)
    _copy(kernel, first, buffer)
    return buffer


def _last_place(kernel: Kernel, x: Any, following: Sequence[Any], states: Sequence[Buffer | Term]) -> Buffer | Term:
    """Return where the last value of a result is: that of a next carry is the carry after the last round."""
    for other, state in zip(following, states, strict=True):
        if isinstance(x, Op) and other is x:
            return state
    if not _shape(x):
        return Term(kernel.fresh("y"), kernel.depth + 1)
    return kernel.allocate(_shape(x), _dtype(x), kernel.depth + 1)


def _outside(place: Buffer | Term, depth: int) -> Buffer | Term:
    if isinstance(place, Term):
        return Term(place.text, depth)
    return Buffer(place.name, place.shape, place.dtype, place.offset, depth)


def _bind_inputs(kernel: Kernel, op: Op, states: Sequence[Buffer | Term], round_: Affine) -> None:
    body = op.kwargs["body"]
    inputs = body.graph.inputs
    kernel.bound.update(zip(inputs, states, strict=False))
    first = body.carries
    for place, sequence, (start, step) in zip(inputs[first:], op.args[first:], body.elements, strict=False):
        at = round_ * step + start
        if isinstance(sequence, range):
            kernel.bound[place] = at * sequence.step + sequence.start
            if sequence[start] < 0:
                kernel.from_the_end.add(place)
        elif isinstance(sequence, tuple):
            table = kernel.constant(op, place, np.array(sequence))
            if table.dtype.kind == "i" and sequence[start] < 0:
                kernel.from_the_end.add(place)
            kernel.bound[place] = Buffer(table.name, (), table.dtype, at, kernel.depth)
        else:
            kernel.bound[place] = _row(kernel.sequence(sequence), at, place, kernel.depth)
    for place, given in zip(inputs[body.invariants :], op.args[body.invariants :], strict=True):
        kernel.bound[place] = Alias(given)


def _aim(
    kernel: Kernel,
    plan: Plan,
    graph: Graph,
    states: Sequence[Buffer | Term],
    rows: Sequence[Buffer],
    gathered: Sequence[Any],
) -> None:
    """Choose where results of a round are written: into the row that collects them, or over the carry."""
    for x, row in zip(gathered, rows, strict=True):
        if isinstance(x, Op) and x in plan.roots and x.shape:
            kernel.targets[x] = row
    for place, state, x in zip(graph.inputs, states, graph.outputs, strict=False):
        if isinstance(state, Buffer) and x not in kernel.targets and _in_place(plan, place, x):
            kernel.targets[x] = state


def _in_place(plan: Plan, place: Op, x: Any) -> bool:
    """Return whether each entry of a carry is read only where the next carry has that entry."""
    if not isinstance(x, Op) or plan.forms.get(x) != "pointwise" or x.shape != place.shape:
        return False
    chain = {place}
    for op in plan.graph.ops:
        if op is not x and not chain.isdisjoint(op.inputs):
            if op in plan.roots or plan.forms[op] != "pointwise" or op.shape != place.shape:
                return False
            chain.add(op)
    return chain.isdisjoint(y for y in plan.graph.outputs if isinstance(y, Op))


def _take_over(kernel: Kernel, pairs: Sequence[tuple[Any, Buffer | Term]]) -> None:
    """Assign all next values at once: none may be overwritten before it is read."""
    moves: list[tuple[str, str]] = []
    copies: list[tuple[Any, Buffer]] = []
    for x, state in pairs:
        if isinstance(state, Term):
            dtype = _dtype(x) if _dtype(x) in TYPES else None
            text = kernel.value(x, (), dtype).text
            if text != state.text:
                name = kernel.fresh("n")
                kernel.add(f"{name} = {text}")
                moves.append((state.text, name))
        elif not (isinstance(x, Op) and kernel.bound.get(x) == state):
            copies.append((x, state))
    busy = {state.name for _, state in copies}
    ready: list[tuple[Any, Buffer]] = []
    for x, state in copies:
        place = kernel.bind(x) if isinstance(x, Op) else None
        if len(copies) > 1 and not (isinstance(place, Buffer) and place.name not in busy):
            held = kernel.allocate(state.shape, state.dtype, kernel.depth)
            _copy(kernel, x, held)
            ready.append((held, state))
        else:
            ready.append((x, state))
    for source, state in ready:
        _copy_memory(kernel, source, state) if isinstance(source, Buffer) else _copy(kernel, source, state)
    for target, name in moves:
        kernel.add(f"{target} = {name}")


def _copy_memory(kernel: Kernel, source: Buffer, target: Buffer) -> None:
    i = kernel.open("0", str(math.prod(target.shape)), math.prod(target.shape))
    kernel.add(f"{target.name}[{(target.offset + i).text}] = {source.name}[{(source.offset + i).text}]")
    kernel.close()
