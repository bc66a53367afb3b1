# ruff: noqa: SIM905 - tables: names read best as words, and every call takes xp and its arrays
"""Every backend's array namespace against ``array_api_strict``: value, dtype and shape, and derivatives of functions.

One table for all backends. `LACKS` says, per backend, what is known to differ and why; an entry that
has come to agree fails the test (strict xfail), so the list cannot go stale.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest

from autodiff_compare.backends import available, load, missing
from autodiff_compare.backends.plain import PLAIN
from autodiff_compare.vocabulary import Operator
from tests.backends.dtype_table import cases
from tests.backends.standard import all_lacking

strict.set_array_api_strict_flags(api_version="2024.12")
BACKENDS = tuple(name for name in ("numpy", "torch", "tensorflow", "jax", "autograd") if name in available())

F = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
G = np.array([[1.0, 2.0, -0.5], [0.25, -3.0, 0.125]])
P = np.array([0.25, 0.5, 0.75])
V = np.array([1.0, -2.0, 0.5])
S = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.25], [0.5, -0.25, 2.0]])
A = np.array([[2.0, -1.0, 0.5], [0.25, 3.0, 1.0], [1.0, 0.5, -2.0]])
B2 = np.stack([A, S])
T3 = np.arange(24.0).reshape(2, 3, 4) / 7 - 0.95
I = np.array([[3, -1, 2], [0, 5, -4]])  # noqa: E741
J = np.array([2, 0, 1, 2])
M = np.array([[True, False, True], [False, False, True]])
Z = F + 1j * G
#: Hermitian matrices.
H2 = np.stack([A + A.T + 1j * (A - A.T), S + 1j * (A - A.T)])
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.5])
E0 = np.zeros((0, 3))


class Row:
    """``call(xp, *arrays)`` with the arrays it takes; ``smooth`` where its derivative is tested too."""

    def __init__(self, name: str, call: Callable[..., Any], *arrays: Any, smooth: bool = False) -> None:
        self.name, self.call, self.arrays, self.smooth = name, call, arrays, smooth


def of(name: str, *arrays: Any, smooth: bool = True, **keywords: Any) -> Row:
    """Return the row of one function, which may be in an extension: ``linalg.solve``."""

    def call(xp: Any, *given: Any) -> Any:
        function = xp
        for part in name.split("."):
            function = getattr(function, part)
        return function(*given, **keywords)

    shapes = ",".join("x".join(map(str, np.shape(a))) or "0d" for a in arrays)
    label = ",".join(f"{k}={v}" for k, v in keywords.items())
    return Row(f"{name}({shapes};{np.asarray(arrays[0]).dtype};{label})", call, *arrays, smooth=smooth)


def rough(name: str, *arrays: Any, **keywords: Any) -> Row:
    """Return a row whose derivative is zero, undefined here, or not of floats."""
    return of(name, *arrays, smooth=False, **keywords)


def by(name: str, call: Callable[..., Any], *arrays: Any, smooth: bool = True) -> Row:
    """Return the row of any expression."""
    return Row(name, call, *arrays, smooth=smooth)


ELEMENTWISE = [
    *(of(n, P) for n in "acos asin atanh log log2 log10 sqrt reciprocal".split()),
    *(of(n, F) for n in "abs asinh atan cos cosh exp expm1 negative positive sin sinh square tan tanh".split()),
    of("log1p", P),
    by("acosh", lambda xp, x: xp.acosh(x + 1.0), P),
    *(rough(n, F) for n in "ceil floor round trunc sign signbit isfinite isinf isnan".split()),
    *(rough(n, I) for n in "abs ceil floor round trunc sign isfinite isinf isnan negative square".split()),
    *(rough(n, SPECIAL) for n in "signbit isfinite isinf isnan trunc round floor ceil abs sign".split()),
    *(of(n, F, G) for n in "add subtract multiply divide maximum minimum atan2 hypot logaddexp copysign".split()),
    *(of(n, F, V) for n in "add divide maximum atan2 hypot logaddexp copysign".split()),
    of("pow", np.abs(F), G),
    of("remainder", F, np.abs(G) + 0.07),
    *(rough(n, F, G) for n in "floor_divide equal not_equal less less_equal greater greater_equal".split()),
    rough("nextafter", F, G),
    *(
        rough(n, I, I + 1)
        for n in "add subtract multiply maximum equal less bitwise_and bitwise_or bitwise_xor".split()
    ),
    *(rough(n, M, ~M[::-1]) for n in "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor".split()),
    rough("logical_not", M),
    rough("bitwise_invert", M),
    rough("bitwise_invert", I),
    rough("bitwise_left_shift", np.abs(I), np.abs(I)),
    rough("bitwise_right_shift", np.abs(I), np.abs(I)),
    rough("hypot", SPECIAL[:4], SPECIAL[2:6]),
    rough("hypot", np.array([3e200, 3e-200, 0.0]), np.array([4e200, 4e-200, 0.0])),
    rough("logaddexp", np.array([-np.inf, np.inf, 700.0, 0.0]), np.array([-np.inf, 1.0, 710.0, -np.inf])),
    rough("copysign", SPECIAL, SPECIAL[::-1].copy()),
    *(rough(n, Z) for n in "real imag conj abs exp isfinite square".split()),
    of("real", F),
    of("conj", Z, smooth=False),
    *(
        by(f"{n}(x, 2.0)", lambda xp, x, n=n: getattr(xp, n)(x, 2.0), np.abs(F) + 0.1)
        for n in "add multiply divide pow maximum hypot logaddexp".split()
    ),
    *(
        by(f"{n}(2.0, x)", lambda xp, x, n=n: getattr(xp, n)(2.0, x), np.abs(F) + 0.1)
        for n in "add subtract multiply divide pow minimum atan2 copysign".split()
    ),
    by("less(1, x)", lambda xp, x: xp.less(1, x), F, smooth=False),
    by("clip both", lambda xp, x: xp.clip(x, -1.0, 1.0), F),
    by("clip low", lambda xp, x: xp.clip(x, min=-1.0), F),
    by("clip high", lambda xp, x: xp.clip(x, max=1.0), F),
    by("clip by place and name", lambda xp, x: xp.clip(x, -1.0, max=1.0), F),
    by("clip neither", lambda xp, x: xp.clip(x), F),
    by("clip arrays", lambda xp, x, a: xp.clip(x, a - 1.1, a + 1.1), F, V),
    by("where", lambda xp, x, y: xp.where(x > 0.6, x, y), F, G),
    by("where scalar", lambda xp, x: xp.where(x > 0.6, 0.0, x), F),
]
OPERATORS = [
    by("x + 1, 2 * x, ...", lambda xp, x: 1 - (2 * x + 1) / 3 + 2 / (x + 5), F),
    by("x ** 3", lambda xp, x: x**3, F),
    by("2.0 ** x", lambda xp, x: 2.0**x, F),
    by("x % 0.7, x // 0.7", lambda xp, x: x % 0.7 + x // 0.7, F),
    by("-x, abs(x)", lambda xp, x: abs(-x), F),
    by("matrix @ matrix", lambda xp, a, b: a @ b, A, S),
    by("batch @ matrix", lambda xp, a, b: a @ b, B2, S),
    by("matrix @ vector", lambda xp, a, b: a @ b, A, V),
    by("x[1]", lambda xp, x: x[1, ...], T3),
    by("x[..., ::-1]", lambda xp, x: x[..., ::-1], T3),
    by("x[1, -1:0:-1, None, ::2]", lambda xp, x: x[1, -1:0:-1, None, ::2], T3),
    by("x[-1, 2, 3]", lambda xp, x: x[-1, 2, 3], T3),
    by("x[()]", lambda xp, x: x[()], P[0]),
    by("x[mask]", lambda xp, x: x[x > 0.6], F),
    by("masks", lambda xp, x: ~(x > 0) & (x < 1) | (x == 2.0), F, smooth=False),
    by("shape", lambda xp, x: xp.reshape(x, (*x.shape[:1], math.prod(x.shape[1:]))), T3),
]
REDUCTIONS = [
    *(
        of(n, F, axis=a, keepdims=k)
        for n in "sum mean max min prod var std".split()
        for a, k in ((None, False), (0, True), (-1, False), ((0, 1), True))
    ),
    *(of(n, T3, axis=(0, -1)) for n in "sum mean max prod var".split()),
    *(of(n, F, axis=()) for n in "sum max mean".split()),
    of("var", F, axis=1, correction=1),
    of("std", F, correction=1.0),
    *(rough(n, I) for n in "sum prod max min".split()),
    *(rough(n, I.astype("int32")) for n in "sum prod".split()),
    *(rough(n, M, axis=1) for n in "all any count_nonzero".split()),
    *(rough(n, F, axis=0, keepdims=True) for n in "argmax argmin count_nonzero".split()),
    *(rough(n, F, keepdims=True) for n in "argmax argmin".split()),
    *(rough(n, E0, axis=0) for n in "sum prod".split()),
    *(rough(n, E0) for n in ("sum", "prod")),
    *(of(n, F, axis=1) for n in "cumulative_sum cumulative_prod".split()),
    *(of(n, F, axis=0, include_initial=True) for n in "cumulative_sum cumulative_prod".split()),
    of("cumulative_sum", V),
    rough("cumulative_sum", I.astype("int32"), axis=0),
    of("diff", F),
    of("diff", T3, axis=1, n=2),
    by("diff ends", lambda xp, x, y: xp.diff(x, prepend=y, append=y), F, G),
    of("sort", F),
    of("sort", F, axis=0, descending=True),
    rough("argsort", F, axis=0),
    rough("argsort", np.array([1.0, 0.0, 1.0, 0.0, 1.0])),
    rough("argsort", np.array([1.0, 0.0, 1.0, 0.0, 1.0]), descending=True),
    rough("searchsorted", np.sort(V), F[0]),
    by("searchsorted right", lambda xp, x, y: xp.searchsorted(x, y, side="right"), P, P, smooth=False),
    by("nonzero", lambda xp, x: xp.nonzero(x)[1], I, smooth=False),
    by("unique_values", lambda xp, x: xp.sort(xp.unique_values(x)), J, smooth=False),
    by(
        "unique_inverse",
        lambda xp, x: (lambda u: xp.take(u[0], xp.reshape(u[1], (-1,)), axis=0))(xp.unique_inverse(x)),
        J,
        smooth=False,
    ),
    by("unique_counts", lambda xp, x: xp.sum(xp.unique_counts(x)[1]), J, smooth=False),
    *(
        by(f"unique_counts {a.dtype}", lambda xp, x: xp.sort(xp.unique_counts(x).counts), a, smooth=False)
        for a in (np.array([True, False, True]), np.array([3, 1, 3, 200], np.uint8), np.array([1j, -1j, 0j, 1j]))
    ),
    by("unique_counts with nan", lambda xp, x: xp.sort(xp.unique_counts(x).counts), SPECIAL[3:], smooth=False),
    by("unique_all", lambda xp, x: xp.sort(xp.unique_all(x).indices), J, smooth=False),
]
MANIPULATION = [
    by("concat", lambda xp, x, y: xp.concat([x, y], axis=1), F, G),
    by("concat flat", lambda xp, x, y: xp.concat([x, y], axis=None), F, V),
    by("stack", lambda xp, x, y: xp.stack([x, y], axis=-1), F, G),
    by("unstack", lambda xp, x: xp.unstack(x, axis=1)[2], F),
    by("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, 2, 3)), F),
    by("broadcast_arrays", lambda xp, x, y: xp.broadcast_arrays(x, y)[1], F, V),
    of("expand_dims", F, axis=-2),
    by("expand_dims by place", lambda xp, x: xp.expand_dims(x, -2), F),
    by("squeeze", lambda xp, x: xp.squeeze(xp.expand_dims(x, axis=1), 1), F),
    *(of("flip", T3, axis=a) for a in (None, -1, (0, 2))),
    by("moveaxis", lambda xp, x: xp.moveaxis(x, 0, -1), T3),
    by("moveaxis two", lambda xp, x: xp.moveaxis(x, (0, 1), (2, 0)), T3),
    by("permute_dims", lambda xp, x: xp.permute_dims(x, (2, 0, 1)), T3),
    by("reshape", lambda xp, x: xp.reshape(x, (-1, 6)), T3),
    by("repeat", lambda xp, x: xp.repeat(x, 2, axis=1), F),
    by("repeat flat", lambda xp, x: xp.repeat(x, 2), F),
    by("roll", lambda xp, x: xp.roll(x, 1), F),
    by("roll two", lambda xp, x: xp.roll(x, (1, -2), axis=(0, 2)), T3),
    by("tile", lambda xp, x: xp.tile(x, (2, 1, 2)), F),
    by("tile short", lambda xp, x: xp.tile(x, (2,)), F),
    by("take", lambda xp, x, i: xp.take(x, i, axis=1), F, J),
    by("take vector", lambda xp, x, i: xp.take(x, i), V, J),
    by("take_along_axis", lambda xp, x, i: xp.take_along_axis(x, i, axis=1), F, np.array([[2, 0], [1, 1]])),
    *(by(f"{n} {k}", lambda xp, x, n=n, k=k: getattr(xp, n)(x, k=k), B2) for n in ("tril", "triu") for k in (-1, 0, 2)),
    by("meshgrid", lambda xp, x, y: xp.meshgrid(x, y)[0] * xp.meshgrid(x, y, indexing="xy")[1], P, V),
    by("meshgrid ij", lambda xp, x, y: xp.meshgrid(x, y, indexing="ij")[0], P, V),
    by("astype", lambda xp, x: xp.astype(x, xp.int64), F, smooth=False),
    *(by(n, lambda xp, x, n=n: getattr(xp, n)(x), F, smooth=False) for n in ("zeros_like", "ones_like")),
    by("full_like", lambda xp, x: xp.full_like(x, 2.5), F, smooth=False),
]
CREATION = [
    *(by(n, lambda xp, x, n=n: getattr(xp, n)((2, 3), dtype=x.dtype), P, smooth=False) for n in ("zeros", "ones")),
    by("zeros int shape", lambda xp, x: xp.zeros(3, dtype=x.dtype), P, smooth=False),
    by("full", lambda xp, x: xp.full((2,), 7, dtype=x.dtype), P, smooth=False),
    by("eye", lambda xp, x: xp.eye(3, 4, k=1, dtype=x.dtype), P, smooth=False),
    by("arange", lambda xp, x: xp.arange(1, 7, 2, dtype=x.dtype), P, smooth=False),
    by("arange down", lambda xp, x: xp.arange(5, 0, -2), P, smooth=False),
    by("linspace", lambda xp, x: xp.linspace(-1.0, 2.0, 7, dtype=x.dtype), P, smooth=False),
    by("linspace open", lambda xp, x: xp.linspace(0.0, 1.0, 4, endpoint=False, dtype=x.dtype), P, smooth=False),
    by("asarray list", lambda xp, x: xp.asarray([[1.0, 2.0], [3.0, 4.0]], dtype=x.dtype), P, smooth=False),
    by("asarray ints", lambda xp, x: xp.asarray([1, 2]), P, smooth=False),
]
LINALG = [
    *(of(n, a, b) for n in ("matmul",) for a, b in ((A, S), (B2, S), (A, V), (V, A), (V, V), (B2, V), (V, B2))),
    of("linalg.matmul", A, S),
    of("matrix_transpose", B2),
    of("tensordot", A, S),
    of("tensordot", T3, T3[0], axes=((1, 2), (0, 1))),
    of("tensordot", V, P, axes=0),
    of("vecdot", F, G),
    of("vecdot", B2, V),
    of("linalg.outer", V, P),
    of("linalg.cross", F, G),
    of("linalg.cross", A, S, axis=-2),
    *(of("linalg.diagonal", T3, offset=o) for o in (0, 1, -1)),
    of("linalg.trace", B2),
    of("linalg.trace", A, offset=1),
    rough("linalg.trace", I.astype("int32")),
    of("linalg.det", B2),
    of("linalg.inv", B2),
    of("linalg.solve", A, V),
    of("linalg.solve", B2, S),
    of("linalg.solve", A, B2),
    by("slogdet", lambda xp, x: xp.linalg.slogdet(x).logabsdet, B2),
    by("slogdet sign", lambda xp, x: xp.linalg.slogdet(x).sign, B2, smooth=False),
    by("cholesky", lambda xp, x: xp.linalg.cholesky(x @ xp.matrix_transpose(x)), A),
    by("cholesky upper", lambda xp, x: xp.linalg.cholesky(x @ xp.matrix_transpose(x), upper=True), A),
    by("eigvalsh", lambda xp, x: xp.linalg.eigvalsh(x + xp.matrix_transpose(x)), B2),
    by("eigh values", lambda xp, x: xp.linalg.eigh(x + xp.matrix_transpose(x)).eigenvalues, B2),
    by("eigh projector", lambda xp, x: (lambda v: v * v)(xp.linalg.eigh(x + xp.matrix_transpose(x))[1]), A),
    by("qr product", lambda xp, x: (lambda d: d.Q @ d.R)(xp.linalg.qr(x)), A),
    by("qr squared", lambda xp, x: xp.linalg.qr(x).R ** 2, A),
    by("qr complete shape", lambda xp, x: xp.linalg.qr(x, mode="complete").Q ** 2, F[:, :2].copy(), smooth=False),
    by("svd values", lambda xp, x: xp.linalg.svd(x, full_matrices=False).S, F),
    by("svd vectors", lambda xp, x: xp.linalg.svd(x, full_matrices=False).Vh ** 2, A),
    by("svd full", lambda xp, x: xp.linalg.svd(x).U ** 2, F, smooth=False),
    of("linalg.svdvals", F),
    of("linalg.pinv", F),
    rough("linalg.pinv", Z),
    rough("linalg.pinv", np.stack([Z, 0 * Z])),
    rough("linalg.eigvalsh", H2),
    by("eigh of complex", lambda xp, x: xp.linalg.eigh(x).eigenvalues, H2, smooth=False),
    by("slogdet of complex", lambda xp, x: xp.linalg.slogdet(x).logabsdet, H2, smooth=False),
    rough("linalg.matrix_rank", B2),
    rough("linalg.matrix_rank", np.outer(V, P)),
    *(by(f"matrix_power {n}", lambda xp, x, n=n: xp.linalg.matrix_power(x, n), B2) for n in (-2, 0, 1, 5)),
    *(
        of("linalg.matrix_norm", B2, ord=o, keepdims=k)
        for o, k in (("fro", False), ("nuc", True), (1, False), (-1, True), (2, False), (-2, True), (np.inf, False))
    ),
    *(
        of("linalg.vector_norm", T3, ord=o, axis=a, keepdims=k)
        for o, a, k in (
            (2, None, False),
            (1, 1, True),
            (3, (0, 2), False),
            (np.inf, -1, False),
            (-np.inf, 0, True),
            (2.5, 0, False),
        )
    ),
    rough("linalg.vector_norm", F, ord=0),
]
FOURIER = [
    *(of(f"fft.{n}", F, norm=m) for n in ("rfft",) for m in ("backward", "ortho", "forward")),
    *(
        rough(f"fft.{n}", Z, norm=m, n=k, axis=a)
        for n in ("fft", "ifft", "irfft", "hfft")
        for m, k, a in (("backward", None, -1), ("ortho", 5, 1), ("forward", 2, 0))
    ),
    *(rough(f"fft.{n}", F, n=k) for n in ("rfft", "ihfft") for k in (2, 5)),
    *(rough(f"fft.{n}", T3 + 1j) for n in ("fftn", "ifftn", "irfftn")),
    rough("fft.rfftn", T3),
    rough("fft.fftn", T3 + 1j, s=(3, 5), axes=(0, 1)),
    by("fftshift", lambda xp, x: xp.fft.fftshift(x), F),
    by("ifftshift", lambda xp, x: xp.fft.ifftshift(x, axes=1), F),
    by("fftfreq", lambda xp, x: xp.fft.fftfreq(5, d=0.5), P, smooth=False),
    by("rfftfreq", lambda xp, x: xp.fft.rfftfreq(6), P, smooth=False),
    by("power", lambda xp, x: xp.abs(xp.fft.fft(xp.astype(x, xp.complex128))) ** 2, F, smooth=False),
]
ROWS = [*ELEMENTWISE, *OPERATORS, *REDUCTIONS, *MANIPULATION, *CREATION, *LINALG, *FOURIER]

_NO_NEGATIVE_STEPS = {
    "x[..., ::-1]": "torch has no slices with negative steps: xp.flip",
    "x[1, -1:0:-1, None, ::2]": "torch has no slices with negative steps: xp.flip",
}
#: backend -> row name -> why its value, dtype or shape differs.
LACKS: dict[str, dict[str, str]] = {
    "torch": {
        **_NO_NEGATIVE_STEPS,
        "unique_all": "torch.unique returns no first indices (pytorch issue 36748)",
        "unique_counts complex128": "torch.unique takes no complex numbers",
    },
}
#: backend -> row name -> why its derivative does not exist or differs from numerical differences.
BAD_DERIVATIVES: dict[str, dict[str, str]] = {
    "torch": {**_NO_NEGATIVE_STEPS, "x % 0.7, x // 0.7": "torch has no derivative of floor_divide"},
    "jax": {"x[mask]": "under jit a boolean mask has no static shape"},
    "autograd": {
        "copysign(2.0, x)": "autograd warns where the output does not depend on the input",
        "x % 0.7, x // 0.7": "autograd's arrays have no //",
        **dict.fromkeys(
            ("linalg.solve(2x3x3,3x3;float64;)", "linalg.solve(3x3,2x3x3;float64;)"),
            "autograd's rule of solve does not broadcast",
        ),
        **dict.fromkeys(("qr product", "qr squared"), "autograd has no derivative of qr"),
        **{
            f"fft.rfft(2x3;float64;norm={n})": "autograd's rule of rfft takes even lengths only"
            for n in ("backward", "ortho", "forward")
        },
    },
}


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Any:
    chosen = load(request.param)
    if missing(chosen) and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing(chosen))}")
    chosen.open()
    return chosen


def known(request: pytest.FixtureRequest, backend: Any, row: Row, table: dict[str, dict[str, str]]) -> None:
    """Mark a row that is known to fail on a backend."""
    reason = table.get(backend.name, {}).get(row.name)
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def single(array: Any) -> Any:
    """Return the array in the shorter floating or complex dtype."""
    short = {"float64": "float32", "complex128": "complex64"}
    return np.asarray(array).astype(short.get(np.asarray(array).dtype.name, np.asarray(array).dtype))


@pytest.mark.parametrize("short", [False, True], ids=["double", "single"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_value_dtype_and_shape(request: pytest.FixtureRequest, backend: Any, row: Row, short: bool) -> None:
    known(request, backend, row, LACKS)
    with np.errstate(all="ignore"):
        arrays = [single(a) if short else np.asarray(a) for a in row.arrays]
        wanted = np.asarray(row.call(strict, *(strict.asarray(a) for a in arrays)))
        got = backend.to_numpy(row.call(backend.xp, *(backend.to_var(a) for a in arrays)))
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    if wanted.dtype.kind in "fc":
        scale = np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0.0)
        eps = np.finfo(wanted.dtype).eps
        np.testing.assert_allclose(got, wanted, rtol=100 * eps, atol=100 * eps * min(scale, 100.0))
        zeros = wanted == 0
        if row.name.startswith(("trunc", "round", "ceil", "floor", "copysign")):
            assert np.array_equal(np.signbit(got[zeros]), np.signbit(wanted[zeros]))
    else:
        assert np.array_equal(got, wanted)


SMOOTH = [row for row in ROWS if row.smooth]


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_gradient(request: pytest.FixtureRequest, backend: Any, row: Row) -> None:
    """Compare with a fourth-order difference of the strict namespace's values, along a random direction."""
    known(request, backend, row, BAD_DERIVATIVES)
    moved = [i for i, a in enumerate(row.arrays) if np.asarray(a).dtype == np.float64]
    rng = np.random.default_rng(0)
    steps = [rng.uniform(0.5, 1.5, np.shape(row.arrays[i])) for i in moved]
    weights = rng.uniform(0.5, 1.5, np.shape(row.call(strict, *map(strict.asarray, row.arrays))))

    def at(h: float) -> complex:
        arrays = [np.asarray(a) for a in row.arrays]
        for i, step in zip(moved, steps, strict=True):
            arrays[i] = arrays[i] + h * step
        return complex(np.sum(weights * np.abs(np.asarray(row.call(strict, *map(strict.asarray, arrays)))) ** 2))

    h = 2e-4
    slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))).real / (12 * h)
    w = backend.to_var(weights)

    def objective(*args: Any) -> Any:
        return backend.xp.sum(w * backend.xp.abs(row.call(backend.xp, *args)) ** 2)

    args = [backend.to_var(a) for a in row.arrays]
    gradients = backend.prepare(Operator.GRADIENT, objective, args, argnums=moved)(*args)
    pairs = zip(gradients, steps, strict=True)
    got = sum(float(np.sum(backend.to_numpy(g) * step)) for g, step in pairs)
    size = sum(
        float(np.linalg.norm(backend.to_numpy(g)) * np.linalg.norm(s)) for g, s in zip(gradients, steps, strict=True)
    )
    assert abs(got - slope) <= 1e-8 * size + 1e-9


