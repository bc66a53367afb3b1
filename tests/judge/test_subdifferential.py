"""Membership in subdifferentials that are known from the textbook (Clarke 1983, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.judge.singular.subdifferential import contains
from autodiff_compare.vocabulary import Operator, Status
from tests.judge.test_judge import case_at

#: Units of the inputs: a kink in one unit is none of less account in another.
UNITS = [np.ones(3), np.array([1e-12, 1.0, 1e9])]


def inside(f: Callable[[Any], Any], x: Any, g: Any, units: Any) -> bool:
    scale = np.where(np.asarray(x) == 0, 1.0, np.abs(x)) * units
    entries = np.arange(len(x))
    return contains(lambda z: np.atleast_1d(f(z / units)), np.asarray(x) * units, scale, entries, np.asarray(g) / units)


@pytest.mark.parametrize("units", UNITS, ids=["one unit", "three units"])
@pytest.mark.parametrize(
    ("f", "x", "g", "expected"),
    [
        # max at a tie: the simplex of the unit vectors.
        (np.max, [2.0, 2.0, 2.0], [1, 0, 0], True),
        (np.max, [2.0, 2.0, 2.0], [1 / 3, 1 / 3, 1 / 3], True),
        (np.max, [2.0, 2.0, 2.0], [0.5, 0.5, 0.0], True),
        (np.max, [2.0, 2.0, 2.0], [1, 1, 1], False),
        (np.max, [2.0, 2.0, 2.0], [0, 0, 0], False),
        (np.max, [2.0, 2.0, 2.0], [0.5, 0.5, 0.01], False),
        (np.min, [2.0, 2.0, 2.0], [0, 1, 0], True),
        (np.min, [2.0, 2.0, 2.0], [1, 1, 0], False),
        # The sum of |x| at 0: the cube.
        (lambda x: np.sum(np.abs(x)), [0.0, 0.0, 0.0], [1, 1, 1], True),
        (lambda x: np.sum(np.abs(x)), [0.0, 0.0, 0.0], [-1, 0.5, 1], True),
        (lambda x: np.sum(np.abs(x)), [0.0, 0.0, 0.0], [1, 1, 1.01], False),
        # A difference of them is not convex, and has the same cube.
        (lambda x: np.abs(x[0]) - np.abs(x[1]) + np.abs(x[2]), [0.0, 0.0, 0.0], [1, 1, -1], True),
        # The norm at 0: the ball.
        (np.linalg.norm, [0.0, 0.0, 0.0], [0, 0, 0], True),
        (np.linalg.norm, [0.0, 0.0, 0.0], [0.5, -0.5, 0.5], True),
        (np.linalg.norm, [0.0, 0.0, 0.0], [0.8, 0.8, 0.0], False),
        # |a - b| + |b - c| at a = b = c: the zonotope of (1, -1, 0) and (0, 1, -1); its entries sum to 0.
        (lambda x: np.abs(x[0] - x[1]) + np.abs(x[1] - x[2]), [1.0, 1.0, 1.0], [1, 0, -1], True),
        (lambda x: np.abs(x[0] - x[1]) + np.abs(x[1] - x[2]), [1.0, 1.0, 1.0], [1, -2, 1], True),
        (lambda x: np.abs(x[0] - x[1]) + np.abs(x[1] - x[2]), [1.0, 1.0, 1.0], [1, 1, 1], False),
    ],
)
def test_a_point_of_the_hull_is_told_from_one_of_its_box(f: Any, x: Any, g: Any, expected: bool, units: Any) -> None:
    assert inside(f, x, g, units) is expected


def test_one_entry_and_many_are_left_to_the_one_sided_derivatives() -> None:
    assert contains(lambda z: np.abs(z[:1]), np.zeros(1), np.ones(1), np.arange(1), np.array([9.0]))
    assert contains(lambda z: np.atleast_1d(np.max(z)), np.zeros(6), np.ones(6), np.arange(6), np.ones(6))


def test_nothing_is_said_outside_the_domain() -> None:
    x, scale = np.zeros(2), np.ones(2)
    with np.errstate(invalid="ignore"):
        assert contains(lambda z: np.atleast_1d(np.sqrt(-np.sum(z * z))), x, scale, np.arange(2), np.ones(2))


# ---- within the judge


def _largest(x: Any, *, xp: Any) -> Any:
    return xp.max(x)


def _of_two(x: Any, y: Any, *, xp: Any) -> Any:
    return xp.sum(xp.maximum(x, y))


TIED = [
    # Function, point, right gradients, wrong gradients of which each entry is between the one-sided derivatives.
    (_largest, ([2.0, 2.0, 1.0],), [[(1, 0, 0)], [(0.5, 0.5, 0)]], [[(1, 1, 0)], [(0, 0, 0)], [(1, 0.3, 0)]]),
    (_of_two, ([2.0], [2.0]), [[(1,), (0,)], [(0.25,), (0.75,)]], [[(1,), (1,)], [(0,), (0,)]]),
    (
        lambda x, *, xp: xp.sum(xp.abs(x)),
        ([0.0, 0.0, 0.0],),
        [[(1, 1, 1)], [(0, 0, 0)], [(-1, 0.5, 1)]],
        [[(1, 1, 2)]],
    ),
    (lambda x, *, xp: xp.sqrt(xp.sum(x * x)), ([0.0, 0.0],), [[(0, 0)], [(0.6, 0.8)]], [[(1, 1)], [(0.8, -0.8)]]),
]


@pytest.mark.parametrize("closed", [False, True], ids=["by differences", "closed form"])
@pytest.mark.parametrize(("f", "x", "right", "wrong"), TIED, ids=["max", "maximum", "abs", "norm"])
def test_entries_at_one_kink_are_judged_together(f: Any, x: Any, right: Any, wrong: Any, closed: bool) -> None:
    first = tuple(np.array(leaf, dtype=float) for leaf in right[0])
    reference = {Operator.GRADIENT: lambda *_: first if len(first) > 1 else first[0]} if closed else {}
    judge = Judge(case_at(f, *x, reference=reference), None if closed else NUMERICAL)
    for gradient in right:
        assert overall(judge([np.array(leaf, dtype=float) for leaf in gradient])) == (Status.OK, ""), gradient
    for gradient in wrong:
        assert overall(judge([np.array(leaf, dtype=float) for leaf in gradient]))[0] == Status.WRONG, gradient


def test_a_tie_among_many_inputs_is_found() -> None:
    x = np.linspace(0.0, 1.0, 100)
    x[3] = x[7] = 5.0
    judge = Judge(case_at(_largest, x), NUMERICAL)
    for at, expected in (((1, 0), Status.OK), ((0.5, 0.5), Status.OK), ((1, 1), Status.WRONG)):
        g = np.zeros(100)
        g[[3, 7]] = at
        assert overall(judge([g]))[0] == expected, at


def test_each_row_of_a_jacobian_is_judged_by_itself() -> None:
    case = case_at(lambda x, *, xp: xp.stack([xp.max(x), xp.min(x), xp.sum(x)]), [2.0, 2.0], operator=Operator.JACOBIAN)
    judge = Judge(case, NUMERICAL)
    assert overall(judge([np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 1.0]])])) == (Status.OK, "")
    status, why = overall(judge([np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])]))
    assert status == Status.WRONG
    assert "convex hull" in why
