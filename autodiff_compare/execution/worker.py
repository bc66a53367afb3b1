"""The worker: a process that serves the requests of the runner, for one backend or for all of them.

It is started as ``python -P -m autodiff_compare.execution.worker THREADS``, with its environment variables already set,
and answers one line with one line (`autodiff_compare.process.protocol`). The requests about a cell, in order:

1. ``open`` imports the framework, once, and counts the threads that it really uses.
2. ``cell`` prepares the function at one point, calls it at another, and returns the result to be judged. A
   framework that has kept numbers of the first point in its trace is wrong at the second.
3. ``calibrate`` finds the number of calls of a block; ``beside`` holds the value of a derivative ready; ``visit``, any
   number of times, times some blocks. All are sent for right results only.
4. ``finish`` drops the cell.

A request may name its cell. The worker then holds several: those that are prepared while nothing is timed wait for
their rounds.

Traps that shape this module (those of the process are in `autodiff_compare.process.isolation`):

- *Late imports.* A framework counts the processors when it is imported. `main` binds the process to as many as it may
  use, and a request to as many others if several workers compute side by side. An adapter imports its framework when
  it is opened, and a problem's file is loaded when it is asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from autodiff_compare.execution.computation.cell import CellWorker
from autodiff_compare.process import protocol
from autodiff_compare.process.affinity import active_threads, effective_threads, limit_affinity, rebind
from autodiff_compare.process.environment import hide_clone
from autodiff_compare.process.failures import described, whole
from autodiff_compare.process.isolation import die_with_parent, leave, private_pipes, without
from autodiff_compare.vocabulary import Operator, Status

#: Messages of failed allocations; TensorFlow and torch raise exceptions of their own types, not `MemoryError`.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|RESOURCE_EXHAUSTED|bad_alloc|failed to allocate", re.I
)
#: Messages of operations that a framework lacks in half precision; each raises an exception of its own type.
_NO_KERNEL = re.compile(
    r"(not implemented for '|unsupported dtype |array type )(b?float16|half)"
    r"|No OpKernel was registered.*DT_(HALF|BFLOAT16)"
    r"|(of|DataType) (half|b?float16) (is )?not in (the )?list of allowed values",
    re.I | re.S,
)
#: Characters from the end of a traceback that a response holds.
LONGEST_TRACEBACK = 20_000


class Worker:
    """One backend, the problems it has loaded, and the cell that it is working on.

    Parameters
    ----------
    spec
        The backend, ``name[:variant]``.

    Attributes
    ----------
    cells
        The current cell: that of the last request about one.
    problems
        (source, name) -> problem, of the sources that have been loaded.
    """

    def __init__(self, spec: str) -> None:
        from autodiff_compare.backends import load

        self.backend = load(spec)
        self.cells = CellWorker(self.backend)
        self._held: dict[str, CellWorker] = {}
        self._ready: dict[str, Callable[[], Any]] = {}
        self.problems: dict[tuple[str, str], Any] = {}

    def open(self, device: str = "cpu") -> dict[str, Any]:
        """Import the framework; return the seconds that it takes, versions, switches and the threads of a probe.

        Parameters
        ----------
        device
            The device to compute on.

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
        told = {"versions": dict(self.backend.versions()), "switches": dict(self.backend.switches())}
        return {"seconds": seconds, **told, **self._probe()}

    def _probe(self) -> dict[str, Any]:
        """Return CPU time over wall time, and the busy threads, of a matrix product by the backend's own library."""
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
        name: str = "",
        held: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Compute a cell, as `CellWorker.compute`, and hold it until the next one is computed.

        Parameters
        ----------
        source
            Where the problem is loaded from.
        problem, size, dtype, operator, seed, memory, numbers
            The cell.
        name
            Name of the cell in later requests.
        held
            Names of the cells that are held beside it; all others are dropped.
        """
        subject, key = (source, problem, size, dtype), (size, dtype, Operator(operator), seed)
        self._held = {other: cell for other, cell in self._held.items() if other in held}
        if name:
            self.cells = self._held[name] = self.cells.another()
        return self.cells.compute(self._problem(source, problem), subject, key, memory=memory, numbers=numbers)

    def at(self, name: str = "") -> CellWorker:
        """Return the cell of a name, which becomes the current one; without a name the current one.

        Raises
        ------
        ValueError
            If no cell of this name is held.
        """
        if name:
            if name not in self._held:
                raise ValueError(f"got a timing request about {name}, expected a request 'cell' about it first")
            self.cells = self._held[name]
        return self.cells

    def calibrate(self, name: str = "") -> dict[str, Any]:
        """Warm a cell up, as `CellWorker.calibrate`; ``lost`` if it was held by an earlier process."""
        return {"lost": True} if name and name not in self._held else self.at(name).calibrate()

    def finish(self, name: str = "") -> dict[str, Any]:
        """Drop a cell, as `CellWorker.finish`."""
        ended = self.at(name).finish()
        self._held.pop(name, None)
        return ended

    def beside(
        self,
        source: str,
        problem: str,
        size: str,
        dtype: str,
        operator: str,
        seed: int,
        numbers: Sequence[Any] = (),
        name: str = "",
    ) -> dict[str, Any]:
        """Hold the value of the problem of the cell ``name`` ready, as `CellWorker.hold_value`."""
        subject, key = (source, problem, size, dtype), (size, dtype, Operator(operator), seed)
        return self.at(name).hold_value(self._problem(source, problem), subject, key, numbers)

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
        ready = self._ready.pop(_words(function, params), None)
        found = ready() if ready else pkgutil.resolve_name(function)(self.backend, **self._given(params))
        if isinstance(found, list):
            return {"results": [dataclasses.asdict(each) for each in found]}
        return dict(found) if isinstance(found, Mapping) else dataclasses.asdict(found)

    def computing(self, verb: str, params: Mapping[str, Any]) -> contextlib.AbstractContextManager[None]:
        """Return the context of a request: `Backend.computing_in` the dtype that it or its cell has, if it has one."""
        if verb in ("calibrate", "visit", "finish"):
            dtype = self._held.get(params.get("name", ""), self.cells).dtype
        else:
            dtype = (params["given"] if verb == "make_ready" else params).get("dtype", "")
        return self.backend.computing_in(dtype) if dtype else contextlib.nullcontext()

    def make_ready(self, of: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Prepare what a later request with the verb ``of`` and the parameters ``given`` runs."""
        run = pkgutil.resolve_name(_PREPARED[of])(self.backend, **self._given(given))
        self._ready[_words(_FUNCTIONS[of], given)] = run
        return {}

    def _given(self, params: Mapping[str, Any]) -> dict[str, Any]:
        given = dict(params)
        if "source" in given:
            given["problem"] = self._problem(given.pop("source"), given["problem"])
        return given

    def _problem(self, source: str, name: str) -> Any:
        from autodiff_compare.problems import load

        if (source, name) not in self.problems:
            self.problems |= {(source, p.name): p for p in load(source)}
        return self.problems[source, name]


