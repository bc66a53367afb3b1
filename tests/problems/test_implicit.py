"""Solutions of equations: exact derivatives by mpmath, and what each way of differentiating them loses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.plan.cases import build_case, leaves
from autodiff_compare.problems import Inputs
from autodiff_compare.vocabulary import Operator
from tests.conftest import opened

NAMES = ("kepler", "ridge", "sinkhorn", "two_levels")
TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-9, 1e-12)


def _kepler(inputs: Inputs) -> Any:
    """dE/dM = 1 / (1 - e cos E), dE/de = sin E / (1 - e cos E), with E from a root finder of 40 digits."""
    columns = []
    for e, M in zip(*inputs.differentiated, strict=True):
        E = mpmath.findroot(lambda E, e=e, M=M: E - mpmath.mpf(e) * mpmath.sin(E) - mpmath.mpf(M), M)
        columns.append((mpmath.sin(E) / (1 - e * mpmath.cos(E)), 1 / (1 - e * mpmath.cos(E))))
    return [np.diag([float(c[k]) for c in columns]) for k in range(2)]


def _ridge(inputs: Inputs) -> Any:
    """-H^-1 w and H^-1 A' with H = A'A + r, w = H^-1 A'y."""
    (r, y), A = inputs.differentiated, mpmath.matrix(inputs.data[0].tolist())
    H = A.T * A + mpmath.mpf(float(r)) * mpmath.eye(A.cols)
    inverse = mpmath.inverse(H)
    w = inverse * (A.T * mpmath.matrix(y.tolist()))
    found = [-inverse * w, inverse * A.T]
    return [np.array(m.tolist(), dtype=float).reshape(s) for m, s in zip(found, ((3,), (3, 8)), strict=True)]


def _slopes(f: Callable[[Any], Any], x: Any) -> Any:
    """Central differences with 40 digits: their error of h^2 = 1e-26 is below every tolerance here."""
    h, found = mpmath.mpf("1e-13"), np.zeros(np.shape(x))
    for at in np.ndindex(np.shape(x)):
        moved = [np.array(x, dtype=object) * mpmath.mpf(1) for _ in range(2)]
        moved[0][at] += h
        moved[1][at] -= h
        found[at] = float((f(moved[0]) - f(moved[1])) / (2 * h))
    return found


def _sinkhorn(inputs: Inputs) -> Any:
    (C,), (a, b), t = inputs.differentiated, inputs.data, mpmath.mpf("0.5")
    exp = np.frompyfunc(mpmath.exp, 1, 1)

    def cost(C: Any) -> Any:
        K, v = exp(-C / t), np.full(b.shape, mpmath.mpf(1))
        for _ in range(150):
            u = a / (K @ v)
            v = b / (K.T @ u)
        return np.sum(u[:, None] * K * v * C)

    return [_slopes(cost, C)]


def _two_levels(inputs: Inputs) -> Any:
    (q,), (X, y, X2, y2) = inputs.differentiated, inputs.data
    exp, log = (np.frompyfunc(f, 1, 1) for f in (mpmath.exp, mpmath.log))

    def loss(q: Any) -> Any:
        w = np.full(3, mpmath.mpf(0))
        for _ in range(9):  # Newton's method: 1e-40 after seven steps
            s = 1 / (1 + exp(y * (X @ w)))
            H = mpmath.matrix(((X.T * (s * (1 - s))) @ X + np.diag(exp(q))).tolist())
            slope = mpmath.matrix((X.T @ (-y * s) + exp(q) * w).tolist())
            w = w - np.array(mpmath.lu_solve(H, slope).tolist(), dtype=object)[:, 0]
        return np.sum(log(1 + exp(-y2 * (X2 @ w)))) / len(y2)

    return [_slopes(loss, q)]


EXACT: dict[str, Callable[[Inputs], Any]] = {
    "kepler": _kepler,
    "ridge": _ridge,
    "sinkhorn": _sinkhorn,
    "two_levels": _two_levels,
}


@functools.cache
def exact(name: str) -> Any:
    """Return the Jacobian at the inputs of seed 0, which are the same at every size."""
    with mpmath.workdps(40):
        return EXACT[name](problems.available()[name].draw("small", 0))


