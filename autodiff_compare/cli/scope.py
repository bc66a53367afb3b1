"""The scope of a run: the cells that its command asks for.

It tells a cell that a run lost from one that its command does not ask for. A cell has one value on each axis: a
problem, a size, an operator, a backend and so on; a descent also has its name and its start. Options select the values
of an axis. A cell of one run that another run lacks is *out of scope* there if on some axis both hold: the commands
select different values, and nothing in the other run has the cell's value. So ``-b numpy`` after
``-b numpy -b torch`` does not ask for torch, but a missing gradient by numpy is lost. A command that cannot be parsed,
such as that of a function compared from Python, selects by its whole text.
"""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Iterable, Mapping

from autodiff_compare.cli.arguments import parser
from autodiff_compare.plan.query import DEFAULT_BACKENDS, DEFAULT_DTYPES, DEFAULT_SIZES, DEFAULT_SUITES
from autodiff_compare.results.resume import ResumeError, parsed

Axes = Mapping[str, Hashable]

#: Option that may be repeated -> its default.
_DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "backend": DEFAULT_BACKENDS,
    "dtype": DEFAULT_DTYPES,
    "size": DEFAULT_SIZES,
    "suite": DEFAULT_SUITES,
}
#: Axis -> the options that select its values.
_SELECT: Mapping[str, tuple[str, ...]] = {
    "problem": ("problems", "problem", "suite"),
    "size": ("size", "data", "at"),
    "dtype": ("dtype",),
    "operator": ("operator",),
    "backend": ("backend", "variants"),
    "descent": ("descent", "rounds", "start", "target", "lr", "stop_loss"),
    "start": ("seed", "starts"),
}


class Scope:
    """The cells that the command of a run asks for.

    Parameters
    ----------
    command
        The recorded command.
    axes
        The values of each cell and descent of the run, by axis.
    """

    def __init__(self, command: str, axes: Iterable[Axes]) -> None:
        self._values = {(axis, value) for place in axes for axis, value in place.items()}
        try:
            options = parsed(command, parser().parse_args)
        except ResumeError:
            self._selected: dict[str, Hashable] = dict.fromkeys(_SELECT, command)
        else:
            self._selected = {axis: tuple(_selection(options, n) for n in names) for axis, names in _SELECT.items()}

    def lost(self, place: Axes, before: Scope) -> bool:
        """Return whether this scope includes a cell of the run ``before`` that is missing here.

        Parameters
        ----------
        place
            The values of the missing cell, by axis.
        before
            The scope of the run that has the cell.
        """
        return not any(
            self._selected[axis] != before._selected[axis] and (axis, value) not in self._values
            for axis, value in place.items()
        )


def _selection(options: argparse.Namespace, name: str) -> Hashable:
    """Return the values that an option selects, without their order; its default where it is not given."""
    found = getattr(options, name, None)
    if name == "rounds":
        # Only a run with timing includes descents.
        return bool(found) or not hasattr(options, name)
    if name == "suite" and getattr(options, "problems", None):
        return frozenset(found or ())
    if isinstance(found, list) or (found is None and name in _DEFAULTS):
        return frozenset(map(str, found or _DEFAULTS.get(name, ())))
    return found