def _words(function: str, params: Mapping[str, Any]) -> str:
    """Return a text that tells two calls of functions apart."""
    return f"{function} {sorted(params.items())}"


def serve(requests: TextIO, responses: TextIO) -> None:
    """Answer requests until their pipe is closed; each request names its backend, and may name processors."""
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
        rebind(request.get("processors", ()))
        if spec not in workers:
            workers[spec] = Worker(spec)
    except Exception as error:
        return _failure(error)
    worker, verb = workers[spec], request["verb"]
    with without(worker.backend.foreign if verb == "open" else ()):
        return answer(worker, verb, request["params"])


def answer(worker: Worker, verb: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a verb; return its payload under ``ok``, or the status and message of its failure."""
    try:
        with worker.computing(verb, params):
            served = _VERBS[verb](worker, **params) if verb in _VERBS else worker.call(_FUNCTIONS[verb], params)
        return {"ok": served}
    except Exception as error:
        return _failure(error, worker.backend)


def _failure(error: Exception, backend: Any = None) -> dict[str, Any]:
    """Return the response about a failed request: status, message and traceback."""
    from autodiff_compare.backends import Unsupported, hint, lacking

    # A backend that cannot be opened has no namespace yet.
    xp = getattr(backend, "xp", None)
    absent = lacking(error, backend.name, xp) if xp is not None else ""
    advice = hint(error, backend.name, xp) if xp is not None else ""
    words, told = described(error, absent, advice), {"traceback": whole(error)[-LONGEST_TRACEBACK:]}
    # Adapters raise Unsupported; frameworks raise NotImplementedError where they have no rule or no kernel.
    if absent or isinstance(error, (Unsupported, NotImplementedError)) or _NO_KERNEL.search(words):
        return {"status": Status.UNSUPPORTED, "message": words, **told}
    out_of_memory = isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(words)
    return {
        "status": Status.OUT_OF_MEMORY if out_of_memory else Status.ERROR,
        "message": f"{type(error).__name__}: {words}",
        **told,
    }


_VERBS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "open": Worker.open,
    "cell": Worker.cell,
    "calibrate": Worker.calibrate,
    "beside": Worker.beside,
    "visit": lambda worker, name="", **params: worker.at(name).visit(**params),
    "finish": Worker.finish,
    "make_ready": Worker.make_ready,
    "work": lambda worker, **params: worker.cells.work(**params),
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
    "absent": "autodiff_compare.contract.needed:absent",
    "programs": "autodiff_compare.fuzzing.batch:compute",
    "program": "autodiff_compare.explaining.evaluation:evaluate",
    "taps": "autodiff_compare.explaining.marks:listed",
    "tapped": "autodiff_compare.explaining.marks:observed",
}
#: Verb -> the function that prepares its call, for ``make_ready``.
_PREPARED = {"descend": "autodiff_compare.studies.descent:prepared"}


def main() -> None:
    """Serve requests with the number of threads given on the command line."""
    threads = int(sys.argv[1])
    die_with_parent()
    requests, responses = private_pipes()
    limit_affinity(threads)
    hide_clone()
    serve(requests, responses)
    leave()


if __name__ == "__main__":
    main()
