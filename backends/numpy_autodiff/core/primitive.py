"""Primitives: functions with derivative rules, as data, and `apply`, which computes and records a call of one.

A `Primitive` is a NumPy function with one VJP and one JVP rule per argument. The names in a rule are fixed:

    vjp(g, ans, *args, **kwargs)    the cotangent of that argument, from the cotangent ``g`` of the result
    jvp(t, ans, *args, **kwargs)    the tangent of the result, from the tangent ``t`` of that argument

For ``ans = x * y`` the VJP of x is ``g * y`` and its JVP ``t * y``. Rules are plain NumPy code: at first order they are
called with arrays, inside another derivative with nodes. ``None`` stands for zero. A rule need not care for shapes and
dtypes: the result of a VJP is brought to those of the argument (summed over broadcast axes, real part for a real
argument, cast), and the result of a JVP to those of ``ans``.

Complex numbers
---------------
Rules are *transposes*: ``Re sum(g * (J t)) = Re sum((J^T g) * t)``. A holomorphic function's VJP is ``g * f'(x)``
without any conjugate. The public transforms conjugate at their boundary, so that the gradient of a real loss at
``z = a + ib`` is ``dL/da + i dL/db``: the direction of steepest ascent, as in PyTorch and TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import dense_only, generic_pull
from autodiff_compare.backends.numpy_autodiff.core.operands import PLAIN, plain
from autodiff_compare.backends.numpy_autodiff.core.ownership import keep_all, kept
from autodiff_compare.backends.numpy_autodiff.core.tracing import (
    BOTH,
    FIRST,
    SECOND,
    Node,
    Trace,
    is_inexact,
    record,
    topmost,
)

Rule = Callable[..., Any]
_ndarray = np.ndarray


@final
class Primitive:
    """A function with its derivative rules.

    Parameters
    ----------
    name
        The name shown in graphs, counts and errors.
    function
        Called with plain arrays only. Several outputs are a tuple, or a named tuple.
    vjps, jvps
        One rule per argument, None for an argument that is never differentiated. For several outputs the cotangent that
        a rule takes, and the tangent that it returns, is a sequence with None for zero. With ``variadic`` a single rule
        ``rule(i, g, ans, *args)``. A JVP that is not given is transposed from the VJP.
    constant
        The result is locally constant in every argument: it is computed and not recorded.
    variadic
        The function takes any number of array arguments, with one rule for all of them.
    pull, push
        Replacements of the rules in a sweep, ``pull(node, g)`` and ``push(node)``, for functions whose arguments are
        best treated together (see `Call`).
    push_all
        ``push_all(node)`` does for all arguments of a variadic function what the JVP rule does for one after the other.
    pointwise
        Every entry of the result depends on one entry of each argument. The VJPs then accept a Python float for ``g``.
    keeps
        The rules read the values of the arguments, so these must not change before the sweep.
    entry
        What a call does in place of `apply`: ``entry(primitive, args, kwargs)``.
    steep
        ``steep(node, *args, **kwargs)`` returns whether some slope is not finite. This and the next four are read by
        `autodiff_compare.backends.numpy_autodiff.core.reach`, which states the rule for zero times infinity.
    tip
        Only the second derivative is steep, as at the tip of a norm, whose slope there is 0 by convention.
    selects
        Which entries of an argument have a part in which of the result. ``"moves"``, ``"selects"``, ``"spreads"``: the
        rules tell it, applied to ones, because no entry of the Jacobian is negative. With ``"selects"`` there may be
        entries of the result that depend on none; with ``"spreads"`` the arguments are replaced by ones as well.
        ``"entries"``: each entry depends on the same entry of each argument, which is the default of an elementwise
        function. Or a function ``selects(i, where, *args)`` that returns a mask. By default all depend on all.
    undo
        ``undo(node, inner)`` returns a primitive, arguments and keywords that compute ``node`` from the arguments of
        ``inner``, a call of this primitive; None if there is no such.
    aware
        The VJP rules take the masks of the outputs, ``reached=``, where the call is steep.
    """

    __slots__ = (
        "_calls",
        "aware",
        "constant",
        "discards",
        "entry",
        "function",
        "jvps",
        "keeps",
        "name",
        "pointwise",
        "pull",
        "push",
        "push_all",
        "selects",
        "steep",
        "tip",
        "undo",
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
        push_all: Callable[[Any], None] | None = None,
        pointwise: bool = False,
        keeps: bool = True,
        entry: Callable[[Primitive, Sequence[Any], Mapping[str, Any]], Any] | None = None,
        steep: Callable[..., Any] | None = None,
        tip: bool = False,
        selects: Any = None,
        undo: Callable[[Any, Any], Any] | None = None,
        aware: bool = False,
    ) -> None:
        self.name = name
        self.function = function
        self.vjps = tuple(vjps)
        self.jvps = None if jvps is None else tuple(jvps)
        self.constant = constant
        self.variadic = variadic
        self.pull = None if pull is None else dense_only(pull)
        self.push = push
        self.push_all = push_all
        self.pointwise = pointwise
        self.keeps = keeps
        self.entry = entry
        self.steep = steep
        self.tip = tip
        self.selects = selects
        #: Whether an entry of the result may depend on none of an argument.
        self.discards = selects == "selects" or callable(selects)
        self.undo = undo
        self.aware = aware
        self._calls: dict[tuple[int, ...], Call] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return apply(self, args, kwargs) if self.entry is None else self.entry(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def call(self, where: tuple[int, ...], kwargs: Mapping[str, Any] | None = None) -> Call:
        """Return the `Call` with traced arguments at the positions ``where``; without keywords there is one of each."""
        if kwargs:
            return Call(self, where, kwargs, pull=self.pull, push=self.push)
        found = self._calls.get(where)
        if found is None:
            found = self._calls[where] = Call(self, where, pull=self.pull, push=self.push)
        return found

    def specialise(self, where: tuple[int, ...], pull: Callable[[Any, Any], None], *, view: bool = False) -> None:
        """Replace the VJP rules by a faster ``pull`` in calls without keywords, with traced arguments at ``where``.

        With ``view`` it takes a `Scatter` as it is, not written out.
        """
        self._calls[where] = Call(self, where, pull=pull, view=view)

    def vjp(self, i: int) -> Rule:
        """Return the VJP rule of argument ``i``.

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

    def jvp(self, i: int) -> Rule | None:
        """Return the JVP rule of argument ``i``; None where it has to be transposed from the VJP."""
        if self.jvps is None:
            return None
        if self.variadic:
            rule = self.jvps[0]
            assert rule is not None
            return lambda t, ans, *args, **kwargs: rule(i, t, ans, *args, **kwargs)
        return self.jvps[i] if i < len(self.jvps) else None


