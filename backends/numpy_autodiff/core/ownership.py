"""Arrays that a recording needs and that others can write to.

A recorded product keeps its factors, to be looked at in the backward sweep. What the engine computed nobody else can
reach: `Variable.value` is a read-only view. The arrays of others are

- *held* by `grad` and the other transforms that record and sweep in one call: read-only until the call returns, so
  that a write in between raises;
- *copied* where a recording outlives its call (`vjp`, `linearize`, the backward style).

Only what a rule looks at: adding an array is not keeping it. What is held is an array and the memory it is a view of.
Another view of that memory, made before, is still writable, and a write through it goes unnoticed; one made later is
read-only. Where such a view is itself an operand it is copied, for it could not be released before the memory is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_ndarray = np.ndarray

ADVICE = (
    "A recorded operation still needs this array, which is read-only until its derivative is computed: "
    "write into a copy, or make a new array."
)


def keep(held: list[Any], array: Any) -> Any:
    """What to record for an array of someone else: the array, which is then held, or a copy."""
    base = array.base
    if base is None:
        if array.flags.writeable:
            _hold(held, array)
        return array
    if not isinstance(base, _ndarray) or isinstance(base.base, _ndarray):
        # Memory of a file or of another library: it might not be made writable again.
        return array.copy() if array.flags.writeable else array
    if array.flags.writeable:
        if not base.flags.writeable:
            return array.copy()
        _hold(held, array)
    if base.flags.writeable:
        _hold(held, base)
    return array


def _hold(held: list[Any], array: Any) -> None:
    array.setflags(False)
    held.append(array)


def keep_all(held: list[Any], args: Sequence[Any]) -> tuple[Any, ...]:
    """`keep` of the arrays among arguments, those in indices included."""
    return tuple([keep(held, a) if isinstance(a, _ndarray) else _within(held, a) for a in args])


def _within(held: list[Any], a: Any) -> Any:
    return keep_all(held, a) if a.__class__ is tuple else list(a) if a.__class__ is list else a


def release(held: list[Any]) -> None:
    """Give back what is held: memory before its views."""
    while held:
        held.pop().setflags(True)


def own(held: list[Any], nodes: Sequence[Any]) -> None:
    """Let the nodes have copies of what is held, one of each array, and give the arrays back."""
    if held:
        copies: dict[int, Any] = {id(a): None for a in held}
        for node in nodes:
            node.args = _with_copies(node.args, copies)
    release(held)


def _with_copies(args: tuple[Any, ...], copies: dict[int, Any]) -> tuple[Any, ...]:
    return tuple([_with_copies(a, copies) if a.__class__ is tuple else _copy(a, copies) for a in args])


def _copy(a: Any, copies: dict[int, Any]) -> Any:
    if id(a) not in copies:
        return a
    if copies[id(a)] is None:
        copies[id(a)] = a.copy()
    return copies[id(a)]


def copied(args: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments, with copies of arrays, those in indices included."""
    return tuple([a.copy() if isinstance(a, _ndarray) else _copied_within(a) for a in args])


def _copied_within(a: Any) -> Any:
    return copied(a) if a.__class__ is tuple else list(a) if a.__class__ is list else a
