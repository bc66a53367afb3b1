"""The transform of Taylor mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant, ended
from autodiff_compare.backends.numpy_autodiff.taylor.curve import Curve
from autodiff_compare.backends.numpy_autodiff.transforms.arguments import check_arguments
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import Function
from autodiff_compare.backends.numpy_autodiff.transforms.recording import differentiable, direction


def taylor(f: Function, args: Sequence[Any], directions: Sequence[Any], order: int) -> tuple[Any, ...]:
    """Return the Taylor coefficients of ``t -> f(args + t directions)`` at t = 0.

    One pass through the function, which takes about ``order^2 / 2`` times as many operations on arrays. Where a slope
    is infinite, the coefficients from there on are infinite or nan.

    Parameters
    ----------
    f
        A function of arrays that returns one array.
    args, directions
        Tuples with one entry per argument.
    order
        The highest power of t, 0 or more.

    Returns
    -------
    tuple
        ``order + 1`` arrays shaped like the output. The k-th derivative along the direction is ``k!`` times the k-th.

    Raises
    ------
    ValueError
        If the order is negative, or a direction is not shaped like its argument.
    TypeError
        If an argument is not floating or complex, or the output is not one array.
    """
    check_arguments(args, "taylor")
    if order < 0:
        raise ValueError(f"got order {order}, expected 0 or more")
    inputs, rebuild = flatten(tuple(args))
    leaves = [differentiable(x) for x in inputs]
    parts = flatten(tuple(directions))[0]
    if len(parts) != len(leaves):
        raise ValueError(f"got {len(parts)} directions, expected {len(leaves)}: pass one per argument, shaped like it")
    curve = Curve(order)
    nodes = [curve.lift(x, [direction(t, x, "direction")]) for x, t in zip(leaves, parts, strict=True)]
    try:
        out = f(*rebuild(nodes))
    finally:
        curve.record = ended
    if isinstance(out, (tuple, list, dict)):
        raise TypeError(f"got an output of type {type(out).__name__}, expected one array: stack or concatenate it")
    found = curve.of(out)
    zero = np.zeros_like(np.asarray(constant(found[0])))[()]
    return tuple(zero.copy() if c is None else c for c in found)
