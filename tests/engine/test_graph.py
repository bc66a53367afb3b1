"""Recording, sweeping and nesting in the engine; each fault of the classic teaching engines is a test here."""

from __future__ import annotations

import collections
import math
import weakref
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import (
    TraceError,
    Variable,
    checkpoint,
    custom_rule,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    no_grad,
    stop_gradient,
    value_and_grad,
    vjp,
)


def value(x: Any) -> Any:
    return x.value if isinstance(x, Variable) else x


#: Faults of the classic engine: function of one number, at x, its derivative by hand.
OPERATORS = [
    ("division", lambda x: 1 / x + x / 4, 2.0, 0.0),
    ("number to a variable", lambda x: 2**x, 3.0, 8 * math.log(2)),
    ("variable to a variable", lambda x: x**x, 2.0, 4 * (math.log(2) + 1)),
    ("lists", lambda x: ([1.0, 2.0] * x + [0.0, 1.0]).sum(), 2.0, 3.0),
    ("equal inputs", lambda x: (x + 0) * (x + 0), 3.0, 6.0),
    ("np.exp", lambda x: np.exp(x), 0.0, 1.0),
    ("ndarray on the left", lambda x: np.sum(np.array([1.0, 2.0]) * x), 5.0, 3.0),
    ("np.float64 on the left", lambda x: np.float64(3.0) - x, 5.0, -1.0),
    ("abs, neg, mod", lambda x: abs(-x) + x % 2.0, 3.5, 2.0),
]


@pytest.mark.parametrize(("f", "x", "expected"), [o[1:] for o in OPERATORS], ids=[o[0] for o in OPERATORS])
def test_operators(f: Any, x: float, expected: float) -> None:
    assert grad(f)(x) == pytest.approx(expected, rel=1e-15, abs=1e-15)
    variable = Variable(x)
    f(variable).backward()
    assert variable.grad == pytest.approx(expected, rel=1e-15, abs=1e-15)


def test_broadcast_gradients_have_the_shape_of_their_input() -> None:
    a, b = grad(lambda a, b: np.sum(a * b), (0, 1))(np.ones((2, 1)), np.arange(3.0))
    np.testing.assert_array_equal(a, [[3.0], [3.0]])
    np.testing.assert_array_equal(b, [2.0, 2.0, 2.0])


def test_two_inputs_never_share_a_gradient_array() -> None:
    a, b = grad(lambda a, b: np.sum(a + b), (0, 1))(np.ones(3), np.ones(3))
    a[0] = 7.0
    np.testing.assert_array_equal(b, 1.0)
    cotangent = np.ones(3)
    (g,) = vjp(lambda x: x + 0.0, np.ones(3))[1](cotangent)
    g[0] = 7.0
    np.testing.assert_array_equal(cotangent, 1.0)


@pytest.mark.parametrize("bad", [3, True, np.arange(3), [1, 2]], ids=str)
def test_integers_are_refused_with_a_reason(bad: Any) -> None:
    with pytest.raises(TypeError, match="integers and booleans have no derivative"):
        grad(lambda x: np.sum(x * 1.0))(np.asarray(bad))
    with pytest.raises(TypeError, match="integers and booleans have no derivative"):
        Variable(bad)


def test_integers_are_free_as_constants() -> None:
    assert grad(lambda x, n: np.sum(x * n))(2.0, np.arange(3)) == 3.0


@pytest.mark.parametrize(
    "leak", [float, int, complex, math.sin, np.asarray, np.array, lambda x: x.item(), lambda x: [1, 2][x]]
)
def test_nothing_drops_the_graph_silently(leak: Any) -> None:
    with pytest.raises(TypeError, match="would drop its derivative"):
        grad(lambda x: leak(x) * 1.0)(1.5)


@pytest.mark.parametrize(
    ("f", "named"),
    [(np.histogram, "numpy.histogram"), (np.gcd, "np.gcd"), (np.add.reduceat, "np.add.reduceat")],
    ids=["function", "ufunc", "method"],
)
def test_a_function_without_a_rule_raises_and_names_it(f: Any, named: str) -> None:
    with pytest.raises(NotImplementedError, match=named):
        grad(lambda x: np.sum(f(x, [0]) if "add" in named else f(x, 1) if "gcd" in named else f(x)))(np.ones(3))


def test_assignment_and_out_are_refused() -> None:
    with pytest.raises(TypeError, match="overwrite a recorded value"):
        grad(lambda x: x.__setitem__(0, 1.0))(np.ones(2))
    with pytest.raises(TypeError, match="out="):
        grad(lambda x: np.sum(np.multiply(x, 2.0, out=np.ones(2))))(np.ones(2))


def test_float32_stays_float32() -> None:
    x = np.ones(3, np.float32)
    assert grad(lambda x: np.sum(2.0 * x**3 / 3 + np.exp(x) - 1))(x).dtype == np.float32
    assert grad(lambda x: x * 2.0)(np.float32(1)).dtype == np.float32
    assert grad(lambda x: np.sum(x * np.ones(3)))(x).dtype == np.float32


