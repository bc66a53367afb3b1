"""The reference derivative of a case, from the best available source.

The sources, best first; their names stand in the column ``reference`` of the table of checks:

1. ``closed_form``: the problem's own derivative in ``np.longdouble``. ``closed_form (float64)`` where NumPy's linear
   algebra refuses the wider type, where ``longdouble`` is no wider on this machine, or where it would take seconds.
2. ``extended_precision``: for values the objective itself in ``np.longdouble``; for derivatives this project's NumPy
   engine on it. The engine is one of the systems under test, so its result counts only if numerical differences
   confirm it: their verdict must be ``pass``.
3. ``numerical_difference``: no arrays, only the observations of `autodiff_compare.judge.probe.Probe`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN
from autodiff_compare.judge.comparison import (
    WIDE,
    accumulation,
    allowed_rounding,
    compared,
    join_notes,
    layout,
    shapes_in_words,
)
from autodiff_compare.judge.composition import is_composite, parts_of, unseen_rows
from autodiff_compare.judge.probe import probe_of
from autodiff_compare.judge.rounding import engine
from autodiff_compare.plan.cases import Case, leaves
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems import Array, Inputs
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.vocabulary import PARTS, Operator, Verdict

_EPS64 = float(np.finfo(np.float64).eps)
#: Most input entries for longdouble: no BLAS supports it, and above this number matrix products take seconds.
_MOST_LONGDOUBLE_ENTRIES = 2**17
#: Number of random perturbations of the inputs; the largest effect counts.
_PERTURBATIONS = 2
#: Name of the source that has observations instead of arrays.
NUMERICAL_DIFFERENCE = "numerical_difference"

_Evaluate = Callable[[Inputs, Sequence[Array]], tuple[Array, ...]]


@dataclass(frozen=True)
class Reference:
    """The derivative with which the results of a case are compared.

    Parameters
    ----------
    names
        The source of each leaf.
    arrays
        One array for each leaf of the result; `None` where only numerical differences are available.
    changes
        Returns for each leaf the change of each entry when every input moves by one rounding of the case's dtype.
    eps
        Rounding unit of the arithmetic in which the reference was computed.
    note
        Remarks for the table of checks.
    """

    names: tuple[str, ...]
    arrays: tuple[Array, ...] | None
    changes: Callable[[], tuple[Array, ...]] = tuple
    eps: float = math.nan
    note: str = ""


#: The reference by numerical differences alone.
NUMERICAL = Reference((NUMERICAL_DIFFERENCE,), None)


def reference_for(case: Case, probe: Callable[[], Any] | None = None) -> Reference:
    """Return the best available reference of ``case``.

    Parameters
    ----------
    case
        The case to be judged.
    probe
        Returns the numerical differences of the case; by default they are computed anew.
    """
    if is_composite(case.operator):
        return joined(case, [reference_for(part.case) for part in parts_of(case)])
    note = ""
    try:
        closed = _closed_form(case)
    except Exception as error:  # a user's code may raise anything: the next best source serves, with a note
        closed, note = None, f"closed form failed: {type(error).__name__}: {error}; "
        if case.operator == Operator.VALUE:
            objective_alone = replace(case, problem=replace(case.problem, reference={}))
            closed = replace(_required(_closed_form(objective_alone)), note=note)
    if closed is not None:
        return closed
    engine = _engine(case, probe or (lambda: probe_of(case))) if case.operator != Operator.VALUE else None
    if engine is not None:
        return replace(engine, note=note + engine.note)
    return replace(NUMERICAL, note=note)


def joined(case: Case, parts: Sequence[Reference]) -> Reference:
    """Return the reference of a composite case: those of its parts side by side, or as the rows of a batch.

    It has arrays only if every part has, and every row is there.
    """
    note = join_notes(*dict.fromkeys(part.note for part in parts))
    arrays = [part.arrays for part in parts if part.arrays is not None]
    if len(arrays) < len(parts) or unseen_rows(case):
        return replace(NUMERICAL, note=note)

    def together(found: Sequence[tuple[Array, ...]]) -> tuple[Array, ...]:
        if case.operator in PARTS:
            return tuple(itertools.chain.from_iterable(found))
        return tuple(map(np.stack, zip(*found, strict=True)))

    names = parts[0].names if case.operator not in PARTS else tuple(n for part in parts for n in part.names)
    eps = max(part.eps for part in parts)
    return Reference(names, together(arrays), lambda: together([part.changes() for part in parts]), eps, note)


def _required(reference: Reference | None) -> Reference:
    assert reference is not None, "the objective always gives a value"
    return reference


def _closed_form(case: Case) -> Reference | None:
    form = complete(case.problem, case.inputs, case.optimizer, PLAIN).get(case.operator)
    if form is None:
        return None

    def evaluate(inputs: Inputs, directions: Sequence[Array]) -> tuple[Array, ...]:
        found = tuple(map(np.asarray, leaves(form(*inputs.arrays, *directions))))
        got, expected = [a.shape for a in found], [leaf.shape for leaf in layout(case)]
        if got != expected:
            raise ValueError(f"got {shapes_in_words(got)}, expected {shapes_in_words(expected)}")
        return found

    kinds = ["closed_form"] * len(evaluate(case.inputs, case.directions))
    if case.operator == Operator.VALUE and Operator.VALUE not in case.problem.reference:
        kinds[0] = f"backend:{case.problem.stand_in}" if case.problem.stand_in else "extended_precision"
    return _evaluated(case, evaluate, kinds)


def _engine(case: Case, probe: Callable[[], Any]) -> Reference | None:
    """Return the NumPy engine's result if numerical differences confirm it, else `None`."""

    try:
        backend = engine.opened(case.operator)
    except (ValueError, ImportError):
        return None

    def evaluate(inputs: Inputs, directions: Sequence[Array]) -> tuple[Array, ...]:
        arrays, given = ([backend.to_var(a) for a in group] for group in (inputs.arrays, directions))
        return tuple(backend.to_numpy(leaf) for leaf in engine.derivative(backend, case, arrays, given))

    try:
        found = _evaluated(case, evaluate, None)
    except Exception:
        return None
    assert found.arrays is not None
    derivative = compared(case, found.arrays)
    if not all(np.isfinite(a).all() for a in derivative):
        return None
    seen = probe().check(derivative, allowed_rounding(case, derivative, _EPS64, accumulation(case)), again=True)
    if seen.verdict != Verdict.PASS:
        return None
    return replace(found, note=join_notes("confirmed by numerical differences", seen.blind_spot))


