"""The folder of a run: an append-only log, one line for each finished piece of work, and the tables made from it.

*Log.* Each line is flushed to disk before the run goes on. A line that could not be written as a whole is cut off
again, so the log holds whole lines only. Nothing that was finished is lost, however the run ends. One process at a time
writes to a folder: `autodiff_compare.results.log` locks the log and reads it.

*Tables.* The CSV files are rewritten from the rows from time to time and at the end. Each is written under a temporary
name and moved into place, so that a reader never sees half a table.

*Resuming.* A resumed run appends to the same log. Rows about the same thing (a cell, its checks, a pair of backends)
replace the earlier ones in their place, so that the tables have the order of an undisturbed run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
import secrets
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from autodiff_compare.plan.order import in_plan_order
from autodiff_compare.plan.plan import Plan
from autodiff_compare.process.interruption import uninterrupted
from autodiff_compare.results import log, tables
from autodiff_compare.results.log import SUBJECTS, Log, line_of, read_log
from autodiff_compare.results.machines import stamped
from autodiff_compare.results.rows import TABLES, MachineRow
from autodiff_compare.results.timings import group_of, timings
from autodiff_compare.vocabulary import BROKEN, Phase

#: Shortest time between two rewrites of the CSV files, in seconds ...
_REFRESH_S = 10.0
#: ... and as a multiple of the last rewrite's duration, so that tables take at most 0.5 % of a run's time.
_REFRESH_SHARE = 200.0

#: Table name -> rows.
Rows = Mapping[str, Sequence[Any]]


class StoreError(OSError):
    """Raised if a run's folder cannot be written to; the message is one line that says what to do."""


class Record(Protocol):
    """Takes up the rows of a run: its folder, or the line to the machine that has it. `RunFolder` documents it."""

    run_id: str
    machine: MachineRow | None

    @property
    def rows(self) -> Rows: ...

    def add(self, rows: Rows, *, done: str = "") -> None: ...

    def amend(self, told: Mapping[str, str]) -> None: ...

    def settled(self, cell_ids: Iterable[str] = (), done: str = "") -> bool: ...


