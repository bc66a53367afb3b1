"""Checkpoints: functions that are computed again in the backward sweep instead of keeping their intermediate values.

The second run must compute the same function as the first. What the first run read from outside (an array that was
written to since, another number, random numbers) may have changed. Both runs are therefore watched: the arguments are
lifted onto a trace that keeps no node, but a checksum over every operation and the constants in it. Equal checksums
mean equal derivatives, since a derivative depends on nothing else.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, lift
from autodiff_compare.backends.numpy_autodiff.core.pytree import Rebuild, flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, TraceError, constant, primal
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import pushed
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import recorded


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``f`` as one call that keeps only its arguments: the backward sweep computes it again.

    Raises
    ------
    TraceError
        When called, if ``f`` uses traced values other than its arguments. In the sweep, if the second run is not the
        same computation bit for bit, because an array or number from outside has changed or random numbers were drawn.
    """

    @functools.wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild = flatten((args, kwargs))
        where = tuple(i for i, x in enumerate(leaves) if isinstance(x, Node))
        # A compiler arranges memory itself, and takes values from outside as they are now.
        if not where or any(isinstance(primal(leaves[i]), Node) for i in where):
            return f(*args, **kwargs)
        run = _Run(f, leaves, rebuild, where)
        primitive = Primitive(f"checkpoint({run.name})", run.first, pull=run.pull, push=run.push, steep=_perhaps)
        return run.rebuild_output(primitive(*[leaves[i] for i in run.arrays]))

    return checkpointed


def _perhaps(*_: Any) -> bool:
    """Return True: what is behind a checkpoint may be steep."""
    return True


@final
class _Run:
    """One call of a checkpointed function, which can be repeated."""

    def __init__(self, f: Callable[..., Any], leaves: Sequence[Any], rebuild: Rebuild, where: tuple[int, ...]) -> None:
        self.name = getattr(f, "__name__", type(f).__name__)
        self._f = f
        self._rebuild = rebuild
        self._where = where
        #: Positions of the arguments that the call keeps; the others are no arrays.
        self.arrays = [i for i, x in enumerate(leaves) if isinstance(x, (Node, np.ndarray))]
        self._others = [None if i in self.arrays else x for i, x in enumerate(leaves)]
        self._checksum = 0
        self._outputs: list[Any] = []
        self._variable: list[int] = []
        self._form: Rebuild

    def first(self, *arrays: Any) -> tuple[Any, ...]:
        """Compute those outputs that depend on the traced arguments, and remember the others."""
        self._outputs, self._form, trace, self._checksum = self._watched(arrays)
        self._variable = [k for k, out in enumerate(self._outputs) if isinstance(out, Node) and out.tape is trace]
        found = tuple(self._outputs[k].primal for k in self._variable)
        for k in self._variable:
            self._outputs[k] = None
        if any(isinstance(out, Node) for out in (*found, *self._outputs)):
            raise TraceError(
                f"got a traced value from outside in the checkpoint of {self.name}, expected arguments only: "
                "pass it as one"
            )
        return found

    def rebuild_output(self, variable: Sequence[Any]) -> Any:
        outputs = list(self._outputs)
        for k, out in zip(self._variable, variable, strict=True):
            outputs[k] = out
        return self._form(outputs)

    def again(self, *arrays: Any) -> tuple[Any, ...]:
        """Compute the same outputs again.

        Raises
        ------
        TraceError
            If it is not the same computation.
        """
        outputs, _, trace, checksum = self._watched(arrays)
        if checksum != self._checksum:
            raise TraceError(
                f"got another computation when the checkpoint of {self.name} was run again for its derivative: an "
                "array or number from outside has changed, or random numbers were drawn. Pass as arguments what "
                "changes, and draw random numbers outside"
            )
        found = [outputs[k] for k in self._variable]
        return tuple([out.primal if isinstance(out, Node) and out.tape is trace else out for out in found])

    def _watched(self, arrays: Sequence[Any]) -> tuple[list[Any], Rebuild, Trace, int]:
        watch = _Watch()
        trace = Trace()
        trace.record = watch.see
        given = list(self._others)
        for i, x in zip(self.arrays, arrays, strict=True):
            given[i] = lift(x, trace) if i in self._where else x
        try:
            args, kwargs = self._rebuild(given)
            outputs, form = flatten(self._f(*args, **kwargs))
        finally:
            trace.close()
        return outputs, form, trace, watch.checksum

    def pull(self, node: Any, g: Any) -> None:
        partial, values = self._of_traced(node)
        g = tuple(np.zeros_like(a) if part is None else np.conj(part) for part, a in zip(g, node.primal, strict=True))
        reached = getattr(node, "reached", True)
        masks = reached if isinstance(reached, list) else [reached] * len(g)
        for i, d in zip(node.call.where, recorded(partial, values)[1](g, masks), strict=True):
            parent = node.args[i]
            d = np.conj(d)
            parent.flow = d if parent.flow is None else parent.flow + d

    def push(self, node: Any) -> None:
        partial, values = self._of_traced(node)
        flows = [node.args[i].flow for i in node.call.where]
        tangents = [np.zeros_like(x) if t is None else t for t, x in zip(flows, values, strict=True)]
        masks = [
            t is not None and getattr(node.args[i], "reached", True)
            for i, t in zip(node.call.where, flows, strict=True)
        ]
        node.flow = pushed(partial, values, tangents, masks)[1]

    def _of_traced(self, node: Any) -> tuple[Callable[..., Any], list[Any]]:
        """Return the function of the traced arguments alone, and their values."""
        where = node.call.where

        def partial(*traced: Any) -> Any:
            args = list(node.args)
            for i, x in zip(where, traced, strict=True):
                args[i] = x
            return self.again(*args)

        return partial, [node.args[i].primal for i in where]


@final
class _Watch:
    """The checksum of the operations on a trace."""

    __slots__ = ("checksum",)

    def __init__(self) -> None:
        self.checksum = 0

    def see(self, node: Node) -> None:
        call = node.call
        self._add(call.primitive.name)
        if len(node.args) > len(call.where) or call.kwargs:
            for i, a in enumerate(node.args):
                if i not in call.where:
                    self._add(a)
            self._add(list(call.kwargs.values()))
        if call.primitive.entry is not None:
            # A custom function may read from outside what is no argument of it.
            self._add(tuple(map(constant, node.primal)) if isinstance(node.primal, tuple) else constant(node.primal))
        node.args = ()

    def _add(self, x: Any) -> None:
        if isinstance(x, np.ndarray):
            self._add((x.shape, x.dtype.str))
            data = x.tobytes()
        elif isinstance(x, (tuple, list)):
            for part in x:
                self._add(part)
            return
        elif x is None or x is Ellipsis or isinstance(x, (bool, int, float, complex, str, slice, np.generic)):
            data = repr(x).encode()
        else:
            # Functions and other objects have no value that could be compared.
            return
        self.checksum = zlib.crc32(data, self.checksum)
