"""How index sets pass through the primitives: one rule for each kind of function.

A rule takes a `Step` and returns the numbers of the sets of the result, in its shape. For several outputs it returns a
tuple. The kinds:

- *elementwise*: the union of the arguments' sets, entry by entry;
- *moving* (reshape, index, join): the function itself, applied to the numbers;
- *reducing* (sum, max, norm) and *running* (cumsum): unions along an axis;
- *contracting* (matmul, einsum, convolve): unions over the summed indices, less the zeros of constant factors;
- *scattering*: the union of what arrives at each place;
- *of matrices* (solve, inv, det, ...): unions over the last two axes, so that a batch stays a batch.

A function without a rule makes every entry depend on all arguments: too large a pattern costs time, too small a one is
wrong. A constant factor that is exactly zero breaks the dependence in every case; a factor or slope that happens to be
zero at this point does so only where `Step.local` is set, and not for what was reached through an infinite slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import PICK, Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import ENTRIES
from autodiff_compare.backends.numpy_autodiff.dependence.products import convolved, einsum_product, matrix_product
from autodiff_compare.backends.numpy_autodiff.dependence.step import Step
from autodiff_compare.backends.numpy_autodiff.rules import (
    convolution,
    decompositions,
    eigen,
    einsum,
    elementwise,
    exclusive,
    extremes,
    fft,
    indexing,
    joining,
    linalg,
    norms,
    order,
    powers,
    products,
    reductions,
    scatter,
    shapes,
    softmax,
    svd,
)
from autodiff_compare.backends.numpy_autodiff.rules.builders import axes_of

Rule = Callable[[Step], Any]


def passed(step: Step) -> Any:
    """Return the numbers of the sets of the result of a call, in its shape, or a tuple of them."""
    primitive = step.primitive
    rule = _RULES.get(primitive)
    if rule is None:
        rule = _elementwise if primitive.pointwise or primitive.selects == ENTRIES else _everything
    return rule(step)


def _zeros(like: Any) -> Any:
    return np.zeros(np.shape(like), np.int64)


def _everything(step: Step) -> Any:
    """Let every entry of every output depend on all arguments."""
    number = step.all()
    if isinstance(step.ans, tuple):
        return tuple(np.full(np.shape(part), number, np.int64) for part in step.ans)
    return np.full(np.shape(step.ans), number, np.int64)


# --- Elementwise functions

_FACTORS = frozenset({elementwise.MULTIPLY, elementwise.DIVIDE})
#: Functions with a rule that returns None where an argument has no effect at any point.
_FLAT = frozenset({elementwise.SIGN, elementwise.HEAVISIDE, elementwise.UFUNCS[np.nextafter], powers.POWER})


def _elementwise(step: Step) -> Any:
    found = _zeros(step.ans)
    for i in step.where:
        numbers = step.numbers[i]
        if step.primitive in _FLAT and step.is_flat(i):
            continue
        if step.local:
            numbers = step.passed(i)
        elif step.primitive in _FACTORS and step.known(1 - i):
            numbers = np.where(np.equal(step.values[1 - i], 0), 0, numbers)
        found = step.sets.union(found, numbers)
    return found


def _chosen(step: Step) -> Any:
    """Take the sets of the branch that is chosen; of both where the condition may change."""
    condition = step.values[0]
    x, y = (_zeros(step.values[i]) if step.numbers[i] is None else step.numbers[i] for i in (1, 2))
    if step.known(0):
        return np.where(condition, x, y)
    return np.broadcast_to(step.sets.union(x, y), np.shape(step.ans))


# --- Functions that move entries


def _moved(step: Step) -> Any:
    """Move the numbers as the entries are; by a computed distance, any may come to any place."""
    numbers = _zeros(step.values[0]) if step.numbers[0] is None else step.numbers[0]
    if all(map(step.known, range(1, len(step.values)))):
        return np.asarray(step.primitive.function(numbers, *step.values[1:], **step.kwargs))
    if step.primitive in _TRIANGLES:
        return numbers
    return np.broadcast_to(step.sets.joined(numbers, range(numbers.ndim)), np.shape(step.ans))


_TRIANGLES = frozenset({shapes.TRIL, shapes.TRIU})


def _joined(step: Step) -> Any:
    parts = [_zeros(x) if n is None else n for x, n in zip(step.values, step.numbers, strict=True)]
    return np.asarray(step.primitive.function(*parts, **step.kwargs))


def _itself(step: Step) -> Any:
    return step.numbers[0]


def _first_part(step: Step) -> Any:
    """Return the sets of the argument for its fraction; its whole part and its exponent have slope zero."""
    return step.numbers[0], _zeros(step.ans[1])


def _picked(step: Step) -> Any:
    return step.numbers[0][step.values[1]]


def _embedded(step: Step) -> Any:
    return shapes.EMBED.function(step.numbers[0], **step.kwargs)


def _tied(step: Step) -> Any:
    """Share among equal entries of a row: among all of it where the values may change."""
    numbers = step.numbers[0]
    if not step.known(1):
        return np.broadcast_to(step.sets.joined(numbers, (numbers.ndim - 1,), keepdims=True), numbers.shape)
    return _among_equals(step, step.values[1])


def _sorted(step: Step) -> Any:
    """Share among equal entries of a sorted row at this point; at others, sorting has joined the whole row."""
    return _among_equals(step, step.values[0]) if step.local else step.numbers[0]


def _among_equals(step: Step, ordered: Any) -> Any:
    """Join the sets of equal neighbours along the last axis."""
    numbers, ordered = step.numbers[0], np.asarray(ordered)
    fresh = np.ones(ordered.shape, bool)
    fresh[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    runs = np.cumsum(fresh.ravel()) - 1
    found = step.sets.gathered(runs, np.ravel(numbers), (int(runs[-1]) + 1 if runs.size else 0,))
    return found[runs].reshape(numbers.shape)


def _axes_of_computed(step: Step, ndim: int) -> tuple[int, ...]:
    """Return the axes that are indexed by computed positions, which another point may change."""
    form = step.kwargs["form"]
    counted = sum(p is not None and p is not Ellipsis for p in form)
    axes, axis, given = [], 0, 1
    for part in form:
        if part is Ellipsis:
            axis += ndim - counted
        elif part is indexing.COMPUTED:
            if not step.known(given):
                axes.append(axis)
            given += 1
            axis += 1
        else:
            axis += part is not None
    return tuple(axes)


def _index(step: Step) -> tuple[Any, ...]:
    parts = iter(step.values[1:])
    return tuple([next(parts) if p is indexing.COMPUTED else p for p in step.kwargs["form"]])


def _taken(step: Step) -> Any:
    """Index by computed positions: along their axes any entry may be the one."""
    numbers = step.numbers[0]
    if numbers is None:
        return _zeros(step.ans)
    axes = _axes_of_computed(step, numbers.ndim)
    if axes:
        numbers = np.broadcast_to(step.sets.joined(numbers, axes, keepdims=True), numbers.shape)
    return np.asarray(numbers[_index(step)])


def _spread(step: Step) -> Any:
    numbers = step.numbers[0]
    if numbers is None:
        return _zeros(step.ans)
    shape = step.kwargs["shape"]
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)[_index(step)]
    found = step.sets.gathered(places, numbers, shape)
    axes = _axes_of_computed(step, len(shape))
    return np.broadcast_to(step.sets.joined(found, axes, keepdims=True), shape) if axes else found


def _scattered(step: Step) -> Any:
    """Gather what arrives at each place; a view of the places tells where a part of a view goes."""
    shape, indices, views = step.kwargs["shape"], step.kwargs["indices"], step.kwargs.get("views", ())
    among = step.kwargs.get("places", ()) or [0] * len(indices)
    wholes = [np.arange(math.prod(shape), dtype=np.int64).reshape(shape)]
    for origin, (view, args) in views:
        wholes.append(view(wholes[origin], *args))
    places, numbers = [], []
    for i in step.where:
        to = wholes[among[i]][indices[i]]
        places.append(np.ravel(to))
        numbers.append(np.ravel(np.broadcast_to(step.numbers[i], np.shape(to))))
    return step.sets.gathered(np.concatenate(places), np.concatenate(numbers), shape)


# --- Reductions and scans


def _reduced(step: Step) -> Any:
    numbers, axis = step.numbers[0], step.kwargs.get("axis")
    if step.local and step.primitive not in _UNWEIGHTED:
        numbers = step.weighted()
    axes = axes_of(tuple(axis) if isinstance(axis, list) else axis, numbers.ndim)
    return step.sets.joined(numbers, axes, step.kwargs.get("keepdims", False)).reshape(np.shape(step.ans))


_UNWEIGHTED = frozenset({reductions.SUM, reductions.MEAN})


def _log_sum(step: Step) -> Any:
    numbers = step.numbers[0]
    return step.sets.joined(numbers, axes_of(step.values[1], numbers.ndim)).reshape(np.shape(step.ans))


def _along(position: int) -> Rule:
    """Make the rule of a function along an axis, the argument ``position``, whose entries all depend on each other."""

    def rule(step: Step) -> Any:
        numbers = step.numbers[0]
        axes = axes_of(step.values[position], numbers.ndim)
        return np.broadcast_to(step.sets.joined(numbers, axes, keepdims=True), np.shape(step.ans))

    return rule


def _running(step: Step) -> Any:
    return step.sets.running(step.numbers[0], step.values[1])


def _recurred(step: Step) -> Any:
    """Follow ``y_k = b_k + x_k y_(k-1)``: the first factor multiplies nothing."""
    x, b = (_zeros(step.ans) if n is None else np.broadcast_to(n, step.ans.shape) for n in step.numbers)
    x = np.concatenate((np.zeros_like(x[..., :1]), x[..., 1:]), axis=-1)
    return step.sets.running(step.sets.union(x, b), -1)


def _excluded(step: Step) -> Any:
    """Join all entries but one: those before it and those after it."""
    shape = np.shape(step.ans)
    own = _zeros(step.ans)
    for i in step.where:
        own = step.sets.union(own, np.broadcast_to(step.numbers[i], shape))
    axes = axes_of(step.kwargs.get("axis"), len(shape))
    rest = [i for i in range(len(shape)) if i not in axes]
    moved = own.transpose((*rest, *axes)).reshape((-1, math.prod([shape[i] for i in axes])))
    none = np.zeros((len(moved), 1), np.int64)
    before = np.concatenate((none, step.sets.running(moved, 1)[:, :-1]), axis=1)
    after = np.concatenate((none, step.sets.running(moved[:, ::-1], 1)[:, :-1]), axis=1)[:, ::-1]
    found = step.sets.union(before, after).reshape([shape[i] for i in (*rest, *axes)])
    return found.transpose(np.argsort((*rest, *axes)).astype(int))


# --- Matrices


def _of_matrices(step: Step) -> Any:
    """Join the last two axes of each argument, so that each matrix of a batch depends on its own entries alone."""
    batch: tuple[int, ...] = np.shape(step.values[0])[:-2]
    found = np.zeros(batch, np.int64)
    for i in step.where:
        numbers = step.numbers[i]
        axes = tuple(range(len(batch), numbers.ndim)) if numbers.ndim >= len(batch) else tuple(range(numbers.ndim))
        if numbers.shape[: len(batch)] != batch:
            return _everything(step)
        found = step.sets.union(found, step.sets.joined(numbers, axes))

    def spread(part: Any) -> Any:
        shape = np.shape(part)
        if shape[: len(batch)] != batch:
            return np.full(shape, step.all(), np.int64)
        return np.broadcast_to(found.reshape((*batch, *[1] * (len(shape) - len(batch)))), shape)

    return tuple(map(spread, step.ans)) if isinstance(step.ans, tuple) else spread(step.ans)


def _solved(step: Step) -> Any:
    """Let each column of a solution depend on the matrix and on the same column of the right-hand side."""
    a, b = step.values[:2]
    batch = np.broadcast_shapes(np.shape(a)[:-2], np.shape(b)[:-2] if np.ndim(b) > 1 else ())
    found = np.zeros(np.shape(step.ans), np.int64)
    if step.numbers[0] is not None:
        matrix = step.sets.joined(step.numbers[0], (np.ndim(a) - 2, np.ndim(a) - 1))
        ones = (1,) * (found.ndim - len(batch))
        found = step.sets.union(found, matrix.reshape((*matrix.shape, *ones)))
    if step.numbers[1] is not None:
        rows = 0 if np.ndim(b) == 1 else np.ndim(b) - 2
        found = step.sets.union(found, step.sets.joined(step.numbers[1], (rows,), keepdims=True))
    return found


def _rows() -> Mapping[Primitive, Rule]:
    kinds: list[tuple[Rule, tuple[Any, ...]]] = [
        (_chosen, (elementwise.WHERE,)),
        (
            _moved,
            (
                *(shapes.RESHAPE, shapes.TRANSPOSE, shapes.BROADCAST, shapes.FLIP, shapes.ROLL, shapes.TRIL),
                *(shapes.TRIU, shapes.DIAGONAL, indexing.GETITEM),
            ),
        ),
        (_embedded, (shapes.EMBED,)),
        (_joined, (joining.CONCATENATE, joining.STACK)),
        (_itself, (shapes.ASTYPE, elementwise.REAL, elementwise.IMAG)),
        (_first_part, (elementwise.UFUNCS[np.frexp], elementwise.UFUNCS[np.modf])),
        (_picked, (PICK,)),
        (_tied, (order.AVERAGE_TIES,)),
        (_sorted, (order.SHARED,)),
        (_taken, (indexing.GATHER,)),
        (_spread, (indexing.SPREAD,)),
        (_scattered, (scatter.SCATTER,)),
        (
            _reduced,
            (
                *(reductions.SUM, reductions.MEAN, reductions.PROD, norms.NORM),
                *(extremes.MAX, extremes.MIN, extremes.NANMAX, extremes.NANMIN),
            ),
        ),
        (_log_sum, (softmax.LOGSUMEXP,)),
        (_along(1), (softmax.WEIGHTS, softmax.LOG_SOFTMAX)),
        (_along(2), (fft.FFT, fft.IFFT, fft.RFFT, fft.IRFFT)),
        (_running, (reductions.CUMSUM, reductions.CUMPROD)),
        (_recurred, (exclusive.RECURRENCE,)),
        (_excluded, (exclusive.EXCLUSIVE,)),
        (matrix_product, (products.MATMUL,)),
        (einsum_product, (einsum.EINSUM,)),
        (convolved, (convolution.CONVOLVE,)),
        (_solved, (linalg.SOLVE, linalg.LSTSQ)),
        (
            _of_matrices,
            (
                *(linalg.INV, linalg.COFACTORS, linalg.DET, linalg.SLOGDET, linalg.PINV),
                *(svd.SVD, decompositions.CHOLESKY, decompositions.QR, eigen.EIGH, eigen.EIG),
            ),
        ),
    ]
    return {primitive: rule for rule, primitives in kinds for primitive in primitives}


_RULES: Mapping[Primitive, Rule] = MappingProxyType(_rows())
