"""The places of runs: where a new run is written, and how a run that was made is found again.

- A run without ``--out`` and ``--name`` goes into the user's data folder, not into the current one: most runs are
  looked at once, and a folder of somebody's project is not ours to fill. Nothing there is removed by this program.
- A named run (``--name before``) goes into ``results/`` of the current folder: it is kept on purpose, beside the
  project that it is about.
- ``--out FOLDER`` names the folder, for both.

A run is found by its path, by its name or id in these places, or as ``latest``, ``latest~1`` (the one before), and so
on: the order is that of their start times.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import os
import pathlib
import re
import sys
from collections.abc import Mapping

from autodiff_compare.results.tables import TableError

#: Folder of named runs, in the current folder.
NAMED = pathlib.Path("results")
#: Folder of all other runs, in the user's data folder.
_UNNAMED = ("autodiff-compare", "runs")
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)
_LATEST = re.compile(r"latest(?:~(\d+))?")
#: Bytes of ``runs.csv`` that are read, and of one of its fields: a run's folder may come from anywhere.
_LARGEST = 1 << 20


class NameTaken(ValueError):  # noqa: N818 - a mistaken command
    """The name of a run is taken or cannot be used; the message says what to do."""


def data_folder() -> pathlib.Path:
    """Return the folder of runs without a name: in the folder that the system gives to a user's data."""
    # The specification of XDG base directories ignores a path that is not absolute.
    given = pathlib.Path(os.environ.get("XDG_DATA_HOME") or ".")
    if given.is_absolute():
        base = given
    elif sys.platform == "win32":
        base = pathlib.Path(os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = pathlib.Path.home() / "Library" / "Application Support"
    else:
        base = pathlib.Path.home() / ".local" / "share"
    return base.joinpath(*_UNNAMED)


def folder_of_new(out: pathlib.Path | None, name: str = "") -> pathlib.Path:
    """Return the folder in which the folder of a new run is made.

    Parameters
    ----------
    out
        The value of ``--out``, if it is given.
    name
        The name of the run; empty for none.

    Raises
    ------
    NameTaken
        If there is a run or a file of this name, or the name cannot be one.
    """
    place = out if out is not None else NAMED if name else data_folder()
    if name:
        if not _NAME.fullmatch(name) or _LATEST.fullmatch(name):
            raise NameTaken(
                f"got --name {name!r}, expected letters, digits, '_', '-', '+' and '.', such as before; latest is taken"
            )
        if (place / name).exists():
            raise NameTaken(f"got --name {name}, which is there already, expected another: or remove {place / name}")
    return place


def places(out: pathlib.Path | None) -> tuple[pathlib.Path, ...]:
    """Return the folders in which runs are looked for: that of ``--out`` alone, if it is given."""
    return (out,) if out is not None else (NAMED, data_folder())


def locate(run: str, out: pathlib.Path | None = None) -> pathlib.Path:
    """Return the folder of a run, given by its path, name or id, or as ``latest`` or ``latest~K``.

    Parameters
    ----------
    run
        Path, name or id of the run, or ``latest~K``: the K-th before the latest.
    out
        The value of ``--out``, if it is given: the run is looked for there.

    Raises
    ------
    TableError
        If there is no such run.
    """
    named = _LATEST.fullmatch(run)
    if named:
        return _latest(int(named[1] or 0), out)
    for path in (pathlib.Path(run), *(place / run for place in places(out))):
        if path.is_dir():
            # A run that was cut short has its log alone.
            if not any((path / name).exists() for name in ("runs.csv", "log.jsonl")):
                raise TableError(f"got folder {run!r} without runs.csv or log.jsonl, expected {_choices(run, out)}")
            return path
    raise TableError(f"got run {run!r}, expected {_choices(run, out)}")


def found(out: pathlib.Path | None = None) -> list[pathlib.Path]:
    """Return the folders of all runs in the places where they are looked for, the latest first."""
    folders = {path.resolve(): path for place in places(out) if place.is_dir() for path in place.iterdir()}
    starts = {path: start for path in folders.values() if (start := _start(path)) is not None}
    return sorted(starts, key=lambda path: starts[path], reverse=True)


def run_fields(folder: pathlib.Path) -> Mapping[str, str]:
    """Return the first row of a run's ``runs.csv`` as texts; empty if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, csv.Error), (folder / "runs.csv").open("rb") as file:
        lines = file.read(_LARGEST).decode("utf-8").splitlines(keepends=True)
        return next(csv.DictReader(lines), {})
    return {}


def shown(path: pathlib.Path) -> str:
    """Return a path as a shell takes it, with ``~`` for the user's home."""
    with contextlib.suppress(ValueError, RuntimeError):
        return str(pathlib.Path("~") / path.relative_to(pathlib.Path.home()))
    return str(path)


def _start(folder: pathlib.Path) -> tuple[str, int] | None:
    """Return what orders a run among others; `None` if the folder holds no run."""
    start = run_fields(folder).get("started_utc")
    if not start:
        return None
    try:
        # Start times are whole seconds: of two runs in one second the later one has the later table.
        return start, (folder / "runs.csv").stat().st_mtime_ns
    except OSError:
        return None


def _latest(before: int, out: pathlib.Path | None) -> pathlib.Path:
    """Return the latest run, or the one that is so many before it."""
    runs = found(out)
    if before < len(runs):
        return runs[before]
    where = " and ".join(shown(place) for place in places(out))
    there = f"{len(runs)} run{'s' * (len(runs) != 1)}" if runs else "no run yet"
    asked = f"latest~{before}" if before else "latest"
    raise TableError(f"got {asked}, expected one of the runs in {where}: {there} (compare.py runs)")


def _choices(run: str, out: pathlib.Path | None) -> str:
    """Return what may stand for a run, with the similar names."""
    close = difflib.get_close_matches(run, [path.name for path in found(out)], n=2)
    hint = f"did you mean {' or '.join(close)}? Expected " if close else ""
    where = " or ".join(repr(str(place)) for place in places(out))
    return f"{hint}a run's folder, or the id or name of one under {where}, or latest (compare.py runs lists them)"
