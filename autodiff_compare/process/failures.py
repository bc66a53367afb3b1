"""Exceptions in words: the message, and the line of the user's code in which it arose."""

from __future__ import annotations

import linecache
import os
import pathlib
import site
import sysconfig
import traceback
from collections.abc import Iterator
from types import TracebackType

#: Longest text of a line of code that a message quotes, in characters.
_LONGEST_LINE = 80
#: Longest first line of an exception's own words, in characters: advice stands at its end, and the place after it.
_LONGEST_WORDS = 280
#: The same, where a hint is told.
_LONGEST_WITH_HINT = 120
_CYTHON = frozenset({".pyx", ".pxd", ".pxi"})
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
#: Problems are users' code, although some come with the package.
_PROBLEMS = (_PACKAGE / "problems").resolve()
_BACKENDS = (_PACKAGE / "backends").resolve()


def described(error: BaseException, instead: str = "", hint: str = "") -> str:
    """Return an exception's words; its first line ends with a hint and the place in the user's code, if there are any.

    Parameters
    ----------
    error
        The exception.
    instead
        Words that replace its first line.
    hint
        What to do.
    """
    first, newline, rest = (_words(error).strip() or type(error).__name__).partition("\n")
    first, where = instead or f"{first}{_quoted_cause(rest)}", place(error)
    if not where and not hint:
        return first + newline + rest
    longest = _LONGEST_WORDS if not hint else _LONGEST_WITH_HINT
    shown = first if len(first) <= longest else f"{first[:longest]}..."
    told = f"{shown}: {hint}" if hint else shown
    return f"{told} ({where}){newline}{rest}" if where else f"{told}{newline}{rest}"


def _quoted_cause(rest: str) -> str:
    """Return the last line of a traceback that an exception quotes in its own words; empty if there is none.

    A library that catches an error of its own and raises another one often tells the cause in this way alone.
    """
    if "Traceback (most recent call last)" not in rest:
        return ""
    return f": {rest.strip().splitlines()[-1].strip()}"


def _words(error: BaseException) -> str:
    """Return an exception's own words; empty if it cannot be put into words."""
    try:
        return str(error)
    except Exception:  # a user's exception may do anything
        return ""


def place(error: BaseException) -> str:
    """Return file, line and text of the innermost line of a user's code in a traceback; empty if there is none.

    The causes of an exception are searched too: an adapter may raise another one in its place.
    """
    for each in _causes(error):
        found = ""
        for name, line in _lines(each.__traceback__):
            if _is_users(name):
                found = f"{_shown(name)}:{line}{_text(name, line)}"
        if found:
            return found
    return ""


def whole(error: BaseException) -> str:
    """Return the traceback, with its causes."""
    # On Python 3.9, on which a worker may run, the exception alone is not enough.
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _lines(found: TracebackType | None) -> Iterator[tuple[str, int]]:
    while found is not None:
        yield found.tb_frame.f_code.co_filename, found.tb_lineno
        found = found.tb_next


def _is_users(name: str) -> bool:
    """Return whether a file is a user's: not of this package, of an installed one, of Python, or made by a tracer."""
    if name.startswith("<") and not name.startswith("<ipython"):
        return False
    try:
        path = pathlib.Path(name).resolve()
    except OSError:  # a relative name, where the working directory has been removed
        return False
    if path.is_relative_to(_PROBLEMS):
        return "base" not in path.relative_to(_PROBLEMS).parts
    # Extension modules quote their Cython sources by a name relative to the folder in which they were built.
    if "__autograph_generated_file" in path.name or path.suffix in _CYTHON:
        return False
    # Packages of another environment, which a ``.pth`` file or PYTHONPATH adds to this one.
    if not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
        return False
    return not any(path.is_relative_to(root) for root in (_PACKAGE, _BACKENDS, *_installed()))


def _installed() -> Iterator[pathlib.Path]:
    """Yield the folders of installed packages and of Python's library."""
    paths = sysconfig.get_paths()
    named = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    for found in {*named, *site.getsitepackages(), site.getusersitepackages()}:
        yield pathlib.Path(found).resolve()


def _shown(name: str) -> str:
    """Return a path as short as it is clear: relative to the working directory if it lies there."""
    try:
        relative = os.path.relpath(name)
    except (ValueError, OSError):  # another drive; the working directory has been removed
        return name
    return name if relative.startswith("..") else relative


def _text(name: str, line: int) -> str:
    text = linecache.getline(name, line).strip()
    if not text:
        return ""
    return f": {text}" if len(text) <= _LONGEST_LINE else f": {text[:_LONGEST_LINE]}..."
