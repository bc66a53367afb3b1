"""Tracing: how a function of arrays becomes a graph, and how graphs nest.

A `Node` is a value together with the call that made it. A `Trace` is one recording: the list of its nodes, in the order
in which they were computed. That order is all a sweep needs, so no sweep is recursive and depth is bounded by memory
alone:

- **backward** (`reverse`): walk the nodes in reverse. Each takes the cotangent that has gathered in its ``flow`` and
  adds to the ``flow`` of its arguments, by its primitive's VJP rules;
- **forward** (`forward`): walk them as recorded. Each takes the tangents in the ``flow`` of its arguments and puts its
  own into its ``flow``, by the JVP rules.

Nesting, by example
-------------------
A derivative inside a derivative needs no second mechanism, only one rule and one fact. The rule: an operation belongs
to the trace of the highest *level* among its arguments, and a trace that began later has a higher level. The fact:
the *value* of a node may itself be a node of a lower level.

Take ``d/dx [x * d/dy (x * y)]`` at ``x = 3``, ``y = 2``. The inner derivative is ``x``, so the whole is
``d/dx x^2 = 6``. One primitive is enough, with its two VJP rules:

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, lift
>>> from autodiff_compare.backends.numpy_autodiff.core.reverse import pull_back
>>> multiply = Primitive(
...     "multiply", np.multiply, (lambda g, ans, x, y: multiply(g, y), lambda g, ans, x, y: multiply(x, g))
... )
>>> outer, inner = Trace(), Trace()
>>> x, y = lift(np.float64(3.0), outer), lift(np.float64(2.0), inner)

The product of the two belongs to ``inner``, for which ``x`` is a constant. Its value is the product of the values,
``x * 2.0``. That again has a traced argument, so it is recorded by ``outer``, and its value is the plain number 6:

>>> z = multiply(x, y)
>>> z.tape is inner, z.primal.tape is outer, float(z.primal.primal)
(True, True, 6.0)

The inner sweep calls the rule of ``y`` with the values of this level: ``x``, which is still a node, and the
cotangent 1. What the rule computes is therefore recorded by ``outer`` too:

>>> z.flow = np.float64(1.0)
>>> pull_back(inner.nodes)
>>> slope = y.flow
>>> slope.tape is outer, float(slope.primal)
(True, 3.0)

The inner derivative came out as a node that knows how it depends on ``x``, not as the number 3. So the outer sweep is
like any other, and the levels never mix:

>>> w = multiply(x, slope)
>>> w.flow = np.float64(1.0)
>>> pull_back(outer.nodes)
>>> float(x.flow)
6.0
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NoReturn

_levels = itertools.count(1)


class TraceError(RuntimeError):
    """A traced value was used where its trace does not reach."""


def ended(node: Node) -> NoReturn:
    """Refuse to record on a closed trace.

    Raises
    ------
    TraceError
        Always.
    """
    raise TraceError(
        f"got a traced value in {node.call.primitive.name} after the function it belongs to has returned, "
        "expected it to be used inside only: return it from the function (or with has_aux=True), and pass it to a "
        "function with a custom rule as an argument"
    )


class Trace:
    """One recording, from the lifting of the inputs to the return of the function.

    Parameters
    ----------
    symbolic
        Record also functions without a derivative (comparisons, ``argmax``, ``floor``). A compiler needs them, because
        it replays the nodes at other values; a derivative does not.

    Attributes
    ----------
    level : int
        Later traces have higher levels.
    nodes : list of Node
        The recorded nodes, in order of computation; inputs are not among them.
    record : callable
        Called with every new node.
    held : list of ndarray, or None
        The caller's arrays that nodes refer to (see `autodiff_compare.backends.numpy_autodiff.core.ownership`); None
        to hold nothing.
    kept : ndarray or None
        The array that was held last, so that one which is used again and again is examined once.
    watched : list of Node, or an empty deque
        The calls that can be steep (see `autodiff_compare.backends.numpy_autodiff.core.reach`), if they are gathered.
    masked : bool
        Tangents that are pushed while recording are accompanied by masks from here on.
    partial : bool
        A call has discarded entries, of which a mask will tell if it is asked for.
    """

    __slots__ = ("held", "kept", "level", "masked", "nodes", "partial", "record", "symbolic", "watched")
    #: What a symbolic trace does, and what to do where it cannot, in the words of errors.
    purpose: ClassVar[tuple[str, str]] = ("while compiling", "do not compile")

    def __init__(self, symbolic: bool = False) -> None:
        self.level = next(_levels)
        self.symbolic = symbolic
        self.held: list[Any] | None = None
        self.kept: Any = None
        self.nodes: list[Node] = []
        self.watched: Any = []
        self.masked = False
        self.partial = False
        self.record: Callable[[Any], None] = self.nodes.append

    def decide(self, node: Node) -> bool:  # noqa: ARG002
        """Return which way a branch on ``node`` goes in a symbolic trace.

        Raises
        ------
        TypeError
            By default: a replay at other values would go the same way. A compiler that guards the branch overrides it.
        """
        raise TypeError(
            "got the truth of a traced value while compiling, which would fix one side of the branch for all inputs: "
            "use np.where, or differentiate without compiling"
        )

    def close(self) -> None:
        """End the recording: any later operation on one of its nodes raises `TraceError`."""
        self.record = ended


class Node:
    """A value with the call that made it. Subclasses add the operators and methods of an array.

    Attributes
    ----------
    primal : ndarray, NumPy scalar or Node
        The value: a node of a lower level where derivatives are nested; a tuple for a call with several outputs.
    tape : Trace
        The trace that recorded the node.
    call : Call
        The primitive, the positions of its traced arguments, and its keywords.
    args : tuple
        The arguments as given: nodes of this trace at the traced positions, constants elsewhere.
    flow : array or None
        The cotangent or tangent during a sweep; None otherwise. A cotangent may also be a Python float, for an array
        filled with it, or a `Scatter`.
    reached : bool, ndarray or callable
        The mask of the tangent, where the trace is masked, or a function that returns it.
    made : int
        In the backward style, the time of the node. An input that was assigned a value later than a result was made has
        lost the value which that result needs.
    """

    __slots__ = ("__weakref__", "_grad", "_retained", "args", "call", "flow", "made", "primal", "reached", "tape")

    primal: Any
    tape: Trace
    call: Any
    args: tuple[Any, ...]
    flow: Any
    _grad: Any
    _retained: bool
    reached: Any
    made: int
    #: The class of new nodes, made without arguments. The array class sets it, so that the core need not know it.
    result: ClassVar[type]


Node.result = Node


def record(value: Any, trace: Trace, call: Any, args: tuple[Any, ...]) -> Node:
    """Make the node of a call and add it to its trace."""
    node: Node = Node.result()
    node.primal = value
    node.tape = trace
    node.call = call
    node.args = args
    node.flow = None
    trace.record(node)
    return node


FIRST, SECOND, BOTH = (0,), (1,), (0, 1)


def topmost(args: Sequence[Any]) -> tuple[int, ...]:
    """Return the positions of the nodes of the highest level, or no position where no argument is a node."""
    if len(args) == 2:
        x, y = args
        if not isinstance(y, Node):
            return FIRST if isinstance(x, Node) else ()
        if not isinstance(x, Node):
            return SECOND
        if x.tape is y.tape:
            return BOTH
        return FIRST if x.tape.level > y.tape.level else SECOND
    traces = [a.tape if isinstance(a, Node) else None for a in args]
    top = max((t for t in traces if t is not None), key=lambda t: t.level, default=None)
    return () if top is None else tuple([i for i, t in enumerate(traces) if t is top])


def is_inexact(x: Any) -> bool:
    """Return whether ``x`` is of a floating or complex dtype, so that it can have a derivative."""
    return getattr(x, "dtype", None) is not None and x.dtype.kind in "fc"


def constant(x: Any) -> Any:
    """Return the plain NumPy value under all levels of tracing."""
    while isinstance(x, Node):
        x = x.primal
    return x


def primal(x: Any) -> Any:
    """Return the value under all levels that differentiate: plain, or a node of a symbolic trace."""
    while isinstance(x, Node) and not x.tape.symbolic:
        x = x.primal
    return x


def arguments_first(root: Node, arguments: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """Return ``root`` and all nodes that ``arguments`` reaches from it, each after its arguments, without recursion."""
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


def values_of(node: Any, where: tuple[int, ...]) -> list[Any]:
    """Return the arguments of a node with values in place of the nodes of its own trace."""
    values = list(node.args)
    for i in where:
        values[i] = values[i].primal
    return values
