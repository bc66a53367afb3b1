"""Interpreters that workers run under: our own, or that of another environment, named as in ``torch@PATH/TO/python``.

So two versions of a framework, or one that needs an older NumPy, stand in one table. A foreign interpreter sees our
packages and nothing else of this environment: they are linked into a folder of their own, since the folder in which
they are installed may hold this environment's NumPy too.
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

from autodiff_compare.process.environment import PACKAGE, PACKAGES, worker_environment
from autodiff_compare.vocabulary import split_spec

#: The oldest Python that the worker's own code runs on.
OLDEST = (3, 9)
#: A Python that has not told its version by then is not one.
_PATIENCE_S = 30.0
#: Names of folders that say nothing about an environment.
_COMMON = frozenset({"", "usr", "local", "opt", "venv", ".venv", "env"})
#: ``-P`` and PYTHONSAFEPATH are younger than the oldest Python: the current folder is taken off by hand.
_START = """
import runpy, sys
sys.path[:] = filter(None, sys.path)
from autodiff_compare.process import compatibility
compatibility.complete()
runpy.run_module("autodiff_compare.execution.worker", run_name="__main__", alter_sys=True)
"""
_VERSIONS = """
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
    """There is no such Python, or it is too old; the message says what to do."""


@dataclass(frozen=True)
class Interpreter:
    """A Python of another environment.

    Parameters
    ----------
    label
        What tells its backends apart in the tables: ``numpy@label``.
    path
        Its executable.
    versions
        ``python`` and every distribution that matters -> version.
    """

    label: str
    path: str
    versions: Mapping[str, str] = field(default_factory=dict)

    def missing(self, requires: Sequence[str]) -> tuple[str, ...]:
        """The distributions among ``requires`` that it does not have."""
        return tuple(name for name in requires if name not in self.versions)


def split(spec: str) -> tuple[str, str]:
    """``name[:variant]@PYTHON`` as (``name[:variant]``, ``PYTHON``); the second is empty where there is none.

    Raises
    ------
    InterpreterError
        If nothing stands behind the ``@``.
    """
    if pathlib.Path(split_spec(spec)[0]).is_file():
        return spec, ""
    backend, at, python = spec.partition("@")
    if at and not python:
        raise InterpreterError(f"got {spec!r} without an interpreter, expected {backend}@PATH/TO/python, or {backend}")
    return backend, python


def found(python: str, requires: Sequence[str] = ()) -> Interpreter:
    """The interpreter of ``PATH`` or ``LABEL=PATH``, asked for its versions.

    Parameters
    ----------
    python
        A path, of the Python or of its environment's folder, or a name to be found on PATH. Without a label it is
        called by that folder.
    requires
        Distributions whose versions are wanted besides `environment.PACKAGES`.

    Raises
    ------
    InterpreterError
        If it cannot be run, or is older than the worker's code allows.
    """
    label, given, path = python.rpartition("=")
    # Not resolved: a virtual environment is known by the link that its python is.
    executable = _executable(os.path.expanduser(path))
    if executable is None:
        kind = "folder" if pathlib.Path(path).is_dir() else "interpreter"
        raise InterpreterError(f"got {kind} {path!r}, expected the path of a Python that can be executed")
    executable = os.path.abspath(executable)
    versions = _asked(executable, (*PACKAGES, *requires))
    if tuple(map(int, versions["python"].split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InterpreterError(f"got Python {versions['python']} at {path}, expected {oldest} or newer")
    name = label if given else _label(pathlib.Path(executable))
    if not name or any(c in name for c in "/:@=") or not name.isprintable():
        raise InterpreterError(f"got label {name!r}, expected LABEL=PATH with a name of letters, digits, dots, dashes")
    return Interpreter(name, executable, versions)


def _executable(path: str) -> str | None:
    """The Python that is meant: itself, or the one in an environment's folder."""
    if not os.path.isdir(path):
        return shutil.which(path)
    inside = (
        os.path.join(path, *parts) for parts in (("bin", "python"), ("bin", "python3"), ("Scripts", "python.exe"))
    )
    return next(filter(None, map(shutil.which, inside)), None)


def _asked(executable: str, names: Sequence[str]) -> dict[str, str]:
    try:
        done = subprocess.run(
            [executable, "-c", _VERSIONS, *dict.fromkeys(names)],
            capture_output=True,
            text=True,
            check=True,
            timeout=_PATIENCE_S,
            env=_apart(os.environ),
            cwd="/",
        )
        versions: dict[str, str] = json.loads(done.stdout)
        return versions
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise InterpreterError(
            f"got interpreter {executable!r}, expected a Python that tells its versions: {words[-1] if words else ''}"
        ) from error


def _label(executable: pathlib.Path) -> str:
    """The folder of the environment; of the project around it where that has a common name."""
    for folder in executable.parents[1:3] if executable.parent.name in ("bin", "Scripts") else ():
        if folder.name not in _COMMON:
            return folder.name
    return executable.name


def _apart(variables: Mapping[str, str]) -> dict[str, str]:
    """Without what points into the environment of this process."""
    ours = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSAFEPATH"}
    return {name: value for name, value in variables.items() if name not in ours}


@contextlib.contextmanager
def launch(interpreter: Interpreter | None, threads: int) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Command and environment of a worker; what they need lasts as long as the context."""
    if interpreter is None:
        yield (
            [sys.executable, "-P", "-m", "autodiff_compare.execution.worker", str(threads)],
            worker_environment(threads),
        )
        return
    with tempfile.TemporaryDirectory(prefix="autodiff-compare-") as folder:
        (pathlib.Path(folder) / PACKAGE.name).symlink_to(PACKAGE)
        yield (
            [interpreter.path, "-c", _START, str(threads)],
            _apart({**worker_environment(threads), "PYTHONDONTWRITEBYTECODE": "1"}) | {"PYTHONPATH": folder},
        )
