"""Descents from other starts, to other targets, at other sizes and rates, named by what is changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autodiff_compare.problems import ProblemError, available
from autodiff_compare.studies.changes import Changes, descent_of, parsed
from autodiff_compare.studies.descent import descend
from autodiff_compare.studies.tables import Fit
from autodiff_compare.studies.trace import Trace
from tests.conftest import opened


def _run(problem: str, name: str, start: int = 0, updates: int | None = None, **recorded: object) -> Trace:
    return descend(opened("numpy"), available()[problem], name, start, "float64", updates, **recorded)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        Changes(),
        Changes(lr=1e-5),
        Changes(size=5, stop=0.0, start=(0.1, -2.0, 1e-300, 1 / 3)),
        Changes(lr=3e-6, target=(0.5, 1.0, 2.0)),
    ],
)
def test_a_name_holds_the_changes_to_the_last_bit(changes: Changes) -> None:
    assert parsed(changes.named("cleared")) == ("cleared", changes)


def test_a_name_is_one_part_of_a_cell_id() -> None:
    assert Changes(lr=1e-5, start=(0.1, 0.2)).named("cleared") == "cleared lr=1e-05 start=0.1,0.2"


@pytest.mark.parametrize("start", [(1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0), (-0.1, 0.5, 0.9, -2.0)])
def test_the_cubic_fit_from_another_start_follows_the_closed_form(start: tuple[float, ...]) -> None:
    trace = _run("cubic_fit", Changes(lr=3e-6, start=start).named("cleared"))
    fit = Fit.of(*trace.data)
    # Fit derives the loss after n updates from the eigenvalues of the Hessian.
    expected = fit.least + fit.excess_after(np.array(start), 3e-6, 2000)
    assert trace.iterations == 2000
    assert trace.final_loss == pytest.approx(expected, rel=1e-9)
    assert trace.steps[0].extra["theta"] == list(start)


def test_the_cubic_fit_has_as_many_points_as_its_size() -> None:
    trace = _run("cubic_fit", "cleared size=50", updates=3)
    assert trace.data[0].shape == (50,)
    assert trace.data[1] == pytest.approx(np.sin(np.linspace(-np.pi, np.pi, 50)))


@pytest.mark.parametrize("target", [(1.0, 1.5, 2.0, 2.5), (3.0, -1.0), (0.5, 1.0, 2.0)])
def test_eigenvalues_reach_another_target_of_any_number(target: tuple[float, ...]) -> None:
    target = tuple(sorted(target))
    trace = _run("eigenvalue_targeting_distinct", Changes(lr=0.01, stop=1e-6, target=target).named("by_hand"))
    assert trace.converged
    # The stop rule bounds the sum of squares of all distances by 1e-6.
    assert trace.steps[-1].extra["eigenvalues"] == pytest.approx(target, abs=1e-3)


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 3), (5, 15)])
def test_a_symmetric_matrix_of_another_size_has_its_parameters(size: int, count: int) -> None:
    descent = descent_of(available()["eigenvalue_targeting_distinct"], f"by_hand size={size}")
    assert [x.size for x in descent.start(0).differentiated] == [count]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_matrix_of_another_size_is_inverted(n: int) -> None:
    trace = _run("matrix_inverse_squared", f"fresh size={n}", updates=20_000)
    assert trace.converged
    (X, _), (Y,) = trace.data, trace.last_point
    assert X.shape == (n, n)
    # sum (X Y - I)^2 is at most 1e-7.
    assert np.sum((X @ Y - np.eye(n)) ** 2) <= 1.01e-7


def test_a_problem_without_a_descent_is_minimised_by_plain_gradient_descent() -> None:
    trace = _run("sphere", Changes(lr=0.25, start=(1.0, 2.0)).named("sgd"), updates=5)
    # x <- x - 0.25 * 2 x halves the point: the loss 5 is divided by 4 each time.
    assert [step.loss for step in trace.steps] == [5 / 4**k for k in range(6)]


def test_a_users_function_is_minimised_from_its_own_point() -> None:
    from autodiff_compare.problems import problem_of

    made = problem_of("mine", lambda x, xp: xp.sum((x - 3) ** 2), {}, {"x": [1.0, 5.0]}, "a test")
    trace = descend(opened("numpy"), made, "sgd lr=0.5", 0, "float64", 1)
    assert trace.last_point[0].tolist() == [3.0, 3.0]


def test_every_update_or_every_tenth_is_recorded_and_the_point_with_it() -> None:
    trace = _run("sphere", "sgd lr=0.01 start=1,2", updates=25, every=10, watch=True)
    assert [step.iteration for step in trace.steps] == [0, 10, 20, 25]
    assert trace.steps[1].extra["point"] == pytest.approx([0.98**10, 2 * 0.98**10])
    assert len(_run("cubic_fit", "cleared", updates=1500, every=1).steps) == 1501


@pytest.mark.parametrize(
    ("problem", "name", "words"),
    [
        ("cubic_fit", "nosuch", "got descent 'nosuch', expected one of cubic_fit: cleared, accumulated"),
        ("cubic_fit", "cleared lr", "expected numbers after '='"),
        ("cubic_fit", "cleared rate=1", "expected changes of size, lr, stop, target, start"),
        ("cubic_fit", "cleared start=1,2,3", "got 3 numbers, expected 4 numbers"),
        ("cubic_fit", "cleared target=1,2", "has none to change, expected one of: eigenvalue_targeting_distinct"),
        ("eigenvalue_targeting_equal", "by_hand target=1,1,2", "eigenvalue_targeting_distinct"),
        ("eigenvalue_targeting_distinct", "by_hand size=3 target=1,2", "got 2 numbers in --target"),
        ("eigenvalue_targeting_distinct", "by_hand start=1,2,3,4", "got 4 numbers"),
        ("sphere", "sgd", "got descent 'sgd', expected one of sphere: it has none"),
        ("chain_rule", "sgd lr=1", "expected a loss to minimise"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(problem: str, name: str, words: str) -> None:
    with pytest.raises(ProblemError, match=words.replace("(", r"\(")):
        descent_of(available()[problem], name)


def test_descents_may_have_spaces_in_their_names() -> None:
    cubic = available()["cubic_fit"]
    spaced = replace(
        cubic, descent={"by hand": cubic.descent["cleared"], "by hand twice": cubic.descent["accumulated"]}
    )
    assert descent_of(spaced, "by hand").accumulate is False
    assert descent_of(spaced, "by hand twice").accumulate is True
    assert descent_of(spaced, "by hand twice lr=0.5").optimizer.learning_rate == 0.5


def test_a_descent_of_one_size_says_so() -> None:
    cubic = available()["cubic_fit"]
    fixed = replace(cubic, descent={name: replace(d, sized=None) for name, d in cubic.descent.items()})
    with pytest.raises(ProblemError, match="it has one size"):
        descent_of(fixed, "cleared size=5")