# Depth and width ----------------------------------------------------------------------------------


def chain(x: Any, n: int) -> Any:
    for _ in range(n):
        x = x * 1.00001 + 0.5
    return x


def test_a_deep_chain_needs_no_recursion() -> None:
    n = 100_000
    assert grad(chain)(1.0, n) == pytest.approx(1.00001**n, rel=1e-9)
    assert jvp(lambda x: chain(x, n), (1.0,), (1.0,))[1] == pytest.approx(1.00001**n, rel=1e-9)
    x = Variable(1.0)
    y = chain(x, n)
    y.backward(retain_graph=True)
    assert x.grad == pytest.approx(1.00001**n, rel=1e-9)
    del y  # frees 200 000 nodes, each holding the one before


def test_a_wide_sum_of_entries_is_linear() -> None:
    """Each entry's cotangent is kept as an entry: n arrays of n zeros would be 80 GB."""
    n = 100_000
    np.testing.assert_array_equal(grad(lambda x: sum(x[i] for i in range(n)))(np.ones(n)), 1.0)


def test_the_backward_sweep_visits_each_node_once() -> None:
    """A chain of squares has 2^40 paths."""
    visits = []

    @custom_rule(vjp=(lambda g, ans, x: visits.append(1) or g,))  # type: ignore[func-returns-value]
    def probe(x: Any) -> Any:
        return x

    def doubling(x: Any) -> Any:
        for _ in range(40):
            x = probe(x)
            x = 0.5 * x + 0.5 * x
        return x

    assert grad(doubling)(1.0) == 1.0
    assert len(visits) == 40


# Nesting ------------------------------------------------------------------------------------------


def test_a_gradient_frees_the_arrays_that_its_sweep_has_passed() -> None:
    """When the first rule of the chain runs, last in the sweep, nothing of the later results is left."""
    results: list[weakref.ref[Any]] = []
    left: list[int] = []

    def counting(g: Any, ans: Any, x: Any) -> Any:
        left.append(sum(r() is not None for r in results))
        return g

    first = custom_rule(vjp=(counting,))(lambda x: x + 0.0)

    def f(x: Any) -> Any:
        y = first(x)
        for _ in range(10):
            y = np.sin(y) * y
            results.append(weakref.ref(y.primal))
        return np.sum(y)

    grad(f)(np.ones(3))
    assert len(results) == 10
    assert left == [0]


def test_a_sum_of_products_of_mixed_precision_is_not_rounded_to_the_lower_one() -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.1, 2.2], np.float32)
    third = 1 / 3
    np.testing.assert_array_equal(grad(lambda a: third * np.sum(a * b))(a), third * b.astype(float))
    found = grad(lambda a, b: third * (a * b), (0, 1))(np.float64(1.5), b[0])
    assert found[0] == third * float(b[0])
    assert found[1] == np.float32(third * 1.5)
    assert found[1].dtype == np.float32


@pytest.mark.parametrize(
    ("f", "slopes"),
    [
        (lambda x: x + x, [2.0, 4.0, 6.0]),
        (lambda x: x - x, [0.0, 0.0, 0.0]),
        (lambda x: x + x[::-1], [4.0, 4.0, 4.0]),
        (lambda x: (x + x) - x * 1.0, [1.0, 2.0, 3.0]),
    ],
)
def test_both_terms_of_a_sum_may_be_one_array(f: Any, slopes: list[float]) -> None:
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.array([1.0, 2.0, 3.0]) * f(x)))(np.ones(3)), slopes)


def test_levels_do_not_mix() -> None:
    """d/dx (x d/dy (x y)) = d/dx x^2."""
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6.0
    # d/dx (x d/dy (x + y)) = 1: the classic test for perturbation confusion.
    assert jvp(lambda x: x * jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert grad(lambda x: x * jvp(lambda y: x + y, (1.0,), (1.0,))[1])(1.0) == 1.0


def forward(f: Any) -> Any:
    return lambda x: jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize("modes", [m for n in (1, 2, 3, 4) for m in np.ndindex(*(2,) * n)], ids=str)
def test_any_order_in_any_mix_of_modes(modes: tuple[int, ...]) -> None:
    f: Any = lambda x: np.sin(2 * x) * np.exp(x)  # noqa: E731
    for mode in modes:
        f = (grad, forward)[mode](f)
    # The n-th derivative of Im exp((1 + 2i) x).
    expected = (((1 + 2j) ** len(modes)) * np.exp((1 + 2j) * 0.3)).imag
    assert f(0.3) == pytest.approx(expected, rel=1e-13)


def test_transforms_agree_with_each_other() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sin(x[:-1]) * x[1:] ** 2)

    x, t = np.linspace(0.1, 1.0, 4), np.array([1.0, -2.0, 0.5, 3.0])
    H = hessian(f)(x)
    np.testing.assert_allclose(H, H.T, rtol=1e-15)
    np.testing.assert_allclose(hvp(f, (x,), (t,))[0], H @ t, rtol=1e-14)
    np.testing.assert_allclose(jacobian(grad(f), mode="reverse")(x), H, rtol=1e-14)
    np.testing.assert_allclose(linearize(grad(f), x)[1](t), H @ t, rtol=1e-14)
    np.testing.assert_allclose(grad(checkpoint(f))(x), grad(f)(x), rtol=0)
    np.testing.assert_allclose(hessian(checkpoint(f))(x), H, rtol=1e-14)


