"""The contract of an engine: the places where units can be carried out, and a channel to the node of each.

An engine knows nothing of units. It opens a channel to a *place*, such as a share of the processors here, a worker of
dask or a job of Slurm. The node there takes orders and answers with lines (`autodiff_compare.execution.cluster.node`).
"""

from __future__ import annotations

import abc
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, final

from autodiff_compare.process.environment import ROOT

#: Begins a program that calls a function of this package. A clone that is not installed is found by its path, which
#: stays out of the environment: there it would be recorded as a difference between machines.
_BEGIN = f"import pkgutil, sys; sys.path.insert(0, {str(ROOT)!r}); pkgutil.resolve_name(sys.argv[1])"


def command(function: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that calls a function, ``module:name`` in this package, with arguments in a process."""
    return (sys.executable, "-P", "-c", f"{_BEGIN}(*sys.argv[2:])", f"autodiff_compare.{function}", *arguments)


#: The node, as it is started on a host.
NODE = command("execution.cluster.node:main")
#: Seconds that a node has to end its workers before it is killed.
GRACE_S = 10.0


class EngineError(Exception):
    """Raised if an engine cannot be used, or is no longer there; the message says what to do."""


class Channel(abc.ABC):
    """The way to one node and back."""

    @abc.abstractmethod
    def send(self, line: str) -> None:
        """Send an order."""

    @abc.abstractmethod
    def lines(self) -> Iterator[str]:
        """Yield the node's lines as they come; they end when the node is gone."""

    @abc.abstractmethod
    def stop(self) -> None:
        """End what the node carries out, so that its lines end; another thread may be reading them."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the node, and release what belongs to the channel."""

    def lives(self) -> bool:
        """Return whether the node can take another order; it may have ended while it had none."""
        return True

    def why(self) -> str:
        """Return why the lines have ended, if the engine knows."""
        return ""


class Engine(abc.ABC):
    """Where units are carried out.

    Attributes
    ----------
    once
        Whether a place takes one order only.
    notes
        Lines for the user: the scheduler's own dashboard and logs.
    """

    once = False
    notes: Sequence[str] = ()

    def use(self, folder: pathlib.Path) -> None:  # noqa: B027 - most need none
        """Take a folder for files of its own, which all hosts see; it is made if it is needed."""

    @abc.abstractmethod
    def places(self) -> Sequence[str]:
        """Return the places that are there now.

        Raises
        ------
        EngineError
            If the engine is no longer there.
        """

    @abc.abstractmethod
    def open(self, place: str) -> Channel:
        """Return a channel to a new node at a place; called by the thread that then reads its lines.

        Raises
        ------
        EngineError
            If there is none to be had.
        """

    def hosts(self) -> Sequence[str]:
        """Return one place on each host, for a visit."""
        return self.places()

    def told(self, place: str) -> Mapping[str, Any]:
        """Return what the node at a place is told with every order."""
        del place
        return {}

    def close(self) -> None:  # noqa: B027 - there may be nothing to leave
        """Leave the scheduler."""


def start_node(
    stderr: IO[bytes], stdout: IO[bytes] | int = subprocess.PIPE, command: Sequence[str] = NODE
) -> subprocess.Popen[bytes]:
    """Start a node on this host, in a process session of its own."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, start_new_session=True)


def end_node(process: subprocess.Popen[bytes]) -> None:
    """Close the orders of a node, and kill it if it does not end by itself."""
    assert process.stdin is not None
    try:
        process.stdin.close()
        process.wait(GRACE_S)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


@final
class PipeChannel(Channel):
    """The channel to a node that this process starts.

    Parameters
    ----------
    command
        Starts the node.
    """

    def __init__(self, command: Sequence[str] = NODE) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the node
        self._process = start_node(self._stderr, command=command)

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.decode()

    def stop(self) -> None:
        end_node(self._process)

    def close(self) -> None:
        end_node(self._process)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._stderr.close()

    def lives(self) -> bool:
        return self._process.poll() is None

    def why(self) -> str:
        # It may live on, after a line that is none of the protocol.
        end_node(self._process)
        code = self._process.returncode
        self._stderr.seek(0)
        said = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"ended with {code}" + (f": {said[-1]}" if said else "")
