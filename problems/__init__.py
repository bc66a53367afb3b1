"""Problems, found by looking: every module here, or any user's file, with ``PROBLEM`` or ``PROBLEMS``."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pathlib
import sys
from types import MappingProxyType, ModuleType

from problems.problem import NUMPY, Adaptive, Array, Descent, Inputs, Normalise, Optimum, Problem, Question, Tools

__all__ = [
    "NUMPY",
    "Adaptive",
    "Array",
    "Descent",
    "Inputs",
    "Normalise",
    "Optimum",
    "Problem",
    "ProblemError",
    "Question",
    "Tools",
    "available",
    "load",
]

_NOT_PROBLEMS = frozenset({"__init__", "problem", "closed_forms", "jacobi", "landscape", "elimination"})


class ProblemError(ValueError):
    """There is no such problem, or its file is broken; the message says what to do."""


@functools.cache
def available() -> MappingProxyType[str, Problem]:
    """All problems in this folder by name, in order of file and appearance."""
    folder = pathlib.Path(__file__).parent
    modules = sorted(path.stem for path in folder.glob("*.py") if path.stem not in _NOT_PROBLEMS)
    found: dict[str, Problem] = {}
    for module in modules:
        for problem in _problems_in(importlib.import_module(f"problems.{module}")):
            if problem.name in found:
                raise ProblemError(f"got two problems named {problem.name!r}, the second in {module}.py: rename one")
            found[problem.name] = problem
    return MappingProxyType(found)


def load(name: str) -> tuple[Problem, ...]:
    """The problem of that name, or all problems in a user's ``.py`` file.

    Raises
    ------
    ProblemError
        If there is none, with the choices, or if the file cannot be used, with the reason.
    """
    if name.endswith(".py"):
        return _problems_in(_module_from(pathlib.Path(name)))
    if name not in available():
        raise ProblemError(f"got problem {name!r}, expected one of: {', '.join(available())}, or a path to a .py file")
    return (available()[name],)


def _problems_in(module: ModuleType) -> tuple[Problem, ...]:
    found = getattr(module, "PROBLEMS", None) or (getattr(module, "PROBLEM", None),)
    if not all(isinstance(problem, Problem) for problem in found):
        raise ProblemError(f"got no problem in {module.__file__}: define PROBLEM = Problem(...) or PROBLEMS = (...)")
    return tuple(found)


def _module_from(path: pathlib.Path) -> ModuleType:
    if not path.is_file():
        raise ProblemError(f"got problem file {str(path)!r}, expected an existing .py file")
    spec = importlib.util.spec_from_file_location(f"user_problem_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ProblemError(f"cannot load problem file {path}: {type(error).__name__}: {error}") from error
    return module
