"""Times of a frame relative to the fastest of their group, as performance profiles compare them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from autodiff_compare.results.frames.tidy import right_and_timed
from autodiff_compare.results.timings import doubtful

#: The columns in which the cells of a group are equal.
GROUP = ("problem", "size", "operator")


def without_doubt(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows from whose times something may be concluded: those without a doubtful flag."""
    kept: pd.DataFrame = frame[[not doubtful(str(flags)) for flags in frame["flags"]]]
    return kept


def relative_times(frame: pd.DataFrame, specs: Sequence[str]) -> pd.DataFrame:
    """Return each time over the fastest of its group: a row for each group, a column for each backend.

    A group with a doubtful time is left out: its flag may tell of the machine alone.

    Parameters
    ----------
    frame
        Cells of one machine and dtype.
    specs
        The backends, ``backend[:variant]``. One that has no right time in a group has the ratio inf there.
    """
    right, group = right_and_timed(frame), list(GROUP)
    flagged = pd.Series([bool(doubtful(str(flags))) for flags in right["flags"]], index=right.index, dtype="bool")
    clear = right[~flagged.groupby([right[name] for name in group]).transform("any").astype("bool")]
    times = clear.pivot_table(index=group, columns="spec", values="median_s", sort=False)
    return times.div(times.min(axis=1), axis=0).reindex(columns=list(specs)).fillna(math.inf)
