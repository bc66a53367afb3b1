"""Rewrites that move factors: ``sum(2 a b)`` to ``2 sum(a b)``, and ``p x + q x`` to ``(p + q) x``.

``sum(100 t^2 + u^2)`` is ``100 sum(t^2) + sum(u^2)``, with sums that are dot products. No term is negative, so that the
parts are as exact as the whole, and none is infinite before the whole is. A factor below 1 needs the guard below: its
part might be.

A factor of a power of two, or -1, is exact wherever it stands, short of overflow and underflow. It moves out of a
vector if all uses of the vector end in sums, where it is a product of numbers.

``(p + q) x`` saves a product of vectors, and makes a polynomial that is written term by term one by Horner's rule. Its
rounding error is bounded by that of the sum. But it may not be finite where the sum is (p = q = 1e308, x = .1), and the
other way round (p = 2, q = -1, x = inf). So it is used only where a number tells: one that the factored sum reaches by
additions, products and sums alone, through all of which inf and nan remain inf or nan. Where that number is not
finite, the function is made again without this rewrite.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import FLOATS, Graph, Op

#: Terms of the longest sum that is factored, and operations up to which a number is looked for that tells of it.
_MOST_TERMS, _FARTHEST = 16, 64
#: Functions that add up from 0.0.
_FROM_ZERO = frozenset({"sum", "scatter"})
#: Functions that are linear in an argument and add up its entries; and those that keep a factor of an argument.
_SUMS = frozenset({"sum", "dot", "vecdot"})
_KEEP = frozenset({"multiply", "reshape", "transpose", "matmul"})
#: Functions of numbers that are not finite whose result is not finite.
_SPREAD = frozenset({"add", "subtract", "multiply", "negative", "sum", "dot", "vecdot"})


def scaled(graph: Graph) -> Graph:
    """Return the graph with factors of powers of two outside of sums."""
    free = _movable(graph)
    new: dict[Op, Op] = {x: x for x in graph.inputs}
    factors: dict[Op, float] = {}
    ops: list[Op] = []
    for op in graph.ops:
        factor = math.prod([factors.get(a, 1.0) for a in op.inputs])
        here = _factor(op) if op in free else None
        if here is not None:
            x = op.inputs[0]
            new[op], factors[op] = new[x], here * factor
            continue
        made = op.with_args([new[a] if isinstance(a, Op) else a for a in op.args])
        ops.append(made)
        if factor != 1.0 and op.name in _KEEP:
            factors[op] = factor
        elif factor != 1.0:
            made = _times(made, factor, ops)
        new[op] = made
    return Graph(graph.inputs, ops, [new[x] if isinstance(x, Op) else x for x in graph.outputs], graph.rebuild)


def _movable(graph: Graph) -> set[Op]:
    """Return the vectors all of whose uses end in sums."""
    readers = _readers(graph)
    outputs = set(filter(_is_op, graph.outputs))
    free: set[Op] = set()
    for op in reversed(graph.ops):
        uses = readers.get(op, ())
        if uses and op not in outputs and all(_linear(use, op) and (use.name in _SUMS or use in free) for use in uses):
            free.add(op)
    return free


def _linear(use: Op, op: Op) -> bool:
    plain = use.name in _KEEP or (use.name in _SUMS and set(use.kwargs) <= {"axis", "keepdims"})
    return plain and use.dtype == op.dtype and sum(a is op for a in use.args) == 1


def _factor(op: Op) -> float | None:
    """Return the factor of an operation that multiplies a vector by a power of two, or by -1."""
    if op.scalar or op.dtype is None or op.dtype.kind != "f" or op.dtype.itemsize < 4:
        return None
    if op.name == "negative":
        return -1.0
    numbers = [float(a) for a in op.args if a.__class__ in (float, int)]
    # The product with truth values or integers is a float; without its factor they would be added up as they are.
    if op.name != "multiply" or len(numbers) != 1 or not _alike(op.inputs[0], op):
        return None
    (c,) = numbers
    return c if math.isfinite(c) and abs(math.frexp(c)[0]) == 0.5 and 2.0**-16 <= abs(c) <= 2.0**16 else None


def _alike(x: Op, op: Op) -> bool:
    return x.shape == op.shape and x.dtype == op.dtype


def _times(op: Op, factor: float, ops: list[Op]) -> Op:
    """Append the product of a sum and a factor. It is never -0.0, as the sum is not."""
    if abs(factor) != 1.0:
        op = Op("multiply", np.multiply, (op, abs(factor)), {}, op)
        ops.append(op)
    if factor < 0:
        op = Op("subtract", np.subtract, (0.0, op), {}, op)
        ops.append(op)
    return op


def gathered(graph: Graph) -> Graph:
    """Return the graph with ``2 a + b (2 c)`` as ``2 (a + b c)``.

    Only powers of two above 1 move, with which the terms are infinite before the sum is. The sign of a zero is kept:
    a negative factor moves only where all uses are sums and scatters, which begin with 0.0.
    """
    uses, readers, outputs = _uses(graph), _readers(graph), set(filter(_is_op, graph.outputs))
    new: dict[Op, Op] = {}
    ops: list[Op] = []
    for op in graph.ops:
        op.args = tuple(new.get(a, a) if isinstance(a, Op) else a for a in op.args)
        c, d = _outer_factors(op, uses)
        negative = c < 0 and d < 0
        if not c or (negative and (op in outputs or any(use.name not in _FROM_ZERO for use in readers.get(op, ())))):
            ops.append(op)
            continue
        a, b = (_without_factor(x, uses, ops) for x in op.args)
        name, function = ("add", np.add) if (c < 0) == (d < 0) else ("subtract", np.subtract)
        total = _appended(Op(name, function, (b, a) if c < 0 < d else (a, b), {}, op), ops)
        new[op] = _appended(Op("multiply", np.multiply, (total, -abs(c) if negative else abs(c)), {}, op), ops)
        uses[new[op]] = uses[op]
    return Graph(graph.inputs, ops, [new.get(x, x) if isinstance(x, Op) else x for x in graph.outputs], graph.rebuild)


def _outer_factors(op: Op, uses: Mapping[Op, int]) -> tuple[float, float]:
    """Return the factors of both terms of a sum, with their signs, if they are alike; else zeros."""
    if op.name not in ("add", "subtract") or op.scalar or op.dtype not in FLOATS or op.args[0] is op.args[1]:
        return 0.0, 0.0
    c, d = (_outer_factor(x, op, uses) for x in op.args)
    return (c, d if op.name == "add" else -d) if abs(c) == abs(d) else (0.0, 0.0)


def _outer_factor(x: Any, like: Op, uses: Mapping[Op, int], depth: int = 4) -> float:
    """Return a power of two above 1 by which ``x`` or a factor of it, without other uses, is multiplied; else 0."""
    if not isinstance(x, Op) or x.name != "multiply" or x.kwargs or not _alike(x, like) or uses[x] > 1 or not depth:
        return 0.0
    c = _factor(x)
    if c is not None:
        return c if abs(c) > 1 else 0.0
    found = (_outer_factor(a, like, uses, depth - 1) for a in x.args)
    return next(filter(None, found), 0.0)


def _without_factor(x: Op, uses: Mapping[Op, int], ops: list[Op]) -> Op:
    """Append the operations of a term without the factor that `_outer_factor` finds, and return the last."""
    if _factor(x) is not None:
        return x.inputs[0]
    args = list(x.args)
    i = 0 if _outer_factor(args[0], x, uses, 3) else 1
    args[i] = _without_factor(args[i], uses, ops)
    return _appended(x.with_args(args), ops)


def split(graph: Graph, guarded: bool) -> Graph:
    """Return the graph with a sum over multiples of squares as the sum of each; with ``guarded`` also of small ones."""
    uses = _uses(graph)
    new: dict[Op, Op] = {}
    ops: list[Op] = []
    for op in graph.ops:
        op.args = tuple(new.get(a, a) if isinstance(a, Op) else a for a in op.args)
        squares = _squares(op, uses)
        small = any(c < 1 for c, _ in squares)
        if not squares or (small and not guarded) or squares[0][0] == len(squares) == 1:
            ops.append(op)
            continue
        parts = [_times(_appended(Op("sum", op.function, (x,), {}, op), ops), c, ops) for c, x in squares]
        new[op] = _added(parts, op, ops)
        ops += _finite(new[op]) if small else []
    return Graph(graph.inputs, ops, [new.get(x, x) if isinstance(x, Op) else x for x in graph.outputs], graph.rebuild)


def _squares(op: Op, uses: Mapping[Op, int]) -> list[tuple[float, Op]]:
    """Return the terms of a sum over all entries, as a factor and a square each; none if one is anything else."""
    whole = op.args[0] if op.name == "sum" and op.scalar and op.kwargs.get("axis") is None else None
    if not isinstance(whole, Op) or whole.dtype not in FLOATS or uses[whole] > 1:
        return []
    found = [_square(x, whole, uses) for x in _terms(whole, uses)]
    return [pair for pair in found if pair is not None] if None not in found else []


def _square(x: Any, like: Op, uses: Mapping[Op, int], depth: int = 4) -> tuple[float, Op] | None:
    """Return a term as a positive number and a square, if it is a multiple of one and nothing else needs it."""
    if not isinstance(x, Op) or x.name != "multiply" or not _alike(x, like) or uses[x] > 1 or not depth:
        return None
    if x.args[0] is x.args[1]:
        return 1.0, x
    for c, rest in (x.args, x.args[::-1]):
        if c.__class__ in (int, float) and 0 < c < math.inf:
            found = _square(rest, like, uses, depth - 1)
            return None if found is None else (c * found[0], found[1])
    return None


def _appended(op: Op, ops: list[Op]) -> Op:
    ops.append(op)
    return op


def factored(graph: Graph) -> Graph:
    """Return the graph with common factors of sums taken out, and guards that the results are finite."""
    readers = _readers(graph)
    uses = _uses(graph)
    new: dict[Op, Op] = {}
    witnesses: set[Op] = set()
    ops: list[Op] = []
    for op in graph.ops:
        inner = uses[op] == 1 and any(map(_adds, readers.get(op, ())))
        made: list[Op] = []
        total = _factored_sum(_terms(op, uses), op, uses, made) if _adds(op) and not inner else None
        witness = _witness(op, readers) if total is not None else None
        if total is not None and witness is not None:
            new[op] = total
            witnesses.add(witness)
            ops += made
        else:
            ops.append(op)
        if op in witnesses:
            ops += _finite(op)
    for op in ops:
        op.args = tuple(new.get(a, a) if isinstance(a, Op) else a for a in op.args)
    return Graph(graph.inputs, ops, [new.get(x, x) if isinstance(x, Op) else x for x in graph.outputs], graph.rebuild)


def _finite(number: Op) -> list[Op]:
    """Return the guard that a number is finite."""
    finite = Op("isfinite", math.isfinite, (number,), {}, True)
    return [finite, Op("guard", bool, (finite,), {"way": True}, True)]


def _adds(op: Op) -> bool:
    return op.name == "add" and not op.scalar and op.dtype is not None and op.dtype.kind == "f"


def _terms(whole: Op, uses: Mapping[Op, int]) -> list[Any]:
    """Return the terms of a sum. A part of it that has other uses is a term, and so is what is left of a long sum."""
    terms: list[Any] = []
    pending: list[Any] = [whole]
    while pending:
        x = pending.pop()
        part = isinstance(x, Op) and x.name == "add" and x.dtype == whole.dtype and (x is whole or uses[x] == 1)
        if part and len(terms) + len(pending) < _MOST_TERMS:
            pending += reversed(x.args)
        else:
            terms.append(x)
    return terms


def _factored_sum(terms: list[Any], like: Op, uses: Mapping[Op, int], made: list[Op]) -> Any:
    """Append operations that add the terms, and return the last; None if no two of them share a vector as factor."""
    if not all(x.dtype == like.dtype if isinstance(x, Op) else x.__class__ is float for x in terms):
        return None
    products = [x for x in terms if isinstance(x, Op) and x.name == "multiply" and uses[x] == 1]
    shared = Counter(a for x in products for a in set(x.inputs) if a.shape == like.shape and a.dtype == like.dtype)
    vector, count = max(shared.items(), key=lambda item: item[1], default=(like, 0))
    if count < 2:
        return None
    inside = [x for x in products if any(a is vector for a in x.args)]
    cofactors = [x.args[x.args[0] is vector] for x in inside]
    total = _factored_sum(cofactors, like, uses, made)
    if total is None:
        total = _added(cofactors, like, made)
    made.append(Op("multiply", np.multiply, (total, vector), {}, like))
    return _added([made[-1], *(x for x in terms if x not in inside)], like, made)


def _added(terms: Sequence[Any], like: Op, made: list[Op]) -> Any:
    total = terms[0]
    for x in terms[1:]:
        forms = [a for a in (total, x) if isinstance(a, Op)]
        if not forms:
            total = total + x
            continue
        form = next((a for a in forms if a.shape == like.shape and not a.scalar), forms[0])
        total = Op("add", np.add, (total, x), {}, form)
        made.append(total)
    return total


def _witness(op: Op, readers: Mapping[Op, list[Op]]) -> Op | None:
    """Return a number that is not finite if an entry of ``op`` is not."""
    reached, pending = {op}, [op]
    while pending and len(reached) < _FARTHEST:
        x = pending.pop()
        if x.scalar and x.dtype is not None and x.dtype.kind == "f":
            return x
        more = [use for use in readers.get(x, ()) if use.name in _SPREAD and set(use.kwargs) <= {"axis", "keepdims"}]
        pending += [use for use in more if use not in reached]
        reached.update(more)
    return None


def _readers(graph: Graph) -> dict[Op, list[Op]]:
    readers: dict[Op, list[Op]] = {}
    for op in graph.ops:
        for a in set(op.inputs):
            readers.setdefault(a, []).append(op)
    return readers


def _uses(graph: Graph) -> Counter[Op]:
    return Counter([*(a for op in graph.ops for a in op.inputs), *filter(_is_op, graph.outputs)])


def _is_op(x: Any) -> bool:
    return isinstance(x, Op)
