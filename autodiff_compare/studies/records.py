"""Rows of a descent: run it in a worker, write its rows, read its trace back from them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from autodiff_compare.plan.cases import cast, rounded
from autodiff_compare.problems import Array, Problem
from autodiff_compare.process.client import WorkerError
from autodiff_compare.results.rows import DescentRow, StepRow
from autodiff_compare.results.tables import row as checked_row
from autodiff_compare.studies.changes import descent_of
from autodiff_compare.studies.trace import Step, Trace, revived
from autodiff_compare.vocabulary import Operator, Status

#: Most updates of a descent within a comparison; the verb ``descend`` has no such limit.
BRIEF = 3000
#: Points with more entries than this are left out of the tables.
_LARGEST_POINT = 1000


class Requester(Protocol):
    """Sender of requests to the worker of a backend; the pool of a run is one."""

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Key:
    """Key of a descent within its problem: its name, the dtype, the seed of its start, the backend."""

    descent: str
    dtype: str
    start: int
    spec: str

    @property
    def piece(self) -> str:
        """Return the descent's name in the log of a run."""
        return f"{self.descent}/{self.dtype}/{self.start}/{self.spec}"


def run_descent(
    pool: Requester, problem: str, source: str, key: Key, timeout_s: float, iterations: int | None, **recorded: Any
) -> tuple[DescentRow, Trace | None]:
    """Run one descent in the backend's worker, and return its row and trace; a failure has no trace.

    Parameters
    ----------
    source
        Argument of `problems.load` that gives the problem: its name or the file that defines it.
    timeout_s
        In seconds; a descent that takes longer fails with the status ``timeout``.
    iterations
        Most updates; `None` for the descent's own bound.
    recorded
        What is recorded of the steps: ``every`` and ``watch`` of `autodiff_compare.studies.descent.descend`.
    """
    cell_id = "/".join((problem, key.descent, key.dtype, Operator.STEP, key.spec))
    try:
        found = pool.request(key.spec, "descend", timeout_s, **parameters(problem, source, key, iterations, **recorded))
    except WorkerError as error:
        return _failed(cell_id, key.start, error), None
    try:
        # A worker does not know the label of its interpreter, which is part of the backend's name in the tables.
        trace = replace(revived(found), backend=key.spec)
        row = checked_row(DescentRow, vars(_ended(cell_id, trace)))
        for step in step_rows(row, trace):
            checked_row(StepRow, vars(step))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        malformed = WorkerError(Status.ERROR, f"malformed response to 'descend': {type(error).__name__}: {error}")
        return _failed(cell_id, key.start, malformed), None
    return row, trace


def parameters(problem: str, source: str, key: Key, iterations: int | None, **recorded: Any) -> dict[str, Any]:
    """Return the parameters of a request to run a descent, from those of `run_descent`."""
    return {
        "source": source,
        "problem": problem,
        "descent": key.descent,
        "start": key.start,
        "dtype": key.dtype,
        "max_iterations": iterations,
        **recorded,
    }


def _ended(cell_id: str, trace: Trace) -> DescentRow:
    return DescentRow(
        cell_id=cell_id,
        start=trace.start,
        status=Status.OK,
        iterations=trace.iterations,
        restarts=trace.restarts,
        evaluations=trace.evaluations,
        converged=trace.converged,
        final_loss=trace.final_loss,
        seconds=trace.seconds,
        first_point=_point(trace.first_point),
        last_point=_point(trace.last_point),
        message=trace.message,
    )


def _failed(cell_id: str, start: int, error: WorkerError) -> DescentRow:
    words = " ".join(str(error).split())[:300]
    return DescentRow(
        cell_id, start, error.status, None, None, None, False, math.nan, math.nan, first_point="", last_point="",
        message=words,
    )  # fmt: skip


def step_rows(row: DescentRow, trace: Trace | None) -> list[StepRow]:
    """Return the rows of ``steps.csv``; none without a trace."""
    return [
        StepRow(row.cell_id, row.start, s.iteration, s.loss, s.step_size, s.gradient_norm, _json(s.extra))
        for s in (trace.steps if trace else ())
    ]


def _point(arrays: Sequence[Array]) -> str:
    return (
        _json([a.astype(np.float64).tolist() for a in arrays]) if sum(a.size for a in arrays) <= _LARGEST_POINT else ""
    )


def _json(value: Any) -> str:
    """Serialise to strict JSON, with nan and infinities as text."""
    return json.dumps(_encoded(value), allow_nan=False)


def _encoded(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {key: _encoded(part) for key, part in value.items()}
    return [_encoded(part) for part in value] if isinstance(value, (list, tuple)) else value


def trace_from_rows(problem: Problem, row: DescentRow, steps: Sequence[StepRow]) -> Trace | None:
    """Rebuild the trace of a descent from its rows; `None` if it failed. Points too large for the tables are nan.

    Raises
    ------
    ValueError, TypeError, LookupError, RecursionError
        If the rows are not those of a descent of this problem.
    """
    if row.status != Status.OK:
        return None
    name, descent, dtype, _, spec = row.cell_id.rsplit("/", 4)
    inputs = rounded(descent_of(problem, descent).start(row.start), dtype)
    first = tuple(cast(array, dtype) for array in inputs.differentiated)
    return Trace(
        problem=name,
        descent=descent,
        backend=spec,
        dtype=dtype,
        start=row.start,
        iterations=row.iterations or 0,
        restarts=row.restarts or 0,
        evaluations=row.evaluations or 0,
        converged=row.converged,
        final_loss=row.final_loss,
        seconds=row.seconds,
        message=row.message,
        steps=tuple(
            Step(s.iteration, s.loss, s.step_size, s.gradient_norm, _decoded(json.loads(s.extra))) for s in steps
        ),
        first_point=first,
        last_point=_read_point(row.last_point, first),
        data=tuple(cast(array, dtype) for array in inputs.data),
    )


def _read_point(text: str, like: Sequence[Array]) -> tuple[Array, ...]:
    if not text:
        return tuple(np.full_like(array, np.nan) for array in like)
    parts = _decoded(json.loads(text))
    return tuple(np.asarray(part, a.dtype).reshape(a.shape) for part, a in zip(parts, like, strict=True))


def _decoded(value: Any) -> Any:
    """Invert `_encoded`."""
    if isinstance(value, str):
        return float(value)
    if isinstance(value, dict):
        return {key: _decoded(part) for key, part in value.items()}
    return [_decoded(part) for part in value] if isinstance(value, list) else value


def first_descent(
    pool: Requester, problem: Problem, source: str, dtype: str, spec: str, timeout_s: float
) -> dict[str, list[Any]]:
    """Run the problem's first descent from its first start, for at most `BRIEF` updates; return its rows by table."""
    key, updates = _first(problem, dtype, spec)
    row, trace = run_descent(pool, problem.name, source, key, timeout_s, updates)
    return {"descents": [row], "steps": step_rows(row, trace)}


def first_parameters(problem: Problem, source: str, dtype: str, spec: str) -> dict[str, Any]:
    """Return the parameters of the request that `first_descent` sends."""
    key, updates = _first(problem, dtype, spec)
    return parameters(problem.name, source, key, updates)


def _first(problem: Problem, dtype: str, spec: str) -> tuple[Key, int]:
    """Return the problem's first descent from its first start, and its updates within a comparison."""
    name, descent = next(iter(problem.descent.items()))
    return Key(name, dtype, descent.starts[0], spec), min(BRIEF, descent.max_iterations)
