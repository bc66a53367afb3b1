"""The recording of one function call: inputs lifted to nodes, the call run under a trace, outputs collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import cast, fit, spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import Scatter
from autodiff_compare.backends.numpy_autodiff.core.operands import plain
from autodiff_compare.backends.numpy_autodiff.core.ownership import ADVICE, copied, keep, keep_all, own
from autodiff_compare.backends.numpy_autodiff.core.primitive import lift
from autodiff_compare.backends.numpy_autodiff.core.pytree import Rebuild, flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant, ended

_DOUBLE = np.dtype(float)
_float64, _ndarray = np.float64, np.ndarray


def differentiable(x: Any, what: str = "argument") -> Any:
    """Return ``x`` as an array or NumPy scalar; a node is returned as it is.

    Raises
    ------
    TypeError
        If it is not of a floating or complex dtype, or has labels or a mask, which would be lost.
    """
    if x.__class__ is _float64 or isinstance(x, Node):
        return x
    array = np.asarray(plain(x, f"as a differentiated {what}"))
    if array.dtype.kind not in "fc":
        raise TypeError(
            f"got a differentiated {what} of dtype {array.dtype}, expected floating or complex numbers: integers and "
            "booleans have no derivative; pass x.astype(float), or leave it out of argnums"
        )
    return array if array.shape else array[()]


def direction(leaf: Any, like: Any, what: str) -> Any:
    """Return a tangent or cotangent in the dtype of ``like``, whose shape it must have.

    Raises
    ------
    ValueError
        If the shapes differ.
    TypeError
        If it is complex where ``like`` is real: its imaginary part would be lost.
    """
    leaf = leaf if isinstance(leaf, Node) else np.asarray(leaf)[()]
    if leaf.shape != like.shape:
        raise ValueError(
            f"got a {what} of shape {leaf.shape}, expected {like.shape}: "
            "tangents are shaped like the arguments, cotangents like the output"
        )
    if leaf.dtype.kind == "c" and like.dtype.kind != "c":
        raise TypeError(
            f"got a complex {what} for real numbers of dtype {like.dtype}, expected a real one: "
            "take np.real and np.imag of it, and use one at a time"
        )
    return cast(leaf, like.dtype)


def _check_output(leaf: Any, trace: Trace) -> None:
    """Reject an output whose derivative would be lost.

    Raises
    ------
    TraceError
        If it is a node of an inner trace. Taken for a constant, it would lose what it depends on.
    TypeError
        If it holds no numbers, such as the None of a forgotten return.
    """
    if isinstance(leaf, Node):
        if leaf.tape is not trace and (leaf.tape.record is ended or leaf.tape.level > trace.level):
            ended(leaf)
        return
    array = np.asarray(leaf)
    if array.dtype.kind not in "biufc":
        what = "None" if leaf is None else f"an output of type {type(leaf).__name__}"
        what += " of objects" if isinstance(leaf, _ndarray) and array.dtype.kind == "O" else ""
        raise TypeError(
            f"got {what} from the differentiated function, expected arrays and numbers, or tuples, lists and dicts of "
            "them: return the value to differentiate, and other results with has_aux=True"
        )


def _first(leaves: list[Any]) -> Any:
    return leaves[0]


_ALONE: tuple[int, Rebuild] = (1, _first)


class Recording:
    """The graph of one call of a function: made of its arguments, filled by `call`.

    Parameters
    ----------
    trace
        An open trace. Arrays that are held until the sweep is over are gathered in ``trace.held``, if that is a list;
        the caller releases them.
    args, argnums
        The arguments of the function, and the positions of those to differentiate.
    outlives
        The recording is used after the call, so that arrays which others can write to are copied instead of held.

    Attributes
    ----------
    inputs, values
        One node and its value for each differentiated leaf of the arguments.
    outputs
        The leaves of the output: nodes, or constants.
    aux
        Auxiliary output, as plain values of the level below.
    rebuild_inputs, rebuild_output
        The number of leaves of each differentiated argument with the function that rebuilds its container, and the
        function that rebuilds that of the output.
    bare
        No differentiated argument is a container.
    """

    __slots__ = (
        *("_given", "aux", "bare", "inputs", "outlives", "outputs"),
        *("rebuild_inputs", "rebuild_output", "tape", "values"),
    )

    def __init__(self, trace: Trace, args: Sequence[Any], argnums: Sequence[int], outlives: bool = False) -> None:
        self.tape = trace
        self.outlives = outlives
        if outlives:
            trace.held = []
        held = trace.held
        given = list(args)
        inputs: list[Any] = []
        values: list[Any] = []
        rebuild: list[tuple[int, Rebuild]] = []
        self._given, self.inputs, self.values, self.rebuild_inputs = given, inputs, values, rebuild
        self.bare = True
        for i in argnums:
            value = given[i]
            cls = value.__class__
            if cls is float:
                value = _float64(value)
            elif cls is _ndarray and (value.dtype is _DOUBLE or value.dtype.kind in "fc"):
                if not value.ndim:
                    value = value[()]
                elif held is not None:
                    value = value.copy() if outlives else keep(held, value)
            elif cls is not _float64:
                given[i] = self._lift_tree(value)
                continue
            node = given[i] = lift(value, trace)
            inputs.append(node)
            values.append(value)
            rebuild.append(_ALONE)

    def _lift_tree(self, tree: Any) -> Any:
        """Return a container of inputs with nodes for its leaves."""
        self.bare = False
        leaves, rebuild = flatten(tree)
        values = [differentiable(leaf) for leaf in leaves]
        held = self.tape.held
        if held is not None:
            values = list(copied(values) if self.outlives else keep_all(held, values))
        nodes = [lift(value, self.tape) for value in values]
        self.inputs += nodes
        self.values += values
        self.rebuild_inputs.append((len(leaves), rebuild))
        return rebuild(nodes)

    def call(self, f: Callable[..., Any], kwargs: Mapping[str, Any] | None = None, has_aux: bool = False) -> Recording:
        """Record ``f`` of the arguments and close the trace; with ``has_aux`` it returns ``(output, aux)``."""
        tape = self.tape
        given, self._given = self._given, []
        try:
            out = f(*given, **kwargs) if kwargs else f(*given)
        except ValueError as error:
            if tape.held and "read-only" in str(error):
                error.add_note(ADVICE)
            raise
        finally:
            tape.record = ended
            if self.outlives and tape.held:
                own(tape.held, tape.nodes)
        self.aux = None
        if has_aux:
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise TypeError(
                    f"got an output of type {type(out).__name__} with has_aux=True, expected a pair: "
                    "return (output, aux)"
                )
            out, aux = out
            leaves, rebuild = flatten(aux)
            values = [self.value(leaf) for leaf in leaves]
            self.aux = rebuild(list(copied(values)) if self.outlives else values)
        self.outputs: list[Any]
        self.rebuild_output: Rebuild
        if isinstance(out, Node):
            self.outputs, self.rebuild_output = [out], _first
            if out.tape is not tape:
                _check_output(out, tape)
            return self
        self.outputs, self.rebuild_output = flatten(out)
        for leaf in self.outputs:
            _check_output(leaf, tape)
        return self

    def value(self, x: Any) -> Any:
        """Return ``x``, or its value if it is a node of this trace."""
        return x.primal if isinstance(x, Node) and x.tape is self.tape else x

    def output_value(self) -> Any:
        """Return the output with values in place of nodes."""
        return self.rebuild_output([self.value(leaf) for leaf in self.outputs])

    def copied_output(self) -> Any:
        """Return the output as copies, so that the caller cannot change an array which a later sweep reads."""
        return self.rebuild_output(list(copied([self.value(leaf) for leaf in self.outputs])))

    def traced(self, leaf: Any) -> bool:
        """Return whether an output depends on the inputs."""
        return isinstance(leaf, Node) and leaf.tape is self.tape

    def input_trees(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Return one container of the given leaves per differentiated argument."""
        if self.bare:
            return tuple(leaves)
        trees, start = [], 0
        for count, rebuild in self.rebuild_inputs:
            trees.append(rebuild(list(leaves[start : start + count])))
            start += count
        return tuple(trees)

    def gradients(self, taken: Sequence[Any] = ()) -> list[Any]:
        """Collect the cotangents of the inputs, conjugated for the caller.

        No two of them share memory, nor does one with the arrays of ``taken``.
        """
        seen = {id(t) for t in taken} if taken else set()
        found: list[Any] = []
        for node, value in zip(self.inputs, self.values):  # noqa: B905 - made together; the check takes time
            g = node.flow
            node.flow = None
            if g.__class__ is float and value.__class__ is _float64:
                found.append(_float64(g))
                continue
            if g.__class__ is not _ndarray or g.dtype is not _DOUBLE or value.dtype is not _DOUBLE:
                g = _fitted(g, value)
            elif g.shape != value.shape:
                g = fit(g, value)
            if g.__class__ is _ndarray:
                if g.base is not None or not g.flags.writeable or id(g) in seen:
                    g = g.copy()
                seen.add(id(g))
            found.append(g)
        return found


def _fitted(g: Any, value: Any) -> Any:
    """Return a cotangent in the shape and dtype of ``value``, conjugated; without one, zeros."""
    if g is None:
        plain = constant(value)
        return np.zeros_like(plain) if plain.shape else plain.dtype.type(0)
    g = g.dense() if g.__class__ is Scatter else spread(g, value) if g.__class__ is float else g
    if g.shape != value.shape or g.dtype != value.dtype:
        g = fit(g, value)
    return np.conj(g) if g.dtype.kind == "c" else g


def record(f: Callable[..., Any], args: Sequence[Any], has_aux: bool = False) -> Recording:
    """Record ``f`` differentiated in all of its arguments, for any number of sweeps after the call."""
    return Recording(Trace(), args, range(len(args)), outlives=True).call(f, None, has_aux)
