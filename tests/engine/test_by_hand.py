"""Bare operations and loops by hand, which other times are compared with, compute what the gradient by hand does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff.tools import bare
from autodiff_compare.problems import engine_models, engine_suite
from autodiff_compare.problems.engine_suite import cubic_by_hand
from autodiff_compare.vocabulary import Operator
from tests.examples.numba_by_hand import LOOPS


@pytest.mark.parametrize("form", bare.FORMS, ids=lambda form: form.__name__)
def test_a_form_computes_value_and_gradient(form: object) -> None:
    assert callable(form)
    value, gradient = form(*bare.arguments())
    expected, by_hand = cubic_by_hand(*bare.arguments())
    np.testing.assert_allclose([value, *gradient], [expected, *by_hand], rtol=1e-10)


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_by_hand_computes_value_and_gradient(name: str) -> None:
    (problem,) = [p for p in (*engine_suite.PROBLEMS, *engine_models.PROBLEMS) if p.name == name]
    inputs = problem.inputs(np.random.default_rng(3), problem.sizes["small"])
    value, gradient = LOOPS[name](*inputs.arrays, **inputs.static)
    expected, by_hand = problem.reference[Operator.VALUE_AND_GRADIENT](*inputs.arrays, **inputs.static)
    for got, want in zip(_parts(value, gradient), _parts(expected, by_hand), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12 * float(np.max(np.abs(want))))


def _parts(value: Any, gradient: Any) -> list[Any]:
    return [value, *(gradient if isinstance(gradient, tuple) else (gradient,))]
