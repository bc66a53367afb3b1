"""Mutation run: change one line of the package at a time, and run the tests of its room on each change.

``make mutants``, or ``python -m tests.mutation ROOM ... --sample N --seed S``, prints the changes that no test
notices. A change that survives is either equivalent (no input tells it from the original) or shows a missing test.

Each mutant runs in a forked process: an import hook gives the changed source in place of the file, so nothing is
written to the tree. Tests that start a process of their own see the unchanged code, and cannot notice a change.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import itertools
import os
import pathlib
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np  # noqa: F401 - imported once, before the mutants are forked
import pytest

ROOT = pathlib.Path(__file__).parents[1]

#: Room -> its files, and the tests that must notice a change of them. No test here imports a framework.
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "judge": (
        (
            "autodiff_compare/judge/**/*.py",
            "!autodiff_compare/judge/mutants.py",
            "!autodiff_compare/judge/controls.py",
            "!autodiff_compare/judge/known_derivatives.py",
        ),
        ("tests/judge", "--deselect", "tests/judge/test_mutants.py", "--deselect", "tests/judge/test_controls.py"),
    ),
    "statistics": (
        ("autodiff_compare/timing/statistics.py",),
        ("tests/timing/test_statistics.py", "tests/timing/test_quiet.py"),
    ),
    "clock": (
        ("autodiff_compare/timing/clock.py", "autodiff_compare/timing/schedule.py"),
        ("tests/timing/test_clock.py", "tests/timing/test_schedule.py"),
    ),
    "rules": (
        ("backends/numpy_autodiff/rules/*.py",),
        ("tests/engine/test_arithmetic.py", "tests/engine/test_rules.py", "tests/engine/test_shapes.py"),
    ),
    "conventions": (
        ("autodiff_compare/judge/singular/hull.py", "autodiff_compare/conventions/judgement.py"),
        ("tests/conventions/test_judgement.py",),
    ),
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
#: Functions that are easily taken for each other.
_NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "minimum": "maximum",
    "maximum": "minimum",
    "floor": "trunc",
    "argmin": "argmax",
    "argmax": "argmin",
    "low": "high",
    "high": "low",
    "left": "right",
    "right": "left",
}
#: File, number of the node in its syntax tree, and number of the way in which that node is changed.
Place = tuple[pathlib.Path, int, int]
#: A number is multiplied by the first of these, and a float, which is often a bound, also by the second.
_FACTORS = (10, 1.5)


@dataclass(frozen=True)
class Mutant:
    """One change: the file, the line, the line as it was and as it is, and the changed source."""

    path: pathlib.Path
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.before} -> {self.after}"


def places(path: pathlib.Path) -> list[Place]:
    """Return every place of a file that can be changed: one for each way of changing one node of its syntax tree."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(node) for parent in ast.walk(tree) for part in _silent(parent) for node in ast.walk(part)}
    nodes = [(index, node) for index, node in enumerate(ast.walk(tree)) if id(node) not in skipped]
    return [(path, index, way) for index, node in nodes for way in range(_ways(node))]


def mutant(place: Place) -> Mutant:
    """Return the mutant of one place."""
    path, index, way = place
    tree = ast.parse(path.read_text(encoding="utf-8"))
    node = next(itertools.islice(ast.walk(tree), index, None))
    line, before = getattr(node, "lineno", 0), ast.unparse(node)
    after = _change(node, way, tree)
    return Mutant(path, line, _short(before), _short(after), ast.unparse(ast.fix_missing_locations(tree)))


def _silent(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that have no effect on what is computed: annotations, texts, and documentation."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node
    if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
        yield node.annotation
    if isinstance(node, ast.FunctionDef) and node.returns is not None:
        yield node.returns
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Raise | ast.Assert):
        yield node
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "Array"):
        yield node
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and "Callable[" in ast.unparse(node):
        yield node


