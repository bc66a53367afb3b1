"""The selection of ``make test``: what it covers, and that the names of tests that it leaves out exist."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from autodiff_compare.vocabulary import DTYPES, STANDARD_OPERATORS, Operator
from tests.crosschecks.test_crosschecks import cells
from tests.imports import ROOT
from tests.selection import LONG, THINNER, THOROUGH, covering, features, few, seconds, spread, thorough


def test_every_operator_backend_and_dtype_of_the_cross_checks_is_kept() -> None:
    sets = [dict(zip(("problem", "operator", "spec", "dtype"), cell.values, strict=True)) for cell in cells()]
    left_out = {index for _, index in thorough({"crosschecks": sets})}
    kept = [given for index, given in enumerate(sets) if index not in left_out]
    for names in (("operator", "spec", "dtype"), ("problem",)):
        assert {tuple(g[n] for n in names) for g in kept} == {tuple(g[n] for n in names) for g in sets}
    assert {g["operator"] for g in kept} == STANDARD_OPERATORS | {Operator.SPARSE_JACOBIAN, Operator.STEP}
    assert {g["dtype"] for g in kept} == set(DTYPES)
    assert len(kept) < len(sets) / 10


def test_a_short_table_is_kept_whole() -> None:
    assert list(thorough({"f": [{"n": 1}] * 24})) == []
    assert list(thorough({"f": [{"n": 1}] * 25})) == [("f", i) for i in range(1, 25)]


@pytest.mark.parametrize(
    ("sets", "kept"),
    [([], set()), ([{1}, {1}, {2}], {0, 2}), ([{1, 2}, {1}, {2}, {3}], {0, 3}), ([set(), {1}], {1})],
)
def test_a_covering_keeps_the_first_set_with_a_new_feature(sets: list[set[int]], kept: set[int]) -> None:
    assert covering(sets) == kept


def test_a_spread_lets_functions_meet_different_operators() -> None:
    sets = [{name, operator} for name in "abc" for operator in "xy"]
    # First a with x; b with y has two new values, b with x only one; c has one with either.
    assert spread(sets) == {0, 3, 4}
    # Every function once, with operators in turn; a name that is no backend makes no combination to be kept.
    table = [{"name": name, "operator": operator} for name in range(9) for operator in "xyz"]
    left_out = {index for _, index in thorough({"f": table})}
    kept = [given for index, given in enumerate(table) if index not in left_out]
    assert [given["name"] for given in kept] == list(range(9))
    assert [given["operator"] for given in kept[:3]] == ["x", "y", "z"]


def test_objects_are_told_apart_by_identity() -> None:
    a: list[Any] = []
    b: list[Any] = []
    assert len(set(features({"row": a})) | set(features({"row": b}))) == 3
    assert len(set(features({"row": a})) | set(features({"row": a}))) == 2


def test_a_thinner_table_keeps_each_value_and_not_each_combination() -> None:
    scan = "backends/test_edges.py::test_a_scan_and_its_derivatives"
    pairs = "crosschecks/test_crosschecks.py::test_the_backends_agree_to_1e_10"
    sets = [{"spec": spec, "operator": o, "problem": n} for spec in "ab" for o in "xyz" for n in range(9)]
    kept = {name: 54 - len(list(thorough({name: sets}))) for name in (scan, pairs, "another")}
    # The first set has three values; two more operators and eight problems, or two more operators, and one backend.
    assert kept == {scan: 12, pairs: 4, "another": 14}


def test_the_first_few_values_are_kept() -> None:
    (a, b, c) = few("abc", 2)
    assert (a, b, c.values, [mark.name for mark in c.marks]) == ("a", "b", ("c",), ["thorough"])


def test_the_longest_are_started_first() -> None:
    scopes = {"tests/engine/test_rules.py": 409, "tests/documents/test_documents.py": 94, "sphere": 60}
    order = sorted(scopes, key=lambda scope: -seconds(scope, scopes[scope]))
    assert order == ["tests/documents/test_documents.py", "tests/engine/test_rules.py", "sphere"]


def test_every_test_that_is_named_exists() -> None:
    for name in (*THOROUGH, *THINNER, *LONG):
        file, _, function = name.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert not function or function in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, name
