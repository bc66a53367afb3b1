"""`Variable`: a value that remembers how it was made, with the operators and methods of a NumPy array.

Arithmetic between variables of one trace, or of a variable with a Python number, is most of what a scalar
program does, and the only code here that is written for speed: it fills in a node by hand (`apply` does the same for
every primitive), and its sweeps are in `backends.numpy_autodiff.arithmetic`. All else goes through `apply`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, final

import numpy as np

from backends.numpy_autodiff import arithmetic as fast
from backends.numpy_autodiff.primitive import Primitive
from backends.numpy_autodiff.rules import (
    CONSTANT,
    HANDLERS,
    UFUNC_METHODS,
    UFUNCS,
    elementwise,
    indexing,
    products,
    shapes,
)
from backends.numpy_autodiff.tracing import Node, apply

_new = object.__new__
_SEQUENCE = (list, tuple)
_WHOLE = (2.0, 3.0, 4.0)
_ndarray = np.ndarray
_add, _subtract, _multiply = elementwise.ADD, elementwise.SUBTRACT, elementwise.MULTIPLY
_divide, _power, _negative = elementwise.DIVIDE, elementwise.POWER, elementwise.NEGATIVE


def _operand(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, (list, tuple)) else x


def _binary(primitive: Any) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """The operator and its reflection."""

    def operator(self: Any, other: Any) -> Any:
        return apply(primitive, (self, _operand(other)))

    def reflected(self: Any, other: Any) -> Any:
        return apply(primitive, (_operand(other), self))

    return operator, reflected


def _method(function: Any) -> Any:
    handler = HANDLERS[function]

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return handler(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"As `numpy.{function.__name__}`."
    return method


def _refused(what: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(
            f"got {what} of a traced value of shape {self.shape}, which would drop its derivative: "
            "use the NumPy function of the same name, .value for the number alone, or stop_gradient"
        )

    return refuse


@final
class Variable(Node):
    """A differentiable array.

    Parameters
    ----------
    value
        A float or complex number, an array or a nested list of them. It is copied: a variable never aliases its
        source, and 0-d arrays become NumPy scalars.
    dtype
        Cast to this; by default the dtype is kept.

    Attributes
    ----------
    value : ndarray or NumPy scalar
        The number without its history. Do not change it in place between an operation and its backward sweep.
    grad : ndarray, Variable or None
        What `backward` has gathered; see `backends.numpy_autodiff.backward`.

    Raises
    ------
    TypeError
        If the value is not floating or complex: integers and booleans have no derivative.
    """

    __slots__ = ()

    def __init__(self, value: Any, dtype: Any = None) -> None:
        from backends.numpy_autodiff import backward

        super().__init__(backward.leaf_value(value, dtype), backward.EAGER)

    __hash__ = object.__hash__

    # Arithmetic -------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is Variable:
            trace = self.tape
            if other.tape is not trace:
                return apply(_add, (self, other))
            value, call = self.value + other.value, fast.ADD
        elif cls is float or cls is int:
            value, call, trace = self.value + other, fast.SHIFT, self.tape
        elif cls is _ndarray:
            value, call, trace = self.value + other, fast.ADD_ARRAY, self.tape
        else:
            return apply(_add, (self, _operand(other)))
        out = _new(Variable)
        out.value = value
        out.tape = trace
        out.call = call
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __radd__(self, other: Any) -> Any:
        if other.__class__ is not float and other.__class__ is not int:
            return apply(_add, (_operand(other), self))
        out = _new(Variable)
        out.value = self.value + other
        out.tape = trace = self.tape
        out.call = fast.SHIFT
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __sub__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is Variable:
            trace = self.tape
            if other.tape is not trace:
                return apply(_subtract, (self, other))
            value, call = self.value - other.value, fast.SUBTRACT
        elif cls is float or cls is int:
            value, call, trace = self.value - other, fast.SHIFT_BACK, self.tape
        elif cls is _ndarray:
            value, call, trace = self.value - other, fast.SUBTRACT_ARRAY, self.tape
        else:
            return apply(_subtract, (self, _operand(other)))
        out = _new(Variable)
        out.value = value
        out.tape = trace
        out.call = call
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __rsub__(self, other: Any) -> Any:
        if other.__class__ is not float and other.__class__ is not int:
            return apply(_subtract, (_operand(other), self))
        out = _new(Variable)
        out.value = other - self.value
        out.tape = trace = self.tape
        out.call = fast.FROM
        out.args = (other, self)
        out.flow = None
        trace.record(out)
        return out

    def __mul__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is Variable:
            trace = self.tape
            if other.tape is not trace:
                return apply(_multiply, (self, other))
            value, call = self.value * other.value, fast.MULTIPLY
        elif cls is float or cls is int:
            value, call, trace = self.value * other, fast.SCALE, self.tape
        elif cls is _ndarray:
            value, call, trace = self.value * other, fast.MULTIPLY_ARRAY, self.tape
        else:
            return apply(_multiply, (self, _operand(other)))
        out = _new(Variable)
        out.value = value
        out.tape = trace
        out.call = call
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __rmul__(self, other: Any) -> Any:
        if other.__class__ is not float and other.__class__ is not int:
            return apply(_multiply, (_operand(other), self))
        out = _new(Variable)
        out.value = self.value * other
        out.tape = trace = self.tape
        out.call = fast.SCALE
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __pow__(self, other: Any) -> Any:
        if other.__class__ is int and 2 <= other <= 4:
            value = self.value
            square = value * value
            out = _new(Variable)
            out.value = square if other == 2 else square * value if other == 3 else square * square
            out.tape = trace = self.tape
            out.call = fast.POWER
            out.args = (self, other)
            out.flow = None
            trace.record(out)
            return out
        if other.__class__ is float and other in _WHOLE:
            return self.__pow__(int(other))
        return apply(_power, (self, _operand(other)))

    def __rpow__(self, other: Any) -> Any:
        return apply(_power, (_operand(other), self))

    def __neg__(self) -> Any:
        out = _new(Variable)
        out.value = -self.value
        out.tape = trace = self.tape
        out.call = fast.NEGATIVE
        out.args = (self,)
        out.flow = None
        trace.record(out)
        return out

    def __matmul__(self, other: Any) -> Any:
        if other.__class__ is not Variable or other.tape is not self.tape:
            return apply(products.MATMUL, (self, _operand(other)))
        a, b = self.value, other.value
        out = _new(Variable)
        out.value = (
            a.dot(b) if a.__class__ is b.__class__ is _ndarray and a.ndim == 2 == b.ndim else products.MATMUL(a, b)
        )
        out.tape = trace = self.tape
        out.call = products.MATMUL_CALL
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return apply(elementwise.ABSOLUTE, (self,))

    __truediv__, __rtruediv__ = _binary(_divide)
    __floordiv__, __rfloordiv__ = _binary(CONSTANT[np.floor_divide])
    __mod__, __rmod__ = _binary(elementwise.REMAINDER)
    _, __rmatmul__ = _binary(products.MATMUL)
    __lt__, _ = _binary(CONSTANT[np.less])
    __le__, _ = _binary(CONSTANT[np.less_equal])
    __gt__, _ = _binary(CONSTANT[np.greater])
    __ge__, _ = _binary(CONSTANT[np.greater_equal])
    __eq__, _ = _binary(CONSTANT[np.equal])
    __ne__, _ = _binary(CONSTANT[np.not_equal])
    del _

    # Shape, indexing --------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def ndim(self) -> int:
        return len(self.value.shape)

    @property
    def size(self) -> int:
        size: int = self.value.size
        return size

    @property
    def dtype(self) -> Any:
        return self.value.dtype

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
        return len(self.value)

    def __getitem__(self, index: Any) -> Any:
        if index.__class__ is not slice and index.__class__ is not int:
            return indexing.getitem(self, index)
        out = _new(Variable)
        out.value = self.value[index]
        out.tape = trace = self.tape
        out.call = indexing.GETITEM_CALL
        out.args = (self, index)
        out.flow = None
        trace.record(out)
        return out

    def __iter__(self) -> Any:
        if not self.shape:
            raise TypeError("got iteration over a 0-d variable, expected at least one axis")
        return iter([self[i] for i in range(len(self))])

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            f"got an assignment to x[{index!r}] of a variable, which would rewrite recorded history: "
            "build the array with np.where, np.concatenate or np.stack"
        )

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """As `numpy.ndarray.astype`; a cast to integer or bool is a constant."""
        return shapes.astype(self, dtype, copy=copy)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """As `numpy.ndarray.reshape`."""
        return HANDLERS[np.reshape](self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        """As `numpy.ndarray.transpose`."""
        return apply(shapes.TRANSPOSE, (self, axes[0] if len(axes) == 1 else axes or None))

    def flatten(self, order: str = "C") -> Any:
        """As `numpy.ndarray.flatten`."""
        return HANDLERS[np.ravel](self, order=order)

    def __repr__(self) -> str:
        return f"Variable({self.value!r})"

    # Leaving the graph ------------------------------------------------------------------------

    def __bool__(self) -> bool:
        if self.tape.symbolic:
            return self.tape.decide(self)
        return bool(self.value)

    __float__ = _refused("float()")
    __int__ = _refused("int()")
    __index__ = _refused("an integer index")
    __complex__ = _refused("complex()")
    __array__ = _refused("an array copy (np.asarray, np.array)")
    item = _refused("item()")
    tolist = _refused("tolist()")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not kwargs and method == "__call__" and len(inputs) <= 2:
            first, last = inputs[0], inputs[-1]
            handler = UFUNCS.get(ufunc)
            if handler is not None and not (isinstance(first, _SEQUENCE) or isinstance(last, _SEQUENCE)):
                return apply(handler, inputs) if handler.__class__ is Primitive else handler(*inputs)
        return UFUNC_METHODS[method](ufunc, *map(_operand, inputs), **kwargs)

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
        from backends.numpy_autodiff.namespace import xp

        return xp

    # The backward style -----------------------------------------------------------------------

    @property
    def grad(self) -> Any:
        return getattr(self, "_grad", None)

    @grad.setter
    def grad(self, value: Any) -> None:
        self._grad = value

    def backward(self, cotangent: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this value to ``.grad`` of the variables it depends on.

        See `backends.numpy_autodiff.backward.backward`.
        """
        from backends.numpy_autodiff.backward import backward

        backward(self, cotangent, retain_graph=retain_graph, create_graph=create_graph)

    def retain_grad(self) -> None:
        """Let `backward` keep ``.grad`` here although this is an intermediate value."""
        self._retained = True

    def zero_grad(self) -> None:
        """Forget ``.grad``."""
        self._grad = None

    def detach(self) -> Any:
        """The value as a new variable without history."""
        return Variable(self.value)


for _function in (
    (np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.argmax, np.argmin, np.argsort, np.any, np.all)
    + (np.cumsum, np.cumprod, np.squeeze, np.swapaxes, np.ravel, np.clip, np.conj, np.round, np.trace, np.diagonal)
    + (np.dot, np.take, np.repeat, np.copy, np.sort)
):
    _name = {"conjugate": "conj"}.get(_function.__name__, {"amax": "max", "amin": "min"}.get(_function.__name__, ""))
    setattr(Variable, _name or _function.__name__, _method(_function))
