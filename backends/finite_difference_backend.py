"""Numerical differences of a NumPy function: central, fourth order, in float64 whatever the dtype.

First derivatives along ``d`` use ``(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h``, with truncation h^4 and
rounding eps/h balanced at h = eps^(1/5) of the scale: relative error about eps^(4/5) = 3e-13. Second
derivatives use the matching stencil at h = eps^(1/6) (error about eps^(2/3) = 4e-11), and mixed ones
``u' H v = (D2[u + v] - D2[u - v]) / 4``. The scale of an entry is its own size or the root mean
square of its array, whichever is larger, and 1 in an array of zeros. Where a difference leaves
the domain of the function the step is cut by sixteen, a few times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.interface import Function, NumpyArrays, Prepared, Request
from autodiff_compare.vocabulary import Operator

Array = NDArray[Any]

_EPS = float(np.finfo(np.float64).eps)
_FIRST, _SECOND = _EPS ** (1 / 5), _EPS ** (1 / 6)
_CUTS = 8


@final
class FiniteDifferenceBackend(NumpyArrays):
    """Central differences on NumPy: every operator, from values alone."""

    name = "finite_difference"
    native = frozenset(set(Operator) - {Operator.SPARSE_JACOBIAN, Operator.STEP})

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:  # noqa: ARG002
        """A difference has no mode: both are this. It is good to 3e-13, and a difference of it to 1e-9."""
        return self.grad(f)

    def _native(self, request: Request) -> Prepared:
        function, argnums, n = request.function, request.argnums, len(request.args)
        if request.operator is Operator.VALUE:
            return function
        method = _METHODS[request.operator]
        return lambda *given: method(_Point(function, given[:n], argnums), *given[n:])


class _Point:
    """A function of one flat float64 vector, all differentiated inputs side by side, at one point."""

    def __init__(self, f: Function, args: Sequence[Array], argnums: tuple[int, ...]) -> None:
        self.f, self.args, self.argnums = f, [_wide(a) for a in args], argnums
        self.like = [np.asarray(args[i]) for i in argnums]
        self.dtype = np.result_type(*self.like)
        self.x = _flat(self.like)
        self.scale = _flat([_scale(a) for a in self.like])
        if not all(np.issubdtype(a.dtype, np.floating) for a in self.like):
            got = ", ".join(str(a.dtype) for a in self.like)
            raise TypeError(f"got differentiated inputs of dtype {got}, expected floating: pass integers as data")

    def __call__(self, x: Array) -> Array:
        args = list(self.args)
        for i, part in zip(self.argnums, self.split(x), strict=True):
            args[i] = part
        return np.asarray(self.f(*args), dtype=np.float64)

    def split(self, flat: Array) -> list[Array]:
        ends = np.cumsum([a.size for a in self.like])[:-1]
        return [part.reshape(a.shape) for part, a in zip(np.split(flat, ends), self.like, strict=True)]

    def rounded(self, flat: Array) -> tuple[Array, ...]:
        """Per input, in the dtype of that input."""
        return tuple(part.astype(a.dtype) for part, a in zip(self.split(flat), self.like, strict=True))

    def value(self) -> Array:
        return self(self.x).astype(self.dtype)

    def scalar(self) -> None:
        shape = self(self.x).shape
        if shape != ():
            raise ValueError(f"got an output of shape {shape}, expected a scalar: ask for vjp or jacobian instead")

    def slope(self, d: Array) -> Array:
        """Derivative along ``d``, which is scaled to the size of ``x`` first."""
        length = self.length(d)
        u = d / length

        def stencil(h: float) -> Array:
            x = self.x
            near, far = self(x + h * u) - self(x - h * u), self(x + 2 * h * u) - self(x - 2 * h * u)
            return np.asarray((8 * near - far) / (12 * h))

        return np.asarray(_within_domain(stencil, _FIRST) * length)

    def length(self, d: Array) -> float:
        """How many times ``d`` is longer than the scale of ``x``, in the entry where it is longest."""
        return float(np.max(np.abs(d) / self.scale, initial=0.0)) or 1.0

    def bend(self, d: Array, e: Array) -> Array:
        """``d' H e``: both directions scaled to the size of ``x`` first."""
        a, b = self.length(d), self.length(e)
        p, m = d / a + e / b, d / a - e / b

        def twice(h: float, u: Array) -> Array:
            # The terms in f(x) itself cancel between p and m.
            x = self.x
            near, far = self(x + h * u) + self(x - h * u), self(x + 2 * h * u) + self(x - 2 * h * u)
            return np.asarray(16 * near - far)

        return np.asarray(_within_domain(lambda h: (twice(h, p) - twice(h, m)) / (48 * h * h), _SECOND) * (a * b))

    def units(self) -> Array:
        return np.eye(self.x.size)

    def columns(self) -> Array:
        """The Jacobian, one row per entry of ``x``."""
        shape = self(self.x).shape
        return np.stack([self.slope(u) for u in self.units()]) if self.x.size else np.zeros((0, *shape))

    def gradient(self) -> tuple[Array, ...]:
        self.scalar()
        return self.rounded(self.columns())

    def value_and_gradient(self) -> tuple[Array, tuple[Array, ...]]:
        return self.value(), self.gradient()

    def jvp(self, *tangents: Array) -> Array:
        return self.slope(_flat(tangents)).astype(self.dtype)

    def vjp(self, cotangent: Array) -> tuple[Array, ...]:
        columns = self.columns()
        return self.rounded(np.tensordot(columns, _wide(cotangent), np.ndim(cotangent)))

    def jacobian(self) -> tuple[Array, ...]:
        shape, columns = self(self.x).shape, np.moveaxis(self.columns(), 0, -1)
        ends = np.cumsum([a.size for a in self.like])[:-1]
        parts = np.split(columns, ends, axis=-1)
        return tuple(p.reshape(shape + a.shape).astype(a.dtype) for p, a in zip(parts, self.like, strict=True))

    def hvp(self, *tangents: Array) -> tuple[Array, ...]:
        self.scalar()
        t = _flat(tangents)
        return self.rounded(np.array([self.bend(u, t) for u in self.units()], dtype=np.float64))

    def hessian(self) -> tuple[tuple[Array, ...], ...]:
        self.scalar()
        units, n = self.units(), self.x.size
        H = np.zeros((n, n))
        for i in range(n):
            for j in range(i + 1):
                H[i, j] = H[j, i] = self.bend(units[i], units[j])
        ends = np.cumsum([a.size for a in self.like])[:-1]
        rows = [np.split(row, ends, axis=1) for row in np.split(H, ends, axis=0)]
        return tuple(
            tuple(block.reshape(a.shape + b.shape).astype(a.dtype) for block, b in zip(row, self.like, strict=True))
            for row, a in zip(rows, self.like, strict=True)
        )


