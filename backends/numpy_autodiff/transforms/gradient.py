"""Gradients of scalar functions, in reverse mode: record once, then sweep back once, whatever the number of inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.ownership import release
from autodiff_compare.backends.numpy_autodiff.core.reach import protect, steep
from autodiff_compare.backends.numpy_autodiff.core.reverse import consume_back
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant
from autodiff_compare.backends.numpy_autodiff.transforms.arguments import Argnums, placed, positions
from autodiff_compare.backends.numpy_autodiff.transforms.recording import Recording

Function = Callable[..., Any]


def _scalar_output(r: Recording) -> Any:
    """Return the output, if it is one real scalar."""
    leaf = r.outputs[0] if len(r.outputs) == 1 else None
    if isinstance(leaf, Node) and leaf.primal.__class__ is np.float64:
        return leaf
    shape: Any = np.shape(constant(r.value(leaf))) if leaf is not None else f"a container of {len(r.outputs)}"
    if leaf is None or shape != ():
        raise ValueError(f"got an output of shape {shape}, expected a scalar: use jacobian or vjp, or sum it")
    if constant(r.value(leaf)).__class__ is complex or getattr(leaf, "dtype", np.dtype(float)).kind == "c":
        raise TypeError("got a complex output, expected a real one: take np.real or np.abs, or use vjp")
    return leaf


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return a function of the same arguments that gives ``(f(x), gradient)``.

    The gradient is a container like the differentiated argument, or a tuple of such for several ``argnums``. With
    ``has_aux`` the result is ``((f(x), aux), gradient)``.

    Raises
    ------
    ValueError
        If ``argnums`` names an argument twice. When called, if the output is not a scalar or an argument is missing.
    TypeError
        When called, if a differentiated argument is not floating or complex, or the output is complex or no number.
    """
    where, alone = positions(argnums)
    in_order = sorted(where)
    from_end, last = (in_order[0] < 0, in_order[-1]) if in_order else (False, -1)

    def both(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        held: list[Any] = []
        at: Any = where
        given: Any = args
        named: Any = kwargs
        if last >= len(args) or from_end:
            at, given, named = placed(f, where, args, kwargs)
        try:
            trace = Trace()
            trace.held = held
            r = Recording(trace, given, at).call(f, named, has_aux)
            leaf = value = _scalar_output(r)
            if isinstance(leaf, Node) and leaf.tape is trace:
                value = leaf.primal
                if trace.watched and steep(trace.watched):
                    protect(trace.nodes, [(leaf, True)])
                leaf.flow = 1.0 if value.__class__ is np.float64 else constant(value).dtype.type(1)
                consume_back(trace.nodes)
            leaves = r.gradients()
            found = tuple(leaves) if r.bare else r.input_trees(leaves)
        finally:
            if held:
                release(held)
        gradient = found[0] if alone else found
        return ((value, r.aux) if has_aux else value), gradient

    return both


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return a function that gives the gradient of ``f``, or ``(gradient, aux)``; see `value_and_grad`."""
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient
