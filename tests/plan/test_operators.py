"""What a query names and no cell computes: each is told with its reason, and a query without any cell is refused."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

from autodiff_compare.plan.cases import build_case
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.vocabulary import TAYLOR_DEGREE, Operator

_FILE = """import numpy as np
x = np.array([0.5, 1.0, 1.5])
def objective(x, xp):
    return {}
"""


@pytest.fixture
def files(tmp_path: pathlib.Path) -> dict[str, str]:
    """Return the paths of a scalar and of a vector function."""
    values = {
        "scalar": "xp.sum(xp.sin(x))",
        "vector": "xp.sin(x)",
        "holomorphic": "xp.exp((1 + 2j) * x)",
        "conjugate": "x * xp.conj((1 + 2j) * x)",
        "modulus": "xp.sum(xp.abs(x) ** 2)",
    }
    for name, value in values.items():
        at = "x = x + 1j\n" if name in ("conjugate", "modulus") else ""
        (tmp_path / f"{name}.py").write_text(_FILE.format(value) + at, encoding="utf-8")
    return {name: str(tmp_path / f"{name}.py") for name in values}


@pytest.mark.parametrize(
    ("names", "given", "dropped"),
    [
        ("vector", {"operators": ["sparse_hessian", "taylor"]}, ["sparse_hessian of vector (it needs a scalar"]),
        ("scalar", {"operators": ["gradient", "gradient_batch"]}, ["gradient_batch of scalar (name the samples"]),
        ("scalar vector", {"operators": ["gradient"]}, ["gradient of vector (it needs a scalar function)"]),
        ("scalar", {"operators": ["value", "step"]}, ["step of scalar (it needs a descent)"]),
        ("scalar", {"operators": ["hvp", "hvp_batch"], "sizes": ["smallx3"]}, ["hvp of scalar (x3 sets the rows"]),
        ("scalar", {"operators": ["hvp", "hvp_batch"], "sizes": ["small", "smallx3"]}, []),
        ("scalar", {"sizes": ["small", "smallx3"]}, ["size smallx3 of scalar (x3 sets the rows"]),
        ("scalar", {"backends": ["numpy:jet", "numpy"]}, ["numpy:jet (it computes only hessian_diagonal"]),
        ("scalar", {}, []),
        ("holomorphic", {"operators": ["jacobian", "value_and_jvp", "vjp_batch"]}, []),
        ("holomorphic", {"operators": ["value", "gradient"]}, ["gradient of holomorphic (it needs a scalar function"]),
        ("conjugate", {"operators": ["jvp", "jacobian"]}, ["jacobian of conjugate (it needs a holomorphic"]),
        ("conjugate", {"operators": ["jvp", "value_and_jacobian"]}, ["value_and_jacobian of conjugate (it needs a h"]),
        ("modulus", {"operators": ["hvp", "jacobian", "hvp_batch"]}, []),
        ("modulus", {"operators": ["hvp", "hessian"]}, ["hessian of modulus (it is not defined for complex"]),
        ("modulus", {"operators": ["jvp", "taylor", "laplacian"]}, ["taylor of modulus (it is", "laplacian of mod"]),
        ("modulus", {}, []),
    ],
)  # fmt: skip
def test_what_is_not_computed_is_told(
    names: str, given: dict[str, Any], dropped: list[str], files: dict[str, str]
) -> None:
    made = plan(Query([files[name] for name in names.split()], **{"backends": ["numpy"], **given}))
    assert made.cells
    assert len(made.dropped) == len(dropped)
    assert all(got.startswith(start) for got, start in zip(made.dropped, dropped, strict=True)), made.dropped


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("scalar", {"operators": ["gradient"], "sizes": ["smallx3"]}, "add -o jvp_batch .* or drop x3"),
        ("scalar", {"backends": ["numpy:jet"]}, "only hessian_diagonal and laplacian of scalar functions: add -o"),
        ("vector", {"backends": ["numpy:jet"]}, r"laplacian of scalar functions\)\. vector has: value"),
        ("vector", {"operators": ["gradient"]}, "needs a scalar function.*vector has: value"),
        ("scalar", {"operators": ["gradient"], "degrees": [6]}, "got degree 6 without a Taylor series.*add -o taylor"),
        ("scalar", {"operators": ["gradient"], "sizes": ["small^6"]}, "got degree 6 without a Taylor series"),
        ("scalar", {"operators": ["taylor"], "degrees": [2, 0]}, "got degree 0, expected a whole number from 1"),
        ("scalar", {"operators": ["gradiant"]}, "did you mean gradient"),
        ("scalar", {"backends": ["tensorlow"]}, "did you mean tensorflow"),
        ("scalar", {"backends": ["numpy,numpy:jet"]}, "by itself, as in -b numpy -b numpy:jet"),
        ("scalar", {"operators": ["gradient,hvp"]}, "got operator 'gradient,hvp', expected one name"),
        ("scalar", {"dtypes": ["float32,float64"]}, "give the option once for each dtype"),
        ("scalar", {"sizes": ["small,small"]}, "give the option once for each size"),
    ],
)
def test_a_query_without_a_cell_is_refused_with_advice(
    name: str, given: dict[str, Any], words: str, files: dict[str, str]
) -> None:
    with pytest.raises(PlanError, match=words):
        plan(Query([files[name]], **{"backends": ["numpy"], **given}))


@pytest.mark.parametrize(
    ("given", "cells"),
    [
        ({"degrees": [2, 6]}, [("small", "gradient"), ("small^2", "taylor"), ("small^6", "taylor")]),
        ({}, [("small", "gradient"), ("small", "taylor")]),
        ({"sizes": ["small", "small^3"]}, [("small", "gradient"), ("small", "taylor"), ("small^3", "taylor")]),
    ],
)
def test_degrees_belong_to_taylor_series(
    given: dict[str, Any], cells: list[tuple[str, str]], files: dict[str, str]
) -> None:
    made = plan(Query([files["scalar"]], ["numpy"], ["gradient", "taylor"], **given))
    assert [(c.size, c.operator) for c in made.cells] == cells
    problem = made.problems[0]
    first, *others = [
        build_case(problem, size, "float64", Operator.TAYLOR, 0) for size in ("small", "small^2", "small^6")
    ]
    assert [first.degree, *(case.degree for case in others)] == [TAYLOR_DEGREE, 2, 6]
    assert all(np.array_equal(first.directions[0], case.directions[0]) for case in others)


@pytest.mark.parametrize(
    ("name", "operators", "asked"),
    [
        ("scalar", (), ["gradient"]),
        ("vector", (), ["jacobian"]),
        ("scalar", ("hvp",), ["hvp"]),
        ("vector", ("all",), ["value", "jvp", "vjp", "jacobian"]),
        ("vector", ("all", "taylor"), ["value", "jvp", "vjp", "jacobian", "taylor"]),
    ],
)
def test_a_users_file_has_its_leading_operator_unless_others_are_named(
    name: str, operators: tuple[str, ...], asked: list[str], files: dict[str, str]
) -> None:
    made = plan(Query([files[name]], ["numpy"], operators, leading=True))
    assert [cell.operator for cell in made.cells] == asked


def test_a_problem_of_this_project_has_all_of_them() -> None:
    assert len(plan(Query(["sphere"], ["numpy"], leading=True)).cells) == 8
