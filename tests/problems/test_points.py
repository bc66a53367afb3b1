"""Points that a user gives: the entries of a problem's inputs, as sizes of it."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff_compare.backends import PLAIN
from autodiff_compare.plan.cases import build_case, received, sent
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import Problem, ProblemError, available, problem_of, with_points
from autodiff_compare.vocabulary import Operator


def _value(problem: Problem, size: str) -> float:
    inputs = problem.draw(size, 0)
    return float(problem.function(PLAIN, inputs.static)(*inputs.arrays))


@pytest.mark.parametrize(
    ("name", "point", "size", "value"),
    [
        # Goldstein-Price at its minimiser is 3; at (-2, 0.5) the value follows from the formula in rational numbers:
        # s = -0.5, m = -5.5, near = 1 + s^2 (3 s^2 - 20 s + 36) = 12.6875, far = 30 + m^2 (3 m^2 - 16 m + 18).
        ("goldstein_price", (0, -1), "at=0,-1", 3.0),
        ("goldstein_price", (-2, 0.5), "at=-2,0.5", 12.6875 * (30 + 30.25 * (90.75 + 88 + 18))),
        # Two points, and three: their number decides the size.
        ("goldstein_price", (0, 1, -1, 1), "at=0,1,-1,1", 3.0 + 1876.0),
        ("rosenbrock", (1, 1, 1), "at=1,1,1", 0.0),
        ("rosenbrock", (0, 0, 0, 0, 0), "at=0,0,0,0,0", 4.0),
    ],
)
def test_numbers_are_the_entries_of_the_inputs_in_order(
    name: str, point: tuple[float, ...], size: str, value: float
) -> None:
    problem = with_points(available()[name], [point], 0)
    assert list(problem.sizes) == [size]
    assert _value(problem, size) == pytest.approx(value, rel=1e-13)


def test_several_points_of_one_size_stay_apart() -> None:
    problem = with_points(available()["sphere"], [(1, 2), (3, 4)], 0)
    assert [_value(problem, size) for size in problem.sizes] == [5.0, 25.0]


def test_long_points_have_short_names_that_differ() -> None:
    long = tuple(k / 7 for k in range(100))
    problem = with_points(available()["rosenbrock"], [long, (*long[:-1], 0.0)], 0)
    assert len(problem.sizes) == 2
    assert max(map(len, problem.sizes)) < 60


def test_the_data_beside_a_point_are_those_of_the_seed() -> None:
    cubic = available()["cubic_fit"]
    problem = with_points(cubic, [(0.1, 0.2, 0.3, 0.4)], 0)
    (size,) = problem.sizes
    assert all(map(np.array_equal, problem.draw(size, 0).data, cubic.draw("small", 0).data))


def test_the_sign_of_a_zero_chooses_the_side_of_a_branch_cut() -> None:
    f = problem_of("f", lambda z, xp: xp.imag(xp.log(z[0])), {}, {"z": [1j]}, "a test")
    problem = with_points(f, [(complex(-1.0, -0.0),), (complex(-1.0, 0.0),)], 0)
    assert list(problem.sizes) == ["at=-1-0j", "at=-1"]
    assert [_value(problem, size) for size in problem.sizes] == [-np.pi, np.pi]


def test_complex_points_fill_complex_inputs_and_no_others() -> None:
    f = problem_of("f", lambda z, xp: xp.real(z[0] * z[1]), {}, {"z": [1j, 2.0]}, "a test")
    problem = with_points(f, [(1 + 2j, 3)], 0)
    (size,) = problem.sizes
    assert size == "at=1+2j,3"
    assert _value(problem, size) == 3.0
    with pytest.raises(ProblemError, match="expected real ones"):
        with_points(available()["sphere"], [(1j, 2)], 0)


def test_a_worker_gets_the_point_itself() -> None:
    problem = with_points(available()["goldstein_price"], [(-2, 0.5)], 0)
    (size,) = problem.sizes
    case = build_case(problem, size, "float64", Operator.GRADIENT, 0)
    # The worker loads the problem by its name: there it has no such size.
    there, prepared_at = received(available()["goldstein_price"], size, "float64", Operator.GRADIENT, 0, sent(case))
    assert [x.tolist() for x in there.inputs.differentiated] == [[-2.0], [0.5]]
    assert all(not np.array_equal(a, b) for a, b in zip(prepared_at.inputs.arrays, there.inputs.arrays, strict=True))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(["goldstein_price"], points=[(1, 2, 3)]), "got 3 numbers for goldstein_price, expected 2 numbers"),
        (Query(["sphere"], points=[(1, 2)], sizes=["large"]), "got --at with --size"),
        (Query(points=[(1, 2)]), "got --at without a problem"),
        (Query(["power_flow"], points=[(1e300,) * 3]), "power_flow"),
    ],
)
def test_a_point_that_does_not_fit_is_refused(query: Query, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        plan(query)


def test_a_point_outside_the_domain_is_refused(tmp_path) -> None:
    file = tmp_path / "logs.py"
    file.write_text("def objective(x, xp):\n    return xp.sum(xp.log(x))\n\n\nx = [1.0, 2.0]\n")
    assert [c.size for c in plan(Query([str(file)], ["numpy"], ["gradient"], points=[(3.0, 4.0)])).cells] == ["at=3,4"]
    with pytest.raises(PlanError, match="expected a point of its domain"):
        plan(Query([str(file)], ["numpy"], points=[(-1.0, 2.0)]))


@pytest.mark.parametrize("at", [[-2, 0.5], (-2.0, 0.5), np.array([-2.0, 0.5]), (np.array([-2.0]), np.array([0.5]))])
def test_python_gives_a_point_as_numbers_or_as_an_array_for_each_input(at: object) -> None:
    from autodiff_compare import compare

    tables = compare("goldstein_price", at=at, backends="manual", operators="gradient", rounds=0)
    assert list(tables.cells["cell_id"]) == ["goldstein_price/at=-2,0.5/float64/gradient/manual"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"at": [1, 2, 3]}, "expected 2 numbers"),
        ({"at": ["a", 2]}, "expected numbers, or an array for each input"),
        ({"at": [float("nan"), 2]}, "expected finite numbers"),
        ({"x": [1.0, 2.0]}, "expected at= or n="),
    ],
)
def test_python_refuses_what_is_no_point(given: dict[str, object], words: str) -> None:
    from autodiff_compare import compare

    with pytest.raises(ValueError, match=words):
        compare("goldstein_price", backends="manual", **given)  # type: ignore[arg-type]
