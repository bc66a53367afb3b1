"""The worker: a process that serves the requests of the runner, for one backend or for all of them.

It is started as ``python -P -m autodiff_compare.execution.worker THREADS``, with its environment variables already set,
and answers one line with one line (`autodiff_compare.process.protocol`). The requests about a cell, in order:

1. ``open`` imports the framework, once; ``probe`` counts the threads that it really uses.
2. ``cell`` prepares the function at one point, calls it at another, and returns the result to be judged. A
   framework that has kept numbers of the first point in its trace is wrong at the second.
3. ``calibrate`` finds the number of calls of a block; ``beside`` holds the value of a derivative ready; ``visit``, any
   number of times, times some blocks. All are sent for right results only.
4. ``finish`` drops the cell.

Traps that shape this module (those of the process are in `autodiff_compare.process.isolation`):

- *Late imports.* A framework counts the processors when it is imported. `main` binds the process to as many as it may
  use, and `Worker.open` to as many others if several workers import side by side. An adapter imports its framework when
  it is opened, and a problem's file is loaded when it is asked for.
- *gc.freeze.* A framework leaves up to a million objects. A collection before each visit would examine them all: 56 ms
  a visit with torch imported, 12 ms without. Frozen objects are skipped.
"""

from __future__ import annotations

import dataclasses
import gc
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from autodiff_compare.execution.objective_calls import code_of, counted
from autodiff_compare.execution.peak_memory import peak_memory
from autodiff_compare.execution.preparation import Companion, Prepared, prepared, same_bits
from autodiff_compare.execution.recheck import Recheck
from autodiff_compare.plan.cases import leaves
from autodiff_compare.process import protocol
from autodiff_compare.process.affinity import active_threads, bind, effective_threads, limit_affinity
from autodiff_compare.process.environment import hide_clone
from autodiff_compare.process.failures import described, whole
from autodiff_compare.process.isolation import die_with_parent, private_pipes
from autodiff_compare.timing import clock, suspicion
from autodiff_compare.vocabulary import Operator, Status

#: Messages of failed allocations; TensorFlow and torch raise exceptions of their own types, not `MemoryError`.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|RESOURCE_EXHAUSTED|bad_alloc|failed to allocate", re.I
)
#: Characters from the end of a traceback that a response holds.
LONGEST_TRACEBACK = 20_000


