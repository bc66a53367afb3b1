"""The screening of tables that come from elsewhere: impossible numbers are refused, control characters escaped.

A folder of results is data. Its names and messages reach terminals, where a control character is a command, and its
numbers are divided by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from autodiff_compare.results.formatting import printable
from autodiff_compare.vocabulary import DTYPES, HALF_DTYPES

if TYPE_CHECKING:
    import pandas as pd

#: Table -> column -> the least value of its numbers; nan and infinities are refused too.
_LEAST: Mapping[str, Mapping[str, float]] = {
    "samples": {"seconds": 0.0, "calls": 1, "round": 0, "sample": 0},
    "timings": {"n": 0, "min_s": 0.0, "median_s": 0.0},
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
#: Tables whose column ``dtype`` names the dtype of their numbers.
_OF_DTYPES = frozenset({"cells", "pairs", "conventions"})


def _is_text(found: Any) -> bool:
    return isinstance(found, str)


def _is_whole(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool)


def _are_numbers(found: Any) -> bool:
    """Return whether decoded JSON is a number or truth value, or lists of them; texts hold nan and complex numbers."""
    if isinstance(found, list):
        return all(map(_are_numbers, found))
    try:
        return isinstance(found, (int, float, str)) and complex(found) is not None
    except (ValueError, OverflowError):
        return False


def _are_ranges(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(each, list) and len(each) == 2 for each in found)


def _object_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, dict) and all(map(holds, found.values()))


_TEXTS = (_object_of(_is_text), "a JSON object of texts")
_NUMBERS = (_are_numbers, "JSON of numbers")
_RANGES = (lambda found: _are_ranges(found) and _are_numbers(found), "a JSON list of pairs of numbers")
_COUNTS = (_object_of(_is_whole), "a JSON object of integers")
#: Table -> column of JSON -> what it must hold, as a test and in words; it may be empty.
_JSON: Mapping[str, Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "runs": {"versions": _TEXTS, "environment": _TEXTS},
    "machines": {"versions": _TEXTS, "environment": _TEXTS},
    "conventions": {
        **dict.fromkeys(("point", "expected", "obtained", "left", "right_side"), _NUMBERS),
        "hull": _RANGES,
    },
    "findings": {"seen": _COUNTS},
}


def impossible(name: str, frame: pd.DataFrame) -> str:
    """Return what a table cannot hold, in one line: an impossible number or text, or a row twice; empty if it is fine.

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
    if damaged := _impossible_text(name, frame):
        return damaged
    unique = list(_UNIQUE.get(name, ()))
    if unique and frame.duplicated(unique).any():
        twice = frame.loc[frame.duplicated(unique), unique].iloc[0]
        words = printable("/".join(map(str, twice)))[:80]
        return f"got {words} twice in the table {name}, expected each {unique[0]} once"
    return ""


def _impossible_text(name: str, frame: pd.DataFrame) -> str:
    """Return what a column of dtypes or of JSON cannot hold, in one line; empty if all is fine."""
    known = (*DTYPES, *HALF_DTYPES)
    for text in filter(None, frame["dtype"].unique()) if name in _OF_DTYPES else ():
        if text not in known:
            return f"got {text!r:.40} in column 'dtype' of the table {name}, expected one of: {', '.join(known)}"
    for column, (holds, words) in _JSON.get(name, {}).items():
        for text in filter(None, frame[column].unique()):
            try:
                fits = holds(json.loads(text))
            except (ValueError, RecursionError):
                fits = False
            if not fits:
                return f"got {text!r:.40} in column {column!r} of the table {name}, expected {words}"
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
