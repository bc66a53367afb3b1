"""Gradients by our own engine, called directly on plain NumPy code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from backends import numpy_autodiff as ad


def _scalars(x: Any, y: Any) -> Any:
    return 0.26 * (x * x + y * y) - 0.48 * x * y


def _rosenbrock(x: Any) -> Any:
    head = x[:-1]
    return np.sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2)


def _waves(x: Any) -> Any:
    return np.sum(np.sin(x) * x)


def _layer(A: Any, x: Any) -> Any:
    h = np.tanh(A @ x)
    return np.sum(h * h)


def _bells(x: Any) -> Any:
    return np.sum(np.exp(-x * x))


GRADIENTS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "scalars": ad.grad(_scalars, (0, 1)),
        "rosenbrock": ad.grad(_rosenbrock, (0,)),
        "waves": ad.grad(_waves, (0,)),
        "layer": ad.grad(_layer, (1,)),
        "bells": ad.grad(_bells, (0,)),
    }
)
