"""The compiled mode against the eager engine: same values, fewer operations, nothing shared."""

from __future__ import annotations

import ast
import copy
import pickle
import sys
import threading
import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autodiff_compare.backends import load
from autodiff_compare.backends.interface import Unsupported
from autodiff_compare.backends.numpy_autodiff import checkpoint, custom_rule, grad, hvp, loops, stop_gradient
from autodiff_compare.backends.numpy_autodiff.compiler import ALL_REWRITES, Compiled, CompileError, compile
from autodiff_compare.backends.numpy_autodiff.compiler.compiled import MOST_FORMS
from autodiff_compare.vocabulary import Operator
from tests.engine.compiled import POINT, Function, arguments_of, assert_equal, eager, rosenbrock, tree

OPERATORS = ("value", "gradient", "value_and_gradient", "jvp", "vjp", "hvp")


@custom_rule(vjp=(lambda g, ans, x: 3.0 * g,))
def tripled_slope(x: Any) -> Any:
    return x


def _perceptron(x: Any) -> Any:
    h = np.tanh(np.reshape(x, (2, 3)) @ np.ones((3, 2), np.float32) * 0.5)
    shifted = h - np.max(h, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(shifted), axis=1)) - shifted[:, 0])


def _loop(x: Any) -> Any:
    for k in range(20):
        x = x * (1.0 + 0.01 * k) + 0.5
    return np.sum(x)


#: name -> a scalar function of a vector of six entries.
FUNCTIONS: dict[str, Function] = {
    "squares": lambda x: np.sum(x * x),
    "rosenbrock": rosenbrock,
    "powers": lambda x: np.sum(x**5 + x**2 - x**1 + x**0 + x**7.0),
    "negative_power": lambda x: np.sum(x**-2 + (x * x + 1) ** 0.5),
    "quotients": lambda x: np.sum(np.sin(x) / x + 1 / (1 + x * x)),
    "signs": lambda x: np.sum(-np.negative(x) + x * 1.0 - (-x) + np.abs(x) * -1.0),
    "branches": lambda x: np.sum(np.where(x > 0, np.sqrt(np.abs(x)), 0.0) + np.maximum(x, 0.5) + np.minimum(x, -x)),
    "clip": lambda x: np.sum(np.clip(x, -0.5, 0.5) * x),
    "reductions": lambda x: np.mean(x) * np.max(x) + np.prod(x) + np.var(x) + np.std(x),
    "scans": lambda x: np.sum(np.cumsum(x) * np.cumprod(x)),
    "matrix": lambda x: np.sum(np.abs(np.reshape(x, (2, 3)) @ np.reshape(x, (3, 2)).T.T - np.eye(2, dtype=np.float32))),
    "solve": lambda x: np.sum(np.linalg.solve(np.reshape(x[:4], (2, 2)) + 9 * np.eye(2, dtype=np.float32), x[4:])),
    "eigenvalue": lambda x: np.linalg.eigvalsh(np.outer(x[:3], x[3:]) + np.outer(x[3:], x[:3]))[0],
    "norm": lambda x: np.linalg.norm(x) * np.hypot(x[0], x[1]),
    "joined": lambda x: np.sum(np.concatenate([x[::2], x[::-1]]) * np.stack([x, x * x]).reshape(-1)[:9]),
    "index": lambda x: np.sum(x[np.array([0, 0, 3])] ** 2) + x[1] * x[-1],
    "triangles_of_a_vector": lambda x: np.sum(
        np.tril(x, -1) * np.triu(np.reshape(x, (1, 6)) ** 2, 1).sum() + np.triu(x)
    ),
    "transposed": lambda x: np.sum(np.reshape(x, (2, 3)).T * np.reshape(x, (3, 2))),
    "einsum": lambda x: np.einsum("ij,kj->", np.reshape(x, (2, 3)), np.reshape(x, (2, 3)) ** 2),
    "perceptron": _perceptron,
    "loop": _loop,
    "stopped": lambda x: np.sum(stop_gradient(np.exp(x)) * x),
    "custom": lambda x: np.sum(tripled_slope(x) * x),
    "constant": lambda x: np.sum(np.ones(3, x.dtype)),
    "derivative": lambda x: np.sum(grad(lambda y: np.sum(np.sin(y) * x))(x)),
    "inner_hvp": lambda x: np.sum(hvp(lambda y: np.sum(y**4), (x,), (x,))[0]),
    "array_methods": lambda x: (x.reshape(2, 3).T.sum(axis=0) * x[:2]).mean(),
    "casts": lambda x: np.sum(x.astype(np.float64) * np.floor(x)),
}

