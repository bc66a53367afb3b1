"""The runner: every planned cell ends as one row, and a fault costs its own cell and no other."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from harness import tables
from harness.plan import PlanError, plan
from harness.runner import Runner, Settings
from harness.store import RunFolder
from vocabulary import Status

HERE = pathlib.Path(__file__).parent / "examples"
QUADRATIC, FAULTY = str(HERE / "quadratic.py"), str(HERE / "faulty_backend.py")


def run(tmp_path: pathlib.Path, specs: list[str], operators: list[str], **settings: object) -> RunFolder:
    folder = RunFolder(tmp_path)
    given = {"rounds": 0, "timeout_s": 20.0, "memory": False, **settings}
    Runner(plan([QUADRATIC], specs, operators), Settings(**given), folder).run()  # type: ignore[arg-type]
    folder.close()
    return folder


#: Fault -> the status its cell ends with, and words in the message.
ENDS = {
    "": (Status.OK, ""),
    "raises": (Status.ERROR, "RuntimeError: the sky is falling"),
    "unsupported": (Status.UNSUPPORTED, "not today"),
    "no_import": (Status.ERROR, "ImportError: libmissing.so"),
    "segfault": (Status.CRASH, "SIGSEGV"),
    "abort": (Status.CRASH, "SIGABRT"),
    "killed": (Status.CRASH, "SIGKILL"),
    "exit": (Status.CRASH, "exit code 7"),
    "overallocates": (Status.OUT_OF_MEMORY, "allocate"),
    "nan": (Status.WRONG, ""),
    "inf": (Status.WRONG, ""),
    "zeros": (Status.WRONG, ""),
    "shape": (Status.WRONG, "shape"),
    "dtype": (Status.WRONG, "dtype"),
    "noise": (Status.OK, ""),
    "mutates": (Status.WRONG, "input"),
}


@pytest.mark.parametrize("fault", ENDS)
def test_a_fault_becomes_its_row_and_the_other_backend_is_untouched(fault: str, tmp_path: pathlib.Path) -> None:
    spec = f"{FAULTY}:{fault}" if fault else FAULTY
    folder = run(tmp_path, [spec, "manual"], ["gradient"])
    rows = {row.backend: row for row in folder.rows["cells"]}
    status, words = ENDS[fault]
    assert rows["faulty"].status == status, rows["faulty"]
    assert words in rows["faulty"].message
    assert rows["manual"].status == Status.OK
    assert (status == Status.OK) == (rows["faulty"].message == "")


@pytest.mark.parametrize("fault", ["spins", "spins_in_c", "sleeps", "stopped"])
def test_a_worker_that_does_not_answer_is_killed_at_its_deadline(fault: str, tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [f"{FAULTY}:{fault}", "manual"], ["gradient"], timeout_s=3.0)
    statuses = {row.backend: row.status for row in folder.rows["cells"]}
    assert statuses == {"faulty": Status.TIMEOUT, "manual": Status.OK}


def test_a_worker_is_started_again_after_a_death(tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [f"{FAULTY}:segfault"], ["gradient", "value"])
    assert [(r.operator, r.status) for r in folder.rows["cells"]] == [("value", "ok"), ("gradient", "crash")]
    folder = run(tmp_path, [f"{FAULTY}:segfault"], ["gradient", "hessian", "value"])
    assert [r.status for r in folder.rows["cells"]] == ["ok", "crash", "unsupported"]


def test_children_of_a_dead_worker_die_too(tmp_path: pathlib.Path) -> None:
    run(tmp_path, [f"{FAULTY}:leaves_children"], ["gradient"])
    found = subprocess.run(["pgrep", "-f", "left-behind-by-a-worker"], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_a_right_cell_is_timed_in_rounds_and_a_wrong_one_is_not(tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [FAULTY, f"{FAULTY}:zeros", "manual"], ["gradient"], rounds=3)
    steady = [s for s in folder.rows["samples"] if s.phase == "steady"]
    by_cell = {cell_id: {s.round for s in steady if s.cell_id == cell_id} for cell_id in {s.cell_id for s in steady}}
    assert by_cell == {f"quadratic/small/float64/gradient/{b}": {0, 1, 2} for b in ("faulty", "manual")}
    assert all(s.calls >= 1 and s.seconds > 0 for s in steady)
    timings = {(t.cell_id, t.phase): t for t in folder.rows["timings"]}
    assert timings["quadratic/small/float64/gradient/manual", "steady"].n == 3


def test_every_table_of_a_run_is_readable(tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [f"{FAULTY}:raises", "manual"], [], rounds=1)
    frames = tables.read_all(folder.path)
    assert len(frames["cells"]) == 6
    assert set(frames["checks"]["cell_id"]) <= set(frames["cells"]["cell_id"])
    log = (folder.path / "log.jsonl").read_text().splitlines()
    assert len([line for line in log if '"cells"' in line]) == 3, "one line a group: whole or not at all"


def test_an_absent_framework_is_a_row(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import backends

    manual = backends.available()["manual"]
    monkeypatch.setattr(manual, "requires", ("a-distribution-that-nobody-has",))
    folder = run(tmp_path, ["manual", FAULTY], ["gradient"])
    rows = {row.backend: row for row in folder.rows["cells"]}
    assert rows["manual"].status == Status.NOT_INSTALLED
    assert "a-distribution-that-nobody-has" in rows["manual"].message
    assert rows["faulty"].status == Status.OK


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"names": ["nosuch"]}, "got problem 'nosuch', expected one of"),
        ({"names": ["nosuch.py"]}, "expected an existing .py file"),
        ({"specs": ["nosuch"]}, "got backend 'nosuch', expected one of"),
        ({"specs": ["numpy:nosuch"]}, "got variant 'nosuch'"),
        ({"operators": ["nosuch"]}, "got operator 'nosuch', expected one of"),
        ({"dtypes": ["float16"]}, "got dtype 'float16', expected one of: float64, float32"),
        ({"sizes": ["huge"]}, "got size 'huge', expected one of"),
        ({"names": [QUADRATIC], "operators": ["jvp"]}, "expected some that quadratic has"),
    ],
)
def test_a_plan_for_what_does_not_exist_lists_the_choices(given: dict[str, list[str]], words: str) -> None:
    with pytest.raises(PlanError, match="got") as caught:
        plan(**given)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_is_the_product_of_what_was_asked_for() -> None:
    made = plan([QUADRATIC], ["manual", FAULTY], ["gradient", "value"], ["float64", "float32"])
    assert [cell.cell_id for cell in made.cells][:4] == [
        "quadratic/small/float64/value/manual",
        "quadratic/small/float64/value/faulty",
        "quadratic/small/float64/gradient/manual",
        "quadratic/small/float64/gradient/faulty",
    ]
    assert len({cell.cell_id for cell in made.cells}) == len(made.cells) == 8
