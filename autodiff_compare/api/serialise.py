"""Serialise a function of the caller as a problem file that workers can load.

A function or class of a module is imported by its qualified name. Any other one (of the running script, of a
notebook, a lambda) is written as source text, with the values of the names that it uses: modules are imported, plain
data and arrays are written out, functions and classes are serialised in the same way. Other objects are pickled, with
names in the place of functions and classes that are written as text. What cannot be pickled raises `NotSendable` with
the reason. The script itself is never imported by a worker: it would call `compare` again.

The function's own names stand beside those of the file, so the file's have two underscores at both ends. What it
declares is a dictionary (`problems.DECLARATION`): the function may use an ``objective`` or ``INPUTS`` of its own.

The text is that of any Python, so that workers of other environments read it too.
"""

from __future__ import annotations

import ast
import io
import os
import pathlib
import pickle
import sys
import sysconfig
from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, final

import numpy as np

from autodiff_compare.api.sources import (
    NotSendable,
    class_definition,
    class_names,
    definition,
    methods,
    names,
    without_defaults,
    word,
)
from autodiff_compare.problems import DECLARATION, Array

__all__ = ["NotSendable", "write"]

_HEAD = '''"""{name}: a function of the caller, and the point of evaluation."""

from __future__ import annotations

import pathlib as __pathlib__
import sys as __sys__

import numpy as __numpy__

__sys__.path.extend(path for path in {paths} if path not in __sys__.path)
with __numpy__.load(__pathlib__.Path(__file__).with_suffix(".npz"), allow_pickle=False) as __found__:
    __arrays__ = dict(__found__)
'''


#: Type of a container -> the text before and after its elements.
_BRACKETS: dict[type, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    set: ("{*(", ")}"),
    frozenset: ("frozenset((", "))"),
}


_UNPICKLE = """import io as __io__
import pickle as __pickle__


class __Unpickler__(__pickle__.Unpickler):
    def persistent_load(self, name):
        return eval(name, globals())


def __unpickled__(found):
    return __Unpickler__(__io__.BytesIO(found.tobytes())).load()"""


