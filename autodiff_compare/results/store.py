"""A run's folder: an append-only log, one line per finished piece, and the CSV files made from it.

The log is flushed to disk line by line and holds whole lines only, so nothing finished is lost however the run
ends; the CSV files are rewritten from it now and then and at the end, each moved into place whole.

A resumed run appends to the same log. Rows about the same thing (a cell, its checks, a pair of backends) replace the
earlier ones at their place, so that the tables come out in the order of a run that nothing disturbed. One
process at a time writes to a folder: it holds a lock on the log, which the system drops with the process.

A log is data from elsewhere like any other file: what does not fit the schema raises `TableError`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import pathlib
import secrets
import stat
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from autodiff_compare.process import protocol
from autodiff_compare.results import tables
from autodiff_compare.results.tables import TableError
from autodiff_compare.results.timings import timings
from autodiff_compare.vocabulary import BROKEN, Phase

if sys.platform != "win32":
    import fcntl

#: Seconds between two rewrites of the CSV files while a run goes on.
_REFRESH_S = 10.0
#: And at least so many times what the last rewrite took: large tables must not take over the run.
_REFRESH_SHARE = 50.0
#: A log above this is not one of ours; it is refused before it fills the memory.
LARGEST_LOG = 1 << 30

_LOG = "log.jsonl"
_DONE = "done"

Rows = Mapping[str, Sequence[Any]]


class StoreError(OSError):
    """The run's folder cannot be written to any more; the message is one line with what to do."""


class RunFolder:
    """``<out>/<run_id>/`` with ``log.jsonl`` and the tables.

    Parameters
    ----------
    out
        Where the folder of a new run is made.
    resume
        An existing run's folder, to go on with, instead of a new one.

    Raises
    ------
    StoreError
        If the folder cannot be made or written to, or another process is writing to it.
    TableError
        If the log of ``resume`` is missing or damaged before its last line.
    """

    def __init__(self, out: pathlib.Path, resume: pathlib.Path | None = None) -> None:
        self._rows: dict[str, dict[Hashable, list[Any]]] = {name: {} for name in tables.TABLES}
        self._done: set[str] = set()
        #: The atlas takes several workers through its cases at a time.
        self._lock = threading.RLock()
        self.path = resume or out
        with self._clear():
            self.path = resume or _new_folder(out)
            self._log = _open_log(self.path, new=resume is None)
        try:
            if resume is not None:
                self._replay()
        except BaseException:
            os.close(self._log)
            raise
        self.run_id = next((row.run_id for row in self.rows["runs"]), self.path.name)
        self._refresh_at = 0.0

    @property
    def rows(self) -> dict[str, list[Any]]:
        """Every row so far, by table name."""
        return {name: [row for rows in owners.values() for row in rows] for name, owners in self._rows.items()}

    def add(self, rows: Rows, *, done: str = "") -> None:
        """Append rows by table name: one line of the log, on disk when this returns.

        All rows about one cell come in one call: they replace what was there about it. ``done`` names a piece of
        work that may have no rows, so that a resumed run finds it with `settled`.
        """
        record: dict[str, Any] = {name: [vars(row) for row in new] for name, new in rows.items()}
        line = protocol.encode(record | ({_DONE: done} if done else {})).encode() + b"\n"
        with self._lock:
            self._append(line)
            self._apply(rows, done)
            if time.monotonic() > self._refresh_at:
                self.write_tables()

    def amend(self, told: Mapping[str, str]) -> None:
        """Add what a worker says of its framework to the fields of the run's row; different words stand side by side.

        Parameters
        ----------
        told
            Field of `rows.Run` -> one word.
        """
        with self._lock:
            for row in [row for rows in self._rows["runs"].values() for row in rows]:
                words = {name: " ".join(sorted({*getattr(row, name).split(), word})) for name, word in told.items()}
                amended = dataclasses.replace(row, **words)
                if amended != row:
                    self.add({"runs": [amended]})

    def settled(self, cell_ids: Iterable[str] = (), done: str = "") -> bool:
        """Whether all these cells ended, none of them broken, and the piece of work ``done`` (if named) was done.

        A broken cell (error, timeout, crash, out of memory) is not settled: the cause may have been the moment.
        """
        ends = ([row.status for row in self._rows["cells"].get(cell_id, ())] for cell_id in cell_ids)
        return all(end and not BROKEN & set(end) for end in ends) and (not done or done in self._done)

    def write_tables(self) -> None:
        """Write every CSV file from what there is."""
        start, rows = time.monotonic(), self.rows
        rows["timings"] = timings(rows["cells"], rows["samples"])
        self._rows["timings"] = {None: rows["timings"]}
        with self._clear():
            for name, table in tables.TABLES.items():
                tables.write(self.path / f"{name}.csv", table, rows[name])
        end = time.monotonic()
        self._refresh_at = end + max(_REFRESH_S, _REFRESH_SHARE * (end - start))

    def close(self) -> None:
        """Write the tables for the last time; another process may then go on with the folder."""
        try:
            self.write_tables()
        finally:
            os.close(self._log)

    def _append(self, line: bytes) -> None:
        before = os.fstat(self._log)
        try:
            with self._clear():
                if not before.st_nlink:
                    raise FileNotFoundError(0, "the folder has vanished")
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._log, rest) :]
                os.fsync(self._log)
        except BaseException:
            # Whole lines only, also where the disk filled up or Ctrl-C came in the middle of one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._log, before.st_size)
            raise

    def _apply(self, rows: Rows, done: str) -> None:
        for cell in rows.get("cells", ()):
            for name, owner in (("checks", cell.cell_id), ("samples", cell.cell_id), ("pairs", _group(cell))):
                if owner in self._rows[name]:
                    self._rows[name][owner] = []
        for name, new in rows.items():
            owned = defaultdict(list)
            for row in new:
                owned[_OWNERS[name](row)].append(row)
            self._rows[name].update(owned)
        self._done.add(done)

    def _replay(self) -> None:
        """Take over what the log holds; cut off a last line that was not finished."""
        records, length = read_log(self.path)
        for rows, done in records:
            self._apply(rows, done)
        with self._clear():
            os.ftruncate(self._log, length)

    @contextlib.contextmanager
    def _clear(self) -> Iterator[None]:
        """Turn what the system says about the folder into one clear line."""
        try:
            yield
        except BlockingIOError as error:
            raise StoreError(f"got a run that another process is writing to: {self.path}") from error
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error.strerror or error}; {self._kept()}") from error

    def _kept(self) -> str:
        """What is left of a run that cannot be written any more, and how to go on with it."""
        if not (self.path / _LOG).exists():
            return "nothing of this run is left there"
        command = next((run.command for run in self.rows["runs"]), "")
        return f"what was finished is in its {_LOG}: make room, then {tables.go_on(command, self.path)}"


