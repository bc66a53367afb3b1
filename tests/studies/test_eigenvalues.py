"""Eigenvalues: references in long double, the classic numbers, Adam's counts, and conventions for full matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Backend
from autodiff_compare.problems import available
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.problems.base.eigendecomposition import eigh
from autodiff_compare.studies.eigenvalues import GRADIENTS, PRINTED, READINGS, convention
from autodiff_compare.vocabulary import Operator
from tests.backends.test_step import opened

PROBLEMS = available()
EQUAL, DISTINCT = (PROBLEMS[f"eigenvalue_targeting_{name}"] for name in ("equal", "distinct"))


@pytest.mark.parametrize(
    "spectrum",
    [
        pytest.param([2.0], id="one"),
        pytest.param([-1.0, 0.5, 3.0], id="distinct"),
        pytest.param([1.0, 1.0, 1.0], id="equal"),
        pytest.param([0.0, 0.0, 0.0, 0.0], id="zero"),
        pytest.param([-1e-12, 1e-6, 1.0, 1e6], id="scales"),
        pytest.param(list(np.linspace(-3.0, 2.0, 12)), id="twelve"),
    ],
)
def test_jacobis_method_diagonalises_in_long_double(spectrum: list[float]) -> None:
    n, wide = len(spectrum), np.finfo(np.longdouble).eps
    u = np.random.default_rng(n).normal(size=n).astype(np.longdouble)
    Q = np.eye(n, dtype=np.longdouble) - 2 * np.outer(u, u) / np.sum(u * u)
    A = (Q * np.asarray(spectrum, np.longdouble)) @ Q
    A = (A + A.T) / 2
    values, V = eigh(A)
    assert values.dtype == V.dtype == np.longdouble
    size = max(map(abs, spectrum))
    np.testing.assert_allclose(values, spectrum, rtol=0, atol=float(8 * n * wide * size))
    np.testing.assert_allclose(V.T @ V, np.eye(n), rtol=0, atol=float(8 * n * wide))
    np.testing.assert_allclose(A @ V, V * values, rtol=0, atol=float(8 * n * wide * size))


def test_a_matrix_that_is_not_symmetric_is_rejected() -> None:
    with pytest.raises(ValueError, match="not symmetric: symmetrise it"):
        eigh(PRINTED)


# classic_goldens.json, eigenvalues: the lower triangle of the printed matrix, in float64.
LOWER_VALUES = [-0.2599476264219467, 0.34044353626052726, 1.5629352901614186]
LOWER_GRADIENT = [
    [0.0005386776871900459, 0, 0],
    [0.030039039218801772, 0.41877726637225804, 0],
    [-0.035372392864616416, -0.9862601717046868, 0.5806840559405516],
]


def test_the_lower_triangle_of_the_printed_matrix() -> None:
    S = READINGS["lower triangle"](PRINTED)
    np.testing.assert_allclose(eigh(S)[0], LOWER_VALUES, rtol=1e-14)
    (symmetric,) = complete(PROBLEMS["eigenvalue_smallest"], _inputs(S))[Operator.GRADIENT](S)
    found = GRADIENTS["lower triangle, off-diagonals doubled"](symmetric)
    np.testing.assert_allclose(found, LOWER_GRADIENT, rtol=1e-12)


def _inputs(A: Any) -> Any:
    return type(EQUAL.descent["by_hand"].start(0))((A,))


# The conventions of torch 2.13, TensorFlow 2.21 and JAX 0.10.2, with which the classic study was measured; the NumPy
# engine reads the same triangle as `numpy.linalg.eigvalsh`. This test notices a release that changes its convention.
@pytest.mark.parametrize(
    ("spec", "reads", "returns"),
    [
        ("numpy", "lower triangle", "symmetric"),
        ("torch", "lower triangle", "symmetric"),
        ("tensorflow", "lower triangle", "lower triangle, off-diagonals doubled"),
        ("jax", "symmetric part", "symmetric"),
        ("finite_difference", "lower triangle", "lower triangle, off-diagonals doubled"),
    ],
)
def test_the_convention_of(spec: str, reads: str, returns: str) -> None:
    found = convention(opened(spec))
    assert (found.reads, found.returns) == (reads, returns)
    assert found.value_beside_gradient == pytest.approx(found.value, rel=1e-14)
    assert found.error < (1e-9 if spec == "finite_difference" else 1e-14)
    assert np.array_equal(found.symmetrised, found.symmetrised.T)


def test_an_unknown_reading_is_called_unknown() -> None:
    class Trace:
        @staticmethod
        def eigvalsh(x: Any) -> Any:
            return np.trace(x)[None] * 10

    class Namespace:
        linalg = Trace

    backend: Backend = opened("finite_difference")
    backend.xp = Namespace
    found = convention(backend)
    assert found.reads == found.returns == "none of the known"
    assert math.isnan(found.error)


# classic_goldens.json, eigenvalues: r_printed, loss, grad.
R = [0.12108588, 0.8856114, 0.00449729, 0.22199583, 0.8411281, 0.54751956]
LOSS = 3.889713023221865
GRADIENT = [-1.7578282400000003, -0.2287772, -1.9910054200000005, 0.88798332, 3.3645124, 2.19007824]


def test_loss_and_gradient_at_the_printed_start() -> None:
    start = EQUAL.descent["by_hand"].start(0)
    forms = complete(EQUAL, start)
    r = np.array(R)
    np.testing.assert_allclose(EQUAL.objective(r, *start.data, xp=np), LOSS, rtol=1e-14)
    np.testing.assert_allclose(forms[Operator.VALUE](r, *start.data), LOSS, rtol=1e-14)
    np.testing.assert_allclose(forms[Operator.GRADIENT](r, *start.data)[0], GRADIENT, rtol=1e-14)
    # The same function through perturbation theory.
    np.testing.assert_allclose(DISTINCT.reference[Operator.GRADIENT](r, *start.data), GRADIENT, rtol=1e-13)
    hessians = [p.reference[Operator.HESSIAN](r, *start.data) for p in (EQUAL, DISTINCT)]
    np.testing.assert_allclose(hessians[1], hessians[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("spec", ["numpy", "torch", "tensorflow", "jax"])
def test_a_loss_on_eigenvalues_is_differentiable_at_equal_eigenvalues(spec: str) -> None:
    # L = |A - I|_F^2 is smooth at A = 2 I, though no single eigenvalue is; a loss on eigenvectors would give nan.
    backend = opened(spec)
    data = [backend.to_var(a) for a in EQUAL.descent["by_hand"].start(0).data]
    gradient = backend.grad(lambda r: EQUAL.objective(r, *data, xp=backend.xp))
    found = backend.to_numpy(gradient(backend.to_var(np.array([2.0, 2.0, 2.0, 0.0, 0.0, 0.0]))))
    np.testing.assert_array_equal(found, [2.0, 2.0, 2.0, 0.0, 0.0, 0.0])


def adam(name: str, descent: str, seed: int) -> tuple[int, np.ndarray]:
    """Run Adam (`Optimizer` with eps_hat) on the closed forms; return the updates made and the last eigenvalues."""
    problem = PROBLEMS[name]
    rule, start = problem.descent[descent], problem.descent[descent].start(seed)
    forms, o = complete(problem, start), rule.optimizer
    r = start.differentiated[0]
    m, v = np.zeros_like(r), np.zeros_like(r)
    for n in range(1, rule.max_iterations + 1):
        loss = forms[Operator.VALUE](r, *start.data)
        (g,) = forms[Operator.GRADIENT](r, *start.data)
        m, v = o.b1 * m + (1 - o.b1) * g, o.b2 * v + (1 - o.b2) * g * g
        r = r - o.learning_rate * math.sqrt(1 - o.b2**n) / (1 - o.b1**n) * m / (np.sqrt(v) + o.eps)
        if rule.stop_loss is not None and loss <= rule.stop_loss:
            break
    return n, rule.follow["eigenvalues"](r)


# classic_goldens.json, eigenvalues, adam_updates_to_1e-8; equal within 1 over frameworks and dtypes.
@pytest.mark.parametrize(("seed", "updates"), [(0, 2172), (1, 3123), (2, 3056), (3, 2944)])
def test_updates_until_three_eigenvalues_are_1(seed: int, updates: int) -> None:
    n, values = adam(EQUAL.name, "by_hand", seed)
    assert abs(n - updates) <= 1
    # L = sum (l_k - 1)^2 <= 1e-8 bounds each eigenvalue.
    np.testing.assert_allclose(values, 1.0, atol=1e-4)


def test_eigenvalues_reach_an_ascending_target_and_the_mean_of_a_descending_one() -> None:
    n, values = adam(DISTINCT.name, "by_hand", 0)
    assert n < DISTINCT.descent["by_hand"].max_iterations
    np.testing.assert_allclose(values, [0.5, 1.0, 2.0], atol=1e-4)
    n, values = adam(DISTINCT.name, "descending", 0)
    assert n == DISTINCT.descent["descending"].max_iterations
    # Least squares with ascending eigenvalues: the mean of (2, 1, 0.5). Adam's last steps have the length 1e-3.
    np.testing.assert_allclose(values, 3.5 / 3, atol=3e-3)
