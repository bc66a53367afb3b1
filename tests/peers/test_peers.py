"""Example backends in environments of their own: no clause is broken, and the studies end where they should.

``make peers`` makes the environments; without one, the tests of its system are skipped.
"""

from __future__ import annotations

import functools

import pytest

from autodiff_compare.cli.verbs.trials import conformance
from autodiff_compare.cli.verbs.trials.conformance import Finding, findings_of
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from tests.peers.environments import PYTHONS, ROOT, python_of

EXAMPLES = ROOT / "examples" / "backends"
#: Most lines of an adapter: a first one is read in one sitting.
LONGEST = 130
#: System -> the variant that is tried, where the default takes minutes to compile the clauses.
VARIANTS = {"pytensor": ":plain"}


def spec(name: str) -> str:
    python = python_of(name)
    if python is None:
        pytest.skip(f"no environment .peers/{name}: make peers says why")
    return f"{EXAMPLES / f'{name}_backend.py'}{VARIANTS.get(name, '')}@{python}"


@functools.cache
def tried(asked: str) -> dict[str, Finding]:
    made = plan(Query([conformance._FUNCTIONS], [asked], dtypes=("float64", "float32")))
    return {f.clause.partition(" (")[0]: f for f in findings_of(made)}


@pytest.mark.parametrize("name", PYTHONS)
def test_an_example_is_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}_backend.py").read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("name", PYTHONS)
def test_no_clause_is_broken(name: str) -> None:
    found = tried(spec(name))
    assert {clause: f.words for clause, f in found.items() if f.kept is False} == {}
    assert all(found[operator].kept for operator in ("value", "gradient", "jvp", "vjp", "jacobian"))
