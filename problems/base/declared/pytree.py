"""Pytrees: parameters that hold several arrays, such as ``layer = {"w": np.ones(3), "b": 0.5}``.

Backends differentiate functions of arrays. A function of a pytree is therefore called through one of its leaves:
``f({"w": w, "b": b})`` is differentiated as ``g(w, b)``, and the tables show it with two inputs.

A dictionary is a container. So is a list or tuple that contains, at any depth, a dictionary or an array of one or more
dimensions. A nested list of numbers is one array, as it is for NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


def is_container(value: Any) -> bool:
    """Return whether a value is a container of arrays rather than one array."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and any(is_container(x) or len(getattr(x, "shape", ())) for x in value)


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each array of a value with the expression that selects it, such as ``layer['w']``."""
    if not is_container(value):
        yield name, value
        return
    for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from leaves(f"{name}[{key!r}]", part)


def mapped(f: Callable[[str, Any], Any], name: str, value: Any) -> Any:
    """Return the value with each array replaced by ``f(expression, array)``."""
    return _filled(_skeleton(value), iter([f(*leaf) for leaf in leaves(name, value)]))


def unpacked(f: Callable[..., Any], values: Sequence[Any]) -> Callable[..., Any]:
    """Return ``f`` as a function of the arrays in ``values``, its first arguments; further arguments are passed on."""
    # Skeletons hold no arrays: a compiler would treat arrays in the closure as constants of the function.
    skeletons = tuple(map(_skeleton, values))

    def of_arrays(*arrays: Any, **named: Any) -> Any:
        given = iter(arrays)
        return f(*[_filled(skeleton, given) for skeleton in skeletons], *given, **named)

    return of_arrays


def _skeleton(value: Any) -> Any:
    """Return the class, the keys (of a dictionary) and the parts of a container; `None` for an array."""
    if not is_container(value):
        return None
    if isinstance(value, Mapping):
        return dict, tuple(value), tuple(map(_skeleton, value.values()))
    return type(value), None, tuple(map(_skeleton, value))


def _filled(skeleton: Any, arrays: Iterator[Any]) -> Any:
    """Return the container filled with the next arrays; the next array if the skeleton is `None`."""
    if skeleton is None:
        return next(arrays)
    made, keys, parts = skeleton
    found = [_filled(part, arrays) for part in parts]
    if keys is not None:
        return dict(zip(keys, found, strict=True))
    return made(*found) if hasattr(made, "_fields") else made(found)
