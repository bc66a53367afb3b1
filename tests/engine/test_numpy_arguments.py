"""Every argument of every NumPy function that the engine takes: NumPy's own result, or a refusal with its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, grad
from autodiff_compare.backends.numpy_autodiff.array.functions import Form, spelled
from autodiff_compare.backends.numpy_autodiff.rules import ACCUMULATE, HANDLERS, REDUCE, UFUNCS
from tests.engine.numpy_arguments import (
    APART,
    FORM,
    MASK,
    MATRIX,
    SQUARE,
    VALUES,
    VECTOR,
    assert_same,
    base,
    itself,
    outcome,
    parameters,
    plain,
    traced,
)


def cases() -> Iterator[tuple[Any, str, bool]]:
    """Yield a function, an argument with a default, and whether it is given by position."""
    for function in sorted(HANDLERS, key=spelled):
        if isinstance(function, np.ufunc) or spelled(function) in APART:
            continue
        for p in parameters(function):
            if p.default is not p.empty and p.kind is not p.KEYWORD_ONLY:
                yield function, p.name, True
            if p.default is not p.empty and p.kind is not p.POSITIONAL_ONLY:
                yield function, p.name, False


def value_of(function: Any, name: str) -> Any:
    if name == "out":
        found = function(*base(function))
        return np.empty_like(found) if isinstance(found, (np.ndarray, np.generic)) else np.empty(3)
    named = f"{spelled(function)} {name}"
    assert named in VALUES or name in VALUES, f"give the argument {name} of {spelled(function)} a value in VALUES"
    return VALUES.get(named, VALUES.get(name))


def given(function: Any, name: str, by_position: bool) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return the arguments of the call, or None where an earlier argument cannot be given."""
    args = base(function)
    value = value_of(function, name)
    if not by_position:
        names = [p.name for p in parameters(function)]
        at = names.index(name) if name in names[: len(args)] else len(args)
        return args[:at], {**dict(zip(names[at:], args[at:], strict=False)), name: value}
    every = parameters(function)
    at = [p.name for p in every].index(name)
    between = [p.default for p in every[len(args) : at]]
    if any(d is np._NoValue for d in between):
        between = [False if p.name == "keepdims" else p.default for p in every[len(args) : at]]
    if any(d is np._NoValue or d is inspect.Parameter.empty for d in between):
        return None
    return (*args[:at], *between, value, *args[at + 1 :]), {}


#: Parts of a message that show our own functions instead of what the user wrote.
INNER = ("<lambda>", "<locals>", "Recorded", "positional argument", "ArrayMembers", "Field elements", "_dispatcher")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("function", "name", "by_position"),
    list(cases()),
    ids=lambda v: spelled(v) if callable(v) else {True: "by position", False: "by keyword"}.get(v, v),
)
def test_an_argument_is_taken_or_refused_by_name(function: Any, name: str, by_position: bool) -> None:
    call = given(function, name, by_position)
    if call is None:
        return
    args, kwargs = call
    expected = outcome(lambda: function(*args, **kwargs))
    found = outcome(
        lambda: function(*map(traced, args), **{k: v if k == "out" else traced(v) for k, v in kwargs.items()})
    )
    if isinstance(found, Exception):
        assert not any(part in str(found) for part in INNER), found
        assert f"got {name}= in {spelled(function)}" in str(found) or isinstance(expected, Exception), found
    else:
        assert not isinstance(expected, Exception), f"NumPy raises {expected}"
        assert_same(*(FORM.get(function, itself)(x) for x in (found, expected)))


#: Keywords of ufuncs and of their methods, with a value other than the default.
UFUNC_VALUES: dict[str, Any] = {
    "casting": "unsafe",
    "order": "F",
    "subok": False,
    "dtype": np.float32,
    "where": np.array([True, False, True, True]),
    "out": np.empty(4),
    "signature": "d->d",
    "axis": -1,
    "axes": [(0,)],
    "keepdims": True,
    "initial": 1.5,
}
SMOOTH = {np.arccosh: VECTOR**2 + 1.1, np.ldexp: VECTOR}
ELEMENTWISE = sorted((f for f in UFUNCS if f.signature is None), key=spelled)


