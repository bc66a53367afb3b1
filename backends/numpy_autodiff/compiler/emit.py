"""Emission: a graph as the source of one straight-line Python function on NumPy arrays.

The function checks that its arguments have the classes, shapes and dtypes it was made for, computes, and returns. Where
a check or a guard fails it returns ``again(...)`` with its arguments.

Memory: an elementwise result goes, by ``out=``, into an array of this call that is not needed any more. Nothing
is kept between calls, so that threads do not meet; what is returned shares memory with no argument and no constant.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends.numpy_autodiff.compiler.graph import Graph, Op
from backends.numpy_autodiff.primitive import is_basic

#: Below this many bytes a fresh array costs no more than finding one to reuse.
_WORTH_REUSING = 4096
INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "not_equal": "!=",
}
#: Their results share memory with nothing, as those of ufuncs.
_FRESH = frozenset(
    {"matmul", "sum", "scatter", "concatenate", "stack", "astype", "where", "dot", "mean", "embed_diagonal"}
)


@dataclass
class Source:
    """Lines of a function in the making, with the objects its names stand for."""

    names: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def name(self, thing: Any, wanted: str) -> str:
        """A global name for ``thing``."""
        if self.names.get(wanted) is thing:
            return wanted
        name, k = wanted, 0
        while name in self.names or keyword.iskeyword(name):
            name, k = f"{wanted}{k}", k + 1
        self.names[name] = thing
        return name

    def function(self, f: Callable[..., Any], name: str) -> str:
        """A global name for a function, like its own."""
        clean = "".join(c if c.isalnum() else "_" for c in getattr(f, "__name__", name) or name)
        return self.name(f, f"{name if not clean.isidentifier() or clean.startswith('_') else clean}")

    def literal(self, x: Any) -> str:
        """``x`` as Python source, by name where it has none."""
        if x is None or x is Ellipsis or x.__class__ in (bool, int, str):
            return repr(x)
        if x.__class__ is float:
            return repr(x) if math.isfinite(x) else self.name(x, "nan" if math.isnan(x) else "inf")
        if x.__class__ is tuple:
            return f"({', '.join(map(self.literal, x))}{',' if len(x) == 1 else ''})"
        if x.__class__ is slice:
            return f"slice({self.literal(x.start)}, {self.literal(x.stop)}, {self.literal(x.step)})"
        return self.name(x, f"c{len(self.names)}")

    def arranged(self, graph: Graph, results: Sequence[str]) -> str:
        """The results in their containers."""
        marks = [object() for _ in results]
        text = _tuples(graph.rebuild(list(marks)), {id(m): r for m, r in zip(marks, results, strict=True)})
        return text or f"{self.name(graph.rebuild, 'arrange')}([{', '.join(results)}])"

    def index(self, x: Any) -> str:
        """What stands between the brackets."""
        parts = x if isinstance(x, tuple) and x else (x,)
        if not is_basic(x) or x == ():
            return self.literal(x)
        return ", ".join(self._part(p) for p in parts) + ("," if isinstance(x, tuple) and len(parts) == 1 else "")

    def _part(self, p: Any) -> str:
        if not isinstance(p, slice):
            return self.literal(p if p is None or p is Ellipsis else int(p))
        start, stop = ("" if s is None else str(int(s)) for s in (p.start, p.stop))
        return f"{start}:{stop}" + ("" if p.step is None else f":{int(p.step)}")


def _tuples(form: Any, texts: dict[int, str]) -> str:
    if id(form) in texts:
        return texts[id(form)]
    if form.__class__ is not tuple:
        return ""
    parts = [_tuples(part, texts) for part in form]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})" if parts and all(parts) else ""


def header(source: Source, name: str, inputs: Sequence[str], leaves: Sequence[Any]) -> None:
    """The ``def`` line and the checks of the arguments."""
    called = f"again({', '.join(inputs)})"
    source.lines.append(f"def {name}({', '.join([*inputs, '*', 'again=again'])}):")
    tests = []
    for x, leaf in zip(inputs, leaves, strict=True):
        cls = source.function(type(leaf), type(leaf).__name__)
        tests.append(f"{x}.__class__ is not {cls}")
        if isinstance(leaf, np.ndarray):
            tests.append(f"{x}.shape != {leaf.shape}")
            tests.append(f"{x}.dtype is not {source.name(leaf.dtype, f'{leaf.dtype}_dtype'.lstrip('<>='))}")
    if tests:
        source.lines += [f"    if {' or '.join(tests)}:", f"        return {called}"]


def emit(graph: Graph, name: str, leaves: Sequence[Any], reuse: bool = True) -> Source:
    """Source of a function of the input leaves; its names need ``again`` besides.

    Parameters
    ----------
    leaves
        Example inputs, for the checks.
    reuse
        Write into arrays that are not needed any more.
    """
    source = Source()
    inputs = [f"x{i}" for i in range(len(graph.inputs))]
    header(source, name, inputs, leaves)
    names: dict[Op, str] = dict(zip(graph.inputs, inputs, strict=True))
    for x, leaf in zip(inputs, leaves, strict=True):
        if isinstance(leaf, np.ndarray) and not leaf.shape:
            source.lines.append(f"    {x} = {x}[()]")
    memory = Memory(graph, reuse)
    for i, op in enumerate(graph.ops):
        if op.name == "guard":
            test = f"if {'not ' if op.kwargs['way'] else ''}{names[op.args[0]]}:"
            source.lines += [f"    {test}", f"        return again({', '.join(inputs)})"]
            continue
        out = memory.place(i, op)
        names[op] = f"v{i}"
        source.lines += [f"    {line}" for line in statement(source, op, names, out and names[out])]
    results = [_result(source, x, names, memory.copied(k)) for k, x in enumerate(graph.outputs)]
    source.lines.append(f"    return {source.arranged(graph, results)}")
    if any(op.name == "guard" and not op.kwargs["way"] for op in graph.ops):
        _quiet(source)
    return source


def _quiet(source: Source) -> None:
    """A rule's way around a zero divides by it where `where` drops the quotient: without a warning."""
    start = 3 if source.lines[1].startswith("    if ") else 1
    with_ = f"    with {source.name(np.errstate, 'errstate')}(divide='ignore', invalid='ignore'):"
    source.lines[start:] = [with_, *(f"    {line}" for line in source.lines[start:])]


