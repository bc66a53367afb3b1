"""The summary in a terminal of 80 columns, with as many backends as fit and with more."""

from __future__ import annotations

import io
import itertools
import pathlib
import re
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from autodiff_compare import backends
from autodiff_compare.results import tables
from autodiff_compare.results.rows import CellRow, CheckRow, DescentRow
from autodiff_compare.summary import headings
from autodiff_compare.summary.run import failures, kinks, sentence, studies, summary
from autodiff_compare.vocabulary import WAYS
from tests.report.blank import blank
from tests.summary.test_recommend import run

VARIANTS = (
    "numpy", "numpy:compiled", "torch", "torch:compile", "tensorflow", "tensorflow:eager", "tensorflow:xla", "jax",
    "jax:eager", "autograd", "torch@older",
)  # fmt: skip


def shown(folder: pathlib.Path) -> list[str]:
    console = Console(file=io.StringIO(), width=80, record=True, highlight=False, markup=False, emoji=False)
    summary.show(folder, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


#: The longest name of a problem in this package, and one that no table can hold beside a backend.
LONG = "eigenvalue_targeting_distinct"
ENDLESS = "_".join(["somebody", "named", "this", "function", "with", "the", "greatest", "care"])


# Beside a name of 29 letters, the inputs and the error, 38 columns are left: four backends take that.
@pytest.mark.parametrize(
    ("count", "problem", "parts"),
    [(1, "p", 1), (5, "p", 1), (6, "p", 1), (10, "p", 2), (11, "p", 2), (4, LONG, 1), (6, LONG, 2), (11, LONG, 4)],
)
def test_every_backend_is_shown_in_80_columns(count: int, problem: str, parts: int, tmp_path: pathlib.Path) -> None:
    given = ({"spec": spec, "once": 1e-3, "steady": (k + 2) * 1e-5} for k, spec in enumerate(VARIANTS[:count]))
    run(tmp_path, *({"problem": problem, **cell} for cell in given))
    lines = shown(tmp_path)
    assert max(map(len, lines)) <= 80
    heads = [k for k, line in enumerate(lines) if line.startswith("Median time of one gradient")]
    assert len(heads) == parts, "as few tables as will do"
    rows = [line.split()[2:] for line in lines if line.startswith(f"{problem} ")]  # without name and inputs
    assert [f"{20 + 10 * k}" for k in range(count)] == [word for row in rows for word in row if word.isdigit()]
    stars = sum(word == "us*" for row in rows for word in row)
    assert stars == (count > 1), "one is the fastest of all, if there are others"


@pytest.mark.parametrize(
    ("n", "inputs", "size", "shown_name"),
    [
        # Four coefficients fitted to 2000 points; n of an older run is not known.
        (2000, 4, "small", "p (n = 2000)"),
        (100_000, 20, "medium", "p (n = 100 000)"),
        (None, 4, "small", "p"),
        (None, 4, "medium", "p (medium)"),
        (3, 9, "large", "p (large)"),
        (3, None, "small", "p"),
    ],
)
def test_a_row_names_the_size(n: int | None, inputs: int | None, size: str, shown_name: str) -> None:
    known = [float("nan") if number is None else float(number) for number in (n, inputs)]
    assert headings.sized("p", size, *known) == shown_name


@pytest.mark.parametrize(
    ("specs", "heads", "legend"),
    [
        (
            ("numpy", "jax"),
            ["numpy\n(eager)", "jax\n(jit)"],
            "eager: operation by operation, at each call; jit: compiled",
        ),
        (("jax:eager", "numpy:compiled"), ["jax\n:eager", "numpy\n:compiled"], ""),
        (("tensorflow", "jax:fr"), ["tensorflow\n(graph)", "jax\n:fr"], "graph: compiled beforehand"),
        (("numpy@older", "mine"), ["numpy@older\n(eager)", "mine"], "eager: operation by operation"),
    ],
)
def test_a_column_says_how_the_function_is_run(specs: tuple[str, ...], heads: list[str], legend: str) -> None:
    assert [headings.heading(spec) for spec in specs] == heads
    assert headings.legend(specs).startswith(legend)
    assert bool(headings.legend(specs)) == bool(legend)


@pytest.mark.parametrize("name", WAYS)
def test_the_way_of_a_backend_is_that_of_its_default_variant(name: str) -> None:
    backend = backends.load(name)
    words = {"eager": ("eager", "recorded at every call", "default"), "graph": ("tf.function",), "jit": ("jit",)}
    assert any(word in backend.variants[""] for word in words[WAYS[name]])


@pytest.mark.parametrize(("problems", "words"), [(1, "; fastest: numpy."), (2, "; fastest most often: numpy 2.")])
def test_the_fastest_of_one_row_is_not_counted(problems: int, words: str, tmp_path: pathlib.Path) -> None:
    times = {"numpy": 1e-5, "torch": 2e-5}
    run(tmp_path, *({"problem": f"p{k}", "spec": spec, "once": 1e-3, "steady": steady}
                    for k in range(problems) for spec, steady in times.items()))  # fmt: skip
    assert " ".join(shown(tmp_path)).endswith(words)


NUMPY, TORCH = ({"spec": spec, "once": 1e-3, "steady": s} for spec, s in (("numpy", 1e-5), ("torch", 2e-5)))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        # The flags of numpy and torch in each problem; numpy takes half the time of torch in all.
        ([("noisy", "")], "; fastest: numpy, by flagged times."),
        ([("", "threads")], "; fastest: numpy, by flagged times."),
        ([("cut fallback", "fallback")], "; fastest: numpy."),
        # A lazy time is compared with no other, so that there is no fastest of one.
        ([("", "lazy")], "cells agree with their references (largest relative error 1.0e-16)."),
        ([("", ""), ("drift", "")], "; fastest most often: numpy 1 (not counted: 1 comparison with a flagged time)."),
        (
            [("", ""), ("", ""), ("", "contended"), ("noisy", "noisy")],
            "; fastest most often: numpy 2 (not counted: 2 comparisons with a flagged time).",
        ),
        (
            [("noisy", ""), ("", "retraced")],
            "; fastest most often: not counted, since each of 2 comparisons has a flagged time.",
        ),
    ],
)
def test_nothing_is_concluded_from_a_flagged_time(
    flags: list[tuple[str, str]], words: str, tmp_path: pathlib.Path
) -> None:
    cells = [
        {**one, "problem": f"p{k}", "flags": own}
        for k, two in enumerate(flags)
        for one, own in zip((NUMPY, TORCH), two, strict=True)
    ]
    tables = run(tmp_path, *cells)
    assert sentence.sentence(tables["cells"], tables["checks"], tables["timings"]).endswith(words)


