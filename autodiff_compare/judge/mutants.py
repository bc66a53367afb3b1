"""The judge on trial: wrong results that must be rejected, right ones that must not, and known derivatives.

A control alters one leaf of a right result. It must be rejected unless, as compared, it equals the right result within
rounding: a symmetric matrix transposed, a number with nothing to swap, an entry that float32 holds exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.judge import differences
from autodiff_compare.judge import judge as check
from autodiff_compare.judge.comparison import compared, norm
from autodiff_compare.judge.reference import Reference
from autodiff_compare.plan.cases import Case, build_case
from autodiff_compare.problems import Array, Problem
from autodiff_compare.vocabulary import Operator, Status, Verdict

#: From a right leaf and a random stream to a wrong one; `None` where the control does not apply.
Alter = Callable[[Array, np.random.Generator], Array | None]

#: The name under which right results are judged.
RIGHT = "right result"
_NUMERICAL = Reference(("numerical_difference",), None)


@dataclass(frozen=True)
class Trial:
    """How one control fared on one (problem, dtype, operator).

    Parameters
    ----------
    tried, exempt, rejected
        Leaves altered; of these, equal to the right result within rounding; and of the others, rejected. For
        `RIGHT` the result is judged once as it is.
    note
        Why something was not tried, or what was accepted.
    """

    problem: str
    dtype: str
    operator: Operator
    control: str
    tried: int
    exempt: int
    rejected: int
    note: str = ""

    @property
    def as_it_should(self) -> bool:
        """Every wrong result rejected, or the right one accepted."""
        return self.rejected == (0 if self.control == RIGHT else self.tried - self.exempt)


@dataclass(frozen=True)
class LadderTrial:
    """How numerical differences fared on one function with a known derivative; errors are relative to it."""

    function: str
    kind: str
    x: float
    verdict: Verdict
    error: float
    bar: float
    covered: bool


def selftest(
    problems: Iterable[Problem], dtypes: Sequence[str] = ("float64",), seed: int = 0, *, numerically: bool = False
) -> Iterator[Trial]:
    """Every control on every problem and operator.

    Parameters
    ----------
    problems
        What the judge is tried on, at size small, or the first they have.
    dtypes
        float64, float32 or both.
    seed
        Of inputs, directions and of the entries that are altered.
    numerically
        Judge by numerical differences even where there is a better reference (operators other than ``value``).
    """
    for problem in problems:
        for dtype in dtypes:
            for operator in operators(problem):
                if not (numerically and operator == Operator.VALUE):
                    yield from _trials(build_case(problem, problem.smallest, dtype, operator, seed), numerically)


def operators(problem: Problem) -> tuple[Operator, ...]:
    """What is judged of a problem: its operators, and a step where it has a descent."""
    known = problem.operators | ({Operator.STEP} if problem.descent else set())
    return tuple(operator for operator in Operator if operator in known)


def ladder(draws: int = 10, seed: int = 0) -> Iterator[LadderTrial]:
    """Numerical differences of `FUNCTIONS` at their points and, away from kinks, at ``draws`` random ones for each."""
    rng = np.random.default_rng(seed)
    for f in FUNCTIONS:
        for x in f.points:
            yield _ladder_trial(f, x)
            if f.kind != "kink":
                # Between half of the point and the point: within the domain of every function.
                yield from (_ladder_trial(f, float(x * c)) for c in rng.uniform(0.5, 1.0, draws))


def _trials(case: Case, numerically: bool) -> Iterator[Trial]:
    key = (case.problem.name, case.dtype, case.operator)
    best = check.Judge(case)
    if best.reference.arrays is None:
        yield Trial(*key, RIGHT, 0, 0, 0, f"no right result to alter; {best.reference.note}")
        return
    right = tuple(np.asarray(a).astype(case.dtype) for a in best.reference.arrays)
    judge = check.Judge(case, _NUMERICAL) if numerically else best
    status, why = check.overall(judge(right))
    yield Trial(*key, RIGHT, 1, 0, int(status != Status.OK), why)
    rng = np.random.default_rng(case.seed)
    for name, alter in CONTROLS.items():
        wrong = [w for k in range(len(right)) for w in [_altered(case, right, k, alter, rng)] if w is not None]
        different = [w for w in wrong if not _equal_within_rounding(case, w, right, judge.K)]
        accepted = sum(check.overall(judge(w))[0] == Status.OK for w in different)
        note = f"{accepted} accepted" if accepted else "" if wrong else "does not apply"
        yield Trial(*key, name, len(wrong), len(wrong) - len(different), len(different) - accepted, note)


def _altered(
    case: Case, right: Sequence[Array], k: int, alter: Alter, rng: np.random.Generator
) -> tuple[Array, ...] | None:
    """The right result with leaf ``k`` altered; of a step, the update."""
    old = case.inputs.differentiated[k].astype(case.dtype) if case.operator == Operator.STEP else None
    leaf = alter(right[k] if old is None else right[k] - old, rng)
    if leaf is None:
        return None
    if old is not None:
        leaf = old + leaf if leaf.shape == old.shape else leaf
    return (*right[:k], np.asarray(leaf, dtype=case.dtype), *right[k + 1 :])


def _equal_within_rounding(case: Case, wrong: Sequence[Array], right: Sequence[Array], K: int) -> bool:
    if [w.shape for w in wrong] != [r.shape for r in right]:
        return False
    eps = float(np.finfo(case.dtype).eps)
    limits = [10 * math.sqrt(K) * eps * norm(r) for r in compared(case, right)]
    if case.operator == Operator.STEP:  # both results were rounded beside the parameters
        limits = [v + 2 * eps * norm(p) for v, p in zip(limits, case.inputs.differentiated, strict=True)]
    pairs = zip(compared(case, wrong), compared(case, right), limits, strict=True)
    with np.errstate(invalid="ignore"):
        return all(norm(w - r) <= limit for w, r, limit in pairs)


def _zeros(a: Array, _: np.random.Generator) -> Array:
    return np.zeros_like(a)


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


#: Control -> how it alters a leaf.
CONTROLS: dict[str, Alter] = {
    "zeros": _zeros,
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
    """A random entry that matters in its dtype: at least a thousandth of the largest, in float32 half of it."""
    size = np.abs(np.ravel(a))
    part = 0.5 if a.dtype == np.float32 else 1e-3
    there = np.flatnonzero((size > 0) & (size >= part * size.max(initial=0.0)))
    return int(rng.choice(there)) if there.size else None


def _times(a: Array, index: int | None, factor: float) -> Array | None:
    if index is None:
        return None
    flat = np.ravel(a).copy()
    flat[index] = flat[index] * factor
    return flat.reshape(a.shape)


@dataclass(frozen=True)
class Known:
    """A function of one variable with its derivative by the rules of calculus; at a kink, with both one-sided ones."""

    name: str
    kind: str
    f: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    points: tuple[float, ...]
    left: float = math.nan
    right: float = math.nan


def _noisy(x: Any) -> Any:
    return np.sin(x) + 1e-8 * np.sin(1e9 * x + 1e8 * x * x)


#: Functions with known derivatives: smooth, oscillating, noisy, with a domain that ends nearby, and with kinks.
FUNCTIONS = (
    Known("sin x", "smooth", np.sin, np.cos, (0.3, 1.0, 5.0)),
    Known("exp x", "smooth", np.exp, np.exp, (0.0, 1.0, -2.0, 20.0)),
    Known("x^3", "smooth", lambda x: x**3, lambda x: 3 * x**2, (1.0, -2.0, 1e-3, 1e5)),
    Known("1/(1+e^-x)", "smooth", lambda x: 1 / (1 + np.exp(-x)), lambda x: 0.25 / np.cosh(x / 2) ** 2, (0.0, 5.0)),
    Known("sin x / x", "smooth", lambda x: np.sin(x) / x, lambda x: (np.cos(x) - np.sin(x) / x) / x, (0.5, 4.0)),
    Known("1e8 + sin x", "smooth", lambda x: 1e8 + np.sin(x), np.cos, (1.0, 2.0)),
    Known("(1+x)^2 - 2x - 1", "smooth", lambda x: (1 + x) ** 2 - 2 * x - 1, lambda x: 2 * x, (1e-3, 0.5)),
    Known("sin 10x", "oscillating", lambda x: np.sin(10 * x), lambda x: 10 * np.cos(10 * x), (0.3, 1.0, 5.0)),
    Known("sin 1000x", "oscillating", lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x), (0.3, 1.0)),
    Known(
        "x + sin(50x)/50", "oscillating", lambda x: x + np.sin(50 * x) / 50, lambda x: 1 + np.cos(50 * x), (0.3, 2.0)
    ),
    Known("log x", "narrow domain", np.log, lambda x: 1 / x, (1e-8, 1e-3, 1.0)),
    Known("sqrt x", "narrow domain", np.sqrt, lambda x: 0.5 / np.sqrt(x), (1e-6, 2.0)),
    Known("arcsin x", "narrow domain", np.arcsin, lambda x: 1 / np.sqrt(1 - x * x), (0.5, 0.999)),
    Known("1/x", "narrow domain", lambda x: 1 / x, lambda x: -1 / x**2, (1e-3, 1.0, -2.0)),
    Known("sin x + 1e-8 sin(1e9 x + 1e8 x^2)", "noisy", _noisy, np.cos, (1.0, 0.3)),
    Known("x rounded to 1e-6", "noisy", lambda x: np.round(x, 6), lambda x: 1 + 0 * x, (0.3, 2.0)),
    Known("float32(sin x)", "noisy", lambda x: np.sin(x).astype(np.float32).astype(float), np.cos, (0.3, 1.0)),
    Known("|x| away from 0", "smooth", np.abs, np.sign, (1e-3, 1.0, -1e-5)),
    Known("|x|", "kink", np.abs, np.sign, (0.0,), -1.0, 1.0),
    Known("max(x, 0) + x", "kink", lambda x: np.maximum(x, 0.0) + x, np.sign, (0.0,), 1.0, 2.0),
    Known("|x-1| + x^2", "kink", lambda x: np.abs(x - 1) + x * x, np.sign, (1.0,), 1.0, 3.0),
    Known("exp |x|", "kink", lambda x: np.exp(np.abs(x)), np.sign, (0.0,), -1.0, 1.0),
)


def _ladder_trial(known: Known, x: float) -> LadderTrial:
    point = np.array([x])
    length = float(differences.scales(point)[0])
    found = differences.first(known.f, point, np.array([length]), np.ones((1, 1)))
    verdict = found.verdicts[0]
    if known.kind == "kink":
        low, high = found.low[0] / length, found.high[0] / length
        size = known.right - known.left
        covered = bool(low <= known.left and known.right <= high)
        error, bar = max(abs(low - known.left), abs(high - known.right)) / size, (high - low - size) / size
        return LadderTrial(known.name, known.kind, x, verdict, float(error), float(bar), covered)
    true = float(known.derivative(x))
    error, bar = abs(found.derivative[0] / length - true), found.bar[0] / length
    covered = bool(error <= bar) and verdict == Verdict.PASS
    return LadderTrial(known.name, known.kind, x, verdict, float(error / abs(true)), float(bar / abs(true)), covered)
