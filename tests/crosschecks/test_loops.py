"""Results of loops in machine code against their references: one problem for each kind of loop, in both dtypes.

Code is compiled anew, so that nothing of the user's cache folder is read or written.
"""

from __future__ import annotations

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.judge import judge
from autodiff_compare.vocabulary import DTYPES, Operator, Status, Verdict
from tests.conftest import opened
from tests.crosschecks.test_crosschecks import PROMISED, judge_of, result_of
from tests.selection import few

SPEC = "numpy:numba"
#: Problem -> what its loops are, and operators that have different ones.
TABLE = {
    "goldstein_price": ("single numbers", "value_and_gradient hvp hessian"),
    "engine_rosenbrock": ("neighbours in a vector", "value_and_gradient"),
    "chain_rule": ("elementwise, of several outputs", "jvp vjp jacobian"),
    "matrix_inverse_absolute": ("a small matrix product, and an update", "value_and_gradient step"),
    "cubic_fit": ("sums over samples", "gradient hvp hessian"),
    "engine_mixture": ("reductions along an axis", "value_and_gradient"),
    "engine_populations": ("a rolled loop", "value_and_gradient"),
    "heat_inverse": ("a scan", "value_and_gradient vjp jacobian"),
    "engine_atoms": ("pairs", "value_and_gradient"),
    "engine_network": ("matrix products by NumPy between loops", "value_and_gradient"),
    "engine_banded": ("compressed products", "jvp sparse_jacobian"),
    "ur5_arm": ("products of small matrices", "jvp"),
    "eigenvalue_smallest": ("a factorisation by NumPy", "value_and_gradient hvp"),
}
CELLS = [
    (problem, Operator(operator), dtype)
    for problem, (_, operators) in TABLE.items()
    for operator in operators.split()
    for dtype in DTYPES
    if Operator(operator) in problems.available()[problem].operators
]


@pytest.mark.parametrize(("problem", "operator", "dtype"), few(CELLS, 8))
def test_a_result_of_loops_agrees_with_its_reference(problem: str, operator: Operator, dtype: str) -> None:
    backend = opened(SPEC)
    backend.build = "compiled"
    comparisons = judge_of(problem, dtype, operator)(
        result_of(problem, dtype, operator, SPEC), repeatable=True, inputs_unchanged=True
    )
    assert judge.overall(comparisons) == (Status.OK, "")
    assert {c.verdict for c in comparisons} == {Verdict.PASS}, comparisons
    if dtype == "float64":
        assert max(c.norm_rel_error for c in comparisons if np.isfinite(c.norm_rel_error)) <= PROMISED
    assert backend.fallbacks() == 0


def test_every_kind_of_loop_has_a_cell() -> None:
    assert {problem for problem, _, _ in CELLS} == set(TABLE)
    assert len({operator for _, operator, _ in CELLS}) >= 8