def _result(source: Source, x: Any, names: dict[Op, str], copied: bool) -> str:
    if isinstance(x, Op):
        return f"{names[x]}.copy()" if copied else names[x]
    return source.literal(x) + (".copy()" if isinstance(x, np.ndarray) else "")


def statement(source: Source, op: Op, names: dict[Op, str], out: str | None) -> list[str]:
    """``names[op] = ...``."""
    args = [names[a] if isinstance(a, Op) else source.literal(a) for a in op.args]
    target = names[op]
    if op.name == "scatter":
        return _scatter(source, op, args, target)
    return [f"{target} = {_expression(source, op, args, out)}"]


def _expression(source: Source, op: Op, args: list[str], out: str | None) -> str:
    if isinstance(op.function, np.ufunc) and not op.kwargs:
        if out is not None:
            return f"{source.function(op.function, op.name)}({', '.join([*args, out])})"
        if op.name in INFIX:
            return f"{args[0]} {INFIX[op.name]} {args[1]}"
        if op.name == "negative":
            return f"-{args[0]}"
    special = _SPECIAL.get(op.name)
    if special is not None and (found := special(source, op, args)) is not None:
        return found
    given = args + [f"{k}={source.literal(v)}" for k, v in op.kwargs.items()]
    return f"{source.function(op.function, op.name)}({', '.join(given)})"


def _scatter(source: Source, op: Op, args: list[str], target: str) -> list[str]:
    """Zeros, to which the parts are added where they belong."""
    kwargs = op.kwargs
    zeros, dtype = source.function(np.zeros, "zeros"), source.name(kwargs["dtype"], f"{kwargs['dtype']}_dtype")
    lines = [f"{target} = {zeros}({kwargs['shape']}, {dtype})"]
    for index, part in zip(kwargs["indices"], args, strict=True):
        if is_basic(index):
            lines.append(f"{target}[{source.index(index)}] += {part}")
        else:
            lines.append(f"{source.name(np.add.at, 'add_at')}({target}, {source.literal(index)}, {part})")
    return lines


