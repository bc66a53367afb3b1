"""Pairwise differences of the backends' results: a comparison that needs no reference."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.judge import complex_numbers
from autodiff_compare.judge.comparison import (
    absolute_difference,
    compared,
    finite_or_zero,
    join_notes,
    layout,
    norm,
    normalisation,
    shapes_in_words,
)
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Pair:
    """The difference between two backends; `results.rows.PairRow` documents the fields."""

    backend_a: str
    backend_b: str
    max_abs_difference: float
    norm_rel_difference: float
    difference_in_eps: float
    note: str


def pairwise(case: Case, results: Mapping[str, Sequence[Array]]) -> list[Pair]:
    """Return the difference of every pair of backends: the largest among the leaves, compared as the judge does.

    Parameters
    ----------
    case
        The numbers of one (problem, size, dtype, operator).
    results
        ``backend[:variant]`` -> the leaves of its result.
    """
    arrays = {spec: [np.asarray(leaf) for leaf in result] for spec, result in results.items()}
    return [_pair(case, a, b, arrays[a], arrays[b]) for a, b in itertools.combinations(arrays, 2)]


def _pair(case: Case, a: str, b: str, first: Sequence[Array], second: Sequence[Array]) -> Pair:
    shapes = [[leaf.shape for leaf in result] for result in (first, second)]
    if shapes[0] != shapes[1]:
        return Pair(a, b, math.nan, math.nan, math.nan, f"shapes differ: {' and '.join(map(shapes_in_words, shapes))}")
    if complex_numbers.is_complex(case):
        expected = [leaf.shape for leaf in layout(case)]
        if shapes[0] != expected:
            words = f"{shapes_in_words(shapes[0])}, expected {shapes_in_words(expected)}"
            return Pair(a, b, math.nan, math.nan, math.nan, f"got shapes {words}")
        first, second = (complex_numbers.result_in_pairs(case, result) for result in (first, second))
        case = complex_numbers.in_pairs(case)
    elif any(np.iscomplexobj(leaf) for leaf in (*first, *second)):
        return Pair(a, b, math.nan, math.nan, math.nan, "complex numbers, which are not compared")
    absolute, relative = 0.0, 0.0
    for p, q in zip(compared(case, first), compared(case, second), strict=True):
        difference = absolute_difference(p, q)
        scale = max(norm(finite_or_zero(p)), norm(finite_or_zero(q)))
        absolute = max(float(difference.max(initial=0.0)), absolute, key=_nan_is_largest)
        relative = max(norm(difference) / (scale or 1.0), relative, key=_nan_is_largest)
    note = join_notes("of the updates" if case.operator == Operator.STEP else "", normalisation(case))
    return Pair(a, b, absolute, relative, relative / limits(case.dtype).eps, note)


def _nan_is_largest(value: float) -> float:
    return math.inf if math.isnan(value) else value
