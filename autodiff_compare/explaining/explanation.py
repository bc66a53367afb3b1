"""The explanation: the first operation of an objective at which two backends differ by more than rounding.

The stages, each made only if the ones before found nothing:

1. The operator itself, on both backends. If the results agree within rounding, nothing is named.
2. *Values* of all operations, in the order of execution. The first that differs is named.
3. *Cotangents*, where the operator uses them: what each operation passes back to its operands. The last operation in
   the order of execution that passes on something else is named, since it received the same: all that uses its result
   comes later, and agrees.
4. *Tangents*, where the operator uses them, in the order of execution.
5. *Derivatives of cotangents* along a tangent, for second derivatives, in the order of stage 3.

A loop that is named is unrolled, and searched in the same way. The operation is then tried alone
(`autodiff_compare.explaining.alone`). If no stage finds anything, the difference is not in any one operation: it comes
from what a backend makes of the whole function, such as a compiler or a branch that it takes another way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autodiff_compare.explaining.alone import Around, Trial, tried
from autodiff_compare.explaining.conventions import related
from autodiff_compare.explaining.evaluation import request
from autodiff_compare.explaining.parting import Difference, differences
from autodiff_compare.explaining.program import Place, Program, Step
from autodiff_compare.explaining.recorder import recorded
from autodiff_compare.explaining.views import Slot, View, received, split, tapped_view, values_view, weighted_view
from autodiff_compare.explaining.workers import Ask
from autodiff_compare.judge.comparison import layout
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, cast, rounded
from autodiff_compare.problems import Array, Inputs
from autodiff_compare.vocabulary import SECOND_ORDER, Operator

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
_LOOPS = frozenset({"scan", "while_loop"})
#: Other operations with differences of their own that are listed.
_MOST_OTHERS = 5


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
        As in `autodiff_compare.explaining.program.Step`.
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
    """

    a: str
    b: str
    result: Entry | None
    stages: tuple[str, ...] = ()
    parted: Parted | None = None
    decided: tuple[Place, ...] = ()


