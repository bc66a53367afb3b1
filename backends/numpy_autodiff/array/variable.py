"""`Variable`: a node of a trace with the operators and methods of a NumPy array.

Arithmetic between variables of one trace, or of a variable with a Python number, is most of what a scalar program does.
It is the only code here that is written for speed: it records without `apply`, and its backward sweeps are in
`autodiff_compare.backends.numpy_autodiff.rules.arithmetic`. All else goes through `apply`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.array.protocols import ArrayMembers, operand
from autodiff_compare.backends.numpy_autodiff.core.cotangent import is_basic
from autodiff_compare.backends.numpy_autodiff.core.ownership import keep
from autodiff_compare.backends.numpy_autodiff.core.primitive import INPUT, apply
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, primal, record
from autodiff_compare.backends.numpy_autodiff.rules import (
    CONSTANT,
    HANDLERS,
    UFUNCS,
    elementwise,
    indexing,
    powers,
    products,
)
from autodiff_compare.backends.numpy_autodiff.rules import arithmetic as fast
from autodiff_compare.backends.numpy_autodiff.transforms import backward

_WHOLE = (2.0, 3.0, 4.0)
_ndarray = np.ndarray
_add, _subtract, _multiply = elementwise.ADD, elementwise.SUBTRACT, elementwise.MULTIPLY
_divide, _power, _negative = elementwise.DIVIDE, powers.POWER, elementwise.NEGATIVE


def _binary(primitive: Any) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """Return the operator of a primitive and its reflection."""

    def operator(self: Any, other: Any) -> Any:
        return apply(primitive, (self, operand(other)))

    def reflected(self: Any, other: Any) -> Any:
        return apply(primitive, (operand(other), self))

    return operator, reflected


def _binary_of(function: Any) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """Return the operator of a function that is not a primitive, and its reflection."""
    return (lambda self, other: function(self, operand(other))), (lambda self, other: function(operand(other), self))


class Variable(ArrayMembers):
    """A differentiable array.

    Parameters
    ----------
    value
        A float or complex number, an array or a nested list of them. It is copied, so that a variable never shares
        memory with its source. A 0-d array becomes a NumPy scalar.
    dtype
        The dtype of the copy; by default that of the value.

    Attributes
    ----------
    value : ndarray or NumPy scalar
        The value without its history; an array is read-only. A variable made by ``Variable(...)`` can be assigned a
        new value: ``x.value = x.value - 0.1 * x.grad``.
    grad : ndarray, Variable or None
        The gradient that `backward` has added up; see `autodiff_compare.backends.numpy_autodiff.transforms.backward`.

    Raises
    ------
    TypeError
        If the value is not floating or complex: integers and booleans have no derivative.
    """

    __slots__ = ()

    def __init__(self, value: Any, dtype: Any = None) -> None:
        self.primal = backward.leaf_value(value, dtype)
        self.tape = backward.EAGER
        self.call = INPUT
        self.args = ()
        self.flow = None
        self.made = 0

    __hash__ = object.__hash__

    @property
    def value(self) -> Any:
        primal = self.primal
        if primal.__class__ is not _ndarray:
            return primal
        view: Any = primal.view()
        view.setflags(False)
        return view

    @value.setter
    def value(self, value: Any) -> None:
        if self.call is not INPUT or self.tape is not backward.EAGER:
            raise TypeError(
                "got a new value for the result of an operation, expected a variable made by Variable(...): "
                "assign to that, make a new variable, or copy one inside no_grad()"
            )
        new = backward.leaf_value(value, self.dtype)
        if new.shape != self.shape:
            raise ValueError(f"got a value of shape {new.shape}, expected {self.shape}: make a new variable")
        self.primal, self.made = new, backward.now()

    # Copies -----------------------------------------------------------------------------------

    def __copy__(self) -> Any:
        """Return a copy that keeps the derivative.

        The result of an operation never changes, so it is its own copy. A variable made by ``Variable(...)`` can be
        assigned a new value, so its copy is the result of an operation.
        """
        assignable = self.call is INPUT and self.tape is backward.EAGER
        return HANDLERS[np.copy](self) if assignable else self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"got a pickle of a variable of shape {self.shape}, which would drop its derivative: "
            "pickle x.value and make a variable of it again, or pass the variable itself (within one process)"
        )

    # Arithmetic -------------------------------------------------------------------------------
    #
    # Addition, subtraction, multiplication and small powers repeat the body of `record`. A call of it would cost 35 ns
    # of the 290 ns of such an operation, a constructor with arguments 95 ns (Python 3.11): 6 % of a chain of numbers.

    def __add__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is Recorded:
            trace = self.tape
            if other.tape is not trace:
                return apply(_add, (self, other))
            value, call = self.primal + other.primal, fast.ADD
        elif cls is float or cls is int:
            value, call, trace = self.primal + other, fast.SHIFT, self.tape
        elif cls is _ndarray:
            value, call, trace = self.primal + other, fast.ADD_ARRAY, self.tape
        elif cls is Variable and other.tape is self.tape:
            value, call, trace = self.primal + other.primal, fast.ADD, self.tape
        else:
            return apply(_add, (self, operand(other)))
        out = Recorded()
        out.primal = value
        out.tape = trace
        out.call = call
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __radd__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is not int and cls is not float:
            return apply(_add, (operand(other), self))
        out = Recorded()
        out.primal = self.primal + other
        out.tape = trace = self.tape
        out.call = fast.SHIFT
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __sub__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is Recorded:
            trace = self.tape
            if other.tape is not trace:
                return apply(_subtract, (self, other))
            value, call = self.primal - other.primal, fast.SUBTRACT
        elif cls is float or cls is int:
            value, call, trace = self.primal - other, fast.SHIFT_BACK, self.tape
        elif cls is _ndarray:
            value, call, trace = self.primal - other, fast.SUBTRACT_ARRAY, self.tape
        elif cls is Variable and other.tape is self.tape:
            value, call, trace = self.primal - other.primal, fast.SUBTRACT, self.tape
        else:
            return apply(_subtract, (self, operand(other)))
        out = Recorded()
        out.primal = value
        out.tape = trace
        out.call = call
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __rsub__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is not int and cls is not float:
            return apply(_subtract, (operand(other), self))
        out = Recorded()
        out.primal = other - self.primal
        out.tape = trace = self.tape
        out.call = fast.FROM
        out.args = (other, self)
        out.flow = None
        trace.record(out)
        return out

    def __mul__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is Recorded:
            trace = self.tape
            if other.tape is not trace:
                return apply(_multiply, (self, other))
            value, call = self.primal * other.primal, fast.MULTIPLY
        elif cls is float or cls is int:
            value, call, trace = self.primal * other, fast.SCALE, self.tape
        elif cls is _ndarray:
            value, call, trace = self.primal * other, fast.MULTIPLY_ARRAY, self.tape
            if trace.held is not None and other is not trace.kept:
                other = trace.kept = keep(trace.held, other)
        elif cls is Variable and other.tape is self.tape:
            value, call, trace = self.primal * other.primal, fast.MULTIPLY, self.tape
        else:
            return apply(_multiply, (self, operand(other)))
        out = Recorded()
        out.primal = value
        out.tape = trace
        out.call = call
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __rmul__(self, other: Any) -> Any:
        cls = other.__class__
        if cls is not int and cls is not float:
            return apply(_multiply, (operand(other), self))
        out = Recorded()
        out.primal = self.primal * other
        out.tape = trace = self.tape
        out.call = fast.SCALE
        out.args = (self, other)
        out.flow = None
        trace.record(out)
        return out

    def __pow__(self, other: Any) -> Any:
        if other.__class__ is int and 2 <= other <= 4:
            value = self.primal
            square = value * value
            out = Recorded()
            out.primal = square if other == 2 else square * value if other == 3 else square * square
            out.tape = trace = self.tape
            out.call = fast.POWER
            out.args = (self, other)
            out.flow = None
            trace.record(out)
            return out
        if other.__class__ is float and other in _WHOLE:
            return self.__pow__(int(other))
        return apply(_power, (self, operand(other)))

    def __rpow__(self, other: Any) -> Any:
        return apply(_power, (operand(other), self))

    def __neg__(self) -> Any:
        return record(-self.primal, self.tape, fast.NEGATIVE, (self,))

    def __matmul__(self, other: Any) -> Any:
        if not isinstance(other, Variable) or other.tape is not self.tape:
            return apply(products.MATMUL, (self, operand(other)))
        a, b = self.primal, other.primal
        plain = a.__class__ is b.__class__ is _ndarray and a.ndim == 2 == b.ndim
        return record(a.dot(b) if plain else products.MATMUL(a, b), self.tape, products.MATMUL_CALL, (self, other))

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return apply(elementwise.ABSOLUTE, (self,))

    __truediv__, __rtruediv__ = _binary(_divide)
    __floordiv__, __rfloordiv__ = _binary(CONSTANT[np.floor_divide])
    __mod__, __rmod__ = _binary(elementwise.REMAINDER)
    __divmod__, __rdivmod__ = _binary_of(UFUNCS[np.divmod])
    _, __rmatmul__ = _binary(products.MATMUL)
    __lt__, _ = _binary(CONSTANT[np.less])
    __le__, _ = _binary(CONSTANT[np.less_equal])
    __gt__, _ = _binary(CONSTANT[np.greater])
    __ge__, _ = _binary(CONSTANT[np.greater_equal])
    __eq__, _ = _binary(CONSTANT[np.equal])
    __ne__, _ = _binary(CONSTANT[np.not_equal])
    # Of booleans and integers, which are variables only while a compiler traces.
    __and__, __rand__ = _binary(CONSTANT[np.bitwise_and])
    __or__, __ror__ = _binary(CONSTANT[np.bitwise_or])
    __xor__, __rxor__ = _binary(CONSTANT[np.bitwise_xor])
    __lshift__, __rlshift__ = _binary(CONSTANT[np.left_shift])
    __rshift__, __rrshift__ = _binary(CONSTANT[np.right_shift])
    del _

    def __invert__(self) -> Any:
        return apply(CONSTANT[np.invert], (self,))

    def __getitem__(self, index: Any) -> Any:
        cls = index.__class__
        if cls is not slice and cls is not int and not (cls is tuple and is_basic(index)):
            return indexing.getitem(self, index)
        return record(self.primal[index], self.tape, indexing.GETITEM_CALL, (self, index))

    def __repr__(self) -> str:
        return f"Variable({self.primal!r})"

    def __bool__(self) -> bool:
        # Not by way of the values below: a compiler asks which frame branches.
        x = primal(self)
        return x.tape.decide(x) if isinstance(x, Node) else bool(x)

    # The backward style -----------------------------------------------------------------------

    @property
    def grad(self) -> Any:
        return getattr(self, "_grad", None)

    @grad.setter
    def grad(self, value: Any) -> None:
        self._grad = value

    def backward(self, cotangent: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this value to ``.grad`` of the variables it depends on.

        See `autodiff_compare.backends.numpy_autodiff.transforms.backward.backward`.
        """
        backward.backward(self, cotangent, retain_graph=retain_graph, create_graph=create_graph)

    def retain_grad(self) -> None:
        """Let `backward` keep ``.grad`` of this variable, although it is an intermediate value."""
        self._retained = True

    def zero_grad(self) -> None:
        """Reset ``.grad`` to None."""
        self._grad = None

    def detach(self) -> Any:
        """Return the value as a new variable without history."""
        return Variable(self.primal)


@final
class Recorded(Variable):
    """The class of recorded variables. Without a constructor of its own it is made in half the time."""

    __slots__ = ()

    __new__ = object.__new__
    __init__ = object.__init__


# Errors of Python and of other packages name the class of a variable as the user knows it.
Recorded.__name__ = Recorded.__qualname__ = Variable.__name__

# The core makes its nodes of this class; it cannot import it.
Node.result = Recorded
