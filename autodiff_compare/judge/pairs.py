"""Backends against each other: a comparison that needs no reference."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.judge.comparison import compared, finite, joined, norm, normalised, same_infinite, shapes_in_words
from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Pair:
    """Difference between two backends; the fields are documented in ``autodiff_compare/results/rows.py`` (pairs)."""

    backend_a: str
    backend_b: str
    max_abs_difference: float
    norm_rel_difference: float
    difference_in_eps: float
    note: str


def pairwise(case: Case, results: Mapping[str, Sequence[Array]]) -> list[Pair]:
    """Every pair of backends, compared leaf by leaf as the judge compares; the largest difference of a leaf counts.

    Parameters
    ----------
    case
        What was computed.
    results
        ``backend[:variant]`` -> leaves of its result.
    """
    ready = {spec: [np.asarray(leaf) for leaf in result] for spec, result in results.items()}
    return [_pair(case, a, b, ready[a], ready[b]) for a, b in itertools.combinations(ready, 2)]


def _pair(case: Case, a: str, b: str, first: Sequence[Array], second: Sequence[Array]) -> Pair:
    shapes = [[leaf.shape for leaf in result] for result in (first, second)]
    if shapes[0] != shapes[1]:
        return Pair(a, b, math.nan, math.nan, math.nan, f"shapes differ: {' and '.join(map(shapes_in_words, shapes))}")
    absolute, relative = 0.0, 0.0
    for p, q in zip(compared(case, first), compared(case, second), strict=True):
        with np.errstate(invalid="ignore"):
            difference = np.abs(np.where(same_infinite(p, q), 0, p - q))
        scale = max(norm(finite(p)), norm(finite(q)))
        absolute = max(float(difference.max(initial=0.0)), absolute, key=_nan_last)
        relative = max(norm(difference) / (scale or 1.0), relative, key=_nan_last)
    step = "of the updates" if case.operator == Operator.STEP else ""
    return Pair(a, b, absolute, relative, relative / float(np.finfo(case.dtype).eps), joined(step, normalised(case)))


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
