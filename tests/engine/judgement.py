"""How a rule of the engine is judged: by random projections against differences, in both modes, to second order.

A row is data: a function with the shapes (or the range) of its arguments, all of them differentiated. Complex arguments
have real and imaginary parts from the range; directions are complex then too, and inner products are
``Re sum(conj(a) b)``, for which the engine's gradient of a real function is the direction of steepest ascent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff import grad, jvp, vjp


@dataclass(frozen=True)
class Row:
    """One function: ``function(*args)`` for arrays of ``shapes`` drawn from ``domain``; kinds are 'f' and 'c'."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    domain: tuple[float, float] = (-1.0, 1.0)
    kind: str = "f"
    #: float32 results against float64: 1e-4 unless the function is steep.
    single: float = 1e-4

    def arguments(self, seed: int = 0) -> list[Any]:
        rng = np.random.default_rng(seed)
        parts = [rng.uniform(*self.domain, size=(2, *s)) for s in self.shapes]
        return [(p[0] + 1j * p[1] if self.kind == "c" else p[0])[()] for p in parts]


def directions(arrays: list[Any], seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    found = []
    for x in arrays:
        parts = rng.uniform(0.5, 1.5, (2, *np.shape(x))) * rng.choice([-1.0, 1.0], (2, *np.shape(x)))
        found.append((parts[0] + 1j * parts[1] if np.iscomplexobj(x) else parts[0])[()])
    return found


def inner(a: Any, b: Any) -> float:
    return float(sum(np.sum(np.real(np.conj(x) * y)) for x, y in zip(a, b, strict=True)))


def difference(f: Any, args: list[Any], tangents: list[Any], h: float = 1e-3) -> Any:
    """Central difference, extrapolated twice: error of order h^6, and rounding of 1e-16 / h."""

    def central(step: float) -> Any:
        ahead = f(*(x + step * t for x, t in zip(args, tangents, strict=True)))
        behind = f(*(x - step * t for x, t in zip(args, tangents, strict=True)))
        return (ahead - behind) / (2 * step)

    coarse, middle, fine = central(h), central(h / 2), central(h / 4)
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    return (16 * second - first) / 15


def close(got: Any, expected: Any, tolerance: float) -> None:
    scale = np.linalg.norm(np.ravel(expected)) or 1.0
    assert np.shape(got) == np.shape(expected)
    assert np.linalg.norm(np.ravel(got) - np.ravel(expected)) <= tolerance * scale


def flat(parts: Any) -> Any:
    return np.concatenate([np.ravel(p) for p in parts])


def judge_first_order(row: Row, tolerance: float = 1e-9) -> None:
    """The tangent is the directional derivative, and the pullback its transpose, exactly and repeatably."""
    args = row.arguments()
    tangents = directions(args, 1)
    value, tangent = jvp(row.function, args, tangents)
    close(value, row.function(*args), 1e-13)
    close(tangent, difference(row.function, args, tangents), tolerance)
    value, pullback = vjp(row.function, *args)
    (cotangent,) = directions([value], 2)
    backward = inner(pullback(cotangent), tangents)
    forward = inner([cotangent], [tangent])
    assert abs(backward - forward) <= 1e-11 * (1 + abs(forward))
    assert inner(pullback(cotangent), tangents) == backward


def judge_second_order(row: Row, tolerance: float = 1e-8) -> None:
    """Every mix of modes gives the directional derivative of the gradient."""
    args = row.arguments()
    tangents = directions(args, 3)
    (weights,) = directions([row.function(*args)], 4)
    n = tuple(range(len(args)))

    def f(*xs: Any) -> Any:
        y = row.function(*xs)
        return np.sum(np.real(weights * (y + 0.5 * y * y)))

    def slope(*xs: Any) -> Any:
        return sum(np.sum(np.real(np.conj(t) * g)) for g, t in zip(grad(f, n)(*xs), tangents, strict=True))

    expected = difference(lambda *xs: flat(grad(f, n)(*xs)), args, tangents)
    close(flat(jvp(grad(f, n), args, tangents)[1]), expected, tolerance)
    close(flat(grad(slope, n)(*args)), expected, tolerance)
    close(flat(grad(lambda *xs: jvp(f, xs, tangents)[1], n)(*args)), expected, tolerance)


def judge_single_precision(row: Row) -> None:
    """float32 (complex64) stays so in cotangents, and values and tangents have the dtype of the plain function."""
    args = row.arguments()
    dtype = np.complex64 if row.kind == "c" else np.float32
    small = [np.asarray(x, dtype)[()] for x in args]
    value, pullback = vjp(row.function, *small)
    cotangents = pullback(np.ones_like(value))
    assert {np.asarray(g).dtype for g in cotangents} == {np.dtype(dtype)}
    assert np.asarray(value).dtype == np.asarray(row.function(*small)).dtype
    assert np.asarray(jvp(row.function, small, small)[1]).dtype == np.asarray(value).dtype
    exact = vjp(row.function, *(np.asarray(x, args[0].dtype)[()] for x in small))[1](np.ones(np.shape(value)))
    for g, e in zip(cotangents, exact, strict=True):
        close(g, e, row.single)


def judge_strides(row: Row) -> None:
    """Negative and doubled strides give what contiguous arrays give."""
    args = row.arguments()
    odd = [np.asarray(x).repeat(2, axis=0)[::-2][::-1] if np.ndim(x) else x for x in args]
    value, pullback = vjp(row.function, *odd)
    for g, e in zip(pullback(np.ones_like(value)), vjp(row.function, *args)[1](np.ones_like(value)), strict=True):
        close(g, e, 1e-12)


#: What holds of every rule.
JUDGES = (judge_first_order, judge_second_order, judge_single_precision, judge_strides)
