"""Containers of arrays, as a user's function takes them: dictionaries, lists, tuples, named tuples, dataclasses.

A function of a container is differentiated as a function of its arrays. A list or tuple without an array of one or more
dimensions at any depth is one array, as it is for NumPy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Returns a container like the original one, filled with the next arrays.
_Fill = Callable[[Iterator[Any]], Any]


@dataclass(frozen=True)
class Arrays:
    """The arrays of some arguments of a function.

    Parameters
    ----------
    names
        The expression that selects each array, such as ``x['w']``.
    leaves
        The arrays, as they were given.
    refill
        Returns the arguments, as a tuple, with other arrays in the place of these.
    """

    names: tuple[str, ...]
    leaves: tuple[Any, ...]
    refill: Callable[[Sequence[Any]], tuple[Any, ...]]


def arguments(given: Any, name: str = "x") -> Arrays:
    """Return the arrays of the arguments that a user gives: a tuple holds one argument each, else there is one."""
    several = type(given) is tuple
    parts = given if several else (given,)
    names = [f"{name}[{i}]" for i in range(len(parts))] if several else [name]
    found = [_opened(n, part) for n, part in zip(names, parts, strict=True)]
    fills = [fill for _, fill in found]

    def refill(leaves: Sequence[Any]) -> tuple[Any, ...]:
        arrays = iter(leaves)
        return tuple(fill(arrays) for fill in fills)

    leaves = [leaf for each, _ in found for leaf in each]
    return Arrays(tuple(n for n, _ in leaves), tuple(value for _, value in leaves), refill)


def leaves_of(given: Any, labels: Sequence[str] = (), what: str = "a derivative") -> tuple[Any, ...]:
    """Return the arrays of a derivative, whatever tuples and containers it holds them in.

    Parameters
    ----------
    given
        The derivative.
    labels
        The text that selects each array, such as ``['w']``, in the order that is wanted. Arrays in tuples and lists
        are taken in order. Where keys or fields name them, the names decide: JAX sorts the keys of dictionaries.
    what
        The name of the derivative in a message.

    Raises
    ------
    ValueError
        If its names are not those of ``labels``.
    """
    found = _labelled(given)
    own = [label for label, _ in found]
    if not labels or own == list(labels) or not any("'" in label or "." in label for label in own):
        return tuple(value for _, value in found)
    if all(label.startswith("[0]") for label in own) and not any(label.startswith("[0]") for label in labels):
        own = [label.removeprefix("[0]") for label in own]
    by_label = dict(zip(own, (value for _, value in found), strict=True))
    if sorted(own) != sorted(labels):
        got = ", ".join(own)
        expected = f"{', '.join(labels)}: name them as the argument does" if any(labels) else "one array"
        raise ValueError(f"got {what} with the parts {got}, expected {expected}")
    return tuple(by_label[label] for label in labels)


def _labelled(given: Any) -> list[tuple[str, Any]]:
    if type(given) is tuple:
        return [(f"[{i}]{label}", leaf) for i, part in enumerate(given) for label, leaf in _labelled(part)]
    return _opened("", given)[0]


def _opened(name: str, value: Any) -> tuple[list[tuple[str, Any]], _Fill]:
    """Return the arrays of one value with their expressions, and how to fill a container like it."""
    parts, make = _parts(value)
    if make is None:
        return [(name, value)], next
    found = [_opened(name + label, part) for label, part in parts]
    rebuild, fills = make, [fill for _, fill in found]
    return [leaf for each, _ in found for leaf in each], lambda arrays: rebuild([fill(arrays) for fill in fills])


def _parts(value: Any) -> tuple[list[tuple[str, Any]], Callable[[list[Any]], Any] | None]:
    """Return the parts of a container with the text that selects each, and its constructor; `None` for an array."""
    if isinstance(value, Mapping):
        keys = list(value)
        return [(f"[{k!r}]", value[k]) for k in keys], lambda parts: dict(zip(keys, parts, strict=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value) if f.init]
        kind = type(value)
        fields = [(f".{n}", getattr(value, n)) for n in names]
        return fields, lambda parts: kind(**dict(zip(names, parts, strict=True)))
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return [(f".{n}", getattr(value, n)) for n in type(value)._fields], type(value)._make  # type: ignore[attr-defined]
    if isinstance(value, (list, tuple)) and any(map(_holds_arrays, value)):
        return [(f"[{i}]", part) for i, part in enumerate(value)], type(value)
    return [], None


def _holds_arrays(value: Any) -> bool:
    """Return whether a part makes the list or tuple around it a container."""
    if isinstance(value, Mapping) or dataclasses.is_dataclass(value) or hasattr(value, "_make"):
        return True
    if isinstance(value, (list, tuple)):
        return any(map(_holds_arrays, value))
    return len(getattr(value, "shape", ())) > 0
