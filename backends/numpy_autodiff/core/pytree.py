"""Nested containers: tuples, lists, dicts and named tuples of arrays, taken apart and put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rebuild = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """The leaves in order (dicts by insertion), and the function that makes the same container of other leaves."""
    if isinstance(tree, dict):
        return _several(list(tree.values()), lambda parts: dict(zip(tree, parts, strict=True)))
    if isinstance(tree, tuple) and hasattr(tree, "_make"):
        return _several(list(tree), tree._make)
    if isinstance(tree, (tuple, list)):
        return _several(list(tree), type(tree))
    return [tree], lambda leaves: leaves[0]


def _several(children: list[Any], make: Callable[[list[Any]], Any]) -> tuple[list[Any], Rebuild]:
    flat = [flatten(child) for child in children]
    counts = [len(leaves) for leaves, _ in flat]

    def rebuild(leaves: list[Any]) -> Any:
        parts, start = [], 0
        for (_, child), count in zip(flat, counts, strict=True):
            parts.append(child(leaves[start : start + count]))
            start += count
        return make(parts)

    return [leaf for leaves, _ in flat for leaf in leaves], rebuild


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same container with ``function`` of every leaf."""
    leaves, rebuild = flatten(tree)
    return rebuild([function(leaf) for leaf in leaves])
