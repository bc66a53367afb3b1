"""Capture: one run of a transformed function, forward and backward, as one list of operations.

The arguments are lifted onto a symbolic trace *below* the transform. The sweeps of the transform compute with nodes of
that trace, so that it records the derivative as well, in order of computation.

A derivative rule may branch on values (``over`` tests whether a divisor has a zero). Such a branch goes the way of the
example and leaves an operation ``guard`` in the graph. Where the branch would go the other way at run time, the
function is captured again. So does the condition of a loop (`goes_on`). A branch in the user's code raises.
"""

from __future__ import annotations

import hashlib
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, lift
from autodiff_compare.backends.numpy_autodiff.core.pytree import Rebuild, flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant, primal

#: The dtypes of floats for which code is rearranged.
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
#: The engine's own package, under whatever name it is imported.
_OWN = __name__.removesuffix("compiler.graph")
#: Operations from which on the rounds of a loop whose length depends on values take seconds to compile.
_MOST_LOOPED = 10_000
#: Functions whose result has a shape that depends on values. So has "where" of one argument, which its arity tells.
_SHAPE_BY_VALUE = frozenset({"nonzero", "argwhere", "flatnonzero", "unique", "intersect1d"})


class CompileError(TypeError):
    """The function cannot be compiled; it can still be differentiated eagerly."""


class RollError(CompileError):
    """The graph cannot be written with its loops rolled; it may be without."""


class WriteError(CompileError):
    """The graph cannot be written in the way that was asked for; it may be as straight-line code."""


class LongLoopError(CompileError):
    """The rounds of a loop whose length depends on values make too long a graph; they may be recorded at each call."""


@final
class Op:
    """One operation: ``function(*args, **kwargs)``, where ``args`` are operations and constants.

    Attributes
    ----------
    shape, dtype
        Shape and dtype of the result; ``dtype`` is None for a Python number, and for several outputs.
    scalar
        Whether the result is a NumPy scalar or a Python number, not an array.
    """

    __slots__ = ("args", "dtype", "function", "kwargs", "name", "scalar", "shape")

    def __init__(
        self, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], like: Any
    ) -> None:
        self.name = name
        self.function = function
        self.args = tuple(args)
        self.kwargs = kwargs
        self.shape: tuple[int, ...] = getattr(like, "shape", ())
        self.dtype: Any = getattr(like, "dtype", None)
        self.scalar: bool = like.scalar if isinstance(like, Op) else not isinstance(like, np.ndarray)

    def with_args(self, args: Sequence[Any]) -> Op:
        """Return the same operation with other arguments."""
        return Op(self.name, self.function, args, self.kwargs, self)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def inputs(self) -> list[Op]:
        """The operations among the arguments."""
        return [a for a in self.args if isinstance(a, Op)]


@final
class Graph:
    """Operations in order of computation, with the inputs and the outputs (operations or constants)."""

    __slots__ = ("inputs", "ops", "outputs", "rebuild")

    def __init__(self, inputs: list[Op], ops: list[Op], outputs: list[Any], rebuild: Rebuild) -> None:
        self.inputs = inputs
        self.ops = ops
        self.outputs = outputs
        self.rebuild = rebuild


def _truth(x: Any) -> bool:
    return bool(x)


class _Capture(Trace):
    """A symbolic trace that lets the engine's own code branch, and records which way."""

    __slots__ = ("guards",)

    def __init__(self) -> None:
        super().__init__(symbolic=True)
        self.guards: list[tuple[int, Node, bool]] = []
        self.record = self._record

    def _record(self, node: Node) -> None:
        name, args = node.call.primitive.name, node.args
        masked = name == "getitem" and isinstance(args[1], Node) and constant(args[1]).dtype == bool
        if masked or name in _SHAPE_BY_VALUE or (name == "where" and len(args) == 1):
            what = "an index by a traced mask" if masked else name
            raise CompileError(f"got {what}, whose shape depends on values: use np.where, or do not compile")
        self.nodes.append(node)

    def decide(self, node: Node) -> bool:
        caller = sys._getframe(2).f_globals.get("__name__", "")
        if not caller.startswith(_OWN):
            raise CompileError(
                "got the truth of a traced value (if, while, and, or) while compiling, which would fix one side for "
                "all inputs: use np.where, pass the value as an integer or boolean argument, or do not compile"
            )
        way = bool(constant(node))
        self.guards.append((len(self.nodes), node, way))
        return way


def goes_on(answer: Any) -> bool:
    """Return the truth of the condition of a loop whose length depends on values.

    A graph that is captured holds the rounds of the example, each with a guard. For another number of rounds the
    function is captured again.

    Raises
    ------
    LongLoopError
        If the graph is too long to be worth compiling.
    """
    x = primal(answer)
    if isinstance(x, Node) and len(x.tape.nodes) > _MOST_LOOPED:
        raise LongLoopError(
            f"got a loop whose length depends on data, after {len(x.tape.nodes)} operations, expected at most "
            f"{_MOST_LOOPED}"
        )
    return bool(answer)


def is_input(x: Any) -> bool:
    """Return whether a leaf varies from call to call. Floating and complex numbers do; all else is compiled in."""
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc"


def leaf_key(x: Any) -> Any:
    """Return a key for what a graph depends on of a leaf: shape and dtype of an input, and all of a constant.

    A table of another library, such as one of pandas, is known by itself and its numbers, any other object that cannot
    be hashed by itself alone.
    """
    if is_input(x):
        return x.shape, x.dtype
    if isinstance(x, np.ndarray):
        return _content(x)
    if is_hashable(x):
        return type(x), x
    if isinstance(x, set):
        return set, frozenset(x)
    return type(x), _Identity(x), _content(np.asarray(x)) if hasattr(x, "__array__") else None


