"""A run's folder: an append-only log, one line per finished piece, and the CSV files made from it.

The log is flushed to disk line by line, so nothing finished is lost however the run ends; the CSV files
are rewritten from it now and then and at the end, each moved into place whole.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness import protocol, tables
from harness.timings import timings

#: Seconds between two rewrites of the CSV files while a run goes on.
_REFRESH_S = 10.0


class RunFolder:
    """``<out>/<run_id>/`` with ``log.jsonl`` and the tables.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    """

    def __init__(self, out: pathlib.Path) -> None:
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
        self.run_id = f"{stamp}-{secrets.token_hex(2)}"
        self.path = out / self.run_id
        self.path.mkdir(parents=True)
        self.rows: dict[str, list[Any]] = {name: [] for name in tables.TABLES}
        self._log = (self.path / "log.jsonl").open("a", encoding="utf-8")
        self._refreshed = time.monotonic()

    def add(self, rows: Mapping[str, Sequence[Any]]) -> None:
        """Append rows by table name: one line of the log, on disk when this returns."""
        for name, new in rows.items():
            self.rows[name].extend(new)
        record = {name: [dataclasses.asdict(row) for row in new] for name, new in rows.items()}
        self._log.write(protocol.encode(record) + "\n")
        self._log.flush()
        os.fsync(self._log.fileno())
        if time.monotonic() - self._refreshed > _REFRESH_S:
            self.write_tables()

    def write_tables(self) -> None:
        """Write every CSV file from what there is."""
        self.rows["timings"] = timings(self.rows["cells"], self.rows["samples"])
        for name, table in tables.TABLES.items():
            tables.write(self.path / f"{name}.csv", table, self.rows[name])
        self._refreshed = time.monotonic()

    def close(self) -> None:
        """Write the tables for the last time."""
        try:
            self.write_tables()
        finally:
            self._log.close()
