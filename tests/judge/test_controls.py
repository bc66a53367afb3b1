"""The controls of the judge: their gradients are right, and every error of a size that must be seen is rejected."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autodiff_compare.judge.controls import CONTROLS, RESOLUTION, RIGHT, SIZES, Control, SizeTrial, trials


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.name)
def test_the_gradient_of_a_control_is_that_of_its_function(control: Control) -> None:
    """Against complex steps, which do not cancel (Squire and Trapp 1998), along the first and last entries."""
    point = control.case("float64", 0).inputs.differentiated
    for k, (x, g) in enumerate(zip(point, control.gradient(*point), strict=True)):
        for i in {0, x.size - 1}:
            moved = [np.asarray(p, dtype=complex) for p in point]
            step = 1e-30 * abs(x.flat[i])
            moved[k].flat[i] += 1j * step
            # The large terms of a sum hide the small one of a small array: leave them out by the imaginary part.
            assert control.objective(*moved, xp=np).imag / step == pytest.approx(float(np.ravel(g)[i]), rel=1e-13)


def test_every_error_of_the_stated_resolution_is_rejected_and_no_right_gradient() -> None:
    found = list(trials())
    assert [t for t in found if not t.passed] == []
    assert {t.control for t in found} == {c.name for c in CONTROLS}
    assert {(t.dtype, t.numerically) for t in found} == set(RESOLUTION)
    assert {t.size for t in found if t.error != RIGHT} == set(SIZES)
    assert all(t.tried for t in found if t.resolved and t.error != RIGHT)


@pytest.mark.parametrize(
    ("error", "size", "rejected", "passed"),
    [
        (RIGHT, 0.0, 0, True),
        (RIGHT, 0.0, 1, False),
        ("one entry", math.inf, 4, True),
        ("one entry", math.inf, 3, False),
        ("one entry", RESOLUTION["float64", False], 3, False),
        ("one entry", RESOLUTION["float64", False] / 10, 0, True),
    ],
)
def test_a_control_is_passed_by_the_verdict_that_it_asks_for(
    error: str, size: float, rejected: int, passed: bool
) -> None:
    tried = 1 if error == RIGHT else 4
    assert SizeTrial("made", "float64", False, error, size, tried, rejected).passed is passed
