"""When numbers are equal, and when numerical differences show a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autodiff_compare.judge import differences
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: Roundings by which equal results may differ.
ROUNDINGS = 64.0
EPS = float(np.finfo(np.float64).eps)
#: A bar above this part of a derivative decides nothing.
_NARROW = 1e-6


def flat(arrays: Sequence[Array]) -> Array:
    """Return the entries of all arrays in one row."""
    return np.concatenate([np.ravel(a) for a in arrays])


def inner(a: Sequence[Array], b: Sequence[Array]) -> Array:
    """Return the sum of the products of the entries of two lists of arrays."""
    return np.asarray(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def near(found: Array, expected: Array, tolerance: float) -> bool:
    """Return whether entries are equal up to a part of themselves or of the root mean square of all."""
    if not expected.size:
        return found.shape == expected.shape
    size = np.maximum(np.abs(expected), np.sqrt(np.mean(np.square(expected))))
    return bool(np.all(np.abs(found - expected) <= tolerance * size))


def shown(seen: differences.Estimates, found: Array) -> bool:
    """Return whether estimates are narrow, and are what was found."""
    narrow = (seen.bar <= _NARROW * np.abs(seen.derivative)) | ((seen.derivative == 0) & (found == 0))
    passed = [verdict == Verdict.PASS for verdict in seen.verdicts]
    slack = 3 * seen.bar + ROUNDINGS * EPS * np.abs(found)
    return bool(np.all(passed) and np.all(narrow) and np.all(np.abs(seen.derivative - found) <= slack))
