"""The place in an objective's source from which an operation was called, read from Python's frames."""

from __future__ import annotations

import itertools
import linecache
import pathlib
import sys
from types import FrameType
from typing import Any

from autodiff_compare import backends, taps
from autodiff_compare.explaining.recording.program import Place
from autodiff_compare.problems import base

_HERE = pathlib.Path(__file__).parents[1]
_BACKENDS, _BASE = (pathlib.Path(str(package.__file__)).parent for package in (backends, base))
#: Files between an objective and the recorder. Their frames are no places of an objective.
_BETWEEN = frozenset(
    map(
        str,
        (
            *_HERE.rglob("*.py"),
            *_BACKENDS.glob("*.py"),
            *(_BASE / "declared").glob("*.py"),
            _BASE / "problem.py",
            taps.__file__,
        ),
    )
)


def place(entry: str) -> Place:
    """Return where the innermost function of the objective is now.

    Parameters
    ----------
    entry
        Name of the recorder's function that called the objective: frames outside of it do not count.
    """
    found: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not (frame.f_code.co_name == entry and frame.f_code.co_filename in _BETWEEN):
        if frame.f_code.co_filename not in _BETWEEN and not frame.f_code.co_filename.startswith("<frozen"):
            found.append(frame)
        frame = frame.f_back
    if not found:
        return Place("", 0, "")
    outermost = found[-1]
    inner = next((f for f in found if "numpy_autodiff" not in f.f_code.co_filename), outermost)
    return _place(inner, None if inner is outermost else _place(outermost))


def _place(frame: FrameType, caller: Place | None = None) -> Place:
    file, line = frame.f_code.co_filename, frame.f_lineno
    return Place(file, line, linecache.getline(file, line).strip(), _part(frame), caller)


def _part(frame: FrameType) -> str:
    """Return the expression that is being evaluated, where it stands on one line."""
    positions: Any = getattr(frame.f_code, "co_positions", None)
    if positions is None:
        return ""
    first, last, start, end = next(itertools.islice(positions(), frame.f_lasti // 2, None))
    if first is None or first != last or start is None or end is None:
        return ""
    # Columns are counted in bytes of UTF-8.
    whole = linecache.getline(frame.f_code.co_filename, first).encode()
    return whole[start:end].decode(errors="replace")
