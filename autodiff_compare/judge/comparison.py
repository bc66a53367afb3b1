"""What a result consists of, leaf by leaf, and the arrays of it that are compared."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator

#: The widest floating type that NumPy computes in here.
WIDE: Any = np.longdouble if float(np.finfo(np.longdouble).eps) < float(np.finfo(np.float64).eps) else np.float64


#: Bytes of a dense matrix of derivatives. Judging it takes about ten times as much.
LARGEST = 2**27
_DENSE = frozenset({Operator.JACOBIAN, Operator.HESSIAN})
#: Nothing in them has the shape of an input.
_AS_THEY_ARE = frozenset({Operator.VALUE, Operator.JVP, Operator.SPARSE_JACOBIAN})


@dataclass(frozen=True)
class Leaf:
    """What one leaf of a result is: its name, its shape, and the inputs by which it is differentiated."""

    name: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]


def layout(case: Case) -> Iterator[Leaf]:
    """The leaves of a result, in order."""
    operator, shapes = case.operator, [x.shape for x in case.inputs.differentiated]
    out = case.output.shape
    if operator in (Operator.VALUE, Operator.VALUE_AND_GRADIENT):
        yield Leaf("value", out, ())
    if operator == Operator.VALUE:
        return
    if operator == Operator.JVP:
        yield Leaf("jvp", out, tuple(range(len(shapes))))
        return
    name = quantity(operator)
    if operator == Operator.HESSIAN:
        many = len(shapes) > 1
        for i, j in itertools.product(range(len(shapes)), repeat=2):
            yield Leaf(f"{name}[{i},{j}]" if many else name, shapes[i] + shapes[j], (i, j))
        return
    if operator == Operator.SPARSE_JACOBIAN:
        shapes = [(pattern.nnz,) for pattern in case.patterns]
    lead = out if operator == Operator.JACOBIAN else ()
    for i, shape in enumerate(shapes):
        yield Leaf(f"{name}[{i}]" if len(shapes) > 1 else name, lead + shape, (i,))


def refusal(case: Case) -> str:
    """Why a result of this size is not computed; empty if it is."""
    if case.operator not in _DENSE:
        return ""
    size = sum(math.prod(leaf.shape) for leaf in layout(case)) * np.dtype(case.dtype).itemsize
    if size <= LARGEST:
        return ""
    instead = "sparse_jacobian, jvp or vjp" if case.operator == Operator.JACOBIAN else "hvp"
    return f"the dense result would take {size / 2**30:.3g} GiB, over the {LARGEST / 2**30:.3g} GiB allowed: {instead}"


def quantity(operator: Operator) -> str:
    """What the derivative among an operator's leaves is called."""
    return str(Operator.GRADIENT if operator == Operator.VALUE_AND_GRADIENT else operator)


def place(case: Case, leaf: Leaf, index: int) -> tuple[int, int]:
    """Return the row and column, in the matrix of `judge.probe.Probe`, of a flat index into a leaf of a derivative."""
    sizes = [x.size for x in case.inputs.differentiated]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    if case.operator == Operator.JVP:
        return index, 0
    last = leaf.inputs[-1]
    if case.operator == Operator.SPARSE_JACOBIAN:
        pattern = case.patterns[last]
        return int(pattern.rows[index]), starts[last] + int(pattern.columns[index])
    if case.operator == Operator.HVP:
        return starts[last] + index, 0
    row, column = divmod(index, sizes[last])
    return row + (starts[leaf.inputs[0]] if case.operator == Operator.HESSIAN else 0), starts[last] + column


def compared(case: Case, result: Sequence[Array]) -> tuple[Array, ...]:
    """The arrays that are compared: in wide arithmetic; updates instead of parameters; normalised."""
    wide = [np.asarray(a).astype(WIDE) for a in result]
    if case.operator == Operator.STEP:
        wide = [new - old for new, old in zip(wide, case.inputs.differentiated, strict=True)]
    normalise = case.problem.normalise
    if normalise is None or case.operator in _AS_THEY_ARE:
        return tuple(wide)
    skip = 1 if case.operator == Operator.VALUE_AND_GRADIENT else 0
    return (*wide[:skip], *(np.asarray(normalise.apply(a)) for a in wide[skip:]))


def normalised(case: Case) -> str:
    """What `compared` does to the derivatives, in words; empty if nothing."""
    normalise = case.problem.normalise
    return "" if normalise is None or case.operator in _AS_THEY_ARE else normalise.words


def accumulation(case: Case) -> int:
    """K, a bound on the length of the longest sum: all entries that go in."""
    return max(1, sum(a.size for a in case.inputs.arrays))


def norm(array: Array) -> float:
    """Euclidean norm of all entries, without overflow; nan where one is nan."""
    wide = np.abs(np.ravel(array)).astype(WIDE)
    biggest = wide.max(initial=0.0)
    if not biggest > 0 or not np.isfinite(biggest):
        return float(biggest)
    return float(biggest * np.sqrt(np.sum((wide / biggest) ** 2)))


def same_infinite(a: Array, b: Array) -> Array:
    """Where both are infinite with the same sign."""
    return np.asarray(np.isinf(a) & (a == b))


def finite(array: Array) -> Array:
    """The entries that are finite, with 0 in place of the others."""
    return np.where(np.isfinite(array), array, 0)


def joined(*notes: str) -> str:
    """The notes that say something, in one line."""
    return "; ".join(note for note in notes if note)


def shapes_in_words(shapes: Iterable[tuple[int, ...]]) -> str:
    """Shapes as an error message shows them."""
    return ", ".join(map(str, shapes)) or "nothing"
