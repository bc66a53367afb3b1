"""The verb ``new``: write a commented file to start from, for a function, a problem or a backend of one's own."""

from __future__ import annotations

import argparse
import importlib.util
import keyword
import pathlib

from autodiff_compare.backends import available
from autodiff_compare.cli import exits
from autodiff_compare.cli.console import usage
from autodiff_compare.cli.messages import as_called
from autodiff_compare.cli.verbs.starters import STARTERS

#: Kind -> the command that tries the file.
_NEXT = {
    "function": "compare.py run ./{file}",
    "problem": "compare.py check ./{file}",
    "backend": "compare.py conformance ./{file}",
}


def new(options: argparse.Namespace) -> int:
    """Write the file into the current folder and print the command that tries it; return the exit code."""
    name = options.name
    if not name.isidentifier() or keyword.iskeyword(name):
        return usage(f"got the name {name!r}, expected letters, digits and underscores, such as my_{options.kind}")
    file, text = (part.replace("NAME", name) for part in STARTERS[options.kind])
    if taken := _taken(options.kind, name, pathlib.Path(file)):
        return usage(f"got the name {name!r}, {taken}, expected another, such as my_{name}")
    try:
        # An existing file is never overwritten.
        with pathlib.Path(file).open("x", encoding="utf-8") as out:
            out.write(as_called(text))
    except FileExistsError:
        return usage(f"got {file}, which is there already, expected a new name: rename it, or remove the file")
    except OSError as error:
        return usage(f"cannot write {file}: {error.strerror or error}")
    print(as_called(f"Wrote {file}. Try it: {_NEXT[options.kind].format(file=file)}"))
    return exits.OK


def _taken(kind: str, name: str, file: pathlib.Path) -> str:
    """Return what has the name of a new file already, in words; empty if the name is free.

    Python looks for a module in the current folder first: beside a `numpy.py`, no program there can import NumPy.
    """
    if kind == "backend" and name in available():
        return "which is a backend of this project"
    if not file.exists() and importlib.util.find_spec(file.stem) is not None:
        return f"a module of Python or an installed package, which {file} would hide"
    return ""
