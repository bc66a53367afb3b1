"""The engine's functions with arguments at which they are smooth: the table that drives the tests of its rules.

A row is data: a name, the function, and the shapes (or the range) of its arguments, all of which are differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

REAL, POSITIVE, UNIT, ABOVE = (-2.0, 2.0), (0.3, 2.5), (-0.8, 0.8), (1.2, 3.0)
ANY_DTYPE = ("float64", "float32", "longdouble")
NO_LONGDOUBLE = ("float64", "float32")
F64 = ("float64",)


@dataclass(frozen=True)
class Row:
    """One function: ``function(*args)`` for arrays of ``shapes`` drawn from ``domain``."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    domain: tuple[float, float] = REAL
    dtypes: tuple[str, ...] = ANY_DTYPE

    def arguments(self, seed: int = 0, dtype: Any = float) -> list[Any]:
        rng = np.random.default_rng(seed)
        return [np.asarray(rng.uniform(*self.domain, size=s)).astype(dtype)[()] for s in self.shapes]


_ELEMENTWISE = {
    REAL: "negative positive absolute fabs square exp exp2 expm1 sin cos tanh sinh cosh arctan arcsinh sinc "
    "deg2rad rad2deg degrees radians real conjugate",
    POSITIVE: "sqrt cbrt log log2 log10 log1p reciprocal",
    UNIT: "tan arcsin arccos arctanh",
    ABOVE: "arccosh",
}
_BINARY = {
    REAL: "add subtract multiply maximum minimum fmax fmin hypot arctan2 logaddexp logaddexp2",
    POSITIVE: "divide power float_power",
}


def _elementwise() -> list[Row]:
    unary = [Row(n, getattr(np, n), ((2, 3),), d) for d, names in _ELEMENTWISE.items() for n in names.split()]
    shapes = {"": ((2, 3), (2, 3)), "broadcast": ((2, 1, 3), (4, 1)), "scalar": ((), (3,)), "empty": ((0, 2), (2,))}
    binary = [
        Row(f"{n} {label}".strip(), getattr(np, n), pair, d)
        for d, names in _BINARY.items()
        for n in names.split()
        for label, pair in shapes.items()
    ]
    return unary + binary


def _reductions() -> list[Row]:
    rows = []
    for name in ("sum", "mean", "prod", "max", "min", "var", "std", "ptp"):
        for axis in (None, 0, -1, (0, 2)):
            for keepdims in (False, True):
                f = getattr(np, name)
                rows.append(
                    Row(
                        f"{name} axis={axis} keepdims={keepdims}",
                        lambda x, f=f, axis=axis, keepdims=keepdims: f(x, axis=axis, keepdims=keepdims),
                        ((2, 3, 2),),
                    )
                )
    rows += [
        Row(f"{n} axis={a}", lambda x, n=n, a=a: getattr(np, n)(x, axis=a), ((2, 3),))
        for n in ("cumsum", "cumprod", "sort")
        for a in (None, 0, 1)
    ]
    rows += [
        Row("cumulative_sum", lambda x: np.cumulative_sum(x, axis=1, include_initial=True), ((2, 3),)),
        Row("cumulative_prod", lambda x: np.cumulative_prod(x, axis=0), ((2, 3),)),
    ]
    return rows