@pytest.mark.parametrize(("flags", "bold"), [("", True), ("cut", True), ("noisy", False), ("drift threads", False)])
def test_a_flagged_time_does_not_stand_out(flags: str, bold: bool, tmp_path: pathlib.Path) -> None:
    run(tmp_path, {**NUMPY, "flags": flags}, TORCH)
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", highlight=False)
    summary.show(tmp_path, console)
    assert bool(re.search(r"\x1b\[1m *10 us\*", console.file.getvalue())) is bold  # type: ignore[attr-defined]


def test_few_inputs_get_the_sentence_on_overhead(tmp_path: pathlib.Path) -> None:
    run(tmp_path, {"spec": "numpy", "once": 1e-3, "steady": 1e-5})
    assert "With few inputs and little data, a time is mostly the overhead of a call" in " ".join(shown(tmp_path))
    assert headings.overhead([1000.0, float("nan")]) == ""


def test_a_name_is_broken_after_an_underscore_or_not_at_all(tmp_path: pathlib.Path) -> None:
    run(tmp_path, {"problem": ENDLESS, "spec": "numpy", "once": 1e-3, "steady": 1e-5})
    lines = shown(tmp_path)
    start = next(k for k, line in enumerate(lines) if line.startswith("somebody"))
    assert lines[start].split()[0] == "somebody_named_this_function_with_"
    assert lines[start + 1].strip() == "the_greatest_care"


@pytest.mark.parametrize(
    ("problems", "operators", "title", "rows"),
    [
        (1, ("hvp",), "Median time of one hvp call", ["p0"]),
        (2, ("gradient",), "Median time of one gradient call", ["p0", "p1"]),
        (1, ("gradient", "jacobian"), "Median time of one gradient (Jacobian: J) call", ["p0", "p0 J"]),
        (2, ("gradient", "hvp"), "Median time of one call (gradient unless named)", ["p0", "p0 hvp", "p1", "p1 hvp"]),
        (
            1,
            ("jacobian", "vjp", "gradient"),
            "Median time of one call (gradient unless named)",
            ["p0 jacobian", "p0 vjp", "p0"],
        ),
        (9, ("value", "jacobian"), "Median time of one jacobian call", [f"p{k}" for k in range(9)]),
    ],
)
def test_a_row_says_what_was_computed_and_many_are_cut_to_the_leading_operator(
    problems: int, operators: tuple[str, ...], title: str, rows: list[str], tmp_path: pathlib.Path
) -> None:
    given = itertools.product([f"p{k}" for k in range(problems)], operators)
    run(tmp_path, *({"problem": p, "operator": o, "spec": "numpy", "once": 1e-3, "steady": 1e-5} for p, o in given))
    lines = shown(tmp_path)
    assert lines[0].split(",")[0] == title
    # Behind the name stand inputs, time with its unit, and error.
    assert [" ".join(line.split()[:-4]) for line in lines[3 : 3 + len(rows)]] == rows


