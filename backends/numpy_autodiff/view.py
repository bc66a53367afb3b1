"""The graph of a function, to be looked at: as text, as DOT, as SVG, and as counts of calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from backends.numpy_autodiff.drawing import Box, svg
from backends.numpy_autodiff.recording import Recording
from backends.numpy_autodiff.tracing import Node, constant

#: Characters of a constant in a drawing.
_LONGEST = 24


def _recorded(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[dict[int, str], list[Node], Recording]:
    """Names of the nodes by identity: inputs x0, x1 and results v0, v1, in order."""
    r = Recording(f, args, range(len(args)))
    names = {id(node): f"x{i}" for i, node in enumerate(r.inputs)}
    names |= {id(node): f"v{i}" for i, node in enumerate(r.tape.nodes)}
    return names, r.tape.nodes, r


def _form(node: Node) -> str:
    value = constant(node.primal)
    if isinstance(value, tuple):
        return "(" + ", ".join(f"{part.dtype}{list(part.shape)}" for part in value) + ")"
    return f"{value.dtype}{list(value.shape)}"


def _argument(x: Any, names: dict[int, str]) -> str:
    if isinstance(x, Node):
        return names.get(id(x), "outer")
    shape = getattr(x, "shape", None)
    return f"const{list(shape)}" if shape else repr(x)


def _lines(f: Callable[..., Any], args: tuple[Any, ...]) -> Iterator[str]:
    names, nodes, r = _recorded(f, args)
    for node in r.inputs:
        yield f"{names[id(node)]}: {_form(node)} = input"
    for node in nodes:
        given = [_argument(a, names) for a in node.args] + [f"{k}={v!r}" for k, v in node.call.kwargs.items()]
        yield f"{names[id(node)]}: {_form(node)} = {node.call.primitive.name}({', '.join(given)})"
    yield "return " + ", ".join(_argument(leaf, names) for leaf in r.outputs)


def graph_text(f: Callable[..., Any], *args: Any) -> str:
    """One line per recorded operation of ``f(*args)``, with dtype and shape.

    Examples
    --------
    >>> import numpy as np
    >>> from backends.numpy_autodiff import graph_text
    >>> print(graph_text(lambda x: np.sum(x * x + 1.0), np.ones(3)))
    x0: float64[3] = input
    v0: float64[3] = multiply(x0, x0)
    v1: float64[3] = add(v0, 1.0)
    v2: float64[] = sum(v1)
    return v2
    """
    return "\n".join(_lines(f, args))


def graph_dot(f: Callable[..., Any], *args: Any) -> str:
    """The graph of ``f(*args)`` in the DOT language; ``dot -Tsvg`` draws it."""
    names, nodes, r = _recorded(f, args)
    lines = ["digraph {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f'  {names[id(n)]} [label="{names[id(n)]}\\n{_form(n)}", shape=ellipse];' for n in r.inputs]
    for node in nodes:
        name = names[id(node)]
        lines.append(f'  {name} [label="{node.call.primitive.name}\\n{_form(node)}"];')
        lines += [f"  {names[id(node.args[i])]} -> {name};" for i in node.call.where]
    return "\n".join([*lines, "}"])


def graph_svg(f: Callable[..., Any], *args: Any) -> str:
    """The graph of ``f(*args)`` as an SVG drawing, to be written to a file or shown in a notebook.

    One box for each input and each recorded operation, with its name, its constants, and the dtype and shape of the
    result; results are framed. Arguments stand above what is made of them.

    Examples
    --------
    >>> import numpy as np
    >>> from backends.numpy_autodiff import graph_svg
    >>> drawing = graph_svg(lambda x: np.sum(x * x + 1.0), np.ones(3))
    >>> drawing[:4], drawing.count("<rect"), drawing.count("<path")
    ('<svg', 4, 4)
    """
    names, nodes, r = _recorded(f, args)
    results = {id(leaf) for leaf in r.outputs}
    boxes: dict[str, Box] = {}
    for node in r.inputs:
        name = names[id(node)]
        boxes[name] = Box((name, _form(node)), kind="output" if id(node) in results else "input")
    for node in nodes:
        boxes[names[id(node)]] = Box(
            (_call(node, names), _form(node)),
            tuple(names[id(node.args[i])] for i in node.call.where),
            "output" if id(node) in results else "",
        )
    title = f"{getattr(f, '__name__', type(f).__name__)}: inputs {len(r.inputs)}, operations {len(nodes)}"
    return svg(boxes, title)


def _call(node: Node, names: dict[int, str]) -> str:
    """An operation, with its constants where it has some; the curves say the rest."""
    traced = node.call.where
    given = ["." if i in traced else _shortened(_constant(a, names)) for i, a in enumerate(node.args)]
    given += [f"{k}={_shortened(repr(v))}" for k, v in node.call.kwargs.items()]
    plain = all(g == "." for g in given)
    return node.call.primitive.name if plain else f"{node.call.primitive.name}({', '.join(given)})"


def _constant(x: Any, names: dict[int, str]) -> str:
    if isinstance(x, slice):
        ends = f"{'' if x.start is None else x.start}:{'' if x.stop is None else x.stop}"
        return ends if x.step is None else f"{ends}:{x.step}"
    return ", ".join(_constant(part, names) for part in x) if isinstance(x, tuple) else _argument(x, names)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def primitive_counts(f: Callable[..., Any], *args: Any) -> dict[str, int]:
    """How often each primitive is recorded in ``f(*args)``, most frequent first."""
    _, nodes, _ = _recorded(f, args)
    return dict(Counter(node.call.primitive.name for node in nodes).most_common())