AWKWARD = {
    "zeros": np.zeros(6),
    "negative_zeros": np.array([-0.0, 0.0, -0.0, 1.0, -1.0, -0.0]),
    "inf": np.array([np.inf, 1.0, -np.inf, 0.0, 2.0, -0.0]),
    "nan": np.array([np.nan, 1.0, 0.0, -2.0, 0.5, 3.0]),
    "ties": np.full(6, 0.5),
}
#: No LAPACK answer exists for nan and inf: the eager engine raises as NumPy does.
_FINITE_ONLY = {"solve", "eigenvalue"}
#: Rank one with a double eigenvalue 0: which eigenvector LAPACK gives is rounding.
_NO_TIES = {"eigenvalue"}


def _names(made: Compiled) -> list[str]:
    """Functions called in the source, operators by the name of their node: counts, not seconds."""
    found = []
    for node in ast.walk(ast.parse(made.source)):
        if isinstance(node, ast.Call):
            found.append(node.func.id if isinstance(node.func, ast.Name) else "." + node.func.attr)
        elif isinstance(node, (ast.BinOp, ast.UnaryOp)):
            found.append(type(node.op).__name__)
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_is_eager(name: str, operator: str, dtype: Any) -> None:
    f, x = FUNCTIONS[name], POINT.astype(dtype)
    made = compile(f, *arguments_of(f, operator, np.ones_like(x) + x / 3), operator=operator)
    assert_equal(made(*arguments_of(f, operator, x)), eager(f, operator, arguments_of(f, operator, x)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("rewrite", [*ALL_REWRITES, "all", "none"])
@pytest.mark.parametrize("at", AWKWARD)
def test_no_rewrite_changes_nan_inf_or_negative_zero(rewrite: str, at: str) -> None:
    chosen = {"all": tuple(ALL_REWRITES), "none": ()}.get(rewrite, (rewrite,))
    for name, f in FUNCTIONS.items():
        if (name in _FINITE_ONLY and at in ("inf", "nan")) or (name in _NO_TIES and at == "ties"):
            continue
        for operator in ("value_and_gradient", "hvp"):
            given = arguments_of(f, operator, AWKWARD[at])
            made = compile(f, *arguments_of(f, operator, POINT), operator=operator, rewrites=chosen)
            assert_equal(made(*given), eager(f, operator, given))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("x", [0.7, 0.0, -0.0, np.inf, np.nan, 1e200, -3.0])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x**3 - 2 * x + 1 / x,
        lambda x: np.exp(x) * np.log(np.abs(x)),
        lambda x: np.sqrt(x * x + 1) / np.tanh(x),
        lambda x: np.sin(x) * np.exp(x * x),
        lambda x: -x * 0.0 + (-x),
    ],
)
def test_single_numbers(f: Function, x: float) -> None:
    for point in (np.float64(x), np.array(x), np.array([x]), np.float32(x)):
        total = (lambda y: np.sum(f(y))) if np.ndim(point) else f
        for operator in ("value", "gradient"):
            made = compile(total, np.full_like(point, 0.7), operator=operator)
            expected = np.asarray(eager(total, operator, (point,)))
            got = np.asarray(made(point))
            assert_equal(got, expected)
            assert np.array_equal(np.signbit(got[got == 0]), np.signbit(expected[expected == 0]))


