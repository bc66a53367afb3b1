"""Primitives: the functions that derivative rules exist for, as data.

A `Primitive` is a NumPy function with one VJP and one JVP per argument. The names in a rule are fixed:

    vjp(g, ans, *args, **kwargs)    cotangent of that argument, from the cotangent ``g`` of the result
    jvp(t, ans, *args, **kwargs)    tangent of the result, from the tangent ``t`` of that argument

Rules are plain NumPy code: at first order they see arrays, when derivatives are nested they see variables.
After a VJP its result is fitted to the argument (summed over broadcast axes, real part for a real argument, cast to
its dtype), after a JVP to the result; a rule need not care. ``None`` stands for zero.

Complex numbers
---------------
Rules are *transposes*: ``Re sum(g * (J t)) = Re sum((J^T g) * t)``. A holomorphic function's VJP is ``g * f'(x)``
without any conjugate. The public transforms conjugate at their boundary, so that the gradient of a real loss at
``z = a + ib`` is ``dL/da + i dL/db``: the direction of steepest ascent, as in PyTorch and TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from sys import getrefcount
from typing import Any, final

import numpy as np

from backends.numpy_autodiff.fitting import cast, fit, spread, total

Rule = Callable[..., Any]
_ndarray = np.ndarray
_float64 = np.float64
_DOUBLE = np.dtype(float)


#: `tracing.apply`, which `tracing` puts here: it needs primitives, and primitives are called through it.
_apply: list[Callable[..., Any]] = []


def bind_apply(apply: Callable[..., Any]) -> None:
    """Say once how primitives are called."""
    _apply[:] = [apply]


@final
class Primitive:
    """A function with its derivative rules.

    Parameters
    ----------
    name
        As people write it; shown in graphs, counts and errors.
    function
        Called with plain arrays only. Several outputs are a tuple, or a named tuple.
    vjps, jvps
        One rule per argument, None where that argument is never differentiated. A rule of several outputs gets
        and gives a sequence with None for zero. With ``variadic`` a single rule ``rule(i, g, ans, *args)``.
        Where ``jvps`` is not given, the JVP is had by transposing the VJP.
    constant
        The result is locally constant in every argument: it is computed and not recorded.
    variadic
        Any number of array arguments, with one rule for all of them.
    pull, push
        In place of rules, what a `Call` does in a sweep: where all arguments are best treated together.
    pointwise
        Every entry of the result depends on one entry of each argument: the VJPs take a number for ``g``.
    keeps
        Rules look at the values of the arguments, so that nobody may change those before the sweep.
    """

    __slots__ = (
        "_calls",
        "constant",
        "function",
        "jvps",
        "keeps",
        "name",
        "pointwise",
        "pull",
        "push",
        "variadic",
        "vjps",
    )

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        vjps: Sequence[Rule | None] = (),
        jvps: Sequence[Rule | None] | None = None,
        *,
        constant: bool = False,
        variadic: bool = False,
        pull: Callable[[Any, Any], None] | None = None,
        push: Callable[[Any], None] | None = None,
        pointwise: bool = False,
        keeps: bool = True,
    ) -> None:
        self.name = name
        self.function = function
        self.vjps = tuple(vjps)
        self.jvps = None if jvps is None else tuple(jvps)
        self.constant = constant
        self.variadic = variadic
        self.pull = None if pull is None else _dense_only(pull)
        self.push = push
        self.pointwise = pointwise
        self.keeps = keeps
        self._calls: dict[tuple[int, ...], Call] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _apply[0](self, args, kwargs)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def call(self, where: tuple[int, ...], kwargs: Mapping[str, Any] | None = None) -> Call:
        """The call with traced arguments at the positions ``where``."""
        if kwargs:
            return Call(self, where, kwargs, pull=self.pull, push=self.push)
        found = self._calls.get(where)
        if found is None:
            found = self._calls[where] = Call(self, where, pull=self.pull, push=self.push)
        return found

    def specialise(self, where: tuple[int, ...], pull: Callable[[Any, Any], None]) -> None:
        """Sweep calls without keywords, with traced arguments at ``where``, by ``pull``: the same in less time."""
        self._calls[where] = Call(self, where, pull=pull)

    def vjp(self, i: int) -> Rule:
        """The VJP rule of argument ``i``.

        Raises
        ------
        NotImplementedError
            If there is none.
        """
        if self.variadic:
            rule = self.vjps[0]
            assert rule is not None
            return lambda g, ans, *args, **kwargs: rule(i, g, ans, *args, **kwargs)
        found = self.vjps[i] if i < len(self.vjps) else None
        if found is None:
            raise NotImplementedError(
                f"got a differentiated argument {i} of {self.name}, which has no derivative rule there: "
                "pass a constant (stop_gradient), or give it a rule with custom_rule"
            )
        return found

    def jvp(self, i: int) -> Rule:
        """The JVP rule of argument ``i``, transposed from the VJP where none was given."""
        if self.jvps is None:
            return _transposed(self.vjp(i))
        if self.variadic:
            rule = self.jvps[0]
            assert rule is not None
            return lambda t, ans, *args, **kwargs: rule(i, t, ans, *args, **kwargs)
        found = self.jvps[i] if i < len(self.jvps) else None
        return _transposed(self.vjp(i)) if found is None else found


@final
class Call:
    """A primitive with the positions of its traced arguments and its keywords.

    ``pull(node, g)`` adds to the ``flow`` of the node's arguments; ``push(node)`` sets its own. Both follow
    from the rules; the arithmetic of scalars has its own, which do the same in less time.
    """

    __slots__ = ("_vjps", "kwargs", "primitive", "pull", "push", "where")

    def __init__(
        self,
        primitive: Primitive,
        where: tuple[int, ...],
        kwargs: Mapping[str, Any] | None = None,
        *,
        pull: Callable[[Any, Any], None] | None = None,
        push: Callable[[Any], None] | None = None,
    ) -> None:
        self.primitive = primitive
        self.where = where
        self.kwargs: Mapping[str, Any] = kwargs or {}
        self.pull: Callable[[Any, Any], None] = pull or generic_pull
        self.push: Callable[[Any], None] = push or _push
        self._vjps: list[tuple[int, Rule]] = []

    @property
    def vjps(self) -> list[tuple[int, Rule]]:
        """The position and the rule of each traced argument."""
        if not self._vjps:
            self._vjps = [(i, self.primitive.vjp(i)) for i in self.where]
        return self._vjps


def _values(node: Any, where: tuple[int, ...]) -> list[Any]:
    values = list(node.args)
    for i in where:
        values[i] = values[i].primal
    return values


def generic_pull(node: Any, g: Any) -> None:
    """What a `Call` does backward unless it has its own way: one VJP rule after the other."""
    call, args, ans = node.call, node.args, node.primal
    kwargs = call.kwargs
    values = _values(node, call.where)
    if g.__class__ is float and (
        ans.__class__ is _float64 or not (call.primitive.pointwise and _alike(ans, values, call.where))
    ):
        g = spread(g, ans)
    for i, rule in call._vjps or call.vjps:
        d = rule(g, ans, *values, **kwargs) if kwargs else rule(g, ans, *values)
        if d is not None:
            give(args[i], d, ans)


def _alike(ans: Any, values: Sequence[Any], where: Sequence[int]) -> bool:
    shape = ans.shape
    return all(values[i].shape == shape for i in where)


def give(parent: Any, d: Any, ans: Any) -> None:
    """Add a cotangent to the ``flow`` of ``parent``.

    Parameters
    ----------
    d
        Of the shape of ``parent``, or of ``ans``, to which that was broadcast. A Python float is a *uniform*
        cotangent, the same for every entry of ``ans``: what a sum sends back, not yet written out.
    """
    x = parent.primal
    if d.__class__ is float:
        if x.shape != ans.shape:
            # Summed over the copies that broadcasting made.
            d = d * (math.prod(ans.shape) / math.prod(x.shape)) if x.size else 0.0
        if x.__class__ is not _float64 and not x.shape:
            d = x.dtype.type(d)
    elif d.__class__ is x.__class__ is _float64:
        d = float(d)
    elif d.__class__ is not Scatter and (d.shape != x.shape or d.dtype is not x.dtype):
        plain_sum = x.__class__ is _float64 and d.__class__ is _ndarray and d.dtype is _DOUBLE
        d = float(total(d)) if plain_sum else fit(d, x)
    h = parent.flow
    if h is None:
        parent.flow = d
    elif h.__class__ is _ndarray and d.__class__ is _ndarray and getrefcount(h) == _OWNED and h.base is None:
        # No one else can see h: the sum may overwrite it.
        h += d
    elif d.__class__ is Scatter and h.__class__ is not Scatter:
        parent.flow = d + h
    else:
        parent.flow = h + d


def _references() -> int:
    """What `getrefcount` says in `give` of an array that only a ``flow`` holds: found out by the same steps."""
    parent = [np.zeros(1)]
    h = parent[0]
    return getrefcount(h)


def _dense_only(pull: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """``pull`` for a uniform cotangent too."""
    return lambda node, g: pull(node, spread(g, node.primal) if g.__class__ is float else g)


def _push(node: Any) -> None:
    call, args, ans = node.call, node.args, node.primal
    where = call.where
    values = _values(node, where)
    total = None
    for i in where:
        t = args[i].flow
        if t is None:
            continue
        d = call.primitive.jvp(i)(t, ans, *values, **call.kwargs)
        if d is not None:
            d = _spread(d, ans)
            total = d if total is None else _add(total, d)
    node.flow = total


def _spread(t: Any, ans: Any) -> Any:
    """Bring a tangent (of each output) to the shape and dtype of the result."""
    if isinstance(ans, tuple):
        return [None if part is None else _spread(part, a) for part, a in zip(t, ans, strict=True)]
    if t.shape != ans.shape:
        t = np.broadcast_to(t, ans.shape)
    return t if t.dtype == ans.dtype else cast(t, ans.dtype)


def _add(a: Any, b: Any) -> Any:
    if not isinstance(a, list):
        return a + b
    return [y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True)]


def _transposed(rule: Rule) -> Rule:
    """The transpose of a linear rule: a VJP's is the JVP, and the other way round."""

    def transposed(t: Any, ans: Any, *args: Any, **kwargs: Any) -> Any:
        from backends.numpy_autodiff.transposition import transpose

        return transpose(lambda g: rule(g, ans, *args, **kwargs), ans, t)

    return transposed


