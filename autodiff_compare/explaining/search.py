"""The search for the first operation of an objective at which two backends differ by more than rounding.

The stages, each made only if the ones before found nothing:

1. The operator itself, on both backends. If the results agree within rounding, nothing is named.
2. *Values* of all operations, in the order of execution. The first that differs is named.
3. *Cotangents*, where the operator uses them: what each operation passes back to its operands. The last operation in
   the order of execution that passes on something else is named, since it received the same: all that uses its result
   comes later, and agrees.
4. *Tangents*, where the operator uses them, in the order of execution.
5. *Derivatives of cotangents* along a tangent, for second derivatives, in the order of stage 3.

A loop that is named is unrolled, and searched in the same way. If a nested derivative is named, the search goes on in
the function that is differentiated there. The operation is then tried alone (`autodiff_compare.explaining.alone`). If
no stage finds anything, the difference is not in any one operation: it comes from what a backend makes of the whole
function, such as a compiler or a branch that it takes another way.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autodiff_compare.explaining.alone import Around, as_numpy, tried
from autodiff_compare.explaining.conventions import related
from autodiff_compare.explaining.directions import Directions, directions
from autodiff_compare.explaining.evaluation import request
from autodiff_compare.explaining.parting import Difference, Order, differences
from autodiff_compare.explaining.recording.inside import recorded_inside
from autodiff_compare.explaining.recording.program import Place, Program, Step, Use
from autodiff_compare.explaining.recording.recorder import recorded
from autodiff_compare.explaining.recording.views import (
    Slot,
    View,
    real_shape,
    received,
    shapes_in,
    shapes_view,
    split,
    tapped_view,
    values_view,
    weighted_view,
    whole_view,
)
from autodiff_compare.explaining.records import COTANGENTS, SECOND, STAGES, TANGENTS, VALUES, Entry, Parted, entry_of
from autodiff_compare.explaining.workers import Ask
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, cast, rounded
from autodiff_compare.problems import Array, Inputs, Problem
from autodiff_compare.process.client import WorkerError
from autodiff_compare.vocabulary import SECOND_ORDER, Operator

_LOOPS, _NESTED = frozenset({"scan", "while_loop"}), "derivative"
#: Other operations with differences of their own that are listed.
_MOST_OTHERS = 5


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
    seen
        The directions in which the results differ.
    names
        The inputs in the words of the user; by default the parameters of the objective.
    nan
        Whether one result is nan. Then the first operation is named that gives a nan on one backend alone: others that
        differ, such as conventions at kinks, do not explain it.
    """

    def __init__(
        self,
        case: Case,
        specs: tuple[str, str],
        ask: Ask,
        seen: Directions,
        names: Sequence[str] = (),
        *,
        nan: bool = False,
    ) -> None:
        self.case, self.specs, self.ask, self.seen = case, specs, ask, seen
        self._nan = nan
        self._names = list(names) or input_names(case.problem, len(case.inputs.differentiated))
        shared = case.inputs
        own = tuple(cast(x, case.dtype) for x in shared.differentiated)
        self._cotangents: dict[str, Array] = {}
        self._tangents: dict[str, Array] = {}
        self._inputs = Inputs(own, tuple(cast(x, case.dtype) for x in shared.data), shared.static)

    def found(self) -> tuple[tuple[str, ...], Parted | None, tuple[Place, ...]]:
        """Return the stages that were made, the operation if one was found, and where values decide.

        Raises
        ------
        WorkerError
            If a backend cannot compute the recorded operations.
        autodiff_compare.explaining.recording.recorder.RecordError
            If the objective cannot be recorded.
        """
        program, unrolled = recorded(self.case.problem, self._inputs), False
        stages, parted = self.stages(program)
        decided = program.decided
        if parted is not None and parted.operation in _LOOPS:
            program, unrolled = recorded(self.case.problem, self._inputs, unrolled=True), True
            parted = self.stages(program)[1] or parted
        if parted is not None and parted.operation == _NESTED:
            inner = recorded_inside(self.case.problem, self._inputs, parted.number - 1, unrolled=unrolled)
            parted = (self._inside(parted, program, inner) if inner else None) or parted
        return stages, parted, decided

    def _inside(self, parted: Parted, program: Program, inner: Program) -> Parted | None:
        """Return the operation at which a nested derivative differs: one of the function that is differentiated.

        The derivative is the gradient of that function f(z, c), where c are variables around it. What it passes back of
        a cotangent w is the product of the Hessian of f with (w, 0), and its tangent is the part of z in the product
        with the tangents of z and c.
        """
        step, view = program.steps[parted.number - 1], whole_view(inner)
        argument = [piece for piece in step.text if isinstance(piece, Use)][-1]
        names = [argument.name, *(v.name for v in inner.inputs[1:])]
        along: list[Array] = []
        if parted.stage == COTANGENTS:
            along = [np.zeros(v.shape) for v in inner.inputs]
            along[0] = along[0] + self._cotangents.get(step.results[0].name, 0.0)
        elif parted.stage == TANGENTS:
            along = [np.zeros(v.shape) + self._tangents.get(n, 0.0) for n, v in zip(names, inner.inputs, strict=True)]
        elif parted.stage != VALUES:
            return None
        case = self._case(view, Operator.HVP if along else Operator.GRADIENT, along)
        found = differences(case, *self._both(view, case))
        if not found:
            return None
        known = program.variables()
        words = [self._name(program, Slot(0, known[name], argument)) if name in known else "" for name in names]
        seen = directions(case, found[0].part, found[0].entry)
        search = Search(case, self.specs, self.ask, seen, words, nan=found[0].nan)
        inside = search.stages(inner)[1]
        return replace(inside, within=parted.place) if inside else None

    def stages(self, program: Program) -> tuple[tuple[str, ...], Parted | None]:
        """Make the stages until one finds an operation."""
        wanted = STAGES[self.case.operator]
        self._cotangents, self._tangents = {}, {}
        for number, stage in enumerate(wanted if program.steps else ()):
            parted = _SEARCHES[stage](self, program)
            if parted is not None:
                return wanted[: number + 1], parted
        return wanted, None

    def values(self, program: Program) -> Parted | None:
        """Compare the values of all operations, and their shapes where something differs."""
        view, slots = values_view(program, differentiable=False)
        case = self._case(view, Operator.VALUE)
        results = self._both(view, case)
        found: list[Difference] = []
        same_size = results[0][0].shape == results[1][0].shape
        if same_size:
            discrete = [i for i, slot in enumerate(slots) if slot.variable.kind not in "fc"]
            found = differences(
                case,
                *results,
                parts=lambda leaves: split(leaves[0], slots),
                discrete=discrete,
                order=self._forwards(slots),
            )
            if not found:
                return None
        unlike = self._of_other_shape(program, slots, required=not same_size)
        if unlike is not None and (not found or unlike.number <= slots[found[0].part].step + 1):
            return unlike
        return self._parted(VALUES, program, slots, found, Around(Operator.VALUE))

    def _of_other_shape(self, program: Program, slots: Sequence[Slot], *, required: bool) -> Parted | None:
        """Return the first operation whose value has different shapes on the two backends.

        Broadcasting lets a wrong shape through: that of a reduction along another axis, say, or of an axis that was
        added at the other end. The numbers of the operation may be right even so.
        """
        view = shapes_view(program, slots)
        case = self._case(view, Operator.VALUE)
        try:
            shapes = [shapes_in(leaves[0]) for leaves in self._both(view, case)]
        except WorkerError:
            # The variables of some systems have no shape.
            if required:
                raise
            return None
        for slot, first, second in zip(slots, *shapes, strict=True):
            if first != second:
                nan = Entry(self._name(program, slot), "", np.nan, np.nan, np.nan)
                place = self._place(VALUES, program, slot, nan)
                return replace(place, shapes=(first, second, slot.variable.shape))
        return None

    def tangents(self, program: Program) -> Parted | None:
        """Compare the tangents of all operations, by forward mode or within second derivatives."""
        second = self.case.operator in SECOND_ORDER
        view, slots = weighted_view(program) if second else values_view(program, differentiable=True)
        operator = Operator.HVP if second else Operator.JVP
        # The weights of the sum are the last input, and have no tangent. The tangents are in their place.
        case = self._case(view, operator, self._along(program, view))
        results = self._both(view, case)

        def parts(leaves: Sequence[Array]) -> list[Array]:
            return split(np.ravel(leaves[-1]), slots)

        found = differences(case, *results, parts=parts, order=self._forwards(slots))
        self._tangents = {v.name: t for v, t in zip(program.inputs, self.seen.tangents, strict=True)}
        for slot, tangent in zip(slots, parts(results[0]), strict=True):
            self._tangents[slot.variable.name] = tangent.reshape(real_shape(slot.variable))
        ones = {slot.variable.name: np.ones(real_shape(slot.variable)) for slot in slots}
        return self._parted(TANGENTS, program, slots, found, Around(operator, ones, self._tangents))

    def cotangents(self, program: Program) -> Parted | None:
        """Compare what each operation passes back to its operands."""
        view, slots = tapped_view(program)
        along = [] if self.seen.cotangent is None else [self.seen.cotangent]
        case = self._case(view, Operator.VJP if along else Operator.GRADIENT, along)
        results, first = self._both(view, case), len(program.inputs)
        found = differences(case, *results, parts=lambda leaves: leaves[first:], order=self._backwards(slots))
        own = {program.output: along[0] if along else np.ones(())}
        self._cotangents = received(slots, results[0][first:], own)
        return self._parted(COTANGENTS, program, slots, found, Around(Operator.VJP, self._cotangents))

    def second(self, program: Program) -> Parted | None:
        """Compare the derivatives, along the tangents, of what each operation passes back to its operands."""
        view, slots = tapped_view(program)
        case = self._case(view, Operator.HVP, self._along(program, view))
        results, first = self._both(view, case), len(program.inputs)
        found = differences(case, *results, parts=lambda leaves: leaves[first:], order=self._backwards(slots))
        moved = received(slots, results[0][first:], {})
        around = Around(Operator.HVP, self._cotangents, self._tangents, moved)
        return self._parted(SECOND, program, slots, found, around)

    def _forwards(self, slots: Sequence[Slot]) -> Order:
        return lambda found: sorted(found, key=lambda d: (self._nan > d.nan, slots[d.part].step, -d.excess))

    def _backwards(self, slots: Sequence[Slot]) -> Order:
        return lambda found: sorted(found, key=lambda d: (self._nan > d.nan, -slots[d.part].step, -d.excess))

    def _along(self, program: Program, view: View) -> list[Array]:
        """Return the tangents of a view: those of the program's own inputs, and zeros for the others."""
        others = view.inputs.differentiated[len(program.inputs) :]
        return [*self.seen.tangents, *(np.zeros(x.shape) for x in others)]

    def _case(self, view: View, operator: Operator, directions: Sequence[Array] = ()) -> Case:
        problem = replace(view.problem(), tolerance=self.case.problem.tolerance)
        inputs = rounded(view.inputs, self.case.dtype)
        return Case(problem, "small", self.case.dtype, operator, 0, inputs, tuple(directions), DEFAULT_OPTIMIZER)

    def _both(self, view: View, case: Case) -> list[list[Array]]:
        """Return the leaves of a case on both backends."""
        return [list(self.ask(spec, "program", request(view, case))["result"]) for spec in self.specs]

    def _name(self, program: Program, slot: Slot) -> str:
        """Return an operand in the words of the objective: the expression that made it, or the name of an input."""
        if slot.use is None:
            return "result"
        for name, variable in zip(self._names, program.inputs, strict=True):
            if variable.name == slot.variable.name:
                return name
        made = next(step for step in program.steps if slot.variable in step.results)
        return made.place.part or made.operation

    def _parted(
        self, stage: str, program: Program, slots: Sequence[Slot], found: Sequence[Difference], around: Around
    ) -> Parted | None:
        """Return the operation of the first difference, after a trial of it alone."""
        if not found:
            return None
        first = found[0]
        slot = slots[first.part]
        step = program.steps[slot.step]
        trial = tried(self.ask, self.specs, program, step, around, self.case.dtype, slot, first.entry)
        if trial is None and stage == VALUES:
            trial = as_numpy(program, slot, first)
        alike = trial is not None and {trial.a.word, trial.b.word} == {"subgradient"}
        others = dict.fromkeys(program.steps[k].place for k in _independent(program, slots, found) if k != slot.step)
        return replace(
            self._place(stage, program, slot, entry_of(first, self._name(program, slot), slot.variable.shape)),
            trial=trial,
            conventions=related(step.operation, forward=stage == TANGENTS) if alike else (),
            others=tuple(others)[:_MOST_OTHERS],
        )

    def _place(self, stage: str, program: Program, slot: Slot, entry: Entry) -> Parted:
        """Return the operation of a slot, and how often it is called at its place."""
        step = program.steps[slot.step]
        same = [k for k, other in enumerate(program.steps) if _same_place(other, step)]
        return Parted(
            stage, slot.step + 1, len(program.steps), step.operation, step.place, step.label,
            same.index(slot.step) + 1, len(same), entry,
        )  # fmt: skip


_SEARCHES = {
    VALUES: Search.values,
    COTANGENTS: Search.cotangents,
    TANGENTS: Search.tangents,
    SECOND: Search.second,
}


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
    return all(getattr(a.place, name) == getattr(b.place, name) for name in ("file", "line", "part")) and (
        a.operation == b.operation
    )


def input_names(problem: Problem, count: int) -> list[str]:
    """Return the names of the differentiated inputs: those declared, else the parameters, else their numbers.

    Of functions for single frameworks, the first one names them.
    """
    if problem.names:
        return list(problem.names)
    function = problem.objective or next(iter(problem.native.values()))
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][:count]
    return names if len(names) == count else [f"input {i}" for i in range(count)]
