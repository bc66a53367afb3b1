"""A plan is split into units that hold whole groups, and tables are sorted by the plan however rows come."""

from __future__ import annotations

import itertools
import json
import pathlib
import random
from dataclasses import replace

import numpy as np
import pytest

from autodiff_compare.cli import values
from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.main import main
from autodiff_compare.execution.cluster import units as order_units
from autodiff_compare.execution.cluster.engine import EngineError
from autodiff_compare.execution.cluster.engines import engine
from autodiff_compare.execution.cluster.units import units
from autodiff_compare.execution.progress import blank_row
from autodiff_compare.plan.plan import at_points, load_problems, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.results import tables
from autodiff_compare.results.store import RunFolder
from autodiff_compare.vocabulary import Status

#: Two sizes and dtypes of one problem, questions of another, and a descent.
QUERY = Query(
    ["sphere", "tape_polynomial", "cubic_fit"],
    ["manual", "numpy"],
    ["value", "gradient", "step"],
    ["float64", "float32"],
    ["small", "medium"],
)
TIMED = Settings(rounds=8, descents=True)


def test_a_unit_has_all_operators_and_backends_of_a_problem_size_and_dtype(tmp_path: pathlib.Path) -> None:
    planned, folder = plan(QUERY), RunFolder(tmp_path)
    found = units(planned, TIMED, folder)
    folder.close()
    assert [unit.name for unit in found if unit.groups] == [
        f"{problem}/{size}/{dtype}"
        for problem in QUERY.problems
        for size in ("small", "medium")
        for dtype in ("float64", "float32")
    ]
    assert [unit.name for unit in found if not unit.groups] == ["tape_polynomial/questions", "cubic_fit/descents"]
    cells = [cell for unit in found for group in unit.groups for cell in group]
    assert tuple(cells) == planned.cells
    groups = [[cell.group for cell in group] for unit in found for group in unit.groups]
    assert all(len(set(group)) == 1 for group in groups)
    assert len({group[0] for group in groups}) == len(groups), "a group is in two units"


def test_what_is_done_is_in_no_unit(tmp_path: pathlib.Path) -> None:
    planned, folder = plan(replace(QUERY, problems=["sphere"])), RunFolder(tmp_path)
    rows = [replace(blank_row("r", 1, cell, None), status=Status.OK) for cell in planned.cells]
    gone = [row for row in rows if (row.size, row.dtype) == ("small", "float64")]
    folder.add({"cells": gone})
    # Of this unit half a group is there: the group is computed as a whole.
    folder.add({"cells": [row for row in rows if row.size == "medium"][:1]})
    found = {unit.name: len(unit.groups) for unit in units(planned, TIMED, folder)}
    folder.close()
    assert found == {"sphere/medium/float64": 2, "sphere/medium/float32": 2, "sphere/small/float32": 2}


@pytest.mark.parametrize("seed", range(3))
def test_tables_are_sorted_by_the_plan(seed: int, tmp_path: pathlib.Path) -> None:
    planned, folder = plan(QUERY), RunFolder(tmp_path)
    folder.arrange(planned)
    groups = [list(cells) for _, cells in itertools.groupby(planned.cells, key=lambda cell: cell.group)]
    random.Random(seed).shuffle(groups)
    for group in groups:
        folder.add({"cells": [blank_row("r", 1, cell, None) for cell in group]})
    folder.close()
    assert list(tables.read_all(folder.path, ["runs", "cells"])["cells"]["cell_id"]) == [
        cell.cell_id for cell in planned.cells
    ]


@pytest.mark.parametrize("text", ["local:1", "local:16", "dask://localhost:8786", "slurm", "slurm:gpu,long"])
def test_an_engine_is_named_by_one_of_few_forms(text: str) -> None:
    assert parser().parse_args(["check", "sphere", "--on", text]).on == text
    assert values.engine(text) == text


@pytest.mark.parametrize("text", ["local", "local:0", "local:-1", "dask:localhost", "dask://host", "slurm:", "ray"])
def test_another_form_is_refused_with_the_choices(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["check", "sphere", "--on", text])
    assert f"got {text!r}, expected local:N, dask://HOST:PORT, slurm or slurm:PARTITION" in capsys.readouterr().err


def test_arguments_of_slurm_need_slurm() -> None:
    with pytest.raises(EngineError, match=r"got --slurm-args with --on local:1, expected --on slurm"):
        engine("local:1", TIMED, slurm_args="--exclusive")


@pytest.mark.parametrize("option", ["--slurm-args=--exclusive", "--unit-timeout=5"])
def test_options_of_units_need_an_engine(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["check", "sphere"], ["selftest"], ["doctor"], ["fuzz"]):
        assert main([*verb, option]) == 2
        assert f"got {option.partition('=')[0]} without --on" in capsys.readouterr().err


def test_a_backend_file_is_refused_by_a_campaign_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--on", "local:2", "-b", "./mine.py"]) == 2
    assert "got backend file ./mine.py with --on, expected backends by name: leave out --on" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["descend", "recommend", "overhead", "conformance", "conventions", "explain"])
def test_a_verb_that_cannot_be_spread_does_not_take_it(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"explain": ["sphere", "numpy", "manual"]}.get(verb, [])
    with pytest.raises(SystemExit):
        parser().parse_args([verb, *names, "--on", "local:1"])
    assert "unrecognized arguments: --on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "points"),
    [
        ("sphere", [(-2.0, 0.5), (1.0, 1.0)]),
        ("rosenbrock", [(0.1, 1 / 3, 1e-300)]),
        ("hermitian_form", [(1 + 2j,) * 4]),
    ],
)
def test_another_host_has_the_points_of_a_query(problem: str, points: list[tuple[complex, ...]]) -> None:
    query = Query([problem], ["manual"], ["value"], points=points, seed=3)
    sent = order_units._query(json.loads(json.dumps(order_units._plain(query))), problem)
    (here,), (there,) = (at_points(load_problems(q)[0], q) for q in (query, sent))
    assert list(here.sizes) == list(there.sizes)
    for size in here.sizes:
        pairs = zip(here.draw(size, 3).arrays, there.draw(size, 3).arrays, strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