def test_every_function_of_the_standard_is_there(backend: Any) -> None:
    """The names are those of ``array_api_strict`` for 2024.12, with both extensions."""
    strict_only = {"Device", "ModuleType", "ArrayAPIStrictFlags", "isin", "broadcast_shapes"}
    names = {n for n in dir(strict) if not n.startswith("_") and "strict" not in n} - strict_only
    assert sorted(n for n in names if not hasattr(backend.xp, n)) == []
    linalg = set(strict.linalg.__all__) - {"eig", "eigvals"}
    assert sorted(n for n in linalg if not hasattr(backend.xp.linalg, n)) == []
    assert sorted(n for n in strict.fft.__all__ if not hasattr(backend.xp.fft, n)) == []


#: Backend -> the functions whose parameters differ from the standard's, and why.
OTHER_PARAMETERS: dict[str, str] = {"autograd": "autograd wraps NumPy's functions, without names for arguments"}


def test_functions_take_the_parameters_of_the_standard(request: pytest.FixtureRequest, backend: Any) -> None:
    if backend.name in OTHER_PARAMETERS:
        request.applymarker(pytest.mark.xfail(reason=OTHER_PARAMETERS[backend.name], strict=True))
    assert all_lacking(backend.xp) == {}


@pytest.mark.parametrize("subscripts", ["ij,kj->ik", "ij,ij->", "ij,kj", "...j,kj->...k"])
def test_einsum_is_that_of_numpy_though_the_standard_has_none(backend: Any, subscripts: str) -> None:
    a, b = A, A[::-1] + 0.5
    x, y = backend.to_var(a), backend.to_var(b)
    wanted = np.einsum(subscripts, a, b)
    np.testing.assert_allclose(backend.to_numpy(backend.xp.einsum(subscripts, x, y)), wanted, rtol=1e-14)

    def objective(x: Any, y: Any) -> Any:
        return backend.xp.sum(backend.xp.einsum(subscripts, x, y))

    slope = backend.prepare(Operator.GRADIENT, objective, [x, y])(x, y)[0]
    # The function is linear in x: the slopes are its values at unit matrices.
    units = [np.einsum(subscripts, u.reshape(a.shape), b).sum() for u in np.eye(a.size)]
    np.testing.assert_allclose(backend.to_numpy(slope), np.reshape(units, a.shape), rtol=1e-14)


