"""Figures for Python: what is drawn, on tables whose numbers are known."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autodiff_compare.api.tables import Tables
from tests.summary.test_recommend import run

#: Seconds of a call at each size: a fixed cost and a power, so that the exponents are 1 and 2.
LAWS = {"numpy": lambda n: 5e-6 + 1e-8 * n, "numpy:compiled": lambda n: 1e-6 + 1e-11 * n**2}
SIZES = (10, 100, 1000, 10_000, 100_000)


def sized(folder: pathlib.Path, **more: Any) -> Tables:
    """Return the tables of two backends at five sizes."""
    cells = [
        {"spec": spec, "size": f"n={n}", "once": 0.1, "steady": law(n), "peak": 8 * n, **more}
        for n in SIZES
        for spec, law in LAWS.items()
    ]
    return Tables(run(folder, *cells), None)


def compared(folder: pathlib.Path) -> Tables:
    """Return the tables of three backends on two operators, one of them wrong in one."""
    return Tables(
        run(
            folder,
            {"spec": "numpy", "once": 1e-3, "steady": 10e-6, "error": 0.0},
            {"spec": "jax", "once": 0.5, "steady": 15e-6, "error": 2.0**-52, "flags": "noisy"},
            {"spec": "torch", "status": "wrong", "message": "off", "error": 1.0},
            {"spec": "numpy", "operator": "hessian", "once": 1e-3, "steady": 90e-6},
            {"spec": "jax", "operator": "hessian", "once": 0.5, "steady": 30e-6},
        ),
        None,
    )


def entries(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def points(axes: Axes) -> list[float]:
    """Return the x of all markers."""
    return sorted(float(x) for line in axes.get_lines() if line.get_marker() != "None" for x in line.get_xdata())


def test_times_of_right_cells_are_drawn_with_their_intervals(tmp_path: pathlib.Path) -> None:
    axes = compared(tmp_path).plot.time()
    assert points(axes) == pytest.approx([10e-6, 15e-6, 30e-6, 90e-6], rel=0.01)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["gradient", "hessian"]
    assert entries(axes) == ["numpy", "jax", "flagged: read with care"]
    assert axes.get_title(loc="left") == "Time of one call\np, small, float64"
    # Eight rounds have a 95 % interval: their smallest but none and largest.
    assert len([c for c in axes.collections if len(c.get_segments())]) == 2


def test_errors_are_in_eps_and_wrong_cells_are_crosses(tmp_path: pathlib.Path) -> None:
    axes = compared(tmp_path).plot.error(operator="gradient")
    # Exact results are at the left edge, a third of the smallest error.
    assert points(axes) == pytest.approx([1 / 3, 1.0, 2.0**52])
    assert next(t.get_text() for t in axes.get_xticklabels()) == "exact"
    assert [line.get_marker() for line in axes.get_lines() if len(line.get_xdata()) and line.get_marker() == "x"] == [
        "x"
    ]
    assert entries(axes) == ["numpy", "jax", "torch", "wrong"]


def test_scaling_has_the_exponents_in_its_legend(tmp_path: pathlib.Path) -> None:
    axes = sized(tmp_path).plot.scaling()
    first, second = entries(axes)
    # The fastest at the largest size comes first.
    assert first.startswith("numpy   n^1.0")
    assert second.startswith("numpy:compiled   n^2.0")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("n", "time of one call")
    assert points(axes)[-1] == SIZES[-1]


@pytest.mark.parametrize(
    ("what", "label"),
    [("setup", "once, with compiling"), ("memory", "growth of peak memory"), ("error", "largest error, in eps")],
)
def test_other_quantities_against_the_size(what: str, label: str, tmp_path: pathlib.Path) -> None:
    axes = sized(tmp_path).plot.scaling(what)
    assert axes.get_ylabel() == label
    assert entries(axes) == ["numpy", "numpy:compiled"]


def test_a_disturbed_time_has_no_exponent(tmp_path: pathlib.Path) -> None:
    axes = sized(tmp_path, flags="contended").plot.scaling()
    assert [e.partition("   ")[2] for e in entries(axes)] == ["", "", ""]


def test_the_profile_is_that_of_its_definition(tmp_path: pathlib.Path) -> None:
    """Two groups: the hessian on jax is 3 times as fast; the gradient has a flagged time and is left out."""
    axes = compared(tmp_path).plot.profile()
    steps = {line.get_label(): line for line in axes.get_lines()}
    assert len(steps) == 3
    numpy, jax, torch = axes.get_lines()
    assert numpy.get_ydata()[0] == 0.0
    assert numpy.get_ydata()[-1] == 100.0
    assert numpy.get_xdata()[1] == pytest.approx(3.0)
    assert set(jax.get_ydata()) == {100.0}
    assert set(torch.get_ydata()) == {0.0}
    assert axes.get_ylabel() == "% of 1 unflagged groups within it"


def test_own_axes_are_drawn_on_and_returned(tmp_path: pathlib.Path) -> None:
    own = Figure().add_subplot()
    assert compared(tmp_path).plot.time(ax=own, operator="gradient") is own


def test_a_notebook_displays_the_axes_as_a_picture(tmp_path: pathlib.Path) -> None:
    axes = compared(tmp_path).plot.time()
    picture, size = axes._repr_png_()  # type: ignore[attr-defined]
    assert picture.startswith(b"\x89PNG")
    assert 300 < size["width"] < 1200
    # Not one of pyplot's, which displays its figures at the end of a cell.
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("draw", "given", "words"),
    [
        ("time", {"operator": "jacobian"}, "got operator 'jacobian', expected one of: gradient, hessian"),
        ("time", {"backend": "tensorflow"}, "got backend 'tensorflow', expected one of: numpy, jax, torch"),
        ("time", {"backend": "torch"}, "got no right and timed cell, expected one: compare with rounds from 8"),
        ("scaling", {}, "got 1 size with a known time, expected two or more: compare(f, x, n=[10, 100, 1000])"),
        ("scaling", {"what": "speed"}, "got what='speed', expected one of: time, setup, memory, error"),
        ("profile", {"operator": "gradient"}, "got 3 backends, and 0 groups without a flagged time"),
    ],
)
def test_what_cannot_be_drawn_is_told(draw: str, given: dict[str, Any], words: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words below
        getattr(compared(tmp_path).plot, draw)(**given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda plot: plot.time(foo=1), TypeError, "got foo=1, expected one of: problem=, operator=, dtype="),
        (lambda plot: plot.error(operator=1), TypeError, "got operator=1, expected a name or a list of names"),
        (lambda plot: plot.profile("profile.svg"), TypeError, "got ax='profile.svg', expected matplotlib axes"),
        (lambda plot: plot.scaling(operators="hvp"), TypeError, "got operators='hvp', expected one of: problem="),
        (lambda plot: plot.times(), AttributeError, "got plot.times, expected one of: plot.time(), plot.error()"),
        (lambda plot: plot("time"), TypeError, "got plot(...), expected one of: plot.time(), plot.error()"),
    ],
)
def test_a_misspelt_figure_or_choice_is_refused_with_those_that_exist(
    call: Callable[[Any], object], error: type[Exception], words: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(error) as caught:
        call(compared(tmp_path).plot)
    assert str(caught.value).startswith(words)


def test_several_problems_have_to_be_chosen_from(tmp_path: pathlib.Path) -> None:
    cells = [
        {"spec": "numpy", "problem": p, "size": s, "once": 1e-3, "steady": 1e-5} for p in "ab" for s in ("n=1", "n=2")
    ]
    tables = Tables(run(tmp_path, *cells), None)
    with pytest.raises(ValueError, match="got tables with more than one problem, expected problem= one of: a, b"):
        tables.plot.scaling()
    assert np.isfinite(tables.plot.scaling(problem="b").get_ylim()).all()
