"""Emission: a graph as kernels of loops, and a Python function that makes the arrays and calls kernels and NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.emit import fresh
from autodiff_compare.backends.numpy_autodiff.compiler.graph import FLOATS, Graph, Op, RollError
from autodiff_compare.backends.numpy_autodiff.compiler.source import Source, header, statement
from autodiff_compare.backends.numpy_autodiff.loops.forms import form
from autodiff_compare.backends.numpy_autodiff.loops.kernel import FAILED, Kernel
from autodiff_compare.backends.numpy_autodiff.loops.native import Build
from autodiff_compare.backends.numpy_autodiff.loops.plan import Plan
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import TYPES, literal, sech2_by
from autodiff_compare.backends.numpy_autodiff.loops.program import make_program

#: Entries of arrays that a kernel keeps on the stack, 64 KB in float64; its caller makes what is larger.
_ON_THE_STACK = 8192
_VIEWS_OF_NUMPY = frozenset({"transpose", "reshape", "getitem", "broadcast_to"})


def emit(graph: Graph, name: str, leaves: Sequence[Any], build: Build) -> Source:
    """Write a function of the input leaves; its scope must define ``again`` besides."""
    graph = _sharing(graph)
    source = Source()
    inputs = [f"x{i}" for i in range(len(graph.inputs))]
    header(source, name, inputs, leaves)
    forms: dict[Op, str] = {}
    for op in graph.ops:
        forms[op] = form(op, forms)
        if op.name == "loop" and forms[op] == "call":
            raise RollError("got rounds with NumPy calls, which loops do not hold")
    wanted = set(_wanted(graph, forms))
    program = make_program(graph, wanted, dict(zip(graph.inputs, inputs, strict=True)))
    names: dict[Op, str] = {op: n for op, n in program.names.items() if isinstance(op, Op)}
    texts = []
    used = {x for kernel in program.kernels for x in kernel.taken if isinstance(x, Op)}
    for x, leaf, op in zip(inputs, leaves, graph.inputs, strict=True):
        if isinstance(leaf, np.ndarray) and not leaf.shape:
            source.lines.append(f"    {x} = {x}[()]")
        elif leaf.__class__ is float:
            source.lines.append(f"    {x} = {source.name(np.float64, 'float64')}({x})")
        elif op in used:
            source.lines += [f"    if not {x}.flags.c_contiguous:", f"        {x} = {_contiguous(source, x)}"]
    outside = {op for kernel in program.kernels for op in kernel.outside}
    calls = _Calls(source, program.plan, names, used, outside)
    for stage, kernel in enumerate(program.kernels):
        written = write_kernel(kernel, program.plan, stage, f"loops_{stage}")
        if written is not None:
            text, types, returned = written
            texts.append(text)
            results = [*(["boolean"] if kernel.guarded else []), *map(_type, returned)]
            function = build(text, f"loops_{stage}", types, results)
            _call(source, kernel, names, returned, function, f"loops_{stage}", inputs)
        calls.write(stage)
    outputs = _results(source, graph, calls)
    source.lines.append(f"    return {source.arranged(graph, outputs)}")
    source.called = texts
    return source


def _sharing(graph: Graph) -> Graph:
    """Return the graph with one exponential for a hyperbolic tangent and its slope, and one division for a reciprocal.

    A gradient takes ``tanh(x)`` on the way forth and ``1 - tanh(x)^2`` on the way back, often in another kernel. The
    difference would lose the digits of a small slope, and both computed apart take an exponential each. With
    ``d = e^(-2 |x|)`` they are ``(1 - d) / (1 + d)`` and ``4 d / (1 + d)^2``, and neither cancels.

    Where ``s = 1 / y`` is computed, ``a / y`` is ``a s`` within a rounding. The slope of s takes ``-s / y``, so that y
    is needed no more on the way back. Beyond the range of 1 / y, for |y| below 2^-1024, s itself is infinite.
    """
    tanh, slope = ({_double(op) for op in graph.ops if op.name == name} - {None} for name in ("tanh", "sech2"))
    inverse = {y: op for op in graph.ops if (y := _inverted(op)) is not None}
    new: dict[Op, Op] = {}
    decays: dict[Op, Op] = {}
    ops: list[Op] = []
    for op in graph.ops:
        args = [new.get(a, a) if isinstance(a, Op) else a for a in op.args]
        x = _double(op) if op.name in ("tanh", "sech2") else None
        if x is not None and x in tanh & slope:
            if x not in decays:
                decays[x] = Op("decay", lambda x: np.exp(-2.0 * np.abs(x)), args, {}, op)
                ops.append(decays[x])
            made = _BY_DECAY[op.name](args[0], decays[x], op)
        elif (s := _divisor(op, inverse)) in new:
            made = Op("multiply", np.multiply, [args[0], new[s]], {}, op)
        else:
            made = op.with_args(args)
        new[op] = made
        ops.append(made)
    outputs = [new.get(x, x) if isinstance(x, Op) else x for x in graph.outputs]
    return Graph(graph.inputs, ops, outputs, graph.rebuild)


#: Operation -> that of the same argument x and of d.
_BY_DECAY: dict[str, Callable[[Op, Op, Op], Op]] = {
    "tanh": lambda x, d, like: Op("tanh_by", lambda x, d: np.tanh(x), [x, d], {}, like),  # noqa: ARG005
    "sech2": lambda x, d, like: Op("sech2_by", sech2_by, [d], {}, like),  # noqa: ARG005
}


def _double(op: Op) -> Op | None:
    """Return the argument of an operation on floats of one dtype."""
    x = op.args[0]
    return x if isinstance(x, Op) and op.dtype in FLOATS and x.dtype == op.dtype and not op.kwargs else None


def _divisor(op: Op, inverse: dict[Op, Op]) -> Op | None:
    """Return the reciprocal of what an operation divides by, if that is computed."""
    y = op.args[1] if op.name == "divide" and not op.kwargs else None
    s = inverse.get(y) if isinstance(y, Op) else None
    return s if s is not None and s is not op and s.dtype == op.dtype else None


def _inverted(op: Op) -> Op | None:
    """Return y if an operation is 1 / y."""
    if op.name == "reciprocal":
        return _double(op)
    one = op.name == "divide" and not isinstance(op.args[0], Op) and not op.kwargs and op.dtype in FLOATS
    y = op.args[1] if one else None
    return y if isinstance(y, Op) and y.shape == op.shape and y.dtype == op.dtype and np.all(op.args[0] == 1) else None


def _wanted(graph: Graph, forms: dict[Op, str]) -> Iterator[Op]:
    """Yield what kernels must leave in arrays: outputs, and what NumPy calls read, of which they may take views."""
    own = {x for x in graph.outputs if isinstance(x, Op) and x in forms and forms[x] != "call"}
    yield from own
    for op in graph.ops:
        if forms[op] == "call":
            for a in op.inputs:
                base = a
                while base not in own and _is_view(base, forms):
                    base = base.args[0]
                if base in forms and forms[base] != "call":
                    yield base


def _is_view(op: Op, forms: dict[Op, str]) -> bool:
    """Return whether NumPy makes the result as a view of an array."""
    plain = forms.get(op) == "view" and op.name in _VIEWS_OF_NUMPY and bool(op.shape)
    return plain and not any(isinstance(a, Op) for a in op.args[1:])


class _Calls:
    """The statements of NumPy calls, each after the kernel that it waits for."""

    def __init__(self, source: Source, plan: Plan, names: dict[Op, str], used: set[Op], outside: set[Op]) -> None:
        self._source = source
        self._plan = plan
        self._used = used
        self.names = names
        #: What has a name outside of kernels, which a root that a kernel keeps in an array of its own has not.
        self.made = set(plan.graph.inputs) | (plan.roots & outside)

    def write(self, stage: int) -> None:
        plan = self._plan
        for op in plan.graph.ops:
            if plan.forms[op] != "call" or plan.at[op][0] != stage:
                continue
            self.need(op)
            if op in self._used and op.shape:
                name = self.names[op]
                self._source.lines.append(f"    {name} = {_contiguous(self._source, name)}")

    def need(self, op: Op) -> None:
        """Write the statement of a call, or of a view, after those of its arguments."""
        if op in self.made:
            return
        for a in op.inputs:
            self.need(a)
        self.made.add(op)
        self._source.lines += [f"    {line}" for line in statement(self._source, op, self.names, None)]


def _contiguous(source: Source, x: str) -> str:
    return f"{source.function(np.ascontiguousarray, 'ascontiguousarray')}({x})"


def write_kernel(kernel: Kernel, plan: Plan, stage: int, name: str) -> tuple[str, list[str], list[Op]] | None:
    """Return a kernel's source, the types of its parameters, and the numbers it returns; None if it does nothing."""
    returned = [op for op in plan.graph.ops if op in kernel.outside and _is_number(plan, op, stage)]
    if not kernel.made and not returned and not kernel.guarded:
        return None
    arrays: list[tuple[str, Any]] = [(kernel.name_of(x), x) for x in kernel.taken.values()]
    arrays += [(n, op) for op, n in kernel.made.items()]
    large, small = _by_size(kernel)
    flag = ["True"] if kernel.guarded else []
    values = [kernel.value(op, ()).text for op in returned]
    lines = [f"def {name}({', '.join([*(n for n, _ in arrays), *(n for n, _, _ in large)])}):"]
    lines += [f"    {n} = {n}.reshape({x.size})" for n, x in arrays if len(x.shape) > 1]
    lines += [f"    {n} = np.empty({size}, {TYPES[dtype]})" for n, size, dtype in small]
    lines += [f"    {line}" for line in kernel.frames[0].lines]
    lines.append(f"    return {_tuple([*flag, *values])}")
    failed = f"return {_tuple(['False', *(literal(0, op.dtype) for op in returned)])}"
    text = "\n".join(lines).replace(FAILED, failed) + "\n"
    return text, [*(_type(x) for _, x in arrays), *(f"{_base(dtype)}[::1]" for _, _, dtype in large)], returned


