"""Figures of a run as methods: ``tables.plot.time()``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    Choice = str | list[str] | None

#: The figures, as a message lists them.
_METHODS = "plot.time(), plot.error(), plot.scaling(), plot.profile()"
#: Keyword arguments of a figure that choose cells.
_CHOICES = ("problem", "operator", "dtype", "size", "backend", "variant", "machine")


class Plot:
    """Figures of the cells of a run; each method draws one and returns its matplotlib axes.

    A notebook displays the axes as a picture if they are the value of a cell. ``axes.figure.savefig("time.pdf")`` saves
    it. ``ax=`` draws on axes of your own. ``problem=``, ``operator=``, ``dtype=``, ``size=`` and ``backend=`` (with its
    variant: ``"jax:eager"``) choose cells, each by one value or a list.
    """

    def __init__(self, tidy: Callable[[], pd.DataFrame]) -> None:
        self._tidy = tidy

    def time(self, ax: Axes | None = None, **cells: Choice) -> Axes:
        """Draw the time of a call in each right cell, with its 95 % interval; flagged times are hollow."""
        return self._drawn("comparison", "time", ax, **cells)

    def error(self, ax: Axes | None = None, **cells: Choice) -> Axes:
        """Draw the largest relative error of each cell, in eps of its dtype; wrong cells are crosses."""
        return self._drawn("comparison", "error", ax, **cells)

    def scaling(self, what: str = "time", ax: Axes | None = None, **cells: Choice) -> Axes:
        """Draw a quantity of one operator against the size n.

        Parameters
        ----------
        what
            ``time`` of a call, with the exponent by which it grows and its 95 % interval; ``setup``: preparation and
            first call, with compiling; ``memory``; ``error``.
        ax, cells
            As for the other figures. Of several operators the gradient is drawn, else the Jacobian, else the first.
        """
        return self._drawn("scaling", "scaling", ax, what=what, **cells)

    def profile(self, ax: Axes | None = None, **cells: Choice) -> Axes:
        """Draw the performance profile: in which share of the groups a backend is within a factor of the fastest."""
        return self._drawn("profile", "profile", ax, **cells)

    if not TYPE_CHECKING:  # mypy reports an unknown figure by itself

        def __getattr__(self, name: str) -> Any:
            """Raise `AttributeError` with the figures that there are."""
            words = name if name.startswith("_") else f"got plot.{name}, expected one of: {_METHODS}"
            raise AttributeError(words, name=name, obj=self)

    def __call__(self, *_: object, **__: object) -> Axes:
        """Raise `TypeError`: each figure is a method."""
        raise TypeError(f"got plot(...), expected one of: {_METHODS}")

    def _drawn(self, module: str, name: str, ax: Axes | None, **given: Any) -> Axes:
        """Draw on the caller's axes in the caller's style, or on new axes in the style of the report."""
        try:
            from autodiff_compare.plots.axes import styled
        except ModuleNotFoundError as error:
            message = f"got no {error.name}, expected it for figures: pip install 'autodiff-compare[report]'"
            raise ModuleNotFoundError(message, name=error.name) from error
        self._require(ax, {name: value for name, value in given.items() if name != "what"})
        draw: Callable[..., Axes] = getattr(importlib.import_module(f"autodiff_compare.plots.{module}"), name)
        with styled(ax):
            return draw(self._tidy(), ax, **given)

    @staticmethod
    def _require(ax: object, cells: Mapping[str, object]) -> None:
        """Raise `TypeError` if ``ax`` is no axes, or if a choice of cells has an unknown name or is a number."""
        if ax is not None and not hasattr(ax, "set_ylim"):
            raise TypeError(f"got ax={ax!r}, expected matplotlib axes; .figure.savefig('time.svg') saves")
        for name, value in cells.items():
            if name not in _CHOICES:
                raise TypeError(f"got {name}={value!r}, expected one of: {', '.join(f'{c}=' for c in _CHOICES)}, ax=")
            if value is not None and not isinstance(value, Iterable):
                raise TypeError(f"got {name}={value!r}, expected a name or a list of names")
