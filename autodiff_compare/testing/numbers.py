"""The numbers of a test: what is refused, and with which reason; and whether a function writes into its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.problems import Array
from autodiff_compare.testing.containers import Arrays

#: Kind of a NumPy dtype -> what it holds, and what to do about it.
_REFUSED = {
    "b": ("truth values", "they have no derivative"),
    "c": ("complex numbers", "take the real part, or write the function in real and imaginary parts"),
    "S": ("texts", "convert them"),
    "U": ("texts", "convert them"),
    "V": ("a structured array", "pass its fields as a dictionary of arrays"),
    "M": ("dates", "convert them to numbers"),
    "m": ("durations", "convert them to numbers"),
}


def numbers(value: Any, what: str, *, also_complex: bool = False) -> Array:
    """Return a value as an array of real numbers, or of complex ones where these are allowed.

    Raises
    ------
    TypeError
        If it holds anything else; ``what`` names it.
    """
    __tracebackhide__ = True
    if value is None:
        raise TypeError(f"got None as {what}, expected real numbers: is a return missing?")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"got a masked array as {what}, expected a plain one: fill it, or select the entries that count"
        )
    try:
        array = np.asarray(value)
    except Exception as error:
        raise TypeError(f"got {type(value).__name__} as {what}, expected real numbers: {error}") from error
    if array.dtype.kind == "O":
        raise TypeError(f"got {_shown(value)} as {what}, expected real numbers")
    if array.dtype.kind in _REFUSED and not (also_complex and array.dtype.kind == "c"):
        held, remedy = _REFUSED[array.dtype.kind]
        raise TypeError(f"got {held} as {what}, expected real numbers: {remedy}")
    return array


def widest(array: Array) -> np.dtype[Any]:
    """Return the dtype of double precision for the numbers of an array: float64 or complex128."""
    return np.dtype(np.complex128 if np.iscomplexobj(array) else np.float64)


def precision(arrays: Sequence[Array]) -> str:
    """Return the dtype of numbers, or of the parts of complex ones, that holds all arrays; float64 of none."""
    found = np.result_type(*arrays) if arrays else np.dtype(np.float64)
    return str(np.finfo(found).dtype if found.kind == "c" else found)


def _shown(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."


def called(f: Callable[..., Any], given: Sequence[Arrays], what: str, *, apart: bool = True) -> Any:
    """Call a function on copies of arrays, and return what it returns.

    Parameters
    ----------
    given
        The groups of arguments.
    what
        The function's name in messages.
    apart
        Pass the arguments of each group one by one. Otherwise a group of several arguments is passed as a tuple.

    Raises
    ------
    AssertionError
        If the function writes into one of them.
    """
    __tracebackhide__ = True
    copies = [[np.array(leaf) for leaf in group.leaves] for group in given]
    filled = [group.refill(leaves) for group, leaves in zip(given, copies, strict=True)]
    if apart:
        args = [arg for group in filled for arg in group]
    else:
        args = [group[0] if len(group) == 1 else group for group in filled]
    found = f(*args)
    for group, leaves in zip(given, copies, strict=True):
        for name, before, after in zip(group.names, group.leaves, leaves, strict=True):
            index = _changed(np.asarray(before), after)
            if index is not None:
                raise AssertionError(f"{what} writes into {name}: entry {index} was changed; copy the array first")
    return found


def _changed(before: Array, after: Array) -> list[int] | None:
    """Return the index of the first entry that is not what it was."""
    same = (before == after) | ((before != before) & (after != after))
    if np.all(same):
        return None
    return [int(i) for i in np.argwhere(~np.atleast_1d(same))[0]]