class Search:
    """The search for the operation at which two backends part.

    Parameters
    ----------
    case
        The numbers of the operator, with the problem.
    specs
        The two backends.
    ask
        Sends a request to a backend's worker.
    """

    def __init__(self, case: Case, specs: tuple[str, str], ask: Ask) -> None:
        self.case, self.specs, self.ask = case, specs, ask
        shared = case.inputs
        own = tuple(cast(x, case.dtype) for x in shared.differentiated)
        self._inputs = Inputs(own, tuple(cast(x, case.dtype) for x in shared.data), shared.static)
        self._tangents: Sequence[Array] = ()
        self._cotangent: Array | None = None

    def explained(self, results: Sequence[Sequence[Array]]) -> Explanation:
        """Return the explanation of two results of the case.

        Raises
        ------
        WorkerError
            If a backend cannot compute the recorded operations.
        autodiff_compare.explaining.recorder.RecordError
            If the objective cannot be recorded.
        """
        found = differences(self.case, *results, order=_by_excess)
        names = [leaf.name for leaf in layout(self.case)]
        shapes = [leaf.shape for leaf in layout(self.case)]
        if not found:
            return Explanation(*self.specs, None)
        worst = found[0]
        result = _entry(worst, names[worst.part], shapes[worst.part])
        self.look_at(worst)
        program = recorded(self.case.problem, self._inputs)
        stages, parted = self.stages(program)
        if parted is not None and parted.operation in _LOOPS:
            unrolled = recorded(self.case.problem, self._inputs, unrolled=True)
            parted = self.stages(unrolled)[1] or parted
        return Explanation(*self.specs, result, stages, parted, program.decided)

    def look_at(self, worst: Difference) -> None:
        """Choose the cotangent and the tangents in which the entry that differs most is seen."""
        case, leaf = self.case, tuple(layout(self.case))[worst.part]
        shapes = [x.shape for x in case.inputs.differentiated]
        if case.operator is Operator.VJP:
            self._cotangent = case.directions[0]
        if case.operator in (Operator.JVP, Operator.HVP):
            self._tangents = case.directions
        if case.operator in (Operator.JACOBIAN, Operator.HESSIAN):
            column = shapes[leaf.inputs[-1]]
            row, at = divmod(worst.entry, math.prod(column))
            self._tangents = [np.zeros(shape) for shape in shapes]
            self._tangents[leaf.inputs[-1]] = _unit(column, at)
            if case.operator is Operator.JACOBIAN:
                self._cotangent = _unit(case.output.shape, row)

    def stages(self, program: Program) -> tuple[tuple[str, ...], Parted | None]:
        """Make the stages until one finds an operation."""
        wanted = STAGES[self.case.operator]
        for number, stage in enumerate(wanted):
            parted = _SEARCHES[stage](self, program)
            if parted is not None:
                return wanted[: number + 1], parted
        return wanted, None

    def values(self, program: Program) -> Parted | None:
        """Compare the values of all operations."""
        view, slots = values_view(program, differentiable=False)
        case = self._case(view, Operator.VALUE)
        results = self._both(view, case)
        discrete = [i for i, slot in enumerate(slots) if slot.variable.kind not in "fc"]
        found = differences(
            case, *results, parts=lambda leaves: split(leaves[0], slots), discrete=discrete, order=_forwards(slots)
        )
        return self._parted(VALUES, program, slots, found, Around(Operator.VALUE, {}, {}, {}))

    def tangents(self, program: Program) -> Parted | None:
        """Compare the tangents of all operations, by forward mode or within second derivatives."""
        second = self.case.operator in SECOND_ORDER
        view, slots = weighted_view(program) if second else values_view(program, differentiable=True)
        operator = Operator.HVP if second else Operator.JVP
        # The weights of the sum are the last input, and have no tangent. The tangents are in their place.
        along = [*self._tangents, *(np.zeros(x.shape) for x in view.inputs.differentiated[len(program.inputs) :])]
        case = self._case(view, operator, along)
        results = self._both(view, case)
        found = differences(
            case, *results, parts=lambda leaves: split(np.ravel(leaves[-1]), slots), order=_forwards(slots)
        )
        around = Around(operator, _ones(slots), self._given(program, split(np.ravel(results[0][-1]), slots), slots), {})
        return self._parted(TANGENTS, program, slots, found, around)

    def cotangents(self, program: Program) -> Parted | None:
        """Compare what each operation passes back to its operands."""
        view, slots = tapped_view(program)
        if not slots:
            return None
        found, (cotangents, _) = self._passed_back(program, view, slots)
        return self._parted(COTANGENTS, program, slots, found, Around(Operator.VJP, cotangents, {}, {}))

    def second(self, program: Program) -> Parted | None:
        """Compare the derivatives, along the tangents, of what each operation passes back to its operands."""
        view, slots = tapped_view(program)
        if not slots:
            return None
        first = self._both(view, self._case(view, Operator.GRADIENT))[0][len(program.inputs) :]
        zeros = [np.zeros(x.shape) for x in view.inputs.differentiated[len(program.inputs) :]]
        case = self._case(view, Operator.HVP, [*self._tangents, *zeros])
        results = self._both(view, case)
        parts = len(program.inputs)
        found = differences(case, *results, parts=lambda leaves: leaves[parts:], order=_backwards(slots))
        joined, places = values_view(program, differentiable=True)
        (moved,) = self._both(joined, self._case(joined, Operator.JVP, self._tangents))[0]
        around = Around(
            Operator.HVP,
            received(slots, dict(enumerate(first)), program.output),
            self._given(program, split(moved, places), places),
            received(slots, dict(enumerate(results[0][parts:])), ""),
        )
        return self._parted(SECOND, program, slots, found, around)

    def _passed_back(
        self, program: Program, view: View, slots: Sequence[Slot]
    ) -> tuple[list[Difference], tuple[dict[str, Array], ...]]:
        along = [] if self._cotangent is None else [self._cotangent]
        case = self._case(view, Operator.VJP if along else Operator.GRADIENT, along)
        results, first = self._both(view, case), len(program.inputs)
        found = differences(case, *results, parts=lambda leaves: leaves[first:], order=_backwards(slots))
        seeds = received(slots, dict(enumerate(results[0][first:])), "" if along else program.output)
        if along:
            seeds[program.output] = seeds.get(program.output, 0.0) + along[0]
        return found, (seeds, {})

    def _case(self, view: View, operator: Operator, directions: Sequence[Array] = ()) -> Case:
        problem = replace(view.problem(), tolerance=self.case.problem.tolerance)
        inputs = rounded(view.inputs, self.case.dtype)
        return Case(problem, "small", self.case.dtype, operator, 0, inputs, tuple(directions), DEFAULT_OPTIMIZER)

    def _both(self, view: View, case: Case) -> list[list[Array]]:
        """Return the leaves of a case on both backends."""
        return [list(self.ask(spec, "program", request(view, case))["result"]) for spec in self.specs]

    def _given(self, program: Program, parts: Sequence[Array], slots: Sequence[Slot]) -> dict[str, Array]:
        """Return the tangents of all variables: those of the inputs, and the parts of a joined vector."""
        own = {v.name: t for v, t in zip(program.inputs, self._tangents, strict=True)}
        real = (slot.variable.kind == "f" for slot in slots)
        rows = zip(slots, parts, real, strict=True)
        return own | {slot.variable.name: part.reshape(slot.variable.shape) for slot, part, kept in rows if kept}

    def _parted(
        self, stage: str, program: Program, slots: Sequence[Slot], found: Sequence[Difference], around: Around
    ) -> Parted | None:
        """Return the operation of the first difference, after a trial of it alone."""
        if not found:
            return None
        first = found[0]
        slot = slots[first.part]
        step = program.steps[slot.step]
        same = [k for k, other in enumerate(program.steps) if _same_place(other, step)]
        trial = tried(self.ask, self.specs, program, step, around, self.case.dtype, slot, first.entry)
        alike = trial is not None and {trial.a.word, trial.b.word} == {"subgradient"}
        others = dict.fromkeys(
            program.steps[k].place for k in _independent(program, slots, found) if k != slot.step
        )
        return Parted(
            stage,
            slot.step + 1,
            len(program.steps),
            step.operation,
            step.place,
            step.label,
            same.index(slot.step) + 1,
            len(same),
            _entry(first, _name(program, slot), slot.variable.shape),
            trial,
            related(step.operation) if alike else (),
            tuple(others)[:_MOST_OTHERS],
        )


