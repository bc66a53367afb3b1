"""The graph of a function as text, in the DOT language, and as counts of calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant
from autodiff_compare.backends.numpy_autodiff.transforms.recording import Recording


def recorded(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[dict[int, str], list[Node], Recording]:
    """Record ``f(*args)`` and name its nodes by identity: inputs x0, x1, ..., results v0, v1, ... in order."""
    r = Recording(Trace(), args, range(len(args))).call(f)
    names = {id(node): f"x{i}" for i, node in enumerate(r.inputs)}
    names |= {id(node): f"v{i}" for i, node in enumerate(r.tape.nodes)}
    return names, r.tape.nodes, r


def form(node: Node) -> str:
    value = constant(node.primal)
    if isinstance(value, tuple):
        return "(" + ", ".join(f"{part.dtype}{list(part.shape)}" for part in value) + ")"
    return f"{value.dtype}{list(value.shape)}"


def argument(x: Any, names: dict[int, str]) -> str:
    if isinstance(x, Node):
        return names.get(id(x), "outer")
    shape = getattr(x, "shape", None)
    return f"const{list(shape)}" if shape else repr(x)


def _lines(f: Callable[..., Any], args: tuple[Any, ...]) -> Iterator[str]:
    names, nodes, r = recorded(f, args)
    for node in r.inputs:
        yield f"{names[id(node)]}: {form(node)} = input"
    for node in nodes:
        given = [argument(a, names) for a in node.args] + [f"{k}={v!r}" for k, v in node.call.kwargs.items()]
        yield f"{names[id(node)]}: {form(node)} = {node.call.primitive.name}({', '.join(given)})"
    yield "return " + ", ".join(argument(leaf, names) for leaf in r.outputs)


def graph_text(f: Callable[..., Any], *args: Any) -> str:
    """Return one line per recorded operation of ``f(*args)``, with dtype and shape.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff_compare.backends.numpy_autodiff import graph_text
    >>> print(graph_text(lambda x: np.sum(x * x + 1.0), np.ones(3)))
    x0: float64[3] = input
    v0: float64[3] = multiply(x0, x0)
    v1: float64[3] = add(v0, 1.0)
    v2: float64[] = sum(v1)
    return v2
    """
    return "\n".join(_lines(f, args))


def graph_dot(f: Callable[..., Any], *args: Any) -> str:
    """Return the graph of ``f(*args)`` in the DOT language; ``dot -Tsvg`` draws it."""
    names, nodes, r = recorded(f, args)
    lines = ["digraph {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f'  {names[id(n)]} [label="{names[id(n)]}\\n{form(n)}", shape=ellipse];' for n in r.inputs]
    for node in nodes:
        name = names[id(node)]
        lines.append(f'  {name} [label="{node.call.primitive.name}\\n{form(node)}"];')
        lines += [f"  {names[id(node.args[i])]} -> {name};" for i in node.call.where]
    return "\n".join([*lines, "}"])


def primitive_counts(f: Callable[..., Any], *args: Any) -> dict[str, int]:
    """Count the recorded calls of each primitive in ``f(*args)``, most frequent first."""
    _, nodes, _ = recorded(f, args)
    return dict(Counter(node.call.primitive.name for node in nodes).most_common())
