"""The columns of what was searched beyond problems: the atlas of conventions, and random programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from autodiff_compare.results.schema.machine import MachineKey


@dataclass(frozen=True)
class ConventionRow:
    """The answer of one backend in one case of the atlas of conventions, its class, and the evidence for the class.

    Several numbers are a JSON list in the coordinates of ``autodiff_compare/judge/singular/slopes.py``, with nan and
    infinities as texts.
    """

    run_id: Annotated[str, "the run"]
    family: Annotated[str, "family of the case"]
    case: Annotated[str, "name of the case"]
    backend: Annotated[str, "name of the backend; name@label if it ran under another Python"]
    variant: Annotated[str, "variant of the backend, empty for the default"]
    dtype: Annotated[str, "float64 or float32"]
    operator: Annotated[str, "gradient jvp second; answer: a question in the framework's own idiom"]
    classed: Annotated[str, "agree convention value_differs defect undefined error not_available"]
    function: Annotated[str, "the function as it is written in the atlas"]
    spelled: Annotated[str, "the source text that was executed, in the backend's own functions"]
    point: Annotated[str, "JSON: the differentiated inputs, then the data"]
    right: Annotated[str, "kind of the mathematically right answer: value, kink (a hull of vertices) or undefined"]
    expected: Annotated[str, "JSON: the right derivative, or the vertices of the declared hull"]
    obtained: Annotated[str, "JSON: the backend's derivative, normalised"]
    value: Annotated[float, "value of the backend's function at the point"]
    value_expected: Annotated[float, "value by NumPy; nan if the atlas gives none"]
    value_agrees: Annotated[bool, "whether both values agree to half the digits"]
    left: Annotated[str, "JSON: measured left derivative of the backend's own function along each coordinate"]
    right_side: Annotated[str, "JSON: measured right derivative of the backend's own function along each coordinate"]
    hull: Annotated[str, "JSON: range of the measured hull, [low, high] for each entry"]
    bar: Annotated[float, "widest error bar of the measured derivatives"]
    distance: Annotated[float, "largest entry of the difference between the answer and the right derivative or hull"]
    tolerance: Annotated[float, "largest distance that counts as agreement"]
    normalisation: Annotated[str, "normalisation applied to the answer before the comparison"]
    message: Annotated[str, "the exception, or the reason for the class"]
    derivation: Annotated[str, "derivation of the right answer"]
    safe: Annotated[str, "a way to write the function that is right on every backend; empty if it is safe as written"]
    machine: MachineKey = ""


@dataclass(frozen=True)
class FuzzRow:
    """The outcomes of all random programs that hold an operation, for one operator, backend and dtype.

    A program of five operations counts for each of them. `autodiff_compare.fuzzing.oracle.Class` defines the classes.
    """

    run_id: Annotated[str, "the run"]
    family: Annotated[str, "family of the operation"]
    operation: Annotated[str, "operation of the neutral namespace, as named in autodiff_compare/fuzzing/operations"]
    operator: Annotated[str, "the derivative computed of the programs"]
    backend: Annotated[str, "name of the backend; name@label if it ran under another Python"]
    variant: Annotated[str, "variant of the backend, empty for the default"]
    dtype: Annotated[str, "float64 or float32"]
    agree: Annotated[int, "outcomes that are the derivative, within rounding"]
    convention: Annotated[int, "outcomes between the one-sided derivatives of a kink"]
    precision: Annotated[int, "outcomes that have lost digits which their dtype holds"]
    defect: Annotated[int, "wrong outcomes"]
    unsupported: Annotated[int, "programs for which the framework says that it has no rule"]
    error: Annotated[int, "programs for which the framework raises although NumPy has a value"]
    hang: Annotated[int, "programs without an answer in time"]
    undecided: Annotated[int, "programs whose derivative is not known at their point, or does not exist there"]
    machine: MachineKey = ""


@dataclass(frozen=True)
class FindingRow:
    """One fault that random programs have shown, with the smallest program that shows it."""

    run_id: Annotated[str, "the run"]
    number: Annotated[int, "number of the finding: its folder is findings/NUMBER; 0 if it was known before the run"]
    backend: Annotated[str, "the framework, without its variant"]
    classed: Annotated[str, "defect precision error hang"]
    kind: Annotated[str, "what is wrong: number, nan, shape, dtype, value, digits, or the type of the exception"]
    operations: Annotated[str, "the operations of the smallest program, separated by spaces"]
    spec: Annotated[str, "backend[:variant] on which it was shrunk"]
    operator: Annotated[str, "the derivative that is wrong there"]
    dtype: Annotated[str, "float64 or float32"]
    programs: Annotated[int, "number of programs that show it"]
    seen: Annotated[str, "JSON: 'backend[:variant] operator dtype' -> number of programs"]
    reproduced: Annotated[str, "whether the standalone script shows it: yes, no; empty if there is no script"]
    message: Annotated[str, "what was got and what was expected"]
    program: Annotated[str, "source of the smallest program, a problem file"]
    machine: MachineKey = ""
