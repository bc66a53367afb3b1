"""The array namespace of TensorFlow, by the Python array API standard 2024.12: its functions, and its array object.

Importing this module imports TensorFlow, so only the adapter's ``open()`` does that. Where TensorFlow's own function
conforms, it is used under the standard's name; the files in ``functions/`` hold the others. They take and return
tensors. In the namespace ``xp`` each takes `Array` or tensors, and returns `Array`.

TensorFlow's own tensors lack ``A @ v`` with a vector, ``.T``, ``.mT``, ``.size``, ``+x``, shifts, gathers by arrays of
integers and the promotion of dtypes, and their shape is no tuple. Objectives therefore get arrays of this class, whose
only member is the tensor. The adapter takes the tensor out before it records, traces or times, so that a graph and a
timed call hold TensorFlow's own tensors and nothing else.

What no graph has is a branch on data (`xp.where`, or ``tensorflow:eager``), an array whose shape depends on data beyond
a mask, and an assignment to an entry (`xp.where`, `xp.concat`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn, final

import numpy as np
import tensorflow as tf

from autodiff_compare.backends.default_dtype import in_cells
from autodiff_compare.backends.special import NAMES, Special
from autodiff_compare.backends.tensorflow_backend.functions import (
    dtypes,
    elementwise,
    fft,
    linalg,
    manipulation,
    reductions,
    special,
)
from autodiff_compare.backends.tensorflow_backend.functions.indexing import getitem

#: Versions of the standard whose members arrays have.
VERSIONS = ("2022.12", "2023.12", "2024.12")
_IMMUTABLE = "a tensor is immutable: build the array with xp.where, xp.concat or xp.stack"


def _unary(function: Callable[[Any], Any]) -> Callable[[Any], Array]:
    return lambda self: Array(function(self.tensor))


def _binary(function: Callable[[Any, Any], Any]) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """Return the operator of a function, and its reflection."""

    def operator(self: Any, other: Any) -> Any:
        return Array(function(self.tensor, raw(other)))

    def reflected(self: Any, other: Any) -> Any:
        return Array(function(raw(other), self.tensor))

    return operator, reflected


@final
class Array:
    """A tensor as an array of the standard.

    Attributes
    ----------
    tensor : tf.Tensor
        The tensor, eager or symbolic.
    """

    __slots__ = ("tensor",)

    #: NumPy's operators leave ``numpy_array * x`` to this class.
    __array_ufunc__ = None
    # Equality is elementwise, so that an array is no key.
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    # Properties -------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The lengths of the axes; `None` where a graph does not know one, as after a boolean mask."""
        return tuple(self.tensor.shape.as_list())

    @property
    def ndim(self) -> int:
        return int(self.tensor.shape.rank)

    @property
    def size(self) -> int | None:
        shape = self.shape
        return None if None in shape else math.prod(shape)  # type: ignore[arg-type]

    @property
    def dtype(self) -> Any:
        return self.tensor.dtype

    @property
    def device(self) -> str:
        return str(self.tensor.device)

    def to_device(self, device: str, /, *, stream: Any = None) -> Array:
        """Copy to another device."""
        if stream is not None:
            raise ValueError(f"got stream={stream!r}, expected None: TensorFlow has no streams")
        with tf.device(device):
            return Array(tf.identity(self.tensor))

    @property
    def T(self) -> Array:  # noqa: N802 - the standard's name
        return Array(tf.transpose(self.tensor))

    @property
    def mT(self) -> Array:  # noqa: N802 - the standard's name
        if self.ndim < 2:
            raise ValueError(f"got x.mT of shape {self.shape}, expected two axes or more")
        return Array(tf.linalg.matrix_transpose(self.tensor))

    @property
    def real(self) -> Array:
        return Array(tf.math.real(self.tensor))

    @property
    def imag(self) -> Array:
        return Array(tf.math.imag(self.tensor))

    # Operators --------------------------------------------------------------------------------

    __add__, __radd__ = _binary(elementwise.add)
    __sub__, __rsub__ = _binary(elementwise.subtract)
    __mul__, __rmul__ = _binary(elementwise.multiply)
    __truediv__, __rtruediv__ = _binary(elementwise.divide)
    __floordiv__, __rfloordiv__ = _binary(elementwise.floor_divide)
    __mod__, __rmod__ = _binary(elementwise.remainder)
    __pow__, __rpow__ = _binary(elementwise.pow)
    __matmul__, __rmatmul__ = _binary(linalg.matmul)
    __and__, __rand__ = _binary(elementwise.bitwise_and)
    __or__, __ror__ = _binary(elementwise.bitwise_or)
    __xor__, __rxor__ = _binary(elementwise.bitwise_xor)
    __lshift__, __rlshift__ = _binary(elementwise.bitwise_left_shift)
    __rshift__, __rrshift__ = _binary(elementwise.bitwise_right_shift)
    __lt__, _ = _binary(elementwise.less)
    __le__, _ = _binary(elementwise.less_equal)
    __gt__, _ = _binary(elementwise.greater)
    __ge__, _ = _binary(elementwise.greater_equal)
    __eq__, _ = _binary(elementwise.equal)
    __ne__, _ = _binary(elementwise.not_equal)
    del _
    __neg__ = _unary(elementwise.negative)
    __pos__ = _unary(elementwise.positive)
    __abs__ = _unary(elementwise.abs)
    __invert__ = _unary(elementwise.bitwise_invert)

    # Indexing ---------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Array:
        return Array(getitem(self.tensor, raw(index)))

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(f"got an assignment to x[...] of shape {self.shape}, expected none: {_IMMUTABLE}")

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("got len() of a 0-d array, expected at least one axis")
        return len(self.tensor)

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("got iteration over a 0-d array, expected at least one axis")
        return map(Array, tf.unstack(self.tensor))

    # Leaving the graph ------------------------------------------------------------------------

    def _known(self, what: str, instead: str) -> Any:
        """Return the entry of a 0-d array as a Python number.

        Raises
        ------
        TypeError
            While TensorFlow traces, when there are no numbers yet, or if there is more than one entry.
        """
        if not hasattr(self.tensor, "numpy"):
            raise TypeError(f"got {what} of a value that TensorFlow has not computed yet, expected {instead}")
        array = self.tensor.numpy()
        if np.ndim(array):
            raise TypeError(f"got {what} of an array of shape {self.shape}, expected a 0-d array: index it first")
        return array.item()

    def __bool__(self) -> bool:
        return bool(self._known("bool(), as in `if x > 0`,", "xp.where, or tensorflow:eager for a branch on data"))

    def __float__(self) -> float:
        return float(self._known("float()", "the array itself, and xp.sin for math.sin"))

    def __int__(self) -> int:
        return int(self._known("int()", "xp.astype(x, xp.int64)"))

    def __index__(self) -> int:
        if not (self.dtype.is_integer or self.dtype.is_bool):
            raise TypeError(f"got an index of dtype {self.dtype.name}, expected an integer: xp.astype(x, xp.int64)")
        return int(self._known("an index", "xp.take, or tensorflow:eager"))

    def __complex__(self) -> complex:
        return complex(self._known("complex()", "xp.astype(x, xp.complex128)"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if not hasattr(self.tensor, "numpy"):
            raise TypeError(
                f"got an array of shape {self.shape} that TensorFlow has not computed yet where NumPy makes a copy of"
                " it, expected a function of xp: xp.sin for np.sin"
            )
        del copy
        return np.array(self.tensor.numpy(), dtype=dtype)

    def numpy(self) -> Any:
        """Return the entries as a NumPy array, as a tensor does."""
        return self.tensor.numpy()

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        return self.tensor.__tf_tensor__(dtype, name)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        del stream, max_version, dl_device, copy
        return tf.experimental.dlpack.to_dlpack(self.tensor)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the device as DLPack numbers it: 1 is the CPU, 2 an NVIDIA GPU."""
        device = tf.DeviceSpec.from_string(self.tensor.device)
        return (2 if device.device_type == "GPU" else 1), int(device.device_index or 0)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version not in (None, *VERSIONS):
            raise ValueError(f"got api_version={api_version!r}, expected one of: {', '.join(VERSIONS)}")
        return xp

    def __repr__(self) -> str:
        return f"Array({self.tensor!r})"

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"got x.{name}, expected a member of the array API standard: write xp.{name}(x), if there is such a"
            " function"
        )


def raw(x: Any) -> Any:
    """Return the tensor of an `Array`, also of those in lists and tuples; anything else unchanged."""
    if x.__class__ is Array:
        return x.tensor
    if isinstance(x, (list, tuple)):
        parts = [raw(part) for part in x]
        return x.__class__(*parts) if hasattr(x, "_fields") else x.__class__(parts)
    if x.__class__ is slice:
        return slice(raw(x.start), raw(x.stop), raw(x.step))
    return x


def wrapped(x: Any) -> Any:
    """Return a tensor as `Array`, also those in lists, tuples and named tuples; anything else unchanged."""
    if isinstance(x, (tf.Tensor, tf.Variable)):
        return Array(x)
    if isinstance(x, (list, tuple)) and not isinstance(x, tf.TensorShape):
        parts = [wrapped(part) for part in x]
        return x.__class__(*parts) if hasattr(x, "_fields") else x.__class__(parts)
    return x


def on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of tensors as one of arrays."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapped(function(*map(raw, args), **{name: raw(value) for name, value in kwargs.items()}))

    call.__name__ = call.__qualname__ = getattr(function, "__name__", "function")
    call.__doc__ = function.__doc__
    call.__wrapped__ = function  # type: ignore[attr-defined] # `inspect.signature` shows its parameters
    return call


def on_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays as one of tensors, which TensorFlow records and traces."""

    def call(*args: Any) -> Any:
        return raw(function(*map(wrapped, args)))

    return call


#: Functions of ``linalg`` that stand in the namespace itself; `einsum` only there, as in NumPy.
_PRODUCTS = ("einsum", "matmul", "matrix_transpose", "tensordot", "vecdot")


def _family(module: ModuleType, names: Any = None) -> dict[str, Any]:
    """Return the public members of a module, its functions as functions of arrays."""
    found = {name: getattr(module, name) for name in names or module.__all__}
    return {n: on_arrays(f) if callable(f) and not isinstance(f, type) else f for n, f in found.items()}


_functions = SimpleNamespace(
    **_family(dtypes),
    **_family(elementwise),
    **_family(linalg, _PRODUCTS),
    **_family(manipulation),
    **_family(reductions),
    e=math.e,
    inf=math.inf,
    nan=math.nan,
    newaxis=None,
    pi=math.pi,
    fft=SimpleNamespace(**_family(fft)),
    linalg=SimpleNamespace(**_family(linalg)),
    special=Special(
        "tensorflow",
        {name: on_arrays(getattr(special.special, name)) for name in NAMES if hasattr(special.special, name)},
    ),
    __array_api_version__="2024.12",
)
xp = in_cells(_functions)
