"""Every problem of the suite by fused loops, run as Python, against the engine; a few as machine code."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import load
from autodiff_compare.backends.interface import Objective
from autodiff_compare.backends.numpy_autodiff import grad
from autodiff_compare.vocabulary import DTYPES, Operator
from tests.engine.compiled import assert_equal, tree
from tests.engine.test_compiled_problems import PLAIN

#: Problems invert and normalise: two orders of summation differ by more than their own rounding.
_ROUNDING = 4096.0
#: Operators that are tried in single precision too.
_FIRST = (Operator.VALUE_AND_GRADIENT, Operator.VJP)
#: One operator of each kind: the others are made of the same operations.
_OPERATORS = (Operator.VALUE_AND_GRADIENT, Operator.VJP, Operator.JACOBIAN, Operator.HVP)


def computed(spec: str, problem: Any, operator: Operator, dtype: str, build: str = "") -> Any:
    backend: Any = load(spec)
    backend.build = build
    backend.open()
    inputs = problem.inputs(np.random.default_rng(7), problem.sizes["small"])
    args = [backend.to_var(a, dtype=dtype if a.dtype.kind == "f" else None) for a in inputs.arrays]
    argnums = tuple(range(len(inputs.differentiated)))
    f = Objective(problem.function(backend, inputs.static))
    rng = np.random.default_rng(8)
    like = {
        Operator.JVP: [args[i] for i in argnums],
        Operator.HVP: [args[i] for i in argnums],
        Operator.VJP: [f(*args)],
    }
    directions = [rng.standard_normal(np.shape(x)).astype(dtype) for x in like.get(operator, [])]
    elsewhere = [a * a.dtype.type(1.01) if i in argnums else a for i, a in enumerate(args)]
    run = backend.prepare(operator, f, elsewhere, argnums=argnums, directions=directions)
    return run(*args, *directions)


def _cells() -> Iterator[Any]:
    """Yield problems, operators and dtypes; of the suite field, one operator of each, for `make test-rest`."""
    for name, problem in problems.available().items():
        operators = [o for o in _OPERATORS if o in problem.operators and name in PLAIN]
        if "field" in problem.suites:
            yield pytest.param(name, operators[0], "float64", marks=pytest.mark.thorough)
            continue
        for operator in operators:
            yield from ((name, operator, dtype) for dtype in DTYPES[: 2 if operator in _FIRST else 1])


@pytest.mark.parametrize(("name", "operator", "dtype"), list(_cells()))
def test_every_problem_by_loops(name: str, operator: Operator, dtype: str) -> None:
    (problem,) = problems.load(name)
    expected = computed("numpy", problem, operator, dtype)
    assert_equal(tree(computed("numpy:numba", problem, operator, dtype, "python")), tree(expected), rounding=_ROUNDING)


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is an extra")
@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("rosenbrock", Operator.HVP),
        ("engine_perceptron", Operator.VALUE_AND_GRADIENT),
        ("ode", Operator.JVP),
        ("gmm", Operator.GRADIENT),
    ],
)
def test_problems_as_machine_code(name: str, operator: Operator) -> None:
    (problem,) = problems.load(name)
    for dtype in ("float64", "float32"):
        expected = computed("numpy", problem, operator, dtype)
        got = computed("numpy:numba", problem, operator, dtype, "compiled")
        assert_equal(tree(got), tree(expected), rounding=_ROUNDING)


def test_what_is_too_long_is_counted_by_the_backend() -> None:
    def f(x: Any) -> Any:
        return np.sum(x * np.linalg.solve(np.eye(3) + np.outer(x, x), x))

    backend: Any = load("numpy:numba")
    backend.build = "python"
    backend.open()
    for steps, fallbacks in ((1, 0), (12, 1), (1, 1), (12, 2)):

        def repeated(x: Any, steps: int = steps) -> Any:
            for _ in range(steps):
                x = x + 0.1 * f(x)
            return np.sum(x)

        run = backend.prepare(Operator.GRADIENT, repeated, [np.ones(3)])
        np.testing.assert_allclose(run(np.ones(3) / 2)[0], grad(repeated)(np.ones(3) / 2), rtol=1e-12)
        assert backend.fallbacks() == fallbacks