#: Equal inputs that the calls of a visit take in turn, all of them new in each visit.
_TURNS = 3
#: Copies of the inputs that take no more than this fit into a processor's own cache.
_CACHED_BYTES = 1 << 18


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
    cell_now
        The current cell as it was prepared; `None` before the first.
    companion
        The value of the problem of the last cells, to be timed beside its derivatives.
    problems
        (source, name) -> problem, of the sources that have been loaded.
    """

    def __init__(self, spec: str) -> None:
        from autodiff_compare.backends import load

        self.backend = load(spec)
        self.timed: clock.Timed | None = None
        self.recheck: Recheck | None = None
        self.cell_now: Prepared | None = None
        self.subject = ("", "", "", "")
        self.companion: Companion | None = None
        self.per_call_s = 0.0
        self.objective_code: Any = None
        self.calls_per_evaluation = 0
        self.problems: dict[tuple[str, str], Any] = {}

    def open(self, device: str = "cpu", processors: Sequence[int] = (), probe: bool = True) -> dict[str, Any]:
        """Import the framework; return the seconds that it takes, versions, switches and, if probed, `probe`.

        Parameters
        ----------
        device
            The device to compute on.
        processors
            Processors for the import, by default those of this process.
        probe
            Whether to make the probe of threads now. Workers that import side by side make it one by one afterwards.

        Raises
        ------
        Unsupported
            If the backend does not compute on ``device``.
        """
        from autodiff_compare.backends import Unsupported

        if device not in self.backend.devices:
            raise Unsupported(f"{self.backend.spec} computes on {', '.join(self.backend.devices)}, not on {device}")
        self.backend.device = device
        bind(processors)
        start = time.perf_counter()
        self.backend.open()
        seconds = time.perf_counter() - start
        told = {"versions": dict(self.backend.versions()), "switches": dict(self.backend.switches())}
        return {"seconds": seconds, **told, **(self.probe() if probe else {})}

    def probe(self, processors: Sequence[int] = ()) -> dict[str, Any]:
        """Return CPU time over wall time, and the busy threads, of a matrix product by the backend's own library.

        All threads of the process are bound to ``processors`` first, if there are any.
        """
        bind(processors)
        matrix = self.backend.to_var(np.ones((256, 256)))

        def product() -> None:
            self.backend.block(self.backend.xp.matmul(matrix, matrix))

        product()
        return {"threads": effective_threads(product), "threads_active": active_threads(product)}

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
        self.subject = (source, problem, size, dtype)
        if self.companion is not None and self.companion.subject != self.subject:
            self.companion = None
        key = (size, dtype, Operator(operator), seed)
        self.cell_now = now = prepared(self.backend, self._problem(source, problem), key, numbers)
        case, self.per_call_s = now.case, 0.0
        start = time.perf_counter()
        first = self.backend.block(now.timed.run(*now.timed.args))
        first_call_s = time.perf_counter() - start
        self.timed = now.timed
        expansion = case.problem.expansion
        called = expansion.rows if expansion else case.problem.function(self.backend, case.inputs.static)
        self.objective_code = code_of(called)
        result = self._numpy(first)
        self.recheck = Recheck(self._numpy, result)
        self.calls_per_evaluation, again = counted(self.timed, self.objective_code)
        return {
            "result": result,
            "repeatable": same_bits(result, self._numpy(again)),
            "inputs_unchanged": now.unchanged(),
            "prepare_s": now.seconds,
            "first_call_s": first_call_s,
            "how": self.backend.how(case.operator),
            "mode": self.backend.mode(case.operator),
            "objective_calls": self.calls_per_evaluation,
            **(peak_memory(self.backend, self.timed) if memory else {"peak_bytes": None, "memory_method": ""}),
        }

    def calibrate(self) -> dict[str, Any]:
        """Return the calls of a block, after a warm-up, and whether the clock sees the whole computation."""
        # Not when the framework is opened: some of its objects are made at the first use of an operator.
        gc.collect()
        gc.freeze()
        timed, first = self._current(), self.recheck
        calls = clock.calibrate(timed)
        tests = {}
        if first is not None and self.cell_now is not None:
            most = _CACHED_BYTES // max(self._input_bytes(), 1)
            tests = {
                "lazy": suspicion.lazy(timed, self._numpy, calls, first.leaves, first.bytes),
                "remembers": suspicion.remembers(timed, self.cell_now.copies, calls, most),
            }
        flags = [flag for flag, holds in tests.items() if holds]
        self.per_call_s = clock.undisturbed(timed, calls)
        return {"calls": calls, "per_call_s": self.per_call_s, "flags": flags}

    def beside(
        self, source: str, problem: str, size: str, dtype: str, operator: str, seed: int, numbers: Sequence[Any] = ()
    ) -> dict[str, Any]:
        """Hold the value of the current cell's problem ready, to be timed in the same visits; return its seconds.

        The callable of the value's own cell is used if this process has timed it, else it is prepared again.
        """
        if self.companion is None:
            key = (size, dtype, Operator(operator), seed)
            value = prepared(self.backend, self._problem(source, problem), key, numbers)
            seconds = clock.undisturbed(value.timed, clock.calibrate(value.timed))
            self.companion = Companion((source, problem, size, dtype), value, seconds)
        return {"per_call_s": self.companion.per_call_s}

    def visit(self, calls: int, value_calls: int = 0) -> dict[str, Any]:
        """Make one visit of a round.

        Parameters
        ----------
        calls
            Calls of a block.
        value_calls
            Calls of a block of the value, which is timed afterwards; 0 to leave it out.

        Returns
        -------
        dict
            ``seconds`` of each block, and ``waited_s`` of them in which another process had the processor;
            ``retraced``, whether the framework traced a function during the visit; ``other``, a
            result that differs from the first in some bit, if there is one; ``value_seconds`` and
            ``value_waited_s`` of the blocks of the value.
        """
        timed = self._current()
        if self.recheck is not None and self.cell_now is not None:
            timed = dataclasses.replace(timed, others=self.cell_now.copies(_TURNS - 1))
        traces = self.backend.traces()
        blocks, values = clock.visit(timed, calls, self.recheck), []
        if value_calls and self.companion is not None:
            value = self.companion.prepared
            values = clock.beside(dataclasses.replace(value.timed, others=value.copies(_TURNS - 1)), value_calls)
        return {
            "seconds": [block.seconds for block in blocks],
            "waited_s": [block.waited_s for block in blocks],
            "value_seconds": [block.seconds for block in values],
            "value_waited_s": [block.waited_s for block in values],
            "retraced": self.backend.traces() != traces,
            "other": self.recheck.other if self.recheck else None,
        }

    def work(self, units: int) -> dict[str, Any]:
        """Make a known amount of work the current cell, for trials of the clock."""
        self.timed, self.recheck = clock.Timed(clock.synthetic_work, (units,), lambda out: out), None
        self.cell_now = None
        return {}

    def finish(self) -> dict[str, Any]:
        """Drop the cell; return whether an evaluation now calls the objective another number of times than before."""
        timed, before = self.timed, self.calls_per_evaluation
        retraced = timed is not None and counted(timed, self.objective_code)[0] != before
        now, seconds = self.cell_now, self.per_call_s
        if now is not None and timed is now.timed and now.case.operator == Operator.VALUE and seconds:
            self.companion = Companion(self.subject, now, seconds)
        self.timed = self.recheck = None
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

    def _problem(self, source: str, name: str) -> Any:
        from autodiff_compare.problems import load

        if (source, name) not in self.problems:
            self.problems |= {(source, p.name): p for p in load(source)}
        return self.problems[source, name]

    def _input_bytes(self) -> int:
        return sum(np.asarray(array).nbytes for array in self.cell_now.given) if self.cell_now else 0

    def _numpy(self, result: Any) -> list[Any]:
        found = [np.asarray(self.backend.to_numpy(leaf)) for leaf in leaves(result)]
        for leaf in found:
            if leaf.dtype.kind not in "biufc":
                raise TypeError(f"got a result of dtype {leaf.dtype}, expected numbers")
        return found

    def _current(self) -> clock.Timed:
        if self.timed is None:
            raise ValueError("got a timing request without a cell, expected request 'cell' first")
        return self.timed


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


_VERBS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "open": Worker.open,
    "probe": Worker.probe,
    "cell": Worker.cell,
    "calibrate": Worker.calibrate,
    "beside": Worker.beside,
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
    "programs": "autodiff_compare.fuzzing.batch:compute",
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
