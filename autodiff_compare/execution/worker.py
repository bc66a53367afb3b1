"""The worker: a process that serves the requests of the runner, for one backend or for all of them.

It is started as ``python -P -m autodiff_compare.execution.worker THREADS``, with its environment variables already set,
and answers one line with one line (`autodiff_compare.process.protocol`). The requests about a cell, in order:

1. ``open`` imports the framework, once.
2. ``cell`` prepares the function at one point, calls it at another, and returns the result to be judged. A
   framework that has kept numbers of the first point in its trace is wrong at the second.
3. ``calibrate`` finds the number of calls of a block; ``visit``, any number of times, times some blocks. Both are sent
   for right results only.
4. ``finish`` drops the cell.

Traps that shape this module (those of the process are in `autodiff_compare.process.isolation`):

- *Late imports.* A framework counts the processors when it is imported. `main` binds the process to its processors
  first; an adapter imports its framework when it is opened, and a problem's file is loaded when it is asked for.
- *gc.freeze.* A framework leaves up to a million objects. A collection before each visit would examine them all: 56 ms
  a visit with torch imported, 12 ms without. Frozen objects are skipped.
- *Counting calls.* The objective's Python calls are counted by a profiler in an untimed evaluation. A counting wrapper
  would stand between clock and framework.
"""

from __future__ import annotations

import cProfile
import dataclasses
import gc
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TextIO

import numpy as np

from autodiff_compare.plan.cases import Case, build_case, case_from_arrays, cast, leaves, tracing_case
from autodiff_compare.process import protocol
from autodiff_compare.process.environment import active_threads, effective_threads, hide_clone, limit_affinity
from autodiff_compare.process.failures import described, whole
from autodiff_compare.process.isolation import die_with_parent, private_pipes
from autodiff_compare.timing import clock
from autodiff_compare.vocabulary import Operator, Status

#: Messages of failed allocations; TensorFlow and torch raise exceptions of their own types, not `MemoryError`.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|RESOURCE_EXHAUSTED|bad_alloc|failed to allocate", re.I
)
#: Characters from the end of a traceback that a response holds.
LONGEST_TRACEBACK = 20_000


