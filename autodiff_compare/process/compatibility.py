"""Replacements for builtins that the worker's code needs and an older Python lacks.

This package is written for the Python of ``pyproject.toml``. Only a worker may run on an older one, down to 3.9 (see
`autodiff_compare.process.interpreters`). There ``zip`` has no parameter ``strict``, which about a hundred calls in this
package pass. A worker therefore replaces ``zip`` before any other code runs.
"""

from __future__ import annotations

import builtins
import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import Any

_END = object()


class _Zip(zip):  # type: ignore[type-arg]
    """``zip`` as of Python 3.10; a subclass, so that ``isinstance(x, zip)`` in other code still holds."""

    def __new__(cls, *iterables: Iterable[Any], strict: bool = False) -> Any:
        return _strict(iterables) if strict else super().__new__(cls, *iterables)


def _strict(iterables: tuple[Iterable[Any], ...]) -> Iterator[tuple[Any, ...]]:
    for row in itertools.zip_longest(*iterables, fillvalue=_END):
        if any(item is _END for item in row):
            raise ValueError("zip() got arguments of different lengths, expected equal ones")
        yield row


def complete() -> None:
    """Add the missing builtins to this process; do nothing on Python 3.10 and later."""
    if sys.version_info < (3, 10):  # noqa: UP036 - the project needs 3.11, a worker only 3.9
        builtins.zip = _Zip