def _ways(node: ast.AST) -> int:
    """Return the number of ways in which a node is changed."""
    if isinstance(node, ast.Compare):
        return len(node.ops)
    if isinstance(node, ast.Constant):
        return len(_FACTORS) if type(node.value) is float and node.value else int(isinstance(node.value, int | float))
    if isinstance(node, ast.BinOp):
        return int(type(node.op) in _OPERATORS)
    if isinstance(node, ast.Attribute):
        return int(node.attr in _NAMES)
    if isinstance(node, ast.Name):
        return int(node.id in _NAMES and isinstance(node.ctx, ast.Load))
    if isinstance(node, ast.Expr):
        return int(isinstance(node.value, ast.Call))
    return int(isinstance(node, ast.BoolOp | ast.UnaryOp | ast.AugAssign | ast.IfExp | ast.If | ast.Continue))


def _change(node: ast.AST, way: int, tree: ast.AST) -> str:
    """Change a node in place; return its new text."""
    if isinstance(node, ast.Compare):
        node.ops[way] = _COMPARISONS[type(node.ops[way])]()
    elif isinstance(node, ast.Constant):
        node.value = _other(node.value, way)
    elif isinstance(node, ast.BinOp):
        node.op = _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Attribute):
        node.attr = _NAMES[node.attr]
    elif isinstance(node, ast.Name):
        node.id = _NAMES[node.id]
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.IfExp):
        node.body, node.orelse = node.orelse, node.body
    elif isinstance(node, ast.If):
        node.test = ast.Constant(False)
    elif isinstance(node, ast.UnaryOp):
        return _replace(node, node.operand, tree)
    else:
        return _replace(node, ast.Pass(), tree)
    return ast.unparse(node)


def _other(value: object, way: int) -> object:
    if isinstance(value, bool):
        return not value
    assert isinstance(value, int | float)
    if isinstance(value, int) and abs(value) < 3:
        return value + 1
    return value * _FACTORS[way] if value else 1.0


def _replace(old: ast.AST, new: ast.AST, tree: ast.AST) -> str:
    """Put a node in the place of another."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                value[:] = [new if part is old else part for part in value]
    return ast.unparse(new)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


class _Hook(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Import the module of a mutant from its changed source."""

    def __init__(self, module: str, changed: Mutant) -> None:
        self.module, self.mutant = module, changed

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        if fullname != self.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.mutant.path, loader=self)

    def get_source(self, fullname: str) -> str:
        return self.mutant.source

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.mutant.source, str(self.mutant.path), "exec"), module.__dict__)


def survives(changed: Mutant | None, tests: Sequence[str], limit_s: float) -> bool:
    """Return whether the tests pass on a mutant within the time limit; `None` stands for the unchanged code."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os._exit(_tests_pass(changed, tests))
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _tests_pass(changed: Mutant | None, tests: Sequence[str]) -> int:
    """Run the tests in this process, without output; return the exit code of pytest."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.dont_write_bytecode = True
    if changed is not None:
        inside = changed.path.relative_to(ROOT).with_suffix("")
        parts = inside.parts if inside.parts[0] == "autodiff_compare" else ("autodiff_compare", *inside.parts)
        module = ".".join(parts).removesuffix(".__init__")
        sys.meta_path.insert(0, _Hook(module, changed))
    # Without rewritten assertions, whose messages nobody reads here.
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not thorough", "--assert", "plain"]
    return int(pytest.main([*options, *tests]))


def chosen(room: str, sample: int, seed: int) -> list[Mutant]:
    """Return a random sample of the mutants of a room."""
    patterns, _ = ROOMS[room]
    left_out = {path for pattern in patterns if pattern[0] == "!" for path in ROOT.glob(pattern[1:])}
    files = sorted({path for pattern in patterns for path in ROOT.glob(pattern)} - left_out)
    found = [place for path in files for place in places(path)]
    return [mutant(place) for place in random.Random(seed).sample(found, min(sample, len(found)))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the single-line changes that no test notices.")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; all by default")
    parser.add_argument("--sample", type=int, default=40, metavar="N", help="mutants of each room")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for room in options.rooms or ROOMS:
        tests = ROOMS[room][1]
        began = time.monotonic()
        if not survives(None, tests, 3600.0):
            print(f"{room}: its tests fail on the unchanged code", flush=True)
            return 2
        limit_s = 5.0 + 5.0 * (time.monotonic() - began)
        tried = chosen(room, options.sample, options.seed)
        left = 0
        for one in tried:
            if survives(one, tests, limit_s):
                left += 1
                print(one, flush=True)
        print(f"{room}: {left} of {len(tried)} mutants survived, seed {options.seed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
