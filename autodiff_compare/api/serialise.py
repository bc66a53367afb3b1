"""Serialise a function of the caller as a problem file that workers can load.

A function of a module is imported by its qualified name. Any other function (of the running script, of a notebook, a
lambda) is written as source text, with the values of the names that it uses: modules are imported, plain data and
arrays are written out, functions are serialised in the same way. Anything else raises `NotSendable` with the reason.
The script itself is never imported by a worker: it would call `compare` again.
"""

from __future__ import annotations

import ast
import builtins
import dis
import linecache
import os
import pathlib
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from autodiff_compare.problems import Array

_HEAD = '''"""{name}: a function of the caller, and the point of evaluation."""

from __future__ import annotations

import pathlib as _pathlib
import sys as _sys

import numpy as _numpy

_sys.path.extend(path for path in {paths} if path not in _sys.path)
with _numpy.load(_pathlib.Path(__file__).with_suffix(".npz"), allow_pickle=False) as _found:
    _arrays = dict(_found)
'''


#: Type of a container -> the text before and after its elements.
_BRACKETS: dict[type, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    set: ("{*(", ")}"),
    frozenset: ("frozenset((", "))"),
}


class NotSendable(Exception):  # noqa: N818 - no failure: it is then computed in this process
    """A function cannot be serialised for another process; the message names the reason."""


def write(
    folder: pathlib.Path,
    name: str,
    objective: Callable[..., Any] | None,
    native: Mapping[str, Callable[..., Any]],
    values: Sequence[Any],
    typical: Any = None,
) -> pathlib.Path:
    """Write the problem file ``name.py``, and its arrays as ``name.npz``; return the path of the problem file.

    Parameters
    ----------
    folder, name
        Folder of the files, and their name without suffix.
    objective, native
        As `problems.problem_of` takes them.
    values
        Value of each differentiated parameter: an array, or a container of arrays.
    typical
        Typical sizes of the parameters, as `problems.problem_of` takes them.

    Raises
    ------
    NotSendable
        If a function, or a value that it uses, cannot be serialised.
    """
    text = _Text()
    try:
        lines = [f"objective = {text.function(objective)}"] if objective is not None else []
        if native:
            entries = ", ".join(f"{backend!r}: {text.function(f)}" for backend, f in native.items())
            lines.append(f"OBJECTIVES = {{{entries}}}")
        given = ", ".join(text.value("the point", x) for x in values)
        sizes = text.value("the typical sizes", typical)
    except RecursionError:
        raise NotSendable(f"{name} uses data that contain themselves") from None
    lines += [f"INPUTS = ({given},)", f"TYPICAL = {sizes}"]
    path = folder / f"{name}.py"
    head = _HEAD.format(name=name, paths=repr(_paths()))
    path.write_text("\n".join([head, *text.parts, *lines]) + "\n", encoding="utf-8")
    np.savez(path.with_suffix(".npz"), **text.arrays)  # type: ignore[arg-type]
    return path


