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
from autodiff_compare.backends.numpy_autodiff.compiler.loop import Body
from autodiff_compare.backends.numpy_autodiff.compiler.rounds import rounds
from autodiff_compare.backends.numpy_autodiff.compiler.source import INFIX, Source, header

#: Functions that do not change the value of a single entry.
_TRIVIAL = frozenset({"reshape", "broadcast_to", "transpose"})
#: Functions that read an argument more than once, or put its expression into others that do.
_SEVERAL = _TRIVIAL | {"loop"}
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
#: Operations in the rounds of a loop that are written one after the other, so that the loop itself takes little time.
_UNROLLED = 48
_RAISES = "(ZeroDivisionError, OverflowError, ValueError)"


def emit(graph: Graph, name: str, leaves: Sequence[Any]) -> Source | None:
    """Write a function on Python floats; None if the graph needs arrays."""
    if not fits(graph) or not all(map(_possible, graph.ops)):
        return None
    if not all(_single(x) if isinstance(x, Op) else _number(x) is not None for x in graph.outputs):
        return None
    source = Source()
    inputs = [f"x{i}" for i in range(len(leaves))]
    header(source, name, inputs, leaves)
    names: dict[Op, str] = {op: f"s{i}" for i, op in enumerate(graph.inputs)}
    source.lines.append(f"    {'; '.join(_number_of(*pair) for pair in zip(inputs, leaves, strict=True))}")
    body = _body(graph, source, names, f"again({', '.join(inputs)})", "v")
    results = [_result(source, x, names) for x in graph.outputs]
    body.append(f"    return {source.arranged(graph, results)}")
    if any(op.name == "divide" or op.name in _MATH for op in _all(graph)):
        again = f"        return again({', '.join(inputs)})"
        body = ["    try:", *(f"    {line}" for line in body), f"    except {_RAISES}:", again]
    source.lines += body
    return source


def fits(graph: Graph) -> bool:
    """Return whether all inputs are single float64 numbers."""
    return bool(graph.inputs) and all(map(_single, graph.inputs))


def _all(graph: Graph) -> list[Op]:
    """Return the operations, and those within loops."""
    return [x for op in graph.ops for x in (op, *(_all(op.kwargs["body"].graph) if op.name == "loop" else ()))]


def _number_of(x: str, leaf: Any) -> str:
    return f"s{x[1:]} = {x}" if leaf.__class__ is float else f"s{x[1:]} = {x}.item()"


def _single(op: Op) -> bool:
    # An element of a sequence of Python floats has no dtype.
    return (op.dtype == np.float64 or (op.dtype is None and op.name == "input")) and op.size == 1


def _number(x: Any) -> float | None:
    """Return a finite constant as a Python float, else None."""
    if x.__class__ in (int, float) or (
        isinstance(x, (np.ndarray, np.generic)) and x.size == 1 and x.dtype.kind in "fi"
    ):
        value = float(x.item() if isinstance(x, (np.ndarray, np.generic)) else x)
        return value if math.isfinite(value) else None
    return None


def _possible(op: Op) -> bool:
    if op.name == "loop":
        return _possible_loop(op)
    if op.name in ("collected", "sequence"):
        return True
    if op.name in ("last", "entry"):
        return _single(op)
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


def _possible_loop(loop: Op) -> bool:
    body: Body = loop.kwargs["body"]
    sequences = [a for a in loop.args[body.carries : body.invariants] if not isinstance(a, Op)]
    numbers = [a for a in (*loop.args, *body.graph.outputs) if not isinstance(a, (Op, tuple, range))]
    return (
        all(_number(x) is not None for a in sequences for x in a)
        and all(_number(x) is not None for x in numbers)
        and all(map(_single, body.graph.inputs))
        and all(map(_possible, body.graph.ops))
    )


def _body(
    graph: Graph, source: Source, names: dict[Op, str], called: str, prefix: str, first: int = 0, end: int = 0
) -> list[str]:
    """Return the statements; the outputs from ``first`` to ``end`` get names of their own."""
    lines = []
    several = [a for op in graph.ops if op.name in _SEVERAL for a in op.inputs]
    uses = Counter([*(a for op in graph.ops for a in op.inputs), *several])
    uses.update(x for x in (*graph.outputs, *graph.outputs[first:end]) if isinstance(x, Op))
    results: dict[Op, list[str]] = {}
    for i, op in enumerate(graph.ops):
        if op.name == "loop":
            more, results[op] = _loop(source, op, names, f"{prefix[1:]}{i}_", called)
            lines += [f"    {line}" for line in more]
            continue
        if op.name in ("last", "collected"):
            names[op] = results[op.args[0]][op.args[1]]
            continue
        args = [names[a] if isinstance(a, Op) else _text(a) for a in op.args if _numeric(a)]
        if op.name == "guard":
            lines += [f"    if {'not ' if op.kwargs['way'] else ''}{args[0]}:"]
            lines += [f"        return {called}"]
            continue
        if op.name in _TRIVIAL:
            names[op] = args[0]
            continue
        text = _expression(source, op, args)
        if uses[op] == 1 and len(text) < _LONGEST:
            # A value that is used once needs no name, which would cost a store and a load.
            names[op] = f"({text})"
            continue
        names[op] = f"{prefix}{i}"
        lines.append(f"    {names[op]} = {text}")
    return lines


def _loop(source: Source, loop: Op, names: dict[Op, str], tag: str, called: str) -> tuple[list[str], list[str]]:
    body: Body = loop.kwargs["body"]

    def write(graph: Graph) -> list[str]:
        return [line[4:] for line in _body(graph, source, names, called, f"v{tag}", body.carries, body.collected)]

    # NumPy's numbers, unlike Python's, would make all results NumPy's.
    loop = loop.with_args([tuple(map(float, a)) if isinstance(a, (tuple, range)) else a for a in loop.args])
    return rounds(source, loop, names, tag, write, _text, max(1, _UNROLLED // max(len(body.graph.ops), 1)))


def _numeric(a: Any) -> bool:
    return isinstance(a, Op) or _number(a) is not None


def _text(x: Any) -> str:
    return repr(_number(x))


def _expression(source: Source, op: Op, args: list[str]) -> str:
    if op.name == "entry":
        return f"{args[0]}[{op.args[1]}]"
    if op.name == "sequence":
        return f"({', '.join(args)},)"
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
