"""PyTorch's operators as NumPy functions: what stands for each of them in the comparison on PyTorch's own samples.

The keys are the names in `torch.testing._internal.common_methods_invocations.op_db`, with the variant after a dot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff import special
from tests.engine.opinfo_shapes import SHAPES, axis_of

Operator = Callable[..., Any]
_SAME = (
    "abs acos=arccos acosh=arccosh asin=arcsin asinh=arcsinh atan=arctan atanh=arctanh atan2=arctan2 ceil clone=copy "
    "conj conj_physical=conj copysign cos cosh deg2rad exp exp2 expm1 fmax fmin fmod remainder float_power floor "
    "hypot log log10 log1p log2 logaddexp logaddexp2 max.binary=maximum maximum min.binary=minimum minimum "
    "mul=multiply neg=negative nextafter positive pow=power rad2deg reciprocal real round sgn=sign sign sin sinc sinh "
    "sqrt square tan tanh true_divide=divide div.no_rounding_mode=divide trunc angle ravel fliplr flipud kron inner "
    "outer dot vdot mv=matmul mm=matmul bmm=matmul matmul t=transpose T=transpose mT=matrix_transpose i0 "
    "imag frexp contiguous=copy "
    "linalg.det linalg.inv linalg.matrix_power linalg.tensorinv linalg.slogdet linalg.eigvals linalg.svdvals "
    "msort=sort:0 __rmul__=multiply "
    "resolve_conj=copy resolve_neg=copy view_as_real=copy"
)
_TRANSFORMS = "fft fft2 fftn hfft rfft rfft2 rfftn ifft ifft2 ifftn ihfft irfft irfft2 irfftn"
_SPECIAL = (
    "sigmoid=expit digamma=psi erf erfc erfinv lgamma=gammaln special.i0e=i0e special.i1=i1 special.i1e=i1e "
    "special.ndtr=ndtr special.xlog1py=xlog1py special.entr=entr special.ndtri=ndtri special.log_ndtr=log_ndtr "
    "special.erfcx=erfcx xlogy nn.functional.logsigmoid=log_expit"
)


def _numpy(path: str) -> Operator:
    name, _, axis = path.partition(":")
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part)
    return (lambda x: found(x, axis=int(axis))) if axis else found


def _axes(dim: Any) -> Any:
    return (dim,) if isinstance(dim, int) else axis_of(dim)


def _listed(parts: Any) -> Any:
    return tuple(parts[0]) if len(parts) == 1 and isinstance(parts[0], (list, tuple)) else parts


def _reduced(function: Operator) -> Operator:
    """Make a reduction: ``dim`` and ``keepdim`` are axis and keepdims; no axes are all axes."""

    def call(x: Any, dim: Any = None, keepdim: bool = False, **more: Any) -> Any:
        # A number has no axes in NumPy.
        axis = None if not np.ndim(x) or dim in ((), []) else axis_of(dim)
        keepdim = keepdim and bool(np.ndim(x))
        if "dtype" in more:
            more["dtype"] = np.dtype(str(more["dtype"]).rpartition(".")[2])
        return function(x, axis=axis, keepdims=keepdim, **more)

    return call


def _spread(function: Operator) -> Operator:
    def call(
        x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: float | None = None
    ) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        ddof = (1 if unbiased else 0) if correction is None else correction
        return function(
            x,
            axis=axis_of(dim) or None if dim is None or isinstance(dim, (list, tuple)) else dim,
            ddof=ddof,
            keepdims=keepdim,
        )

    return call


def _scan(function: Operator) -> Operator:
    return lambda x, dim, dtype=None: function(x, axis=dim) if np.ndim(x) else x * 1.0


def _softmax(function: Operator, sign: float = 1.0) -> Operator:
    return lambda x, dim, dtype=None, **_: function(sign * x, axis=dim) if np.ndim(x) else function(sign * x[None])[0]


def _quantile(function: Operator) -> Operator:
    def call(x: Any, q: Any, dim: Any = None, keepdim: bool = False, interpolation: str = "linear") -> Any:
        return function(x, q, axis=dim, keepdims=keepdim, method=interpolation)

    return call


def _add(sign: float) -> Operator:
    return lambda x, y, alpha=1.0: x + sign * alpha * y


def _fft(name: str) -> Operator:
    function = getattr(np.fft, name)
    if name.endswith("n"):
        return lambda x, s=None, dim=None, norm=None: function(x, s, _axes(dim), norm)
    if name.endswith("2"):
        return lambda x, s=None, dim=(-2, -1), norm=None: function(x, s, _axes(dim), norm)
    return lambda x, n=None, dim=-1, norm=None: function(x, n, dim, norm)


def _norm(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Any:
    if ord is None and dim is None and np.ndim(x) != 2:
        return np.linalg.norm(np.ravel(x)) if not keepdim else np.linalg.norm(x, axis=None, keepdims=True)
    return np.linalg.norm(x if np.ndim(x) else x[None], ord, axis_of(dim), keepdim)


def _vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    if not np.ndim(x):
        return np.linalg.vector_norm(x[None], ord=ord)
    return np.linalg.vector_norm(
        x, ord=ord, axis=axis_of(dim) or None if dim in ((), []) else axis_of(dim), keepdims=keepdim
    )


def _matrix_norm(x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Any:
    return np.linalg.norm(x, ord, axis_of(dim), keepdim)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    return np.clip(x, min, max)


def _diff(x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    ends = {k: v for k, v in (("prepend", prepend), ("append", append)) if v is not None}
    return np.diff(x, n, axis=dim, **ends)


def _cov(x: Any, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    return np.cov(x, ddof=correction, fweights=fweights, aweights=aweights)


def _gradient(x: Any, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> Any:
    given = () if spacing is None else tuple(spacing) if isinstance(spacing, (list, tuple)) else (spacing,)
    return np.gradient(x, *given, axis=axis_of(dim), edge_order=edge_order)


def _where(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)


def _trapezoid(y: Any, x: Any = None, dim: int = -1, dx: float = 1.0) -> Any:
    return np.trapezoid(y, x, dx, dim)


def _slogdet(x: Any) -> Any:
    sign, log = np.linalg.slogdet(x)
    return np.where(sign < 0, np.nan, log)


def _lstsq(a: Any, b: Any, driver: Any = None) -> Any:
    return np.linalg.lstsq(a, b)[0]


def _masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return np.where(mask, value, x)


def _addmm(c: Any, a: Any, b: Any, beta: float = 1.0, alpha: float = 1.0) -> Any:
    return beta * c + alpha * (a @ b)


def _norm_p(x: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    if p in ("fro", 2) and (dim is None or not isinstance(dim, int)):
        return (
            np.linalg.norm(x, axis=None, keepdims=keepdim)
            if dim is None
            else np.sqrt(np.sum(np.real(x * np.conj(x)), axis=axis_of(dim), keepdims=keepdim))
        )
    if p == "nuc":
        return np.linalg.norm(x, "nuc", (0, 1) if dim is None else axis_of(dim), keepdim)
    return _vector_norm(x, p, dim, keepdim)


def _einsum(operands: Any, equation: str) -> Any:
    return np.einsum(equation, *operands)


def _dist(x: Any, y: Any, p: Any = 2) -> Any:
    return np.linalg.vector_norm(np.ravel(x - y), ord=p)


def _tensordot(x: Any, y: Any, dims: Any = 2) -> Any:
    return np.tensordot(x, y, dims)


def _pad(x: Any, pad: Any, mode: str = "constant", value: Any = 0.0) -> Any:
    pairs = [(pad[2 * k], pad[2 * k + 1]) for k in range(len(pad) // 2)][::-1]
    width = [(0, 0)] * (np.ndim(x) - len(pairs)) + pairs
    kind = {"reflect": "reflect", "replicate": "edge", "circular": "wrap", "constant": "constant"}[mode]
    if min(min(p) for p in width) < 0:
        crop = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(width, x.shape, strict=True))
        x, width = x[crop], [(max(a, 0), max(b, 0)) for a, b in width]
    return np.pad(x, width, constant_values=value or 0.0) if kind == "constant" else np.pad(x, width, mode=kind)


def _nan_to_num(x: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    return np.nan_to_num(x, nan=nan or 0.0, posinf=posinf, neginf=neginf)


def _median(function: Operator) -> Operator:
    """Return the lower of two middle entries, which PyTorch's median is."""
    return lambda x, dim=None, keepdim=False: function(x, 0.5, axis=dim, keepdims=keepdim, method="lower")


