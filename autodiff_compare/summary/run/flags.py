"""The flags of a run: what each says of a time, and the cells that have it."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from autodiff_compare.results.tables import specs_of
from autodiff_compare.summary.terminal import plain_table

#: Flag -> its meaning for a reader.
FLAGS = {
    "noisy": "noisy: the middle half of the timing rounds spreads over more than 10 % of their median",
    "contended": "contended: in over a quarter of the rounds, over 5 % of the time passed waiting for a CPU; other "
    "programs were running",
    "drift": "drift: the time rises or falls from round to round",
    "retraced": "retraced: the function was traced again while it was timed",
    "threads": "threads: more threads were busy than --threads allows",
    "lazy": "lazy: the result is computed when it is read, after the clock has stopped; the time is not compared",
    "remembers": "remembers: calls on an input that was seen before compute nothing; the time is not compared",
    "fallback": "fallback: not computed as the variant is described: numpy:numba by straight-line NumPy code, as "
    "numpy:compiled; numpy:compiled, in long loops whose length depends on data, as numpy",
    "cut": "cut: fewer rounds than requested, because the --budget was spent",
}


def table(cells: pd.DataFrame) -> Table:
    """Return one row per flag: its meaning, the number of cells that have it, their backends."""
    made = plain_table("Flagged times, to be read with care")
    for name in ("flag", "cells", "backends"):
        made.add_column(name, overflow="fold", justify="right" if name == "cells" else "left")
    specs, sets = specs_of(cells), cells["flags"].str.split()
    for flag, words in FLAGS.items():
        having = sets.map(lambda flags, flag=flag: flag in flags)
        if having.any():
            made.add_row(words, f"{having.sum()} of {len(cells)}", ", ".join(dict.fromkeys(specs[having])))
    return made
