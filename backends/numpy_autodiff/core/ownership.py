"""Ownership of recorded arrays: no array that a recording needs can change unnoticed.

A recorded product keeps its factors for the backward sweep. Arrays that the engine computed are safe: nobody else can
reach them, since `Variable.value` is a read-only view. Arrays that the caller owns are

- *held* by `grad` and the other transforms that record and sweep in one call: they are read-only until the call
  returns, so that a write in between raises;
- *copied* where a recording outlives its call (`vjp`, `linearize`, the backward style).

This concerns only arrays whose values a rule reads; an array that is merely added is not kept. A view is held together
with the memory that it is a view of if it covers all of it, as a transpose does. A view of a part, such as a row, is
copied: what is beside it stays writable, also for other threads. A view of a held array which was made before is still
writable, and a write through it is not noticed; a view made later is read-only.
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
    """Return the array to record in place of the caller's ``array``: itself, now held, or a copy."""
    base = array.base
    if base.__class__ is _ndarray and array.nbytes < base.nbytes:
        return copy_of(array)
    writeable = array.flags.writeable
    if base is None:
        if writeable:
            _hold(held, array)
        return array
    base = _memory(array)
    if not isinstance(base, _ndarray) or base.base is not None:
        # Memory of a file or of another library: it might not be possible to make it writable again.
        return copy_of(array) if _is_writeable(array) else array
    if not _covers(array, base) or (writeable and not (base is array.base and base.flags.writeable)):
        return copy_of(array)
    if writeable:
        _hold(held, array)
    if base.flags.writeable:
        _hold(held, base)
    return array


def _memory(array: Any) -> Any:
    """Return what an array is a view of; `numpy.lib.stride_tricks` puts an object of its own between the two."""
    base = array.base
    return base if base is None or isinstance(base, _ndarray) else getattr(base, "base", base)


def _is_writeable(array: Any) -> bool:
    """Return whether an array, or one that it is a view of, can be written to."""
    while isinstance(array, _ndarray):
        if array.flags.writeable:
            return True
        array = _memory(array)
    return False


def _covers(array: Any, base: Any) -> bool:
    """Return whether a view reaches from the first byte of its memory to the last, without a gap."""
    if array.nbytes < base.nbytes:
        return False
    if array.flags.forc:
        return True
    reach = sum([abs(step) * (n - 1) for step, n in zip(array.strides, array.shape, strict=True)])
    return bool(reach + array.itemsize >= base.nbytes)


def copy_of(array: Any) -> Any:
    """Return a copy in the same layout; axes along which an array is broadcast stay so."""
    if 0 not in array.strides:
        return array.copy("K")
    once = array[tuple([slice(0, 1) if step == 0 else slice(None) for step in array.strides])]
    return np.broadcast_to(once.copy("K"), array.shape)


def _hold(held: list[Any], array: Any) -> None:
    array.setflags(False)
    held.append(array)


def keep_all(held: list[Any], args: Sequence[Any]) -> tuple[Any, ...]:
    """Return the arguments with `keep` applied to every array, including those in indices."""
    return tuple([kept(held, a) for a in args])


def kept(held: list[Any], a: Any) -> Any:
    """Return an argument with `keep` applied to it, or to the arrays in an index."""
    if isinstance(a, _ndarray):
        return keep(held, a)
    return keep_all(held, a) if a.__class__ is tuple else list(a) if a.__class__ is list else a


def release(held: list[Any]) -> None:
    """Make the held arrays writable again: memory before the views of it."""
    while held:
        held.pop().setflags(True)


def own(held: list[Any], nodes: Sequence[Any]) -> None:
    """Replace the held arrays in the nodes' arguments by copies, one of each array, and release them."""
    if held:
        copies: dict[int, Any] = {id(a): None for a in held}
        for node in nodes:
            node.args = _with_copies(node.args, copies)
    release(held)


def _with_copies(args: tuple[Any, ...], copies: dict[int, Any]) -> tuple[Any, ...]:
    return tuple([_with_copies(a, copies) if a.__class__ is tuple else _copy(a, copies) for a in args])


def _copy(a: Any, copies: dict[int, Any]) -> Any:
    if id(a) not in copies:
        if not isinstance(a, _ndarray) or id(_memory(a)) not in copies:
            return a
        # A read-only view of a held array.
        return copy_of(a)
    if copies[id(a)] is None:
        copies[id(a)] = copy_of(a)
    return copies[id(a)]


def copied(args: Sequence[Any]) -> tuple[Any, ...]:
    """Return the arguments with copies of all arrays, including those in indices."""
    return tuple([a.copy() if isinstance(a, _ndarray) else _copied_index(a) for a in args])


def _copied_index(a: Any) -> Any:
    return copied(a) if a.__class__ is tuple else list(a) if a.__class__ is list else a
