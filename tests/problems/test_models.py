"""Models and evaluations of GradBench, verified by other formulas than those of the problem."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import PLAIN, Objective
from autodiff_compare.plan.plan import DEFAULT_BACKENDS
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.problems.base.elimination import cholesky, det, solve
from autodiff_compare.vocabulary import Operator
from tests.conftest import opened

on_every_backend = pytest.mark.parametrize("spec", DEFAULT_BACKENDS)


def problem_of(name: str) -> Problem:
    return problems.available()[name]


def drawn(name: str, seed: int = 0, size: str = "small") -> Inputs:
    problem = problem_of(name)
    return problem.inputs(np.random.default_rng(seed), problem.sizes[size])


def value(name: str, *arrays: Any) -> Any:
    return problem_of(name).function(PLAIN, {})(*arrays)


def prepared(name: str, spec: str, operator: Operator, arrays: Any, directions: Any = ()) -> Any:
    """Evaluate an operator with respect to the first input on a backend, from NumPy to NumPy."""
    backend = opened(spec)
    f = Objective(problem_of(name).function(backend, {}))
    run = backend.prepare(
        operator, f, [backend.to_var(a) for a in arrays], directions=[backend.to_var(t) for t in directions]
    )

    def call(*given: Any) -> Any:
        found = backend.block(run(*map(backend.to_var, given)))
        return backend.to_numpy(found[0] if isinstance(found, (tuple, list)) else found)

    return call


# ---- GradBench


@on_every_backend
def test_hello_chained_with_doubling_is_exact(spec: str) -> None:
    # GradBench, hello: x -> x^2 -> its derivative there -> ... from 1; powers of two stay exact.
    square = prepared("hello", spec, Operator.VALUE, [np.array(1.0)])
    double = prepared("hello", spec, Operator.GRADIENT, [np.array(3.0)])
    x, seen = np.array(1.0), []
    for _ in range(4):
        y = square(x)
        x = double(y)
        seen += [float(y), float(x)]
    assert seen == [1, 2, 4, 8, 64, 128, 16384, 32768]


def test_least_squares_against_a_loop() -> None:
    x, t, s = drawn("llsq").arrays
    assert t[0] == -1
    assert t[-1] == 1
    assert set(s) == {-1.0, 1.0}
    loop = sum((s[i] - sum(x[j] * t[i] ** j for j in range(128))) ** 2 for i in range(16)) / 2
    assert value("llsq", x, t, s) == pytest.approx(loop, rel=1e-13)


def test_log_sum_exp_does_not_overflow() -> None:
    # 1000 + log(1 + e^-1): exp(1000) alone is infinite.
    assert value("lse", np.array([1000.0, 999.0])) == pytest.approx(1000 + math.log1p(math.exp(-1)), rel=1e-15)


def leibniz(A: Any) -> float:
    """Return the determinant as Leibniz's sum over permutations."""
    n = len(A)
    inversions = {p: sum(p[i] > p[j] for i in range(n) for j in range(i + 1, n)) for p in permutations(range(n))}
    return sum((-1) ** k * math.prod(A[i][p[i]] for i in range(n)) for p, k in inversions.items())


@pytest.mark.parametrize("name", ["det", "det_linalg"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_determinants_are_leibniz_sums(name: str, n: int) -> None:
    A = np.random.default_rng(n).random((n, n))
    assert value(name, A) == pytest.approx(leibniz(A.tolist()), rel=1e-11)


def test_recursive_minors_differentiate_a_singular_matrix() -> None:
    # The gradient of a singular matrix is its matrix of cofactors; det(A) A^-T would divide by zero.
    A = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 1.0]])
    gradient = prepared("det", "numpy", Operator.GRADIENT, [A + 1])(A)
    np.testing.assert_array_equal(gradient, [[-2, -2, 2], [1, 1, -1], [0, 0, 0]])


