"""Hessian-vector products by a complex step on a closed-form gradient."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.vocabulary import Operator


@pytest.mark.parametrize("name", ["gmm", "lstm"])
def test_hessian_vector_products_agree_with_differences_of_the_gradient(name: str) -> None:
    problem = problems.available()[name]
    inputs, rng = problem.draw("small", 4), np.random.default_rng(5)
    args = [x.astype(np.longdouble) if x.dtype.kind == "f" else x for x in inputs.arrays]
    tangents = [rng.normal(size=x.shape) for x in inputs.differentiated]
    products = problem.reference[Operator.HVP](*args, *tangents, **inputs.static)
    h = np.longdouble(1e-4)

    def gradient(k: int) -> tuple[np.ndarray, ...]:
        moved = [x + k * h * t for x, t in zip(args, tangents, strict=False)]
        found: tuple[np.ndarray, ...] = problem.reference[Operator.GRADIENT](
            *moved, *args[len(tangents) :], **inputs.static
        )
        return found

    for product, *values in zip(products, *map(gradient, (-2, -1, 1, 2)), strict=True):
        slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * h)
        assert product.dtype == np.longdouble
        # Fourth-order differences: truncation of about h^4 = 1e-16 of the fifth derivative.
        np.testing.assert_allclose(product, slope, rtol=0, atol=float(1e-11 * np.abs(slope).max()))
