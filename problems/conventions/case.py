"""A case of the atlas: one function at one point, and its mathematically correct derivative there.

The function is an expression in ``x, y, z`` (differentiated), ``a, b`` (data) and ``xp``. Names of ``xp`` are those of
the array API, such as ``xp.maximum`` or ``xp.linalg.det``, or of `autodiff_compare.problems.conventions.definitions`
for functions that the standard lacks, such as ``xp.relu``. If a backend has its own function for a name, that is used
and recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
#: ``answer``: the expression itself computes the derivative, in the framework's own idiom.
Operator = Literal["gradient", "jvp", "second", "answer"]

#: `Case.lost` of a function whose formula passes through a point of infinite slope.
ZERO_TIMES_INFINITY = "the chain rule reads 0 * inf"
#: Names of the differentiated inputs and of the data in an expression.
INPUTS, DATA = ("x", "y", "z"), ("a", "b")


@dataclass(frozen=True)
class Value:
    """A derivative that exists or is infinite: its flat entries, input after input."""

    entries: tuple[Any, ...]

    def __init__(self, *entries: Any) -> None:
        object.__setattr__(self, "entries", entries)

    @cached_property
    def array(self) -> Array:
        """Return the entries as a flat array, float64 or complex128."""
        parts = [np.ravel(np.asarray(e)) for e in self.entries]
        flat = np.concatenate(parts) if parts else np.zeros(0)
        return flat if np.iscomplexobj(flat) else flat.astype(np.float64)


@dataclass(frozen=True)
class Kink:
    """A point without a derivative: Clarke's subdifferential is the convex hull of ``vertices``.

    Parameters
    ----------
    vertices
        Derivatives, flat. The verdict is based on one-sided derivatives measured on each backend's own function;
        the vertices are documentation, which a test compares with NumPy.
    more
        Description of the hull where it is no polytope.
    """

    vertices: tuple[Any, ...]
    more: str = ""

    def __init__(self, *vertices: Any, more: str = "") -> None:
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "more", more)

    @cached_property
    def array(self) -> Array:
        """Return the vertices as an array (vertices, entries)."""
        return np.array([np.ravel(v) for v in self.vertices], dtype=np.float64)


@dataclass(frozen=True)
class Undefined:
    """A point with neither a derivative nor a subdifferential: every answer is accepted, also an exception."""

    reason: str


Right = Value | Kink | Undefined


@dataclass(frozen=True)
class Case:
    """One function at one point, with its correct derivative.

    Parameters
    ----------
    family, name
        The name is unique in the atlas.
    f
        Expression, as the module describes.
    at
        The point: one array-like per differentiated input. Python numbers and lists take the dtype of the run,
        NumPy arrays keep their own.
    right
        The correct derivative in coordinates. For a symmetric matrix: along ``E_ii``, and ``E_ij + E_ji`` for
        ``i < j``, row by row of the upper triangle. For complex numbers: ``dL/da + i dL/db``. For ``jvp``: the sum of
        the gradient's entries times 1, 2, 3, ... For ``second``: the Hessian, row by row.
    why
        The derivation, in one line.
    safe
        An expression that is correct in every system; empty if ``f`` is.
    operator
        The derivative that is computed.
    data
        Inputs that are not differentiated.
    symmetric
        Whether the inputs are symmetric matrices, perturbed symmetrically.
    refusal
        The reason why a system may raise although there is a correct answer; empty if it may not.
    lost
        The reason why the chain rule ends in nan although the function has a derivative; empty if it does not. Then
        nan says that there is no answer, and is no defect; a number must be right.
    value
        The value of ``f``, if NumPy does not define it.
    dtypes
        Dtypes in which the case can be evaluated.
    """

    family: str
    name: str
    f: str
    at: tuple[Any, ...]
    right: Right
    why: str
    safe: str = ""
    operator: Operator = "gradient"
    data: tuple[Any, ...] = ()
    symmetric: bool = False
    refusal: str = ""
    lost: str = ""
    value: Any = None
    dtypes: tuple[str, ...] = field(default=("float64", "float32"))

    def inputs(self, dtype: str) -> tuple[Array, ...]:
        """Return the differentiated inputs as new arrays."""
        return tuple(_array(part, dtype) for part in self.at)

    def constants(self, dtype: str) -> tuple[Array, ...]:
        """Return the data as new arrays."""
        return tuple(_array(part, dtype) for part in self.data)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the expression's arguments."""
        return (*INPUTS[: len(self.at)], *DATA[: len(self.data)])


def _array(given: Any, dtype: str) -> Array:
    if isinstance(given, (np.ndarray, np.generic)):
        return np.array(given)
    found = np.array(given)
    if np.iscomplexobj(found):
        return found.astype(np.result_type(dtype, np.complex64))
    return found.astype(dtype)


def ones(n: int, k: int = 0) -> Sequence[int]:
    """Return the unit vector ``k`` of ``n``: a vertex of the subdifferential at a tie."""
    return [int(i == k) for i in range(n)]