@final
class Scatter:
    """A cotangent that is zero but for some entries, kept as a list until it is needed.

    Indexing an array in a loop of n would otherwise add n arrays of zeros: time quadratic in n. Adding another
    scatter extends this one in place: only the ``flow`` of one node holds it.
    """

    __slots__ = ("dtype", "indices", "parts", "shape")

    def __init__(self, like: Any, index: Any, part: Any) -> None:
        self.shape = like.shape
        self.dtype = like.dtype
        self.indices = [index]
        self.parts = [part]

    def __add__(self, other: Any) -> Any:
        if other.__class__ is Scatter:
            self.indices += other.indices
            self.parts += other.parts
            return self
        return self.dense() + other

    def __radd__(self, other: Any) -> Any:
        return other + self.dense()

    def __sub__(self, other: Any) -> Any:
        return self.dense() - other

    # NumPy would otherwise take it for an array of objects.
    __array_ufunc__ = None

    def dense(self) -> Any:
        """As an array."""
        if all(part.__class__ in _PLAIN for part in self.parts):
            return _scatter(*self.parts, indices=self.indices, shape=self.shape, dtype=self.dtype)
        return SCATTER(*self.parts, indices=self.indices, shape=self.shape, dtype=self.dtype)


_PLAIN = frozenset({_ndarray, float, _float64})


