"""The default dtype of floats: in a cell that of the cell, elsewhere float64.

The array API standard leaves to each library which dtype `zeros`, ``asarray(0.1)`` and other arrays of Python numbers
have. A function that is written once runs in every dtype if they fit its inputs. `Reports.computing_in` sets the
dtype for the whole process, as `torch.set_default_dtype` does, and `in_cells` makes a namespace follow it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Function = Callable[..., Any]


class _Maker(NamedTuple):
    """How a function of the standard that makes an array is called."""

    #: Most positional arguments. With more, the call is one of the library's own.
    positional: int
    #: Which of them are the numbers.
    numbers: slice = slice(0)
    #: Whether it makes integers of integers.
    exact: bool = False


_MAKERS: Mapping[str, _Maker] = {
    **dict.fromkeys(("empty", "ones", "zeros"), _Maker(1)),
    **dict.fromkeys(("array", "asarray"), _Maker(1, slice(0, 1), exact=True)),
    "eye": _Maker(2),
    "linspace": _Maker(3, slice(0, 2)),
    "arange": _Maker(3, slice(0, 3), exact=True),
    "full": _Maker(2, slice(1, 2), exact=True),
    **dict.fromkeys(("fftfreq", "rfftfreq"), _Maker(2)),  # of the extension ``fft``
}
#: Their parameters for numbers that may be given by name.
_NUMBERS = ("fill_value", "start", "stop", "step")

_floating = "float64"


def default_dtype(kind: type = float) -> str:
    """Return the name of the default dtype of a ``kind``, `float` or `complex`."""
    if kind is complex:
        return "complex128" if _floating == "float64" else "complex64"
    return _floating


@contextlib.contextmanager
def with_default_dtype(dtype: str) -> Iterator[None]:
    """Make ``dtype`` the default one of floats in this process."""
    global _floating
    before, _floating = _floating, dtype
    try:
        yield
    finally:
        _floating = before


class Namespace:
    """An array namespace with some functions in place of its own.

    Parameters
    ----------
    xp
        The namespace.
    functions
        Name -> function that stands in for the one of ``xp``.
    """

    def __init__(self, xp: Any, functions: Mapping[str, Any]) -> None:
        self._of = xp
        vars(self).update(functions)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of ``xp``, and keep it.

        Raises
        ------
        AttributeError
            If there is none; it names this namespace, by which a hint is found.
        """
        try:
            found = getattr(self._of, name)
        except AttributeError as error:
            error.name, error.obj = name, self
            raise
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._of), *vars(self)} - {"_of"})


def in_cells(xp: Any, own: str = "float64") -> Namespace:
    """Return a namespace of the standard whose functions that make arrays have `default_dtype`.

    Parameters
    ----------
    xp
        The namespace.
    own
        The dtype that it gives floats by itself; empty if that may change.
    """

    def dtype(name: str) -> Any:
        return getattr(xp, name, name)

    def made(module: Any) -> dict[str, Any]:
        return makers({name: getattr(module, name) for name in _MAKERS if hasattr(module, name)}, own, dtype)

    found = made(xp)
    if hasattr(xp, "fft"):
        found["fft"] = Namespace(xp.fft, made(xp.fft))
    if own:
        found["where"] = _choice(xp.where, own, found["asarray"])
    if hasattr(xp, "__array_namespace_info__"):
        found["__array_namespace_info__"] = functools.partial(_Inspection, xp, dtype)
    return Namespace(xp, found)


def makers(
    functions: Mapping[str, Function], own: str = "float64", dtype: Callable[[str], Any] = str
) -> dict[str, Function]:
    """Return ``functions`` that make arrays as functions that heed `default_dtype`; ``dtype`` gives one by its name."""
    return {name: _maker(function, _MAKERS[name], own, dtype) for name, function in functions.items()}


def _maker(function: Function, how: _Maker, own: str, dtype: Callable[[str], Any]) -> Function:
    """Return a function that makes an array of the default dtype where none is given."""

    def make(*args: Any, **options: Any) -> Any:
        if _floating != own and options.get("dtype") is None and len(args) <= how.positional:
            named = [options[name] for name in _NUMBERS if name in options]
            kind = _kind([*args[how.numbers], *named])
            if kind is not None and not (how.exact and kind is int):
                options["dtype"] = dtype(default_dtype(kind))
        return function(*args, **options)

    return functools.wraps(function)(make)


def _kind(numbers: Sequence[Any]) -> type | None:
    """Return the widest of `int`, `float` and `complex` in nested numbers; None if there is anything else.

    In a list, NumPy's numbers of the default dtype are floats, which fit the inputs beside a Python number.
    """
    leaves, has_floats, has_complex = list(numbers), False, False
    while leaves:
        leaf = leaves.pop()
        if isinstance(leaf, (list, tuple)):
            leaves += leaf
        elif isinstance(leaf, (float, complex)):  # NumPy's float64 and complex128 are among them
            has_floats, has_complex = True, has_complex or isinstance(leaf, complex)
        elif isinstance(leaf, np.generic) and leaf.dtype == _floating:
            has_floats = True
        elif not isinstance(leaf, (int, np.integer, np.bool_)):
            return None
    return complex if has_complex else float if has_floats else int


def _choice(where: Function, own: str, asarray: Function) -> Function:
    """Return ``where``, which makes an array of two Python numbers, too."""

    def choose(condition: Any, x1: Any, x2: Any, /) -> Any:
        if _floating != own and isinstance(x1, (int, float, complex)) and isinstance(x2, (int, float, complex)):
            x1, x2 = asarray([x1, x2])
        return where(condition, x1, x2)

    return functools.wraps(where)(choose)


class _Inspection:
    """The standard's inspection of a namespace, with the default dtypes of the cell."""

    def __init__(self, xp: Any, dtype: Callable[[str], Any]) -> None:
        self._of, self._dtype = xp.__array_namespace_info__(), dtype

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """Return the default dtype of each kind."""
        own = {"real floating": default_dtype(), "complex floating": default_dtype(complex)}
        return {**self._of.default_dtypes(device=device), **{kind: self._dtype(name) for kind, name in own.items()}}
