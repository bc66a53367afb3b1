"""Variables in functions of SciPy and of other parts of NumPy: computed by a rule, or refused with what to do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, grad
from autodiff_compare.backends.numpy_autodiff.rules.special import RULES

scipy_special = pytest.importorskip("scipy.special", reason="SciPy is not installed")
UFUNCS = sorted(n for n in dir(scipy_special) if isinstance(getattr(scipy_special, n), np.ufunc) and n[0] != "_")
X = np.array([0.3, 0.6])
MATRIX = np.array([[2.0, 0.5], [0.5, 3.0]])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_of_scipy_has_a_rule_or_is_refused_by_name(name: str) -> None:
    ufunc = getattr(scipy_special, name)
    args = (X,) * ufunc.nin

    def call(x: Any) -> Any:
        found = ufunc(*args[:-1], x)
        return np.sum(found[0] if isinstance(found, tuple) else found)

    if name in RULES or ufunc in {getattr(scipy_special, n) for n in RULES if hasattr(scipy_special, n)}:
        if RULES.get(name, (None,))[-1] is not None:
            assert np.all(np.isfinite(grad(call)(X)))
        return
    with pytest.raises((NotImplementedError, TypeError), match=rf"got the ufunc {ufunc.__name__.lstrip('_')} of a var"):
        grad(call)(X)


@pytest.mark.parametrize("name", ["expit", "erf", "gammaln", "xlogy", "logit", "j0"])
@pytest.mark.parametrize("keyword", ["out", "where", "dtype", "casting", "order", "subok"])
def test_a_keyword_of_such_a_ufunc_is_taken_or_refused_by_name(name: str, keyword: str) -> None:
    ufunc = getattr(scipy_special, name)
    value = {"out": np.empty(2), "where": np.array([True, False]), "dtype": np.float32, "casting": "unsafe"}.get(
        keyword, {"order": "F"}.get(keyword, False)
    )
    args = (X,) * ufunc.nin
    if keyword in ("out", "where"):
        with pytest.raises(TypeError, match=f"got {keyword}= in the ufunc {name} of a variable"):
            ufunc(*map(Variable, args), **{keyword: value})
        return
    found = ufunc(*map(Variable, args), **{keyword: value})
    expected = ufunc(*args, **{keyword: value})
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.value, expected, rtol=1e-6 if keyword == "dtype" else 0)


#: Functions that convert their arguments to plain arrays.
CONVERTING: dict[str, Callable[[Any], Any]] = {
    "scipy.special:logsumexp": lambda f: lambda x: f(x),
    "scipy.special:softmax": lambda f: lambda x: f(x),
    "scipy.special:polygamma": lambda f: lambda x: f(1, x),
    "scipy.special:comb": lambda f: lambda x: f(x, 2),
    "scipy.linalg:solve": lambda f: lambda x: f(MATRIX, x),
    "scipy.linalg:inv": lambda f: lambda x: f(MATRIX * x[0]),
    "scipy.linalg:expm": lambda f: lambda x: f(MATRIX * x[0]),
    "scipy.linalg:cholesky": lambda f: lambda x: f(MATRIX * x[0]),
    "scipy.linalg:norm": lambda f: lambda x: f(x),
    "scipy.linalg:toeplitz": lambda f: lambda x: f(x),
    "scipy.fft:fft": lambda f: lambda x: f(x),
    "scipy.fft:dct": lambda f: lambda x: f(x),
    "scipy.signal:convolve": lambda f: lambda x: f(x, x),
    "scipy.stats:norm.pdf": lambda f: lambda x: f(x),
    "scipy.stats:norm.logpdf": lambda f: lambda x: f(0.3, x[0], 1.0),
    "scipy.stats:zscore": lambda f: lambda x: f(x),
    "scipy.integrate:quad": lambda f: lambda x: f(lambda t: t * x[0], 0, 1)[0],
    "scipy.integrate:simpson": lambda f: lambda x: f(x),
    "scipy.interpolate:interp1d": lambda f: lambda x: f([0.0, 1.0], x)(0.5),
    "scipy.ndimage:gaussian_filter": lambda f: lambda x: f(x, 1.0),
    "scipy.spatial.distance:pdist": lambda f: lambda x: f(MATRIX * x[0]),
    "numpy.random:normal": lambda f: lambda x: f(x),
    "numpy.random:multivariate_normal": lambda f: lambda x: f(x, np.eye(2)),
    "numpy.random:uniform": lambda f: lambda x: f(0.0, [x[0], 2.0]),
    "numpy.random:permutation": lambda f: lambda x: f(x),
    "numpy.random:randn": lambda f: lambda x: f(x[0]),
    "numpy.lib.stride_tricks:as_strided": lambda f: lambda x: f(x, (2, 2)),
    "numpy.polynomial:Polynomial": lambda f: lambda x: f(x)(0.3),
    "numpy.ma:masked_array": lambda f: lambda x: f(x),
    "numpy:ndenumerate": lambda f: lambda x: list(f(x)),
    "numpy:broadcast": lambda f: lambda x: f(x, x),
    "numpy.testing:assert_allclose": lambda f: lambda x: f(x, x),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", CONVERTING)
def test_a_function_that_converts_to_an_array_is_refused(path: str) -> None:
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    with pytest.raises(TypeError, match="would drop its derivative"):
        grad(lambda x: np.sum(CONVERTING[path](found)(x)))(X)


#: Functions that are written with operators and methods alone, and so differentiate as they are.
TRANSPARENT: dict[str, Callable[[Any], Any]] = {
    "poly1d": lambda x: np.poly1d([1.0, 2.0, 3.0])(x),
    "polynomial.polyval": lambda x: np.polynomial.polynomial.polyval(x, [1.0, 2.0, 3.0]),
    "chebval": lambda x: np.polynomial.chebyshev.chebval(x, [1.0, 2.0, 3.0]),
    "fftfreq": lambda x: np.fft.fftfreq(4, x[0]),
    "fromfunction": lambda x: np.fromfunction(lambda i: i * x[0], (3,)),
    "sum of Python": lambda x: sum(v * v for v in x),
    "max of Python": lambda x: max(x) * x,
    "sorted of Python": lambda x: sorted(x)[0] * x,
    "emath of a plain array": lambda x: np.emath.sqrt(-1.0).imag * x,
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_written_with_operators_differentiates_as_it_is(name: str) -> None:
    f = TRANSPARENT[name]
    t = np.array([0.4, -0.7])
    differences = np.sum(f(X + 1e-6 * t) - f(X - 1e-6 * t)) / 2e-6
    # Central differences: h^2 and 1e-16 / h are 1e-10.
    assert np.sum(grad(lambda x: np.sum(f(x)))(X) * t) == pytest.approx(differences, rel=1e-7)
