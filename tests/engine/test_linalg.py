"""The engine's linear algebra: every function, batched, real and complex, and exact values at degenerate points.

What depends on a choice of phase (eigenvectors, singular vectors) is compared through functions that do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, hessian, jvp, vjp
from tests.engine.judgement import JUDGES, Row

la = np.linalg


def adjoint(x: Any) -> Any:
    return np.conj(np.swapaxes(x, -1, -2))


def safe(x: Any) -> Any:
    """Away from singular matrices, with distinct eigenvalues."""
    return x + np.diag(3.0 + np.arange(x.shape[-1])).astype(x.dtype)


def turning(x: Any) -> Any:
    """With one real eigenvalue and a pair of complex ones, well apart."""
    upper = np.triu(np.full(x.shape[-2:], 3, x.dtype), 1)
    return x + upper - upper.T


def hermitian(x: Any) -> Any:
    return x + adjoint(x) + np.diag(3.0 * np.arange(1, 1 + x.shape[-1])).astype(x.dtype)


def positive(x: Any) -> Any:
    return x @ adjoint(x) + np.eye(x.shape[-2], dtype=x.dtype)


def projector(v: Any) -> Any:
    """Onto the span of the columns: free of their phases."""
    return v @ adjoint(v)


def real_and_imaginary(z: Any) -> Any:
    """A complex result as a real one, so that a real row has a real cotangent."""
    return np.concatenate((np.real(z), np.imag(z)), axis=-1)


def spread(x: Any) -> Any:
    """Away from equal and vanishing singular values."""
    return x + (2 * np.eye(*x.shape[-2:]) * (1 + np.arange(x.shape[-1]))).astype(x.dtype)


def _tall_and_wide(name: str, f: Callable[[Any], Any], **more: Any) -> list[Row]:
    shapes = ((4, 2), (2, 4), (3, 3), (2, 4, 3))
    return [
        Row(f"{name} {shape} {k}", lambda x: f(spread(x)), (shape,), (-0.5, 0.5), kind=k, **more)
        for shape in shapes
        for k in "fc"
    ]


def _square(name: str, f: Callable[[Any], Any], kinds: str = "fc", **more: Any) -> list[Row]:
    return [Row(f"{name} {s} {k}", f, (s,), kind=k, **more) for s in ((3, 3), (2, 3, 3), (1, 1)) for k in kinds]


def _at_singular(diagonal: list[int]) -> list[Row]:
    """The determinant at a matrix that is exactly singular: the argument is 0, and only its directions are not."""

    def det(x: Any) -> Any:
        # The trace keeps the slope from being zero, against which no relative error can be taken.
        return la.det(x + np.diag(diagonal).astype(x.dtype)) + la.trace(x)

    return [Row(f"det at {diagonal} {s} {k}", det, (s,), (0, 0), kind=k) for s in ((3, 3), (2, 3, 3)) for k in "fc"]


def _systems() -> list[Row]:
    shapes = (
        (((3, 3), (3,))),
        (((3, 3), (3, 2))),
        (((2, 3, 3), (3, 2))),
        (((2, 3, 3), (3,))),
        (((3, 3), (2, 3, 1))),
        (((4, 1, 2, 2), (3, 2, 2))),
    )
    rows = [
        Row(f"solve {a} {b} {k}", lambda a, b: la.solve(safe(a), b), (a, b), kind=k) for a, b in shapes for k in "fc"
    ]
    for k in "fc":
        for a, b in (((4, 2), (4,)), ((4, 2), (4, 3)), ((2, 4), (2, 2)), ((3, 3), (3,))):
            lstsq = lambda a, b: la.lstsq(spread(a), b)[0]  # noqa: E731 - one of many rows
            rows.append(Row(f"lstsq {a} {b} {k}", lstsq, (a, b), kind=k))
        residuals = lambda a, b: la.lstsq(spread(a), b)[1]  # noqa: E731 - one of many rows
        rows.append(Row(f"lstsq residuals {k}", residuals, ((4, 2), (4, 3)), kind=k, single=1e-3))
    rows += [
        Row("lstsq singular values", lambda a, b: la.lstsq(spread(a), b)[3] + 0 * b[:2], ((4, 2), (4,))),
        Row("tensorsolve", lambda a, b: la.tensorsolve(safe(a.reshape(6, 6)).reshape(a.shape), b), ((2, 3, 6), (2, 3))),
        Row(
            "tensorsolve axes",
            lambda a, b: la.tensorsolve(np.moveaxis(safe(a.reshape(6, 6)).reshape(a.shape), 2, 0), b, axes=(0,)),
            ((2, 3, 6), (2, 3)),
        ),
        Row("tensorinv", lambda a: la.tensorinv(safe(a.reshape(6, 6)).reshape(a.shape), 2), ((2, 3, 6),)),
    ]
    return rows


def _matrices() -> list[Row]:
    return [
        *_square("inv", lambda x: la.inv(safe(x))),
        *_square("det", la.det),
        *_at_singular([2, 3, 0]),
        *_at_singular([2, 0, 0]),
        *_square("logdet", lambda x: la.slogdet(safe(x))[1]),
        *_square("slogdet sign", lambda x: la.slogdet(safe(x))[0], "c"),
        *_square("matrix_power 5", lambda x: la.matrix_power(x, 5)),
        *_square("matrix_power -2", lambda x: la.matrix_power(safe(x), -2)),
        *_tall_and_wide("pinv", la.pinv),
        Row("pinv of rank one", lambda u, v: la.pinv(np.outer(u, v), 1e-5), ((3,), (2,)), (0.5, 1), kind="c"),
        Row("lstsq of rank one", lambda u, v: la.lstsq(np.outer(u, v), u * u, 1e-5)[0], ((3,), (2,)), (0.5, 1)),
        *(Row(f"trace {k}", la.trace, ((2, 3, 3),), kind=k) for k in "fc"),
        Row("diagonal", lambda x: la.diagonal(x, offset=1), ((2, 3, 4),)),
        Row("outer", la.outer, ((3,), (2,)), kind="c"),
        Row("cross", la.cross, ((2, 3), (2, 3)), kind="c"),
        Row("cross axis", lambda x, y: la.cross(x, y, axis=0), ((3, 2), (3, 2))),
        Row("multi_dot", lambda *xs: la.multi_dot(xs), ((2, 3), (3, 5), (5, 1), (1, 4)), kind="c"),
        Row("multi_dot vectors", lambda *xs: la.multi_dot(xs), ((3,), (3, 5), (5,))),
        *(Row(f"cond {p}", lambda x, p=p: la.cond(safe(x), p), ((3, 3),)) for p in (None, -2, 1)),
    ]


def _decompositions() -> list[Row]:
    steep = {"single": 2e-3}
    return [
        *_square("cholesky", lambda x: la.cholesky(positive(x))),
        *_square("cholesky upper", lambda x: la.cholesky(positive(x), upper=True)),
        *_square("eigvalsh", lambda x: la.eigvalsh(hermitian(x))),
        *_square("eigvalsh U", lambda x: la.eigvalsh(hermitian(x), UPLO="U")),
        *_square("eigh projector", lambda x: projector(la.eigh(hermitian(x))[1][..., :1]), **steep),
        *_square("eigh U projector", lambda x: projector(la.eigh(hermitian(x), "U")[1][..., 1:]), **steep),
        *_square(
            "eigh log", lambda x: (lambda w, v: (v * np.log(w)[..., None, :]) @ adjoint(v))(*la.eigh(positive(x)))
        ),
        *_square("eigvals", lambda x: la.eigvals(safe(x)), "c", **steep),
        *_square("eigvals of real", lambda x: real_and_imaginary(la.eigvals(turning(x))), "f", **steep),
        *_square("eig projector", lambda x: projector(la.eig(safe(x))[1][..., :1]), "c", **steep),
        *_square("eig of real", lambda x: np.real(projector(la.eig(turning(x))[1][..., :1])), "f", **steep),
        *_tall_and_wide("svdvals", la.svdvals),
        *_tall_and_wide("svd without vectors", lambda x: la.svd(x, compute_uv=False)),
        *_tall_and_wide("svd U", lambda x: projector(la.svd(x, full_matrices=False)[0][..., :1]), **steep),
        *_tall_and_wide("svd V", lambda x: projector(adjoint(la.svd(x, full_matrices=False)[2])[..., :1]), **steep),
        *_tall_and_wide("svd sum", lambda x: (lambda r: (r[0] * np.sqrt(r[1])[..., None, :]) @ r[2])(la.svd(x, False))),
        *_tall_and_wide("svd full U", lambda x: projector(la.svd(x)[0][..., 2:]), **steep),
        *_tall_and_wide("svd full V", lambda x: projector(adjoint(la.svd(x)[2])[..., 2:]), **steep),
        *_tall_and_wide("qr Q", lambda x: la.qr(x)[0], **steep),
        *_tall_and_wide("qr R", lambda x: la.qr(x)[1], **steep),
        *_tall_and_wide("qr mode r", lambda x: la.qr(x, mode="r"), **steep),
        *_tall_and_wide("qr complete", lambda x: projector(la.qr(x, mode="complete")[0][..., 1:]), **steep),
        *_tall_and_wide("qr complete rest", lambda x: projector(la.qr(x, mode="complete")[0][..., 2:]), **steep),
        *_tall_and_wide("qr complete R", lambda x: la.qr(x, mode="complete")[1], **steep),
    ]


def _norms() -> list[Row]:
    rows = []
    for k in "fc":
        for ord in (1, 2, 3, 0.5, -1, 2.5, math.inf, -math.inf):
            rows.append(Row(f"norm of vector {ord} {k}", lambda x, o=ord: la.norm(x, o), ((4,),), kind=k))
            for axis, keepdims in ((0, False), ((0, 2), True), (None, False)):
                f = lambda x, o=ord, a=axis, d=keepdims: la.vector_norm(x, ord=o, axis=a, keepdims=d)  # noqa: E731
                rows.append(Row(f"vector_norm {ord} {axis} {k}", f, ((2, 3, 2),), kind=k))
        for ord in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
            for axis, keepdims in (((0, 1), False), ((2, 0), False), ((-1, 0), True)):
                f = lambda x, o=ord, a=axis, d=keepdims: la.norm(x, o, a, d)  # noqa: E731 - bound by defaults
                rows.append(Row(f"norm of matrix {ord} {axis} {k}", f, ((2, 3, 3),), kind=k))
            matrix = lambda x, o=ord: la.matrix_norm(x, ord=o, keepdims=True)  # noqa: E731 - bound by defaults
            rows.append(Row(f"matrix_norm {ord} {k}", matrix, ((2, 3, 2),), kind=k))
    rows += [Row("norm", la.norm, ((2, 3, 2),)), Row("norm axis", lambda x: la.norm(x, axis=1), ((2, 3),), kind="c")]
    return rows


ROWS = [*_systems(), *_matrices(), *_decompositions(), *_norms()]


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_is_right_in_both_modes_dtypes_and_strides(row: Row, judge: Callable[[Row], None]) -> None:
    judge(row)


RAW = {
    "eigh": lambda x: la.eigh(hermitian(x)),
    "eig": lambda x: la.eig(safe(x)),
    "svd": lambda x: la.svd(spread(x), full_matrices=False),
    "svd full": lambda x: la.svd(spread(x)),
    "qr": lambda x: la.qr(spread(x)),
    "qr complete": lambda x: la.qr(spread(x), "complete"),
    "slogdet": lambda x: la.slogdet(spread(x)),
}


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("kind", ["f", "c"])
def test_both_modes_choose_the_same_phases(name: str, kind: str) -> None:
    """All outputs at once and unprojected: the pullback is the transpose of the tangent there too."""
    rng = np.random.default_rng(5)

    def draw(shape: tuple[int, ...], complex_: bool) -> Any:
        return rng.normal(size=shape) + (1j * rng.normal(size=shape) if complex_ else 0)

    x, t = draw((3, 3), kind == "c") / 4, draw((3, 3), kind == "c")
    values, tangents = jvp(lambda x: tuple(RAW[name](x)), (x,), (t,))
    cotangents = [draw(np.shape(v), np.iscomplexobj(v)) for v in values]
    (found,) = vjp(lambda x: tuple(RAW[name](x)), x)[1](tuple(cotangents))
    forward = sum(np.sum(np.real(np.conj(c) * d)) for c, d in zip(cotangents, tangents, strict=True))
    assert np.sum(np.real(np.conj(found) * t)) == pytest.approx(forward, rel=1e-11)


@pytest.mark.parametrize(
    ("a", "cofactors"),
    [
        # By hand: the entry that is left, with its sign.
        ([[1.0, 2.0], [2.0, 4.0]], [[4.0, -2.0], [-2.0, 1.0]]),
        ([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
        ([[0.0]], [[1.0]]),
        (np.diag([2.0, 3.0, 0.0]), np.diag([0.0, 0.0, 6.0])),
        (np.diag([2.0, 0.0, 0.0]), np.zeros((3, 3))),
    ],
)
def test_det_of_a_singular_matrix_has_its_cofactors_as_gradient(a: Any, cofactors: Any) -> None:
    a = np.array(a)
    np.testing.assert_allclose(grad(la.det)(a), cofactors, atol=1e-15)
    both = np.stack([a, np.eye(len(a))])
    np.testing.assert_allclose(grad(lambda x: np.sum(la.det(x)))(both), [cofactors, np.eye(len(a))], atol=1e-15)
    np.testing.assert_allclose(jvp(la.det, (a,), (np.ones_like(a),))[1], np.sum(cofactors), atol=1e-15)


def test_det_has_its_second_derivative_at_a_matrix_of_rank_one() -> None:
    a = np.diag([2.0, 0.0, 0.0])
    found = hessian(la.det)(a)
    # det = a00 (a11 a22 - a12 a21) + ...: the second slopes that contain a00 = 2 are those of the 2x2 block.
    expected = np.zeros((3, 3, 3, 3))
    expected[1, 1, 2, 2] = expected[2, 2, 1, 1] = 2
    expected[1, 2, 2, 1] = expected[2, 1, 1, 2] = -2
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_slogdet_of_a_singular_matrix_is_infinitely_steep() -> None:
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    # The cofactors [[4, -2], [-2, 1]] over det = 0.
    np.testing.assert_array_equal(grad(lambda x: la.slogdet(x)[1])(a), [[np.inf, -np.inf], [-np.inf, np.inf]])
    assert jvp(lambda x: la.slogdet(x)[1], (a,), (np.eye(2),))[1] == np.inf


@pytest.mark.parametrize("ord", [1, 1.5, 2, 3, 0.5, -1, math.inf, -math.inf])
def test_a_norm_has_slope_zero_at_zero(ord: float) -> None:
    np.testing.assert_array_equal(grad(lambda x: la.vector_norm(x, ord=ord))(np.zeros(3)), np.zeros(3))


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, 2, -2, math.inf])
def test_a_matrix_norm_has_a_subgradient_at_zero(ord: Any) -> None:
    found = grad(lambda x: la.norm(x, ord))(np.zeros((2, 3)))
    # |<G, X>| <= norm(X) for every X, so the dual norm is at most 1; the spectral one bounds all of these.
    assert np.all(np.isfinite(found))
    assert la.norm(found, 2) <= 1 + 1e-12


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize(("ord", "value"), [(2, 5.0), (3, 91 ** (1 / 3)), (-1, 12 / 7)])
def test_a_norm_neither_overflows_nor_vanishes(scale: float, ord: float, value: float) -> None:
    x = scale * np.array([[3.0, 4.0], [0.0, 0.0]][: 1 if ord < 0 else 2])
    found, pullback = vjp(lambda x: la.vector_norm(x, axis=1, ord=ord), x)
    # (3^p + 4^p)^(1/p), and (|x| / norm)^(p-1), which no scale changes; the zero vector has slope 0.
    np.testing.assert_allclose(found / scale, [value, 0.0][: len(x)], rtol=1e-14)
    np.testing.assert_allclose(pullback(np.ones(len(x)))[0][0], (np.array([3, 4]) / value) ** (ord - 1), rtol=1e-14)
    np.testing.assert_array_equal(pullback(np.ones(len(x)))[0][1:], np.zeros((len(x) - 1, 2)))


def test_a_norm_keeps_extended_precision() -> None:
    found = grad(la.norm)(np.array([3, 4], np.longdouble))
    assert found.dtype == np.longdouble
    # x / |x|, closer to 3/5 and 4/5 than doubles are.
    assert np.max(np.abs(5 * found - np.array([3, 4]))) <= 4 * np.finfo(np.longdouble).eps


def test_ties_in_the_spectral_norm_share_its_slope() -> None:
    # At the identity any G = V diag(p) V^T with sum p = 1 is a subgradient; even shares give I / 2.
    np.testing.assert_allclose(grad(lambda x: la.norm(x, 2))(np.eye(2)), np.eye(2) / 2, atol=1e-15)


@pytest.mark.parametrize(
    ("f", "gradient"),
    [
        # sum w = tr A; sum w^2 = |A|^2; the sum of singular values has U V^T = I at a multiple of the identity.
        (lambda x: np.sum(la.eigvalsh(x)), np.eye(3)),
        (lambda x: np.sum(la.eigvalsh(x) ** 2), 4 * np.eye(3)),
        (lambda x: np.sum(np.real(la.eigvals(x))), np.eye(3)),
        (lambda x: la.norm(x, "nuc"), np.eye(3)),
        (lambda x: np.sum(la.svd(x)[1] ** 2), 4 * np.eye(3)),
    ],
)
def test_values_are_differentiable_where_they_are_equal(f: Any, gradient: Any) -> None:
    np.testing.assert_allclose(grad(f)(2 * np.eye(3)), gradient, atol=1e-14)


def test_the_turning_of_vectors_of_equal_values_has_no_finite_slope() -> None:
    weights = np.arange(9.0).reshape(3, 3)
    with np.errstate(invalid="ignore"):
        assert not np.all(np.isfinite(grad(lambda x: np.sum(weights * la.eigh(x)[1]))(np.eye(3))))
        # This is sum(weights * x), whose slope exists and cannot be had from vectors and values: not 0 then, but nan.
        product = grad(lambda x: np.sum(weights * (lambda r: (r[0] * r[1]) @ r[2])(la.svd(x))))(np.eye(3))
        assert not np.any(np.isfinite(product[~np.eye(3, dtype=bool)]))


@pytest.mark.parametrize("uplo", ["L", "U"])
def test_the_gradient_of_eigenvalues_is_symmetric(uplo: Any) -> None:
    a = hermitian(np.random.default_rng(1).normal(size=(3, 3)))
    found = grad(lambda x: la.eigvalsh(x, uplo)[0])(a)
    v = la.eigh(a)[1][:, 0]
    # d w_0 = v_0^T dA v_0 (Hellmann and Feynman).
    np.testing.assert_allclose(found, np.outer(v, v), atol=1e-14)


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (la.inv, (0, 2, 2)),
        (la.det, (0, 2, 2)),
        (la.det, (0, 0)),
        (la.eigvalsh, (0, 2, 2)),
        (la.svdvals, (0, 3, 2)),
        (la.cholesky, (0, 2, 2)),
        (la.pinv, (0, 3, 2)),
        (lambda x: la.qr(x)[0], (0, 3, 2)),
        (la.norm, (0,)),
        (lambda x: la.vector_norm(x, axis=0), (0, 2)),
        (lambda x: la.matrix_power(x, 3), (0, 2, 2)),
    ],
)
def test_empty_arrays(f: Any, shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    value, pullback = vjp(f, x)
    assert np.shape(value) == np.shape(f(x))
    assert pullback(np.ones_like(value))[0].shape == shape
    assert np.shape(jvp(f, (x,), (x,))[1]) == np.shape(value)


def test_nested_lists_are_arrays() -> None:
    a = np.array([[2.0, 0.0], [0.0, 4.0]])
    for f in (la.solve, la.tensorsolve, lambda a, b: la.lstsq(a, b)[0]):
        # x = (1/2, 1/2): d sum(x) / da = -A^-T 1 x^T, by hand.
        np.testing.assert_allclose(grad(lambda x, f=f: np.sum(f(x, [1.0, 2.0])))(a), [[-0.25] * 2, [-0.125] * 2])


def test_what_is_constant_has_no_slope() -> None:
    a = np.diag([1.0, 2.0, 0.0])
    np.testing.assert_array_equal(grad(lambda x: la.matrix_rank(x) * np.sum(x))(a), np.full((3, 3), 2.0))
    np.testing.assert_array_equal(grad(lambda x: np.sum(la.matrix_power(x, 0)) + 0 * x[0, 0])(a), np.zeros((3, 3)))
    np.testing.assert_array_equal(grad(lambda x: la.lstsq(x, a[0])[2] * x[0, 1])(a), [[0, 2, 0], [0] * 3, [0] * 3])


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (lambda x: la.qr(x, mode="raw"), NotImplementedError, "raw"),
        (lambda x: la.norm(x, "bad"), ValueError, "bad"),
        (lambda x: la.matrix_power(x[:1], 2), la.LinAlgError, r"\(1, 2\)"),
        (lambda x: la.tensorinv(x, 0), ValueError, "ind=0"),
        (lambda x: la.multi_dot([x]), ValueError, "at least two"),
    ],
)
def test_errors_name_what_was_got(f: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        grad(lambda x: np.sum(f(x)))(np.eye(2))
