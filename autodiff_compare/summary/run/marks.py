"""Marks beside the times of a table: how each cell compares with the fastest of its row, and what a mark means."""

from __future__ import annotations

from typing import Any

from autodiff_compare.timing.statistics import CONTENDED

#: Stands for an empty ``versus_fastest`` in a table in which other cells were compared.
_NONE = "?"
#: ``versus_fastest`` -> its mark; a cell that is proved slower has none.
MARKS = {"fastest": "*", "~": "~", CONTENDED: "?", _NONE: "?"}


def marked(steady: Any) -> Any:
    """Return the timings of a table with ``?`` for each cell that was not compared, if any cell was."""
    versus = steady["versus_fastest"].fillna("")
    return steady.assign(versus_fastest=versus.replace("", _NONE) if versus.any() else versus)


def meaning(versus: Any) -> str:
    """Return the meaning of the marks that occur, from ``versus_fastest`` of the cells of a table."""
    uncompared, contended = versus.isin([_NONE, CONTENDED]).any(), (versus == CONTENDED).any()
    known = (
        ((versus == "fastest").any(), "* fastest of those compared" if uncompared else "* fastest"),
        ((versus == "~").any(), "~ not proved slower"),
        (uncompared and contended, "? not compared: other programs used the CPU"),
        (uncompared and not contended, "? not compared: no other cell, or too few rounds"),
        (versus.str.contains("x").any(), "no mark: proved slower"),
    )
    return "".join(f"{words}; " for there, words in known if there)
