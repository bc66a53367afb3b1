"""A backend that keeps the contract, with one variant per clause that it breaks; most variants give right numbers."""

from __future__ import annotations

import itertools
import os
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from autodiff_compare.backends.interface import NumpyArrays, Request, Unsupported
from autodiff_compare.vocabulary import Operator

#: Variant -> the mistake in it.
CARELESS = {
    "": "nothing: complex steps, exact to rounding (Squire and Trapp 1998)",
    "aliases": "to_var gives the array itself",
    "widens": "to_var makes everything float64",
    "bakes": "the values at which it was prepared stay in the callable",
    "flips": "the derivative has the wrong sign",
    "in_place": "the inputs are changed",
    "silent": "an operator that it cannot do gives zeros",
    "not_implemented": "an operator that it cannot do raises NotImplementedError",
    "dies": "a derivative kills the process",
    "bare": "a gradient by one input comes without its tuple",
    "late": "results arrive after block has returned",
    "lazy": "results are computed when they are read",
    "tires": "results are zeros from the hundredth call on",
    "remembers": "results of an input that was seen before are not computed again",
    "in_place_later": "the inputs are changed in the fifth call",
    "one_buffer": "all results are written into one array",
}


class _Analytic:
    """NumPy with an analytic absolute value, because that of a complex number is its modulus."""

    abs = staticmethod(lambda x: np.where(np.real(x) < 0, -x, x))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class _Arriving:
    """A result that is there when it is read for the second time."""

    def __init__(self, right: Any) -> None:
        self._right, self._reads = right, 0
        self.dtype, self.shape = right.dtype, right.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._reads += 1
        return self._right if self._reads > 1 else np.zeros_like(self._right)


def _late(run: Any) -> Any:
    return lambda *given: tuple(map(_Arriving, run(*given)))


class _Unread:
    """A result that is computed when it is read."""

    def __init__(self, compute: Any) -> None:
        self._compute = compute

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._compute()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compute(), name)


def _lazy(run: Any) -> Any:
    def call(*given: Any) -> Any:
        return tuple(_Unread(lambda k=k: run(*given)[k]) for k in range(1))

    return call


def _tires(run: Any) -> Any:
    counted = itertools.count(1)
    return lambda *given: tuple(leaf * (next(counted) < 100) for leaf in run(*given))


def _remembers(run: Any) -> Any:
    seen: dict[tuple[int, ...], Any] = {}
    alive: list[Any] = []

    def call(*given: Any) -> Any:
        key = tuple(map(id, given))
        if key not in seen:
            alive.append(given)
            seen[key] = run(*given)
        return seen[key]

    return call


def _in_place_later(run: Any) -> Any:
    counted = itertools.count(1)

    def call(*given: Any) -> Any:
        found = run(*given)
        if next(counted) == 5:
            given[0][...] += 1
        return found

    return call


def _one_buffer(run: Any) -> Any:
    buffers: list[Any] = []

    def call(*given: Any) -> Any:
        found = run(*given)
        if not buffers or [b.shape for b in buffers] != [leaf.shape for leaf in found]:
            buffers[:] = [np.empty_like(leaf) for leaf in found]
        for to, leaf in zip(buffers, found, strict=True):
            to[...] = leaf
        return tuple(buffers)

    return call


#: Variant -> what it makes of a gradient.
REPEATED = {
    "late": _late,
    "lazy": _lazy,
    "tires": _tires,
    "remembers": _remembers,
    "in_place_later": _in_place_later,
    "one_buffer": _one_buffer,
}


class Careless(NumpyArrays):
    name: ClassVar[str] = "careless"
    native: ClassVar[frozenset[Operator]] = frozenset({Operator.VALUE, Operator.GRADIENT, Operator.JVP, Operator.HVP})
    variants = MappingProxyType(CARELESS)

    def open(self) -> None:
        self.xp = _Analytic()

    def to_var(self, array: Any, *, dtype: str | None = None) -> Any:
        if self.variant == "aliases":
            return np.asarray(array, dtype=dtype)
        return np.array(array, dtype="float64" if self.variant == "widens" else dtype)

    def _native(self, request: Request) -> Any:
        operator, function, args, argnums = request.operator, request.function, request.args, request.argnums
        n, fault = len(args), self.variant
        if operator is Operator.VALUE:
            return function
        if operator is Operator.HVP:
            if fault == "silent":
                return lambda *given: tuple(np.zeros_like(given[i]) for i in argnums)
            raise NotImplementedError("no") if fault == "not_implemented" else Unsupported("first derivatives only")
        if np.shape(function(*args)) != () and operator is Operator.GRADIENT:
            raise ValueError("got a vector, expected a scalar")

        def jvp(*given: Any) -> Any:
            if fault == "dies":
                os._exit(3)
            inputs = list(args if fault == "bakes" else given[:n])
            for i, t in zip(argnums, given[n:], strict=True):
                inputs[i] = inputs[i] + 1e-30j * t
            found = np.asarray(np.imag(function(*inputs)) * 1e30).astype(given[n].dtype)
            if fault == "in_place":
                given[argnums[0]][...] += 1
            return -found if fault == "flips" else found

        def gradient(*given: Any) -> Any:
            zeros = [np.zeros_like(given[i]) for i in argnums]
            found = []
            for k, zero in enumerate(zeros):
                units = np.eye(zero.size, dtype=zero.dtype).reshape(zero.size, *zero.shape)
                rows = [jvp(*given, *zeros[:k], unit, *zeros[k + 1 :]) for unit in units]
                found.append(np.array(rows, dtype=zero.dtype).reshape(zero.shape))
            return found[0] if fault == "bare" and len(found) == 1 else tuple(found)

        derivative = jvp if operator is Operator.JVP else gradient
        return REPEATED[fault](derivative) if fault in REPEATED and operator is Operator.GRADIENT else derivative