def _scatter(*parts: Any, indices: Sequence[Any], shape: tuple[int, ...], dtype: Any) -> Any:
    first = indices[0]
    if first.__class__ is slice and first.step is None:
        # The rest alone is filled with zeros: this is half the work of the gradient of ``x[1:] - x[:-1]``.
        start, stop, _ = first.indices(shape[0])
        out = np.empty(shape, dtype)
        if start:
            out[:start] = 0
        out[start:stop] = parts[0]
        if stop < shape[0]:
            out[max(start, stop) :] = 0
        done = 1
    else:
        out = np.zeros(shape, dtype)
        done = 0
    for index, part in zip(indices[done:], parts[done:], strict=True):
        if index.__class__ is slice or is_basic(index):
            out[index] += part
        else:
            np.add.at(out, index, part)
    return out


def is_basic(index: Any) -> bool:
    """Whether an index selects each entry at most once, without arrays."""
    if index.__class__ is int or index.__class__ is slice:
        return True
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        p is None or p is Ellipsis or (isinstance(p, (int, np.integer, slice)) and not isinstance(p, bool))
        for p in parts
    )


def _scatter_vjp(i: int, g: Any, _ans: Any, *_parts: Any, indices: Sequence[Any], **_like: Any) -> Any:
    return g[indices[i]]


def _scatter_jvp(i: int, t: Any, _ans: Any, *_parts: Any, indices: Sequence[Any], **like: Any) -> Any:
    return SCATTER(t, indices=[indices[i]], **like)


SCATTER = Primitive("scatter", _scatter, (_scatter_vjp,), (_scatter_jvp,), variadic=True)
_OWNED = _references()
