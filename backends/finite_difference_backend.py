"""Central finite differences of fourth order, of NumPy functions, computed in float64 for inputs of any dtype.

Write f(h) for f(x + h u), a function of the number h, and expand it at h = 0. The terms of even order cancel in
f(h) - f(-h), those of odd order in f(h) + f(-h), and steps of h and 2h together cancel one term more::

    8 (f(h) - f(-h)) - (f(2h) - f(-2h))              = 12 h   f'  - 2/5  h^5 f^(5) + ...
    16 (f(h) + f(-h)) - (f(2h) + f(-2h)) - 30 f(0)   = 12 h^2 f'' - 2/15 h^6 f^(6) + ...

Both formulas have a truncation error of h^4. The rounding error is eps/h in f' and eps/h^2 in f''. The sum of both
errors is least near h = eps^(1/5) for f', with a relative error of about eps^(4/5) = 3e-13, and near h = eps^(1/6) for
f'', with about eps^(2/3) = 4e-11. A mixed second derivative follows by polarisation:
``d' H e = (D2[d + e] - D2[d - e]) / 4``, where D2[u] is f'' along u; the terms in f(0) cancel.

Steps are relative to the scale of x. The scale of an entry is its absolute value or the root mean square of its array,
whichever is larger, and 1 in an array of zeros. Where a step leaves the domain of the function, so that a value is not
finite, the step is divided by 16, up to 7 times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.interface import Function, NumpyArrays, Prepared, Request
from autodiff_compare.vocabulary import STANDARD_OPERATORS, Operator

Array = NDArray[Any]

_EPS = float(np.finfo(np.float64).eps)
#: Steps for first and second derivatives, relative to the scale of x.
_FIRST, _SECOND = _EPS ** (1 / 5), _EPS ** (1 / 6)
#: How many step sizes are tried.
_TRIES = 8


@final
class FiniteDifferenceBackend(NumpyArrays):
    """Central differences on NumPy: every operator from values of the function alone."""

    name = "finite_difference"
    native = STANDARD_OPERATORS

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:  # noqa: ARG002
        """Return the gradient by differences, for either mode. It is accurate to 3e-13, a difference of it to 1e-9."""
        return self.grad(f)

    def _native(self, request: Request) -> Prepared:
        function, argnums, n = request.function, request.argnums, len(request.args)
        if request.operator is Operator.VALUE:
            return function
        method = _METHODS[request.operator]
        return lambda *given: method(_Point(function, given[:n], argnums), *given[n:])


class _Point:
    """A function at one point, as a function of one float64 vector: the flattened differentiated inputs, joined.

    ``like`` holds the original inputs, for shapes and dtypes; ``scale`` the scale of every entry of ``x``.
    """

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
        """Split into one array per input, with that input's shape and dtype."""
        return tuple(part.astype(a.dtype) for part, a in zip(self.split(flat), self.like, strict=True))

    def value(self) -> Array:
        return self(self.x).astype(self.dtype)

    def require_scalar(self) -> None:
        shape = self(self.x).shape
        if shape != ():
            raise ValueError(f"got an output of shape {shape}, expected a scalar: ask for vjp or jacobian instead")

    def slope(self, d: Array) -> Array:
        """Return the derivative along ``d``: that along u = d / length(d), times the length."""
        length = self.length(d)
        u = d / length

        def stencil(h: float) -> Array:
            x = self.x
            near, far = self(x + h * u) - self(x - h * u), self(x + 2 * h * u) - self(x - 2 * h * u)
            return np.asarray((8 * near - far) / (12 * h))

        return np.asarray(_within_domain(stencil, _FIRST) * length)

    def length(self, d: Array) -> float:
        """Return the largest ratio of an entry of ``d`` to the scale of that entry of ``x``; 1 for a zero vector."""
        return float(np.max(np.abs(d) / self.scale, initial=0.0)) or 1.0

    def curvature(self, d: Array, e: Array) -> Array:
        """Return ``d' H e`` by polarisation, with both directions scaled as in `slope`."""
        a, b = self.length(d), self.length(e)
        p, m = d / a + e / b, d / a - e / b

        def stencil(h: float, u: Array) -> Array:
            # Without the term 30 f(0), which cancels between p and m.
            x = self.x
            near, far = self(x + h * u) + self(x - h * u), self(x + 2 * h * u) + self(x - 2 * h * u)
            return np.asarray(16 * near - far)

        return np.asarray(_within_domain(lambda h: (stencil(h, p) - stencil(h, m)) / (48 * h * h), _SECOND) * (a * b))

    def units(self) -> Array:
        return np.eye(self.x.size)

    def columns(self) -> Array:
        """Return the transposed Jacobian: one row, shaped like the output, per entry of ``x``."""
        shape = self(self.x).shape
        return np.stack([self.slope(u) for u in self.units()]) if self.x.size else np.zeros((0, *shape))

    def gradient(self) -> tuple[Array, ...]:
        self.require_scalar()
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
        self.require_scalar()
        t = _flat(tangents)
        return self.rounded(np.array([self.curvature(u, t) for u in self.units()], dtype=np.float64))

    def hessian(self) -> tuple[tuple[Array, ...], ...]:
        self.require_scalar()
        units, n = self.units(), self.x.size
        H = np.zeros((n, n))
        for i in range(n):
            for j in range(i + 1):
                H[i, j] = H[j, i] = self.curvature(units[i], units[j])
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
    """Return floating arrays in float64, where rounding errors are small enough for differences; others unchanged."""
    array = np.asarray(array)
    return np.asarray(array, np.float64) if np.issubdtype(array.dtype, np.floating) else np.asarray(array)


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(_wide(a)) for a in arrays]) if arrays else np.zeros(0)


def _scale(x: Array) -> Array:
    """Return the scale of every entry, as the module defines it."""
    size = np.abs(_wide(x))
    typical = np.sqrt(np.mean(size * size)) if size.size else 0.0
    return np.asarray(np.maximum(size, typical or 1.0))


def _within_domain(stencil: Callable[[float], Array], h: float) -> Array:
    """Return the stencil's value for the largest step, from ``h`` down, where all of it is finite."""
    with np.errstate(all="ignore"):
        for _ in range(_TRIES):
            estimate = stencil(h)
            if np.all(np.isfinite(estimate)):
                break
            h /= 16
    return estimate
