"""The compiled mode against the eager engine: same values, fewer operations, nothing shared."""

from __future__ import annotations

import ast
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autodiff_compare import problems
from autodiff_compare.backends import load
from autodiff_compare.backends.interface import Objective, Unsupported
from autodiff_compare.backends.numpy_autodiff import checkpoint, custom_rule, grad, hvp, jvp, stop_gradient, vjp
from autodiff_compare.backends.numpy_autodiff.compiler import ALL_REWRITES, Compiled, CompileError, compile
from autodiff_compare.vocabulary import Operator

Function = Callable[..., Any]
OPERATORS = ("value", "gradient", "value_and_gradient", "jvp", "vjp", "hvp")


@custom_rule(vjp=(lambda g, ans, x: 3.0 * g,))
def tripled_slope(x: Any) -> Any:
    return x


def _rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


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
    "rosenbrock": _rosenbrock,
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

POINT = np.array([0.7, -1.3, 0.4, 2.1, -0.6, 1.2])
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


def _given(f: Function, operator: str, x: np.ndarray) -> tuple[Any, ...]:
    direction = 1.5 + np.cos(np.arange(x.size, dtype=x.dtype)).reshape(x.shape).astype(x.dtype)
    if operator in ("jvp", "hvp"):
        return x, direction
    return (x, x.dtype.type(0.7)) if operator == "vjp" else (x,)


def _eager(f: Function, operator: str, given: tuple[Any, ...]) -> Any:
    direct: dict[str, Function] = {
        "value": f,
        "gradient": grad(f),
        "value_and_gradient": lambda x: (f(x), grad(f)(x)),
        "jvp": lambda x, t: jvp(f, (x,), (t,))[1],
        "vjp": lambda x, g: vjp(f, x)[1](g)[0],
        "hvp": lambda x, t: hvp(f, (x,), (t,))[0],
    }
    return direct[operator](*given)


