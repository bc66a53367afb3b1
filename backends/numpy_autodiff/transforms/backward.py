"""The backward style: variables that are made once, ``backward()`` and ``.grad``, as in PyTorch.

Variables made by ``Variable(x)`` share one trace, of level 0 and without a list of nodes. The graph lives as long as
something refers to its end, and `backward` finds it by following the arguments. ``create_graph`` lifts that graph by
one level (each node becomes the value of a node above it) and sweeps there. The sweep itself is then recorded below, by
the nesting that `autodiff_compare.backends.numpy_autodiff.core.tracing` explains.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import fit, spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import Scatter
from autodiff_compare.backends.numpy_autodiff.core.ownership import copied
from autodiff_compare.backends.numpy_autodiff.core.primitive import INPUT, Call, Primitive, lift, pick
from autodiff_compare.backends.numpy_autodiff.core.reach import of_seed, protected, steep
from autodiff_compare.backends.numpy_autodiff.core.reverse import clear
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, arguments_first, constant
from autodiff_compare.backends.numpy_autodiff.transforms.no_grad import is_recording
from autodiff_compare.backends.numpy_autodiff.transforms.recording import differentiable, direction

_lock = threading.RLock()


#: Numbers operations and assignments of values in time.
_clock = itertools.count(1)


def now() -> int:
    """Return a time later than any before."""
    return next(_clock)


#: Classes of arguments that cannot be written to.
_FIXED = frozenset({float, int, complex, slice, np.float64})


def _record(node: Node) -> None:
    node.made = next(_clock)
    if not is_recording():
        node.call = INPUT
        node.args = ()
    elif len(node.args) > len(node.call.where) and node.call.primitive.keeps:
        for a in node.args:
            if a.__class__ not in _FIXED and not isinstance(a, Node):
                node.args = copied(node.args)
                break


EAGER = Trace()
EAGER.level = 0
EAGER.record = _record
EAGER.watched = deque(maxlen=0)


def leaf_value(value: Any, dtype: Any) -> Any:
    """Return a copy of the value of a new variable."""
    if isinstance(value, Node):
        raise TypeError("got a variable, expected an array: use it as it is, or .detach() for one without history")
    return differentiable(np.array(value, dtype=dtype), "value")


def backward(root: Any, cotangent: Any, *, retain_graph: bool, create_graph: bool) -> None:
    """Add the gradient of ``root`` to ``.grad`` of its leaves and of the intermediates that retain it.

    Parameters
    ----------
    cotangent
        Shaped like ``root``; may be left out for a scalar.
    retain_graph
        Keep the graph for another call. Otherwise a second call raises.
    create_graph
        Make the gradients themselves differentiable; implies ``retain_graph``.

    Raises
    ------
    ValueError
        If ``root`` is not a scalar and there is no cotangent, or the shapes differ.
    TypeError
        If ``root`` is complex and there is no cotangent, or the cotangent is complex and ``root`` is real.
    RuntimeError
        If ``root`` belongs to a transform, its graph has been freed, or a variable has been assigned a new value
        since it was used.
    """
    if root.tape is not EAGER:
        raise RuntimeError("got backward() inside a transform, expected Variable(...) inputs: use grad or vjp here")
    if cotangent is None:
        if root.shape != ():
            raise ValueError(f"got no cotangent for an output of shape {root.shape}: pass one of that shape, or sum it")
        if root.dtype.kind == "c":
            raise TypeError("got no cotangent for a complex output: take np.real or np.abs of it, or pass a cotangent")
        cotangent = root.dtype.type(1)
    cotangent = direction(cotangent, root, "cotangent")
    with _lock:
        order = _history(root)
        if create_graph:
            _sweep(_lifted(order), np.conj(cotangent))
            return
        _sweep([(node, node) for node in order], np.conj(constant(cotangent)))
        if not retain_graph:
            for node in order:
                if node.call is not INPUT:
                    node.call, node.args = _FREED, ()


def _freed(*_: Any) -> None:
    raise RuntimeError("got a second backward() through a freed graph: pass retain_graph=True to the first")


def _history(root: Node) -> list[Node]:
    """Return ``root`` and its ancestors, arguments before results."""
    return arguments_first(root, _arguments)


def _arguments(node: Node) -> list[Node]:
    if node.call is _FREED:
        _freed()
    _check_times(node)
    return [node.args[i] for i in node.call.where]


def _check_times(node: Node) -> None:
    for i in node.call.where:
        if node.args[i].made > node.made:
            raise RuntimeError(
                f"got a variable that was assigned a new value after {node.call.primitive.name} used it, which the "
                "backward sweep still needs: assign after backward(), or compute the output again"
            )


def _lifted(order: list[Node]) -> list[tuple[Node, Node]]:
    """Pair each node with a new one a level above it, whose value it is."""
    trace = Trace()
    above: dict[int, Node] = {}
    for node in order:
        value = tuple(pick(node, i) for i in range(len(node.primal))) if isinstance(node.primal, tuple) else node
        shadow = lift(value, trace)
        shadow.call = node.call
        args = list(node.args)
        for i in node.call.where:
            args[i] = above[id(args[i])]
        shadow.args = tuple(args)
        above[id(node)] = shadow
    return [(node, above[id(node)]) for node in order]


def _sweep(pairs: list[tuple[Node, Node]], cotangent: Any) -> None:
    """Sweep the second nodes of the pairs and gather the gradients in the first."""
    nodes = [node for _, node in pairs]
    with protected(nodes, [(nodes[-1], of_seed(cotangent))]) if steep(nodes) else contextlib.nullcontext():
        _pull(pairs, cotangent)


def _pull(pairs: list[tuple[Node, Node]], cotangent: Any) -> None:
    pairs[-1][1].flow = cotangent
    try:
        for keeper, node in reversed(pairs):
            g = node.flow
            if g is None:
                continue
            node.flow = None
            wanted = keeper.call is INPUT or getattr(keeper, "_retained", False)
            if g.__class__ is Scatter and (wanted or not node.call.view):
                g = g.dense()
            if wanted:
                _accumulate(keeper, g)
            if node.call is not INPUT:
                node.call.pull(node, g)
    except BaseException:
        clear(node for _, node in pairs)
        raise


def _accumulate(node: Node, g: Any) -> None:
    if g.__class__ is float:
        g = spread(g, node.primal)
    if g.shape != node.primal.shape or g.dtype != node.primal.dtype:
        g = fit(g, node.primal)
    g = np.conj(g) if g.dtype.kind == "c" else g
    held = getattr(node, "_grad", None)
    node._grad = (g.copy() if isinstance(g, np.ndarray) else g) if held is None else held + g


_FREED = Call(Primitive("freed", _freed), ())
