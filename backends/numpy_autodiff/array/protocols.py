"""The members of a NumPy array on a node: shape, methods, and the protocols by which NumPy finds the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from autodiff_compare.backends.numpy_autodiff.array import functions, ufuncs
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, apply
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, constant, primal
from autodiff_compare.backends.numpy_autodiff.rules import HANDLERS, UFUNCS, elementwise, shapes
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array

_SEQUENCE = (list, tuple)


def operand(x: Any) -> Any:
    """Return a list or tuple as the array that NumPy makes of it."""
    return as_array(x) if isinstance(x, _SEQUENCE) else x


def _method(function: Any) -> Any:
    handler = HANDLERS[function]

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return functions.call(function, handler, (self, *args), kwargs) if args or kwargs else handler(self)
        except functions.MISTAKES as error:
            functions.explain(error, function, (self, *args), kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"Compute `numpy.{function.__name__}`."
    return method


def _refused(what: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(
            f"got {what} of a traced value of shape {self.shape}, which would drop its derivative: "
            f"use {instead}, .value for its value alone, or stop_gradient"
        )

    return refuse


def _is_array_class(x: Any) -> bool:
    return isinstance(x, type) and issubclass(x, np.ndarray)


def _array_refused(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Reject the conversion to an array, which NumPy asks each entry of a list for, and other libraries ask for."""
    if isinstance(found := primal(self), Node) and self.dtype.kind not in "fc":
        meanwhile, instead = found.tape.purpose
        raise TypeError(
            f"got a computed {self.dtype} of shape {self.shape} where NumPy makes an array of it {meanwhile}, "
            f"as in a[i] of a plain array: use xp.take(a, i, axis=0), np.take_along_axis, np.where, or {instead}"
        )
    raise TypeError(
        f"got a traced value of shape {self.shape} where NumPy or another library makes an array copy of it: "
        "np.asarray(x), np.array([x, y]), np.r_, np.full, a list of variables as in np.sum([x, y]), a function that "
        "takes no variables (np.random, SciPy). The copy would drop its derivative: join variables with np.stack or "
        "np.concatenate, write the function with NumPy's, or take .value for its value alone"
    )


def _index_refused(self: Any) -> NoReturn:
    if isinstance(found := primal(self), Node):
        meanwhile, instead = found.tape.purpose
        raise TypeError(
            f"got a Python integer made of a computed value {meanwhile} (a bound of a slice, a length, range, a[i] "
            "of a plain array), which would drop its derivative or fix a shape: use np.where or np.take_along_axis, "
            f"pass it as an integer argument, or {instead}"
        )
    _INDEX(self)


_INDEX = _refused("an integer index", "x.astype(int)")


