"""The exit codes of what ends a verb other than its result: a gone reader, a full disk, a defect, an interruption."""

from __future__ import annotations

import pathlib
import pkgutil
import signal
import subprocess
import sys

import pytest

from autodiff_compare.cli.exits import DEFECT, INTERRUPTED, OK, UNWRITTEN, USAGE
from autodiff_compare.cli.main import main
from autodiff_compare.cli.verbs.runs import show
from autodiff_compare.execution.runner import Runner
from tests.processes import heard, until

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"
LIST = [sys.executable, "compare.py", "list"]


def run_in_shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        ("> /dev/null", OK, ""),
        (">&-", UNWRITTEN, "cannot write to standard output: it is closed"),
        pytest.param(
            "> /dev/full",
            UNWRITTEN,
            "cannot write to standard output: No space left on device",
            marks=pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full on this system"),
        ),
        ("| head -c 1 > /dev/null; exit ${PIPESTATUS[0]}", UNWRITTEN, ""),
        ("2>&- > /dev/null", OK, ""),
        ("<&- >&- 2>&-", UNWRITTEN, ""),
    ],
)
def test_an_output_that_cannot_be_written_has_its_own_code(redirection: str, code: int, words: str) -> None:
    done = run_in_shell(f"{' '.join(LIST)} {redirection}")
    assert (done.returncode, done.stderr.removeprefix("autodiff-compare: ").rstrip()) == (code, words)


@pytest.mark.parametrize("option", ["--version", "show --help"])
@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("> /dev/null", OK),
        (">&-", UNWRITTEN),
        pytest.param(
            "> /dev/full",
            UNWRITTEN,
            marks=pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full on this system"),
        ),
    ],
)
def test_help_that_cannot_be_written_has_that_code_too(option: str, redirection: str, code: int) -> None:
    assert run_in_shell(f"{sys.executable} compare.py {option} {redirection}").returncode == code


def test_a_current_folder_that_is_gone_is_told_in_one_line(tmp_path: pathlib.Path) -> None:
    gone = tmp_path / "gone"
    program = f"{sys.executable} {ROOT / 'compare.py'} list"
    done = run_in_shell(f"mkdir {gone}; cd {gone}; rmdir {gone}; {program}")
    assert done.returncode == USAGE
    assert done.stderr.splitlines() == [
        "autodiff-compare: cannot read the current folder: No such file or directory: change to a folder that is there"
    ]


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="no /proc on this system")
def test_no_file_gets_the_number_of_a_closed_standard_stream() -> None:
    opened = "import os, sys; from autodiff_compare.cli.main import main; main(['list']); os._exit(os.open('/', 0))"
    done = run_in_shell(f'{sys.executable} -c "{opened}" <&- >&- 2>&-')
    assert done.returncode > 2


def test_a_defect_is_no_wrong_result(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(show, "show", fail)
    assert main(["show", "x"]) == DEFECT
    err = capsys.readouterr().err
    assert "ZeroDivisionError: of ours" in err
    assert err.endswith("a defect of this program: please report it\n")


def test_a_variable_that_is_not_set_cannot_be_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sphere", "--env", "SURELY_NOT_SET_HERE"]) == USAGE
    assert "expected a variable that is set, or NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["terminated", "terminal_closed"])
def test_an_interrupted_run_tells_how_far_it_came_and_how_to_go_on(
    number: signal.Signals, tmp_path: pathlib.Path
) -> None:
    # The values are logged, and then the gradient takes minutes.
    sleeping = f"{EXAMPLES / 'faulty_backend.py'}:sleeps"
    what = [str(EXAMPLES / "quadratic.py"), "-b", sleeping, "-o", "value", "-o", "gradient"]
    command = [sys.executable, "compare.py", "run", *what, "--timeout", "600", "--rounds", "0", "--out", str(tmp_path)]
    with heard(number):
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    until(lambda: any(b'"cells"' in p.read_bytes() for p in tmp_path.glob("*/log.jsonl")))
    running.send_signal(number)
    out, _ = running.communicate(timeout=300)
    assert running.returncode == INTERRUPTED
    (folder,) = tmp_path.iterdir()
    words = "".join(out.split())
    assert "interrupted:" in words
    assert "goonwithpythoncompare.pyrun" in words
    assert f"--resume{folder}" in words
    assert main(["show", str(folder)]) == OK


@pytest.mark.parametrize("verb", ["show", "doctor", "selftest", "recommend"])
def test_an_interruption_is_told_wherever_it_comes(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    # Before the verb's own code: while it is imported.
    monkeypatch.setattr(pkgutil, "resolve_name", interrupted)
    assert main([verb, *(["x"] if verb == "show" else [])]) == INTERRUPTED
    assert capsys.readouterr().err == "autodiff-compare: interrupted\n"


def test_an_interrupted_recommendation_tells_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "run", interrupted)
    assert main(["recommend", "sphere", "-b", "manual", "--out", str(tmp_path)]) == INTERRUPTED
    assert capsys.readouterr().err == "autodiff-compare: interrupted: 0 of 1 cells were measured\n"
