"""The objectives of the suite ``field``, unchanged, on the four backends in both dtypes, against their references.

`test_crosschecks` has the other suites, with every operator; here is value and gradient, and one product with the
Hessian. TensorFlow is eager: tracing every objective would take it minutes. NumPy comes first, so that it is the
backend with which `make test` tries each objective.
"""

from __future__ import annotations

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.judge import judge
from autodiff_compare.vocabulary import DTYPES, Operator, Status, Verdict
from tests.crosschecks.test_crosschecks import PROMISED, QUICK, judge_of, result_of

FIELD = {name: problem for name, problem in problems.available().items() if "field" in problem.suites}
_FIRST = (Operator.VALUE_AND_GRADIENT, Operator.VJP)


def cells() -> list[tuple[str, Operator, str, str]]:
    first = {name: next(o for o in _FIRST if o in problem.operators) for name, problem in FIELD.items()}
    found = [(name, operator, spec, dtype) for spec in QUICK for dtype in DTYPES for name, operator in first.items()]
    second = [
        (n, Operator.HVP, "numpy", "float64") for n, problem in FIELD.items() if Operator.HVP in problem.operators
    ]
    return found + second


@pytest.mark.parametrize(("problem", "operator", "spec", "dtype"), cells())
def test_a_result_agrees_with_its_reference(problem: str, operator: Operator, spec: str, dtype: str) -> None:
    result = result_of(problem, dtype, operator, spec)
    comparisons = judge_of(problem, dtype, operator)(result, repeatable=True, inputs_unchanged=True)
    assert judge.overall(comparisons) == (Status.OK, "")
    assert {c.verdict for c in comparisons} == {Verdict.PASS}, comparisons
    if dtype == "float64":
        assert max(c.norm_rel_error for c in comparisons if np.isfinite(c.norm_rel_error)) <= PROMISED


def test_forty_fields_have_an_objective() -> None:
    fields = {problem.title.partition(":")[0] for problem in FIELD.values()}
    assert len(fields) == len(FIELD) >= 40


@pytest.mark.parametrize("problem", FIELD.values(), ids=FIELD)
def test_an_objective_has_a_source_and_sizes_to_time(problem: problems.Problem) -> None:
    assert problem.source.strip()
    assert list(problem.sizes) == ["small", "medium", "large"]
    assert list(problem.sizes.values()) == sorted(problem.sizes.values())
    assert not problem.native, "an objective has one spelling for all backends"
