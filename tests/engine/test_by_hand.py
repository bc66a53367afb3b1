"""Bare operations and loops by hand, which other times are compared with, compute what the gradient by hand does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff.tools import bare
from autodiff_compare.problems import engine_models, engine_suite
from autodiff_compare.vocabulary import Operator
from tests.examples.numba_by_hand import LOOPS

_FORMS = [(name, form) for name, modes in bare.FORMS.items() for forms in modes.values() for form in forms]


@pytest.mark.parametrize(("name", "form"), _FORMS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_form_computes_value_and_gradient(name: str, form: bare.Form) -> None:
    made = bare.program(name)
    value, gradient = form(*made.args)
    expected, by_hand = made.hand(*made.args)
    for got, want in zip([value, *gradient], [expected, *by_hand], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * float(np.max(np.abs(want))))


def test_every_program_is_printed_with_its_forms() -> None:
    for name, modes in bare.FORMS.items():
        made = bare.program(name)
        printed = "\n".join(bare.lines(made, bare.seconds(made, 1, 1)))
        assert all(f"  {mode}: " in printed for mode in modes)
        assert printed.count("the engine adds") == sum(map(len, modes.values()))


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
