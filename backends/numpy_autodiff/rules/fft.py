"""Discrete Fourier transforms: linear, so the JVP is the transform itself.

The matrix of ``y_k = s sum_j w^(jk) x_j`` is symmetric in j and k. The transpose is therefore the same transform of the
cotangent. An axis that ``n`` cropped is filled with zeros, and one that it filled is cropped.

The real transforms keep half of a Hermitian spectrum. Let ``c_k`` be the number of entries that entry k stands for: 1
for k = 0 and, if n is even, for k = n/2, and 2 elsewhere. Then

    rfft:   vjp(g) = irfft(conj(g) / c)      scaled as rfft is
    irfft:  vjp(g) = c conj(rfft(g))         scaled as irfft is

The cotangent of a real ``x_j`` is ``Re s sum_k w^(jk) g_k`` over the kept half. Up to scale ``irfft(h)_j`` is
``sum_k c_k Re(h_k w^(-jk))``, which is that sum for ``h = conj(g) / c``. The rule of irfft follows likewise.

Transforms over several axes apply the single ones in turn, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules.builders import linear, refuse_computed

#: The norm by which the inverse transform has the scale of this one.
_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _swap(norm: str | None) -> Any:
    if norm not in _SWAPPED:
        raise ValueError(f"got norm={norm!r}, expected None, 'backward', 'ortho' or 'forward'")
    return _SWAPPED[norm]


def _along(x: Any, part: Any, axis: int) -> Any:
    return x[(*(slice(None),) * (axis % len(x.shape)), part)]


def _to_length(g: Any, m: int, axis: int) -> Any:
    """Apply the transpose of cropping or filling an axis of length ``m``."""
    n = g.shape[axis]
    if n == m:
        return g
    if n > m:
        return _along(g, slice(0, m), axis)
    shape = list(g.shape)
    shape[axis] = m - n
    return np.concatenate((g, np.zeros(shape, g.dtype)), axis=axis)


def _copies(like: Any, n: int, axis: int) -> Any:
    """Return ``c``, the number of entries of the full spectrum that each kept one stands for."""
    count = np.full(n // 2 + 1, 2, like.real.dtype)
    count[0] = 1
    if n % 2 == 0:
        count[-1] = 1
    shape = [1] * len(like.shape)
    shape[axis] = len(count)
    return count.reshape(shape)


def _fft(x: Any, n: int, axis: int, norm: Any) -> Any:
    return np.fft.fft(x, n, axis, norm)


def _ifft(x: Any, n: int, axis: int, norm: Any) -> Any:
    return np.fft.ifft(x, n, axis, norm)


def _rfft(x: Any, n: int, axis: int, norm: Any) -> Any:
    return np.fft.rfft(x, n, axis, norm)


def _irfft(x: Any, n: int, axis: int, norm: Any) -> Any:
    return np.fft.irfft(x, n, axis, norm)


def _symmetric(function: Callable[..., Any]) -> Any:
    def vjp(g: Any, _ans: Any, x: Any, n: int, axis: int, norm: Any) -> Any:
        return _to_length(function(g, n, axis, norm), x.shape[axis], axis)

    return vjp


def _rfft_vjp(g: Any, _ans: Any, x: Any, n: int, axis: int, norm: Any) -> Any:
    whole = np.fft.irfft(np.conj(g) / _copies(g, n, axis), n, axis, _swap(norm))
    return _to_length(whole, x.shape[axis], axis)


def _irfft_vjp(g: Any, _ans: Any, x: Any, n: int, axis: int, norm: Any) -> Any:
    half = np.conj(np.fft.rfft(g, n, axis, _swap(norm)))
    return _to_length(_copies(half, n, axis) * half, x.shape[axis], axis)


FFT: Primitive = linear("fft", _fft, _symmetric(np.fft.fft), selects=None)
IFFT: Primitive = linear("ifft", _ifft, _symmetric(np.fft.ifft), selects=None)
RFFT: Primitive = linear("rfft", _rfft, _rfft_vjp, selects=None)
IRFFT: Primitive = linear("irfft", _irfft, _irfft_vjp, selects=None)


def _one(primitive: Primitive, length: Callable[[int], int] = lambda m: m) -> Any:
    """Make a transform along one axis; ``length`` gives the default n."""

    def transform(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
        refuse_computed(f"fft.{primitive.name}", n)
        return primitive(a, length(a.shape[axis]) if n is None else n, axis, norm)

    return transform


def _doubled(m: int) -> int:
    return 2 * (m - 1)


fft, ifft, rfft, irfft = _one(FFT), _one(IFFT), _one(RFFT), _one(IRFFT, _doubled)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """Compute `numpy.fft.hfft`."""
    return irfft(np.conj(a), n, axis, _swap(norm))


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """Compute `numpy.fft.ihfft`."""
    return np.conj(rfft(a, n, axis, _swap(norm)))


def _lengths(a: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> tuple[list[int | None], list[int]]:
    """Return a length (None by default) and an axis for each single transform."""
    if axes is None:
        axes = range(-len(a.shape if s is None else s), 0)
    axes = list(axes)
    if s is None:
        return [None] * len(axes), axes
    if len(s) != len(axes):
        raise ValueError(f"got {len(s)} lengths for {len(axes)} axes, expected as many")
    # -1 is the length of the axis, in irfftn too, whose default would be twice as long.
    return [a.shape[axis] if n == -1 else n for n, axis in zip(s, axes, strict=True)], axes


def _several(whole: Any, last: Any, last_first: bool = True) -> Any:
    """Make a transform by ``last`` along the last axis, and ``whole`` along the others before or after that."""

    def transform(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Any:
        lengths, axes = _lengths(a, s, axes)
        steps = [(whole, n, axis) for n, axis in zip(lengths[:-1], axes[:-1], strict=True)][::-1]
        if axes:
            steps.insert(0 if last_first else len(steps), (last, lengths[-1], axes[-1]))
        for function, n, axis in steps:
            a = function(a, n, axis, norm)
        return a

    return transform


fftn, ifftn = _several(fft, fft), _several(ifft, ifft)
rfftn, irfftn = _several(fft, rfft), _several(ifft, irfft, last_first=False)


def _plane(transform: Any) -> Any:
    """Make the form for two axes."""
    return lambda a, s=None, axes=(-2, -1), norm=None: transform(a, s, axes, norm)


def _shift(sign: int) -> Any:
    """Make the function that moves the zero frequency to the middle (1) or back (-1)."""

    def shift(x: Any, axes: Any = None) -> Any:
        chosen = range(len(x.shape)) if axes is None else [axes] if isinstance(axes, int) else list(axes)
        return np.roll(x, tuple(sign * (x.shape[a] // 2) for a in chosen), tuple(chosen))

    return shift


HANDLERS: dict[Any, Any] = {
    np.fft.fft: fft,
    np.fft.ifft: ifft,
    np.fft.rfft: rfft,
    np.fft.irfft: irfft,
    np.fft.hfft: hfft,
    np.fft.ihfft: ihfft,
    np.fft.fftn: fftn,
    np.fft.ifftn: ifftn,
    np.fft.rfftn: rfftn,
    np.fft.irfftn: irfftn,
    np.fft.fft2: _plane(fftn),
    np.fft.ifft2: _plane(ifftn),
    np.fft.rfft2: _plane(rfftn),
    np.fft.irfft2: _plane(irfftn),
    np.fft.fftshift: _shift(1),
    np.fft.ifftshift: _shift(-1),
}
