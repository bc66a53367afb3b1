"""The action for GitHub, run step by step as its runner does, and the hooks for pre-commit, beside a user's project."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.packaging import builds

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra test")
pytestmark = pytest.mark.xdist_group("packaging")

ACTION = yaml.safe_load((builds.ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((builds.ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
STEPS: Mapping[str, Any] = {step["id"]: step for step in ACTION["runs"]["steps"]}

RIGHT = "def objective(x, xp): return xp.sum(x * x)\nx = [1.0, 2.0]\n"
#: Closed forms are given for NumPy's derivative to be wrong by: 2 x, not 3 x.
WRONG = """
from autodiff_compare import Inputs, Operator, Problem

PROBLEM = Problem(
    name="wrong",
    title="Wrong",
    source="none",
    sizes={"small": 2},
    inputs=lambda rng, n: Inputs((rng.uniform(1, 2, n),)),
    objective=lambda x, xp: xp.sum(x * x),
    reference={Operator.GRADIENT: lambda x: (3 * x,)},
)
"""
#: Records its words, and answers a question for comments with the number of an earlier one, if there is one.
GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$GH_LOG"
[[ $* != *--paginate* ]] || cat "$GH_EARLIER"
"""

Outputs = Mapping[str, str]
Act = Callable[..., tuple[int, Outputs]]


@pytest.fixture
def act(installed: pathlib.Path, tmp_path: pathlib.Path) -> Act:
    """Run the action's steps, but for the installation, in a project; return the exit code and the outputs."""
    project, runner = tmp_path / "project", tmp_path / "runner"
    for folder in (project, runner, runner / "bin"):
        folder.mkdir()
    (runner / "bin" / "gh").write_text(GH)
    (runner / "bin" / "gh").chmod(0o755)
    (runner / "earlier").write_text("")
    files = {name: runner / name for name in ("output", "summary", "gh_log")}
    for file in files.values():
        file.write_text("")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COLUMNS"))} | {
        "PATH": os.pathsep.join([str(runner / "bin"), str(installed.parent), os.environ["PATH"]]),
        "GITHUB_ACTION_PATH": str(builds.ROOT),
        "GITHUB_REPOSITORY": "someone/project",
        "GITHUB_OUTPUT": str(files["output"]),
        "GITHUB_STEP_SUMMARY": str(files["summary"]),
        "GH_LOG": str(files["gh_log"]),
        "GH_EARLIER": str(runner / "earlier"),
        "RUNNER_TEMP": str(runner),
    }

    def run(pull_request: str = "", **inputs: str) -> tuple[int, Outputs]:
        values = {f"inputs.{name}": given.get("default", "") for name, given in ACTION["inputs"].items()}
        values |= {f"inputs.{name.replace('_', '-')}": text for name, text in inputs.items()}
        values |= {"github.event.pull_request.number": pull_request, "github.token": "secret"}
        code = 0
        for name in ("compare", "comment", "verdict"):
            step = STEPS[name]
            if name == "comment" and not (values["inputs.comment"] == "true" and pull_request):
                continue
            given = {key: _filled(text, values) for key, text in step.get("env", {}).items()}
            folder = project / _filled(step.get("working-directory", "."), values)
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", step["run"]],
                cwd=folder,
                env=environment | given,
                capture_output=True,
                text=True,
                check=False,
            )
            assert name == "verdict" or done.returncode == 0, done.stderr
            code = done.returncode
            lines = files["output"].read_text().splitlines()
            values |= {f"steps.{name}.outputs.{k}": v for k, _, v in (line.partition("=") for line in lines)}
            lines.clear()
        found = dict(line.split("=", 1) for line in files["output"].read_text().splitlines())
        files["output"].write_text("")
        return code, found | {"gh": files["gh_log"].read_text(), "shown": files["summary"].read_text()}

    return run


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its expressions replaced; an expression within another's value stays."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: values[match[1]], text)


def _written(tmp_path: pathlib.Path, **files: str) -> None:
    for name, text in files.items():
        (tmp_path / "project" / f"{name}.py").write_text(text)


def test_scripts_hold_no_expression() -> None:
    assert [step["id"] for step in STEPS.values() if "${{" in step["run"]] == []


def test_a_right_project_passes(act: Act, tmp_path: pathlib.Path) -> None:
    _written(tmp_path, right=RIGHT)
    code, found = act(problems="./right.py", options="-b numpy -o gradient")
    assert (code, found["exit-code"], found["diff-exit-code"]) == (0, "0", "")
    summary = pathlib.Path(found["markdown"]).read_text()
    assert summary.startswith(
        "<!-- autodiff-compare: autodiff-compare -->\n"
        "### autodiff-compare: every derivative agrees with its reference\n"
    )
    assert "1 of 1 cells agree" in summary
    assert found["shown"] == summary
    assert (pathlib.Path(found["folder"]) / "cells.csv").is_file()
    assert found["gh"] == ""


