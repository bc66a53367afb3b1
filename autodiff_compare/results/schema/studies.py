"""The columns of the studies: descents with their steps, and the questions of the tape study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from autodiff_compare.results.schema.machine import MachineKey


@dataclass(frozen=True)
class StepRow:
    """One iteration of a descent, among those that were recorded."""

    cell_id: Annotated[str, "problem/descent/dtype/step/backend[:variant]"]
    start: Annotated[int, "seed of the starting point"]
    iteration: Annotated[int, "number of updates so far"]
    loss: Annotated[float, "objective before the next update"]
    step_size: Annotated[float, "step size of the update"]
    gradient_norm: Annotated[float, "Euclidean norm of the gradient"]
    extra: Annotated[str, "JSON: further quantities that the study records, such as eigenvalues or a restart"]
    machine: MachineKey = ""


@dataclass(frozen=True)
class DescentRow:
    """One descent from one starting point: its result and how it ended."""

    cell_id: Annotated[str, "problem/descent/dtype/step/backend[:variant]"]
    start: Annotated[int, "seed of the starting point"]
    status: Annotated[
        str, "ok (it ran, converged or not) unsupported not_installed error timeout crash out_of_memory not_run"
    ]
    iterations: Annotated[int | None, "number of updates"]
    restarts: Annotated[int | None, "number of restarts among them"]
    evaluations: Annotated[int | None, "number of evaluations of value and gradient"]
    converged: Annotated[bool, "whether the stopping rule was met"]
    final_loss: Annotated[float, "objective at the last point"]
    seconds: Annotated[float, "seconds from the first evaluation to the last, with recording, without preparation"]
    first_point: Annotated[str, "JSON: the differentiated inputs at the start; empty above 1000 entries"]
    last_point: Annotated[str, "JSON: the differentiated inputs at the end; empty above 1000 entries"]
    message: Annotated[str, "reason why it did not run or did not converge"]
    machine: MachineKey = ""


@dataclass(frozen=True)
class QuestionRow:
    """One question about differentiation by a tape, and the answer of a backend in its own idiom."""

    backend: Annotated[str, "backend[:variant]"]
    question: Annotated[str, "name of the question"]
    asked: Annotated[str, "the question"]
    expected: Annotated[str, "the right answer"]
    obtained: Annotated[str, "the backend's answer"]
    equal: Annotated[bool, "whether both answers agree"]
    convention: Annotated[str, "if they do not agree: the framework's legitimate convention, if it has one"]
    message: Annotated[str, "the exception or warning that the framework raised"]
    spelled: Annotated[str, "the source text that was executed"]
    machine: MachineKey = ""
