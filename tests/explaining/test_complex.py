"""Complex operations are tried alone, as functions of real and imaginary parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.explaining.directions import directions
from autodiff_compare.explaining.parting import differences
from autodiff_compare.plan.cases import build_case
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.problems.base.declared.declarations import problem_of
from autodiff_compare.vocabulary import Operator
from tests.explaining.planted import Planted, opened, scaled
from tests.explaining.test_trial import result, searching


def waves(x, y, xp):
    """A correlation by Fourier transforms."""
    f = xp.fft.fft(x)
    g = f * xp.conj(xp.fft.fft(y) + 1j)
    h = xp.fft.ifft(g)
    n = xp.abs(g)
    return xp.sum(xp.sin(xp.real(h)) * x) + xp.sum(xp.log(1.0 + n))


POINT = {"x": [0.4, -1.1, 1.3], "y": [1.2, 0.3, -0.6]}


@pytest.mark.parametrize(
    ("function", "line"),
    [("fft.ifft", "h = xp.fft.ifft"), ("abs", "n = xp.abs"), ("conj", "xp.conj")],
)
@pytest.mark.parametrize("operator", ["gradient", "jvp", "hvp"])
def test_a_complex_operation_is_judged_alone(function: str, line: str, operator: str) -> None:
    subject = with_operators(problem_of("waves", waves, {}, POINT, "here"))
    case = build_case(subject, subject.smallest, "float64", Operator(operator), 0)
    plant = Planted("rule", "waves", function, scaled(1.5), line)
    pair: dict[str, Any] = {"right": opened(), "other": opened(plant)}
    found = differences(case, *(result(backend, case) for backend in pair.values()))
    parted = searching(case, pair, directions(case, found[0].part, found[0].entry)).found()[1]
    assert parted is not None
    assert line in parted.place.text
    assert parted.trial is not None
    assert (parted.trial.a.word, parted.trial.b.word) == ("right", "wrong")
    np.testing.assert_allclose(parted.trial.a.number, parted.trial.reference, rtol=1e-10)
