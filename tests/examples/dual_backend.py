"""Dual numbers: ``(v + t e)(w + u e) = v w + (v u + t w) e``, for ``e e = 0``; ``f(x + t e) = f(x) + f'(x) t e``.

A system of a kind that nothing here was planned for: its variables are no arrays, nothing is recorded or traced,
and one evaluation gives one directional derivative (W. K. Clifford, 1873). It states what it has: values and
products with a tangent. All else is derived from those, and there is no second derivative.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from autodiff_compare.backends.interface import Backend, Request, Unsupported, python_scan
from autodiff_compare.vocabulary import Operator


class Dual:
    """An array ``v`` with its tangent ``t``."""

    __array_priority__ = 1000  # so that NumPy lets array * dual call Dual.__rmul__

    def __init__(self, v: Any, t: Any = None) -> None:
        self.v = np.asarray(v)
        self.t = np.zeros_like(self.v) if t is None else np.asarray(t)

    shape = property(lambda self: self.v.shape)
    dtype = property(lambda self: self.v.dtype)
    ndim = property(lambda self: self.v.ndim)

    def __getitem__(self, key: Any) -> Dual:
        return Dual(self.v[key], self.t[key])

    def __add__(self, other: Any) -> Dual:
        return _linear(np.add, self, other)

    def __sub__(self, other: Any) -> Dual:
        return _linear(np.subtract, self, other)

    def __rsub__(self, other: Any) -> Dual:
        return _linear(np.subtract, other, self)

    def __mul__(self, other: Any) -> Dual:
        return _bilinear(np.multiply, self, other)

    def __truediv__(self, other: Any) -> Dual:
        return self * _power(_dual(other), -1)

    def __rtruediv__(self, other: Any) -> Dual:
        return other * _power(self, -1)

    def __matmul__(self, other: Any) -> Dual:
        return _bilinear(np.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Dual:
        return _bilinear(np.matmul, other, self)

    def __neg__(self) -> Dual:
        return Dual(-self.v, -self.t)

    def __pow__(self, n: float) -> Dual:
        return _power(self, n)

    __radd__, __rmul__ = __add__, __mul__
    __lt__ = lambda self, other: self.v < _dual(other).v  # noqa: E731
    __gt__ = lambda self, other: self.v > _dual(other).v  # noqa: E731
    __array_ufunc__ = None


def _dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(x)


def _like(x: Any, other: Any) -> Dual:
    """Convert to a dual number; a Python number takes the dtype of the other operand."""
    return Dual(np.asarray(x, dtype=_dual(other).dtype)) if isinstance(x, (int, float)) else _dual(x)


def _linear(f: Any, a: Any, b: Any) -> Dual:
    a, b = _like(a, b), _like(b, a)
    return Dual(f(a.v, b.v), f(a.t, b.t))


def _bilinear(f: Any, a: Any, b: Any) -> Dual:
    a, b = _like(a, b), _like(b, a)
    return Dual(f(a.v, b.v), f(a.v, b.t) + f(a.t, b.v))


def _power(x: Dual, n: float) -> Dual:
    return Dual(np.asarray(x.v**n, x.dtype), np.asarray(n * x.v ** (n - 1) * x.t, x.dtype))


def _chain(f: Any, slope: Any) -> Any:
    return lambda x: Dual(f(_dual(x).v), slope(_dual(x).v) * _dual(x).t)


def _moved(f: Any) -> Any:
    """Apply a function that only moves entries, which moves tangents in the same way."""

    def both(x: Any, *args: Any, **kwargs: Any) -> Dual:
        return Dual(f(_dual(x).v, *args, **kwargs), f(_dual(x).t, *args, **kwargs))

    return both


def _joined(f: Any) -> Any:
    return lambda xs, **k: Dual(f([_dual(x).v for x in xs], **k), f([_dual(x).t for x in xs], **k))


def _chosen(condition: Any, a: Any, b: Any) -> Dual:
    a, b = _like(a, b), _like(b, a)
    return Dual(np.where(condition, a.v, b.v), np.where(condition, a.t, b.t))


class _Namespace:
    """The supported names of the array API, one rule each."""

    exp, log = staticmethod(_chain(np.exp, np.exp)), staticmethod(_chain(np.log, np.reciprocal))
    sin, cos = staticmethod(_chain(np.sin, np.cos)), staticmethod(_chain(np.cos, lambda v: -np.sin(v)))
    tanh = staticmethod(_chain(np.tanh, lambda v: 1 - np.tanh(v) ** 2))
    sqrt, abs = staticmethod(_chain(np.sqrt, lambda v: 0.5 / np.sqrt(v))), staticmethod(_chain(np.abs, np.sign))
    sum, reshape, take = staticmethod(_moved(np.sum)), staticmethod(_moved(np.reshape)), staticmethod(_moved(np.take))
    permute_dims, broadcast_to = staticmethod(_moved(np.permute_dims)), staticmethod(_moved(np.broadcast_to))
    stack, concat = staticmethod(_joined(np.stack)), staticmethod(_joined(np.concat))
    multiply, matmul = staticmethod(lambda a, b: _dual(a) * b), staticmethod(lambda a, b: _dual(a) @ b)
    where = staticmethod(_chosen)
    unstack = staticmethod(lambda x: tuple(_dual(x)[i] for i in range(len(_dual(x).v))))


class DualNumbers(Backend):
    """Forward mode and nothing else."""

    name: ClassVar[str] = "dual"
    requires: ClassVar[tuple[str, ...]] = ("numpy",)
    native: ClassVar[frozenset[Operator]] = frozenset({Operator.VALUE, Operator.JVP})
    nestable: ClassVar[bool] = False

    def open(self) -> None:
        self.xp = _Namespace()

    def to_var(self, array: Any, *, dtype: str | None = None) -> Any:
        found = np.array(array, dtype=dtype)
        return Dual(found) if found.dtype.kind == "f" else found

    def to_numpy(self, var: Any) -> Any:
        return np.array(var.v if isinstance(var, Dual) else var)

    def grad(self, f: Any, argnums: Any = 0) -> Any:
        which = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def gradient(*args: Any) -> Any:
            found = self.prepare(Operator.GRADIENT, f, args, argnums=which)(*args)
            return found[0] if isinstance(argnums, int) else found

        return gradient

    def step(self, *_: Any) -> Any:
        raise Unsupported("dual numbers come without an optimizer")

    def scan(self, f: Any, init: Any, xs: Any) -> Any:
        return python_scan(self.xp, f, init, xs)

    def block(self, out: Any) -> Any:
        return out

    def _native(self, request: Request) -> Any:
        function, argnums, n = request.function, request.argnums, len(request.args)
        if request.operator is Operator.VALUE:
            return function

        def jvp(*given: Any) -> Any:
            inputs = list(given[:n])
            for i, tangent in zip(argnums, given[n:], strict=True):
                inputs[i] = Dual(inputs[i].v, tangent.v)
            return Dual(_dual(function(*inputs)).t)

        return jvp
