"""One clause of the backend contract: its name, its test, its remedy; and the comparison with an expected number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.problems import Array


class Broken(Exception):  # noqa: N818 - the clause is, nothing failed
    """A backend breaks a clause; the message says what was got and what was expected."""


@dataclass(frozen=True)
class Clause:
    """One clause of the contract.

    Parameters
    ----------
    name
        The clause in a few words.
    remedy
        Instruction for the author of a backend that breaks it.
    try_on
        Test for an opened backend: returns a remark or `None`, raises `Broken`, or `Unsupported` if the backend lacks
        the feature.
    optional
        Whether a backend may lack the feature.
    """

    name: str
    remedy: str
    try_on: Callable[[Any], str | None]
    optional: bool = False


def close(got: Any, expected: Any, what: str, dtype: str = "float64") -> None:
    """Raise `Broken` unless an array equals the expected one within rounding."""
    found, wanted = np.asarray(got), np.asarray(expected)
    if found.shape != wanted.shape:
        raise Broken(f"got shape {found.shape} for {what}, expected {wanted.shape}")
    if found.dtype != dtype:
        raise Broken(f"got {found.dtype} for {what}, expected {dtype}")
    # 200 eps allows for rounding, but not for finite differences, whose error is about sqrt(eps).
    if not np.allclose(found, wanted, rtol=200 * np.finfo(dtype).eps, atol=200 * np.finfo(dtype).eps):
        off = float(np.max(np.abs(found - wanted)))
        raise Broken(f"got {short(found)} for {what}, expected {short(wanted)}: off by {off:.1g}")


def short(array: Array) -> str:
    """Return an array in one short line."""
    return np.array2string(array, precision=6, separator=", ", threshold=6).replace("\n", "")
