"""Baselines of our engine: its transforms, called directly on plain NumPy code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends import numpy_autodiff as ad

#: Parent of each bone, -1 for the root: wrist; five fingers and the forearm; the outer bones of the fingers.
_PARENTS = (-1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)


def _scalars(x: Any, y: Any) -> Any:
    return 0.26 * (x * x + y * y) - 0.48 * x * y


def _rosenbrock(x: Any) -> Any:
    head = x[:-1]
    return np.sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2)


def _waves(x: Any) -> Any:
    return np.sum(np.sin(x) * x)


def _layer(x: Any, A: Any) -> Any:
    h = np.tanh(A @ x)
    return np.sum(h * h)


def _bells(x: Any) -> Any:
    return np.sum(np.exp(-x * x))


def _gmm(alphas: Any, means: Any, factors: Any, points: Any, _: Any) -> Any:
    (k, d), n = means.shape, len(points)
    logarithms, below = factors[:, :d], factors[:, d:]
    columns, rows = np.triu_indices(d, 1)
    places = np.full((d, d), factors.shape[1])
    places[np.arange(d), np.arange(d)], places[rows, columns] = np.arange(d), np.arange(d, factors.shape[1])
    Q = np.concatenate([np.exp(logarithms), below, np.zeros((k, 1))], 1)[:, places]
    y = (points - means[:, None]) @ np.swapaxes(Q, 1, 2)
    terms = (alphas + np.sum(logarithms, 1))[:, None] - 0.5 * np.sum(y**2, 2)
    likelihood = np.sum(_log_sum_exp(terms)) - n * _log_sum_exp(alphas) - 0.5 * n * d * math.log(2 * math.pi)
    gammas = d * (d - 1) / 4 * math.log(math.pi) + sum(math.lgamma((d + 1 - j) / 2) for j in range(d))
    return likelihood - (0.5 * np.sum(Q**2) - k * (-0.5 * d * (d + 1) * math.log(2) - gammas))


def _log_sum_exp(v: Any) -> Any:
    top = np.max(v, axis=0)
    return top + np.log(np.sum(np.exp(v - top), axis=0))


def _lstm(main: Any, extra: Any, state: Any, text: Any) -> Any:
    layers, b = state.shape[0] // 2, state.shape[1]
    hidden, cell = list(state[::2]), list(state[1::2])
    outputs = []
    for x in text[:-1]:
        x = x * extra[0]
        for i in range(layers):
            z = np.concatenate([x, hidden[i], x, hidden[i]]) * main[2 * i] + main[2 * i + 1]
            gates = 1 / (1 + np.exp(-z[: 3 * b]))
            cell[i] = cell[i] * gates[:b] + gates[b : 2 * b] * np.tanh(z[3 * b :])
            x = hidden[i] = gates[2 * b :] * np.tanh(cell[i])
        outputs.append(x)
    y = np.stack(outputs) * extra[1] + extra[2]
    predicted = y - np.log(2 + np.sum(np.exp(y), axis=1, keepdims=True))
    return -np.mean(text[1:] * predicted)


def _ba(cameras: Any, points: Any, weights: Any, features: Any, camera_of: Any, point_of: Any) -> Any:
    x = np.concatenate([cameras[camera_of], points[point_of], weights[:, None]], 1)
    # Each observation has inputs of its own, so the gradient of the sum holds the gradient of every term.
    rows = [ad.grad(lambda x, e=e: np.sum(_reprojections(x, features)[:, e]))(x) for e in (0, 1)]
    both = np.stack(rows, axis=1)
    return both[:, :, :11].ravel(), both[:, :, 11:14].ravel(), np.concatenate([both[:, :, 14].ravel(), -2 * weights])


def _reprojections(x: Any, features: Any) -> Any:
    r, centre, f, principal, k = x[:, :3], x[:, 3:6], x[:, 6:7], x[:, 7:9], x[:, 9:11]
    angle, y = np.linalg.norm(r, axis=1, keepdims=True), x[:, 11:14] - centre
    axis, cosine, sine = r / angle, np.cos(angle), np.sin(angle)
    along = np.sum(axis * y, axis=1, keepdims=True)
    z = y * cosine + np.cross(axis, y) * sine + axis * along * (1 - cosine)
    p = z[:, :2] / z[:, 2:]
    square = np.sum(p**2, axis=1, keepdims=True)
    return x[:, 14:] * (f * (1 + k[:, :1] * square + k[:, 1:] * square**2) * p + principal - features)


def _hand(theta: Any, base: Any, inverse: Any, skin: Any, angles: Any, _: Any, points: Any, which: Any) -> Any:
    x, z = np.concatenate([theta, np.zeros(1)])[angles]
    zero, one = np.zeros_like(x), np.ones_like(x)
    Rx = _stacked([one, zero, zero, zero, np.cos(x), -np.sin(x), zero, np.sin(x), np.cos(x)])
    Rz = _stacked([np.cos(z), -np.sin(z), zero, np.sin(z), np.cos(z), zero, zero, zero, one])
    relative = np.concatenate([base[:, :, :3] @ (Rz @ Rx), base[:, :, 3:]], 2)
    absolute: list[Any] = []
    for b, parent in enumerate(_PARENTS):
        absolute.append(relative[b] if parent < 0 else absolute[parent] @ relative[b])
    transforms = (np.stack(absolute) @ inverse)[:, :3]
    vertices = np.einsum("bij,vbj->vi", transforms, skin.reshape(len(skin), -1, 4))
    angle = np.linalg.norm(theta[:3])
    axis = theta[:3] / angle
    K = np.cross(np.eye(3), axis)
    R = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    return points - (vertices @ R.T + theta[3:6])[which]


def _stacked(entries: list[Any]) -> Any:
    return np.stack(entries, 1).reshape(-1, 3, 3)


DERIVATIVES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "scalars": ad.grad(_scalars, (0, 1)),
        "rosenbrock": ad.grad(_rosenbrock, (0,)),
        "waves": ad.grad(_waves, (0,)),
        "layer": ad.grad(_layer, (0,)),
        "bells": ad.grad(_bells, (0,)),
        "gmm": ad.grad(_gmm, (0, 1, 2)),
        "lstm": ad.grad(_lstm, (0, 1)),
        "ba": _ba,
        "hand": ad.jacobian(_hand, mode="forward"),
    }
)