class RunFolder:
    """The folder of a run, ``<out>/<run_id>/``, with its log and its tables.

    Parameters
    ----------
    out
        The folder in which the folder of a new run is made.
    resume
        The folder of an existing run that is continued instead.
    name
        The id of a new run; by default one is made from the time.
    machine
        The machine on which this process runs: rows that name no machine were made there.

    Raises
    ------
    StoreError
        If the folder cannot be made or written to, or another process is writing to it.
    TableError
        If the log of ``resume`` is missing or damaged before its last line.
    """

    def __init__(
        self,
        out: pathlib.Path,
        resume: pathlib.Path | None = None,
        *,
        name: str = "",
        machine: MachineRow | None = None,
    ) -> None:
        self.machine = machine
        self._rows: dict[str, dict[Hashable, list[Any]]] = {name: {} for name in TABLES}
        self._done: set[str] = set()
        # The atlas of conventions adds rows from several threads.
        self._lock = threading.RLock()
        self.path = resume or out
        with self._store_errors():
            self.path = resume or _new_folder(out, name)
            self._log = Log(self.path, new=resume is None)
        try:
            if resume is not None:
                self._replay()
        except BaseException:
            self._log.close()
            raise
        self.run_id = next((row.run_id for row in self.rows["runs"]), self.path.name)
        self._refresh_at = 0.0
        self._plan: Plan | None = None

    @property
    def done(self) -> frozenset[str]:
        """The pieces of work that are done."""
        return frozenset(self._done)

    def arrange(self, plan: Plan) -> None:
        """Sort the rows of the tables by a plan from now on, in whatever order they have come and will come."""
        self._plan = plan

    @property
    def rows(self) -> dict[str, list[Any]]:
        """All rows so far, by table name."""
        return {name: [row for rows in owners.values() for row in rows] for name, owners in self._rows.items()}

    def add(self, rows: Rows, *, done: str = "") -> None:
        """Append rows as one line of the log, which is on disk when this returns.

        Parameters
        ----------
        rows
            Table name -> rows. All rows about one cell must come in one call: they replace the earlier ones about it.
        done
            Name of a piece of work that may have no rows; a resumed run finds it with `settled`.

        Raises
        ------
        StoreError
            If the line cannot be written.
        """
        rows = self._stamped(rows)
        line = line_of(rows, done)
        with self._lock:
            # Ctrl-C while the disk is waited for must not cut off what is finished.
            with uninterrupted():
                with self._store_errors():
                    self._log.append(line)
                self._apply(rows, done)
            if time.monotonic() > self._refresh_at:
                self.write_tables()

    def _stamped(self, rows: Rows) -> Rows:
        """Return the rows with this machine in those that name none; its own row comes with the first of them."""
        if self.machine is None:
            return rows
        known = SUBJECTS["machines"](self.machine) in self._rows["machines"] or "machines" in rows
        return ({} if known else {"machines": [self.machine]}) | stamped(rows, self.machine)

    def amend(self, told: Mapping[str, str]) -> None:
        """Add what a worker says of its framework to the rows of the run and of this machine.

        Different words stand side by side.

        Parameters
        ----------
        told
            Field of `rows.Run` and `rows.MachineRow` -> one word.
        """
        with self._lock:
            own = self._rows["machines"].get(SUBJECTS["machines"](self.machine), ()) if self.machine else ()
            every = {"runs": [row for rows in self._rows["runs"].values() for row in rows], "machines": list(own)}
            changed = {
                table: [new for row in rows if (new := with_words(row, told)) != row] for table, rows in every.items()
            }
            if any(changed.values()):
                self.add({table: rows for table, rows in changed.items() if rows})

    def settled(self, cell_ids: Iterable[str] = (), done: str = "") -> bool:
        """Return whether all these cells have ended, none of them broken, and the piece of work ``done`` is done.

        A broken cell (error, timeout, crash, out of memory) is not settled, as the cause may have been temporary.
        """
        ends = ([row.status for row in self._rows["cells"].get(cell_id, ())] for cell_id in cell_ids)
        return all(end and not BROKEN & set(end) for end in ends) and (not done or done in self._done)

    def write_tables(self) -> None:
        """Write all CSV files from the rows so far.

        Raises
        ------
        StoreError
            If a file cannot be written.
        """
        start, rows = time.monotonic(), self.rows
        if self._plan is not None:
            rows = in_plan_order(rows, self._plan)
        rows["samples"] = _imports_first(rows["samples"])
        rows["timings"] = timings(rows["cells"], rows["samples"])
        self._rows["timings"] = {None: rows["timings"]}
        # Half of them would not belong to the other half.
        with uninterrupted(), self._store_errors():
            for name, table in TABLES.items():
                tables.write(self.path / f"{name}.csv", table, rows[name])
        end = time.monotonic()
        self._refresh_at = end + max(_REFRESH_S, _REFRESH_SHARE * (end - start))

    def close(self) -> None:
        """Write the tables for the last time and release the lock."""
        try:
            self.write_tables()
        finally:
            self._log.close()

    def _apply(self, rows: Rows, done: str) -> None:
        """Replace the rows about the same subjects; a new cell also removes its earlier checks, samples and pairs."""
        for cell in rows.get("cells", ()):
            for name, subject in (("checks", cell.cell_id), ("samples", cell.cell_id), ("pairs", group_of(cell))):
                if subject in self._rows[name]:
                    self._rows[name][subject] = []
        for name, new in rows.items():
            by_subject = defaultdict(list)
            for row in new:
                by_subject[SUBJECTS[name](row)].append(row)
            self._rows[name].update(by_subject)
        self._done.add(done)

    def _replay(self) -> None:
        """Apply all records of the log, and cut off a last line that was not finished."""
        records, length = read_log(self.path)
        for rows, done in records:
            self._apply(rows, done)
        with self._store_errors():
            self._log.cut(length)

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        """Turn the system's errors about the folder into a `StoreError` of one line."""
        try:
            yield
        except BlockingIOError as error:
            raise StoreError(f"got a run that another process is writing to: {self.path}") from error
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error.strerror or error}; {self._advice()}") from error

    def _advice(self) -> str:
        """Return what is left of a run that cannot be written, and how to resume it."""
        if not (self.path / log.NAME).exists():
            return "nothing of this run is left there"
        command = next((run.command for run in self.rows["runs"]), "")
        resume = tables.resume_command(command, self.path)
        return f"what was finished is in its {log.NAME}: make room, then run {resume}"


def _new_folder(out: pathlib.Path, name: str) -> pathlib.Path:
    """Make a folder of this name, or named by the time and a random number: simultaneous runs get different ones."""
    if name:
        (out / name).mkdir(parents=True)
        return out / name
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    while True:
        path = out / f"{stamp}-{secrets.token_hex(2)}"
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return path


def with_words(row: Any, told: Mapping[str, str]) -> Any:
    """Return a row with words added to those of its fields, sorted and each once."""
    words = {name: " ".join(sorted({*getattr(row, name).split(), word})) for name, word in told.items()}
    return dataclasses.replace(row, **words)


def _imports_first(samples: Sequence[Any]) -> list[Any]:
    """Return samples with those of imports first, by name: imports side by side end in any order."""
    imports = sorted((s for s in samples if s.phase == Phase.IMPORT), key=lambda s: (s.cell_id, s.round, s.machine))
    return [*imports, *(s for s in samples if s.phase != Phase.IMPORT)]


def writable(folder: pathlib.Path) -> str:
    """Return why a folder cannot be written to; empty if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
