"""Computed indices, sorts and searches in the compiled mode: equal to the engine at other values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, hvp, jvp
from autodiff_compare.backends.numpy_autodiff.array.namespace import xp
from autodiff_compare.backends.numpy_autodiff.compiler import CompileError, compile

EXAMPLE = np.array([1.7, -0.4, 0.9, 2.2])
#: Other orders, other largest entries, other whole parts than the example's.
POINTS = [np.array([-0.3, 1.2, 2.7, -1.4]), np.array([2.9, 0.2, -1.1, 0.6]), np.array([0.5, 2.5, -0.5, 1.1])]
WEIGHTS = np.array([1.0, -2.0, 3.0, 0.5])
KNOTS = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])


def _whole(x: Any) -> Any:
    return np.floor(np.abs(x)).astype(int)


def _weighted(x: Any) -> Any:
    return np.sum(np.reshape(x, (-1,))[:4] * WEIGHTS[: min(4, x.size)])


#: Functions of a vector of four; each is multiplied out so that second derivatives are not zero.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "numpy integer": lambda x: x[np.int64(1)] * x[np.uint8(2)],
    "argmax": lambda x: x[np.argmax(x)] * x[np.argmin(x)],
    "argmax, method": lambda x: x[x.argmax()] ** 2 * x[0],
    "nanargmin": lambda x: x[np.nanargmin(x)] ** 3,
    "computed and fixed": lambda x: np.outer(x, x)[np.argmax(x), 1],
    "fixed and computed": lambda x: np.outer(x, x * x)[2, np.argmin(x)],
    "row": lambda x: _weighted(np.outer(x, x)[np.argmax(x)]),
    "column": lambda x: _weighted(np.outer(x, x)[:, np.argmax(x)]),
    "ellipsis": lambda x: _weighted(np.outer(x, x)[..., np.argmax(x)]),
    "new axis": lambda x: _weighted(np.outer(x, x)[None, np.argmax(x)]),
    "pairs": lambda x: _weighted(np.outer(x, x)[np.arange(4), np.argmax(np.outer(x, x), axis=1)]),
    "computed and listed": lambda x: np.outer(x, x)[np.argmax(x), [0, 0, 2]] @ np.array([1.0, 2.0, 3.0]) * x[1],
    "computed and masked": lambda x: _weighted(np.outer(x, x)[np.argmax(x), np.array([True, False, True, False])]),
    "argsort": lambda x: _weighted(x[np.argsort(x)] ** 2),
    "lexsort": lambda x: _weighted(x[np.lexsort((x,))] ** 2),
    "lexsort by two keys": lambda x: _weighted(x[np.lexsort((x, np.floor(x)))] ** 2),
    "argpartition": lambda x: x[np.argpartition(x, 1)[1]] ** 2,
    "sort": lambda x: _weighted(np.sort(x) ** 2),
    "sort, xp": lambda x: _weighted(xp.sort(x, descending=True) ** 2),
    "argsort, xp": lambda x: _weighted(xp.take(x, xp.argsort(x, descending=True)) ** 2),
    "sort of rows": lambda x: _weighted(np.sort(np.outer(x, x), axis=0)[1]),
    "partition": lambda x: np.partition(x, 2)[2] ** 2,
    "median": lambda x: np.median(x) ** 2,
    "quantile": lambda x: _weighted(np.quantile(x, [0.1, 0.5, 0.7, 0.9]) ** 2),
    "quantile in q": lambda x: np.quantile(np.array([1.0, 3.0, 4.0, 9.0]), (x[0] + 2) / 6) * x[1],
    "running maximum": lambda x: _weighted(np.maximum.accumulate(x) ** 2),
    "take": lambda x: _weighted(np.take(x, _whole(x)) ** 2),
    "take, clipped": lambda x: _weighted(np.take(x, _whole(3 * x), mode="clip") ** 2),
    "take, wrapped": lambda x: _weighted(np.take(x, _whole(3 * x), mode="wrap") ** 2),
    "take along rows": lambda x: _weighted(np.take(np.outer(x, x), _whole(x), axis=1)),
    "take, method": lambda x: _weighted(x.take(x.astype(int)) * x),
    "take_along_axis": lambda x: _weighted(np.take_along_axis(x, np.argsort(x), 0) ** 2),
    "take_along_axis of rows": lambda x: _weighted(
        np.take_along_axis(np.outer(x, x), np.argsort(np.outer(x, x), axis=1), 1)[1]
    ),
    "plain array, xp": lambda x: _weighted(xp.take(KNOTS, xp.astype(xp.floor(xp.abs(x)), xp.int64)) * x * x),
    "plain array": lambda x: _weighted(np.take_along_axis(KNOTS, _whole(x), 0) * x * x),
    "searchsorted": lambda x: _weighted(x[np.searchsorted(KNOTS[1:-1], x)] * x),
    "searchsorted in x": lambda x: np.searchsorted(np.sort(x), 0.55) * x[0] * x[1],
    "digitize": lambda x: _weighted(np.digitize(x, KNOTS) * x * x),
    "unwrap": lambda x: _weighted(np.unwrap(9 * x) ** 2),
    "interp": lambda x: _weighted(np.interp(x, [-1, 0, 1, 3], [1, 2, 4, 5]) * x),
    "interp of one": lambda x: np.interp(0.5 * x[0] * x[1], KNOTS, KNOTS**2) * x[2],
    "interp in the values": lambda x: np.interp(0.4, [0, 1, 2, 3], x * x),
    "interp in the knots": lambda x: np.interp(0.9, np.cumsum(x * x), x),
    "interp, periodic": lambda x: _weighted(np.interp(x, [0.0, 1.0, 1.5, 1.9], x * x, period=2.0)),
    "choose": lambda x: _weighted(np.choose((x > 0).astype(int), [x * x, 2 * x])),
    "choose, wrapped": lambda x: _weighted(np.choose(_whole(x), [x * x, 2 * x], mode="wrap")),
    "bincount": lambda x: _weighted(np.bincount(_whole(x), x * x, minlength=5)),
    "masks": lambda x: _weighted(np.where((x > 0) & ~(x > 1) | (x < -1), x * x, 3 * x)),
    "masks, exclusive": lambda x: _weighted(np.where((x > 0) ^ (x > 1), x * x, 3 * x)),
    "bits of an index": lambda x: x[np.argmax(x) & 1] ** 2 * x[(np.argmax(x) >> 1) | 2] + x[np.argmin(x) // 2] ** 2,
    "ldexp": lambda x: _weighted(np.ldexp(x * x, _whole(x))),
    "roll": lambda x: _weighted(np.roll(x, np.argmax(x)) ** 2),
    "warp": lambda x: _warped(x),
    "apply_along_axis": lambda x: _weighted(np.apply_along_axis(lambda v: v[np.argmax(v)], 0, np.outer(x, x))),
    "ptp and clip": lambda x: _weighted(np.clip(x * x, np.min(x), np.max(x) / 2)),
}


def _warped(x: Any) -> Any:
    """Bilinear sampling of a row of pixels at computed places, as an image is warped."""
    row = xp.concat((x * x, x))
    at = xp.clip(xp.abs(2 * x), 0.0, 6.5)
    low = xp.astype(xp.floor(at), xp.int64)
    part = at - xp.astype(low, xp.float64)
    return _weighted(xp.take(row, low) * (1 - part) + xp.take(row, low + 1) * part)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_computed_index_is_computed_anew(name: str) -> None:
    f = FUNCTIONS[name]
    t = np.array([0.3, -1.0, 0.7, 0.2])
    for x in (EXAMPLE, *POINTS):
        made = compile(f, EXAMPLE, operator="value_and_gradient")
        value, gradient = made(x)
        # The engine sums in the order of the function, the code in its own: a few roundings of numbers up to 100.
        np.testing.assert_allclose(value, f(x), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(gradient, grad(f)(x), rtol=1e-13, atol=1e-13)
        for operator, expected in (("jvp", jvp(f, (x,), (t,))[1]), ("hvp", hvp(f, (x,), (t,))[0])):
            found = compile(f, EXAMPLE, t, operator=operator)(x, t)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["argmax", "take", "sort", "interp", "choose", "bincount"])
def test_other_values_need_no_other_trace(name: str) -> None:
    made = compile(FUNCTIONS[name], EXAMPLE, operator="gradient")
    for x in POINTS:
        made(x)
    assert made.traces == 1


#: Whose shape, or whose path, depends on values -> a part of the message.
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "mask": (lambda x: x[x > 0], "index by a traced mask, whose shape depends on values"),
    "mask of rows": (lambda x: np.outer(x, x)[:, x > 0], "index by a traced mask"),
    "extract": (lambda x: np.extract(x > 0, x), "shape depends on values"),
    "compress": (lambda x: np.compress(x > 0, x), "shape depends on values"),
    "nonzero": (lambda x: x[np.nonzero(x > 0)], "nonzero, whose shape depends on values"),
    "where": (lambda x: x[np.where(x > 0)], "where, whose shape depends on values"),
    "unique": (np.unique, "unique, whose shape depends on values"),
    "setdiff1d": (lambda x: np.setdiff1d(x, [0.5], assume_unique=True), "shape depends on values"),
    "trim_zeros": (np.trim_zeros, "shape depends on values"),
    "slice": (lambda x: x[: np.argmax(x)], "a bound of a slice"),
    "repeat": (lambda x: np.repeat(x, x.astype(int)), r"np\.repeat"),
    "delete": (lambda x: np.delete(x, np.argmax(x)), r"np\.delete that is computed .* while compiling"),
    "delete several": (lambda x: np.delete(x, [0, np.argmax(x)]), r"np\.delete"),
    "insert": (lambda x: np.insert(x, [np.argmax(x)], 1.0), r"np\.insert"),
    "split": (lambda x: np.split(x, [np.argmax(x)])[0], r"np\.split"),
    "split into many": (lambda x: np.array_split(x, np.argmax(x) + 1)[0], r"np\.array_split"),
    "tile": (lambda x: np.tile(x, np.argmax(x)), r"np\.tile"),
    "resize": (lambda x: np.resize(x, (np.argmax(x), 2)), r"np\.resize"),
    "pad": (lambda x: np.pad(x, np.argmax(x)), r"np\.pad"),
    "length of a transform": (lambda x: np.abs(np.fft.fft(x, np.argmax(x) + 1)), r"np\.fft\.fft"),
    "length of transforms": (lambda x: np.abs(np.fft.rfft2(np.outer(x, x), (2, np.argmax(x)))), r"np\.fft\.rfft"),
    "length": (lambda x: np.zeros(np.argmax(x)), "fix a shape|a length|expected a sequence of integers"),
    "range": (lambda x: sum(x[i] for i in range(x.argmax())), "range"),
    "bincount": (lambda x: np.bincount(_whole(x), x), "pass minlength="),
    "plain array": (lambda x: KNOTS[np.argmax(x)] * x, "take_along_axis"),
    "plain take": (lambda x: np.take(KNOTS, _whole(x)) * x, "take_along_axis"),
    "branch": (lambda x: x if x[0] > 0 else -x, r"np\.where"),
    "branch on a number": (lambda x: x[0] and x, r"np\.where"),
    "max of Python": (lambda x: max(x[0], x[1]) * x, r"np\.where"),
    "sorted of Python": (lambda x: sorted(x)[0] * x, r"np\.where"),
    "while": (lambda x: _halved(x), r"np\.where"),
    "int": (lambda x: x * int(x[0]), r"np\.trunc"),
    "quantile by a method": (
        lambda x: np.quantile(KNOTS, (x[0] + 2) / 6, method="lower") * x,
        "traced probability with method='lower'",
    ),
}


def _halved(x: Any) -> Any:
    while np.sum(x * x) > 1:
        x = x / 2
    return x


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("operator", ["value", "gradient"])
def test_what_depends_on_values_is_refused_with_its_reason(name: str, operator: str) -> None:
    f, says = REFUSED[name]
    # NumPy itself refuses a length that is no number.
    with pytest.raises(TypeError if name == "length" else CompileError, match=says) as caught:
        compile(lambda x: np.sum(f(x)), EXAMPLE, operator=operator)
    assert not any(word in str(caught.value) for word in ("Recorded", "Node", "Tracer", "<lambda>"))


def test_an_index_of_floats_is_refused_as_in_numpy() -> None:
    for make in (grad, lambda f: compile(f, EXAMPLE)):
        with pytest.raises(IndexError, match="integers"):
            make(lambda x: np.sum(x[x]))(EXAMPLE)


def test_an_array_of_indices_is_copied() -> None:
    places = np.array([0, 1])
    made = compile(lambda x: np.sum(np.outer(x, x)[np.argmax(x), places]), EXAMPLE, operator="value")
    expected = made(EXAMPLE)
    places[:] = 3
    assert made(EXAMPLE) == expected == pytest.approx(2.2 * (1.7 - 0.4), rel=1e-15)


@pytest.mark.parametrize(
    ("f", "place", "error", "says"),
    [
        (lambda x: np.sum(np.choose(x.astype(int), [x, 2 * x])), -1.0, ValueError, "got a choice outside 0 to 1"),
        (lambda x: np.sum(np.choose(x.astype(int), [x, 2 * x])), 2.0, ValueError, "got a choice outside 0 to 1"),
        (lambda x: np.sum(np.bincount(x.astype(int), x, minlength=3)), -1.0, ValueError, "negative"),
        (lambda x: np.sum(np.take(x, x.astype(int))), 7.0, IndexError, "out of bounds"),
    ],
)
def test_a_place_that_is_not_there_is_an_error_as_in_numpy(
    f: Any, place: float, error: type[Exception], says: str
) -> None:
    """The example is in order, the point is not: a negative place must not be taken from the end."""
    made = compile(f, np.array([0.5, 1.2, 0.1]))
    for call in (f, grad(f), made):
        with pytest.raises(error, match=f"{says}|invalid entry in choice array"):
            call(np.array([0.5, 1.2, place]))


#: Each axis is an index that the inputs decide: by position, by keyword, in a tuple, of a method.
_COMPUTED_AXES: dict[str, Any] = {
    "np.sum": lambda x, k: np.sum(x, axis=k),
    "np.max": lambda x, k: np.max(x, k),
    "np.concatenate": lambda x, k: np.concatenate([x, x], axis=k),
    "np.flip": lambda x, k: np.flip(x, k)[0],
    "np.linalg.norm": lambda x, k: np.linalg.norm(x, axis=k),
    "np.mean": lambda x, k: x.mean(axis=(k,)),
    "np.moveaxis": lambda x, k: np.moveaxis(x, k, 0),
    "np.fft.fft": lambda x, k: np.abs(np.fft.fft(x, axis=k)),
}


@pytest.mark.parametrize("name", _COMPUTED_AXES)
def test_a_computed_axis_is_refused_by_name(name: str) -> None:
    def f(x: Any) -> Any:
        return np.sum(_COMPUTED_AXES[name](x, np.argmax(x[0, :2])))

    x = np.arange(6.0).reshape(2, 3)
    with pytest.raises(CompileError, match=rf"got (axis|source)= of {name} computed from the inputs while compiling"):
        compile(f, x, operator="gradient")(x)


def test_a_computed_axis_that_keeps_the_shape_is_followed() -> None:
    def f(x: Any) -> Any:
        return np.sum((np.roll(x, 1, axis=np.argmax(x[0, :2])) * np.arange(6.0).reshape(2, 3)) ** 2)

    x = np.arange(6.0).reshape(2, 3)
    made = compile(f, x, operator="gradient")
    for at in (x, x[:, ::-1].copy()):
        np.testing.assert_allclose(made(at), grad(f)(at), rtol=1e-13)