def write(
    folder: pathlib.Path,
    name: str,
    objective: Callable[..., Any] | None,
    native: Mapping[str, Callable[..., Any]],
    values: Sequence[Any] | Callable[..., Any],
    typical: Any = None,
    sizes: Sequence[int] = (),
) -> pathlib.Path:
    """Write the problem file ``name.py``, and its arrays as ``name.npz``; return the path of the problem file.

    Parameters
    ----------
    folder, name
        Folder of the files, and their name without suffix.
    objective, native
        As `problems.problem_of` takes them.
    values
        Value of each differentiated parameter: an array, a container of arrays, or a function of the size; or one
        function that draws them all.
    typical
        Typical sizes of the parameters, as `problems.problem_of` takes them.
    sizes
        The sizes of drawn values; none for those by default.

    Raises
    ------
    NotSendable
        If a function, or a value that it uses, cannot be serialised.
    """
    text = _Text()
    try:
        declared = {"objective": text.function(objective)} if objective is not None else {}
        if native:
            entries = ", ".join(f"{backend!r}: {text.function(f)}" for backend, f in native.items())
            declared["OBJECTIVES"] = f"{{{entries}}}"
        each = [] if callable(values) else [text.anything("the point", x) for x in values]
        given = text.function(values) if callable(values) else f"({', '.join(each)},)"
        own = text.value("the typical sizes", typical)
    except RecursionError:
        raise NotSendable(f"{name} uses data that contain themselves") from None
    declared |= {"INPUTS": given, "TYPICAL": own} | ({"SIZES": repr(tuple(sizes))} if sizes else {})
    lines = [f"{DECLARATION} = {{", *(f"    {key!r}: {expression}," for key, expression in declared.items()), "}"]
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
        #: The function that is being written: classes that it uses may stand in the same file.
        self._near: FunctionType | None = None
        self._defined: dict[str, Any] = {}

    def function(self, f: Any) -> str:
        """Define a function and return the expression that denotes it."""
        imported = _importable(f)
        if imported:
            module, names = imported
            self._part(f"import {module}")
            return f"{module}.{names}"
        if isinstance(f, partial):
            self._part("import functools as __functools__")
            given = [self.anything(f"an argument of {word(f.func)}", value) for value in f.args]
            given += [f"{k}={self.anything(f'{k} of {word(f.func)}', v)}" for k, v in f.keywords.items()]
            return f"__functools__.partial({', '.join([self.function(f.func), *given])})"
        if isinstance(f, MethodType):
            owner = f.__self__
            return f"{self.function(owner) if callable(owner) else self._object(word(owner), owner)}.{f.__name__}"
        if _is_cached(f):
            return self.function(f.__wrapped__)
        if isinstance(f, type):
            return self._class(f)
        return self._written(f) if isinstance(f, FunctionType) else self._object(word(f), f)

    def array(self, value: Array) -> str:
        """Store an array for the ``.npz`` file and return the expression that denotes it."""
        key = f"array{len(self.arrays)}"
        self.arrays[key] = np.asarray(value)
        return f"__arrays__[{key!r}]"

    def _written(self, f: FunctionType) -> str:
        node, self._near = definition(f), f
        name = "function" if isinstance(node, ast.Lambda) else f.__name__
        used = {key: _uncached(value) for key, value in names(f)}
        while self._defined.get(name, f) is not f or used.get(name, f) is not f:
            name += "_"
        if name in self._defined:
            return name
        self._defined[name] = f
        for key, value in used.items():
            self._define(key, value)
        defaults = [self.anything(f"a default of {word(f)}", value) for value in f.__defaults__ or ()]
        keywords = [(k, self.anything(f"a default of {word(f)}", v)) for k, v in (f.__kwdefaults__ or {}).items()]
        self._part(without_defaults(node, name))
        if hasattr(f, "__wrapped__"):  # inspect.signature reads the parameters from it
            self._part(f"{name}.__wrapped__ = {self.function(f.__wrapped__)}")
        if defaults:
            self._part(f"{name}.__defaults__ = ({', '.join(defaults)},)")
        if keywords:
            self._part(f"{name}.__kwdefaults__ = {{{', '.join(f'{k!r}: {v}' for k, v in keywords)}}}")
        return name

    def _class(self, cls: type) -> str:
        """Define a class and return its name; what was assigned to it later is assigned again."""
        name = cls.__name__
        if name in self._defined:
            if self._defined[name] is not cls:
                raise NotSendable(f"{name} has different values in two functions")
            return name
        node, scope = class_definition(cls, self._near)
        self._defined[name] = cls
        own = methods(cls)
        for key, value in [*class_names(node, scope), *(pair for f in own.values() for pair in names(f))]:
            if key != "__class__":  # the cell of super()
                self._define(key, _uncached(value))
        self._part(ast.unparse(node))
        # A class of another metaclass, such as an enumeration, makes attributes of its own.
        for key, value in vars(cls).items() if type(cls) in (type, ABCMeta) else ():
            if key not in own and not key.startswith(("__", "_abc_")) and not hasattr(type(value), "__get__"):
                self._part(f"{name}.{key} = {self.anything(f'{key} of {name}', value)}")
        return name

    def _object(self, what: str, value: Any) -> str:
        """Pickle an object and return the expression that denotes it."""
        file = io.BytesIO()
        try:
            _Pickler(file, self.function).dump(value)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
            raise NotSendable(f"{what} is of type {type(value).__name__}, which cannot be pickled: {error}") from error
        self._part(_UNPICKLE)
        return f"__unpickled__({self.array(np.frombuffer(file.getvalue(), np.uint8))})"

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
        expression = self.anything(name, value)
        if expression != name:
            self._part(f"{name} = {expression}")
        self._defined[name] = value

    def anything(self, what: str, value: Any) -> str:
        """Return an expression for a function or for plain data."""
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
        if isinstance(value, ModuleType):
            raise NotSendable(f"{what} is of type module, expected plain data")
        return self._object(what, value)

    def _part(self, text: str) -> None:
        if text not in self.parts:
            self.parts.append(text)


@final
class _Pickler(pickle.Pickler):
    """A pickler that leaves functions and classes which cannot be imported to `_Text`."""

    def __init__(self, file: io.BytesIO, expression: Callable[[Any], str]) -> None:
        # The newest protocol that Python 3.9 reads is 5; 4 is enough for all that is sent.
        super().__init__(file, protocol=4)
        self._expression = expression

    def persistent_id(self, obj: Any) -> str | None:
        if not isinstance(obj, (type, FunctionType)) or obj in _SINGLE or _importable(obj):
            return None
        return self._expression(obj)


#: Types without a name of their own in ``builtins``; pickle knows them.
_SINGLE = (type(None), type(Ellipsis), type(NotImplemented))


def _is_cached(f: Any) -> bool:
    """Return whether a function is one of `functools.cache`."""
    return type(f).__name__ == "_lru_cache_wrapper"


def _uncached(value: Any) -> Any:
    return value.__wrapped__ if _is_cached(value) else value


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


def _paths() -> list[str]:
    """Return the folders of ``sys.path`` that hold the caller's modules, not those of installed packages."""
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    found = [os.path.abspath(path) for path in sys.path]
    return [path for path in dict.fromkeys(found) if os.path.isdir(path) and not path.startswith(installed)]
