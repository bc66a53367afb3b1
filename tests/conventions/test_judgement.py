"""Slopes, hulls and classes of the atlas on constructed answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_compare.conventions.judgement import Class, judge
from autodiff_compare.conventions.observation import Observation
from autodiff_compare.judge.singular import hull
from autodiff_compare.judge.singular.slopes import Coordinates, limit, nearby, sides
from autodiff_compare.problems.conventions import CASES

STEPS = 2.0**-8 / 8.0 ** np.arange(5)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda h: 3 * h, 3.0),
        (lambda h: 3 * h + 5 * h * h, 3.0),
        (lambda h: np.expm1(h), 1.0),
        (lambda h: h**1.5, 0.0),
        (lambda h: np.sqrt(h), math.inf),
        (lambda h: -np.sqrt(h), -math.inf),
        (lambda h: h * np.log(h), -math.inf),
        (lambda h: np.ones_like(h), math.inf),
        (lambda h: h * math.nan, math.nan),
        (lambda h: h * math.inf, math.inf),
        (lambda h: np.where(h < 2.0**-12, 2 * h, math.nan), 2.0),
    ],
    ids=["line", "parabola", "exp", "power", "root", "minus_root", "x_log_x", "jump", "nan", "inf", "domain"],
)
def test_the_limit_of_quotients(f: Callable[[Any], Any], expected: float) -> None:
    """f(0) = 0, so the quotient is f(h)/h; the limits are those of the textbook."""
    with np.errstate(all="ignore"):
        value, bar = limit(np.asarray(f(STEPS) / STEPS), 4 * 2.2e-16 * np.abs(f(STEPS)) / STEPS, 8.0)
    assert (math.isnan(value) and math.isnan(expected)) or value == expected or abs(value - expected) <= 3 * bar + 1e-9
    assert bar >= 0


def test_noise_is_no_growth() -> None:
    """Rounding grows as h falls; within its bound it is not mistaken for an infinite slope."""
    noise = 1e-16 * np.array([1.0, -1.0, 1.0, -1.0, 1.0]) / STEPS
    value, bar = limit(2.0 + noise, np.abs(noise) * 4, 8.0)
    assert abs(value - 2.0) <= 3 * bar


def test_sides_of_a_corner_and_of_a_symmetric_matrix() -> None:
    at = Coordinates.of([np.array([0.0, 2.0])], symmetric=False)
    seen = sides(lambda by: np.array([np.abs(by[0]) + 3 * (2.0 + by[1])]), at, "float64")
    np.testing.assert_allclose(seen.left, [[-1, 3]], atol=1e-9)
    np.testing.assert_allclose(seen.right, [[1, 3]], atol=1e-9)
    symmetric = Coordinates.of([np.eye(2)], symmetric=True)
    # tr(A B) moves by b01 + b10 along E01 + E10, whichever of the two entries a gradient puts it in.
    G = np.array([[1.0, 0.0], [5.0, 2.0]])
    np.testing.assert_array_equal(symmetric.read([G]), [1.0, 5.0, 2.0])
    assert [moved[0, 1] == moved[1, 0] for (moved,) in [symmetric.moved(np.array([0.0, 1.0, 0.0]))]] == [True]


def test_complex_coordinates_are_the_two_partial_derivatives() -> None:
    at = Coordinates.of([np.array(1 + 2j)], symmetric=False)
    np.testing.assert_array_equal(at.read([np.array(3 - 4j)]), [3.0, -4.0])


def test_gradients_nearby_span_the_subdifferential_of_a_maximum() -> None:
    """Clarke's subdifferential of max at a tie of three is the simplex of the unit vectors."""
    at = Coordinates.of([np.array([2.0, 2.0, 2.0])], symmetric=False)
    points, _ = nearby(lambda by: np.array([np.max(2.0 + by)]), at, "float64")
    for k in range(3):
        assert hull.distance(points, np.eye(3)[k]) < 1e-6
    assert hull.distance(points, np.full(3, 1 / 3)) < 1e-6
    assert hull.distance(points, np.array([1.0, 1.0, 0.0])) > 0.3
    assert hull.distance(points, np.zeros(3)) > 0.3


@pytest.mark.parametrize(
    ("points", "g", "expected"),
    [
        ([[1, 0], [0, 1]], [0.5, 0.5], 0.0),
        ([[1, 0], [0, 1]], [1, 1], 0.5),
        ([[1, 0], [0, 1]], [0, 0], 0.5),
        ([[-1], [1]], [1.5], 0.5),
        ([[-1], [1]], [math.nan], math.inf),
        ([[0], [math.inf]], [1e300], 0.0),
        ([[0], [math.inf]], [math.inf], 0.0),
        ([[0], [math.inf]], [-2], 2.0),
        ([[0, 0], [0, math.inf]], [0, 7], 0.0),
        ([[1, 0], [0, 1]], [math.inf, 0], math.inf),
        ([[math.nan, 0]], [0, 0], math.inf),
        ([[2, 3]], [2, 3], 0.0),
    ],
)
def test_the_distance_of_a_hull(points: Any, g: Any, expected: float) -> None:
    found = hull.distance(np.array(points, dtype=float), np.array(g, dtype=float))
    assert found == expected or abs(found - expected) < 1e-7


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 9))
def test_mixtures_are_inside_and_what_a_plane_parts_is_outside(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(k, n))
    weights = rng.dirichlet(np.ones(k))
    assert hull.distance(points, weights @ points) < 1e-6
    direction = rng.normal(size=n)
    direction /= np.linalg.norm(direction)
    beyond = (points @ direction).max() + 1.0
    outside = points.mean(axis=0) + direction * (beyond - points.mean(axis=0) @ direction)
    assert hull.distance(points, outside) >= 1.0 / math.sqrt(n) - 1e-6


