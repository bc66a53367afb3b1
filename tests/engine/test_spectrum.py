"""Second derivatives of functions of eigenvalues and singular values, where some of those are equal or zero.

Expected numbers come from the same functions by matrix products and determinants, which know no ties, or, where there
is no such form, from differences along two directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, compile, grad, hessian, hvp, jacobian, jvp

la = np.linalg


def adjoint(x: Any) -> Any:
    return np.conj(np.swapaxes(x, -1, -2))


def _half(a: Any) -> Any:
    return 0.5 * (a + adjoint(a))


def _power_sum(a: Any, n: int) -> Any:
    """The sum of the n-th powers of the eigenvalues."""
    return np.real(la.trace(la.matrix_power(_half(a), n)))


#: A symmetric function of eigenvalues, and the same by matrix products and determinants.
SPECTRAL: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = [
    ("sum w^2", lambda a: np.sum(la.eigvalsh(a) ** 2), lambda a: _power_sum(a, 2)),
    ("sum w^3, squared", lambda a: np.sum(la.eigvalsh(a) ** 3) ** 2, lambda a: _power_sum(a, 3) ** 2),
    ("sum log w", lambda a: np.sum(np.log(la.eigvalsh(a))), lambda a: np.sum(la.slogdet(_half(a))[1])),
    ("prod w", lambda a: np.prod(la.eigvalsh(a)), lambda a: np.real(la.det(_half(a)))),
    (
        "sum w^2 and sum w",
        lambda a: (lambda w: np.sum(w) * np.sum(w * w) + w.mean() ** 3)(la.eigvalsh(a)),
        lambda a: _power_sum(a, 1) * _power_sum(a, 2) + (_power_sum(a, 1) / a.shape[-1]) ** 3,
    ),
]
_TURN = la.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
_PHASES = la.qr(np.random.default_rng(3).normal(size=(4, 4)) + 1j * np.random.default_rng(4).normal(size=(4, 4)))[0]
#: Matrices with equal eigenvalues: exactly, within rounding, in one block and in two.
TIED = [
    np.eye(3),
    2 * np.eye(2),
    _TURN @ np.diag([1.0, 1.0, 2.0, 2.0]) @ _TURN.T,
    _TURN @ np.diag([1.0, 1.0, 1.0, 3.0]) @ _TURN.T,
    np.diag([0.5, 1.0, 0.5]),
    _PHASES @ np.diag([1.0, 1.0, 2.0, 1.0]) @ adjoint(_PHASES),
]


@pytest.mark.parametrize("a", TIED, ids=range(len(TIED)))
@pytest.mark.parametrize(("by_values", "by_products"), [s[1:] for s in SPECTRAL], ids=[s[0] for s in SPECTRAL])
def test_second_derivatives_exist_where_eigenvalues_are_equal(by_values: Any, by_products: Any, a: Any) -> None:
    rng = np.random.default_rng(5)
    tangent = rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if np.iscomplexobj(a) else 0)
    expected = hvp(by_products, (a,), (tangent,))[0]
    found = hvp(by_values, (a,), (tangent,))[0]
    # The longest sum here has four terms of size 30, and rounding of the eigenvalues enters.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.max(np.abs(expected)) + 1e-13)
    if not np.iscomplexobj(a):
        np.testing.assert_allclose(hessian(by_values)(a), hessian(by_products)(a), rtol=0, atol=1e-11)
    compiled = compile(by_values, a, tangent, operator="hvp")
    np.testing.assert_allclose(compiled(a, tangent), found, rtol=1e-12, atol=1e-12)
    # Another pattern of equal values traces again.
    other = a + np.diag(np.arange(len(a)))
    np.testing.assert_allclose(compiled(other, tangent), hvp(by_products, (other,), (tangent,))[0], rtol=1e-9)


def test_second_derivatives_in_a_batch_of_which_some_eigenvalues_are_equal() -> None:
    batch = np.stack([np.eye(3), np.diag([1.0, 2.0, 3.0]), np.diag([2.0, 1.0, 2.0])])
    tangent = np.random.default_rng(6).normal(size=batch.shape)
    found = hvp(lambda a: np.sum(np.exp(la.eigvalsh(a))), (batch,), (tangent,))[0]
    for k, (a, t) in enumerate(zip(batch, tangent, strict=True)):
        alone = hvp(lambda a: np.sum(np.exp(la.eigvalsh(a))), (a,), (t,))[0]
        np.testing.assert_allclose(found[k], alone, rtol=1e-14)
    # d^2 sum exp(w) at I is e E_sym: exp(I + h E) = e exp(h E), and only h^2 tr E^2 / 2 is of second order.
    np.testing.assert_allclose(found[0], np.e * _half(tangent[0]), rtol=1e-14)


def test_forward_mode_follows_each_eigenvalue() -> None:
    """The directional derivatives of sorted eigenvalues at I are the eigenvalues of the direction."""
    t = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(jvp(la.eigvalsh, (np.eye(2),), (t,))[1], [-1.0, 1.0], rtol=1e-15)


def test_forward_mode_follows_each_singular_value() -> None:
    """Equal values move by eig(sym U^H T V), zeros by the singular values of what is left of T (Lewis, Sendov 2005)."""
    t = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(jvp(la.svdvals, (np.eye(2),), (t,))[1], [1.0, -1.0], rtol=1e-15)
    np.testing.assert_allclose(jvp(la.svdvals, (np.zeros((2, 2)),), (2 * t,))[1], [2.0, 2.0], rtol=1e-15)
    np.testing.assert_allclose(jvp(la.svdvals, (np.zeros((2, 1)),), (np.array([[3.0], [4.0]]),))[1], [5.0], rtol=1e-15)


def _inner(a: Any, b: Any) -> Any:
    return np.sum(np.real(np.conj(a) * b))


def _backward_twice(f: Callable[[Any], Any], a: Any, t: Any) -> Any:
    x = Variable(a)
    f(x).backward(create_graph=True)
    first = x.grad
    x.zero_grad()
    _inner(t, first).backward()
    return x.grad


#: The second derivative along t and s, by each pair of modes (the outer first) and each way of asking.
MIXES: dict[str, Callable[..., Any]] = {
    "forward reverse": lambda f, a, t, s: _inner(s, hvp(f, (a,), (t,))[0]),
    "reverse reverse": lambda f, a, t, s: _inner(s, grad(lambda x: _inner(t, grad(f)(x)))(a)),
    "reverse forward": lambda f, a, t, s: _inner(s, grad(lambda x: jvp(f, (x,), (t,))[1])(a)),
    "forward forward": lambda f, a, t, s: jvp(lambda x: jvp(f, (x,), (t,))[1], (a,), (s,))[1],
    "backward twice": lambda f, a, t, s: _inner(s, _backward_twice(f, a, t)),
    "hessian": lambda f, a, t, s: _inner(s, np.tensordot(hessian(f)(a), t, 2)),
    "rows": lambda f, a, t, s: _inner(s, np.tensordot(jacobian(grad(f), mode="reverse")(a), t, 2)),
    "columns": lambda f, a, t, s: _inner(s, jacobian(lambda x: jvp(f, (x,), (t,))[1], mode="forward")(a)),
}
REAL_ALONE = ("hessian", "rows", "columns")


def _difference(f: Callable[[Any], Any], a: Any, t: Any, s: Any) -> float:
    """Central differences along both, extrapolated twice: errors of h^6 and of rounding over h^2, 1e-9 of f."""

    def central(h: float) -> Any:
        return (f(a + h * (t + s)) - f(a + h * (t - s)) - f(a - h * (t - s)) + f(a - h * (t + s))) / (4 * h * h)

    coarse, middle, fine = central(4e-3), central(2e-3), central(1e-3)
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    return float((16 * second - first) / 15)


def _directions(a: Any, seed: int = 1) -> list[Any]:
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(2, 2, *a.shape))
    return [p[0] + 1j * p[1] if np.iscomplexobj(a) else p[0] for p in parts]


def _judge(f: Callable[[Any], Any], a: Any, mix: str, expected: Any, tolerance: float = 1e-12, seed: int = 1) -> None:
    if mix in REAL_ALONE and np.iscomplexobj(a):
        mix = "forward reverse"
    t, s = _directions(a, seed)
    found = MIXES[mix](f, a, t, s)
    assert abs(found - expected(t, s)) <= tolerance * (1 + abs(expected(t, s)))


def _by_products(g: Callable[[Any], Any], a: Any) -> Any:
    return lambda t, s: _inner(s, hvp(g, (a,), (t,))[0])


def _gram(a: Any) -> Any:
    """The smaller of A^H A and A A^H."""
    return adjoint(a) @ a if a.shape[-2] >= a.shape[-1] else a @ adjoint(a)


def _traced(a: Any) -> Any:
    return np.real(la.trace(a))


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("a", TIED, ids=range(len(TIED)))
@pytest.mark.parametrize(("by_values", "by_products"), [s[1:] for s in SPECTRAL], ids=[s[0] for s in SPECTRAL])
def test_every_mix_of_modes_at_equal_eigenvalues(by_values: Any, by_products: Any, a: Any, mix: str) -> None:
    _judge(by_values, a, mix, _by_products(by_products, a))


_OTHER = la.qr(np.random.default_rng(8).normal(size=(4, 4)))[0]
#: Equal singular values: square, tall, wide, complex, and all kinds of blocks.
SINGULAR = [
    np.eye(3),
    np.diag([2.0, 2.0, 1.0]),
    _TURN @ np.diag([1.0, 1.0, 2.0, 2.0]) @ _OTHER,
    3 * _TURN[:, :2],
    _TURN[:3] * np.array([[2.0], [2.0], [1.0]]),
    _PHASES @ np.diag([1.0, 1.0, 2.0, 1.0]) @ _OTHER,
]
#: Singular values that are zero, and so equal to their own negatives.
VANISHING = [
    np.zeros((2, 2)),
    np.zeros((1, 4)),
    np.diag([2.0, 0.0, 0.0]),
    np.outer([1.0, 2.0], [1.0, 3.0, 1.0]),
    (_TURN @ np.diag([1.0, 1.0, 0.0, 0.0]) @ _OTHER)[:, :3],
    _PHASES @ np.diag([1.0, 0.0, 0.0, 1.0]) @ _OTHER,
]
#: A smooth function of singular values, and the same by products.
EVEN: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = [
    ("sum s^2", lambda a: np.sum(la.svdvals(a) ** 2), lambda a: _traced(_gram(a))),
    (
        "sum s^4 sum s^2",
        lambda a: np.sum(la.svd(a)[1] ** 4) * np.sum(la.svdvals(a) ** 2),
        lambda a: _traced(_gram(a) @ _gram(a)) * _traced(_gram(a)),
    ),
    (
        "sum log(1 + s^2)",
        lambda a: np.sum(np.log(1 + la.svd(a, compute_uv=False) ** 2)),
        lambda a: la.slogdet(np.eye(min(a.shape)) + _gram(a))[1],
    ),
]
ALL_SINGULAR = [*SINGULAR, *VANISHING]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("a", ALL_SINGULAR, ids=range(len(ALL_SINGULAR)))
@pytest.mark.parametrize(("by_values", "by_products"), [s[1:] for s in EVEN], ids=[s[0] for s in EVEN])
def test_every_mix_of_modes_at_equal_and_vanishing_singular_values(
    by_values: Any, by_products: Any, a: Any, mix: str
) -> None:
    _judge(by_values, a, mix, _by_products(by_products, a))


#: What is smooth at matrices of full rank alone, or where one value stands apart.
ELSEWHERE: list[tuple[str, Callable[[Any], Any], list[Any]]] = [
    ("norm nuc", lambda a: la.norm(a, "nuc"), SINGULAR),
    ("sum log s", lambda a: np.sum(np.log(la.svdvals(a))), SINGULAR),
    ("fro / nuc", lambda a: la.norm(a) / la.norm(a, "nuc"), SINGULAR),
    ("norm 2", lambda a: la.norm(a, 2), [np.diag([3.0, 1.0, 1.0]), np.diag([3.0, 1.0, 0.0, 0.0])]),
    ("norm -2", lambda a: la.norm(a, -2), [np.diag([3.0, 3.0, 1.0])]),
    ("cond", la.cond, [_TURN @ np.diag([4.0, 2.0, 2.0, 1.0]) @ _OTHER]),
    ("pinv", lambda a: np.sum(np.sin(la.pinv(a))), SINGULAR[2:5]),
    ("lstsq", lambda a: np.sum(la.lstsq(a, np.arange(1.0, 1 + a.shape[0]))[0] ** 3), SINGULAR[2:5]),
]
ELSEWHERE_AT = [(f"{name} {k}", f, a) for name, f, points in ELSEWHERE for k, a in enumerate(points)]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize(("f", "a"), [row[1:] for row in ELSEWHERE_AT], ids=[row[0] for row in ELSEWHERE_AT])
def test_every_mix_of_modes_against_differences(f: Any, a: Any, mix: str) -> None:
    _judge(f, a, mix, lambda t, s: _difference(f, a, t, s), 1e-6)


_FREE = np.random.default_rng(9).normal(size=(4, 4)) + 2 * np.eye(4)
#: Equal eigenvalues of matrices that are not symmetric.
GENERAL = [
    np.eye(3),
    _FREE @ np.diag([1.0, 1.0, 2.0, 2.0]) @ la.inv(_FREE),
    _FREE @ np.diag([1.0, 1.0, 1.0, 3.0]) @ la.inv(_FREE),
    _PHASES @ np.diag([1.0, 1.0, 2.0j, 2.0j]) @ la.inv(_FREE @ _PHASES) @ _FREE @ _FREE,
]
HOLOMORPHIC: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = [
    ("sum w", lambda a: np.real(np.sum(la.eigvals(a))), _traced),
    ("sum w^2", lambda a: np.real(np.sum(la.eigvals(a) ** 2)), lambda a: _traced(a @ a)),
    (
        "sum w^3 sum w",
        lambda a: np.real(np.sum(la.eigvals(a) ** 3) * np.sum(la.eig(a)[0])),
        lambda a: np.real(la.trace(a @ a @ a) * la.trace(a)),
    ),
    ("prod w", lambda a: np.real(np.prod(la.eigvals(a))), lambda a: np.real(la.det(a))),
]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("a", GENERAL, ids=range(len(GENERAL)))
@pytest.mark.parametrize(("by_values", "by_products"), [s[1:] for s in HOLOMORPHIC], ids=[s[0] for s in HOLOMORPHIC])
def test_every_mix_of_modes_at_equal_eigenvalues_of_any_matrix(
    by_values: Any, by_products: Any, a: Any, mix: str
) -> None:
    # Of a real matrix, a direction may turn equal eigenvalues into conjugates: with forward mode inside, nan.
    forward_inside = mix in ("reverse forward", "forward forward", "columns")
    point = a.astype(complex) if forward_inside and mix != "columns" else a
    if mix == "columns" and not np.iscomplexobj(a):
        t, s = _directions(a)
        found = MIXES[mix](by_values, a, t, s)
        expected = _by_products(by_products, a)(t, s)
        assert np.isnan(found) or abs(found - expected) <= 1e-10 * (1 + abs(expected))
        return
    # Rounding of the eigenvalues of a matrix that is not symmetric grows with the condition of its vectors, 1e2.
    _judge(by_values, point, mix, _by_products(by_products, point), 1e-10)


def test_a_nilpotent_direction_is_right_where_the_graph_is_kept_and_nan_where_tangents_are_pushed() -> None:
    f = lambda a: np.real(np.sum(la.eigvals(a) ** 2))  # noqa: E731 - twice below
    # tr A^2 has the second slopes d2 / da_ij da_ji = 2, along directions that move no eigenvalue.
    expected = 2 * np.einsum("il,jk->ijkl", np.eye(2), np.eye(2))
    np.testing.assert_allclose(hessian(f)(np.eye(2)), expected, atol=1e-15)
    assert np.isnan(hvp(f, (np.eye(2),), (np.array([[0.0, 1.0], [0.0, 0.0]]),))[0]).any()


@pytest.mark.parametrize("mix", ["forward reverse", "reverse reverse", "reverse forward", "forward forward"])
@pytest.mark.parametrize("kind", [np.float32, np.complex64])
def test_a_batch_of_which_some_are_tied_in_single_precision(mix: str, kind: Any) -> None:
    batch = np.stack([np.eye(3)[:, :2], np.arange(6.0).reshape(3, 2), np.zeros((3, 2))])
    exact = batch.astype(complex if np.dtype(kind).kind == "c" else float)
    t, s = (x.astype(kind) for x in _directions(exact))
    found = MIXES[mix](EVEN[0][1], batch.astype(kind), t, s)
    assert found.dtype == np.float32
    # sum s^2 = sum |a|^2, in every batch.
    np.testing.assert_allclose(found, 2 * _inner(s, t), rtol=0, atol=2e-5)


def test_the_compiled_hessian_product_of_equal_singular_values() -> None:
    a = SINGULAR[2]
    t = _directions(a)[0]
    compiled = compile(EVEN[1][1], a, t, operator="hvp")
    for point in (a, a + np.diag(np.arange(4.0)), np.zeros((4, 4))):
        np.testing.assert_allclose(compiled(point, t), hvp(EVEN[1][2], (point,), (t,))[0], rtol=1e-11, atol=1e-11)


_SQUARE = [(0, 0), (0, 2, 2), (1, 1), (2, 1, 1), (2, 3, 2, 2)]


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        *((f, shape) for f in (la.eigvalsh, la.eigvals, la.svdvals) for shape in _SQUARE),
        *((la.svdvals, shape) for shape in ((3, 0), (2, 0, 3), (1, 3))),
    ],
)
def test_zeros_of_any_shape(values: Any, shape: tuple[int, ...]) -> None:
    zeros, t = np.zeros(shape), np.tril(np.ones(shape)) + np.triu(np.ones(shape))
    f = lambda a: np.real(np.sum(values(a) ** 2))  # noqa: E731 - twice below
    # sum w^2 = tr A^2 and sum s^2 = |A|^2, along a direction that is symmetric where it is square.
    np.testing.assert_allclose(hvp(f, (zeros,), (t,))[0], 2 * t, atol=1e-14)
    np.testing.assert_allclose(compile(f, zeros, t, operator="hvp")(zeros, t), 2 * t, atol=1e-14)


def test_a_function_that_is_not_symmetric_is_taken_as_if_it_were() -> None:
    """The largest of equal eigenvalues has no second derivative: its slope is shared, and then taken as constant."""
    found = hvp(lambda a: np.max(la.eigvalsh(a)), (np.eye(2),), (np.array([[1.0, 2.0], [2.0, 5.0]]),))[0]
    np.testing.assert_allclose(found, np.zeros((2, 2)), atol=1e-15)
