"""The namespace of references: NumPy with what it lacks of the standard.

A function that it refuses has no reference, and so no right row on any backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest

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
