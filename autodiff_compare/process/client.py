"""The runner's side of a worker process: start it, send requests with a deadline, end it with all its children.

Four things can go wrong with a process that runs a framework, and each has its remedy here:

- A call hangs. Every request has a deadline; when it passes, the worker is killed.
- A framework starts processes of its own (compilers, data loaders), which survive their parent. The worker leads a
  process group, and signals go to the whole group.
- The runner itself is killed and cannot clean up. A watchdog, a shell that waits for a line from a pipe to the runner,
  sees the pipe close however the runner dies, and then kills the group. A runner that ends normally sends the line.
- The worker writes more to standard error than a pipe holds, and blocks. Standard error is therefore a file; an error
  message quotes its last line.

A worker can be paused (SIGSTOP) while another one is timed: above one thread, OpenBLAS keeps a core busy for 100 ms
after a call. The lines that are exchanged are described in `autodiff_compare.process.protocol`.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from autodiff_compare.process import protocol
from autodiff_compare.process.interpreters import Interpreter, launch
from autodiff_compare.vocabulary import Status

#: Seconds that a worker has to end by itself, after its requests have ended.
_GRACE_S = 2.0
#: Seconds in which a process ends that was killed, or has closed its pipe, on a machine however loaded.
_ENDING_S = 60.0
#: Seconds between two looks at whether a worker that does not answer still lives.
_POLL_S = 0.2
#: Bytes from the end of stderr in which the last line is looked for.
_TAIL_BYTES = 2000
#: Characters of a malformed response that are quoted in a message.
_QUOTED = 60
#: The watchdog's script; ``$0`` is the worker's process group. ``read`` fails when the pipe closes without a line.
_WATCHDOG = 'read word || kill -s KILL -- "-$0"'


class WorkerError(Exception):
    """Raised for a failed request; its status and message become the cell's row.

    Parameters
    ----------
    status, message
        How the cell ended, and why.
    fatal
        Whether the worker's process is gone too.
    traceback
        The traceback in the worker; empty if there is none.
    """

    def __init__(self, status: Status, message: str, *, fatal: bool = False, traceback: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.fatal = fatal
        self.traceback = traceback


class WorkerClient:
    """One worker process with its watchdog, in a session and process group of its own.

    Parameters
    ----------
    spec
        The backend ``name[:variant]`` of requests that name no other.
    threads
        Threads that the worker may use.
    interpreter
        The Python that the worker runs under; by default this one.
    environment
        Variables that the user passes on to the worker: name -> value.

    Raises
    ------
    WorkerError
        If the system refuses a process, memory or a temporary file.
    """

    def __init__(
        self,
        spec: str,
        threads: int,
        interpreter: Interpreter | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.spec = spec
        self._launched = contextlib.ExitStack()
        try:
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
            launched = self._launched.enter_context(launch(interpreter, threads, environment))
            self._process = self._start_worker(*launched)
            self._watchdog = self._start_watchdog()
        except OSError as error:
            raise WorkerError(Status.ERROR, f"no worker could be started: {error.strerror or error}") from error
        self._memory_kills_before = _memory_kills()
        self._buffer = bytearray()
        self._last_id = 0
        self._paused = False

    def _start_worker(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
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
            self._release()
            raise

    def _start_watchdog(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", _WATCHDOG, str(self._process.pid)],
                stdin=subprocess.PIPE,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            self._kill()
            self._release()
            raise

    def _release(self) -> None:
        """Close the file of stderr and remove what the launch has put on disk."""
        self._stderr.close()
        self._launched.close()

    def request(
        self, verb: str, deadline_s: float, backend: str = "", processors: Sequence[int] = (), **params: Any
    ) -> dict[str, Any]:
        """Send a request and return the payload of its response.

        Parameters
        ----------
        verb, params
            What the worker is to do, and with which parameters.
        deadline_s
            Seconds until the worker is killed.
        backend
            The backend that serves it; by default the client's own.
        processors
            Processors to which the worker is bound before it serves the request, and from then on.

        Raises
        ------
        WorkerError
            With the status in the response; without a response, ``timeout``, ``crash``, ``out_of_memory`` or ``error``.
        """
        self._last_id += 1
        where = {"processors": list(processors)} if processors else {}
        message = {"id": self._last_id, "verb": verb, "backend": backend or self.spec, "params": params, **where}
        until = time.monotonic() + deadline_s
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{protocol.encode(message)}\n".encode())
            self._process.stdin.flush()
            response = self._response(until, verb, deadline_s)
        except OSError:
            raise self._crash() from None
        return payload(response)

    def pause(self) -> None:
        """Stop the process and its children until `go_on` (SIGSTOP)."""
        if not self._paused:
            self._paused = True
            self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue a paused process (SIGCONT)."""
        if self._paused:
            self._paused = False
            self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the worker and its children; a request that waits for it in another thread fails at once."""
        self._kill()

    def hang_up(self) -> None:
        """End the worker's requests, so that it ends by itself while others are closed."""
        self.go_on()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def close(self) -> None:
        """End the worker: close its requests, wait for `_GRACE_S`, then kill its whole group."""
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._kill()
        self._release()
        # The line ends the watchdog: nothing is left to kill.
        with contextlib.suppress(OSError):
            self._watchdog.communicate(b"\n")

    def _response(self, until: float, verb: str, deadline_s: float) -> dict[str, Any]:
        while True:
            line = self._line(until, verb, deadline_s)
            try:
                response = protocol.decode(line)
            except protocol.ProtocolError as error:
                self._kill()
                raise WorkerError(Status.ERROR, f"the worker broke the protocol: {error}", fatal=True) from error
            # A response with another id is late: its request was interrupted before the response came.
            if isinstance(response, dict) and response.get("id") == self._last_id:
                return _checked(response)

    def _line(self, until: float, verb: str, deadline_s: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        searched = 0
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while (end := self._buffer.find(b"\n", searched)) < 0:
                searched = len(self._buffer)
                left = until - time.monotonic()
                if selector.select(min(max(left, 0), _POLL_S)):
                    chunk = os.read(descriptor, 1 << 20)
                    if not chunk:
                        raise self._crash()
                    self._buffer += chunk
                elif self._process.poll() is not None:
                    # Its children hold the pipe open, so that reading alone would wait for the deadline.
                    raise self._crash()
                elif left <= 0:
                    self._kill()
                    raise WorkerError(Status.TIMEOUT, f"no response to {verb!r} within {deadline_s:g} s", fatal=True)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _crash(self) -> WorkerError:
        """Return the error of a worker that ended by itself, with its exit code or signal."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        code = self._process.poll()
        self._kill()
        if code is None:
            how = "closed its pipe and did not end"
        elif code < 0:
            how = f"killed by signal {-code} ({signal.Signals(-code).name})"
        else:
            how = f"ended with exit code {code}"
        if code == -signal.SIGKILL and _memory_kills() > self._memory_kills_before:
            how = f"{how}: the system ran out of memory and killed the largest process"
            return WorkerError(Status.OUT_OF_MEMORY, f"worker {how}", fatal=True)
        return WorkerError(Status.CRASH, f"worker {how}; {self._last_stderr_line()}", fatal=True)

    def _last_stderr_line(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(size - _TAIL_BYTES, 0))
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"last line of its stderr: {lines[-1]}" if lines else "its stderr is empty"

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _checked(response: dict[str, Any]) -> dict[str, Any]:
    """Return a response that has the form of one; a worker may write anything in its place."""
    failed = response.get("status") in list(Status) and isinstance(response.get("message"), str)
    if isinstance(response.get("ok"), dict) or ("ok" not in response and failed):
        return response
    words = repr(response)
    raise WorkerError(
        Status.ERROR, f"the worker broke the protocol: got {words[:_QUOTED]}, expected a response with 'ok' or 'status'"
    )


def payload(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a worker's response carries under ``ok``.

    Raises
    ------
    WorkerError
        If the response reports a failure, with its status and message.
    """
    if "ok" not in response:
        told = str(response.get("traceback", ""))
        raise WorkerError(Status(response["status"]), str(response["message"]), traceback=told)
    return dict(response["ok"])


def _memory_kills() -> int:
    """Count the processes that the kernel has killed since it started because memory ran out (Linux; elsewhere 0)."""
    try:
        lines = pathlib.Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
