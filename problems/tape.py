"""Recordings (tapes): questions about variables and gradients, and two elementwise polynomials.

Each backend answers the `QUESTIONS` in its own idiom (`Backend.idioms`): source text that sets ``answer`` to a number,
an array, a (nested) list of these, or ``None`` if the framework keeps no gradient. The text runs with the names of
`Backend.idiom_scope`, in float64 or the framework's default precision. An exception is the answer ``"error"``.

Where mathematics prescribes nothing, frameworks legitimately differ. Such an answer is not ``expected``; it is in
``conventions`` with a description of the framework's behaviour, and the table shows both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import VECTOR, Array, Inputs, Problem, Question
from autodiff_compare.vocabulary import Operator

_POLYNOMIAL = "y = x^2 - 2x + 1"
_MATRIX = "x = [[1, 2, 3], [4, 5, 6]]"
_SUM_OF_BOTH = 105.0  # 3 x^2 + 6 x at x = 5

QUESTIONS = (
    Question("value", f"{_POLYNOMIAL} at x = 5", 16.0),
    Question("gradient", f"dy/dx of {_POLYNOMIAL} at x = 5", 8.0),
    Question(
        "intermediate_dropped",
        "z = 2x, y = x^2 - z + 1 at x = 5: the gradient of y with respect to z, after the gradient with respect to x "
        "was computed in the usual way",
        "none",
        conventions={"the tape is freed after one gradient": "error"},
    ),
    Question(
        "intermediate_retained",
        "z = 2x, y = x^2 - z + 1 at x = 5: dy/dz, requested before the backward pass",
        -1.0,
    ),
    Question(
        "seed_ones",
        f"{_POLYNOMIAL} elementwise at {_MATRIX}, seed (cotangent) of ones: gradient with respect to x",
        [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]],
    ),
    Question(
        "seed_rows",
        f"{_POLYNOMIAL} elementwise at {_MATRIX}, seed [[0, 0, 0], [1, 2, 3]]: gradient with respect to x",
        [[0.0, 0.0, 0.0], [6.0, 16.0, 30.0]],
    ),
    Question(
        "no_seed",
        f"{_POLYNOMIAL} elementwise at {_MATRIX}, no seed given: gradient with respect to x",
        "error",
        conventions={"sums the output": [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]], "no gradient": "none"},
    ),
    Question(
        "second_derivative", "y = x^3 at x = 5: [first, second] derivative by differentiating twice", [75.0, 30.0]
    ),
    Question("third_derivative", "y = x^3 at x = 5: third derivative by differentiating three times", 6.0),
    Question(
        "accumulates",
        "y = x^3 at x = 5: the gradient with respect to x that is stored or returned after a backward pass from y and "
        "one from dy/dx, with nothing cleared in between and nothing added by hand",
        _SUM_OF_BOTH,
        conventions={"each call returns its own gradient": 30.0},
    ),
    Question("cleared", "the same two backward passes, the gradient cleared between them", 30.0),
    Question(
        "recording_kept",
        "y = x^3 at x = 5, recorded once and the recording retained: [gradient, gradient of the same recording again, "
        "cleared in between]",
        [75.0, 75.0],
    ),
    Question(
        "unused_input",
        "y = a^2 at (a, b) = (5, 2): gradient with respect to b, with default options for absent gradients",
        0.0,
        conventions={"no gradient": "none", "refuses": "error"},
    ),
    Question(
        "integer_input",
        "y = x^2 at the integer x = 5: dy/dx",
        "error",
        conventions={"no gradient": "none"},
    ),
)


def _polynomial(x: Any, *, xp: Any) -> Any:  # noqa: ARG001 - arithmetic alone
    return x * x - 2 * x + 1


def _polynomial_jacobian(x: Array) -> Array:
    return np.diag(np.ravel(2 * x - 2)).reshape(x.shape + x.shape)


def _cubes(x: Any, *, xp: Any) -> Any:
    return xp.sum(x * x * x)


def _cubes_hessian(x: Array) -> Array:
    return np.diag(np.ravel(6 * x)).reshape(x.shape + x.shape)


def _rows_of_three(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.uniform(-3.0, 6.0, (n, 3)),))


PROBLEMS = (
    Problem(
        name="tape_polynomial",
        title="x^2 - 2x + 1, elementwise",
        source="the first example of the classic define-by-run tutorials; J = diag(2x - 2)",
        sizes={"small": 2, "medium": 10, "large": 50},
        inputs=_rows_of_three,
        objective=_polynomial,
        operators=VECTOR,
        reference={Operator.VALUE: lambda x: x * x - 2 * x + 1, Operator.JACOBIAN: _polynomial_jacobian},
        questions=QUESTIONS,
    ),
    Problem(
        name="tape_cube",
        title="sum of x^3",
        source="the double-backpropagation example of the classic define-by-run tutorials; gradient 3x^2, H = diag(6x)",
        sizes={"small": 2, "medium": 10, "large": 50},
        inputs=_rows_of_three,
        objective=_cubes,
        reference={
            Operator.VALUE: lambda x: np.sum(x**3),
            Operator.GRADIENT: lambda x: 3 * x * x,
            Operator.HESSIAN: _cubes_hessian,
        },
    ),
)
