"""Text files of numbers, read line by line; every error names the file and the line.

A user's file may be damaged or hostile. No memory is allocated by a count in the file before as many lines have been
read, and every defect of a file raises `InstanceError`.
"""

from __future__ import annotations

import codecs
import io
import math
import pathlib
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.problems.base.problem import ProblemError

#: The largest public instance has 70 MB.
MOST_BYTES = 2**28
#: Largest plausible count; the largest public one is 4 456 117.
MOST = 10**7


class InstanceError(ProblemError):
    """An instance file cannot be read; the message names file and line, what was got and what was expected."""


class Text:
    """Read the lines of a file in order, without blank ones.

    Parameters
    ----------
    path
        An ordinary file of at most `MOST_BYTES`.

    Raises
    ------
    InstanceError
        If it is not an ordinary file, is too large or cannot be read.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.line = 0
        self._lines = io.BytesIO(_contents(path))

    def fail(self, got: str, expected: str) -> NoReturn:
        """Raise an error for the line last read."""
        where = f", line {self.line}" if self.line else ""
        raise InstanceError(f"{self.path}{where}: got {got}, expected {expected}")

    def fields(self, what: str, *, width: int | None = None, separator: str | None = None) -> list[str]:
        """Return the fields of the next line that is not blank.

        Parameters
        ----------
        what
            The expected content in words, for the error: ``"row 3 of 5 of the means"``.
        width
            The required number of fields; `None` for any.
        separator
            Text between fields; `None` for white space.
        """
        found = self._next()
        if not found:
            self.fail("the end of the file", what)
        # The formats are ASCII. Any other byte becomes a field that is not a number.
        fields = [field.strip() for field in found.decode("ascii", "replace").split(separator)]
        if width is not None and len(fields) != width:
            self.fail(f"{len(fields)} field{'s' * (len(fields) != 1)}", f"{width}: {what}")
        return fields

    def counts(self, names: str, *, smallest: int = 1, largest: int = MOST) -> tuple[int, ...]:
        """Read a line of whole numbers, one for each of the ``names``, such as ``"d k n"``."""
        wanted = names.split()
        found = self.fields(f"the counts {names}", width=len(wanted))
        return tuple(self.count(f, n, smallest, largest) for f, n in zip(found, wanted, strict=True))

    def numbers(self, what: str, width: int) -> list[float]:
        """Read a line of exactly ``width`` finite numbers; ``what`` describes them."""
        return [self.number(field, what) for field in self.fields(what, width=width)]

    def table(self, what: str, rows: int, width: int) -> NDArray[np.float64]:
        """Read ``rows`` lines of ``width`` finite numbers each, shape (rows, width)."""
        found = [self.numbers(f"row {i} of {rows} of {what}", width) for i in range(1, rows + 1)]
        return np.array(found, dtype=np.float64).reshape(rows, width)

    def number(self, field: str, what: str) -> float:
        """Return a field as a finite number."""
        try:
            value = float(field) if "_" not in field else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.fail(_quoted(field), f"a finite number: {what}")
        return value

    def count(self, field: str, what: str, smallest: int = 0, largest: int = MOST) -> int:
        """Return a field as a whole number from ``smallest`` to ``largest``."""
        digits = field.removeprefix("-")
        value = int(field) if digits.isascii() and digits.isdigit() and len(field) < 20 else None
        if value is None or not smallest <= value <= largest:
            self.fail(_quoted(field), f"a whole number from {smallest} to {largest}: {what}")
        return value

    def end(self) -> None:
        """Reject further lines that are not blank."""
        if self._next():
            self.fail("a further line", "the end of the file")

    def more(self) -> bool:
        """Return whether there is another line that is not blank."""
        here, line = self._lines.tell(), self.line
        found = bool(self._next())
        self._lines.seek(here)
        self.line = line
        return found

    def _next(self) -> bytes:
        for line in self._lines:
            self.line += 1
            if line.strip():
                return line
        return b""


def bounded(text: Text, entries: int, most: int = 2**27) -> None:
    """Reject counts that imply more than ``most`` array entries (2**27: a gigabyte)."""
    if entries > most:
        text.fail(f"counts that imply {entries} entries", f"at most {most}")


def _contents(path: pathlib.Path) -> bytes:
    def fail(got: str, expected: str) -> NoReturn:
        raise InstanceError(f"{path}: got {got}, expected {expected}")

    try:
        if not path.is_file():
            fail("no file", "an ordinary file")
        with path.open("rb") as file:
            contents = file.read(MOST_BYTES + 1)
    except OSError as error:
        fail(error.strerror or str(error), "a file that can be read")
    if len(contents) > MOST_BYTES:
        fail(f"more than {MOST_BYTES} bytes", "a smaller file")
    return contents.removeprefix(codecs.BOM_UTF8)  # some editors write it at the beginning


def _quoted(field: Any) -> str:
    text = ascii(str(field))
    return text if len(text) <= 40 else f"{text[:37]}..."