def operands(ufunc: np.ufunc) -> tuple[Any, ...]:
    x = SMOOTH.get(ufunc, np.abs(VECTOR) / 3)
    return (x, np.array([1, 2, 0, 1])) if ufunc is np.ldexp else (x, x[::-1].copy())[: ufunc.nin]


#: Keywords that the engine may refuse: NumPy leaves numbers of the memory where a mask has no value, and no rule writes
#: into an array.
REFUSED = ("out", "where", "signature", "axes")


def check(
    call: Callable[..., Any], args: tuple[Any, ...], name: str, of: str, refused: tuple[str, ...] = REFUSED
) -> None:
    value = UFUNC_VALUES[name]
    expected = outcome(lambda: call(*args, **{name: value}))
    found = outcome(lambda: call(*map(traced, args), **{name: value}))
    if isinstance(found, Exception):
        assert not any(part in str(found) for part in INNER), found
        assert f"got {name}= in {of}" in str(found) or isinstance(expected, Exception), found
        assert name in refused or isinstance(expected, Exception), found
    else:
        assert not isinstance(expected, Exception), f"NumPy raises {expected}"
        assert_same(found, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["casting", "order", "subok", "dtype", "where", "out", "signature"])
@pytest.mark.parametrize("ufunc", ELEMENTWISE, ids=spelled)
def test_a_keyword_of_a_ufunc_is_taken_or_refused_by_name(ufunc: Any, name: str) -> None:
    check(ufunc, operands(ufunc), name, spelled(ufunc))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["axis", "dtype", "keepdims", "initial", "where", "out"])
@pytest.mark.parametrize("ufunc", [*REDUCE, np.logical_and, np.logical_or], ids=spelled)
def test_a_keyword_of_reduce_is_taken_or_refused_by_name(ufunc: Any, name: str) -> None:
    masked = ufunc not in (np.logaddexp, np.logaddexp2, np.hypot)
    refused = ("out",) if masked else ("out", "where", "initial", "dtype")
    check(ufunc.reduce, (np.abs(VECTOR),), name, f"{spelled(ufunc)}.reduce", refused)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["axis", "dtype", "out"])
@pytest.mark.parametrize("ufunc", ACCUMULATE, ids=spelled)
def test_a_keyword_of_accumulate_is_taken_or_refused_by_name(ufunc: Any, name: str) -> None:
    check(ufunc.accumulate, (np.abs(VECTOR),), name, f"{spelled(ufunc)}.accumulate")


@pytest.mark.parametrize("name", ["axis", "axes", "keepdims", "dtype", "out", "casting", "order"])
@pytest.mark.parametrize("ufunc", [np.matmul, np.vecdot, np.matvec, np.vecmat], ids=spelled)
def test_a_keyword_of_a_product_is_taken_or_refused_by_name(ufunc: Any, name: str) -> None:
    args = {np.vecdot: (VECTOR, VECTOR), np.matvec: (SQUARE, SQUARE[0]), np.vecmat: (SQUARE[0], SQUARE)}
    refused = ("axis", "axes", "keepdims", "dtype", "out")
    check(ufunc, args.get(ufunc, (SQUARE, SQUARE)), name, spelled(ufunc), refused)