Pair = collections.namedtuple("Pair", "a b")


def test_containers_and_aux() -> None:
    tree = {"w": np.ones(2), "p": Pair([np.float64(2.0)], (np.ones(1), 3.0))}

    def f(t: Any, scale: float) -> Any:
        return scale * (t["w"].sum() * t["p"].a[0] + t["p"].b[0].sum() * t["p"].b[1]), {"seen": t["w"]}

    (y, aux), g = value_and_grad(f, has_aux=True)(tree, scale=2.0)
    assert y == 14.0
    assert isinstance(g["p"], Pair)
    np.testing.assert_array_equal(g["w"], 4.0)
    assert (g["p"].a[0], g["p"].b[0][0], g["p"].b[1]) == (4.0, 6.0, 2.0)
    np.testing.assert_array_equal(aux["seen"], tree["w"])


def test_unused_and_independent_inputs_have_zero_gradients() -> None:
    _, b = grad(lambda a, b: np.sum(a), (0, 1))(np.ones(2), np.ones(3))
    np.testing.assert_array_equal(b, np.zeros(3))
    assert grad(lambda x: 5.0)(1.0) == 0.0
    assert grad(lambda x: stop_gradient(x) * x)(3.0) == 3.0
    # Several outputs, one of them unused.
    w = grad(lambda a: np.sum(np.linalg.eigh(a)[0]))(np.diag([1.0, 2.0]))
    np.testing.assert_allclose(w, np.eye(2), atol=1e-15)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="expected a scalar"):
        grad(lambda x: x)(np.ones(2))
    with pytest.raises(ValueError, match=r"cotangent of shape \(3,\), expected \(2,\)"):
        vjp(lambda x: x, np.ones(2))[1](np.ones(3))
    leaked = []
    grad(lambda x: leaked.append(x) or x * 1.0)(1.0)  # type: ignore[func-returns-value]
    with pytest.raises(TraceError, match="after the function it belongs to has returned"):
        leaked[0] + 1.0
    with pytest.raises(TraceError, match="pass it as one"):
        grad(lambda x: checkpoint(lambda y: x * y)(x))(1.0)


def test_a_rule_needs_only_one_mode() -> None:
    forward_only = custom_rule(jvp=(lambda t, ans, x: t * np.cos(x),))(np.sin)
    assert grad(forward_only)(0.3) == pytest.approx(math.cos(0.3), rel=1e-15)
    reverse_only = custom_rule(vjp=(lambda g, ans, x: g * np.cos(x),))(np.sin)
    assert jvp(reverse_only, (0.3,), (2.0,))[1] == pytest.approx(2 * math.cos(0.3), rel=1e-15)
    assert grad(grad(reverse_only))(0.3) == pytest.approx(-math.sin(0.3), rel=1e-15)


# The backward style -------------------------------------------------------------------------------


def test_backward_on_a_leaf() -> None:
    x = Variable(2.0)
    x.backward()
    assert x.grad == 1.0


def test_retaining_a_gradient_does_not_stop_the_sweep() -> None:
    x = Variable(5.0)
    z = 2 * x
    z.retain_grad()
    y = x**2 - z + 1
    y.backward()
    assert (x.grad, z.grad, y.grad) == (8.0, -1.0, None)


def test_gradients_accumulate_until_cleared() -> None:
    x = Variable(5.0)
    (x**3).backward()
    (x**3).backward()
    assert x.grad == 150.0
    x.zero_grad()
    assert x.grad is None


def test_a_graph_is_used_once_unless_retained() -> None:
    x = Variable(5.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == 20.0
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_create_graph_reaches_intermediates_and_third_order() -> None:
    x = Variable(5.0)
    y = x**3
    for expected in (75.0, 30.0, 6.0):
        x.zero_grad()
        y.backward(create_graph=True)
        y = x.grad
        assert value(y) == expected


def test_no_grad_gives_values_without_history() -> None:
    x = Variable(5.0)
    with no_grad():
        y = x * 2.0
    y.backward()
    assert x.grad is None


def test_a_variable_never_aliases_its_source() -> None:
    source = np.ones(2)
    x = Variable(source)
    source[0] = 7.0
    np.testing.assert_array_equal(x.value, 1.0)


def test_no_cotangent_for_an_array_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"no cotangent for an output of shape \(2,\)"):
        (Variable(np.ones(2)) * 2.0).backward()