_SEARCHES = {
    VALUES: Search.values,
    COTANGENTS: Search.cotangents,
    TANGENTS: Search.tangents,
    SECOND: Search.second,
}


def _by_excess(found: Sequence[Difference]) -> list[Difference]:
    return sorted(found, key=lambda d: -d.excess)


def _forwards(slots: Sequence[Slot]) -> object:
    return lambda found: sorted(found, key=lambda d: (slots[d.part].step, -d.excess))


def _backwards(slots: Sequence[Slot]) -> object:
    return lambda found: sorted(found, key=lambda d: (-slots[d.part].step, -d.excess))


def _independent(program: Program, slots: Sequence[Slot], found: Sequence[Difference]) -> list[int]:
    """Return the operations that differ although what they are given agrees, in the order of the differences."""
    differing = [slots[d.part] for d in found]
    names = {slot.variable.name for slot in differing}
    chosen: dict[int, None] = {}
    for slot in differing:
        step = program.steps[slot.step]
        given = {v.name for v in step.results} if slot.use else {use.name for use in step.uses()}
        if not given & names:
            chosen[slot.step] = None
    return list(chosen)


def _same_place(a: Step, b: Step) -> bool:
    return a.operation == b.operation and a.place.file == b.place.file and (a.place.line, a.place.part) == (
        b.place.line,
        b.place.part,
    )


def _name(program: Program, slot: Slot) -> str:
    """Return an operand in the words of the objective: the expression that made it, or the number of an input."""
    if slot.use is None:
        return "result"
    for i, variable in enumerate(program.inputs):
        if variable.name == slot.variable.name:
            return f"input {i}"
    for step in program.steps:
        if slot.variable in step.results:
            return step.place.part or step.operation
    return slot.variable.name


def _entry(found: Difference, name: str, shape: tuple[int, ...]) -> Entry:
    at = found.entry % max(math.prod(shape), 1)
    index = str([int(i) for i in np.unravel_index(at, shape)]) if shape else ""
    return Entry(name, index, found.a, found.b, found.tolerance)


def _unit(shape: tuple[int, ...], at: int) -> Array:
    found = np.zeros(shape)
    found.flat[at] = 1.0
    return found


def _ones(slots: Sequence[Slot]) -> dict[str, Array]:
    return {slot.variable.name: np.ones(slot.variable.shape) for slot in slots}
