"""MyGrad (Soklaski 2020): NumPy arrays that record, with a reverse sweep. First derivatives only.

It computes in float64: a Python number makes float64 of a float32 tensor.

``compare.py run sphere -b numpy -b ./examples/backends/mygrad_backend.py@PATH/TO/python``; ``make peers`` makes such an
environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, final

from autodiff_compare.backends.bases.namespace import Namespace
from autodiff_compare.backends.bases.wrapped import WrappedArrays


@final
class MyGradBackend(WrappedArrays):
    name = "mygrad"
    requires = ("mygrad",)
    dtypes: ClassVar[tuple[str, ...]] = ("float64",)

    def open(self) -> None:
        import mygrad as mg
        from mygrad.nnet import activations

        # The guard locks every NumPy array that an operation reads, until its graph is gone.
        mg.turn_memory_guarding_off()
        self.mg = mg
        own = {_NAMES.get(name, name): getattr(mg, name) for name in _SAME}
        own["concat"] = lambda xs, axis=0: mg.concatenate(list(xs), axis=axis)
        self.xp = Namespace("MyGrad", own, special={"expit": activations.sigmoid, "logsumexp": self._logsumexp})

    def variable(self, array: Any, records: bool) -> Any:
        return self.mg.tensor(array, constant=not records, copy=False)

    def array(self, var: Any) -> Any:
        return var.data

    def sweep(self, output: Any, inputs: Sequence[Any], cotangent: Any, again: bool) -> Sequence[Any]:  # noqa: ARG002
        output.backward(None if cotangent is None else cotangent.data)
        return [x.grad for x in inputs]

    def _logsumexp(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        top = self.mg.max(x, axis=axis, keepdims=True).data  # a constant: the result does not depend on it
        found = self.mg.log(self.mg.sum(self.mg.exp(x - top), axis=axis, keepdims=True)) + top
        return found if keepdims else self.mg.sum(found, axis=axis)


#: Functions with the signature of the standard.
_SAME = (
    "abs", "exp", "expm1", "log", "log10", "log1p", "log2", "sqrt", "square", "reciprocal", "sin", "cos", "tan",
    "sinh", "cosh", "tanh", "maximum", "minimum", "logaddexp", "sum", "mean", "prod", "max", "min", "var",
    "std", "clip", "where", "matmul", "stack", "reshape", "broadcast_to", "expand_dims", "squeeze", "repeat",
    "roll", "moveaxis", "arccos", "arcsin", "arctan", "arctan2", "arccosh", "arcsinh", "arctanh", "concatenate",
    "cumprod", "cumsum", "transpose",
)  # fmt: skip
#: Names that the array API standard has changed.
_NAMES = {
    "arccos": "acos", "arcsin": "asin", "arctan": "atan", "arctan2": "atan2", "arccosh": "acosh", "arcsinh": "asinh",
    "arctanh": "atanh", "concatenate": "concat", "cumprod": "cumulative_prod", "cumsum": "cumulative_sum",
    "transpose": "permute_dims",
}  # fmt: skip
