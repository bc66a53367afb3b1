"""One function call under a trace: inputs wrapped, outputs collected; what every transform begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backends.numpy_autodiff.core.broadcasting import cast, fit, spread
from backends.numpy_autodiff.core.cotangent import Scatter
from backends.numpy_autodiff.core.ownership import ADVICE, copied, keep, keep_all, own
from backends.numpy_autodiff.core.primitive import lift
from backends.numpy_autodiff.core.pytree import Rebuild, flatten
from backends.numpy_autodiff.core.tracing import Node, Trace, constant, ended

_DOUBLE = np.dtype(float)
_float64, _ndarray = np.float64, np.ndarray


def differentiable(x: Any, what: str = "argument") -> Any:
    """``x`` as an array or NumPy scalar (or a variable as it is).

    Raises
    ------
    TypeError
        If it is not of a floating or complex dtype.
    """
    if x.__class__ is _float64 or isinstance(x, Node):
        return x
    array = np.asarray(x)
    if array.dtype.kind not in "fc":
        raise TypeError(
            f"got a differentiated {what} of dtype {array.dtype}, expected floating or complex numbers: integers and "
            "booleans have no derivative; pass x.astype(float), or leave it out of argnums"
        )
    return array if array.shape else array[()]


def direction(leaf: Any, like: Any, what: str) -> Any:
    """A tangent or cotangent of the right shape, in the dtype of what it belongs to."""
    leaf = leaf if isinstance(leaf, Node) else np.asarray(leaf)[()]
    if leaf.shape != like.shape:
        raise ValueError(
            f"got a {what} of shape {leaf.shape}, expected {like.shape}: "
            "tangents are shaped like the arguments, cotangents like the output"
        )
    return cast(leaf, like.dtype)


def _taken(array: Any, held: list[Any] | None, outlives: bool) -> Any:
    """What an input array is recorded as: itself, held, or a copy where the recording is used after the call."""
    return array if held is None else array.copy() if outlives else keep(held, array)


def _first(leaves: list[Any]) -> Any:
    return leaves[0]


_ALONE: tuple[int, Rebuild] = (1, _first)


class Recording:
    """The graph of ``f(*args)``, with the leaves of its differentiated arguments and of its output.

    Parameters
    ----------
    f, args, kwargs
        The call.
    argnums
        Positions of the differentiated arguments.
    trace
        An open trace; it is closed when ``f`` has returned.
    tangents
        One per leaf, to be pushed while recording, or None.
    has_aux
        ``f`` returns ``(output, aux)``; ``aux`` is kept as plain values of the level below.
    held
        An empty list, for the arrays that are held until the sweep is over: the caller releases them.
    outlives
        The recording is used after the call: nothing in it is an array that others can write to.
    """

    __slots__ = ("aux", "bare", "inputs", "outputs", "rebuild_inputs", "rebuild_output", "tape", "values")

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        argnums: Sequence[int],
        kwargs: dict[str, Any] | None = None,
        trace: Trace | None = None,
        tangents: Sequence[Any] | None = None,
        has_aux: bool = False,
        held: list[Any] | None = None,
        outlives: bool = False,
    ) -> None:
        self.tape = tape = Trace() if trace is None else trace
        tape.held = held = [] if outlives else held
        given = list(args)
        inputs: list[Any] = []
        values: list[Any] = []
        self.inputs, self.values = inputs, values
        self.rebuild_inputs: list[tuple[int, Rebuild]] = []
        self.bare = True
        for i in argnums:
            value = given[i]
            cls = value.__class__
            if cls is float:
                value = _float64(value)
            elif cls is _ndarray and value.dtype.kind in "fc":
                value = _taken(value, held, outlives) if value.shape else value[()]
            elif cls is not _float64:
                given[i] = self._take(given[i], held, outlives)
                continue
            node = given[i] = lift(value, tape)
            inputs.append(node)
            values.append(value)
            self.rebuild_inputs.append(_ALONE)
        if tangents is not None:
            for node, t in zip(self.inputs, tangents, strict=True):
                node.flow = t
        try:
            out = f(*given, **kwargs) if kwargs else f(*given)
        except ValueError as error:
            if held and "read-only" in str(error):
                error.add_note(ADVICE)
            raise
        finally:
            tape.record = ended
            if outlives and held:
                own(held, tape.nodes)
        self.aux = None
        if has_aux:
            out, aux = out
            leaves, rebuild = flatten(aux)
            plain = [self.value(leaf) for leaf in leaves]
            self.aux = rebuild(list(copied(plain)) if outlives else plain)
        self.outputs: list[Any]
        self.rebuild_output: Rebuild
        self.outputs, self.rebuild_output = ([out], _first) if isinstance(out, Node) else flatten(out)

    def _take(self, tree: Any, held: list[Any] | None, outlives: bool) -> Any:
        """A container of inputs, with variables for its leaves."""
        self.bare = False
        leaves, rebuild = flatten(tree)
        values = [differentiable(leaf) for leaf in leaves]
        if held is not None:
            values = list(copied(values) if outlives else keep_all(held, values))
        nodes = [lift(value, self.tape) for value in values]
        self.inputs += nodes
        self.values += values
        self.rebuild_inputs.append((len(leaves), rebuild))
        return rebuild(nodes)

    def value(self, x: Any) -> Any:
        """``x`` without this trace."""
        return x.primal if isinstance(x, Node) and x.tape is self.tape else x

    def output_value(self) -> Any:
        return self.rebuild_output([self.value(leaf) for leaf in self.outputs])

    def copied_output(self) -> Any:
        """The output, of which no array is one that a later sweep looks at."""
        return self.rebuild_output(list(copied([self.value(leaf) for leaf in self.outputs])))

    def traced(self, leaf: Any) -> bool:
        return isinstance(leaf, Node) and leaf.tape is self.tape

    def input_trees(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """One container per differentiated argument."""
        if self.bare:
            return tuple(leaves)
        trees, start = [], 0
        for count, rebuild in self.rebuild_inputs:
            trees.append(rebuild(list(leaves[start : start + count])))
            start += count
        return tuple(trees)

    def gradients(self, taken: Sequence[Any] = ()) -> list[Any]:
        """Collect the cotangents of the inputs, conjugated for the caller, and no two of them one array."""
        seen = {id(t) for t in taken} if taken else set()
        found: list[Any] = []
        for node, value in zip(self.inputs, self.values):  # noqa: B905 - made together; the check takes time
            g = node.flow
            node.flow = None
            if g.__class__ is float and value.__class__ is _float64:
                found.append(_float64(g))
                continue
            if g.__class__ is not _ndarray or g.dtype is not _DOUBLE or g.dtype is not value.dtype:
                g = _fitted(g, value)
            elif g.shape != value.shape:
                g = fit(g, value)
            if g.__class__ is _ndarray:
                if g.dtype.kind == "c":
                    g = np.conj(g)
                elif id(g) in seen or g.base is not None or not g.flags.writeable:
                    g = g.copy()
                seen.add(id(g))
            found.append(g)
        return found


def _fitted(g: Any, value: Any) -> Any:
    """A cotangent in the shape and dtype of ``value``; where there is none, zeros."""
    if g is None:
        plain = constant(value)
        return np.zeros_like(plain) if plain.shape else plain.dtype.type(0)
    g = g.dense() if g.__class__ is Scatter else spread(g, value) if g.__class__ is float else g
    if g.shape != value.shape or g.dtype != value.dtype:
        g = fit(g, value)
    return g if g.__class__ is _ndarray or g.dtype.kind != "c" else np.conj(g)
