"""The rule for zero times infinity, in every mode: the limit where it is known, nan where it is not, never a guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from autodiff_compare.backends.numpy_autodiff import (
    Variable,
    checkpoint,
    compile,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    vjp,
)

la = np.linalg
inf, nan = np.inf, np.nan
EYE = np.eye(2, dtype=bool)
#: A root is steep in the first entry, and has the slope 1/4 in the second.
AT, QUARTER = [0.0, 4.0], [0.0, 0.25]
MOVED = [[0.0, 0.0, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]]
ROOT = checkpoint(lambda x: np.sqrt(x))
ROWS = [0.0, 1.0, 4.0, 4.0]


def _rebuilt(a: Any) -> Any:
    u, s, vh = la.svd(a)
    return ((u * s) @ vh)[0, 1]


#: name, function, point, and gradient: from the closed form that the name states, or the comment; nan where the chain
#: rule reads 0 times infinity at an entry that is reached.
FIRST: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    # Pairs that are known together. Each is x, or a power of it.
    ("sqrt(x)^2", lambda x: np.sqrt(x) ** 2, 0.0, 1.0),
    ("sqrt(x)^4", lambda x: np.sqrt(x) ** 4, 0.0, 0.0),
    ("sqrt(x)^3", lambda x: np.sqrt(x) ** 3, 0.0, 0.0),
    ("sqrt(x) sqrt(x)", lambda x: np.sqrt(x) * np.sqrt(x), 0.0, 1.0),
    ("square(sqrt(x))", lambda x: np.square(np.sqrt(x)), 0.0, 1.0),
    ("cbrt(x)^3", lambda x: np.cbrt(x) ** 3, 0.0, 1.0),
    ("(x^0.25)^4", lambda x: (x**0.25) ** 4, 0.0, 1.0),
    ("1/(1/x)", lambda x: 1 / (1 / x), 0.0, 1.0),
    ("6/(2/x)", lambda x: 6 / (2 / x), 0.0, 3.0),
    ("exp(log x)", lambda x: np.exp(np.log(x)), 0.0, 1.0),
    ("exp2(log2 x)", lambda x: np.exp2(np.log2(x)), 0.0, 1.0),
    ("expm1(log1p x)", lambda x: np.expm1(np.log1p(x)), -1.0, 1.0),
    ("sin(arcsin x)", lambda x: np.sin(np.arcsin(x)), 1.0, 1.0),
    ("cos(arccos x)", lambda x: np.cos(np.arccos(x)), -1.0, 1.0),
    ("cosh(arccosh x)", lambda x: np.cosh(np.arccosh(x)), 1.0, 1.0),
    ("tanh(arctanh x)", lambda x: np.tanh(np.arctanh(x)), 1.0, 1.0),
    ("x sqrt(x)", lambda x: x * np.sqrt(x), 0.0, 0.0),
    ("x^-0.5 x", lambda x: x**-0.5 * x, 0.0, inf),
    # The limits are 1, infinite, infinite, (0, -1), 0, 0, infinite, (1, 0), 1 and the unit of an entry, in this order.
    ("cbrt(x^3)", lambda x: np.cbrt(x**3), 0.0, nan),
    ("cbrt(x)^2", lambda x: np.cbrt(x) ** 2, 0.0, nan),
    ("2 cbrt(x)^2", lambda x: np.sum((np.cbrt(x).reshape(1, 1) @ np.array([[1, -1]])) ** 2), [0.0], [nan]),
    ("arctan(x/y)", lambda x: np.arctan(x[0] / x[1]), [1.0, 0.0], [nan, nan]),
    ("sqrt(x^4)", lambda x: np.sqrt(x**4), 0.0, nan),
    ("exp(2 log x)", lambda x: np.exp(2 * np.log(x)), 0.0, nan),
    ("sqrt(|x|), with the sign of x", lambda x: np.sign(x) * np.sqrt(np.abs(x)), 0.0, nan),
    ("r cos(angle)", lambda x: np.hypot(x[0], x[1]) * np.cos(np.arctan2(x[1], x[0])), [0.0, 0.0], [nan, nan]),
    ("an entry of U S V^H", _rebuilt, np.zeros((2, 2)), np.full((2, 2), nan)),
    ("x^x: -inf", lambda x: x**x, 0.0, -inf),
    ("x^y: infinite, and 0^y", lambda x: np.power(x[0], x[1]), [0.0, 0.5], [inf, 0.0]),
    ("|sqrt(x)|", lambda x: np.abs(np.sqrt(x)), 0.0, nan),
    ("log of a norm", lambda x: np.log(la.norm(x)), [0.0, 0.0], [nan, nan]),
    # Selections.
    ("where", lambda x: np.sum(np.where(x > 0, np.sqrt(x), x**2)), AT, QUARTER),
    ("root of the positive part", lambda x: np.sum(np.sqrt(np.maximum(x, 0))), [-1.0, 4.0], [0.0, 0.25]),
    ("root of a where", lambda x: np.sum(np.sqrt(np.where(x > 0, x, 0.0))), [-1.0, 4.0], [0.0, 0.25]),
    ("root of a clip", lambda x: np.sum(np.sqrt(np.clip(x, 0, 9))), [-1.0, 4.0], [0.0, 0.25]),
    ("clip of a root", lambda x: np.sum(np.clip(np.sqrt(x), 1, 9)), AT, QUARTER),
    ("maximum of a root", lambda x: np.sum(np.maximum(np.sqrt(x), 1.0)), AT, QUARTER),
    ("max of roots", lambda x: np.max(np.sqrt(x)), AT, QUARTER),
    ("mask", lambda x: np.sum(np.log(x)[np.array([False, True])]), AT, QUARTER),
    ("take", lambda x: np.take(np.log(x), 1), AT, QUARTER),
    ("slice", lambda x: np.sum(np.exp(x)[1:]), [1000.0, 0.0], [0.0, 1.0]),
    ("constant factor 0", lambda x: np.sum(np.array([0.0, 1.0]) * np.sqrt(x)), AT, QUARTER),
    ("constant in a join", lambda x: np.sum(np.sqrt(np.concatenate([x, [0.0]]))), [1.0, 4.0], [0.5, 0.25]),
    ("nan_to_num", lambda x: np.sum(np.nan_to_num(np.log(x), neginf=0.0)), AT, QUARTER),
    ("row of sums", lambda x: np.sum(np.sqrt(x.reshape(2, 2)), axis=1)[1], ROWS, [0.0, 0.0, 0.25, 0.25]),
    # sqrt(4 + 4) has the slope (1/4) 2/sqrt(8) = 1/sqrt(32) in each.
    ("row of norms", lambda x: la.norm(np.sqrt(x.reshape(2, 2)), axis=1)[1], ROWS, [0, 0, 32**-0.5, 32**-0.5]),
    ("row of products", lambda x: np.prod(np.sqrt(x.reshape(2, 2)), axis=1)[1], ROWS, [0.0, 0.0, 0.5, 0.5]),
    ("row of a product", lambda x: (np.sqrt(x.reshape(2, 2)) @ np.ones(2))[1], ROWS, [0.0, 0.0, 0.25, 0.25]),
    ("gammaln", lambda x: np.sum(np.where(x > 0, special.gammaln(x), 0.0)), [0.0, 1.0], [0.0, -np.euler_gamma]),
    ("xlogy of zeros by mask", lambda x: np.sum(special.xlogy(x, x)[1:]), [0.0, 1.0], [0.0, 1.0]),
    ("1/exp behind where", lambda x: np.where(x < 10, 1 / np.exp(x), 0.0), 1000.0, 0.0),
    ("exp(-1/x^2) behind where", lambda x: np.where(x != 0, np.exp(-1 / x**2), 0.0), 0.0, 0.0),
    ("checkpoint behind where", lambda x: np.sum(np.where(x > 0, ROOT(x), 0.0)), AT, QUARTER),
    ("distances", lambda x: np.sum(np.where(EYE, 0, np.sqrt((x[:, None] - x) ** 2))), [1.0, 3.0], [-2.0, 2.0]),
    # The largest eigenvector of diag(1, 1, 2) moves by dA_02 / (2 - 1); the lower triangle is read.
    ("one vector beside equal values", lambda a: la.eigh(a)[1][0, 2], np.diag([1.0, 1.0, 2.0]), MOVED),
]  # fmt: skip


def _entries(f: Callable[[Any], Any], x: Any) -> dict[str, Callable[[], Any]]:
    """Every way to the gradient of ``f`` at ``x``, compiled there and elsewhere."""

    def backward() -> Any:
        v = Variable(x)
        f(v).backward()
        return v.grad

    return {
        "grad": lambda: grad(f)(x),
        "vjp": lambda: vjp(f, x)[1](np.float64(1.0))[0],
        "rows": lambda: jacobian(f, mode="reverse")(x),
        "columns": lambda: jacobian(f, mode="forward")(x),
        "backward": backward,
        "compiled": lambda: compile(f, x, operator="gradient")(x),
        "compiled elsewhere": lambda: compile(f, 0.5 * x + 0.25, operator="gradient")(x),
    }


@pytest.mark.parametrize(("f", "x", "expected"), [row[1:] for row in FIRST], ids=[row[0] for row in FIRST])
def test_first_derivatives(f: Callable[[Any], Any], x: Any, expected: Any) -> None:
    x = np.asarray(x)[()]
    with np.errstate(all="ignore"):
        found = {name: way() for name, way in _entries(f, x).items()}
        tangent = jvp(f, (x,), (np.ones_like(x),))[1]
        single = grad(f)(x.astype(np.float32))
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=0, err_msg=name)
    np.testing.assert_allclose(tangent, np.sum(expected), rtol=1e-12, atol=0)
    np.testing.assert_allclose(single, expected, rtol=1e-5, atol=1e-7)


_CENTRE = 2 * (np.eye(3) - 1 / 3)
#: Second derivatives at 0, where lengths have a tip: |x|^2 is a sum of squares, of which 2 I is the Hessian.
SECOND: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    ("norm^2", lambda x: la.norm(x) ** 2, [0.0, 0.0], 2 * np.eye(2)),
    ("norm^2.0", lambda x: la.norm(x) ** 2.0, [0.0, 0.0], 2 * np.eye(2)),
    ("square(norm)", lambda x: np.square(la.norm(x)), [0.0, 0.0], 2 * np.eye(2)),
    ("norm norm", lambda x: la.norm(x) * la.norm(x), [0.0, 0.0], 2 * np.eye(2)),
    ("frobenius^2", lambda x: la.norm(x.reshape(1, 2), "fro") ** 2, [0.0, 0.0], 2 * np.eye(2)),
    ("sum of norms^2", lambda x: np.sum(la.norm(x.reshape(2, 2), axis=1) ** 2), [0.0, 0.0, 3.0, 4.0], 2 * np.eye(4)),
    ("norm^4", lambda x: la.norm(x) ** 4, [0.0, 0.0], np.zeros((2, 2))),
    ("norm^3", lambda x: la.norm(x) ** 3, [0.0, 0.0], np.zeros((2, 2))),
    ("hypot^2", lambda x: np.hypot(x[0], x[1]) ** 2, [0.0, 0.0], 2 * np.eye(2)),
    ("|z|^2", lambda x: np.abs(x[0] + 1j * x[1]) ** 2, [0.0, 0.0], 2 * np.eye(2)),
    ("|x|^2", lambda x: np.sum(np.abs(x) ** 2), [0.0, 1.0], 2 * np.eye(2)),
    ("fabs^2", lambda x: np.sum(np.fabs(x) ** 2), [0.0, 1.0], 2 * np.eye(2)),
    # The second derivative of |x|^p is p (p-1) |x|^(p-2), and the third of |x|^3.5 is 0 at 0 too.
    ("|x|^2.5", lambda x: np.sum(np.abs(x) ** 2.5), [0.0, 1.0], np.diag([0.0, 3.75])),
    ("fabs^2.25", lambda x: np.sum(np.fabs(x) ** 2.25), [0.0, -1.0], np.diag([0.0, 2.8125])),
    ("slope of |x|^3.5", lambda x: np.sum(grad(lambda y: np.abs(y[0]) ** 3.5)(x)), [0.0, 1.0], np.zeros((2, 2))),
    ("sqrt(sum x^2)^2", lambda x: np.sqrt(np.sum(x * x)) ** 2, [0.0, 0.0], 2 * np.eye(2)),
    # The variance is sum (x - m)^2 / n, with the Hessian 2 (I - 1/n) / n.
    ("std^2", lambda x: np.std(x) ** 2, [1.0, 1.0, 1.0], _CENTRE / 3),
    ("std^2, ddof 1", lambda x: np.std(x, ddof=1) ** 2, [1.0, 1.0, 1.0], _CENTRE / 2),
    ("nanstd^2", lambda x: np.nanstd(x) ** 2, [1.0, 1.0, 1.0], _CENTRE / 3),
    ("sqrt(var)^2", lambda x: np.sqrt(np.var(x)) ** 2, [1.0, 1.0, 1.0], _CENTRE / 3),
    ("sqrt(x)^2", lambda x: np.sqrt(x[0]) ** 2, [0.0], [[0.0]]),
    ("sqrt(x)^4", lambda x: np.sqrt(x[0]) ** 4, [0.0], [[2.0]]),
    ("exp(log x)", lambda x: np.exp(np.log(x[0])), [0.0], [[0.0]]),
    ("behind where", lambda x: np.sum(np.where(x > 0, np.sqrt(x), 3 * x * x)), [0.0, 4.0], np.diag([6.0, -1 / 32])),
    ("norm behind where", lambda x: np.where(x[0] > 0, la.norm(x), x[1] ** 2), [0.0, 0.0], np.diag([0.0, 2.0])),
    # The tip of a cone: there is none.
    ("norm", la.norm, [0.0, 0.0], np.full((2, 2), nan)),
    ("hypot", lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], np.full((2, 2), nan)),
    ("std", np.std, [1.0, 1.0], np.full((2, 2), nan)),
    # x^y has the mixed second derivative x^(y-1) (1 + y log x).
    ("x^y at y = 0", lambda x: np.power(x[0], x[1]), [2.0, 0.0], [[0.0, 0.5], [0.5, np.log(2) ** 2]]),
    ("x^y at x = 0", lambda x: np.power(x[0], x[1]), [0.0, 2.0], [[2.0, 0.0], [0.0, 0.0]]),
]  # fmt: skip


def _hessians(f: Callable[[Any], Any], x: Any) -> dict[str, Callable[[], Any]]:
    """Every nesting, and both modes of asking for its columns."""
    n = len(x)
    units = np.eye(n)

    def forward(y: Any) -> Any:
        return jacobian(f, mode="forward")(y)

    def rows(make: Callable[[Any], Any]) -> Callable[[], Any]:
        return lambda: np.stack([make(t) for t in units])

    def backward() -> Any:
        found = []
        for i in range(n):
            v = Variable(x)
            f(v).backward(create_graph=True)
            first = v.grad
            v.zero_grad()
            if isinstance(first, Variable):
                first[i].backward()
            found.append(np.zeros(n) if v.grad is None else v.grad)
        return np.stack(found)

    return {
        "hessian": lambda: hessian(f)(x),
        "reverse over reverse": lambda: jacobian(grad(f), mode="reverse")(x),
        "forward over forward": lambda: jacobian(forward, mode="forward")(x),
        "reverse over forward": lambda: jacobian(forward, mode="reverse")(x),
        "hvp": rows(lambda t: hvp(f, (x,), (t,))[0]),
        "grad of jvp": rows(lambda t: grad(lambda y: jvp(f, (y,), (t,))[1])(x)),
        "jvp of jvp": rows(lambda t: [jvp(lambda y: jvp(f, (y,), (t,))[1], (x,), (s,))[1] for s in units]),
        "backward": backward,
        "compiled": lambda: compile(f, x, operator="hessian")(x),
        "compiled elsewhere": lambda: compile(f, x + 0.5 + 0.1 * np.arange(n), operator="hessian")(x),
    }


@pytest.mark.parametrize(("f", "x", "expected"), [row[1:] for row in SECOND], ids=[row[0] for row in SECOND])
def test_second_derivatives(f: Callable[[Any], Any], x: Any, expected: Any) -> None:
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        found = {name: way() for name, way in _hessians(f, x).items()}
    for name, second in found.items():
        np.testing.assert_allclose(second, expected, rtol=1e-12, atol=1e-15, err_msg=name)


def test_a_root_within_a_checkpoint_is_not_known_together_with_its_square() -> None:
    f = lambda x: ROOT(x) ** 2  # noqa: E731 - used thrice
    with np.errstate(all="ignore"):
        assert np.isnan(grad(f)(0.0))
        assert np.isnan(jvp(f, (0.0,), (1.0,))[1])
        # Compiled code may see into the checkpoint, where the whole is x.
        assert compile(f, 0.0, operator="gradient")(0.0) in (1.0, pytest.approx(nan, nan_ok=True))


def test_a_complex_modulus_squared_is_smooth() -> None:
    # The gradient of |z|^2 is 2 z, so that its derivative along t is 2 t.
    for t in (1 + 0j, 1j, 2 - 1j):
        assert hvp(lambda z: np.abs(z) ** 2, (0j,), (t,))[0] == 2 * t


def test_an_entry_that_no_seed_reaches_is_zero() -> None:
    x = np.array([0.0, 4.0])
    for mode in ("reverse", "forward"):
        np.testing.assert_array_equal(jacobian(np.sqrt, mode=mode)(x), [[inf, 0.0], [0.0, 0.25]])
    value, pullback = vjp(np.sqrt, x)
    # One recording, swept with several cotangents: each has its own zeros.
    np.testing.assert_array_equal(pullback(np.array([0.0, 1.0]))[0], [0.0, 0.25])
    np.testing.assert_array_equal(pullback(np.array([1.0, 0.0]))[0], [inf, 0.0])
    assert jvp(lambda x: np.sum(np.sqrt(x)), (x,), (np.array([0.0, 1.0]),))[1] == 0.25
    assert np.array_equal(value, [0.0, 2.0])


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (np.median, [0.0, 0.25, 0.0]),
        # The quantile 3/4 of three is the mean of the two largest: 1/8 and 1/12.
        (lambda x: np.quantile(x, 0.75), [0.0, 1 / 8, 1 / 12]),
        (lambda x: np.sort(x)[2], [0.0, 0.0, 1 / 6]),
    ],
)
def test_order_statistics_leave_a_steep_entry_out(f: Callable[[Any], Any], expected: Any) -> None:
    for mode in ("reverse", "forward"):
        found = jacobian(lambda x: f(np.sqrt(x)), mode=mode)(np.array([0.0, 4.0, 9.0]))
        np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_seed_that_is_differentiated_is_not_taken_for_zero() -> None:
    # The derivative along t is t / (2 sqrt x), of which the slope in t is 1/4 at x = 4, also at t = 0.
    assert grad(lambda t: jvp(np.sqrt, (4.0,), (t,))[1])(0.0) == 0.25
    assert grad(lambda g: vjp(lambda x: np.sum(np.sqrt(x)), np.array([0.0, 4.0]))[1](g)[0][1])(0.0) == 0.25


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 3), (2, 3), (1, 1), (1,), ()])
@pytest.mark.parametrize("f", [np.multiply, np.divide, np.add, np.subtract, np.maximum, np.hypot])
def test_a_constant_of_fewer_axes(f: Any, shape: tuple[int, ...]) -> None:
    """The slopes of a sum are those of its terms, summed over the copies that broadcasting makes."""
    x, c = np.full(shape, 1.5), np.array([0.5, 1.0, -2.0])
    slopes = {
        "multiply": c, "divide": 1 / c, "add": np.ones(3), "subtract": np.ones(3), "maximum": np.ones(3),
        "hypot": 1.5 / np.hypot(1.5, c),
    }[f.__name__]  # fmt: skip
    expected = np.broadcast_to(slopes, shape) if shape[-1:] == (3,) else np.full(shape, np.sum(slopes))
    np.testing.assert_allclose(grad(lambda x: np.sum(f(x, c)))(x), expected, rtol=1e-14)
    np.testing.assert_allclose(3 * grad(lambda x: np.mean(f(x, c)))(x) * max(x.size // 3, 1), expected, rtol=1e-14)
