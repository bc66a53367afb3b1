"""Fused loops against the eager engine: run as Python for breadth, and as machine code where that may differ."""

from __future__ import annotations

import cProfile
import importlib.util
import pathlib
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import load
from autodiff_compare.backends.numpy_autodiff import hvp
from autodiff_compare.backends.numpy_autodiff.compiler import CompileError
from autodiff_compare.backends.numpy_autodiff.loops import compile, native
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import POINTWISE
from autodiff_compare.backends.numpy_autodiff.loops.terms import pattern
from tests.engine.compiled import POINT, Function, arguments_of, assert_equal, eager, rosenbrock
from tests.engine.test_compiler import AWKWARD, FUNCTIONS, OPERATORS

ROOT = pathlib.Path(__file__).parents[2]
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is an extra")
#: No LAPACK answer exists for nan and inf, and none of one choice for equal eigenvalues.
_FINITE_ONLY, _NO_TIES = {"solve", "eigenvalue"}, {"eigenvalue"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_are_eager(name: str, operator: str, dtype: Any) -> None:
    f, x = FUNCTIONS[name], POINT.astype(dtype)
    made = compile(f, *arguments_of(f, operator, np.ones_like(x) + x / 3), operator=operator, build="python")
    assert_equal(made(*arguments_of(f, operator, x)), eager(f, operator, arguments_of(f, operator, x)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("at", AWKWARD)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_inf_zeros_and_ties(name: str, at: str) -> None:
    if (name in _FINITE_ONLY and at in ("inf", "nan")) or (name in _NO_TIES and at == "ties"):
        pytest.skip("LAPACK has no answer")
    for operator in ("value_and_gradient", "hvp"):
        given = arguments_of(FUNCTIONS[name], operator, AWKWARD[at])
        example = arguments_of(FUNCTIONS[name], operator, POINT)
        made = compile(FUNCTIONS[name], *example, operator=operator, build="python")
        assert_equal(made(*given), eager(FUNCTIONS[name], operator, given))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_hyperbolic_tangent_and_its_slope_share_one_exponential(dtype: Any) -> None:
    """Of ``sum(w tanh(x))`` the gradients are tanh(x) and w (1 - tanh^2), which is ``4 d / (1 + d)^2``, d = e^-2|x|."""
    x = np.array([0.0, 1e-20, 0.3, 0.62, 0.63, 2.0, -5.0, 20.0, -40.0, 300.0, -800.0, np.inf, -np.inf], dtype)
    w = np.linspace(1, 2, x.size).astype(dtype)
    made = compile(lambda x, w: np.sum(np.tanh(x) * w), x, w, argnums=(0, 1), operator="gradient", build="python")
    by_x, by_w = made(x, w)
    d = np.exp(-2 * np.abs(x.astype(np.float64)))
    np.testing.assert_allclose(by_w, np.tanh(x.astype(np.float64)), rtol=4 * np.finfo(dtype).eps)
    tiny = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(by_x, w * 4 * d / (1 + d) ** 2, rtol=8 * np.finfo(dtype).eps, atol=tiny)
    assert made.source.count("= decay(") + made.source.count("float32(decay(") == 1
    assert "tanh(" not in made.source.replace("arctanh(", "")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("f", [lambda x: 1.0 / (x * x + 2.0), lambda x: np.reciprocal(x * x + 2.0)])
def test_a_reciprocal_and_its_slope_share_one_division(f: Any, dtype: Any) -> None:
    """Of ``sum(s^6 - s^3)`` with s = 1 / (x^2 + 2) the gradient is ``-2 x s^2 (6 s^5 - 3 s^2)``."""
    x = np.linspace(-3, 3, 64).astype(dtype)
    made = compile(lambda x: np.sum(f(x) ** 6 - f(x) ** 3), x, operator="value_and_gradient", build="python")
    value, gradient = made(x)
    z = x.astype(np.float64)
    s = 1 / (z * z + 2)
    np.testing.assert_allclose(value, np.sum(s**6 - s**3), rtol=30 * np.finfo(dtype).eps)
    np.testing.assert_allclose(gradient, -2 * z * s**2 * (6 * s**5 - 3 * s**2), rtol=0, atol=8 * np.finfo(dtype).eps)
    assert made.source.count(" / ") == 1


#: Where functions of one and two numbers are compared: signed zeros, tiny, huge, infinite, nan, ties.
_NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-30, 1e30, np.inf, -np.inf, np.nan, 20.0, -20.0]
_UNARY = sorted(
    name for name in POINTWISE if isinstance(getattr(np, name, None), np.ufunc) and getattr(np, name).nin == 1
)
_BINARY = sorted(
    name for name in POINTWISE if isinstance(getattr(np, name, None), np.ufunc) and getattr(np, name).nin == 2
)


def _every_function() -> Callable[..., Any]:
    def f(x: Any, y: Any) -> Any:
        logical = (x > 0, y > 0)
        parts = [getattr(np, n)(x) if n != "logical_not" else np.logical_not(x > 0) for n in _UNARY]
        parts += [getattr(np, n)(*logical) if n.startswith("logical") else getattr(np, n)(x, y) for n in _BINARY]
        return tuple(np.where(part, 1, 0) * x if part.dtype == bool else part for part in parts)

    return f


@needs_numba
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functions_of_numbers_as_machine_code_are_numpys(dtype: Any) -> None:
    x, y = (np.ascontiguousarray(a.ravel(), dtype) for a in np.meshgrid(_NUMBERS, _NUMBERS))
    f = _every_function()
    made = compile(f, x, y, operator="value", build="compiled")
    for name, got, expected in zip([*_UNARY, *_BINARY], made(x, y), f(x, y), strict=True):
        assert got.dtype == expected.dtype
        # Libraries of C and NumPy's own vector functions are exact to a few units.
        np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(dtype).eps, err_msg=name)
        sure = (expected == 0) & ~np.isin(name, ["maximum", "minimum", "power"])
        assert np.array_equal(np.signbit(got[sure]), np.signbit(expected[sure])), name


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("build", ["python", pytest.param("compiled", marks=needs_numba)])
def test_the_slope_at_the_end_of_a_domain_has_the_sign_of_the_bound(build: str) -> None:
    # max(-0.0, 0.0) is the bound 0.0: the slope of its root is infinite and positive, that of -0.0 would be negative.
    f: Function = lambda x: np.sum(np.sqrt(np.maximum(x, 0.0)) - np.sqrt(-np.minimum(x, -0.0)))  # noqa: E731
    x = np.array([-0.0, 0.0, 2.0, -3.0])
    assert_equal(compile(f, POINT[:4], operator="gradient", build=build)(x), eager(f, "gradient", (x,)))


#: Sums whose results are one number with several axes; indices of such are not one index of a flat loop.
_ONE_ENTRY: dict[str, Function] = {
    "sums": lambda x: np.sum(np.sum(x, axis=-1, keepdims=True) * np.sin(x)),
    "products": lambda x: np.prod(np.expm1(np.ravel(x)[:1][:, None] @ np.ravel(x)[None, -1:])),
    "norms": lambda x: np.square(np.linalg.norm(x)) / np.linalg.norm(x * x),
    "sums of products": lambda x: np.sum(np.einsum("...,...->...", np.sin(x), x)) * np.sum(np.square(np.sin(x))),
    "variances": lambda x: np.var(x * x) * np.prod(x, keepdims=True)[..., None].sum(),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 3), (2, 1), (1, 2, 1)])
