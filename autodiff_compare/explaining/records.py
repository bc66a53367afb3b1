"""What an explanation holds: the stages of the search, and the operation at which two backends part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autodiff_compare.explaining.alone import Trial
from autodiff_compare.explaining.parting import Difference
from autodiff_compare.explaining.recording.program import Place
from autodiff_compare.vocabulary import Operator

#: Stages in the words of the summary.
VALUES, COTANGENTS, TANGENTS, SECOND = "values", "cotangents", "tangents", "derivatives of cotangents"
#: Operator -> the stages that can explain a difference of its results. Others are refused.
STAGES: Mapping[Operator, tuple[str, ...]] = {
    Operator.VALUE: (VALUES,),
    Operator.GRADIENT: (VALUES, COTANGENTS),
    Operator.VALUE_AND_GRADIENT: (VALUES, COTANGENTS),
    Operator.VJP: (VALUES, COTANGENTS),
    Operator.JVP: (VALUES, TANGENTS),
    Operator.JACOBIAN: (VALUES, COTANGENTS, TANGENTS),
    Operator.HVP: (VALUES, COTANGENTS, TANGENTS, SECOND),
    Operator.HESSIAN: (VALUES, COTANGENTS, TANGENTS, SECOND),
}


@dataclass(frozen=True)
class Entry:
    """One entry of an array on which two backends differ.

    Parameters
    ----------
    name
        The array: the leaf of a result, or an operand in the words of the objective.
    index
        The entry, ``[2, 0]``; ``[]`` of a scalar.
    a, b
        The numbers.
    tolerance
        The difference that rounding may cause.
    """

    name: str
    index: str
    a: float
    b: float
    tolerance: float


@dataclass(frozen=True)
class Parted:
    """The operation at which two backends part.

    Parameters
    ----------
    stage
        One of the stages.
    number, count
        Its place among the operations of the objective, from 1, and their number.
    operation, place, label
        As in `autodiff_compare.explaining.recording.program.Step`.
    occurrence, occurrences
        Its place among those called at the same place of the source, from 1, and their number: a round of a loop.
    entry
        The entry that differs most, of the result or of what is passed on to an operand.
    trial
        The operation alone; `None` if it was not tried.
    conventions
        Cases of the atlas of conventions about this operation, if it was tried at a kink.
    others
        Places of further operations that differ on their own.
    until
        Of a tap: the taps, or the result, up to which what is computed of it may differ; in words.
    within
        Of an operation of a function that the objective differentiates: where it does. The numbers count the operations
        of that function.
    shapes
        The shapes of its value on the two backends and in plain NumPy, if those of the backends differ; then it was not
        tried, and the numbers of the entry are nan.
    """

    stage: str
    number: int
    count: int
    operation: str
    place: Place
    label: str
    occurrence: int
    occurrences: int
    entry: Entry
    trial: Trial | None = None
    conventions: tuple[str, ...] = ()
    others: tuple[Place, ...] = ()
    until: str = ""
    within: Place | None = None
    shapes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Explanation:
    """What is found out about two backends.

    Parameters
    ----------
    a, b
        The backends.
    result
        The entry of the operator's result that differs most; `None` if they agree within rounding.
    stages
        The stages that were made.
    parted
        The operation at which they part; `None` if none was found.
    decided
        Places at which the objective reads a number of an intermediate, such as a branch.
    verdicts
        What the judge says about each result: ``right``, ``wrong`` or ``not judged``; empty where they agree.
    """

    a: str
    b: str
    result: Entry | None
    stages: tuple[str, ...] = ()
    parted: Parted | None = None
    decided: tuple[Place, ...] = ()
    verdicts: tuple[str, ...] = ()


def entry_of(found: Difference, name: str, shape: tuple[int, ...]) -> Entry:
    """Return the entry of a difference within an array of a name and shape."""
    at = found.entry % max(math.prod(shape), 1)
    index = str([int(i) for i in np.unravel_index(at, shape)]) if shape else ""
    return Entry(name, index, found.a, found.b, found.tolerance)
