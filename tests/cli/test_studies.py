"""Studies from the command line: their starts, targets and rates, what is recorded, and the moving picture."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from autodiff_compare.cli.main import main
from autodiff_compare.results.rows import DescentRow, StepRow
from autodiff_compare.results.tables import read, rows_from


def _descend(out: pathlib.Path, *words: str) -> tuple[list[DescentRow], list[StepRow]]:
    assert main(["descend", *words, "--name", "made", "--out", str(out)]) == 0
    folder = out / "made"
    return tuple(rows_from(read(folder / f"{n}.csv", t), t) for n, t in (("descents", DescentRow), ("steps", StepRow)))  # type: ignore[return-value]


def test_a_changed_descent_is_recorded_resumed_and_reported_by_its_name(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("cubic_fit", "-b", "numpy", "--descent", "cleared", "--lr", "3e-6", "--iterations", "40", "--every", "10")
    (row,), steps = _descend(tmp_path, *words, "--start", "-0.1,0.5,0.9,-2")
    assert row.cell_id == "cubic_fit/cleared lr=3e-06 start=-0.1,0.5,0.9,-2/float64/step/numpy"
    assert json.loads(row.first_point) == [[-0.1, 0.5, 0.9, -2.0]]
    assert [step.iteration for step in steps] == [0, 10, 20, 30, 40]
    shown = capsys.readouterr().out
    assert "Convergence rate by the curvature" in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    before = (tmp_path / "made" / "log.jsonl").read_text()
    assert main(["descend", "--resume", str(tmp_path / "made"), "--out", str(tmp_path)]) == 0
    # Nothing is computed again: the study is printed from the rows.
    assert (tmp_path / "made" / "log.jsonl").read_text() == before
    assert "cleared lr=3e-06" in capsys.readouterr().out


def test_a_file_without_a_descent_is_minimised_with_a_rate(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "bowl.py"
    file.write_text("def objective(x, xp):\n    return xp.sum((x - 3) ** 2)\n\n\nx = [1.0, 5.0]\n")
    (row,), _ = _descend(tmp_path, str(file), "-b", "numpy", "--lr", "0.25", "--iterations", "2")
    # Each update halves the distance from 3.
    assert json.loads(row.last_point) == [[2.5, 3.5]]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "words",
    [
        ("cubic_fit", "--descent", "cleared"),
        ("matrix_inverse_squared", "--size", "2"),
        ("eigenvalue_targeting_distinct", "--descent", "by_hand", "--starts", "1", "--lr", "0.01"),
        ("goldstein_price", "--lr", "1e-5", "--start", "-1.5,0.5"),
        ("rosenbrock", "--lr", "1e-4", "--start", "0,0,0,0,0"),
    ],
)
def test_a_descent_is_drawn_as_a_moving_picture(words: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    path = tmp_path / "descent.gif"
    _descend(tmp_path, *words, "-b", "numpy", "--iterations", "6", "--animate", str(path))
    with image.open(path) as picture:
        assert picture.n_frames >= 5
        first = picture.convert("RGB").tobytes()
        picture.seek(picture.n_frames - 1)
        assert picture.convert("RGB").tobytes() != first


def test_a_moving_picture_keeps_the_colours_of_its_markers(tmp_path: pathlib.Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    from autodiff_compare.charts import looks

    path = tmp_path / "descent.gif"
    words = ("goldstein_price", "-b", "numpy", "--lr", "1e-5", "--start", "-1.5,0.5", "--iterations", "6")
    _descend(tmp_path, *words, "--animate", str(path))
    with image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.int64)
    # The first frame has a marker of each colour, and no line yet.
    for colour in (looks.BLUE, looks.VERMILLION):
        wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        assert np.abs(pixels - wanted).sum(axis=-1).min() <= 8, colour
