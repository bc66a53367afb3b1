"""The command line: a mistake gives one line and exit code 2, a run gives tables and a sentence."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from autodiff_compare.cli.main import main
from autodiff_compare.judge import controls, known_derivatives
from autodiff_compare.judge.controls import RIGHT, SizeTrial
from autodiff_compare.results import tables
from autodiff_compare.results.rows import CellRow, SampleRow
from tests.commands import called, executed
from tests.processes import until

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"
QUADRATIC, FAULTY = str(EXAMPLES / "quadratic.py"), str(EXAMPLES / "faulty_backend.py")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nosuch"], "got 'nosuch', expected one of: run, check, descend"),
        ([], "missing: VERB; for example: autodiff-compare run cubic_fit (see"),
        (["run", "nosuch"], "got problem 'nosuch', expected one of"),
        (
            ["run", "--dtype", "float80"],
            "got dtype 'float80', did you mean float64 or float32? Expected one of",
        ),
        (["run", "-b", "nosuch"], "got backend 'nosuch', expected one of"),
        (["run", "-o", "nosuch"], "got operator 'nosuch', expected one of"),
        (["run", "--size", "huge"], "got size 'huge', expected one of"),
        (["run", "--rounds", "-1"], "expected a whole number"),
        (["run", "--launches", "0"], "expected a whole number from 1"),
        (["check", "--seed", "-1"], "expected a whole number from 0 to 9223372036854775807"),
        (["fuzz", "--seed", "9223372036854775808"], "expected a whole number from 0 to"),
        (["run", "--budget", "-1"], "expected a positive number of seconds"),
        (["rnu"], "got 'rnu', did you mean run? Expected one of: run, check"),
        (["run", "--isolate", "all"], "argument --isolate: got 'all', expected one of: "),
        (["overhead", "-b", "manual"], "expected one of: jax, numpy, tensorflow, torch"),
        (["selftest", "--timing", "--trials", "0"], "expected a whole number from 1"),
        (["run", "--timeout", "soon"], "expected a positive number of seconds"),
        (["run", "--seed", "x"], "expected a whole number from 0"),
        (["run", "missing.py"], "expected an existing .py file"),
        (["run", "sphere", "--out", "/proc/nowhere"], "expected a folder that can be written to"),
        (["run", "--resume", "nosuch"], "got run 'nosuch', expected a run's folder, or the id or name of one"),
        (["diff", "nosuch", "nosuch"], "got run 'nosuch', expected a run's folder, or the id or name of one"),
        (["diff", "a", "b", "--threshold", "1"], "expected a number of percent from 2"),
        (["diff", "a"], "missing: RUN_B; for example: autodiff-compare diff "),
        (["descend", "nosuch"], "got problem 'nosuch', expected one of"),
        (["descend", "cubic_fit", "--start", "-1,2"], "got 2 numbers, expected 4 numbers"),
        (["descend", "cubic_fit", "--start", "1,2,3,4", "--starts", "3"], "got two of --start, --starts and --seed"),
        (["descend", "cubic_fit", "--lr", "-1e-5"], "expected a positive number"),
        (["descend", "planar_arm", "--size", "5"], "the study of planar_arm has no descent"),
        (["run", "sphere", "--at", "-1,2,3"], "got 3 numbers for sphere, expected 2 numbers"),
        (["run", "sphere", "--at", "1,nan"], "expected finite numbers with commas"),
        (["rum"], "did you mean run?"),
        (["run", "--opreator", "gradient"], "did you mean --operator?"),
        (["run", "-b", "jax:eagr"], "did you mean eager?"),
        (["show", "latest~99"], "got latest~99, expected one of the runs in"),
        (["descend", "sphere"], "sphere"),
        *[([*words, 300 * "x"], "cannot use the path 'xxx") for words in (["run"], ["run", "-b"], ["show"], ["list"])],
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(args: list[str], words: str) -> None:
    done = called(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import nosuchmodule\n", "ModuleNotFoundError"),
        ("PROBLEM = 3\n", "define PROBLEM"),
        ("x = 1\n", "define objective(x, xp)"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_broken_problem_file_is_one_clear_line(text: str, words: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    done = called("run", str(tmp_path / "mine.py"), "--out", str(tmp_path / "out"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert words in done.stderr


def test_a_file_named_without_its_ending_is_suggested(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text("")
    done = executed("run", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "got problem 'mine', did you mean ./mine.py? Expected one that" in done.stderr


def test_a_users_problem_runs_from_any_folder(tmp_path: pathlib.Path) -> None:
    command = ["run", QUADRATIC, "-b", "numpy", "-b", "manual", "--rounds", "1", "-o", "all", "--name", "first"]
    done = executed(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 of 6 cells agree" in done.stdout
    assert done.stdout.endswith("tables: results/first\n")
    assert "of it inside timed calls, " in done.stdout
    assert "inside compilers and first calls" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    frames = tables.read_all(tmp_path / "results" / "first")
    assert set(frames["cells"]["status"]) == {"ok"}
    assert next(iter(frames["runs"]["command"])).startswith("compare.py run")
    again = executed(*command, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "got --name first, which is there already" in again.stderr


def test_a_users_file_has_its_gradient_and_writes_nothing_here_unless_asked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    done = called("check", QUADRATIC, "-b", "numpy", cwd=tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 cells agree" in done.stdout
    assert "-o all computes every operator" in done.stdout
    assert list((tmp_path / "here").iterdir()) == []
    assert f"tables: {tmp_path / 'data' / 'autodiff-compare' / 'runs'}" in done.stdout
    (entry,) = json.loads(called("runs", "--json", cwd=tmp_path / "here").stdout)["rows"]
    assert (entry["latest"], entry["results"]) == ("latest", "1 ok")
    assert called("show", "latest", cwd=tmp_path / "here").stdout.startswith("Result of one gradient call")


@pytest.mark.parametrize(("fault", "code"), [("zeros", 1), ("raises", 3), ("unsupported", 0)])
def test_the_exit_code_says_what_happened(fault: str, code: int, tmp_path: pathlib.Path) -> None:
    done = called(
        "run", QUADRATIC, "-b", f"{FAULTY}:{fault}", "-o", "gradient", "--rounds", "0", "--out", str(tmp_path)
    )
    assert done.returncode == code
    assert "Cells without a right result" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_was_finished(number: signal.Signals, tmp_path: pathlib.Path) -> None:
    # A shell that runs the tests in its background has them ignore SIGINT, and their children with them.
    heeds = (
        "import signal, sys; from autodiff_compare.cli.main import main; "
        "signal.signal(2, signal.default_int_handler); sys.exit(main())"
    )
    command = [sys.executable, "-c", heeds, "run", QUADRATIC, "-b", "manual", "-b", f"{FAULTY}:sleeps"]
    run = subprocess.Popen(
        [*command, "-o", "value", "-o", "gradient", "--timeout", "600", "--rounds", "0", "--out", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: any(b'"value"' in p.read_bytes() for p in tmp_path.rglob("log.jsonl")))
        os.kill(run.pid, number)
        run.communicate(timeout=300)
    finally:
        run.kill()
        run.communicate()
    assert run.returncode == 130
    (folder,) = tmp_path.iterdir()
    cells = tables.read(folder / "cells.csv", CellRow)
    assert list(cells["operator"]) == ["value", "value"]
    assert set(cells["status"]) == {"ok"}


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["ok", "ok"], 0), (["ok", "unsupported"], 0), (["ok", "not_installed"], 0), (["not_installed"], 3),
        (["ok", "timeout"], 3), (["wrong", "crash"], 1), ([], 0),
    ],
)  # fmt: skip
def test_the_exit_code_tells_wrong_from_broken_and_from_what_is_not_there(statuses: list[str], code: int) -> None:
    from autodiff_compare.cli.verbs.runs.run import exit_code

    assert exit_code([SimpleNamespace(status=status) for status in statuses]) == code  # type: ignore[misc]


def test_listing_names_every_problem_and_backend() -> None:
    from autodiff_compare import backends, problems
    from autodiff_compare.vocabulary import SUITES

    done = called("list")
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip() and line[0] != " "}
    assert {*backends.available(), *problems.available()} <= set(rows)
    assert {f"{b.name}:{v}" for b in backends.available().values() for v in b.variants if v} <= set(rows)
    headings = [line.partition(":")[0] for line in done.stdout.splitlines() if line.partition(":")[0] in SUITES]
    assert headings == [s for s in SUITES if s in headings], "each once, in the order of the suites"
    assert {"classic", "tests", "gradbench"} <= set(headings)
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            ["gmm"],
            ["gmm\n", "sizes        small 30, medium 1650", "(5,), (5, 2), (5, 3) differentiated", "gmm_d*_K*.txt"],
        ),
        (["particle_rr", "sphere"], ["tolerance    1000 eps", "uses         derivative, while_loop", "sphere\n"]),
        ([str(EXAMPLES / "quadratic.py")], ["sum of squares", "operators    value gradient hessian"]),
        (["--suite", "adbench"], ["adbench: the four objectives of ADBench", "hand_complicated "]),
        (["heat"], ["heat_inverse scalar 8-250", "list WORD finds those"]),
        (["thermometers", "rod"], ["heat_inverse"]),
    ],
)
def test_listing_tells_what_is_known_of_a_problem(asked: list[str], told: list[str]) -> None:
    done = called("list", *asked)
    assert done.returncode == 0, done.stderr
    text = re.sub(r" +\n", "\n", done.stdout)
    assert [words for words in told if words not in text] == []
    assert "Backends" not in text
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("operators", "words"),
    [
        ("value gradient value_and_gradient jvp vjp jacobian hvp hessian", "scalar"),
        ("value gradient value_and_gradient jvp vjp jacobian hvp", "scalar but hessian"),
        ("value jvp vjp jacobian", "vector"),
        ("value jvp vjp jacobian sparse_jacobian", "vector and sparse_jacobian"),
        ("value gradient value_and_gradient", "value gradient value_and_gradient"),
    ],
)
def test_operators_are_said_in_a_word_where_there_is_one(operators: str, words: str) -> None:
    from autodiff_compare.cli.verbs.list import in_words
    from autodiff_compare.vocabulary import Operator

    assert in_words(frozenset(map(Operator, operators.split()))) == words


def test_the_installed_command_is_there() -> None:
    command = pathlib.Path(sys.executable).parent / "autodiff-compare"
    done = subprocess.run([command, "--help"], cwd="/", capture_output=True, text=True, check=True)
    assert "VERB" in done.stdout


def test_checking_judges_without_timing(tmp_path: pathlib.Path) -> None:
    done = called("check", QUADRATIC, "-b", "numpy", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    samples = tables.read(folder / "samples.csv", SampleRow)
    assert set(samples["phase"]) == {"import", "prepare", "first_call"}


def test_a_selftest_is_summed_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [
        SizeTrial("made", "float64", False, RIGHT, 0.0, 1, 0),
        SizeTrial("made", "float64", False, "one", 0.1, 4, 4),
    ]
    monkeypatch.setattr(controls, "trials", lambda *_: sizes)
    monkeypatch.setattr(known_derivatives, "FUNCTIONS", known_derivatives.FUNCTIONS[:2])
    assert main(["selftest", "matyas"]) == 0
    shown = capsys.readouterr().out
    assert "wrong results were rejected, 0 of" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_selftest_says_what_was_rejected() -> None:
    done = called("selftest", "matyas", "cubic_fit")
    assert done.returncode == 0, done.stdout
    assert "wrong results were rejected, 0 of" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_error_of_each_cell_is_printed_below_its_time(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "check",
        "sphere",
        "cubic_fit",
        "-b",
        "manual",
        "-o",
        "gradient",
        "-o",
        "hessian",
        "--out",
        str(tmp_path),
    ]
    assert main([*command, "--errors"]) == 0
    shown = capsys.readouterr().out
    row = next(k for k, line in enumerate(shown.splitlines()) if line.startswith("sphere "))
    # 2 x has no rounding error.
    assert shown.splitlines()[row + 1].split() == ["exact"]
    assert main(["show", "latest", "--out", str(tmp_path)]) == 0
    assert "exact" not in capsys.readouterr().out


def test_runs_are_listed_with_how_they_ended(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("No run in ")
    for name, words in (("good", ["-b", "manual"]), ("bad", ["-b", f"{FAULTY}:zeros"])):
        main(["check", QUADRATIC, *words, "--name", name, "--out", str(tmp_path)])
    capsys.readouterr()
    assert main(["runs", "--out", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["run"]: row["results"] for row in rows} == {"good": "1 ok", "bad": "1 wrong"}
    assert main(["runs", "wrong", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert ("bad" in shown, "good" in shown) == (True, False)
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_a_package_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fresh clone runs before its requirements are there; a module of this project that is missing is a defect."""

    def lacking(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr("autodiff_compare.cli.main.pkgutil.resolve_name", lacking)
    missing = "rich.table"
    assert main(["list"]) == 3
    told = " ".join(capsys.readouterr().err.split())
    assert f"the package rich is required and not installed for {sys.executable}: in a clone, " in told
    assert "-m pip install . installs it" in told
    missing = "autodiff_compare.nowhere"
    with pytest.raises(ModuleNotFoundError):
        main(["list"])
