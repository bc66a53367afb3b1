"""The answer of `Tables.recommend`: which backend to use, when another one is cheaper, and how sure that is."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from autodiff_compare.results.formatting import seconds
from autodiff_compare.summary.recommendation import Recommendation
from autodiff_compare.summary.recommendation_text import paragraphs

if TYPE_CHECKING:
    import pandas as pd


class Crossover(NamedTuple):
    """A number of calls, and the backend that is the cheapest from there on."""

    calls: int
    backend: str


class Advice:
    """A recommended backend with its reasons; printed, it is a text.

    Attributes
    ----------
    best : str
        The backend, ``name[:variant]``, as ``compare`` takes it.
    sure : bool
        Whether every other right backend would cost more, even if first calls were off by a factor of 2. Under eight
        rounds, with other programs on the CPU, and where the difference does not matter, it is False.
    crossovers : tuple of Crossover
        Numbers of calls at which another backend becomes the cheapest, in growing order; empty if one is the cheapest
        for any number.
    equals : tuple of str
        Backends between which and the best there is no difference that matters.
    calls : int
        Number of planned calls.
    """

    def __init__(self, found: Recommendation) -> None:
        self._found = found
        self.best = found.best.spec
        self.sure = found.sure
        self.crossovers = tuple(Crossover(calls, candidate.spec) for calls, candidate in found.ranges[1:])
        self.equals = tuple(candidate.spec for candidate in found.equals)
        self.calls = found.calls

    @property
    def costs(self) -> pd.DataFrame:
        """Return one row for each right backend, the cheapest first.

        The columns are ``backend``, ``once_s`` (preparation and first call), ``steady_s`` with ``low_s`` and
        ``high_s`` (each later call, 95 % interval), ``total_s`` (all planned calls), ``error``, ``peak_bytes``.
        """
        import pandas as pd

        rows = [
            {
                "backend": c.spec,
                "once_s": c.once_s,
                "steady_s": c.steady_s,
                "low_s": c.low_s,
                "high_s": c.high_s,
                "total_s": c.total(self.calls),
                "error": c.error,
                "peak_bytes": c.peak_bytes,
            }
            for c in self._found.ranked
        ]
        return pd.DataFrame(rows).astype({"peak_bytes": "Int64"})

    def __str__(self) -> str:
        return "\n".join(paragraphs(self._found))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return the conclusions and a table of the costs."""
        return "".join([*(f"<p>{html.escape(text)}</p>" for text in paragraphs(self._found)), *self._table()])

    def _table(self) -> Iterator[str]:
        heads = ("backend", "first call", "each later call", f"{self.calls:,} calls".replace(",", " "), "error")
        yield f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead><tbody>"
        for c in self._found.ranked:
            error = f"{c.error:.0e}" if c.error == c.error else "-"
            cells = (html.escape(c.spec), seconds(c.once_s), seconds(c.steady_s), seconds(c.total(self.calls)), error)
            yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        yield "</tbody></table>"
