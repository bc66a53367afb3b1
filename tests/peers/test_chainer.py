"""The classic studies in the system that they were written in: Chainer, on Python 3.9.

The expected numbers are those of the classic studies, measured with NumPy in float64, as in ``tests/studies``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare.execution.pool import Pool
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems.tape import QUESTIONS
from autodiff_compare.results.store import RunFolder
from autodiff_compare.studies.trace import Trace, revived
from tests.peers.test_peers import spec
from tests.studies.test_descent import FIRST

_PROBLEMS = ("matrix_inverse_absolute", "matrix_inverse_squared", "cubic_fit", "tape_polynomial")


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a function that sends a request about a problem to Chainer's worker."""
    planned = plan(Query(list(_PROBLEMS), [spec("chainer")], ["value"]))
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    pool = Pool(planned, Settings(rounds=0), folder)
    (backend,) = planned.specs

    def request(verb: str, problem: str, **params: Any) -> Any:
        return pool.request(backend, verb, 600.0, source=planned.sources[problem], problem=problem, **params)

    yield request
    pool.close()
    folder.close()


def descent(ask: Any, problem: str, name: str, iterations: int | None = None) -> Trace:
    return revived(ask("descend", problem, descent=name, start=0, dtype="float64", max_iterations=iterations))


def test_the_absolute_descent_begins_as_in_the_classic_study(ask: Any) -> None:
    steps = descent(ask, "matrix_inverse_absolute", "stale", 50).steps
    found = [(step.loss, step.step_size) for step in steps]
    np.testing.assert_allclose(found, FIRST, rtol=1e-12)


def test_the_squared_descent_takes_490_steps_and_no_restart(ask: Any) -> None:
    """The absolute one, of 42 336 updates, is in ``docs/peers.md``: it takes a minute of processor time."""
    found = descent(ask, "matrix_inverse_squared", "fresh")
    assert found.converged
    assert (found.iterations, found.restarts) == (490, 0)


def test_the_cubic_fit_ends_at_the_classic_point(ask: Any) -> None:
    found = descent(ask, "cubic_fit", "cleared")
    np.testing.assert_allclose(
        found.last_point[0], [-0.09202848612079, -0.00192837734038, 0.84758806540845, 0.01117792080568], rtol=1e-9
    )
    assert found.final_loss == pytest.approx(9.016587142824, rel=1e-10)


def test_gradients_that_are_not_cleared_make_the_loss_swing(ask: Any) -> None:
    assert descent(ask, "cubic_fit", "accumulated").final_loss == pytest.approx(7.6e4, rel=0.01)


def test_questions_to_its_tape_have_the_classic_answers(ask: Any) -> None:
    rows = {row["question"]: row for row in ask("questions", "tape_polynomial")["results"]}
    assert list(rows) == [question.name for question in QUESTIONS]
    # A gradient is an array in an attribute of the variable; nothing was asked of b.
    assert {name for name, row in rows.items() if not row["equal"]} <= {"unused_input", "no_seed", "integer_input"}
    assert all(row["equal"] or row["convention"] for row in rows.values()), rows