WIDENED = ("sum", "prod", "cumulative_sum", "cumulative_prod")
#: Backend -> the functions and dtypes that are tried, where not all.
TRIED: dict[str, Callable[[str, str], bool]] = {
    # torch only stores these unsigned integers, and its sums of unsigned integers are int64.
    "torch": lambda name, dtype: (
        dtype not in ("uint16", "uint32", "uint64") and not (dtype == "uint8" and name in WIDENED)
    ),
    # XLA makes the code for every dtype in the same way, and takes .1 s for each.
    "jax": lambda name, dtype: name in WIDENED and dtype in ("int8", "uint16", "uint64"),
}


#: Expressions of Python numbers and integers, which the standard leaves to the backend: NumPy has 16 digits of them.
NUMBERS = (
    "linspace(0, 1, 4)", "full((2,), 0.1)", "full((2,), fill_value=0.1)",
    "full(2, np.float64(0.1))", "arange(0, stop=1.0, step=0.3)", "asarray([0.1, 0.7])", "asarray(0.1)",
    "arange(0.0, 1.0, 0.3)",
    "asarray([[1, 0.1], (2, 3)])", "ones(3) * 0.1", "eye(2) / 3", "arange(1.0, 4.0) / 7", "mean(xp.asarray([0, 1]))",
    "mean(xp.asarray([[0, 1], [1, 1]]), axis=0)", "var(xp.asarray([0, 1, 1]))",
    "std(xp.asarray([0, 1, 3]), correction=1)",
)  # fmt: skip
#: The same, of integers in functions of floats.
INTEGERS = (
    "arange(1, 4) / 7", "arange(4) * 0.1", "arange(4) ** 0.5", "sqrt(xp.arange(4))", "exp(xp.arange(3))",
    "sin(xp.asarray([1, 2]))", "log1p(xp.arange(3))", "log2(xp.asarray([1, 3]))", "atan(xp.asarray(2))",
    "atan2(xp.asarray([1, 2]), 3)", "hypot(xp.asarray([1, 2]), xp.asarray([0.5, 1.0]))",
    "asarray([True, False]) * 0.1",
)  # fmt: skip


