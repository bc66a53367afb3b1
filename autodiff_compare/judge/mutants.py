"""Mutation tests of the judge: altered results that it must reject.

A mutation alters one leaf of a right result. The mutant must be rejected unless it is equivalent: equal to the right
result within rounding, as compared. A transposed symmetric matrix is equivalent, and so is an entry that float32 holds
exactly. The right result itself must be accepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.judge.comparison import compared, norm
from autodiff_compare.judge.complex_numbers import in_pairs
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import Case, build_case
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems import Array, Problem
from autodiff_compare.vocabulary import Operator, Status

#: Returns a wrong leaf from a right one and a random stream; `None` where the mutation does not apply.
Mutation = Callable[[Array, np.random.Generator], Array | None]

#: Name of the unaltered result in the place of a mutation.
RIGHT = "right result"
#: Factor of ``sqrt(K) eps`` within which a mutant is equivalent. It is not the judge's `SAFETY`: a judge that becomes
#: more lenient must not excuse mutants by that.
_EQUIVALENT = 10.0


@dataclass(frozen=True)
class Trial:
    """The verdicts on the mutants of one mutation, for one (problem, dtype, operator).

    Parameters
    ----------
    mutation
        Name in `MUTATIONS`; for `RIGHT` the result is judged once, unaltered.
    tried
        Number of mutants: leaves that were altered.
    equivalent
        Number of mutants that equal the right result within rounding.
    rejected
        Number of the other mutants that the judge rejected.
    note
        Why nothing was tried, or how many mutants were accepted.
    """

    problem: str
    dtype: str
    operator: Operator
    mutation: str
    tried: int
    equivalent: int
    rejected: int
    note: str = ""

    @property
    def passed(self) -> bool:
        """Return whether every mutant that is not equivalent was rejected; for `RIGHT`, whether it was accepted."""
        return self.rejected == (0 if self.mutation == RIGHT else self.tried - self.equivalent)


def selftest(
    problems: Iterable[Problem], dtypes: Sequence[str] = ("float64",), seed: int = 0, *, numerically: bool = False
) -> Iterator[Trial]:
    """Yield the trials of every mutation on every problem, dtype and operator.

    Parameters
    ----------
    problems
        The problems; each is taken at its smallest size.
    dtypes
        ``float64``, ``float32`` or both.
    seed
        Seed of the inputs, the directions and the entries that are altered.
    numerically
        Judge by numerical differences even where there is a better reference; the operator ``value`` is left out.
    """
    for problem in problems:
        for dtype in dtypes:
            for operator in operators(problem):
                if not (numerically and operator == Operator.VALUE):
                    case = in_pairs(build_case(problem, problem.smallest, dtype, operator, seed))
                    yield from _trials(case, numerically)


def operators(problem: Problem) -> tuple[Operator, ...]:
    """Return the operators of a problem that are judged: its own, and ``step`` if it has a descent."""
    known = problem.operators | ({Operator.STEP} if problem.descent else set())
    return tuple(operator for operator in Operator if operator in known)


def _trials(case: Case, numerically: bool) -> Iterator[Trial]:
    key = (case.problem.name, case.dtype, case.operator)
    best = Judge(case)
    if best.reference.arrays is None:
        yield Trial(*key, RIGHT, 0, 0, 0, f"no right result to alter; {best.reference.note}")
        return
    right = tuple(np.asarray(a).astype(case.dtype) for a in best.reference.arrays)
    judge = Judge(case, NUMERICAL) if numerically else best
    status, why = overall(judge(right))
    yield Trial(*key, RIGHT, 1, 0, int(status != Status.OK), why)
    rng = np.random.default_rng(case.seed)
    for name, mutate in MUTATIONS.items():
        found = (_mutant(case, right, k, mutate, rng) for k in range(len(right)))
        mutants = [mutant for mutant in found if mutant is not None]
        different = [m for m in mutants if not _equivalent(case, m, right, judge.K)]
        accepted = sum(overall(judge(m))[0] == Status.OK for m in different)
        note = f"{accepted} accepted" if accepted else "" if mutants else "does not apply"
        yield Trial(*key, name, len(mutants), len(mutants) - len(different), len(different) - accepted, note)


def _mutant(
    case: Case, right: Sequence[Array], k: int, mutate: Mutation, rng: np.random.Generator
) -> tuple[Array, ...] | None:
    """Return the right result with leaf ``k`` altered, or its update for a step; `None` if it does not apply."""
    old = case.inputs.differentiated[k].astype(case.dtype) if case.operator == Operator.STEP else None
    leaf = mutate(right[k] if old is None else right[k] - old, rng)
    if leaf is None:
        return None
    if old is not None:
        leaf = old + leaf if leaf.shape == old.shape else leaf
    return (*right[:k], np.asarray(leaf, dtype=case.dtype), *right[k + 1 :])


def _equivalent(case: Case, mutant: Sequence[Array], right: Sequence[Array], K: int) -> bool:
    """Return whether a mutant equals the right result within `_EQUIVALENT` ``sqrt(K) eps`` of each leaf's norm."""
    if [m.shape for m in mutant] != [r.shape for r in right]:
        return False
    eps = limits(case.dtype).eps
    bounds = [_EQUIVALENT * math.sqrt(K) * eps * norm(r) for r in compared(case, right)]
    if case.operator == Operator.STEP:
        # The update was added to the parameters and rounded, in both results.
        bounds = [v + 2 * eps * norm(p) for v, p in zip(bounds, case.inputs.differentiated, strict=True)]
    pairs = zip(compared(case, mutant), compared(case, right), bounds, strict=True)
    with np.errstate(invalid="ignore"):
        return all(norm(m - r) <= limit for m, r, limit in pairs)


