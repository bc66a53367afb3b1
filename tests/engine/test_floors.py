"""The engine's floors: imports run downwards only, no files import each other in a circle, and folders stay small."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest

from autodiff_compare.backends import numpy_autodiff as engine

FOLDER = pathlib.Path(engine.__file__).parent
#: The floor of each folder; folders of one floor do not import each other.
FLOORS = {"core": 0, "transforms": 1, "rules": 2, "compiler": 2, "array": 3, "tools": 4}
FILES = sorted(FOLDER.rglob("*.py"))


def _name(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix("__init__").rstrip(".")


NAMES = {_name(path) for path in FILES}


def _imports(path: pathlib.Path) -> Iterator[str]:
    """Yield the engine's modules that a file imports anywhere in it; "" stands for the engine itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            inside = f"{name}.".removeprefix(f"{engine.__name__}.").rstrip(".")
            if inside == name:
                continue
            yield inside if inside in NAMES else inside.rpartition(".")[0]


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != FOLDER], ids=_name)
def test_imports_run_downwards(path: pathlib.Path) -> None:
    own = path.relative_to(FOLDER).parts[0]
    for module in _imports(path):
        other = module.partition(".")[0]
        assert other == own or FLOORS.get(other, 5) < FLOORS[own], (
            f"{_name(path)} imports {module or 'the engine itself'}"
        )


def test_files_do_not_import_each_other_in_a_circle() -> None:
    TopologicalSorter({_name(path): set(_imports(path)) for path in FILES}).prepare()


def test_imports_stand_at_the_top_of_a_file() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, (ast.FunctionDef, ast.Lambda)):
                inside = [n.module for n in ast.walk(function) if isinstance(n, ast.ImportFrom)]
                assert not [m for m in inside if m and m.startswith(engine.__name__)], _name(path)


@pytest.mark.parametrize("folder", sorted(FLOORS))
def test_a_folder_holds_at_most_fourteen_files(folder: str) -> None:
    if folder != "rules":
        assert len(list((FOLDER / folder).glob("*.py"))) <= 14


def test_every_folder_has_a_floor() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/__init__.py")} == set(FLOORS)
    assert [path.name for path in FOLDER.glob("*.py")] == ["__init__.py"]
