"""A backend with the gradient of the sum of squares, and one variant per odd result, exception or act of a process."""

from __future__ import annotations

import gc
import os
import pathlib
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from autodiff_compare.backends.interface import NumpyArrays, Request
from autodiff_compare.vocabulary import Operator


class Nameless(Exception):  # noqa: N818 - it is not even called an error
    """An exception that cannot be put into words."""

    def __str__(self) -> str:
        raise RuntimeError("no words either")


class Stranger(BaseException):
    """No subclass of `Exception`."""


class Deceptive(np.ndarray):
    """An array whose shape is not that of its numbers."""

    @property
    def shape(self) -> Any:  # type: ignore[override]
        return (7, 7)


def _raise(error: BaseException) -> Callable[[Any], Any]:
    def fail(g: Any) -> Any:
        raise error

    return fail


def _then(act: Callable[[], Any]) -> Callable[[Any], Any]:
    """Return the right gradient after an act."""

    def after(g: Any) -> Any:
        act()
        return g

    return after


def _with(index: Any, value: float) -> Callable[[Any], Any]:
    def spoil(g: Any) -> Any:
        g[index] = value
        return g

    return spoil


def _recurse(g: Any) -> Any:
    return _recurse(g)


def _limited() -> None:
    """Take as much memory as a limit of this process leaves."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 31, resource.getrlimit(resource.RLIMIT_AS)[1]))
    np.ones(1 << 29)


def _in_a_thread(act: Callable[[], Any]) -> Callable[[], None]:
    def start() -> None:
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()

    return start


def _crash_in_a_thread() -> None:
    raise RuntimeError("nobody sees this")


def _vanish() -> None:
    """Work in a folder that is gone."""
    here = pathlib.Path(os.environ["LEFT_BEHIND"] + ".d")
    here.mkdir(exist_ok=True)
    os.chdir(here)
    here.rmdir()


def _fork() -> None:
    """Leave a child that ends at once, as a library with helpers does."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _fork_and_return() -> None:
    """Go on in two processes, which both answer."""
    os.fork()


