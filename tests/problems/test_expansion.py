"""Sparse Jacobians by copies of the inputs: the same entries from fewer products."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Objective
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.plan import sparsity
from autodiff_compare.problems import Inputs, available
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.vocabulary import DTYPES, Operator
from tests.conftest import opened

SPARSE = Operator.SPARSE_JACOBIAN
BA = available()["ba"]
BACKENDS = ("numpy", "numpy:compiled", "torch", "tensorflow", "tensorflow:eager", "jax", "autograd")


def entries(spec: str, inputs: Inputs, dtype: str = "float64", **changes: Any) -> list[np.ndarray]:
    backend = opened(spec)
    wide = sparsity.expanded(BA, backend, inputs)
    assert wide is not None
    f = Objective(BA.function(backend, {}), patterns=sparsity.patterns(BA, inputs), expanded=replace(wide, **changes))
    args = [backend.to_var(a.astype(dtype) if a.dtype.kind == "f" else a) for a in inputs.arrays]
    run = backend.prepare(SPARSE, f, args, argnums=(0, 1, 2))
    return [backend.to_numpy(leaf) for leaf in run(*args)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spec", BACKENDS)
def test_the_entries_equal_the_closed_form(spec: str, dtype: str) -> None:
    inputs = BA.draw("small", 3)
    found = entries(spec, inputs, dtype)
    for got, expected in zip(found, complete(BA, inputs)[SPARSE](*inputs.arrays), strict=True):
        assert got.dtype == dtype
        scale = np.abs(expected).max()
        # Correct backends are within 20 roundings of the largest entry here.
        np.testing.assert_allclose(got, expected, rtol=0, atol=100 * np.finfo(dtype).eps * scale)


@pytest.mark.parametrize(("size", "without"), [("small", 14), ("medium", 15)])  # 14: three cameras, seven views each
def test_two_products_by_rows_replace_many_by_columns(size: str, without: int) -> None:
    inputs = BA.draw(size, 0)
    wide = sparsity.expanded(BA, opened("numpy"), inputs)
    assert wide is not None
    plan = Compression.of(wide.patterns, [Operator.VJP])
    assert (plan.operator, plan.number) == (Operator.VJP, 2)
    assert Compression.of(sparsity.patterns(BA, inputs)).number == without


@pytest.mark.parametrize("of", [(0, 1, 2, 0), (0, 1, 1, 2), (0, 1, 0, 0)])
def test_copies_of_other_inputs_than_declared_are_rejected(of: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="got copies with other entries than the pattern"):
        entries("numpy", BA.draw("small", 0), of=of)
