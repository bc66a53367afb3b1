"""Jacobian-vector products: forward mode."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.forward import push_forward, streaming_trace
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.reach import of_seed, steep
from autodiff_compare.backends.numpy_autodiff.core.reverse import clear
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, TraceError, constant
from autodiff_compare.backends.numpy_autodiff.transforms.arguments import check_arguments
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import Function
from autodiff_compare.backends.numpy_autodiff.transforms.recording import Recording, differentiable, direction, record


def jvp(f: Function, args: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple[Any, ...]:
    """Return ``(f(*args), tangent)``, or ``(f(*args), tangent, aux)``, in one pass that keeps no graph.

    The tangents are shaped like the arguments, the tangent like the output.

    Raises
    ------
    ValueError
        If a tangent is not shaped like its argument.
    TypeError
        If an argument is not floating or complex, or the arguments are not in a tuple.
    """
    check_arguments(args, "jvp")
    return pushed(f, args, tangents, None, has_aux)


def pushed(
    f: Function, args: Sequence[Any], tangents: Sequence[Any], masks: Sequence[Any] | None, has_aux: bool = False
) -> tuple[Any, ...]:
    """Compute `jvp`.

    The masks tell which entries of each argument are reached, None for those whose tangent is not zero (see
    `autodiff_compare.backends.numpy_autodiff.core.reach`).
    """
    leaves = [differentiable(leaf) for leaf in flatten(tuple(args))[0]]
    parts = flatten(tuple(tangents))[0]
    if len(parts) != len(leaves):
        raise ValueError(f"got {len(parts)} tangents, expected {len(leaves)}: pass one per argument, shaped like it")
    given = [direction(t, x, "tangent") for t, x in zip(parts, leaves, strict=True)]
    r = Recording(streaming_trace(), args, range(len(args)))
    for node, t, mask in zip(r.inputs, given, map(of_seed, given) if masks is None else masks, strict=True):
        node.flow, node.reached = t, mask
        r.tape.masked |= mask is not True
    r.call(f, None, has_aux)
    out = r.rebuild_output([_tangent(r, leaf) for leaf in r.outputs])
    return (r.output_value(), out, r.aux) if has_aux else (r.output_value(), out)


def _tangent(r: Recording, leaf: Any) -> Any:
    if r.traced(leaf) and leaf.flow is not None:
        flow = leaf.flow
        if isinstance(flow, Node) and flow.tape is r.tape:
            raise TraceError(
                "got a derivative rule that uses a traced value from outside, expected its arguments only: "
                "pass it to the function as an argument"
            )
        return flow
    zero = np.zeros_like(np.asarray(constant(r.value(leaf))))
    return zero if zero.shape else zero[()]


def linearize(f: Function, *args: Any) -> tuple[Any, Function]:
    """Return ``(f(*args), pushforward)``.

    ``pushforward(*tangents)`` returns the tangent of the output without computing ``f`` again.
    """
    r = record(f, args)
    lock = threading.Lock()
    dangerous = bool(r.tape.watched) and steep(r.tape.watched)

    def pushforward(*tangents: Any) -> Any:
        given = flatten(tuple(tangents))[0]
        if len(given) != len(r.inputs):
            raise ValueError(f"got {len(given)} tangents, expected {len(r.inputs)}: pass one per argument")
        with lock:
            for node, t in zip(r.inputs, given, strict=True):
                node.flow = direction(t, node.primal, "tangent")
                node.reached = of_seed(node.flow) if dangerous else True
            try:
                push_forward(r.tape.nodes, dangerous)
                return r.rebuild_output([_tangent(r, leaf) for leaf in r.outputs])
            finally:
                clear(r.tape.nodes)
                clear(r.inputs)

    return r.copied_output(), pushforward