def _zeros(a: Array, _: np.random.Generator) -> Array:
    return np.zeros_like(a)


def _negative(a: Array, _: np.random.Generator) -> Array:
    return np.asarray(-a)


def _one_entry_zero(a: Array, rng: np.random.Generator) -> Array | None:
    return _times(a, _entry(a, rng), 0.0)


def _flipped_sign(a: Array, rng: np.random.Generator) -> Array | None:
    return _times(a, _entry(a, rng), -1.0)


def _transposed(a: Array, _: np.random.Generator) -> Array | None:
    return np.swapaxes(a, -1, -2) if a.ndim >= 2 else None


def _one_entry_off(a: Array, rng: np.random.Generator) -> Array | None:
    return _times(a, _entry(a, rng), 1 + 1e-3)


def _all_entries_off(a: Array, _: np.random.Generator) -> Array:
    return np.asarray(a * a.dtype.type(1 + 1e-6))


def _two_swapped(a: Array, rng: np.random.Generator) -> Array | None:
    i = _entry(a, rng)
    flat = np.ravel(a).copy()
    if i is None:
        return None
    others = np.flatnonzero(np.abs(flat - flat[i]) > 1e-3 * np.abs(flat[i]))
    if not others.size:
        return None
    j = rng.choice(others)
    flat[[i, j]] = flat[[j, i]]
    return flat.reshape(a.shape)


def _nan_in_one_place(a: Array, rng: np.random.Generator) -> Array | None:
    return _times(a, int(rng.integers(a.size)) if a.size else None, math.nan)


def _infinity_in_one_place(a: Array, rng: np.random.Generator) -> Array | None:
    return _times(a, _entry(a, rng), math.inf)


def _in_float32(a: Array, _: np.random.Generator) -> Array | None:
    return a.astype(np.float32).astype(a.dtype) if a.dtype == np.float64 else None


#: Name -> mutation of a leaf.
MUTATIONS: dict[str, Mutation] = {
    "zeros": _zeros,
    "negative": _negative,
    "one entry zero": _one_entry_zero,
    "one sign flipped": _flipped_sign,
    "transposed": _transposed,
    "one entry off by 1e-3": _one_entry_off,
    "all entries off by 1e-6": _all_entries_off,
    "two entries swapped": _two_swapped,
    "nan in one place": _nan_in_one_place,
    "infinity in one place": _infinity_in_one_place,
    "float32 called float64": _in_float32,
}


def _entry(a: Array, rng: np.random.Generator) -> int | None:
    """Return the index of a random entry that is large enough for a change of it to show; `None` if all are zero.

    An entry is at least a thousandth of the largest. In float32, where the tolerance is wider, it is at least half of
    it.
    """
    size = np.abs(np.ravel(a))
    part = 0.5 if a.dtype == np.float32 else 1e-3
    large = np.flatnonzero((size > 0) & (size >= part * size.max(initial=0.0)))
    return int(rng.choice(large)) if large.size else None


def _times(a: Array, index: int | None, factor: float) -> Array | None:
    """Return the array with one entry multiplied by ``factor``; `None` without an index."""
    if index is None:
        return None
    flat = np.ravel(a).copy()
    flat[index] = flat[index] * factor
    return flat.reshape(a.shape)
