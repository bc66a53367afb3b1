"""The compiled mode on random graphs, on vectors that are long enough for loops, and on arrays of any form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autodiff_compare.backends.numpy_autodiff import grad, vjp
from autodiff_compare.backends.numpy_autodiff.compiler import compile
from tests.engine.compiled import POINT, Function, arguments_of, assert_equal, eager, rosenbrock


@st.composite
def _graphs(draw: Any) -> list[tuple[str, int, int]]:
    names = st.sampled_from([*_UNARY, *_BINARY])
    return [(draw(names), draw(st.integers(0, 40)), draw(st.integers(0, 40))) for _ in range(draw(st.integers(1, 12)))]


_UNARY: dict[str, Function] = {
    "sin": np.sin,
    "tanh": np.tanh,
    "negative": lambda x: -x,
    "cube": lambda x: x**3,
    "total": lambda x: np.sum(x, axis=-1, keepdims=True),
    "reverse": lambda x: x[..., ::-1],
    "half": lambda x: 0.5 * x,
    "one": lambda x: 1.0 * x,
    "abs": np.abs,
}
_BINARY: dict[str, Function] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (1.0 + y * y),
    "where": lambda x, y: np.where(x > y, x, y * y),
    "maximum": np.maximum,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_graphs(), st.sampled_from(["value_and_gradient", "hvp"]), st.sampled_from([np.float32, np.float64]))
def test_any_graph(steps: list[tuple[str, int, int]], operator: str, dtype: Any) -> None:
    def f(x: Any) -> Any:
        made = [x, x[..., :1], x * 2]
        for name, i, j in steps:
            a, b = made[i % len(made)], made[j % len(made)]
            made.append(_UNARY[name](a) if name in _UNARY else _BINARY[name](a, b))
        return np.sum(np.tanh(made[-1])) + np.sum(np.tanh(made[-2]))

    x = (POINT / 2).reshape(2, 3).astype(dtype)
    given_ = arguments_of(f, operator, x)
    with np.errstate(all="ignore"):
        made = compile(f, *arguments_of(f, operator, x + dtype(0.25)), operator=operator)
        got, expected = made(*given_), eager(f, operator, given_)
    assert_equal(got, expected, rounding=4096.0)


def _standardised(x: Any) -> Any:
    centred = x - 0.5 * np.mean(x)
    z = centred / np.sqrt(np.mean(centred * centred))
    return np.sum((1.0 + np.tanh(z)) * np.exp(centred))


#: Of a long vector: sums that later operations need, two lengths, shifted slices, masks, matrices in between.
LONG: dict[str, Function] = {
    "rosenbrock": rosenbrock,
    "standardised": _standardised,
    "softmax": lambda x: np.log(np.sum(np.exp(x - np.max(x)))) - x[3],
    "differences": lambda x: np.sum((x[2:] - 2 * x[1:-1] + x[:-2]) ** 2),
    "two_lengths": lambda x: np.sum(np.sin(x[::2]) ** 2) * np.sum(np.cos(x) * x),
    "masks": lambda x: np.sum(np.where(x > 0, np.sqrt(np.abs(x)), x * x) * np.abs(x)),
    "matrix": lambda x: np.sum(np.tanh(np.reshape(x[:40_000], (200, 200)) @ x[:200]) * x[-200:]) + np.sum(x**3),
    "vector": lambda x: np.mean(np.cumsum(x * 1e-3) * np.sin(x)),
    "constants": lambda x: np.sum(x * np.linspace(0, 1, 40_001, dtype=x.dtype) + 1.0),
    "quotient": lambda x: np.sum(1.0 / (1.5 + x) + x / (2.0 + x * x)),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("operator", ["value_and_gradient", "jvp", "hvp"])
@pytest.mark.parametrize("name", LONG)
def test_loops_over_long_vectors(name: str, operator: str, dtype: Any) -> None:
    f, x = LONG[name], np.sin(np.arange(40_001.0)).astype(dtype)
    made = compile(f, *arguments_of(f, operator, x[::-1].copy()), operator=operator)
    got, expected = made(*arguments_of(f, operator, x)), eager(f, operator, arguments_of(f, operator, x))
    # Sums of 40 001 entries in another order: the bound of a sum is n eps, its usual error the root of that.
    assert_equal(got, expected, rounding=16 * 40_001**0.5)


def test_a_long_chain_is_one_loop() -> None:
    made = compile(rosenbrock, np.ones(40_001))
    assert made.source.count("for i in range(0, 40000, ") == 1
    assert "zeros(" not in made.source
    # Of a block, two residuals in three passes, their squares in two, slopes in four, the gradient in two; and `again`.
    assert len([line for line in made.source.splitlines() if line.startswith(" " * 8) and "(" in line]) == 12


def test_zeros_of_a_loop_are_as_if_added_to_zeros() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sin(x[2:]) * 3.0 + np.tan(x[1:-1]) * 5.0)

    zeros = np.full(40_002, -0.0)
    made = compile(lambda x, g: vjp(f, x)[1](g)[0], zeros, np.float64(0.5), operator="value")
    assert made.source.count("for i in range(0, 40000, ") == 1
    assert not np.signbit(made(zeros, np.float64(-0.0))).any()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_loops_keep_nan_inf_and_the_last_entries() -> None:
    for bad in (np.nan, np.inf, -0.0):
        for at in (0, 8191, 8192, 16_384, 39_999, 40_000):
            x = np.linspace(-1, 1, 40_001)
            x[at] = bad
            assert_equal(compile(rosenbrock, np.ones(40_001))(x), (rosenbrock(x), grad(rosenbrock)(x)), rounding=1e4)


#: Forms of a vector of six entries that are not plain: the compiled code must not care.
FORMS: dict[str, np.ndarray] = {
    "empty": np.ones(0),
    "one": np.array([0.7]),
    "strided": np.linspace(-1, 1, 12)[::2],
    "reversed": POINT[::-1],
    "broadcast": np.broadcast_to(np.float64(0.3), (6,)),
    "read_only": np.frombuffer(POINT.tobytes()),
    "swapped": POINT.astype(">f8"),
    "longdouble": POINT.astype(np.longdouble),
    "complex": POINT + 0.5j * POINT[::-1],
    "complex64": (POINT + 0.5j).astype(np.complex64),
    "matrix": np.asfortranarray(POINT.reshape(2, 3)),
    "long_strided": np.sin(np.arange(80_002.0))[::2],
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_array(form: str) -> None:
    x = FORMS[form]

    def f(x: Any) -> Any:
        y = np.sin(x) * x - 0.5 * x**3
        return np.sum(np.real(y * np.conj(y))) + np.mean(np.real(x)) if x.size else np.sum(np.real(y))

    for example in (x, np.ones_like(x)):
        made = compile(f, example, operator="value_and_gradient")
        assert_equal(made(x), (f(x), grad(f)(x)), rounding=4096.0)
        assert made.traces == 1
