"""How NumPy's functions are called in NumPy and autograd, and in PyTorch: the table that drives the comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: Of NumPy's module or autograd's: the first word is the function that is compared; of PyTorch's, where it has it.
CALLS: dict[str, tuple[tuple[tuple[int, ...], ...], Callable[..., Any], Callable[..., Any] | None]] = {
    "fabs": (((2, 3),), lambda xp, x: xp.fabs(x - 0.5), lambda t, x: t.abs(x - 0.5)),
    "hypot": (((2, 3), (3,)), lambda xp, x, y: xp.hypot(x, y), lambda t, x, y: t.hypot(x, y)),
    "fmax": (((2, 3), (3,)), lambda xp, x, y: xp.fmax(x, y), lambda t, x, y: t.fmax(x, y)),
    "fmin": (((2, 3), (3,)), lambda xp, x, y: xp.fmin(x, y), lambda t, x, y: t.fmin(x, y)),
    "remainder": (((2, 3), (3,)), lambda xp, x, y: xp.remainder(x, y), lambda t, x, y: t.remainder(x, y)),
    "deg2rad": (((3,),), lambda xp, x: xp.deg2rad(x), lambda t, x: t.deg2rad(x)),
    "rad2deg": (((3,),), lambda xp, x: xp.rad2deg(x), lambda t, x: t.rad2deg(x)),
    "degrees": (((3,),), lambda xp, x: xp.degrees(x), None),
    "radians": (((3,),), lambda xp, x: xp.radians(x), None),
    "clip": (((2, 3),), lambda xp, x: xp.clip(x, 0.3, 0.7), lambda t, x: t.clip(x, 0.3, 0.7)),
    "nan_to_num": (((2, 3),), lambda xp, x: xp.nan_to_num(x), lambda t, x: t.nan_to_num(x)),
    "where": (((3,), (3,)), lambda xp, x, y: xp.where(x > 0.5, x, y), lambda t, x, y: t.where(x > 0.5, x, y)),
    "var": (((2, 3),), lambda xp, x: xp.var(x, axis=1, ddof=1), lambda t, x: t.var(x, dim=1)),
    "std": (((2, 3),), lambda xp, x: xp.std(x, axis=1, ddof=1), lambda t, x: t.std(x, dim=1)),
    "atleast_1d": (((),), lambda xp, x: xp.atleast_1d(x), lambda t, x: t.atleast_1d(x)),
    "atleast_2d": (((3,),), lambda xp, x: xp.atleast_2d(x), lambda t, x: t.atleast_2d(x)),
    "atleast_3d": (((2, 3),), lambda xp, x: xp.atleast_3d(x), lambda t, x: t.atleast_3d(x)),
    "broadcast_to": (((1, 3),), lambda xp, x: xp.broadcast_to(x, (2, 3)), lambda t, x: t.broadcast_to(x, (2, 3))),
    "concatenate": (((2,), (3,)), lambda xp, x, y: xp.concatenate([x, y]), lambda t, x, y: t.cat([x, y])),
    "stack": (((3,), (3,)), lambda xp, x, y: xp.stack([x, y], 1), lambda t, x, y: t.stack([x, y], 1)),
    "cross": (((2, 3), (2, 3)), lambda xp, x, y: xp.cross(x, y), lambda t, x, y: t.linalg.cross(x, y)),
    "diag": (((3,),), lambda xp, x: xp.diag(x, 1), lambda t, x: t.diag(x, 1)),
    "diagonal": (((3, 3),), lambda xp, x: xp.diagonal(x, 0, -1, -2), lambda t, x: t.diagonal(x)),
    "diff": (((2, 4),), lambda xp, x: xp.diff(x, 2), lambda t, x: t.diff(x, 2)),
    "dot": (((3,), (3,)), lambda xp, x, y: xp.dot(x, y), lambda t, x, y: t.dot(x, y)),
    "inner": (((2, 3), (4, 3)), lambda xp, x, y: xp.inner(x, y), lambda t, x, y: t.inner(x, y)),
    "tensordot": (((2, 3), (3, 4)), lambda xp, x, y: xp.tensordot(x, y, 1), lambda t, x, y: t.tensordot(x, y, 1)),
    "expand_dims": (((2, 3),), lambda xp, x: xp.expand_dims(x, 1), lambda t, x: t.unsqueeze(x, 1)),
    "squeeze": (((2, 1, 3),), lambda xp, x: xp.squeeze(x), lambda t, x: t.squeeze(x)),
    "fliplr": (((2, 3),), lambda xp, x: xp.fliplr(x), lambda t, x: t.fliplr(x)),
    "flipud": (((2, 3),), lambda xp, x: xp.flipud(x), lambda t, x: t.flipud(x)),
    "rot90": (((2, 3),), lambda xp, x: xp.rot90(x), lambda t, x: t.rot90(x)),
    "roll": (((2, 3),), lambda xp, x: xp.roll(x, 2, axis=1), lambda t, x: t.roll(x, 2, 1)),
    "rollaxis": (((2, 3, 2),), lambda xp, x: xp.rollaxis(x, 2), lambda t, x: t.movedim(x, 2, 0)),
    "moveaxis": (((2, 3, 2),), lambda xp, x: xp.moveaxis(x, 0, 2), lambda t, x: t.moveaxis(x, 0, 2)),
    "swapaxes": (((2, 3, 2),), lambda xp, x: xp.swapaxes(x, 0, 2), lambda t, x: t.swapaxes(x, 0, 2)),
    "transpose": (((2, 3),), lambda xp, x: xp.transpose(x), lambda t, x: x.T),
    "reshape": (((2, 3),), lambda xp, x: xp.reshape(x, (3, 2)), lambda t, x: t.reshape(x, (3, 2))),
    "ravel": (((2, 3),), lambda xp, x: xp.ravel(x), lambda t, x: t.ravel(x)),
    "repeat": (((2, 3),), lambda xp, x: xp.repeat(x, 2, axis=1), lambda t, x: t.repeat_interleave(x, 2, 1)),
    "tile": (((2, 3),), lambda xp, x: xp.tile(x, (2, 1)), lambda t, x: t.tile(x, (2, 1))),
    "tril": (((3, 3),), lambda xp, x: xp.tril(x), lambda t, x: t.tril(x)),
    "triu": (((3, 3),), lambda xp, x: xp.triu(x, 1), lambda t, x: t.triu(x, 1)),
    "trace": (((3, 3),), lambda xp, x: xp.trace(x), lambda t, x: t.trace(x)),
    "sort": (((5,),), lambda xp, x: xp.sort(x), lambda t, x: t.sort(x).values),
    "partition": (((5,),), lambda xp, x: xp.sort(xp.partition(x, 2)[:3]), lambda t, x: t.sort(x).values[:3]),
    "gradient": (((5,),), lambda xp, x: xp.gradient(x), lambda t, x: t.gradient(x)[0]),
    "pad": (((2, 3),), lambda xp, x: xp.pad(x, ((1, 0), (0, 2)), "constant"), None),
    "split": (((4,),), lambda xp, x: xp.split(x, 2)[1], lambda t, x: t.split(x, 2)[1]),
    "array_split": (((5,),), lambda xp, x: xp.array_split(x, 2)[1], lambda t, x: t.tensor_split(x, 2)[1]),
    "hsplit": (((2, 4),), lambda xp, x: xp.hsplit(x, 2)[1], lambda t, x: t.hsplit(x, 2)[1]),
    "vsplit": (((4, 2),), lambda xp, x: xp.vsplit(x, 2)[1], lambda t, x: t.vsplit(x, 2)[1]),
    "dsplit": (((1, 2, 4),), lambda xp, x: xp.dsplit(x, 2)[1], lambda t, x: t.dsplit(x, 2)[1]),
    "linspace": (((), ()), lambda xp, x, y: xp.linspace(x, y, 4), None),
    "fft.fftshift": (((5,),), lambda xp, x: xp.fft.fftshift(x), lambda t, x: t.fft.fftshift(x)),
    "fft.ifftshift": (((5,),), lambda xp, x: xp.fft.ifftshift(x), lambda t, x: t.fft.ifftshift(x)),
}
#: Complex numbers; what PyTorch alone has beside us.
COMPLEX: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "real": (lambda xp, x: xp.real(x), lambda t, x: t.real(x)),
    "imag": (lambda xp, x: xp.imag(x), lambda t, x: t.imag(x)),
    "conj": (lambda xp, x: xp.conj(x), lambda t, x: t.conj(x)),
    "angle": (lambda xp, x: xp.angle(x), lambda t, x: t.angle(x)),
}
TORCH_ALONE: dict[str, tuple[tuple[tuple[int, ...], ...], Callable[..., Any], Callable[..., Any]]] = {
    "quantile": (((3, 5),), lambda x: np.quantile(x, 0.3, axis=1), lambda t, x: t.quantile(x, 0.3, dim=1)),
    "nanquantile": (((6,),), lambda x: np.nanquantile(x, 0.7), lambda t, x: t.nanquantile(x, 0.7)),
    "median": (((5,),), np.median, lambda t, x: t.median(x)),
    "nanmean": (((2, 3),), lambda x: np.nanmean(x, axis=0), lambda t, x: t.nanmean(x, dim=0)),
    "nansum": (((2, 3),), lambda x: np.nansum(x, axis=0), lambda t, x: t.nansum(x, dim=0)),
    "cov": (((2, 4),), np.cov, lambda t, x: t.cov(x)),
    "corrcoef": (((2, 4),), np.corrcoef, lambda t, x: t.corrcoef(x)),
    "cummax": (((6,),), np.maximum.accumulate, lambda t, x: t.cummax(x, 0).values),
    "cummin": (((6,),), np.minimum.accumulate, lambda t, x: t.cummin(x, 0).values),
    "trapezoid": (
        ((5,), (5,)),
        lambda y, x: np.trapezoid(y, np.cumsum(x)),
        lambda t, y, x: t.trapezoid(y, x.cumsum(0)),
    ),
    "logaddexp.reduce": (((4,),), np.logaddexp.reduce, lambda t, x: t.logsumexp(x, 0)),
    "ldexp": (((3,),), lambda x: np.ldexp(x, [1, 2, 3]), lambda t, x: t.ldexp(x, t.tensor([1, 2, 3]))),
    "interp": (((4,),), lambda y: np.interp(0.4, np.linspace(0, 1, 4), y), lambda t, y: 0.8 * y[1] + 0.2 * y[2]),
}
