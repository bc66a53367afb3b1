"""Gaussian mixtures: objective and gradient against an elementwise formula, for several shapes and both signs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.problems import Inputs
from autodiff_compare.vocabulary import Operator

NAMES = ("gmm", "gmm_adbench")


def by_loops(inputs: Inputs) -> float:
    """Return ADBench's formula (Srajer et al. 2018, section 4.1) by loops; (2 pi)^(-d/2) det(Q) exp(...)."""
    (alphas, means, factors), points, (gamma, m) = inputs.differentiated, inputs.data[0], _prior(inputs)
    d = means.shape[1]
    weights = [math.exp(a) / math.fsum(map(math.exp, alphas)) for a in alphas]
    Qs = [_triangle(row, d) for row in factors]
    likelihood = 0.0
    for x in points:
        densities = []
        for weight, mean, Q in zip(weights, means, Qs, strict=True):
            y = [math.fsum(Q[i][j] * (x[j] - mean[j]) for j in range(d)) for i in range(d)]
            determinant = math.prod(Q[i][i] for i in range(d))
            squares = math.fsum(e * e for e in y)
            densities.append(weight * (2 * math.pi) ** (-d / 2) * determinant * math.exp(-squares / 2))
        likelihood += math.log(math.fsum(densities))
    n = d + m + 1
    constant = n * d * math.log(gamma / math.sqrt(2)) - _log_gamma(d, n / 2)
    prior = 0.0
    for Q in Qs:
        squares = math.fsum(e * e for row in Q for e in row)
        prior += gamma**2 / 2 * squares - m * math.fsum(math.log(Q[i][i]) for i in range(d)) - constant
    return likelihood + inputs.static["sign"] * prior


def _prior(inputs: Inputs) -> tuple[float, int]:
    return inputs.static["gamma"], inputs.static["m"]


def _triangle(row: np.ndarray, d: int) -> list[list[float]]:
    """Return the factor: exp(q) on the diagonal, the other entries below it, column by column."""
    Q, rest = [[0.0] * d for _ in range(d)], iter(row[d:])
    for j in range(d):
        Q[j][j] = math.exp(row[j])
        for i in range(j + 1, d):
            Q[i][j] = next(rest)
    return Q


def _log_gamma(d: int, a: float) -> float:
    """Return log Gamma_d.

    Gamma_d(a) = pi^((d-1)/2) Gamma(a) Gamma_{d-1}(a - 1/2) (Muirhead 1982, section 2.1).
    """
    return math.lgamma(a) + ((d - 1) / 2 * math.log(math.pi) + _log_gamma(d - 1, a - 0.5) if d > 1 else 0.0)


def drawn(name: str, d: int, k: int, n: int, gamma: float = 1.0, m: int = 0) -> Inputs:
    """Draw inputs as the problem does, with another shape and prior."""
    found = problems.available()[name].draw("small", 0)
    rng = np.random.default_rng(d + 10 * k)
    arrays = (rng.normal(size=k), rng.random((k, d)), rng.normal(size=(k, d * (d + 1) // 2)) / 2)
    places = np.array(_places(d))
    return Inputs(arrays, (rng.normal(size=(n, d)), places), {**found.static, "gamma": gamma, "m": m})


def _places(d: int) -> list[int]:
    column = [d + sum(d - 1 - c for c in range(j)) for j in range(d)]
    none = d * (d + 1) // 2
    return [i if i == j else column[j] + i - j - 1 if i > j else none for i in range(d) for j in range(d)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("d", "k", "n", "gamma", "m"),
    [(2, 5, 30, 1.0, 0), (1, 3, 4, 1.0, 0), (4, 1, 5, 1.0, 0), (5, 2, 1, 0.7, 0), (3, 4, 6, 1.3, 2)],
)
def test_the_objective_equals_the_formula_by_loops(name: str, d: int, k: int, n: int, gamma: float, m: int) -> None:
    problem, inputs = problems.available()[name], drawn(name, d, k, n, gamma, m)
    found = problem.objective(*inputs.arrays, xp=np, **inputs.static)
    assert found.shape == ()
    assert float(found) == pytest.approx(by_loops(inputs), rel=1e-13)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("d", "k", "n", "gamma", "m"), [(1, 3, 4, 1.0, 0), (4, 1, 5, 1.0, 0), (3, 4, 6, 1.3, 2)])
def test_the_gradient_agrees_with_differences_in_every_entry(
    name: str, d: int, k: int, n: int, gamma: float, m: int
) -> None:
    problem, inputs = problems.available()[name], drawn(name, d, k, n, gamma, m)
    gradients = problem.reference[Operator.GRADIENT](*inputs.arrays, **inputs.static)
    wide = [x.astype(np.longdouble) for x in inputs.differentiated]
    h = np.longdouble(1e-4)
    for x, gradient in zip(wide, gradients, strict=True):
        for index in np.ndindex(x.shape):
            here, values = x[index], []
            for step in (-2, -1, 1, 2):
                x[index] = here + step * h
                values.append(problem.objective(*wide, *inputs.data, xp=np, **inputs.static))
            x[index] = here
            slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * h)
            # Fourth-order differences in long double: truncation of about h^4 = 1e-16 of the fifth derivative.
            assert float(gradient[index]) == pytest.approx(float(slope), rel=1e-11, abs=1e-11)


def test_the_two_problems_differ_by_twice_the_prior() -> None:
    minus, plus = (problems.available()[name] for name in NAMES)
    inputs = minus.draw("small", 3)
    values = [p.objective(*inputs.arrays, xp=np, **{**inputs.static, "sign": s}) for p, s in ((minus, -1), (plus, 1))]
    assert plus.draw("small", 3).static["sign"] == 1
    alphas, _, factors = inputs.differentiated
    # gamma 1, m 0, d 2: n' = 3 and Gamma_2(3/2) = sqrt(pi) Gamma(3/2) Gamma(1) = pi / 2.
    squares = np.sum(np.exp(2 * factors[:, :2])) + np.sum(factors[:, 2:] ** 2)
    prior = 0.5 * squares - len(alphas) * (6 * math.log(1 / math.sqrt(2)) - math.log(math.pi / 2))
    assert float(values[1] - values[0]) == pytest.approx(2 * prior, rel=1e-12)


def test_far_points_do_not_underflow() -> None:
    # Every density is exp(-1e6 / 2) or less: the formula without a shift gives log 0.
    inputs = drawn("gmm", 2, 3, 4)
    far = Inputs(inputs.differentiated, (inputs.data[0] + 1e3, inputs.data[1]), inputs.static)
    problem = problems.available()["gmm"]
    assert np.isfinite(problem.objective(*far.arrays, xp=np, **far.static))
    assert all(np.isfinite(g).all() for g in problem.reference[Operator.GRADIENT](*far.arrays, **far.static))
