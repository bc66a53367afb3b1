"""Loops that the compiler rolls: the same results as without, to the bit before other rewrites, and few lines."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autodiff_compare.backends.loops import python_scan
from autodiff_compare.backends.numpy_autodiff import grad
from autodiff_compare.backends.numpy_autodiff.array.namespace import xp
from autodiff_compare.backends.numpy_autodiff.compiler import ALL_REWRITES, Compiled, compile
from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, capture
from autodiff_compare.backends.numpy_autodiff.compiler.loop import GuardError, evaluate, needs
from autodiff_compare.backends.numpy_autodiff.compiler.rewrite import REWRITES, optimize
from autodiff_compare.backends.numpy_autodiff.compiler.roll import rolled
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from tests.engine.compiled import POINT, arguments_of, assert_equal, eager, tree

OPERATORS = ("value", "gradient", "value_and_gradient", "jvp", "vjp", "hvp")
_WEIGHTS = np.cos(np.arange(144.0)).reshape(12, 12) / 4
_TWELVE = np.concatenate([POINT, POINT[::-1]]) / 2


def _repeated(step: Callable[[Any, int], Any], n: int, x: Any) -> Any:
    for k in range(n):
        x = step(x, k)
    return np.sum(x)


def _fibonacci(x: Any) -> Any:
    a, b = x, np.sin(x)
    for _ in range(12):
        a, b = b, 0.5 * a + np.tanh(b)
    return np.sum(a * b)


def _third_before(x: Any) -> Any:
    made = [x, 2.0 * x, np.sin(x), x * x]
    for _ in range(16):
        made.append(np.tanh(made[-1] + 0.1 * made[-4]))
    return np.sum(made[-1]) + np.sum(made[7] * made[-2])


def _two_levels(x: Any) -> Any:
    for _ in range(6):
        y = x
        for _ in range(5):
            y = np.sin(y) * 1.1
        x = x + 0.1 * y
    return np.sum(x)


def _by_entries(x: Any) -> Any:
    total = 0.0
    for k in range(len(x) - 1):
        total = total + x[k] * np.sin(x[k + 1])
    return total


def _backwards(x: Any) -> Any:
    made = [x]
    for _ in range(9):
        made.append(np.sin(made[-1]) + 0.3)
    total = 0.0
    for y in reversed(made):
        total = total * 0.5 + np.sum(y * made[2])
    return total


def _scan(x: Any) -> Any:
    carry, ys = python_scan(
        xp, lambda c, h: (np.tanh(c * h + x), np.sum(c)), xp.zeros_like(x), np.linspace(0.1, 1, 12).astype(x.dtype)
    )
    return np.sum(carry) + np.sum(ys * ys)


def _from_the_first(x: Any) -> Any:
    first = np.exp(-x)
    y = first
    for _ in range(10):
        y = np.sin(y) + first * x
    return np.sum(y)


def _quotients(x: Any) -> Any:
    y = x
    for _ in range(8):
        y = y / (1.0 + y * y) + x / np.sqrt(1.0 + y * y)
    return np.sum(y)


def _matrices(x: Any) -> Any:
    h = x
    for k in range(8):
        h = np.tanh((_WEIGHTS + 0.01 * k).astype(x.dtype) @ h) + h
    return np.sum(h)


LOOPS: dict[str, Callable[[Any], Any]] = {
    "affine": partial(_repeated, lambda y, k: y * 1.25 + 0.5, 20),
    "affine, of a square": lambda x: _repeated(lambda y, k: y * 1.25 + 0.5, 20, x * x * x),
    "constants of each step": partial(_repeated, lambda y, k: np.sin(y) * (0.5 + k) + 0.25 * k * k, 12),
    "every second step": partial(_repeated, lambda y, k: np.cos(y) if k % 2 else y * y, 17),
    "slices": partial(_repeated, lambda y, k: y * 0.9 + np.concatenate([y[1:], y[:1]]), 11),
    "powers": partial(_repeated, lambda y, k: 0.1 * y**3 - y**2, 6),
    "two values back": _fibonacci,
    "four values back": _third_before,
    "a loop in a loop": _two_levels,
    "entries": _by_entries,
    "all values, backwards": _backwards,
    "scan with outputs": _scan,
    "the first value in each round": _from_the_first,
    "quotients, which are guarded": _quotients,
    "a constant matrix in each round": _matrices,
}
#: Steps of two arrays.
STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (2.0 + y * y),
    "where": lambda x, y: np.where(x > y, x, y * y),
    "maximum": np.maximum,
    "rotate": lambda x, y: np.concatenate([x[3:], y[:3]]),
    "total": lambda x, y: x - 0.1 * np.sum(y),
    "cube": lambda x, y: 0.1 * x**3 + y,
    "abs": lambda x, y: np.abs(x) - y,
}
#: In place of those that take a vector.
_OF_A_NUMBER: dict[str, Callable[[Any], Any]] = {
    "slices": partial(_repeated, lambda y, k: y * 0.9 + np.sin(y) / (1 + y * y), 11),
    "entries": lambda x: sum([x * np.sin(k * x) for k in range(1, 12)]),
    "a constant matrix in each round": partial(_repeated, lambda y, k: np.tanh((0.5 + 0.01 * k) * y) + y, 11),
}


def _captured(f: Any, operator: str, args: tuple[Any, ...]) -> tuple[Graph, list[Any]]:
    leaves, rebuild = flatten(args)
    return capture(Compiled(f, operator, 0, frozenset()).transformed, leaves, rebuild), leaves


def _loops(graph: Graph) -> list[Any]:
    """Return the bodies of all loops, also of those within others."""
    bodies = [op.kwargs["body"] for op in graph.ops if op.name == "loop"]
    return bodies + [inner for body in bodies for inner in _loops(body.graph)]


def _size(graph: Graph) -> int:
    return len(graph.ops) + sum(len(body.graph.ops) for body in _loops(graph))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_loop_computes_what_its_operations_did(name: str, operator: str, dtype: Any) -> None:
    point = arguments_of(LOOPS[name], operator, _TWELVE.astype(dtype))
    graph, _ = _captured(LOOPS[name], operator, point)
    short = rolled(graph, 1)
    assert _loops(short)
    # At another point, with the same operations in the same order: equal to the bit.
    elsewhere = tuple(x + x.dtype.type(0.125) for x in point)
    np.testing.assert_equal(evaluate(short, elsewhere), evaluate(graph, elsewhere))
    rewritten = graph.rebuild(evaluate(optimize(short, frozenset(REWRITES)), elsewhere))
    assert_equal(tree(rewritten), tree(eager(LOOPS[name], operator, elsewhere)), rounding=512.0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from([*STEPS]), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8),
    st.integers(4, 9),
    st.sampled_from(["value", "value_and_gradient", "jvp", "hvp"]),
)
def test_any_step(steps: list[tuple[str, int, int]], rounds: int, operator: str) -> None:
    def f(x: Any) -> Any:
        state = [x, np.cos(x)]
        seen = []
        for k in range(rounds):
            made = [*state, x * (1.0 + k)]
            for name, i, j in steps:
                made.append(STEPS[name](made[i % len(made)], made[j % len(made)]))
            state = [np.tanh(made[-1]), np.sin(made[len(made) // 2])]
            seen.append(state[k % 2])
        return np.sum(state[0]) + np.sum(state[1] * seen[rounds // 2]) + np.sum(seen[-3] * seen[0])

    given_ = arguments_of(f, operator, _TWELVE)
    with np.errstate(all="ignore"):
        graph, leaves = _captured(f, operator, given_)
        short = rolled(graph, 1)
        np.testing.assert_equal(evaluate(short, leaves), evaluate(graph, leaves))
        found = graph.rebuild(evaluate(optimize(short, frozenset(REWRITES)), leaves))
        assert_equal(tree(found), tree(eager(f, operator, given_)), rounding=2.0**14)


@pytest.mark.parametrize("operator", ["value_and_gradient", "hvp"])
@pytest.mark.parametrize("name", sorted(set(LOOPS) - {"affine"}))
@pytest.mark.parametrize("scalar", [False, True], ids=["array", "number"])
def test_its_source_computes_the_same(name: str, operator: str, scalar: bool, monkeypatch: Any) -> None:
    f: Any = LOOPS[name]
    if scalar:
        f = _OF_A_NUMBER.get(name, f)
    module = "autodiff_compare.backends.numpy_autodiff.compiler.compiled"
    monkeypatch.setattr(f"{module}._FEWEST_SAVED", 1)
    monkeypatch.setattr(f"{module}._LONG", 1)
    monkeypatch.setattr(f"{module}._LONG_OF_NUMBERS", 1)
    x: Any = np.float64(0.4) if scalar else _TWELVE
    example, elsewhere = arguments_of(f, operator, x), arguments_of(f, operator, x + 0.125)
    made = compile(f, *example, operator=operator)
    assert_equal(tree(made(*elsewhere)), tree(eager(f, operator, elsewhere)), rounding=512.0)
    # The derivative of an affine function needs no loop.
    assert "for " in made.source or (operator == "hvp" and name in ("affine, of a square", "slices"))
    assert made.traces == 1


def test_a_loop_of_200_rounds_is_as_short_as_one_of_ten() -> None:
    def size(n: int) -> int:
        f = partial(_repeated, lambda y, k: np.tanh(_WEIGHTS @ y) * 0.9 + 0.1 * np.sin(y), n)
        return _size(rolled(_captured(f, "hvp", (_TWELVE, _TWELVE))[0], 1))

    assert size(200) == size(10)


def test_what_a_result_does_not_need_is_left_out_of_the_rounds() -> None:
    def f(x: Any) -> Any:
        y, unused = x, x
        for _ in range(10):
            y, unused = np.sin(y), np.cos(unused) * y
        return np.sum(y)

    graph = optimize(rolled(_captured(f, "value", (POINT,))[0], 1), frozenset(REWRITES))
    (body,) = _loops(graph)
    assert [op.name for op in body.graph.ops] == ["sin"]
    assert body.carries == 1
    (loop,) = [op for op in graph.ops if op.name == "loop"]
    assert needs(loop, [1])[0] == [0, 1]


def test_what_does_not_change_is_computed_before_the_rounds() -> None:
    def f(x: Any) -> Any:
        y = x
        for _ in range(10):
            y = y + np.exp(np.sin(x)) * np.cos(y)
        return np.sum(y)

    graph = optimize(rolled(_captured(f, "value", (POINT,))[0], 1), frozenset(REWRITES))
    (body,) = _loops(graph)
    assert [op.name for op in graph.ops][:2] == ["sin", "exp"]
    assert sorted(op.name for op in body.graph.ops) == ["add", "cos", "multiply"]


def test_a_constant_derivative_is_folded() -> None:
    graph = optimize(rolled(_captured(LOOPS["affine"], "gradient", (POINT,))[0], 1), frozenset(REWRITES))
    assert graph.ops == []
    np.testing.assert_allclose(graph.outputs[0], np.full(6, 1.25**20), rtol=1e-14)


def test_a_guard_in_a_round_traces_again_where_it_fails() -> None:
    def f(x: Any) -> Any:
        y = x
        for _ in range(150):
            y = 0.5 * y + 1.0 / x
        return np.sum(y)

    made = compile(f, POINT)
    assert "for _ in range(" in made.source
    zero = np.where(np.arange(6) == 2, 0.0, POINT)
    with np.errstate(divide="ignore", invalid="ignore"):
        got, expected = made(zero), (f(zero), grad(f)(zero))
    assert made.traces == 2
    assert_equal(tree(got), tree(expected))


def test_a_guard_in_a_round_stops_the_interpreter() -> None:
    def f(x: Any) -> Any:
        y = x
        for _ in range(8):
            y = np.sin(y) / (y + x)
        return np.sum(y)

    graph, _ = _captured(f, "gradient", (np.full(3, 0.5),))
    short = rolled(graph, 1)
    assert any(op.name == "guard" for body in _loops(short) for op in body.graph.ops)
    with np.errstate(all="ignore"), pytest.raises(GuardError, match="another branch"):
        evaluate(short, [np.zeros(3)])


@pytest.mark.parametrize("rewrite", sorted(ALL_REWRITES))
def test_each_rewrite_can_be_left_out(rewrite: str) -> None:
    def f(x: Any) -> Any:
        return _repeated(lambda y, k: np.tanh(y) * (0.9 + 0.001 * k) + x, 150, x)

    made = compile(f, POINT, rewrites=[name for name in ALL_REWRITES if name != rewrite])
    assert_equal(tree(made(POINT)), tree(eager(f, "value_and_gradient", (POINT,))), rounding=512.0)


def test_results_are_not_shared_with_arguments() -> None:
    def f(x: Any) -> Any:
        y = x
        for _ in range(300):
            y = y[::-1]
        return y

    made = compile(f, POINT, operator="value")
    got = made(POINT)
    assert not np.may_share_memory(got, POINT)
    np.testing.assert_equal(got, POINT)


def test_several_differentiated_arguments_and_integers() -> None:
    def f(x: Any, y: Any, n: int) -> Any:
        for _ in range(n):
            x, y = np.sin(y) + x, np.cos(x) * y
        return np.sum(x * y)

    made = compile(f, POINT, POINT / 2, 150, argnums=(0, 1), operator="gradient")
    assert "for " in made.source
    expected = grad(f, (0, 1))(POINT, POINT / 2, 150)
    assert_equal(tree(made(POINT, POINT / 2, 150)), tree(expected), rounding=2.0**20)
    assert_equal(tree(made(POINT, POINT / 2, 3)), tree(grad(f, (0, 1))(POINT, POINT / 2, 3)))
    assert made.traces == 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_vectors_of_numbers_are_written_as_such(dtype: Any) -> None:
    def f(x: Any) -> Any:
        y = np.stack([x[1] * x[0], x[0] + x[2], np.sin(x[2])])
        return np.sum(y * y[::-1])

    for operator in ("value_and_gradient", "hvp"):
        point = arguments_of(f, operator, np.array([0.5, -1.5, 2.0], dtype))
        made = compile(f, *point, operator=operator)
        assert_equal(tree(made(*point)), tree(eager(f, operator, point)))
        assert "array((" in made.source
        assert "stack(" not in made.source


def test_a_zero_that_is_scattered_has_no_sign() -> None:
    def f(x: Any) -> Any:
        return x[0] * 0.0 + x[1] * 0.0 + x[2]

    point = np.array([1.0, -1.0, 2.0])
    got, expected = (g(-point) for g in (compile(f, point, operator="gradient"), grad(f)))
    np.testing.assert_equal(np.signbit(got), np.signbit(expected))


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled: bool) -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append(gc.isenabled())
        raise ValueError("no function")

    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ValueError, match="no function"):
            compile(f, POINT)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False]
