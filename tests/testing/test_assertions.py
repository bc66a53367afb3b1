"""Assertions for users' own tests: what they accept, what they refuse, and how a failure reads."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from autodiff_compare.testing import assert_gradients, assert_hessian, assert_hvp, assert_jacobian, assert_jvp_vjp

X = np.array([0.5, -1.5, 2.0])
A, B = np.array([0.7, -1.2]), np.array([1.5, 0.4])


def test_assert_gradients_accepts_right_gradients() -> None:
    assert_gradients(lambda x: np.sum(np.sin(x)), X, np.cos)
    assert_gradients(lambda x: np.sum(np.sin(x)), X, np.cos(X))
    assert_gradients(lambda x, y: np.sum(x * x * y), (A, B), lambda x, y: (2 * x * y, x * x))
    assert_gradients(lambda x: np.sum(np.sin(x)), X.astype(np.float32), np.cos(X.astype(np.float32)))
    assert_gradients(lambda x: x * x, 3.0, 6.0)
    assert_gradients(lambda x: np.sum(x * x), np.zeros((0, 3)), np.zeros((0, 3)))
    assert_gradients(lambda x, y: np.sum(x * x) + np.sum(y), (X, np.zeros(0)), (2 * X, np.zeros(0)))
    assert_gradients(lambda x: np.sum(x[::2] * x[::2]), X[::-1], np.array([4.0, 0.0, 1.0]))
    large = np.random.default_rng(0).normal(size=(40, 50))
    assert_gradients(lambda x: np.sum(x**2), large, 2 * large)


@pytest.mark.parametrize(
    ("f", "x", "gradient", "words"),
    [
        (np.sum, X, np.ones(3) * (1 + 1e-6), "gradient is wrong\n"),
        (np.sum, X, np.zeros(3), "no_grad"),
        (np.sum, X, np.ones(3) * np.nan, "3 entries nan"),
        (np.sum, X, np.ones(2), "expected (3,)"),
        (np.sum, X, np.ones(3, dtype=np.float16), "expected one of float64, float32"),
        (lambda x: np.sum(np.abs(x)), np.array([0.0, 1.0]), np.array([2.0, 1.0]), "nonsmooth"),
        (lambda x: np.sum(x * x), X, X, "gradient is wrong\n"),
    ],
)
def test_assert_gradients_says_what_is_wrong(f: Any, x: Any, gradient: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(words)):
        assert_gradients(f, x, gradient)


def test_assert_gradients_wants_a_scalar() -> None:
    with pytest.raises(ValueError, match="got an output of shape"):
        assert_gradients(np.sin, X, np.cos(X))


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ((3, X, X), {}, "got int as f, expected a function"),
        ((np.sum, None, np.ones(3)), {}, "got None as x"),
        ((np.sum, "abc", lambda x: x * "b"), {}, "got texts as x"),
        ((np.sum, [1.0, np.nan], np.ones(2)), {}, "got nan or infinity in x"),
        ((lambda p: np.sum(p["a"]), {"a": np.array([np.inf])}, {"a": np.ones(1)}), {}, "got nan or infinity in x['a']"),
        ((np.sum, X, np.ones(3)), {"rtol": -1.0}, "got rtol=-1.0"),
        ((np.sum, X, np.zeros(3)), {"rtol": np.inf}, "got rtol=inf"),
        ((np.sum, X, np.ones(3)), {"rtol": "a"}, "got rtol='a'"),
        ((np.sum, X, np.ones(3)), {"seed": -1}, "got seed=-1"),
        ((np.sum, X, np.ones(3)), {"seed": "a"}, "got seed='a'"),
        ((np.sum, X, np.ones(3)), {"typical": {"a": 1.0}}, "got typical with the parts ['a'], expected one array"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(given: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        assert_gradients(*given, **options)


def test_a_dtype_may_be_one_of_numpy() -> None:
    assert_gradients(np.sum, X, np.ones(3, np.float32), dtype=np.float32)  # type: ignore[arg-type]


# ---- containers


class Layer(NamedTuple):
    w: Any
    b: Any


@dataclasses.dataclass
class Lens:
    power: Any
    shift: Any


CONTAINERS: list[tuple[Any, Callable[..., Any], Callable[..., Any]]] = [
    ({"w": A, "b": B}, lambda p: (p["w"], p["b"]), lambda w, b: {"w": w, "b": b}),
    ([A, B], lambda p: (p[0], p[1]), lambda w, b: [w, b]),
    ([{"w": A}, [B]], lambda p: (p[0]["w"], p[1][0]), lambda w, b: [{"w": w}, [b]]),
    (Layer(A, B), lambda p: (p.w, p.b), Layer),
    (Lens(A, B), lambda p: (p.power, p.shift), Lens),
]


@pytest.mark.parametrize(("x", "parts", "make"), CONTAINERS, ids=["dict", "list", "nested", "named tuple", "dataclass"])
def test_containers_are_taken_as_they_are(x: Any, parts: Any, make: Any) -> None:
    def f(p: Any) -> Any:
        w, b = parts(p)
        return np.sum(w * w * b)

    def gradient(p: Any) -> Any:
        w, b = parts(p)
        return make(2 * w * b, w * w)

    def product(p: Any, v: Any) -> Any:
        (w, b), (vw, vb) = parts(p), parts(v)
        return make(2 * b * vw + 2 * w * vb, 2 * w * vw)

    assert_gradients(f, x, gradient)
    assert_hvp(f, x, product)
    wrong = make(2 * A * B, A * A * [1, 1.001])
    with pytest.raises(AssertionError, match=r"got +1.44144"):
        assert_gradients(f, x, wrong)


def test_containers_beside_other_arguments() -> None:
    assert_gradients(lambda p, y: np.sum(p["w"] * y), ({"w": A}, B), lambda p, y: ({"w": y}, p["w"]))
    assert_gradients(lambda x: x[0] ** 2 + x[1], [3.0, 1.0], [6.0, 1.0])


# ---- other derivatives


def outer(x: Any) -> Any:
    return np.outer(x, x)[0] * x


def outer_jacobian(x: Any) -> Any:
    """Of x_0 x_i^2: 2 x_0 x_i on the diagonal, and x_i^2 in the first column."""
    found = np.diag(2 * x[0] * x)
    found[:, 0] += x * x
    return found


def test_jacobian() -> None:
    assert_jacobian(outer, X, outer_jacobian)
    assert_jacobian(lambda x, y: x * y, (A, B), lambda x, y: (np.diag(y), np.diag(x)))
    with pytest.raises(AssertionError, match=r"^jacobian is wrong\n"):
        assert_jacobian(outer, X, outer_jacobian(X).T)


def test_jvp_and_vjp() -> None:
    assert_jvp_vjp(outer, X, lambda x, v: outer_jacobian(x) @ v, lambda x, w: w @ outer_jacobian(x))
    assert_jvp_vjp(outer, X, outer_jacobian(X) @ [1.0, 2.0, -1.0], v=[1.0, 2.0, -1.0])
    assert_jvp_vjp(lambda x, y: x * y, (A, B), vjp=lambda x, w: (w * x[1], w * x[0]))
    with pytest.raises(AssertionError, match="vjp is wrong"):
        assert_jvp_vjp(outer, X, vjp=lambda x, w: outer_jacobian(x) @ w)
    with pytest.raises(AssertionError, match="jvp is wrong"):
        assert_jvp_vjp(outer, X, lambda x, v: v @ outer_jacobian(x))
    with pytest.raises(ValueError, match="expected v="):
        assert_jvp_vjp(outer, X, np.zeros(3))
    with pytest.raises(ValueError, match="got no product"):
        assert_jvp_vjp(outer, X)


def test_hessian_and_its_product() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(x * x * y)

    blocks = ((np.diag(2 * B), np.diag(2 * A)), (np.diag(2 * A), np.zeros((2, 2))))
    assert_hessian(f, (A, B), blocks)
    assert_hessian(f, (A, B), lambda x, y: ((np.diag(2 * y), np.diag(2 * x)), (np.diag(2 * x), 0 * np.diag(x))))
    assert_hvp(f, (A, B), lambda x, v: (2 * x[1] * v[0] + 2 * x[0] * v[1], 2 * x[0] * v[0]))
    assert_hvp(lambda x: np.sum(x**3), X, 6 * X * X, v=X)
    with pytest.raises(AssertionError, match="hessian is wrong"):
        assert_hessian(lambda x: np.sum(x**3), X, np.diag(5 * X))
    with pytest.raises(AssertionError, match="hvp is wrong"):
        assert_hvp(lambda x: np.sum(x**3), X, lambda x, v: 5 * x * v)


# ---- complex numbers

Z = np.array([1 + 1j, 2 - 0.5j])


def power(z: Any) -> Any:
    return np.sum(np.abs(z) ** 2)


def magnitude(z: Any) -> Any:
    return np.sum(np.abs(z))


#: Function, point, gradient, words of the failure; empty for right ones. With dL/da + i dL/db the gradient of |z|^2 is
#: 2 z. At 0 that of |z| is any number of the disk of radius 1: each part of 1 + i lies between -1 and 1, both do not.
_COMPLEX = [
    (power, Z, 2 * Z, ""),
    (power, Z, lambda z: 2 * z, ""),
    (power, [1 + 1j, 2 - 0.5j], [2 + 2j, 4 - 1j], ""),
    (power, 1 + 1j, 2 + 2j, ""),
    (power, Z.astype(np.complex64), (2 * Z).astype(np.complex64), ""),
    (lambda z: np.sum(np.real(z)), Z, np.ones(2), ""),
    (lambda x, z: power(x * z), (A, Z), (2 * A * np.abs(Z) ** 2, 2 * A**2 * Z), ""),
    (
        lambda p: power(p["z"]) * p["s"],
        {"z": Z, "s": 2.0},
        lambda p: {"z": 2 * p["s"] * p["z"], "s": power(p["z"])},
        "",
    ),
    (power, Z, 2 * np.conj(Z), "complex numbers as pairs: index 0 is the real part, 1 the imaginary part"),
    (power, Z, 2 * Z * (1 + 1e-9), "gradient is wrong\n"),
    (power, Z, (2 * Z)[:1], "expected (2,)"),
    (magnitude, np.zeros(1, complex), np.array([0.6 + 0.8j]), ""),
    (magnitude, np.zeros(1, complex), np.array([1 + 1j]), "not in the convex hull of the derivatives nearby"),
]


@pytest.mark.parametrize(("f", "x", "gradient", "words"), _COMPLEX)
def test_gradients_by_complex_numbers(f: Any, x: Any, gradient: Any, words: str) -> None:
    if not words:
        assert_gradients(f, x, gradient)
        return
    with pytest.raises(AssertionError, match=re.escape(words)):
        assert_gradients(f, x, gradient)


def test_products_and_jacobians_of_complex_numbers() -> None:
    """d z^3 = 3 z^2 dz; its adjoint takes the conjugate. z conj(z) is not holomorphic. d exp(ix) = i exp(ix) dx."""
    cube = (lambda z: z**3, Z, lambda z, v: 3 * z**2 * v)
    assert_jvp_vjp(*cube, lambda z, w: 3 * np.conj(z**2) * w)
    with pytest.raises(AssertionError, match="vjp is wrong"):
        assert_jvp_vjp(*cube, lambda z, w: 3 * z**2 * w)
    assert_jacobian(lambda z: z * z, Z, np.diag(2 * Z))
    with pytest.raises(AssertionError, match="jacobian is wrong"):
        assert_jacobian(lambda z: z * np.conj(z), Z, np.diag(2 * Z))
    turned = lambda x: np.exp(1j * x)  # noqa: E731
    assert_jacobian(turned, A, np.diag(1j * np.exp(1j * A)))
    assert_jvp_vjp(turned, A, vjp=lambda x, w: np.real(np.conj(1j * np.exp(1j * x)) * w))
    assert_hvp(power, Z, lambda z, v: 2 * v)
    assert_hvp(power, Z, 2 * Z, v=Z)
    with pytest.raises(AssertionError, match="hvp is wrong"):
        assert_hvp(power, Z, lambda z, v: 2 * np.conj(v))
    with pytest.raises(TypeError, match="their Hessian is no array of complex numbers; use assert_hvp"):
        assert_hessian(power, Z, np.eye(2))
    with pytest.raises(TypeError, match="got complex numbers as a jacobian, expected real numbers"):
        assert_jacobian(lambda x: x**2, A, np.diag(2 * A) + 0j)


# ---- refusals


def total(x: Any) -> Any:
    return np.sum(x * x)


@pytest.mark.parametrize(
    ("f", "x", "gradient", "words"),
    [
        (lambda x: np.sum(x) * 1j, X, X, "got complex numbers as a result of f"),
        (lambda x: bool(np.sum(x) > 0), X, 0 * X, "got truth values as a result of f"),
        (lambda x: None, X, X, "got None as a result of f, expected real numbers: is a return missing?"),
        (lambda x: "3.0", X, X, "got texts as a result of f"),
        (lambda x: np.ma.masked_array(1.0, True), X, X, "got a masked array as a result of f"),
        (total, X * 1j, X, "got complex numbers as a result of f"),
        (total, X > 0, X, "got truth values as x"),
        (total, None, X, "got None as x"),
        (total, np.ma.masked_array(X, X < 0), 2 * X, "got a masked array as x"),
        (total, ["a", "b"], X, "got texts as x"),
        (lambda p: total(p["w"]), {"w": X + 0j}, {"w": X}, "got complex numbers as a result of f"),
        (total, X, 2 * X + 0j, "got complex numbers as a gradient"),
        (total, X, lambda x: None, "got None as a gradient"),
        (total, X, X > 0, "got truth values as a gradient"),
        (total, X, np.ma.masked_array(2 * X, X < 0), "got a masked array as a gradient"),
    ],
)
def test_everything_but_real_numbers_is_refused(f: Any, x: Any, gradient: Any, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        assert_gradients(f, x, gradient)


def test_functions_that_write_into_their_input_are_named() -> None:
    def writes(x: Any) -> Any:
        x[1] = 7.0
        return 2 * x

    x = X.copy()
    with pytest.raises(AssertionError, match=re.escape("the gradient function writes into x: entry [1] was changed")):
        assert_gradients(total, x, writes)
    with pytest.raises(AssertionError, match=re.escape("f writes into x: entry [1] was changed")):
        assert_gradients(lambda x: np.sum(writes(x)), x, 2 * X)
    with pytest.raises(AssertionError, match=re.escape("the product writes into x['a']: entry [1] was changed")):
        assert_hvp(lambda p: total(p["a"]), {"a": x}, lambda p, v: {"a": writes(p["a"])})
    assert np.array_equal(x, X)


def test_random_functions_are_named() -> None:
    with pytest.raises(AssertionError, match="not deterministic"):
        assert_gradients(lambda x: total(x) + np.random.default_rng().random(), X, 2 * X)


# ---- tolerances and messages


def test_less_than_all_digits_may_be_enough() -> None:
    with pytest.raises(AssertionError):
        assert_gradients(total, X, 2 * X * (1 + 1e-5))
    for rtol, off in ((1e-4, 1e-5), (0.1, 0.02)):
        assert_gradients(total, X, 2 * X * (1 + off), rtol=rtol)
        with pytest.raises(AssertionError):
            assert_gradients(total, X, 2 * X * (1 + 20 * rtol), rtol=rtol)


def test_typical_sizes_may_be_stated() -> None:
    """At zero an input has no size of its own; here the function changes over 1e-9."""

    def f(p: Any) -> Any:
        return np.sum(np.sin(p["w"] / 1e-9)) + np.sum(p["b"])

    x, right = {"w": np.zeros(2), "b": np.ones(1)}, {"w": np.full(2, 1e9), "b": np.ones(1)}
    assert_gradients(f, x, right, typical={"w": np.full(2, 1e-9), "b": np.ones(1)})
    with pytest.raises(AssertionError):
        assert_gradients(f, x, {"w": np.zeros(2), "b": np.ones(1)}, typical={"w": 1e-9, "b": 1.0})


def test_one_wrong_entry_of_many_is_found() -> None:
    x = np.random.default_rng(0).normal(size=20_000)
    right = 2 * x
    assert_gradients(total, x, right)
    wrong = right.copy()
    wrong[777] *= 1 + 1e-9
    with pytest.raises(AssertionError, match=re.escape("[777]")):
        assert_gradients(total, x, wrong)


def test_a_failure_is_ten_lines_about_the_derivative() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_gradients(total, X, 2 * X + [0, 0.001, 0])
    lines = str(caught.value).splitlines()
    assert len(lines) <= 10
    assert lines[:3] == ["gradient is wrong", "  entry     [1]", "  got       -2.999"]
    assert lines[3].startswith("  expected  -3 +- ")
    assert all(entry.locals.get("__tracebackhide__") for entry in caught.traceback[1:])


def _product(p: dict[str, float]) -> float:
    return p["a"] * p["b"]


@pytest.mark.parametrize("gradient", [{"a": 3.0, "b": 2.0}, {"b": 2.0, "a": 3.0}, (3.0, 2.0)])
def test_parts_of_a_gradient_are_found_by_their_names(gradient: Any) -> None:
    assert_gradients(_product, {"a": 2.0, "b": 3.0}, gradient)


@pytest.mark.parametrize("gradient", [{"b": 3.0, "a": 2.0}, {"a": 2.0, "b": 3.0}])
def test_names_that_are_swapped_are_wrong(gradient: dict[str, float]) -> None:
    with pytest.raises(AssertionError, match="gradient is wrong"):
        assert_gradients(_product, {"a": 2.0, "b": 3.0}, gradient)


@pytest.mark.parametrize("gradient", [{"x": 3.0, "y": 2.0}, {"a": 3.0, "c": 2.0}, {"a": 3.0}])
def test_names_that_the_argument_does_not_have_are_refused(gradient: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected \['a'\], \['b'\]: name them as the argument does"):
        assert_gradients(_product, {"a": 2.0, "b": 3.0}, gradient)


def test_blocks_of_a_hessian_are_found_by_their_names() -> None:
    blocks = {"b": {"a": 1.0, "b": 0.0}, "a": {"b": 1.0, "a": 0.0}}
    assert_hessian(_product, {"a": 2.0, "b": 3.0}, blocks)


def test_whole_numbers_are_a_gradient() -> None:
    assert_gradients(lambda x: np.sum(x**2), np.array([1, 2, 3]), [2, 4, 6])
