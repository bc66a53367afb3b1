"""Example backends in environments of their own: no clause is broken, and the studies end where they should.

``make peers`` makes the environments; without one, the tests of its system are skipped.
"""

from __future__ import annotations

import functools
import pathlib

import pytest

from autodiff_compare.cli.verbs.trials import conformance
from autodiff_compare.cli.verbs.trials.conformance import Finding, findings_of
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from tests.peers.environments import PYTHONS, ROOT, python_of

EXAMPLES = ROOT / "examples" / "backends"
#: Most lines of a file of an adapter: a first one is read in one sitting.
LONGEST = 130
#: System -> the variants that are tried. PyTensor's default takes minutes to compile the clauses.
VARIANTS = {"pytensor": (":plain",), "casadi": ("", ":mx")}
TRIED = [(name, variant) for name in PYTHONS for variant in VARIANTS.get(name, ("",))]


def spec(name: str, variant: str = "") -> str:
    python = python_of(name)
    if python is None:
        pytest.skip(f"no environment .peers/{name}: make peers PEERS={name} makes it or says why")
    return f"{EXAMPLES / f'{name}_backend.py'}{variant}@{python}"


@functools.cache
def tried(asked: str) -> dict[str, Finding]:
    made = plan(Query([conformance._FUNCTIONS], [asked], dtypes=("float64", "float32")))
    return {f.clause.partition(" (")[0]: f for f in findings_of(made)}


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_an_example_is_short(file: pathlib.Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize(("name", "variant"), TRIED, ids=map("".join, TRIED))
def test_no_clause_is_broken(name: str, variant: str) -> None:
    found = tried(spec(name, variant))
    assert {clause: f.words for clause, f in found.items() if f.kept is False} == {}
    assert all(found[operator].kept for operator in ("value", "gradient", "jvp", "vjp", "jacobian"))
