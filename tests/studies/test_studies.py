"""Tables of each study, and the verb ``descend`` from the command line to the CSV files.

Traces come from the ``manual`` backend, or are constructed where a study needs a known end point.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autodiff_compare.cli.main import main
from autodiff_compare.problems import available
from autodiff_compare.process import protocol
from autodiff_compare.results.rows import DescentRow, StepRow
from autodiff_compare.results.tables import read
from autodiff_compare.studies import robot_arm, tables
from autodiff_compare.studies.descent import descend
from autodiff_compare.studies.eigenvalues import convention
from autodiff_compare.studies.tables import Fit, StudyTable
from autodiff_compare.studies.trace import Step, Trace, revived
from autodiff_compare.summary.terminal import text
from tests.conftest import opened

PROBLEMS = available()
FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")


@functools.cache
def squared() -> Trace:
    return descend(opened("manual"), PROBLEMS["matrix_inverse_squared"], "fresh", 0, "float64")


@functools.cache
def restarted() -> Trace:
    return descend(opened("manual"), PROBLEMS["matrix_inverse_absolute"], "fresh", 0, "float64", 3000)


@functools.cache
def fitted(backend: str = "made", end: tuple[float, ...] = (-0.09, 0.0, 0.85, 0.0), descent: str = "cleared") -> Trace:
    """Return the trace of a cubic fit that ended at ``end``."""
    inputs = PROBLEMS["cubic_fit"].descent[descent].start(0)
    steps = tuple(Step(k, float(loss), 1e-6, 1.0, {"theta": [0.0] * 4}) for k, loss in enumerate((9, 12, 10, 11)))
    first, last = inputs.differentiated, (np.array(end),)
    return Trace(
        "cubic_fit", descent, backend, "float64", 0, 3, 0, 4, False, 11.0, 0.5, "why", steps, first, last, inputs.data
    )


def by_title(found_tables: list[StudyTable], beginning: str) -> StudyTable:
    (found,) = (t for t in found_tables if t.title.startswith(beginning))
    assert all(len(row) == len(found.columns) for row in found.rows)
    return found


# ---- every descent


def test_the_overview_has_a_row_for_each_start_and_a_time_for_each_backend() -> None:
    one = squared()
    other = replace(
        one, backend="other", iterations=491, seconds=0.0021, final_loss=2e-7, converged=False, message="no"
    )
    found = tables.overview([one, other, replace(one, start=1, converged=False, message="late")])
    assert found.columns == ("descent", "start", "updates", "last loss", "manual", "other")
    assert [row[:4] for row in found.rows] == [
        ("fresh", 0, "490 to 491", "9.73e-08 to 2e-07"),
        ("fresh", 1, "490", "9.73e-08"),
    ]
    assert found.rows[0][5] == "2.1 ms"
    assert found.rows[1][5] == "-"
    assert found.note == "fresh: no"
    restarts = restarted().restarts
    assert tables.overview([restarted()]).note == (f"fresh, start 0: {restarts} restarts\nfresh: {restarted().message}")


def test_the_convergence_table_goes_from_the_first_to_the_last_iteration_and_counts_restarts() -> None:
    (found,) = tables.convergence([restarted()])
    iterations = [row[0] for row in found.rows]
    assert iterations == sorted(set(iterations))
    assert (iterations[0], iterations[-1]) == (0, 3000)
    assert len(iterations) <= 12
    assert found.rows[-1][-1] == restarted().restarts > 0
    losses = {s.iteration: s.loss for s in restarted().steps}
    assert [row[1] for row in found.rows] == [losses[n] for n in iterations]


def test_a_gradient_that_nobody_saw_has_no_column() -> None:
    hidden = replace(squared(), steps=tuple(replace(s, gradient_norm=math.nan) for s in squared().steps))
    assert tables.convergence([hidden])[0].columns == ("iteration", "loss", "step size")


def test_what_is_followed_is_shown_at_both_ends() -> None:
    trace = replace(squared(), steps=tuple(replace(s, extra={"pair": [s.iteration, 1.0]}) for s in squared().steps))
    (found,) = tables.followed(PROBLEMS["matrix_inverse_squared"], [trace])
    assert [(row[:3], row[3].tolist()) for row in found.rows] == [
        (("fresh", 0, 0), [0, 1]),
        (("fresh", 0, 490), [490, 1]),
    ]


def test_a_descent_without_updates_can_be_shown() -> None:
    none = descend(opened("manual"), PROBLEMS["matrix_inverse_squared"], "fresh", 0, "float64", 0)
    assert len(tables.convergence([none])[0].rows) == 1
    assert tables.descent_tables(PROBLEMS["matrix_inverse_squared"], [none])


def test_a_trace_survives_the_way_between_processes() -> None:
    trace = replace(restarted(), final_loss=math.inf)
    back = revived(protocol.decode(protocol.encode(asdict(trace))))
    assert back.steps == trace.steps
    assert back.last_point[0].tobytes() == trace.last_point[0].tobytes()
    assert (back.final_loss, back.message, back.restarts) == (math.inf, trace.message, trace.restarts)


# ---- the matrix inverse


def test_the_inverse_stands_beside_the_descent() -> None:
    found = tables.descent_tables(PROBLEMS["matrix_inverse_squared"], [squared()])
    before, after = by_title(found, "Before"), by_title(found, "After")
    X, Y0, product = (np.array(part) for part in zip(*before.rows, strict=True))
    Y, near, inverse = (np.array(part) for part in zip(*after.rows, strict=True))
    # The classic data: RandomState(0), X first.
    assert (X[0, 0], Y0[0, 0]) == (0.5488135039273248, 0.3834415188257777)
    np.testing.assert_allclose(product, X @ Y0)
    np.testing.assert_allclose(inverse @ X, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(near, np.eye(3), atol=1e-3)  # the squared residuals add up to less than 1e-7
    row = by_title(found, "Error of the inverse").rows[0]
    assert row[:4] == ("fresh", 0, pytest.approx(11.989380288142536), "manual")  # the classic condition number
    assert row[4:6] == (np.abs(X @ Y - np.eye(3)).max(), np.abs(Y - inverse).max())


# ---- the cubic fit


@functools.cache
def fit() -> Fit:
    return Fit.of(*fitted().data)


def test_the_curvature_of_the_cubic_fit_is_the_classic_one() -> None:
    # Classic figures: the Hessian's eigenvalues, the largest stable rate, the optimum and its loss.
    np.testing.assert_allclose(fit().curvature, [1727.5, 2065.98, 80355.8, 562121.9], rtol=1e-5)
    assert fit().stable_rate == pytest.approx(3.557946898346627e-06, rel=1e-9)
    np.testing.assert_allclose(fit().optimum, [-0.0933303890405988, 0, 0.8567408430737848, 0], atol=1e-12)
    assert fit().least == pytest.approx(8.817165410007025, rel=1e-12)


def test_the_predicted_excess_is_that_of_the_descent() -> None:
    start = np.array([0.1, 0.2, 0.3, 0.4])
    # 9.016587142824 is the classic loss after 2000 updates with rate 1e-6.
    assert fit().least + fit().excess_after(start, 1e-6, 2000) == pytest.approx(9.016587142824, rel=1e-10)
    needed = fit().updates_until(start, 1e-6, 0.01)
    assert needed is not None
    assert fit().excess_after(start, 1e-6, needed) <= 0.01 * fit().least < fit().excess_after(start, 1e-6, needed - 1)
    assert fit().updates_until(fit().optimum, 1e-6, 0.01) == 0
    assert fit().updates_until(start, 1.001 * fit().stable_rate, 0.01) is None


def test_the_end_points_stand_beside_polyfit_and_maclaurin() -> None:
    exact = tuple(fit().optimum.tolist())
    traces = [
        fitted("a", exact),
        fitted("b", exact),
        fitted("c", (0.0, 0.0, 0.0, 0.0)),
        fitted("a", descent="accumulated"),
    ]
    found = tables.cubic_fit(PROBLEMS["cubic_fit"], traces)
    names = [row[0] for row in by_title(found, "Coefficients").rows]
    assert names == [
        "polyfit: the optimum",
        "Maclaurin: x - x^3/6",
        "cleared, 2 backends",
        "cleared, c",
        "accumulated, a",
    ]
    off = {row[0]: row[1:] for row in by_title(found, "Distance from the optimum").rows}
    assert off["cleared, 2 backends"] == (0, fit().least, 0, 0)
    # At zero the loss is the sum of sin^2: 1999 / 2 on this grid, since its two ends are both zeros.
    assert off["cleared, c"][1] == pytest.approx(999.5)
    assert off["Maclaurin: x - x^3/6"][0] == pytest.approx(
        math.hypot(1 / 6 - 0.0933303890405988, 1 - 0.8567408430737848)
    )
    assert by_title(found, "Convergence rate").rows == (("cleared", 0, 1e-6, 3, 2218),)
    assert by_title(found, "Oscillation of the loss").rows[0][2:] == (9, 9, 12, 11, 2)


# ---- the arms


def _jacobians(spec: str, problem: str, *angles: Sequence[float]) -> list[robot_arm.Jacobians]:
    arm = PROBLEMS[problem]
    points = robot_arm.arrays_at(arm, angles)
    return robot_arm.jacobians_at(opened(spec), arm, "float64", points, robot_arm.outputs(arm))


@pytest.mark.parametrize(("problem", "size"), [("planar_arm", 3), ("ur5_arm", 6)])
@pytest.mark.parametrize("spec", FRAMEWORKS)
def test_rows_and_columns_give_one_jacobian(spec: str, problem: str, size: int) -> None:
    pose = robot_arm.POSES[problem]
    study, singular = _jacobians(spec, problem, pose.theta, pose.singular)
    found = robot_arm.arm_tables(PROBLEMS[problem], {spec: (study, singular)})
    assert study.rows.shape == (size, size)
    np.testing.assert_allclose(by_title(found, "Largest difference").rows[0][1:], 0, atol=1e-12)
    slope = by_title(found, "Error of the linear prediction").rows[-1][1]
    assert slope == pytest.approx(2, abs=0.01)
    (_, _, _, condition, least), (_, _, _, _, least_singular) = by_title(found, "Singularity").rows
    assert condition < 100
    assert least > 0.1
    assert least_singular < 1e-12


def test_the_planar_arm_has_the_classic_jacobian() -> None:
    (found,) = _jacobians("numpy", "planar_arm", robot_arm.POSES["planar_arm"].theta)
    expected = [
        [-0.3823086644628109, -0.08678845780147137, -0.2258569893580142],
        [1.9715173395783463, 1.0161808504527405, 0.3301342459638713],
        [1.0, 1.0, 1.0],
    ]
    np.testing.assert_allclose(found.rows, expected, rtol=1e-12)
    assert np.linalg.det(found.columns) == pytest.approx(-0.335597877022942, rel=1e-12)


def test_a_wrong_jacobian_shows_in_every_table_of_the_arm() -> None:
    (right,) = _jacobians("numpy", "planar_arm", robot_arm.POSES["planar_arm"].theta)
    wrong = replace(right, rows=right.rows + 1e-3 * np.eye(3))
    found = robot_arm.arm_tables(PROBLEMS["planar_arm"], {"x": (wrong, wrong)})
    assert by_title(found, "Largest difference").rows[0][1] == pytest.approx(1e-3)
    assert by_title(found, "Error of the linear prediction").rows[-1][1] < 1.5  # an error of first order dominates


# ---- the eigenvalue read raw


def test_conventions_are_one_row_a_backend() -> None:
    found = tables.conventions({"numpy": asdict(convention(opened("numpy")))})
    assert found.rows[0][:3] == ("numpy", "lower triangle", "symmetric")
    # The classic value of the printed matrix, by its lower triangle.
    assert found.rows[0][3] == pytest.approx(-0.2599476264219467, rel=1e-12)


# ---- to the terminal


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (None, ""),
        (2172, "2172"),
        (1e-6, "1e-06"),
        (math.nan, "nan"),
        ("x", "x"),
        (np.array([1, -2.5]), " 1.0000 -2.5000"),
        (np.array([1e9, 0]), " 1.000e+09  0.000e+00"),
    ],
)
def test_a_cell_in_words(cell: Any, words: str) -> None:
    assert text(cell) == words


def descends(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["descend", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_descend_writes_its_tables_and_prints_its_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = descends(
        capsys, "matrix_inverse_squared", "-b", "manual", "--seed", 0, "--seed", 1, "--out", tmp_path
    )
    assert code == 0
    assert max(map(len, out.splitlines()[:-1])) <= 80  # the last line is a path
    assert "After the descent: fresh, start 0, manual float64" in out
    assert "matrix_inverse_squared/fresh/float64/step/manual start 1:" in err
    (folder,) = tmp_path.iterdir()
    ends, steps = read(folder / "descents.csv", DescentRow), read(folder / "steps.csv", StepRow)
    assert ends["start"].tolist() == [0, 1]
    assert ends["iterations"].iloc[0] == 490
    assert json.loads(ends["last_point"].iloc[0]) == [squared().last_point[0].tolist()]
    first = steps[steps["start"] == 0]
    assert first["loss"].tolist() == [s.loss for s in squared().steps]
    assert set(map(len, map(json.loads, first["extra"]))) == {0}


def test_descend_says_what_did_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = descends(capsys, "cubic_fit", "-b", "manual", "--descent", "cleared", "--out", tmp_path)
    assert code == 0
    assert "cubic_fit/cleared/float64/step/manual start 0: unsupported: manual has no optimizer of its own" in " ".join(
        err.split()
    )
    assert "No descent of cubic_fit ran" in out
    (folder,) = tmp_path.iterdir()
    row = read(folder / "descents.csv", DescentRow).iloc[0]
    assert (row["status"], row["converged"]) == ("unsupported", False)


def test_descend_shows_an_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = descends(capsys, "planar_arm", "-b", "manual", "--out", tmp_path)
    assert code == 0
    assert "Largest difference of an entry of J" in out


#: (x - 3)^2 + (y + 1)^2 from (0, 0) with rate 1/4: each update halves the distance, and the loss is 10 / 4^n.
MINE = """
import numpy as np
from autodiff_compare.problems import Descent, Inputs, Problem
from autodiff_compare.vocabulary import Optimizer

