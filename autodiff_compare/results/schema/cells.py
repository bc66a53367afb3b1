"""The columns of the cells of a run: their results, comparisons and times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from autodiff_compare.results.schema.machine import MachineKey


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
