"""The worker: one process for one backend, or for all, serving requests from the runner line by line.

``python -P -m autodiff_compare.execution.worker THREADS``, started with its environment already set. Requests come on
standard input, responses leave on a private copy of standard output; whatever a framework prints
goes to standard error, which the runner keeps in a file. Every response carries the id of its request.

A cell is served in this order: ``cell`` (prepare at one point, first call at another, the result back for
judging), then for right results ``calibrate`` and any number of ``visit``; ``finish`` drops it.
"""

from __future__ import annotations

import contextlib
import cProfile
import ctypes
import dataclasses
import gc
import os
import pkgutil
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TextIO

import numpy as np

from autodiff_compare.plan.cases import Case, build_case, cast, elsewhere, leaves, received
from autodiff_compare.process import protocol
from autodiff_compare.process.environment import active_threads, effective_threads, limit_affinity
from autodiff_compare.timing import clock
from autodiff_compare.vocabulary import Operator, Status

#: What the frameworks say when an allocation fails; TensorFlow and torch raise their own types.
_MEMORY = re.compile(r"out of memory|can't allocate memory|RESOURCE_EXHAUSTED|bad_alloc|failed to allocate", re.I)


class Worker:
    """One opened backend and the cell it is working on."""

    def __init__(self, spec: str) -> None:
        # Imported late: the process is bound to its processors before any library counts them.
        from autodiff_compare.backends import load

        self.backend = load(spec)
        self.timed: clock.Timed | None = None
        self.objective_code: Any = None
        self.calls_per_evaluation = 0
        self.problems: dict[tuple[str, str], Any] = {}

    def open(self, device: str = "cpu") -> dict[str, Any]:
        """Import the framework; returns the seconds it took, the threads really used, versions and switches."""
        from autodiff_compare.backends import Unsupported

        if device not in self.backend.devices:
            raise Unsupported(f"{self.backend.spec} computes on {', '.join(self.backend.devices)}, not on {device}")
        self.backend.device = device
        start = time.perf_counter()
        self.backend.open()
        seconds = time.perf_counter() - start
        threads, active = self._probe()
        told = {"versions": dict(self.backend.versions()), "switches": dict(self.backend.switches())}
        return {"seconds": seconds, "threads": threads, "threads_active": active, **told}

    def cell(
        self,
        source: str,
        problem: str,
        size: str,
        dtype: str,
        operator: str,
        seed: int,
        memory: bool = False,
        numbers: Sequence[Any] = (),
    ) -> dict[str, Any]:
        """Prepare at one point, then call at another; ``numbers`` are both, where they cannot be drawn here."""
        found, key = self._problem(source, problem), (size, dtype, Operator(operator), seed)
        if numbers:
            case, other = (received(found, *key, point) for point in numbers)
        else:
            case = build_case(found, *key)
            other = elsewhere(case)
        run, prepare_s = self._prepare(case, other)
        args = self._vars((*case.inputs.arrays, *case.directions), dtype)
        start = time.perf_counter()
        first = self.backend.block(run(*args))
        first_call_s = time.perf_counter() - start
        self.timed = clock.Timed(run, args, self.backend.block)
        expansion = case.problem.expansion
        called = expansion.rows if expansion else case.problem.function(self.backend, case.inputs.static)
        self.objective_code = _code_of(called)
        result = self._numpy(first)
        self.calls_per_evaluation, again = self._counted()
        return {
            "result": result,
            "repeatable": _same_bits(result, self._numpy(again)),
            "inputs_unchanged": self._unchanged(case, args),
            "prepare_s": prepare_s,
            "first_call_s": first_call_s,
            "how": self.backend.how(case.operator),
            "mode": self.backend.mode(case.operator),
            "objective_calls": self.calls_per_evaluation,
            **self._memory(memory),
        }

    def calibrate(self) -> dict[str, Any]:
        """Find the calls per block and warm up."""
        # A framework leaves a million objects, some only at the first use of an operator; unless they are
        # set aside, collecting before each visit walks them all (56 ms a visit with torch, 12 ms without).
        gc.collect()
        gc.freeze()
        return {"calls": clock.calibrate(self._current())}

    def visit(self, calls: int) -> dict[str, Any]:
        """One visit of a round.

        Returns seconds per block and of the whole visit, of it waiting for a processor that others had, and whether
        something was traced meanwhile.
        """
        traces, before = self.backend.traces(), clock.Spent.so_far()
        seconds = clock.visit(self._current(), calls)
        spent = clock.Spent.so_far() - before
        retraced = self.backend.traces() != traces
        return {"seconds": seconds, "wall_s": spent.wall_s, "queue_s": spent.for_others_s, "retraced": retraced}

    def work(self, units: int) -> dict[str, Any]:
        """Take a known amount of work for the cell, for trials of the clock itself."""
        self.timed = clock.Timed(clock.work, (units,), lambda out: out)
        return {}

    def finish(self) -> dict[str, Any]:
        """Drop the cell; says whether its objective is called more or less often than before it was timed."""
        retraced = self.timed is not None and self._counted()[0] != self.calls_per_evaluation
        self.timed = None
        return {"retraced": retraced}

    def call(self, function: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call a function named ``package.module:function`` with the backend, and the problem where one is named.

        A dataclass is returned as a dictionary, a list of them under ``results``.
        """
        given = dict(params)
        if "source" in given:
            given["problem"] = self._problem(given.pop("source"), given["problem"])
        found = pkgutil.resolve_name(function)(self.backend, **given)
        if isinstance(found, list):
            return {"results": [dataclasses.asdict(each) for each in found]}
        return dict(found) if isinstance(found, Mapping) else dataclasses.asdict(found)

    def _memory(self, wanted: bool) -> dict[str, Any]:
        """Growth of the peak in one untimed call, by the framework's own counter or else by the resident memory."""
        timed, own = self._current(), self.backend.memory_counter
        if not wanted:
            return {"peak_bytes": None, "memory_method": ""}

        def call() -> None:
            timed.barrier(timed.run(*timed.args))

        peak = self.backend.peak_bytes(call) if own else None
        if peak is not None:
            return {"peak_bytes": peak, "memory_method": own}
        peak = clock.peak_memory_growth(call)
        return {"peak_bytes": peak, "memory_method": "" if peak is None else clock.HIGH_WATER_MARK}

    def _probe(self) -> tuple[float, int | None]:
        """CPU over wall time, and busy threads, of the backend's own matrix product, NumPy's where it has none."""
        matrix = self.backend.to_var(np.ones((256, 256)))

        def product() -> None:
            self.backend.block(self.backend.xp.matmul(matrix, matrix))

        product()
        return effective_threads(product), active_threads(product)

    def _problem(self, source: str, name: str) -> Any:
        from autodiff_compare.problems import load

        if (source, name) not in self.problems:
            self.problems |= {(source, p.name): p for p in load(source)}
        return self.problems[source, name]

    def _prepare(self, case: Case, other: Case) -> tuple[Callable[..., Any], float]:
        from autodiff_compare.backends import PLAIN, Objective
        from autodiff_compare.plan.sparsity import expanded
        from autodiff_compare.problems.base.closed_forms import complete

        function = case.problem.function(self.backend, case.inputs.static)
        patterns = case.patterns if case.operator == Operator.SPARSE_JACOBIAN else ()
        closed = complete(case.problem, case.inputs, case.optimizer, PLAIN)
        wide = expanded(case.problem, self.backend, case.inputs) if patterns else None
        objective = Objective(function, closed, patterns, wide)
        args = self._vars(other.inputs.arrays, case.dtype)
        directions = self._vars(other.directions, case.dtype)
        start = time.perf_counter()
        run = self.backend.prepare(
            case.operator,
            objective,
            args,
            argnums=range(len(case.inputs.differentiated)),
            directions=directions,
            optimizer=case.optimizer,
        )
        return run, time.perf_counter() - start

    def _vars(self, arrays: Sequence[Any], dtype: str) -> list[Any]:
        return [self.backend.to_var(cast(array, dtype)) for array in arrays]

    def _numpy(self, result: Any) -> list[Any]:
        return [np.asarray(self.backend.to_numpy(leaf)) for leaf in leaves(result)]

    def _unchanged(self, case: Case, args: Sequence[Any]) -> bool:
        given = [cast(array, case.dtype) for array in (*case.inputs.arrays, *case.directions)]
        return _same_bits(given, [np.asarray(self.backend.to_numpy(arg)) for arg in args])

    def _current(self) -> clock.Timed:
        if self.timed is None:
            raise ValueError("got a timing request without a cell, expected request 'cell' first")
        return self.timed

    def _counted(self) -> tuple[int, Any]:
        """Python calls of the objective during one untimed evaluation, and its result.

        Counted by the standard library's profiler rather than by a wrapper, which would stand between clock and
        framework. It is written in C: a nested derivative takes 1.7 times as long under it, 2.3 under a hook in Python.
        """
        timed, profiler = self._current(), cProfile.Profile(builtins=False, subcalls=False)
        with profiler:
            out = timed.barrier(timed.run(*timed.args))
        return sum(found.callcount for found in profiler.getstats() if found.code is self.objective_code), out


def _code_of(f: Any) -> Any:
    """The code that a call of ``f`` runs in Python, under partials; `None` if it runs none."""
    while isinstance(f, partial):
        f = f.func
    return getattr(f, "__code__", None) or getattr(type(f).__call__, "__code__", None)


def serve(requests: TextIO, responses: TextIO) -> None:
    """Answer requests until their pipe is closed; each names its backend."""
    workers: dict[str, Worker] = {}
    for line in requests:
        request = protocol.decode(line)
        found = _answer(workers, request)
        try:
            text = protocol.encode({"id": request["id"], **found})
        except Exception as error:
            text = protocol.encode({"id": request["id"], **_failure(error)})
        responses.write(text + "\n")
        responses.flush()


def _answer(workers: dict[str, Worker], request: Mapping[str, Any]) -> dict[str, Any]:
    spec = request["backend"]
    try:
        if spec not in workers:
            workers[spec] = Worker(spec)
    except Exception as error:
        return _failure(error)
    return answer(workers[spec], request["verb"], request["params"])


def answer(worker: Worker, verb: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a verb gives, under ``ok``, or the status and message of its failure."""
    try:
        served = _VERBS[verb](worker, **params) if verb in _VERBS else worker.call(_FUNCTIONS[verb], params)
        return {"ok": served}
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> dict[str, Any]:
    from autodiff_compare.backends import Unsupported

    words = str(error).strip() or type(error).__name__
    # Frameworks raise the latter where they have no rule or no kernel; the former is ours.
    if isinstance(error, (Unsupported, NotImplementedError)):
        return {"status": Status.UNSUPPORTED, "message": words}
    status = Status.OUT_OF_MEMORY if isinstance(error, MemoryError) or _MEMORY.search(words) else Status.ERROR
    traceback.print_exception(type(error), error, error.__traceback__)
    return {"status": status, "message": f"{type(error).__name__}: {words}"}


def _same_bits(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)
    )


_VERBS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "open": Worker.open,
    "cell": Worker.cell,
    "calibrate": Worker.calibrate,
    "visit": Worker.visit,
    "finish": Worker.finish,
    "work": Worker.work,
}
#: Verbs served by a function of another room, named as text: a worker imports it when it is asked for.
_FUNCTIONS = {
    "overhead": "autodiff_compare.timing.overhead:contest",
    "questions": "autodiff_compare.studies.tape:ask_all",
    "descend": "autodiff_compare.studies.descent:descend",
    "jacobians": "autodiff_compare.studies.robot_arm:jacobians_at",
    "convention": "autodiff_compare.studies.eigenvalues:convention",
    "observe": "autodiff_compare.conventions.observation:observe",
    "clause": "autodiff_compare.contract.clauses:try_clause",
}


def _private_pipes() -> tuple[TextIO, TextIO]:
    """Requests and responses on descriptors that nobody else knows; 0 reads nothing, 1 goes where 2 goes."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return requests, responses


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when the runner dies, however it dies (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)


def main() -> None:
    threads = int(sys.argv[1])
    _die_with_parent()
    requests, responses = _private_pipes()
    limit_affinity(threads)
    serve(requests, responses)


if __name__ == "__main__":
    main()
