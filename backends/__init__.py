"""Backends, found by looking: every ``backends/<name>_backend.py`` with one `Backend` in it.

Another package offers one by an entry point of the group ``autodiff_compare.backends``: its name is the backend's, its
value the class or a module with one.

Nothing here imports a framework. `available` imports every adapter file, `load` only the one it is asked for,
so that a broken file harms no other backend; a framework is imported by an adapter's ``open()`` alone.
"""

from __future__ import annotations

import abc
import functools
import importlib
import importlib.metadata
import inspect
import pathlib
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from backends.interface import Backend, Expanded, Objective, Unsupported
from backends.plain import PLAIN
from backends.sparsity import Pattern
from user_files import load_module

__all__ = [
    "PLAIN",
    "Backend",
    "Expanded",
    "Objective",
    "Pattern",
    "Unsupported",
    "available",
    "by_hand",
    "load",
    "missing",
    "offered",
    "own_spellings",
    "written_by_hand",
]

_SUFFIX = "_backend"
_GROUP = "autodiff_compare.backends"


@functools.cache
def available() -> MappingProxyType[str, type[Backend]]:
    """The adapters in this folder by name, whether or not their framework is installed."""
    return MappingProxyType({name: _named(name) for name in _names()})


def load(spec: str) -> Backend:
    """An adapter, not yet opened, from ``name``, ``name:variant`` or ``path/to/file.py[:variant]``.

    Raises
    ------
    ValueError
        If there is no such backend, variant or file; the message lists the choices. Also if an adapter
        file cannot be loaded or holds no backend, several, or one of another name than the file's.
    """
    name, _, variant = spec.partition(":")
    if name.endswith(".py"):
        return _of_file(pathlib.Path(name))(variant)
    if name in _names():
        return _named(name)(variant)
    offered = _offered()
    if name not in offered:
        choices = ", ".join([*_names(), *sorted(offered)])
        raise ValueError(f"got backend {name!r}, expected one of: {choices}, or a path to a .py file")
    return _of_entry_point(offered[name])(variant)


def offered() -> Mapping[str, str]:
    """The backends of other packages by name, with the package that offers each; none is imported."""
    return {name: point.dist.name if point.dist else "?" for name, point in sorted(_offered().items())}


def written_by_hand() -> tuple[str, ...]:
    """The backends whose derivatives are also written by hand, importing none."""
    found = (pathlib.Path(__file__).parent / "handwritten").glob("*.py")
    return tuple(sorted(path.stem for path in found if path.stem != "__init__"))


def by_hand(name: str) -> Mapping[str, Callable[..., Any]]:
    """Task -> derivative as one writes it in this framework, which is imported."""
    found: Mapping[str, Callable[..., Any]] = importlib.import_module(f"backends.handwritten.{name}").DERIVATIVES
    return found


def own_spellings(name: str) -> tuple[str, Mapping[str, str]]:
    """Prelude and table of `backends.spellings` for this framework, both empty where it has none."""
    if not (pathlib.Path(__file__).parent / "spellings" / f"{name}.py").exists():
        return "", {}
    found = importlib.import_module(f"backends.spellings.{name}")
    return found.PRELUDE, found.SPELLINGS


def missing(backend: Backend | type[Backend]) -> tuple[str, ...]:
    """The distributions that this backend requires and that are not installed."""
    return tuple(name for name in backend.requires if not _installed(name))


def _names() -> list[str]:
    """A backend is called as its file is; that is known without importing it."""
    folder = pathlib.Path(__file__).parent
    return sorted(path.stem.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}.py"))


def _named(name: str) -> type[Backend]:
    found = _adapter(importlib.import_module(f"backends.{name}{_SUFFIX}"))
    if found.name != name:
        raise ValueError(f"got a backend named {found.name!r} in {name}{_SUFFIX}.py, expected {name!r}: rename one")
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
    """What the subclasses that are not concrete lack."""
    found = [
        f"{cls.__name__} lacks {', '.join(sorted(cls.__abstractmethods__))}"
        for cls in vars(module).values()
        if isinstance(cls, abc.ABCMeta) and cls.__module__ == module.__name__ and inspect.isabstract(cls)
    ]
    return f" ({'; '.join(found)})" if found else ""


def _of_file(path: pathlib.Path) -> type[Backend]:
    """The backend of a user's file, which must not pass for one of ours."""
    found, own = _adapter(load_module(path, "backend")), pathlib.Path(__file__).parent
    if found.name in _names() and path.resolve().parent != own:
        raise ValueError(f"got a backend named {found.name!r} in {path}, which is one of ours: give it another name")
    return found


def _offered() -> dict[str, importlib.metadata.EntryPoint]:
    """Entry points by name; a name of ours is ours."""
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
