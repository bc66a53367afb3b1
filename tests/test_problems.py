"""Every problem: it runs under the array API standard, and its closed forms agree with numerical differences."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

from problems import Inputs, Problem, available
from problems.closed_forms import complete
from vocabulary import Operator

PROBLEMS = list(available().values())
every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)


def drawn(problem: Problem, seed: int = 0) -> Inputs:
    return problem.inputs(np.random.default_rng(seed), problem.sizes["small"])


def slope(f: Any, inputs: Inputs, tangents: list[Any], h: float = 1e-3) -> Any:
    """Central differences of order six along ``tangents``, in long double."""

    def at(k: int) -> Any:
        moved = [x.astype(np.longdouble) + k * h * t for x, t in zip(inputs.differentiated, tangents, strict=True)]
        return f(*moved, *inputs.data)

    return sum(c * (at(k) - at(-k)) for k, c in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))) / h


def relative(a: Any, b: Any) -> float:
    return float(np.linalg.norm(np.ravel(a - b).astype(float)) / np.linalg.norm(np.ravel(b).astype(float)))


@every_problem
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_objective_uses_only_the_standard_and_keeps_the_dtype(problem: Problem, dtype: str) -> None:
    inputs, xp = drawn(problem), array_api_strict
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in inputs.arrays]
    out = problem.objective(*map(xp.asarray, arrays), xp=xp, **inputs.static)
    assert out.dtype == getattr(xp, dtype)
    plain = complete(problem, inputs)[Operator.VALUE](*inputs.arrays)
    assert relative(np.asarray(out), plain) < 100 * np.finfo(dtype).eps


@every_problem
def test_first_derivatives_agree_with_sixth_order_differences(problem: Problem) -> None:
    inputs, rng = drawn(problem), np.random.default_rng(1)
    tangents = [rng.uniform(0.5, 1.5, x.shape) for x in inputs.differentiated]
    jvp = complete(problem, inputs)[Operator.JVP](*inputs.arrays, *tangents)
    difference = slope(lambda *a: problem.objective(*a, xp=np, **inputs.static), inputs, tangents)
    # Truncation of order h^6 f^(7); the steps of 1e-3 cross no kink at this seed.
    assert relative(jvp, difference) < 1e-11
    assert np.any(jvp)


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if Operator.HESSIAN in p.reference], ids=lambda p: p.name)
def test_second_derivatives_agree_with_sixth_order_differences(problem: Problem) -> None:
    inputs, rng, forms = drawn(problem), np.random.default_rng(2), complete(problem, drawn(problem))
    tangents = [rng.uniform(0.5, 1.5, x.shape) for x in inputs.differentiated]
    for k, product in enumerate(forms[Operator.HVP](*inputs.arrays, *tangents)):
        difference = slope(lambda *a, k=k: forms[Operator.GRADIENT](*a)[k], inputs, tangents)
        assert relative(product, difference) < 1e-11


@every_problem
def test_inputs_follow_the_seed(problem: Problem) -> None:
    first, again, other = drawn(problem, 3), drawn(problem, 3), drawn(problem, 4)
    assert all(np.array_equal(a, b) for a, b in zip(first.arrays, again.arrays, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first.differentiated, other.differentiated, strict=True))
    assert all(a.dtype == np.float64 for a in first.differentiated)


# J_xz at (1.5, -0.5): classic_goldens.json, chain_rule. Gradients at (1, 1): ibid., test_functions.
@pytest.mark.parametrize(
    ("name", "point", "operator", "expected"),
    [
        ("chain_rule", ([1.5, -0.5],), "jacobian", [[[2.5, 2.5], [21.288023084105806, 4.4816890703380645]]]),
        ("sphere", ([1.0], [1.0]), "gradient", [[2.0], [2.0]]),
        ("matyas", ([1.0], [1.0]), "gradient", [[0.04], [0.04]]),
        ("goldstein_price", ([1.0], [1.0]), "gradient", [[-5376.0], [8064.0]]),
    ],
)
def test_goldens(name: str, point: Any, operator: str, expected: Any) -> None:
    inputs = Inputs(tuple(map(np.array, point)))
    found = complete(available()[name], inputs)[Operator(operator)](*inputs.arrays)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