class _Text:
    """Source text that defines names one after another, with the values that they have in this process."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.arrays: dict[str, Array] = {}
        self._defined: dict[str, Any] = {}

    def function(self, f: Any) -> str:
        """Define a function and return the expression that denotes it."""
        imported = _importable(f)
        if imported:
            module, names = imported
            self._part(f"import {module}")
            return f"{module}.{names}"
        if isinstance(f, partial):
            self._part("import functools as _functools")
            given = [self._anything(f"an argument of {_word(f.func)}", value) for value in f.args]
            given += [f"{k}={self._anything(f'{k} of {_word(f.func)}', v)}" for k, v in f.keywords.items()]
            return f"_functools.partial({', '.join([self.function(f.func), *given])})"
        if not isinstance(f, FunctionType):
            raise NotSendable(f"{_word(f)} is {_kind(f)}, no function with a source")
        return self._written(f)

    def array(self, value: Array) -> str:
        """Store an array for the ``.npz`` file and return the expression that denotes it."""
        key = f"array{len(self.arrays)}"
        self.arrays[key] = np.asarray(value)
        return f"_arrays[{key!r}]"

    def _written(self, f: FunctionType) -> str:
        node = _definition(f)
        name = "function" if isinstance(node, ast.Lambda) else f.__name__
        names = dict(_names(f))
        while self._defined.get(name, f) is not f or names.get(name, f) is not f:
            name += "_"
        if name in self._defined:
            return name
        self._defined[name] = f
        for used, value in names.items():
            self._define(used, value)
        defaults = [self._anything(f"a default of {_word(f)}", value) for value in f.__defaults__ or ()]
        keywords = [(k, self._anything(f"a default of {_word(f)}", v)) for k, v in (f.__kwdefaults__ or {}).items()]
        self._part(_without_defaults(node, name))
        if hasattr(f, "__wrapped__"):  # inspect.signature reads the parameters from it
            self._part(f"{name}.__wrapped__ = {self.function(f.__wrapped__)}")
        if defaults:
            self._part(f"{name}.__defaults__ = ({', '.join(defaults)},)")
        if keywords:
            self._part(f"{name}.__kwdefaults__ = {{{', '.join(f'{k!r}: {v}' for k, v in keywords)}}}")
        return name

    def _define(self, name: str, value: Any) -> None:
        """Define a name with the value that it has in this process."""
        if name in self._defined:
            if self._defined[name] is not value:
                raise NotSendable(f"{name} has different values in two functions")
            return
        if isinstance(value, ModuleType):
            self._defined[name] = value
            self._part(f"import {_module_name(value)} as {name}")
            return
        expression = self._anything(name, value)
        if expression != name:
            self._part(f"{name} = {expression}")
        self._defined[name] = value

    def _anything(self, what: str, value: Any) -> str:
        return self.function(value) if callable(value) else self.value(what, value)

    def value(self, what: str, value: Any) -> str:
        """Return an expression for plain data: numbers, strings, arrays, and containers of them."""
        if type(value) is np.ndarray and not value.dtype.hasobject:
            return self.array(value)
        if isinstance(value, np.generic) and not value.dtype.hasobject:
            return f"{self.array(np.asarray(value))}[()]"
        if type(value) in (float, complex):
            return repr(value) if np.isfinite(value) else f"{type(value).__name__}({str(value)!r})"
        if value is None or value is Ellipsis or type(value) in (bool, int, str, bytes, range):
            return repr(value)
        if type(value) is slice:
            return f"slice{self.value(what, (value.start, value.stop, value.step))}"
        if type(value) in _BRACKETS:
            opening, closing = _BRACKETS[type(value)]
            return f"{opening}{''.join(f'{self.value(what, part)}, ' for part in value)}{closing}"
        if type(value) is dict:
            parts = (f"{self.value(what, key)}: {self.value(what, part)}" for key, part in value.items())
            return f"{{{', '.join(parts)}}}"
        raise NotSendable(f"{what} is of type {type(value).__name__}, expected plain data")

    def _part(self, text: str) -> None:
        if text not in self.parts:
            self.parts.append(text)


def _importable(f: Any) -> tuple[str, str] | None:
    """Return module and qualified name by which another process imports the same object; `None` if it cannot."""
    module, names = getattr(f, "__module__", None), getattr(f, "__qualname__", "")
    if not isinstance(module, str) or module == "__main__" or module not in sys.modules:
        return None
    found: Any = sys.modules[module]
    for name in names.split("."):
        found = getattr(found, name, None)
    if found is not f:
        return None
    return (module, names) if _importable_module(sys.modules[module]) else None


def _module_name(module: ModuleType) -> str:
    """Return the name by which another process imports a module."""
    if not _importable_module(module):
        raise NotSendable(f"module {module.__name__} cannot be imported by another process")
    return module.__name__


def _importable_module(module: ModuleType) -> bool:
    """Return whether the import system finds this very module; that it is loaded here does not show this."""
    top, _, below = module.__name__.partition(".")
    for finder in sys.meta_path:
        spec = finder.find_spec(top, None)
        if spec is not None:
            here = getattr(module, "__file__", None)
            return bool(below) or here is None or spec.origin == here
    return False


def _definition(f: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """Return the syntax tree of a function, from its source text."""
    text = "".join(linecache.getlines(f.__code__.co_filename, f.__globals__))
    if not text:
        raise NotSendable(f"the source of {_word(f)} cannot be read")
    try:
        tree = ast.parse(text)
    except SyntaxError:
        raise NotSendable(f"the source of {_word(f)} has changed since it was loaded") from None
    found = [node for node in ast.walk(tree) if _is_of(f.__code__, node)]
    if len(found) != 1:
        why = "is no longer in its source" if not found else "shares its line with an equal function"
        raise NotSendable(f"{_word(f)} {why}, in {f.__code__.co_filename}")
    node = found[0]
    assert isinstance(node, (ast.FunctionDef, ast.Lambda))
    if isinstance(node, ast.FunctionDef):
        # Decorators are dropped: f is the plain function, and a call of it runs this very definition.
        node.decorator_list = []
    return node


def _is_of(code: CodeType, node: ast.AST) -> bool:
    """Return whether a definition is that of ``code``: same name, same line, same instructions."""
    if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
        return False
    named = _name(node)
    line = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    if named != code.co_name or line != code.co_firstlineno:
        return False
    made = _compiled(node)
    return made is None or _instructions(made) == _instructions(code)


def _name(node: ast.FunctionDef | ast.Lambda) -> str:
    return node.name if isinstance(node, ast.FunctionDef) else "<lambda>"


def _compiled(node: ast.FunctionDef | ast.Lambda) -> CodeType | None:
    """Return the code of a definition that is compiled on its own; `None` if it does not compile."""
    try:
        if isinstance(node, ast.Lambda):
            outer = compile(ast.Expression(node), "", "eval")
        else:
            outer = compile(ast.Module([node], []), "", "exec")
    except SyntaxError:
        return None
    # The last one: a default or a decorator may hold a function of the same name, which comes first.
    return next((c for c in outer.co_consts[::-1] if isinstance(c, CodeType) and c.co_name == _name(node)), None)


def _instructions(code: CodeType) -> list[tuple[str, Any]]:
    """Return the instructions of a function, without the differences that depend on where it is compiled."""
    # In place, closures and methods of imported modules compile to other opcodes than in a function on its own.
    plain = {"LOAD_DEREF": "LOAD_GLOBAL", "LOAD_CLASSDEREF": "LOAD_GLOBAL", "LOAD_METHOD": "LOAD_ATTR"}
    return [
        (plain.get(i.opname, i.opname), _instructions(i.argval) if isinstance(i.argval, CodeType) else i.argval)
        for i in dis.get_instructions(code)
        if i.opname not in ("COPY_FREE_VARS", "RESUME", "PUSH_NULL", "PRECALL", "CACHE", "MAKE_CELL")
        and "JUMP" not in i.opname
    ]


def _names(f: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the names that a function looks up outside itself, with their values."""
    enclosed = {}
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            enclosed[name] = cell.cell_contents
        except ValueError:
            raise NotSendable(f"{name} in {_word(f)} has no value yet") from None
    yield from enclosed.items()
    for name in dict.fromkeys(_looked_up(f.__code__)):
        if name in f.__globals__ and name not in enclosed:
            yield name, f.__globals__[name]
        elif not hasattr(builtins, name) and name not in enclosed:
            raise NotSendable(f"{name} in {_word(f)} has no value")


