"""The namespace of references: NumPy with what it lacks of the standard.

A function that it refuses has no reference, and so no right row on any backend.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest

from autodiff_compare.backends import plain_namespace
from autodiff_compare.backends.array_api import LINALG
from autodiff_compare.backends.plain import PLAIN
from tests.backends.standard import all_lacking
from tests.backends.test_namespaces import DTYPES, ROWS, single


def test_its_functions_take_the_parameters_of_the_standard() -> None:
    assert all_lacking(PLAIN.xp) == {}


@pytest.mark.parametrize("short", [False, True], ids=["double", "single"])
def test_its_values_are_those_of_the_standard(short: bool) -> None:
    rtol, atol = (1e-5, 1e-6) if short else (1e-13, 1e-14)
    wrong = {}
    for row in ROWS:
        with np.errstate(all="ignore"):
            arrays = [single(a) if short else np.asarray(a) for a in row.arrays]
            wanted = np.asarray(row.call(strict, *map(strict.asarray, arrays)))
            got = np.asarray(row.call(PLAIN.xp, *arrays))
        same = (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        if not (same and np.allclose(got, wanted, rtol, atol, equal_nan=True)):
            wrong[row.name] = got, wanted
    assert wrong == {}


def test_its_dtype_functions_are_those_of_the_standard() -> None:
    calls: dict[str, Callable[[Any], Any]] = dict(DTYPES)
    assert {name: call(PLAIN.xp) for name, call in calls.items()} == {n: call(strict) for n, call in calls.items()}


#: Names of the standard that NumPy 1.23 lacks or has with fewer parameters: what a worker there completes.
OLDER = (
    *plain_namespace._OLDER_NAMES, *plain_namespace._OLDER_PARAMETERS,
    "astype", "cumulative_prod", "cumulative_sum", "matrix_transpose", "unstack", "vecdot",
)  # fmt: skip


def _function(row: str) -> str:
    """Return the function that a row tries first: ``svd`` of ``linalg.svd, full``."""
    return re.split(r"\W", row.removeprefix("linalg."))[0]


def test_what_an_older_numpy_lacks_is_completed() -> None:
    """The completions are plain NumPy, so that this one computes them too. Expected: the standard's own values."""
    older, wrong = plain_namespace._older(), {}
    mine = [row for row in ROWS if _function(row.name) in (*OLDER, *LINALG)]
    for row in mine:
        wanted = np.asarray(row.call(strict, *map(strict.asarray, row.arrays)))
        got = np.asarray(row.call(older, *map(np.asarray, row.arrays)))
        if got.shape != wanted.shape or not np.allclose(got, wanted, 1e-13, 1e-14, equal_nan=True):
            wrong[row.name] = got, wanted
    assert wrong == {}
    assert {"concat", "cumulative_sum", "permute_dims", "unstack"} <= {_function(row.name) for row in mine}
    assert [name for name in OLDER if not hasattr(older, name)] == []
    assert [name for name in LINALG if not hasattr(older.linalg, name)] == []
    with pytest.raises(AttributeError, match=rf"^NumPy {np.__version__} has no xp\.nosuch$"):
        _ = older.nosuch
