"""Gradients by ``tf.GradientTape`` inside ``tf.function``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import tensorflow as tf


def _scalars(x: Any, y: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch((x, y))
        out = 0.26 * (x * x + y * y) - 0.48 * x * y
    return tape.gradient(out, (x, y))


def _rosenbrock(x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        head = x[:-1]
        out = tf.reduce_sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2)
    return (tape.gradient(out, x),)


def _waves(x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = tf.reduce_sum(tf.sin(x) * x)
    return (tape.gradient(out, x),)


def _layer(A: Any, x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        h = tf.tanh(tf.linalg.matvec(A, x))
        out = tf.reduce_sum(h * h)
    return (tape.gradient(out, x),)


def _bells(x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = tf.reduce_sum(tf.exp(-x * x))
    return (tape.gradient(out, x),)


GRADIENTS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "scalars": tf.function(_scalars),
        "rosenbrock": tf.function(_rosenbrock),
        "waves": tf.function(_waves),
        "layer": tf.function(_layer),
        "bells": tf.function(_bells),
    }
)
