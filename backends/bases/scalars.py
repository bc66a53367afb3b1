"""The base of systems that know scalars only: arrays of them are NumPy's, with one Python object an entry.

NumPy adds, multiplies, indexes and reshapes such arrays itself, and asks each object for the arithmetic. What is left
is done here: functions of one scalar are mapped over the entries, and comparisons give an array of objects, where NumPy
would ask each entry for its truth.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.bases.namespace import Functions, on_arrays
from autodiff_compare.backends.interface import NumpyArrays, Prepared, Request, Unsupported
from autodiff_compare.vocabulary import Operator


class ScalarArray(np.ndarray):
    """An array of scalars of another system; results are arrays too, where NumPy would return the entry."""

    def __getitem__(self, key: Any) -> Any:
        if any(isinstance(part, ScalarArray) for part in (key if isinstance(key, tuple) else (key,))):
            raise Unsupported("an index or mask that is computed by scalars; integer data are an index only as numbers")
        return scalar_array(super().__getitem__(key))

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return scalar_array(array)

    def __bool__(self) -> bool:
        try:
            return bool(self.item())
        except Exception as error:
            raise Unsupported(f"a branch on data: {str(error).splitlines()[0]}; write xp.where") from error

    def __lt__(self, other: Any) -> Any:
        return np.less(self, other, dtype=object)

    def __le__(self, other: Any) -> Any:
        return np.less_equal(self, other, dtype=object)

    def __gt__(self, other: Any) -> Any:
        return np.greater(self, other, dtype=object)

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(self, other, dtype=object)


def scalar_array(x: Any) -> Any:
    """Return an array of objects, or one object, as a `ScalarArray`; an array of numbers is converted."""
    if isinstance(x, np.ndarray):
        return x.astype(object).view(ScalarArray) if x.dtype != object else x.view(ScalarArray)
    return filled([x], ())


def filled(entries: Sequence[Any], shape: tuple[int, ...]) -> ScalarArray:
    """Return the entries, in C order, as an array. Each is stored as it is, even if it could be read as an array."""
    out = np.empty(len(entries), dtype=object)
    for i, entry in enumerate(entries):
        out[i] = entry
    return out.reshape(shape).view(ScalarArray)


def _moved(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *args, **options: scalar_array(function(scalar_array(x), *args, **options))


def _joined(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda xs, **options: scalar_array(function([scalar_array(x) for x in xs], **options))


def _mapped(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    each = np.frompyfunc(function, count, 1)
    return lambda *args: scalar_array(each(*map(scalar_array, args)))


def _folded(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    each = np.frompyfunc(function, 2, 1)

    def fold(x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
        found = each.reduce(np.ravel(x) if axis is None else x, axis=axis or 0)
        if keepdims:
            found = np.reshape(found, np.sum(x, axis=axis, keepdims=True).shape)
        return scalar_array(found)

    return fold


#: Functions of NumPy that move entries or add and multiply them.
_OF_NUMPY: Functions = MappingProxyType(
    {
        "sum": _moved(np.sum), "prod": _moved(np.prod), "cumulative_sum": _moved(np.cumsum),
        "cumulative_prod": _moved(np.cumprod), "reshape": _moved(np.reshape), "permute_dims": _moved(np.transpose),
        "broadcast_to": _moved(np.broadcast_to), "flip": _moved(np.flip), "roll": _moved(np.roll),
        "tile": _moved(np.tile), "repeat": _moved(np.repeat), "concat": _joined(np.concatenate),
        "stack": _joined(np.stack), "tensordot": lambda a, b, axes=2: scalar_array(np.tensordot(a, b, axes)),
    }
)  # fmt: skip


def scalar_functions(unary: Functions, binary: Functions, choose: Callable[[Any, Any, Any], Any]) -> Functions:
    """Return the functions of an array namespace from functions of scalars.

    Parameters
    ----------
    unary, binary
        Name in the array API standard -> function of one or two scalars, which may be Python numbers. Of numbers alone
        it returns a number, at least where a scalar without inputs does not mix with others.
    choose
        ``choose(condition, a, b)`` of scalars.
    """
    found: dict[str, Callable[..., Any]] = dict(_OF_NUMPY)
    found |= {name: _mapped(f, 1) for name, f in unary.items()}
    found |= {name: _mapped(f, 2) for name, f in binary.items()}
    found |= {name: _folded(binary[of]) for name, of in (("max", "maximum"), ("min", "minimum")) if of in binary}
    return on_arrays({**found, "where": _mapped(choose, 3)})


class Scalars(NumpyArrays):
    """A backend whose scalars carry their derivatives: one evaluation gives the whole Jacobian.

    Outside of a derivative, variables are NumPy arrays. A system with second derivatives adds `Operator.HESSIAN` to
    ``native`` and implements `curvatures`.
    """

    native: ClassVar[frozenset[Operator]] = frozenset({Operator.VALUE, Operator.JACOBIAN})

    def scalar(self, value: float) -> Any:
        """Return a new independent scalar."""
        raise NotImplementedError(f"{type(self).__name__} has neither scalar(value) nor scalars(values)")

    def scalars(self, values: Sequence[float]) -> Sequence[Any]:
        """Return all independent scalars of one evaluation; by default each is made by `scalar`.

        A subclass does this instead where each scalar has its number, or where all know how many there are.
        """
        return [self.scalar(value) for value in values]

    @abc.abstractmethod
    def number(self, scalar: Any) -> float:
        """Return the value of a scalar; a Python number is its own."""

    @abc.abstractmethod
    def slopes(self, scalar: Any, inputs: Sequence[Any]) -> Sequence[float]:
        """Return the derivatives of a scalar, or of a Python number, by all independent scalars, in their order."""

    def curvatures(self, scalar: Any, inputs: Sequence[Any]) -> Any:  # noqa: ARG002 - the signature of a subclass
        """Return the Hessian of a scalar, or of a Python number, by all independent scalars: n rows of n numbers."""
        raise Unsupported(f"{self.name} has no second derivatives")

    def to_numpy(self, var: Any) -> NDArray[Any]:
        return self._numbers(var, np.dtype(float)) if isinstance(var, ScalarArray) else np.array(var)

    def _native(self, request: Request) -> Prepared:
        function, argnums, dtype = request.function, request.argnums, np.asarray(request.inputs[0]).dtype
        if request.operator is Operator.VALUE:
            return lambda *args: self._numbers(function(*map(_as_scalars, args)), dtype)

        def evaluated(args: Sequence[Any]) -> tuple[Any, Sequence[Any], list[tuple[slice, Any]]]:
            # Data stay NumPy's arrays: their functions are NumPy's, where a system would make scalars without inputs.
            given, spans = list(args), _spans([args[i] for i in argnums])
            inputs = self.scalars(np.concatenate([np.ravel(x) for _, x in spans]).tolist())
            for i, (span, x) in zip(argnums, spans, strict=True):
                given[i] = filled(inputs[span], np.shape(x))
            return scalar_array(function(*given)), inputs, spans

        def jacobian(*args: Any) -> tuple[NDArray[Any], ...]:
            output, inputs, spans = evaluated(args)
            rows = [self.slopes(entry, inputs) for entry in np.ravel(np.asarray(output)).tolist()]
            whole = np.array(rows, dtype=float).reshape(*output.shape, len(inputs))
            return tuple(whole[..., span].reshape(output.shape + x.shape).astype(x.dtype) for span, x in spans)

        def hessian(*args: Any) -> tuple[tuple[NDArray[Any], ...], ...]:
            output, inputs, spans = evaluated(args)
            whole = np.array(self.curvatures(output.item(), inputs), dtype=float).reshape((len(inputs),) * 2)
            return tuple(
                tuple(whole[rows, columns].reshape(x.shape + y.shape).astype(x.dtype) for columns, y in spans)
                for rows, x in spans
            )

        if request.operator is Operator.HESSIAN:
            request.require_scalar(self._numbers(function(*map(_as_scalars, request.args)), dtype).shape)
            return hessian
        return jacobian

    def _numbers(self, x: Any, dtype: Any) -> NDArray[Any]:
        entries = scalar_array(x)
        numbers = [self.number(entry) for entry in np.ravel(np.asarray(entries)).tolist()]
        return np.array(numbers, dtype=dtype).reshape(entries.shape)


def _spans(arrays: Sequence[Any]) -> list[tuple[slice, Any]]:
    """Return each array with the place of its entries among those of all."""
    stops = np.cumsum([np.size(x) for x in arrays]).tolist()
    return [(slice(stop - np.size(x), stop), x) for stop, x in zip(stops, arrays, strict=True)]


def _as_scalars(x: NDArray[Any]) -> Any:
    """Return floats as an array of scalars; integers and booleans are data and stay NumPy's."""
    return scalar_array(np.asarray(x)) if np.asarray(x).dtype.kind == "f" else x
