"""Fifty planted differences: a function of the namespace that our engine differentiates, or computes, in another way.

Each has the place it is planted at: a part of the line that has to be named. A function occurs on several lines, so
a plant may say of which operands it changes the derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from autodiff_compare import backends

#: What a plant makes of the engine, its namespace and one function of it: another function.
How = Callable[[Any, Any, Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Planted:
    """A difference between two backends.

    Parameters
    ----------
    kind
        ``rule``, ``convention``, ``precision``, ``axis`` or ``detached``.
    objective
        Name in `tests.explaining.objectives`.
    function
        The function of ``xp`` that is changed.
    how
        The change.
    line
        A part of the line that has to be named.
    operator
        The operator in which the difference shows.
    shape
        Shape of the first operand to which the change is limited.
    """

    kind: str
    objective: str
    function: str
    how: How
    line: str
    operator: str = "gradient"
    shape: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.objective}-{self.function}-{self.operator}"


def opened(*plants: Planted) -> Any:
    """Return our engine, with some functions of its namespace changed."""
    backend = backends.load("numpy")
    backend.open()
    xp = _copied(backend.xp) if plants else backend.xp
    for planted in plants:
        *rooms, name = planted.function.split(".")
        holder = xp
        for room in rooms:
            setattr(holder, room, _copied(getattr(holder, room)))
            holder = getattr(holder, room)
        setattr(holder, name, _changed(planted, backend, xp, getattr(holder, name)))
    backend.xp = xp
    return backend


def _changed(planted: Planted, backend: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    changed = planted.how(backend._engine, xp, own)

    def function(*args: Any, **kwargs: Any) -> Any:
        meant = planted.shape is None or np.shape(args[0]) == planted.shape
        return (changed if meant else own)(*args, **kwargs)

    return function


def _copied(namespace: Any) -> SimpleNamespace:
    return SimpleNamespace(**{name: getattr(namespace, name) for name in dir(namespace) if not name.startswith("_")})


def _with_derivative_of(other: How) -> How:
    """Return the change that keeps the value, and takes the derivative of another function: w - w is zero."""

    def how(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
        another = other(engine, xp, own)

        def function(*args: Any, **kwargs: Any) -> Any:
            w = another(*args, **kwargs)
            return engine.stop_gradient(own(*args, **kwargs)) + (w - engine.stop_gradient(w))

        return function

    return how


def scaled(factor: float) -> How:
    """Scale the derivative, in all modes and orders."""
    return _with_derivative_of(lambda _, __, own: lambda *a, **k: factor * own(*a, **k))


def one_sided(reverse: float, forward: float) -> How:
    """Scale what is passed back and what is passed on by different factors, of a function of one array."""

    def how(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
        del xp

        def passed_back(g: Any, ans: Any, x: Any) -> Any:
            del ans
            return reverse * engine.vjp(own, x)[1](g)[0]

        def passed_on(t: Any, ans: Any, x: Any) -> Any:
            del ans
            return forward * engine.jvp(own, (x,), (t,))[1]

        return engine.custom_rule(vjp=(passed_back,), jvp=(passed_on,))(lambda x: own(x))

    return how


def second_order(factor: float) -> How:
    """Add a term whose value and first derivative are zero."""

    def how(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
        def function(x: Any, *args: Any, **kwargs: Any) -> Any:
            away = x - engine.stop_gradient(x)
            return own(x, *args, **kwargs) + factor * xp.sum(away * away)

        return function

    return how


def detached(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """Cut the path through the function."""
    del xp
    return lambda *args, **kwargs: engine.stop_gradient(own(*args, **kwargs))


def detached_second(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """Cut the path of the second operand."""
    del xp
    return lambda x, y, **kwargs: own(x, engine.stop_gradient(y), **kwargs)


def single(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """Compute in float32."""
    del engine

    def function(*args: Any, **kwargs: Any) -> Any:
        narrow = [xp.astype(a, xp.float32) if hasattr(a, "dtype") and a.dtype == xp.float64 else a for a in args]
        return xp.astype(own(*narrow, **kwargs), xp.float64)

    return function


def turned(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """Transpose the first operand."""
    del engine
    return lambda x, *args, **kwargs: own(xp.matrix_transpose(x), *args, **kwargs)


def along(axis: int) -> How:
    """Reduce along another axis."""
    return lambda _, __, own: lambda x, **kwargs: own(x, **{**kwargs, "axis": axis})


def reversed_order(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """Move entries to the opposite places."""
    del engine
    return lambda *args, **kwargs: xp.flip(own(*args, **kwargs), axis=0)


def first_of_two(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """At a tie of two operands, differentiate the first alone."""
    del engine
    larger = own(2.0, 1.0) == 2.0
    return lambda x, y: xp.where(x >= y if larger else x <= y, x, y)


def first_entry(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """At a tie of entries, differentiate the first alone."""
    del engine
    where = np.argmax if own(np.array([1.0, 2.0])) == 2.0 else np.argmin
    return lambda x: xp.reshape(x, (-1,))[int(where(_number(x)))]


def right_slope(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """At zero, take the slope from the right."""
    del engine, own
    return lambda x: xp.where(x >= 0, x, -x)


def outside_bounds(engine: Any, xp: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    """At a bound, take the slope from outside."""
    del engine, own
    return lambda x, low, high: xp.where(x <= low, low + 0 * x, xp.where(x >= high, high + 0 * x, x))


def _number(x: Any) -> Any:
    while hasattr(x, "primal"):
        x = x.primal
    return np.asarray(x)


def _rule(objective: str, function: str, how: How, line: str, operator: str = "gradient", **more: Any) -> Planted:
    return Planted("rule", objective, function, how, line, operator, **more)


PLANTED = (
    _rule("layers", "tanh", scaled(1.01), "a = xp.tanh"),
    _rule("layers", "tanh", one_sided(1.0, 0.9), "a = xp.tanh", "jvp"),
    _rule("layers", "tanh", one_sided(0.9, 1.0), "a = xp.tanh"),
    _rule("layers", "log", scaled(-1.0), "t = xp.log"),
    _rule("layers", "exp", scaled(1 + 1e-9), "e = xp.exp"),
    _rule("layers", "matmul", scaled(2.0), "z = xp.matmul"),
    _rule("layers", "tanh", second_order(0.3), "a = xp.tanh", "hvp"),
    _rule("likelihood", "linalg.cholesky", scaled(0.5), "L = xp.linalg.cholesky"),
    _rule("likelihood", "linalg.solve", scaled(1.5), "w = xp.linalg.solve"),
    _rule("likelihood", "linalg.solve", scaled(1.5), "z = xp.linalg.solve", "jvp"),
    _rule("likelihood", "sin", second_order(1.0), "xp.sin(z)", "hessian"),
    _rule("mechanics", "sqrt", scaled(2.0), "n = xp.sqrt"),
    _rule("mechanics", "log1p", scaled(0.999), "xp.log1p(m)"),
    _rule("mechanics", "atan2", scaled(-1.0), "h = xp.atan2"),
    _rule("mechanics", "square", second_order(1.0), "xp.square(v)", "hvp"),
    _rule("mechanics", "cos", one_sided(1.0, -1.0), "xp.cos(q)", "jvp"),
    _rule("statistics", "var", scaled(4 / 3), "v = xp.var"),
    _rule("statistics", "logaddexp", scaled(1.1), "k = xp.logaddexp"),
    _rule("statistics", "expm1", one_sided(0.5, 0.5), "g = xp.expm1"),
    _rule("statistics", "hypot", scaled(1 + 1e-8), "h = xp.hypot", "jvp"),
    _rule("statistics", "std", scaled(1.2), "xp.std(k)"),
    _rule("shapes", "prod", scaled(3.0), "xp.prod(y)"),
    _rule("loop", "tanh", scaled(1.3), "inner = xp.tanh"),
    _rule("loop", "cos", scaled(0.7), "last * xp.cos"),
    Planted("convention", "kinks", "abs", right_slope, "a = xp.abs"),
    Planted("convention", "kinks", "maximum", first_of_two, "b = xp.maximum"),
    Planted("convention", "kinks", "minimum", first_of_two, "c = xp.minimum"),
    Planted("convention", "kinks", "max", first_entry, "d = xp.max"),
    Planted("convention", "kinks", "clip", outside_bounds, "e = xp.clip"),
    Planted("convention", "kinks", "abs", right_slope, "a = xp.abs", "jvp"),
    Planted("precision", "layers", "exp", single, "e = xp.exp"),
    Planted("precision", "layers", "log", _with_derivative_of(single), "t = xp.log"),
    Planted("precision", "likelihood", "exp", single, "xp.exp(r)"),
    Planted("precision", "mechanics", "linalg.vector_norm", _with_derivative_of(single), "m = xp.linalg.vector_norm"),
    Planted("precision", "statistics", "logaddexp", _with_derivative_of(single), "k = xp.logaddexp", "jvp"),
    Planted("precision", "statistics", "mean", single, "m = xp.mean"),
    Planted("precision", "loop", "exp", _with_derivative_of(single), "xp.exp(last)"),
    Planted("axis", "shapes", "sum", along(1), "D = xp.sum", shape=(3, 3)),
    Planted("axis", "shapes", "sum", _with_derivative_of(along(1)), "D = xp.sum", shape=(3, 3)),
    Planted("axis", "shapes", "permute_dims", _with_derivative_of(lambda *_: lambda x, _: x), "T = xp.permute_dims"),
    Planted("axis", "shapes", "flip", _with_derivative_of(lambda *_: lambda x, **_k: x), "F = xp.flip"),
    Planted("axis", "shapes", "cumulative_sum", _with_derivative_of(reversed_order), "P = xp.cumulative_sum"),
    Planted("axis", "shapes", "take", _with_derivative_of(reversed_order), "G = xp.take", "jvp"),
    Planted("axis", "layers", "matmul", turned, "a = xp.tanh(xp.matmul(W, x) + b)"),
    Planted("axis", "likelihood", "linalg.solve", _with_derivative_of(turned), "w = xp.linalg.solve"),
    Planted("detached", "layers", "exp", detached, "e = xp.exp"),
    Planted("detached", "mechanics", "linalg.cross", detached, "u = xp.linalg.cross"),
    Planted("detached", "mechanics", "linalg.cross", detached_second, "u = xp.linalg.cross"),
    Planted("detached", "statistics", "pow", detached_second, "p = xp.pow"),
    Planted("detached", "shapes", "concat", detached, "C = xp.concat"),
)  # fmt: skip
