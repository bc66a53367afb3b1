"""The page on CI: its examples are read by what reads such files, and its tables are those of the code."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from autodiff_compare.cli import exits
from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.formats.fields import ROWS
from autodiff_compare.cli.project.words import completed
from tests.commands import called
from tests.documents.shown import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def rows(head: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is ``head``, without its heading."""
    _, _, rest = PAGE.partition(f"| {head} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_exit_code_is_in_the_table() -> None:
    codes = {value for value in vars(exits).values() if isinstance(value, int)}
    assert {int(code) for code, *_ in rows("code")} == codes


def test_the_table_of_fields_names_every_kind_and_every_field() -> None:
    fields = rows("field")
    assert [kind for kind in ROWS if f"`{kind}`" not in fields[0][1]] == []
    assert [name.strip("`") for name, _ in fields] == [
        "kind",
        "format_version",
        "schema_version",
        "program",
        "runs",
        "machines",
        "units",
        "rows",
    ]


def test_the_options_of_a_project_are_taken(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = blocks("toml")
    assert tomllib.loads(text)["tool"]["autodiff-compare"]["problems"] == ["losses/*.py"]
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "huber.py").touch()
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    words, _ = completed(["run"], parser)
    assert words[-2:] == ["--rounds=31", "losses/huber.py"]
    parser().parse_args(words)


def test_a_document_is_validated_as_shown(tmp_path: pathlib.Path) -> None:
    (text,) = blocks("python")
    (tmp_path / "valid.py").write_text(text)
    shown = called("show", str(ROOT / "results" / "sample"), "--json")
    assert shown.returncode == 0, shown.stderr
    done = subprocess.run(
        [sys.executable, "valid.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        input=shown.stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"prints `{done.stdout.strip()}`" in PAGE


def test_the_action_and_the_hooks_are_described_as_they_are() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra test")
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert [name.strip("`") for name, *_ in rows("input")] == list(action["inputs"])
    defaults = {name.strip("`"): default.strip("`") for name, _, default in rows("input")}
    said = {name: given["default"] for name, given in action["inputs"].items() if given["default"].isidentifier()}
    assert {name: defaults[name] for name in said} == said
    for output in action["outputs"]:
        assert f"`{output}`" in PAGE
    workflow, configuration = map(yaml.safe_load, blocks("yaml"))
    (used,) = [step for step in workflow["jobs"]["derivatives"]["steps"] if "autodiff-compare@" in step.get("uses", "")]
    assert set(used["with"]) <= set(action["inputs"])
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
    assert {hook["id"] for repo in configuration["repos"] for hook in repo["hooks"]} <= hooks
    assert all(f"`{hook}`" in PAGE for hook in hooks)


@pytest.mark.parametrize("line", [line for text in blocks("(?:ba)?sh") for line in text.splitlines()])
def test_the_commands_are_parsed(line: str) -> None:
    for part in re.split(r"&&|\|\|", line):
        words = part.partition(">")[0].split()
        if words[:1] == ["autodiff-compare"]:
            assert parser().parse_args(words[1:]).verb
