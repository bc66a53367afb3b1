"""The names of ``xp`` that problems need, and those that a backend lacks: what its author writes next."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare import problems
from autodiff_compare.backends import Plain
from autodiff_compare.problems import Problem

_EXTENSIONS = ("linalg", "fft", "special")


class Noted:
    """A namespace that notes which of its names are used.

    Parameters
    ----------
    namespace
        The namespace behind it.
    names
        The set to which names are added: ``sum``, ``linalg.det``.
    """

    def __init__(self, namespace: Any, names: set[str], prefix: str = "") -> None:
        self._namespace, self._names, self._prefix = namespace, names, prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._namespace, name)
        if not self._prefix and name in _EXTENSIONS:
            return Noted(found, self._names, f"{name}.")
        if callable(found):
            self._names.add(f"{self._prefix}{name}")
        return found


def names_of(problem: Problem) -> frozenset[str]:
    """Return the names of ``xp`` that a problem uses at its smallest size, in plain NumPy."""
    names: set[str] = set()
    plain = Plain()
    noting = Plain(Noted(plain.xp, names))
    inputs = problem.draw(next(iter(problem.size_names)), 0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        problem.function(noting, inputs.static)(*inputs.arrays)
    return frozenset(names)


def needs() -> dict[str, frozenset[str]]:
    """Return problem -> names that it uses, of the problems of this package that are written against ``xp``."""
    found = {name: names_of(p) for name, p in problems.available().items() if p.objective is not None}
    return {name: used for name, used in found.items() if used}


def absent(backend: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the names that the namespace of an opened backend lacks, under ``absent``."""
    return {"absent": [name for name in names if not _has(backend.xp, name)]}


def _has(xp: Any, name: str) -> bool:
    for part in name.split("."):
        if not hasattr(xp, part):
            return False
        xp = getattr(xp, part)
    return True


def ranked(used: Mapping[str, frozenset[str]], lacking: Iterable[str]) -> list[tuple[str, list[str], int]]:
    """Return the names to add, the most needed first.

    Parameters
    ----------
    used
        Problem -> names that it uses.
    lacking
        The names that are not there.

    Returns
    -------
    list of tuple
        A name, the problems that use it, and the number of problems that have all their names once it and those before
        it are there. First comes the name that completes the most problems; among equal ones, that which most use.
    """
    missing = {problem: set(names) & set(lacking) for problem, names in used.items()}
    left, found = set(lacking), []
    while left:
        completed = {name: sum(m == {name} for m in missing.values()) for name in left}
        users = {name: [p for p, names in used.items() if name in names] for name in left}
        open_ = {name: sum(name in m for m in missing.values()) for name in left}
        best = max(sorted(left), key=lambda name: (completed[name], open_[name], len(users[name])))
        left.remove(best)
        for m in missing.values():
            m.discard(best)
        found.append((best, users[best], sum(not m for m in missing.values())))
    return found