_INDEX = np.array([0, 2, 2, 1])
_SHAPES = [
    Row("reshape", lambda x: np.reshape(x, (3, 2)), ((2, 3),)),
    Row("reshape F", lambda x: np.reshape(x, (3, 2), order="F"), ((2, 3),)),
    Row("ravel", np.ravel, ((2, 3),)),
    Row("transpose", lambda x: np.transpose(x, (2, 0, 1)), ((2, 3, 4),)),
    Row("T", lambda x: x.T, ((2, 3),)),
    Row("matrix_transpose", np.matrix_transpose, ((2, 3, 4),)),
    Row("swapaxes", lambda x: np.swapaxes(x, 0, 2), ((2, 3, 4),)),
    Row("moveaxis", lambda x: np.moveaxis(x, 0, -1), ((2, 3, 4),)),
    Row("moveaxis pair", lambda x: np.moveaxis(x, (0, 1), (2, 0)), ((2, 3, 4),)),
    Row("squeeze", lambda x: np.squeeze(x, 1), ((2, 1, 3),)),
    Row("expand_dims", lambda x: np.expand_dims(x, (0, 2)), ((2, 3),)),
    Row("broadcast_to", lambda x: np.broadcast_to(x, (4, 2, 3)), ((2, 1),)),
    Row("flip", lambda x: np.flip(x, 1), ((2, 3),)),
    Row("rot90", lambda x: np.rot90(x), ((2, 3),)),
    Row("rot90 back", lambda x: np.rot90(x, -1), ((2, 3),)),
    Row("roll", lambda x: np.roll(x, 2), ((2, 3),)),
    Row("roll axes", lambda x: np.roll(x, (1, 2), (0, 1)), ((2, 3),)),
    Row("tril", lambda x: np.tril(x, -1), ((3, 4),)),
    Row("triu", lambda x: np.triu(x, 1), ((3, 4),)),
    Row("diag of vector", lambda x: np.diag(x, -1), ((3,),)),
    Row("diag of matrix", lambda x: np.diag(x, 1), ((2, 4),)),
    Row("diagonal", lambda x: np.diagonal(x, -1, 0, 2), ((3, 2, 4),)),
    Row("trace", np.trace, ((3, 4),)),
    Row("repeat", lambda x: np.repeat(x, [1, 0, 2], axis=1), ((2, 3),)),
    Row("tile", lambda x: np.tile(x, (2, 1, 2)), ((2, 3),)),
    Row("atleast_3d", np.atleast_3d, ((2, 3),)),
    Row("concatenate", lambda x, y: np.concatenate((x, y), axis=1), ((2, 3), (2, 1))),
    Row("stack", lambda x, y: np.stack((x, y), axis=-1), ((2, 3), (2, 3))),
    Row("hstack", lambda x, y: np.hstack((x, y)), ((3,), (2,))),
    Row("vstack", lambda x, y: np.vstack((x, y)), ((3,), (2, 3))),
    Row("column_stack", lambda x, y: np.column_stack((x, y)), ((3,), (3, 2))),
    Row("split", lambda x: np.split(x, [1, 3], axis=1)[1], ((2, 4),)),
    Row("meshgrid", lambda x, y: np.meshgrid(x, y)[0] * np.meshgrid(x, y)[1], ((3,), (2,))),
    Row("index basic", lambda x: x[1:, ::-2, None], ((3, 4),)),
    Row("index repeated", lambda x: x[_INDEX], ((3, 2),)),
    Row("index list", lambda x: x[[0, 0, 1]], ((3, 2),)),
    Row("index pairs", lambda x: x[_INDEX, _INDEX], ((3, 3),)),
    Row("index mask", lambda x: x[np.array([True, False, True])], ((3, 2),)),
    Row("index ellipsis", lambda x: x[..., 0], ((3, 2),)),
    Row("take", lambda x: np.take(x, _INDEX, axis=1), ((2, 3),)),
    Row("take_along_axis", lambda x: np.take_along_axis(x, np.array([[2, 0]]), axis=1), ((1, 3),)),
    Row("where", lambda x, y: np.where(np.array([True, False, True]), x, y), ((2, 3), (3,))),
    Row("clip", lambda x: np.clip(x, -0.5, 0.5), ((2, 3),)),
]
_SHAPES += [
    Row("pad", lambda x: np.pad(x, ((1, 0), (0, 2))), ((2, 3),)),
    Row("pad constant", lambda x: np.pad(x, 1, constant_values=2.0), ((2, 3),)),
    Row("pad reflect", lambda x: np.pad(x, (1, 2), mode="reflect"), ((4,),)),
    Row("pad wrap", lambda x: np.pad(x, (1, 2), mode="wrap"), ((4,),)),
    Row("diff", lambda x: np.diff(x, 2, axis=0), ((4, 2),)),
    Row("median even", lambda x: np.median(x, axis=0), ((4, 2),)),
    Row("median odd", lambda x: np.median(x, keepdims=True), ((3, 3),)),
    Row("average", lambda x, w: np.average(x, axis=1, weights=w), ((2, 3), (3,)), POSITIVE),
]
_PRODUCTS = [
    *(
        Row(f"matmul {a} {b}", np.matmul, (a, b))
        for a, b in (
            ((2, 3), (3, 4)),
            ((3,), (3, 2)),
            ((2, 3), (3,)),
            ((3,), (3,)),
            ((4, 1, 2, 3), (5, 3, 2)),
            ((3,), (2, 3, 4)),
            ((2, 2, 3), (3,)),
        )
    ),
    Row("dot", np.dot, ((2, 3), (3, 2))),
    Row("dot nd", np.dot, ((2, 3), (4, 3, 2))),
    Row("inner", np.inner, ((2, 3), (4, 3))),
    Row("outer", np.outer, ((2, 3), (4,))),
    Row("tensordot", lambda x, y: np.tensordot(x, y, axes=((0, 2), (1, 0))), ((2, 3, 4), (4, 2, 5))),
    Row("vecdot", lambda x, y: np.vecdot(x, y), ((2, 3), (3,))),
    Row("kron", np.kron, ((2, 3), (2, 2))),
    Row("cross", np.cross, ((2, 3), (3,))),
    Row("convolve", np.convolve, ((4,), (3,))),
    Row("convolve same", lambda x, y: np.convolve(x, y, "same"), ((3,), (5,))),
    Row("convolve valid", lambda x, y: np.convolve(x, y, "valid"), ((5,), (2,))),
    *(
        Row(f"einsum {s}", lambda *xs, s=s: np.einsum(s, *xs), shapes)
        for s, shapes in (
            ("ij,jk->ik", ((2, 3), (3, 4))),
            ("ii->i", ((3, 3),)),
            ("ii", ((3, 3),)),
            ("iij,j->i", ((2, 2, 3), (3,))),
            ("...i,i...->...", ((2, 3), (3, 2))),
            ("ij->", ((2, 3),)),
            ("ij,jk,kl->il", ((2, 2), (2, 3), (3, 2))),
        )
    ),
]
_LINALG = [
    Row("inv", lambda x: np.linalg.inv(x + 4 * np.eye(3)), ((3, 3),), dtypes=NO_LONGDOUBLE),
    Row("inv batched", lambda x: np.linalg.inv(x + 4 * np.eye(2)), ((3, 2, 2),), dtypes=NO_LONGDOUBLE),
    Row("solve", lambda a, b: np.linalg.solve(a + 4 * np.eye(3), b), ((3, 3), (3, 2)), dtypes=NO_LONGDOUBLE),
    Row("solve vector", lambda a, b: np.linalg.solve(a + 4 * np.eye(3), b), ((3, 3), (3,)), dtypes=NO_LONGDOUBLE),
    Row("det", np.linalg.det, ((3, 3),), dtypes=NO_LONGDOUBLE),
    Row("det batched", np.linalg.det, ((2, 3, 3),), dtypes=NO_LONGDOUBLE),
    Row("eigvalsh", lambda x: np.linalg.eigvalsh(x + x.T), ((3, 3),), dtypes=NO_LONGDOUBLE),
    Row(
        "eigh projector",
        lambda x: (lambda v: v[:, :1] @ v[:, :1].T)(np.linalg.eigh(x + x.T)[1]),
        ((3, 3),),
        dtypes=NO_LONGDOUBLE,
    ),
    *(Row(f"norm {o}", lambda x, o=o: np.linalg.norm(x, o), ((4,),)) for o in (None, 1, 2, 3, np.inf, -np.inf)),
    *(Row(f"matrix norm {o}", lambda x, o=o: np.linalg.norm(x, o), ((2, 3),)) for o in (None, "fro", 1, np.inf, -1)),
    Row("norm axis", lambda x: np.linalg.norm(x, axis=1, keepdims=True), ((2, 3),)),
]
_MASK = np.array([[True, False, True], [True, True, False]])
_KNOTS = np.array([-1.5, -0.4, 0.1, 1.2])
_PIECES = [
    Row("interp points", lambda x: np.interp(x, _KNOTS, np.array([1.0, -1.0, 0.5, 2.0]).astype(x.dtype)), ((3, 2),)),
    Row("interp values", lambda fp: np.interp(np.linspace(-2, 2, 7).astype(fp.dtype), _KNOTS, fp), ((4,),)),
    Row(
        "interp knots",
        lambda xp, fp: np.interp(np.linspace(-3, 3, 7).astype(fp.dtype), xp + np.arange(4.0).astype(fp.dtype), fp),
        ((4,), (4,)),
        (-0.4, 0.4),
    ),
    Row("interp outside", lambda fp: np.interp(np.array([-9.0, 9.0]), _KNOTS, fp, left=1.0), ((4,),), dtypes=F64),
    Row("interp period", lambda x, fp: np.interp(x, _KNOTS, fp, period=3.0), ((5,), (4,)), dtypes=F64),
    Row("select", lambda x, y: np.select([x > 0.5, x > -0.5], [x * x, x * y], y), ((2, 3), (3,))),
    Row(
        "piecewise",
        lambda x: np.piecewise(x, [x < -0.5, x > 0.5], [np.sin, lambda v: np.sqrt(v) * v, 2.0]),
        ((2, 3),),
    ),
    Row("piecewise later wins", lambda x: np.piecewise(x, [x < 1, x < 0], [np.sin, np.cos]), ((4,),)),
    Row("nan_to_num", np.nan_to_num, ((2, 3),)),
    Row("gradient", lambda x: np.gradient(x), ((5,),)),
    Row("gradient axis", lambda x: np.gradient(x, 0.5, axis=1, edge_order=2), ((2, 4),)),
    Row("gradient pair", lambda x: np.gradient(x, 2.0, 0.5)[0] * np.gradient(x)[1], ((3, 4),)),
    Row("gradient coordinates", lambda f, h: np.gradient(f, np.cumsum(h), edge_order=2), ((5,), (5,)), POSITIVE),
    Row("partition", lambda x: np.partition(x, 2, axis=0), ((5, 2),)),
    Row("sum where", lambda x: np.sum(x, axis=1, where=_MASK, initial=2.0), ((2, 3),)),
    Row("prod where", lambda x: np.prod(x, axis=0, where=_MASK, initial=2.0), ((2, 3),)),
    Row("max where", lambda x: np.max(x, axis=1, where=_MASK, initial=-0.1), ((2, 3),)),
    Row("min initial", lambda x: np.min(x, axis=1, initial=0.1), ((2, 3),)),
    Row("mean where", lambda x: np.mean(x, axis=1, where=_MASK), ((2, 3),)),
    Row("var where", lambda x: np.var(x, axis=1, where=_MASK, ddof=0.5, keepdims=True), ((2, 3),)),
    Row("std where", lambda x: np.std(x, where=_MASK), ((2, 3),)),
]


