"""Three problems of a user: a good one, one whose objective fails, one whose inputs fail."""

import numpy as np

from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import Operator


def _fails(x, xp):
    raise ValueError("no such thing")


def _no_inputs(rng, n):
    raise FileNotFoundError("data.csv")


def _problem(name, objective, inputs):
    return Problem(
        name=name,
        title=name,
        source="by hand",
        sizes={"small": 3},
        inputs=inputs,
        objective=objective,
        operators=frozenset({Operator.VALUE, Operator.GRADIENT}),
    )


PROBLEMS = (
    _problem("fails", _fails, lambda rng, n: Inputs((rng.random(n),))),
    _problem("no_inputs", lambda x, xp: xp.sum(x * x), _no_inputs),
    _problem("cube", lambda x, xp: xp.sum(x * x * x), lambda rng, n: Inputs((np.asarray(rng.random(n)),))),
)
