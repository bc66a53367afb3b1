"""The fields of responses: a worker, or an adapter in it, may report anything in the place of a number or a text.

What is reported becomes a row of the tables, from which medians and intervals are computed. A number of seconds that is
nan, a size in bytes that is no integer or a text that is missing would end the run, or leave tables that no verb reads.
A response is therefore checked where it arrives; a malformed one costs its own cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.process.client import WorkerError
from autodiff_compare.vocabulary import Status

#: Settings of a framework that a backend may report: columns of both ``runs.csv`` and ``machines.csv``.
SWITCHES = ("onednn",)
#: Characters of a malformed field that are quoted in a message.
_QUOTED = 40


@dataclass(frozen=True)
class _Kind:
    """What a field must be: a test, and its words."""

    holds: Callable[[Any], bool]
    words: str


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number; an integer may be too large for a float."""
    if _is_integer(value):
        return abs(int(value)) < 1 << 63
    return isinstance(value, (float, np.floating)) and math.isfinite(value)


def _each(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(map(holds, value))


def _is_duration(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return value is None or (_is_integer(value) and 0 <= value < 1 << 63)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_switches(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) <= set(SWITCHES) and all(map(_is_text, value.values()))


_ARRAYS = _Kind(_each(lambda value: isinstance(value, np.ndarray)), "a list of arrays")
_SECONDS = _Kind(_is_duration, "a finite number from 0")
_POSITIVE = _Kind(_is_positive, "a positive finite number")
_BLOCKS = _Kind(lambda value: bool(value) and _each(_is_positive)(value), "positive finite numbers")
_VALUE_BLOCKS = _Kind(_each(_is_positive), "positive finite numbers")
_WAITED = _Kind(_each(_is_duration), "finite numbers from 0")
_COUNT = _Kind(_is_count, "an integer from 0, or nothing")
_TEXT = _Kind(_is_text, "a text")
_WORDS = _Kind(_each(_is_text), "a list of texts")
_BOOL = _Kind(lambda value: isinstance(value, (bool, np.bool_)), "true or false")
_SWITCHES = _Kind(_are_switches, f"words for some of: {', '.join(SWITCHES)}")

#: Verb -> the fields of its response. Verbs of studies answer with rows of their own, which those check.
_FIELDS: Mapping[str, Mapping[str, _Kind]] = {
    "open": {"seconds": _SECONDS, "threads": _SECONDS, "threads_active": _COUNT, "switches": _SWITCHES},
    "cell": {
        "result": _ARRAYS,
        "repeatable": _BOOL,
        "inputs_unchanged": _BOOL,
        **dict.fromkeys(("prepare_s", "prepare_waited_s", "first_call_s", "first_call_waited_s"), _SECONDS),
        **dict.fromkeys(("how", "mode", "conversion", "memory_method"), _TEXT),
        **dict.fromkeys(("objective_calls", "peak_bytes"), _COUNT),
        "flags": _WORDS,
    },
    "calibrate": {"per_call_s": _POSITIVE, "flags": _WORDS},
    "beside": {"per_call_s": _POSITIVE},
    "visit": {
        "seconds": _BLOCKS,
        "waited_s": _WAITED,
        "value_seconds": _VALUE_BLOCKS,
        "value_waited_s": _WAITED,
        "retraced": _BOOL,
        "other": _Kind(lambda value: value is None or _ARRAYS.holds(value), "a list of arrays, or nothing"),
    },
    "finish": {"retraced": _BOOL, "flags": _WORDS},
}
#: Fields that hold as many numbers as others.
_AS_MANY = (("waited_s", "seconds"), ("value_waited_s", "value_seconds"))


def checked(verb: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of a response to a verb.

    Raises
    ------
    WorkerError
        If it lacks a field or holds something else in it.
    """
    if verb == "calibrate" and found.get("lost") is True:
        return found
    for name, kind in _FIELDS.get(verb, {}).items():
        if name not in found:
            raise _malformed(verb, f"got no {name}, expected {kind.words}")
        if not kind.holds(found[name]):
            raise _malformed(verb, f"got {_quoted(found[name])} as {name}, expected {kind.words}")
    for name, of in _AS_MANY if verb == "visit" else ():
        if len(found[name]) != len(found[of]):
            raise _malformed(verb, f"got {len(found[name])} {name} for {len(found[of])} {of}, expected as many")
    return found


def _quoted(value: object) -> str:
    try:
        return repr(value)[:_QUOTED]
    except Exception:  # of an adapter's own type, or an integer of more digits than Python writes
        return f"a {type(value).__name__}"


def _malformed(verb: str, words: str) -> WorkerError:
    return WorkerError(Status.ERROR, f"malformed response to {verb!r}: {words}")
