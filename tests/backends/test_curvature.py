"""Operators made of second and higher derivatives: sparse Hessians, diagonals, Laplacians, estimates, Taylor series.

The expected numbers are those of a dense Hessian by our engine, and of closed forms.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit

from autodiff_compare.backends import Objective, Unsupported
from autodiff_compare.backends.numpy_autodiff import hessian, hessian_pattern
from autodiff_compare.backends.operators.curvature import COVERED, half_width
from autodiff_compare.backends.sparsity.pattern import Pattern
from autodiff_compare.vocabulary import BY_UNITS, OF_HESSIAN, Operator
from tests.backends.test_derived import Poor
from tests.conftest import opened
from tests.selection import few

RNG = np.random.default_rng(5)
X, Y = RNG.uniform(0.5, 1.5, (2, 3)), np.array([0.7, -1.2])
TANGENTS = [RNG.uniform(-1, 1, X.shape), RNG.uniform(-1, 1, Y.shape)]
SIGNS = [RNG.choice([-1.0, 1.0], (6, *a.shape)) for a in (X, Y)]


def chained(xp: Any, x: Any, y: Any, scale: Any) -> Any:
    """Neighbours in the rows of x interact, and y with the first of them."""
    return xp.sum(xp.sin(x[:, 1:] * x[:, :-1])) * scale + xp.sum(xp.exp(y) * x[:, 0])


SCALE = np.array(1.3)
DENSE = hessian(lambda x, y: chained(np, x, y, SCALE), (0, 1))(X, Y)
WHOLE = np.block(
    [[np.reshape(DENSE[i][j], (a.size, b.size)) for j, b in enumerate((X, Y))] for i, a in enumerate((X, Y))]
)


def patterns() -> tuple[Pattern, ...]:
    found = hessian_pattern(lambda x, y: chained(np, x, y, SCALE), X, Y, argnums=(0, 1))
    blocks = [Pattern.of(s, *b) for s, b in zip(found.shapes, found.blocks, strict=True)]
    return Pattern.beside(blocks[:2]), Pattern.beside(blocks[2:])


def computed(spec: str, operator: Operator, dtype: str = "float64", degree: int = 4) -> list[Any]:
    """Return the leaves of an operator, prepared at one point and called at another."""
    backend = opened(spec)
    f = Objective(lambda *args: chained(backend.xp, *args), hessian_patterns=patterns())
    given = {Operator.TAYLOR: TANGENTS, Operator.LAPLACIAN_ESTIMATE: SIGNS}.get(operator, [])

    def variables(*arrays: Any) -> list[Any]:
        return [backend.to_var(a, dtype=dtype) for a in arrays]

    directions = variables(*given)
    elsewhere = variables(X + 0.1, Y - 0.1, SCALE)
    run = backend.prepare(operator, f, elsewhere, argnums=(0, 1), directions=directions, degree=degree)
    found = backend.block(run(*variables(X, Y, SCALE), *directions))
    leaves = [backend.to_numpy(leaf) for leaf in (found if isinstance(found, tuple) else (found,))]
    assert {leaf.dtype.name for leaf in leaves} == {dtype}
    return leaves


def expected(operator: Operator) -> list[Any]:
    if operator is Operator.SPARSE_HESSIAN:
        first, second = patterns()
        return [WHOLE[:6][first.rows, first.columns], WHOLE[6:][second.rows, second.columns]]
    if operator is Operator.HESSIAN_DIAGONAL:
        return [np.diag(WHOLE)[:6].reshape(X.shape), np.diag(WHOLE)[6:]]
    if operator is Operator.LAPLACIAN:
        return [np.trace(WHOLE)]
    v = np.concatenate([s.reshape(6, -1) for s in SIGNS], axis=1)
    q = np.einsum("ki,ij,kj->k", v, WHOLE, v)
    return [q.mean(), stdtrit(5, 0.975) * q.std(ddof=1) / math.sqrt(6)]


SPECS = (
    *("numpy", "numpy:compiled", "numpy:jet", "numpy:nested", "torch", "tensorflow", "jax", "autograd"),
    *("jax:jet", "jax:nested", "torch:nested"),
)


@pytest.mark.parametrize("spec", few(SPECS, 8))
def test_operators_of_the_hessian_agree_with_a_dense_one(spec: str) -> None:
    wanted = BY_UNITS if spec.endswith((":jet", ":nested")) else OF_HESSIAN
    for operator in sorted(wanted):
        for got, want in zip(computed(spec, operator), expected(operator), strict=True):
            assert got.shape == np.shape(want)
            np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("operator", [*sorted(OF_HESSIAN), Operator.TAYLOR])
def test_single_precision_stays(operator: Operator) -> None:
    wide = computed("numpy", operator)
    for got, want in zip(computed("numpy", operator, "float32"), wide, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", ["numpy", "numpy:nested", "torch", "jax", "jax:nested", "tensorflow", "autograd"])
def test_taylor_series_agree(spec: str) -> None:
    found, series = computed(spec, Operator.TAYLOR), computed("numpy", Operator.TAYLOR)
    assert len(found) == 4
    for got, want in zip(found, series, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    v = np.concatenate([t.ravel() for t in TANGENTS])
    assert found[1] == pytest.approx(v @ WHOLE @ v, rel=1e-12)


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax", "tensorflow"])
def test_a_taylor_series_of_an_array_along_a_line(spec: str) -> None:
    # sin(x + t v) of a vector: derivatives v cos x, -v^2 sin x, -v^3 cos x.
    backend, x, v = opened(spec), np.array([0.3, 1.1]), np.array([2.0, -1.0])
    given = [backend.to_var(x)], [backend.to_var(v)]
    run = backend.prepare(Operator.TAYLOR, lambda x: backend.xp.sin(x), *given[:1], directions=given[1], degree=3)
    for got, want in zip(
        run(*given[0], *given[1]), (v * np.cos(x), -(v**2) * np.sin(x), -(v**3) * np.cos(x)), strict=True
    ):
        np.testing.assert_allclose(backend.to_numpy(got), want, rtol=1e-14)


def test_the_first_derivative_of_a_series_is_the_jvp() -> None:
    backend = opened("numpy")
    args, tangents = [X, Y, SCALE], TANGENTS
    jvp = backend.prepare(Operator.JVP, lambda *a: chained(np, *a), args, argnums=(0, 1), directions=tangents)
    assert computed("numpy", Operator.TAYLOR)[0] == pytest.approx(jvp(*args, *tangents), rel=1e-14)


def test_a_factorial_that_overflows_leaves_no_finite_derivative() -> None:
    backend = opened("numpy")
    run = backend.prepare(Operator.TAYLOR, np.exp, [np.float64(1.0)], directions=[np.float64(1.0)], degree=175)
    with np.errstate(all="ignore"):
        found = run(np.float64(1.0), np.float64(1.0))
    # 170! is the last factorial that a double holds; every derivative is e.
    np.testing.assert_allclose([float(d) for d in found[:150]], math.e, rtol=1e-12)
    assert not np.isfinite([float(d) for d in found[170:]]).any()


def test_three_products_are_enough_for_neighbours() -> None:
    backend, counted, n = Poor(Operator.HVP, Operator.GRADIENT), 0, 200

    def rosenbrock(x: Any) -> Any:
        nonlocal counted
        counted += 1
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    x = np.linspace(0.5, 1.5, n)
    (places,) = (Pattern.of(s, *b) for s, b in zip(*_places(rosenbrock, x), strict=True))
    run = backend.prepare(Operator.SPARSE_HESSIAN, Objective(rosenbrock, hessian_patterns=(places,)), [x])
    counted = 0
    (entries,) = run(x)
    assert counted == 3
    np.testing.assert_allclose(entries, hessian(rosenbrock)(x)[places.rows, places.columns], rtol=1e-12, atol=1e-9)


def _places(f: Any, x: Any) -> tuple[Any, Any]:
    found = hessian_pattern(f, x)
    return found.shapes, found.blocks


@pytest.mark.parametrize("n", [0, 1])
def test_no_input_and_one(n: int) -> None:
    backend, x = opened("numpy"), np.full(n, 2.0)
    f = Objective(lambda x: np.sum(x**3), hessian_patterns=(Pattern.of((n, n), range(n), range(n)),))
    for operator in (Operator.SPARSE_HESSIAN, Operator.HESSIAN_DIAGONAL):
        np.testing.assert_array_equal(backend.prepare(operator, f, [x])(x)[0], np.full(n, 12.0))
    assert backend.prepare(Operator.LAPLACIAN, f, [x])(x) == 12 * n


@pytest.mark.parametrize("k", [2, 3, 8, 32, 300])
def test_the_half_width_is_students(k: int) -> None:
    assert half_width(k) == pytest.approx(stdtrit(k - 1, (1 + COVERED) / 2) / math.sqrt(k * (k - 1)), rel=1e-12)


@pytest.mark.parametrize("kind", ["dense", "banded", "of few eigenvalues"])
def test_the_interval_covers_the_trace_in_95_of_100_draws(kind: str) -> None:
    rng = np.random.default_rng(11)
    a = rng.normal(size=(40, 40))
    matrix = {
        "dense": a + a.T,
        "banded": np.where(np.abs(np.subtract.outer(np.arange(40), np.arange(40))) <= 2, a + a.T, 0),
        "of few eigenvalues": a[:, :6] @ a[:, :6].T,
    }[kind]
    covered = 0
    for _ in range(1000):
        v = rng.choice([-1.0, 1.0], (32, 40))
        q = np.einsum("ki,ki->k", v @ matrix, v)
        covered += abs(q.mean() - np.trace(matrix)) <= half_width(32) * np.linalg.norm(q - q.mean())
    assert 930 <= covered <= 970


@pytest.mark.parametrize(
    ("prepare", "error", "words"),
    [
        (
            lambda b: b.prepare(Operator.SPARSE_HESSIAN, lambda x: np.sum(x * x), [np.ones(3)]),
            ValueError,
            r"got Hessian patterns of shape \[\], expected \[\(3, 3\)\]",
        ),
        (
            lambda b: b.prepare(Operator.LAPLACIAN, lambda x: x * x, [np.ones(3)]),
            ValueError,
            "expected a scalar of shape",
        ),
        (
            lambda b: b.prepare(
                Operator.LAPLACIAN_ESTIMATE, lambda x: np.sum(x), [np.ones(3)], directions=[np.ones((1, 3))]
            ),
            ValueError,
            "got 1 direction for laplacian_estimate, expected two or more",
        ),
    ],
)
def test_mistakes_are_named(prepare: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        prepare(opened("numpy"))


def test_a_backend_of_gradients_alone_has_no_series_of_an_array() -> None:
    backend = opened("autograd")
    with pytest.raises(Unsupported, match="a Taylor series of an array needs forward mode"):
        backend.prepare(Operator.TAYLOR, lambda x: x * x, [np.ones(2)], directions=[np.ones(2)])
