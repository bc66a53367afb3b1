"""Points of evaluation in a user's declaration: arrays, containers of arrays, or functions of a size that draw them.

A function of the size has the parameters ``n`` and ``rng``, or ``n`` alone, in any order, and others with a default::

    x = lambda n, rng: rng.normal(size=n)

It is called at each size with a `numpy.random.Generator` that is seeded anew, so that every process draws the same
numbers. A default of the objective that is a function of ``n`` and ``rng`` is data that is drawn alike. The values of
one size are drawn one after the other from one generator, in the order of the parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.problems.base.declared.pytree import mapped
from autodiff_compare.problems.base.inputs import Array
from autodiff_compare.problems.base.problem import ProblemError

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: The largest whole number below which float64 has them all.
_EXACT = 2**53


def is_drawn(value: Any) -> bool:
    """Return whether a value is a function of the size: of ``n``, or of ``n`` and ``rng``."""
    return _draws(_parameters(value))


def draws_data(value: Any) -> bool:
    """Return whether a default of an objective is data that is drawn: a function of ``n`` and ``rng``."""
    parameters = _parameters(value)
    return _draws(parameters) and "rng" in parameters


def _draws(parameters: Mapping[str, bool]) -> bool:
    """Return whether a function with these parameters can be called with ``n``, or with ``n`` and ``rng``."""
    return "n" in parameters and all(has_default or name in ("n", "rng") for name, has_default in parameters.items())


def _parameters(value: Any) -> dict[str, bool]:
    """Return the parameters of a function: name -> whether it has a default; nothing for any other value."""
    if not callable(value) or hasattr(value, "__array__"):
        return {}
    try:
        parameters = inspect.signature(value).parameters
    except (TypeError, ValueError):
        return {}
    return {name: p.default is not p.empty for name, p in parameters.items() if p.kind not in _VARIABLE}


def depends_on_size(names: Sequence[str], values: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Return whether any value of a parameter, or any data, is a function of the size."""
    together = values.get("INPUTS")
    each = together if isinstance(together, (tuple, list)) else [together, *(values.get(name) for name in names)]
    return any(map(is_drawn, each)) or any(map(draws_data, data.values()))


def at_size(
    names: Sequence[str], values: Mapping[str, Any], n: int, rng: np.random.Generator, where: str
) -> dict[str, Any]:
    """Return the values of a declaration with each function of the size replaced by what it draws.

    Raises
    ------
    ProblemError
        If a value is a function of other parameters, or the function raises.
    """
    found = dict(values)
    together = found.get("INPUTS")
    if together is not None:
        drawn = _at(together, "INPUTS", n, rng, where)
        if drawn is not together:
            together = drawn if isinstance(drawn, tuple) else (drawn,)
        if isinstance(together, (tuple, list)):
            together = tuple(_at(value, f"INPUTS[{k}]", n, rng, where) for k, value in enumerate(together))
        found["INPUTS"] = together
    else:
        found |= {name: _at(found[name], name, n, rng, where) for name in names if name in found}
    return found


def data_at_size(data: Mapping[str, Any], n: int, rng: np.random.Generator, where: str) -> tuple[Array, ...]:
    """Return the data of a function at a size, each as an array."""
    found = []
    for name, value in data.items():
        drawn = _at(value, name, n, rng, where)
        refuse_masked(name, drawn, where)
        found.append(np.asarray(drawn))
    return tuple(found)


def _at(value: Any, name: str, n: int, rng: np.random.Generator, where: str) -> Any:
    """Return a value, or what it draws at a size if it is a function of the size."""
    if not callable(value) or hasattr(value, "__array__"):
        return value
    takes = _parameters(value)
    if not _draws(takes):
        raise ProblemError(
            f"got a function of ({', '.join(takes)}) for {name} in {where}, expected an array, or a function "
            f"of the size: {name} = lambda n, rng: rng.normal(size=n)"
        )
    try:
        return value(**{"n": n, "rng": rng} if "rng" in takes else {"n": n})
    except Exception as error:  # a user's function may raise anything
        raise ProblemError(f"cannot draw {name} at n = {n} in {where}: {type(error).__name__}: {error}") from error


def given_point(names: list[str], values: Mapping[str, Any], where: str) -> tuple[Any, ...]:
    """Return the value of each parameter, with float64 or complex128 arrays."""
    return tuple(mapped(lambda n, v: _floats(n, v, where), name, value) for name, value in _given(names, values, where))


def _given(names: list[str], values: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    """Return each differentiated parameter with its value."""
    together = values.get("INPUTS")
    if together is not None:
        if not isinstance(together, (tuple, list)) or len(together) != len(names):
            got = f"{len(together)} values" if isinstance(together, (tuple, list)) else type(together).__name__
            one = "; write an array as a list: a tuple holds several values" if isinstance(together, tuple) else ""
            name = "x" if "__name__" not in values else "INPUTS"  # the dictionary of a call, or a module's namespace
            raise ProblemError(
                f"got {name} of {got} in {where}, expected a tuple with one value for each of: {', '.join(names)}{one}"
            )
        return list(zip(names, together, strict=True))
    absent = [name for name in names if name not in values]
    if absent:
        hint = f"write {absent[0]} = [1.0, 2.0] there"
        if "__name__" not in values:  # the dictionary of a call, not the namespace of a module
            hint = f"expected {{{absent[0]!r}: ...}}, or a tuple around a value that is itself a dictionary"
        raise ProblemError(f"got no value for {', '.join(absent)} in {where}: {hint}")
    return [(name, values[name]) for name in names]


def _floats(name: str, value: Any, where: str) -> Array:
    """Return a value as float64 array, or as complex128 array if it is complex; whole numbers become floats."""
    refuse_masked(name, value, where)
    try:
        array = np.array(value)
    except ValueError as error:
        raise ProblemError(
            f"got a ragged {name} in {where}, expected rows of equal length; to pass several arrays, make each "
            "of them a np.array(...)"
        ) from error
    except Exception as error:  # a framework's array that NumPy cannot convert: quote its reason
        kind = f"{type(value).__module__}.{type(value).__name__}"
        raise ProblemError(f"got {name} of {kind} in {where}, expected a NumPy array: {error}") from error
    if array.dtype.kind == "b":
        raise ProblemError(
            f"got True or False for {name} in {where}, expected floats: a truth value has no derivative; data are "
            f"a default, {name}=np.array(...)"
        )
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.max())), abs(int(array.min()))) > _EXACT:
        raise ProblemError(f"got integers beyond 2**53 for {name} in {where}, expected floats: float64 rounds them")
    if array.dtype.kind not in "fiuc":
        raise ProblemError(f"got {type(value).__name__} of dtype {array.dtype} for {name} in {where}, expected floats")
    if not np.isfinite(array).all():
        raise ProblemError(f"got nan or infinity for {name} in {where}, expected finite numbers")
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def refuse_masked(name: str, value: Any, where: str) -> None:
    """Reject masked arrays: as plain arrays they would count what their masks leave out."""
    if isinstance(value, (list, tuple)):
        for part in value:
            refuse_masked(name, part, where)
    # By its name: importing numpy.ma takes time, and where there is a masked array it has been imported.
    elif any(cls.__name__ == "MaskedArray" and cls.__module__.startswith("numpy.ma") for cls in type(value).__mro__):
        raise ProblemError(
            f"got a masked array for {name} in {where}, expected a plain one: pass {name}.filled(...), or "
            f"{name}.compressed() with the entries that count"
        )