@final
class Call:
    """A primitive with the positions of its traced arguments and its keywords.

    ``pull(node, g)`` adds to the ``flow`` of the node's arguments, ``push(node)`` sets the node's own. By default both
    call the primitive's rules (``push`` is then None). Arithmetic has faster ones.
    """

    __slots__ = ("_vjps", "kwargs", "primitive", "pull", "push", "view", "where")

    def __init__(
        self,
        primitive: Primitive,
        where: tuple[int, ...],
        kwargs: Mapping[str, Any] | None = None,
        *,
        pull: Callable[[Any, Any], None] | None = None,
        push: Callable[[Any], None] | None = None,
        view: bool = False,
    ) -> None:
        self.primitive = primitive
        self.view = view
        self.where = where
        self.kwargs: Mapping[str, Any] = kwargs or {}
        self.pull: Callable[[Any, Any], None] = pull or generic_pull
        self.push = push
        self._vjps: list[tuple[int, Rule]] = []

    @property
    def vjps(self) -> list[tuple[int, Rule]]:
        """The position and the VJP rule of each traced argument."""
        if not self._vjps:
            self._vjps = [(i, self.primitive.vjp(i)) for i in self.where]
        return self._vjps


def apply(primitive: Primitive, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
    """Compute ``primitive`` of ``args`` and record it on the highest trace among them.

    Returns
    -------
    A node; a (named) tuple of nodes for several outputs; a plain value where no argument is traced, or
    where the primitive has no derivative.
    """
    if not kwargs:
        if len(args) == 1:
            (owner,) = args
            return apply_to_one(primitive, owner) if isinstance(owner, Node) else primitive.function(owner)
        if len(args) == 2:
            return apply_to_two(primitive, *args)
    where = FIRST if len(args) == 1 and isinstance(args[0], Node) else topmost(args)
    if not where:
        return primitive.function(*args, **kwargs) if kwargs else primitive.function(*args)
    return _apply_where(primitive, where, args, kwargs)


def _apply_where(
    primitive: Primitive, where: tuple[int, ...], args: Sequence[Any], kwargs: Mapping[str, Any] | None
) -> Any:
    """Do the same where the arguments at the positions ``where`` are traced."""
    owner = args[where[0]]
    values = list(args)
    for i in where:
        values[i] = args[i].primal
    nested = foreign = False
    for value in values:
        if value.__class__ not in PLAIN:
            if isinstance(value, Node):
                nested = True
            else:
                foreign = True
    if foreign and primitive.entry is None:
        args = [plain(a, f"in {primitive.name} of a variable") for a in args]
        values = [a.primal if i in where else a for i, a in enumerate(args)]
    if nested:
        out = apply(primitive, values, kwargs)
    else:
        out = primitive.function(*values, **kwargs) if kwargs else primitive.function(*values)
    top = owner.tape
    if primitive.constant and not top.symbolic:
        return out
    if top.held is not None and len(where) < len(args) and primitive.keeps:
        args = keep_all(top.held, args)
    node = record(out, top, primitive.call(where, kwargs), tuple(args))
    if primitive.steep is not None and (nested or not primitive.tip):
        top.watched.append(node)
    return _components(node) if out.__class__ is not _ndarray and isinstance(out, tuple) else node


def apply_to_two(primitive: Primitive, x: Any, y: Any) -> Any:
    """Do the same for two arguments without keywords."""
    where: tuple[int, ...]
    if not isinstance(y, Node):
        if not isinstance(x, Node):
            return primitive.function(x, y)
        where, top, a, b = FIRST, x.tape, x.primal, y
    elif not isinstance(x, Node):
        where, top, a, b = SECOND, y.tape, x, y.primal
    elif x.tape is y.tape:
        where, top, a, b = BOTH, x.tape, x.primal, y.primal
    else:
        return _apply_where(primitive, topmost((x, y)), (x, y), None)
    if a.__class__ not in PLAIN or b.__class__ not in PLAIN:
        return _apply_where(primitive, where, (x, y), None)
    out = primitive.function(a, b)
    if primitive.constant and not top.symbolic:
        return out
    args = (x, y)
    if where is not BOTH and top.held is not None and primitive.keeps:
        held = top.held
        args = (x, kept(held, y)) if where is FIRST else (kept(held, x), y)
    node = record(out, top, primitive._calls.get(where) or primitive.call(where), args)
    if primitive.steep is not None and not primitive.tip:
        top.watched.append(node)
    return _components(node) if out.__class__ is not _ndarray and isinstance(out, tuple) else node


def apply_to_one(primitive: Primitive, owner: Node) -> Any:
    """Do the same for one traced argument without keywords, the most frequent case."""
    value = owner.primal
    out = apply(primitive, (value,)) if isinstance(value, Node) else primitive.function(value)
    top = owner.tape
    if primitive.constant and not top.symbolic:
        return out
    # `record`, written out.
    node: Node = Node.result()
    node.primal = out
    node.tape = top
    node.call = primitive._calls.get(FIRST) or primitive.call(FIRST)
    node.args = (owner,)
    node.flow = None
    top.record(node)
    if primitive.steep is not None and not (primitive.tip and value.__class__ is _ndarray):
        top.watched.append(node)
    return _components(node) if out.__class__ is not _ndarray and isinstance(out, tuple) else node


def _pull_pick(node: Node, g: Any) -> None:
    parent, index = node.args
    if g.__class__ is float:
        g = spread(g, node.primal)
    if parent.flow is None:
        parent.flow = [None] * len(parent.primal)
    h = parent.flow[index]
    parent.flow[index] = g if h is None else h + g


def _push_pick(node: Node) -> None:
    parent, index = node.args
    node.flow = None if parent.flow is None else parent.flow[index]


def _component(parts: Sequence[Any], index: int) -> Any:
    return parts[index]


PICK = Primitive("pick", _component)
_PICK = Call(PICK, (0,), pull=_pull_pick, push=_push_pick)


def _components(node: Node) -> Any:
    """Return one node for each floating output of a call with several; the others are constants."""
    symbolic = node.tape.symbolic
    parts = [
        pick(node, i) if is_inexact(part) or (symbolic and hasattr(part, "dtype")) else part
        for i, part in enumerate(node.primal)
    ]
    return type(node.primal)._make(parts) if hasattr(node.primal, "_make") else tuple(parts)


def pick(node: Node, index: int) -> Node:
    """Record one output of a call with several."""
    return record(node.primal[index], node.tape, _PICK, (node, index))


def _identity(x: Any) -> Any:
    return x


INPUT = Call(Primitive("input", _identity), ())


def lift(value: Any, trace: Trace) -> Any:
    """Make an input node of ``trace``."""
    node = Node.result()
    node.primal = value
    node.tape = trace
    node.call = INPUT
    node.args = ()
    node.flow = None
    return node