def _assert_digits(backend: Any, expression: str, dtype: Any) -> None:
    got, wanted = (eval(f"xp.{expression}", {"xp": xp, "np": np}) for xp in (backend.xp, PLAIN.xp))
    found = backend.to_numpy(got)
    assert (found.shape, found.dtype) == (np.shape(wanted), dtype)
    np.testing.assert_allclose(found, wanted, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("expression", NUMBERS)
def test_numbers_have_the_digits_of_float64(backend: Any, expression: str) -> None:
    _assert_digits(backend, expression, np.float64)


@pytest.mark.parametrize("expression", INTEGERS)
def test_integers_have_the_digits_of_float64_in_its_cells(backend: Any, expression: str) -> None:
    with backend.computing_in("float64"):
        _assert_digits(backend, expression, np.float64)


#: Backends that make float64 of integers in every cell: NumPy's operators do so.
_OF_NUMPY = ("numpy", "autograd")
#: Arrays that a user makes in a function of an array ``x``, without a dtype.
MADE = (
    "zeros(3)", "zeros((2, 0))", "ones((2, 2))", "empty(2)", "eye(2)", "eye(2, 3, k=1)", "linspace(0, 1, 3)",
    "linspace(-1.0, 1.0, num=3)", "linspace(0, x[0], 3)", "arange(3.0)", "arange(0, 1, 0.25)", "arange(0, stop=1.5)",
    "asarray(0.5)", "asarray([1, 2.5])", "asarray([[1, 0.5], (2, 3)])", "asarray([x[0], 0.5])",
    "asarray([[x[0], 0.5], [0.5, 1]])", "full(2, 0.5)", "full((2, 1), fill_value=0.5)", "full(2, np.float64(0.5))",
    "fft.fftfreq(4)", "fft.rfftfreq(4, d=0.5)", "where(x > 1, 1.0, 0.0)", "where(x > 1, 1, 0.5)",
)  # fmt: skip
#: The same -> the dtype in every cell: a dtype that is given or that an array has is kept, as is that of integers.
KEPT = {
    "zeros(3, dtype=xp.float64)": "float64", "asarray([0.5], dtype=xp.float64)": "float64",
    "asarray(np.ones(2))": "float64", "asarray(np.float32([1, 2]))": "float32", "asarray([1, 2])": "int64",
    "arange(3)": "int64", "full(2, 1)": "int64", "asarray([True])": "bool", "full(2, True)": "bool",
}  # fmt: skip


def _made(backend: Any, expression: str, dtype: str) -> np.ndarray[Any, Any]:
    """Return what the expression makes in a cell; ``x`` has its dtype."""
    x = backend.to_var(np.array([1.0, 2.0]), dtype=dtype)
    with backend.computing_in(dtype):
        return np.asarray(backend.to_numpy(eval(f"xp.{expression}", {"xp": backend.xp, "np": np, "x": x})))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_arrays_of_python_numbers_have_the_dtype_of_the_cell(backend: Any, dtype: str) -> None:
    """Expected: the numbers of a float64 cell, all of them exact in eight bits."""
    if dtype not in backend.dtypes:
        pytest.skip(f"{backend.name} has no {dtype}")
    for expression in MADE:
        found, wanted = (_made(backend, expression, d) for d in (dtype, "float64"))
        assert (str(found.dtype), str(wanted.dtype)) == (dtype, "float64"), expression
        if not expression.startswith("empty"):
            np.testing.assert_array_equal(found.astype(float), wanted, err_msg=expression)
    assert {e: str(_made(backend, e, dtype).dtype) for e in KEPT} == KEPT
    numbers = "complex128" if dtype == "float64" else "complex64"
    assert _made(backend, "asarray([1, 2j])", dtype).dtype == _made(backend, "full(2, 0.5j)", dtype).dtype == numbers


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_function_with_constants_and_integers_keeps_the_dtype_of_the_cell(backend: Any, dtype: str) -> None:
    xp = backend.xp

    def constants(x: Any) -> Any:
        A = xp.eye(3) + 0.1 * xp.ones((3, 3))
        return xp.sum((A @ x) * xp.linspace(0.0, 1.0, 3) + xp.where(x > 1, 2.0, 0.5) * x + xp.zeros(3))

    def integers(x: Any) -> Any:
        k = xp.arange(1, 4)
        return xp.sum(x**k / k + xp.sqrt(k) * x + (k * 0.1) * x + xp.mean(k) * 0.1)

    x = backend.to_var(np.array([1.0, 2.0, 0.5]), dtype=dtype)
    with backend.computing_in(dtype):
        for function, kept in ((constants, True), (integers, backend.name not in _OF_NUMPY)):
            value = backend.prepare(Operator.VALUE, function, [x])(x)
            assert str(backend.to_numpy(value).dtype) == (dtype if kept else "float64")
            (slope,) = backend.prepare(Operator.GRADIENT, function, [x])(x)
            assert str(backend.to_numpy(slope).dtype) == dtype


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_list_of_entries_and_numbers_is_differentiated(backend: Any, dtype: str) -> None:
    """The slopes of ``1 - x y`` and ``(x y)^2`` at (2, 3), by hand."""
    xp = backend.xp

    def determinant(x: Any) -> Any:
        return xp.linalg.det(xp.asarray([[1, x[0]], (x[1], 1.0)])) + xp.sum(xp.asarray([0.5, x[0] * x[1]]) ** 2)

    x = backend.to_var(np.array([2.0, 3.0]), dtype=dtype)
    with backend.computing_in(dtype):
        (slope,) = backend.prepare(Operator.GRADIENT, determinant, [x])(x)
    found = backend.to_numpy(slope)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, [33.0, 22.0], rtol=8 * np.finfo(dtype).eps)