def _written(name: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(_self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(f"got x.{name}() of a variable, which writes into its recorded value: use {instead}")

    return refuse


def _absent(name: str) -> property:
    """Make a member that an array has and a variable has not, for `hasattr` too."""

    def missing(_self: Any) -> NoReturn:
        raise AttributeError(
            f"got x.{name} of a variable, whose recorded value must not be reached: use x.value.{name}"
        )

    return property(missing)


_WHOLE = _refused("round() to a Python integer", "np.round(x)")


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
    def itemsize(self) -> int:
        size: int = self.dtype.itemsize
        return size

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        strides: tuple[int, ...] = constant(self).strides
        return strides

    @property
    def flags(self) -> Any:
        view = np.asarray(constant(self)).view()
        view.flags.writeable = False
        return view.flags

    @property
    def base(self) -> None:
        return None

    @property
    def flat(self) -> Any:
        """The entries in C order, as one vector: it can be indexed, iterated and measured, but not written to."""
        return HANDLERS[np.ravel](self)

    @property
    def device(self) -> str:
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Any:
        """Return the variable itself, which is in the memory of the CPU."""
        if device != "cpu" or stream is not None:
            raise ValueError(f"got device={device!r}, stream={stream!r}, expected 'cpu' and None")
        return self

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

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """Compute `numpy.ndarray.astype`; a cast to integer or bool is a constant."""
        del order, subok
        if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"got a cast of {self.dtype} to {np.dtype(dtype)}, expected one that {casting!r} allows")
        return shapes.astype(self, dtype, copy=copy)

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """Return the variable itself; its bytes cannot be read as another dtype, nor itself as a class of arrays."""
        if _is_array_class(dtype) or _is_array_class(type):
            _array_refused(self)
        if (dtype is not None and np.dtype(dtype) != self.dtype) or type is not None:
            raise TypeError(f"got x.view({dtype!r}) of a variable, expected its own dtype {self.dtype}: use astype")
        return self

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """Compute `numpy.ndarray.reshape`."""
        return HANDLERS[np.reshape](self, shape[0] if len(shape) == 1 else shape, order=order, copy=copy)

    def transpose(self, *axes: Any) -> Any:
        """Compute `numpy.ndarray.transpose`."""
        return apply(shapes.TRANSPOSE, (self, axes[0] if len(axes) == 1 else axes or None))

    def flatten(self, order: str = "C") -> Any:
        """Compute `numpy.ndarray.flatten`."""
        return HANDLERS[np.ravel](self, order=order)

    def compress(self, condition: Any, axis: int | None = None, out: Any = None) -> Any:
        """Compute `numpy.ndarray.compress`."""
        return functions.call(np.compress, HANDLERS[np.compress], (condition, self), {"axis": axis, "out": out})

    def round(self, decimals: int = 0, out: Any = None) -> Any:
        """Compute `numpy.round`."""
        return functions.call(np.round, HANDLERS[np.round], (self,), {"decimals": decimals, "out": out})

    def __round__(self, ndigits: int | None = None) -> Any:
        if ndigits is None or self.shape:
            _WHOLE(self)
        return self.round(ndigits)

    def __format__(self, spec: str) -> str:
        return format(constant(self), spec) if spec else str(self)

    # Leaving the graph ------------------------------------------------------------------------

    __float__ = _refused("float(), which functions of math call too,", "the NumPy function (np.sin for math.sin)")
    __int__ = _refused("int()", "np.trunc")
    __index__ = _index_refused
    __trunc__ = _refused("math.trunc()", "np.trunc")
    __floor__ = _refused("math.floor()", "np.floor")
    __ceil__ = _refused("math.ceil()", "np.ceil")
    __complex__ = _refused("complex()", "x.astype(complex)")
    __array__ = _array_refused
    item = _refused("item()", "x[i], or np.reshape(x, ()) of a single entry")
    tolist = _refused("tolist()", "list(x), or the array itself")
    tobytes = _refused("tobytes()", "the array itself")
    tofile = _refused("tofile()", "the array itself")
    dump = _refused("dump()", "the array itself")
    dumps = _refused("dumps()", "the array itself")
    sort = _written("sort", "np.sort(x)")
    partition = _written("partition", "np.partition(x, kth)")
    fill = _written("fill", "np.full_like(x, value)")
    put = _written("put", "np.where or np.concatenate")
    resize = _written("resize", "np.resize(x, shape)")
    setfield = _written("setfield", "np.where")
    setflags = _written("setflags", "a copy of x.value")
    byteswap = _written("byteswap", "x.value.byteswap()")

    # Properties and not a `__getattr__`, which would be asked for every slot that a node has not filled.
    data, ctypes, getfield = map(_absent, ("data", "ctypes", "getfield"))

    # NumPy's dispatch protocols ---------------------------------------------------------------

    #: Above that of a pandas DataFrame, 4000: ``series * x`` asks ``x`` first.
    __pandas_priority__ = 5000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not kwargs and method == "__call__" and len(inputs) <= 2:
            first, last = inputs[0], inputs[-1]
            handler = UFUNCS.get(ufunc)
            if handler is not None and not (isinstance(first, _SEQUENCE) or isinstance(last, _SEQUENCE)):
                return apply(handler, inputs) if handler.__class__ is Primitive else handler(*inputs)
        return ufuncs.METHODS[method](ufunc, *map(operand, inputs), **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = HANDLERS.get(function)
        if handler is None:
            functions.without_rule(function)
        try:
            if len(args) == 1 and not kwargs and isinstance(args[0], Node):
                return handler(args[0])
            return functions.call(function, handler, args, kwargs)
        except functions.MISTAKES as error:
            functions.explain(error, function, args, kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        # Inside, because building the namespace loads all lazy modules of NumPy: 0.12 s of CPU.
        from autodiff_compare.backends.numpy_autodiff.array.namespace import xp

        return xp


for _function in (
    *(np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.argmax, np.argmin, np.argsort, np.any, np.all),
    *(np.cumsum, np.cumprod, np.squeeze, np.swapaxes, np.ravel, np.clip, np.conj, np.trace, np.diagonal),
    *(np.dot, np.take, np.repeat, np.copy, np.nonzero, np.argpartition, np.searchsorted, np.choose),
):
    _name = {"conjugate": "conj"}.get(_function.__name__, {"amax": "max", "amin": "min"}.get(_function.__name__, ""))
    setattr(ArrayMembers, _name or _function.__name__, _method(_function))
ArrayMembers.conjugate = ArrayMembers.conj  # type: ignore[attr-defined]
