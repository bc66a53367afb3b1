"""The differentiated arguments of a function: their positions, and keywords that stand for positions."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.tracing import Node

Argnums = Union[int, Sequence[int]]  # noqa: UP007 - a worker's Python may be 3.9


def positions(argnums: Argnums) -> tuple[tuple[int, ...], bool]:
    """Return the positions in ``argnums``, and whether it is one position instead of a sequence.

    Raises
    ------
    TypeError
        If a position is not an integer.
    ValueError
        If a position occurs twice: the cotangent of an argument could not be told apart from that of its double.
    """
    if argnums.__class__ is int:
        return (argnums,), True
    alone = not isinstance(argnums, (tuple, list, range, np.ndarray))
    given: Any = (argnums,) if alone else argnums
    for i in given:
        if isinstance(i, bool) or not hasattr(i, "__index__"):
            raise TypeError(f"got argnums={argnums!r}, expected an integer or a sequence of integers: count from 0")
    where = tuple(map(operator.index, given))
    _check_distinct(where, where)
    return where, alone


def _check_distinct(where: Sequence[int], named: Sequence[int]) -> None:
    if len(set(where)) < len(where):
        raise ValueError(f"got argnums={tuple(named)}, which name an argument twice, expected each once: drop one")


def placed(
    f: Callable[..., Any], where: tuple[int, ...], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[int, ...], Sequence[Any], Mapping[str, Any]]:
    """Return non-negative positions, and the arguments with the differentiated ones at these positions.

    Arguments given by keyword move to their position where the signature of ``f`` has one.

    Raises
    ------
    ValueError
        If there is no argument at a position, or two positions name the same argument.
    """
    last = max(where, default=-1)
    if kwargs and last >= len(args):
        args, kwargs = _by_position(f, last + 1, args, kwargs)
    n = len(args)
    found = tuple(i + n if i < 0 else i for i in where)
    for i, named in zip(found, where, strict=True):
        if not 0 <= i < n:
            raise ValueError(
                f"got argnums={named} and {n} positional argument{'' if n == 1 else 's'}, expected an argument at that "
                "position: positions count from 0, and a differentiated argument is passed by position"
            )
    _check_distinct(found, where)
    return found, args, kwargs


def _by_position(
    f: Callable[..., Any], count: int, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Move keywords to the first ``count`` positions, with defaults between them."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return args, kwargs
    given, rest = list(args), dict(kwargs)
    for parameter in parameters[len(args) : count]:
        value = rest.pop(parameter.name, parameter.default)
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or value is parameter.empty:
            return args, kwargs
        given.append(value)
    return given, rest


def check_arguments(args: Any, transform: str) -> None:
    """Reject one array where a tuple with one entry per argument is expected.

    Raises
    ------
    TypeError
        An array would be read as a sequence of scalar arguments.
    """
    if not isinstance(args, (tuple, list)):
        kind = "a variable" if isinstance(args, Node) else f"an argument of type {type(args).__name__}"
        raise TypeError(
            f"got {kind} as the arguments of {transform}, expected a tuple with one entry per argument: "
            f"{transform}(f, (x,), (tangent,))"
        )
