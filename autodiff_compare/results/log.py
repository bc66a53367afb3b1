"""The log of a run: appended line by line, locked for one process, and read back.

A line of ``log.jsonl`` holds rows by table name, and optionally the name of a piece of work that is done::

    {"cells":[{"cell_id":"sphere/small/float64/gradient/jax",...}],"checks":[...],"samples":[...],"pairs":[...]}
    {"questions":[...],"done":"questions/tape_cube/numpy"}

Each line is flushed to disk before the run goes on. A line that could not be written as a whole is cut off again, so
the log holds whole lines only. Nothing that was finished is lost, however the run ends.

One process at a time writes to a log. It holds a lock on it, which the system releases when the process ends, however
it ends.

A log may come from anywhere, like any other file: whatever does not fit the schema raises `TableError`.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from autodiff_compare.process import protocol
from autodiff_compare.results import tables
from autodiff_compare.results.rows import TABLES
from autodiff_compare.results.tables import TableError
from autodiff_compare.results.timings import group_of
from autodiff_compare.vocabulary import Phase

if sys.platform != "win32":
    import fcntl

#: Largest log that is read, in bytes. No run writes more; a larger file would fill the memory.
LARGEST_LOG = 1 << 30

NAME = "log.jsonl"
#: Name of the field of a line beside the tables.
_DONE = "done"


def _subject_of_sample(row: Any) -> Hashable:
    """Return the cell of a sample; for an import, of no cell, the backend, the number of the start and the machine."""
    return (row.cell_id, row.round, row.machine) if row.phase == Phase.IMPORT else row.cell_id


def _fields(*names: str) -> Callable[[Any], Hashable]:
    return lambda row: tuple(getattr(row, name) for name in names)


#: Table -> function that returns the subject of a row. Rows with one subject are written and replaced together.
SUBJECTS: dict[str, Callable[[Any], Hashable]] = {
    "runs": _fields("run_id"),
    "machines": _fields("key", "hostname"),
    "cells": lambda row: row.cell_id,
    "checks": lambda row: row.cell_id,
    "samples": _subject_of_sample,
    "pairs": group_of,
    "steps": _fields("cell_id", "start"),
    "descents": _fields("cell_id", "start"),
    "questions": _fields("backend", "question"),
    "conventions": _fields("family", "dtype", "backend", "variant"),
    "fuzz": _fields("run_id", "machine"),
    "findings": _fields("run_id", "machine"),
}


class Log:
    """The log of a run, open for this process alone.

    Parameters
    ----------
    folder
        The folder of the run.
    new
        Whether the log is made, or must be there.

    Raises
    ------
    OSError
        If it cannot be opened; `BlockingIOError` if another process is writing to it.
    """

    def __init__(self, folder: pathlib.Path, *, new: bool) -> None:
        self._descriptor = _opened(folder, new=new)

    def append(self, line: bytes) -> None:
        """Append a line, which is on disk when this returns; cut it off if it could not be written as a whole."""
        before = os.fstat(self._descriptor)
        try:
            if not before.st_nlink:
                raise FileNotFoundError(0, "the folder has vanished")
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except BaseException:
            # Half a line may have been written when the disk filled up or Ctrl-C came.
            with contextlib.suppress(OSError):
                self.cut(before.st_size)
            raise

    def cut(self, length: int) -> None:
        """Shorten the log to its first bytes."""
        os.ftruncate(self._descriptor, length)

    def close(self) -> None:
        """Close the log, and release its lock."""
        os.close(self._descriptor)


def line_of(rows: Mapping[str, Iterable[Any]], done: str) -> bytes:
    """Return rows by table name, and the name of the work that is done or an empty text, as a line of a log."""
    record: dict[str, Any] = {name: [vars(row) for row in new] for name, new in rows.items()}
    return protocol.encode(record | ({_DONE: done} if done else {})).encode() + b"\n"


def read_log(folder: pathlib.Path) -> tuple[list[tuple[dict[str, list[Any]], str]], int]:
    """Return the records of a log and the length in bytes of its whole lines.

    A last line that is cut off or damaged, as by a crash of the machine, is dropped.

    Returns
    -------
    list, int
        A record is a pair: rows by table name, and the name of the work that is done, or an empty text.

    Raises
    ------
    TableError
        If the log is missing, larger than `LARGEST_LOG`, or damaged before its last line.
    """
    path = folder / NAME
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
    unknown = set(found) - set(SUBJECTS)
    if unknown or not isinstance(done, str):
        raise TableError(f"got tables {', '.join(sorted(unknown))}, expected some of: {', '.join(SUBJECTS)}")
    if not all(isinstance(rows, list) for rows in found.values()):
        raise TableError("got a table that is not a list of rows")
    return {name: [tables.row(TABLES[name], fields) for fields in rows] for name, rows in found.items()}, done


def _opened(folder: pathlib.Path, *, new: bool) -> int:
    """Return a locked descriptor of the log; a symbolic link, which could lead out of the folder, is not followed."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(folder / NAME, flags | (os.O_CREAT | os.O_EXCL if new else 0), 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, f"its {NAME} is no ordinary file")
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