@pytest.mark.parametrize("name", _ONE_ENTRY)
def test_axes_of_one_entry(name: str, shape: tuple[int, ...]) -> None:
    f = _ONE_ENTRY[name]
    x = np.asarray(np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape))
    t = np.asarray(np.cos(x))
    for operator, given in (("value_and_gradient", (x,)), ("hvp", (x, t))):
        expected = tuple(map(np.asarray, eager(f, operator, given))) if operator != "hvp" else eager(f, "hvp", given)
        assert_equal(compile(f, *given, operator=operator, build="python")(*given), expected, rounding=256)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("build", ["python", pytest.param("compiled", marks=needs_numba)])
def test_powers_by_numbers_are_numpys(build: str) -> None:
    # NumPy takes the root for the exponent 0.5: -0.0 for -0.0 and nan for -inf, where C's pow, and NumPy 2.2, have 0.0
    # and inf.
    exponents = (
        0.5,
        np.float64(0.5),
        np.array(0.5),
        -0.5,
        1.5,
        0,
        1,
        1.0,
        2,
        2.0,
        3,
        3.0,
        4,
        5,
        -1,
        -2,
        -1.0,
        0.25,
        1 / 3,
    )

    def f(x: Any) -> Any:
        return tuple(np.power(x, p) for p in exponents)

    x = np.array(_NUMBERS)
    made = compile(f, np.ones_like(x), operator="value", build=build)
    for p, got, expected in zip(exponents, made(x), f(x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(float).eps, err_msg=str(p))
        # The sign of nan depends on the processor and its library.
        number = ~np.isnan(expected)
        assert np.array_equal(np.signbit(got)[number], np.signbit(expected)[number]), p
    for p in (0.5, 1.5):
        assert_equal(
            compile(lambda x, p=p: np.sum(x**p), np.ones(4), operator="gradient", build=build)(x[:4]),
            eager(lambda x, p=p: np.sum(x**p), "gradient", (x[:4],)),
        )


def _chain(x: Any) -> Any:
    for _ in range(200):
        x = x * 1.0001 + 0.5
    return np.sum(x)


def _swapped(x: Any) -> Any:
    a, b = x, 0.5 * x
    for k in range(30):
        a, b = np.sin(b), a * 0.9 + b * (0.01 * k)
    return np.sum(a * b)


def _entries(x: Any) -> Any:
    total = x[0]
    for k in range(1, 6):
        total = total * 0.5 + x[k] * x[k - 1]
    for k in range(40):
        total = total + x[k % 6] * 0.1
    return total


def _matrix(x: Any) -> Any:
    a, y = np.arange(36.0).reshape(6, 6) / 40, x
    for _ in range(40):
        y = np.tanh(a @ y + x)
    return np.sum(y)


ROUNDS: dict[str, Function] = {"chain": _chain, "swapped": _swapped, "entries": _entries, "matrix": _matrix}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("name", ROUNDS)
def test_rolled_loops(name: str, operator: str) -> None:
    given = arguments_of(ROUNDS[name], operator, POINT)
    made = compile(ROUNDS[name], *given, operator=operator, build="python")
    assert_equal(made(*given), eager(ROUNDS[name], operator, given), rounding=4096)
    assert len(made.source.splitlines()) < 400


def _noisy(x: Any) -> Any:
    """A state of two axes, to which each round adds an expression that is the same in all of them."""
    F, Q, P = np.array([[0.5, 0.2], [0.0, 0.4]]), np.array([[0.3, 0.5], [0.5, 1.0]]), np.eye(2)
    for _ in range(30):
        P = F @ (P * x[1]) @ F.T + np.exp(x[0] / 9) * Q
    return np.sum(P * P)


@pytest.mark.parametrize("operator", ["value", "value_and_gradient", "hvp"])
def test_rounds_that_use_an_expression_from_outside(operator: str) -> None:
    given = arguments_of(_noisy, operator, POINT)
    made = compile(_noisy, *given, operator=operator, build="python")
    assert_equal(made(*given), eager(_noisy, operator, given), rounding=4096)


@needs_numba
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["matrix", "perceptron", "reductions", "index", "branches"])
def test_machine_code_is_eager(name: str, dtype: Any) -> None:
    f = (ROUNDS | FUNCTIONS)[name]
    if name == "matrix" and dtype is np.float32:
        pytest.skip("the matrix is of double precision")
    given = arguments_of(f, "value_and_gradient", POINT.astype(dtype))
    made = compile(f, *given, build="compiled")
    assert_equal(made(*given), eager(f, "value_and_gradient", given), rounding=4096)