def _getitem(source: Source, op: Op, args: list[str]) -> str:
    return f"{args[0]}[{args[1] if isinstance(op.args[1], Op) else source.index(op.args[1])}]"


def _total(source: Source, op: Op, args: list[str]) -> str | None:
    axis, keepdims = op.kwargs.get("axis"), op.kwargs.get("keepdims", False)
    flat = isinstance(op.args[0], Op) and len(op.args[0].shape) == 1 and not keepdims
    if len(args) > 1 or op.args[0].__class__ is not Op:
        return None
    tail = "" if flat else f", {source.literal(axis)}" + (", keepdims=True" if keepdims else "")
    return f"{source.name(np.add.reduce, 'add_reduce')}({args[0]}{tail})"


def _matmul(source: Source, op: Op, args: list[str]) -> str | None:  # noqa: ARG001
    both = [len(np.shape(a)) if not isinstance(a, Op) else len(a.shape) for a in op.args]
    return f"{args[0]}.dot({args[1]})" if both[0] in (1, 2) and both[1] in (1, 2) else None


def _dot(source: Source, op: Op, args: list[str]) -> str | None:
    # A sum begins with 0.0 and so is never -0.0; a product of one entry may be.
    product = (
        f"{args[0]}.dot({args[1]})" if op.function is np.dot else f"{source.name(np.vdot, 'vdot')}({', '.join(args)})"
    )
    return f"{product} + 0.0"


def _transposed(source: Source, op: Op, args: list[str]) -> str | None:  # noqa: ARG001
    return f"{args[0]}.T" if len(args) == 1 else None


_SPECIAL: dict[str, Callable[[Source, Op, list[str]], str | None]] = {
    "getitem": _getitem,
    "pick": _getitem,
    "sum": _total,
    "matmul": _matmul,
    "dot": _dot,
    "transpose": _transposed,
}


class Memory:
    """Which array each result lives in, and until when it is needed."""

    def __init__(self, graph: Graph, reuse: bool) -> None:
        self._reuse = reuse
        self._homes: dict[Op, frozenset[Op]] = {x: frozenset({x}) for x in graph.inputs}
        self._inputs = frozenset(graph.inputs)
        self._outputs = graph.outputs
        self._last: dict[Op, int] = {}
        self._free: dict[Any, list[Op]] = {}
        for i, op in enumerate(graph.ops):
            below = frozenset(h for a in op.inputs for h in self._homes[a])
            self._homes[op] = frozenset({op}) if fresh(op) else below | {op}
            for home in below | self._homes[op]:
                self._last[home] = i
        for x in graph.outputs:
            if isinstance(x, Op):
                self._last.update(dict.fromkeys(self._homes[x], len(graph.ops)))
        self._dying: dict[int, list[Op]] = {}
        for home, i in self._last.items():
            if home not in self._inputs and fresh(home) and not home.scalar and home.dtype is not None:
                self._dying.setdefault(i, []).append(home)

    def place(self, i: int, op: Op) -> Op | None:
        """The earlier result whose array ``op``, the i-th operation, may overwrite."""
        free = self._dying.get(i, ())
        for home in free:
            if home is not op:
                self._free.setdefault((home.shape, home.dtype), []).append(home)
        if not self._reuse or not isinstance(op.function, np.ufunc) or op.kwargs or op.scalar or op.dtype is None:
            return None
        if op.size * op.dtype.itemsize < _WORTH_REUSING or op.function.nout > 1:
            return None
        found = self._free.get((op.shape, op.dtype))
        return found.pop() if found else None

    def copied(self, k: int) -> bool:
        """Whether output ``k`` must be copied to share memory with no argument, constant or other output."""
        x = self._outputs[k]
        if not isinstance(x, Op) or x.scalar:
            return False
        earlier = [y for y in self._outputs[:k] if isinstance(y, Op)]
        mine = self._homes[x]
        return not fresh(x) or bool(mine & self._inputs) or any(mine & self._homes[y] for y in earlier)


def fresh(op: Op) -> bool:
    """Whether the result is an array of its own: no view of an argument."""
    return isinstance(op.function, np.ufunc) or op.name in _FRESH
