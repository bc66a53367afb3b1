"""Where backends break: equal and unused inputs, strides, weak scalars, loops, non-finite numbers, wrong questions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.vocabulary import Operator
from tests.backends.test_step import opened

O = Operator  # noqa: E741
BACKENDS = ("numpy", "torch", "tensorflow", "tensorflow:eager", "jax", "jax:eager", "autograd", "finite_difference")
FIRST = (O.VALUE, O.GRADIENT, O.VALUE_AND_GRADIENT, O.JVP, O.VJP, O.JACOBIAN)
SECOND = (O.HVP, O.HESSIAN)
#: Relative to the largest entry; differences: their module docstring.
EXACT, DIFFERENCES = 1e-13, 1e-7


def leaves(out):
    return [x for part in out for x in leaves(part)] if isinstance(out, (tuple, list)) else [out]


def ask(backend, operator, f, arrays, *, argnums=(0,), directions=()):
    """Prepared elsewhere, called here; NumPy arrays in and out."""
    given, extra = ([backend.to_var(a) for a in group] for group in (arrays, directions))
    elsewhere = [backend.to_var(np.asarray(a) + np.asarray(0.125, np.asarray(a).dtype)) for a in arrays]
    run = backend.prepare(operator, f, elsewhere, argnums=argnums, directions=extra)
    return [backend.to_numpy(x) for x in leaves(backend.block(run(*given, *extra)))]


def close(spec: str, got: Any, want: Any) -> None:
    tolerance = DIFFERENCES if spec == "finite_difference" else EXACT
    scale = np.max(np.abs(np.asarray(want)), initial=0.0)
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(scale, 1.0))


@pytest.mark.parametrize("spec", BACKENDS)
def test_one_array_passed_twice_is_two_inputs(spec):
    backend = opened(spec)
    x = backend.to_var(np.array([2.0, 3.0]))

    def f(a, b):
        return backend.xp.sum(a * a * b)

    run = backend.prepare(O.GRADIENT, f, [x, x], argnums=(0, 1))
    a, b = (backend.to_numpy(g) for g in run(x, x))
    close(spec, a, [8.0, 18.0])  # 2 a b
    close(spec, b, [4.0, 9.0])  # a^2


@pytest.mark.parametrize("operator", FIRST[1:] + SECOND)
@pytest.mark.parametrize("spec", BACKENDS)
def test_an_objective_that_uses_no_input(spec, operator):
    backend = opened(spec)
    data = np.array([1.0, 2.0])
    directions = {O.JVP: [data], O.HVP: [data], O.VJP: [np.array(1.0)]}.get(operator, [])
    got = ask(backend, operator, lambda x, d: backend.xp.sum(d * d), [data, data], directions=directions)
    shapes = {O.JVP: (), O.HESSIAN: (2, 2)}
    np.testing.assert_array_equal(got[-1], np.zeros(shapes.get(operator, (2,))))


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::-1],
        lambda a: a[:, ::2],
        lambda a: np.asfortranarray(a),
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: a.astype(a.dtype.newbyteorder()),
    ],
    ids=["transposed", "reversed", "strided", "fortran", "broadcast", "byte_order"],
)
@pytest.mark.parametrize("spec", BACKENDS)
def test_any_memory_layout_makes_a_variable(spec, view):
    backend, array = opened(spec), view(np.arange(12.0).reshape(3, 4))
    var = backend.to_var(array)
    np.testing.assert_array_equal(backend.to_numpy(var), array)
    (gradient,) = ask(backend, O.GRADIENT, lambda x: backend.xp.sum(x * x), [np.ascontiguousarray(array)])
    close(spec, gradient, 2 * array)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "f",
    [
        lambda xp, x: 2.0 * x + 1,
        lambda xp, x: 1 - x / 3 + 2 / x,
        lambda xp, x: x**2 + x**0.5,
        lambda xp, x: xp.where(x > 1.5, 0.5, x) * x,
        lambda xp, x: xp.maximum(x, 1.0) + xp.multiply(0.5, x),
        lambda xp, x: np.pi * x,
    ],
)
@pytest.mark.parametrize("spec", BACKENDS)
def test_python_scalars_do_not_widen(spec, f, dtype):
    backend, x = opened(spec), np.array([1.25, 2.5], dtype)
    xp = backend.xp
    for operator in (O.GRADIENT, O.HVP):
        directions = [x] if operator is O.HVP else []
        (got,) = ask(backend, operator, lambda v: xp.sum(f(xp, v)), [x], directions=directions)
        assert got.dtype == dtype
    assert ask(backend, O.VALUE, lambda v: f(xp, v), [x])[0].dtype == dtype


@pytest.mark.parametrize("operator", [O.GRADIENT, O.VALUE_AND_GRADIENT, O.HVP, O.HESSIAN])
@pytest.mark.parametrize("spec", BACKENDS)
def test_the_gradient_of_a_vector_is_a_clear_error(spec, operator):
    backend, x = opened(spec), np.array([1.0, 2.0])
    with pytest.raises((ValueError, TypeError), match=re.compile("scalar", re.IGNORECASE)):
        ask(backend, operator, lambda v: v * v, [x], directions=[x] if operator is O.HVP else [])


@pytest.mark.parametrize(("x", "slope"), [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf)])
@pytest.mark.parametrize("spec", [b for b in BACKENDS if b != "finite_difference"])
def test_non_finite_numbers_are_passed_on(spec, x, slope):
    """d(sum x^2) = 2x, entry by entry: the finite one stays finite."""
    backend = opened(spec)
    value, gradient = ask(backend, O.VALUE_AND_GRADIENT, lambda v: backend.xp.sum(v * v), [np.array([x, 3.0])])
    np.testing.assert_array_equal(value, x * x)
    np.testing.assert_array_equal(gradient, [slope, 6.0])


@pytest.mark.parametrize("spec", BACKENDS)
def test_block_returns_what_it_is_given(spec):
    backend = opened(spec)
    x, y = (backend.to_var(np.array(a)) for a in ([1.0, 2.0], 3.0))
    for out in (x, (x, y), ((x,), (y, x)), ()):
        again = backend.block(out)
        assert type(again) is type(out)
        for a, b in zip(leaves(again), leaves(out), strict=True):
            np.testing.assert_array_equal(backend.to_numpy(a), backend.to_numpy(b))


Loop = Callable[[Any, Any, Any], Any]


def horner(backend, x, coefficients):
    """A carry alone: ``y`` is None."""
    carry, ys = backend.scan(lambda c, a: (c * x + a, None), coefficients[0] * 0.0, coefficients)
    assert ys is None
    return carry


def decay(backend, x, coefficients):
    """Carry and stacked outputs, ``c' = x c + a``."""

    def body(c, a):
        c = x * c + a
        return c, c * c

    carry, ys = backend.scan(body, coefficients[0] * 0.0, coefficients)
    return carry + backend.xp.sum(ys)