#: Variant -> what becomes of the right gradient.
RESULTS: dict[str, Callable[[Any], Any]] = {
    "twice": lambda g: 2 * g,
    "negative": lambda g: -g,
    "reversed": lambda g: g[::-1],
    "shifted": lambda g: np.roll(g, 1),
    "constant": lambda g: np.full_like(g, g.mean()),
    "one_zero": _with(4, 0.0),
    "one_sign": lambda g: g * np.where(np.arange(g.size) == 2, -1, 1),
    "off_by_1e-6": lambda g: g * (1 + 1e-6),
    "in_float32": lambda g: g.astype(np.float32).astype(np.float64),
    "in_float16": lambda g: g.astype(np.float16).astype(np.float64),
    "off_by_a_constant": lambda g: g + 1e-3,
    "all_nan": lambda g: np.full_like(g, np.nan),
    "minus_infinity": _with(0, -np.inf),
    "largest": lambda g: np.full_like(g, np.finfo(float).max),
    "complex": lambda g: g + 0j,
    "half": lambda g: g.astype(np.float16),
    "whole": lambda g: np.round(g).astype(np.int64),
    "truth": lambda g: g > 0,
    "swapped_bytes": lambda g: g.astype(">f8"),
    "long": lambda g: g.astype(np.longdouble),
    "empty": lambda g: g[:0],
    "sum": lambda g: g.sum(),
    "column": lambda g: g[:, None],
    "longer": lambda g: np.append(g, 0.0),
    "matrix": lambda g: np.outer(g, g),
    "nothing": lambda g: None,
    "tuple": lambda g: (g, g),
    "text": lambda g: "2 x",
    "ragged": lambda g: [g, g[:2]],
    "mapping": lambda g: {"gradient": g},
    "generator": lambda g: (x for x in g),
    "function": lambda g: lambda: g,
    "records": lambda g: np.zeros(g.size, "f8,i4"),
    "deceptive": lambda g: g.view(Deceptive),
    "masked": lambda g: np.ma.masked_array(g, g > g.mean()),
    # Right ones, in unusual memory.
    "strided": lambda g: np.repeat(g, 2)[::2],
    "read_only": lambda g: np.frombuffer(g.tobytes()),
    "backwards": lambda g: g[::-1].copy()[::-1],
}
#: Variant -> the exception that its gradient raises.
EXCEPTIONS: dict[str, Callable[[Any], Any]] = {
    "system_exit": _raise(SystemExit(3)),
    "keyboard_interrupt": _raise(KeyboardInterrupt()),
    "generator_exit": _raise(GeneratorExit()),
    "stranger": _raise(Stranger("who am I")),
    "stop_iteration": _raise(StopIteration()),
    "no_words": _raise(ValueError()),
    "no_name": _raise(Nameless()),
    "many_words": _raise(ValueError("word " * 300_000)),
    "many_lines": _raise(ValueError("line\n" * 10_000)),
    "control": _raise(ValueError("\x1b[2J\x07 gone")),
    "surrogates": _raise(ValueError("\udc80\ud800")),
    "group": _raise(ExceptionGroup("several", [ValueError("one"), TypeError("two")])),
    "warning": lambda g: warnings.warn("deprecated long ago", DeprecationWarning, stacklevel=1) or g,
    "recursion": _recurse,
    # More than there are addresses: a system that promises any memory refuses it too.
    "memory": lambda g: np.ones(1 << 50),
    "limit": _then(_limited),
    "broken_pipe": _raise(BrokenPipeError(32, "Broken pipe")),
    "timeout": _raise(TimeoutError("too late")),
    "division": lambda g: 1 // 0,
}
#: Variant -> an act beside the right gradient.
ACTS: dict[str, Callable[[], Any]] = {
    "sigterm": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "sigbus": lambda: os.kill(os.getpid(), signal.SIGBUS),
    "sigill": lambda: os.kill(os.getpid(), signal.SIGILL),
    "sigfpe": lambda: os.kill(os.getpid(), signal.SIGFPE),
    "exit_0": lambda: os._exit(0),
    "exit_in_a_thread": _in_a_thread(lambda: os._exit(9)),
    "error_in_a_thread": _in_a_thread(_crash_in_a_thread),
    "thread_that_stays": lambda: threading.Thread(target=time.sleep, args=(600,), daemon=True).start(),
    "closes_stdout": lambda: os.close(1),
    "closes_stderr": lambda: os.close(2),
    "closes_everything": lambda: os.closerange(0, 64),
    "shouts": lambda: sys.stderr.write("no " * 1_000_000),
    "binary": lambda: os.write(2, bytes(range(256)) * 100),
    "forgets_its_environment": os.environ.clear,
    "forgets_its_path": sys.path.clear,
    "forgets_its_modules": lambda: [sys.modules.pop(name) for name in ("json", "base64")],
    "raises_on_errors": lambda: np.seterr(all="raise"),
    "seeds": lambda: np.random.seed(1),
    "collects_never": gc.disable,
    "starts_a_timer": lambda: signal.setitimer(signal.ITIMER_REAL, 600.0),
    "ignores_signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "vanishes": _vanish,
    "forks": _fork,
    "forks_and_goes_on": _fork_and_return,
}
#: Variant -> the method that fails instead of the gradient, and how.
METHODS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "open_raises": ("open", _raise(OSError("libfast.so: wrong ELF class"))),
    "open_exits": ("open", lambda _: os._exit(4)),
    "open_leaves": ("open", _raise(SystemExit("no licence"))),
    "open_dies": ("open", lambda _: os.kill(os.getpid(), signal.SIGSEGV)),
    "to_var_raises": ("to_var", _raise(TypeError("no such array"))),
    "to_var_gives_nothing": ("to_var", lambda _: None),
    "to_numpy_raises": ("to_numpy", _raise(RuntimeError("lost on the way back"))),
    "to_numpy_gives_text": ("to_numpy", lambda _: "0.5"),
    "block_raises": ("block", _raise(RuntimeError("the stream is broken"))),
    "block_gives_nothing": ("block", lambda _: None),
    "prepare_raises": ("_native", _raise(ValueError("cannot trace"))),
    "prepare_exits": ("_native", lambda _: os._exit(5)),
    "prepare_gives_nothing": ("_native", lambda _: None),
    "versions_raise": ("versions", _raise(LookupError("which version"))),
    "switches_unknown": ("switches", lambda _: {"fast_math": "on"}),
    "switches_no_words": ("switches", lambda _: {"onednn": True}),
    "mode_gives_nothing": ("mode", lambda _: None),
    "mode_gives_a_number": ("mode", lambda _: 2),
}
FAULTS = RESULTS | EXCEPTIONS | {name: _then(act) for name, act in ACTS.items()}


class Hostile(NumpyArrays):
    name: ClassVar[str] = "hostile"
    requires: ClassVar[tuple[str, ...]] = ()
    variants = MappingProxyType(dict.fromkeys(["", *FAULTS, *METHODS], "a fault"))
    native = frozenset({Operator.VALUE, Operator.GRADIENT})

    def _fault(self, method: str, right: Callable[[], Any]) -> Any:
        where, act = METHODS.get(self.variant, ("", None))
        return act(None) if act is not None and where == method else right()

    def open(self) -> None:
        self._fault("open", super().open)

    def to_var(self, array: Any, *, dtype: str | None = None) -> Any:
        return self._fault("to_var", lambda: np.array(array, dtype=dtype))

    def to_numpy(self, var: Any) -> Any:
        return self._fault(
            "to_numpy", lambda: var if isinstance(var, (np.ma.MaskedArray, Deceptive)) else np.array(var)
        )

    def block(self, out: Any) -> Any:
        return self._fault("block", lambda: out)

    def versions(self) -> dict[str, str]:
        found: dict[str, str] = self._fault("versions", dict)
        return found

    def switches(self) -> dict[str, str]:
        found: dict[str, str] = self._fault("switches", dict)
        return found

    def mode(self, operator: Operator) -> str:
        del operator
        words: str = self._fault("mode", str)
        return words

    def _native(self, request: Request) -> Any:
        if request.operator == Operator.VALUE:
            return request.function
        fault = FAULTS.get(self.variant, lambda g: g)
        return self._fault("_native", lambda: lambda x: (fault(2 * x),))
