"""Index sets of sums of products: unions over the summed indices, where no known factor is zero."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.dependence.step import Step

#: Entries of the product of all index ranges up to which zeros of constant factors are looked at.
_LARGEST_TABLE = 10_000_000


def matrix_product(step: Step) -> Any:
    """Write a matrix product as an einsum."""
    a, b = (np.ndim(x) for x in step.values)
    lead = "abcdefgh"[: max(a, b, 2) - 2]
    first = "k" if a == 1 else lead[len(lead) - (a - 2) :] + "ik"
    second = "k" if b == 1 else lead[len(lead) - (b - 2) :] + "kj"
    output = (lead if max(a, b) > 2 else "") + ("i" if a > 1 else "") + ("j" if b > 1 else "")
    return _contracted(step, [first, second], output)


def einsum_product(step: Step) -> Any:
    terms, output = step.kwargs["subscripts"].split("->")
    return _contracted(step, terms.split(","), output)


def _contracted(step: Step, terms: list[str], output: str) -> Any:
    """Join over the summed indices of a sum of products, where no known factor is zero."""
    lengths: dict[str, int] = {}
    for term, x in zip(terms, step.values, strict=True):
        for letter, n in zip(term, np.shape(x), strict=True):
            lengths[letter] = max(n, lengths.get(letter, 1))
    shape = np.shape(step.ans)
    found = np.zeros(shape, np.int64)
    for i in step.where:
        letters, numbers = _without_repeats(terms[i], step.numbers[i])
        masks = [
            _without_repeats(terms[k], np.not_equal(x, 0))
            for k, x in enumerate(step.values)
            if k != i and step.known(k) and np.any(np.equal(x, 0))
        ]
        whole = "".join(dict.fromkeys(letters + "".join(term for term, _ in masks)))
        if masks and math.prod(lengths[c] for c in whole) <= _LARGEST_TABLE:
            mask = math.prod([_aligned(m, term, whole) for term, m in masks], start=True)
            letters, numbers = whole, np.where(mask, _aligned(numbers, letters, whole), 0)
        summed = tuple(k for k, c in enumerate(letters) if c not in output)
        kept = "".join(c for c in letters if c in output)
        numbers = _aligned(step.sets.joined(numbers, summed), kept, output)
        found = step.sets.union(found, np.broadcast_to(numbers, shape))
    return found


def _without_repeats(term: str, x: Any) -> tuple[str, Any]:
    """Return the diagonal of axes that have the same letter."""
    letters = "".join(dict.fromkeys(term))
    return letters, np.einsum(f"{term}->{letters}", x) if letters != term else np.asarray(x)


def _aligned(x: Any, have: str, want: str) -> Any:
    """Transpose an array with the axes ``have`` to the order of ``want``; missing ones have length 1."""
    x = np.transpose(x, [have.index(c) for c in want if c in have])
    sizes = iter(x.shape)
    return x.reshape([next(sizes) if c in have else 1 for c in want])


def convolved(step: Step) -> Any:
    a, v, mode = step.values
    n, m = len(a), len(v)
    if n * m > _LARGEST_TABLE:
        return np.full(np.shape(step.ans), step.all(), np.int64)
    places = np.add.outer(np.arange(n), np.arange(m))
    found = np.zeros(n + m - 1, np.int64)
    for i, other in ((0, v), (1, a)):
        if step.numbers[i] is not None:
            mask = np.not_equal(other, 0) if step.known(1 - i) else np.ones(len(other), bool)
            # The first argument runs along the rows of the table, the second along its columns.
            numbers = step.numbers[i][:, None] * mask if i == 0 else mask[:, None] * step.numbers[i]
            found = step.sets.union(found, step.sets.gathered(places, numbers, found.shape))
    start, length = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}[mode]
    return found[start : start + length]
