"""Chainer 7 (Tokui et al. 2019): reverse mode by recording, the first of the define-by-run systems.

``compare.py run --suite classic -b numpy -b ./examples/backends/chainer_backend.py@PATH/TO/python3.9``. Chainer runs on
Python 3.9 with NumPy 1.23.5; ``make peers`` makes such an environment.

It has no forward mode and no ``eigh``. It compares no variables: ``xp.where(x > 0, ...)`` is unsupported. A linear
system is solved by the inverse, as Chainer has no ``solve``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np
from chainer_idioms import TAPE

from autodiff_compare.backends.bases.namespace import Namespace, along
from autodiff_compare.backends.bases.wrapped import WrappedArrays
from autodiff_compare.backends.interface import Prepared, Request, Unsupported
from autodiff_compare.vocabulary import Optimizer


@final
class ChainerBackend(WrappedArrays):
    name = "chainer"
    requires = ("chainer",)
    nestable = True
    idioms: ClassVar[Mapping[str, str]] = TAPE

    def open(self) -> None:
        import chainer
        from chainer import functions as F  # noqa: N812 - its users' name

        self.chainer, self.F = chainer, F
        own = {_NAMES.get(name, name): getattr(F, name) for name in _SAME}
        own |= {
            "abs": F.absolute,
            "concat": lambda xs, axis=0: F.concat(list(xs), axis=axis),
            "stack": lambda xs, axis=0: F.stack([x if hasattr(x, "array") else np.asarray(x) for x in xs], axis=axis),
            "take": lambda x, indices, axis=0: along(x, axis, getattr(indices, "array", indices)),
            "matmul": F.matmul,
            "tensordot": lambda a, b, axes=2: F.tensordot(a, b, axes),
            "mean": lambda x, axis=None, keepdims=False: F.average(x, axis=axis, keepdims=keepdims),
            "maximum": lambda x, y: F.maximum(*self._alike(x, y)),
            "minimum": lambda x, y: F.minimum(*self._alike(x, y)),
            "where": lambda c, x, y: F.where(c, *self._alike(x, y)),
            "logaddexp": lambda x, y: F.logsumexp(F.stack(self._alike(x, y)), axis=0),
            "astype": F.cast,
        }
        linalg = {"inv": F.inv, "det": F.det, "cholesky": F.cholesky, "solve": self._solve}
        special = {
            "erf": F.erf, "erfc": F.erfc, "erfinv": F.erfinv, "lgamma": F.lgamma, "digamma": F.digamma,
            "expit": F.sigmoid, "log_softmax": lambda x, axis: F.log_softmax(x, axis),
            "logsumexp": lambda x, axis=None, keepdims=False: (
                F.expand_dims(F.logsumexp(x, axis), axis) if keepdims else F.logsumexp(x, axis)),
        }  # fmt: skip
        self.xp = Namespace("Chainer", own, linalg, special)

    def idiom_scope(self) -> Mapping[str, Any]:
        return {"chainer": self.chainer, "np": np, "Variable": self.chainer.Variable}

    def variable(self, array: Any, records: bool) -> Any:
        return self.chainer.Variable(array, requires_grad=records)

    def array(self, var: Any) -> Any:
        return var.array

    def sweep(self, output: Any, inputs: Sequence[Any], cotangent: Any, again: bool) -> Sequence[Any]:
        seeds = None if cotangent is None else [cotangent]
        return self.chainer.grad([output], inputs, seeds, enable_double_backprop=again)  # type: ignore[no-any-return]

    def _native(self, request: Request) -> Prepared:
        try:
            return super()._native(request)
        except TypeError as error:
            if "Variables do not support" in str(error):
                raise Unsupported(f"{error} (a comparison)") from error
            raise

    def fresh(self, x: Any) -> Any:
        recorded = getattr(x, "requires_grad", False)
        return self.F.identity(x) if recorded else self.variable(np.asarray(getattr(x, "array", x)), True)

    def step(self, optimizer: Optimizer, params: Sequence[Any], grads: Sequence[Any], state: Any) -> tuple[Any, Any]:
        """Update by ``chainer.optimizers``, on parameters of Chainer that the state holds."""
        if state is None:
            state = [self.chainer.Parameter(p.array.copy()) for p in params]
            for parameter in state:
                parameter.update_rule = self._rule(optimizer).create_update_rule()
        for parameter, p, g in zip(state, params, grads, strict=True):
            parameter.array, parameter.grad = p.array.copy(), g.array.copy()
            rule = parameter.update_rule
            if optimizer.name == "adam" and not optimizer.eps_hat:
                # Chainer adds eps before the second moment is corrected by sqrt(1 - b2^n).
                rule.hyperparam.eps = optimizer.eps * (1 - optimizer.b2 ** (rule.t + 1)) ** 0.5
            rule.update(parameter)
        return tuple(self.variable(parameter.array.copy(), False) for parameter in state), state

    def _rule(self, o: Optimizer) -> Any:
        made = self.chainer.optimizers
        if o.name == "adam":
            return made.Adam(alpha=o.learning_rate, beta1=o.b1, beta2=o.b2, eps=o.eps)
        if o.name == "sgd":
            return made.SGD(lr=o.learning_rate)
        if o.name == "momentum":
            return made.MomentumSGD(lr=o.learning_rate, momentum=o.momentum)
        raise Unsupported("NesterovAG adds m^2 times the new velocity, where Nesterov's rule has the old one")

    def _solve(self, A: Any, b: Any) -> Any:
        return self.F.matmul(self.F.inv(A), b)

    def _alike(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return two operands of one shape and dtype; a number takes the dtype of the other."""
        dtype = next(v.dtype for v in (x, y) if hasattr(v, "dtype"))
        x, y = (v if hasattr(v, "dtype") else np.asarray(v, dtype) for v in (x, y))
        return self.F.broadcast(x, y)  # type: ignore[no-any-return]


#: Functions with the signature of the standard.
_SAME = (
    "arctan2", "arccos", "arcsin", "arctan", "ceil", "cos", "cosh", "cumprod", "cumsum", "exp", "expm1", "flip",
    "floor", "log", "log10", "log1p", "log2", "max", "min", "prod", "repeat", "reshape", "sign", "sin", "sinh",
    "sqrt", "square", "squeeze", "sum", "tan", "tanh", "tile", "transpose", "broadcast_to", "moveaxis",
)  # fmt: skip
#: Names that the array API standard has changed.
_NAMES = {
    "arctan2": "atan2", "arccos": "acos", "arcsin": "asin", "arctan": "atan", "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum", "transpose": "permute_dims",
}  # fmt: skip
