"""Every rule of the table in the compiled mode: compiled at one point, called at another, equal to the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, value_and_grad
from autodiff_compare.backends.numpy_autodiff.compiler import CompileError, compile
from tests.engine.rules import COMPLEX_ROWS, ROWS, Row

#: Rules that cannot be compiled, because the shape of a result depends on values.
BY_VALUES = ("unique", "union1d", "intersect1d", "setdiff1d", "setxor1d", "trim_zeros", "nanquantile nearest")
#: Of complex numbers.
COMPLEX = [row for row in COMPLEX_ROWS if row.name not in {r.name for r in ROWS}]


def _compare(row: Row, kind: complex) -> None:
    def f(*xs: Any) -> Any:
        y = row.function(*xs)
        return np.sum(np.real(y + 0.5 * y * y) + np.imag(y))

    where = tuple(range(len(row.shapes)))
    example, args = ([np.asarray(x * kind)[()] for x in row.arguments(seed)] for seed in (0, 5))
    made = compile(f, *example, argnums=where, operator="value_and_gradient")
    value, gradient = made(*args)
    # The compiled code adds in another order: a few roundings of the largest entry, which is below 1e3.
    np.testing.assert_allclose(value, f(*args), rtol=1e-11, atol=1e-11)
    for found, expected in zip(gradient, grad(f, where)(*args), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_rule_is_compiled_for_all_values(row: Row) -> None:
    if row.name.startswith(BY_VALUES):
        with pytest.raises(CompileError, match="shape depends on values"):
            _compare(row, 1.0)
    else:
        _compare(row, 1.0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("row", COMPLEX, ids=lambda row: row.name)
def test_a_rule_of_complex_numbers_is_compiled_for_all_values(row: Row) -> None:
    _compare(row, 1.0 + 0.3j)


#: Rules whose result at singular or equal matrices is a choice of LAPACK's.
OF_MATRICES = ("inv", "solve", "det", "eig", "poly", "roots", "matrix norm", "cov", "corrcoef")
#: A probability must stay between 0 and 1.
BOUNDED = ("quantile in q",)
#: Points at which a rule may take another branch than at the example.
AWKWARD: dict[str, Callable[[Any], Any]] = {
    "ties": lambda x: np.full_like(x, 0.5),
    "zeros": np.zeros_like,
    "a zero": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, 0.0, x),
    "nan": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.nan, x),
    "sorted": lambda x: np.sort(np.ravel(x)).reshape(x.shape),
    "negative": lambda x: -x,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "row", [r for r in ROWS if not r.name.startswith((*BY_VALUES, *OF_MATRICES, *BOUNDED))], ids=lambda row: row.name
)
def test_no_branch_of_the_example_is_kept(row: Row) -> None:
    def f(*xs: Any) -> Any:
        y = row.function(*xs)
        return np.sum(np.real(y + 0.5 * y * y))

    where = tuple(range(len(row.shapes)))
    made = compile(f, *row.arguments(), argnums=where)
    for name, change in AWKWARD.items():
        args = [np.asarray(change(np.asarray(x)))[()] for x in row.arguments(3)]
        expected = value_and_grad(f, where)(*args)
        found = made(*args)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-11, atol=1e-11, err_msg=name)
        for a, b in zip(found[1], expected[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10, err_msg=name)
