"""Load a Python file of a user: a problem file or a backend file.

This module imports nothing but the standard library, so that ``problems`` and ``backends`` share it.

A user's file imports modules of its own folder, when it is executed or later when a function of it is called.
``sys.path`` and ``sys.modules`` belong to the whole process, so three cases need care:

- An installed module comes before one of the same name in the user's folder: the folder is appended to ``sys.path``.
- Two folders each have a ``model.py``. While a file is executed, the ``model`` of another user's folder is
  removed from ``sys.modules``, and the file's own folder precedes the other one in ``sys.path``.
- Afterwards the removed modules are restored: functions of the earlier file may still import them.

Files of one name in several folders are modules of different names, so that each of their folders stays known.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import itertools
import pathlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Literal

Kind = Literal["problem", "backend"]

#: The module of a user's file is named ``user_<kind>_<file name>``, with a number if a file of another folder has it.
_PREFIXES = ("user_problem_", "user_backend_")
#: Names under which this project was imported before version 0.2, and which are now within ``autodiff_compare``.
_FORMER_NAMES = frozenset({"backends", "problems", "vocabulary"})


class UserFileError(ValueError):
    """A user's file is missing or raises while it is executed; the message names the file and the reason."""


def load_module(path: pathlib.Path, kind: Kind) -> ModuleType:
    """Execute a user's Python file and return its module.

    Parameters
    ----------
    path
        The ``.py`` file.
    kind
        Part of the module's name and of messages.

    Raises
    ------
    UserFileError
        If the file does not exist, or raises when it is executed.
    """
    if not path.is_file():
        close = difflib.get_close_matches(path.name, (each.name for each in path.parent.glob("*.py")), n=1)
        hint = f"did you mean {path.with_name(close[0])}? Expected" if close else "expected"
        raise UserFileError(f"got {kind} file {str(path)!r}, {hint} an existing .py file")
    spec = importlib.util.spec_from_file_location(_free_name(f"user_{kind}_{path.stem}", path), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        with _own_folder_first(path.resolve().parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        advice = _advice(error)
        raise UserFileError(f"cannot load {kind} file {path}: {type(error).__name__}: {error}{advice}") from error
    return module


def _free_name(name: str, path: pathlib.Path) -> str:
    """Return a module name that no user's file of another folder has: the folders of all loaded files stay known."""
    loaded = _top_level_modules()
    names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return next(each for each in names if each not in loaded or loaded[each].resolve() == path.resolve())


def _advice(error: BaseException) -> str:
    """Return the new name of a package of this project that a user's file imports by its name before version 0.2."""
    former = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return f": import autodiff_compare.{former} instead" if former in _FORMER_NAMES else ""


@contextlib.contextmanager
def _own_folder_first(folder: pathlib.Path) -> Iterator[None]:
    """Let imports find modules in ``folder`` before those in the folders of other user files."""
    loaded = _top_level_modules()
    others = {file.resolve().parent for name, file in loaded.items() if name.startswith(_PREFIXES)} - {folder}
    shadowed = {name for name, file in loaded.items() if _location(file) in others and _has_module(folder, name)}
    removed = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in shadowed}
    positions = [i for i, entry in enumerate(sys.path) if pathlib.Path(entry) in others]
    if str(folder) not in sys.path or positions:
        sys.path.insert(min(positions, default=len(sys.path)), str(folder))
    try:
        yield
    finally:
        sys.modules.update(removed)


def _top_level_modules() -> dict[str, pathlib.Path]:
    """Return the loaded top-level modules that have a file, by name."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if "." not in name}
    return {name: pathlib.Path(file) for name, file in files.items() if file}


def _location(file: pathlib.Path) -> pathlib.Path:
    """Return the ``sys.path`` folder in which a module or package was found."""
    return file.parent.parent if file.stem == "__init__" else file.parent


def _has_module(folder: pathlib.Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
