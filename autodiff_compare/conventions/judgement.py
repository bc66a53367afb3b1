"""Classification of an observation, with the numbers it rests on.

The rules, in this order:

1. No function or no derivative rule: ``not_available``. Another exception: ``error`` if the case allows it, else
   ``defect``.
2. Nothing is right in this case: ``undefined``.
3. The answer has another shape or dtype than its input: ``defect``. The answer is nan where the chain rule cannot find
   the derivative (`Case.lost`): ``undefined``.
4. The forward value is wrong: ``value_differs`` if the derivative fits the backend's own function or cannot be judged,
   else ``defect``.
5. The derivative exists: ``agree`` within the tolerance, else ``defect``.
6. A kink: ``convention`` if the answer lies in the convex hull of the one-sided derivatives, else ``defect``. For a
   function of one variable the hull is the interval ``[min(D-, D+), max(D-, D+)]``, in general it is Clarke's
   subdifferential (`autodiff_compare.judge.singular.slopes`).

One-sided derivatives are measured on the backend's own function, so no other backend takes part in the verdict: a
majority of backends can be wrong.

Tolerances. Atlas cases ask which derivative a backend returns, not how accurate it is, so half of the digits decide:
``sqrt(eps)`` times the size of the derivative, plus three error bars of the measurement.
"""

from __future__ import annotations

import ast
import enum
import functools
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from autodiff_compare.conventions.observation import Observation
from autodiff_compare.judge.singular import hull
from autodiff_compare.problems import Array
from autodiff_compare.problems.conventions import CASES, DEFINITIONS, Case, Kink, Undefined, Value


class Class(enum.StrEnum):
    """Class of a backend's answer to a case."""

    #: The derivative exists, and the answer is equal to it.
    AGREE = "agree"
    #: The derivative does not exist, and the answer is in the hull of the one-sided derivatives.
    CONVENTION = "convention"
    #: The function's value differs; the derivative fits the backend's own function, or cannot be judged.
    VALUE = "value_differs"
    #: Outside the hull; nan or another number where the derivative exists; an exception that nothing excuses.
    DEFECT = "defect"
    #: No answer is right in this case, or the answer is nan where the chain rule loses the derivative.
    UNDEFINED = "undefined"
    #: The backend raises an exception, which the case allows.
    ERROR = "error"
    #: The backend has no such function, or no derivative rule for it.
    NOT_AVAILABLE = "not_available"


@dataclass(frozen=True)
class Judgement:
    """Class of an answer with its evidence.

    Parameters
    ----------
    classed
        The class.
    value_expected, value_agrees
        Right value of the function (nan if unknown), and whether the backend's value agrees with it.
    low, high
        Per entry of the derivative: the measured range of the hull, from the left and right derivative where one
        variable is moved, from gradients nearby where several are.
    distance
        Distance of the answer from the right derivative or from the hull; nan where neither applies.
    tolerance
        Largest distance that counts as zero.
    reason
        In words, where the class alone does not say it.
    """

    classed: Class
    value_expected: float
    value_agrees: bool
    low: Array
    high: Array
    distance: float
    tolerance: float
    reason: str


def judge(case: Case, seen: Observation, dtype: str) -> Judgement:
    """Classify the observation of one backend in a case, by the rules above."""
    expected = expected_value(case.name, dtype)
    agrees = _same_value(case, seen, expected, dtype)
    points, bar = _points(case, seen)
    # Without gradients nearby only the sides of each coordinate are known: each entry may come from its own side.
    apart = functools.partial(hull.distance, points, seen.obtained, box=not seen.hull.size)
    low, high = _range(points, seen.obtained.size)
    half = float(np.sqrt(np.finfo(dtype).eps))

    def classed(as_what: Class, reason: str = "", distance: float = np.nan, tolerance: float = np.nan) -> Judgement:
        known = np.nan if expected is None else expected
        return Judgement(as_what, known, agrees, low, high, distance, tolerance, reason)

    if seen.status == "not_available":
        return classed(Class.NOT_AVAILABLE)
    if seen.status == "raised":
        excused = isinstance(case.right, Undefined) or bool(case.refusal)
        reason = case.refusal if excused else "raises an exception where a right answer exists"
        return classed(Class.ERROR if excused else Class.DEFECT, reason)
    if isinstance(case.right, Undefined):
        return classed(Class.UNDEFINED, case.right.reason)
    if seen.remark:
        return classed(Class.DEFECT, seen.remark)
    if case.lost and np.isnan(seen.obtained).any():
        return classed(Class.UNDEFINED, case.lost)
    if not agrees:
        far, tolerance = apart(), _tolerance(points, bar, half)
        if not _known(points):
            return classed(Class.VALUE, "", far, tolerance)
        if far <= tolerance:
            return classed(Class.VALUE, "the derivative fits the backend's own function", far, tolerance)
        return classed(Class.DEFECT, "the derivative does not fit the backend's own function", far, tolerance)
    if isinstance(case.right, Value):
        far, tolerance = _error(case, seen.obtained, half, dtype)
        return classed(Class.AGREE if far <= tolerance else Class.DEFECT, "", far, tolerance)
    if not _known(points):
        return classed(Class.UNDEFINED, "the one-sided derivatives cannot be measured")
    far, tolerance = apart(), _tolerance(points, bar, half)
    return classed(Class.CONVENTION if far <= tolerance else Class.DEFECT, "", far, tolerance)


