"""Baselines in PyTorch: ``torch.autograd.grad`` with respect to detached leaves, so that arguments stay unchanged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

#: Parent of each bone, -1 for the root: wrist; five fingers and the forearm; the outer bones of the fingers.
_PARENTS = (-1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)


def _scalars(x: torch.Tensor, y: torch.Tensor) -> Any:
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    return torch.autograd.grad(0.26 * (x * x + y * y) - 0.48 * x * y, (x, y))


def _rosenbrock(x: torch.Tensor) -> Any:
    x = x.detach().requires_grad_()
    head = x[:-1]
    return torch.autograd.grad(torch.sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2), (x,))


def _waves(x: torch.Tensor) -> Any:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(torch.sum(torch.sin(x) * x), (x,))


def _layer(x: torch.Tensor, A: torch.Tensor) -> Any:
    x = x.detach().requires_grad_()
    h = torch.tanh(A @ x)
    return torch.autograd.grad(torch.sum(h * h), (x,))


def _bells(x: torch.Tensor) -> Any:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(torch.sum(torch.exp(-x * x)), (x,))


def _gmm(alphas: torch.Tensor, means: torch.Tensor, factors: torch.Tensor, points: torch.Tensor, _: Any) -> Any:
    inputs = alphas.detach().requires_grad_(), means.detach().requires_grad_(), factors.detach().requires_grad_()
    return torch.autograd.grad(_mixture(*inputs, points), inputs)


def _mixture(alphas: torch.Tensor, means: torch.Tensor, factors: torch.Tensor, points: torch.Tensor) -> Any:
    (k, d), n = means.shape, len(points)
    logarithms, below = factors[:, :d], factors[:, d:]
    columns, rows = torch.triu_indices(d, d, 1)
    Q = torch.diag_embed(torch.exp(logarithms)).index_put((torch.arange(k)[:, None], rows, columns), below)
    y = (points - means[:, None]) @ Q.mT
    terms = (alphas + logarithms.sum(1))[:, None] - 0.5 * (y**2).sum(2)
    likelihood = torch.logsumexp(terms, 0).sum() - n * torch.logsumexp(alphas, 0) - 0.5 * n * d * math.log(2 * math.pi)
    gammas = torch.special.multigammaln(torch.tensor(0.5 * (d + 1), dtype=alphas.dtype), d)
    prior = 0.5 * (Q**2).sum() - k * (-0.5 * d * (d + 1) * math.log(2) - gammas)
    return likelihood - prior


def _lstm(main: torch.Tensor, extra: torch.Tensor, state: torch.Tensor, text: torch.Tensor) -> Any:
    inputs = main.detach().requires_grad_(), extra.detach().requires_grad_()
    return torch.autograd.grad(_text_loss(*inputs, state, text), inputs)


def _text_loss(main: torch.Tensor, extra: torch.Tensor, state: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    layers, b = state.shape[0] // 2, state.shape[1]
    hidden, cell = list(state[::2]), list(state[1::2])
    outputs = []
    for x in text[:-1] * extra[0]:
        for i in range(layers):
            z = torch.cat((x, hidden[i], x, hidden[i])) * main[2 * i] + main[2 * i + 1]
            forget, ingate, outgate = torch.sigmoid(z[: 3 * b]).chunk(3)
            cell[i] = cell[i] * forget + ingate * torch.tanh(z[3 * b :])
            x = hidden[i] = outgate * torch.tanh(cell[i])
        outputs.append(x)
    y = torch.stack(outputs) * extra[1] + extra[2]
    predicted = y - torch.log(2 + torch.exp(y).sum(1, keepdim=True))
    return -(text[1:] * predicted).mean()


def _ba(cameras: Any, points: Any, weights: Any, features: Any, camera_of: Any, point_of: Any) -> Any:
    by_camera, by_point, by_weight = _views(cameras[camera_of], points[point_of], weights, features)
    return by_camera.ravel(), by_point.ravel(), torch.cat([by_weight.ravel(), -2 * weights])


def _reprojection(camera: torch.Tensor, point: torch.Tensor, weight: torch.Tensor, feature: torch.Tensor) -> Any:
    r, centre, f, principal, k = camera[:3], camera[3:6], camera[6], camera[7:9], camera[9:]
    angle, y = torch.linalg.vector_norm(r), point - centre
    axis, cosine, sine = r / angle, torch.cos(angle), torch.sin(angle)
    z = y * cosine + torch.linalg.cross(axis, y) * sine + axis * (axis @ y) * (1 - cosine)
    p = z[:2] / z[2]
    square = p @ p
    return weight * (f * (1 + k[0] * square + k[1] * square**2) * p + principal - feature)


_views = torch.func.vmap(torch.func.jacrev(_reprojection, (0, 1, 2)))


def _hand(theta: Any, base: Any, inverse: Any, skin: Any, angles: Any, _: Any, points: Any, which: Any) -> Any:
    return torch.func.jacfwd(_distances)(theta, base, inverse, skin, angles, points, which)


def _distances(theta: Any, base: Any, inverse: Any, skin: Any, angles: Any, points: Any, which: Any) -> Any:
    x, z = torch.cat([theta, torch.zeros_like(theta[:1])])[angles]
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    Rx = _stacked([one, zero, zero, zero, torch.cos(x), -torch.sin(x), zero, torch.sin(x), torch.cos(x)])
    Rz = _stacked([torch.cos(z), -torch.sin(z), zero, torch.sin(z), torch.cos(z), zero, zero, zero, one])
    relative = torch.cat([base[:, :, :3] @ (Rz @ Rx), base[:, :, 3:]], 2)
    absolute: list[torch.Tensor] = []
    for bone, parent in zip(relative, _PARENTS, strict=True):
        absolute.append(bone if parent < 0 else absolute[parent] @ bone)
    transforms = (torch.stack(absolute) @ inverse)[:, :3]
    vertices = torch.einsum("bij,vbj->vi", transforms, skin.reshape(len(skin), -1, 4))
    angle = torch.linalg.vector_norm(theta[:3])
    axis = theta[:3] / angle
    K = _stacked([zero[:1], -axis[2:], axis[1:2], axis[2:], zero[:1], -axis[:1], -axis[1:2], axis[:1], zero[:1]])[0]
    R = torch.eye(3, dtype=theta.dtype) + torch.sin(angle) * K + (1 - torch.cos(angle)) * K @ K
    return points - (vertices @ R.T + theta[3:6])[which]


def _stacked(entries: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(entries, 1).reshape(-1, 3, 3)


DERIVATIVES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "scalars": _scalars,
        "rosenbrock": _rosenbrock,
        "waves": _waves,
        "layer": _layer,
        "bells": _bells,
        "gmm": _gmm,
        "lstm": _lstm,
        "ba": _ba,
        "hand": _hand,
    }
)
