"""A case in the words of one backend: its own functions where it has some, else those of its namespace."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autodiff_compare import backends
from autodiff_compare.backends import Backend, Unsupported
from autodiff_compare.problems.conventions import Case


@dataclass(frozen=True)
class Spelled:
    """The source text of a case for one backend, and the function that it is."""

    source: str
    function: Callable[..., Any]


def spelled(backend: Backend, case: Case) -> Spelled:
    """Write a case for an opened backend.

    Raises
    ------
    Unsupported
        If a function is neither in the backend's table of spellings nor in its namespace.
    """
    prelude, table = backends.function_idioms(backend.name)
    scope: dict[str, Any] = {**backend.idiom_scope(), "xp": backend.xp}
    exec(prelude, scope)
    names = _Names(backend, table)
    tree = names.visit(ast.parse(f"lambda {', '.join(case.names)}: {case.f}", mode="eval"))
    for definition in names.definitions:
        exec(definition, scope)
    # A namespace that the framework itself has under a name is shown under it.
    alias = next((name for name, held in scope.items() if held is backend.xp and name != "xp"), "xp")
    source = "\n".join([*names.definitions, ast.unparse(tree.body.body)])
    function = eval(compile(ast.fix_missing_locations(tree), f"<case {case.name}>", "eval"), scope)
    return Spelled(source.replace("xp.", f"{alias}."), function)


class _Names(ast.NodeTransformer):
    """Puts the backend's own expressions in the place of ``xp.name``."""

    def __init__(self, backend: Backend, table: Mapping[str, str]) -> None:
        self.backend, self.table = backend, table
        self.definitions: list[str] = []

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = _dotted(node)
        if name is None:
            return self.generic_visit(node)
        own = self.table.get(name)
        if own is None:
            self._in_namespace(name)
            return node
        if "\n" not in own:
            return ast.parse(own, mode="eval").body
        if own.strip() not in self.definitions:
            self.definitions.append(own.strip())
        return ast.Name(name, ast.Load())

    def _in_namespace(self, name: str) -> None:
        found: Any = self.backend.xp
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is None:
            raise Unsupported(f"{self.backend.name} has no {name}")


def _dotted(node: ast.expr) -> str | None:
    """``linalg.det`` of ``xp.linalg.det``; `None` of anything else."""
    if not isinstance(node, ast.Attribute):
        return None
    if isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "xp" else None
    head = _dotted(node.value)
    return None if head is None else f"{head}.{node.attr}"
