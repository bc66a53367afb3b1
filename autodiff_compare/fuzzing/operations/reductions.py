"""Reductions and cumulative operations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autodiff_compare.fuzzing.operations.operation import (
    Draw,
    Operation,
    Parameters,
    Smooth,
    apart,
    away_from_zero,
    axes,
    everywhere,
    occupied_axes,
    one_axis,
    tied,
)
from autodiff_compare.problems import Array

_CALL = "({0}, axis={axis}, keepdims={keepdims})"


def _reduction(name: str, smooth: Smooth = everywhere, draws: Draw = axes) -> Operation:
    spelled = {"torch": f"torch.{name}{_TORCH}", "tensorflow": f"tf.math.reduce_{name}{_CALL}"}
    return Operation("reductions", f"xp.{name}{_CALL}", 1, draws, smooth, spelled)


_TORCH = "({0}, dim={axis}, keepdim={keepdims})"


def _extremum(name: str) -> Operation:
    return Operation(
        "reductions",
        f"xp.{name}{_CALL}",
        1,
        occupied_axes,
        apart,
        {
            "torch": f"torch_a{name}({{0}}, {{axis}}, {{keepdims}})",
            "tensorflow": f"tf.math.reduce_{name}{_CALL}",
        },
        kink=tied,
    )


def _several(rng: np.random.Generator, a: Array) -> Parameters | None:
    """Draw axes that have two entries or more in all: a spread needs them."""
    found = occupied_axes(rng, a)
    if found is None:
        return None
    count = a.size if found["axis"] is None else a.shape[found["axis"]]
    return {**found, "correction": float(rng.integers(2))} if count > 1 else None


def _norm(rng: np.random.Generator, a: Array) -> Parameters | None:
    found = occupied_axes(rng, a)
    return None if found is None else {**found, "ord": ["2", "1", "xp.inf", "3"][int(rng.integers(4))]}


def _without_zeros(a: Array) -> bool:
    return apart(np.abs(a)) and away_from_zero(a)


def _spread(a: Array) -> bool:
    return apart(a)


def _two_along(rng: np.random.Generator, a: Array) -> Parameters | None:
    found = one_axis(rng, a)
    return found if found and a.shape[found["axis"]] > 1 else None


TABLE: Mapping[str, Operation] = {
    "sum": _reduction("sum"),
    "mean": _reduction("mean", draws=occupied_axes),
    "prod": Operation(
        "reductions",
        f"xp.prod{_CALL}",
        1,
        axes,
        spelled={"torch": f"torch_prod{_CALL}", "tensorflow": f"tf.math.reduce_prod{_CALL}"},
    ),
    "max": _extremum("max"),
    "min": _extremum("min"),
    "std": Operation(
        "reductions",
        "xp.std({0}, axis={axis}, correction={correction}, keepdims={keepdims})",
        1,
        _several,
        _spread,
        {
            "torch": "torch.std({0}, dim={axis}, correction={correction}, keepdim={keepdims})",
            "tensorflow": "tf.math.sqrt(tf_var({0}, {axis}, {correction}, {keepdims}))",
        },
    ),
    "var": Operation(
        "reductions",
        "xp.var({0}, axis={axis}, correction={correction}, keepdims={keepdims})",
        1,
        _several,
        spelled={
            "torch": "torch.var({0}, dim={axis}, correction={correction}, keepdim={keepdims})",
            "tensorflow": "tf_var({0}, {axis}, {correction}, {keepdims})",
        },
    ),
    "vector_norm": Operation(
        "reductions",
        "xp.linalg.vector_norm({0}, axis={axis}, keepdims={keepdims}, ord={ord})",
        1,
        _norm,
        _without_zeros,
        {
            "torch": "torch.linalg.vector_norm({0}, dim={axis}, keepdim={keepdims}, ord={ord})",
            "tensorflow": "tf.norm({0}, axis={axis}, keepdims={keepdims}, ord={ord})",
        },
        kink=tied,
    ),
    "cumulative_sum": Operation(
        "reductions",
        "xp.cumulative_sum({0}, axis={axis})",
        1,
        one_axis,
        spelled={"torch": "torch.cumsum({0}, dim={axis})", "tensorflow": "tf.math.cumsum({0}, axis={axis})"},
    ),
    "cumulative_prod": Operation(
        "reductions",
        "xp.cumulative_prod({0}, axis={axis})",
        1,
        one_axis,
        spelled={"torch": "torch.cumprod({0}, dim={axis})", "tensorflow": "tf.math.cumprod({0}, axis={axis})"},
    ),
    "diff": Operation(
        "reductions",
        "xp.diff({0}, axis={axis})",
        1,
        _two_along,
        spelled={
            "torch": "torch.diff({0}, dim={axis})",
            "tensorflow": "tf.experimental.numpy.diff({0}, axis={axis})",
        },
    ),
}
