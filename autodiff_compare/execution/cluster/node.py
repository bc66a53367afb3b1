"""The node: a process on a host that takes orders, one on each line, and answers with lines as they come.

It is started by whatever the engine has on that host (`engine.NODE`), and ends with its standard input, which the
system closes however the one that started it dies. Every line is a JSON object (`autodiff_compare.process.protocol`)::

    {"hello":{"host":"n1","pid":4711}}
    {"unit":"sphere/small/float64","doing":"judging sphere gradient on jax"}
    {"unit":"sphere/small/float64","rows":{"cells":[...],"checks":[...]},"done":""}
    {"unit":"sphere/small/float64","end":{"status":"","message":"","measured_s":0.7,"prepared_s":2.1}}

A unit ends with its ``end``, with the status that its open cells get: empty if it was carried out, ``timeout`` after
``--unit-timeout``, ``not_run`` if this host may not compute it, ``error`` if it cannot. A node that is killed says
nothing more, and its lines end.

The workers live on from one unit to the next, as they do in a run on one machine.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import platform
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, TextIO

from autodiff_compare.execution.cluster import calls, slurm_binding
from autodiff_compare.execution.cluster.texts import Copies, TextsError
from autodiff_compare.execution.cluster.units import known_values, planned, settings_of, texts_of
from autodiff_compare.execution.dispatcher import Dispatcher
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.runner import Part, Runner
from autodiff_compare.execution.turns import SHARED, HostTurns, NoTurns, TurnsError
from autodiff_compare.plan.plan import Plan, PlanError
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process import protocol
from autodiff_compare.process.environment import program_digest
from autodiff_compare.process.failures import described
from autodiff_compare.process.interruption import changes_context
from autodiff_compare.process.isolation import private_pipes
from autodiff_compare.results.machines import stamped, this_machine
from autodiff_compare.results.rows import CellRow, MachineRow
from autodiff_compare.results.store import Rows, with_words
from autodiff_compare.vocabulary import Status

#: Exit code of a node that was interrupted.
INTERRUPTED = 130
#: Seconds until a unit whose time is over is interrupted again: Python drops an exception in a destructor.
_AGAIN_S = 10.0
#: Writes one line to the coordinator.
Emit = Callable[[Mapping[str, Any]], None]


class UnitTimeout(BaseException):
    """Raised where a unit is, when its time is over."""


class Refusal(Exception):  # noqa: N818
    """A unit that this host may not compute; the message says why."""


class Stream(Silent):
    """The record of a unit that is carried out here: what is added becomes a line, and so does what is done.

    It stands in the place of a run's folder, and of its display.

    Attributes
    ----------
    run_id, machine
        The run to which the rows belong, and the machine of this process.
    known
        Rows of the unit that the coordinator has already.
    finished
        Pieces of work that are done.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self.run_id, self.unit = "", ""
        self.machine: MachineRow | None = None
        self.known: Sequence[CellRow] = ()
        self.finished: frozenset[str] = frozenset()
        self.copies: Copies | None = None

    @property
    def rows(self) -> Rows:
        """The rows of the unit before it was carried out."""
        return {"cells": self.known}

    def add(self, rows: Rows, *, done: str = "") -> None:
        """Send rows, unless a user's file has changed since it was sent."""
        if self.copies is not None:
            self.copies.require_unchanged()
        named = stamped(rows, self.machine) if self.machine else rows
        self._say({"rows": {name: [vars(row) for row in table] for name, table in named.items()}, "done": done})

    def amend(self, told: Mapping[str, str]) -> None:
        """Send what a worker says of its framework, for the rows of the run and of this machine."""
        self._say({"amend": dict(told)})
        # Two workers may be opened at the same time.
        with self._lock:
            if self.machine is not None and (amended := with_words(self.machine, told)) != self.machine:
                self.machine = amended
                self.add({"machines": [amended]})

    def settled(self, cell_ids: Iterable[str] = (), done: str = "") -> bool:
        """Return whether a piece of work is done; the cells that were sent are not."""
        return not list(cell_ids) and done in self.finished

    def doing(self, what: str) -> None:
        self._say({"doing": what})

    @contextlib.contextmanager
    def starting(self, backend: str) -> Iterator[None]:
        self._say({"doing": f"starting {backend}"})
        yield

    def _say(self, told: Mapping[str, Any]) -> None:
        # Converted to lists and objects of JSON now: what is told may change before it is written.
        plain = protocol.decode(protocol.encode({"unit": self.unit, **told}))
        self._emit(plain if self.copies is None else self.copies.as_given(plain))