def _looked_up(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
        # A function that assigns an outer name keeps state between calls, which another process does not have.
        outside = instruction.opname == "STORE_DEREF" and instruction.argval in code.co_freevars
        if outside or instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            raise NotSendable(f"{code.co_name} assigns {instruction.argval}, a name outside the function")
        if isinstance(instruction.argval, CodeType):
            yield from _looked_up(instruction.argval)


def _without_defaults(node: ast.FunctionDef | ast.Lambda, name: str) -> str:
    """Return a definition as text, with defaults of `None`: their present values are set afterwards."""
    copied = ast.parse(ast.unparse(node)).body[0]
    made: Any = copied.value if isinstance(copied, ast.Expr) else copied
    made.args.defaults = [ast.Constant(None) for _ in made.args.defaults]
    made.args.kw_defaults = [d and ast.Constant(None) for d in made.args.kw_defaults]
    if isinstance(made, ast.Lambda):
        return f"{name} = {ast.unparse(made)}"
    made.name = name
    return ast.unparse(made)


def _paths() -> list[str]:
    """Return the folders of ``sys.path`` that hold the caller's modules, not those of installed packages."""
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    found = [os.path.abspath(path) for path in sys.path]
    return [path for path in dict.fromkeys(found) if os.path.isdir(path) and not path.startswith(installed)]


def _kind(f: Any) -> str:
    """Return the kind of a callable that is no function, in words."""
    if isinstance(f, MethodType):
        owner = f.__self__ if isinstance(f.__self__, type) else type(f.__self__)
        return f"a method of {owner.__name__}"
    return "a class" if isinstance(f, type) else f"of type {type(f).__name__}"


def _word(f: Any) -> str:
    return str(getattr(f, "__name__", None) or type(f).__name__)
