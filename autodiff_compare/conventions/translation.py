"""Translation of a case into a backend's own functions: its idioms where it has some, else its array namespace."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autodiff_compare import backends
from autodiff_compare.backends import Backend, Unsupported
from autodiff_compare.problems.conventions import Case


@dataclass(frozen=True)
class Translation:
    """The source text of a case for one backend, and the compiled function."""

    source: str
    function: Callable[..., Any]


def translated(backend: Backend, case: Case) -> Translation:
    """Translate a case for an opened backend.

    Example: ``xp.det(A)`` becomes ``torch.linalg.det(A)`` where the backend's table of idioms has an entry for ``det``,
    and stays as it is where the backend's namespace has the function.

    Raises
    ------
    Unsupported
        If a function is neither in the backend's table of idioms nor in its namespace.
    """
    prelude, table = backends.function_idioms(backend.name)
    scope: dict[str, Any] = {**backend.idiom_scope(), "xp": backend.xp}
    exec(prelude, scope)
    names = _Translator(backend, table)
    tree = names.visit(ast.parse(f"lambda {', '.join(case.names)}: {case.f}", mode="eval"))
    for definition in names.definitions:
        exec(definition, scope)
    # If the framework's own module is the namespace, the source shows the module's name instead of xp.
    alias = next((name for name, held in scope.items() if held is backend.xp and name != "xp"), "xp")
    source = "\n".join([*names.definitions, ast.unparse(tree.body.body)])
    function = eval(compile(ast.fix_missing_locations(tree), f"<case {case.name}>", "eval"), scope)
    # An idiom is the framework's own code, on its own arrays.
    return Translation(source.replace("xp.", f"{alias}."), backend.on_variables(function))


class _Translator(ast.NodeTransformer):
    """Replace each ``xp.name`` by the backend's idiom for it; collect the function definitions that idioms need."""

    def __init__(self, backend: Backend, table: Mapping[str, str]) -> None:
        self.backend, self.table = backend, table
        self.definitions: list[str] = []

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = _dotted(node)
        if name is None:
            return self.generic_visit(node)
        own = self.table.get(name)
        if own is None:
            self._require_in_namespace(name)
            return node
        if "\n" not in own:
            return ast.parse(own, mode="eval").body
        if own.strip() not in self.definitions:
            self.definitions.append(own.strip())
        return ast.Name(name, ast.Load())

    def _require_in_namespace(self, name: str) -> None:
        found: Any = self.backend.xp
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is None:
            raise Unsupported(f"{self.backend.name} has no {name}")


def _dotted(node: ast.expr) -> str | None:
    """Return ``linalg.det`` for the node of ``xp.linalg.det``; `None` for any other node."""
    if not isinstance(node, ast.Attribute):
        return None
    if isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "xp" else None
    head = _dotted(node.value)
    return None if head is None else f"{head}.{node.attr}"
