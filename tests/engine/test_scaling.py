"""How the work of a derivative grows with the length of a loop or of an array: counted, not timed.

A count is exact up to free lists and the growth of containers, so it tells a linear from a quadratic cost on any
machine: doubling n doubles the one and quadruples the other. `tools.benchmark` prints the times.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, compile, grad, hessian, hvp, jvp, vjp
from autodiff_compare.backends.numpy_autodiff.array.namespace import xp
from autodiff_compare.backends.numpy_autodiff.compiler.compiled import MOST_FORMS
from autodiff_compare.backends.numpy_autodiff.core.broadcasting import ones
from tests.selection import few

#: Times as much work as half of n may take.
MOST = 2.3


def work(f: Callable[[], Any]) -> tuple[int, int]:
    """Return the calls of functions that ``f`` makes, and the bytes that it allocates, freed ones included."""
    calls = total = 0
    before = 0

    def count(_frame: Any, event: str, _arg: Any) -> None:
        # The peak since the last event, so that an array or a tuple which is freed at once is counted too.
        nonlocal calls, total, before
        calls += event in ("call", "c_call")
        held, peak = tracemalloc.get_traced_memory()
        total += peak - before
        tracemalloc.reset_peak()
        before = held

    gc.disable()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    sys.setprofile(count)
    try:
        f()
    finally:
        sys.setprofile(None)
        tracemalloc.stop()
        gc.enable()
    return calls, total


def peak(f: Callable[[], Any]) -> int:
    """Return the most bytes that ``f`` holds at once."""
    tracemalloc.start()
    f()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_a_quadratic_cost_is_seen() -> None:
    def copies(n: int) -> None:
        for _ in range(n):
            tuple(range(n))

    def calls(n: int) -> None:
        for _ in range(n):
            [len("") for _ in range(n)]

    assert work(lambda: copies(400))[1] > 3.5 * work(lambda: copies(200))[1]
    assert work(lambda: calls(200))[0] > 3.5 * work(lambda: calls(100))[0]


# --- Loops


def cube(x: Any) -> Any:
    return np.sum(x * x * x)


def scan(x: Any) -> list[Any]:
    found = [x[0]]
    for i in range(1, len(x)):
        found.append(0.5 * found[-1] + x[i])
    return found


def squares(x: Any) -> Any:
    total = x[0] * x[0]
    for i in range(1, len(x)):
        total = total + x[i] * x[i] * x[i]
    return total


def heads(x: Any) -> Any:
    total = x[0]
    while len(x):
        total = total + x[0] ** 3
        x = x[1:]
    return total


def chosen(x: Any) -> Any:
    total = x[0]
    for i in range(len(x)):
        total = np.where(x[i] > 0, total + x[i] ** 3, total)
    return total


def ravelled(x: Any) -> Any:
    table = np.reshape(x, (2, -1))
    return sum(np.take(table, i) ** 3 + table.ravel()[i] ** 2 for i in range(len(x)))


def rows(x: Any) -> Any:
    table = np.reshape(x, (2, -1))
    return sum(table[0][j] ** 2 * table[1][j] + table.T[j][0] ** 3 for j in range(table.shape[1]))


def windows(x: Any) -> Any:
    return sum(np.sum(x[::-1][i : i + 2]) ** 3 + np.flip(x)[i] * x[0] for i in range(len(x)))


def gathered(x: Any) -> Any:
    return sum(np.sum(x[1:][np.array([0, i // 2])]) ** 3 for i in range(len(x) - 1))


#: A function of a vector of even length, whose value takes time linear in that.
LOOPS: dict[str, Callable[[Any], Any]] = {
    "stack": lambda x: cube(np.stack([x[i] * x[i - 1] for i in range(len(x))])),
    "stack, last axis": lambda x: cube(np.stack([x[i : i + 2] for i in range(len(x) - 1)], axis=-1)),
    "stack with constants": lambda x: cube(np.stack([x[i] if i % 2 else 1.0 for i in range(len(x))])),
    "concatenate": lambda x: cube(np.concatenate([x[i : i + 1] for i in range(len(x))])),
    "concatenate, last axis": lambda x: cube(np.concatenate([x[None, i : i + 1] for i in range(len(x))], axis=1)),
    "slices and concatenate": lambda x: cube(np.concatenate([2 * x[i : i + 2] for i in range(0, len(x), 2)])),
    "hstack": lambda x: cube(np.hstack([x[i] for i in range(len(x))])),
    "column_stack": lambda x: cube(np.column_stack([x[i : i + 1] for i in range(len(x))])),
    "block": lambda x: cube(np.block([x[i] for i in range(len(x))])),
    "split": lambda x: sum(cube(part) for part in np.split(x, len(x))),
    "unstack": lambda x: cube(np.stack([a * a for a in np.unstack(x)])),
    "entries": lambda x: cube(np.stack(list(x))),
    "append to a list": lambda x: cube(np.stack(scan(x))),
    "sum of squares": squares,
    "sum of squares, then the whole": lambda x: squares(x) * cube(x),
    "the whole, then squares": lambda x: np.sum(x * x) * squares(x) + np.sum(x),
    "heads": heads,
    "where": chosen,
    "take": lambda x: sum(np.take(x, i) ** 3 for i in range(len(x))),
    "ravelled": ravelled,
    "rows": rows,
    "windows": windows,
    "gathered": gathered,
    "polyval": lambda x: np.polyval(x, x[0] / 4) ** 2,
    "polydiv": lambda x: cube(np.polydiv(x, np.array([8.0, 1.0, 1.0]))[0]),
    "extremes and products": lambda x: sum(np.max(x[i : i + 2]) + np.prod(x[i : i + 2]) for i in range(len(x))),
}


def ones_like(x: Any) -> Any:
    return np.ones(np.shape(x))


#: How to differentiate a function once or twice, to a vector like x.
MODES: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "reverse": grad,
    "forward": lambda f: lambda x: jvp(f, (x,), (ones_like(x),))[1],
    "forward over reverse": lambda f: lambda x: hvp(f, (x,), (ones_like(x),))[0],
    "reverse over forward": lambda f: grad(lambda y: jvp(f, (y,), (ones_like(y),))[1]),
    "reverse over reverse": lambda f: grad(lambda y: np.sum(grad(f)(y))),
    "forward over forward": lambda f: (
        lambda x: jvp(lambda y: jvp(f, (y,), (ones_like(y),))[1], (x,), (ones_like(x),))[1]
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_differentiated_in_linear_work(name: str, mode: str) -> None:
    derivative = MODES[mode](LOOPS[name])
    x = np.linspace(0.5, 1.5, 64)
    derivative(x[:8])
    (calls, size), (more, larger) = (work(lambda n=n: derivative(x[:n])) for n in (32, 64))
    assert more <= MOST * calls
    assert larger <= MOST * size


@pytest.mark.parametrize("name", LOOPS)
def test_the_modes_agree_on_a_loop(name: str) -> None:
    f = LOOPS[name]
    x = np.random.default_rng(0).uniform(0.5, 1.5, 12)
    gradient, step = grad(f)(x), 1e-5
    units = np.eye(12)
    differences = [(f(x + step * unit) - f(x - step * unit)) / (2 * step) for unit in units]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose([jvp(f, (x,), (unit,))[1] for unit in units], gradient, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(compile(f, x, operator="gradient")(x), gradient, rtol=1e-13, atol=1e-14)
    variable = Variable(x)
    f(variable).backward()
    np.testing.assert_allclose(variable.grad, gradient, rtol=1e-13, atol=1e-14)
    curvature = (grad(f)(x + step) - grad(f)(x - step)) / (2 * step)
    for mode in ("forward over reverse", "reverse over forward", "reverse over reverse"):
        np.testing.assert_allclose(MODES[mode](f)(x), curvature, rtol=1e-6, atol=1e-6, err_msg=mode)


def test_the_backward_style_is_linear() -> None:
    def sweep(n: int) -> None:
        x = Variable(np.linspace(0.5, 1.5, n))
        squares(x).backward(create_graph=True)

    sweep(8)
    assert np.all(np.array(work(lambda: sweep(96))) <= MOST * np.array(work(lambda: sweep(48))))


def test_a_reshape_that_copies_within_a_view_keeps_its_parts() -> None:
    # x.T in C order is no view of x: reshape copies it. By hand, d/dx of sum_i i y_i^2 with y = ravel(x.T).
    x = np.arange(6.0).reshape(2, 3)
    weights = np.arange(6.0).reshape(3, 2).T
    got = grad(lambda x: sum(i * np.reshape(x.T, -1)[i] ** 2 for i in range(6)))(x)
    np.testing.assert_array_equal(got, 2 * weights * x)


@pytest.mark.parametrize(
    "empty",
    [
        lambda x: x[6:][1:],
        lambda x: x[6:].reshape(-1, 1),
        lambda x: np.diff(x[:0]),
        lambda x: np.reshape(x, (2, 3))[:, 3:].T.reshape(-1)[0:],
        lambda x: np.reshape(x, (2, 3)).T.reshape(-1)[6:][::-1],
    ],
)
def test_a_view_of_nothing_within_a_view(empty: Any) -> None:
    # The sum of no entries is 0, so that the gradient is that of the sum of squares.
    def f(x: Any) -> Any:
        return np.sum(empty(x) ** 2) + np.sum(x * x)

    x = np.arange(6.0)
    assert np.array_equal(grad(f)(x), 2 * x)
    assert np.array_equal(hvp(f, (x,), (x,))[0], 2 * x)
    assert np.array_equal(compile(f, x, operator="gradient")(x), 2 * x)


def test_a_view_that_is_used_as_a_whole_too() -> None:
    # By hand: 3 x_0j^2 from the loop and 1 from the sum of the row; 1 from the sum over everything.
    x = np.arange(8.0).reshape(2, 4)
    got = grad(lambda x: sum(x[0][j] ** 3 for j in range(4)) + np.sum(x[0]) + np.sum(x))(x)
    np.testing.assert_array_equal(got, [3 * x[0] ** 2 + 2, np.ones(4)])


def test_a_deep_chain_of_views_needs_no_recursion() -> None:
    x = np.linspace(0.5, 1.5, 3000)
    np.testing.assert_allclose(grad(heads)(x), 3 * x**2 + np.eye(1, 3000)[0], rtol=1e-15)


# --- Whole arrays


#: A function of a vector. Its value takes memory linear in the length.
ARRAYS: dict[str, Callable[[Any], Any]] = {
    "convolve": lambda x: cube(np.convolve(x, x)),
    "convolve, same": lambda x: cube(np.convolve(x, x[: len(x) // 2], "same")),
    "correlate": lambda x: cube(np.correlate(x, x, "full")),
    "correlate, valid": lambda x: cube(np.correlate(x, x[: len(x) // 2])),
    "polymul": lambda x: cube(np.polymul(x, x)),
    "scans": lambda x: cube(np.cumsum(x)) + cube(np.cumprod(x)) + cube(np.maximum.accumulate(x)),
    "repeat, tile, roll, pad": lambda x: (
        cube(np.repeat(x, 2)) + cube(np.tile(x, 3)) + cube(np.roll(x, 1) * x) + cube(np.pad(x, 2))
    ),
    "diff, trapezoid, gradient": lambda x: cube(np.diff(x)) + np.trapezoid(x * x, x**3) + cube(np.gradient(x)),
    "sort, median, unique": lambda x: cube(np.sort(x) * x) + np.median(x) ** 2 + cube(np.unique(x)),
    "insert, delete, append": lambda x: cube(np.insert(x, 1, x[0])) + cube(np.delete(x, 1)) + cube(np.append(x, x)),
    "kron, outer": lambda x: cube(np.kron(x, np.ones(2))) + cube(np.outer(x, np.ones(2))),
    "fft": lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2),
    "select, piecewise": lambda x: (
        cube(np.select([x > 1, x > 0.8], [x**2, x**3], x)) + cube(np.piecewise(x, [x > 1], [lambda x: x * x]))
    ),
}


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "forward over forward"])
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_differentiated_in_linear_memory(name: str, mode: str) -> None:
    derivative = MODES[mode](ARRAYS[name])
    x = np.linspace(0.5, 1.5, 600)
    derivative(x[:8])
    assert peak(lambda: derivative(x)) <= MOST * peak(lambda: derivative(x[:300]))


SIZES = [(5, 3), (3, 5), (4, 4), (1, 1), (6, 2), (2, 6), (6, 1), (1, 4)]


@pytest.mark.parametrize("function", [np.convolve, np.correlate])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("kind", ["real", "complex", "mixed"])
def test_convolutions_of_every_length(function: Any, mode: str, kind: str) -> None:
    rng = np.random.default_rng(1)

    def numbers(n: int, z: bool) -> Any:
        return rng.normal(size=n) + (1j * rng.normal(size=n) if z else 0)

    def loss(a: Any, v: Any) -> Any:
        y = function(a, v, mode)
        return np.sum(np.abs(y) ** 2) + np.real(np.sum(y**3))

    for n, m in SIZES:
        a, ta = (numbers(n, kind != "real") for _ in range(2))
        v, tv = (numbers(m, kind == "complex") for _ in range(2))
        value, tangent = jvp(lambda a, v: function(a, v, mode), (a, v), (ta, tv))
        np.testing.assert_allclose(value, function(a, v, mode), rtol=1e-14, atol=1e-15)
        # A convolution is linear in each argument.
        expected = function(ta, v, mode) + function(a, tv, mode)
        np.testing.assert_allclose(tangent, expected, rtol=1e-12, atol=1e-13)
        _, pullback = vjp(lambda a, v: function(a, v, mode), a, v)
        g = numbers(len(value), kind != "real")
        back = pullback(g)
        # The transpose: Re <g, J t> = Re <J^T g, t>.
        np.testing.assert_allclose(
            np.real(np.vdot(g, tangent)), np.real(np.vdot(back[0], ta) + np.vdot(back[1], tv)), rtol=1e-11, atol=1e-12
        )
        step = 1e-6
        above, below = (grad(loss, (0, 1))(a + s * ta, v + s * tv) for s in (step, -step))
        for got, p, q in zip(hvp(loss, (a, v), (ta, tv)), above, below, strict=True):
            np.testing.assert_allclose(got, (p - q) / (2 * step), rtol=1e-5, atol=1e-5 * float(np.max(np.abs(got))))


def test_a_convolution_of_twenty_thousand_numbers_takes_the_memory_of_its_value() -> None:
    # The table of shifted copies had 20 000 columns of 40 000 numbers: 6.4 GB.
    x = np.linspace(0.0, 1.0, 20_000)
    assert peak(lambda: grad(lambda v: np.sum(np.convolve(x, v)))(x[:50])) < 30 * x.nbytes
    assert peak(lambda: grad(lambda x: np.sum(np.convolve(x, x, "valid")))(x)) < 30 * x.nbytes


def test_a_mode_or_a_shape_that_numpy_refuses_is_refused() -> None:
    x = np.ones(3)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.convolve(x, x, 1)))(x), [4.0, 6.0, 4.0])
    with pytest.raises(ValueError, match="got mode 'middle', expected 'full', 'same' or 'valid'"):
        grad(lambda x: np.sum(np.convolve(x, x, "middle")))(x)
    with pytest.raises(ValueError, match="got shapes"):
        grad(lambda x: np.sum(np.correlate(x[:, None], x)))(x)


# --- The compiler


def shares(x: Any) -> Any:
    y = x[0] * np.ones(40_000)
    for i in range(len(x)):
        y = y + y / np.sum(y * y) * x[i]
    return np.sum(y)


def powers_of_views(x: Any) -> Any:
    y = x[:4]
    for i in range(len(x)):
        y = np.einsum("i,i->i", np.roll(np.cumsum(y) * 0.5, 1), np.flip(x[:4] * float(i)))
    return np.sum(y * y)


def constant_weights(x: Any) -> Any:
    weights = np.ones(3000)
    y = weights * x[0]
    for i in range(len(x)):
        y = y + weights * x[i]
    return np.sum(y * y)


def test_a_hessian_in_several_arguments_takes_no_more_sweeps_than_in_one() -> None:
    def f(*parts: Any) -> Any:
        return sum(np.sum(np.sin(a) * np.cos(b)) for a in parts for b in parts)

    x = np.linspace(0.5, 1.5, 12)
    split, _ = work(lambda: hessian(f, (0, 1, 2))(*np.split(x, 3)))
    whole, _ = work(lambda: hessian(lambda z: f(z[:4], z[4:8], z[8:]))(x))
    assert split < 1.2 * whole


COMPILED = {name: LOOPS[name] for name in ("stack", "concatenate", "sum of squares", "split", "where", "rows", "heads")}
COMPILED |= {
    "sums of long vectors": shares,
    "views of views": powers_of_views,
    "one constant array": constant_weights,
    "one slice": lambda x: sum(np.sum(x[:2] * float(i)) ** 2 for i in range(len(x))),
}


@pytest.mark.parametrize(("name", "operator"), few([("rows", "hvp"), *((name, "gradient") for name in COMPILED)], 3))
def test_a_loop_is_compiled_in_linear_work(name: str, operator: str) -> None:
    x = np.linspace(0.5, 1.5, 32)

    def made(n: int) -> Any:
        return compile(COMPILED[name], *[x[:n]] * (2 if operator == "hvp" else 1), operator=operator)

    made(8)
    (calls, size), (more, larger) = work(lambda: made(16)), work(lambda: made(32))
    assert more <= MOST * calls
    assert larger <= MOST * size


def test_equal_slices_by_the_thousand_are_joined_without_recursion() -> None:
    # By hand: d/dx of sum_i (i (x_0 + x_1))^2 is 2 (x_0 + x_1) sum i^2, for both.
    n = 1100
    both = compile(COMPILED["one slice"], np.ones(n), operator="gradient")
    expected = 2 * 2.0 * sum(i * i for i in range(n))
    np.testing.assert_allclose(both(np.ones(n))[:2], expected, rtol=1e-12)


def test_the_code_for_forms_of_arguments_is_bounded_and_freed() -> None:
    made = compile(lambda x, k: np.sum(x) * k)
    alive = []
    gc.disable()
    try:
        for k in range(MOST_FORMS + 20):
            made(np.ones(2), k)
            alive.append(weakref.ref(next(reversed(made._made.values()))[0].function))
        # The first form, and those that were used last.
        assert [i for i, code in enumerate(alive) if code() is None] == list(range(1, 20))
        assert made.traces == MOST_FORMS + 20
        made(np.ones(2), 20)
        made(np.ones(2), 0)
        assert made.traces == MOST_FORMS + 20
        # 20 was used, so 21 is dropped before it.
        made(np.ones(2), 1)
        assert alive[20]() is not None
        assert alive[21]() is None
    finally:
        gc.enable()


def largest(key: Any) -> int:
    """Return the most bytes of an object in nested tuples."""
    return max(map(largest, key), default=0) if isinstance(key, tuple) else sys.getsizeof(key)


def test_the_key_of_a_constant_is_small_and_of_its_own_object() -> None:
    made = compile(lambda x, at, options: np.sum(x[at]) * len(options), np.ones(3), np.arange(2), {"a"})
    # An unhashable constant is known by its object, which is kept: no later one can have its address.
    assert [made(np.ones(3), np.arange(2), {"a", *map(str, range(k))})[0] for k in range(4)] == [2.0, 4.0, 6.0, 8.0]
    big = np.zeros(100_000, int)
    made(np.ones(3), big, {"a"})
    assert max(map(largest, made._made)) < 1000


_Z, _LABELS = np.random.default_rng(0).normal(size=(256, 10)), np.arange(256)[:, None] % 10


def _cross_entropy(z: Any) -> Any:
    z = z - xp.max(z, axis=1, keepdims=True)
    chosen = xp.take_along_axis(z, _LABELS, axis=1)[:, 0]
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - chosen)


#: name, function, point, calls and arrays in the size of the point that its gradient may take.
ONCE = [
    # 286 calls and 16.4 arrays; 416 and 20 with one rule after the other and a product of a mask of floats.
    ("cross-entropy", _cross_entropy, _Z, 350, 18.0),
    # 6.7 arrays; 7.7 if the cotangent is negated before its rows are added up.
    ("less the row sum", lambda z: xp.sum((z - xp.sum(z, axis=1, keepdims=True)) ** 2), _Z, 150, 7.2),
    # 70 calls: reshaped back. 106 if added to zeros.
    ("new axis", lambda x: xp.sum(x[:, None] * 2.0), np.ones(100_000), 88, 2.2),
]


@pytest.mark.parametrize(("f", "x", "calls", "arrays"), [row[1:] for row in ONCE], ids=[row[0] for row in ONCE])
def test_a_gradient_takes_few_calls_and_arrays(f: Any, x: Any, calls: int, arrays: float) -> None:
    slopes = grad(f)
    for _ in range(2):
        slopes(x)
    made, allocated = work(lambda: slopes(x))
    # NumPy 2.2 copies what it adds up into a buffer.
    _, buffered = work(lambda: np.add.reduce(x, axis=None))
    assert made <= calls
    assert allocated - buffered <= arrays * x.nbytes


def test_ones_are_views_of_one_array() -> None:
    assert np.shares_memory(ones(100), ones(200))
    assert not ones(100).flags.writeable
