"""Baselines in TensorFlow: ``tf.GradientTape`` inside ``tf.function``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import tensorflow as tf

#: Parent of each bone, -1 for the root: wrist; five fingers and the forearm; the outer bones of the fingers.
_PARENTS = (-1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)


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


def _layer(x: Any, A: Any) -> Any:
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


def _gmm(alphas: Any, means: Any, factors: Any, points: Any, _: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch((alphas, means, factors))
        out = _mixture(alphas, means, factors, points)
    return tape.gradient(out, (alphas, means, factors))


def _mixture(alphas: Any, means: Any, factors: Any, points: Any) -> Any:
    (k, d), n = means.shape, points.shape[0]
    logarithms, below = factors[:, :d], factors[:, d:]
    entries = [(i, j) for j in range(d) for i in range(j + 1, d)]
    lower = tf.transpose(tf.scatter_nd(entries, tf.transpose(below), (d, d, k)), (2, 0, 1))
    Q = tf.linalg.set_diag(lower, tf.exp(logarithms))
    y = tf.matmul(points - means[:, None], Q, transpose_b=True)
    terms = (alphas + tf.reduce_sum(logarithms, 1))[:, None] - 0.5 * tf.reduce_sum(y**2, 2)
    weights = n * tf.reduce_logsumexp(alphas)
    likelihood = tf.reduce_sum(tf.reduce_logsumexp(terms, 0)) - weights - 0.5 * n * d * math.log(2 * math.pi)
    gammas = d * (d - 1) / 4 * math.log(math.pi) + sum(math.lgamma((d + 1 - j) / 2) for j in range(d))
    return likelihood - (0.5 * tf.reduce_sum(Q**2) - k * (-0.5 * d * (d + 1) * math.log(2) - gammas))


def _lstm(main: Any, extra: Any, state: Any, text: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch((main, extra))
        out = _text_loss(main, extra, state, text)
    return tape.gradient(out, (main, extra))


def _text_loss(main: Any, extra: Any, state: Any, text: Any) -> Any:
    layers, b = state.shape[0] // 2, state.shape[1]

    def step(carry: Any, x: Any) -> Any:
        carry = tf.unstack(carry)
        for i in range(layers):
            h, c = carry[2 * i], carry[2 * i + 1]
            z = tf.concat([x, h, x, h], 0) * main[2 * i] + main[2 * i + 1]
            forget, ingate, outgate = tf.split(tf.sigmoid(z[: 3 * b]), 3)
            c = c * forget + ingate * tf.tanh(z[3 * b :])
            x = outgate * tf.tanh(c)
            carry[2 * i], carry[2 * i + 1] = x, c
        return tf.stack(carry)

    states = tf.scan(step, text[:-1] * extra[0], state)
    y = states[:, -2] * extra[1] + extra[2]
    predicted = y - tf.math.log(2 + tf.reduce_sum(tf.exp(y), 1, keepdims=True))
    return -tf.reduce_mean(text[1:] * predicted)


def _ba(cameras: Any, points: Any, weights: Any, features: Any, camera_of: Any, point_of: Any) -> Any:
    x = tf.concat([tf.gather(cameras, camera_of), tf.gather(points, point_of), weights[:, None]], 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = _reprojections(x, features)
    by_camera, by_point, by_weight = tf.split(tape.batch_jacobian(out, x), (11, 3, 1), 2)
    by_weight = tf.concat([tf.reshape(by_weight, [-1]), -2 * weights], 0)
    return tf.reshape(by_camera, [-1]), tf.reshape(by_point, [-1]), by_weight


def _reprojections(x: Any, features: Any) -> Any:
    r, centre, f, principal, k, point, weight = tf.split(x, (3, 3, 1, 2, 2, 3, 1), 1)
    angle, y = tf.norm(r, axis=1, keepdims=True), point - centre
    axis, cosine, sine = r / angle, tf.cos(angle), tf.sin(angle)
    along = tf.reduce_sum(axis * y, 1, keepdims=True)
    z = y * cosine + tf.linalg.cross(axis, y) * sine + axis * along * (1 - cosine)
    p = z[:, :2] / z[:, 2:]
    square = tf.reduce_sum(p**2, 1, keepdims=True)
    return weight * (f * (1 + k[:, :1] * square + k[:, 1:] * square**2) * p + principal - features)


def _hand(theta: Any, base: Any, inverse: Any, skin: Any, angles: Any, _: Any, points: Any, which: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(theta)
        out = _distances(theta, base, inverse, skin, angles, points, which)
    return tape.jacobian(out, theta)


def _distances(theta: Any, base: Any, inverse: Any, skin: Any, angles: Any, points: Any, which: Any) -> Any:
    x, z = tf.unstack(tf.gather(tf.concat([theta, tf.zeros_like(theta[:1])], 0), angles))
    zero, one = tf.zeros_like(x), tf.ones_like(x)
    Rx = _stacked([one, zero, zero, zero, tf.cos(x), -tf.sin(x), zero, tf.sin(x), tf.cos(x)])
    Rz = _stacked([tf.cos(z), -tf.sin(z), zero, tf.sin(z), tf.cos(z), zero, zero, zero, one])
    relative = tf.concat([base[:, :, :3] @ (Rz @ Rx), base[:, :, 3:]], 2)
    absolute: list[Any] = []
    for bone, parent in zip(tf.unstack(relative), _PARENTS, strict=True):
        absolute.append(bone if parent < 0 else absolute[parent] @ bone)
    transforms = (tf.stack(absolute) @ inverse)[:, :3]
    vertices = tf.einsum("bij,vbj->vi", transforms, tf.reshape(skin, (skin.shape[0], -1, 4)))
    angle = tf.norm(theta[:3])
    axis = theta[:3] / angle
    K = tf.linalg.cross(tf.eye(3, dtype=theta.dtype), tf.tile(axis[None], (3, 1)))
    R = tf.eye(3, dtype=theta.dtype) + tf.sin(angle) * K + (1 - tf.cos(angle)) * K @ K
    return points - tf.gather(tf.matmul(vertices, R, transpose_b=True) + theta[3:6], which)


def _stacked(entries: list[Any]) -> Any:
    return tf.reshape(tf.stack(entries, 1), (-1, 3, 3))


DERIVATIVES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "scalars": tf.function(_scalars),
        "rosenbrock": tf.function(_rosenbrock),
        "waves": tf.function(_waves),
        "layer": tf.function(_layer),
        "bells": tf.function(_bells),
        "gmm": tf.function(_gmm),
        "lstm": tf.function(_lstm),
        "ba": tf.function(_ba),
        "hand": tf.function(_hand),
    }
)
