"""A sparse Jacobian from the few products of its colouring: what `backends/derived.py` makes of two products.

The products come from `Backend.compressed`, which a backend that takes many at once has of its own; `one_by_one` is the
way of all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.sparsity import Compression, Pattern
from vocabulary import Operator

if TYPE_CHECKING:
    from backends.derived import Request
    from backends.interface import Backend, Expanded, Function, Var

Prepared = Callable[..., Any]


def sparse_jacobian(r: Request) -> Prepared:
    """As many products as the pattern has colours, from the side that needs fewer."""
    from backends.interface import Objective

    patterns = r.f.patterns if isinstance(r.f, Objective) else ()
    if len(patterns) != len(r.argnums):
        raise ValueError(
            f"got {len(patterns)} patterns for {len(r.argnums)} differentiated inputs, expected one for each:"
            " pass Objective(f, patterns=(Pattern.of(shape, rows, columns), ...))"
        )
    got = [p.shape for p in patterns]
    expected = [(math.prod(r.output().shape), math.prod(r.args[i].shape)) for i in r.argnums]
    if got != expected:
        raise ValueError(
            f"got patterns of shape {got}, expected {expected}: entries of the output by those of the input"
        )
    # Of a gradient alone a jvp is made by the whole Jacobian, a vjp by one gradient.
    products = [o for o in (Operator.JVP, Operator.VJP) if o in r.backend.native] or [Operator.VJP]
    if isinstance(r.f, Objective) and r.f.expanded is not None and Operator.VJP in products:
        return _by_copies(r, r.f.expanded, patterns)
    plan = Compression.of(patterns, products)
    if not plan.number:
        return lambda *args: tuple(r.stacked([], (0,), args[i]) for i in r.argnums)
    return r.backend.compressed(r.f, r.args, r.argnums, plan)


def _by_copies(r: Request, expanded: Expanded, patterns: Sequence[Pattern]) -> Prepared:
    """By rows, with respect to zeros that are added to copies of the inputs."""
    parts = [[k for k, of in enumerate(expanded.of) if of == n] for n in range(len(patterns))]
    for pattern, ks in zip(patterns, parts, strict=True):
        rows = [expanded.patterns[k].rows for k in ks]
        if not rows or not np.array_equal(np.concatenate(rows), pattern.rows):
            raise ValueError(
                "got copies with other entries than the pattern, expected those of each input in its order"
            )
    backend, data = r.backend, [i for i in range(len(r.args)) if i not in r.argnums]
    zeros = [backend.to_var(np.zeros_like(backend.to_numpy(copy))) for copy in expanded.copies(*r.args)]

    def moved(*given: Var) -> Var:
        args = given[len(zeros) :]
        copies = [copy + zero for copy, zero in zip(expanded.copies(*args), given, strict=False)]
        return expanded.rows(*copies, *(args[i] for i in data))

    plan = Compression.of(expanded.patterns, [Operator.VJP])
    run = backend.compressed(moved, [*zeros, *r.args], tuple(range(len(zeros))), plan)

    def entries(*args: Var) -> tuple[Var, ...]:
        found = run(*zeros, *args)
        return tuple(found[ks[0]] if len(ks) == 1 else backend.xp.concat([found[k] for k in ks]) for ks in parts)

    return entries


def one_by_one(
    backend: Backend, f: Function, args: Sequence[Var], argnums: tuple[int, ...], plan: Compression
) -> Prepared:
    """`Backend.compressed` by one call of the backend's product after the other."""
    xp, is_jvp = backend.xp, plan.operator == Operator.JVP
    directions, index = held(backend, f, args, argnums, plan)
    seeds = [[part[k, ...] for part in directions] for k in range(plan.number)]
    product = backend.prepare(plan.operator, f, args, argnums=argnums, directions=seeds[0])

    def entries(*args: Var) -> tuple[Var, ...]:
        found = [product(*args, *seed) for seed in seeds]
        stacked = xp.stack(found) if is_jvp else [xp.stack(list(rows)) for rows in zip(*found, strict=True)]
        sources = zip(plan.sources(stacked), index, strict=True)
        return tuple(xp.take(xp.reshape(source, (-1,)), at, axis=0) for source, at in sources)

    return entries


def held(
    backend: Backend, f: Function, args: Sequence[Var], argnums: tuple[int, ...], plan: Compression
) -> tuple[list[Var], list[Var]]:
    """The directions of all products and the places of the entries, as variables."""
    if plan.operator == Operator.JVP:
        like = [args[i] for i in argnums]
    else:
        like = [backend.prepare(Operator.VALUE, f, args)(*args)]
    arrays = [backend.to_numpy(x) for x in like]
    seeds = plan.seeds([a.shape for a in arrays], [a.dtype for a in arrays])
    return [backend.to_var(s) for s in seeds], [backend.to_var(at) for at in plan.index]