def seen(obtained: Any, *, value: float = 0.0, left: Any = None, right: Any = None, **more: Any) -> Observation:
    arrays = {"left": np.atleast_1d(left)} if left is not None else {}
    arrays |= {"right": np.atleast_1d(right), "bar": np.zeros(np.size(right))} if right is not None else {}
    return Observation(
        obtained=np.atleast_1d(np.asarray(obtained, dtype=float)), value=np.array([value]), **arrays, **more
    )


#: Case, answer, class. Slopes are those of the case's own function, or of the other one that a backend may have.
ANSWERS: list[tuple[str, Observation, Class]] = [
    ("square_function", seen(0.0, left=0.0, right=0.0), Class.AGREE),
    ("square_function", seen(1e-3, left=0.0, right=0.0), Class.DEFECT),
    ("square_function", seen(math.nan, left=0.0, right=0.0), Class.DEFECT),
    ("square_function", seen([], status="raised", message="Boom"), Class.DEFECT),
    ("square_function", seen([], status="not_available"), Class.NOT_AVAILABLE),
    ("square_function", seen(0.0, left=0.0, right=0.0, remark="dtype float32 for an input of float64"), Class.DEFECT),
    ("sqrt_zero", seen(math.inf, left=math.nan, right=math.inf), Class.AGREE),
    ("sqrt_zero", seen(math.nan, left=math.nan, right=math.inf), Class.DEFECT),
    ("abs", seen(0.0, left=-1.0, right=1.0), Class.CONVENTION),
    ("abs", seen(1.0, left=-1.0, right=1.0), Class.CONVENTION),
    ("abs", seen(1.001, left=-1.0, right=1.0), Class.DEFECT),
    ("abs", seen(math.nan, left=-1.0, right=1.0), Class.DEFECT),
    ("abs", seen(0.0, left=math.nan, right=math.nan), Class.UNDEFINED),
    ("relu_difference", seen(0.0, left=1.0, right=1.0), Class.DEFECT),
    ("relu_difference", seen(1.0, left=1.0, right=1.0), Class.AGREE),
    ("sqrt_behind_where", seen(math.inf, left=0.0, right=math.inf), Class.CONVENTION),
    ("sqrt_behind_where", seen(-1.0, left=0.0, right=math.inf), Class.DEFECT),
    ("gelu_one", seen(1.08296, value=0.84119, left=1.08296, right=1.08296), Class.VALUE),
    ("gelu_one", seen(1.5, value=0.84119, left=1.08296, right=1.08296), Class.DEFECT),
    ("log_of_exp", seen(math.nan, value=math.inf, left=math.nan, right=math.nan), Class.VALUE),
    ("log_negative", seen(math.nan, value=math.nan), Class.UNDEFINED),
    ("log_negative", seen(-1.0, value=math.nan), Class.UNDEFINED),
    ("inverse_singular", seen([], status="raised"), Class.ERROR),
    ("vector_output", seen([], status="raised"), Class.ERROR),
    ("unused_argument", seen(0.0, normalisation="None as 0"), Class.AGREE),
]


@pytest.mark.parametrize(
    ("name", "observed", "expected"), ANSWERS, ids=[f"{n}-{k}" for k, (n, _, _) in enumerate(ANSWERS)]
)
def test_an_answer_is_classed(name: str, observed: Observation, expected: Class) -> None:
    assert judge(CASES[name], observed, "float64").classed == expected


def test_every_class_can_be_reached() -> None:
    assert {expected for _, _, expected in ANSWERS} == set(Class)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_nan_never_passes_and_a_number_passes_only_in_the_hull(got: float) -> None:
    inside = -1.0 <= got <= 1.0
    classed = judge(CASES["abs"], seen(got, left=-1.0, right=1.0), "float64").classed
    near = abs(abs(got) - 1.0) < 1e-6
    assert near or (classed == Class.CONVENTION) == inside


def test_a_majority_is_no_referee() -> None:
    """Three wrong answers and a right one: each is judged by itself."""
    wrong, right = seen(0.0, left=1.0, right=1.0), seen(1.0, left=1.0, right=1.0)
    classes = [judge(CASES["relu_difference"], o, "float64").classed for o in (wrong, wrong, wrong, right)]
    assert classes == [Class.DEFECT] * 3 + [Class.AGREE]


def test_a_tie_is_judged_by_its_sum_too() -> None:
    """Each entry of (1, 1) lies between its one-sided derivatives, yet max has no such subgradient."""
    points = np.array([[1.0, 0.0], [0.0, 1.0]])
    for got, expected in (([1.0, 1.0], Class.DEFECT), ([0.5, 0.5], Class.CONVENTION), ([1.0, 0.0], Class.CONVENTION)):
        observed = seen(got, value=2.0, left=[0.0, 0.0], right=[1.0, 1.0], hull=points, hull_bar=np.zeros((2, 2)))
        assert judge(CASES["maximum_of_two"], observed, "float64").classed == expected