@on_every_backend
def test_the_newton_step_of_kmeans_is_the_centre_minus_the_mean_of_its_points(spec: str) -> None:
    C, P = drawn("kmeans", seed=5).arrays
    ones = np.ones_like(C)
    gradient = prepared("kmeans", spec, Operator.GRADIENT, [C[::-1].copy(), P])(C, P)
    diagonal = prepared("kmeans", spec, Operator.HVP, [C[::-1].copy(), P], [ones])(C, P, ones)
    nearest = ((P[:, None, :] - C[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
    means = np.stack([P[nearest == j].mean(axis=0) for j in range(len(C))])
    np.testing.assert_array_equal(diagonal, 2 * np.bincount(nearest)[:, None] * ones)
    np.testing.assert_allclose(gradient / diagonal, C - means, rtol=0, atol=1e-14)
    nested = prepared("kmeans_newton", spec, Operator.VALUE, [C[::-1].copy(), P])(C, P)
    np.testing.assert_allclose(nested, C - means, rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("seed", range(3))
def test_every_centre_of_kmeans_is_a_point_and_has_points(seed: int, size: str) -> None:
    C, P = drawn("kmeans", seed, size).arrays
    np.testing.assert_array_equal(P[-len(C) :], C)
    distances = (C * C).sum(axis=1)[:, None] - 2 * C @ P.T + (P * P).sum(axis=1)
    assert np.bincount(distances.argmin(axis=0), minlength=len(C)).min() >= 1
    first, second = np.partition(distances, 1, axis=0)[:2]
    assert (second - first).min() > 0.9e-3


# ---- models


def test_logistic_regression_is_a_likelihood() -> None:
    w, b, X, y, weight = drawn("logistic_regression").arrays
    likelihood = np.prod(1 / (1 + np.exp(-y * (X @ w + b))))
    assert value("logistic_regression", w, b, X, y, weight) == pytest.approx(
        -math.log(likelihood) + 0.05 * sum(w**2), rel=1e-12
    )
    assert set(y) == {-1.0, 1.0}


def test_logistic_regression_of_a_far_point_does_not_overflow() -> None:
    far = (np.array([1e4]), np.array(0.0), np.array([[1.0], [-1.0]]), np.array([1.0, 1.0]), np.array(0.0))
    assert value("logistic_regression", *far) == 1e4


def test_a_network_with_zero_weights_predicts_uniform_classes() -> None:
    W, b, V, c, X, labels = drawn("neural_network").arrays
    assert value("neural_network", W, b, 0 * V, 0 * c, X, labels) == pytest.approx(math.log(3), rel=1e-15)
    assert {*labels.ravel()} == {0.0, 1.0}
    np.testing.assert_array_equal(labels.sum(axis=1), 1)


def test_a_high_temperature_predicts_uniform_classes_and_a_low_one_the_largest_score() -> None:
    Z, _, labels = drawn("softmax_temperature").arrays
    assert value("softmax_temperature", Z, np.array(1e9), labels) == pytest.approx(math.log(5), rel=1e-8)
    gaps = Z.max(axis=1) - (Z * labels).sum(axis=1)
    assert value("softmax_temperature", Z, np.array(1e-3), labels) == pytest.approx(gaps.mean() * 1e3, rel=1e-8)


def rotation() -> Any:
    """Return the rotation matrix of the quaternion (1, 2, 3, 4) / sqrt 30."""
    w, x, y, z = np.array([1, 2, 3, 4]) / math.sqrt(30)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_rubber_at_rest_has_neither_energy_nor_force_after_any_rotation() -> None:
    x, *mesh = drawn("neo_hookean", size="medium").arrays
    rest = np.round(x * 6) / 6
    turned = rest @ rotation().T + 5
    assert abs(value("neo_hookean", turned, *mesh)) < 1e-13
    assert np.abs(problem_of("neo_hookean").reference[Operator.GRADIENT](turned, *mesh)).max() < 1e-13


def test_the_mesh_fills_the_cube() -> None:
    x, corners, inverse, volumes = drawn("neo_hookean", size="medium").arrays
    assert volumes.sum() == pytest.approx(1, rel=1e-13)
    rest = (np.round(x * 6) / 6)[corners]
    edges = rest[:, 1:] - rest[:, :1]
    np.testing.assert_allclose(np.abs(np.linalg.det(edges)) / 6, volumes, rtol=1e-12)
    np.testing.assert_allclose(inverse @ edges, np.broadcast_to(np.eye(3), inverse.shape), atol=1e-13)
    assert np.bincount(corners.ravel()).min() >= 1


@pytest.mark.parametrize("stretch", [0.8, 1.0, 1.5])
def test_the_energy_of_rubber_under_uniform_stretch(stretch: float) -> None:
    # F = s I in all tetrahedra: psi = 3/2 mu (s^2 - 1) - 3 mu log s + 9/2 lambda log^2 s, over a volume of one.
    x, *mesh = drawn("neo_hookean").arrays
    expected = 1.5 * (stretch**2 - 1) - 3 * math.log(stretch) + 18 * math.log(stretch) ** 2
    assert value("neo_hookean", np.round(x) * stretch, *mesh) == pytest.approx(expected, rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_no_tetrahedron_is_inverted(seed: int) -> None:
    x, corners, inverse, _ = drawn("neo_hookean", seed, "medium").arrays
    places = x[corners]
    assert np.linalg.det(inverse @ (places[:, 1:] - places[:, :1])).min() > 0.1


def test_the_misfit_of_exact_measurements_is_zero() -> None:
    theta, u0, seen = drawn("heat_inverse").arrays
    k, u, rows = np.exp(theta), u0, []
    # (I + r K) with K the matrix of conductances between neighbours, both ends held at zero.
    K = -np.diag(k[:-1] + k[1:]) + np.diag(k[1:-1], 1) + np.diag(k[1:-1], -1)
    for _ in range(len(seen)):
        u = u + 0.25 * K @ u
        rows.append(u[::4])
    assert value("heat_inverse", theta, u0, np.stack(rows)) == pytest.approx(0, abs=1e-28)
    assert value("heat_inverse", theta, u0, seen) == pytest.approx(((np.stack(rows) - seen) ** 2).sum() / 2, rel=1e-13)


def test_the_explicit_steps_are_stable() -> None:
    theta = np.full(251, 0.5)
    u = value("heat_inverse", theta, np.ones(250), np.zeros((500, 63)))
    assert 0 < u < 500 * 63 / 2


def test_the_likelihood_of_a_gaussian_process_is_a_normal_density() -> None:
    stats = pytest.importorskip("scipy.stats")
    lengths, height, noise, X, y = drawn("gaussian_process").arrays
    r2 = (((X[:, None] - X[None]) / np.exp(lengths)) ** 2).sum(axis=2)
    K = np.exp(2 * height) * np.exp(-r2 / 2) + np.exp(2 * noise) * np.eye(len(y))
    expected = -stats.multivariate_normal(np.zeros(len(y)), K).logpdf(y)
    assert value("gaussian_process", lengths, height, noise, X, y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_the_spline_equals_that_of_scipy(size: str) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    problem, rng = problem_of("spline"), np.random.default_rng(7)
    n = problem.sizes[size]
    inputs = problem.inputs(rng, n)
    # The same draws again give the knots and the points, which are not among the inputs.
    rng = np.random.default_rng(7)
    knots = np.concatenate([[0.0], np.cumsum(rng.uniform(0.5, 1.5, n - 1))])
    points = np.sort(rng.uniform(0.0, knots[-1], 10 * n))
    (y,), (*system, z) = inputs.differentiated, inputs.data
    spline = interpolate.CubicSpline(knots, y, bc_type="natural")
    assert value("spline", y, *system, z) == pytest.approx(((spline(points) - z) ** 2).sum(), rel=1e-12)


def test_a_spline_through_points_of_a_line_is_the_line() -> None:
    (*system, z) = drawn("spline").data
    constant = np.full(6, 3.0)
    assert value("spline", constant, *system, 0 * z + 3) == pytest.approx(0, abs=1e-26)


# ---- elimination, in long double


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_elimination_in_long_double(n: int) -> None:
    rng = np.random.default_rng(n)
    A = rng.normal(size=(n, n)).astype(np.longdouble)
    S = A @ A.T + np.eye(n)
    eps = float(np.finfo(np.longdouble).eps)
    for B in (A[0], A):
        X = solve(S, B)
        assert X.dtype == np.longdouble
        assert np.abs(S @ X - B).max() < 100 * n * eps * np.abs(S).max()
    L = cholesky(S)
    assert not np.triu(L, 1).any()
    assert np.abs(L @ L.T - S).max() < 10 * n * eps * np.abs(S).max()
    assert det(S) == pytest.approx(np.prod(np.diagonal(L)) ** 2, rel=100 * n * eps)
    assert float(det(A)) == pytest.approx(np.linalg.det(A.astype(float)), rel=1e-10)


def test_elimination_exchanges_rows() -> None:
    A = np.array([[0, 1], [1, 0]], dtype=np.longdouble)
    assert det(A) == -1
    np.testing.assert_array_equal(solve(A, np.array([3, 4], dtype=np.longdouble)), [4, 3])
