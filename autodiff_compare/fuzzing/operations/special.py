"""Functions of ``xp.special``: `autodiff_compare.backends.special` describes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autodiff_compare.fuzzing.operations.operation import (
    MARGIN,
    Draw,
    Operation,
    Smooth,
    above_zero,
    broadcastable,
    everywhere,
    moderate,
    occupied_axes,
    scalar,
    with_axis,
    within_one,
)
from autodiff_compare.problems import Array


def _within_unit(a: Array) -> bool:
    return bool(np.all((a > MARGIN) & (a < 1 - MARGIN)))


def _above_pole(a: Array) -> bool:
    """Return whether all entries are positive and of moderate size."""
    return above_zero(a) and moderate(a)


def _special(
    call: str,
    operands: int = 1,
    draws: Draw | None = None,
    smooth: Smooth = everywhere,
    torch: str = "",
    jax: str = "",
    tensorflow: str = "",
) -> Operation:
    """Return a function of ``xp.special``; the frameworks' names follow from its own where none is given."""
    spelled = {
        "numpy": f"ad.special.{call}",
        "torch": torch or f"torch.special.{call}",
        "jax": jax or f"jax.scipy.special.{call}",
        "tensorflow": tensorflow or f"tf.math.{call}",
    }
    return Operation("special", f"xp.special.{call}", operands, draws or (lambda rng, *_: {}), smooth, spelled)  # noqa: ARG005


TABLE: Mapping[str, Operation] = {
    "erf": _special("erf({0})"),
    "erfc": _special("erfc({0})", smooth=moderate),
    "erfinv": _special("erfinv({0})", smooth=within_one),
    "lgamma": _special(
        "lgamma({0})",
        smooth=_above_pole,
        torch="torch.special.gammaln({0})",
        jax="jax.scipy.special.gammaln({0})",
    ),
    "digamma": _special("digamma({0})", smooth=_above_pole),
    "expit": _special("expit({0})", tensorflow="tf.math.sigmoid({0})"),
    "logit": _special("logit({0})", smooth=_within_unit, tensorflow="tf.math.log({0} / (1.0 - {0}))"),
    "xlogy": _special("xlogy({0}, {1})", 2, broadcastable, lambda x, y: above_zero(y)),  # noqa: ARG005
    "gammainc": _special(
        "gammainc(xp.ones_like({0}) * {k}, {0})",
        draws=scalar(0.5, 1.0, 2.5),
        smooth=_above_pole,
        tensorflow="tf.math.igamma(tf.ones_like({0}) * {k}, {0})",
    ),
    "i0": _special("i0({0})", smooth=moderate, tensorflow="tf.math.bessel_i0({0})"),
    "i1": _special("i1({0})", smooth=moderate, tensorflow="tf.math.bessel_i1({0})"),
    "logsumexp": _special(
        "logsumexp({0}, axis={axis}, keepdims={keepdims})",
        draws=occupied_axes,
        torch="torch_logsumexp({0}, {axis}, {keepdims})",
        tensorflow="tf.reduce_logsumexp({0}, axis={axis}, keepdims={keepdims})",
    ),
    "log_softmax": _special(
        "log_softmax({0}, axis={axis})",
        draws=with_axis,
        torch="torch.log_softmax({0}, dim={axis})",
        jax="jax.nn.log_softmax({0}, axis={axis})",
        tensorflow="tf.nn.log_softmax({0}, axis={axis})",
    ),
}
