"""Derivatives of decompositions where a matrix lacks full rank, or where values are equal within rounding.

Expected numbers come from the same functions by products: V holds the eigenvectors of A^T A and U those of A A^T, which
are distinct where one singular value is zero; R follows from Gram and Schmidt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import compile, grad, hvp, jvp
from tests.engine.test_spectrum import MIXES, REAL_ALONE, _difference

la = np.linalg


def adjoint(x: Any) -> Any:
    return np.conj(np.swapaxes(x, -1, -2))


def _svd(a: Any) -> Any:
    return la.svd(a, full_matrices=False)


def _vectors(gram: Any) -> Any:
    """The eigenvectors of a matrix as columns, those of the largest eigenvalue first."""
    return la.eigh(gram)[1][..., ::-1]


def _right(a: Any, k: int) -> Any:
    return adjoint(_vectors(adjoint(a) @ a))[:k]


def _left(a: Any, k: int) -> Any:
    """Of a tall matrix the zeros of A A^T are equal, so that U is A V, with columns of length 1."""
    if a.shape[0] <= a.shape[1]:
        return _vectors(a @ adjoint(a))[:, :k]
    images = a @ adjoint(_right(a, k))
    return images / la.vector_norm(images, axis=0, keepdims=True)


def _total(x: Any) -> Any:
    """A sum that sees every entry, and no sign or phase."""
    size = np.real(x) ** 2 if x.dtype.kind != "c" else np.real(x * np.conj(x))
    return np.sum(np.sin(size) * np.cos(np.arange(float(np.size(x)))).reshape(np.shape(x)))


SQUARE = np.array([[1.0, 0.5], [2.0, 1.0]])
THREE = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 1.0], [1.5, 1.0, 4.0]])
TALL = np.outer([1.0, -2.0, 0.5], [1.0, 3.0])
FOUR = np.array([[1.0, 2.0, 1.0], [0.0, 1.0, 1.0], [2.0, 1.0, -1.0], [1.0, 0.5, -0.5]])
COMPLEX = SQUARE * np.array([[1.0, 1.0], [1j, 1j]])
#: Matrix, function, the same by products. The last column is a sum of others, or the rank is one.
FACTORS: list[tuple[str, Any, Any, Any]] = [
    ("V, square", SQUARE, lambda a: _total(_svd(a)[2]), lambda a: _total(_right(a, 2))),
    ("U, square", SQUARE, lambda a: _total(_svd(a)[0]), lambda a: _total(_left(a, 2))),
    ("V, three", THREE, lambda a: _total(_svd(a)[2]), lambda a: _total(_right(a, 3))),
    ("U, three", THREE, lambda a: _total(la.svd(a)[0]), lambda a: _total(_left(a, 3))),
    ("V, tall", TALL, lambda a: _total(_svd(a)[2]), lambda a: _total(_right(a, 2))),
    ("V full, tall", TALL, lambda a: _total(la.svd(a)[2]), lambda a: _total(_right(a, 2))),
    ("first of U, tall", TALL, lambda a: _total(_svd(a)[0][:, :1]), lambda a: _total(_left(a, 1))),
    ("V, four by three", FOUR, lambda a: _total(_svd(a)[2]), lambda a: _total(_right(a, 3))),
    ("U, wide", TALL.T, lambda a: _total(_svd(a)[0]), lambda a: _total(_left(a, 2))),
    ("first of V, wide", TALL.T, lambda a: _total(_svd(a)[2][:1]), lambda a: _total(adjoint(_left(adjoint(a), 1)))),
    ("V, complex", COMPLEX, lambda a: _total(_svd(a)[2]), lambda a: _total(_right(a, 2))),
    ("first of U, complex", COMPLEX, lambda a: _total(_svd(a)[0][:, :1]), lambda a: _total(_left(a, 1))),
    (
        "V and largest s",
        TALL,
        lambda a: (lambda r: _total(r[2]) * r[1][0] ** 3)(_svd(a)),
        lambda a: _total(_right(a, 2)) * la.eigvalsh(a.T @ a)[-1] ** 1.5,
    ),
    # U S V^T is A, followed through the zero with its sign.
    ("U S V", SQUARE, lambda a: _total((lambda r: (r[0] * r[1]) @ r[2])(_svd(a))), _total),
    ("U S V, three", THREE, lambda a: _total((lambda r: (r[0] * r[1]) @ r[2])(la.svd(a))), _total),
]


def _ways(mixes: Any, a: Any) -> list[str]:
    return [mix for mix in mixes if not (np.iscomplexobj(a) and mix in REAL_ALONE)]


@pytest.mark.parametrize(("a", "f", "by_products"), [row[1:] for row in FACTORS], ids=[row[0] for row in FACTORS])
def test_vectors_have_their_derivatives_where_a_singular_value_is_zero(a: Any, f: Any, by_products: Any) -> None:
    rng = np.random.default_rng(2)
    t, s = (rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if np.iscomplexobj(a) else 0) for _ in "ts")
    np.testing.assert_allclose(grad(f)(a), grad(by_products)(a), rtol=0, atol=1e-12)
    np.testing.assert_allclose(jvp(f, (a,), (t,))[1], jvp(by_products, (a,), (t,))[1], rtol=0, atol=1e-12)
    expected = np.sum(np.real(np.conj(s) * hvp(by_products, (a,), (t,))[0]))
    assert np.isfinite(expected)
    for mix in _ways(MIXES, a):
        np.testing.assert_allclose(MIXES[mix](f, a, t, s), expected, rtol=1e-10, atol=1e-11, err_msg=mix)


def test_the_compiled_product_follows_the_rank() -> None:
    f, by_products = FACTORS[0][2:]
    t = np.array([[0.3, -1.0], [0.7, 0.2]])
    compiled = compile(f, SQUARE, t, operator="hvp")
    for a in (SQUARE, SQUARE + np.diag([1.0, 0.0]), TALL[:2]):
        np.testing.assert_allclose(compiled(a, t), hvp(by_products, (a,), (t,))[0], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("mix", MIXES)
def test_vectors_that_turn_freely_have_no_second_derivative(mix: str, full: bool) -> None:
    """The second column of U of a matrix of three rows and rank one, and the second row of V of its transpose."""
    t, s = np.ones((3, 2)), np.array([[1.0, 0.0], [-1.0, 2.0], [0.5, 0.5]])
    assert np.isnan(MIXES[mix](lambda a: _total(la.svd(a, full)[0][:, 1:2]), TALL, t, s))
    assert np.isnan(MIXES[mix](lambda a: _total(la.svd(a, full)[2][1:2]), TALL.T, t.T, s.T))


_TURN = la.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
_OTHER = la.qr(np.random.default_rng(8).normal(size=(4, 4)))[0]
_PHASES = la.qr(np.random.default_rng(3).normal(size=(4, 4)) + 1j * np.random.default_rng(4).normal(size=(4, 4)))[0]
#: Symmetric, with two values that are equal within rounding and two that stand apart.
EQUAL = _TURN @ np.diag([1.0, 1.0, 2.0, 3.0]) @ _TURN.T
EQUAL_SINGULAR = _TURN @ np.diag([3.0, 2.0, 1.0, 1.0]) @ _OTHER


@pytest.mark.parametrize(
    ("a", "vectors", "tied", "apart"),
    [
        (EQUAL, lambda a: la.eigh(a)[1], slice(0, 2), slice(2, 4)),
        (EQUAL_SINGULAR, lambda a: la.svd(a)[0], slice(2, 4), slice(0, 2)),
        (EQUAL_SINGULAR, lambda a: adjoint(la.svd(a)[2]), slice(2, 4), slice(0, 2)),
    ],
    ids=["eigh", "U", "V"],
)
def test_values_that_are_equal_within_rounding_have_vectors_without_derivative(
    a: Any, vectors: Any, tied: slice, apart: slice
) -> None:
    assert not np.isfinite(grad(lambda x: _total(vectors(x)[:, tied]))(a)).any()
    t = np.random.default_rng(1).normal(size=(4, 4))
    assert np.isnan(jvp(lambda x: _total(vectors(x)[:, tied]), (a,), (t + t.T,))[1])
    # The projector on the vectors that stand apart is a function of the matrix; moved by h it differs by h^2.
    f, h = lambda x: _total(vectors(x)[:, apart]), 1e-6
    expected = (f(a + h * (t + t.T)) - f(a - h * (t + t.T))) / (2 * h)
    np.testing.assert_allclose(jvp(f, (a,), (t + t.T,))[1], expected, rtol=1e-7)
    np.testing.assert_allclose(np.sum(grad(f)(a) * (t + t.T)), expected, rtol=1e-7)


#: Vectors of simple values where others are equal, or zero more than once.
SIMPLE: list[tuple[str, Any, Any]] = [
    ("eigh", EQUAL, lambda a: _total(la.eigh(a)[1][:, 2:])),
    ("eigh and values", EQUAL, lambda a: (lambda r: _total(r[1][:, 3:]) * np.sum(r[0] ** 2))(la.eigh(a))),
    ("eigh, rank one", np.outer([1.0, 2.0, 2.0], [1.0, 2.0, 2.0]), lambda a: _total(la.eigh(a)[1][:, 2])),
    (
        "eigh, complex",
        _PHASES @ np.diag([1.0, 1.0, 2.0, 3.0]) @ adjoint(_PHASES),
        lambda a: _total(la.eigh(a)[1][:, 2:]),
    ),
    ("U", EQUAL_SINGULAR, lambda a: _total(la.svd(a)[0][:, :2])),
    ("V", EQUAL_SINGULAR[:, :3], lambda a: _total(_svd(a)[2][:1])),
    ("V, two zeros", np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 2.0]), lambda a: _total(_svd(a)[2][:1])),
    ("U, two zeros", np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 2.0]), lambda a: _total(_svd(a)[0][:, :1])),
]


@pytest.mark.parametrize(("a", "f"), [row[1:] for row in SIMPLE], ids=[row[0] for row in SIMPLE])
def test_vectors_of_simple_values_have_second_derivatives_where_others_are_equal(a: Any, f: Any) -> None:
    rng = np.random.default_rng(6)
    t, s = (
        0.3 * (rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if np.iscomplexobj(a) else 0)) for _ in "ts"
    )
    if a.shape[0] == a.shape[1] and np.allclose(a, adjoint(a)):
        t, s = t + adjoint(t), s + adjoint(s)
    expected = _difference(f, a, t, s)
    for mix in _ways(MIXES, a):
        np.testing.assert_allclose(MIXES[mix](f, a, t, s), expected, rtol=1e-5, atol=1e-6, err_msg=mix)


# ---- qr


def _gram_schmidt(a: Any) -> Any:
    """The squares of R of three columns, the last by the determinant, so that it may be zero."""
    first = np.sum(a[:, 0] ** 2)
    upper = a[:, 0] @ a / np.sqrt(first)
    rest = a[:, 1:] - np.outer(a[:, 0], a[:, 0] @ a[:, 1:]) / first
    second = np.sum(rest[:, 0] ** 2)
    last = la.det(a) ** 2 / (first * second)
    return np.stack([*(upper**2), second, (rest[:, 0] @ rest[:, 1]) ** 2 / second, last])


def _squares_of_r(a: Any) -> Any:
    r = la.qr(a)[1]
    return np.stack([*(r[0] ** 2), r[1, 1] ** 2, r[1, 2] ** 2, r[2, 2] ** 2])


@pytest.mark.parametrize("mix", MIXES)
def test_r_has_its_derivatives_where_the_last_column_depends_on_the_others(mix: str) -> None:
    rng = np.random.default_rng(4)
    t, s = rng.normal(size=(2, 3, 3))
    weights = np.cos(np.arange(6.0))
    f, g = (
        lambda a, squares=squares: np.sum(weights * np.sin(squares(a))) for squares in (_squares_of_r, _gram_schmidt)
    )
    np.testing.assert_allclose(grad(f)(THREE), grad(g)(THREE), rtol=0, atol=1e-12)
    expected = np.sum(s * hvp(g, (THREE,), (t,))[0])
    np.testing.assert_allclose(MIXES[mix](f, THREE, t, s), expected, rtol=1e-10)


def test_q_r_is_the_matrix_where_the_last_column_depends_on_the_others() -> None:
    weights = np.arange(9.0).reshape(3, 3)
    product = lambda a: np.sum(weights * (lambda f: f[0] @ f[1])(la.qr(a)))  # noqa: E731 - thrice below
    np.testing.assert_allclose(grad(product)(THREE), weights, atol=1e-13)
    np.testing.assert_allclose(jvp(product, (THREE,), (weights,))[1], np.sum(weights**2), rtol=1e-13)
    np.testing.assert_allclose(hvp(product, (THREE,), (weights,))[0], 0, atol=1e-11)


#: The second of three columns is the first, twice.
EARLY = np.array([[1.0, 2.0, 0.5], [2.0, 4.0, 1.0], [-1.0, -2.0, 2.0]])


@pytest.mark.parametrize("a", [EARLY, TALL, EARLY * (1 + 0.5j)], ids=["square", "tall", "complex"])
def test_rows_of_r_before_a_dependent_column_have_derivatives_and_others_have_none(a: Any) -> None:
    # The first row of R is a_1^H A / |a_1|, up to its sign.
    first = lambda x: _total(np.conj(x[:, 0]) @ x / la.vector_norm(x[:, 0]))  # noqa: E731 - twice below
    t = np.cos(np.arange(float(a.size))).reshape(a.shape) * (1j if np.iscomplexobj(a) else 1)
    f = lambda x: _total(la.qr(x)[1][0])  # noqa: E731 - thrice below
    np.testing.assert_allclose(grad(f)(a), grad(first)(a), atol=1e-13)
    np.testing.assert_allclose(jvp(f, (a,), (t,))[1], jvp(first, (a,), (t,))[1], atol=1e-13)
    np.testing.assert_allclose(hvp(f, (a,), (t,))[0], hvp(first, (a,), (t,))[0], atol=1e-12)
    later = lambda x: np.sum(np.real(la.qr(x)[1][1]))  # noqa: E731 - twice below
    assert np.isnan(grad(later)(a)).any()
    assert np.isnan(jvp(later, (a,), (t,))[1])
    assert np.isnan(jvp(lambda x: np.sum(np.real(la.qr(x)[0])), (a,), (t,))[1])
