"""The engine's Fourier transforms: every function, length, axis and norm, real and complex."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, jvp, vjp
from tests.engine.judgement import JUDGES, Row

NORMS = (None, "backward", "ortho", "forward")


def _single_axis() -> list[Row]:
    """Lengths: as given (odd and even), cropped and filled, and the shortest."""
    rows = []
    for name, kinds in {"fft": "fc", "ifft": "fc", "rfft": "f", "irfft": "fc", "hfft": "fc", "ihfft": "f"}.items():
        for kind in kinds:
            for length, n in ((5, None), (4, None), (5, 3), (4, 2), (3, 6), (3, 7), (2, 1)):
                norm = NORMS[(length + (n or 0)) % 4]
                f = getattr(np.fft, name)
                call = lambda x, f=f, n=n, norm=norm: f(x, n, axis=1, norm=norm)  # noqa: E731 - bound by defaults
                rows.append(Row(f"{name} {kind} {length} n={n} {norm}", call, ((2, length, 2),), kind=kind))
    return rows


def _several_axes() -> list[Row]:
    rows = []
    several = {"fft2": "c", "ifft2": "f", "rfft2": "f", "irfft2": "c", "fftn": "f", "ifftn": "c", "rfftn": "f"}
    for name, kind in (several | {"irfftn": "c"}).items():
        for s, axes in ((None, (-2, -1)), ((4, 3), (0, 1)), ((2, 5), (2, 0)), ((3, -1), (1, 2))):
            for norm in ("backward", "ortho"):
                f = getattr(np.fft, name)
                call = lambda x, f=f, s=s, axes=axes, norm=norm: f(x, s, axes, norm)  # noqa: E731 - bound by defaults
                rows.append(Row(f"{name} s={s} axes={axes} {norm}", call, ((3, 2, 4),), kind=kind))
    rows += [Row(f"{n} all axes", getattr(np.fft, n), ((3, 2, 4),), kind=k) for n, k in several.items() if n[-1] == "n"]
    rows += [
        Row(f"{n} {axes}", lambda x, n=n, axes=axes: getattr(np.fft, n)(x, axes), ((3, 4),), kind="c")
        for n in ("fftshift", "ifftshift")
        for axes in (None, 0, (0, 1), (-1,))
    ]
    return rows


ROWS = _single_axis() + _several_axes()


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_is_right_in_both_modes_dtypes_and_strides(row: Row, judge: Callable[[Row], None]) -> None:
    judge(row)


@pytest.mark.parametrize("n", [5, 6])
def test_a_real_signal_has_the_gradient_of_parseval(n: int) -> None:
    x = np.random.default_rng(0).normal(size=n)
    # sum |fft x|^2 = n sum x^2 (Parseval), whose gradient is 2 n x; real, because x is.
    found = grad(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(x)
    np.testing.assert_allclose(found, 2 * n * x, rtol=1e-13)
    assert found.dtype == np.float64


def test_the_ends_of_a_hermitian_spectrum_are_real() -> None:
    half = np.array([1 + 2j, 3 + 4j, 5 + 6j])
    # By hand: irfft(h, 4)[1] = (Re h0 + 2 Re(h1 e^(i pi/2)) - Re h2) / 4, with no imaginary part of h0 and h2.
    found = grad(lambda h: np.fft.irfft(h, 4)[1])(half)
    np.testing.assert_allclose(found, [0.25, -0.5j, -0.25], atol=1e-16)


@pytest.mark.parametrize("name", ["fft", "irfft"])
def test_extended_precision_is_kept(name: str) -> None:
    x = np.linspace(0, 1, 5, dtype=np.longdouble)
    found = grad(lambda x: np.sum(np.abs(getattr(np.fft, name)(x)) ** 2))(x)
    assert found.dtype == np.longdouble
    np.testing.assert_allclose(found, grad(lambda x: np.sum(np.abs(getattr(np.fft, name)(x)) ** 2))(x.astype(float)))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "fftshift"])
def test_an_empty_batch(name: str) -> None:
    f: Any = getattr(np.fft, name)
    x = np.zeros((0, 4))
    value, pullback = vjp(f, x)
    assert value.shape == f(x).shape
    assert pullback(np.zeros_like(value))[0].shape == (0, 4)
    assert jvp(f, (x,), (x,))[1].shape == value.shape


@pytest.mark.parametrize("name", ["fft", "hfft", "fftn", "rfft2"])
def test_out_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="out="):
        grad(lambda x: np.sum(np.real(getattr(np.fft, name)(x, out=np.zeros((2, 2))))))(np.ones((2, 2)))


def test_an_unknown_norm_is_named() -> None:
    with pytest.raises(ValueError, match="bakward"):
        grad(lambda x: np.sum(np.fft.hfft(x, norm="bakward")))(np.ones(3))
