"""What the tables hold: one dataclass each.

The annotation of a field is its documentation; ``results/README.md`` is generated from it. Units are
part of the column name. How they are written and read: `autodiff_compare.results.tables`.

Schema history: version 1 is the first; version 2 adds ``runs.onednn``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Run:
    """One invocation."""

    run_id: Annotated[str, "folder name under results/"]
    schema_version: Annotated[int, "version of these tables"]
    started_utc: Annotated[str, "ISO 8601 start time, UTC"]
    command: Annotated[str, "the command line"]
    git_commit: Annotated[str, "commit of the code, '+dirty' if changed, empty outside a checkout"]
    code: Annotated[str, "digest of the code and of the user's files, so that two changed states are told apart"]
    seed: Annotated[int, "seed of all inputs and directions"]
    hostname: Annotated[str, "machine name"]
    cpu_model: Annotated[str, "processor name"]
    cpu_count: Annotated[int, "processors this process may use"]
    memory_bytes: Annotated[int | None, "physical memory"]
    os: Annotated[str, "operating system and release"]
    python: Annotated[str, "Python version"]
    threads: Annotated[int, "threads requested of every backend"]
    device: Annotated[str, "where the backends computed: cpu, or gpu"]
    onednn: Annotated[
        str,
        "whether TensorFlow computed with oneDNN, which has its own kernels and rounding, as it says itself: on, off; "
        "'off on' where its workers differ; empty where no worker opened it, and before version 2",
    ]
    rounds: Annotated[int, "timing rounds requested"]
    versions: Annotated[
        str, "JSON: distribution -> version, for every package that matters; distribution@label under another Python"
    ]


@dataclass(frozen=True)
class CellRow:
    """One planned cell: what ran and how it ended."""

    run_id: Annotated[str, "the run"]
    cell_id: Annotated[str, "problem/size/dtype/operator/backend[:variant], unique within the run"]
    problem: Annotated[str, "problem name"]
    size: Annotated[str, "size name: small, medium, large"]
    n_inputs: Annotated[int | None, "number of differentiated input entries"]
    n_outputs: Annotated[int | None, "number of output entries of the function"]
    dtype: Annotated[str, "float64 or float32"]
    operator: Annotated[str, "what is computed"]
    backend: Annotated[str, "backend name; name@label where it ran under another Python"]
    variant: Annotated[str, "variant, empty for the default"]
    how: Annotated[str, "native: the framework's own operator; derived: built from its other operators"]
    mode: Annotated[
        str,
        "of hvp and hessian, the order of modes they were taken in, the outer mode first: forward over reverse, "
        "...; empty for other operators and for a backend that does not say",
    ]
    status: Annotated[str, "ok wrong unsupported not_installed error timeout crash out_of_memory"]
    message: Annotated[str, "why the status is not ok"]
    value: Annotated[float, "value of the function where it is scalar"]
    gradient_norm: Annotated[float, "Euclidean norm of all result entries (of the gradient, for operator gradient)"]
    objective_calls: Annotated[int | None, "Python calls of the objective in one steady evaluation; 0 where traced"]
    peak_rss_bytes: Annotated[int | None, "growth of peak memory in one evaluation; empty where not measurable"]
    memory_method: Annotated[
        str, "how: VmHWM (resident memory) or the framework's own counter where it keeps freed memory"
    ]
    threads_requested: Annotated[int, "threads that the worker was given"]
    threads_effective: Annotated[float, "CPU time over wall time of a matrix-product probe in this worker"]
    threads_active: Annotated[int | None, "threads busy for a tenth of that probe or more; empty where not measurable"]
    contended_rounds: Annotated[
        int | None, "rounds in which over 5 % of the time passed waiting for a processor; empty where it was not timed"
    ]
    flags: Annotated[
        str,
        "space separated: noisy (interquartile range of the rounds over 10 % of the median) contended (over a quarter "
        "of the rounds were) drift (rounds trend) retraced threads (more busy than requested) cut (--budget "
        "left fewer rounds than asked)",
    ]


@dataclass(frozen=True)
class CheckRow:
    """One numerical comparison with a reference."""

    cell_id: Annotated[str, "the cell"]
    quantity: Annotated[str, "what was compared: value, gradient, shape, dtype, repeat, ..."]
    reference: Annotated[str, "closed_form, extended_precision, numerical_difference, ... and how evaluated"]
    max_abs_error: Annotated[float, "largest absolute difference of an entry"]
    norm_rel_error: Annotated[float, "norm of the difference over the norm of the reference"]
    max_ulp_error: Annotated[float, "largest absolute difference in units of eps times the norm of the reference"]
    reference_error_bound: Annotated[float, "error bound of the reference itself, relative to its norm"]
    tolerance: Annotated[float, "largest norm_rel_error that passes"]
    worst_index: Annotated[str, "index of the entry with the largest difference"]
    nonfinite_count: Annotated[int, "entries that are nan or infinite"]
    verdict: Annotated[str, "pass fail inconclusive nonsmooth undetermined subgradient no_grad nonfinite"]
    note: Annotated[str, "normalisations applied before comparing, and remarks"]


@dataclass(frozen=True)
class PairRow:
    """Difference between two backends on one (problem, size, dtype, operator)."""

    problem: Annotated[str, "problem name"]
    size: Annotated[str, "size name"]
    dtype: Annotated[str, "float64 or float32"]
    operator: Annotated[str, "what is computed"]
    backend_a: Annotated[str, "backend[:variant]"]
    backend_b: Annotated[str, "backend[:variant]"]
    max_abs_difference: Annotated[float, "largest absolute difference of an entry"]
    norm_rel_difference: Annotated[float, "norm of the difference over the larger of the two norms"]
    difference_in_eps: Annotated[float, "norm_rel_difference in units of eps of the dtype"]
    note: Annotated[str, "normalisations applied before comparing"]


@dataclass(frozen=True)
class SampleRow:
    """One raw timing; statistics are derived from these, never stored instead."""

    cell_id: Annotated[str, "the cell; 'backend' alone for the phase import"]
    phase: Annotated[str, "import prepare first_call steady"]
    round: Annotated[int, "timing round, counted on through the launches, from 0; other phases: launch, from 0"]
    sample: Annotated[int, "block within the round, from 0"]
    calls: Annotated[int, "calls in the block"]
    seconds: Annotated[float, "seconds of the whole block"]


@dataclass(frozen=True)
class TimingRow:
    """Statistics of one phase of one cell, in seconds per call."""

    cell_id: Annotated[str, "the cell"]
    phase: Annotated[str, "import prepare first_call steady"]
    n: Annotated[int, "rounds (steady) or single timings (other phases)"]
    min_s: Annotated[float, "fastest round"]
    median_s: Annotated[float, "median over rounds of the median over blocks"]
    ci_low_s: Annotated[float, "95 % order-statistic interval of the median; nan under six rounds"]
    ci_high_s: Annotated[float, "its upper end"]
    ratio_to_value: Annotated[float, "median over that of operator 'value' on the same backend"]
    ratio_to_fastest: Annotated[float, "median over the fastest backend of the group"]
    versus_fastest: Annotated[str, "'1.48x [1.42, 1.55]' where slower is proved by the paired rule, '~' where not"]


@dataclass(frozen=True)
class StepRow:
    """One descent iteration that was kept."""

    cell_id: Annotated[str, "problem/descent/dtype/step/backend[:variant]"]
    start: Annotated[int, "seed of the starting point"]
    iteration: Annotated[int, "number of updates made so far"]
    loss: Annotated[float, "objective before the next update"]
    step_size: Annotated[float, "step size of the update"]
    gradient_norm: Annotated[float, "Euclidean norm of the gradient"]
    extra: Annotated[str, "JSON: what the study follows besides, e.g. eigenvalues, restart"]


@dataclass(frozen=True)
class DescentRow:
    """One descent from one start: how it ended."""

    cell_id: Annotated[str, "problem/descent/dtype/step/backend[:variant]"]
    start: Annotated[int, "seed of the starting point"]
    status: Annotated[str, "ok (it ran, converged or not) unsupported not_installed error timeout crash out_of_memory"]
    iterations: Annotated[int | None, "updates made"]
    restarts: Annotated[int | None, "restarts among them"]
    evaluations: Annotated[int | None, "evaluations of value and gradient"]
    converged: Annotated[bool, "whether the stop rule was met"]
    final_loss: Annotated[float, "objective at the last point"]
    seconds: Annotated[float, "from the first evaluation to the last, logging included, preparation excluded"]
    first_point: Annotated[str, "JSON: the differentiated inputs at the start; empty above 1000 entries"]
    last_point: Annotated[str, "JSON: and at the end"]
    message: Annotated[str, "why it did not run or did not converge"]


@dataclass(frozen=True)
class QuestionRow:
    """What a tape was asked and what a backend answered in its own idiom."""

    backend: Annotated[str, "backend[:variant]"]
    question: Annotated[str, "name of the question"]
    asked: Annotated[str, "the question"]
    expected: Annotated[str, "the right answer"]
    obtained: Annotated[str, "this backend's answer"]
    equal: Annotated[bool, "whether they agree"]
    convention: Annotated[str, "where they do not: what the framework legitimately does instead"]
    message: Annotated[str, "the exception or warning with which the framework answered"]
    spelled: Annotated[str, "the source text that was executed"]


@dataclass(frozen=True)
class ConventionRow:
    """What one backend answered in one case of the atlas of conventions, its class, and the evidence for that.

    Numbers of several entries are JSON lists in the coordinates of ``autodiff_compare/conventions/slopes.py``, with
    nan and infinities as texts.
    """

    run_id: Annotated[str, "the run"]
    family: Annotated[str, "family of cases"]
    case: Annotated[str, "name of the case"]
    backend: Annotated[str, "backend name; name@label where it ran under another Python"]
    variant: Annotated[str, "variant, empty for the default"]
    dtype: Annotated[str, "float64 or float32"]
    operator: Annotated[str, "gradient jvp second; answer: asked for in the framework's own idiom"]
    classed: Annotated[str, "agree convention value_differs defect undefined error not_available"]
    function: Annotated[str, "the case as it is written in the atlas"]
    spelled: Annotated[str, "the source text that was run, in the backend's own functions"]
    point: Annotated[str, "JSON: the differentiated inputs, then the data"]
    right: Annotated[str, "what is mathematically right: value, kink (a hull of vertices) or undefined"]
    expected: Annotated[str, "JSON: the right derivative, or the vertices of the declared hull"]
    obtained: Annotated[str, "JSON: the backend's derivative, normalised"]
    value: Annotated[float, "of the backend's function at the point"]
    value_expected: Annotated[float, "what it should be by NumPy; nan where that is not said"]
    value_agrees: Annotated[bool, "whether it is, to half the digits"]
    left: Annotated[str, "JSON: left derivative of the backend's own function along each coordinate, measured"]
    right_side: Annotated[str, "JSON: and the right one"]
    hull: Annotated[str, "JSON: range of the measured hull, [low, high] of each entry"]
    bar: Annotated[float, "widest error bar of what was measured"]
    distance: Annotated[float, "largest entry of what separates the answer from what is right, or from the hull"]
    tolerance: Annotated[float, "largest distance that counts as none"]
    normalisation: Annotated[str, "what was done to the answer before it was compared"]
    message: Annotated[str, "the exception, or why it is classed so"]
    derivation: Annotated[str, "why that is right"]
    safe: Annotated[str, "how to write it so that no system goes wrong; empty where it is safe as it stands"]


#: Columns that older versions of the schema lack, and the value that stands for an unknown one.
ADDED: Mapping[type[Any], Mapping[str, str]] = MappingProxyType({Run: MappingProxyType({"onednn": ""})})

TABLES: dict[str, type[Any]] = {
    "runs": Run,
    "cells": CellRow,
    "checks": CheckRow,
    "pairs": PairRow,
    "samples": SampleRow,
    "timings": TimingRow,
    "steps": StepRow,
    "descents": DescentRow,
    "questions": QuestionRow,
    "conventions": ConventionRow,
}
