"""Typical sizes of a user's inputs, by which numerical differences move them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.problems.base.declared.pytree import is_container, leaves
from autodiff_compare.problems.base.inputs import Array
from autodiff_compare.problems.base.problem import ProblemError


def typical_sizes(given: Any, names: Sequence[str], point: Sequence[Any], where: str) -> tuple[Any, ...]:
    """Return the typical size of each array of the point, for `Problem.typical`.

    Parameters
    ----------
    given
        Sizes as in ``TYPICAL``; `None` if none is stated.
    names, point
        The names of the parameters, and their values.
    where
        File or call in which the sizes are stated, for messages.

    Returns
    -------
    tuple
        One array of sizes for each array, `None` for an array without one; empty if none is stated.

    Raises
    ------
    ProblemError
        If a size is not positive and finite, or does not fit its value.
    """
    if given is None:
        return ()
    if isinstance(given, Mapping) and set(given) <= set(names):
        sizes = [given.get(name) for name in names]
    elif len(names) == 1 and not (isinstance(given, tuple) and len(given) == 1):
        sizes = [given]
    elif isinstance(given, tuple) and len(given) == len(names):
        sizes = list(given)
    else:
        expected = f"a tuple with one size for each of {', '.join(names)}, or a dictionary from parameter to size"
        raise ProblemError(f"got TYPICAL {given!r} in {where}, expected {expected}")
    return tuple(
        size
        for name, value, stated in zip(names, point, sizes, strict=True)
        for size in _sizes(name, value, stated, where)
    )


def _sizes(name: str, value: Any, stated: Any, where: str) -> Iterator[Array | None]:
    """Yield the typical size of each array of one value."""
    parts = dict(leaves(name, stated)) if is_container(stated) else {}
    if unknown := [part for part in parts if part not in dict(leaves(name, value))]:
        expected = ", ".join(part for part, _ in leaves(name, value))
        raise ProblemError(f"got a TYPICAL size for {', '.join(unknown)} in {where}, expected some of: {expected}")
    for selected, array in leaves(name, value):
        size = parts.get(selected) if parts else stated
        if size is None:
            yield None
            continue
        try:
            found = np.broadcast_to(np.asarray(size, dtype=np.float64), array.shape)
        except (TypeError, ValueError) as error:
            expected = f"a positive number or an array of shape {array.shape}"
            raise ProblemError(f"got TYPICAL {size!r} for {selected} in {where}, expected {expected}") from error
        if not (np.isfinite(found) & (found > 0)).all():
            raise ProblemError(f"got TYPICAL {size!r} for {selected} in {where}, expected positive finite sizes")
        yield found


def one_size(size: Array | None, where: str) -> Array | None:
    """Return the one typical size of an array whose shape depends on n."""
    if size is None or not size.size:
        return None
    if np.any(size != size.flat[0]):
        raise ProblemError(f"got TYPICAL of {size.size} sizes in {where}, expected one number: the shape depends on n")
    return np.asarray(size.flat[0])
