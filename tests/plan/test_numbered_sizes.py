"""Sizes by their number: the ranges that name them, and the problems that can be made at them."""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.cli import values
from autodiff_compare.plan import numbered_sizes
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.plan.numbered_sizes import refusals
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.ranges import numbers
from autodiff_compare.problems import Inputs, Problem, ProblemError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1000", (1000,)),
        ("1e6", (1_000_000,)),
        ("10,100,1e3", (10, 100, 1000)),
        # Five equal ratios of ten; the last is exact although exp(log(1e6)) is not.
        ("10:1e6:log6", (10, 100, 1000, 10_000, 100_000, 1_000_000)),
        # 10^(1 + 5k/6): 68.1, 464.2, 3162.3, 21544.3, 146779.9
        ("10:1e6:log7", (10, 68, 464, 3162, 21544, 146780, 1_000_000)),
        ("10:50:lin5", (10, 20, 30, 40, 50)),
        ("50:10:lin3", (50, 30, 10)),
        # Rounded to whole numbers, each once: 1, 1.26, 1.59, 2.
        ("1:2:log4", (1, 2)),
        ("7:7:lin1", (7,)),
        ("1_000, 2_000", (1000, 2000)),
    ],
)
def test_a_range_names_whole_numbers(text: str, found: tuple[int, ...]) -> None:
    assert numbers(text) == found
    assert values.sizes(text) == [f"n={n}" for n in found]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-3",
        "1.5",
        "ten",
        "10:100",
        "10:100:7",
        "10:100:log0",
        "10:100:log1",
        "1:2:sqrt3",
        "nan",
        "1e400",
        "1:9:log9999",
        "2:",
    ],
)
def test_another_form_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match=r"^got .*, expected .*10:1e6:log7|two numbers or more"):
        numbers(text)
    with pytest.raises(argparse.ArgumentTypeError):
        values.sizes(text)


@pytest.mark.parametrize("name", ["lse", "cubic_fit", "michalewicz", "det_linalg", "gaussian_process"])
def test_a_problem_is_made_at_any_number(name: str) -> None:
    (found,) = map(with_operators, problems.load(name))
    assert refusals(found, ["n=7", "n=13", "small", "n=9x2"], 60.0) == {}
    planned = plan(Query([name], ["numpy"], ["value"], sizes=["n=7", "n=13"]))
    assert [cell.size for cell in planned.cells] == ["n=7", "n=13"]
    assert planned.dropped == ()


@pytest.mark.parametrize(
    ("name", "n", "words"),
    [
        ("lstm", 7, "it has sizes of its own alone: small 10, medium 1024, large 4096"),
        ("kepler", 7, "its sizes are names, not numbers"),
        ("engine_goldstein_price", 7, "its inputs do not depend on n"),
        ("ur5_arm", 7, "ValueError: cannot reshape array of size 7"),
        # Slices x[0::4] of unequal length would be broadcast to another function.
        ("powell_singular", 7, "expected a multiple of 4"),
        ("wood", 13, "expected a multiple of 4"),
        # Its centres are tables in three dimensions; one coordinate would be broadcast.
        ("hartmann3", 1, "got n = 1 of hartmann3, expected 3"),
    ],
)
def test_a_problem_that_cannot_be_made_there_is_refused_by_name(name: str, n: int, words: str) -> None:
    with pytest.raises(PlanError, match=f"got nothing to compute: n={n} of {name} ") as caught:
        plan(Query([name], ["numpy"], ["value"], sizes=[f"n={n}"]))
    assert words in str(caught.value)
    # Beside another problem it costs its own cells only.
    beside = plan(Query([name, "lse"], ["numpy"], ["value"], sizes=[f"n={n}"]))
    assert [cell.problem for cell in beside.cells] == ["lse"]
    assert words in "".join(beside.dropped)


def test_the_number_of_an_own_size_is_that_size() -> None:
    assert refusals(problems.load("lstm")[0], ["n=1024"], 60.0) == {}


def test_sizes_that_would_fill_the_memory_are_recognised_by_their_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    """1000 + n^2 entries: near n = 10 they hardly grow; n = 10^6 would take 8 TB."""
    drawn = []

    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        drawn.append(n)
        return Inputs((np.zeros((n, n)),), (np.zeros(1000),))

    monkeypatch.setattr(numbered_sizes, "MOST_ENTRIES", 1 << 16)
    made = Problem("wide", "", "", {"small": 10}, inputs, lambda x, d, *, xp: xp.sum(x))
    why = refusals(made, ["n=200", "n=1000000"], 60.0)
    assert list(why) == ["n=1000000"]
    assert why["n=1000000"] == "its inputs would have more than 65536 entries"
    assert max(drawn) <= 320


@pytest.mark.parametrize(
    ("name", "n"), [("rosenbrock", 10**30), ("lse", 10**11), ("matrix_inverse_squared", 10**9), ("sphere", 10**400)]
)
def test_an_absurd_number_is_refused_before_many_entries_are_drawn(
    name: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 67 108 864 entries, less than a twentieth is drawn; the power of an absurd size is larger than any float."""
    drawn: list[int] = []
    count = numbered_sizes._entries

    def counted(inputs: Inputs) -> int:
        drawn.append(count(inputs))
        return drawn[-1]

    monkeypatch.setattr(numbered_sizes, "_entries", counted)
    with pytest.raises(PlanError) as caught:
        plan(Query([name], ["numpy"], sizes=[f"n={n}"]))
    assert str(caught.value).endswith(f"of {name} (its inputs would have more than 67108864 entries)")
    assert max(drawn) < numbered_sizes.MOST_ENTRIES // 20


def test_a_point_that_is_given_has_one_size(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text("def objective(x, xp): return xp.sum(x * x)\nx = [1.0, 2.0]")
    with pytest.raises(PlanError, match=r"n=10, n=20 of mine \(its point is given: write x = lambda n, rng: \.\.\."):
        plan(Query([str(tmp_path / "mine.py")], ["numpy"], sizes=["n=10", "n=20"]))


def test_a_point_outside_the_domain_is_refused_at_its_size(tmp_path: pathlib.Path) -> None:
    text = "def objective(x, xp): return xp.sum(xp.log(x))\nx = lambda n, rng: rng.random(n) + 60 - n\nSIZES = 10"
    (tmp_path / "mine.py").write_text(text)
    planned = plan(Query([str(tmp_path / "mine.py")], ["numpy"], ["value"], sizes=["n=20", "n=70"]))
    assert [cell.size for cell in planned.cells] == ["n=20"]
    assert planned.dropped == ("n=70 of mine (its value there is nan or infinite: draw a point of its domain)",)


def test_a_problem_refuses_an_unknown_size() -> None:
    with pytest.raises(ProblemError, match="got size 'huge' of lse, expected one of: small, medium, large"):
        problems.load("lse")[0].draw("huge", 0)
