"""The sizes of a query: those of all its problems, and those that are named with one problem."""

from __future__ import annotations

import pytest

from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import PlanError, Query
from autodiff_compare.plan.sizes import split_size


def taken(problems: list[str], **options: object) -> list[str]:
    """Return the problems with their sizes that a query computes, in order."""
    found = plan(Query(problems=problems, backends=["numpy"], operators=["gradient"], **options))  # type: ignore[arg-type]
    return list(dict.fromkeys(f"{cell.problem}/{cell.size}" for cell in found.cells))


@pytest.mark.parametrize(
    ("problems", "options", "expected"),
    [
        (["gmm/medium"], {}, ["gmm/medium"]),
        (["gmm/medium", "sphere"], {}, ["gmm/medium", "sphere/small"]),
        (["gmm/medium", "gmm/large"], {}, ["gmm/medium", "gmm/large"]),
        (["gmm/medium", "gmm"], {}, ["gmm/small", "gmm/medium"]),
        # Whatever the sizes of the other problems are.
        (["gmm/small", "sphere"], {"sizes": ["large"]}, ["gmm/small", "sphere/large"]),
    ],
)
def test_a_size_that_is_named_with_a_problem_is_its_own(
    problems: list[str], options: dict[str, object], expected: list[str]
) -> None:
    assert taken(problems, **options) == expected


def test_a_member_of_a_suite_keeps_its_default_size_beside_one_of_its_own() -> None:
    found = taken(["gmm/medium", "sphere/large"], suites=["gradbench"])
    assert {"gmm/small", "gmm/medium", "sphere/large"} <= set(found)
    assert "sphere/small" not in found


def test_the_rows_of_a_batch_may_follow_the_size() -> None:
    found = plan(Query(problems=["sphere/smallx8"], backends=["numpy"], operators=["jvp_batch"]))
    assert [cell.size for cell in found.cells] == ["smallx8"]


def test_a_size_that_the_problem_lacks_is_refused() -> None:
    with pytest.raises(PlanError, match=r"got size of gmm 'huge', expected one of: small, medium, large"):
        taken(["gmm/huge"])


@pytest.mark.parametrize("name", ["./mine.py", "gmm/mine.py", "nothing/medium", "gmm"])
def test_other_names_have_no_size(name: str) -> None:
    assert split_size(name) == (name, "")