def locate(run: str, out: pathlib.Path) -> pathlib.Path:
    """The folder of a run that is given by its path or by its id under ``out``.

    Raises
    ------
    TableError
        If there is none.
    """
    for path in (pathlib.Path(run), out / run):
        if path.is_dir():
            return path
    raise TableError(f"got run {run!r}, expected a run's folder or the id of one under {str(out)!r}")


def read_log(folder: pathlib.Path) -> tuple[list[tuple[dict[str, list[Any]], str]], int]:
    """The records of a log, rows by table name and the name of what was done, and the length in bytes that is whole.

    A last line that is cut off or damaged, as a crash of the machine leaves it, is dropped.

    Raises
    ------
    TableError
        If the log is missing, larger than `LARGEST_LOG`, or damaged before its last line.
    """
    path = folder / _LOG
    *lines, rest = tables.read_bytes(path, LARGEST_LOG).split(b"\n")
    records, length = [], 0
    for number, line in enumerate(lines, 1):
        try:
            records.append(_record(line))
        except (ValueError, RecursionError) as error:
            if number == len(lines) and not rest:
                break
            raise TableError(f"got a damaged line {number} in {path}: {error}") from error
        length += len(line) + 1
    return records, length


def _record(line: bytes) -> tuple[dict[str, list[Any]], str]:
    found = protocol.decode(line)
    if not isinstance(found, dict):
        raise TableError("it is no JSON object")
    done = found.pop(_DONE, "")
    unknown = set(found) - set(_OWNERS)
    if unknown or not isinstance(done, str):
        raise TableError(f"got tables {', '.join(sorted(unknown))}, expected some of: {', '.join(_OWNERS)}")
    if not all(isinstance(rows, list) for rows in found.values()):
        raise TableError("got a table that is no list of rows")
    return {name: [tables.row(tables.TABLES[name], fields) for fields in rows] for name, rows in found.items()}, done


def _new_folder(out: pathlib.Path) -> pathlib.Path:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    while True:
        path = out / f"{stamp}-{secrets.token_hex(2)}"
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return path


def _open_log(folder: pathlib.Path, *, new: bool) -> int:
    """A locked descriptor; never through a link, which could lead out of the folder."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(folder / _LOG, flags | (os.O_CREAT | os.O_EXCL if new else 0), 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, f"its {_LOG} is no ordinary file")
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _group(row: Any) -> Hashable:
    return (row.problem, row.size, row.dtype, row.operator)


def _sampled(row: Any) -> Hashable:
    """A worker's start belongs to no cell: the n-th start of its backend replaces the n-th of an earlier attempt."""
    return (row.cell_id, row.round) if row.phase == Phase.IMPORT else row.cell_id


def _by(*names: str) -> Callable[[Any], Hashable]:
    return lambda row: tuple(getattr(row, name) for name in names)


#: Table -> what a row is about. Rows about the same are written together and replaced together.
_OWNERS: dict[str, Callable[[Any], Hashable]] = {
    "runs": _by("run_id"),
    "cells": lambda row: row.cell_id,
    "checks": lambda row: row.cell_id,
    "samples": _sampled,
    "pairs": _group,
    "steps": _by("cell_id", "start"),
    "descents": _by("cell_id", "start"),
    "questions": _by("backend", "question"),
    "conventions": _by("family", "dtype", "backend", "variant"),
}


def writable(folder: pathlib.Path) -> str:
    """Why a folder cannot be written to; empty if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