@functools.lru_cache(maxsize=2048)
def expected_value(name: str, dtype: str) -> float | None:
    """Return the value of a case by NumPy and the definitions; `None` if there is none or the case asks for none."""
    case = CASES[name]
    if case.value is not None:
        return float(case.value)
    if case.operator in ("answer", "second"):
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = numpy_function(case)(*case.inputs(dtype), *case.constants(dtype))
        except Exception:  # no value at this point (an index, a singular inverse), or no such function in NumPy
            return None
    return float(np.real(found)) if np.ndim(found) == 0 else None


def numpy_function(case: Case) -> Any:
    """Return the function of a case on plain NumPy."""
    return eval(f"lambda {', '.join(case.names)}: {case.f}", {"xp": _plain()})


def _names(expressions: Iterable[str]) -> set[str]:
    """Return the first part of every ``xp.name``."""
    return {
        node.attr
        for text in expressions
        for node in ast.walk(ast.parse(text, mode="eval"))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "xp"
    }


@functools.cache
def _plain() -> SimpleNamespace:
    """Return a namespace with the names that cases use, from NumPy and the definitions."""
    used = _names(case.f for case in CASES.values())
    found: dict[str, Any] = {name: getattr(np, name) for name in used if hasattr(np, name)}
    found |= DEFINITIONS
    found["sort"] = lambda x, descending=False: np.flip(np.sort(x)) if descending else np.sort(x)
    return SimpleNamespace(**found)


def _same_value(case: Case, seen: Observation, expected: float | None, dtype: str) -> bool:
    """Compare the backend's value with the expected one, to half of the digits of the coarsest input."""
    if not seen.value.size or expected is None:
        return True
    value = float(seen.value[0])
    if np.isnan(expected) or np.isinf(expected) or not np.isfinite(value):
        return bool(np.isnan(expected) and np.isnan(value)) or expected == value
    scale = max((float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in _floats(case, dtype)), default=0.0) or 1.0
    tolerance = float(np.sqrt(np.finfo(_coarsest(case, dtype)).eps))
    return bool(abs(value - expected) <= tolerance * max(abs(expected), min(scale, 1.0)))


def _floats(case: Case, dtype: str) -> list[Array]:
    return [x for x in case.inputs(dtype) if x.dtype.kind in "fc"]


def _coarsest(case: Case, dtype: str) -> Any:
    kinds = [np.finfo(x.dtype) for x in _floats(case, dtype)]
    return max((k.eps, k.dtype) for k in kinds)[1] if kinds else dtype


def _points(case: Case, seen: Observation) -> tuple[Array, float]:
    """Return the measured corners of the hull, (points, entries), and the widest error bar."""
    if seen.hull.size:
        points, bars = seen.hull, seen.hull_bar
        if case.operator == "jvp":
            tangent = np.arange(1, points.shape[1] + 1)
            points, bars = _along(points, tangent), bars @ tangent[:, None]
        return points, float(np.max(bars, initial=0.0))
    points = np.stack([seen.left, seen.right]) if seen.left.size else np.zeros((0, seen.obtained.size))
    bar = float(np.max(seen.bar, initial=0.0))
    if case.operator == "jvp" and points.size:
        points = _along(points, np.arange(1, points.shape[1] + 1))
    if len(points) and points.shape[1] > 1:
        # A side that cannot be measured, such as one outside the domain, leaves the other to count for both.
        points = np.stack([np.fmin(*points), np.fmax(*points)])
    return points, bar


def _along(points: Array, tangent: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray((points * tangent).sum(axis=1, keepdims=True))


def _known(points: Array) -> bool:
    return bool(len(points)) and bool((~np.isnan(points).any(axis=1)).any())


def _range(points: Array, n: int) -> tuple[Array, Array]:
    good = points[~np.isnan(points).any(axis=1)] if points.size else points
    if not len(good):
        return np.full(n, np.nan), np.full(n, np.nan)
    return good.min(axis=0), good.max(axis=0)


def _tolerance(points: Array, bar: float, half: float) -> float:
    finite = np.abs(points[np.isfinite(points)])
    return float(half * (finite.max(initial=0.0) or 1.0) + 3 * bar)


def _error(case: Case, got: Array, half: float, dtype: str) -> tuple[float, float]:
    """Return the largest difference to the right derivative, and its tolerance."""
    assert isinstance(case.right, Value)
    right = coordinates(case.right, case, dtype)
    if got.shape != right.shape:
        return float("inf"), 0.0
    size = float(np.abs(right[np.isfinite(right)]).max(initial=0.0))
    half = max(half, float(np.sqrt(np.finfo(_coarsest(case, dtype)).eps)))
    with np.errstate(invalid="ignore"):
        # inf - inf is nan, but equal infinities do not differ.
        far = np.where(got == right, 0.0, np.abs(got - right))
    return float(np.max(np.where(np.isnan(far), np.inf, far), initial=0.0)), half * (size or 1.0)


def coordinates(right: Value | Kink, case: Case, dtype: str) -> Array:
    """Return the right derivative in the coordinates of `slopes`: two for each complex entry."""
    array = right.array
    if isinstance(right, Value) and case.operator == "gradient" and any(np.iscomplexobj(x) for x in case.inputs(dtype)):
        return np.ravel(np.stack([np.real(array), np.imag(array)], axis=-1))
    return np.asarray(np.real(array), dtype=np.float64)