def error(spec: str, name: str, size: str) -> float:
    """Return the relative error of the Jacobian against mpmath."""
    backend, problem = opened(spec), problems.available()[name]
    operator = Operator.JACOBIAN if Operator.JACOBIAN in problem.operators else Operator.GRADIENT
    case = build_case(problem, size, "float64", operator, 0)
    args = [backend.to_var(a) for a in case.inputs.arrays]
    function = problem.function(backend, case.inputs.static)
    run = backend.prepare(operator, function, args, argnums=range(len(case.inputs.differentiated)))
    found = [backend.to_numpy(leaf) for leaf in leaves(backend.block(run(*args)))]
    flat = [np.concatenate([np.ravel(leaf) for leaf in parts]) for parts in (found, exact(name))]
    return float(np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1]))


@pytest.mark.parametrize("spec", ["numpy", "torch"])
@pytest.mark.parametrize("name", NAMES)
def test_the_implicit_derivative_is_exact(name: str, spec: str) -> None:
    assert error(spec, name, "small") < 1e-14


@pytest.mark.parametrize("way", ["unrolled", "implicit", "one_step"])
@pytest.mark.parametrize("name", NAMES)
def test_the_error_follows_the_tolerance(name: str, way: str) -> None:
    """A step of length t leaves a solution within t rate / (1 - rate), and its derivative within a few times that.

    One step of a fixed point loses the factor 1 / (1 - rate) at every tolerance; one step of Newton's method nothing.
    """
    errors = [error("numpy", name, f"{way}-{t:.0e}".replace("e-0", "e-")) for t in TOLERANCES]
    if way == "one_step" and name in ("ridge", "sinkhorn"):
        assert min(errors) > 1e-3
    else:
        assert all(e <= 100 * t for e, t in zip(errors, TOLERANCES, strict=True)), errors


@pytest.mark.parametrize("solver", ["solve_root", "solve_fixed_point"])
@pytest.mark.parametrize(("way", "order"), [("implicit", 2), ("implicit", 3), ("unrolled", 2)])
@pytest.mark.parametrize("spec", ["numpy", "torch"])
def test_second_derivatives_are_exact(spec: str, way: str, order: int, solver: str) -> None:
    """Kepler's equation E - e sin E = M gives E_M = 1/c with c = 1 - e cos E, and so E_MM = -e sin E / c^3 and
    E_MMM = (3 e^2 sin^2 E / c - e cos E) / c^4.
    """
    backend, e, M = opened(spec), 0.3, 0.9

    def anomaly(m: Any) -> Any:
        if solver == "solve_root":
            found = backend.solve_root(lambda E, m: E - e * backend.xp.sin(E) - m, m, m, way=way, order=order)
        else:
            found = backend.solve_fixed_point(lambda E, m: m + e * backend.xp.sin(E), m, m, way=way, order=order)
        return backend.xp.sum(found)

    derivative: Callable[[Any], Any] = anomaly
    for _ in range(order):
        derivative = functools.partial(lambda f, m: backend.xp.sum(backend.derivative(f)(m)), derivative)
    got = float(backend.to_numpy(derivative(backend.to_var(np.array([M])))))
    E = float(mpmath.findroot(lambda E: E - e * mpmath.sin(E) - M, M))
    c = 1 - e * np.cos(E)
    second, third = -e * np.sin(E) / c**3, (3 * (e * np.sin(E)) ** 2 / c - e * np.cos(E)) / c**4
    assert got == pytest.approx(second if order == 2 else third, rel=1e-9)


def test_an_order_below_one_is_refused() -> None:
    backend = opened("numpy")
    with pytest.raises(ValueError, match="got order=0 of the derivatives of a solution"):
        backend.solve_root(lambda x, p: x - p, np.ones(2), np.ones(2), order=0)


def test_an_unknown_way_is_refused() -> None:
    backend = opened("numpy")
    with pytest.raises(ValueError, match="expected one of: unrolled, implicit, one_step"):
        backend.solve_root(lambda x, p: x - p, np.ones(2), np.ones(2), way="exact")
