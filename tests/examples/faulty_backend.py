"""A backend with one gradient, that of the sum of squares, and one variant per kind of failure."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.interface import Backend, Request, Unsupported, python_scan
from autodiff_compare.vocabulary import Operator


def _noise(g: Any) -> Any:
    print("noise\n" * 500_000)
    sys.stdout.flush()
    os.write(1, b'{"id": 1, "ok"')
    return g


def _mutate(x: Any) -> Any:
    g = 2 * x
    x += 1
    return g


def _kill(number: int) -> Callable[[Any], Any]:
    def die(g: Any) -> Any:
        os.kill(os.getpid(), number)
        return g

    return die


def _raise(g: Any) -> Any:
    raise RuntimeError("the sky is falling")


def _refuse(g: Any) -> Any:
    raise Unsupported("not today")


def _lack(g: Any) -> Any:
    raise NotImplementedError("no such kernel")


def _spin(g: Any) -> Any:
    while True:
        pass


def _spin_in_c(g: Any) -> Any:
    return sum(iter(int, 1))


def _leave_child() -> None:
    """Start a process, and write its number where the test looks for it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(os.environ["LEFT_BEHIND"]).write_text(str(child.pid))


def _children(g: Any) -> Any:
    _leave_child()
    return _kill(signal.SIGSEGV)(g)


def _forget_children(g: Any) -> Any:
    _leave_child()
    return _spin(g)


def _private(text: bytes) -> Callable[[Any], Any]:
    """Write to the private pipe on which the worker answers: the file descriptor beside 0, 1 and 2."""

    def write(g: Any) -> Any:
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if int(name) > 2 and os.readlink(f"/proc/self/fd/{name}").startswith("pipe:"):
                    os.write(int(name), text)
        return g

    return write


def _fork_and_die(g: Any) -> Any:
    """Leave a child that holds every pipe of the worker, and die."""
    if os.fork() == 0:
        time.sleep(600)
    return _kill(signal.SIGSEGV)(g)


