"""``xp.special`` on every backend: values and first derivatives against mpmath, in both dtypes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest

from autodiff_compare.backends import PLAIN, Unsupported, available, load, missing
from autodiff_compare.backends.special import NAMES
from autodiff_compare.vocabulary import Operator

BACKENDS = tuple(name for name in ("numpy", "torch", "tensorflow", "jax", "autograd") if name in available())
#: Digits in which the expected numbers are computed.
_DIGITS = 40


@dataclass(frozen=True)
class Row:
    """A function at one point: the arguments are exact in float32, so that one truth serves both dtypes.

    ``slopes`` are expected derivatives where mpmath's difference quotient would leave the domain.
    """

    name: str
    at: tuple[float, ...]
    truth: Callable[..., Any]
    slopes: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({','.join(f'{x:g}' for x in self.at)})"

    def slope(self, k: int) -> float:
        if self.slopes:
            return self.slopes[k]
        return float(mpmath.diff(lambda z: self.truth(*self.at[:k], z, *self.at[k + 1 :]), self.at[k]))


def _rows(name: str, truth: Callable[..., Any], *points: Any) -> list[Row]:
    return [Row(name, p if isinstance(p, tuple) else (p,), truth) for p in points]


ROWS = [
    *_rows("erf", mpmath.erf, 0.0, 2.0**-30, 0.5, 2.5, -1.0),
    *_rows("erfc", mpmath.erfc, 0.0, 0.5, 5.0, -1.0),
    *_rows("erfinv", mpmath.erfinv, 0.0, 0.5, -0.75, 0.96875),
    *_rows("lgamma", lambda x: mpmath.re(mpmath.loggamma(x)), 0.25, 3.5, 1e4, -1.25),
    *_rows("digamma", mpmath.digamma, 0.25, 3.5, 1e4, -1.25),
    *_rows("expit", lambda x: 1 / (1 + mpmath.exp(-x)), 0.0, -30.0, 2.5, 40.0),
    *_rows("logit", lambda p: mpmath.log(p / (1 - p)), 2.0**-20, 0.25, 0.9375),
    *_rows("xlogy", lambda x, y: x * mpmath.log(y), (1.5, 0.25), (0.5, 7.0)),
    # d/dx of x log y is log y for every x, and d/dy is x / y.
    Row("xlogy", (0.0, 2.0), lambda x, y: x * mpmath.log(y), (float(mpmath.log(2)), 0.0)),
    *_rows(
        "betainc",
        lambda a, b, x: mpmath.betainc(a, b, 0, x, regularized=True),
        (2.0, 3.0, 0.25), (0.5, 0.5, 0.75), (20.0, 5.0, 0.75),
    ),
    *_rows(
        "gammainc", lambda a, x: mpmath.gammainc(a, 0, x, regularized=True), (2.0, 0.5), (0.5, 3.0), (20.0, 15.0)
    ),
    *_rows("i0", lambda x: mpmath.besseli(0, x), 0.0, 0.5, -3.0, 20.0),
    *_rows("i1", lambda x: mpmath.besseli(1, x), 0.0, 0.5, -3.0, 20.0),
]  # fmt: skip

#: Function -> its points.
POINTS = {name: [row.at for row in ROWS if row.name == name] for name in NAMES}

#: Errors allowed, in roundings of the result. The incomplete functions are series of many terms, and the errors of
#: torch 2.13, TensorFlow 2.21 and JAX 0.10 reach 69 of them; all others stay under 17.
_ROUNDINGS = {"betainc": 128, "gammainc": 128}
_FEW_ROUNDINGS = 32

#: Backend -> derivative, ``row`` and index of the argument -> why it is missing or wrong, in the versions pinned here.
_EXPIT = "y (1 - y) is computed from the rounded y, which is 1"
_TRIGAMMA = "its trigamma has an error of 1e-10 in float64"
LACKS: dict[str, dict[str, str]] = {
    "numpy": {f"betainc({p})/{k}": "no rule" for p in ("2,3,0.25", "0.5,0.5,0.75", "20,5,0.75") for k in (0, 1)}
    | {f"gammainc({p})/0": "no rule" for p in ("2,0.5", "0.5,3", "20,15")},
    "torch": {f"gammainc({p})/0": "no rule" for p in ("2,0.5", "0.5,3", "20,15")}
    | {"expit(40)/0": _EXPIT}
    | {f"digamma({p})/0 float64": _TRIGAMMA for p in ("0.25", "3.5", "-1.25")},
    "tensorflow": {
        f"betainc({p})/{k}": "the gradient is None, which means zero"
        for p in ("2,3,0.25", "0.5,0.5,0.75", "20,5,0.75")
        for k in (0, 1)
    }
    | {
        "expit(40)/0": _EXPIT,
        "xlogy(0,2)/0": "0 by its documentation",
        "i1(0)/0": "1 where it is 1/2",
    },
    "jax": {f"betainc({p})/{k}": "no rule" for p in ("2,3,0.25", "0.5,0.5,0.75", "20,5,0.75") for k in (0, 1)}
    | {"expit(40)/0": _EXPIT, "i0(0)/0": "1 where it is 0"},
    "autograd": {f"betainc({p})/{k}": "no rule" for p in ("2,3,0.25", "0.5,0.5,0.75", "20,5,0.75") for k in (0, 1)}
    | {f"gammainc({p})/0": "no rule" for p in ("2,0.5", "0.5,3", "20,15")}
    | {"expit(40)/0": _EXPIT},
}
#: Backend -> the functions that it lacks.
ABSENT = {"torch": {"betainc"}, "autograd": {"xlogy"}}


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Any:
    chosen = load(request.param)
    if missing(chosen) and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing(chosen))}")
    chosen.open()
    return chosen


def _allowed(row: Row, dtype: str, size: float) -> float:
    return float(np.finfo(dtype).eps) * _ROUNDINGS.get(row.name, _FEW_ROUNDINGS) * abs(size)


@functools.cache
def _slopes(backend: Any, name: str, k: int, dtype: str) -> list[float]:
    """Return the derivative in argument k at all points of a function: one preparation serves them."""
    args = [backend.to_var(np.asarray(column, dtype)) for column in zip(*POINTS[name], strict=True)]
    function, xp = getattr(backend.xp.special, name), backend.xp
    gradient = backend.prepare(Operator.GRADIENT, lambda *x: xp.sum(function(*x)), args, argnums=(k,))(*args)[0]
    found: list[float] = backend.to_numpy(gradient).tolist()
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_value(backend: Any, row: Row, dtype: str) -> None:
    args = [backend.to_var(np.asarray([x], dtype)) for x in row.at]
    if row.name in ABSENT.get(backend.name, ()):
        with pytest.raises(Unsupported, match=rf"^{backend.name} has no xp\.special\.{row.name}$"):
            getattr(backend.xp.special, row.name)
        return
    got = backend.to_numpy(getattr(backend.xp.special, row.name)(*args))
    with mpmath.workdps(_DIGITS):
        wanted = float(row.truth(*row.at))
    assert got.shape == (1,)
    assert got.dtype == dtype
    assert abs(float(got[0]) - wanted) <= _allowed(row, dtype, wanted)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("row", "k"), [(row, k) for row in ROWS for k in range(len(row.at))], ids=str)
def test_derivative(request: pytest.FixtureRequest, backend: Any, row: Row, k: int, dtype: str) -> None:
    if row.name in ABSENT.get(backend.name, ()):
        pytest.skip(f"{backend.name} has no {row.name}")
    known = LACKS[backend.name]
    reason = known.get(f"{row}/{k}") or known.get(f"{row}/{k} {dtype}")
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    got = _slopes(backend, row.name, k, dtype)[POINTS[row.name].index(row.at)]
    with mpmath.workdps(_DIGITS):
        wanted = row.slope(k)
    assert abs(got - wanted) <= _allowed(row, dtype, wanted)


X = np.array([[0.5, -1.0, 2.0], [1000.0, 0.25, 999.0]])


@pytest.mark.parametrize("axis", [None, 0, -1], ids=str)
def test_sums_of_exponentials_take_an_axis_and_do_not_overflow(backend: Any, axis: int | None) -> None:
    """Expected: NumPy in extended precision, the largest entry subtracted."""
    special, x = backend.xp.special, backend.to_var(X)
    top = X.max(axis=axis, keepdims=True)
    rest = np.log(np.exp((X - top).astype(np.longdouble)).sum(axis=axis, keepdims=True))
    got = backend.to_numpy(special.logsumexp(x, axis=axis, keepdims=True))
    np.testing.assert_allclose(got, np.asarray(rest + top, float), rtol=4e-16)
    assert backend.to_numpy(special.logsumexp(x, axis=axis)).shape == np.sum(X, axis=axis).shape
    softmax = backend.to_numpy(special.log_softmax(x, axis=axis))
    np.testing.assert_allclose(softmax, np.asarray(X - top - rest, float), rtol=1e-15)


@pytest.mark.parametrize("name", ["lgamma", "digamma", "xlogy", "logsumexp"])
def test_integers_become_floats_of_the_cell(backend: Any, name: str) -> None:
    """Counts are integers. Expected: the same function of floats, and its derivative in the other argument."""
    if name in ABSENT.get(backend.name, ()):
        pytest.skip(f"{backend.name} has no {name}")
    function, xp = getattr(backend.xp.special, name), backend.xp
    counts, rate = backend.to_var(np.array([3, 1, 4])), backend.to_var(np.array([0.5, 2.0, 7.0]))
    rest = (rate,) if name == "xlogy" else ()
    with backend.computing_in("float64"):
        got, wanted = (backend.to_numpy(function(n, *rest)) for n in (counts, xp.astype(counts, rate.dtype)))
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, wanted)
        if rest:
            slope = backend.prepare(Operator.GRADIENT, lambda y: xp.sum(function(counts, y)), rest)(*rest)[0]
            np.testing.assert_allclose(backend.to_numpy(slope), [6.0, 0.5, 4 / 7], rtol=1e-15)


def test_the_plain_namespace_has_every_function() -> None:
    assert all(callable(getattr(PLAIN.xp.special, name)) for name in NAMES)


def test_a_name_that_is_no_special_function_lists_those_that_are(backend: Any) -> None:
    with pytest.raises(AttributeError, match=r"erfcinverse.*expected one of.*lgamma"):
        _ = backend.xp.special.erfcinverse
