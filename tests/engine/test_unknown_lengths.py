"""Compiled loops whose length depends on data: compiled for the rounds that are taken, and again for other ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.loops import python_while
from autodiff_compare.backends.numpy_autodiff import loops
from autodiff_compare.backends.numpy_autodiff.compiler import CompileError, compile, goes_on, graph

MADE: dict[str, Callable[..., Any]] = {
    "straight-line": compile,
    "loops": lambda *args, **kwargs: loops.compile(*args, **kwargs, build="python"),
}


def doubled(x: Any, y: Any = 2.0) -> Any:
    """Return the first of x, x y, x y^2, ... that is not below 100."""
    return python_while(lambda z: goes_on(z < 100.0), lambda z: y * z, x, 50)


def rounds(x: float) -> int:
    return max(0, int(np.ceil(np.log2(100 / x))))


@pytest.mark.parametrize("way", MADE)
def test_other_rounds_are_compiled_when_they_are_met(way: str) -> None:
    made = MADE[way](doubled, np.float64(3.0))
    lengths = set()
    for x in (3.0, 5.0, 0.2, 3.0, 120.0, 100.0, 1.0):
        n = rounds(x)
        lengths.add(n)
        # x 2^n by exact products.
        assert tuple(map(float, made(np.float64(x)))) == (x * 2**n, 2**n)
    assert made.traces == len(lengths | {rounds(3.0)})
    assert made.guarded
    assert made.fallbacks == []


@pytest.mark.parametrize("operator", ["value", "gradient", "jvp", "hvp", "hessian"])
def test_every_operator_goes_through_the_rounds(operator: str) -> None:
    # The product of x with itself until 100 is reached: x^n, n = 5 for x = 2.6 and 12 for x = 1.5.
    def power(x: Any) -> Any:
        return python_while(lambda z: goes_on(z < 100.0), lambda z: z * x, x, 50)

    directions = [np.float64(1.0)] * (operator in ("jvp", "hvp"))
    made = compile(power, np.float64(2.6), *directions, operator=operator)
    order = {"value": 0, "gradient": 1, "jvp": 1, "hvp": 2, "hessian": 2}[operator]
    for x, n in ((1.5, 12), (2.6, 5), (1.5, 12)):
        expected = np.prod(np.arange(n - order + 1, n + 1)) * x ** (n - order)
        np.testing.assert_allclose(made(np.float64(x), *directions), expected, rtol=1e-13)


def test_what_was_right_last_is_tried_first() -> None:
    made = compile(doubled, np.float64(3.0))
    before = made.entry
    made(np.float64(50.0))
    made(np.float64(50.0))
    assert made.entry is not before
    assert float(made.entry(np.float64(51.0))[0]) == 102.0
    made(np.float64(3.0))
    assert made.traces == 2


@pytest.mark.parametrize("way", MADE)
def test_a_loop_that_is_too_long_to_compile_is_recorded_at_each_call(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_MOST_LOOPED", 12)
    made = MADE[way](doubled, np.float64(0.001), 2)
    assert len(made.fallbacks) == 1
    assert made.source.startswith("# Recorded at each call: got a loop whose length depends on data")
    for x, y, n in ((0.001, 2, 17), (0.002, 2, 16), (5.0, 3, 3)):
        assert [float(v) for v in made(np.float64(x), y)] == pytest.approx([x * y**n, y**n], rel=1e-14)


def test_a_recorded_loop_keeps_its_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_MOST_LOOPED", 12)
    factors = np.array([2, 3])
    made = compile(lambda x, y: doubled(x, y[0]), np.float64(0.001), factors, operator="value")
    factors[0] = 3
    # 0.001 2^17 and 0.001 3^11 are the first that are not below 100.
    assert float(made(np.float64(0.001), np.array([2, 3]))) == pytest.approx(131.072)
    assert float(made(np.float64(0.001), factors)) == pytest.approx(177.147)


def test_a_branch_of_the_user_is_still_refused() -> None:
    with pytest.raises(CompileError, match="truth of a traced value"):
        compile(lambda x: python_while(lambda z: z < 100.0, lambda z: 2 * z, x, 50), np.float64(3.0))
