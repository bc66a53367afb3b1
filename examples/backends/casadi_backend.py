"""CasADi (Andersson et al. 2019): symbolic graphs, made for optimal control.

``compare.py run sphere -b numpy -b ./examples/backends/casadi_backend.py@PATH/TO/python``; ``make peers`` makes such an
environment. Nodes are scalars (SX), or whole matrices with the variant ``mx``: then an array has at most two axes. It
computes in float64 alone. Indices and labels must be known when the graph is built, so that integer data is
unsupported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np
from casadi_matrices import Matrices
from casadi_scalars import Entries

from autodiff_compare.backends.bases.graphs import Graphs
from autodiff_compare.backends.interface import Unsupported


@final
class CasadiBackend(Graphs):
    name = "casadi"
    requires = ("casadi",)
    dtypes: ClassVar[tuple[str, ...]] = ("float64",)
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "": "graphs of scalars (SX): arrays of any rank, a node for each entry",
            "mx": "graphs of matrices (MX): arrays of at most two axes, a node for each operation",
        }
    )

    def open(self) -> None:
        import casadi

        super().open()
        self.casadi = casadi
        self.arrays = (Matrices if self.variant == "mx" else Entries)(casadi)
        self.xp = self.arrays.xp

    def symbol(self, shape: tuple[int, ...], dtype: str) -> Any:
        if np.dtype(dtype).kind not in "fO":  # O: of an array of scalars, within a larger graph
            raise Unsupported(f"CasADi has no symbols of dtype {dtype}: indices must be known when a graph is built")
        return self.arrays.symbol(shape)

    def gradients(self, scalar: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        return self.arrays.gradients(scalar, inputs)

    def compiled(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., Sequence[Any]]:
        given, wanted = (list(map(self.arrays.expression, arrays)) for arrays in (inputs, outputs))
        # Sweeps for several inputs of matrices have common parts.
        f = self.casadi.Function("f", given, wanted, {"cse": self.variant == "mx"})
        holders, shapes = [x.shape for x in given], [np.shape(y) for y in outputs]

        def run(*arrays: Any) -> Sequence[Any]:
            found = f.call([self.casadi.DM(np.reshape(a, two)) for a, two in zip(arrays, holders, strict=True)])
            return [y.full().reshape(shape) for y, shape in zip(found, shapes, strict=True)]

        return run

    def replaced(self, outputs: Sequence[Any], old: Sequence[Any], new: Sequence[Any]) -> Sequence[Any]:
        found = self.casadi.substitute(*(list(map(self.arrays.expression, each)) for each in (outputs, old, new)))
        return [self.arrays.array(each, np.shape(y)) for each, y in zip(found, outputs, strict=True)]
