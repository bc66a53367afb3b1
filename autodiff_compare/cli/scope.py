"""What the command of a run asked for, so that a cell which is not there is known to be lost or not to be wanted.

A cell stands at one value of each axis: a problem, a size, an operator, a backend and so on; a descent has its name
and start besides. Options choose the values of an axis. A cell of one run that another run lacks was *not asked for*
there if on some axis both hold: the commands choose differently, and nothing in the other run has the cell's value.
So ``-b numpy`` after ``-b numpy -b torch`` did not ask for torch, but a gradient by numpy that is gone was lost.
A command that cannot be read, such as that of a function compared from Python, chooses as its text does.
"""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Iterable, Mapping

from autodiff_compare.cli.arguments import parser
from autodiff_compare.plan.query import DEFAULT_BACKENDS, DEFAULT_DTYPES, DEFAULT_SIZES, DEFAULT_SUITES
from autodiff_compare.results.resume import ResumeError, parsed

Axes = Mapping[str, Hashable]

#: Option that may be repeated -> what it means where it is not given.
_DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "backend": DEFAULT_BACKENDS,
    "dtype": DEFAULT_DTYPES,
    "size": DEFAULT_SIZES,
    "suite": DEFAULT_SUITES,
}
#: Axis -> the options that choose among its values.
_CHOOSE: Mapping[str, tuple[str, ...]] = {
    "problem": ("problems", "problem", "suite"),
    "size": ("size", "data"),
    "dtype": ("dtype",),
    "operator": ("operator",),
    "backend": ("backend", "variants"),
    "descent": ("descent", "rounds"),
    "start": ("seed",),
}


class Asked:
    """What a command asked for.

    Parameters
    ----------
    command
        As it was recorded.
    axes
        Where the run's cells and descents stand.
    """

    def __init__(self, command: str, axes: Iterable[Axes]) -> None:
        self._values = {(axis, value) for place in axes for axis, value in place.items()}
        try:
            options = parsed(command, parser().parse_args)
        except ResumeError:
            self._chosen: dict[str, Hashable] = dict.fromkeys(_CHOOSE, command)
        else:
            self._chosen = {axis: tuple(_option(options, n) for n in names) for axis, names in _CHOOSE.items()}

    def lacks(self, place: Axes, before: Asked) -> bool:
        """Whether the run lost what stands at ``place`` in the run ``before``; else it was not asked for."""
        return not any(
            self._chosen[axis] != before._chosen[axis] and (axis, value) not in self._values
            for axis, value in place.items()
        )


def _option(options: argparse.Namespace, name: str) -> Hashable:
    """What an option asks for, whatever the order, and the default as if it had been given."""
    found = getattr(options, name, None)
    if name == "rounds":
        # Descents are part of a comparison that is timed.
        return bool(found) or not hasattr(options, name)
    if name == "suite" and getattr(options, "problems", None):
        return frozenset(found or ())
    if isinstance(found, list) or (found is None and name in _DEFAULTS):
        return frozenset(map(str, found or _DEFAULTS.get(name, ())))
    return found
