"""Lists with numbers and variables in them: arrays wherever NumPy asks the engine, and everywhere through ``xp``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, jvp
from autodiff_compare.backends.numpy_autodiff.array.namespace import xp

X = np.array([0.7, -0.4, 1.3])
C = np.array([0.5, -1.0, 2.0])

#: A variable beside the list makes NumPy ask the engine.
BESIDE: dict[str, Callable[[Any], Any]] = {
    "operators": lambda x: x * [x[0], 2, x[1]] + [1.0, x[2], 0] - x / [2.0, x[0], 3],
    "reflected": lambda x: [x[0], 2, x[1]] * x + (1.0, 2.0, x[0]) @ x,
    "matmul": lambda x: x @ [x[0], 1.0, x[1]] + np.matmul([[1, x[0], 2]], x)[0],
    "power": lambda x: np.abs(x) ** [2, 1, 3] + [2.0, 3.0, 1.0] ** x,
    "comparison": lambda x: np.where(x > [0, 0, 2], x * x, x),
    "ufunc": lambda x: np.maximum(x, [x[1], 0.0, 2 * x[0]]) * np.hypot([1, 2, x[0]], x),
    "ufunc of tuples": lambda x: np.arctan2(x, (1.0, 2.0, x[0])),
    "outer": lambda x: np.multiply.outer([x[0], 2.0], x) + np.outer(x[:2], [1, 2, x[0]]),
    "dot": lambda x: np.dot(x, [x[0], x[1], 2.0]) + np.inner([1, x[0], 2], x) + np.vdot(x, [1, 2, x[1]]),
    "where": lambda x: np.where(x > 0, [x[0], x[1], 0.0], x),
    "where of a list": lambda x: np.where([True, False, True], x, [1, 2, 3]),
    "select": lambda x: np.select([x > 1, x > 0], [[x[0], 1.0, 2.0], x * x], x),
    "choose": lambda x: np.choose([0, 1, 0], [x, [x[0], x[1], x[2]]]),
    "clip": lambda x: np.clip(x, [x[1], -1, 0], [0.5, 0.6, 0.7]),
    "interp": lambda x: np.interp(x, [-1, 0, 2], [1, 2, 4]),
    "interp of lists": lambda x: np.interp(x, [-2, x[0], 2], [1, x[1], 4]),
    "interp, integer point": lambda x: np.interp(1, [0, 1, 3], x),
    "concatenate": lambda x: np.concatenate([x, [x[0], 2]]) * np.concatenate(([1, x[1]], x)),
    "concatenate, flat": lambda x: np.concatenate([x, [[x[0], 2]]], axis=None),
    "stack": lambda x: np.stack([x, [x[0], 1, 2], [3.0, x[1], x[2]]], axis=1),
    "hstack, vstack": lambda x: np.vstack([x, [1, 2, x[0]]]) * np.hstack([x, [x[0], x[1], 1]]).reshape(2, 3),
    "dstack": lambda x: np.dstack([x, [1, 2, x[0]]]),
    "column_stack": lambda x: np.column_stack([x, [1, 2, x[0]]]),
    "append, insert": lambda x: np.append(x, [x[0], 2]) * np.insert(x, 1, [x[0], 3.0]),
    "append to rows": lambda x: np.append(x[None], [[1, x[0], 2]], axis=0),
    "block": lambda x: np.block([[x[:2], x[2:]], [x[0], 1.0, x[1]]]),
    "average": lambda x: np.average(x, weights=[1, 2, 4]) + np.average(x, weights=[1, x[0] + 2, 4]),
    "trapezoid": lambda x: np.trapezoid(x, [0, 1, 3]) + np.trapezoid([1, x[0], 2], x),
    "convolve": lambda x: np.convolve([x[0], x[1]], x) + np.convolve(x, [1, 2]),
    "correlate": lambda x: np.correlate(x, [x[0], 2.0], "full"),
    "polyval": lambda x: np.polyval([x[0], 2, x[1]], x) + np.polyval(x, [1, 2, x[0]]),
    "cross": lambda x: np.cross([x[0], 1, 2], x),
    "kron": lambda x: np.kron([x[0], 2], x),
    "tensordot": lambda x: np.tensordot([[x[0], 1, 2]], x, 1),
    "einsum": lambda x: np.einsum("i,i->i", [x[0], 1, 2], x),
    "solve": lambda x: np.linalg.solve([[2 + x[0], 0, 1], [0, 3, 0], [0, 1, 4]], x),
    "searchsorted": lambda x: np.searchsorted([-1, 0, 1], x) * x,
    "isclose": lambda x: np.isclose(x, [0.7, 0, 0]) * x,
    "full_like": lambda x: np.full_like(x, [x[0], 2, x[1]]) * x,
    "unique": lambda x: np.union1d(x, [x[0], 5.0]),
    "linspace": lambda x: np.linspace(x, [1, 2, x[0]], 4),
    "roll": lambda x: np.roll(np.outer(x, x * x), [1, 2], [0, 1]),
    "pad": lambda x: np.pad(x, 2, constant_values=[x[0], 3.0]) * np.pad(x, [1, 3], constant_values=x[1]),
    "pad each end": lambda x: np.pad(np.outer(x, x), [[1, 2], [0, 1]], constant_values=[[1, x[0]], [x[1], 2]]),
    "compress": lambda x: np.compress([True, False, True], x) * np.extract([1, 0, 1], x),
    "piecewise": lambda x: np.piecewise(x, [[True, False, True]], [lambda v: v * v, 2.0]),
    "index": lambda x: x[[0, 0, 2]] * x[[True, True, True]] * np.take(x, [0, 1, 1]),
}


#: Through the namespace a list alone is an array.
ALONE: dict[str, Callable[[Any], Any]] = {
    "asarray": lambda x: xp.asarray([x, 2 * x]) * xp.asarray([[x[0], 1, x[1]]]),
    "asarray, dtype": lambda x: xp.asarray([x[0], 2], dtype=xp.float64),
    "sum": lambda x: xp.sum([x, 2 * x], axis=0) * xp.sum((x[0], x[1])),
    "mean, std, var": lambda x: xp.mean([x[0], x[1]]) + xp.std((x[0], 1.0, x[1])) + xp.var([[x[0]], [x[2]]], axis=0),
    "max, min": lambda x: xp.max([x[0], x[1]]) + xp.min([x[0], x[1], 0.1]),
    "norm": lambda x: xp.linalg.norm([x[0], x[1]]) + xp.linalg.vector_norm([x, x]),
    "dot": lambda x: xp.dot([x[0], x[1]], [x[1], x[2]]) + xp.matmul([x, x], x)[0],
    "det": lambda x: xp.linalg.det([[x[0], x[1]], [x[1], x[2]]]) + xp.linalg.inv([[x[0], 1.0], [2.0, x[1]]])[0, 1],
    "stack": lambda x: xp.stack([[x[0], x[1]], [x[1], 1.0]]) * xp.concat([[x[0], x[1]], [2.0, 1.0]])[:2],
    "where": lambda x: xp.where([True, False], [x[0], x[1]], [1.0, 2.0]),
    "ufunc": lambda x: xp.sin([x[0], x[1]]) * xp.maximum([x[0], 1.0], [x[1], 2.0]),
    "sort, cumsum": lambda x: xp.sort([x[0], x[1], x[2]]) * xp.cumsum([x[0], 1.0, x[1]]),
    "interp": lambda x: xp.interp(0.5, [0, 1 + x[0], 3], [1, x[1], x[2]]),
    "tile, reshape": lambda x: xp.tile([x[0], x[1]], 2) * xp.reshape([[x[0], 1], [2, x[1]]], (4,)),
    "keyword": lambda x: xp.average(C, weights=[x[0], 2.0, 3.0]) + xp.sum(a=[x[0], x[1]]),
}


@pytest.mark.parametrize("f", [*BESIDE.values(), *ALONE.values()], ids=[*BESIDE, *(f"xp {n}" for n in ALONE)])
def test_a_list_with_variables_is_an_array(f: Callable[[Any], Any]) -> None:
    """The value is that of plain numbers, and the slope is that of central differences (h^2 and 1e-16 / h: 1e-10)."""
    t = np.array([0.3, -1.0, 0.6])
    seen: list[Any] = []
    gradient = grad(lambda x: seen.append(f(x)) or np.sum(np.sin(seen[-1])))(X)  # type: ignore[func-returns-value]
    value = f(X)
    np.testing.assert_allclose(seen[-1].value, value, rtol=1e-14, atol=1e-15)
    assert seen[-1].dtype == np.asarray(value).dtype
    differences = np.sum(np.sin(f(X + 1e-6 * t)) - np.sin(f(X - 1e-6 * t))) / 2e-6
    assert np.sum(gradient * t) == pytest.approx(differences, rel=1e-7, abs=1e-8)
    assert jvp(lambda x: np.sum(np.sin(f(x))), (X,), (t,))[1] == pytest.approx(np.sum(gradient * t), rel=1e-12)


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda x: np.concatenate([x, [[x[0]]]]), "dimension|shape|axes"),
        (lambda x: np.dot(x, [[x[0]], [x[1], 1.0]]), "inhomogeneous shape"),
        (lambda x: x * [[x[0]], [x[1], 1.0]], "same shape"),
        (lambda x: xp.asarray([[x[0]], [x[1], 1.0]]), "same shape"),
    ],
)
def test_ragged_lists_are_refused(f: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        grad(lambda x: np.sum(f(x)))(X)
