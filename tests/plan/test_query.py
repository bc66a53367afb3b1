"""The query: what it holds where nothing is named."""

from __future__ import annotations

from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import DEFAULT_BACKENDS, Query


def test_an_empty_query_asks_for_the_defaults() -> None:
    query = Query()
    assert (query.backends, query.dtypes, query.sizes) == (DEFAULT_BACKENDS, ("float64",), ("small",))
    assert (query.problems, query.operators, query.suites, query.variants, query.data) == ((), (), (), "", None)


def test_an_empty_sequence_stands_for_the_default() -> None:
    assert Query(backends=[], dtypes=[], sizes=[]) == Query()


def test_a_name_that_is_repeated_counts_once() -> None:
    query = Query(["sphere", "sphere"], ["numpy", "manual", "numpy"], dtypes=["float32", "float32"])
    assert (query.problems, query.backends, query.dtypes) == (("sphere",), ("numpy", "manual"), ("float32",))
    assert hash(query) == hash(Query(("sphere",), ("numpy", "manual"), dtypes=("float32",)))


def test_without_a_problem_the_plan_is_that_of_the_classic_suite() -> None:
    assert plan(Query(backends=["numpy"])).problems == plan(Query(backends=["numpy"], suites=["classic"])).problems