def test_results_share_memory_with_nothing() -> None:
    x, y = np.ones((3, 4)), np.ones((3, 4))
    functions: list[tuple[Function, int]] = [
        (lambda x, y: x, 1),
        (lambda x, y: (x, x, x.T), 3),
        (lambda x, y: (np.reshape(x, (12,)), np.reshape(x, (12,))), 2),
        (lambda x, y: (x + y, (x + y).T), 2),
        (lambda x, y: (np.broadcast_to(y[0], (3, 4)), np.ones((3, 4))), 2),
        (lambda x, y: (tripled_slope(x), np.ones(3)), 2),
    ]
    for f, count in functions:
        made = compile(f, x, y, operator="value")
        first, second = made(x, y), made(x, y)
        arrays = [x, y, *(first if count > 1 else [first]), *(second if count > 1 else [second])]
        for i, a in enumerate(arrays):
            assert not any(np.shares_memory(a, b) for b in arrays[:i])
        for a in arrays[2:]:
            a += 1.0
        assert_equal(tree(made(x, y)), tree(f(x, y)))


def test_gradients_of_a_sum_are_arrays_of_their_own() -> None:
    x = np.ones(4)
    a, b = compile(lambda x, y: np.sum(x + y), x, x, argnums=(0, 1), operator="gradient")(x, x)
    a[0] = 9.0
    assert b[0] == 1.0
    assert x[0] == 1.0


@pytest.mark.parametrize("size", [3, 50_000])
@pytest.mark.parametrize("dtype", [">f8", ">f4", ">c16"])
def test_numbers_of_another_byte_order(dtype: str, size: int) -> None:
    # By hand: the derivative of Re sum(x_(i+1) x_i) is the conjugate of the sum of both neighbours.
    def f(x: Any) -> Any:
        return np.real(np.sum(x[1:] * x[:-1]))

    x = np.linspace(1.0, 2.0, size).astype(dtype)
    expected = np.concatenate((x[1:2], x[2:] + x[:-2], x[-2:-1]))
    made = compile(f, x, operator="gradient")
    for given in (x, x.astype(x.dtype.type)):
        np.testing.assert_allclose(made(given), expected, rtol=1e-6)
        assert made(given).dtype == x.dtype.type
    assert made.traces == 1


def test_a_cast_to_another_byte_order() -> None:
    x = np.arange(1.0, 4.0)
    made = compile(lambda x: np.sum(x.astype(">f8")[1:] ** 2), x, operator="gradient")
    assert made(x).tolist() == [0.0, 4.0, 6.0]


def test_arrays_compiled_in_do_not_follow_their_source() -> None:
    weights = np.array([1.0, 2.0])
    made = compile(lambda x: np.sum(weights * x), np.ones(2), operator="value")
    weights[:] = 0.0
    assert made(np.ones(2)) == 3.0


def test_two_threads() -> None:
    made = compile(rosenbrock, operator="value_and_gradient")
    expected = {n: (rosenbrock(np.linspace(-1, 1, n)), grad(rosenbrock)(np.linspace(-1, 1, n))) for n in (3000, 3001)}
    wrong: list[int] = []

    def work(n: int) -> None:
        for _ in range(50):
            value, gradient = made(np.linspace(-1, 1, n))
            if not (
                np.isclose(value, expected[n][0], rtol=1e-12) and np.allclose(gradient, expected[n][1], rtol=1e-12)
            ):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in (3000, 3000, 3001, 3001)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert made.traces == 2


def test_threads_with_more_forms_than_are_kept() -> None:
    made = compile(lambda x: np.sum(x * x), operator="gradient")
    wrong: list[Any] = []

    def work(start: int) -> None:
        try:
            for i in range(2 * MOST_FORMS):
                x = np.ones((start + i) % (MOST_FORMS + 8) + 1)
                if not np.array_equal(made(x), 2 * x):
                    wrong.append(x.size)
                if i % 8 == 0:
                    assert "def gradient(" in made.source
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(33 * k,)) for k in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    sys.setswitchinterval(interval)
    assert not wrong
    assert made.source.count("def gradient(") == MOST_FORMS + 1


def test_a_function_may_call_its_own_compiled_form() -> None:
    def power(x: Any, n: int) -> Any:
        return x if n == 0 else x * made(np.float64(2.0), n - 1)

    made = compile(power, operator="value")
    assert made(np.float64(3.0), 3) == 3 * 2**3


