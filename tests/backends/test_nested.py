"""Derivatives within derivatives: no perturbation is taken for another, in any pair of modes, to third order."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.interface import Unsupported
from autodiff_compare.problems import particle, saddle
from autodiff_compare.vocabulary import Operator
from tests.backends.test_loops import number, run
from tests.conftest import opened

SPECS = ("numpy", "numpy:compiled", "torch", "tensorflow", "tensorflow:eager", "jax", "autograd")
MODES = ("reverse", "forward")
PAIRS = list(itertools.product(MODES, MODES))
AT = 1.5


def confused(backend: Any, outer: str, inner: str) -> Any:
    """d/dx (x d/dy (x + y)): 1, and 2 where the perturbations mix (Siskind and Pearlmutter 2005)."""
    d = backend.derivative
    return lambda x: d(lambda x: x * d(lambda y: x + y, inner)(0.0 * x + 1.0), outer)(x)


def shared(backend: Any, outer: str, inner: str) -> Any:
    """d/dx (x d/dy (x^2 y) at y = x) = 3 x^2: the same variable at both levels."""
    d = backend.derivative
    return lambda x: d(lambda x: x * d(lambda y: x * x * y, inner)(x), outer)(x)


def quartic(backend: Any, outer: str, inner: str) -> Any:
    """d^2/dx^2 x^4 = 12 x^2."""
    d = backend.derivative
    return lambda x: d(d(lambda x: x * x * x * x, inner), outer)(x)


#: (function, operator) -> the value at 1.5.
CASES = {
    "confused value": (confused, Operator.VALUE, 1.0),
    "shared value": (shared, Operator.VALUE, 6.75),
    "shared gradient": (shared, Operator.GRADIENT, 9.0),
    "quartic value": (quartic, Operator.VALUE, 27.0),
    "quartic gradient": (quartic, Operator.GRADIENT, 36.0),
    "quartic jvp": (quartic, Operator.JVP, 36.0),
    "quartic hvp": (quartic, Operator.HVP, 24.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("outer", "inner"), PAIRS)
@pytest.mark.parametrize("spec", SPECS)
def test_perturbations_are_kept_apart(spec: str, outer: str, inner: str, case: str) -> None:
    backend = opened(spec)
    build, operator, expected = CASES[case]
    np.testing.assert_allclose(run(backend, operator, build(backend, outer, inner), AT, 0.7), expected, rtol=1e-13)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_derivative_is_shaped_like_its_argument(spec: str, mode: str, dtype: str) -> None:
    backend = opened(spec)
    x = np.array([[0.5, 2.0, 1.0], [3.0, 0.25, 4.0]], dtype)

    def f(x: Any) -> Any:
        return backend.derivative(lambda y: backend.xp.sum(1.0 / y), mode)(x)

    args = [backend.to_var(x)]
    found = number(backend, backend.prepare(Operator.VALUE, f, args)(*args))
    assert (found.shape, found.dtype) == (x.shape, dtype)
    np.testing.assert_allclose(found, -1 / x**2, rtol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
@pytest.mark.parametrize("spec", SPECS)
def test_a_value_comes_with_its_derivative(spec: str, outer: str, inner: str) -> None:
    """Of x (y^3 + its slope) at y = x, at both levels."""
    backend = opened(spec)
    both = backend.value_and_derivative

    def f(x: Any) -> Any:
        value, slope = both(lambda x: x * sum(both(lambda y: y * y * y, inner)(x)), outer)(x)
        return backend.xp.stack([value, slope])

    # x (x^3 + 3 x^2) = x^4 + 3 x^3, whose slope is 4 x^3 + 9 x^2.
    args = [backend.to_var(np.array(0.7))]
    found = number(backend, backend.prepare(Operator.VALUE, f, args)(backend.to_var(np.array(AT))))
    np.testing.assert_allclose(found, [AT**4 + 3 * AT**3, 4 * AT**3 + 9 * AT**2], rtol=1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", ["numpy", "torch", "tensorflow:eager", "jax", "autograd"])
def test_a_float32_scalar_stays_float32(spec: str, mode: str) -> None:
    backend = opened(spec)
    found = run(backend, Operator.VALUE, lambda x: backend.derivative(lambda y: 2.0 / y, mode)(x), 2.0, 3.0, "float32")
    assert found.dtype == np.float32
    assert found == -0.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", ["numpy", "torch", "tensorflow:eager", "jax", "autograd"])
def test_what_does_not_depend_on_the_argument_has_the_derivative_zero(spec: str, mode: str) -> None:
    backend = opened(spec)
    found = run(backend, Operator.VALUE, lambda x: backend.derivative(lambda y: x + 0.0 * y, mode)(x), 2.0, 3.0)
    assert found == 0.0


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_a_difference_of_differences_is_a_second_derivative(outer: str, inner: str) -> None:
    backend = opened("finite_difference")
    found = run(backend, Operator.VALUE, quartic(backend, outer, inner), AT, AT)
    np.testing.assert_allclose(found, 27.0, rtol=1e-8)


def test_torch_compiles_reverse_within_reverse() -> None:
    backend = opened("torch:compile")
    found = run(backend, Operator.VALUE, shared(backend, "reverse", "reverse"), AT, 0.7)
    np.testing.assert_allclose(found, 6.75, rtol=1e-13)


def cubes(torch: Any) -> Any:
    """x^3 with rules for both modes and none for vmap."""

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, t):
            return 3 * ctx.saved_tensors[0] ** 2 * t

    return Cube.apply


@pytest.mark.parametrize("batches", [True, False])
def test_torch_takes_all_forward_slopes_at_once_unless_the_function_cannot_be_batched(batches: bool) -> None:
    backend, calls, x = opened("torch"), 0, np.array([0.5, -1.2, 0.8])
    xp, cube = backend.xp, (lambda x: x**3) if batches else cubes(backend.idiom_scope()["torch"])

    def f(x):
        nonlocal calls
        calls += 1
        # |x|^2 = 2.33 is below 9 and |2 x|^2 = 9.32 is not: doubled once.
        return xp.sum(cube(backend.while_loop(lambda y: xp.sum(y * y) < 9.0, lambda y: 2.0 * y, x, 9)))

    both = backend.value_and_derivative(f, "forward")
    for expected in (1, 1) if batches else (1 + 3, 3):
        calls = 0
        value, slope = both(backend.to_var(x))
        assert calls == expected
        np.testing.assert_allclose(backend.to_numpy(value), np.sum((2 * x) ** 3), rtol=1e-14)
        np.testing.assert_allclose(backend.to_numpy(slope), 24 * x**2, rtol=1e-14)


@pytest.mark.parametrize("operator", [Operator.VALUE, Operator.JVP])
def test_torch_does_not_compile_forward_within_forward(operator: Operator) -> None:
    backend = opened("torch:compile")
    outer = "forward" if operator is Operator.VALUE else "reverse"
    with pytest.raises(Unsupported, match="forward mode within forward mode"):
        run(backend, operator, quartic(backend, outer, "forward"), AT, 0.7)
    derivative = backend.derivative(lambda x: x * x, "forward")
    assert number(backend, derivative(backend.to_var(np.array(3.0)))) == 6.0


def test_manual_says_that_it_differentiates_nothing() -> None:
    backend = opened("manual")
    with pytest.raises(Unsupported, match="differentiates nothing"):
        run(backend, Operator.VALUE, lambda x: backend.derivative(lambda y: y * y)(x), AT, AT)


@pytest.mark.parametrize("problem", saddle.PROBLEMS, ids=lambda p: p.name)
def test_the_saddle_is_the_published_one(problem: Any) -> None:
    """GradBench expects 8.246324826140356e-06 of each coordinate, whatever the modes."""
    backend = opened("jax")
    static = problem.inputs(np.random.default_rng(0), problem.sizes["medium"]).static
    start = backend.to_var(np.ones(2))
    found = number(backend, backend.prepare(Operator.VALUE, problem.function(backend, static), [start])(start))
    np.testing.assert_allclose(found, np.full((2, 2), 8.246324826140356e-06), rtol=1e-14)


@pytest.mark.parametrize("name", ["particle_rr", "particle_ff"])
def test_the_particle_is_steered_as_published(name: str) -> None:
    """GradBench expects .2071918746486116 for the control, from w = 0 with steps of 0.1."""
    backend = opened("jax")
    problem = next(p for p in particle.PROBLEMS if p.name == name)
    static = problem.inputs(np.random.default_rng(0), problem.sizes["medium"]).static
    start = backend.to_var(np.zeros(()))
    found = number(backend, backend.prepare(Operator.VALUE, problem.function(backend, static), [start])(start))
    np.testing.assert_allclose(found, 0.2071918746486116, rtol=1e-13)
    by_hand = problem.reference[Operator.VALUE](np.zeros(()), **static)
    np.testing.assert_allclose(by_hand, 0.2071918746486116, rtol=1e-13)
