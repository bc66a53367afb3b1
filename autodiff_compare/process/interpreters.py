"""The Python interpreters that workers run under: this one, or another environment's, as in ``torch@PATH/TO/python``.

With two interpreters, two versions of a framework can be compared in one table, or one that needs an older NumPy.

Another environment's interpreter must import this package, but none of the packages that are installed beside it:
``site-packages`` may hold this environment's NumPy. The package is therefore linked into a folder of its own, and that
folder alone is put on the interpreter's path.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autodiff_compare.process.environment import PACKAGE, PACKAGES
from autodiff_compare.process.variables import worker_environment

#: The oldest Python that the worker's own code runs on.
OLDEST = (3, 9)
#: Seconds to wait until an interpreter has printed its versions.
_VERSIONS_TIMEOUT_S = 30.0
#: Folder names that do not tell one environment from another.
_GENERIC_FOLDERS = frozenset({"", "usr", "local", "opt", "venv", ".venv", "env"})
#: Starts a worker under another Python. ``-P`` and PYTHONSAFEPATH are newer than the oldest Python, so this script
#: removes the current folder from the path.
_START_WORKER = """
import runpy, sys
sys.path[:] = filter(None, sys.path)
from autodiff_compare.process import compatibility
compatibility.complete()
runpy.run_module("autodiff_compare.execution.worker", run_name="__main__", alter_sys=True)
"""
_PRINT_VERSIONS = """
import importlib.metadata, json, sys
found = {"python": sys.version.split()[0]}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class InterpreterError(ValueError):
    """Raised if a Python cannot be run or is too old; the message says what was expected."""


@dataclass(frozen=True)
class Interpreter:
    """The Python interpreter of another environment.

    Parameters
    ----------
    label
        Name of the environment in the tables, as in ``numpy@label``.
    path
        Path of the executable.
    versions
        Distribution -> version, for ``python`` and every package that can change a result or a timing.
    """

    label: str
    path: str
    versions: Mapping[str, str] = field(default_factory=dict)

    def missing(self, requires: Sequence[str]) -> tuple[str, ...]:
        """Return the distributions among ``requires`` that are not installed in its environment."""
        return tuple(name for name in requires if name not in self.versions)


def split(spec: str) -> tuple[str, str]:
    """Split ``name[:variant]@PYTHON`` into (``name[:variant]``, ``PYTHON``); the second is empty without an ``@``.

    Raises
    ------
    InterpreterError
        If nothing follows the ``@``.
    """
    # An existing file may have an @ in its own path.
    ends = [i for i, character in enumerate(spec) if character in ":@"]
    own = max((spec[:i] for i in [*ends, len(spec)] if pathlib.Path(spec[:i]).is_file()), key=len, default="")
    backend, at, python = spec[len(own) :].partition("@")
    backend = own + backend
    if at and not python:
        raise InterpreterError(f"got {spec!r} without an interpreter, expected {backend}@PATH/TO/python, or {backend}")
    return backend, python


def found(python: str, requires: Sequence[str] = ()) -> Interpreter:
    """Return the interpreter named by ``PATH`` or ``LABEL=PATH``, with its versions.

    Parameters
    ----------
    python
        Path of the executable or of its environment's folder, or a name to look up on PATH. The default label is the
        name of the environment's folder.
    requires
        Distributions whose versions are read in addition to `environment.PACKAGES`.

    Raises
    ------
    InterpreterError
        If it cannot be run, or is older than the worker's code allows.
    """
    label, given, path = python.rpartition("=")
    # Links are not resolved: a virtual environment's python is a link, and its place identifies the environment.
    executable = _executable(os.path.expanduser(path))
    if executable is None:
        kind = "folder" if pathlib.Path(path).is_dir() else "interpreter"
        raise InterpreterError(f"got {kind} {path!r}, expected the path of a Python that can be executed")
    executable = os.path.abspath(executable)
    versions = _installed_versions(executable, (*PACKAGES, *requires))
    if tuple(map(int, versions["python"].split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InterpreterError(f"got Python {versions['python']} at {path}, expected {oldest} or newer")
    name = label if given else _label(pathlib.Path(executable))
    if not name or any(c in name for c in "/:@=") or not name.isprintable():
        raise InterpreterError(f"got label {name!r}, expected LABEL=PATH with a name of letters, digits, dots, dashes")
    return Interpreter(name, executable, versions)


def _executable(path: str) -> str | None:
    """Return the executable at a path, inside an environment's folder, or on PATH; `None` if there is none."""
    if not os.path.isdir(path):
        return shutil.which(path)
    inside = (
        os.path.join(path, *parts) for parts in (("bin", "python"), ("bin", "python3"), ("Scripts", "python.exe"))
    )
    return next(filter(None, map(shutil.which, inside)), None)


def _installed_versions(executable: str, names: Sequence[str]) -> dict[str, str]:
    try:
        done = subprocess.run(
            [executable, "-c", _PRINT_VERSIONS, *dict.fromkeys(names)],
            capture_output=True,
            text=True,
            check=True,
            timeout=_VERSIONS_TIMEOUT_S,
            env=worker_environment(1, other_python=True),
            cwd="/",
        )
        versions: dict[str, str] = json.loads(done.stdout)
        return versions
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise InterpreterError(
            f"got interpreter {executable!r}, expected a Python that prints its versions: {words[-1] if words else ''}"
        ) from error


def _label(executable: pathlib.Path) -> str:
    """Return the name of the environment's folder, or of the project around it if that name is generic."""
    for folder in executable.parents[1:3] if executable.parent.name in ("bin", "Scripts") else ():
        if folder.name not in _GENERIC_FOLDERS:
            return folder.name
    return executable.name


@contextlib.contextmanager
def launch(
    interpreter: Interpreter | None, threads: int, given: Mapping[str, str] | None = None
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the command and the environment variables of a worker; files that it needs exist until the context ends.

    ``given`` are the variables that the user passes on, as in `variables.worker_environment`.
    """
    if interpreter is None:
        yield (
            [sys.executable, "-P", "-m", "autodiff_compare.execution.worker", str(threads)],
            worker_environment(threads, given),
        )
        return
    with tempfile.TemporaryDirectory(prefix="autodiff-compare-") as folder:
        (pathlib.Path(folder) / PACKAGE.name).symlink_to(PACKAGE)
        told = worker_environment(threads, given, other_python=True)
        path = os.pathsep.join(filter(None, [folder, told.get("PYTHONPATH", "")]))
        yield (
            [interpreter.path, "-c", _START_WORKER, str(threads)],
            told | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": path},
        )
