"""Messages on standard error: one line each in a pipe or a file, and wrapped in a terminal.

Only the standard library is imported here, so that ``--help`` is quick.
"""

from __future__ import annotations

import difflib
import pathlib
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

#: A command of a clone in a text, but not the path of a clone's program.
_COMMAND = re.compile(r"(?<![\w/.\\])compare\.py (?=[a-z]+)")

#: End of the program's path, without its suffix -> the words that call it.
_CALLED = {
    ("autodiff-compare",): "autodiff-compare",
    ("autodiff_compare", "__main__"): "python -m autodiff_compare",
    ("compare",): "python compare.py",
}


def complain(message: str, program: str = "autodiff-compare") -> None:
    """Print a message on standard error, after the name of the program."""
    print(_fitted(f"{program}: {as_called(message)}"), file=sys.stderr)


def as_called(text: str) -> str:
    """Return a text with its commands as this program was called, so that they can be pasted."""
    program = pathlib.Path(sys.argv[0])
    parts = (*program.parts[:-1], program.stem)
    called = _CALLED.get(parts[-1:]) or _CALLED.get(parts[-2:])
    return _COMMAND.sub(f"{called} ", text) if called else text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``, did you mean NAME?`` with the known names that are similar; empty if none is."""
    close = difflib.get_close_matches(name, list(known), n=2)
    return f", did you mean {' or '.join(close)}?" if close else ""


def expected(name: str, known: Sequence[str], number: str = "one") -> str:
    """Return what follows an unknown name in a message: the similar names, then what is expected: all of them."""
    hint = did_you_mean(name, known)
    return f"{f'{hint} Expected' if hint else ', expected'} {number} of: {', '.join(known)}"


def _fitted(line: str) -> str:
    """Return a line as it is, or in a terminal in as many lines as it takes; a path is not broken."""
    if sys.stderr is None or not sys.stderr.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
