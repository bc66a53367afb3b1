"""Turns on a host: any number of units prepare and judge side by side, and one is timed while nothing else computes.

Two units that are timed on one host at the same time measure each other: caches, memory bandwidth and clock frequency
are shared even where processors are not. Every unit therefore holds a lock of its host, of which the system keeps one
for all users, whatever engine started the unit:

- *shared* while it prepares, judges and writes;
- *exclusive* while it is timed, which waits until all others have let go.

A unit gives up the shared lock for a moment between groups, and begins no further one while somebody waits for it. So
nobody waits longer than for the few groups that are prepared together.

A stream of units that prepare would keep one that waits for the exclusive lock waiting for ever. So whoever wants a
lock takes a second one first, the turnstile, and gives it back when the lock is held: while one waits for the exclusive
lock, nobody else gets a shared one. Nobody waits at the turnstile with the lock in hand, so there is no deadlock.

Both are locks of the system (``flock``) on empty files, which it releases when a process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
import sys
import time
from collections.abc import Callable, Iterator

if sys.platform != "win32":
    import fcntl

#: The folder of the files: it is the same for all users of a host, where a job has no ``/tmp`` of its own.
SHARED = pathlib.Path("/tmp")
_LOCK, _TURNSTILE = "autodiff-compare.lock", "autodiff-compare.turnstile"


class TurnsError(OSError):
    """Raised if the lock files of a host cannot be used; the message says what to do."""


class NoTurns:
    """The turns of a run that has its host to itself: nobody is waited for.

    Attributes
    ----------
    waited_s
        Seconds for which others were waited for.
    """

    waited_s = 0.0

    def working(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the run prepares and judges."""
        return contextlib.nullcontext()

    def measuring(self) -> contextlib.AbstractContextManager[None]:
        """Return a context, within that of `working`, in which nothing else computes."""
        return contextlib.nullcontext()

    def wanted(self) -> bool:
        """Return whether somebody waits for the end of what the run computes now."""
        return False

    def pause(self) -> None:
        """Let others have their turn, within the context of `working` and while this run computes nothing."""

    def close(self) -> None:
        """Release whatever is held."""


class HostTurns(NoTurns):
    """The turns of a unit that shares its host with others.

    Parameters
    ----------
    folder
        The folder of the lock files.
    waiting
        Is told in words what is waited for; called only if there is something to wait for.

    Raises
    ------
    TurnsError
        If the files can neither be opened nor made.
    """

    def __init__(self, folder: pathlib.Path = SHARED, waiting: Callable[[str], None] = lambda words: None) -> None:  # noqa: ARG005
        self._waiting, self._alone = waiting, False
        self._turnstile, self._lock = _opened(folder / _TURNSTILE), _opened(folder / _LOCK)

    def close(self) -> None:
        for descriptor in (self._turnstile, self._lock):
            os.close(descriptor)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        self._take(exclusive=False)
        try:
            yield
        finally:
            _unlock(self._lock)

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        # Given up before the other is asked for: two units that both wait for the exclusive lock would wait for ever.
        _unlock(self._lock)
        self._take(exclusive=True)
        self._alone = True
        try:
            yield
        finally:
            self._alone = False
            _unlock(self._lock)
        # Not where the run is ended by an error or an interruption: nothing is waited for then.
        self._take(exclusive=False)

    def wanted(self) -> bool:
        if sys.platform == "win32" or self._alone:
            return False
        try:
            fcntl.flock(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        _unlock(self._turnstile)
        return False

    def pause(self) -> None:
        if not self._alone:
            _unlock(self._lock)
            self._take(exclusive=False)

    def _take(self, *, exclusive: bool) -> None:
        words = "waiting until other units of this host pause" if exclusive else "waiting while another unit is timed"
        self._locked(self._turnstile, words, exclusive=True)
        try:
            self._locked(self._lock, words, exclusive=exclusive)
        finally:
            _unlock(self._turnstile)

    def _locked(self, descriptor: int, words: str, *, exclusive: bool) -> None:
        if sys.platform == "win32":
            return
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self._waiting(words)
            began = time.monotonic()
            try:
                fcntl.flock(descriptor, kind)
            finally:
                # Also where the wait is ended by a time limit, which tells it.
                self.waited_s += time.monotonic() - began


def _unlock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _opened(path: pathlib.Path) -> int:
    """Return a descriptor of a lock file, which is made if it is missing.

    It is opened for reading, which suffices for a lock: another user's file in ``/tmp`` cannot be opened for writing.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with contextlib.suppress(FileExistsError):
            made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o444)
            # The caller's mask must not keep other users out.
            os.fchmod(made, 0o444)
            return made
        found = os.open(path, flags)
    except OSError as error:
        raise TurnsError(
            f"got {path}, which is no lock file of this host ({error.strerror}): let its owner remove it"
        ) from error
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise TurnsError(f"got {path}, which is no ordinary file, expected a lock file: let its owner remove it")
    return found
