"""What the workers' code needs and an older Python lacks (see `autodiff_compare.process.interpreters`).

Our code is written for the Python of ``pyproject.toml``; only a worker may meet an older one, down to 3.9. There
``zip`` has no ``strict``, which a hundred calls of ours pass: a worker gives it one before anything else runs,
rather than that all of them do without.
"""

from __future__ import annotations

import builtins
import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import Any

_END = object()


class _Zip(zip):  # type: ignore[type-arg]
    """``zip`` as of Python 3.10; a subclass, so that what other code asks of its type stays true."""

    def __new__(cls, *iterables: Iterable[Any], strict: bool = False) -> Any:
        return _strict(iterables) if strict else super().__new__(cls, *iterables)


def _strict(iterables: tuple[Iterable[Any], ...]) -> Iterator[tuple[Any, ...]]:
    for row in itertools.zip_longest(*iterables, fillvalue=_END):
        if any(item is _END for item in row):
            raise ValueError("zip() got arguments of different lengths, expected equal ones")
        yield row


def complete() -> None:
    """Give this process what its Python lacks; nothing on Python 3.10 and later."""
    if sys.version_info < (3, 10):  # noqa: UP036 - of this project, not of its workers
        builtins.zip = _Zip