def pairs(backend, x, coefficients):
    """A tuple of arrays in, a tuple of arrays out."""

    def body(c, inputs):
        a, b = inputs
        c = x * c + a * b
        return c, (c, a * c)

    carry, (first, second) = backend.scan(body, coefficients[0] * 0.0, (coefficients, coefficients + 1.0))
    return carry + backend.xp.sum(first) + backend.xp.sum(second * second)


def looped(name: str, x: Any, a: Any) -> Any:
    """The same loops in plain Python, for numbers of any kind."""
    carry, total = 0.0 * x, 0.0 * x
    for k in a:
        if name == "horner":
            carry = carry * x + k
        elif name == "decay":
            carry = x * carry + k
            total = total + carry * carry
        else:
            carry = x * carry + k * (k + 1.0)
            total = total + carry + (k * carry) ** 2
    return carry + total


LOOPS: dict[str, Loop] = {"horner": horner, "decay": decay, "pairs": pairs}


@pytest.mark.parametrize("operator", [O.VALUE, O.GRADIENT, O.JVP, O.VJP, O.HVP])
@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("spec", BACKENDS)
def test_a_scan_and_its_derivatives(spec, name, operator):
    """Against the loop as polynomial arithmetic: ``numpy.polynomial`` differentiates it exactly."""
    backend = opened(spec)
    x, a = np.array(0.7), np.array([0.5, -1.0, 2.0, 0.25])
    polynomial = looped(name, np.polynomial.Polynomial([0.0, 1.0]), a)
    directions = {O.JVP: [np.array(1.5)], O.HVP: [np.array(1.5)], O.VJP: [np.array(1.5)]}.get(operator, [])
    (got,) = ask(backend, operator, lambda v, c: LOOPS[name](backend, v, c), [x, a], directions=directions)
    order = {O.VALUE: 0, O.HVP: 2}.get(operator, 1)
    want = polynomial.deriv(order)(0.7) if order else polynomial(0.7)
    assert got.shape == ()
    close(spec, got, want * (1.5 if directions else 1.0))


@pytest.mark.parametrize("spec", BACKENDS)
def test_a_scan_with_the_gradient_of_its_inputs(spec):
    """d(last of c' = x c + a)/da_k = x^(n-1-k)."""
    backend = opened(spec)
    a = np.array([0.5, -1.0, 2.0, 0.25])
    (got,) = ask(backend, O.GRADIENT, lambda v, c: horner(backend, v, c), [np.array(0.5), a], argnums=(1,))
    close(spec, got, [0.125, 0.25, 0.5, 1.0])
