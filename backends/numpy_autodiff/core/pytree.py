"""Pytrees: nested tuples, lists, dicts and named tuples of arrays, flattened to a list of leaves and rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rebuild = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """Return the leaves in order and a function that builds the same container of other leaves.

    Dicts are read in insertion order. Anything but a tuple, list, dict or named tuple is a leaf.
    """
    if isinstance(tree, dict):
        return _flatten_children(list(tree.values()), lambda parts: dict(zip(tree, parts, strict=True)))
    if isinstance(tree, tuple) and hasattr(tree, "_make"):
        return _flatten_children(list(tree), tree._make)
    if isinstance(tree, (tuple, list)):
        return _flatten_children(list(tree), type(tree))
    return [tree], lambda leaves: leaves[0]


def _flatten_children(children: list[Any], make: Callable[[list[Any]], Any]) -> tuple[list[Any], Rebuild]:
    flat = [flatten(child) for child in children]
    counts = [len(leaves) for leaves, _ in flat]

    def rebuild(leaves: list[Any]) -> Any:
        parts, start = [], 0
        for (_, child), count in zip(flat, counts, strict=True):
            parts.append(child(leaves[start : start + count]))
            start += count
        return make(parts)

    return [leaf for leaves, _ in flat for leaf in leaves], rebuild
