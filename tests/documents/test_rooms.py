"""The map and the paths in ``CONTRIBUTING.md`` are those of the code."""

from __future__ import annotations

import ast
import re

import pytest

from tests.documents import rooms
from tests.imports import PACKAGE, ROOT, modules, tree

pytestmark = pytest.mark.xdist_group("architecture")  # the syntax trees are read once
TEXT = rooms.CONTRIBUTING.read_text(encoding="utf-8")
#: Definitions that the text names, as ``room/file.py::Class.method``.
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::([\w.]+)`", TEXT)))
FILES = sorted(set(re.findall(r"`((?:[\w.]+/)+(?:[\w.]+\.\w+)?)`", TEXT)))


def test_the_map_is_made_from_the_code() -> None:
    assert rooms.document(TEXT) == TEXT, "stale: python -m tests.documents.rooms"


def test_every_room_and_folder_says_in_one_line_what_it_is() -> None:
    packages = [name for name, path in modules().items() if path.name == "__init__.py"]
    assert [name for name in packages if not rooms.summary(name)] == []


def test_a_stale_map_is_found() -> None:
    assert rooms.document(TEXT.replace("| `plan/` |", "| `plans/` |")) == TEXT


def test_what_the_text_names_is_defined_there() -> None:
    assert NAMED
    for file, name in NAMED:
        body: list[ast.stmt] = tree(ROOT / PACKAGE / file).body
        for part in name.split("."):
            found = [node for node in body if part in _defines(node)]
            assert found, f"{part} is not defined in {file}"
            body = getattr(found[0], "body", [])


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def test_files_and_folders_exist() -> None:
    assert FILES
    assert [path for path in FILES if not any((place / path).exists() for place in (ROOT, ROOT / PACKAGE))] == []