_COMPLEX_REDUCTIONS = ("sum", "mean", "prod", "var", "std", "cumsum")


def _complex() -> list[Row]:
    """What NumPy computes on complex numbers, holomorphic or not, away from branch cuts."""
    unary = (
        "negative positive square exp exp2 expm1 sin cos tan tanh sinh cosh arctan arcsinh sqrt log log2 log10 log1p "
        "reciprocal absolute conjugate real imag angle"
    )
    rows = [Row(n, getattr(np, n), ((2, 3),), POSITIVE) for n in unary.split()]
    for n in ("add", "subtract", "multiply", "divide", "power"):
        rows += [Row(f"{n} {pair}", getattr(np, n), pair, POSITIVE) for pair in (((2, 1, 3), (4, 1)), ((), (3,)))]
    rows += [
        Row("x**3", lambda x: x**3, ((2, 3),)),
        Row("x**-2", lambda x: x**-2, ((2, 3),), POSITIVE),
        *(Row(n, lambda x, n=n: getattr(np, n)(x, axis=0), ((2, 3),)) for n in _COMPLEX_REDUCTIONS),
        Row("cumprod", lambda x: np.cumprod(x, axis=0), ((2, 3),)),
        Row("nan_to_num", np.nan_to_num, ((2, 3),)),
        Row("where", lambda x, y: np.where(_MASK, x, y), ((2, 3), (3,))),
        Row("gradient", lambda x: np.gradient(x, 0.5), ((4,),)),
        Row("interp values", lambda fp: np.interp(np.linspace(-2, 2, 7), _KNOTS, fp), ((4,),)),
        Row("x.conj() @ x", lambda x: x.conj() @ x, ((3,),)),
        Row("vdot", np.vdot, ((2, 3), (2, 3))),
        Row("T and H", lambda x: np.conj(x.T) @ x, ((2, 3),)),
    ]
    linear = [r for r in [*_SHAPES, *_PRODUCTS] if not r.name.startswith(("clip", "median", "average"))]
    return rows + linear


