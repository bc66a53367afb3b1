"""The display of a run: what it tells, when it estimates the time left, and how it is written where."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from autodiff_compare.execution import display as module
from autodiff_compare.execution.display import WIDTH, Display
from autodiff_compare.execution.progress import blank_row
from autodiff_compare.plan.cases import Cell
from autodiff_compare.results.rows import CellRow
from autodiff_compare.vocabulary import Operator, Status

OK = replace(blank_row("run", 1, Cell("sphere", "small", "float64", Operator.VALUE, "numpy"), None), status=Status.OK)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the time to zero; return the function that lets seconds pass."""
    now = [0.0]

    def passes(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    # No line is renewed by a thread: the tests count lines.
    monkeypatch.setattr(module, "_RENEWED_S", 3600.0)
    return passes


def written_to(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, **how: Any) -> Display:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    return Display(**how)


def finish_group(shown: Display, cells: int = 2, row: CellRow = OK) -> None:
    for _ in range(cells):
        shown.tell(row)
    shown.group_done()


def test_into_a_pipe_goes_a_plain_line_every_ten_seconds(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    with written_to(monkeypatch, stream) as shown:
        shown.begin(pieces=20, groups=10)
        for number in range(5):
            shown.doing(f"timing round {number + 1} of 8, sphere value")
            clock(4.0)
            finish_group(shown)
    # 12 s at the third group and 16 at the fourth: ten seconds are over once. A quarter of the work took 12 s.
    assert stream.getvalue().splitlines() == [
        "5 of 20 cells, 12 s: timing round 3 of 8, sphere value",
    ]


def test_failures_are_told_to_a_pipe_at_once_and_wrapped(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, quiet = io.StringIO(), io.StringIO()
    row = replace(OK, status=Status.CRASH, message="it died \x1b[31m" + "of something long " * 8)
    written_to(monkeypatch, stream).tell(row)
    written_to(monkeypatch, quiet, failures=False).tell(row)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("sphere/small/float64/value/numpy: crash: it died \\x1b[31mof something")
    assert len(lines) > 1
    assert max(map(len, lines)) <= WIDTH
    assert quiet.getvalue() == ""


def test_no_time_left_before_some_groups_and_none_of_it_from_imports(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = written_to(monkeypatch, io.StringIO())
    shown.begin(pieces=108, groups=54)
    with shown.starting("tensorflow"):
        clock(18.0)
        assert shown.line() == "0 of 108 cells, 18 s: starting tensorflow"
    for _ in range(5):
        clock(3.0)
        finish_group(shown)
    # Five of 54 groups are less than a tenth.
    assert shown.line() == "10 of 108 cells, 33 s"
    clock(3.0)
    finish_group(shown)
    # 18 s for 6 groups, without the import: 3 s for each of 48 more, 144 s.
    assert shown.line() == "12 of 108 cells, 36 s, about 2 min left"


def test_a_few_groups_are_told_from_the_third_on(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = written_to(monkeypatch, io.StringIO())
    shown.begin(pieces=8, groups=4)
    lines = []
    for _ in range(4):
        clock(5.0)
        finish_group(shown)
        lines.append(shown.line())
    assert lines == [
        "2 of 8 cells, 5 s",
        "4 of 8 cells, 10 s",
        "6 of 8 cells, 15 s, about 5 s left",
        "8 of 8 cells, 20 s, about 0 s left",
    ]


def test_imports_side_by_side_are_named_while_they_last_and_counted_once(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = written_to(monkeypatch, io.StringIO())
    shown.begin(pieces=8, groups=4)
    with shown.starting("tensorflow"):
        with shown.starting("torch"):
            clock(2.0)
            assert shown.line().endswith(": starting tensorflow, torch")
        clock(2.0)
        assert shown.line().endswith(": starting tensorflow")
    for _ in range(3):
        clock(1.0)
        finish_group(shown)
    # 7 s in all, 4 of them imports: one second a group.
    assert shown.line() == "6 of 8 cells, 7 s, about 1 s left"


@pytest.mark.parametrize("notebook", [False, True])
def test_a_terminal_and_a_notebook_rewrite_one_line_and_leave_none(
    notebook: bool, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO() if notebook else Terminal()
    monkeypatch.setattr(sys, "stdout" if notebook else "stderr", stream)
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", module)
    else:
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with Display() as shown:
        shown.begin(pieces=2, groups=1)
        shown.doing("judging " + "a_long_name_" * 9 + "\x07 gradient on jax")
        finish_group(shown, row=replace(OK, status=Status.WRONG, message="far off"))
    text = stream.getvalue()
    assert "\n" not in text
    assert "\x07" not in text
    assert max(map(len, text.split("\r"))) < WIDTH
    assert text.endswith("\r")
    assert "far off" not in text, "the summary tells it; a line of its own would be overwritten"


def test_the_line_is_renewed_during_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEWED_S", 0.001)
    monkeypatch.setattr(module, "_EVERY_S", 0.0)
    renewed = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            if self.getvalue().count("starting jax") > 2:
                renewed.set()
            return super().write(text)

    with written_to(monkeypatch, Stream()) as shown, shown.starting("jax"):
        assert renewed.wait(60.0)


def test_single_pieces_are_counted_by_their_name(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    shown = Display("descents")
    shown.begin(pieces=6, groups=6)
    for _ in range(3):
        shown.doing("minimising cubic_fit on jax")
        clock(2.0)
        shown.piece_done()
    assert shown.line() == "3 of 6 descents, 6 s, about 6 s left: minimising cubic_fit on jax"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_line_that_is_kept_stands_by_itself(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    with written_to(monkeypatch, stream) as shown:
        shown.begin(pieces=2, groups=2)
        shown.doing("minimising cubic_fit")
        shown.say("cubic_fit/cleared/float64/step/jax start 0: 2000 updates\x07")
        shown.hide()
        shown.hide()
    text = stream.getvalue()
    # In a terminal the line that is rewritten is blanked before it; the blank is wider than what was shown.
    kept = [line.rpartition("\r")[2] for line in text.split("\n")]
    assert kept[0] == "cubic_fit/cleared/float64/step/jax start 0: 2000 updates\\x07"
    assert kept[1].strip() == ""


def test_imports_that_come_later_are_part_of_the_time_left(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = written_to(monkeypatch, io.StringIO())
    shown.begin(pieces=6, groups=6)
    for _ in range(3):
        with shown.starting("jax"):
            clock(2.0)
        shown.piece_done()
    # 2 s before the first piece are left out, 4 s are not: 4/3 s for each of three more.
    assert shown.line() == "3 of 6 cells, 6 s, about 4 s left"


@pytest.mark.parametrize(
    ("done", "line"), [(1, "1 program, 3 of 20 s: drawing"), (7, "7 programs, 3 of 20 s: drawing")]
)
def test_pieces_without_a_known_number_are_counted_within_their_budget(
    done: int, line: str, clock: Callable[[float], None]
) -> None:
    display = Display("programs", budget_s=20.0)
    display.begin(0, 0)
    display.doing("drawing")
    display.count(done)
    clock(3.0)
    assert display.line() == line


def test_a_bar_is_shown_the_line_and_the_share_and_emptied_at_the_end(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, float]] = []
    stream = io.StringIO()
    with written_to(monkeypatch, stream, bar=lambda line, share: told.append((line, share))) as shown:
        shown.begin(pieces=4, groups=2)
        finish_group(shown)
        finish_group(shown)
    assert [share for line, share in told if line][-1] == 1.0
    assert (told[0][0].startswith("1 of 4 cells"), told[0][1]) == (True, 0.25)
    assert told[-1][0] == ""
    assert stream.getvalue() == ""
