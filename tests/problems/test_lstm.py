"""The LSTM: objective and gradient against a formula by loops, for several shapes and both forms of the loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import PLAIN
from autodiff_compare.vocabulary import Operator

LOOP, UNROLLED = (problems.available()[name] for name in ("lstm", "lstm_unrolled"))
SHAPES = [(1, 2, 1), (2, 5, 3), (3, 4, 2)]


def drawn(layers: int, characters: int, b: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(layers + 10 * characters)
    shapes = ((2 * layers, 4 * b), (3, b), (2 * layers, b), (characters, b))
    return tuple(rng.normal(size=shape) for shape in shapes)


def by_loops(main: Any, extra: Any, state: Any, text: Any) -> float:
    """Return ADBench's formulas (Srajer et al. 2018, section 4.4), evaluated number by number."""
    b, layers = len(extra[0]), len(state) // 2
    hidden, cell = [list(state[2 * i]) for i in range(layers)], [list(state[2 * i + 1]) for i in range(layers)]

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    total = 0.0
    for t in range(len(text) - 1):
        x = [text[t][j] * extra[0][j] for j in range(b)]
        for i in range(layers):
            w, bias, h, c = main[2 * i], main[2 * i + 1], hidden[i], cell[i]
            for j in range(b):
                forget = sigmoid(x[j] * w[j] + bias[j])
                ingate = sigmoid(h[j] * w[b + j] + bias[b + j])
                outgate = sigmoid(x[j] * w[2 * b + j] + bias[2 * b + j])
                change = math.tanh(h[j] * w[3 * b + j] + bias[3 * b + j])
                c[j] = c[j] * forget + ingate * change
                h[j] = outgate * math.tanh(c[j])
            x = h
        y = [x[j] * extra[1][j] + extra[2][j] for j in range(b)]
        norm = math.log(2 + math.fsum(map(math.exp, y)))
        total += math.fsum(text[t + 1][j] * (y[j] - norm) for j in range(b))
    return -total / ((len(text) - 1) * b)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("problem", [LOOP, UNROLLED], ids=lambda p: p.name)
def test_the_objective_equals_the_formula_by_loops(problem: problems.Problem, shape: tuple[int, int, int]) -> None:
    arrays = drawn(*shape)
    found = problem.function(PLAIN, {})(*arrays)
    assert found.shape == ()
    assert float(found) == pytest.approx(by_loops(*arrays), rel=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_agrees_with_differences_in_every_entry(shape: tuple[int, int, int]) -> None:
    main, extra, *data = (a.astype(np.longdouble) for a in drawn(*shape))
    f, h = LOOP.function(PLAIN, {}), np.longdouble(1e-4)
    for x, gradient in zip((main, extra), LOOP.reference[Operator.GRADIENT](main, extra, *data), strict=True):
        assert gradient.dtype == np.longdouble
        for index in np.ndindex(x.shape):
            here, values = x[index], []
            for step in (-2, -1, 1, 2):
                x[index] = here + step * h
                values.append(f(main, extra, *data))
            x[index] = here
            slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * h)
            # Fourth-order differences in long double: truncation of about h^4 = 1e-16 of the fifth derivative.
            assert float(gradient[index]) == pytest.approx(float(slope), rel=1e-11, abs=1e-14)


def test_saturated_gates_do_not_overflow() -> None:
    main, extra, state, text = drawn(2, 4, 3)
    # With arguments of -1e4 a sigmoid written as 1 / (1 + exp(-z)) has an infinite denominator and the derivative nan.
    assert np.isfinite(LOOP.function(PLAIN, {})(main * 1e4, extra, state, text))


@pytest.mark.parametrize(("size", "layers"), [("small", 2), ("medium", 2), ("large", 4)])
def test_the_sizes_are_those_of_the_public_instances(size: str, layers: int) -> None:
    inputs = LOOP.draw(size, 0)
    assert [a.shape for a in inputs.arrays] == [(2 * layers, 56), (3, 14), (2 * layers, 14), (LOOP.sizes[size], 14)]
    assert set(np.unique(inputs.data[1])) == {0.0, 1.0}
