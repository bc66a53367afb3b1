"""Discovery of backends: nothing is registered, adapters are found by their file names.

A backend of this project is a file ``backends/<name>_backend.py``, or a folder ``backends/<name>_backend/`` whose
``adapter.py`` holds the class. A user's backend is any file, given by its path. Another package offers one by an entry
point of the group ``autodiff_compare.backends``: its name is the backend's, its value the class or a module with one.

No framework is imported here, because an adapter imports its own in ``open()`` alone. `available` imports every adapter
file; `load` imports only the one it is asked for, so that a broken file harms no other backend.
"""

from __future__ import annotations

import abc
import difflib
import functools
import importlib
import importlib.metadata
import inspect
import pathlib
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from autodiff_compare.backends.interface import Backend
from autodiff_compare.user_files import load_module
from autodiff_compare.vocabulary import split_spec

_SUFFIX = "_backend"
_GROUP = "autodiff_compare.backends"


@functools.cache
def available() -> MappingProxyType[str, type[Backend]]:
    """Return the adapters of this project by name, whether or not their framework is installed."""
    return MappingProxyType({name: _named(name) for name in _names()})


def load(spec: str) -> Backend:
    """Return a backend, not yet opened, from ``name``, ``name:variant`` or ``path/to/file.py[:variant]``.

    Raises
    ------
    ValueError
        If there is no such backend, variant or file; the message lists the choices. Also if an adapter
        file cannot be loaded or holds no backend, several, or one of another name than the file's.
    """
    name, variant = split_spec(spec)
    if name.endswith(".py"):
        return _of_file(pathlib.Path(name))(variant)
    if name in _names():
        return _named(name)(variant)
    offered = _offered()
    if name not in offered:
        if "," in spec:
            each = " ".join(f"-b {one.strip()}" for one in spec.split(",") if one.strip())
            raise ValueError(f"got backend {spec!r}, expected one name: name each backend by itself, as in {each}")
        known = [*_names(), *sorted(offered)]
        close = difflib.get_close_matches(name, known, n=2)
        expected = f"did you mean {' or '.join(close)}? Expected" if close else "expected"
        raise ValueError(f"got backend {name!r}, {expected} one of: {', '.join(known)}, or a path to a .py file")
    return _of_entry_point(offered[name])(variant)


def offered() -> Mapping[str, str]:
    """Return the backends of other packages by name, with the package that offers each; none is imported."""
    return {name: point.dist.name if point.dist else "?" for name, point in sorted(_offered().items())}


def missing(backend: Backend | type[Backend]) -> tuple[str, ...]:
    """Return the distributions that this backend requires and that are not installed."""
    return tuple(name for name in backend.requires if not _installed(name))


def baseline_names() -> tuple[str, ...]:
    """Return the backends that have a file in ``backends/baselines``, without importing any."""
    return tuple(sorted(path.stem for path in (_folder() / "baselines").glob("*.py") if path.stem != "__init__"))


def baseline(name: str) -> Mapping[str, Callable[..., Any]]:
    """Return task -> derivative as a user writes it in this framework, without our interface.

    Imports the framework at once. The tasks are those of ``compare.py overhead``.
    """
    found: Mapping[str, Callable[..., Any]] = importlib.import_module(f"{__package__}.baselines.{name}").DERIVATIVES
    return found


def function_idioms(name: str) -> tuple[str, Mapping[str, str]]:
    """Return ``PRELUDE`` and ``FUNCTIONS`` of ``backends/idioms/<name>.py``, both empty where there is no such file."""
    if not (_folder() / "idioms" / f"{name}.py").exists():
        return "", {}
    found = importlib.import_module(f"{__package__}.idioms.{name}")
    return found.PRELUDE, found.FUNCTIONS


def _folder() -> pathlib.Path:
    return pathlib.Path(__file__).resolve().parent


def _names() -> list[str]:
    """Return the names of this project's backends; a backend is called as its file or folder is."""
    files = [path.stem for path in _folder().glob(f"*{_SUFFIX}.py")]
    folders = [path.parent.name for path in _folder().glob(f"*{_SUFFIX}/adapter.py")]
    return sorted(name.removesuffix(_SUFFIX) for name in files + folders)


def _named(name: str) -> type[Backend]:
    module = f"{name}{_SUFFIX}"
    inside = (_folder() / module / "adapter.py").is_file()
    found = _adapter(importlib.import_module(f"{__package__}.{module}" + (".adapter" if inside else "")))
    if found.name != name:
        raise ValueError(f"got a backend named {found.name!r} in {module}.py, expected {name!r}: rename one")
    return found


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _adapter(module: ModuleType) -> type[Backend]:
    found = [
        cls
        for cls in vars(module).values()
        # On Python 3.9 inspect takes a Mapping[str, int] for a class, which has no class as its type.
        if isinstance(cls, type)
        and issubclass(type(cls), type)
        and issubclass(cls, Backend)
        and not inspect.isabstract(cls)
        and cls.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = f" ({', '.join(cls.__name__ for cls in found)})" if found else _unfinished(module)
        raise ValueError(
            f"got {len(found)} backends in {module.__file__}{names}, expected one concrete subclass of Backend"
        )
    name = getattr(found[0], "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"got name {name!r} of {found[0].__name__} in {module.__file__}, expected name = 'my_backend'")
    return found[0]


def _unfinished(module: ModuleType) -> str:
    """Return which abstract methods each subclass lacks, in parentheses; empty if there is no such subclass."""
    found = [
        f"{cls.__name__} lacks {', '.join(sorted(cls.__abstractmethods__))}"
        for cls in vars(module).values()
        if isinstance(cls, abc.ABCMeta) and cls.__module__ == module.__name__ and inspect.isabstract(cls)
    ]
    return f" ({'; '.join(found)})" if found else ""


def _of_file(path: pathlib.Path) -> type[Backend]:
    """Return the backend of a user's file; it may not take the name of a backend of this project."""
    found = _adapter(load_module(path, "backend"))
    if found.name in _names() and _folder() not in path.resolve().parents:
        raise ValueError(
            f"got a backend named {found.name!r} in {path}, which is a backend of this project: give it another name"
        )
    return found


def _offered() -> dict[str, importlib.metadata.EntryPoint]:
    """Return entry points by name; one with the name of a backend of this project is ignored."""
    if sys.version_info < (3, 10):  # noqa: UP036 - a worker's Python may be older than this project's
        found = importlib.metadata.entry_points().get(_GROUP, ())
    else:
        found = importlib.metadata.entry_points(group=_GROUP)
    return {point.name: point for point in found if point.name not in _names()}


def _of_entry_point(point: importlib.metadata.EntryPoint) -> type[Backend]:
    try:
        found = point.load()
    except Exception as error:
        raise ValueError(
            f"cannot load backend {point.name!r} from {point.value}: {type(error).__name__}: {error}"
        ) from error
    adapter: type[Backend] = _adapter(found) if isinstance(found, ModuleType) else found
    if isinstance(adapter, type) and issubclass(adapter, Backend) and adapter.name == point.name:
        return adapter
    raise ValueError(f"got {point.value}, expected a Backend named {point.name!r}: the entry point's name")
