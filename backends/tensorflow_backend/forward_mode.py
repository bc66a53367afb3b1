"""Forward-mode derivatives inside an objective, which may be differentiated again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Var = Any


def forward_derivative(f: Callable[[Var], Var], outermost: Callable[[], bool]) -> Callable[[Var], Var]:
    """Return the gradient of a scalar function of one array, by one directional derivative per entry.

    `tf.autodiff.ForwardAccumulator` is used only where nothing differentiates the result, because TensorFlow 2.21
    differentiates an accumulator wrongly without any error. At x = 1.5 the third derivative of x^4 is 36: a tape over
    two accumulators gives 12 in a graph and an `InternalError` eagerly; three accumulators give 31 eagerly; a tape over
    an accumulator over a `tf.while_loop` gives 0 in a graph. A graph also has no forward mode through the gradient of a
    while loop (TypeError). In these cases two tapes give the directional derivative as the transpose of the pull-back
    (`autodiff_compare.backends.tensorflow_backend.operators` has the formula).

    Parameters
    ----------
    f
        The scalar function.
    outermost
        Returns whether the derivative is being taken with nothing around it that differentiates it.
    """

    def derivative(x: Var) -> Var:
        # A copy, because tapes and accumulators track tensors by their id, and ``f`` may use this tensor itself.
        x = tf.identity(x)
        n = x.shape.num_elements()
        if n == 0:
            return tf.zeros_like(x)
        units = tf.unstack(tf.reshape(tf.eye(n, dtype=x.dtype), (n, *x.shape)))
        if not outermost():
            return _by_two_tapes(f, x, units)
        try:
            slopes = tf.stack([_tangent(f, x, unit) for unit in units])
        except (TypeError, SystemError):  # SystemError: a TypeError that passed through C code
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