def is_hashable(x: Any) -> bool:
    """Return whether a leaf can be a key: such a one is taken not to change."""
    try:
        hash(x)
    except TypeError:
        return False
    return True


def _content(x: Any) -> Any:
    """Return a key for the entries of an array."""
    if x.dtype.hasobject:
        return x.shape, x.dtype, tuple(map(leaf_key, x.ravel().tolist()))
    # A digest, because a key with the bytes would be as large as the array.
    return x.shape, x.dtype, hashlib.blake2b(x.tobytes(), digest_size=32).digest()


@final
class _Identity:
    """A key for one object. It keeps the object alive, so that no later one is taken for it."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __hash__(self) -> int:
        return id(self._thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._thing is self._thing


def capture(
    f: Callable[..., Any], leaves: Sequence[Any], rebuild: Rebuild, is_input: Callable[[Any], bool] = is_input
) -> Graph:
    """Return the graph of ``f(*rebuild(leaves))``: leaves of which ``is_input`` holds are inputs, others constants.

    Raises
    ------
    CompileError
        If the graph would depend on values.
    """
    trace = _Capture()
    given = [lift(x, trace) if is_input(x) else x for x in leaves]
    try:
        out = f(*rebuild(given))
    except CompileError:
        raise
    except TypeError as error:
        # Raised by the engine for float(x), an index or np.asarray, not by a mistake in the user's code.
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        if frames[-1].f_globals.get("__name__", "").startswith(_OWN):
            raise CompileError(str(error)) from error
        raise
    finally:
        trace.close()
    known: dict[int, Any] = {}
    inputs = []
    for x, node in zip(leaves, given, strict=True):
        if node is not x:
            known[id(node)] = op = Op("input", _truth, (), {}, x)
            inputs.append(op)
    found, form = flatten(out)
    return Graph(inputs, _operations(trace, known), [_argument(x, trace, known) for x in found], form)


def _operations(trace: _Capture, known: dict[int, Any]) -> list[Op]:
    """Return the operations of the recorded nodes, with the guards at their places."""
    ops: list[Op] = []
    names: dict[Primitive, str] = {}
    start = 0
    for at, asked, way in [*trace.guards, (len(trace.nodes), None, True)]:
        for node in trace.nodes[start:at]:
            call, primitive = node.call, node.call.primitive
            name = names.get(primitive) or names.setdefault(primitive, _name(primitive))
            # Two thirds of the arguments are nodes of this trace.
            args = [
                known[id(a)] if isinstance(a, Node) and a.tape is trace else _argument(a, trace, known)
                for a in node.args
            ]
            if call.kwargs or not _SIMPLE.issuperset(map(type, args)):
                _check(name, args, call.kwargs)
            # NumPy 2.2 returns the count of non-zeros as a number of Python, which has no dtype.
            like = np.intp(node.primal) if node.primal.__class__ is int else node.primal
            op = known[id(node)] = Op(name, primitive.function, args, call.kwargs, like)
            ops.append(op)
        if asked is not None:
            ops.append(Op("guard", _truth, (known[id(asked)],), {"way": way}, True))
        start = at
    return ops


def _name(primitive: Primitive) -> str:
    """Return the name that rewrites go by. That of a custom rule gets a suffix, lest it be taken for a built-in one."""
    function = primitive.function
    ours = isinstance(function, np.ufunc) or f"{function.__module__}.".startswith((_OWN, "numpy."))
    return primitive.name if ours else f"{primitive.name}_"


def _argument(x: Any, trace: Trace, known: dict[int, Any]) -> Any:
    """Return the operation of a node, or a constant; ``known`` has those of earlier nodes, and copies of constants."""
    if isinstance(x, Node):
        if x.tape is not trace:
            raise CompileError("got a variable from outside in a compiled function: pass it as an argument")
        return known[id(x)]
    if isinstance(x, np.ndarray):
        # The caller may change its array later. The constant must not follow, nor keep a large base alive. A loop that
        # uses one array n times needs one copy: the nodes keep the array alive, so its id is not given to another.
        if id(x) not in known:
            known[id(x)] = x if x.strides == (0,) * x.ndim else x.copy()
        return known[id(x)]
    return x


_SIMPLE = frozenset({Op, float, int, slice, np.ndarray, np.float64})


def _check(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    if any(a.__class__ not in _SIMPLE and _holds_node(a) for a in args) or any(map(_holds_node, kwargs.values())):
        raise CompileError(f"got a traced value inside an argument of {name}, expected constants: do not compile")


def _holds_node(x: Any) -> bool:
    if x.__class__ in _SIMPLE:
        return False
    if isinstance(x, dict):
        return any(map(_holds_node, x.values()))
    return any(map(_holds_node, x)) if isinstance(x, (tuple, list)) else isinstance(x, Node)


def frozen(x: Any) -> Any:
    """Return a key that is equal only for equal computations: 1 and 1.0, 0.0 and -0.0 differ."""
    cls = x.__class__
    if cls is Op:
        return id(x)
    if cls is float:
        return repr(x)
    if cls is int or cls is str or cls is bool or x is None:
        return cls, x
    if cls is slice:
        return slice, x.start, x.stop, x.step
    if cls is tuple or cls is list:
        return cls, tuple(map(frozen, x))
    if isinstance(x, np.ndarray) or callable(x):
        return cls, id(x)
    if isinstance(x, (tuple, list)):
        return cls, tuple(map(frozen, x))
    if isinstance(x, dict):
        return tuple((k, frozen(v)) for k, v in x.items())
    return cls, repr(x)
