"""The functions of the array API standard 2024.12 with their parameters, as ``array_api_strict`` has them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import array_api_strict as strict


def functions() -> Iterator[str]:
    """Yield the functions of the standard, as ``sort`` or ``linalg.svd``, without what the strict namespace adds."""
    for prefix, names in (("", dir(strict)), ("linalg.", strict.linalg.__all__), ("fft.", strict.fft.__all__)):
        for name in names:
            added = "strict" in name or name in ("isin", "broadcast_shapes", "eig", "eigvals")
            if inspect.isfunction(member(strict, prefix + name)) and not (name.startswith("_") or added):
                yield prefix + name


def member(xp: Any, path: str) -> Any:
    for part in path.split("."):
        xp = getattr(xp, part)
    return xp


def lacking(function: Any, standard: Any) -> list[str]:
    """Return the parameters of the standard that a function does not take in the same way."""
    try:
        ours = inspect.signature(function).parameters
    except ValueError:  # a ufunc of an older NumPy has no signature
        return []
    rest = {p.kind for p in ours.values()}
    found = []
    for i, theirs in enumerate(inspect.signature(standard).parameters.values()):
        by_place = i < len(ours) and list(ours.values())[i].kind is not inspect.Parameter.KEYWORD_ONLY
        named = theirs.name in ours or inspect.Parameter.VAR_KEYWORD in rest
        placed = by_place or inspect.Parameter.VAR_POSITIONAL in rest
        wanted: dict[Any, bool] = {
            inspect.Parameter.POSITIONAL_ONLY: placed,
            inspect.Parameter.KEYWORD_ONLY: named,
            inspect.Parameter.POSITIONAL_OR_KEYWORD: named and placed,
        }
        if not wanted.get(theirs.kind, True):
            found.append(theirs.name)
    return found


def all_lacking(xp: Any) -> dict[str, list[str]]:
    """Return function -> parameters of the standard that the one of a namespace does not take in the same way."""
    found = {name: lacking(member(xp, name), member(strict, name)) for name in functions()}
    assert len(found) > 150
    return {name: parameters for name, parameters in found.items() if parameters}
