"""The transpose of a linear function: how a VJP rule becomes a JVP rule, and a JVP rule a VJP rule.

A backward sweep through a linear function ``L`` computes ``L^T g``, whatever the input is. A VJP rule is linear in its
cotangent and computes ``g -> J^T g``, so that a sweep through the *rule* computes ``t -> J t``: the JVP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import lift
from autodiff_compare.backends.numpy_autodiff.core.reverse import consume_back, take_flow
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant


def transpose(linear: Callable[[Any], Any], like: Any, t: Any) -> Any:
    """Apply the transpose of ``linear`` to ``t``.

    Parameters
    ----------
    linear
        A linear function of something like ``like``. It returns one array, or None for zero.
    like
        An array or a tuple of arrays.
    t
        An array shaped like the result of ``linear``.

    Raises
    ------
    TypeError
        If the function does not depend on its argument, but is not zero.

    Returns
    -------
    An array shaped like ``like``; for a tuple, a list with None for zero.
    """
    trace = Trace()
    several = isinstance(like, tuple)
    inputs = [lift(_zeros(part), trace) for part in (like if several else (like,))]
    out = linear(inputs if several else inputs[0])
    trace.close()
    if isinstance(out, Node) and out.tape is trace:
        out.flow = t
        consume_back(trace.nodes)
    elif out is not None and np.any(np.abs(constant(out)) > 0):
        # Of zeros, a linear function is zero.
        raise TypeError(
            "got a derivative rule that does not depend on its cotangent or tangent, expected a function that is "
            "linear in it: multiply by it, or give both vjp= and jvp="
        )
    found = [take_flow(node) for node in inputs]
    if several:
        return found
    return _zeros(like) if found[0] is None else found[0]


def _zeros(like: Any) -> Any:
    like = constant(like)
    return np.zeros_like(like)[()] if like.shape == () else np.zeros_like(like)
