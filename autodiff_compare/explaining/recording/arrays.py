"""The arrays that an objective computes with while it is recorded: each operator and method becomes an operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

#: Message about a function of NumPy that is called in the place of one of the namespace.
NUMPY_CALLED = (
    "got a NumPy function called on an intermediate result, expected one of xp: NumPy's would drop the derivative on"
    " other backends"
)


class Source(str):
    """A piece of source text; other texts are arguments of an operation."""

    __slots__ = ()


class Recording(Protocol):
    """The members of `autodiff_compare.explaining.recording.recorder.Recorder` that an array uses."""

    xp: Any

    def operation(self, name: str, text: list[Any], compute: Callable[[], Any]) -> Any:
        """Record an operation and return its result."""
        ...

    def method(self, array: RecordedArray, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of an array that records its calls."""
        ...

    def decide(self) -> None:
        """Note that the objective reads a number."""
        ...


class RecordedDtype:
    """The dtype of a recorded array: a program refers to it by the array, since backends compute in other dtypes."""

    def __init__(self, array: RecordedArray, dtype: Any) -> None:
        self.array, self.dtype = array, np.dtype(dtype)

    def __eq__(self, other: object) -> bool:
        return bool(self.dtype == (other.dtype if isinstance(other, RecordedDtype) else other))

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dtype, name)

    def __repr__(self) -> str:
        return repr(self.dtype)


def _values(x: Any) -> Any:
    return x.value if isinstance(x, RecordedArray) else x


def _binary(symbol: str, compute: Callable[[Any, Any], Any], *, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def operator(self: RecordedArray, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        first, second = (other, self) if reflected else (self, other)
        recorded: Any = self.recording
        return recorded.operation(
            symbol,
            [Source("("), first, Source(f" {symbol} "), second, Source(")")],
            lambda: compute(_values(first), _values(second)),
        )

    return operator


def _unary(symbol: str, text: list[str], compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def operator(self: RecordedArray) -> Any:
        return self.recording.operation(symbol, [Source(text[0]), self, Source(text[1])], lambda: compute(self.value))

    return operator


def _is_operand(x: Any) -> bool:
    return isinstance(x, (RecordedArray, bool, int, float, complex)) or hasattr(x, "dtype")


class RecordedArray:
    """A NumPy value with the name of the variable that holds it in the program.

    Parameters
    ----------
    recording
        The recorder.
    name
        The variable.
    value
        A NumPy array or scalar, or a traced value of our engine.
    active
        Whether it depends on a differentiated input.
    """

    #: NumPy leaves operators with its own arrays on the left to the methods below.
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, recording: Recording, name: str, value: Any, active: bool) -> None:
        self.recording, self.name, self.value, self.active = recording, name, value, active

    __add__ = _binary("+", lambda a, b: a + b)
    __radd__ = _binary("+", lambda a, b: a + b, reflected=True)
    __sub__ = _binary("-", lambda a, b: a - b)
    __rsub__ = _binary("-", lambda a, b: a - b, reflected=True)
    __mul__ = _binary("*", lambda a, b: a * b)
    __rmul__ = _binary("*", lambda a, b: a * b, reflected=True)
    __truediv__ = _binary("/", lambda a, b: a / b)
    __rtruediv__ = _binary("/", lambda a, b: a / b, reflected=True)
    __floordiv__ = _binary("//", lambda a, b: a // b)
    __rfloordiv__ = _binary("//", lambda a, b: a // b, reflected=True)
    __mod__ = _binary("%", lambda a, b: a % b)
    __rmod__ = _binary("%", lambda a, b: a % b, reflected=True)
    __pow__ = _binary("**", lambda a, b: a**b)
    __rpow__ = _binary("**", lambda a, b: a**b, reflected=True)
    __matmul__ = _binary("@", lambda a, b: a @ b)
    __rmatmul__ = _binary("@", lambda a, b: a @ b, reflected=True)
    __and__ = _binary("&", lambda a, b: a & b)
    __rand__ = _binary("&", lambda a, b: a & b, reflected=True)
    __or__ = _binary("|", lambda a, b: a | b)
    __ror__ = _binary("|", lambda a, b: a | b, reflected=True)
    __xor__ = _binary("^", lambda a, b: a ^ b)
    __rxor__ = _binary("^", lambda a, b: a ^ b, reflected=True)
    __lshift__ = _binary("<<", lambda a, b: a << b)
    __rshift__ = _binary(">>", lambda a, b: a >> b)
    __lt__ = _binary("<", lambda a, b: a < b)
    __le__ = _binary("<=", lambda a, b: a <= b)
    __gt__ = _binary(">", lambda a, b: a > b)
    __ge__ = _binary(">=", lambda a, b: a >= b)
    __eq__ = _binary("==", lambda a, b: a == b)
    __ne__ = _binary("!=", lambda a, b: a != b)
    __neg__ = _unary("-", ["(-", ")"], lambda a: -a)
    __pos__ = _unary("+", ["(+", ")"], lambda a: +a)
    __invert__ = _unary("~", ["(~", ")"], lambda a: ~a)
    __abs__ = _unary("abs", ["abs(", ")"], abs)

    def __getitem__(self, key: Any) -> Any:
        return self.recording.operation("[]", [self, Source("["), key, Source("]")], lambda: self.value[_index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "got an assignment to entries of an array, expected a function that makes new arrays (xp.where, xp.stack):"
            " most systems cannot differentiate it"
        )

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.value)))

    def __bool__(self) -> bool:
        self.recording.decide()
        return bool(self.value)

    def __float__(self) -> float:
        self.recording.decide()
        return float(self.value)

    def __int__(self) -> int:
        self.recording.decide()
        return int(self.value)

    def __index__(self) -> int:
        self.recording.decide()
        return int(self.value.__index__())

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(NUMPY_CALLED)

    def __array_namespace__(self, **_: Any) -> Any:
        return self.recording.xp

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self.value, name)
        if name == "dtype":
            return RecordedDtype(self, found)
        if callable(found):
            return self.recording.method(self, name, found)
        if hasattr(found, "dtype") and hasattr(found, "shape"):
            return self.recording.operation(f".{name}", [self, Source(f".{name}")], lambda: found)
        return found


def _index(key: Any) -> Any:
    """Return an index with the values of recorded arrays."""
    if isinstance(key, tuple):
        return tuple(map(_index, key))
    if isinstance(key, slice):
        return slice(*map(_index, (key.start, key.stop, key.step)))
    return _values(key)
