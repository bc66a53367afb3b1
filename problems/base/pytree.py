"""A parameter that holds several arrays: ``layer = {"w": np.ones(3), "b": 0.5}``, as the weights of a network do.

Whatever differentiates a function is given flat arrays. The function that is called with them puts them back where
they were: ``f({"w": w, "b": b})`` is differentiated as ``g(w, b)``, and its rows are those of two inputs.

A dictionary is a container, and so is a list or tuple with a dictionary or an array of one or more dimensions
somewhere in it. Lists of nothing but numbers are one array, as they are for NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


def is_container(value: Any) -> bool:
    """Whether a value holds several arrays rather than being one."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and any(is_container(x) or len(getattr(x, "shape", ())) for x in value)


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each array of a value by the expression that gets it, such as ``layer['w']``; the value itself if it is one."""
    if not is_container(value):
        yield name, value
        return
    for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from leaves(f"{name}[{key!r}]", part)


def mapped(f: Callable[[str, Any], Any], name: str, value: Any) -> Any:
    """The value with ``f(expression, array)`` in place of each array."""
    return _filled(_skeleton(value), iter([f(*leaf) for leaf in leaves(name, value)]))


def unpacked(f: Callable[..., Any], values: Sequence[Any]) -> Callable[..., Any]:
    """``f`` as a function of the arrays in ``values``, its first parameters; what comes after them stays as it is."""
    # Without the arrays themselves, which a compiler would take for part of the function.
    skeletons = tuple(map(_skeleton, values))

    def of_arrays(*arrays: Any, **named: Any) -> Any:
        given = iter(arrays)
        return f(*[_filled(skeleton, given) for skeleton in skeletons], *given, **named)

    return of_arrays


def _skeleton(value: Any) -> Any:
    """Class, keys (of a dictionary) and parts of a container; `None` for an array."""
    if not is_container(value):
        return None
    if isinstance(value, Mapping):
        return dict, tuple(value), tuple(map(_skeleton, value.values()))
    return type(value), None, tuple(map(_skeleton, value))


def _filled(skeleton: Any, arrays: Iterator[Any]) -> Any:
    """The container with the next arrays in it; the next array where there is none."""
    if skeleton is None:
        return next(arrays)
    made, keys, parts = skeleton
    found = [_filled(part, arrays) for part in parts]
    if keys is not None:
        return dict(zip(keys, found, strict=True))
    return made(*found) if hasattr(made, "_fields") else made(found)