def test_what_traces_again() -> None:
    made = compile(lambda x, n=2, scale=1.0: np.sum(x**n) * scale, np.ones(3), operator="gradient")
    steps: list[tuple[tuple[Any, ...], int]] = [
        ((np.zeros(3),), 1),
        ((np.ones(4),), 2),
        ((np.ones(4, np.float32),), 3),
        ((np.ones(3), 2), 4),
        ((np.ones(3), 3), 5),
        ((np.ones(3), 3, 0.5), 6),
        ((np.ones(3), 3, 0.25), 6),
        ((np.ones(3), 2), 6),
        ((np.ones(6)[::2],), 6),
    ]
    for args, traces in steps:
        made(*args)
        assert made.traces == traces, args
    assert made.source.count("def gradient(") == 6


def test_a_rule_that_branches_is_traced_once_a_way() -> None:
    made = compile(lambda x: np.sum(np.sqrt(x)), np.ones(3), np.float64(1.0), operator="vjp")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x, traces in ((np.ones(3), 1), (np.array([0.0, 1, 4]), 2), (np.zeros(3), 2), (np.ones(3), 2)):
            made(x, np.float64(0.0))
            assert made.traces == traces


@pytest.mark.parametrize(
    ("f", "advice"),
    [
        (lambda x: np.sum(x) if x[0] > 0 else np.sum(-x), "np.where"),
        (lambda x: np.sum(x[x > 0]), "shape depends on values"),
        (lambda x: np.sum(x[np.nonzero(x)[0]]), "shape depends on values"),
        (lambda x: np.sum(x[: np.argmax(x)]), "a bound of a slice"),
        (lambda x: np.sum(x) * float(x[0]), "drop its derivative"),
    ],
)
@pytest.mark.parametrize("operator", ["value_and_gradient", "gradient"])
def test_what_cannot_be_compiled_says_what_to_do(f: Function, advice: str, operator: str) -> None:
    with pytest.raises(CompileError, match=advice):
        compile(f, np.ones(3), operator=operator)


def test_the_adapter_says_unsupported() -> None:
    backend = load("numpy:compiled")
    backend.open()
    with pytest.raises(Unsupported, match=r"np\.where"):
        backend.prepare(Operator.GRADIENT, lambda x: np.sum(x if x[0] > 0 else -x), [np.ones(3)])