def descended(*ends: tuple[str, int, str, str, int, bool]) -> list[str]:
    """Return the lines shown for descents: problem and descent, start, backend, status, updates, stop rule met."""
    rows = [
        blank(DescentRow, cell_id=f"{way}/float64/step/{spec}", start=start, status=status, iterations=n,
              converged=goal, seconds=0.5)
        for way, start, spec, status, n, goal in ends
    ]  # fmt: skip
    tables_ = [*studies.descents(pd.DataFrame([asdict(row) for row in rows]))]
    console = Console(file=io.StringIO(), width=80, record=True)
    for table in tables_:
        console.print(table)
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def test_every_descent_and_start_has_a_row_and_updates_are_said_once() -> None:
    lines = descended(
        (f"{LONG}/a", 0, "numpy", "ok", 7, True), (f"{LONG}/a", 0, "jax", "ok", 7, True),
        (f"{LONG}/a", 1, "numpy", "ok", 5, True), (f"{LONG}/a", 1, "jax", "ok", 6, False),
        ("p/b", 0, "numpy", "timeout", 0, False), ("p/b", 0, "jax", "ok", 9, False),
        ("p/c", 0, "jax", "crash", 0, False),
    )  # fmt: skip
    assert lines[1:] == [
        "numpy jax",
        "problem updates (eager) (jit)",
        f"{LONG} 7 500 ms 500 ms",
        "start 0",
        f"{LONG} 5-6+ 500 ms 500 ms",
        "start 1",
        "p b 9+ timeout 500 ms",
        "p c - crash",
    ]


def test_a_kink_is_told_with_who_answers_what() -> None:
    """All answers are right, but a program that is ported between the backends changes its behaviour."""
    ends = ("one-sided derivatives -1 and 1", "one-sided derivatives 0 and 2")
    given = (("p", "numpy", f"got 0, {ends[0]}"), ("p", "torch", f"got 0, {ends[0]}"),
             ("p", "jax", f"got 1, {ends[0]}"), ("q", "numpy", f"got 1, {ends[1]}"), ("q", "jax", ""))  # fmt: skip
    cells, checks = [], []
    for problem, backend, note in given:
        place = {"problem": problem, "size": "small", "dtype": "float64", "operator": "gradient"}
        cells.append(blank(CellRow, cell_id=f"{problem}/{backend}", backend=backend, status="ok", **place))
        if note:
            checks.append(blank(CheckRow, cell_id=cells[-1].cell_id, verdict="subgradient", note=f"1 of 4; {note}"))
    frames = [pd.DataFrame([asdict(row) for row in rows]) for rows in (cells, checks)]
    assert kinks.at_kinks(*frames) == [
        ("p gradient", "numpy, torch", f"got 0, {ends[0]}"),
        ("p gradient", "jax", f"got 1, {ends[0]}"),
        ("q gradient", "numpy", f"got 1, {ends[1]}"),
    ]
    words = sentence.sentence(*frames, pd.DataFrame({"phase": [], "cell_id": []}))
    assert words == "5 of 5 cells agree with their references; 2 derivatives at a kink (backends differ in 1)."


def test_a_failure_of_the_function_itself_has_one_row() -> None:
    def failed(operator: str, backend: str, message: str, status: str = "wrong") -> CellRow:
        return blank(CellRow, problem="p", operator=operator, backend=backend, status=status, message=message)

    drawn = "repeat: two evaluations of the function at the same inputs differ (0.{0} and 0.7): it is not deterministic"
    rows = [failed(o, b, drawn.format(k)) for k, (o, b) in enumerate(itertools.product(("value", "hvp"), ("a", "b")))]
    rows += [
        failed("value", "c", "gradient fail at [0]: got 1 (a)"),
        failed("hvp", "c", "gradient fail at [0]: got 1 (b)"),
    ]
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(failures.table(pd.DataFrame([asdict(row) for row in rows])))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()[2:5]]
    assert lines == [
        f"p a, b value, hvp wrong: {drawn.format(0)}",
        "p c value wrong: gradient fail at [0]: got 1 (a)",
        "p c hvp wrong: gradient fail at [0]: got 1 (b)",
    ]


