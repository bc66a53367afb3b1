"""A resumed run ends as an undisturbed one; a run that cannot be resumed is rejected in one line."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from autodiff_compare.process import environment
from autodiff_compare.results import tables
from autodiff_compare.results.log import read_log
from autodiff_compare.results.provenance import code_digest, differences
from autodiff_compare.results.rows import SCHEMA_VERSION, CellRow, DescentRow, PairRow, StepRow
from autodiff_compare.results.store import RunFolder
from tests.commands import called

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"
QUADRATIC, FAULTY = str(EXAMPLES / "quadratic.py"), str(EXAMPLES / "faulty_backend.py")

#: What two undisturbed runs differ in too: whose it is, and what was measured.
MEASURED = {
    "run_id",
    "started_utc",
    "command",
    "git_commit",
    "code",
    "seconds",
    "waited_s",
    "peak_rss_bytes",
    "threads_effective",
    "threads_active",
    "flags",
    "contended_rounds",
    "calls",
}


def facts(folder: pathlib.Path) -> dict[str, Any]:
    """Return the tables of a run as CSV, without the measured columns."""
    found = {}
    for name, frame in tables.read_all(folder).items():
        gone = MEASURED | (set(frame.columns) - {"cell_id", "phase", "n"} if name == "timings" else set())
        kept = frame.drop(columns=[column for column in frame.columns if column in gone])
        # A visit has as many blocks as fit into its time.
        found[name] = (kept[kept["sample"] == 0] if name == "samples" else kept).to_csv(index=False)
    return found


def records(folder: pathlib.Path) -> list[str]:
    return (folder / "log.jsonl").read_text().splitlines(keepends=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An undisturbed run: two problems with 14 groups, one of them with questions, two backends."""
    out = tmp_path_factory.mktemp("whole")
    done = called("run", "tape_cube", "sphere", "-b", "numpy", "-b", "manual", "--rounds", "2", "--out", str(out))
    assert done.returncode == 0, done.stderr
    (folder,) = out.iterdir()
    return folder


def cut(whole: pathlib.Path, out: pathlib.Path, lines: int, tail: str = "") -> pathlib.Path:
    """Return the folder that is left of a run interrupted after ``lines`` lines of its log."""
    folder = out / whole.name
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(records(whole)[:lines]) + tail)
    # The code may be edited while its tests run; that this is refused has a test of its own.
    altered(folder, code=code_digest(()))
    return folder


