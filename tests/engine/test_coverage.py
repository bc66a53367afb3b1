"""Nothing of NumPy is missed silently: each function has a rule, is constant, or is listed here with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, grad, jvp, vjp
from autodiff_compare.backends.numpy_autodiff.rules import HANDLERS, UFUNCS
from tests.engine.rules import COMPLEX_ROWS, Row

#: Functions of `numpy`, `numpy.linalg` and `numpy.fft` without an entry in the table of rules, by reason.
WITHOUT: dict[str, str] = {
    "of integers, booleans or dates": "bitwise_count "
    "gcd lcm packbits unpackbits "
    "busday_count busday_offset is_busday isnat datetime_as_string datetime_data",
    "makes an array of shapes and numbers alone": "arange empty zeros ones full eye identity tri indices diag_indices "
    "tril_indices triu_indices mask_indices fromfunction broadcast_shapes bartlett blackman hamming hanning kaiser",
    "converts to an array, which would drop the derivative, and raises": "array asarray asanyarray asarray_chkfinite "
    "ascontiguousarray asfortranarray require asmatrix bmat from_dlpack frombuffer fromiter fromstring fromregex "
    "frompyfunc nested_iters",
    "writes into its argument, and raises": "copyto fill_diagonal place put put_along_axis putmask",
    "counts, and has edges by the range of the data: use bincount with weights, of digitized values": "histogram "
    "histogram2d histogramdd histogram_bin_edges",
    "makes and takes indices": "ix_ ravel_multi_index unravel_index",
    "reads, writes or prints": "fromfile genfromtxt load loadtxt save savetxt savez savez_compressed base_repr "
    "binary_repr format_float_positional format_float_scientific info show_config show_runtime get_include "
    "get_printoptions set_printoptions printoptions typename",
    "a setting": "geterr seterr geterrcall seterrcall getbufsize setbufsize",
    "asks about types and containers": "isdtype isfortran isscalar issubdtype iterable mintypecode promote_types",
    "runs NumPy's tests": "test",
    "an old name of vstack or trapezoid, which it calls": "row_stack trapz",
    "an old name of isin, and raises": "in1d",
    "written with operators alone, and differentiates as it is": "fftfreq rfftfreq",
}
LISTED = {name for names in WITHOUT.values() for name in names.split()}
#: Of them, those that only some releases of NumPy have: 2.2 has all, 2.5 none.
REMOVED = {"row_stack", "trapz", "in1d"}


def _functions(module: Any) -> list[str]:
    def is_function(name: str) -> bool:
        return (
            not name.startswith("_") and callable(getattr(module, name)) and not isinstance(getattr(module, name), type)
        )

    return [name for name in sorted(dir(module)) if is_function(name)]


@pytest.mark.parametrize("module", [np, np.linalg, np.fft], ids=lambda m: m.__name__)
def test_every_function_is_ruled_or_listed(module: Any) -> None:
    missed = [n for n in _functions(module) if getattr(module, n) not in HANDLERS and n not in LISTED]
    assert not missed, f"{module.__name__}: give these a rule, or a reason in WITHOUT: {missed}"


def test_the_list_holds_nothing_that_has_a_rule() -> None:
    known = {name for module in (np, np.linalg, np.fft) for name in _functions(module)}
    ruled = {n for n in LISTED & known if any(getattr(m, n, None) in HANDLERS for m in (np, np.linalg, np.fft))}
    assert not ruled
    assert known >= LISTED - REMOVED, "NumPy has these no more"


#: Members of an array that a variable has not, by reason.
ABSENT: dict[str, str] = {
    "memory, not values": "ctypes data getfield",
    "raise AttributeError in NumPy 2": "itemset newbyteorder ptp",
    "another name of tobytes, which NumPy 2.2 still has": "tostring",
}


def test_a_variable_has_the_members_of_an_array() -> None:
    absent = {name for names in ABSENT.values() for name in names.split()}
    members = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert not members - absent - set(dir(Variable))
    assert not any(hasattr(Variable(1.0), name) for name in absent)


#: Methods of a variable of shape (2, 3), and the function of the same meaning.
METHODS: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (lambda x: x.nonzero()[0], lambda x: np.nonzero(x)[0]),
    (lambda x: x.compress([True, False], axis=0), lambda x: np.compress([True, False], x, axis=0)),
    (lambda x: x.argpartition(1), lambda x: np.argpartition(x, 1)),
    (lambda x: x[0].searchsorted(0.5), lambda x: np.searchsorted(x[0], 0.5)),
    (lambda x: x.conjugate(), np.conjugate),
    (lambda x: divmod(x, 0.7)[1], lambda x: np.remainder(x, 0.7)),
    (lambda x: divmod(7.0, x)[0], lambda x: np.floor_divide(7.0, x)),
]


@pytest.mark.parametrize(("method", "function"), METHODS)
def test_methods_are_functions(method: Any, function: Any) -> None:
    x = np.array([[0.3, -1.2, 2.0], [1.5, 0.4, -0.7]])
    value = function(x)
    np.testing.assert_array_equal(method(x), value)
    found = grad(lambda x: np.sum(x) + np.sum(method(x)))(x)
    np.testing.assert_array_equal(found, grad(lambda x: np.sum(x) + np.sum(function(x)))(x))


SCALARS = ("float32", "float64", "longdouble", "complex64", "complex128")


def _accepted(ufunc: np.ufunc, dtype: str) -> list[Any] | None:
    """Arguments of this dtype, where NumPy takes them and gives the same or its real kind."""
    args = [np.dtype(dtype).type(v) for v in (1.4 if ufunc is np.arccosh else 0.4, 0.7)][: ufunc.nin]
    if ufunc is np.ldexp:
        args[1] = 2
    try:
        out = ufunc(*args)
    except TypeError:
        return None
    return (
        args if all(np.asarray(o).dtype.kind in "fcbi" for o in (out if isinstance(out, tuple) else (out,))) else None
    )


UNARY_AND_BINARY = sorted((f for f in UFUNCS if f.signature is None and f.nin <= 2), key=lambda f: f.__name__)


@pytest.mark.parametrize("dtype", SCALARS)
@pytest.mark.parametrize("ufunc", UNARY_AND_BINARY, ids=lambda f: f.__name__)
def test_derivatives_at_a_number_are_numpy_scalars_of_its_dtype(ufunc: np.ufunc, dtype: str) -> None:
    """A Python complex, say, has no dtype: the next rule would fail, or take it for double."""
    args = _accepted(ufunc, dtype)
    if args is None:
        return
    differentiated = [a for a in args if isinstance(a, np.generic)]

    def f(*xs: Any) -> Any:
        out = ufunc(*xs, *args[len(xs) :])
        return sum(out) if isinstance(out, tuple) else out

    value, pullback = vjp(f, *differentiated)
    for g in pullback(np.ones_like(value)):
        assert (type(g), g.shape) == (np.dtype(dtype).type, ())
    tangent = jvp(f, differentiated, differentiated)[1]
    assert type(tangent) is type(value)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("row", [r for r in COMPLEX_ROWS if len(r.shapes) == 1], ids=lambda row: row.name)
def test_complex_rules_give_arrays_of_the_right_dtype(row: Row, dtype: str) -> None:
    """Rule by rule, also where the whole row ends in one number."""
    args = [np.asarray(x + 0.3j).astype(dtype)[()] for x in row.arguments()]
    found = grad(lambda x: np.sum(np.real(row.function(x)) + 2 * np.imag(row.function(x))))(*args)
    assert isinstance(found, (np.ndarray, np.generic))
    assert (found.dtype, found.shape) == (np.dtype(dtype), args[0].shape)


def test_the_gradient_of_the_imaginary_part() -> None:
    """d Im(z) / da + i d Im(z) / db = i."""
    for dtype in (np.complex64, np.complex128):
        found = grad(np.imag)(dtype(1 + 2j))
        assert type(found) is dtype
        assert found == 1j
    assert grad(lambda z: np.imag(z * z))(1 + 2j) == 2j * (1 - 2j)