def test_what_a_backend_lacks_has_one_row_for_each_reason() -> None:
    """A first-order backend on six problems: one row for two operators and all problems, one for a missing function."""

    def refused(problem: str, operator: str, message: str, status: str = "unsupported") -> CellRow:
        return blank(CellRow, problem=problem, operator=operator, backend="d", status=status, message=message)

    names = ["a", "b", "c", "e", "f", "g"]
    rows = [refused(p, o, f"d offers jvp; {o} cannot be derived from that") for p in names for o in ("hvp", "hessian")]
    rows += [refused(p, "jvp", f"d has no xp.acos ({p}.py:3: return xp.acos(x))") for p in names[:2]]
    rows += [refused("g", "vjp", "d has no xp.eye (g.py:3: xp.eye(2))"), refused("a", "vjp", "at [0]: got 1", "wrong")]
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(failures.table(pd.DataFrame([asdict(row) for row in rows])))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()[2:6]]
    assert lines == [
        "a, b, c, e and 2 others d hvp, hessian unsupported: d offers jvp; these operators cannot be derived from that",
        "a, b d jvp unsupported: d has no xp.acos",
        "g d vjp unsupported: d has no xp.eye (g.py:3: xp.eye(2))",
        "a d vjp wrong: at [0]: got 1",
    ]


def test_the_end_of_a_unit_is_not_laid_to_a_cell() -> None:
    late, lost = "n1: the unit took longer than --unit-timeout 5", "node lost: n1: ended with -9"
    said = failures.remedies(["crash", "timeout", "ok"], [lost, late, ""])
    assert [words.partition(":")[0] for words in said] == ["crash, node lost", "timeout of a unit"]
    assert not any("--timeout" in words.split() or "Run the function alone" in words for words in said)
    both = failures.remedies(["crash", "crash"], ["ended with -11", lost])
    assert [words.partition(":")[0] for words in both] == ["crash", "crash, node lost"]


@pytest.mark.parametrize(
    ("given", "marks", "legend"),
    [
        # Two cells of equal work, and one of twice the time.
        ((1e-5, 1e-5, 2e-5), "*~ ", "* fastest; ~ not proved slower; no mark: proved slower error"),
        ((1e-5, 2e-5), "* ", "* fastest; no mark: proved slower error"),
        ((1e-5,), " ", "error"),
    ],
)
def test_only_the_marks_that_occur_are_explained(
    given: tuple[float, ...], marks: str, legend: str, tmp_path: pathlib.Path
) -> None:
    run(tmp_path, *({"spec": VARIANTS[k], "once": 1e-3, "steady": steady} for k, steady in enumerate(given)))
    lines = shown(tmp_path)
    row = next(line for line in lines if line.startswith("p "))
    assert "".join(mark for mark in row if mark in "*~?") == marks.replace(" ", "")
    assert legend in " ".join(lines)


def test_a_cell_that_was_not_compared_is_marked(tmp_path: pathlib.Path) -> None:
    """In the first problem two cells are compared; the second has one cell, and the third had to share the CPU."""
    run(
        tmp_path,
        *({"problem": "p", "spec": spec, "once": 1e-3, "steady": 1e-5} for spec in ("numpy", "torch")),
        {"problem": "q", "spec": "numpy", "once": 1e-3, "steady": 1e-5},
        *({"problem": "r", "spec": spec, "once": 1e-3, "steady": 1e-5, "waited": 0.5} for spec in ("numpy", "torch")),
    )
    lines = shown(tmp_path)
    rows = {line[0]: "".join(c for c in line if c in "*~?") for line in lines if line[:2] in ("p ", "q ", "r ")}
    assert rows == {"p": "*~", "q": "?", "r": "??"}
    assert "* fastest of those compared; ~ not proved slower; ? not compared: other programs used the" in " ".join(
        lines
    )
    assert "no mark" not in " ".join(lines)


@pytest.mark.parametrize("given", [[{"spec": "numpy", "once": 1e-3, "steady": 1e-5}], []])
def test_the_command_that_goes_on_is_one_line(given: list[dict[str, Any]], tmp_path: pathlib.Path) -> None:
    run(tmp_path, *given)
    files = " ".join(f"/home/somebody/functions/number_{k}.py" for k in range(5))
    read = tables.read_all(tmp_path)
    read["runs"] = read["runs"].assign(command=f"compare.py check {files}", planned_cells=7)
    console = Console(file=io.StringIO(), width=80, record=True, highlight=False, markup=False, emoji=False)
    summary.show_tables(read, tmp_path, console)
    command = f"compare.py check {files} --resume {tmp_path}"
    lines = console.export_text().splitlines()
    assert f"  {command}" in lines
    assert any(line.startswith(f"interrupted: {len(given)} of 7 cells.") for line in lines)
    assert sentence.result(read, tmp_path).endswith(f" Go on with: {command}")