class Node:
    """Carries out the units of one run.

    Parameters
    ----------
    emit
        Writes a line to the coordinator.
    folder
        A folder of its own, for users' files.
    """

    def __init__(self, emit: Emit, folder: pathlib.Path) -> None:
        self._emit, self._folder = emit, folder
        self._stream = Stream(emit)
        self._turns = NoTurns()
        self._pool: Pool | None = None
        self._dispatcher: Dispatcher | None = None
        self._workers = contextlib.ExitStack()

    def close(self) -> None:
        """End the workers, at once where an exception is handled: they may still compute for it."""
        self._workers.__exit__(*sys.exc_info())
        self._pool = self._dispatcher = None

    def carry_out(self, order: Mapping[str, Any]) -> None:
        """Carry out an order, and say how it ended."""
        end: dict[str, Any] = {"status": "", "message": ""}
        self._turns = NoTurns()
        try:
            with _limited(order.get("limit_s")):
                end |= self._call(order) if "call" in order else self._unit(order)
        except UnitTimeout:
            self.close()
            message = f"the unit took longer than --unit-timeout {order['limit_s']:g}"
            if self._turns.waited_s >= 1:
                message += f"; {self._turns.waited_s:.0f} s of it other units of this host were waited for"
            end |= {"status": Status.TIMEOUT, "message": message}
        except Refusal as error:
            end |= {"status": Status.NOT_RUN, "message": str(error)}
        except (Exception, SystemExit) as error:  # a user's file, a full disk: this host cannot compute the unit
            self.close()
            end |= {"status": Status.ERROR, "message": f"{type(error).__name__}: {described(error)}"}
            if isinstance(error, (PlanError, TextsError, TurnsError)):
                end["message"] = str(error)
            end["message"] += self._about_files(end["message"])
        copies = self._stream.copies
        self._emit({"unit": order["unit"], "end": end if copies is None else copies.as_given(end)})

    def _about_files(self, message: str) -> str:
        """Return what to do about a file or module that a user's file reads, if a message says that it is missing."""
        if "ModuleNotFoundError" in message:
            return (
                " Of the modules beside your file, those travel that an import statement names: write one, or install "
                "the module on every host."
            )
        if "FileNotFoundError" not in message or str(self._folder) not in message:
            return ""
        return " Files that yours reads do not travel with it: put them on every host, under an absolute path."

    def _call(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Call a function that is no unit of a plan; each record that it yields is a line."""
        _require_code(order)
        self._turns = turns = HostTurns(pathlib.Path(order.get("turns", SHARED)))
        try:
            with turns.working(), turns.measuring() if order["call"] in calls.ALONE else contextlib.nullcontext():
                for record in calls.made(order["call"], order["parameters"]):
                    self._emit({"unit": order["unit"], "record": record})
                    if turns.wanted():
                        turns.pause()
        finally:
            turns.close()
        return {}

    def _unit(self, order: Mapping[str, Any]) -> dict[str, Any]:
        _require_code(order)
        stream = self._stream
        stream.copies = copies = Copies(texts_of(order), self._folder)
        plan, settings = planned(order, copies), settings_of(order)
        if settings.rounds and (why := slurm_binding.unbound()):
            raise Refusal(why)
        stream.unit, stream.run_id = order["unit"], order["run_id"]
        stream.known, stream.finished = known_values(order), frozenset(order["done"])
        # The keys of machines are those of a run, whatever its units are.
        here = this_machine(plan, settings)
        stream.machine = here if stream.machine is None or stream.machine.key != here.key else stream.machine
        stream.add({"machines": [stream.machine]})
        runner = self._runner(plan, settings, order)
        try:
            runner.execute([Part(order["part"])])
        finally:
            runner.turns.close()
        effort = {"measured_s": runner.effort.measured_s, "prepared_s": runner.effort.prepared_s}
        return {**effort, "tracebacks": runner.tracebacks}

    def _runner(self, plan: Plan, settings: Settings, order: Mapping[str, Any]) -> Runner:
        if self._pool is not None:
            self._pool.renumber()
        else:
            timed_on = order.get("timed_on", ())
            self._pool = Pool(plan, settings, self._stream, self._stream, timed_on)
            self._workers.callback(self._pool.close)
            self._dispatcher = self._workers.enter_context(Dispatcher(self._pool))
        self._turns = turns = HostTurns(pathlib.Path(order.get("turns", SHARED)), self._stream.doing)
        return Runner(plan, settings, self._stream, self._stream, self._pool, turns, self._dispatcher)


def _require_code(order: Mapping[str, Any]) -> None:
    """Refuse an order of another program: its lines might mean something else there."""
    own = program_digest()
    if own != order["code"]:
        raise Refusal(
            f"got another autodiff-compare on {platform.node()} (code {own}), expected {order['code']}: install the "
            "same version there"
        )


@contextlib.contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Raise `UnitTimeout` in the block when its time is over."""
    over, left = threading.Event(), False

    def end(_number: int, frame: FrameType | None) -> None:
        # The signal may come when the block has just been left, or before this context hears of it.
        if not left and not changes_context(frame):
            raise UnitTimeout

    def remind() -> None:
        patience_s = seconds
        while not over.wait(patience_s):
            os.kill(os.getpid(), signal.SIGUSR1)
            patience_s = _AGAIN_S

    before = signal.signal(signal.SIGUSR1, end)
    reminder = threading.Thread(target=remind, daemon=True)
    try:
        if seconds is not None:
            reminder.start()
        yield
    finally:
        left = True
        over.set()
        if seconds is not None:
            reminder.join()
        signal.signal(signal.SIGUSR1, before)


def hello() -> dict[str, Any]:
    """Return the line by which a node names its host."""
    return {"hello": {"host": platform.node(), "pid": os.getpid()}}


class Writer:
    """Writes lines from a thread of its own: whatever interrupts a unit never cuts a line in two."""

    def __init__(self, lines: TextIO) -> None:
        self._lines, self._left = lines, queue.SimpleQueue[str | None]()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def __call__(self, told: Mapping[str, Any]) -> None:
        """Write an object as one line, after those before it."""
        self._left.put(protocol.encode(told))

    def close(self) -> None:
        """Write what is left."""
        self._left.put(None)
        self._thread.join()

    def _write(self) -> None:
        # A coordinator that has gone reads nothing; the end of standard input says so too.
        with contextlib.suppress(OSError):
            while (line := self._left.get()) is not None:
                self._lines.write(line + "\n")
                self._lines.flush()


def serve(orders: TextIO, lines: TextIO) -> None:
    """Carry out orders until their pipe is closed; what is carried out then is interrupted."""
    waiting, busy, over = queue.SimpleQueue[Mapping[str, Any] | None](), threading.Event(), threading.Event()
    # The pipe may be closed after an order has come and before it is begun.
    turn = threading.Lock()

    def read() -> None:
        for line in orders:
            waiting.put(protocol.decode(line))
        waiting.put(None)
        with turn:
            over.set()
            if busy.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

    with tempfile.TemporaryDirectory(prefix="autodiff-compare-node-") as folder:
        emit = Writer(lines)
        node = Node(emit, pathlib.Path(folder))
        try:
            emit(hello())
            threading.Thread(target=read, daemon=True).start()
            while (order := waiting.get()) is not None:
                with turn:
                    if over.is_set():
                        break
                    busy.set()
                node.carry_out(order)
                with turn:
                    busy.clear()
        finally:
            node.close()
            emit.close()


def main() -> None:
    """Serve orders from standard input; exit with 130 if it was interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    orders, lines = private_pipes()
    try:
        serve(orders, lines)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
