"""The schema of the tables: one dataclass for the rows of each.

The annotation of a field is the documentation of its column; ``results/README.md`` is generated from it. A unit is part
of the column name. `autodiff_compare.results.tables` writes and reads the files.

Schema history: version 1 is the first; version 2 adds ``runs.onednn``; version 3 adds ``runs.environment``,
``runs.planned_cells``, ``samples.waited_s``, and the columns of ``checks`` from ``got`` on;
version 4 adds the tables ``fuzz`` and ``findings``, and ``cells.conversion``;
version 5 adds the table ``machines``, the column ``machine`` of every table but ``runs``, and ``cells.n``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

SCHEMA_VERSION = 5

#: The column ``machine`` of a row: `autodiff_compare.results.machines` says what distinguishes two machines.
MachineKey = Annotated[str, "key of the machine on which the row was made; no statistic joins two of them"]


@dataclass(frozen=True)
class Run:
    """One run of the program: its command, code, machine and settings."""

    run_id: Annotated[str, "name of the run's folder"]
    schema_version: Annotated[int, "version of this schema"]
    started_utc: Annotated[str, "start time, ISO 8601, UTC"]
    command: Annotated[str, "the command line"]
    git_commit: Annotated[str, "commit of the code, '+dirty' if files differ from it, empty outside a checkout"]
    code: Annotated[str, "digest of the program's and the user's source files; distinguishes uncommitted states"]
    seed: Annotated[int, "seed of all inputs and directions"]
    hostname: Annotated[str, "name of the machine"]
    cpu_model: Annotated[str, "name of the processor"]
    cpu_count: Annotated[int, "number of processors that the program may use"]
    memory_bytes: Annotated[int | None, "physical memory; empty where the system does not report it"]
    os: Annotated[str, "operating system and release"]
    python: Annotated[str, "Python version"]
    threads: Annotated[int, "threads requested for each backend"]
    device: Annotated[str, "device on which the backends computed: cpu or gpu"]
    onednn: Annotated[
        str,
        "whether TensorFlow computed with oneDNN, which has kernels and rounding of its own: on, off; "
        "'off on' if its workers differ; empty if no worker opened it, and before version 2",
    ]
    rounds: Annotated[int, "timing rounds requested for each launch"]
    versions: Annotated[
        str,
        "JSON: distribution -> version, for every package that can change a result or a timing; distribution@label for "
        "a package of another Python",
    ]
    environment: Annotated[
        str,
        "JSON: variable -> value, for the environment variables of the caller that reached workers and can change a "
        "number: paths of libraries and modules, devices, and those given by --env; empty before version 3",
    ]
    planned_cells: Annotated[
        int | None, "number of cells that the run was asked for; fewer rows in cells.csv: it was interrupted"
    ]


@dataclass(frozen=True)
class MachineRow:
    """A machine on which cells of the run were computed, with its software: times of two keys are never compared.

    Hosts that are alike have one key, and a row each. Before version 5 the only machine is that of the table ``runs``.
    """

    key: Annotated[
        str,
        "digest of all columns but hostname and onednn, with the memory rounded up to a usual size; the column machine "
        "of the other tables refers to it",
    ]
    hostname: Annotated[str, "name of the host"]
    cpu_model: Annotated[str, "name of the processor"]
    cpu_id: Annotated[
        str, "its vendor, family, model and stepping, and a digest of its instruction sets; empty before version 5"
    ]
    cpu_count: Annotated[int, "number of processors that the program may use"]
    affinity: Annotated[
        str,
        "these processors by highest clock rate, where the system tells it, and the number of their cores: "
        "'2 at 4.2 GHz of 8, on 1 core'; empty before version 5",
    ]
    memory_bytes: Annotated[int | None, "physical memory; empty where the system does not report it"]
    accelerators: Annotated[
        str, "models of the NVIDIA accelerators; empty if there are none, 'unknown' before version 5"
    ]
    os: Annotated[str, "operating system and release"]
    python: Annotated[str, "Python version"]
    versions: Annotated[str, "JSON: distribution -> version, as in the table runs"]
    environment: Annotated[str, "JSON: variable -> value, as in the table runs"]
    code: Annotated[str, "digest of the program's source files, without the user's; empty before version 5"]
    onednn: Annotated[str, "whether TensorFlow computed with oneDNN, as in the table runs"] = ""


@dataclass(frozen=True)
class CellRow:
    """One planned cell: its result and how it ended."""

    run_id: Annotated[str, "the run"]
    cell_id: Annotated[str, "problem/size/dtype/operator/backend[:variant], unique within the run"]
    problem: Annotated[str, "name of the problem"]
    size: Annotated[str, "name of the size, such as small, n=1000, smallx8 (rows of a batch) or small^6 (a degree)"]
    n_inputs: Annotated[int | None, "number of differentiated input entries; empty if the inputs could not be made"]
    n_outputs: Annotated[int | None, "number of output entries of the function; empty if it could not be evaluated"]
    dtype: Annotated[str, "float64 or float32; of complex numbers the dtype of their parts"]
    operator: Annotated[
        str,
        "the quantity computed, such as value, gradient, jvp or hessian; the command list --operators has all",
    ]
    backend: Annotated[str, "name of the backend; name@label if it ran under another Python"]
    variant: Annotated[str, "variant of the backend, empty for the default"]
    how: Annotated[str, "native: the framework's own operator; derived: built by the adapter from its other operators"]
    mode: Annotated[
        str,
        "order of modes of hvp and hessian, the outer mode first, such as 'forward over reverse'; empty for other "
        "operators and for a backend that does not report it",
    ]
    status: Annotated[str, "ok wrong unsupported not_installed error timeout crash out_of_memory not_run"]
    message: Annotated[str, "reason of a status other than ok"]
    value: Annotated[float, "value of the function if it is scalar and was computed, else nan"]
    gradient_norm: Annotated[
        float, "Euclidean norm of all entries of the result, without the value of value_and_gradient"
    ]
    objective_calls: Annotated[
        int | None, "Python calls of the objective in one steady evaluation; 0 if the framework runs a trace of it"
    ]
    peak_rss_bytes: Annotated[int | None, "growth of peak memory during one evaluation; empty where not measurable"]
    memory_method: Annotated[
        str,
        "method of peak_rss_bytes: VmHWM (high-water mark of resident memory), or the framework's own counter if it "
        "does not return freed memory",
    ]
    threads_requested: Annotated[int, "threads that the worker was given"]
    threads_effective: Annotated[float, "CPU time over wall time of a matrix product in this worker; 1 is one thread"]
    threads_active: Annotated[int | None, "threads busy for a tenth of that time or more; empty where not measurable"]
    contended_rounds: Annotated[
        int | None,
        "rounds in which the worker waited for a processor for over 5 % of the time; empty if it was not timed",
    ]
    flags: Annotated[
        str,
        "separated by spaces: noisy (interquartile range of the rounds over 10 % of their median) contended (over a "
        "quarter of the rounds) drift (the rounds have a trend) retraced (the framework traced during timed rounds) "
        "threads (more were busy than requested) cut (--budget ended the rounds early) lazy (the result is "
        "computed when it is read, after the clock has stopped) remembers (calls on an input that was seen before "
        "compute nothing) fallback (numpy:numba computes by straight-line NumPy code, as numpy:compiled does; both "
        "compute as numpy where a long loop has a length that depends on data)",
    ]
    conversion: Annotated[
        str,
        "how the framework's own derivative by complex numbers was brought to the convention of this project, in which "
        "the gradient is dL/da + i dL/db; empty if nothing was changed, and before version 4",
    ] = ""
    n: Annotated[
        int | None,
        "size of the problem as a number, such as its points of data; empty for an instance file of the user, and "
        "before version 5",
    ] = None
    machine: MachineKey = ""


@dataclass(frozen=True)
class CheckRow:
    """One comparison of a result with a reference."""

    cell_id: Annotated[str, "the cell"]
    quantity: Annotated[str, "the part of the result that was compared: value, gradient, shape, dtype, repeat, ..."]
    reference: Annotated[
        str,
        "source of the reference: closed_form, extended_precision, numerical_difference, ..., with (float64) if it was "
        "not computed in a wider type; empty for quantities that are not numbers",
    ]
    max_abs_error: Annotated[float, "largest absolute difference of an entry"]
    norm_rel_error: Annotated[float, "norm of the difference over the norm of the reference"]
    max_ulp_error: Annotated[float, "largest absolute difference in units of eps times the norm of the reference"]
    reference_error_bound: Annotated[float, "error bound of the reference itself, relative to its norm"]
    tolerance: Annotated[float, "norm of the tolerances of all entries over the norm of the reference"]
    worst_index: Annotated[
        str,
        "index of the entry with the largest difference in units of its tolerance; empty for a direction of numerical "
        "differences, and if there is no difference",
    ]
    nonfinite_count: Annotated[int, "number of entries that are nan or infinite"]
    verdict: Annotated[str, "pass fail inconclusive nonsmooth undetermined subgradient estimate no_grad nonfinite"]
    note: Annotated[str, "normalisation applied before the comparison, and remarks"]
    got: Annotated[float, "the result at worst_index, or along the direction; nan if there is no difference"]
    expected: Annotated[float, "the reference there"]
    entry_tolerance: Annotated[float, "absolute error that is allowed there: rounding, and the reference's error bar"]
    how: Annotated[str, "how numerical differences obtained the reference there; empty for other references"]
    machine: MachineKey = ""


@dataclass(frozen=True)
class PairRow:
    """The difference between the results of two backends on one (problem, size, dtype, operator)."""

    problem: Annotated[str, "name of the problem"]
    size: Annotated[str, "name of the size"]
    dtype: Annotated[str, "float64 or float32"]
    operator: Annotated[str, "the quantity computed"]
    backend_a: Annotated[str, "the first backend[:variant]"]
    backend_b: Annotated[str, "the second backend[:variant]"]
    max_abs_difference: Annotated[float, "largest absolute difference of an entry"]
    norm_rel_difference: Annotated[float, "norm of the difference over the larger of the two norms"]
    difference_in_eps: Annotated[float, "norm_rel_difference in units of eps of the dtype"]
    note: Annotated[str, "normalisation applied before the comparison, and remarks"]
    machine: MachineKey = ""


@dataclass(frozen=True)
class SampleRow:
    """One raw timing. All statistics are derived from these rows."""

    cell_id: Annotated[str, "the cell; backend[:variant] alone for the phase import"]
    phase: Annotated[
        str,
        "import prepare first_call (side by side with other backends, unless --phases import or prepare measured them "
        "alone) steady value (the value of the same backend, timed in the visits of its derivative)",
    ]
    round: Annotated[
        int, "phases steady and value: round, from 0, numbered through all launches; other phases: launch, from 0"
    ]
    sample: Annotated[int, "block within the round, from 0"]
    calls: Annotated[int, "calls in the block"]
    seconds: Annotated[float, "seconds of the whole block"]
    waited_s: Annotated[
        float,
        "seconds of the block in which another process had the processor that this one waited for; nan for the "
        "phase import, where the system does not tell, and before version 3",
    ] = math.nan
    machine: MachineKey = ""


@dataclass(frozen=True)
class TimingRow:
    """Statistics of one phase of one cell, in seconds per call."""

    cell_id: Annotated[str, "the cell"]
    phase: Annotated[str, "import prepare first_call steady"]
    n: Annotated[
        int,
        "number of single timings, or of rounds in the phase steady: of quiet ones if there are eight or more, else of "
        "all. A round is quiet if in more than half of its blocks another process had the processor for at most 5 %",
    ]
    min_s: Annotated[float, "fastest round"]
    median_s: Annotated[float, "median over the rounds; the value of a round is the median of its blocks"]
    ci_low_s: Annotated[float, "lower end of the 95 % order-statistic interval of the median; nan under six rounds"]
    ci_high_s: Annotated[float, "upper end of that interval"]
    ratio_to_value: Annotated[
        float,
        "median over the rounds of the time over that of the value on the same backend, which is timed in the same "
        "visits; nan if too few rounds were quiet for both, and in a run without a right operator 'value'",
    ]
    ratio_to_fastest: Annotated[
        float, "median over the median of the fastest backend of the group; nan if not compared"
    ]
    versus_fastest: Annotated[
        str,
        "'1.48x [1.42, 1.55]' (median ratio and 99 % interval) if the paired rule proves this backend slower than the "
        "fastest, '~' if not; 'fastest' for the fastest; 'contended' if fewer than eight rounds were quiet for both; "
        "empty under eight rounds and for a cell that is compared with no other",
    ]
    machine: MachineKey = ""


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


_UNKNOWN_ENTRY = {"got": math.nan, "expected": math.nan, "entry_tolerance": math.nan, "how": ""}
_UNKNOWN_MACHINE = MappingProxyType({"machine": ""})
#: Columns that older versions of the schema lack, and the value that stands for an unknown one.
ADDED: Mapping[type[Any], Mapping[str, Any]] = MappingProxyType(
    {
        Run: MappingProxyType({"onednn": "", "environment": "", "planned_cells": None}),
        CellRow: MappingProxyType({"conversion": "", "n": None, **_UNKNOWN_MACHINE}),
        CheckRow: MappingProxyType({**_UNKNOWN_ENTRY, **_UNKNOWN_MACHINE}),
        SampleRow: MappingProxyType({"waited_s": math.nan, **_UNKNOWN_MACHINE}),
        **dict.fromkeys(
            (PairRow, TimingRow, StepRow, DescentRow, QuestionRow, ConventionRow, FuzzRow, FindingRow),
            _UNKNOWN_MACHINE,
        ),
    }
)

#: Table name -> dataclass of its rows.
TABLES: dict[str, type[Any]] = {
    "runs": Run,
    "machines": MachineRow,
    "cells": CellRow,
    "checks": CheckRow,
    "pairs": PairRow,
    "samples": SampleRow,
    "timings": TimingRow,
    "steps": StepRow,
    "descents": DescentRow,
    "questions": QuestionRow,
    "conventions": ConventionRow,
    "fuzz": FuzzRow,
    "findings": FindingRow,
}
#: Tables that folders of older versions lack: they are read as empty.
LATER_TABLES = frozenset({"machines", "fuzz", "findings"})
