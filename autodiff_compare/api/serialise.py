"""A function of the caller's, written as a problem file that workers can load.

A function is sent in one of two ways. One that stands in a module is imported from there by its qualified name. Any
other (of the script that runs, of a notebook, a lambda) is written as source text, with the values that its names
had: modules are imported, plain data and arrays are written down, functions are sent the same way. What is left
cannot be sent, and `NotSendable` says why. The script itself is never run again: it would call us again.
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

_HEAD = '''"""{name}: a function of the caller's, and the point at which it is compared."""

from __future__ import annotations

import pathlib as _pathlib
import sys as _sys

import numpy as _numpy

_sys.path.extend(path for path in {paths} if path not in _sys.path)
with _numpy.load(_pathlib.Path(__file__).with_suffix(".npz"), allow_pickle=False) as _found:
    _arrays = dict(_found)
'''


#: Containers, by the brackets that make them of their parts.
_BRACKETS: dict[type, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    set: ("{*(", ")}"),
    frozenset: ("frozenset((", "))"),
}


class NotSendable(Exception):  # noqa: N818 - no failure: it is then computed in this process
    """A function cannot be written down for another process; the message says why."""


def write(
    folder: pathlib.Path,
    name: str,
    objective: Callable[..., Any] | None,
    native: Mapping[str, Callable[..., Any]],
    values: Sequence[Any],
) -> pathlib.Path:
    """Write the problem file ``name.py``, its arrays beside it; returns its path.

    Parameters
    ----------
    folder, name
        Where, and of what name.
    objective, native
        As `problems.problem_of` takes them.
    values
        Of each differentiated parameter: an array, or a container of arrays.

    Raises
    ------
    NotSendable
        If a function cannot be written down.
    """
    text = _Text()
    try:
        lines = [f"objective = {text.function(objective)}"] if objective is not None else []
        if native:
            entries = ", ".join(f"{backend!r}: {text.function(f)}" for backend, f in native.items())
            lines.append(f"OBJECTIVES = {{{entries}}}")
        given = ", ".join(text.value("the point", x) for x in values)
    except RecursionError:
        raise NotSendable(f"{name} uses data that contain themselves") from None
    lines.append(f"INPUTS = ({given},)")
    path = folder / f"{name}.py"
    head = _HEAD.format(name=name, paths=repr(_paths()))
    path.write_text("\n".join([head, *text.parts, *lines]) + "\n", encoding="utf-8")
    np.savez(path.with_suffix(".npz"), **text.arrays)  # type: ignore[arg-type]
    return path


class _Text:
    """Source text that defines names one after another, each as it was here."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.arrays: dict[str, Array] = {}
        self._defined: dict[str, Any] = {}

    def function(self, f: Any) -> str:
        """Define a function; returns the expression that it is called by."""
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
        """Keep an array beside the text; returns the expression for it."""
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
        if hasattr(f, "__wrapped__"):  # by which its parameters are known
            self._part(f"{name}.__wrapped__ = {self.function(f.__wrapped__)}")
        if defaults:
            self._part(f"{name}.__defaults__ = ({', '.join(defaults)},)")
        if keywords:
            self._part(f"{name}.__kwdefaults__ = {{{', '.join(f'{k!r}: {v}' for k, v in keywords)}}}")
        return name

    def _define(self, name: str, value: Any) -> None:
        """Give a name the value that it has here."""
        if name in self._defined:
            if self._defined[name] is not value:
                raise NotSendable(f"{name} means two things")
            return
        if isinstance(value, ModuleType):
            self._defined[name] = value
            self._part(f"import {_found(value)} as {name}")
            return
        expression = self._anything(name, value)
        if expression != name:
            self._part(f"{name} = {expression}")
        self._defined[name] = value

    def _anything(self, what: str, value: Any) -> str:
        return self.function(value) if callable(value) else self.value(what, value)

    def value(self, what: str, value: Any) -> str:
        """An expression for plain data: numbers, texts, arrays, and containers of them."""
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
    """Module and qualified name by which another process finds the same object; `None` if it does not."""
    module, names = getattr(f, "__module__", None), getattr(f, "__qualname__", "")
    if not isinstance(module, str) or module == "__main__" or module not in sys.modules:
        return None
    found: Any = sys.modules[module]
    for name in names.split("."):
        found = getattr(found, name, None)
    if found is not f:
        return None
    return (module, names) if _found_elsewhere(sys.modules[module]) else None


def _found(module: ModuleType) -> str:
    """The name by which another process imports a module."""
    if not _found_elsewhere(module):
        raise NotSendable(f"module {module.__name__} cannot be imported by another process")
    return module.__name__


def _found_elsewhere(module: ModuleType) -> bool:
    """Whether the path leads to this very module; that it is loaded here proves nothing."""
    top, _, below = module.__name__.partition(".")
    for finder in sys.meta_path:
        spec = finder.find_spec(top, None)
        if spec is not None:
            here = getattr(module, "__file__", None)
            return bool(below) or here is None or spec.origin == here
    return False


def _definition(f: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """The syntax tree of a function, from the text that it was made from."""
    text = "".join(linecache.getlines(f.__code__.co_filename, f.__globals__))
    if not text:
        raise NotSendable(f"the source of {_word(f)} cannot be read")
    try:
        tree = ast.parse(text)
    except SyntaxError:
        raise NotSendable(f"the source of {_word(f)} is no longer what it was made from") from None
    found = [node for node in ast.walk(tree) if _is_of(f.__code__, node)]
    if len(found) != 1:
        why = "is not where it was" if not found else "shares its line with another like it"
        raise NotSendable(f"{_word(f)} {why}, in {f.__code__.co_filename}")
    node = found[0]
    assert isinstance(node, (ast.FunctionDef, ast.Lambda))
    if isinstance(node, ast.FunctionDef):
        # Whatever decorated it: what is sent is a function, and a call of it runs this very definition.
        node.decorator_list = []
    return node


def _is_of(code: CodeType, node: ast.AST) -> bool:
    """Whether a definition is that of ``code``: same line, same instructions."""
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
    """What the definition compiles to by itself; `None` if it does not."""
    try:
        if isinstance(node, ast.Lambda):
            outer = compile(ast.Expression(node), "", "eval")
        else:
            outer = compile(ast.Module([node], []), "", "exec")
    except SyntaxError:
        return None
    # A default or a decorator may have a function too, and comes first.
    return next((c for c in outer.co_consts[::-1] if isinstance(c, CodeType) and c.co_name == _name(node)), None)


def _instructions(code: CodeType) -> list[tuple[str, Any]]:
    """What a function does, without what depends on where it stands: closures, and methods of imported modules."""
    plain = {"LOAD_DEREF": "LOAD_GLOBAL", "LOAD_CLASSDEREF": "LOAD_GLOBAL", "LOAD_METHOD": "LOAD_ATTR"}
    return [
        (plain.get(i.opname, i.opname), _instructions(i.argval) if isinstance(i.argval, CodeType) else i.argval)
        for i in dis.get_instructions(code)
        if i.opname not in ("COPY_FREE_VARS", "RESUME", "PUSH_NULL", "PRECALL", "CACHE", "MAKE_CELL")
        and "JUMP" not in i.opname
    ]


def _names(f: FunctionType) -> Iterator[tuple[str, Any]]:
    """The names that a function looks up outside itself, with their values."""
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
        # What a function keeps for its next call is not the same in another process.
        outside = instruction.opname == "STORE_DEREF" and instruction.argval in code.co_freevars
        if outside or instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            raise NotSendable(f"{code.co_name} assigns {instruction.argval}, which stands outside it")
        if isinstance(instruction.argval, CodeType):
            yield from _looked_up(instruction.argval)


def _without_defaults(node: ast.FunctionDef | ast.Lambda, name: str) -> str:
    """The definition as text; defaults are set afterwards, to what they are and not to what they would be."""
    copied = ast.parse(ast.unparse(node)).body[0]
    made: Any = copied.value if isinstance(copied, ast.Expr) else copied
    made.args.defaults = [ast.Constant(None) for _ in made.args.defaults]
    made.args.kw_defaults = [d and ast.Constant(None) for d in made.args.kw_defaults]
    if isinstance(made, ast.Lambda):
        return f"{name} = {ast.unparse(made)}"
    made.name = name
    return ast.unparse(made)


def _paths() -> list[str]:
    """Where the caller's own modules are looked for; not where packages are installed, which every Python has."""
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    found = [os.path.abspath(path) for path in sys.path]
    return [path for path in dict.fromkeys(found) if os.path.isdir(path) and not path.startswith(installed)]


def _kind(f: Any) -> str:
    """What a callable that is no function is, in words."""
    if isinstance(f, MethodType):
        owner = f.__self__ if isinstance(f.__self__, type) else type(f.__self__)
        return f"a method of {owner.__name__}"
    return "a class" if isinstance(f, type) else f"of type {type(f).__name__}"


def _word(f: Any) -> str:
    return str(getattr(f, "__name__", None) or type(f).__name__)
