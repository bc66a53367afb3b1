"""Recording: how a function on arrays becomes a graph, and how derivatives flow through it.

A `Node` is a value that remembers how it was made: the `Call` (which primitive, which of its arguments
are traced) and the arguments. Making a node also hands it to its `Trace`, so that a finished trace
holds its nodes in the order in which they were computed. That order is all a sweep needs:

- **backward** (`pull_back`): walk the nodes in reverse; each takes the cotangent that has gathered in its
  ``flow`` and adds to the ``flow`` of its arguments, by its primitive's VJP rules;
- **forward** (`push_forward`): walk them as recorded; each takes the tangents in the ``flow`` of its
  arguments and puts its own into ``flow``, by the JVP rules. A trace made with `Trace.streaming`
  does this while it records and keeps no graph.

Neither sweep calls itself, so depth is bounded by memory alone.

Nesting
-------
A derivative inside a derivative needs no second mechanism. Every trace has a level, higher the later it
began, and the *value* of a node may itself be a node of a lower level. An operation belongs to the highest
level among its arguments; it takes their values and computes with those, which records on the next lower
level, and so on down to NumPy. Sweeps compute with values too, so an inner sweep is recorded by the outer
trace like anything else. With ``d/dx (x * d/dy (x * y))`` at ``x = 3``, ``y = 2``:

    level 1   x1 = Node(3.0)
    level 2   y2 = Node(2.0);  x1 * y2 has level 2 and value  x1 * 2.0, a node of level 1
              backward at level 2: the slope of x1 * y2 is the value of x1's place there, which is x1
    level 1   x1 * x1, whose slope is 2 x1 = 6.0

The inner sweep returned ``x1`` and not ``3.0``: nothing was lost, and the levels never mix.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import numpy as np

from backends.numpy_autodiff.fitting import spread
from backends.numpy_autodiff.holding import keep_all
from backends.numpy_autodiff.primitive import Call, Primitive, Scatter, bind_apply

_levels = itertools.count(1)
_ndarray = np.ndarray


class TraceError(RuntimeError):
    """A traced value was used where its trace does not reach."""


def ended(node: Node) -> NoReturn:
    """What recording on a closed trace does."""
    raise TraceError(
        f"got a traced value in {node.call.primitive.name} after the function it belongs to has returned, "
        "expected it to be used inside only: return it from the function (or with has_aux=True)"
    )


class Trace:
    """One recording, from the wrapping of the inputs to the return of the function.

    Parameters
    ----------
    symbolic
        Record also what has no derivative (comparisons, ``argmax``, ``floor``): a compiler replays the nodes at
        other values, a derivative does not.

    Attributes
    ----------
    level : int
        Later traces have higher levels.
    nodes : list of Node
        What was recorded, in order; inputs are not among them.
    record : callable
        Called with every new node.
    held : list of ndarray, or None
        The arrays of others that nodes refer to (`backends.numpy_autodiff.holding`); None where nothing is held.
    kept : ndarray or None
        The last of them, so that one that is used again and again is not looked at again.
    """

    __slots__ = ("held", "kept", "level", "nodes", "record", "symbolic")

    def __init__(self, symbolic: bool = False) -> None:
        self.level = next(_levels)
        self.symbolic = symbolic
        self.held: list[Any] | None = None
        self.kept: Any = None
        self.nodes: list[Node] = []
        self.record: Callable[[Any], None] = self.nodes.append

    @classmethod
    def streaming(cls) -> Trace:
        """A trace that pushes tangents forward while it records, and keeps no node."""
        trace = cls()
        trace.record = _push_now
        return trace

    def decide(self, node: Node) -> bool:  # noqa: ARG002
        """Which way a branch on ``node`` goes in a symbolic trace.

        Raises
        ------
        TypeError
            A replay at other values would go the same way. A compiler that guards a rule's branch answers instead.
        """
        raise TypeError(
            "got the truth of a traced value while compiling, which would fix one side of the branch for all inputs: "
            "use np.where, or differentiate without compiling"
        )

    def close(self) -> None:
        """Any later operation on a node of this trace raises `TraceError`."""
        self.record = ended


class Node:
    """A value with the call that made it; `backends.numpy_autodiff.variable.Variable` adds the operators.

    Attributes
    ----------
    primal : ndarray, NumPy scalar or Node
        The value: a node of a lower level where derivatives are nested; a tuple for a call with several outputs.
    tape : Trace
    call : Call
        The primitive and the positions of its traced arguments.
    args : tuple
        The arguments as given: nodes of this trace at the traced positions, constants elsewhere.
    flow : array or None
        Cotangent or tangent during a sweep; None otherwise. A cotangent may be a Python float, which stands for
        an array of it, or a `Scatter`.
    made : int
        In the backward style, when: an input assigned a new value later than a result has lost what the result needs.
    """

    __slots__ = ("__weakref__", "_grad", "_retained", "args", "call", "flow", "made", "primal", "tape")

    primal: Any
    tape: Trace
    call: Call
    args: tuple[Any, ...]
    flow: Any
    _grad: Any
    _retained: bool
    #: The class of what is recorded, made without arguments.
    result: ClassVar[type]
    made: int

    def __init__(self, value: Any, trace: Trace) -> None:
        self.primal = value
        self.tape = trace
        self.call = INPUT
        self.args = ()
        self.flow = None


def _identity(x: Any) -> Any:
    return x


INPUT = Call(Primitive("input", _identity), ())


def apply(primitive: Primitive, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
    """Compute ``primitive`` of ``args`` and record it on the highest trace among them.

    Returns
    -------
    A node; a (named) tuple of nodes for several outputs; a plain value where no argument is traced, or
    where the primitive has no derivative.
    """
    if len(args) == 1:
        owner = args[0]
        if not kwargs:
            return _apply_to_one(primitive, owner) if isinstance(owner, Node) else primitive.function(owner)
        if not isinstance(owner, Node):
            return primitive.function(owner, **kwargs)
        where: tuple[int, ...] = _FIRST
        values: Sequence[Any] = (owner.primal,)
        nested = isinstance(owner.primal, Node)
    else:
        where = _topmost(args)
        if not where:
            return primitive.function(*args, **kwargs) if kwargs else primitive.function(*args)
        owner = args[where[0]]
        values = list(args)
        nested = len(where) < len(args)
        for i in where:
            value = values[i] = args[i].primal
            if isinstance(value, Node):
                nested = True
    if nested:
        out = apply(primitive, values, kwargs)
    else:
        out = primitive.function(*values, **kwargs) if kwargs else primitive.function(*values)
    top = owner.tape
    if primitive.constant and not top.symbolic:
        return out
    if top.held is not None and len(where) < len(args) and primitive.keeps:
        args = keep_all(top.held, args)
    node = owner.result()
    node.primal = out
    node.tape = top
    node.call = primitive.call(where, kwargs)
    node.args = tuple(args)
    node.flow = None
    top.record(node)
    return _components(node) if out.__class__ is not _ndarray and isinstance(out, tuple) else node


def _apply_to_one(primitive: Primitive, owner: Node) -> Any:
    """The same of one argument without keywords, which most functions are."""
    value = owner.primal
    out = apply(primitive, (value,)) if isinstance(value, Node) else primitive.function(value)
    top = owner.tape
    if primitive.constant and not top.symbolic:
        return out
    node = owner.result()
    node.primal = out
    node.tape = top
    node.call = primitive.call(_FIRST)
    node.args = (owner,)
    node.flow = None
    top.record(node)
    return _components(node) if out.__class__ is not _ndarray and isinstance(out, tuple) else node


_FIRST, _SECOND, _BOTH = (0,), (1,), (0, 1)


def _topmost(args: Sequence[Any]) -> tuple[int, ...]:
    """The positions of the nodes of the highest level."""
    if len(args) == 2:
        x, y = args
        if not isinstance(y, Node):
            return _FIRST if isinstance(x, Node) else ()
        if not isinstance(x, Node):
            return _SECOND
        if x.tape is y.tape:
            return _BOTH
        return _FIRST if x.tape.level > y.tape.level else _SECOND
    traces = [a.tape if isinstance(a, Node) else None for a in args]
    top = max((t for t in traces if t is not None), key=lambda t: t.level, default=None)
    return () if top is None else tuple([i for i, t in enumerate(traces) if t is top])


bind_apply(apply)


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
    """One node for each floating output of a call with several; the others are constants."""
    symbolic = node.tape.symbolic
    parts = [
        pick(node, i) if is_inexact(part) or (symbolic and hasattr(part, "dtype")) else part
        for i, part in enumerate(node.primal)
    ]
    return type(node.primal)._make(parts) if hasattr(node.primal, "_make") else tuple(parts)


def pick(node: Node, index: int) -> Node:
    """One output of a call with several."""
    part: Node = node.result()
    part.primal = node.primal[index]
    part.tape = node.tape
    part.call = _PICK
    part.args = (node, index)
    part.flow = None
    node.tape.record(part)
    return part


def is_inexact(x: Any) -> bool:
    """Whether ``x`` is of a floating or complex dtype, so that it can have a derivative."""
    return getattr(x, "dtype", None) is not None and x.dtype.kind in "fc"


def constant(x: Any) -> Any:
    """The plain NumPy value under all levels of tracing."""
    while isinstance(x, Node):
        x = x.primal
    return x


def primal(x: Any) -> Any:
    """``x`` under all levels that differentiate: plain, or a node of a symbolic trace, to be computed again."""
    while isinstance(x, Node) and not x.tape.symbolic:
        x = x.primal
    return x


def pull_back(nodes: Sequence[Node]) -> None:
    """Move the cotangents in ``flow`` from the outputs to the inputs.

    Parameters
    ----------
    nodes
        In order of computation. If this raises, their ``flow`` is cleared.
    """
    try:
        for node in reversed(nodes):
            g = node.flow
            if g is None:
                continue
            node.flow = None
            if g.__class__ is Scatter:
                g = g.dense()
            node.call.pull(node, g)
    except BaseException:
        clear(nodes)
        raise


def consume_back(nodes: list[Node]) -> None:
    """As `pull_back`, for the last time: nodes and the arrays they hold are freed on the way."""
    pop = nodes.pop
    while nodes:
        node = pop()
        g = node.flow
        if g is not None:
            if g.__class__ is Scatter:
                g = g.dense()
            node.call.pull(node, g)
        # The output holds its arguments, these theirs, and so on: the memory is wanted now.
        node.args = ()


def push_forward(nodes: Iterable[Node]) -> None:
    """Move the tangents in ``flow`` from the inputs to the outputs, leaving them in every node."""
    for node in nodes:
        node.call.push(node)


def _push_now(node: Node) -> None:
    node.call.push(node)
    node.args = ()


def is_streaming(trace: Trace) -> bool:
    """Whether tangents are pushed while recording, so that nothing is known of how a value came about."""
    return trace.record is _push_now


def clear(nodes: Iterable[Node]) -> None:
    """Forget what a sweep left in ``flow``."""
    for node in nodes:
        node.flow = None


def arguments_first(root: Node, arguments: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """What is reached from ``root`` by ``arguments``, and itself, each after its arguments; without recursion."""
    order: list[Node] = []
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(argument, False) for argument in arguments(node) if id(argument) not in seen]
    return order


def take_flow(node: Node) -> Any:
    """The cotangent or tangent gathered in a node, which is then empty again."""
    g = node.flow
    node.flow = None
    return g.dense() if g.__class__ is Scatter else spread(g, node.primal) if g.__class__ is float else g
