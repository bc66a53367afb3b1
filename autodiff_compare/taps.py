"""Taps: names that a user gives to intermediate results, so that ``explain`` can compare them between backends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

_Array = TypeVar("_Array")

#: What is told of tapped arrays, the last one only; empty while nothing listens. A list, since torch.compile traces
#: reads of a global list and rejects context variables (torch 2.13).
_listeners: list[Callable[[str, object], object]] = []


def tap(name: str, x: _Array) -> _Array:
    """Give an intermediate result a name, and return it unchanged.

    Write taps into a function of one framework (``OBJECTIVES``), and ``compare.py explain`` can tell between which
    of them two backends part: it compares the values, tangents and cotangents of arrays with equal names. In an
    ``objective`` of ``xp`` every operation is compared anyway, and a tap adds a name.

    Without a listener, a tap is the identity: it is differentiated in any order of modes, and compilers remove it.

    Parameters
    ----------
    name
        Name of the intermediate result, the same for all backends. In a loop that runs in Python, the same
        name may occur many times.
    x
        The array, of any framework.

    Returns
    -------
    array
        ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff_compare import tap
    >>> hidden = tap("hidden", np.tanh(np.ones(3)))
    """
    return _listeners[-1](name, x) if _listeners else x  # type: ignore[return-value]


@contextlib.contextmanager
def listening(listener: Callable[[str, object], object]) -> Iterator[None]:
    """Replace every tapped array by ``listener(name, array)`` within a context."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()