def test_results_share_memory_with_nothing() -> None:
    x = np.arange(12.0).reshape(3, 4)
    functions: list[Function] = [
        lambda x: (x, x, x.T),
        lambda x: (np.reshape(x, (12,)), np.reshape(x, (12,)), x[0]),
        lambda x: (x + 1.0, (x + 1.0).T, np.ones((3, 4))),
        lambda x: (np.linalg.qr(x)[0], np.linalg.qr(x)[0].T),
    ]
    for f in functions:
        made = compile(f, x, operator="value", build="python")
        found = [*made(x), *made(x), x]
        for i, a in enumerate(found):
            assert not any(np.shares_memory(a, b) for b in found[:i])
        assert_equal(made(x), tuple(map(np.asarray, f(x))))


@pytest.mark.parametrize(
    "x",
    [np.arange(12.0)[::2], np.arange(12.0)[::-1][:6], np.asfortranarray(np.ones((6, 2)))[:, 0], POINT.copy()],
    ids=["step", "reversed", "column", "contiguous"],
)
def test_arguments_in_any_order_in_memory(x: np.ndarray) -> None:
    before = x.copy()
    made = compile(rosenbrock, np.ones(6), build="python")
    assert_equal(made(x), eager(rosenbrock, "value_and_gradient", (x,)))
    assert made.traces == 1
    assert np.array_equal(x, before)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (1, 1), (2, 1, 3)])
