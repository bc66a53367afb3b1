"""The point at which a function is evaluated: differentiated arrays, data and keywords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Inputs:
    """The arguments of one evaluation of a problem's objective.

    The objective is called as ``objective(*differentiated, *data, xp=xp, **static)``. Drawn as float64, the
    floating-point arrays are cast to the dtype of each cell.

    Parameters
    ----------
    differentiated
        float64 or complex128 arrays of any shape. Every derivative is taken with respect to all of them; a gradient has
        one array for each, of the same shape.
    data
        Further arrays that are not differentiated. float64 arrays are cast to the cell's dtype, complex128 arrays to
        complex numbers with parts of that dtype; integer arrays stay integers.
    static
        Python values that are passed as keywords and never traced: counts, names, switches.

    Examples
    --------
    >>> Inputs((np.ones(3),), (X, y), {"degree": 2})
    """

    differentiated: tuple[Array, ...]
    data: tuple[Array, ...] = ()
    static: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Return the positional arguments: differentiated arrays first, then data."""
        return self.differentiated + self.data