_METHODS: dict[Operator, Callable[..., Any]] = {
    Operator.GRADIENT: _Point.gradient,
    Operator.VALUE_AND_GRADIENT: _Point.value_and_gradient,
    Operator.JVP: _Point.jvp,
    Operator.VJP: _Point.vjp,
    Operator.JACOBIAN: _Point.jacobian,
    Operator.HVP: _Point.hvp,
    Operator.HESSIAN: _Point.hessian,
}


def _wide(array: Any) -> Array:
    """Floating arrays in float64, so that differences do not drown in float32 rounding; others as they are."""
    array = np.asarray(array)
    return np.asarray(array, np.float64) if np.issubdtype(array.dtype, np.floating) else np.asarray(array)


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(_wide(a)) for a in arrays]) if arrays else np.zeros(0)


def _scale(x: Array) -> Array:
    size = np.abs(_wide(x))
    typical = np.sqrt(np.mean(size * size)) if size.size else 0.0
    return np.asarray(np.maximum(size, typical or 1.0))


def _within_domain(stencil: Callable[[float], Array], h: float) -> Array:
    with np.errstate(all="ignore"):
        for _ in range(_CUTS):
            estimate = stencil(h)
            if np.all(np.isfinite(estimate)):
                break
            h /= 16
    return estimate