_HOLES = np.array([[0.0, np.nan, 0.0], [np.nan, 0.0, 0.0], [0.0, 0.0, 0.0]])
_METHODS = "linear hazen weibull median_unbiased interpolated_inverted_cdf lower higher nearest midpoint inverted_cdf"


def _holed(x: Any) -> Any:
    """With some entries missing."""
    return np.where(np.isnan(_HOLES), x.dtype.type(np.nan), x)


def _order() -> list[Row]:
    rows = [
        Row(f"quantile {m}", lambda x, m=m: np.quantile(x, [0.1, 0.62], axis=1, method=m), ((3, 5),), dtypes=F64)
        for m in (*_METHODS.split(), "averaged_inverted_cdf", "closest_observation", "normal_unbiased")
    ]
    rows += [
        Row(f"nanquantile {m}", lambda x, m=m: np.nanquantile(_holed(x), 0.3, axis=0, method=m), ((3, 3),), dtypes=F64)
        for m in ("linear", "weibull", "nearest")
    ]
    for n in ("nanmax", "nanmin", "nanmedian", "nanvar", "nanstd", "nansum", "nanprod", "nanmean"):
        rows += [
            Row(f"{n} axis={a}", lambda x, n=n, a=a: getattr(np, n)(_holed(x), axis=a, keepdims=True), ((3, 3),))
            for a in (None, 0, (0, 1))
        ]
    rows += [
        Row("quantile in q", lambda x, q: np.quantile(x, q, axis=0), ((4, 2), (3,)), (0.1, 0.9), F64),
        Row("nanpercentile", lambda x: np.nanpercentile(_holed(x), 30, axis=(0, 1), keepdims=True), ((3, 3),)),
        Row("percentile", lambda x: np.percentile(x, [[5], [95]]), ((2, 3),), dtypes=F64),
        Row("quantile keepdims", lambda x: np.quantile(x, 0.3, axis=(0, 2), keepdims=True), ((2, 3, 2),)),
        Row("median axes", lambda x: np.median(x, axis=(0, 2)), ((2, 3, 3),)),
        *(
            Row(f"{n}.accumulate", lambda x, n=n: getattr(np, n).accumulate(x, axis=1), ((2, 5),))
            for n in ("maximum", "minimum", "fmax")
        ),
        *(
            Row(f"{n}.reduce", lambda x, n=n: getattr(np, n).reduce(x, axis=1), ((2, 4),))
            for n in ("fmax", "fmin", "logaddexp", "logaddexp2", "hypot")
        ),
        Row("nancumsum", lambda x: np.nancumsum(_holed(x), axis=1), ((3, 3),)),
        Row("nancumprod", lambda x: np.nancumprod(_holed(x)), ((3, 3),)),
        Row("unique", lambda x: np.unique(np.concatenate((x, x))), ((4,),)),
        Row("unique rows", lambda x: np.unique(x, axis=0, return_counts=True)[0], ((3, 2),)),
        Row("unique_all", lambda x: np.unique_all(x).values * np.unique_inverse(x)[0], ((4,),)),
        Row("union1d", lambda x, y: np.union1d(x, np.concatenate((x, y))), ((3,), (2,))),
        Row("intersect1d", lambda x, y: np.intersect1d(np.concatenate((x, y)), x), ((3,), (2,))),
        Row("setdiff1d", lambda x, y: np.setdiff1d(np.concatenate((x, y)), x), ((3,), (2,))),
        Row("setxor1d", lambda x, y: np.setxor1d(np.concatenate((x, y)), x), ((3,), (2,))),
    ]
    return rows