def _is_number(plan: Plan, op: Op, stage: int) -> bool:
    """Return whether a kernel computes a result that is one number."""
    return op in plan.roots and not op.shape and plan.at[op][0] == stage and plan.forms[op] != "guard"


def _by_size(kernel: Kernel) -> tuple[list[tuple[str, int, Any]], list[tuple[str, int, Any]]]:
    """Return the arrays of a kernel that its caller makes, and those that the stack holds."""
    large, small, held = [], [], 0
    for one in kernel.allocations:
        if held + one[1] > _ON_THE_STACK:
            large.append(one)
        else:
            small.append(one)
            held += one[1]
    return large, small


def _tuple(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})" if parts else "None"


def _base(dtype: Any) -> str:
    """Return the name that numba has for a dtype."""
    return str(np.dtype(dtype).name).replace("bool", "boolean")


def _type(x: Any) -> str:
    base = _base(x.dtype)
    return base if not x.shape else f"{base}[{':, ' * (len(x.shape) - 1)}::1]"


def _call(
    source: Source,
    kernel: Kernel,
    names: dict[Op, str],
    returned: Sequence[Op],
    function: Callable[..., Any],
    name: str,
    inputs: Sequence[str],
) -> None:
    empty = source.function(np.empty, "empty")
    for op, target in kernel.made.items():
        shape = op.shape[0] if len(op.shape) == 1 else op.shape
        source.lines.append(f"    {target} = {empty}({shape}, {source.dtype(op.dtype)})")
    args = [
        n if isinstance(x, Op) else source.name(x, n)
        for n, x in ((kernel.name_of(x), x) for x in kernel.taken.values())
    ]
    own = [f"{empty}({size}, {source.dtype(dtype)})" for _, size, dtype in _by_size(kernel)[0]]
    call = f"{source.name(function, name)}({', '.join([*args, *kernel.made.values(), *own])})"
    targets = [*(["right"] if kernel.guarded else []), *(names[op] for op in returned)]
    source.lines.append(f"    {', '.join(targets)} = {call}" if targets else f"    {call}")
    if kernel.guarded:
        source.lines += ["    if not right:", f"        return again({', '.join(inputs)})"]
    for op in returned:
        kind = source.name(op.dtype.type, op.dtype.type.__name__)
        source.lines.append(f"    {names[op]} = {kind}({names[op]})")


def _results(source: Source, graph: Graph, calls: _Calls) -> list[str]:
    """Return the texts of the outputs; what shares memory with an argument, a constant or another output is copied."""
    found, taken = [], set()
    for x in graph.outputs:
        if not isinstance(x, Op):
            found.append(source.literal(x) + (".copy()" if isinstance(x, np.ndarray) else ""))
            continue
        calls.need(x)
        called = calls._plan.forms.get(x) == "call"
        copied = x in graph.inputs or x in taken or (called and not fresh(x))
        array = not x.scalar
        taken.add(x)
        text = calls.names[x]
        if array and not x.shape:
            text = f"{source.function(np.asarray, 'asarray')}({text})"
        found.append(f"{text}.copy()" if copied and array else text)
    return found
