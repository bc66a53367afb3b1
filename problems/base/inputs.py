"""The point at which a function is evaluated: differentiated arrays, data and keywords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Inputs:
    """Where a function is evaluated.

    Parameters
    ----------
    differentiated
        float64 arrays, passed first; the backend differentiates with respect to all of them.
    data
        Further arrays (float64 is cast to the cell's dtype, integers stay), passed next.
    static
        Python values passed as keywords and never traced: counts, names, switches.
    """

    differentiated: tuple[Array, ...]
    data: tuple[Array, ...] = ()
    static: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arrays(self) -> tuple[Array, ...]:
        return self.differentiated + self.data
