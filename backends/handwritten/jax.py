"""Gradients by ``jax.jit(jax.grad(f))``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp


def _scalars(x: Any, y: Any) -> Any:
    return 0.26 * (x * x + y * y) - 0.48 * x * y


def _rosenbrock(x: Any) -> Any:
    head = x[:-1]
    return jnp.sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2)


def _waves(x: Any) -> Any:
    return jnp.sum(jnp.sin(x) * x)


def _layer(A: Any, x: Any) -> Any:
    h = jnp.tanh(A @ x)
    return jnp.sum(h * h)


def _bells(x: Any) -> Any:
    return jnp.sum(jnp.exp(-x * x))


GRADIENTS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "scalars": jax.jit(jax.grad(_scalars, (0, 1))),
        "rosenbrock": jax.jit(jax.grad(_rosenbrock, (0,))),
        "waves": jax.jit(jax.grad(_waves, (0,))),
        "layer": jax.jit(jax.grad(_layer, (1,))),
        "bells": jax.jit(jax.grad(_bells, (0,))),
    }
)
