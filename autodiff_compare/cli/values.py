"""Numbers on the command line: each function parses the value of an option, or names the values it takes."""

from __future__ import annotations

import argparse
import cmath
import math
import re
from collections.abc import Callable

from autodiff_compare.plan import ranges
from autodiff_compare.plan.query import LARGEST_SEED

#: What ``--on`` may be.
ENGINES = "local:N, dask://HOST:PORT, slurm or slurm:PARTITION"
_ENGINE = re.compile(r"local:[1-9]\d*|dask://[^\s/]+:\d+|slurm(:[\w.,-]+)?")


def engine(text: str) -> str:
    """Return the name of an engine, one of `ENGINES`."""
    if not _ENGINE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected {ENGINES}")
    return text


def count(text: str) -> int:
    """Return a whole number from 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 0")
    return int(text)


def positive_count(text: str) -> int:
    """Return a whole number from 1."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1")
    return int(text)


def seed(text: str) -> int:
    """Return the seed of a random generator: a whole number that a table can hold."""
    if not text.isdigit() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 0 to {LARGEST_SEED}")
    return int(text)


def large_count(text: str) -> int:
    """Return a whole number from 1, written as ``100000``, ``100_000`` or ``1e5``."""
    try:
        value = int(text) if text.replace("_", "").isdigit() else float(text)
        whole = int(value)
    except (ValueError, OverflowError):
        value, whole = 0, 0
    if whole < 1 or whole != value:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1, such as 100000 or 1e5")
    return whole


def _number(text: str, fits: Callable[[float], bool], expected: str) -> float:
    """Return a number that fits; no text that is not a number does."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not fits(value):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected {expected}")
    return value


def duration(text: str) -> float:
    """Return a positive, finite number of seconds."""
    return _number(text, lambda value: 0 < value < math.inf, "a positive number of seconds")


def variable(text: str) -> str:
    """Return ``NAME`` or ``NAME=VALUE`` of an environment variable; the value is looked up when it is needed."""
    name = text.partition("=")[0]
    if not name or any(c.isspace() or c == "\0" for c in name) or "\0" in text:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected NAME, to pass the variable on, or NAME=VALUE")
    return text


def percentage(text: str) -> float:
    """Return a percentage from 2 to 1000."""
    return _number(text, lambda value: 2 <= value <= 1000, "a number of percent from 2 to 1000")


def share(text: str) -> float:
    """Return a percentage from 0 to 100."""
    return _number(text, lambda value: 0 <= value <= 100, "a number of percent from 0 to 100")


def numbers(text: str) -> tuple[complex, ...]:
    """Return numbers with commas between them, such as ``-2,0.5`` or ``1+2j,3``; real ones are floats."""
    try:
        found = tuple(complex(part) if "j" in part.lower() else float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(map(cmath.isfinite, found)):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected finite numbers with commas between, such as -2,0.5")
    return found


def real_numbers(text: str) -> tuple[float, ...]:
    """Return real numbers with commas between them."""
    found = numbers(text)
    if any(isinstance(value, complex) for value in found):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected real numbers")
    return tuple(float(value.real) for value in found)


def positive(text: str) -> float:
    """Return a positive, finite number."""
    return _number(text, lambda value: 0 < value < math.inf, "a positive number, such as 1e-5")


def finite(text: str) -> float:
    """Return a finite number."""
    return _number(text, math.isfinite, "a number, such as 1e-6")


def sizes(text: str) -> list[str]:
    """Return the sizes that a number or a range such as ``10:1e6:log7`` names: ``n=10``, ..."""
    try:
        return [f"n={number}" for number in ranges.numbers(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
