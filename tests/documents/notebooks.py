"""Notebooks as documents: their code cells run one after another, as a kernel would, and their outputs written anew."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
import pathlib
from typing import Any


def code_cells(path: pathlib.Path) -> list[str]:
    """The source of each code cell."""
    return ["".join(cell["source"]) for cell in _read(path)["cells"] if cell["cell_type"] == "code"]


def run(path: pathlib.Path) -> list[str]:
    """What each code cell prints, the value of its last expression included."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    return [_run_cell(source, f"<cell {k} of {path.name}>", scope) for k, source in enumerate(code_cells(path))]


def remake(path: pathlib.Path) -> None:
    """Write the notebook with the outputs of its cells made anew."""
    whole, outputs = _read(path), iter(run(path))
    for cell in whole["cells"]:
        if cell["cell_type"] == "code":
            text = next(outputs)
            cell["outputs"] = (
                [{"name": "stdout", "output_type": "stream", "text": text.splitlines(True)}] if text else []
            )
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _run_cell(source: str, name: str, scope: dict[str, Any]) -> str:
    # A kernel keeps the text of its cells where inspect and linecache find it.
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(tree, name, "exec"), scope)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), scope)
            if value is not None:
                print(value)
    return out.getvalue()


def _read(path: pathlib.Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