def _after(calls: int, fault: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the right gradient a given number of times, then apply the fault."""
    left = iter(range(calls))
    return lambda g: g if next(left, None) is not None else fault(g)


def _every(calls: int, fault: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Apply the fault in one of a number of calls."""
    counted = itertools.count(1)
    return lambda g: fault(g) if next(counted) % calls == 0 else g


def _wrong_in_a_second_process(g: Any) -> Any:
    """Return zeros in every process but the first that comes here."""
    path = pathlib.Path(os.environ["LEFT_BEHIND"])
    if not path.exists():
        path.write_text(str(os.getpid()))
    return g if path.read_text() == str(os.getpid()) else np.zeros_like(g)


def _harness() -> bool:
    """Return whether the environment or the stack tells that the caller is a worker or its clock."""
    return os.environ.get("PYTHONHASHSEED") == "0" and "autodiff_compare.execution.worker" in _SEEN_AT_START


def _called_by_the_clock() -> bool:
    frame, names = sys._getframe(2), []
    while frame is not None and len(names) < 4:
        names.append(frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return "finished" in names


def _remembering(when: Callable[[Any], bool], key: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a gradient that repeats a result instead of computing, if ``when`` tells so."""
    seen: dict[Any, Any] = {}

    def gradient(x: Any) -> Any:
        at = key(x)
        if at not in seen or not when(x):
            seen[at] = _slow(x)
        return (seen[at].copy(),)

    return gradient


def _at_pace() -> Callable[[Any], bool]:
    """Return a test that holds if the process has not paused since the last call, however long others had the CPU."""
    import resource

    pauses = [-1]

    def soon(_: Any) -> bool:
        before, pauses[0] = pauses[0], resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        return pauses[0] == before

    return soon


#: Variant -> a gradient that is right and computed seldom.
CHEATS: dict[str, Callable[[], Callable[[Any], Any]]] = {
    "memoised_by_value": lambda: _remembering(lambda x: True, lambda x: x.tobytes()),
    "sees_the_harness_and_remembers": lambda: _remembering(lambda x: _harness(), lambda x: x.tobytes()),
    "sees_the_clock_and_repeats": lambda: _remembering(lambda x: _called_by_the_clock(), lambda x: 0),
    "sees_the_pace_and_repeats": lambda: _remembering(_at_pace(), lambda x: 0),
    "memoised_by_rounded_value": lambda: _remembering(lambda x: True, lambda x: x.astype(np.float32).tobytes()),
    "sees_no_collection_and_remembers": lambda: _remembering(lambda x: not gc.isenabled(), lambda x: x.tobytes()),
    "sees_no_collection_and_repeats": lambda: _remembering(lambda x: not gc.isenabled(), lambda x: 0),
}


class _Lazy:
    """A result that is computed when it is read."""

    def __init__(self, g: Any) -> None:
        self.g = g

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return _slow(self.g / 2)


class _Awaited(_Lazy):
    """A result that another process or a device computes, and that reading it waits for."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        time.sleep(2e-3)
        return self.g


def _slow(x: Any) -> Any:
    until = time.perf_counter() + 2e-4
    while time.perf_counter() < until:
        pass
    return 2 * x


def _late(g: Any) -> Any:
    """Return zeros that a thread replaces by the gradient 20 ms later, as a device would."""
    out = np.zeros_like(g)

    def arrive() -> None:
        time.sleep(0.02)
        out[...] = g

    _ARRIVING.append(threading.Thread(target=arrive))
    _ARRIVING[-1].start()
    return out


def _set(entry: float) -> Callable[[Any], Any]:
    def spoil(g: Any) -> Any:
        g[3] = entry
        return g

    return spoil


#: Modules that were there when this backend was imported.
_SEEN_AT_START = frozenset([*sys.modules, *(["autodiff_compare.execution.worker"] if "worker" in sys.argv[0] else [])])
#: Threads that `FaultyBackend.block` waits for.
_ARRIVING: list[threading.Thread] = []

#: Variant -> the change made to the right gradient.
FAULTS: dict[str, Callable[[Any], Any]] = {
    "": lambda g: g,
    "raises": _raise,
    "unsupported": _refuse,
    "lacks": _lack,
    "segfault": _kill(signal.SIGSEGV),
    "abort": _kill(signal.SIGABRT),
    "killed": _kill(signal.SIGKILL),
    "stopped": _kill(signal.SIGSTOP),
    "exit": lambda g: os._exit(7),
    "spins": _spin,
    "spins_in_c": _spin_in_c,
    "sleeps": lambda g: time.sleep(600),
    "overallocates": lambda g: np.ones(1 << 55),
    "nan": _set(float("nan")),
    "inf": _set(float("inf")),
    "zeros": np.zeros_like,
    "shape": lambda g: g[:-1],
    "dtype": lambda g: g.astype(np.float32),
    "noise": _noise,
    "half_line": _private(b'{"id": 2, "ok"'),
    "half_line_and_exit": lambda g: os._exit(_private(b'{"id": 2, "ok"')(3)),
    "other_reply": _private(b'{"id": 1, "ok": {"result": []}}\n{"id": 4711, "ok": {"result": []}}\n[]\n'),
    "no_payload": _private(b'{"id": 2}\n'),
    "payload_of_a_list": _private(b'{"id": 2, "ok": []}\n'),
    "unknown_status": _private(b'{"id": 2, "status": "fine", "message": "really"}\n'),
    "empty_payload": _private(b'{"id": 2, "ok": {}}\n'),
    "nested": _private(b"[" * 60_000 + b"\n"),
    "texts": lambda g: np.full(g.shape, "steep"),
    "objects": lambda g: np.full(g.shape, None),
    "dates": lambda g: np.zeros(g.shape, "M8[s]"),
    "segfault_with_children": _fork_and_die,
    "segfault_later": _after(20, _kill(signal.SIGSEGV)),
    "sleeps_later": _after(20, lambda g: time.sleep(600)),
    "leaves_children": _children,
    "outlived_by_children": _forget_children,
    "late": _late,
    "wrong_from_the_fifth": _after(4, np.zeros_like),
    "wrong_from_the_third": _after(2, lambda g: 1.001 * g),
    "wrong_from_the_hundredth": _after(99, np.zeros_like),
    # As many results are compared in a visit on any machine.
    "nan_in_one_of_ten": _every(10, _set(float("nan"))),
    "wrong_in_launch_2": _wrong_in_a_second_process,
    "lazy": _Lazy,
    "awaited": _Awaited,
    "sees_the_clock": lambda g: np.zeros_like(g) if _called_by_the_clock() else g,
    "random": lambda g: g * (1 + 1e-16 * time.perf_counter_ns() % 3),
}


class FaultyBackend(Backend):
    name = "faulty"
    requires = ()
    variants = MappingProxyType(dict.fromkeys([*FAULTS, "mutates", "no_import", "memoised", *CHEATS], "a fault"))
    native = frozenset({Operator.VALUE, Operator.GRADIENT})
    xp = np

    def open(self) -> None:
        if self.variant == "no_import":
            raise ImportError("libmissing.so: cannot open shared object file")

    def to_var(self, array: Any, *, dtype: str | None = None) -> Any:
        return np.array(array, dtype=dtype)

    def to_numpy(self, var: Any) -> Any:
        return np.array(var)

    def grad(self, f: Any, argnums: Any = 0) -> Any:
        raise Unsupported("only prepared gradients")

    def step(self, optimizer: Any, params: Any, grads: Any, state: Any) -> Any:
        raise Unsupported("no optimizer")

    def _native(self, request: Request) -> Any:
        if request.operator == Operator.VALUE:
            return request.function
        if self.variant == "mutates":
            return lambda x: (_mutate(x),)
        if self.variant == "memoised":
            seen: dict[int, Any] = {}
            alive: list[Any] = []

            def remembered(x: Any) -> Any:
                if id(x) not in seen:
                    alive.append(x)
                    seen[id(x)] = _slow(x)
                return (seen[id(x)].copy(),)

            return remembered
        if self.variant in CHEATS:
            return CHEATS[self.variant]()
        fault = FAULTS[self.variant]
        return lambda x: (fault(2 * x),)

    def scan(self, f: Any, init: Any, xs: Any) -> Any:
        return python_scan(self.xp, f, init, xs)

    def block(self, out: Any) -> Any:
        while _ARRIVING:
            _ARRIVING.pop().join()
        return out
