"""Entries of results: how an operation of each form is written as an expression at an index."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op
from autodiff_compare.backends.numpy_autodiff.loops.forms import aligned, line, positions, reduction, seen
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel, Writer
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import literal, loop_dtypes, text
from autodiff_compare.backends.numpy_autodiff.loops.terms import (
    Affine,
    Buffer,
    Index,
    Term,
    address,
    bracketed,
    combine,
    start,
)


def _pointwise(kernel: Kernel, op: Op, index: Index) -> Term:
    dtypes = loop_dtypes(op)
    assert dtypes is not None
    args = []
    for a, dtype in zip(op.args, dtypes, strict=False):
        below = a.shape if isinstance(a, Op) else np.shape(a)
        own = (
            index
            if len(index) == 1 != len(op.shape) and below == op.shape
            else aligned(index, op.shape, below)
            if len(index) == len(op.shape)
            else (Affine(),) * len(below)
        )
        args.append(kernel.value(a, own, dtype))
    depth = max(a.depth for a in args)
    return kernel.shared((op, tuple(args)), text(op, [bracketed(a.text) for a in args]), depth)


def _view(kernel: Kernel, op: Op, index: Index) -> Term:
    x = op.args[0]
    below = seen(op, index, kernel.whole)
    if below is None:
        return _computed_entry(kernel, op, index)
    if isinstance(below, Affine):
        return kernel.at_address(x, below)
    found = kernel.value(x, below)
    if op.name in ("tril", "triu"):
        return _triangle(kernel, op, index, found)
    return found


def _computed_entry(kernel: Kernel, op: Op, index: Index) -> Term:
    """Return an entry along the first axis at an index that a table holds for each round."""
    x, number = op.args
    place = kernel.bind(x)
    if not isinstance(place, Buffer):
        return kernel.missing(kernel.meant(x))
    at = kernel.value(number, (), np.dtype(np.int64))
    rest = place.offset + address(index, x.shape[1:])
    if number in kernel.from_the_end:
        rest += x.size
    depth = max(place.depth, at.depth, kernel.depth_of(rest))
    return kernel.shared((op, index), f"{place.name}[{math.prod(x.shape[1:])} * {at.text} + {rest.text}]", depth)


def _triangle(kernel: Kernel, op: Op, index: Index, found: Term) -> Term:
    k = int(op.args[1]) if len(op.args) > 1 else int(op.kwargs.get("k", 0))
    kept = f"{index[-1].text} {'<=' if op.name == 'tril' else '>='} {(index[-2] + k).text}"
    depth = max(found.depth, kernel.depth_of(*index))
    return kernel.shared((op, index), f"{found.text} if {kept} else {literal(0, op.dtype)}", depth)


def _gather(kernel: Kernel, op: Op, index: Index) -> Term:
    x = op.args[0]
    chosen = kernel.plans[0].tables.setdefault(op, positions(x.shape, lambda whole: whole[op.args[1]]))
    at = line(chosen, index)
    if at is not None:
        return kernel.at_address(x, at)
    place = kernel.bind(x)
    while not isinstance(place, Buffer) and isinstance(x, Op) and x.name == "reshape":
        # An array in another shape has its entries at the same addresses: it needs no copy.
        x = x.args[0]
        place = kernel.bind(x)
    if not isinstance(place, Buffer):
        return kernel.missing(kernel.meant(x))
    number = kernel.value(chosen, index)
    depth = max(place.depth, number.depth)
    offset = f"{place.offset.text} + " if place.offset != Affine() else ""
    return kernel.shared((op, index), f"{place.name}[{offset}{number.text}]", depth)


def _written_out(kernel: Kernel, op: Op, index: Index) -> Term:
    """Write a sum of few terms as an expression, from the start that NumPy's reduction has."""
    found = reduction(op)
    assert found is not None
    kept = _kept_index(op, index, found.kept)
    free = [i for i in range(len(found.domain)) if i not in found.kept]
    total, depth = start(found.how, op.dtype), 0
    for at in np.ndindex(*(found.domain[i] for i in free)):
        every: list[Affine] = [Affine()] * len(found.domain)
        for i, a in zip(found.kept, kept, strict=True):
            every[i] = a
        for i, n in zip(free, at, strict=True):
            every[i] = Affine(n)
        term = product(kernel, op, found.factors, every, found.how)
        total = combine(found.how, total, term.text, op.dtype, loose=False)
        depth = max(depth, term.depth)
    if found.count:
        total = f"({total}) / {literal(found.count, op.dtype)}"
    return kernel.shared((op, index), total, depth)


def _kept_index(op: Op, index: Index, kept: Sequence[int]) -> list[Affine]:
    """Return the indices of the axes that are kept; those of length 1 that stand for the others are left out."""
    if len(index) == len(kept):
        return list(index)
    found = reduction(op)
    assert found is not None
    gone = {i for i in range(len(found.domain)) if i not in kept}
    return [index[i] for i in range(len(index)) if i not in gone]


def product(
    kernel: Kernel, op: Op, factors: Sequence[tuple[Any, tuple[int, ...]]], every: Sequence[Affine], how: str
) -> Term:
    """Return a term of a reduction: the product of the factors at their indices."""
    dtype = op.dtype if how in ("sum", "max", "min", "prod") else None
    terms = []
    for x, axes in factors:
        if len(every) == 1 != len(axes):
            own: Index = (every[0],)
        else:
            own = tuple(every[i] for i in axes)
        terms.append(kernel.value(x, own, dtype))
    depth = max(t.depth for t in terms)
    if len(terms) == 1:
        return terms[0]
    return kernel.shared(("product", *terms), " * ".join(bracketed(t.text) for t in terms), depth)


def _of_loop(kernel: Kernel, op: Op, index: Index) -> Term:
    place = kernel.result(op)
    return place if isinstance(place, Term) else kernel.read(place, kernel.flat(index, op.shape))


#: Form of an operation -> what writes an entry of its result.
WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "pointwise": _pointwise,
        "view": _view,
        "gather": _gather,
        "reduction": _written_out,
        "last": _of_loop,
        "entry": _of_loop,
    }
)
