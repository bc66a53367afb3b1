"""Emission for graphs of single float64 numbers: Python floats, an order of magnitude faster than NumPy scalars.

An array of one entry is computed as its entry. Python raises where NumPy gives inf or nan (``1 / 0``, ``log(0)``,
``exp(1000)``). The function then returns ``again(...)``, and the next specialisation is made of NumPy operations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op
from autodiff_compare.backends.numpy_autodiff.compiler.source import INFIX, Source, header

#: Functions that do not change the value of a single entry.
_TRIVIAL = frozenset({"reshape", "broadcast_to", "transpose"})
_SUMS = frozenset({"sum", "mean"})
_MATH = {
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "exp": "exp",
    "log": "log",
    "sqrt": "sqrt",
    "tanh": "tanh",
    "sinh": "sinh",
    "cosh": "cosh",
    "arctan": "atan",
    "log1p": "log1p",
    "expm1": "expm1",
}


def _sech2(x: float) -> float:
    e = math.exp(-2.0 * abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def _beyond(x: float) -> float:
    return 1.0 + x * x


#: The slopes of tanh and of arctan, which are functions of the engine's own.
_SLOPES = {"sech2": _sech2, "beyond": _beyond}
#: Characters up to which an expression is put into another.
_LONGEST = 90
_RAISES = "(ZeroDivisionError, OverflowError, ValueError)"


def emit(graph: Graph, name: str, leaves: Sequence[Any]) -> Source | None:
    """Write a function on Python floats; None if the graph needs arrays."""
    if not graph.inputs or not all(map(_single, graph.inputs)) or not all(map(_possible, graph.ops)):
        return None
    if not all(_single(x) if isinstance(x, Op) else _number(x) is not None for x in graph.outputs):
        return None
    source = Source()
    inputs = [f"x{i}" for i in range(len(leaves))]
    header(source, name, inputs, leaves)
    names: dict[Op, str] = {op: f"s{i}" for i, op in enumerate(graph.inputs)}
    source.lines.append(f"    {'; '.join(_number_of(*pair) for pair in zip(inputs, leaves, strict=True))}")
    body = _body(graph, source, names, inputs)
    results = [_result(source, x, names) for x in graph.outputs]
    body.append(f"    return {source.arranged(graph, results)}")
    if any(op.name == "divide" or op.name in _MATH for op in graph.ops):
        again = f"        return again({', '.join(inputs)})"
        body = ["    try:", *(f"    {line}" for line in body), f"    except {_RAISES}:", again]
    source.lines += body
    return source


def _number_of(x: str, leaf: Any) -> str:
    return f"s{x[1:]} = {x}" if leaf.__class__ is float else f"s{x[1:]} = {x}.item()"


def _single(op: Op) -> bool:
    return op.dtype == np.float64 and op.size == 1


def _number(x: Any) -> float | None:
    """Return a finite constant as a Python float, else None."""
    if x.__class__ in (int, float) or (
        isinstance(x, (np.ndarray, np.generic)) and x.size == 1 and x.dtype.kind in "fi"
    ):
        value = float(x.item() if isinstance(x, (np.ndarray, np.generic)) else x)
        return value if math.isfinite(value) else None
    return None


def _possible(op: Op) -> bool:
    if not all(isinstance(a, Op) or _number(a) is not None for a in op.args[: 2 if op.name in INFIX else 1]):
        return False
    if op.name in ("guard", "count_nonzero", "equal"):
        return all(math.prod(a.shape) == 1 for a in op.inputs)
    known = (
        op.name in INFIX
        or op.name in _MATH
        or op.name in _SLOPES
        or op.name in _TRIVIAL | _SUMS
        or op.name in ("negative", "absolute")
    )
    return known and _single(op) and all(map(_single, op.inputs))


def _body(graph: Graph, source: Source, names: dict[Op, str], inputs: list[str]) -> list[str]:
    lines = []
    uses = Counter(a for op in graph.ops for a in (*op.inputs, *(op.inputs if op.name in _TRIVIAL else ())))
    uses.update(x for x in graph.outputs if isinstance(x, Op))
    for i, op in enumerate(graph.ops):
        args = [names[a] if isinstance(a, Op) else repr(_number(a)) for a in op.args[:2] if _numeric(a)]
        if op.name == "guard":
            lines += [f"    if {'not ' if op.kwargs['way'] else ''}{args[0]}:"]
            lines += [f"        return again({', '.join(inputs)})"]
            continue
        if op.name in _TRIVIAL:
            names[op] = args[0]
            continue
        text = _expression(source, op, args)
        if uses[op] == 1 and len(text) < _LONGEST:
            # A value that is used once needs no name, which would cost a store and a load.
            names[op] = f"({text})"
            continue
        names[op] = f"v{i}"
        lines.append(f"    v{i} = {text}")
    return lines


def _numeric(a: Any) -> bool:
    return isinstance(a, Op) or _number(a) is not None


def _expression(source: Source, op: Op, args: list[str]) -> str:
    if op.name in INFIX:
        return f"{args[0]} {INFIX[op.name]} {args[1]}"
    if op.name in _SUMS:
        # NumPy's sums begin with 0.0, so the sum of -0.0 is 0.0.
        return f"{args[0]} + 0.0"
    if op.name in _MATH:
        return f"{source.name(getattr(math, _MATH[op.name]), _MATH[op.name])}({args[0]})"
    if op.name in _SLOPES:
        return f"{source.name(_SLOPES[op.name], op.name)}({args[0]})"
    return {"negative": f"-{args[0]}", "absolute": f"abs({args[0]})", "count_nonzero": f"({args[0]} != 0.0)"}[op.name]


def _result(source: Source, x: Any, names: dict[Op, str]) -> str:
    text = names[x] if isinstance(x, Op) else repr(_number(x))
    shape = x.shape if isinstance(x, Op) else np.shape(x)
    scalar = x.scalar if isinstance(x, Op) else not isinstance(x, np.ndarray)
    if scalar:
        return f"{source.name(np.float64, 'float64')}({text})"
    wrapped = "[" * len(shape) + text + "]" * len(shape)
    return f"{source.name(np.array, 'array')}({wrapped})"
