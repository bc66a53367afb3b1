"""Messages: one line for programs, wrapped for a reader; the operators are in ``--help``."""

from __future__ import annotations

import os
import sys

import pytest
from rich.console import Group
from rich.styled import Styled

from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.console import console
from autodiff_compare.cli.exits import USAGE
from autodiff_compare.cli.main import main
from autodiff_compare.cli.messages import as_called
from autodiff_compare.summary.terminal import plain_table
from autodiff_compare.vocabulary import Operator


@pytest.mark.parametrize("argv", [["check", "nosuch"], ["check", "--size"], ["run", "--rounds", "many"]])
@pytest.mark.parametrize(("terminal", "widest"), [(True, 50), (False, 10_000)])
def test_a_mistake_fits_the_terminal_and_is_one_line_elsewhere(
    argv: list[str], terminal: bool, widest: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    try:
        assert main(argv) == USAGE
    except SystemExit as ended:
        assert ended.code == USAGE  # noqa: PT017 - either way is right
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= widest
    assert (len(lines) > 1) == terminal
    assert lines[0].startswith("autodiff-compare")


@pytest.mark.parametrize(
    ("program", "text", "expected"),
    [
        ("/bin/autodiff-compare", "none (compare.py runs lists them)", "none (autodiff-compare runs lists them)"),
        ("autodiff-compare.exe", "* for compare.py descend", "* for autodiff-compare descend"),
        (
            "/bin/autodiff-compare",
            "/home/a/compare.py run, ./compare.py run",
            "/home/a/compare.py run, ./compare.py run",
        ),
        (
            "/bin/autodiff-compare",
            "got my_compare.py in the file compare.py",
            "got my_compare.py in the file compare.py",
        ),
        ("/clone/compare.py", "none (compare.py runs lists them)", "none (python compare.py runs lists them)"),
        ("/lib/autodiff_compare/__main__.py", "make one: compare.py run", "make one: python -m autodiff_compare run"),
        ("/lib/pytest/__main__.py", "make one: compare.py run", "make one: compare.py run"),
    ],
)
def test_a_command_in_a_message_can_be_typed(
    program: str, text: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    assert as_called(text) == expected
    console().print(text, soft_wrap=True)
    assert capsys.readouterr().out == f"{expected}\n"


def test_the_help_of_a_run_lists_the_operators(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["run", "--help"])
    shown = capsys.readouterr().out.split(os.linesep + "  -o OPERATOR")[1].split("  --size")[0]
    assert {word.strip(",;") for word in shown.split()} >= set(map(str, Operator))


def test_commands_within_tables_and_groups_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/autodiff-compare"])
    table = plain_table("")
    table.add_column("next")
    table.add_row("compare.py show latest")
    console().print(Group(table, Styled("compare.py check PROBLEM shows every error.", "dim")))
    shown = capsys.readouterr().out
    assert "autodiff-compare show latest" in shown
    assert "autodiff-compare check PROBLEM shows every error." in shown