@pytest.mark.parametrize(
    ("wrong", "says"), [({"operator": "divergence"}, "expected one of"), ({"rewrites": ("x",)}, "some of")]
)
def test_wrong_options(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compile(np.sum, **wrong)


#: function, operator, names that must be called so often with all rewrites.
SOURCES: list[tuple[Function, str, dict[str, int]]] = [
    (lambda x: np.sum(np.sin(x) * np.sin(x)), "value", {"sin": 1, ".dot": 1, "add_reduce": 0}),
    (lambda x: np.sum(np.tile(x, 3)), "value", {".dot": 1, "add_reduce": 0}),
    (lambda x: np.sum(np.exp(x)), "value_and_gradient", {"exp": 1}),
    (lambda x: np.sum(np.exp(x) + np.sin(x)), "gradient", {"exp": 1, "cos": 1, "sin": 0, "add_reduce": 0}),
    (lambda x: np.sum(x**8), "value", {"Mult": 2, ".dot": 1, "power": 0}),
    (lambda x: np.sum(x * (2.0 * np.ones(6) + 1.0)), "value", {"Mult": 1, "Add": 0}),
    (lambda x: np.sum(-np.negative(x) * 1.0 / 1.0), "value", {"USub": 0, "Mult": 0, "Div": 0}),
    (lambda x: np.sum(np.abs(x)), "gradient", {"absolute": 0, "sign": 1, "Mult": 0}),
]


@pytest.mark.parametrize(("f", "operator", "counts"), SOURCES)
def test_the_source_holds_no_more_than_it_must(f: Function, operator: str, counts: dict[str, int]) -> None:
    names = _names(compile(f, POINT, operator=operator))
    assert {name: names.count(name) for name in counts} == counts


def test_long_arrays_are_written_over_when_they_are_done_with() -> None:
    made = compile(
        lambda x: np.exp(np.sin(np.cos(x)) + 1.0), np.ones(10_000), operator="value", rewrites=("reuse", "dead")
    )
    assert made.source.count("sin(v0, v0)") == 1
    x = np.linspace(0, 1, 10_000)
    assert_equal(made(x), np.exp(np.sin(np.cos(x)) + 1.0))


@custom_rule(vjp=(lambda g, ans, x: g * np.ones_like(x),))
def sum(x: Any) -> Any:
    return x[0] - x[1]


def test_a_rule_of_ones_own_is_not_taken_for_ours_by_its_name() -> None:
    made = compile(lambda x: sum(x * x), POINT, operator="value_and_gradient")
    assert_equal(made(POINT), (POINT[0] ** 2 - POINT[1] ** 2, 2 * POINT))


def test_a_checkpoint_is_compiled_through() -> None:
    def f(x: Any) -> Any:
        return np.sum(checkpoint(lambda y: np.sin(y) * y)(x) ** 2)

    assert_equal(compile(f, POINT, operator="gradient")(POINT / 2), grad(f)(POINT / 2))


def test_containers_and_numbers() -> None:
    def f(p: dict[str, Any], scale: float) -> Any:
        return np.sum(p["w"] @ p["v"][0]) * scale

    p = {"w": np.ones((2, 3)), "v": [np.arange(3.0)]}
    value, gradient = compile(f, p, 2.0)(p, 3.0)
    assert value == 18.0
    assert_equal(gradient["v"][0], np.full(3, 6.0))
    assert_equal(gradient["w"], np.tile([0.0, 3.0, 6.0], (2, 1)))


def test_a_compiled_function_is_differentiable() -> None:
    made = compile(lambda x: x**3, np.float64(1.0), operator="gradient")
    assert grad(made)(2.0) == 12.0


def test_no_more_than_so_many_ways_are_compiled() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for k in range(5):
            total = total + np.sum(np.sqrt(x[2 * k : 2 * k + 2]))
        return total

    made = compile(f, operator="vjp")
    for k in range(32):
        x = np.repeat([float(k >> bit & 1) for bit in range(5)], 2) + 0.0
        assert_equal(made(x, np.float64(0.0)), np.zeros(10))
    assert made.traces == 8


@pytest.mark.parametrize("write", [compile, partial(loops.compile, build="python")])
def test_a_copy_traces_for_itself(write: Function) -> None:
    x = POINT.copy()
    made = write(rosenbrock, x, operator="gradient")
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), copy.copy(made)):
        assert (again.traces, made.traces) == (0, 1)
        assert np.array_equal(again(x), made(x))
        assert again.source == made.source


def test_constants_alone() -> None:
    assert compile(lambda n: n * 2, 3, operator="value")(4) == 8


@pytest.mark.parametrize("dtype", [np.float64, np.int64, ">f8"])
@pytest.mark.parametrize("argument", [0, 1])
def test_arrays_with_another_arithmetic_are_refused(argument: int, dtype: Any) -> None:
    made = compile(lambda x, y: np.sum(x * y), operator="gradient")
    plain = np.arange(1, 3, dtype=dtype).reshape(1, 2)
    for odd, reason in (
        (plain.view(np.matrix), "matrix product"),
        (np.ma.array(plain, mask=[[False, True]]), "its mask"),
    ):
        given = [np.ones((1, 2)), np.ones((1, 2))]
        given[argument] = odd
        with pytest.raises(TypeError, match=reason):
            made(*given)


def test_tables_and_sets_that_change_are_traced_again() -> None:
    made = compile(
        lambda x, y: np.sum(x * y.to_numpy()) if hasattr(y, "to_numpy") else len(y) * np.sum(x), operator="gradient"
    )
    x, series, numbers = np.ones(2), pd.Series([2.0, 3.0], index=["a", "b"]), {1, 2}
    for _ in range(2):
        assert made(x, series).tolist() == [2.0, 3.0]
        assert made(x, numbers).tolist() == [2.0, 2.0]
    series["b"] = 5.0
    numbers.add(3)
    assert made(x, series).tolist() == [2.0, 5.0]
    assert made(x, numbers).tolist() == [3.0, 3.0]
