"""The trial of one operation by itself: computed by both backends at the same operands, and judged.

An operation that is named as the place where two backends part gets the operands and the cotangent (or the tangents)
that it has in the program. Its derivative is then a small problem of its own, and the judge tells which backend is
right. At a kink both may be: then the difference is a convention.

For second derivatives let ``w`` be the cotangent, ``u`` the operands and ``psi(u, w) = <w, op(u)>``. What the operation
passes back is ``d psi/du``, and its derivative along the tangents of u and w is the part of u in the product of the
Hessian of psi with these tangents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autodiff_compare.explaining.evaluation import request
from autodiff_compare.explaining.parting import Difference
from autodiff_compare.explaining.recording.program import Program, Step, Variable
from autodiff_compare.explaining.recording.views import Slot, View, operation, operation_view, real_shape
from autodiff_compare.explaining.workers import Ask
from autodiff_compare.judge.comparison import compared
from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, rounded
from autodiff_compare.problems import Array
from autodiff_compare.process.client import WorkerError
from autodiff_compare.vocabulary import Operator, Status, Verdict

#: Roundings of the largest number beside which another one is zero, and one rounding of each dtype.
_ROUNDINGS = 4.0
_EPS = {name: float(np.finfo(name).eps) for name in ("float64", "complex128", "float32", "complex64")}


@dataclass(frozen=True)
class Answer:
    """What one backend gives for the operation alone.

    Parameters
    ----------
    number
        The entry in question; nan if there is no answer.
    word
        ``right``, ``wrong``, ``subgradient``, or the status of a backend that gave no answer. Of truth values and whole
        numbers ``as NumPy`` or ``unlike NumPy``.
    reason
        The judge's words, or the message of an error.
    """

    number: float
    word: str
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """The operation alone, on both backends.

    Parameters
    ----------
    a, b
        The answers.
    reference
        The right number at the entry; nan if there is none.
    source
        Where it comes from.
    sides
        The one-sided derivatives at a kink, in words; empty elsewhere.
    """

    a: Answer
    b: Answer
    reference: float
    source: str
    sides: str = ""


@dataclass(frozen=True)
class Around:
    """The numbers around an operation in the program.

    Parameters
    ----------
    operator
        What is computed of the operation: ``value``, ``jvp``, ``vjp`` or ``hvp``.
    cotangents
        Variable -> its cotangent. A complex variable has, here and below, its real and imaginary parts along a first
        axis.
    tangents
        Variable -> its tangent.
    cotangent_tangents
        Variable -> the derivative of its cotangent along the tangents.
    """

    operator: Operator
    cotangents: Mapping[str, Array] = field(default_factory=dict)
    tangents: Mapping[str, Array] = field(default_factory=dict)
    cotangent_tangents: Mapping[str, Array] = field(default_factory=dict)


def tried(
    ask: Ask, specs: tuple[str, str], program: Program, step: Step, around: Around, dtype: str, slot: Slot, entry: int
) -> Trial | None:
    """Return the trial of an operation alone; `None` if nothing of it is differentiated.

    Complex numbers are pairs of real ones, so that no convention about their derivatives is needed.

    Parameters
    ----------
    ask
        Sends a request to the worker of a backend.
    specs
        The two backends.
    program, step
        The program and its operation.
    around
        The numbers around it.
    dtype
        Dtype of the case.
    slot, entry
        The operand that receives the cotangent in question, or the result in question; and the flat entry.
    """
    known, floats = program.variables(), [v for v in step.results if v.active]
    if not floats or (slot.use is None and slot.variable not in floats):
        return None
    found = operation(program, step)
    weights = _joined(around.cotangents, floats) if around.operator is Operator.HVP else None
    view = operation_view(program, found, weights)
    case = Case(
        view.problem(),
        "small",
        dtype,
        around.operator,
        0,
        rounded(view.inputs, dtype),
        tuple(_directions(around, [known[u.name] for u in found.uses], floats)),
        DEFAULT_OPTIMIZER,
    )
    counts = [2 if known[use.name].kind == "c" else 1 for use in found.uses]
    if slot.use is not None:
        place = [use.number for use in found.uses].index(slot.use.number)
        return _judged(ask, specs, view, case, sum(counts[:place]) + slot.part, entry)
    # Of several results, the operation returns one vector. The tangent of it stands in the place of the weights.
    before = sum(math.prod(real_shape(v)) for v in floats[: floats.index(slot.variable)])
    return _judged(ask, specs, view, case, 0 if weights is None else sum(counts), before + entry)


def as_numpy(program: Program, slot: Slot, first: Difference) -> Trial | None:
    """Return the trial of an operation that is not differentiated, by the value that NumPy has; `None` of any other.

    Operands that are constants are the same for all. Where operands are computed, so that a decision about them may
    turn by a rounding, no answer is called wrong.

    Parameters
    ----------
    program
        The program.
    slot
        The value of the operation.
    first
        The entry that differs.
    """
    known = program.variables()
    computed = any(known[use.name].active for use in program.steps[slot.step].uses() if use.name in known)
    if computed and slot.variable.kind not in "biu":
        return None
    words = ("as NumPy", "unlike NumPy") if computed else ("right", "wrong")
    reference = float(np.ravel(program.values[slot.variable.name])[first.entry])
    a, b = (Answer(x, words[abs(x - reference) > first.tolerance]) for x in (first.a, first.b))
    return Trial(a, b, reference, "NumPy")


def _directions(around: Around, operands: Sequence[Variable], results: Sequence[Variable]) -> list[Array]:
    """Return the directions of the operator: tangents of the operands, the cotangent of the results, or both."""
    shaped = ((v, _shaped(around.tangents, v)) for v in operands)
    tangents = [part for v, t in shaped for part in (t if v.kind == "c" else [t])]
    if around.operator is Operator.JVP:
        return tangents
    if around.operator is Operator.VJP:
        return [_joined(around.cotangents, results)]
    return [*tangents, _joined(around.cotangent_tangents, results)] if around.operator is Operator.HVP else []


def _joined(numbers: Mapping[str, Array], results: Sequence[Variable]) -> Array:
    """Return the numbers of the results of an operation, shaped as `operation` returns them."""
    parts = [_shaped(numbers, v) for v in results]
    if len(results) == 1 and results[0].kind != "c":
        return parts[0]
    return np.concatenate([np.ravel(part) for part in parts])


def _shaped(numbers: Mapping[str, Array], variable: Variable) -> Array:
    """Return the numbers of a variable; zeros where nothing is known of it, since nothing reaches it.

    What is a rounding beside the others is zero too, as the imaginary part of a mean of real numbers: numerical
    differences cannot see it, and would not confirm any reference.
    """
    found = np.asarray(numbers.get(variable.name, 0.0), dtype=np.float64)
    rounding = _ROUNDINGS * _EPS.get(variable.dtype, 0.0) * np.max(np.abs(found), initial=0.0)
    return np.broadcast_to(np.where(np.abs(found) <= rounding, 0.0, found), real_shape(variable))


def _judged(ask: Ask, specs: tuple[str, str], view: View, case: Case, leaf: int, entry: int) -> Trial:
    judge = Judge(case)
    answers, notes = [], []
    for spec in specs:
        try:
            result = ask(spec, "program", request(view, case))["result"]
        except WorkerError as error:
            answers.append(Answer(np.nan, str(error.status), str(error).splitlines()[0]))
            continue
        checks = judge(result)
        word, reason = word_of(checks), overall(checks)[1]
        number = float(np.ravel(compared(case, result)[leaf])[entry])
        answers.append(Answer(number, word, reason))
        notes += [c.note for c in checks if c.verdict == Verdict.SUBGRADIENT]
    reference, source = _reference(judge, case, leaf, entry)
    return Trial(answers[0], answers[1], reference, source, _sides(notes))


def word_of(checks: Sequence[Comparison]) -> str:
    """Return the judge's comparisons in a word: ``right``, ``wrong``, ``subgradient`` or ``not judged``."""
    if overall(checks)[0] == Status.OK:
        return "subgradient" if any(c.verdict == Verdict.SUBGRADIENT for c in checks) else "right"
    unknown = {Verdict.INCONCLUSIVE, Verdict.NONSMOOTH, Verdict.UNDETERMINED}
    refuting = {c.verdict for c in checks} - {Verdict.PASS, Verdict.SUBGRADIENT}
    return "not judged" if refuting <= unknown else "wrong"


def _reference(judge: Judge, case: Case, leaf: int, entry: int) -> tuple[float, str]:
    """Return the right number at an entry and its source; nan where only directions were compared."""
    reference = judge.reference
    if reference.arrays is None:
        return np.nan, ""
    return float(np.ravel(compared(case, reference.arrays)[leaf])[entry]), reference.names[leaf]


def _sides(notes: Sequence[str]) -> str:
    """Return the one-sided derivatives from the judge's note."""
    found = next((m for note in notes if (m := re.search(r"one-sided derivatives \S+ and \S+(?<![,;])", note))), None)
    return found.group(0).strip() if found else ""