def start(seed):
    return Inputs((np.zeros(()), np.zeros(())))

PROBLEM = Problem(
    name="mine", title="", source="", sizes={"tiny": 2}, inputs=lambda rng, n: start(0),
    objective=lambda x, y, *, xp: (x - 3.0) * (x - 3.0) + (y + 1.0) * (y + 1.0),
    descent={
        "down": Descent(Optimizer("sgd", 0.25), start, max_iterations=3, follow={"half": lambda x, y: x / 2}),
        "away": Descent(Optimizer("sgd", 1e200), start, stop_loss=0.1),
    },
)
"""


def test_descend_takes_a_users_problem_with_sizes_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    code, out, _ = descends(capsys, file, "-b", "numpy", "--out", tmp_path / "out")
    assert code == 0
    (folder,) = (tmp_path / "out").iterdir()
    down, away = (row for _, row in read(folder / "descents.csv", DescentRow).iterrows())
    assert (down["iterations"], down["final_loss"], json.loads(down["last_point"])) == (3, 10 / 64, [2.625, -0.875])
    assert (away["final_loss"], away["message"]) == (
        math.inf,
        "the loss is inf after 1 updates: take a smaller learning rate",
    )
    steps = read(folder / "steps.csv", StepRow)
    assert [json.loads(extra) for extra in steps["extra"][:4]] == [{"half": x / 2} for x in (0, 1.5, 2.25, 2.625)]
    assert "Half at the first and the last iteration (numpy)" in out
    assert f"away: {away['message']}" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nosuch"], "got problem 'nosuch', expected one of the "),
        (["sphere"], "got problem 'sphere', which has no descent, expected one of: cubic_fit, "),
        (["cubic_fit", "--descent", "x"], "got descent 'x', expected one of: cleared, accumulated"),
        (["planar_arm", "--descent", "x"], "got descent 'x', expected none: its study has no descent"),
        (
            ["planar_arm", "--lr", "1", "--animate"],
            "got --lr, --animate, but the study of planar_arm has no descent",
        ),
        (["cubic_fit", "--dtype", "half"], "got dtype 'half', expected one of: float64, float32"),
        (["cubic_fit", "-b", "nosuch"], "got backend 'nosuch', expected one of: "),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_exit_code_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = descends(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"autodiff-compare: {complaint}")
    assert err.count("\n") == 1