#: Of a number and of axes that are not there: NumPy's own value or its own error.
EDGES: list[Callable[[Any], Any]] = [
    *(lambda x, n=n: getattr(np, n)(x, axis=0) for n in ("sum", "prod", "max", "min", "cumsum", "cumprod", "sort")),
    *(lambda x, n=n: getattr(np, n)(x, axis=0) for n in ("mean", "var", "median", "ptp", "argmax", "argsort", "any")),
    *(lambda x, n=n: getattr(np, n)(x, axis=5) for n in ("sum", "mean", "median", "cumsum", "sort", "argmax", "std")),
    *(lambda x, n=n: getattr(np, n)(x, axis=-9) for n in ("flip", "diff", "nanmax", "nanmedian", "squeeze", "ptp")),
    lambda x: np.quantile(x, 0.3, axis=0),
    lambda x: np.take(x, 0, axis=0) + np.take(x, [0])[0],
    lambda x: np.repeat(x, 2, axis=0),
    lambda x: np.moveaxis(x, 0, 4),
    lambda x: np.swapaxes(x, 0, 1),
    lambda x: np.rollaxis(x, 0, 7),
    lambda x: np.unstack(x, axis=3),
    lambda x: np.split(x, 1, axis=2),
    lambda x: np.insert(x, 0, 1.0, axis=6),
    lambda x: np.delete(x, 0, axis=6),
    lambda x: np.take_along_axis(x, np.array([0]), 3),
    lambda x: np.diff(x, n=0),
    lambda x: np.diff(x, n=0, prepend=1.0),
    lambda x: np.diff(x, n=-1),
    lambda x: np.cumulative_sum(x),
    lambda x: np.linspace(x, 1.0, 1, retstep=True)[1],
    lambda x: np.linspace(-3 * x, 2.5, 5, dtype=int),
    lambda x: np.var(x, dtype=complex) + np.std(x, dtype=complex),
    lambda x: np.take(x, [0], mode="same"),
    lambda x: np.compress(1, x),
    lambda x: np.trim_zeros(x),
    lambda x: np.diag(x),
    lambda x: np.matrix_transpose(x),
    lambda x: np.vander(x),
    lambda x: np.fft.fft(x),
    lambda x: np.concatenate((x, x), axis=4),
    lambda x: np.stack((x, x), axis=4),
    lambda x: np.expand_dims(x, 5),
    lambda x: np.broadcast_to(x, (3, 5)),
    lambda x: np.reshape(x, (7, 7)),
    lambda x: np.transpose(x, (0, 1, 2)),
    lambda x: np.linalg.inv(x),
    lambda x: np.linalg.solve(x, x),
    lambda x: np.linalg.norm(x, axis=5),
    lambda x: np.dot(x, np.ones(9)),
    lambda x: np.einsum("ij,j", x, np.ones(9)),
    lambda x: np.tensordot(x, np.ones((7, 7)), 1),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("x", [np.float64(0.7), np.float64(0.0), VECTOR], ids=["number", "zero", "vector"])
@pytest.mark.parametrize("f", EDGES)
def test_a_number_or_an_axis_that_is_not_there_has_the_value_or_the_error_of_numpy(f: Any, x: Any) -> None:
    expected, found = outcome(lambda: f(x)), outcome(lambda: f(Variable(x)))
    if not isinstance(expected, Exception):
        assert not isinstance(found, Exception), found
        assert_same(found, expected)
        if np.asarray(expected).dtype.kind == "f":
            assert not np.any(np.isnan(grad(lambda x: np.sum(f(x)))(x)))
        return
    assert isinstance(found, type(expected)) or isinstance(expected, type(found)), found
    assert str(found).startswith("got ") or str(found) == str(expected), found


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (np.concatenate, ([VECTOR, VECTOR],), {"axis": 0}),
        (np.where, (VECTOR > 0, VECTOR, 0.0), {}),
        (np.dot, (MATRIX, SQUARE), {}),
        (np.argsort, (VECTOR,), {"kind": "stable"}),
        (np.sum, (MATRIX,), {"axis": 1}),
    ],
    ids=lambda v: spelled(v) if callable(v) else "",
)
def test_a_function_without_a_signature_has_that_of_its_rule(
    function: Any, args: Any, kwargs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the functions of older versions of NumPy, where 2.1 is the oldest."""
    signature = inspect.signature

    def none(f: Any) -> Any:
        if f is function:
            raise ValueError("no signature found")
        return signature(f)

    monkeypatch.setattr(inspect, "signature", none)
    found = plain(Form(function).call(traced(args), kwargs))
    assert_same(found, function(*args, **kwargs))


@pytest.mark.parametrize("name", ["mean", "var", "std", "nanmean", "nanvar", "nanstd"])
def test_a_statistic_is_not_computed_in_integers(name: str) -> None:
    for where in (True, MASK):
        with pytest.raises(TypeError, match="got dtype=int64 in a statistic of a variable"):
            getattr(np, name)(Variable(MATRIX), dtype=np.int64, where=where)