def _table() -> dict[str, Operator]:
    pairs = [(w.partition("=")[0], w.rpartition("=")[2]) for w in _SAME.split()]
    found: dict[str, Operator] = {torch: _numpy(ours) for torch, ours in pairs}
    found |= {w.partition("=")[0]: getattr(special, w.rpartition("=")[2]) for w in _SPECIAL.split()}
    found |= {n: _reduced(getattr(np, f)) for n, f in _REDUCTIONS.items()}
    found |= {n: _spread(getattr(np, n.partition(".")[0])) for n in ("var", "std", "var.unbiased", "std.unbiased")}
    found |= {f"fft.{n}": _fft(n) for n in _TRANSFORMS.split()}
    found |= {f"special.polygamma.special_polygamma_n_{n}": (lambda x, n: special.polygamma(n, x)) for n in range(1)}
    return found | _OTHERS | SHAPES


_REDUCTIONS = {
    **{n: n for n in ("sum", "mean", "prod", "nanmean", "nansum", "amax", "amin")},
    "max.reduction_no_dim": "max",
    "min.reduction_no_dim": "min",
    "max.reduction_with_dim": "max",
    "min.reduction_with_dim": "min",
}
_OTHERS: dict[str, Operator] = {
    "add": _add(1.0),
    "sub": _add(-1.0),
    "rsub": lambda x, y, alpha=1.0: y - alpha * x,
    "__radd__": lambda x, y: y + x,
    "__rdiv__": lambda x, y: y / x,
    "__rmatmul__": lambda x, y: y @ x,
    "__rmod__": lambda x, y: y % x,
    "__rpow__": lambda x, y: y**x,
    "__rsub__": lambda x, y: y - x,
    "div.trunc_rounding": lambda x, y, rounding_mode="trunc": np.trunc(x / y),
    "div.floor_rounding": lambda x, y, rounding_mode="floor": np.floor_divide(x, y),
    "ldexp": lambda x, n: x * np.exp2(n),
    "atleast_1d": lambda *parts: np.atleast_1d(*_listed(parts)),
    "atleast_2d": lambda *parts: np.atleast_2d(*_listed(parts)),
    "atleast_3d": lambda *parts: np.atleast_3d(*_listed(parts)),
    "diagflat": lambda x, offset=0: np.diagflat(x, offset),
    "fft.fftshift": lambda x, dim=None: np.fft.fftshift(x, axis_of(dim)),
    "fft.ifftshift": lambda x, dim=None: np.fft.ifftshift(x, axis_of(dim)),
    "clamp": _clamp,
    "clamp_max": lambda x, y: np.minimum(x, y),
    "clamp_min": lambda x, y: np.maximum(x, y),
    "frac": lambda x: np.modf(x)[0],
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "lerp": lambda x, y, w: x + w * (y - x),
    "logit": lambda x, eps=None: special.logit(x if eps is None else np.clip(x, eps, 1 - eps)),
    "polar": lambda r, phi: r * np.cos(phi) + 1j * (r * np.sin(phi)),
    "complex": lambda x, y: x + 1j * y,
    "round.decimals_0": lambda x, decimals: np.round(x, decimals),
    "round.decimals_3": lambda x, decimals: np.round(x, decimals),
    "round.decimals_neg_3": lambda x, decimals: np.round(x, decimals),
    "nan_to_num": _nan_to_num,
    "where": lambda x, condition, y: np.where(condition, x, y),
    "masked_fill": _masked_fill,
    "masked_select": lambda x, mask: np.extract(
        np.broadcast_to(mask, np.broadcast_shapes(mask.shape, x.shape)),
        np.broadcast_to(x, np.broadcast_shapes(mask.shape, x.shape)),
    ),
    "addmm": _addmm,
    "addmm.decomposed": _addmm,
    "addmv": _addmm,
    "baddbmm": _addmm,
    "addbmm": lambda c, a, b, beta=1.0, alpha=1.0: beta * c + alpha * np.sum(a @ b, axis=0),
    "addr": lambda c, a, b, beta=1.0, alpha=1.0: beta * c + alpha * np.outer(a, b),
    "addcmul": lambda x, a, b, value=1.0: x + value * a * b,
    "addcdiv": lambda x, a, b, value=1.0: x + value * a / b,
    "cumsum": _scan(np.cumsum),
    "cumprod": _scan(np.cumprod),
    "cummax": lambda x, dim: np.maximum.accumulate(x, axis=dim) if np.ndim(x) else x * 1.0,
    "cummin": lambda x, dim: np.minimum.accumulate(x, axis=dim) if np.ndim(x) else x * 1.0,
    "logsumexp": lambda x, dim, keepdim=False: special.logsumexp(
        x, axis_of(dim) if np.ndim(x) else None, None, keepdim
    ),
    "softmax": _softmax(special.softmax),
    "nn.functional.softmin": _softmax(special.softmax, -1.0),
    "log_softmax": _softmax(special.log_softmax),
    "nn.functional.relu": lambda x, **_: np.where(x > 0, x, 0.0),
    "nn.functional.softplus": lambda x, beta=1.0, threshold=20.0: np.where(
        beta * x > threshold, x, np.logaddexp(0.0, beta * x) / beta
    ),
    "nn.functional.silu": lambda x, **_: x * special.expit(x),
    "nn.functional.mish": lambda x, **_: x * np.tanh(np.logaddexp(0.0, x)),
    "nn.functional.softsign": lambda x: x / (1 + np.abs(x)),
    "nn.functional.tanhshrink": lambda x: x - np.tanh(x),
    "nn.functional.linear": lambda x, w, b=None: x @ np.transpose(w) + (0.0 if b is None else b),
    "quantile": _quantile(np.quantile),
    "nanquantile": _quantile(np.nanquantile),
    "median": _median(np.quantile),
    "nanmedian": _median(np.nanquantile),
    "var_mean": lambda x, *a, **k: (_spread(np.var)(x, *a, **k), _moment(x, *a, **k)),
    "std_mean": lambda x, *a, **k: (_spread(np.std)(x, *a, **k), _moment(x, *a, **k)),
    "aminmax": lambda x, dim=None, keepdim=False: (
        np.min(x, axis=dim, keepdims=keepdim),
        np.max(x, axis=dim, keepdims=keepdim),
    ),
    "cov": _cov,
    "corrcoef": np.corrcoef,
    "diff": _diff,
    "gradient": _gradient,
    "trapezoid": _trapezoid,
    "trapz": _trapezoid,
    "einsum": _einsum,
    "tensordot": _tensordot,
    "linalg.vecdot": lambda x, y, dim=-1: np.vecdot(x, y, axis=dim),
    "linalg.multi_dot": lambda parts: np.linalg.multi_dot(list(parts)),
    "linalg.cholesky": lambda x, upper=False: np.linalg.cholesky(x, upper=upper),
    "linalg.solve": lambda a, b, left=True: _solve(a, b, left),
    "linalg.tensorsolve": lambda a, b, dims=None: np.linalg.tensorsolve(a, b, axis_of(dims)),
    "linalg.pinv": lambda x, rtol=None, **_: np.linalg.pinv(x, rtol=1e-15 if rtol is None else rtol),
    "pinverse": lambda x, **_: np.linalg.pinv(x),
    "linalg.lstsq.grad_oriented": _lstsq,
    "linalg.eigvalsh": lambda x, UPLO="L": np.linalg.eigvalsh(x, UPLO),
    "linalg.cond": lambda x, p=None: np.linalg.cond(x, p),
    "linalg.norm": _norm,
    "linalg.norm.subgradients_at_zero": _norm,
    "linalg.vector_norm": _vector_norm,
    "linalg.matrix_norm": _matrix_norm,
    "linalg.vander": lambda x, N=None: (
        np.stack([np.vander(row, N, True) for row in np.reshape(x, (-1, x.shape[-1]))]).reshape((*x.shape, -1))
        if np.ndim(x) > 1
        else np.vander(x, N, True)
    ),
    "norm": _norm_p,
    "norm.nuc": lambda x, p="nuc", dim=None, keepdim=False: _norm_p(x, "nuc", dim, keepdim),
    "norm.fro": lambda x, p="fro", dim=None, keepdim=False: _norm_p(x, "fro", dim, keepdim),
    "norm.inf": _norm_p,
    "dist": _dist,
    "logdet": _slogdet,
    "nn.functional.pad.constant": _pad,
    "constant_pad_nd": lambda x, pad, value=0.0: _pad(x, pad, "constant", value),
    "nn.functional.pad.reflect": _pad,
    "nn.functional.pad.replicate": _pad,
    "nn.functional.pad.circular": _pad,
    "nn.functional.mse_loss": lambda x, y, reduction="mean", **_: _loss((x - y) ** 2, reduction),
    "nn.functional.l1_loss": lambda x, y, reduction="mean", **_: _loss(np.abs(x - y), reduction),
    **{f"polygamma.polygamma_n_{n}": (lambda x, n: special.polygamma(n, x)) for n in range(5)},
}


def _moment(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: Any = None) -> Any:
    if isinstance(dim, bool):
        dim = None
    return np.mean(x, axis=axis_of(dim) if dim != () else None, keepdims=keepdim)


def _solve(a: Any, b: Any, left: bool) -> Any:
    if len(b.shape) == len(a.shape) - 1 and len(b.shape) > 1:
        return np.linalg.solve(a, b[..., None])[..., 0]
    if not left:
        return np.matrix_transpose(np.linalg.solve(np.matrix_transpose(a), np.matrix_transpose(b)))
    return np.linalg.solve(a, b)


def _loss(x: Any, reduction: str) -> Any:
    return x if reduction == "none" else np.mean(x) if reduction == "mean" else np.sum(x)


OPERATORS: Mapping[str, Operator] = MappingProxyType(_table())