def test_shapes_at_the_edge(shape: tuple[int, ...]) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sin(x) * x) + np.sum(x[..., None] * (x + np.mean(x + 1.0) if x.size else x)[..., None])

    x = np.linspace(0.1, 1.0, int(np.prod(shape))).reshape(shape)
    x = x if shape else np.asarray(0.3)
    made = compile(f, x, build="python")
    value, gradient = made(x)
    expected = eager(f, "value_and_gradient", (x,))
    assert_equal((value, gradient), tuple(map(np.asarray, expected)))


@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 2), -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_along_any_axes(axis: Any, keepdims: bool) -> None:
    x = np.linspace(-1, 2, 24).reshape(2, 3, 4)

    def f(x: Any) -> Any:
        kinds = (np.sum, np.mean, np.max, np.min, np.prod)
        return tuple(kind(x * x - 0.3, axis=axis, keepdims=keepdims) for kind in kinds)

    made = compile(f, x, operator="value", build="python")
    assert_equal(made(x), tuple(map(np.asarray, f(x))))


def test_long_sums_lose_no_digits() -> None:
    # 20 000 times 0.1 in float32: the sum of the rounded numbers is 2000.0000298. Added one after the other in single
    # precision they give 2000.6.
    x = np.full(20_000, 0.1, np.float32)
    made = compile(lambda x: np.sum(x), x, operator="value", build="python")
    exact = 20_000 * float(np.float32(0.1))
    assert abs(float(made(x)) - exact) <= 128 * np.spacing(np.float32(exact))
    assert np.isinf(made(np.where(np.arange(20_000) == 7, np.inf, x).astype(np.float32)))