def _evaluated(case: Case, evaluate: _Evaluate, kinds: Sequence[str] | None) -> Reference:
    """Return the reference in the widest arithmetic that works, with its change by one rounding of the inputs."""
    arrays, dtype = _widest(case, evaluate)
    names = [_name(k, a, dtype) for k, a in zip(kinds or ["extended_precision"] * len(arrays), arrays, strict=True)]
    used = _EPS64 if any("float64" in name for name in names) else float(np.finfo(WIDE).eps)
    return Reference(tuple(names), arrays, functools.cache(lambda: _changes(case, evaluate, arrays, dtype)), used)


def _changes(case: Case, evaluate: _Evaluate, arrays: Sequence[Array], dtype: Any) -> tuple[Array, ...]:
    """Return the change of each entry by one rounding of the inputs: the largest of some random ones."""
    base = compared(case, arrays)
    rng = np.random.default_rng(case.seed)
    changes = [np.zeros(a.shape) for a in base]
    for _ in range(_PERTURBATIONS):
        near = replace(case, inputs=_perturbed(case, dtype, rng))
        moved = compared(near, _quietly(evaluate, *_in(dtype, near.inputs, near.directions)))
        changes = [np.maximum(c, _change(a, b)) for c, a, b in zip(changes, base, moved, strict=True)]
    return tuple(changes)


def _widest(case: Case, evaluate: _Evaluate) -> tuple[tuple[Array, ...], Any]:
    """Return the result and its dtype: longdouble if that works, else float64."""
    if WIDE is not np.float64 and sum(a.size for a in case.inputs.arrays) <= _MOST_LONGDOUBLE_ENTRIES:
        try:
            arrays = _quietly(evaluate, *_in(WIDE, case.inputs, case.directions))
        except Exception:  # code that does not support the type may raise any exception
            pass
        else:
            if all(a.dtype == WIDE for a in arrays):
                return arrays, WIDE
    return _quietly(evaluate, *_in(np.float64, case.inputs, case.directions)), np.float64


def _in(dtype: Any, inputs: Inputs, directions: Sequence[Array]) -> tuple[Inputs, tuple[Array, ...]]:
    """Return inputs and directions with their floating arrays converted to ``dtype``."""

    def cast(arrays: Sequence[Array]) -> tuple[Array, ...]:
        return tuple(a.astype(dtype) if np.issubdtype(a.dtype, np.floating) else a for a in arrays)

    return Inputs(cast(inputs.differentiated), cast(inputs.data), inputs.static), cast(directions)


def _perturbed(case: Case, dtype: Any, rng: np.random.Generator) -> Inputs:
    """Return the inputs with each entry moved by one rounding up or down at random.

    Whole numbers in the data stay: they are masks, counts or labels, which are exact.
    """
    eps = limits(case.dtype).eps

    def move(array: Array, keep_whole: bool) -> Array:
        if not np.issubdtype(array.dtype, np.floating):
            return array
        wide = array.astype(dtype)
        moved = wide * (1 + eps * rng.choice([-1, 1], size=array.shape).astype(dtype))
        return np.where(wide == np.round(wide), wide, moved) if keep_whole else np.asarray(moved)

    inputs = case.inputs
    differentiated = tuple(move(x, False) for x in inputs.differentiated)
    return Inputs(differentiated, tuple(move(x, True) for x in inputs.data), inputs.static)


def _change(a: Array, b: Array) -> Array:
    """Return the difference of each entry; infinity where the perturbation left the domain, or came into it."""
    finite = np.isfinite(a) & np.isfinite(b)
    change = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0))
    return np.where(np.isfinite(a) == np.isfinite(b), change, np.inf)


def _name(kind: str, array: Array, dtype: Any) -> str:
    return kind if array.dtype == dtype and dtype is not np.float64 else f"{kind} (float64)"


def _quietly(evaluate: _Evaluate, inputs: Inputs, directions: Sequence[Array]) -> tuple[Array, ...]:
    """Evaluate without warnings: outside the domain nan and infinity are part of the result."""
    with np.errstate(all="ignore"):
        return evaluate(inputs, directions)
