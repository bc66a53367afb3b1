"""Forward-mode derivatives inside an objective, to be differentiated again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Var = Any


def forward_derivative(f: Callable[[Var], Var], outermost: Callable[[], bool]) -> Callable[[Var], Var]:
    """The gradient of a scalar function of one array by one directional derivative per entry.

    `tf.autodiff.ForwardAccumulator` is used where nothing differentiates the derivative, and two tapes elsewhere
    (the tangent is the transpose of the pull-back): TensorFlow 2.21 differentiates an accumulator wrongly and
    says nothing. At x = 1.5 the third derivative of x^4 is 36; a tape over two accumulators gives 12 in a graph
    and an `InternalError` op by op, three accumulators give 31 op by op, and a tape over an accumulator over
    a `tf.while_loop` gives 0 in a graph. Through the gradient of a while loop a graph has no forward mode (TypeError).
    """

    def derivative(x: Var) -> Var:
        x = tf.identity(x)  # a tape or accumulator knows a tensor by its identity, and ``f`` may hold this one
        n = x.shape.num_elements()
        if n == 0:
            return tf.zeros_like(x)
        units = tf.unstack(tf.reshape(tf.eye(n, dtype=x.dtype), (n, *x.shape)))
        if not outermost():
            return _by_two_tapes(f, x, units)
        try:
            slopes = tf.stack([_tangent(f, x, unit) for unit in units])
        except (TypeError, SystemError):  # the latter is the former, raised on the way through C
            return _by_two_tapes(f, x, units)
        return tf.reshape(slopes, x.shape)

    return derivative


def _tangent(f: Callable[[Var], Var], x: Var, t: Var) -> Var:
    with tf.autodiff.ForwardAccumulator(x, t) as forward:
        y = tf.convert_to_tensor(f(x))
    return tf.convert_to_tensor(forward.jvp(y, unconnected_gradients=tf.UnconnectedGradients.ZERO))


def _by_two_tapes(f: Callable[[Var], Var], x: Var, units: list[Var]) -> Var:
    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            y = tf.convert_to_tensor(f(x))
        cotangent = tf.zeros_like(y)
        outer.watch(cotangent)
        pulled = tf.convert_to_tensor(inner.gradient(y, x, cotangent, unconnected_gradients=zero))
    slopes = [outer.gradient(pulled, cotangent, unit, unconnected_gradients=zero) for unit in units]
    return tf.reshape(tf.stack([tf.convert_to_tensor(slope) for slope in slopes]), x.shape)
