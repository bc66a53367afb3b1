"""Recording: how a function on arrays becomes a graph, and how derivatives flow through it.

A `Node` is a value that remembers how it was made: the `Call` (which primitive, which of its arguments
are traced) and the arguments. Making a node also hands it to its `Trace`, so that a finished trace
holds its nodes in the order in which they were computed. That order is all a sweep needs:

- **backward** (`pull_back`): walk the nodes in reverse; each takes the cotangent that has gathered in its
  ``flow`` and adds to the ``flow`` of its arguments, by its primitive's VJP rules;
- **forward** (`push_forward`): walk them as recorded; each takes the tangents in the ``flow`` of its
  arguments and puts its own into ``flow``, by the JVP rules. A trace made with `streaming_trace`
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
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NoReturn

_levels = itertools.count(1)


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
        The arrays of others that nodes refer to (`autodiff_compare.backends.numpy_autodiff.core.ownership`); None
        where nothing is held.
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
    """A value with the call that made it; `array.variable.Variable` adds the operators.

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
    call: Any
    args: tuple[Any, ...]
    flow: Any
    _grad: Any
    _retained: bool
    #: The class of recorded nodes, made without arguments: the face of the array that NumPy code sees.
    result: ClassVar[type]
    made: int


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


FIRST, _SECOND, _BOTH = (0,), (1,), (0, 1)


def topmost(args: Sequence[Any]) -> tuple[int, ...]:
    """The positions of the nodes of the highest level."""
    if len(args) == 2:
        x, y = args
        if not isinstance(y, Node):
            return FIRST if isinstance(x, Node) else ()
        if not isinstance(x, Node):
            return _SECOND
        if x.tape is y.tape:
            return _BOTH
        return FIRST if x.tape.level > y.tape.level else _SECOND
    traces = [a.tape if isinstance(a, Node) else None for a in args]
    top = max((t for t in traces if t is not None), key=lambda t: t.level, default=None)
    return () if top is None else tuple([i for i, t in enumerate(traces) if t is top])


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