_STATISTICS = [
    Row("cov", np.cov, ((2, 4),), dtypes=F64),
    Row("cov pair", lambda x, y: np.cov(x, y, bias=True), ((4,), (4,)), dtypes=F64),
    Row(
        "cov weighted",
        lambda x: np.cov(x, rowvar=False, fweights=[1, 2, 1, 3], aweights=[0.5, 1.0, 0.2, 2.0]),
        ((4, 2),),
        dtypes=F64,
    ),
    Row("corrcoef", np.corrcoef, ((3, 5),), dtypes=F64),
    Row("trapezoid", lambda y: np.trapezoid(y, dx=0.5, axis=0), ((4, 2),)),
    Row("trapezoid points", lambda y, x: np.trapezoid(y, x), ((2, 4), (4,))),
    Row("bincount", lambda w: np.bincount([0, 2, 2, 1], w, minlength=5), ((4,),), dtypes=NO_LONGDOUBLE),
    Row("unwrap", lambda p: np.unwrap(9 * p, axis=1), ((2, 5),)),
]
_POLYNOMIALS = [
    Row("polyval", np.polyval, ((4,), (3,))),
    Row("polyadd", np.polyadd, ((4,), (2,))),
    Row("polysub", np.polysub, ((2,), (4,))),
    Row("polymul", np.polymul, ((4,), (2,))),
    Row("polydiv", lambda u, v: np.concatenate(np.polydiv(u, v)), ((5,), (3,)), POSITIVE),
    Row("polyder", lambda p: np.polyder(p, 2), ((5,),)),
    Row("polyint", lambda p, k: np.polyint(p, 2, k), ((3,), (2,))),
    Row("poly", np.poly, ((3,),)),
    Row("poly of a matrix", lambda a: np.poly(a + a.T), ((3, 3),), dtypes=F64),
    Row("roots", lambda p: np.real(np.roots(p) ** 2), ((4,),), ABOVE, F64),
    Row("polyfit", lambda x, y: np.polyfit(x + np.arange(5), y, 2), ((5,), (5,)), UNIT, F64),
    Row("polyfit weighted", lambda y, w: np.polyfit(np.arange(5.0), y, 1, w=w), ((5, 2), (5,)), POSITIVE, F64),
    Row("vander", lambda x: np.vander(x, 4), ((3,),)),
    Row("vander increasing", lambda x: np.vander(x, increasing=True), ((3,),)),
    Row("linspace", lambda a, b: np.linspace(a, b, 5, axis=1), ((2,), ()), dtypes=F64),
    Row("linspace open", lambda a: np.linspace(a, 3.0, 4, endpoint=False), ((),), dtypes=F64),
    Row("logspace", lambda a, b: np.logspace(a, b, 4, base=2.0), ((), (2,)), dtypes=F64),
    Row("logspace base", lambda b: np.logspace(0.5, 2, 4, base=b), ((),), POSITIVE, F64),
    Row("geomspace", lambda a, b: np.geomspace(a, b, 4), ((2,), ()), POSITIVE, F64),
    Row("geomspace negative", lambda a: np.geomspace(-a, -9.0, 4), ((),), POSITIVE, F64),
    Row("apply_along_axis", lambda x: np.apply_along_axis(lambda v: np.outer(v, v), 1, x), ((2, 3, 2),)),
    Row("apply_over_axes", lambda x: np.apply_over_axes(np.sum, x * x, [0, -1]), ((2, 3, 2),)),
]
_PLACES = [
    Row("insert", lambda x, v: np.insert(x, 1, v, axis=1), ((2, 3), (2,))),
    Row("insert several", lambda x, v: np.insert(x, [2, 0, 2], v, axis=0), ((3, 2), (3, 2))),
    Row("insert flat", lambda x: np.insert(x, slice(0, 4, 2), 2.0), ((2, 3),)),
    Row("delete", lambda x: np.delete(x, [0, -1], axis=1), ((2, 4),)),
    Row("delete flat", lambda x: np.delete(x, slice(None, None, 2)), ((2, 3),)),
    Row("block", lambda x, y: np.block([[x, y[:, None]], [y[None], 2.0]]), ((2, 2), (2,))),
    Row("hsplit", lambda x: np.hsplit(x, 2)[1], ((2, 4),)),
    Row("hsplit vector", lambda x: np.hsplit(x, [1])[1], ((3,),)),
    Row("vsplit", lambda x: np.vsplit(x, [1])[0], ((2, 4),)),
    Row("dsplit", lambda x: np.dsplit(x, 2)[0], ((2, 1, 4),)),
    Row("ediff1d", lambda x: np.ediff1d(x, to_end=[1.0, 2.0], to_begin=0.0), ((2, 3),)),
    Row("compress", lambda x: np.compress([True, False, True], x, axis=1), ((2, 3),)),
    Row("extract", lambda x: np.extract(_MASK, x), ((2, 3),)),
    Row("choose", lambda x, y: np.choose([0, 1, 1], [x, y, 1.0]), ((3,), (2, 3))),
    Row("choose wrapped", lambda x: np.choose([[3], [0]], x, mode="wrap"), ((3, 2),)),
    Row("trim_zeros", lambda x: np.trim_zeros(x * np.array([0, 1, 0, 1, 0])), ((5,),), dtypes=F64),
    Row("resize", lambda x: np.resize(x, (3, 3)), ((2, 2),)),
    Row("rollaxis", lambda x: np.rollaxis(x, 2, 1), ((2, 3, 4),)),
    Row("diagflat", lambda x: np.diagflat(x, 1), ((2, 2),)),
    Row("amax", lambda x: np.amax(x, axis=1) - np.amin(x, axis=1), ((2, 3),)),
    *(
        Row(f"correlate {m} {pair}", lambda a, v, m=m: np.correlate(a, v, m), pair)
        for m in ("valid", "same", "full")
        for pair in (((5,), (2,)), ((3,), (4,)))
    ),
    Row("convolve a list", lambda a: np.convolve(a, [1.0, 2.0, 0.5]), ((4,),), dtypes=F64),
    Row("dot a list", lambda a: np.dot(a, [1.0, 2.0]) + np.tensordot(a, [[1.0], [2.0]], 1), ((1, 2),), dtypes=F64),
    Row("cross a list", lambda a: np.cross(a, [1.0, 2.0, 0.5]), ((2, 3),), dtypes=F64),
    Row("modf", lambda x: np.modf(x)[0] * np.modf(x)[1], ((2, 3),)),
    Row("frexp", lambda x: np.frexp(x)[0], ((2, 3),)),
    Row("ldexp", lambda x: np.ldexp(x, [1, -2, 3]), ((2, 3),)),
    Row("divmod", lambda x, y: np.divmod(x, y)[0] * np.divmod(x, y)[1], ((2, 3), (3,)), POSITIVE),
    Row("i0", np.i0, ((2, 3),), dtypes=F64),
    Row("kaiser", lambda b: np.fft.fftfreq(5, b) + np.fft.rfftfreq(8, b), ((),), POSITIVE, F64),
]

COMPLEX_ROWS = [*_complex(), *(r for r in _PLACES if r.name.startswith(("correlate", "block", "choose", "insert")))]
ROWS = [*_elementwise(), *_reductions(), *_SHAPES, *_PRODUCTS, *_LINALG, *_PIECES]
ROWS += [*_order(), *_STATISTICS, *_POLYNOMIALS, *_PLACES]
