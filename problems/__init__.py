"""The problems: mathematical functions to differentiate, each written once against an array namespace ``xp``.

A new problem is one file in this folder, or in ``field/`` for the suite of that name, that declares ``PROBLEM`` or
``PROBLEMS``, without registration; `problems/hello.py` is the smallest example. Users' files are loaded alike. The
contract and the methods that problems share are in `autodiff_compare.problems.base`, the atlas of conventions in
`autodiff_compare.problems.conventions`.
"""

from __future__ import annotations

if __name__ != "autodiff_compare.problems":
    raise ImportError("got import problems, expected autodiff_compare.problems: the folder belongs to that package")

import difflib
import functools
import importlib
import pathlib
from types import MappingProxyType

from autodiff_compare.problems.base import (
    NUMPY,
    SCALAR,
    VECTOR,
    Adaptive,
    Array,
    Descent,
    Inputs,
    Normalise,
    Optimum,
    Problem,
    ProblemError,
    Question,
    Tools,
    number_of,
)
from autodiff_compare.problems.base.declared.declarations import (
    DECLARATION,
    point_of,
    problem_of,
    problems_in,
    problems_of_file,
)
from autodiff_compare.problems.base.declared.points import is_drawn
from autodiff_compare.problems.base.declared.typical import typical_sizes
from autodiff_compare.problems.base.instances.folder import with_data
from autodiff_compare.problems.base.instances.points import filled, number, size_with, with_points

__all__ = [
    "DECLARATION",
    "NUMPY",
    "SCALAR",
    "VECTOR",
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
    "filled",
    "is_drawn",
    "load",
    "number",
    "number_of",
    "point_of",
    "problem_of",
    "size_with",
    "typical_sizes",
    "with_data",
    "with_points",
]


@functools.cache
def available() -> MappingProxyType[str, Problem]:
    """Return all problems in this folder and in ``field/`` by name, in order of file and appearance."""
    folder = pathlib.Path(__file__).parent
    modules = [f"{place}{name}" for place in ("", "field.") for name in _modules(folder / place.rstrip("."))]
    found: dict[str, Problem] = {}
    for module in modules:
        for problem in problems_in(importlib.import_module(f"{__name__}.{module}")):
            if problem.name in found:
                raise ProblemError(f"got two problems named {problem.name!r}, the second in {module}.py: rename one")
            found[problem.name] = problem
    return MappingProxyType(found)


def _modules(folder: pathlib.Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def load(name: str) -> tuple[Problem, ...]:
    """Return the problem of that name, or all problems in a user's ``.py`` file.

    Parameters
    ----------
    name
        ``NAME``; ``NAME@FOLDER`` adds the instance files of the folder as sizes (`with_data`); or ``path/to/file.py``.

    Raises
    ------
    ProblemError
        If there is no such problem (the message lists the choices), or the file or folder cannot be used.
    """
    if name.endswith(".py"):
        return problems_of_file(pathlib.Path(name))
    name, at, folder = name.partition("@")
    if name not in available():
        raise ProblemError(f"got {_unknown(name)}, or a path to a .py file")
    found = available()[name]
    return (with_data(found, pathlib.Path(folder)) if at else found,)


def _unknown(name: str) -> str:
    """Describe an unknown name, with the similar problems."""
    path = pathlib.Path(name)
    if path.is_dir() or path.is_file():
        kind = "folder" if path.is_dir() else "file"
        return f"{kind} {name!r}, expected the name of a problem (compare.py list)"
    if path.with_suffix(".py").is_file():
        return f"problem {name!r}, did you mean ./{path.with_suffix('.py')}? Expected one that compare.py list shows"
    if "," in name:
        return f"problem {name!r}, expected one name (several are separated by spaces)"
    close = difflib.get_close_matches(name, available())
    if close:
        return f"problem {name!r}, did you mean {' or '.join(close)}? Expected one that compare.py list shows"
    return f"problem {name!r}, expected one of the {len(available())} that compare.py list shows"
