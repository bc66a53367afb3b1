"""A case: one function at one point, with what mathematics says about its derivative there.

The function is an expression in ``x, y, z`` (differentiated), ``a, b`` (data) and ``xp``: array API names such as
``xp.maximum`` or ``xp.linalg.det``, or names of `autodiff_compare.problems.conventions.definitions` for what the
standard lacks, such as ``xp.relu``. A backend may have its own function for either; that one is then taken, and the
tables say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
#: ``answer``: the expression itself is the derivative, asked for in the framework's own idiom.
Operator = Literal["gradient", "jvp", "second", "answer"]

#: What the differentiated inputs and the data are called in an expression.
INPUTS, DATA = ("x", "y", "z"), ("a", "b")


@dataclass(frozen=True)
class Value:
    """The derivative exists, or is infinite: its entries, flat, input after input."""

    entries: tuple[Any, ...]

    def __init__(self, *entries: Any) -> None:
        object.__setattr__(self, "entries", entries)

    @cached_property
    def array(self) -> Array:
        """The entries as a flat array, float64 or complex128."""
        parts = [np.ravel(np.asarray(e)) for e in self.entries]
        flat = np.concatenate(parts) if parts else np.zeros(0)
        return flat if np.iscomplexobj(flat) else flat.astype(np.float64)


@dataclass(frozen=True)
class Kink:
    """There is no derivative but a subdifferential (Clarke's): the hull of ``vertices``.

    ``more`` says in words what the vertices leave out, where the hull is no polytope. What counts for the verdict
    is measured on each backend's own function; the vertices are documentation that a test holds against NumPy.
    """

    vertices: tuple[Any, ...]
    more: str = ""

    def __init__(self, *vertices: Any, more: str = "") -> None:
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "more", more)

    @cached_property
    def array(self) -> Array:
        """(vertices, entries)."""
        return np.array([np.ravel(v) for v in self.vertices], dtype=np.float64)


@dataclass(frozen=True)
class Undefined:
    """Neither a derivative nor a hull; any answer will do, also a refusal."""

    reason: str


Right = Value | Kink | Undefined


@dataclass(frozen=True)
class Case:
    """One question of the atlas.

    Parameters
    ----------
    family, name
        The name is unique in the atlas.
    f
        Expression, see the module.
    at
        The point: one array-like per differentiated input. Python numbers and lists take the dtype of the run,
        NumPy arrays keep their own.
    right
        What is mathematically right, as coordinates: of a symmetric matrix those along ``E_ij + E_ji`` for ``i < j``
        and ``E_ii``, row by row of the upper triangle; of complex numbers ``dL/da + i dL/db``; for ``jvp`` the sum of
        the gradient's entries times 1, 2, 3, ...; for ``second`` the Hessian, row by row.
    why
        The derivation, one line.
    safe
        How to write it so that no system goes wrong; empty where it is safe as it stands.
    data
        The inputs that are not differentiated.
    symmetric
        Whether the inputs are symmetric matrices, to be perturbed symmetrically.
    refusal
        Why a system may raise here although there is a right answer; empty where it may not.
    value
        The value of ``f``, where NumPy does not define it.
    dtypes
        In which of them the case can be asked.
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
    value: Any = None
    dtypes: tuple[str, ...] = field(default=("float64", "float32"))

    def inputs(self, dtype: str) -> tuple[Array, ...]:
        """The differentiated inputs as fresh arrays."""
        return tuple(_array(part, dtype) for part in self.at)

    def constants(self, dtype: str) -> tuple[Array, ...]:
        """The data as fresh arrays."""
        return tuple(_array(part, dtype) for part in self.data)

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments of the expression."""
        return (*INPUTS[: len(self.at)], *DATA[: len(self.data)])


def _array(given: Any, dtype: str) -> Array:
    if isinstance(given, (np.ndarray, np.generic)):
        return np.array(given)
    found = np.array(given)
    if np.iscomplexobj(found):
        return found.astype(np.result_type(dtype, np.complex64))
    return found.astype(dtype)


def ones(n: int, k: int = 0) -> Sequence[int]:
    """Unit vector ``k`` of ``n``: a vertex of the hull of a tie."""
    return [int(i == k) for i in range(n)]
