"""The ``fft`` extension: TensorFlow's one-dimensional transforms along any axis, with lengths and norms.

TensorFlow transforms the last axis only, at its own length and with one normalisation. Several axes are transformed
one after another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from autodiff_compare.backends.tensorflow_backend.functions.dtypes import DType, Tensor
from autodiff_compare.backends.tensorflow_backend.functions.manipulation import moveaxis, roll

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

Norm = Literal["backward", "ortho", "forward"]
_POWERS = {"backward": 0.0, "ortho": -0.5, "forward": -1.0}
_MIRROR: dict[Norm, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
_COMPLEX = {tf.float32: tf.complex64, tf.float64: tf.complex128}


def _factor(norm: str, n: int) -> float:
    """Return the factor of a forward sum over ``n`` points."""
    if norm not in _POWERS:
        raise ValueError(f"got norm={norm!r}, expected one of: {', '.join(_POWERS)}")
    return math.pow(n, _POWERS[norm])


def _resized(x: Tensor, n: int) -> Tensor:
    """Cut the last axis, or pad it with zeros, to length ``n``."""
    length = x.shape[-1]
    if n <= length:
        return x[..., :n]
    return tf.pad(x, [(0, 0)] * (x.shape.rank - 1) + [(0, n - length)])


def _along(axis: int, x: Tensor, transform: Callable[[Tensor], Tensor]) -> Tensor:
    return moveaxis(transform(moveaxis(x, axis, -1)), -1, axis)


def _as_complex(x: Tensor) -> Tensor:
    return tf.cast(x, _COMPLEX.get(x.dtype, x.dtype))


def fft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """Return the discrete Fourier transform along an axis."""
    n = x.shape[axis] if n is None else n
    return _along(axis, _as_complex(x), lambda y: tf.signal.fft(_resized(y, n)) * _factor(norm, n))


def ifft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """Invert `fft`."""
    n = x.shape[axis] if n is None else n
    # TensorFlow's inverse already divides by n.
    return _along(axis, _as_complex(x), lambda y: tf.signal.ifft(_resized(y, n)) / _factor(norm, n))


def rfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """Return the first ``n // 2 + 1`` entries of the transform of real input."""
    n = x.shape[axis] if n is None else n
    return _along(axis, x, lambda y: tf.signal.rfft(_resized(y, n)) * _factor(norm, n))


def irfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """Invert `rfft`; the result has even length unless ``n`` is given."""
    n = 2 * (x.shape[axis] - 1) if n is None else n

    def inverse(y: Tensor) -> Tensor:
        return tf.signal.irfft(_resized(y, n // 2 + 1), [n]) / _factor(norm, n)

    return _along(axis, _as_complex(x), inverse)


def hfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """Return the real transform of a Hermitian signal, given its first half."""
    return irfft(tf.math.conj(x), n=n, axis=axis, norm=_mirror(norm))


def ihfft(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
    """Invert `hfft`."""
    return tf.math.conj(rfft(x, n=n, axis=axis, norm=_mirror(norm)))


def _mirror(norm: Norm) -> Norm:
    _factor(norm, 1)
    return _MIRROR[norm]


def _plan(x: Tensor, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int | None, int]]:
    """Return ``(length or None, axis)`` for each axis to transform."""
    if axes is None:
        axes = range(-x.shape.rank, 0) if s is None else range(-len(s), 0)
    return list(zip(s if s is not None else [None] * len(axes), axes, strict=True))


def fftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """Apply `fft` along several axes."""
    for n, axis in _plan(x, s, axes):
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


def ifftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """Apply `ifft` along several axes."""
    for n, axis in _plan(x, s, axes):
        x = ifft(x, n=n, axis=axis, norm=norm)
    return x


def rfftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """Apply `rfft` along the last of several axes, and `fft` along the others."""
    *others, (n, axis) = _plan(x, s, axes)
    x = rfft(x, n=n, axis=axis, norm=norm)
    for n, axis in others:
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


def irfftn(
    x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Tensor:
    """Invert `rfftn`."""
    *others, (n_last, last) = _plan(x, s, axes)
    for n, axis in others:
        x = ifft(x, n=n, axis=axis, norm=norm)
    return irfft(x, n=n_last, axis=last, norm=norm)


def fftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return the frequencies of `fft`, in cycles per unit of the sample spacing ``d``."""
    del device
    return tf.constant(np.fft.fftfreq(n, d), dtype or tf.float64)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return the frequencies of `rfft`, in cycles per unit of the sample spacing ``d``."""
    del device
    return tf.constant(np.fft.rfftfreq(n, d), dtype or tf.float64)


def _shifted(x: Tensor, axes: int | Sequence[int] | None, sign: int) -> Tensor:
    chosen = tuple(range(x.shape.rank)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    # fftshift rolls by half the length rounded down, so the inverse rolls by the half rounded up.
    return roll(x, tuple(sign * (x.shape[a] // 2) for a in chosen), axis=chosen)


def fftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """Move frequency zero to the centre."""
    return _shifted(x, axes, 1)


def ifftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """Invert `fftshift`."""
    return _shifted(x, axes, -1)
