"""The verb ``conventions``: compute every case on every backend, write ``conventions.csv`` and print the overview.

One backend per processor runs at a time, the slowest first, since nothing is timed. When a worker dies in a case, this
case is a defect, and the worker is started again for the next case, a few times.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import json
import os
import pathlib
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.runs.run import open_folder
from autodiff_compare.conventions.judgement import Class, expected_value, judge
from autodiff_compare.conventions.observation import Observation
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.pool import Pool
from autodiff_compare.plan.plan import Plan, PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Array
from autodiff_compare.problems.conventions import CASES, FAMILIES, Case, Kink, Undefined
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.interruption import result_of
from autodiff_compare.results import places
from autodiff_compare.results.rows import ConventionRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.summary import conventions as show
from autodiff_compare.vocabulary import BROKEN, Status, split_spec

#: The backends without ``-b``, the slowest first, so that they take less than three minutes on two processors.
#: Left out: ``torch:compile`` takes seconds a case; ``jax:eager`` takes longer than ``jax`` and answers the same.
DEFAULT = (
    "tensorflow:xla",
    "jax",
    "tensorflow",
    "tensorflow:eager",
    "torch",
    "numpy:compiled",
    "numpy",
)
#: Time limit for one case on one backend, in seconds.
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class _Work:
    """The plan of the backends, and the cases and dtypes to compute."""

    plan: Plan
    settings: Settings
    cases: tuple[Case, ...]
    dtypes: tuple[str, ...]

    def plan_for(self, spec: str) -> Plan:
        """Return the plan with one backend only."""
        interpreters = {k: v for k, v in self.plan.interpreters.items() if k == spec}
        return dataclasses.replace(self.plan, adapters={spec: self.plan.adapters[spec]}, interpreters=interpreters)


def conventions(options: argparse.Namespace) -> int:
    """Compute the cases and print the overview, or explain one case; return exit code 3 if a backend broke down."""
    try:
        work = _work(options)
    except PlanError as error:
        return usage(str(error))
    out = console()
    with contextlib.ExitStack() as stack:
        if options.explain is not None:
            options.out, options.name = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())), ""
        folder = open_folder(options, work.plan, work.settings)
        if isinstance(folder, int):
            return folder
        rows, interrupted = _run(work, folder)
        if options.explain is not None:
            show.explain(rows, out)
        elif output.wanted(options):
            records = [{"folder": str(folder.path), **dataclasses.asdict(row)} for row in rows]
            output.write("conventions", records, options, [folder.path])
        else:
            _print(rows, folder.path, out)
    return exits.INTERRUPTED if interrupted else exits.FAILED if _broke(rows) else exits.OK


def _work(options: argparse.Namespace) -> _Work:
    """Check all names and return the work, before any worker starts."""
    names = [options.explain] if options.explain is not None else options.names
    cases = _chosen(names, families=options.explain is None)
    query = Query(backends=options.backend or DEFAULT, dtypes=options.dtype)
    planned = plan(query)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    settings = Settings(rounds=0, threads=processors, timeout_s=_TIMEOUT_S, environment=environment_of(options))
    return _Work(dataclasses.replace(planned, problems=(), sources={}, cells=()), settings, cases, tuple(query.dtypes))


def _chosen(names: Sequence[str], *, families: bool) -> tuple[Case, ...]:
    """Return the cases of these families and names, in the order of the atlas."""
    for name in names:
        if name.endswith(".py"):
            raise PlanError(
                f"got {name!r}, expected families or cases of the atlas, such as kinks: it has functions of its own. "
                f"Judge a function of yours with compare.py check {name}, at a kink with check --at"
            )
        if name not in CASES and not (families and name in FAMILIES):
            near = [known for known in CASES if name in known or known in name]
            near += [known for known in difflib.get_close_matches(name, CASES) if known not in near]
            raise PlanError(f"got {name!r}, {_choices(name, near, families=families)}")
    return tuple(case for case in CASES.values() if not names or case.family in names or case.name in names)


def _choices(name: str, near: Sequence[str], *, families: bool) -> str:
    """Return what was expected in the place of a name: families, cases with similar names, or those of a family."""
    if families:
        return f"expected a family: {', '.join(FAMILIES)}; or a case{': ' + ', '.join(near) if near else ''}"
    if name in FAMILIES:
        return f"a family, expected a case: {', '.join(case.name for case in CASES.values() if case.family == name)}"
    return f"expected a case: {', '.join(near) if near else '--explain FAMILY lists those of ' + ', '.join(FAMILIES)}"


def _run(work: _Work, folder: RunFolder) -> tuple[list[ConventionRow], bool]:
    """Return the rows in the order of cases and backends, and whether the run was interrupted."""
    answers = len(work.cases) * len(work.dtypes) * len(work.plan.specs)
    stop, interrupted = threading.Event(), False
    for dtype in work.dtypes:
        # Before the threads start: NumPy's warnings can be silenced in one thread only.
        for case in work.cases:
            expected_value(case.name, dtype)
    executor = ThreadPoolExecutor(work.settings.threads)
    with Display("answers") as display:
        display.begin(answers, answers)
        try:
            done = [executor.submit(_compute, work, spec, folder, display, stop) for spec in work.plan.specs]
            for future in done:
                result_of(future)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            stop.set()
            executor.shutdown(cancel_futures=True)
            folder.close()
    cases, specs = list(CASES), show.order(work.plan.specs)
    rows = sorted(
        folder.rows["conventions"], key=lambda r: (cases.index(r.case), r.dtype, specs.index(show.spec_of(r)))
    )
    return rows, interrupted


def _compute(work: _Work, spec: str, folder: RunFolder, display: Display, stop: threading.Event) -> None:
    """Compute all cases on one backend, and write the rows family by family."""
    pool = Pool(work.plan_for(spec), work.settings, folder, display)
    try:
        for dtype in work.dtypes:
            for family in dict.fromkeys(case.family for case in work.cases):
                rows = []
                for case in (c for c in work.cases if c.family == family):
                    if stop.is_set():
                        break
                    if dtype in case.dtypes:
                        display.doing(f"{case.name} on {spec}")
                        rows.append(_row(case, spec, dtype, *_observe(pool, spec, case, dtype), folder.run_id))
                    display.piece_done()
                folder.add({"conventions": rows})
    finally:
        pool.close()


def _observe(pool: Pool, spec: str, case: Case, dtype: str) -> tuple[Observation, str]:
    """Return the observation of a case, and the status of the worker if it failed (else empty)."""
    try:
        return Observation(**pool.request(spec, "observe", _TIMEOUT_S, name=case.name, dtype=dtype)), ""
    except WorkerError as error:
        status = "not_available" if error.status == Status.NOT_INSTALLED else "raised"
        return Observation(status=status, message=f"{error.status}: {error}"), str(error.status)


def _row(case: Case, spec: str, dtype: str, seen: Observation, failed: str, run_id: str) -> ConventionRow:
    found = judge(case, seen, dtype)
    # A case may be refused with an error, but the process must not die.
    classed, reason = (Class.DEFECT, "") if failed in BROKEN else (found.classed, found.reason)
    declared = case.right.reason if isinstance(case.right, Undefined) else getattr(case.right, "more", "")
    backend, variant = split_spec(spec)
    return ConventionRow(
        run_id=run_id,
        family=case.family,
        case=case.name,
        backend=backend,
        variant=variant,
        dtype=dtype,
        operator=case.operator,
        classed=str(classed),
        function=case.f,
        spelled=seen.spelled,
        point=json.dumps([numbers(part) for part in (*case.inputs(dtype), *case.constants(dtype))]),
        right=f"{type(case.right).__name__.lower()}{': ' + declared if declared else ''}",
        expected=json.dumps([] if isinstance(case.right, Undefined) else numbers(_declared(case))),
        obtained=json.dumps(numbers(seen.obtained)),
        value=float(seen.value[0]) if seen.value.size else float("nan"),
        value_expected=found.value_expected,
        value_agrees=found.value_agrees,
        left=json.dumps(numbers(seen.left)),
        right_side=json.dumps(numbers(seen.right)),
        hull=json.dumps([numbers(np.array(pair)) for pair in zip(found.low, found.high, strict=True)]),
        bar=float(max(np.max(seen.bar, initial=0.0), np.max(seen.hull_bar, initial=0.0))),
        distance=found.distance,
        tolerance=found.tolerance,
        normalisation=seen.normalisation,
        message="; ".join(filter(None, [reason, seen.message])),
        derivation=case.why,
        safe=case.safe,
    )


def _declared(case: Case) -> Array:
    assert not isinstance(case.right, Undefined)
    array = case.right.array
    # Vertices of one entry each are written as a list of numbers, not of lists.
    return array[:, 0] if isinstance(case.right, Kink) and array.shape[1] == 1 else array


def numbers(array: Array) -> Any:
    """Return nested lists for JSON, with complex and non-finite numbers as strings."""
    if np.iscomplexobj(array):
        return np.vectorize(lambda z: f"{z:.17g}", otypes=[object])(array).tolist()
    if array.dtype.kind == "f":
        kept = np.where(np.isfinite(array), array, 0.0).astype(object)
        return np.where(np.isfinite(array), kept, array.astype(str)).tolist()
    return array.tolist()


def _broke(rows: Sequence[ConventionRow]) -> bool:
    return any(row.message.startswith(tuple(f"{status}: " for status in BROKEN - {Status.ERROR})) for row in rows)


def _print(rows: Sequence[ConventionRow], path: pathlib.Path, out: Console) -> None:
    show.overview(rows, out)
    out.print(f"tables: {places.shown(path)}", soft_wrap=True)
