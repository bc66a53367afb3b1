"""The functions of ``xp.special``, which `autodiff_compare.backends.special` describes, in TensorFlow's own words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from autodiff_compare.backends.special import Special
from autodiff_compare.backends.tensorflow_backend.functions.dtypes import Tensor, floating, promoted

__all__ = ["special"]


def _logit(p: Tensor, /) -> Tensor:
    """Return log(p / (1 - p)), which TensorFlow lacks. Its absolute error is a rounding; at 1/2 it is zero."""
    return tf.math.log(p) - tf.math.log1p(-p)


def _logsumexp(x: Tensor, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    return tf.reduce_logsumexp(x, axis=axis, keepdims=keepdims)


def _log_softmax(x: Tensor, /, *, axis: int | None = None) -> Tensor:
    if axis is None:
        return tf.reshape(tf.nn.log_softmax(tf.reshape(x, [-1])), tf.shape(x))
    return tf.nn.log_softmax(x, axis=axis)


def _of_floats(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function that takes integers and several dtypes, of which TensorFlow's own takes none."""

    @functools.wraps(function)
    def call(*args: Tensor, **options: Any) -> Tensor:
        return function(*map(floating, promoted(*args)), **options)

    return call


_OWN: dict[str, Callable[..., Tensor]] = {
    "erf": tf.math.erf,
    "erfc": tf.math.erfc,
    "erfinv": tf.math.erfinv,
    "lgamma": tf.math.lgamma,
    "digamma": tf.math.digamma,
    "expit": tf.math.sigmoid,
    "logit": _logit,
    "xlogy": tf.math.xlogy,
    "betainc": tf.math.betainc,
    "gammainc": tf.math.igamma,
    "i0": tf.math.bessel_i0,
    "i1": tf.math.bessel_i1,
    "logsumexp": _logsumexp,
    "log_softmax": _log_softmax,
}
special = Special("tensorflow", {name: _of_floats(function) for name, function in _OWN.items()})
