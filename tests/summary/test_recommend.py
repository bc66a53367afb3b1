"""The recommendation on constructed tables; each expected number is derived beside its case."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import pytest

from autodiff_compare.cli.arguments import parser
from autodiff_compare.results import tables
from autodiff_compare.results.rows import SCHEMA_VERSION, TABLES, CellRow, CheckRow, Run, SampleRow
from autodiff_compare.results.timings import timings
from autodiff_compare.summary.recommendation import Recommendation, RecommendError, recommendation
from autodiff_compare.summary.recommendation_text import paragraphs
from autodiff_compare.vocabulary import Phase
from tests.commands import called
from tests.report.blank import blank

ROOT = pathlib.Path(__file__).parents[2]
#: Scatter of the rounds on a quiet machine, the same for all backends: their ratios are exact.
QUIET = (1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.005)


def run(folder: pathlib.Path, *backends: dict[str, Any]) -> dict[str, Any]:
    """Write and read the tables of a run with a cell for each backend: ``spec``, seconds ``once`` and ``steady``.

    ``waited`` is the share of the time in which other programs had the processor.
    """
    cells, checks, samples = [], [], []
    for b in backends:
        name, _, variant = b["spec"].partition(":")
        key = {k: b.get(k, d) for k, d in (("problem", "p"), ("size", "small"), ("operator", "gradient"))}
        cell_id = f"{key['problem']}/{key['size']}/float64/{key['operator']}/{b['spec']}"
        cells.append(
            blank(
                CellRow, cell_id=cell_id, backend=name, variant=variant, dtype="float64", n_inputs=3,
                status=b.get("status", "ok"), message=b.get("message", ""), peak_rss_bytes=b.get("peak"),
                flags=b.get("flags", ""), **key,
            )
        )  # fmt: skip
        checks.append(blank(CheckRow, cell_id=cell_id, norm_rel_error=b.get("error", 1e-16)))
        if "steady" in b:
            samples += [SampleRow(cell_id, Phase.PREPARE, 0, 0, 1, 0.75 * b["once"])]
            samples += [SampleRow(cell_id, Phase.FIRST_CALL, 0, 0, 1, 0.25 * b["once"])]
            scatter: Sequence[float] = b.get("scatter", QUIET)
            samples += [
                SampleRow(
                    cell_id,
                    Phase.STEADY,
                    i,
                    0,
                    10,
                    10 * b["steady"] * s,
                    waited_s=b.get("waited", 0) * b["steady"] * 10,
                )
                for i, s in enumerate(scatter)
            ]
    rows: dict[str, list[Any]] = {name: [] for name in TABLES}
    rows |= {"runs": [blank(Run, schema_version=SCHEMA_VERSION)], "cells": cells, "checks": checks}
    rows |= {"samples": samples, "timings": timings(cells, samples)}
    for name, table in TABLES.items():
        tables.write(folder / f"{name}.csv", table, rows[name])
    return tables.read_all(folder)


EAGER = {"spec": "torch", "once": 1e-3, "steady": 100e-6}
TRACED = {"spec": "jax", "once": 0.5, "steady": 10e-6}


def said(found: Recommendation) -> str:
    return " ".join(paragraphs(found))


@pytest.mark.parametrize(
    ("calls", "best", "equals", "open_to"),
    [
        # 0.5 s to prepare against 100 us a call.
        (1, "torch", [], []),
        (100, "torch", [], []),
        # (0.5 - 0.001) / 90e-6 = 5544: there they cost the same.
        (5_000, "torch", ["jax"], []),
        (6_000, "jax", ["torch"], []),
        # 0.59 s against 0.901 s: not if preparing takes a second.
        (9_000, "jax", [], ["torch"]),
        (100_000, "jax", [], []),
    ],
)
def test_the_cheapest_depends_on_the_number_of_calls(
    calls: int, best: str, equals: list[str], open_to: list[str], tmp_path: pathlib.Path
) -> None:
    found = recommendation(run(tmp_path, EAGER, TRACED), "p", calls)
    assert found.best.spec == best
    assert [c.spec for c in found.equals] == equals
    assert [c.spec for c in found.open_to] == open_to
    assert ("no difference that matters" in said(found)) is bool(equals)
    assert ("Sure" in said(found)) is (not equals and not open_to)


def test_the_ranges_are_the_break_even_counts(tmp_path: pathlib.Path) -> None:
    never = {"spec": "tensorflow", "once": 1.0, "steady": 50e-6}  # dearer than jax from the first call on
    last = {"spec": "torch:compile", "once": 20.0, "steady": 9e-6}
    found = recommendation(run(tmp_path, EAGER, TRACED, never, last), "p", 10)
    assert [c.spec for _, c in found.ranges] == ["torch", "jax", "torch:compile"]
    # 1 + 0.499 / 90e-6, and 1 + 19.5 / 1e-6; with the next call it is cheaper.
    assert [n for n, _ in found.ranges] == [1, 5_546, pytest.approx(19_500_002, abs=1)]
    for (first, c), (_, before) in zip(found.ranges[1:], found.ranges, strict=False):
        assert c.total(first) < before.total(first)
        assert c.total(first - 2) > before.total(first - 2)
    assert "torch up to 5 500; jax from 5 500 to 20 000 000; torch:compile from 20 000 000 on" in said(found)


@pytest.mark.parametrize(
    ("second", "equal"),
    [
        ({"steady": 10.1e-6}, True),  # one per cent
        ({"steady": 10.5e-6}, False),  # five, in every round
        # A fifth, but it goes both ways from round to round.
        ({"steady": 12e-6, "scatter": (0.7, 1.4, 0.8, 1.3, 0.75, 1.2, 0.8, 1.1)}, True),
    ],
)
def test_no_difference_that_matters_is_an_answer(second: dict[str, Any], equal: bool, tmp_path: pathlib.Path) -> None:
    one = {"spec": "numpy", "once": 1e-3, "steady": 10e-6}
    found = recommendation(run(tmp_path, one, {"spec": "jax", "once": 1e-3, **second}), "p", 10_000_000)
    assert (found.best.spec, [c.spec for c in found.equals]) == ("numpy", ["jax"] if equal else [])
    assert found.open_to == ()


def test_too_few_rounds_are_never_sure(tmp_path: pathlib.Path) -> None:
    few = [{**b, "scatter": QUIET[:3]} for b in (EAGER, TRACED)]
    found = recommendation(run(tmp_path, *few), "p", 100_000)
    assert found.best.spec == "jax"
    assert "Not sure: under 8 timing rounds" in said(found)
    assert "Sure" not in said(found)


def test_a_busy_machine_proves_nothing_and_far_is_far(tmp_path: pathlib.Path) -> None:
    """Of five backends with the same first call, all had to wait: two are within a factor of 3, two are not."""
    steady = {"numpy": 10e-6, "torch": 15e-6, "jax": 25e-6, "autograd": 200e-6, "finite_difference": 17e-3}
    given = [{"spec": spec, "once": 1e-3, "steady": s, "waited": 0.5} for spec, s in steady.items()]
    found = recommendation(run(tmp_path, *given), "p", 1_000_000)
    assert (found.best.spec, found.equals) == ("numpy", ())
    assert [c.spec for c in found.open_to] == ["torch", "jax"]
    assert "Not sure: other programs used the CPU in 5 of 5 cells, so no difference is proved. Repeat on an" in said(
        found
    )
    assert "Open: torch and jax could be cheaper; the totals of the other 2 are over 3 times as large." in said(found)
    assert "Sure" not in said(found)


def test_a_busy_cell_among_quiet_ones_is_told_apart(tmp_path: pathlib.Path) -> None:
    far = {"spec": "autograd", "once": 1e-3, "steady": 1e-3, "waited": 0.5}
    found = recommendation(run(tmp_path, EAGER, TRACED, far), "p", 1_000_000)
    assert "the CPU in 1 of 3 cells, so the difference to 1 of them is not proved" in said(found)
    assert "Every other total is over 3 times as large" in said(found)


FAR = {"spec": "autograd", "once": 1e-3, "steady": 1e-3}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        # A flag of the cheapest bears on every difference; one of another backend on that to it.
        (
            ({**TRACED, "flags": "noisy"}, {**EAGER, "flags": "noisy"}),
            "Not sure: 2 of 2 times are flagged (noisy), and nothing is concluded from a flagged time. Repeat on "
            "an idle machine. Every other total is over 3 times as large. By these medians, "
            "cheapest by the number of calls: torch up to",
        ),
        (
            (TRACED, {**EAGER, "steady": 20e-6, "flags": "drift"}, FAR),
            "Not sure: 1 of 3 times is flagged (drift), and nothing is concluded from a flagged time. Repeat on an "
            "idle machine. Open: torch could be cheaper.",
        ),
        (
            ({**TRACED, "flags": "threads cut"}, {**EAGER, "steady": 20e-6}, FAR),
            "Not sure: 1 of 3 times is flagged (threads), and nothing is concluded from a flagged time. Repeat on an "
            "idle machine. Open: torch could be cheaper; the total of the other one is over 3 times as large.",
        ),
        (
            ({**TRACED, "flags": "contended", "waited": 0.5}, FAR),
            "Not sure: other programs used the CPU in 1 of 2 cells, so no difference is proved; 1 of 2 times is "
            "flagged (contended), and nothing is concluded from a flagged time. Repeat",
        ),
        (({**TRACED, "flags": "cut fallback"}, EAGER), "Sure: the other one would cost more"),
    ],
)
def test_a_flagged_time_proves_nothing(given: tuple[dict[str, Any], ...], words: str, tmp_path: pathlib.Path) -> None:
    found = recommendation(run(tmp_path, *given), "p", 1_000_000)
    assert found.best.spec == "jax"
    assert words in said(found)
    assert found.sure is ("Not sure" not in said(found))


@pytest.mark.parametrize("flag", ["lazy", "remembers"])
def test_a_time_that_the_clock_does_not_see_is_never_recommended(flag: str, tmp_path: pathlib.Path) -> None:
    quick = {"spec": "quick", "once": 0.0, "steady": 1e-9, "flags": f"noisy {flag}"}
    found = recommendation(run(tmp_path, EAGER, quick), "p", 10)
    assert [c.spec for c in found.ranked] == ["torch"]
    assert f"Left out: quick (right, but its time is not that of its computation: {flag})." in said(found)
    with pytest.raises(RecommendError, match=f"quick: right, but its time is not that of its computation: {flag}"):
        recommendation(run(tmp_path, quick), "p", 10)


def test_what_is_not_right_is_left_out_with_its_reason(tmp_path: pathlib.Path) -> None:
    wrong = {"spec": "quick", "once": 0.0, "steady": 1e-9, "status": "wrong", "message": "gradient fail: error 0.1"}
    absent = {"spec": "tensorflow", "status": "not_installed", "message": "not installed: tensorflow"}
    unsupported = {"spec": "torch:compile", "status": "unsupported", "message": "needs a compiler"}
    found = recommendation(run(tmp_path, EAGER, wrong, absent, unsupported), "p", 10)
    assert [c.spec for c in found.ranked] == ["torch"]
    assert dict(found.left_out) == {
        "quick": "wrong: gradient fail: error 0.1",
        "tensorflow": "not installed: tensorflow",
        "torch:compile": "unsupported: needs a compiler",
    }
    assert "Left out: quick (wrong: gradient fail: error 0.1)." in said(found)


def test_backends_left_out_for_one_reason_share_a_line(tmp_path: pathlib.Path) -> None:
    specs = ("tensorflow", "tensorflow:eager", "tensorflow:xla")
    failed = [{"spec": spec, "status": "error", "message": "no atan3"} for spec in specs]
    found = recommendation(run(tmp_path, EAGER, *failed), "p", 10)
    assert said(found).count("no atan3") == 1
    assert f"Left out: {', '.join(specs)} (error: no atan3)." in said(found)


def test_accuracy_memory_and_care_are_said(tmp_path: pathlib.Path) -> None:
    one = {"spec": "jax", "once": 1e-3, "steady": 1e-6, "error": 1e-12, "peak": 1 << 30, "flags": "noisy contended"}
    found = recommendation(run(tmp_path, one, {**EAGER, "peak": 1 << 22, "flags": "noisy"}), "p", 10_000_000)
    assert "Less accurate than torch: 1e-12 against 1e-16." in said(found)
    assert "It needs 1 GiB in a call; torch needs 4 MiB." in said(found)
    assert "Read with care: of 2 timings, 2 noisy, 1 contended." in said(found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"problem": "nosuch"}, "got problem 'nosuch', expected one of: p, q"),
        ({"problem": None}, "more than one problem, expected one of: p, q"),
        ({"problem": "p", "operator": "hvp"}, "got operator 'hvp', expected one of: gradient"),
        ({"problem": "q", "size": "large"}, "got size 'large', expected one of: small"),
        ({"problem": "q"}, "no backend that is right and timed, expected one:\n  torch: error: no memory"),
    ],
)
def test_what_a_run_does_not_have_is_named(given: dict[str, Any], words: str, tmp_path: pathlib.Path) -> None:
    made = run(tmp_path, EAGER, TRACED, {"spec": "torch", "problem": "q", "status": "error", "message": "no memory"})
    with pytest.raises(RecommendError) as caught:
        recommendation(made, given["problem"], 10, given.get("operator"), given.get("size"))
    assert words in str(caught.value)


def test_a_run_without_cells_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RecommendError, match="got a run without cells"):
        recommendation(run(tmp_path), None, 10)


def test_the_path_of_a_file_stands_for_its_problem(tmp_path: pathlib.Path) -> None:
    assert recommendation(run(tmp_path, EAGER), "./some/where/p.py", 1).best.spec == "torch"


def test_the_verb_measures_once_and_is_asked_again_of_the_same_run(tmp_path: pathlib.Path) -> None:
    valley = str(ROOT / "tests" / "examples" / "valley.py")
    done = called(
        "recommend", valley, "-b", "numpy", "-b", "numpy:compiled", "-b", "manual", "--rounds", "8", "--name", "tried",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("valley, small (6 inputs), float64: gradient, 10 000 calls planned")
    assert "Left out: manual (unsupported: " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    again = called("recommend", "--from", "tried", "--calls", "1", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "gradient, 1 call planned" in again.stdout
    assert len(list((tmp_path / "results").iterdir())) == 1, "nothing was measured"


@pytest.mark.parametrize(
    ("backend", "code", "shown"),
    [
        ("numpy", 0, "valley_in_two, small (2 inputs), float64: gradient, 10 calls planned"),
        ("manual", 3, "expected one:\n  manual: unsupported: "),
    ],
)
def test_a_problem_need_not_be_called_as_its_file_is(
    backend: str, code: int, shown: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from autodiff_compare.problems import Inputs, Problem\n"
        "PROBLEM = Problem('valley_in_two', '', '', {'small': 2},"
        " lambda rng, n: Inputs((rng.normal(size=n),)), lambda x, xp: xp.sum(x * x))"
    )
    done = called("recommend", "mine.py", "-b", backend, "--rounds", "1", "--calls", "10", cwd=tmp_path)
    assert done.returncode == code
    assert shown in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "calls"),
    [("1", 1), ("100_000", 100_000), ("1e9", 10**9), ("123456789012345678", 123456789012345678)]
    + [(bad, None) for bad in ("0", "-5", "1.5", "1e-3", "nan", "inf", "many", "")],
)
def test_calls_may_be_written_as_people_do(text: str, calls: int | None) -> None:
    arguments = ["recommend", "sphere", f"--calls={text}"]
    if calls is None:
        with pytest.raises(SystemExit):
            parser().parse_args(arguments)
    else:
        assert parser().parse_args(arguments).calls == calls


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "got no problem"),
        (("nosuch",), "got problem 'nosuch'"),
        (("sphere", "--calls", "0"), "expected a whole number from 1"),
        (("sphere", "-o", "nosuch"), "got operator 'nosuch'"),
        (("--from", "nosuch"), "got run 'nosuch'"),
    ],
)
def test_a_mistake_is_one_clear_line(args: tuple[str, ...], words: str, tmp_path: pathlib.Path) -> None:
    done = called("recommend", *args, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert words in done.stderr
