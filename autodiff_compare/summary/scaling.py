"""Exponents of the time against the size, for each backend on one problem and operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autodiff_compare.results.timings import more_than_noise
from autodiff_compare.timing.growth import Growth, growth
from autodiff_compare.vocabulary import Status

if TYPE_CHECKING:
    import pandas as pd


def growths(rows: pd.DataFrame) -> dict[str, Growth]:
    """Return ``backend[:variant]`` -> growth of the time of a call with n.

    Parameters
    ----------
    rows
        Rows of one problem, operator, dtype and machine, as of `autodiff_compare.results.frames.tidy.tidy`. Times of
        cells that are not right, or whose flags say that they are not those of the computation, are left out.
    """
    clear = rows["flags"].map(lambda flags: not more_than_noise(flags)).astype("bool")
    used = rows[clear & (rows["status"] == Status.OK) & rows["n"].notna() & (rows["median_s"] > 0)]
    return {str(spec): _of(own) for spec, own in used.groupby("spec", sort=False)}


def _of(own: Any) -> Growth:
    columns: Mapping[str, Any] = {name: own[name].astype("float64") for name in ("n", "median_s", "low_s", "high_s")}
    return growth(*(list(columns[name]) for name in ("n", "median_s", "low_s", "high_s")))
