"""The runner's side of a worker: start, ask with a deadline, kill with everything it started."""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import signal
import subprocess
import tempfile
import time
from typing import Any

from autodiff_compare.process import protocol
from autodiff_compare.process.interpreters import Interpreter, launch
from autodiff_compare.vocabulary import Status

#: A worker that has not answered a polite end of its requests by then is killed.
_GRACE_S = 2.0
#: So many bytes from the end of its standard error go into a message.
_TAIL_BYTES = 2000
#: Outlives a runner that is killed, and then ends what the worker started: its pipe closes however the runner dies.
_GUARD = 'read word || kill -s KILL -- "-$0"'


class WorkerError(Exception):
    """A request failed; ``status`` and the message become the cell's row.

    ``fatal`` says that the worker's process is gone with it.
    """

    def __init__(self, status: Status, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.fatal = fatal


class WorkerClient:
    """One worker process, in a session of its own so that it dies with all its children.

    Parameters
    ----------
    spec
        The backend that it serves unless a request names another, ``name[:variant]``.
    threads
        Threads it may use.
    interpreter
        The Python that it runs under, if not this one.

    Raises
    ------
    WorkerError
        If the system has no process, memory or temporary file for it.
    """

    def __init__(self, spec: str, threads: int, interpreter: Interpreter | None = None) -> None:
        self.spec = spec
        self._held = contextlib.ExitStack()
        try:
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
            self._process = self._started(*self._held.enter_context(launch(interpreter, threads)))
            self._guard = self._guarded()
        except OSError as error:
            raise WorkerError(Status.ERROR, f"no worker could be started: {error.strerror or error}") from error
        self._killed_before = _memory_kills()
        self._buffer = bytearray()
        self._last_id = 0
        self._paused = False

    def _started(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                start_new_session=True,
            )
        except OSError:
            self._stderr.close()
            self._held.close()
            raise

    def _guarded(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, str(self._process.pid)],
                stdin=subprocess.PIPE,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            self._kill()
            self._stderr.close()
            self._held.close()
            raise

    def request(self, verb: str, deadline_s: float, backend: str = "", **params: Any) -> dict[str, Any]:
        """Ask and wait for the answer with the same id.

        Raises
        ------
        WorkerError
            With the status that the worker reported, or timeout, crash or error if it did not report any.
        """
        self._last_id += 1
        message = (
            protocol.encode({"id": self._last_id, "verb": verb, "backend": backend or self.spec, "params": params})
            + "\n"
        )
        until = time.monotonic() + deadline_s
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(message.encode())
            self._process.stdin.flush()
            answer = self._answer(until, verb, deadline_s)
        except OSError:
            raise self._crash() from None
        if "ok" not in answer:
            raise WorkerError(Status(answer["status"]), str(answer["message"]))
        result: dict[str, Any] = answer["ok"]
        return result

    def pause(self) -> None:
        """Stop the process and its children until `go_on`."""
        if not self._paused:
            self._paused = True
            self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue a process that was paused."""
        if self._paused:
            self._paused = False
            self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End the process: politely by closing its requests, then by force, children included."""
        self.go_on()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._kill()
        self._stderr.close()
        self._held.close()
        # A line tells the guard that there is nothing to end any more.
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._guard.communicate(b"\n", _GRACE_S)

    def _answer(self, until: float, verb: str, deadline_s: float) -> dict[str, Any]:
        while True:
            line = self._line(until, verb, deadline_s)
            try:
                answer = protocol.decode(line)
            except protocol.ProtocolError as error:
                self._kill()
                raise WorkerError(Status.ERROR, f"the worker broke the protocol: {error}", fatal=True) from error
            # An answer to another request is a late one: the request it belongs to was given up.
            if isinstance(answer, dict) and answer.get("id") == self._last_id:
                return answer

    def _line(self, until: float, verb: str, deadline_s: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        searched = 0
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while (end := self._buffer.find(b"\n", searched)) < 0:
                searched = len(self._buffer)
                if not selector.select(max(until - time.monotonic(), 0)):
                    self._kill()
                    raise WorkerError(Status.TIMEOUT, f"no answer to {verb!r} within {deadline_s:g} s", fatal=True)
                chunk = os.read(descriptor, 1 << 20)
                if not chunk:
                    raise self._crash()
                self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _crash(self) -> WorkerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        code = self._process.poll()
        self._kill()
        if code is not None and code < 0:
            how = f"killed by signal {-code} ({signal.Signals(-code).name})"
        else:
            how = f"ended with exit code {code}"
        if code == -signal.SIGKILL and _memory_kills() > self._killed_before:
            how = f"{how}, as the system ran out of memory and killed what used most"
            return WorkerError(Status.OUT_OF_MEMORY, f"worker {how}", fatal=True)
        return WorkerError(Status.CRASH, f"worker {how}; {self._last_words()}", fatal=True)

    def _last_words(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(size - _TAIL_BYTES, 0))
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"its last words: {lines[-1]}" if lines else "it said nothing"

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _memory_kills() -> int:
    """Processes that the system has killed since it started because memory ran out (Linux; elsewhere 0)."""
    try:
        lines = pathlib.Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
