"""The imports of the package, read from its files: who imports whom, among files, folders and rooms.

Every import counts: those inside functions and those for type checking too.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import os
import pathlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = "autodiff_compare"

N = TypeVar("N", bound=Hashable)
#: Fields of a statement that hold statements, handlers of exceptions or cases.
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@functools.cache
def modules() -> dict[str, pathlib.Path]:
    """Return the modules of the package by name, with their files; the links to the two open rooms are followed."""
    found = {}
    for folder, _, files in os.walk(ROOT / PACKAGE, followlinks=True):
        for file in files:
            path = pathlib.Path(folder) / file
            if path.suffix == ".py":
                parts = path.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return dict(sorted(found.items()))


def imports(path: pathlib.Path) -> Iterator[tuple[str, bool]]:
    """Yield (module, whether it is imported with the file) for each import that is not for type checking only."""
    yield from _imports(tree(path), True, typing=False)


@functools.cache
def graph() -> dict[str, set[str]]:
    """Return, for each module of the package, the modules of the package that it imports.

    ``from package import name`` is an import of ``package.name`` where that is a module, else of ``package``.
    """
    files = modules()
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        named = _imports(tree(path), True, typing=True)
        edges[name] = {module for module, _ in named if module in files and module != name}
    return edges


@functools.cache
def tree(path: pathlib.Path) -> ast.Module:
    """Return the syntax tree of a file: parsing all files takes seconds, so they are parsed once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(node: ast.AST, top: bool, *, typing: bool) -> Iterator[tuple[str, bool]]:
    # Only statements hold imports: walking the expressions too takes ten times as long.
    for child in (statement for field in _BLOCKS for statement in getattr(node, field, ())):
        if isinstance(child, ast.Import):
            yield from ((alias.name, top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            yield from ((module, top) for module in _targets(child))
        elif not typing and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from _imports(child, top and not inside, typing=typing)


def _targets(node: ast.ImportFrom) -> set[str]:
    """Return the modules that a ``from`` import names: submodules where the names are modules, else the package."""
    package = str(node.module)
    folder = ROOT.joinpath(*package.split("."))
    found = set()
    for alias in node.names:
        inside = (folder / f"{alias.name}.py").is_file() or (folder / alias.name / "__init__.py").is_file()
        found.add(f"{package}.{alias.name}" if inside else package)
    return found


def folder(module: str) -> str:
    """Return the package in which a module's file stands."""
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


def room(module: str) -> str:
    """Return the room of a module: the part of its name behind the package, empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def between(edges: Mapping[str, Iterable[str]], places: Mapping[str, N]) -> dict[N, set[N]]:
    """Return the edges between the places of the modules, such as their folders, without those inside one place."""
    found: dict[N, set[N]] = {place: set() for place in places.values()}
    for module, imported in edges.items():
        found[places[module]] |= {places[other] for other in imported} - {places[module]}
    return found


def circle(edges: Mapping[N, Iterable[N]]) -> list[N]:
    """Return nodes that reach each other in a circle, the first again at the end: empty if the edges run one way."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []
