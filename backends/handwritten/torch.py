"""Gradients by ``torch.autograd.grad``: fresh leaves of the arguments, so that these are left as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch


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


def _layer(A: torch.Tensor, x: torch.Tensor) -> Any:
    x = x.detach().requires_grad_()
    h = torch.tanh(A @ x)
    return torch.autograd.grad(torch.sum(h * h), (x,))


def _bells(x: torch.Tensor) -> Any:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(torch.sum(torch.exp(-x * x)), (x,))


GRADIENTS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"scalars": _scalars, "rosenbrock": _rosenbrock, "waves": _waves, "layer": _layer, "bells": _bells}
)