def _assert_equal(got: Any, expected: Any, rounding: float = 64.0) -> None:
    """Equal within ``rounding`` units of the largest entry; nan, inf, dtype and shape alike."""
    if isinstance(expected, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            _assert_equal(a, b, rounding)
        return
    assert np.shape(got) == np.shape(expected)
    assert got.dtype == expected.dtype
    finite = np.abs(np.asarray(expected)[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(got, expected, rtol=0, atol=rounding * np.finfo(expected.dtype).eps * scale)


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
    made = compile(f, *_given(f, operator, np.ones_like(x) + x / 3), operator=operator)
    _assert_equal(made(*_given(f, operator, x)), _eager(f, operator, _given(f, operator, x)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("rewrite", [*ALL_REWRITES, "all", "none"])
@pytest.mark.parametrize("at", AWKWARD)
def test_no_rewrite_changes_nan_inf_or_negative_zero(rewrite: str, at: str) -> None:
    chosen = {"all": tuple(ALL_REWRITES), "none": ()}.get(rewrite, (rewrite,))
    for name, f in FUNCTIONS.items():
        if (name in _FINITE_ONLY and at in ("inf", "nan")) or (name in _NO_TIES and at == "ties"):
            continue
        for operator in ("value_and_gradient", "hvp"):
            given = _given(f, operator, AWKWARD[at])
            made = compile(f, *_given(f, operator, POINT), operator=operator, rewrites=chosen)
            _assert_equal(made(*given), _eager(f, operator, given))


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
            expected = np.asarray(_eager(total, operator, (point,)))
            got = np.asarray(made(point))
            _assert_equal(got, expected)
            assert np.array_equal(np.signbit(got[got == 0]), np.signbit(expected[expected == 0]))


#: Problems invert and normalise: two orders of summation differ by more than their own rounding.
_ROUNDING = 4096.0


def _prepared(spec: str, problem: Any, operator: Operator, dtype: str, size: str = "small") -> tuple[Any, Any]:
    backend = load(spec)
    backend.open()
    inputs = problem.inputs(np.random.default_rng(7), problem.sizes[size])
    args = [backend.to_var(a, dtype=dtype if a.dtype.kind == "f" else None) for a in inputs.arrays]
    argnums = tuple(range(len(inputs.differentiated)))
    f = Objective(problem.function(backend, inputs.static))
    rng = np.random.default_rng(8)
    out = f(*args)
    like = {Operator.JVP: [args[i] for i in argnums], Operator.HVP: [args[i] for i in argnums], Operator.VJP: [out]}
    directions = [rng.standard_normal(np.shape(x)).astype(dtype) for x in like.get(operator, [])]
    elsewhere = [a * a.dtype.type(1.01) if i in argnums else a for i, a in enumerate(args)]
    run = backend.prepare(operator, f, elsewhere, argnums=argnums, directions=directions)
    return run(*args, *directions), backend


#: Loops whose length depends on values cannot be straight-line code.
LOOPING = [name for name, problem in problems.available().items() if "while_loop" in problem.uses]


@pytest.mark.parametrize("name", LOOPING)
def test_a_loop_of_unknown_length_is_refused_with_its_reason(name: str) -> None:
    (problem,) = problems.load(name)
    operator = Operator.GRADIENT if Operator.GRADIENT in problem.operators else Operator.VALUE
    with pytest.raises(Unsupported, match="loop whose length depends on data: use numpy"):
        _prepared("numpy:compiled", problem, operator, "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [name for name in problems.available() if name not in LOOPING])
def test_every_problem_through_the_adapter(name: str, dtype: str) -> None:
    (problem,) = problems.load(name)
    # Sparse Jacobians come with patterns, from elsewhere.
    for operator in sorted(problem.operators - {Operator.STEP, Operator.SPARSE_JACOBIAN}):
        try:
            compiled, _ = _prepared("numpy:compiled", problem, operator, dtype)
        except Unsupported as reason:
            pytest.fail(f"{operator} of {name}: {reason}")
        eager, _ = _prepared("numpy", problem, operator, dtype)
        _assert_equal(_tree(compiled), _tree(eager), rounding=_ROUNDING)


@pytest.mark.parametrize("name", ["matrix_inverse_squared", "goldstein_price", "planar_arm"])
def test_wide_jacobians_and_hessians_are_sweeps(name: str) -> None:
    (problem,) = problems.load(name)
    for operator in (Operator.JACOBIAN, Operator.HESSIAN):
        if operator in problem.operators:
            compiled, _ = _prepared("numpy:compiled", problem, operator, "float64", size="medium")
            eager, _ = _prepared("numpy", problem, operator, "float64", size="medium")
            _assert_equal(_tree(compiled), _tree(eager), rounding=_ROUNDING)


def _tree(x: Any) -> Any:
    return tuple(map(_tree, x)) if isinstance(x, tuple) else np.asarray(x)


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
        _assert_equal(_tree(made(x, y)), _tree(f(x, y)))


def test_gradients_of_a_sum_are_arrays_of_their_own() -> None:
    x = np.ones(4)
    a, b = compile(lambda x, y: np.sum(x + y), x, x, argnums=(0, 1), operator="gradient")(x, x)
    a[0] = 9.0
    assert b[0] == 1.0
    assert x[0] == 1.0


def test_arrays_compiled_in_do_not_follow_their_source() -> None:
    weights = np.array([1.0, 2.0])
    made = compile(lambda x: np.sum(weights * x), np.ones(2), operator="value")
    weights[:] = 0.0
    assert made(np.ones(2)) == 3.0


def test_two_threads() -> None:
    made = compile(_rosenbrock, operator="value_and_gradient")
    expected = {n: (_rosenbrock(np.linspace(-1, 1, n)), grad(_rosenbrock)(np.linspace(-1, 1, n))) for n in (3000, 3001)}
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
        (lambda x: x[np.argmax(x)] * x[0], "index computed"),
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
    _assert_equal(made(x), np.exp(np.sin(np.cos(x)) + 1.0))


@custom_rule(vjp=(lambda g, ans, x: g * np.ones_like(x),))
def sum(x: Any) -> Any:
    return x[0] - x[1]


def test_a_rule_of_ones_own_is_not_taken_for_ours_by_its_name() -> None:
    made = compile(lambda x: sum(x * x), POINT, operator="value_and_gradient")
    _assert_equal(made(POINT), (POINT[0] ** 2 - POINT[1] ** 2, 2 * POINT))


def test_a_checkpoint_is_compiled_through() -> None:
    def f(x: Any) -> Any:
        return np.sum(checkpoint(lambda y: np.sin(y) * y)(x) ** 2)

    _assert_equal(compile(f, POINT, operator="gradient")(POINT / 2), grad(f)(POINT / 2))


def test_containers_and_numbers() -> None:
    def f(p: dict[str, Any], scale: float) -> Any:
        return np.sum(p["w"] @ p["v"][0]) * scale

    p = {"w": np.ones((2, 3)), "v": [np.arange(3.0)]}
    value, gradient = compile(f, p, 2.0)(p, 3.0)
    assert value == 18.0
    _assert_equal(gradient["v"][0], np.full(3, 6.0))
    _assert_equal(gradient["w"], np.tile([0.0, 3.0, 6.0], (2, 1)))


def test_a_compiled_function_is_differentiable() -> None:
    made = compile(lambda x: x**3, np.float64(1.0), operator="gradient")
    assert grad(made)(2.0) == 12.0


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
    given_ = _given(f, operator, x)
    with np.errstate(all="ignore"):
        made = compile(f, *_given(f, operator, x + dtype(0.25)), operator=operator)
        got, expected = made(*given_), _eager(f, operator, given_)
    _assert_equal(got, expected, rounding=4096.0)


def _standardised(x: Any) -> Any:
    centred = x - 0.5 * np.mean(x)
    z = centred / np.sqrt(np.mean(centred * centred))
    return np.sum((1.0 + np.tanh(z)) * np.exp(centred))


#: Of a long vector: sums that later operations need, two lengths, shifted slices, masks, matrices in between.
LONG: dict[str, Function] = {
    "rosenbrock": _rosenbrock,
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
    made = compile(f, *_given(f, operator, x[::-1].copy()), operator=operator)
    got, expected = made(*_given(f, operator, x)), _eager(f, operator, _given(f, operator, x))
    # Sums of 40 001 entries in another order: the bound of a sum is n eps, its usual error the root of that.
    _assert_equal(got, expected, rounding=16 * 40_001**0.5)


def test_a_long_chain_is_one_loop() -> None:
    made = compile(_rosenbrock, np.ones(40_001))
    assert made.source.count("for i in range(0, 40000, ") == 1
    assert "zeros(" not in made.source


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_loops_keep_nan_inf_and_the_last_entries() -> None:
    for bad in (np.nan, np.inf, -0.0):
        for at in (0, 8191, 8192, 39_999, 40_000):
            x = np.linspace(-1, 1, 40_001)
            x[at] = bad
            _assert_equal(
                compile(_rosenbrock, np.ones(40_001))(x), (_rosenbrock(x), grad(_rosenbrock)(x)), rounding=1e4
            )


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
        _assert_equal(made(x), (f(x), grad(f)(x)), rounding=4096.0)
        assert made.traces == 1


def test_no_more_than_so_many_ways_are_compiled() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for k in range(5):
            total = total + np.sum(np.sqrt(x[2 * k : 2 * k + 2]))
        return total

    made = compile(f, operator="vjp")
    for k in range(32):
        x = np.repeat([float(k >> bit & 1) for bit in range(5)], 2) + 0.0
        _assert_equal(made(x, np.float64(0.0)), np.zeros(10))
    assert made.traces == 8


def test_constants_alone() -> None:
    assert compile(lambda n: n * 2, 3, operator="value")(4) == 8
