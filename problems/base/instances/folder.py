"""Instance files in a user's folder, at any depth, as sizes of a problem."""

from __future__ import annotations

import fnmatch
import itertools
import os
import pathlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from autodiff_compare.problems.base.problem import Problem, ProblemError

#: A folder with more entries is not one of instances but, for example, a whole disk.
_MOST_ENTRIES = 100_000
#: Characters of a size name, which appears in commands, tables and cell ids.
_NAME = re.compile(r"[\w.+-]+", re.ASCII)


def with_data(problem: Problem, folder: pathlib.Path) -> Problem:
    """Return the problem with a further size for each of its instance files in a folder.

    A size is named after its file, with the enclosing folders where several files have the same name. A problem
    without an instance format is returned unchanged.

    Raises
    ------
    ProblemError
        If there is no such folder, or it cannot be searched.
    """
    if problem.instances is None:
        return problem
    if not folder.is_dir():
        raise ProblemError(f"got data folder {str(folder)!r}, expected an existing folder")
    own = problem.instances
    found = _named([p for p in _files(folder) if fnmatch.fnmatchcase(p.name, own.pattern) and own.accepts(p)])
    return replace(problem, files={name: path for name, path in found.items() if name not in problem.sizes})


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield the ordinary files below a folder in order; links to files outside it are ignored."""
    top, seen = folder.resolve(), 0
    for place, folders, names in os.walk(top):
        folders.sort()
        seen += len(folders) + len(names)
        if seen > _MOST_ENTRIES:
            raise ProblemError(f"got more than {_MOST_ENTRIES} entries in {folder}, expected a folder of instances")
        for name in sorted(names):
            path = pathlib.Path(place, name)
            if _NAME.fullmatch(name) and path.is_file() and path.resolve().is_relative_to(top):
                yield path


def _named(paths: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Return each file by its stem, preceded by as many enclosing folders as make the names unique."""
    same: dict[str, list[pathlib.Path]] = defaultdict(list)
    for path in paths:
        same[path.stem].append(path)
    return {name: path for group in same.values() for name, path in _apart(group).items()}


def _apart(group: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    for depth in itertools.count():
        names = {"_".join((*p.parts[len(p.parts) - 1 - depth : -1], p.stem)): p for p in group}
        if len(names) == len(group):
            return names
    raise AssertionError  # two files differ in some folder