@needs_numba
def test_a_fused_gradient_needs_no_memory_but_its_result() -> None:
    x = np.linspace(-1, 1, 1_000_000)
    made = compile(rosenbrock, x, operator="gradient", build="compiled")
    made(x)
    tracemalloc.start()
    made(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "np.empty" not in made.source
    # A tenth of input and result together, besides the result.
    assert peak <= x.nbytes + 0.1 * 2 * x.nbytes


@needs_numba
def test_machine_code_is_kept_on_disk(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernel = "def loops_0(x0, v1):\n    for i1 in range(0, 3):\n        v1[i1] = x0[i1] * 3.0\n    return None\n"
    for _ in range(2):
        out = np.empty(3)
        native.cached(kernel, "loops_0", ["float64[::1]", "float64[::1]"], [])(np.ones(3), out)
        assert out.tolist() == [3.0, 3.0, 3.0]
    folder = tmp_path / "autodiff-compare" / "loops"
    kept = [*folder.rglob("*.nbi"), *folder.rglob("*.nbc")]
    assert len(kept) == 2
    assert len(list(folder.rglob("*.py"))) == 1
    for file in kept:
        # Cut short, as a machine that loses its power leaves it.
        file.write_bytes(file.read_bytes()[:60])
        for remain in (False, True):
            out = np.empty(3)
            native.cached(kernel, "loops_0", ["float64[::1]", "float64[::1]"], [])(np.ones(3), out)
            assert out.tolist() == [3.0, 3.0, 3.0]
            assert [one.exists() for one in kept] == [remain, remain]
    (folder.parent / "loops").rename(folder.parent / "before")
    (folder.parent / "loops").write_text("a file where the folder was")
    native.cached(kernel, "loops_0", ["float64[::1]", "float64[::1]"], [])(np.ones(3), np.empty(3))


def test_what_loops_cannot_hold_is_straight_line_code_and_says_why() -> None:
    def f(x: Any) -> Any:
        for k in range(20):
            x = np.linalg.solve(np.eye(3) + np.outer(x, x) * 0.1 * k, np.sin(x) + k * k)
        return np.sum(x)

    x, t = np.linspace(0.5, 1.0, 3), np.ones(3)
    made = compile(f, x, t, operator="hvp", build="python")
    assert made.fallbacks == ["got NumPy calls that split the loops into 41 kernels, expected at most 16"]
    assert made.source.startswith(f"# Straight-line code, without loops in machine code: {made.fallbacks[0]}\ndef hvp(")
    assert "loops_0" not in made.source
    np.testing.assert_allclose(made(x, t), hvp(f, (x,), (t,))[0], rtol=1e-10)
    assert compile(rosenbrock, POINT, build="python").fallbacks == []


def test_more_loops_than_a_compiler_takes_soon_are_straight_line_code() -> None:
    def f(x: Any) -> Any:
        # Sums of all entries between the steps keep their loops apart; the sizes differ, so that nothing is rolled.
        return sum(np.sum(np.sin(x[:k] / np.sum(x[: k + 1]))) for k in range(5, 140))

    x = np.linspace(1.0, 2.0, 150)
    made = compile(f, x, operator="value", build="python")
    assert len(made.fallbacks) == 1
    assert "loops, expected at most 256" in made.fallbacks[0]
    np.testing.assert_allclose(made(x), f(x), rtol=1e-12)


_CHAINS: dict[str, Function] = {
    "elementwise": lambda y, t: np.tanh(y * np.cos(t) + 1.0 / (t + 1)),
    "product of matrices": lambda y, t: np.tanh((np.arange(9.0).reshape(3, 3) * np.cos(t) / 9) @ y),
    "branch": lambda y, t: np.where(y > np.cos(t), y * 0.9, np.sin(y + t)),
}


@pytest.mark.parametrize("operator", ["gradient", "hvp"])
@pytest.mark.parametrize("name", _CHAINS)
def test_rounds_that_do_not_repeat_are_written_without_recursion(name: str, operator: str) -> None:
    # The constants differ from round to round, so that nothing is rolled and each formula holds all before it.
    def f(x: Any) -> Any:
        for t in range(60):
            x = _CHAINS[name](x, t)
        return np.sum(x)

    given = arguments_of(f, operator, np.array([0.1, 0.2, 0.3]))
    made = compile(f, *given, operator=operator, build="python")
    assert made.fallbacks == []
    assert_equal(made(*given), eager(f, operator, given))


def test_rounds_that_do_not_repeat_are_written_in_time_that_is_linear_in_their_number() -> None:
    """Each of the loops reads entries of y in another order, and its formula would hold all formulas before it."""

    def formulas(rounds: int) -> int:
        def f(x: Any) -> Any:
            for t in range(rounds):
                x = np.sin(x[::-1] * np.cos(t))
            return np.sum(x)

        profiler = cProfile.Profile(builtins=False)
        profiler.runcall(compile, f, np.array([0.1, 0.2, 0.3]), operator="gradient", build="python")
        return sum(s.callcount for s in profiler.getstats() if s.code is Kernel._written.__code__)

    assert formulas(80) <= 3 * formulas(40)


@pytest.mark.parametrize("shape", [(1,), (2, 1), (0, 3)])
def test_gradients_of_views_without_entries(shape: tuple[int, ...]) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.diff(x, n=2, axis=0) ** 2) + np.sum(x[1:][2:] * 3) + np.sum(x * x)

    x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    assert_equal(compile(f, x, operator="gradient", build="python")(x), 2 * x)


def test_a_branch_on_a_value_is_refused() -> None:
    with pytest.raises(CompileError, match=r"np\.where"):
        compile(lambda x: np.sum(x if x[0] > 0 else -x), np.ones(3), build="python")


def test_only_the_variant_needs_numba() -> None:
    assert load("numpy:numba").requires == ("numpy", "numba")
    assert load("numpy").requires == load("numpy:compiled").requires == ("numpy",)


#: A machine without numba: neither the module nor the distribution is found.
_WITHOUT_NUMBA = """
import importlib.metadata, sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refusing())
found = importlib.metadata.Distribution.from_name
def from_name(name):
    if name in ("numba", "llvmlite"):
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.Distribution.from_name = from_name

import numpy as np
from autodiff_compare.backends import load, missing
from autodiff_compare.backends.numpy_autodiff import compile, loops
from autodiff_compare.vocabulary import Operator

print([missing(load(spec)) for spec in ("numpy", "numpy:compiled", "numpy:numba")])
for spec in ("numpy", "numpy:compiled"):
    backend = load(spec)
    backend.open()
    print(backend.prepare(Operator.GRADIENT, lambda x: np.sum(x * x), [np.ones(2)])(np.ones(2))[0].tolist())
print(loops.compile(lambda x: np.sum(x * x), np.ones(2), operator="gradient", build="python")(np.ones(2)).tolist())
try:
    loops.compile(lambda x: np.sum(x * x), np.ones(2))
except ImportError as error:
    print(error)
"""


def test_without_numba_only_the_variant_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT_NUMBA], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[(), (), ('numba',)]", *["[2.0, 2.0]"] * 3, "numba"]


