"""The bounded while loop of every backend: its value, its derivatives, its limit, and the cost of tracing a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.interface import Unsupported
from autodiff_compare.problems import ode, saddle
from autodiff_compare.vocabulary import Operator
from tests.conftest import opened

SPECS = ("numpy", "numpy:compiled", "torch", "tensorflow", "tensorflow:eager", "jax", "jax:eager", "autograd")
#: The loop is prepared at a point with another number of rounds than the point where it is used.
PREPARED_AT, AT, ROUNDS = 1.9, 1.5, 12
#: x^12, the first power of 1.5 that reaches 100, and its derivatives.
EXPECTED = {
    Operator.VALUE: AT**ROUNDS,
    Operator.GRADIENT: ROUNDS * AT ** (ROUNDS - 1),
    Operator.JVP: ROUNDS * AT ** (ROUNDS - 1),
    Operator.HVP: ROUNDS * (ROUNDS - 1) * AT ** (ROUNDS - 2),
}


def power(backend: Any, limit: int = 40) -> Any:
    """Return the first power of x that is not below 100, by a state of an array and a count."""

    def f(x: Any) -> Any:
        state = (x, backend.xp.zeros_like(x))
        return backend.while_loop(lambda s: s[0] < 100.0, lambda s: (s[0] * x, s[1] + 1.0), state, limit)[0]

    return f


def number(backend: Any, found: Any) -> Any:
    while isinstance(found, tuple):
        (found,) = found
    return backend.to_numpy(found)


def run(backend: Any, operator: Operator, f: Any, at: float, prepared_at: float, dtype: str = "float64") -> Any:
    def var(value: float) -> Any:
        return backend.to_var(np.array(value, dtype))

    directions = [var(1.0)] if operator in (Operator.JVP, Operator.HVP) else []
    call = backend.prepare(operator, f, [var(prepared_at)], directions=directions)
    return number(backend, backend.block(call(var(at), *directions)))


@pytest.mark.parametrize("operator", EXPECTED)
@pytest.mark.parametrize("spec", SPECS)
def test_a_loop_goes_on_as_the_data_say(spec: str, operator: Operator) -> None:
    backend = opened(spec)
    found = run(backend, operator, power(backend), AT, PREPARED_AT)
    np.testing.assert_allclose(found, EXPECTED[operator], rtol=1e-13)


@pytest.mark.parametrize("spec", ["tensorflow:xla", "finite_difference"])
def test_a_loop_has_a_gradient(spec: str) -> None:
    backend = opened(spec)
    found = run(backend, Operator.GRADIENT, power(backend), AT, PREPARED_AT)
    np.testing.assert_allclose(found, EXPECTED[Operator.GRADIENT], rtol=1e-9)


@pytest.mark.parametrize("spec", ["numpy", "torch", "tensorflow", "jax", "autograd"])
def test_a_loop_keeps_float32(spec: str) -> None:
    backend = opened(spec)
    found = run(backend, Operator.GRADIENT, power(backend), AT, PREPARED_AT, "float32")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, EXPECTED[Operator.GRADIENT], rtol=1e-5)


@pytest.mark.parametrize(("limit", "value", "slope"), [(0, 1.5, 1.0), (3, 1.5**4, 4 * 1.5**3), (17, 1.5**12, None)])
@pytest.mark.parametrize("spec", ["numpy", "torch", "tensorflow:eager", "jax"])
def test_a_loop_ends_at_its_limit(spec: str, limit: int, value: float, slope: float | None) -> None:
    backend = opened(spec)
    f = power(backend, limit)
    np.testing.assert_allclose(run(backend, Operator.VALUE, f, AT, AT), value, rtol=1e-14)
    if slope is not None:
        np.testing.assert_allclose(run(backend, Operator.GRADIENT, f, AT, AT), slope, rtol=1e-14)


@pytest.mark.parametrize("spec", SPECS)
def test_a_loop_may_make_no_round_and_have_a_bare_state(spec: str) -> None:
    backend = opened(spec)

    def f(x: Any) -> Any:
        return backend.while_loop(lambda y: y < 100.0, lambda y: y * y, x, 10)

    assert run(backend, Operator.VALUE, f, 200.0, 3.0) == 200.0
    assert run(backend, Operator.GRADIENT, f, 200.0, 3.0) == 1.0


@pytest.mark.parametrize("spec", ["tensorflow:xla", "jax"])
def test_rounds_that_are_not_made_leave_no_nan(spec: str) -> None:
    backend = opened(spec)

    def f(x: Any) -> Any:  # 1, 3/4, 1/2, 1/4, 0 times x: one round more would divide by zero
        return backend.while_loop(lambda y: y > 0.125, lambda y: y - 0.25 * x * y / y, x, 300)

    assert run(backend, Operator.VALUE, f, 1.0, 0.5) == 0.0
    assert run(backend, Operator.GRADIENT, f, 1.0, 0.5) == 0.0


def test_what_cannot_record_a_loop_says_so() -> None:
    backend = opened("torch:compile")
    with pytest.raises(Unsupported, match=r"torch\.func"):
        run(backend, Operator.GRADIENT, power(backend), AT, AT)
    start = backend.to_var(np.ones(2))
    objective = saddle.PROBLEMS[0].function(backend, {"outer": "reverse", "inner": "reverse", "rounds": 6})
    with pytest.raises(Unsupported, match=r"torch\.func"):
        backend.prepare(Operator.VALUE, objective, [start])


def test_torch_does_not_compile_a_scan_of_a_thousand_rounds() -> None:
    backend = opened("torch:compile")
    args = [backend.to_var(np.full(24, 0.5)), backend.to_var(np.full(1000, 0.002))]
    with pytest.raises(Unsupported, match="unrolls a scan, here of 1000 rounds"):
        backend.prepare(Operator.GRADIENT, ode.PROBLEMS[0].function(backend, {}), args)


@pytest.mark.parametrize("spec", ["tensorflow", "jax"])
def test_tracing_a_scan_does_not_grow_with_its_length(spec: str) -> None:
    """The step is traced equally often for a gradient of 10 and of 1000 rounds."""
    backend = opened(spec)

    def traces(steps: int) -> int:
        count = 0

        def step(y: Any, h: Any) -> tuple[Any, None]:
            nonlocal count
            count += 1
            return y + h * y * y, None

        def f(x: Any, hs: Any) -> Any:
            return backend.scan(step, x, hs)[0]

        args = [backend.to_var(np.array(0.5)), backend.to_var(np.full(steps, 1.0 / steps))]
        call = backend.prepare(Operator.GRADIENT, f, args)
        np.testing.assert_allclose(number(backend, call(*args)), 4.0, rtol=0.3)  # x / (1 - x), whose slope is 4
        return count

    assert traces(10) == traces(1000) < 10


def test_the_chain_of_equations_has_its_exact_solution() -> None:
    """y_{n-1}(2) = prod x 2^n / n!, from which Runge-Kutta with 1000 steps is 1e-9 away."""
    x = np.random.default_rng(0).random(6)
    steps = np.full(1000, 2.0 / 1000)
    exact = np.prod(x) * 2**6 / 720
    for problem in ode.PROBLEMS:
        value = problem.function(opened("numpy"), {})(x, steps)
        np.testing.assert_allclose(value, exact, rtol=1e-9)
        np.testing.assert_allclose(problem.reference[Operator.VALUE](x, steps), value, rtol=1e-13)


def test_the_gradient_of_the_chain_is_right_where_an_input_is_zero() -> None:
    x, steps = np.array([0.5, 0.0, 0.25]), np.full(4, 0.5)
    gradient = ode.PROBLEMS[0].reference[Operator.GRADIENT](x, steps)
    assert gradient[0] == gradient[2] == 0.0
    np.testing.assert_allclose(gradient[1], 0.125 * 2**3 / 6, rtol=1e-12)  # n <= 4: every step has all the powers
