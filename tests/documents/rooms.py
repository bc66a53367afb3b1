"""The map of the rooms in ``CONTRIBUTING.md``, made from the packages' docstrings and imports.

``python -m tests.documents.rooms`` writes it anew; a test fails where it is stale.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from tests.imports import PACKAGE, ROOT, between, graph, modules, room, tree

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
_MAP = re.compile(r"(?<=<!-- rooms: python -m tests\.documents\.rooms -->\n).*?(?=<!-- end of rooms -->)", re.S)


def document(text: str) -> str:
    """Return the text of ``CONTRIBUTING.md`` with its map made anew."""
    return _MAP.sub(lambda _: made(), text)


def made() -> str:
    """Return the map: a table of the rooms from the lowest floor upwards, and one of the folders within them."""
    rooms, folders = _rooms(), _folders()
    return "\n".join(["", *_table(rooms), "", "Folders within rooms:", "", *_table(folders), "", ""])


def _rooms() -> list[tuple[str, ...]]:
    edges = between(graph(), {name: room(name) for name in modules() if room(name)} | {PACKAGE: ""})
    del edges[""]
    rows = [("room", "what it is", "files", "imports")]
    for name in sorted(edges, key=lambda name: (_floor(name, edges), name)):
        files = [module for module in modules() if room(module) == name]
        others = sorted(edges[name] - {""}, key=lambda other: (_floor(other, edges), other))
        title = f"{name}/" if len(files) > 1 else f"{name}.py"
        rows.append((f"`{title}`", summary(f"{PACKAGE}.{name}"), str(len(files)), " ".join(others)))
    return rows


def _folders() -> list[tuple[str, ...]]:
    rows = [("folder", "what it is", "files")]
    for name, path in modules().items():
        if path.name == "__init__.py" and name.count(".") > 1:
            files = [other for other in modules() if other.startswith(f"{name}.")]
            rows.append((f"`{name.partition('.')[2].replace('.', '/')}/`", summary(name), str(len(files) + 1)))
    return rows


def summary(module: str) -> str:
    """Return the first line of a module's docstring."""
    text = ast.get_docstring(tree(modules()[module])) or ""
    return text.partition("\n")[0].removesuffix(".").replace("``", "`")


def _floor(name: str, edges: Mapping[str, Iterable[str]]) -> int:
    """Return the length of the longest chain of imports below a room."""
    return max((_floor(other, edges) + 1 for other in edges[name] if other), default=0)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def main() -> None:
    CONTRIBUTING.write_text(document(CONTRIBUTING.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