def test_a_regression_fails_after_it_was_told(act: Act, tmp_path: pathlib.Path) -> None:
    _written(tmp_path, wrong=WRONG.replace("3 * x", "2 * x"))
    _, stored = act(problems="./wrong.py", options="-b numpy -o gradient")
    _written(tmp_path, wrong=WRONG)
    inputs = {"problems": "./wrong.py", "options": "-b numpy -o gradient", "baseline": stored["folder"]}
    code, found = act("7", comment="true", **inputs)
    assert (code, found["exit-code"], found["diff-exit-code"]) == (1, "1", "1")
    summary = pathlib.Path(found["markdown"]).read_text()
    assert "### autodiff-compare: some derivative is wrong; there is a regression" in summary
    assert "**no longer ok: 1**" in summary
    assert [line.split(" --field")[0] for line in found["gh"].splitlines()] == [
        "api --paginate repos/someone/project/issues/7/comments --jq .[] | select(.body | startswith(env.MARK)) | .id",
        "api --method POST repos/someone/project/issues/7/comments",
    ]


def test_an_earlier_comment_is_replaced(act: Act, tmp_path: pathlib.Path) -> None:
    _written(tmp_path, right=RIGHT)
    (tmp_path / "runner" / "earlier").write_text("41\n42\n")
    _, found = act("7", comment="true", title="models", problems="./right.py", options="-b numpy -o gradient")
    assert f"--method PATCH repos/someone/project/issues/comments/41 --field body=@{found['markdown']}" in found["gh"]
    assert found["shown"].startswith("<!-- autodiff-compare: models -->\n### models: every derivative")


@pytest.mark.parametrize(
    ("inputs", "code", "words"),
    [
        ({"problems": "./nosuch.py"}, 2, "the command is mistaken\n\n    autodiff-compare: got problem file"),
        ({"problems": "sphere", "options": "-b nosuch"}, 2, "    autodiff-compare: got backend 'nosuch'"),
        (
            {"problems": "sphere", "options": "-b numpy -o value", "baseline": "gone"},
            2,
            "the runs could not be compared\n\n#### Since the stored run\n\n    autodiff-compare: got run 'gone'",
        ),
        # What an input holds is words and never a command.
        ({"problems": "sphere; touch owned", "options": "-b numpy"}, 2, "got problem 'sphere;'"),
        ({"problems": "$(touch owned)"}, 2, "got problem '$(touch'"),
    ],
)
def test_a_mistake_is_told(act: Act, tmp_path: pathlib.Path, inputs: dict[str, str], code: int, words: str) -> None:
    got, found = act(**inputs)
    assert got == code
    assert words in found["shown"]
    assert not (tmp_path / "project" / "owned").exists()


def test_a_long_summary_is_cut_and_says_so(act: Act) -> None:
    # The name of the missing run is quoted in the message, which is as long.
    _, found = act(problems="sphere", options="-b numpy -o value", baseline="/".join(["gone" * 10] * 1600))
    assert len(found["shown"].encode()) < 65_536
    assert found["shown"].endswith("</details>\n\nCut here, at 60000 bytes: GitHub rejects longer comments.\n")


def test_options_come_from_the_project(act: Act, tmp_path: pathlib.Path) -> None:
    _written(tmp_path, right=RIGHT)
    table = "[tool.autodiff-compare]\nproblems = ['*.py']\nbackend = 'numpy'\noperator = ['gradient', 'hvp']\n"
    (tmp_path / "project" / "pyproject.toml").write_text(table)
    code, found = act()
    assert code == 0
    assert "2 of 2 cells agree" in found["shown"]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_checks_the_files_that_it_is_given(
    hook: Mapping[str, Any], installed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    program, *words = hook["entry"].split()
    options = ["-b", "numpy", "-o", "gradient", "--out", "out"]
    for files, code in ((["right.py"], 0), (["right.py", "wrong.py"], 1)):
        command = [str(installed.parent / program), *words, *options, *files]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == code
    assert hook["language"] in ("python", "system")


def test_bash_reads_the_scripts() -> None:
    for script in sorted((builds.ROOT / "action").glob("*.sh")):
        assert subprocess.run([str(shutil.which("bash")), "-n", str(script)], check=False).returncode == 0
