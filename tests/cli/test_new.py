"""The files that ``new`` writes work as they stand, on the command that it prints."""

from __future__ import annotations

import json
import pathlib
import runpy
from typing import Any

import numpy as np
import pytest

from autodiff_compare.cli.main import main
from autodiff_compare.cli.verbs.system_starters import SYSTEMS
from autodiff_compare.contract.clauses import CLAUSES, outcome
from autodiff_compare.vocabulary import Operator
from tests.commands import called


@pytest.mark.parametrize(
    ("kind", "file", "command"),
    [
        ("function", "of_mine.py", ["check", "./of_mine.py", "-b", "numpy", "--json"]),
        ("problem", "of_mine.py", ["check", "./of_mine.py", "-b", "numpy", "--dtype", "float32", "--json"]),
        ("backend", "of_mine_backend.py", ["conformance", "./of_mine_backend.py"]),
    ],
)
def test_a_new_file_passes(
    kind: str,
    file: str,
    command: list[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", kind, "of_mine"]) == 0
    assert f"Wrote {file}. Try it: compare.py " in capsys.readouterr().out
    assert "NAME" not in (tmp_path / file).read_text()
    done = called(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    if kind == "backend":
        assert "BROKEN" not in done.stdout
        assert "kept   gradient (derived)" in done.stdout
    else:
        assert {row["status"] for row in json.loads(done.stdout)["rows"]} == {"ok"}


#: Clauses that the starters of all systems keep, of those that take little time.
CHEAP = (
    "the attributes have the values of the contract",
    "to_var and to_numpy keep shape, dtype and numbers",
    "integers stay integers",
    "a missing operator raises Unsupported with a reason",
    "a reverse derivative inside an objective",
    "comparisons between variables",
)


#: Kind of system -> the package that its file wraps until its author replaces it.
WRAPPED = {"arrays": "torch", "graphs": "sympy", "scalars": "math"}


def test_every_kind_of_system_is_tried() -> None:
    assert set(WRAPPED) == set(SYSTEMS)


@pytest.mark.parametrize("system", ["scalars", "graphs", pytest.param("arrays", marks=pytest.mark.thorough)])
def test_a_new_adapter_of_a_system_is_right(
    system: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is prepared at another point than the one at which it is computed. Derivatives: by hand, see below."""
    pytest.importorskip(WRAPPED[system])
    monkeypatch.chdir(tmp_path)
    assert main(["new", "backend", "my_own", "--system", system]) == 0
    text = (tmp_path / "my_own_backend.py").read_text()
    assert max(map(len, text.splitlines())) <= 120
    assert not any(word in text for word in ("NAME", "CLASS"))
    backend = runpy.run_path("my_own_backend.py")["MyOwnBackend"]()
    assert backend.name == "my_own"
    backend.open()
    xp, x, y = backend.xp, np.array([0.5, 2.0, -1.5]), np.array([1.5, -0.5, 2.0])

    def objective(x: Any, y: Any) -> Any:
        """Return sum(x x exp(y) / 2 + |x|) - x0 y2."""
        return xp.sum(x * x * xp.exp(y) / 2.0 + xp.abs(x)) - x[0] * y[2]

    elsewhere, at = [backend.to_var(y), backend.to_var(x)], [backend.to_var(x), backend.to_var(y)]
    value, found = backend.prepare(Operator.VALUE_AND_GRADIENT, objective, elsewhere, argnums=(0, 1))(*at)
    expected = np.sum(x * x * np.exp(y) / 2 + np.abs(x)) - x[0] * y[2]
    np.testing.assert_allclose(backend.to_numpy(value), expected, rtol=1e-14)
    by_x = x * np.exp(y) + np.sign(x) - [y[2], 0, 0]
    by_y = x * x * np.exp(y) / 2 - [0, 0, x[0]]
    for part, by in zip(found, (by_x, by_y), strict=True):
        np.testing.assert_allclose(backend.to_numpy(part), by, rtol=1e-14)
    clauses = {clause.name: clause for clause in CLAUSES}
    assert {name: outcome(backend, clauses[name])["kept"] for name in CHEAP} == dict.fromkeys(CHEAP, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["function", "my-model"], "got the name 'my-model', expected letters, digits and underscores"),
        (["function", "class"], "got the name 'class'"),
        (
            ["function", "numpy"],
            "got the name 'numpy', a module of Python or an installed package, which numpy.py would hide",
        ),
        (["problem", "types"], "which types.py would hide, expected another, such as my_types"),
        (["function", "autodiff_compare"], "which autodiff_compare.py would hide"),
        (["backend", "jax"], "got the name 'jax', which is a backend of this project"),
        (["function", "mine", "--system", "graphs"], "got --system with a function, expected it with a backend only"),
        (["backend", "there"], "got there_backend.py, which is there already, expected a new name"),
    ],
)
def test_a_mistake_writes_nothing(
    words: list[str],
    told: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there_backend.py").write_text("kept")
    assert main(["new", *words]) == 2
    assert told in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