def altered(folder: pathlib.Path, table: str = "runs", /, **fields: object) -> None:
    first, *rest = records(folder)
    record = json.loads(first)
    record[table][0].update(fields)
    (folder / "log.jsonl").write_text(json.dumps(record) + "\n" + "".join(rest))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_resumed_run_ends_with_the_tables_of_an_undisturbed_one(
    share: float, whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    lines = 1 + round(share * (len(records(whole)) - 1))
    tail = records(whole)[lines][:100] if share < 1 else ""
    folder = cut(whole, tmp_path, lines, tail)
    done = called("run", "--resume", whole.name, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert facts(folder) == facts(whole)
    assert records(folder)[1:lines] == records(whole)[1:lines], "what was there is computed again"
    if share == 1:
        assert len(records(folder)) == lines


@pytest.fixture(scope="module")
def descended(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two undisturbed descents by each of two backends."""
    out = tmp_path_factory.mktemp("descended")
    command = ["descend", "matrix_inverse_squared", "-b", "numpy", "-b", "manual", "--seed", "0", "--seed", "1"]
    done = called(*command, "--out", str(out))
    assert done.returncode == 0, done.stderr
    (folder,) = out.iterdir()
    (out / "study.txt").write_text(done.stdout)
    return folder


def matrices(study: str) -> str:
    """Return the part of a study's output that holds no times: the descent and the matrices."""
    return study[study.index("Convergence") : study.index("Error of the inverse")]


@pytest.mark.parametrize("lines", [1, 3, 4, 100])
def test_a_descent_ends_with_the_tables_of_an_undisturbed_one(
    lines: int, descended: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    lines = min(lines, len(records(descended)))
    whole = lines == len(records(descended))
    folder = cut(descended, tmp_path, lines, "" if whole else records(descended)[lines][:100])
    done = called("descend", "--resume", descended.name, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert facts(folder) == facts(descended)
    assert records(folder)[1:lines] == records(descended)[1:lines], "what was there is computed again"
    assert (len(records(folder)) == lines) == whole
    # The study is of all of them, however much of it comes from the folder.
    study = (descended.parent / "study.txt").read_text()
    assert matrices(done.stdout) == matrices(study) != ""


#: (x - 3)^2 from 0 with rate 1/4.
_DESCENT = """
import numpy as np
from autodiff_compare.problems import Descent, Inputs, Problem
from autodiff_compare.vocabulary import Optimizer

def start(seed):
    return Inputs((np.zeros(4),))

PROBLEM = Problem(
    name="mine", title="", source="", sizes={"tiny": 4}, inputs=lambda rng, n: start(0),
    objective=lambda x, *, xp: xp.sum((x - 3.0) ** 2),
    descent={"down": Descent(Optimizer("sgd", 0.25), start, max_iterations=20, follow={"half": lambda x: x / 2})},
)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_descent_keeps_what_was_finished(number: signal.Signals, tmp_path: pathlib.Path) -> None:
    mine, out = tmp_path / "mine.py", tmp_path / "out"
    mine.write_text(_DESCENT)
    # A shell that runs the tests in its background has them ignore SIGINT, and their children with them.
    heeds = (
        "import signal, sys; from autodiff_compare.cli.main import main; "
        "signal.signal(2, signal.default_int_handler); sys.exit(main())"
    )
    command = ["descend", str(mine), "-b", "numpy", "-b", f"{FAULTY}:sleeps", "--out", str(out)]
    run = subprocess.Popen([sys.executable, "-c", heeds, *command], cwd=ROOT, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)  # fmt: skip
    until = time.monotonic() + 300
    while time.monotonic() < until and not any(b'"descents"' in p.read_bytes() for p in out.rglob("log.jsonl")):
        time.sleep(0.1)
    os.kill(run.pid, number)
    assert run.wait(300) == (-number if number == signal.SIGKILL else 130)
    (folder,) = out.iterdir()
    first = records(folder)
    altered(folder, code=code_digest([str(mine), FAULTY]))
    done = called(*command, "--resume", str(folder), "--timeout", "2")
    assert done.returncode == 3, done.stderr
    found = tables.read(folder / "descents.csv", DescentRow)
    assert list(found["status"]) == ["ok", "timeout"]
    assert records(folder)[1 : len(first)] == first[1:], "what was there is computed again"
    steps = tables.read(folder / "steps.csv", StepRow)
    assert steps["loss"].tolist() == [36 / 4**n for n in range(21)], "four coordinates, whose distances halve"
    # What broke is made again, and only that.
    called(*command, "--resume", str(folder), "--timeout", "1")
    assert [json.loads(line)["descents"][0]["status"] for line in records(folder) if '"descents"' in line] == [
        "ok", "timeout", "timeout",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "fields"),
    [
        ("descents", {"cell_id": "matrix_inverse_squared/nosuch/float64/step/numpy"}),
        ("descents", {"cell_id": "no slashes"}),
        ("descents", {"last_point": "[[1.0]]"}),
        ("descents", {"last_point": "[" * 10_000}),
        ("descents", {"start": -1}),
        ("steps", {"extra": "{"}),
        ("steps", {"extra": '{"restart": "one"}'}),
    ],
)
def test_altered_descents_are_rejected_in_one_line(
    table: str, fields: dict[str, object], descended: pathlib.Path, tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from autodiff_compare.cli.main import main

    folder = cut(descended, tmp_path, 3)
    lines = records(folder)
    record = json.loads(lines[2])
    record[table][0].update(fields)
    (folder / "log.jsonl").write_text("".join(lines[:2]) + json.dumps(record) + "\n")
    assert main(["descend", "--resume", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert "got a descent in" in err


def test_each_verb_resumes_its_own_runs(
    whole: pathlib.Path, descended: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from autodiff_compare.cli.main import main

    run, descent = cut(whole, tmp_path, 2), cut(descended, tmp_path, 2)
    for verb, folder, right in (("run", descent, "descend"), ("descend", run, "run")):
        assert main([verb, "--resume", str(folder)]) == 2
        assert f"compare.py {right} --resume {folder}" in capsys.readouterr().err
        assert main(["show", str(folder)]) == 2
        shown = capsys.readouterr().err
        assert f"compare.py {'descend' if folder == descent else 'run'} --resume {folder}" in shown


def test_a_broken_cell_is_executed_again_with_its_group_and_a_wrong_one_is_not(tmp_path: pathlib.Path) -> None:
    flag = tmp_path / "broken"
    adapter = tmp_path / "moody_backend.py"
    adapter.write_text(
        (EXAMPLES / "faulty_backend.py").read_text().replace("FaultyBackend", "MoodyBackend")
        .replace('"faulty"', '"moody"').replace("the sky is falling", str(flag))
        .replace("    raise RuntimeError(", f"    if not os.path.exists({str(flag)!r}):\n        return g\n"
                 "    raise RuntimeError(")
    )  # fmt: skip
    flag.touch()
    out = tmp_path / "out"
    command = ["check", QUADRATIC, "-b", f"{adapter}:raises", "-b", f"{FAULTY}:zeros", "-o", "gradient", "-o", "value"]
    assert called(*command, "--out", str(out)).returncode == 1
    (folder,) = out.iterdir()
    before = len(records(folder))
    flag.unlink()
    altered(folder, code=code_digest([QUADRATIC, str(adapter), FAULTY]))
    assert called(*command, "--resume", str(folder), "--out", str(out)).returncode == 1
    cells = tables.read(folder / "cells.csv", CellRow)
    assert list(cells["cell_id"].str.removeprefix("quadratic/small/float64/")) == [
        "value/moody:raises", "value/faulty:zeros", "gradient/moody:raises", "gradient/faulty:zeros",
    ]  # fmt: skip
    assert list(cells["status"]) == ["ok", "ok", "ok", "wrong"]
    new = [json.loads(line) for line in records(folder)[before:]]
    assert [row["operator"] for record in new for row in record.get("cells", ())] == ["gradient", "gradient"]
    assert len(tables.read(folder / "pairs.csv", PairRow)) == 2


def test_files_of_the_users_own_are_executed_only_if_named_again(tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "mine.py"
    shutil.copy(QUADRATIC, mine)
    command = ["check", str(mine), "-b", "manual"]
    out = tmp_path / "out"
    assert called(*command, "--out", str(out)).returncode == 0
    (folder,) = out.iterdir()
    executed = tmp_path / "executed"
    mine.write_text(f"open({str(executed)!r}, 'w')\n")
    done = called("run", "--resume", str(folder))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "if you trust them" in done.stderr
    assert not executed.exists()
    shutil.copy(QUADRATIC, mine)
    altered(folder, code=code_digest([str(mine)]))
    assert called(*command, "--resume", str(folder)).returncode == 0
    mine.write_text(mine.read_text() + "\n# changed\n")
    done = called(*command, "--resume", str(folder))
    assert done.returncode == 2
    assert "code " in done.stderr


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schema_version": 99}, f"schema_version 99 and {SCHEMA_VERSION}"),
        ({"threads": 2}, "threads 2 and 1"),
        ({"seed": 7}, "seed 7 and 0"),
        ({"code": "0123"}, "code 0123 and "),
        ({"versions": "[]"}, "a JSON object of texts"),
        ({"versions": "[" * 100_000}, "no JSON"),
        ({"command": "compare.py rm -rf /"}, "a recorded command that this program does not have"),
        ({"command": "compare.py run 'sphere"}, "a recorded command that this program does not have"),
        ({"command": ""}, "a recorded command that this program does not have"),
        ({"command": "compare.py --help"}, "a recorded command that this program does not have"),
        ({"command": "compare.py descend sphere"}, "expected a run of 'run' or 'check'"),
        ({"command": "compare.py run /dev/stdin.py"}, "if you trust them"),
        ({"command": "compare.py run nosuch"}, "got problem 'nosuch', expected one of"),
        ({"seed": "zero"}, "field 'seed'"),
    ],
)
def test_a_run_that_cannot_be_resumed_is_rejected_in_one_line(
    fields: dict[str, object], words: str, whole: pathlib.Path, tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from autodiff_compare.cli.main import main

    folder = cut(whole, tmp_path, 2)
    altered(folder, **fields)
    before = (folder / "log.jsonl").read_bytes()
    assert main(["run", "--resume", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert (out, len(err.splitlines())) == ("", 1)
    assert (folder / "log.jsonl").read_bytes() == before


def test_a_run_is_completed_on_another_machine(
    whole: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was there keeps its machine, what is left gets this one, and neither is compared with the other."""
    from autodiff_compare.cli.main import main

    (last,) = [k for k, line in enumerate(records(whole)) if '"sphere/small/float64/gradient/numpy"' in line]
    folder = cut(whole, tmp_path, last)
    machine = json.loads(records(folder)[0])["machines"][0]
    altered(folder, "machines", cpu_model="Z80", key="there")
    log = (folder / "log.jsonl").read_text()
    (folder / "log.jsonl").write_text(log.replace(f'"machine":"{machine["key"]}"', '"machine":"there"'))
    assert main(["run", "--resume", str(folder)]) == 0
    out, err = capsys.readouterr()
    (told,) = [line for line in err.splitlines() if "this machine is not that of the run" in line]
    assert f"cpu_model Z80 and {machine['cpu_model']}" in told
    assert "2 machines, whose times are not compared. Machine 1: " in " ".join(out.split())
    found = tables.read_all(folder)
    assert list(found["machines"]["cpu_model"]) == ["Z80", machine["cpu_model"]]
    groups = found["cells"].groupby(["problem", "size", "dtype", "operator"])["machine"]
    assert (groups.nunique() == 1).all(), "a group is computed on one machine as a whole"
    assert set(found["cells"]["machine"]) == set(found["machines"]["key"])
    imports = found["timings"][found["timings"]["phase"] == "import"]
    assert sorted(imports["cell_id"]) == ["manual", "manual", "numpy", "numpy"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["-b", "numpy"], "another problems, backend"),
        (["tape_cube", "sphere", "-b", "numpy", "-b", "manual", "--rounds", "3"], "another rounds"),
        (["--seed", "1"], "seed"),
    ],
)
def test_options_other_than_the_recorded_ones_are_rejected(
    more: list[str], words: str, whole: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from autodiff_compare.cli.main import main

    folder = cut(whole, tmp_path, 2)
    assert main(["run", *more, "--resume", str(folder)]) == 2
    assert words in capsys.readouterr().err


def test_a_run_that_another_process_writes_is_rejected(
    whole: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from autodiff_compare.cli.main import main

    held = RunFolder(tmp_path, cut(whole, tmp_path, 2))
    assert main(["run", "--resume", str(held.path)]) == 3
    assert "another process is writing" in capsys.readouterr().err
    held.close()


def test_differences_are_listed_except_those_without_effect(whole: pathlib.Path) -> None:
    (run,) = [row for rows, _ in read_log(whole)[0] for row in rows.get("runs", ())]
    assert differences(run, run, ("seed", "threads", "versions")) == []
    versions = dict(environment.versions()) | {"pandas": "0.1", "numpy": "1.0"}
    other = dataclasses.replace(run, seed=1, versions=json.dumps(versions))
    assert differences(run, other, ("seed", "threads", "versions")) == [
        "seed 0 and 1",
        f"numpy {environment.versions()['numpy']} and 1.0",
    ]


def test_the_digest_sees_the_users_file_and_only_that(tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("x = 1\n")
    before = code_digest([f"{mine}:variant", "numpy"])
    assert before == code_digest([str(mine), "torch"]) != code_digest(["numpy"])
    mine.write_text("x = 2\n")
    assert code_digest([str(mine)]) != before