def test_the_default_dtype_is_float64_outside_of_cells(backend: Any) -> None:
    with pytest.raises(KeyError), backend.computing_in("float32"):
        raise KeyError
    assert str(backend.to_numpy(backend.xp.zeros(2)).dtype) == "float64"
    if hasattr(backend.xp, "__array_namespace_info__"):
        for dtype in ("float32", "float64"):
            with backend.computing_in(dtype):
                default = backend.xp.__array_namespace_info__().default_dtypes()["real floating"]
                assert default == getattr(backend.xp, dtype)


def test_every_dtype_of_the_standard_is_computed(backend: Any) -> None:
    if backend.name == "autograd":
        pytest.skip("autograd has NumPy's functions: an integer is no array of its own there")
    tried = TRIED.get(backend.name)
    wrong = {}
    for name, dtype, call, arrays in cases():
        if tried and not tried(name, dtype):
            continue
        with np.errstate(all="ignore"):
            wanted = np.asarray(call(strict, *map(strict.asarray, arrays)))
            got = backend.to_numpy(call(backend.xp, *map(backend.to_var, arrays)))
        rtol = 1e-4 if dtype in ("float32", "complex64") else 1e-10
        same = (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        if not (same and np.allclose(got, wanted, rtol=rtol, equal_nan=True)):
            wrong[name, dtype] = got, wanted
    assert wrong == {}


DTYPES = [
    (
        "isdtype",
        lambda xp: [
            xp.isdtype(d, kind)
            for d in (xp.float32, xp.int8, xp.bool)
            for kind in ("real floating", "integral", "bool", "numeric")
        ],
    ),
    ("isdtype tuple", lambda xp: xp.isdtype(xp.float64, (xp.float32, "real floating"))),
    ("result_type", lambda xp: bool(xp.result_type(xp.int8, xp.int32) == xp.int32)),
    ("finfo", lambda xp: [float(getattr(xp.finfo(xp.float32), k)) for k in ("bits", "eps", "max", "min")]),
    ("iinfo", lambda xp: [int(getattr(xp.iinfo(xp.int16), k)) for k in ("bits", "max", "min")]),
    ("finfo of an array", lambda xp: float(xp.finfo(xp.asarray([1.0, 2.0], dtype=xp.float32)).eps)),
    ("iinfo of an array", lambda xp: int(xp.iinfo(xp.asarray([1, 2], dtype=xp.int16)).max)),
    ("fftfreq", lambda xp: xp.fft.fftfreq(4, dtype=xp.float32).dtype == xp.float32),
    ("rfftfreq", lambda xp: xp.fft.rfftfreq(4, dtype=xp.float32).dtype == xp.float32),
    ("constants", lambda xp: [xp.e, xp.pi, xp.inf, xp.newaxis]),
]


_NEWER = frozenset({"finfo of an array", "iinfo of an array"})


@pytest.mark.parametrize(("name", "call"), DTYPES, ids=lambda p: p if isinstance(p, str) else "")
def test_dtype_functions(request: pytest.FixtureRequest, backend: Any, name: str, call: Callable[[Any], Any]) -> None:
    if backend.name == "autograd" and name in _NEWER:
        request.applymarker(pytest.mark.xfail(reason="autograd has NumPy's functions, of the name of a dtype alone"))
    assert call(backend.xp) == call(strict), name