class Worker:
    """One backend and the cell that it is working on.

    Parameters
    ----------
    spec
        The backend, ``name[:variant]``.

    Attributes
    ----------
    timed
        The prepared callable of the current cell; `None` between cells.
    problems
        (source, name) -> problem, of the sources that have been loaded.
    """

    def __init__(self, spec: str) -> None:
        from autodiff_compare.backends import load

        self.backend = load(spec)
        self.timed: clock.Timed | None = None
        self.objective_code: Any = None
        self.calls_per_evaluation = 0
        self.problems: dict[tuple[str, str], Any] = {}

    def open(self, device: str = "cpu") -> dict[str, Any]:
        """Import the framework; return the seconds that it takes, the threads it really uses, versions and switches.

        Raises
        ------
        Unsupported
            If the backend does not compute on ``device``.
        """
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
        """Prepare a cell at one point, call it at another, and return the result with what is known of it.

        Parameters
        ----------
        source, problem, size, dtype, operator, seed
            The cell; ``source`` is where the problem is loaded from.
        memory
            Whether to measure the growth of peak memory.
        numbers
            Inputs and directions of both points, if this process cannot draw the same ones from the seed.
        """
        found, key = self._problem(source, problem), (size, dtype, Operator(operator), seed)
        if numbers:
            case, other = (case_from_arrays(found, *key, point) for point in numbers)
        else:
            case = build_case(found, *key)
            other = tracing_case(case)
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
        """Return the calls of a block, after a warm-up."""
        # Not when the framework is opened: some of its objects are made at the first use of an operator.
        gc.collect()
        gc.freeze()
        return {"calls": clock.calibrate(self._current())}

    def visit(self, calls: int) -> dict[str, Any]:
        """Make one visit of a round.

        Returns
        -------
        dict
            ``seconds`` of each block; ``wall_s`` of the whole visit, and ``queue_s`` of it waiting for a processor that
            other processes had; ``retraced``, whether the framework traced a function during the visit.
        """
        traces, before = self.backend.traces(), clock.Elapsed.now()
        seconds = clock.visit(self._current(), calls)
        elapsed = clock.Elapsed.now() - before
        retraced = self.backend.traces() != traces
        return {"seconds": seconds, "wall_s": elapsed.wall_s, "queue_s": elapsed.contention_s, "retraced": retraced}

    def work(self, units: int) -> dict[str, Any]:
        """Make a known amount of work the current cell, for trials of the clock."""
        self.timed = clock.Timed(clock.synthetic_work, (units,), lambda out: out)
        return {}

    def finish(self) -> dict[str, Any]:
        """Drop the cell; return whether an evaluation now calls the objective another number of times than before."""
        retraced = self.timed is not None and self._counted()[0] != self.calls_per_evaluation
        self.timed = None
        return {"retraced": retraced}

    def call(self, function: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call a function of another room with the backend and the given parameters.

        Parameters
        ----------
        function
            ``package.module:function``.
        params
            Keyword arguments; ``source`` and ``problem`` are replaced by the problem that they name.

        Returns
        -------
        dict
            What the function returns: a mapping, the fields of a dataclass, or a list of those under ``results``.
        """
        given = dict(params)
        if "source" in given:
            given["problem"] = self._problem(given.pop("source"), given["problem"])
        found = pkgutil.resolve_name(function)(self.backend, **given)
        if isinstance(found, list):
            return {"results": [dataclasses.asdict(each) for each in found]}
        return dict(found) if isinstance(found, Mapping) else dataclasses.asdict(found)

    def _memory(self, wanted: bool) -> dict[str, Any]:
        """Return the growth of peak memory in one untimed call, and the method.

        A framework that keeps freed memory has a counter of its own. Where that is not available, the high-water mark
        is read.
        """
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
        """Return CPU time over wall time, and the busy threads, of a matrix product by the backend's own library."""
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
        """Return whether the arguments still hold the bits that they were given."""
        given = [cast(array, case.dtype) for array in (*case.inputs.arrays, *case.directions)]
        return _same_bits(given, [np.asarray(self.backend.to_numpy(arg)) for arg in args])

    def _current(self) -> clock.Timed:
        if self.timed is None:
            raise ValueError("got a timing request without a cell, expected request 'cell' first")
        return self.timed

    def _counted(self) -> tuple[int, Any]:
        """Return the Python calls of the objective during one untimed evaluation, and the result.

        The standard library's profiler is written in C: a nested derivative takes 1.7 times as long under it, and 2.3
        times under a profiling hook in Python.
        """
        timed, profiler = self._current(), cProfile.Profile(builtins=False, subcalls=False)
        with profiler:
            out = timed.barrier(timed.run(*timed.args))
        return sum(found.callcount for found in profiler.getstats() if found.code is self.objective_code), out


def _code_of(f: Any) -> Any:
    """Return the code object that a call of ``f`` executes, seen through partials; `None` if it is not Python."""
    while isinstance(f, partial):
        f = f.func
    return getattr(f, "__code__", None) or getattr(type(f).__call__, "__code__", None)


def serve(requests: TextIO, responses: TextIO) -> None:
    """Answer requests until their pipe is closed; each request names its backend."""
    workers: dict[str, Worker] = {}
    for line in requests:
        request = protocol.decode(line)
        response = _respond(workers, request)
        try:
            text = protocol.encode({"id": request["id"], **response})
        except Exception as error:  # an adapter may return what JSON cannot hold
            text = protocol.encode({"id": request["id"], **_failure(error)})
        responses.write(text + "\n")
        responses.flush()


def _respond(workers: dict[str, Worker], request: Mapping[str, Any]) -> dict[str, Any]:
    spec = request["backend"]
    try:
        if spec not in workers:
            workers[spec] = Worker(spec)
    except Exception as error:
        return _failure(error)
    return answer(workers[spec], request["verb"], request["params"])


def answer(worker: Worker, verb: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a verb; return its payload under ``ok``, or the status and message of its failure."""
    try:
        served = _VERBS[verb](worker, **params) if verb in _VERBS else worker.call(_FUNCTIONS[verb], params)
        return {"ok": served}
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> dict[str, Any]:
    """Return the response about a failed request: status, message and traceback."""
    from autodiff_compare.backends import Unsupported

    words, told = described(error), {"traceback": whole(error)[-LONGEST_TRACEBACK:]}
    # Adapters raise Unsupported; frameworks raise NotImplementedError where they have no rule or no kernel.
    if isinstance(error, (Unsupported, NotImplementedError)):
        return {"status": Status.UNSUPPORTED, "message": words, **told}
    out_of_memory = isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(words)
    return {
        "status": Status.OUT_OF_MEMORY if out_of_memory else Status.ERROR,
        "message": f"{type(error).__name__}: {words}",
        **told,
    }


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
#: Verb -> the function of another room that serves it, named by text: a worker imports it at the first request.
_FUNCTIONS = {
    "overhead": "autodiff_compare.timing.overhead:measure",
    "questions": "autodiff_compare.studies.tape:ask_all",
    "descend": "autodiff_compare.studies.descent:descend",
    "jacobians": "autodiff_compare.studies.robot_arm:jacobians_at",
    "convention": "autodiff_compare.studies.eigenvalues:convention",
    "observe": "autodiff_compare.conventions.observation:observe",
    "clause": "autodiff_compare.contract.clauses:try_clause",
}


def main() -> None:
    """Serve requests with the number of threads given on the command line."""
    threads = int(sys.argv[1])
    die_with_parent()
    requests, responses = private_pipes()
    limit_affinity(threads)
    hide_clone()
    serve(requests, responses)


if __name__ == "__main__":
    main()
