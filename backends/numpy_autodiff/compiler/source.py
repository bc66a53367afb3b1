"""The generated source: its names, literals, checks and statements."""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import FLOATS, Graph, Op
from autodiff_compare.backends.numpy_autodiff.core.cotangent import is_basic

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
#: One object each, because every access makes a new bound method.
ADD_REDUCE, _ADD_AT = np.add.reduce, np.add.at
#: Functions that take a Python number for one of the dtype of the other operand, and numbers up to which both agree.
_BESIDE_NUMBERS = frozenset(
    {np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum}
    | {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
)
_EXACT = 2**24
#: Entries from which on a comparison and a count of truths are faster than a count of numbers.
_LONG = 2048
#: Numbers up to which a vector is written as a tuple.
_FEW = 16


@dataclass
class Source:
    """The lines of a function that is being written, and the objects that its global names refer to."""

    names: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    #: Sources of compiled functions that these lines call, to be shown with them.
    called: list[str] = field(default_factory=list)
    #: Single numbers that are arrays without axes -> the name of the array.
    unboxed: dict[Op, str] = field(default_factory=dict)
    #: Wanted name, number and kind of float -> the name of an array without axes.
    _numbers: dict[tuple[str, str, str], str] = field(default_factory=dict)
    #: Object and wanted name -> its name; and how many objects have wanted the same one.
    _given: dict[tuple[int, str], str] = field(default_factory=dict)
    _wanted: Counter[str] = field(default_factory=Counter)

    def name(self, thing: Any, wanted: str) -> str:
        """Return a global name for ``thing``, the wanted one if it is free."""
        key = (id(thing), wanted)
        name = self._given.get(key)
        if name is None:
            name = wanted
            while name in self.names or keyword.iskeyword(name):
                name = f"{wanted}{self._wanted[wanted]}"
                self._wanted[wanted] += 1
            self.names[name] = thing
            self._given[key] = name
        return name

    def dtype(self, x: np.dtype[Any]) -> str:
        """Return a global name for a dtype: its own in any byte order, which ``str`` writes as ``>f8``."""
        return self.name(x, f"{x.name}_dtype")

    def number(self, x: float, dtype: np.dtype[Any]) -> str:
        """Return a global name for a number as an array without axes: ``k100`` for 100."""
        wanted = "k" + "".join(c if c.isalnum() else "_" for c in f"{x:g}".replace("-", "m"))
        found = self._numbers.get((wanted, str(x), dtype.char))
        if found is None:
            array = np.array(x, dtype)
            array.setflags(write=False)
            found = self._numbers[wanted, str(x), dtype.char] = self.name(array, wanted)
        return found

    def function(self, f: Callable[..., Any], name: str) -> str:
        """Return a global name for a function: a ufunc's own, else that of its primitive."""
        clean = "".join(c if c.isalnum() else "_" for c in (f.__name__ if isinstance(f, np.ufunc) else name))
        return self.name(f, clean if clean.isidentifier() else "function")

    def literal(self, x: Any) -> str:
        """Return ``x`` as Python source, or a global name for it."""
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
        """Return the expression that puts the results into their containers."""
        marks = [object() for _ in results]
        text = _tuples(graph.rebuild(list(marks)), {id(m): r for m, r in zip(marks, results, strict=True)})
        return text or f"{self.name(graph.rebuild, 'arrange')}([{', '.join(results)}])"

    def index(self, x: Any) -> str:
        """Return the source of an index, without brackets."""
        parts = x if isinstance(x, tuple) and x else (x,)
        if not is_basic(x) or (isinstance(x, tuple) and not x):
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
    """Write the ``def`` line and the checks of the arguments."""
    called = f"again({', '.join(inputs)})"
    source.lines.append(f"def {name}({', '.join([*inputs, '*', 'again=again'])}):")
    tests = []
    for x, leaf in zip(inputs, leaves, strict=True):
        cls = source.function(type(leaf), type(leaf).__name__)
        tests.append(f"{x}.__class__ is not {cls}")
        if isinstance(leaf, np.ndarray):
            tests.append(f"{x}.shape != {leaf.shape}")
            tests.append(f"{x}.dtype is not {source.dtype(leaf.dtype)}")
    if tests:
        source.lines += [f"    if {' or '.join(tests)}:", f"        return {called}"]


def statement(source: Source, op: Op, names: dict[Op, str], out: str | None) -> list[str]:
    """Return the lines that compute an operation; ``out`` is an array to write into."""
    wide = isinstance(op.function, np.ufunc) and op.shape
    args = [operand(source, a, op, names) if wide else _argument(source, a, names) for a in op.args]
    target = names[op]
    if op.name == "scatter" and "views" not in op.kwargs:
        return _scatter(source, op, args, target)
    return [f"{target} = {_expression(source, op, args, out)}"]


def _argument(source: Source, a: Any, names: Mapping[Op, str]) -> str:
    return names[a] if isinstance(a, Op) else source.literal(a)


def operand(source: Source, a: Any, op: Op, names: Mapping[Op, str]) -> str:
    """Return an argument of ``op``, a ufunc with an array result.

    A ufunc makes an array of a number first. Given as an array without axes it takes 0.9 us instead of 1.5 for 2000
    products.
    """
    if isinstance(a, Op):
        return source.unboxed.get(a) or names[a]
    if a.__class__ in (int, float) and op.function in _BESIDE_NUMBERS and abs(a) <= _EXACT:
        dtypes = {x.dtype for x in op.args if isinstance(x, (Op, np.ndarray))}
        if len(dtypes) == 1 and not dtypes.isdisjoint(FLOATS):
            return source.number(a, dtypes.pop())
    return source.literal(a)


def _expression(source: Source, op: Op, args: list[str], out: str | None) -> str:
    if isinstance(op.function, np.ufunc) and not op.kwargs:
        if out is not None:
            return elementwise_text(source, op, args, out)
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
    """Return lines that make zeros and add the parts at their places."""
    kwargs = op.kwargs
    dtype = source.dtype(kwargs["dtype"])
    if _starts_with_a_slice(op):
        return _scatter_slices(source, op, args, target, dtype)
    if _is_every_entry(op):
        # As if added to zeros: -0.0 becomes 0.0.
        placed = dict(zip(kwargs["indices"], args, strict=True))
        entries = ", ".join(f"0.0 + {placed[i]}" for i in range(len(args)))
        return [f"{target} = {source.function(np.array, 'array')}(({entries},))"]
    lines = [f"{target} = {source.function(np.zeros, 'zeros')}({kwargs['shape']}, {dtype})"]
    for index, part in zip(kwargs["indices"], args, strict=True):
        if is_basic(index):
            lines.append(f"{target}[{source.index(index)}] += {part}")
        else:
            lines.append(f"{source.name(_ADD_AT, 'add_at')}({target}, {source.literal(index)}, {part})")
    return lines


def _starts_with_a_slice(op: Op) -> bool:
    """Return whether the first part fills most of a vector, so that writing it first saves writing zeros."""
    index, part = op.kwargs["indices"][0], op.args[0]
    plain = isinstance(index, slice) and index.step in (None, 1) and all(map(is_basic, op.kwargs["indices"]))
    alike = isinstance(part, Op) and len(part.shape) == 1 and part.dtype == op.dtype
    return plain and alike and len(op.shape) == 1 and 2 * part.size > op.size


def _is_every_entry(op: Op) -> bool:
    """Return whether the parts are the entries of a short vector, each once."""
    indices = op.kwargs["indices"]
    numbers = all(isinstance(a, Op) and a.scalar and a.dtype == op.dtype for a in op.args) and op.dtype in FLOATS
    return numbers and len(op.shape) == 1 and all(i.__class__ is int for i in indices) and _permutes(indices, op.size)


def _permutes(indices: Sequence[int], n: int) -> bool:
    return n <= _FEW and sorted(indices) == list(range(n))


def _scatter_slices(source: Source, op: Op, args: list[str], target: str, dtype: str) -> list[str]:
    (n,), indices = op.shape, op.kwargs["indices"]
    start, stop, _ = indices[0].indices(n)
    lines = [f"{target} = {source.function(np.empty, 'empty')}({n}, {dtype})"]
    # As if added to zeros: -0.0 becomes 0.0.
    lines.append(f"{source.function(np.add, 'add')}({args[0]}, 0.0, {target}[{start}:{stop}])")
    lines += [f"{target}[:{start}] = 0.0"] if start else []
    lines += [f"{target}[{stop}:] = 0.0"] if stop < n else []
    return lines + [f"{target}[{source.index(i)}] += {x}" for i, x in zip(indices[1:], args[1:], strict=True)]


def _getitem(source: Source, op: Op, args: list[str]) -> str:
    if (flat := _flat_index(op)) is not None:
        return f"{args[0]}.take({source.name(flat, f'c{len(source.names)}')})"
    return f"{args[0]}[{args[1] if isinstance(op.args[1], Op) else source.index(op.args[1])}]"


def _flat_index(op: Op) -> Any:
    """Return constant integers for every axis as places in the flat array, in a third of the time; else None."""
    x, index = op.args
    if not isinstance(x, Op) or x.dtype is None or index.__class__ is not tuple or len(index) != len(x.shape):
        return None
    arrays = [i for i in index if isinstance(i, np.ndarray) and i.dtype.kind in "iu"]
    if len(arrays) < len(index) or not op.shape or not x.size:
        return None
    within = [np.where(i < 0, i + n, i) for i, n in zip(index, x.shape, strict=True)]
    return np.ravel_multi_index(np.broadcast_arrays(*within), x.shape)


def _total(source: Source, op: Op, args: list[str]) -> str | None:
    axis, keepdims = op.kwargs.get("axis"), op.kwargs.get("keepdims", False)
    flat = isinstance(op.args[0], Op) and len(op.args[0].shape) == 1 and not keepdims
    if len(args) > 1 or op.args[0].__class__ is not Op:
        return None
    tail = "" if flat else f", {source.literal(axis)}" + (", keepdims=True" if keepdims else "")
    return f"{source.name(ADD_REDUCE, 'add_reduce')}({args[0]}{tail})"


def _matmul(source: Source, op: Op, args: list[str]) -> str | None:  # noqa: ARG001
    both = [len(np.shape(a)) if not isinstance(a, Op) else len(a.shape) for a in op.args]
    return f"{args[0]}.dot({args[1]})" if both[0] in (1, 2) and both[1] in (1, 2) else None


def _dot(source: Source, op: Op, args: list[str]) -> str | None:
    product = (
        f"{args[0]}.dot({args[1]})" if op.function is np.dot else f"{source.name(np.vdot, 'vdot')}({', '.join(args)})"
    )
    # A sum begins with 0.0 and so is never -0.0. NumPy's dot products begin with it too, but for single entries.
    return f"{product} + 0.0" if op.inputs[0].size == 1 else product


def _asked(source: Source, op: Op, args: list[str]) -> str | None:  # noqa: ARG001
    """Write `numpy.any` and `numpy.all` of booleans as methods, in half of the time."""
    x = op.args[0]
    plain = isinstance(x, Op) and x.dtype == bool and not x.scalar and len(args) == 1 and not op.kwargs
    return f"{args[0]}.{op.name}()" if plain else None


def _counted(source: Source, op: Op, args: list[str]) -> str | None:
    """Count the entries of a long array that are not zero by a comparison, in half of the time: 2.1 us of 10 000."""
    x = op.args[0]
    if not isinstance(x, Op) or x.dtype not in FLOATS or x.size < _LONG or len(args) > 1 or op.kwargs:
        return None
    return f"{source.function(np.count_nonzero, op.name)}({args[0]} != {source.number(0, x.dtype)})"


def _reshaped(source: Source, op: Op, args: list[str]) -> str | None:  # noqa: ARG001
    x = op.args[0]
    plain = isinstance(x, Op) and not x.scalar and len(args) == 2 and not op.kwargs
    return f"{args[0]}.reshape({args[1]})" if plain else None


def _stack(source: Source, op: Op, args: list[str]) -> str | None:
    """Write a stack of numbers as an array of them, in a tenth of the time of `numpy.stack`."""
    numbers = all(isinstance(a, Op) and a.scalar and a.dtype == op.dtype for a in op.args) and op.dtype in FLOATS
    if not numbers or len(args) > _FEW or set(op.kwargs) - {"axis"}:
        return None
    return f"{source.function(np.array, 'array')}(({', '.join(args)},))"


def _mean(source: Source, op: Op, args: list[str]) -> str | None:
    """Write the mean of all float entries without the overhead of `numpy.mean`."""
    x = op.args[0]
    if not isinstance(x, Op) or x.scalar or op.kwargs or len(args) > 1 or op.dtype not in (np.float32, np.float64):
        return None
    return f"{source.name(ADD_REDUCE, 'add_reduce')}({args[0]}, None) / {x.size}" if x.size else None


def _entry(source: Source, op: Op, args: list[str]) -> str:  # noqa: ARG001
    return f"{args[0]}[{args[1]}]"


def _sequence(source: Source, op: Op, args: list[str]) -> str:  # noqa: ARG001
    return f"({', '.join(args)},)"


def _transposed(source: Source, op: Op, args: list[str]) -> str | None:  # noqa: ARG001
    return f"{args[0]}.T" if len(args) == 1 else None


_SPECIAL: dict[str, Callable[[Source, Op, list[str]], str | None]] = {
    "getitem": _getitem,
    "pick": _getitem,
    "sum": _total,
    "matmul": _matmul,
    "dot": _dot,
    "mean": _mean,
    "transpose": _transposed,
    "stack": _stack,
    "any": _asked,
    "all": _asked,
    "reshape": _reshaped,
    "count_nonzero": _counted,
    "entry": _entry,
    "sequence": _sequence,
}


def elementwise_text(source: Source, op: Op, args: Sequence[str], out: str) -> str:
    """Return a call of a ufunc that writes into ``out``."""
    # NumPy warns of a third argument of these two.
    written = f"out={out}" if op.function in (np.maximum, np.minimum) else out
    return f"{source.function(op.function, op.name)}({', '.join([*args, written])})"
