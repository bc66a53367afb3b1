"""What a query names and no cell computes: each is told with its reason, and a query without any cell is refused."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query

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
        ("scalar", {"operators": ["gradiant"]}, "did you mean gradient"),
        ("scalar", {"backends": ["tensorlow"]}, "did you mean tensorflow"),
    ],
)
def test_a_query_without_a_cell_is_refused_with_advice(
    name: str, given: dict[str, Any], words: str, files: dict[str, str]
) -> None:
    with pytest.raises(PlanError, match=words):
        plan(Query([files[name]], **{"backends": ["numpy"], **given}))
