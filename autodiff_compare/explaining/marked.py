"""The search between the taps of functions of single frameworks (`autodiff_compare.explaining.marks`).

Taps with the same name, called equally often before, are compared. The first whose value or tangent differs is named:
what lies between it and the tap before differs. Of cotangents the last is named: what is computed of it differs.

Our engine cannot run such functions, so rounding is not measured: each entry is allowed a multiple of the change that
one rounding of the inputs makes (`autodiff_compare.judge.tolerances`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.explaining.directions import Directions
from autodiff_compare.explaining.parting import Difference, differences
from autodiff_compare.explaining.recording.program import Place
from autodiff_compare.explaining.records import COTANGENTS, SECOND, STAGES, TANGENTS, VALUES, Parted, entry_of
from autodiff_compare.explaining.search import input_names
from autodiff_compare.explaining.workers import Ask
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, cast, rounded
from autodiff_compare.problems import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_RESULT = "the result"


class MarkError(ValueError):
    """The taps of two functions cannot be compared; the message says why and what to do."""


@dataclass(frozen=True)
class Mark:
    """A tap that two functions have.

    Parameters
    ----------
    name, occurrence
        Its name, and the number of taps with that name before it.
    shape
        Shape of the array.
    place
        Where the first function calls it.
    numbers
        Its place among all taps of each function.
    """

    name: str
    occurrence: int
    shape: tuple[int, ...]
    place: Place
    numbers: tuple[int, int]

    @property
    def words(self) -> str:
        """Return the name, with a number from the second tap of that name on."""
        return f'tap "{self.name}"' + (f" ({self.occurrence + 1})" if self.occurrence else "")


class MarkedSearch:
    """The search for the tap at which two backends part.

    Parameters
    ----------
    case, specs, ask, seen
        As for `autodiff_compare.explaining.search.Search`.
    source
        Where the problem is loaded from.
    """

    def __init__(self, case: Case, specs: tuple[str, str], ask: Ask, seen: Directions, source: str) -> None:
        self.case, self.specs, self.ask, self.seen, self.source = case, specs, ask, seen, source

    def found(self) -> tuple[tuple[str, ...], Parted | None, tuple[Place, ...]]:
        """Return the stages that were made, the tap if one was found, and nothing.

        Raises
        ------
        MarkError
            If the functions have no tap in common, or taps of different shapes.
        WorkerError
            If a backend cannot compute the taps.
        """
        marks = self._marks()
        wanted = STAGES[self.case.operator]
        for number, stage in enumerate(wanted):
            parted = self._forwards(stage, marks) if stage in (VALUES, TANGENTS) else self._backwards(stage, marks)
            if parted is not None:
                return wanted[: number + 1], parted, ()
        return wanted, None, ()

    def _marks(self) -> list[Mark]:
        first, second = (
            self.ask(spec, "taps", {**self._problem(), "arrays": self.case.inputs.arrays})["taps"]
            for spec in self.specs
        )
        others = {(tap["name"], tap["occurrence"]): (i, tap) for i, tap in enumerate(second)}
        marks = []
        for i, tap in enumerate(first):
            number, other = others.get((tap["name"], tap["occurrence"]), (-1, tap))
            if tap["shape"] != other["shape"]:
                raise MarkError(
                    f"got tap {tap['name']!r} of shape {tuple(tap['shape'])} on {self.specs[0]} and"
                    f" {tuple(other['shape'])} on {self.specs[1]}, expected equal shapes: tap the same quantity"
                )
            if number >= 0:
                place = Place(tap["file"], tap["line"], tap["text"])
                marks.append(Mark(tap["name"], tap["occurrence"], tuple(tap["shape"]), place, (i, number)))
        if not marks:
            names = [", ".join(sorted({tap["name"] for tap in taps})) or "none" for taps in (first, second)]
            raise MarkError(
                f"got taps {names[0]} on {self.specs[0]} and {names[1]} on {self.specs[1]}, expected one that both"
                ' have: from autodiff_compare import tap, and write tap("name", x) around the same intermediate results'
            )
        return marks

    def _forwards(self, stage: str, marks: Sequence[Mark]) -> Parted | None:
        """Compare values or tangents of the taps and of the result, in the order of the first function."""
        operator = Operator.VALUE if stage == VALUES else Operator.JVP
        along = () if stage == VALUES else self.seen.tangents
        case = self._case(self.case.inputs.differentiated, operator, along)
        sizes = np.cumsum([int(np.prod(mark.shape, dtype=int)) for mark in marks])
        results, moved = self._both(marks, case, tapped=False)
        found = differences(
            case,
            *results,
            parts=lambda leaves: np.split(np.ravel(leaves[0]), sizes),
            order=lambda found: sorted(found, key=lambda d: d.part),
            changes=moved,
        )
        return self._parted(stage, marks, found[0]) if found else None

    def _backwards(self, stage: str, marks: Sequence[Mark]) -> Parted | None:
        """Compare cotangents, or their derivatives, of the taps and the inputs, against the order of execution."""
        own = self.case.inputs.differentiated
        zeros = [np.full(mark.shape, -0.0) for mark in marks]
        if stage == SECOND:
            case = self._case((*own, *zeros), Operator.HVP, (*self.seen.tangents, *(np.zeros(z.shape) for z in zeros)))
        elif self.seen.cotangent is not None:
            case = self._case((*own, *zeros), Operator.VJP, (self.seen.cotangent,))
        else:
            case = self._case((*own, *zeros), Operator.GRADIENT)
        results, moved = self._both(marks, case, tapped=True)
        found = differences(
            case, *results, order=lambda found: sorted(found, key=lambda d: (d.part < len(own), -d.part)), changes=moved
        )
        if not found:
            return None
        # The inputs stand before the zeros of the taps, and come last in this order.
        return self._parted(stage, marks, found[0], inputs=len(own))

    def _parted(self, stage: str, marks: Sequence[Mark], first: Difference, inputs: int = 0) -> Parted | None:
        """Return the tap of the first difference, and up to where what lies between may differ."""
        k = first.part - inputs
        backwards = stage in (COTANGENTS, SECOND)
        if k < 0:
            own = self.case.inputs.differentiated
            name = input_names(self.case.problem, len(own))[first.part]
            return Parted(
                stage, 0, len(marks), "input", marks[0].place, "", 1, 1,
                entry_of(first, name, own[first.part].shape), until=marks[0].words,
            )  # fmt: skip
        at = marks[k] if k < len(marks) else None
        if backwards:
            until = marks[k + 1].words if k + 1 < len(marks) else _RESULT
        else:
            until = marks[k - 1].words if k else "the inputs"
        place = at.place if at else marks[-1].place
        shape = at.shape if at else self.case.output.shape
        return Parted(
            stage, k + 1, len(marks), "tap" if at else "result", place, at.name if at else "", 1, 1,
            entry_of(first, at.words if at else _RESULT, shape), until=until,
        )  # fmt: skip

    def _case(self, differentiated: Sequence[Array], operator: Operator, directions: Sequence[Array] = ()) -> Case:
        inputs = rounded(Inputs(tuple(differentiated), self.case.inputs.data), self.case.dtype)
        problem = Problem(
            name="taps", title="taps", source="taps of a user", sizes={"small": 1}, inputs=lambda rng, n: inputs,  # noqa: ARG005
            objective=_not_here, operators=SCALAR, suites=frozenset(), fixed=True,
            tolerance=self.case.problem.tolerance,
        )  # fmt: skip
        return Case(problem, "small", self.case.dtype, operator, 0, inputs, tuple(directions), DEFAULT_OPTIMIZER)

    def _both(self, marks: Sequence[Mark], case: Case, *, tapped: bool) -> tuple[list[list[Array]], Any]:
        """Return the leaves on both backends, and a function that returns the changes by one rounding of the inputs."""
        points = [case.inputs.arrays, self._moved(case)]
        found = []
        for k, spec in enumerate(self.specs):
            params = {
                **self._problem(),
                "operator": case.operator,
                "chosen": [mark.numbers[k] for mark in marks],
                "tapped": tapped,
                "differentiated": len(case.inputs.differentiated),
                "points": points,
                "directions": case.directions,
            }
            found.append(self.ask(spec, "tapped", params)["results"])
        here, near = found[0]

        def changes() -> tuple[Array, ...]:
            return tuple(np.abs(np.asarray(b, dtype=np.float64) - a) for a, b in zip(here, near, strict=True))

        return [list(results[0]) for results in found], changes

    def _moved(self, case: Case) -> tuple[Array, ...]:
        """Return the inputs with the function's own moved by one rounding; zeros stay."""
        eps, rng = float(np.finfo(case.dtype).eps), np.random.default_rng(0)
        own = [cast(x * (1 + eps * rng.choice([-1.0, 1.0], x.shape)), case.dtype) for x in case.inputs.differentiated]
        return (*own, *case.inputs.data)

    def _problem(self) -> Mapping[str, Any]:
        case = self.case
        return {
            "source": self.source, "problem": case.problem.name, "size": case.size, "seed": case.seed,
            "dtype": case.dtype,
        }  # fmt: skip


def _not_here(*_: Any, **__: Any) -> Any:
    """Refuse to run: a function of one framework runs in its worker alone."""
    raise MarkError("got a function of one framework, expected a function of xp: its rounding cannot be measured")
