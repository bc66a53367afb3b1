"""Backends, found by looking: every ``backends/<name>_backend.py`` with one `Backend` in it.

Nothing here imports a framework. `available` reads the adapter files, `load` makes one adapter,
and only its ``open()`` imports what it needs.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import pathlib
import sys
from types import MappingProxyType, ModuleType

from backends.interface import Backend, Objective, Unsupported

__all__ = ["Backend", "Objective", "Unsupported", "available", "load", "missing"]

_SUFFIX = "_backend"


@functools.cache
def available() -> MappingProxyType[str, type[Backend]]:
    """The adapters in this folder by name, whether or not their framework is installed."""
    folder = pathlib.Path(__file__).parent
    modules = sorted(path.stem for path in folder.glob(f"*{_SUFFIX}.py"))
    classes = [_adapter(importlib.import_module(f"backends.{module}")) for module in modules]
    return MappingProxyType({cls.name: cls for cls in classes})


def load(spec: str) -> Backend:
    """An adapter, not yet opened, from ``name``, ``name:variant`` or ``path/to/file.py[:variant]``.

    Raises
    ------
    ValueError
        If there is no such backend, variant or file; the message lists the choices.
    """
    name, _, variant = spec.partition(":")
    if name.endswith(".py"):
        return _adapter(_module_from(pathlib.Path(name)))(variant)
    if name not in available():
        raise ValueError(f"got backend {name!r}, expected one of: {', '.join(available())}, or a path to a .py file")
    return available()[name](variant)


def missing(backend: Backend | type[Backend]) -> tuple[str, ...]:
    """The distributions that this backend requires and that are not installed."""
    return tuple(name for name in backend.requires if not _installed(name))


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
        if inspect.isclass(cls)
        and issubclass(cls, Backend)
        and not inspect.isabstract(cls)
        and cls.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ValueError(f"got {len(found)} backends in {module.__file__}, expected one concrete subclass of Backend")
    return found[0]


def _module_from(path: pathlib.Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"got backend file {str(path)!r}, expected an existing .py file")
    spec = importlib.util.spec_from_file_location(f"user_backend_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
