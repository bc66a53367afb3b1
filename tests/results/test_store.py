"""The folder of a run: finished work stays readable, whatever happens to the disk, the folder or the process."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_compare.results import log, tables
from autodiff_compare.results.log import read_log
from autodiff_compare.results.resume import recorded
from autodiff_compare.results.rows import TABLES, CellRow, CheckRow, PairRow, Run, SampleRow
from autodiff_compare.results.store import RunFolder, StoreError
from autodiff_compare.results.tables import TableError
from tests.processes import children, heard, lives, until
from tests.report.blank import blank
from tests.selection import few

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"


def cell(backend: str, status: str = "ok", problem: str = "p") -> CellRow:
    """A row with something awkward in its text."""
    cell_id = f"{problem}/small/float64/gradient/{backend}"
    return blank(
        CellRow, cell_id=cell_id, problem=problem, size="small", dtype="float64", operator="gradient", backend=backend,
        status=status, message="=1+1, \x1b[31m ü\n\ud800", gradient_norm=1.0,
    )  # fmt: skip


def pair(a: str, b: str) -> PairRow:
    return blank(PairRow, problem="p", size="small", dtype="float64", operator="gradient", backend_a=a, backend_b=b)


def statuses(folder: RunFolder) -> dict[str, str]:
    return {row.backend: row.status for row in folder.rows["cells"]}


def test_a_resumed_folder_holds_the_rows_that_were_added(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"cells": [cell("a"), cell("b")], "pairs": [pair("a", "b")]}, done="it")
    before = folder.rows
    folder.close()
    again = RunFolder(tmp_path, folder.path)
    assert repr(again.rows["cells"]) == repr(before["cells"])  # repr: nan is not equal to itself
    assert repr(again.rows["pairs"]) == repr(before["pairs"])
    assert again.settled(done="it")
    assert not again.settled(done="something else")
    again.close()


def test_what_workers_say_is_added_to_the_row_of_the_run(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"runs": [blank(Run, run_id=folder.run_id)]})
    for word, said in (("on", "on"), ("on", "on"), ("off", "off on")):
        folder.amend({"onednn": word})
        assert [row.onednn for row in folder.rows["runs"]] == [said]
    folder.amend({})
    folder.close()
    assert [row.onednn for row in tables.rows_from(tables.read(folder.path / "runs.csv", Run), Run)] == ["off on"]
    assert len((folder.path / "log.jsonl").read_text().splitlines()) == 3, "what is known is not written again"
    assert recorded(folder.path).onednn == "off on"


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        *[(status, True) for status in ("ok", "wrong", "unsupported", "not_installed")],
        *[(status, False) for status in ("error", "timeout", "crash", "out_of_memory")],
    ],
)
def test_a_broken_cell_is_not_settled(status: str, kept: bool, tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"cells": [cell("a", status)]})
    assert folder.settled([cell("a").cell_id]) == kept
    assert not folder.settled([cell("a").cell_id, "never seen"])
    folder.close()


def test_a_later_row_replaces_an_earlier_one_at_its_place(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    check = blank(CheckRow, cell_id=cell("a").cell_id)
    sample = SampleRow(cell("a").cell_id, "steady", 0, 0, 1, 1.0)
    folder.add({"cells": [cell("a"), cell("b")], "checks": [check], "samples": [sample], "pairs": [pair("a", "b")]})
    folder.add({"cells": [cell("c", problem="q")]})
    folder.add({"samples": [SampleRow("a", "import", 0, 0, 1, 1.0), SampleRow("a", "import", 1, 0, 1, 1.0)]})
    folder.add({"cells": [cell("a", "crash"), cell("b")]})
    folder.add({"samples": [SampleRow("a", "import", 0, 0, 1, 2.0)]})
    assert statuses(folder) == {"a": "crash", "b": "ok", "c": "ok"}
    assert [row.backend for row in folder.rows["cells"]] == ["a", "b", "c"]
    assert folder.rows["checks"] == folder.rows["pairs"] == []
    assert [(s.round, s.seconds) for s in folder.rows["samples"]] == [(0, 2.0), (1, 1.0)]
    folder.close()


@pytest.mark.parametrize("tail", [b'{"cells":[{"run_id"', b'{"cells":[{"run_id"\n', b"\0" * 100, b"\0\n", b"{}x\n"])
def test_a_last_line_that_was_not_finished_is_dropped(tail: bytes, tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"cells": [cell("a")]})
    folder.close()
    log = folder.path / "log.jsonl"
    log.write_bytes(log.read_bytes() + tail)
    again = RunFolder(tmp_path, folder.path)
    again.add({"cells": [cell("b")]})
    again.close()
    assert statuses(again) == {"a": "ok", "b": "ok"}
    assert [len(record["cells"]) for record in map(json.loads, log.read_bytes().splitlines())] == [1, 1]


@pytest.fixture
def small_disk() -> Iterator[pathlib.Path]:
    """A file system of 200 kB; skips where this process may not mount one."""
    path = tempfile.mkdtemp()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", path]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a small file system")
    yield pathlib.Path(path)
    subprocess.run(["umount", path], check=True)
    os.rmdir(path)


def fill(folder: RunFolder, words: str = "--resume") -> int:
    """Add rows until the folder rejects one; return the number of those added."""
    taken = 0
    with pytest.raises(StoreError, match=words) as caught:  # noqa: PT012 - which one is refused is what is asked
        while taken < 10_000:
            folder.add({"cells": [cell("a", problem=f"p{taken}")]})
            taken += 1
    assert "\n" not in str(caught.value)
    return taken


def test_a_full_disk_loses_nothing_that_was_finished(small_disk: pathlib.Path) -> None:
    folder = RunFolder(small_disk)
    taken = fill(folder)
    assert taken > 10
    with pytest.raises(StoreError, match="No space left on device"):
        folder.close()
    assert len(read_log(folder.path)[0]) == taken
    assert (folder.path / "log.jsonl").read_bytes().endswith(b"\n")
    assert not list(folder.path.glob(".*")), "a temporary file was left"


def test_a_failing_write_is_cut_off(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"cells": [cell("a")]})
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 200:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StoreError, match="No space left on device"):
        folder.add({"cells": [cell("b")]})
    monkeypatch.undo()
    folder.add({"cells": [cell("c")]})
    folder.close()
    assert [row["cells"][0].backend for row, _ in read_log(folder.path)[0]] == ["a", "c"]


def test_an_interruption_cuts_off_nothing_that_is_finished(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    sync = os.fsync

    def interrupted(descriptor: int) -> None:
        signal.raise_signal(signal.SIGINT)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", interrupted)
    with heard(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        folder.add({"cells": [cell("a")]})
    monkeypatch.undo()
    folder.close()
    assert [row["cells"][0].backend for row, _ in read_log(folder.path)[0]] == ["a"]
    assert [row.backend for row in folder.rows["cells"]] == ["a"]


def test_an_interruption_leaves_no_tables_that_do_not_belong_together(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"cells": [cell("a")]})
    folder.add({"cells": [cell("b", problem="other")]})
    write, written = tables.write, []

    def interrupted(path: pathlib.Path, *rest: Any) -> None:
        signal.raise_signal(signal.SIGINT) if not written else None
        write(path, *rest)
        written.append(path.stem)

    monkeypatch.setattr(tables, "write", interrupted)
    with heard(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        folder.write_tables()
    assert written == list(tables.TABLES)


def test_a_vanished_folder_is_noticed(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    shutil.rmtree(folder.path)
    assert fill(folder, "nothing of this run is left there") == 0
    with pytest.raises(StoreError):
        folder.close()


def test_the_first_row_is_in_the_tables_at_once(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"cells": [cell("a")]})
    assert len(tables.read_all(folder.path)["cells"]) == 1
    folder.close()


def test_a_folder_has_one_writer_and_two_runs_have_two_folders(tmp_path: pathlib.Path) -> None:
    first, second = RunFolder(tmp_path), RunFolder(tmp_path)
    assert first.path != second.path
    with pytest.raises(StoreError, match="another process is writing"):
        RunFolder(tmp_path, first.path)
    first.close()
    RunFolder(tmp_path, first.path).close()
    second.close()


def test_a_log_is_not_written_through_a_link(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    folder.close()
    precious = tmp_path / "precious"
    shutil.move(folder.path / "log.jsonl", precious)
    before = precious.read_bytes()
    (folder.path / "log.jsonl").symlink_to(precious)
    with pytest.raises(StoreError):
        RunFolder(tmp_path, folder.path)
    assert precious.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"[]", "no JSON object"),
        (b"{", "damaged line 1"),
        (b"[" * 100_000, "damaged line 1"),
        (b"\xff\xfe", "damaged line 1"),
        (b'{"cells": 3}', "not a list"),
        (b'{"cells": [3]}', "does not have the fields of CellRow"),
        (b'{"passwords": []}', "got tables passwords"),
        (b'{"__array__": "", "dtype": "O", "shape": []}', "damaged line 1"),
        (b'{"cells": [{"__array__": "AAAA", "dtype": "V999999999", "shape": [-1]}]}', "damaged line 1"),
        (b'{"samples":[{"cell_id":1,"phase":"","round":0,"sample":0,"calls":0,"seconds":0.0}]}', "field 'cell_id'"),
        (b'{"samples":[{"cell_id":"","phase":"","round":true,"sample":0,"calls":0,"seconds":0}]}', "field 'round'"),
    ],
)
def test_a_damaged_log_is_a_clear_error(line: bytes, words: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(line + b"\n{}\n")
    with pytest.raises(TableError, match="line 1") as caught:
        read_log(tmp_path)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_log_that_is_too_large_or_no_file_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TableError, match="cannot read"):
        read_log(tmp_path)
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises(TableError, match="no ordinary file"):
        read_log(tmp_path)
    (tmp_path / "log.jsonl").unlink()
    (tmp_path / "log.jsonl").write_bytes(b"{}\n")
    monkeypatch.setattr(log, "LARGEST_LOG", 2)
    with pytest.raises(TableError, match="of 3 bytes, expected at most 2"):
        read_log(tmp_path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(TABLES)), inner),
)


@pytest.mark.parametrize("examples", few([25, 100], 1))
def test_any_log_is_read_or_refused(examples: int) -> None:
    @settings(deadline=None, max_examples=examples)  # files are written
    @given(st.lists(st.binary() | _JSON.map(lambda value: json.dumps(value).encode())))
    def check(lines: list[bytes]) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "log.jsonl"
            path.write_bytes(b"\n".join(lines))
            try:
                records, length = read_log(pathlib.Path(name))
            except TableError as error:
                assert "damaged line" in str(error)  # noqa: PT017 - either outcome is right
            else:
                assert len(records) <= len(lines)
                assert length <= path.stat().st_size

    check()


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="processes are followed through /proc")
def test_workers_die_with_a_killed_runner_and_the_log_stays_readable(tmp_path: pathlib.Path) -> None:
    faulty = EXAMPLES / "faulty_backend.py"
    run = subprocess.Popen(
        [sys.executable, str(ROOT / "compare.py"), "run", str(EXAMPLES / "quadratic.py"), "-b", "manual", "-b",
         f"{faulty}:spins_in_c", "-o", "value", "-o", "gradient", "--rounds", "0", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: any(b'"cells"' in log.read_bytes() for log in tmp_path.rglob("log.jsonl")))
        workers = children(run.pid)
        assert workers
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    until(lambda: not any(map(lives, workers)))
    (folder,) = tmp_path.iterdir()
    cells = [row for rows, _ in read_log(folder)[0] for row in rows.get("cells", ())]
    assert [(row.operator, row.status) for row in cells] == [("value", "ok")] * 2


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(ROOT / "compare.py"), "check", str(EXAMPLES / "quadratic.py"), "-b", "manual"]
    command += ["-o", "all"]
    runs = [subprocess.Popen([*command, "--out", str(tmp_path)], stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [run.wait(300) for run in runs] == [0, 0]
    found = [tables.read_all(folder) for folder in tmp_path.iterdir()]
    assert [list(frames["cells"]["status"]) for frames in found] == [["ok"] * 3] * 2
    assert {run_id for frames in found for run_id in frames["cells"]["run_id"]} == {p.name for p in tmp_path.iterdir()}


def test_a_full_disk_is_one_line_and_a_nonzero_exit(small_disk: pathlib.Path) -> None:
    (small_disk / "ballast").write_bytes(b"\0" * 185_000)
    done = subprocess.run(
        [sys.executable, str(ROOT / "compare.py"), "check", str(EXAMPLES / "quadratic.py"), "-b", "manual", "-b",
         "numpy", "--out", str(small_disk)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
