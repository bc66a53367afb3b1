"""Every rule of the table, both modes, by random projection, to second order, in each dtype it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, jvp, vjp
from tests.engine.rules import ROWS, Row


def directions(arrays: list[Any], seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 1.5, np.shape(x)) * rng.choice([-1.0, 1.0], np.shape(x)) for x in arrays]


def difference(f: Any, args: list[Any], tangents: list[Any], h: float) -> Any:
    """Richardson-extrapolated central difference: error of order h^4."""

    def central(step: float) -> Any:
        ahead = f(*(x + step * t for x, t in zip(args, tangents, strict=True)))
        behind = f(*(x - step * t for x, t in zip(args, tangents, strict=True)))
        return (ahead - behind) / (2 * step)

    return (4 * central(h / 2) - central(h)) / 3


def close(got: Any, expected: Any, tolerance: float) -> None:
    scale = np.linalg.norm(np.ravel(expected)) or 1.0
    assert np.shape(got) == np.shape(expected)
    assert np.linalg.norm(np.ravel(got) - np.ravel(expected)) <= tolerance * scale


def the_tangent_is_the_directional_derivative(row: Row) -> None:
    args = row.arguments()
    tangents = directions(args, 1)
    value, tangent = jvp(row.function, args, tangents)
    close(value, row.function(*args), 1e-14)
    # h^4 truncation at h = 1e-3 and rounding eps/h: both about 1e-12.
    close(tangent, difference(row.function, args, tangents, 1e-3), 1e-9)


def the_pullback_is_the_transpose_of_the_tangent(row: Row) -> None:
    args = row.arguments()
    tangents = directions(args, 1)
    value, pullback = vjp(row.function, *args)
    (cotangent,) = directions([value], 2)
    forward = np.sum(cotangent * jvp(row.function, args, tangents)[1])
    backward = sum(np.sum(g * t) for g, t in zip(pullback(cotangent), tangents, strict=True))
    assert backward == pytest.approx(forward, rel=1e-12, abs=1e-12)
    again = sum(np.sum(g * t) for g, t in zip(pullback(cotangent), tangents, strict=True))
    assert again == backward


def projected(row: Row, weights: Any) -> Any:
    """A scalar function of the arguments, nonlinear in the rule's result, so that second order is not zero."""
    return lambda *xs: np.sum(weights * (lambda y: y + 0.5 * y * y)(row.function(*xs)))


def every_mix_of_modes_gives_the_second_order(row: Row) -> None:
    args = row.arguments()
    tangents = directions(args, 3)
    (weights,) = directions([row.function(*args)], 4)
    f = projected(row, weights)
    n = tuple(range(len(args)))
    expected = difference(lambda *xs: np.concatenate([np.ravel(g) for g in grad(f, n)(*xs)]), args, tangents, 1e-3)

    def slope(*xs: Any) -> Any:
        return sum(np.sum(g * t) for g, t in zip(grad(f, n)(*xs), tangents, strict=True))

    mixes = {
        "forward over reverse": jvp(grad(f, n), args, tangents)[1],
        "reverse over reverse": grad(slope, n)(*args),
        "reverse over forward": grad(lambda *xs: jvp(f, xs, tangents)[1], n)(*args),
    }
    for found in mixes.values():
        close(np.concatenate([np.ravel(g) for g in found]), expected, 1e-8)


def the_dtype_is_kept(row: Row, dtype: str) -> None:
    args = row.arguments(dtype=dtype)
    value, pullback = vjp(row.function, *args)
    if not row.name.startswith("interp"):  # NumPy's gives double whatever it is given
        assert np.asarray(value).dtype == np.asarray(row.function(*args)).dtype
    cotangents = pullback(np.ones_like(value))
    assert {np.asarray(g).dtype for g in cotangents} == {np.dtype(dtype)}
    exact = vjp(row.function, *(np.asarray(x, float)[()] for x in args))[1](np.ones(np.shape(value)))
    for g, e in zip(cotangents, exact, strict=True):
        close(np.asarray(g, float), e, 1e-4 if dtype == "float32" else 1e-12)


def strides_do_not_matter(row: Row) -> None:
    args = row.arguments()
    odd = [np.asarray(x).repeat(2, axis=0)[::-2][::-1] if np.ndim(x) else x for x in args]
    value, pullback = vjp(row.function, *odd)
    for g, e in zip(pullback(np.ones_like(value)), vjp(row.function, *args)[1](np.ones_like(value)), strict=True):
        close(g, e, 1e-14)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_rule_is_right_in_both_modes_to_second_order(row: Row) -> None:
    the_tangent_is_the_directional_derivative(row)
    the_pullback_is_the_transpose_of_the_tangent(row)
    every_mix_of_modes_gives_the_second_order(row)
    strides_do_not_matter(row)
    for dtype in row.dtypes:
        the_dtype_is_kept(row, dtype)
