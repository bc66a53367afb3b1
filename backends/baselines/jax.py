"""Baselines in JAX: ``jax.jit(jax.grad(f))``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp, multigammaln

#: Parent of each bone, -1 for the root: wrist; five fingers and the forearm; the outer bones of the fingers.
_PARENTS = (-1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)


def _scalars(x: Any, y: Any) -> Any:
    return 0.26 * (x * x + y * y) - 0.48 * x * y


def _rosenbrock(x: Any) -> Any:
    head = x[:-1]
    return jnp.sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2)


def _waves(x: Any) -> Any:
    return jnp.sum(jnp.sin(x) * x)


def _layer(x: Any, A: Any) -> Any:
    h = jnp.tanh(A @ x)
    return jnp.sum(h * h)


def _bells(x: Any) -> Any:
    return jnp.sum(jnp.exp(-x * x))


def _gmm(alphas: Any, means: Any, factors: Any, points: Any, _: Any) -> Any:
    (k, d), n = means.shape, len(points)
    logarithms, below = factors[:, :d], factors[:, d:]
    columns, rows = jnp.triu_indices(d, 1)
    Q = jax.vmap(jnp.diag)(jnp.exp(logarithms)).at[:, rows, columns].set(below)
    y = jnp.einsum("kij,knj->kni", Q, points - means[:, None])
    terms = (alphas + logarithms.sum(1))[:, None] - 0.5 * (y**2).sum(2)
    likelihood = logsumexp(terms, axis=0).sum() - n * logsumexp(alphas) - 0.5 * n * d * jnp.log(2 * jnp.pi)
    prior = 0.5 * (Q**2).sum() - k * (-0.5 * d * (d + 1) * jnp.log(2.0) - multigammaln(0.5 * (d + 1), d))
    return likelihood - prior


def _lstm(main: Any, extra: Any, state: Any, text: Any) -> Any:
    layers, b = state.shape[0] // 2, state.shape[1]

    def step(carry: Any, x: Any) -> Any:
        hidden, cell = list(carry[::2]), list(carry[1::2])
        for i in range(layers):
            z = jnp.concatenate([x, hidden[i], x, hidden[i]]) * main[2 * i] + main[2 * i + 1]
            forget, ingate, outgate = jnp.split(jax.nn.sigmoid(z[: 3 * b]), 3)
            cell[i] = cell[i] * forget + ingate * jnp.tanh(z[3 * b :])
            x = hidden[i] = outgate * jnp.tanh(cell[i])
        return jnp.stack([part for pair in zip(hidden, cell, strict=True) for part in pair]), x

    _, outputs = jax.lax.scan(step, state, text[:-1] * extra[0])
    y = outputs * extra[1] + extra[2]
    predicted = y - jnp.log(2 + jnp.exp(y).sum(1, keepdims=True))
    return -(text[1:] * predicted).mean()


def _ba(cameras: Any, points: Any, weights: Any, features: Any, camera_of: Any, point_of: Any) -> Any:
    views = jax.vmap(jax.jacrev(_reprojection, (0, 1, 2)))
    by_camera, by_point, by_weight = views(cameras[camera_of], points[point_of], weights, features)
    return by_camera.ravel(), by_point.ravel(), jnp.concatenate([by_weight.ravel(), -2 * weights])


def _reprojection(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    r, centre, f, principal, k = camera[:3], camera[3:6], camera[6], camera[7:9], camera[9:]
    angle, y = jnp.linalg.norm(r), point - centre
    axis, cosine, sine = r / angle, jnp.cos(angle), jnp.sin(angle)
    z = y * cosine + jnp.cross(axis, y) * sine + axis * (axis @ y) * (1 - cosine)
    p = z[:2] / z[2]
    square = p @ p
    return weight * (f * (1 + k[0] * square + k[1] * square**2) * p + principal - feature)


def _hand(theta: Any, base: Any, inverse: Any, skin: Any, angles: Any, _: Any, points: Any, which: Any) -> Any:
    x, z = jnp.append(theta, 0.0)[angles]
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    Rx = _stacked([one, zero, zero, zero, jnp.cos(x), -jnp.sin(x), zero, jnp.sin(x), jnp.cos(x)])
    Rz = _stacked([jnp.cos(z), -jnp.sin(z), zero, jnp.sin(z), jnp.cos(z), zero, zero, zero, one])
    relative = jnp.concatenate([base[:, :, :3] @ (Rz @ Rx), base[:, :, 3:]], 2)
    absolute: list[Any] = []
    for bone, parent in zip(relative, _PARENTS, strict=True):
        absolute.append(bone if parent < 0 else absolute[parent] @ bone)
    transforms = (jnp.stack(absolute) @ inverse)[:, :3]
    vertices = jnp.einsum("bij,vbj->vi", transforms, skin.reshape(len(skin), -1, 4))
    angle = jnp.linalg.norm(theta[:3])
    axis = theta[:3] / angle
    K = jnp.cross(jnp.eye(3), axis)
    R = jnp.eye(3) + jnp.sin(angle) * K + (1 - jnp.cos(angle)) * K @ K
    return points - (vertices @ R.T + theta[3:6])[which]


def _stacked(entries: list[Any]) -> Any:
    return jnp.stack(entries, 1).reshape(-1, 3, 3)


DERIVATIVES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "scalars": jax.jit(jax.grad(_scalars, (0, 1))),
        "rosenbrock": jax.jit(jax.grad(_rosenbrock, (0,))),
        "waves": jax.jit(jax.grad(_waves, (0,))),
        "layer": jax.jit(jax.grad(_layer, (0,))),
        "bells": jax.jit(jax.grad(_bells, (0,))),
        "gmm": jax.jit(jax.grad(_gmm, (0, 1, 2))),
        "lstm": jax.jit(jax.grad(_lstm, (0, 1))),
        "ba": jax.jit(_ba),
        "hand": jax.jit(jax.jacfwd(_hand)),
    }
)
