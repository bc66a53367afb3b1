"""The verb ``fuzz`` as a newcomer meets it: mistakes first, then a campaign on our engine."""

from __future__ import annotations

import io
import json
import pathlib
from typing import Any

import pytest
from rich.console import Console

from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.exits import FAILED, OK, USAGE
from autodiff_compare.cli.main import main
from autodiff_compare.cli.verbs.trials.campaigns import scope_of
from autodiff_compare.fuzzing.operations import FAMILIES
from autodiff_compare.plan.plan import PlanError
from autodiff_compare.results.tables import read_all
from autodiff_compare.summary.random_programs import CLASSES, add_columns
from autodiff_compare.summary.terminal import plain_table
from autodiff_compare.vocabulary import Operator


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--families", "trigonometry"], "linear_algebra"),
        (["-o", "step"], "gradient"),
        (["--dtype", "float16"], "float32"),
    ],
)
def test_a_mistake_names_the_choices(words: list[str], named: str) -> None:
    with pytest.raises(PlanError, match=named):
        scope_of(parser().parse_args(["fuzz", *words]))


@pytest.mark.parametrize(
    ("words", "budget", "programs"),
    [([], 60.0, None), (["--programs", "5"], None, 5), (["--budget", "9", "--programs", "5"], 9.0, 5)],
)
def test_a_campaign_ends_by_time_or_number(words: list[str], budget: float | None, programs: int | None) -> None:
    scope = scope_of(parser().parse_args(["fuzz", *words]))
    assert (scope.budget_s, scope.programs) == (budget, programs)
    assert scope.recipe.families == tuple(FAMILIES)


def test_options_reach_the_campaign() -> None:
    words = ["--families", "where", "-o", "hvp", "--awkward", "50", "--seed", "3", "--dtype", "float32"]
    scope = scope_of(parser().parse_args(["fuzz", *words]))
    assert scope.recipe.families == ("where",)
    assert scope.recipe.awkward == 0.5
    assert (scope.seed, scope.dtypes, scope.operators) == (3, ("float32",), (Operator.HVP,))


@pytest.mark.parametrize("words", [["--awkward", "101"], ["--programs", "0"], ["--budget", "-1"]])
def test_a_number_out_of_range_is_a_usage_error(words: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fuzz", *words])
    assert end.value.code == USAGE
    assert "expected" in capsys.readouterr().err


def test_a_variant_without_these_operators_is_refused(capsys: Any) -> None:
    assert main(["fuzz", "-b", "numpy:jet"]) == USAGE
    assert "numpy:jet, which computes only hessian_diagonal and laplacian" in capsys.readouterr().err


def test_an_order_of_modes_without_second_derivatives_is_refused(capsys: Any) -> None:
    assert main(["fuzz", "-b", "numpy:ff", "-o", "gradient"]) == USAGE
    assert "got numpy:ff with gradient, expected hvp or hessian" in capsys.readouterr().err


def test_a_campaign_that_computes_nothing_fails(tmp_path: pathlib.Path, capsys: Any) -> None:
    # The value of the first program of this seed is an array, which has no hvp.
    words = ["-b", "numpy", "--families", "joining", "-o", "hvp", "--programs", "1", "--seed", "3"]
    assert main(["fuzz", *words, "--out", str(tmp_path)]) == FAILED
    assert "nothing was computed" in capsys.readouterr().err


def test_the_help_names_every_family(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["fuzz", "--help"])
    shown = capsys.readouterr().out
    assert [name for name in FAMILIES if name not in shown] == []


def test_known_defects_of_an_order_of_modes_are_run(capsys: Any) -> None:
    assert main(["fuzz", "--known", "-b", "torch@older"]) == USAGE
    assert "got torch@older, expected a backend without @PYTHON" in capsys.readouterr().err
    assert main(["fuzz", "--known", "-b", "torch:rf"]) == OK
    shown = capsys.readouterr().out
    assert "torch:rf hvp of cumulative_prod (float64): defect, nan" in shown
    assert "torch:ff" not in shown


def test_a_backend_without_known_defects_says_so(capsys: Any) -> None:
    assert main(["fuzz", "--known", "-b", "manual"]) == OK
    assert capsys.readouterr().out == "No known defect is listed for manual.\n"


def test_a_campaign_on_our_engine_writes_its_tables(tmp_path: pathlib.Path, capsys: Any) -> None:
    words = ["fuzz", "-b", "numpy", "--programs", "20", "--seed", "5", "--out", str(tmp_path), "--json"]
    assert main(words) == OK
    assert json.loads(capsys.readouterr().out)["rows"] == []
    (folder,) = tmp_path.iterdir()
    tables = read_all(folder)
    assert set(tables["fuzz"]["backend"]) == {"numpy"}
    assert tables["fuzz"]["defect"].sum() == 0
    assert tables["fuzz"]["agree"].sum() > 100
    assert tables["findings"].empty
    # The report shows what was covered.
    assert main(["report", str(folder)]) == OK
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Random programs" in page
    capsys.readouterr()
    assert main(["show", str(folder)]) == OK
    assert "random programs with" in capsys.readouterr().out
    assert main(["runs", "--out", str(tmp_path)]) == OK
    assert "no finding" in capsys.readouterr().out
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert "Random programs with" in summary
    assert "no results" not in summary
    assert (folder / "figures" / "fuzz-float64.svg").is_file()


def test_outcomes_of_all_classes_keep_the_names_of_backends_within_80_columns() -> None:
    specs = ["numpy:compiled", "tensorflow:eager"]
    table = plain_table("Outcomes")
    add_columns(table, specs, ("programs", *CLASSES))
    for spec in specs:
        table.add_row(spec, "1 of 10", *["1234"] * len(CLASSES))
    written = io.StringIO()
    Console(width=80, file=written).print(table)
    text = written.getvalue()
    assert all(spec in text for spec in specs)
    assert "…" not in text
