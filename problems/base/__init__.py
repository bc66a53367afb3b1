"""The problem contract, and the methods that several problems share.

`problem`, `inputs` and `descent` are the contract. `declared` makes problems of users' functions.
`closed_forms` completes a problem's derivatives; the other modules are numerical methods in any precision.
"""

from __future__ import annotations

from autodiff_compare.problems.base.descent import Adaptive, Descent
from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.problems.base.problem import (
    NUMPY,
    SCALAR,
    VECTOR,
    Expansion,
    Instances,
    Normalise,
    Optimum,
    Problem,
    ProblemError,
    Question,
    Tools,
)
from autodiff_compare.problems.base.size_names import number_of, numbered, split_degree, split_rows

__all__ = [
    "NUMPY",
    "SCALAR",
    "VECTOR",
    "Adaptive",
    "Array",
    "Descent",
    "Expansion",
    "Inputs",
    "Instances",
    "Normalise",
    "Optimum",
    "Problem",
    "ProblemError",
    "Question",
    "Tools",
    "number_of",
    "numbered",
    "split_degree",
    "split_rows",
]
