"""The leaves of a result, and the arrays in which results, references and backends are compared.

A result is a sequence of arrays, its leaves: a gradient has one leaf for each differentiated input, a Hessian one for
each pair of them. All comparisons are made in the widest floating type, after `compared` has brought each leaf to a
comparable form.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.judge.composition import is_composite, parts_of, row_case, rows_of, split
from autodiff_compare.judge.differences import WIDE as WIDE
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.precision import limits, numpy_dtype
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import BATCHES, BY_UNITS, DIRECTIONAL, OF_HESSIAN, PARTS, Operator

#: Largest dense matrix of derivatives that is computed, in bytes. Judging it takes about ten times that memory.
LARGEST_DENSE_BYTES = 2**27
#: Most entries of a sparse Hessian: judging it takes some hundred times the time of a product.
MOST_ENTRIES = 2**20
#: Most wrong entries of a leaf that are examined for being subgradients; of more of them, a sample is.
_MOST_KINKS = 64
_DENSE = frozenset({Operator.JACOBIAN, Operator.HESSIAN})
#: Operator with a dense result -> what to use where that is too large.
_INSTEAD = {
    Operator.JACOBIAN: "sparse_jacobian, jvp or vjp",
    Operator.HESSIAN: "hvp or sparse_hessian",
    Operator.HESSIAN_DIAGONAL: "sparse_hessian",
    Operator.LAPLACIAN: "laplacian_estimate",
}
#: dtype -> one that reaches larger numbers.
_WIDER = {"float16": "bfloat16", "float32": "float64", "bfloat16": "float64"}
#: Operators whose leaves are not normalised: none of them has the shape of an input.
_NOT_NORMALISED = frozenset({Operator.VALUE, Operator.JVP, Operator.SPARSE_JACOBIAN, Operator.TAYLOR}) | OF_HESSIAN


@dataclass(frozen=True)
class Leaf:
    """Description of one leaf of a result.

    Parameters
    ----------
    name
        Name in the column ``quantity``, such as ``gradient[1]``.
    shape
        Its shape.
    inputs
        Indices of the differentiated inputs by which it is differentiated; two for a Hessian, none for a value.
    """

    name: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]


def layout(case: Case) -> Iterator[Leaf]:
    """Yield the descriptions of the leaves of a result, in order."""
    operator, shapes = case.operator, [x.shape for x in case.inputs.differentiated]
    if is_composite(operator):
        yield from _composite_layout(case)
        return
    out = case.output.shape
    if operator == Operator.VALUE:
        yield Leaf("value", out, ())
        return
    if operator == Operator.JVP:
        yield Leaf("jvp", out, tuple(range(len(shapes))))
        return
    name = str(operator)
    if operator == Operator.HESSIAN:
        many = len(shapes) > 1
        for i, j in itertools.product(range(len(shapes)), repeat=2):
            yield Leaf(f"{name}[{i},{j}]" if many else name, shapes[i] + shapes[j], (i, j))
        return
    if operator in DIRECTIONAL:
        yield from _directional_layout(case, shapes, out)
        return
    if case.entries:
        shapes = [(pattern.nnz,) for pattern in case.entries]
    lead = out if operator == Operator.JACOBIAN else ()
    for i, shape in enumerate(shapes):
        yield Leaf(f"{name}[{i}]" if len(shapes) > 1 else name, lead + shape, (i,))


def _directional_layout(case: Case, shapes: list[tuple[int, ...]], out: tuple[int, ...]) -> Iterator[Leaf]:
    """Yield the leaves of derivatives along directions, which are no matrix of slopes by inputs."""
    operator = case.operator
    if operator == Operator.HESSIAN_DIAGONAL:
        names = [f"{operator}[{i}]" if len(shapes) > 1 else str(operator) for i in range(len(shapes))]
        yield from (Leaf(name, shape, ()) for name, shape in zip(names, shapes, strict=True))
    elif operator == Operator.TAYLOR:
        yield from (Leaf(f"{operator}[{k}]", out, ()) for k in range(1, case.degree + 1))
    else:
        names = ["estimate", "half_width"] if operator == Operator.LAPLACIAN_ESTIMATE else [str(operator)]
        yield from (Leaf(name, (), ()) for name in names)


def _composite_layout(case: Case) -> Iterator[Leaf]:
    if case.operator in PARTS:
        for part in parts_of(case):
            yield from layout(part.case)
        return
    row = row_case(case, 0)
    for leaf in layout(row):
        name = leaf.name.replace(str(row.operator), str(case.operator), 1)
        yield Leaf(name, (rows_of(case), *leaf.shape), leaf.inputs)


def too_large(case: Case) -> str:
    """Return why the result of a case is too large to be computed; empty if it is not."""
    if case.operator == Operator.SPARSE_HESSIAN:
        try:
            patterns = case.entries
        except ValueError as error:
            return str(error)
        entries, n = sum(p.nnz for p in patterns), sum(p.shape[0] for p in patterns)
        dense = f"the Hessian has {entries} entries in {n} rows, over the {MOST_ENTRIES} allowed: use hvp"
        return dense if entries > MOST_ENTRIES else ""
    if case.operator in BY_UNITS:
        n = sum(x.size for x in case.inputs.differentiated)
        return _refused(case, n * n * numpy_dtype(case.dtype).itemsize)
    if not _DENSE & {case.operator, *PARTS.get(case.operator, ())} and case.operator not in BATCHES:
        return ""
    return _refused(case, sum(math.prod(leaf.shape) for leaf in layout(case)) * numpy_dtype(case.dtype).itemsize)


def _refused(case: Case, size: int) -> str:
    if size <= LARGEST_DENSE_BYTES:
        return ""
    instead = _INSTEAD.get(case.operator, "its parts or rows one by one")
    takes, allowed = size / 2**30, LARGEST_DENSE_BYTES / 2**30
    what = "the products with all unit vectors" if case.operator in BY_UNITS else "the dense result"
    return f"{what} would take {takes:.3g} GiB, over the {allowed:.3g} GiB allowed: use {instead}"


def matrix_position(case: Case, leaf: Leaf, index: int) -> tuple[int, int]:
    """Return the row and column of a leaf's entry in the matrix of `judge.probe.Probe`.

    Parameters
    ----------
    leaf
        A leaf of a derivative, as `layout` describes it.
    index
        Flat index of the entry in the leaf.
    """
    sizes = [x.size for x in case.inputs.differentiated]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    if case.operator == Operator.JVP:
        return index, 0
    last = leaf.inputs[-1]
    if case.operator == Operator.SPARSE_HESSIAN:
        pattern = case.entries[last]
        return starts[last] + int(pattern.rows[index]), int(pattern.columns[index])
    if case.operator == Operator.SPARSE_JACOBIAN:
        pattern = case.entries[last]
        return int(pattern.rows[index]), starts[last] + int(pattern.columns[index])
    if case.operator == Operator.HVP:
        return starts[last] + index, 0
    row, column = divmod(index, sizes[last])
    return row + (starts[leaf.inputs[0]] if case.operator == Operator.HESSIAN else 0), starts[last] + column


def compared(case: Case, result: Sequence[Array]) -> tuple[Array, ...]:
    """Return the leaves of a result in the form in which they are compared.

    A composite result is compared part by part, row by row. All leaves are converted to `WIDE`. The parameters that a
    step returns become updates, as the parameters alone would hide an error of a small update. Derivatives are
    normalised if the problem asks for it, such as by symmetrising.
    """
    if is_composite(case.operator):
        return tuple(itertools.chain.from_iterable(compared(c, leaves) for c, leaves in composed(case, result)))
    wide = [np.asarray(a).astype(WIDE) for a in result]
    if case.operator == Operator.STEP:
        wide = [new - old for new, old in zip(wide, case.inputs.differentiated, strict=True)]
    normalise = case.problem.normalise
    if normalise is None or case.operator in _NOT_NORMALISED:
        return tuple(wide)
    return tuple(np.asarray(normalise.apply(a)) for a in wide)


def composed(case: Case, result: Sequence[Array]) -> Iterator[tuple[Case, list[Array]]]:
    """Yield the parts of a composite case, each with its leaves of a result."""
    parts = parts_of(case)
    counts = [sum(1 for _ in layout(part.case)) for part in parts]
    for part, leaves in zip(parts, split(case, parts, counts, result), strict=True):
        yield part.case, leaves


def normalisation(case: Case) -> str:
    """Return the words for the normalisation that `compared` applies; empty if there is none."""
    normalise = case.problem.normalise
    return "" if normalise is None or case.operator in _NOT_NORMALISED else normalise.words


def accumulation(case: Case) -> int:
    """Return K, a bound on the number of terms in the longest sum: the number of all input entries."""
    return max(1, sum(a.size for a in case.inputs.arrays))


def allowed_rounding(case: Case, derivative: Sequence[Array], eps: float, K: int) -> tuple[Array, ...]:
    """Return the absolute error that rounding may cause in each entry of a derivative: ``8 eps sqrt(K)`` of its size.

    Parameters
    ----------
    derivative
        The leaves, without the value; for a step the updates, whose parameters add ``eps`` of their size.
    eps
        Rounding unit of the dtype in which the derivative was computed.
    K
        Number of terms of the longest sum.
    """
    allowed = tuple(8 * eps * math.sqrt(K) * np.abs(leaf) for leaf in derivative)
    if case.operator != Operator.STEP:
        return allowed
    return tuple(a + eps * np.abs(p) for a, p in zip(allowed, case.inputs.differentiated, strict=True))


def norm(array: Array) -> float:
    """Return the Euclidean norm of all entries; nan if an entry is nan, infinity if one is infinite.

    Entries are divided by the largest before they are squared, so that no square overflows or underflows to zero.
    """
    wide = np.abs(np.ravel(array)).astype(WIDE)
    biggest = wide.max(initial=0.0)
    if not biggest > 0 or not np.isfinite(biggest):
        return float(biggest)
    return float(biggest * np.sqrt(np.sum((wide / biggest) ** 2)))


def same_infinite(a: Array, b: Array) -> Array:
    """Return where both arrays are infinite with the same sign, as a Boolean array."""
    return np.asarray(np.isinf(a) & (a == b))


def absolute_difference(a: Array, b: Array) -> Array:
    """Return ``|a - b|`` entry by entry, with 0 where both are infinite with the same sign (not nan)."""
    with np.errstate(invalid="ignore"):
        return np.abs(np.where(same_infinite(a, b), 0, a - b))


def finite_or_zero(array: Array) -> Array:
    """Return the array with 0 in place of every entry that is nan or infinite."""
    return np.where(np.isfinite(array), array, 0)


def join_notes(*notes: str) -> str:
    """Return the notes that are not empty, in one line."""
    return "; ".join(note for note in notes if note)


def shapes_in_words(shapes: Iterable[tuple[int, ...]]) -> str:
    """Return shapes as an error message shows them."""
    return ", ".join(map(str, shapes)) or "nothing"


def within(leaves: Sequence[Array], expected: Sequence[Array], allowed: Sequence[Array]) -> bool:
    """Return whether every entry of every leaf is within its tolerance."""
    pairs = zip(leaves, expected, allowed, strict=True)
    return all(bool((absolute_difference(got, want) <= limit).all()) for got, want, limit in pairs)


def excess(leaves: Sequence[Array], expected: Sequence[Array], allowed: Sequence[Array]) -> float:
    """Return the largest error of an entry in units of its tolerance."""
    with np.errstate(all="ignore"):
        found = [
            np.max(absolute_difference(got, want) / limit, initial=0.0)
            for got, want, limit in zip(leaves, expected, allowed, strict=True)
        ]
    return float(np.max(found, initial=0.0))


def in_digits(*numbers: float) -> tuple[str, ...]:
    """Return numbers as text, with as many digits as show that the finite ones differ."""
    finite = [x for x in numbers if math.isfinite(x)]
    apart = max(finite, default=0.0) - min(finite, default=0.0)
    for digits in range(6, 17):
        # Adding zero takes the sign off a negative zero.
        texts = tuple(f"{x + 0.0:.{digits}g}" for x in numbers)
        values = [float(t) for t, x in zip(texts, numbers, strict=True) if math.isfinite(x)]
        if len(set(values)) == len(set(finite)) and (
            not apart or all(abs(v - x) <= 0.01 * apart for v, x in zip(values, finite, strict=True))
        ):
            break
    return texts


def at_entry(got: Array, want: Array, allowed: Array, at: int) -> dict[str, Any]:
    """Return what was got and expected at a flat index, and its tolerance; nothing for index -1."""
    if at < 0:
        return {}
    values = (float(np.ravel(a)[at]) for a in np.broadcast_arrays(got, want, allowed))
    return dict(zip(("got", "expected", "entry_tolerance"), values, strict=True))


def overflowed(case: Case, got: Array, want: Array, at: int) -> str:
    """Return in words what was got at a flat index in place of a finite number, and that it exceeds the dtype if so."""
    if at < 0:
        return ""
    value, right = float(np.ravel(got)[at]), float(np.ravel(want)[at])
    largest = limits(case.dtype).largest
    if not math.isfinite(right) or abs(right) <= largest:
        return f"got {value:.6g}, expected {right:.6g}"
    what = "value" if case.operator == Operator.VALUE else "derivative"
    most = f"the largest {case.dtype} ({largest:.3g})"
    instead = f", or use {_WIDER[case.dtype]}" if case.dtype in _WIDER else ""
    return f"got {value:.6g}; the {what} {right:.3g} exceeds {most}: scale the function{instead}"


def examined(suspects: Array, rng: np.random.Generator) -> Array:
    """Return at most `_MOST_KINKS` of the wrong entries: those that differ most and least, and random ones between.

    An error that is no subgradient tends to stand out at one end: a kink moves an entry by a part of its jump.
    """
    part = _MOST_KINKS // 4
    if suspects.size <= _MOST_KINKS:
        return suspects
    between = rng.choice(suspects[part:-part], _MOST_KINKS - 2 * part, replace=False)
    return np.concatenate([suspects[:part], suspects[-part:], between])
