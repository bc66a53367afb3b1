"""PyTensor, the heir of Theano (Bergstra et al. 2010): a graph of symbols, rewritten and compiled.

``compare.py run sphere -b numpy -b ./examples/backends/pytensor_backend.py@PATH/TO/python``; ``make peers`` makes such
an environment. A loop over data is unrolled. A branch on data is unsupported: the graph is built before its numbers
are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from autodiff_compare.backends.bases.graphs import Graphs, Traced, lifted, raw
from autodiff_compare.backends.bases.namespace import Namespace, on_arrays


@final
class PyTensorBackend(Graphs):
    name = "pytensor"
    requires = ("pytensor",)
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "": "all rewrites, then compiled by Numba: PyTensor's default, seconds for each function",
            "c": "all rewrites, then operations compiled to C (linker cvm)",
            "plain": "no rewrites, operation by operation in NumPy (linker py)",
        }
    )

    def open(self) -> None:
        import pytensor
        import pytensor.tensor as pt

        super().open()
        self.pytensor, self.pt = pytensor, pt
        # All rewrites of a chain of 300 sums and products take minutes.
        linker, rewrites = {"": ("numba", "fast_run"), "c": ("cvm", "fast_run"), "plain": ("py", None)}[self.variant]
        self.mode = pytensor.compile.mode.Mode(linker, rewrites)
        own = {_NAMES.get(name, name): getattr(pt, name) for name in _SAME}
        own |= {
            "abs": abs,
            "concat": lambda xs, axis=0: pt.concatenate([pt.as_tensor(x) for x in xs], axis=axis),
            "stack": lambda xs, axis=0: pt.stack([pt.as_tensor(x) for x in xs], axis=axis),
            "permute_dims": lambda x, axes: pt.transpose(x, axes),
            "logical_and": pt.and_,
            "logical_or": pt.or_,
            "astype": lambda x, dtype: pt.cast(x, np.dtype(dtype).name),
        }
        linalg = {
            "inv": pt.linalg.inv, "det": pt.linalg.det, "cholesky": pt.linalg.cholesky, "eigh": pt.linalg.eigh,
            "solve": lambda a, b: pt.linalg.solve(a, b, b_ndim=min(b.ndim, 2)),
            "eigvalsh": lambda a: pt.linalg.eigh(a)[0], "slogdet": pt.linalg.slogdet,
        }  # fmt: skip
        special = {
            "erf": pt.erf, "erfc": pt.erfc, "erfinv": pt.erfinv, "lgamma": pt.gammaln, "digamma": pt.psi,
            "expit": pt.sigmoid, "betainc": pt.betainc, "gammainc": pt.gammainc, "i0": pt.i0, "i1": pt.i1,
            "logsumexp": pt.logsumexp,
        }  # fmt: skip
        own, linalg, special = ({name: lifted(self, f) for name, f in t.items()} for t in (own, linalg, special))
        self.xp = Namespace("PyTensor", on_arrays(own), on_arrays(linalg, np.linalg), special)

    def shape(self, of: Any) -> tuple[int, ...]:
        known = of.type.shape
        if None in known:
            known = tuple(int(n) for n in self.pytensor.graph.basic.as_shape(of))
        return tuple(known)

    def dtype(self, of: Any) -> str:
        return str(of.type.dtype)

    def index(self, of: Any, key: Any) -> Any:
        return of[key]

    def operand(self, x: Any, like: Any) -> Any:
        """Return a constant as a tensor; a Python number takes the dtype of the other operand."""
        number = isinstance(x, (int, float)) and not isinstance(x, bool)
        return self.pt.as_tensor(np.asarray(x, like.type.dtype) if number else x)

    def symbol(self, shape: tuple[int, ...], dtype: str) -> Any:
        return Traced(self, self.pt.TensorType(dtype, tuple(shape))())

    def gradients(self, scalar: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        found = self.pytensor.grad(raw(scalar), [x.of for x in inputs], disconnected_inputs="ignore")
        return [Traced(self, g) for g in found]

    def compiled(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., Sequence[Any]]:
        run: Callable[..., Sequence[Any]] = self.pytensor.function(
            [x.of for x in inputs], [y.of for y in outputs], mode=self.mode, on_unused_input="ignore"
        )
        return run

    def replaced(self, outputs: Sequence[Any], old: Sequence[Any], new: Sequence[Any]) -> Sequence[Any]:
        swap = {a.of: self.pt.as_tensor(raw(b)) for a, b in zip(old, new, strict=True)}
        found = self.pytensor.graph.replace.clone_replace([y.of for y in outputs], swap)
        return [Traced(self, each) for each in found]


#: Functions with the signature of the standard.
_SAME = (
    "exp", "expm1", "log", "log10", "log1p", "log2", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "maximum", "minimum", "sum", "prod", "max", "min", "mean", "matmul", "where", "reshape", "broadcast_to",
    "arccos", "arcsin", "arctan", "arctan2", "arccosh", "arcsinh", "arctanh", "ceil", "floor", "sign",
    "cumprod", "cumsum", "square", "clip", "tile", "repeat", "roll", "logaddexp", "concatenate", "transpose",
    "expand_dims", "squeeze",
)  # fmt: skip
#: Names that the array API standard has changed.
_NAMES = {
    "arccos": "acos", "arcsin": "asin", "arctan": "atan", "arctan2": "atan2", "arccosh": "acosh", "arcsinh": "asinh",
    "arctanh": "atanh", "cumprod": "cumulative_prod", "cumsum": "cumulative_sum",
}  # fmt: skip
