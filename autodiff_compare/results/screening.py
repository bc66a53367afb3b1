"""The screening of tables that come from elsewhere: impossible numbers are refused, control characters escaped.

A folder of results is data. Its names and messages reach terminals, where a control character is a command, and its
numbers are divided by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from autodiff_compare.results.formatting import printable

if TYPE_CHECKING:
    import pandas as pd

#: Table -> column -> the least value of its numbers; nan and infinities are refused too.
_LEAST: Mapping[str, Mapping[str, float]] = {
    "samples": {"seconds": 0.0, "calls": 1, "round": 0, "sample": 0},
    "timings": {"n": 0},
    "cells": {"n_inputs": 0, "n_outputs": 0, "peak_rss_bytes": 0, "threads_requested": 0, "contended_rounds": 0},
    "runs": {"cpu_count": 0, "threads": 0, "rounds": 0},
    "machines": {"cpu_count": 0},
}
#: Table -> columns that hold together at most once.
_UNIQUE: Mapping[str, tuple[str, ...]] = {
    "runs": ("run_id",),
    "cells": ("cell_id",),
    "machines": ("key", "hostname"),
    "timings": ("cell_id", "phase", "machine"),
    "samples": ("cell_id", "phase", "round", "sample", "machine"),
    "descents": ("cell_id", "start"),
}


def impossible(name: str, frame: pd.DataFrame) -> str:
    """Return what a table cannot hold, in one line: a number out of its range, or a row twice; empty if it is fine.

    Parameters
    ----------
    name
        Name of the table.
    frame
        The table, with the types of its columns.
    """
    for column, least in _LEAST.get(name, {}).items():
        # Only columns that may be empty hold missing integers; nan is no missing number of seconds.
        numbers = frame[column] if frame[column].dtype == "float64" else frame[column].dropna()
        wrong = numbers[~((numbers >= least) & (numbers < float("inf")))]
        if len(wrong):
            return f"got {wrong.iloc[0]} in column {column!r} of the table {name}, expected numbers from {least:g}"
    if name == "samples" and (frame["phase"].isin(["steady", "value"]) & (frame["seconds"] == 0)).any():
        return "got a timed block of 0 s in the table samples, expected a positive number"
    unique = list(_UNIQUE.get(name, ()))
    if unique and frame.duplicated(unique).any():
        twice = frame.loc[frame.duplicated(unique), unique].iloc[0]
        words = printable("/".join(map(str, twice)))[:80]
        return f"got {words} twice in the table {name}, expected each {unique[0]} once"
    return ""


def escaped(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the control characters of its texts escaped; line breaks are kept."""
    cleaned = frame.copy()
    # Before version 3, pandas has no dtype of its own for texts.
    for column in frame.columns[(frame.dtypes == "str") | (frame.dtypes == "object")]:
        words = {text: printable(text) for text in frame[column].unique()}
        if any(text != word for text, word in words.items()):
            cleaned[column] = frame[column].map(words).astype("str")
    return cleaned