def test_constants_in_any_order_in_memory() -> None:
    constant = np.arange(6.0).reshape(2, 3)
    x = np.linspace(0, 1, 6).reshape(3, 2)
    functions: list[Function] = [
        lambda x: np.sum(np.sin(x * constant.T)),
        lambda x: np.sum(x[::-1] * constant.T[:, ::-1]),
        lambda x: np.sum(x * np.broadcast_to(np.arange(2.0), (3, 2))),
    ]
    for f in functions:
        made = compile(f, x, operator="gradient", build="python")
        assert_equal(made(x), eager(f, "gradient", (x,)))


@pytest.mark.parametrize("operator", ["value", "value_and_gradient", "hvp"])
def test_calls_read_views_of_what_a_kernel_keeps_for_itself(operator: str) -> None:
    """NumPy sorts a view of squares, whose kernel also looks for nan in an array of its own."""
    functions: list[Function] = [
        lambda x: np.sum(np.median(x * x, axis=(0, 1), keepdims=True)),
        lambda x: np.sum(np.quantile(x * x, [0.2, 0.7], axis=(1, 0))),
        lambda x: np.sum(np.nanmedian(np.sin(x), keepdims=True) * 2.0),
        lambda x: np.sum(np.sort(np.where(np.isnan(x * x), 0.0, x * x).T.reshape(-1))[1:3]) + np.sum(x * x),
    ]
    x = POINT.reshape(2, 3)
    for f in functions:
        made = compile(f, *arguments_of(f, operator, np.ones_like(x) + x / 3), operator=operator, build="python")
        assert_equal(made(*arguments_of(f, operator, x)), eager(f, operator, arguments_of(f, operator, x)))


def test_affine_positions() -> None:
    whole = np.arange(24).reshape(2, 3, 4)
    assert pattern(whole.transpose(2, 0, 1)) == (0, [1, 12, 4])
    assert pattern(whole[1, ::2, ::-1]) == (15, [8, -1])
    assert pattern(np.array([0, 1, 3])) is None
    assert pattern(np.array(5)) == (5, [])
