"""The members of a NumPy array on a node: shape, methods, and the protocols by which NumPy finds the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, apply
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
from autodiff_compare.backends.numpy_autodiff.rules import HANDLERS, UFUNC_METHODS, UFUNCS, elementwise, shapes

_SEQUENCE = (list, tuple)


def operand(x: Any) -> Any:
    """Return a list or tuple as the array that NumPy makes of it."""
    return np.asarray(x) if isinstance(x, _SEQUENCE) else x


def _method(function: Any) -> Any:
    handler = HANDLERS[function]

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return handler(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"Compute `numpy.{function.__name__}`."
    return method


def _refused(what: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(
            f"got {what} of a traced value of shape {self.shape}, which would drop its derivative: "
            "use the NumPy function of the same name, .value for its value alone, or stop_gradient"
        )

    return refuse


class ArrayMembers(Node):
    """A node with the members of an array; `Variable` adds arithmetic and is its only subclass."""

    __slots__ = ()

    # Shape ------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.primal.shape
        return shape

    @property
    def ndim(self) -> int:
        return len(self.primal.shape)

    @property
    def size(self) -> int:
        size: int = self.primal.size
        return size

    @property
    def dtype(self) -> Any:
        return self.primal.dtype

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        return apply(shapes.TRANSPOSE, (self,))

    @property
    def mT(self) -> Any:  # noqa: N802 - NumPy's name
        return HANDLERS[np.matrix_transpose](self)

    @property
    def real(self) -> Any:
        return apply(elementwise.REAL, (self,))

    @property
    def imag(self) -> Any:
        return apply(elementwise.IMAG, (self,))

    def __len__(self) -> int:
        return len(self.primal)

    def __iter__(self) -> Any:
        if not self.shape:
            raise TypeError("got iteration over a 0-d variable, expected at least one axis")
        entries: Any = self
        return iter([entries[i] for i in range(len(self))])

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            f"got an assignment to x[{index!r}] of a variable, which would overwrite a recorded value: "
            "build the array with np.where, np.concatenate or np.stack"
        )

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Compute `numpy.ndarray.astype`; a cast to integer or bool is a constant."""
        return shapes.astype(self, dtype, copy=copy)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """Compute `numpy.ndarray.reshape`."""
        return HANDLERS[np.reshape](self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        """Compute `numpy.ndarray.transpose`."""
        return apply(shapes.TRANSPOSE, (self, axes[0] if len(axes) == 1 else axes or None))

    def flatten(self, order: str = "C") -> Any:
        """Compute `numpy.ndarray.flatten`."""
        return HANDLERS[np.ravel](self, order=order)

    def compress(self, condition: Any, axis: int | None = None) -> Any:
        """Compute `numpy.ndarray.compress`."""
        return HANDLERS[np.compress](condition, self, axis)

    # Leaving the graph ------------------------------------------------------------------------

    __float__ = _refused("float()")
    __int__ = _refused("int()")
    __index__ = _refused("an integer index")
    __complex__ = _refused("complex()")
    __array__ = _refused("an array copy (np.asarray, np.array)")
    item = _refused("item()")
    tolist = _refused("tolist()")

    # NumPy's dispatch protocols ---------------------------------------------------------------

    #: Above that of a pandas DataFrame, 4000: ``series * x`` asks ``x`` first.
    __pandas_priority__ = 5000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not kwargs and method == "__call__" and len(inputs) <= 2:
            first, last = inputs[0], inputs[-1]
            handler = UFUNCS.get(ufunc)
            if handler is not None and not (isinstance(first, _SEQUENCE) or isinstance(last, _SEQUENCE)):
                return apply(handler, inputs) if handler.__class__ is Primitive else handler(*inputs)
        return UFUNC_METHODS[method](ufunc, *map(operand, inputs), **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = HANDLERS.get(function)
        if handler is None:
            name = f"{function.__module__}.{function.__name__}"
            raise NotImplementedError(
                f"got {name} of a variable, which has no derivative rule: write it with other functions, "
                "or give it a rule with custom_rule"
            )
        return handler(*args, **kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        # Inside, because building the namespace loads all lazy modules of NumPy: 0.12 s of CPU.
        from autodiff_compare.backends.numpy_autodiff.array.namespace import xp

        return xp


for _function in (
    *(np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.argmax, np.argmin, np.argsort, np.any, np.all),
    *(np.cumsum, np.cumprod, np.squeeze, np.swapaxes, np.ravel, np.clip, np.conj, np.round, np.trace, np.diagonal),
    *(np.dot, np.take, np.repeat, np.copy, np.sort, np.nonzero, np.argpartition, np.searchsorted, np.choose),
):
    _name = {"conjugate": "conj"}.get(_function.__name__, {"amax": "max", "amin": "min"}.get(_function.__name__, ""))
    setattr(ArrayMembers, _name or _function.__name__, _method(_function))
ArrayMembers.conjugate = ArrayMembers.conj  # type: ignore[attr-defined]
