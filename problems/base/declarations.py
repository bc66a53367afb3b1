"""Problems declared by a module, by a user's file, or by a function and a point.

A user's file declares a function and the point at which it is differentiated::

    def objective(x, xp):                       # or OBJECTIVES = {"torch": f_torch, "jax": f_jax}: for each backend
        return xp.sum(x**2)                     # a function of its own arrays, without xp

    x = [1.0, 2.0, 3.0]                         # or INPUTS = (...): the same by position

    TYPICAL = [0.1, 10.0, 1.0]                  # optional: the typical size of each entry, for numerical differences
    SAMPLES = ("x",)                            # optional: parameters with one sample in each row, for gradient_batch

or whole problems, with everything that `Problem` has::

    PROBLEM = Problem(...)                      # or PROBLEMS = (...)

The parameters of ``objective`` without a default are differentiated. Each takes its value from the variable of its
name, or in their order from ``INPUTS``. A value is an array of floats or complex numbers, or a container of such
arrays (`autodiff_compare.problems.base.pytree`); integers become floats. A default that is a NumPy array is passed as
data; any other default is kept.

The result may be a scalar or an array. That decides which operators apply, and is known only once the function has
been evaluated: until then `Problem.operators` is empty.
"""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.problems.base.problem import Problem, ProblemError
from autodiff_compare.problems.base.pytree import is_container, leaves, mapped, unpacked
from autodiff_compare.user_files import UserFileError, load_module

_FORMS = "define objective(x, xp) and x = [...], OBJECTIVES = {...} and INPUTS = (...), or PROBLEM = Problem(...)"
#: The largest whole number below which float64 has them all.
_EXACT = 2**53


def problems_in(module: ModuleType) -> tuple[Problem, ...]:
    """Return the problems that a module declares as ``PROBLEM`` or ``PROBLEMS``.

    Raises
    ------
    ProblemError
        If it declares none, or two of the same name.
    """
    found = getattr(module, "PROBLEMS", None) or (getattr(module, "PROBLEM", None),)
    if not all(isinstance(problem, Problem) for problem in found):
        raise ProblemError(f"got no problem in {module.__file__}: define PROBLEM = Problem(...) or PROBLEMS = (...)")
    names = [problem.name for problem in found if problem]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ProblemError(
            f"got two problems named {twice!r} in {module.__file__}, expected a name for each: rename one"
        )
    return tuple(found)


def problems_of_file(path: pathlib.Path) -> tuple[Problem, ...]:
    """Execute a user's file and return the problems that it declares.

    Raises
    ------
    ProblemError
        If the file raises, or its declaration is incomplete; the message names the missing part.
    """
    try:
        module = load_module(path, "problem")
    except UserFileError as error:
        raise ProblemError(str(error)) from error.__cause__
    if any(hasattr(module, name) for name in ("PROBLEM", "PROBLEMS")):
        return problems_in(module)
    objective, native = getattr(module, "objective", None), getattr(module, "OBJECTIVES", {})
    if objective is None and not native:
        raise ProblemError(f"got no problem in {path}: {_FORMS}")
    return (problem_of(path.stem, objective, native, vars(module), str(path)),)


def problem_of(
    name: str,
    objective: Callable[..., Any] | None,
    native: Mapping[str, Callable[..., Any]],
    values: Mapping[str, Any],
    where: str,
) -> Problem:
    """Return a problem from a function and the point at which it is differentiated.

    Parameters
    ----------
    name
        Name of the problem.
    objective
        ``objective(x, ..., xp)``, written against the array API; `None` if there are only native functions.
    native
        Backend -> function of that framework's own arrays.
    values
        Parameter name -> value, or ``INPUTS`` -> tuple of all values. Each array in a container becomes an input.
        ``SAMPLES`` -> the names of the parameters with one sample in each row.
        ``TYPICAL`` -> the typical sizes: that of a single parameter, a tuple with one for each, or a dictionary from
        parameter to size. A size is a number, or shaped like the value; `None` stands for the value's own size.
    where
        File or call in which the function is declared, for messages.

    Raises
    ------
    ProblemError
        If the function's signature does not fit, a value is not an array of finite floats, or a typical size is not
        positive.
    """
    required, data, function = _signature(objective, native, where)
    point = _point(required, values, where)
    arrays = [leaf for n, value in zip(required, point, strict=True) for leaf in leaves(n, value)]
    if not arrays:
        raise ProblemError(f"got no array in {', '.join(required)} in {where}, expected one or more to differentiate")
    native = {backend: _by_position(f, required, where) for backend, f in native.items()}
    if any(map(is_container, point)):
        function = function and unpacked(function, point)
        native = {backend: unpacked(f, point) for backend, f in native.items()}
    inputs = Inputs(tuple(x for _, x in arrays), tuple(data.values()))
    shapes = ", ".join(f"{n} {x.shape}" for n, x in arrays)
    return Problem(
        name=name,
        title=f"{(objective or next(iter(native.values()))).__doc__ or name}".strip().splitlines()[0],
        source=f"{where}, at the given {shapes}",
        sizes={"small": sum(x.size for x in inputs.differentiated)},
        inputs=lambda rng, n: inputs,  # noqa: ARG005 - the given point, for every seed
        objective=function,
        operators=frozenset(),
        suites=frozenset(),
        fixed=True,
        native=native,
        complex_numbers=any(np.iscomplexobj(x) for x in inputs.differentiated),
        typical=typical_sizes(values.get("TYPICAL"), required, point, where),
        samples=_samples(values.get("SAMPLES", ()), [*(n for n, _ in arrays), *data], inputs, where),
    )


def point_of(
    objective: Callable[..., Any] | None,
    native: Mapping[str, Callable[..., Any]],
    values: Mapping[str, Any],
    where: str,
) -> tuple[Any, ...]:
    """Return the value of each differentiated parameter, in float64 or complex128.

    The arguments are those of `problem_of`.
    """
    return _point(_signature(objective, native, where)[0], values, where)


def _signature(
    objective: Callable[..., Any] | None, native: Mapping[str, Callable[..., Any]], where: str
) -> tuple[list[str], dict[str, Array], Callable[..., Any] | None]:
    """Return the names of the differentiated parameters, the data, and the function with ``xp`` as keyword."""
    if not isinstance(native, Mapping) or not all(isinstance(k, str) and callable(f) for k, f in native.items()):
        raise ProblemError(f"got OBJECTIVES in {where} that is no dictionary, expected {{'torch': function, ...}}")
    if objective is not None and not callable(objective):
        raise ProblemError(f"got objective in {where} that cannot be called, expected def objective(x, xp)")
    if objective is None:
        return _required(next(iter(native.values())), where), {}, None
    parameters = _parameters(objective, where)
    if "xp" not in parameters:
        shown = ", ".join([*parameters, "xp"])
        raise ProblemError(
            f"got objective({', '.join(parameters)}) in {where}, expected objective({shown}): xp is the array namespace"
        )
    required = [name for name in _required(objective, where) if name != "xp"]
    if not required:
        raise ProblemError(f"got objective({', '.join(parameters)}) in {where}, expected a parameter to differentiate")
    arrays = {name: p.default for name, p in parameters.items() if isinstance(p.default, np.ndarray)}
    for name, array in arrays.items():
        _refuse_masked(name, array, where)
    plain = list(parameters)[: len(required)] == required and parameters["xp"].kind is not _POSITIONAL_ONLY
    if plain and not arrays and all(parameters[name].kind is not _KEYWORD_ONLY for name in required):
        return required, {}, objective
    return required, arrays, _by_name(objective, [*required, *arrays], parameters)


def _by_name(
    function: Callable[..., Any], names: Sequence[str], parameters: Mapping[str, inspect.Parameter]
) -> Callable[..., Any]:
    """Return a function of arrays in the order of ``names`` that passes each by its name, unless that is impossible."""

    def called(*given: Any, **named: Any) -> Any:
        values = {**dict(zip(names, given, strict=True)), **named}
        first = [values.pop(name) for name, p in parameters.items() if p.kind is _POSITIONAL_ONLY and name in values]
        return function(*first, **values)

    return called


_POSITIONAL_ONLY, _KEYWORD_ONLY = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _parameters(function: Callable[..., Any], where: str) -> Mapping[str, inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise ProblemError(
            f"got a function in {where} whose parameters cannot be read, expected def objective(x, xp): {error}"
        ) from error
    for name, parameter in found.items():
        if parameter.kind in _VARIABLE:
            raise ProblemError(
                f"got parameter {parameter} in {where}, expected parameters with names: def objective(x, y, xp)"
            )
        if parameter.default is parameter.empty and not name.isidentifier():
            raise ProblemError(f"got parameter {name!r} in {where}, expected a name")
    return found


def _by_position(function: Callable[..., Any], names: Sequence[str], where: str) -> Callable[..., Any]:
    """Return a function of one framework that takes its arrays by position, in the order of ``names``.

    Functions of two frameworks may name their parameters differently: those of this one are taken in their order.
    """
    try:
        parameters = _parameters(function, where)
    except ProblemError:  # built into a framework: it has a signature of its own
        return function
    own = [name for name, p in parameters.items() if p.default is p.empty]
    if len(own) != len(names) or all(parameters[name].kind is not _KEYWORD_ONLY for name in own):
        return function
    order = list(names) if set(own) == set(names) else own
    return _by_name(function, order, parameters)


def _required(function: Callable[..., Any], where: str) -> list[str]:
    return [name for name, p in _parameters(function, where).items() if p.default is p.empty]


def _point(names: list[str], values: Mapping[str, Any], where: str) -> tuple[Any, ...]:
    return tuple(mapped(lambda n, v: _floats(n, v, where), name, value) for name, value in _given(names, values, where))


def _given(names: list[str], values: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    """Return each differentiated parameter with its value."""
    together = values.get("INPUTS")
    if together is not None:
        if not isinstance(together, (tuple, list)) or len(together) != len(names):
            got = f"{len(together)} values" if isinstance(together, (tuple, list)) else type(together).__name__
            one = "; write an array as a list: a tuple holds several values" if isinstance(together, tuple) else ""
            raise ProblemError(
                f"got INPUTS of {got} in {where}, expected a tuple with one value for each of: {', '.join(names)}{one}"
            )
        return list(zip(names, together, strict=True))
    absent = [name for name in names if name not in values]
    if absent:
        hint = f"write {absent[0]} = [1.0, 2.0] there"
        if "__name__" not in values:  # the dictionary of a call, not the namespace of a module
            hint = f"expected {{{absent[0]!r}: ...}}, or a tuple around a value that is itself a dictionary"
        raise ProblemError(f"got no value for {', '.join(absent)} in {where}: {hint}")
    return [(name, values[name]) for name in names]


def typical_sizes(given: Any, names: Sequence[str], point: Sequence[Any], where: str) -> tuple[Any, ...]:
    """Return the typical size of each array of the point, for `Problem.typical`.

    Parameters
    ----------
    given
        Sizes as in ``TYPICAL``; `None` if none is stated.
    names, point
        The names of the parameters, and their values.
    where
        File or call in which the sizes are stated, for messages.

    Returns
    -------
    tuple
        One array of sizes for each array, `None` for an array without one; empty if none is stated.

    Raises
    ------
    ProblemError
        If a size is not positive and finite, or does not fit its value.
    """
    if given is None:
        return ()
    if isinstance(given, Mapping) and set(given) <= set(names):
        sizes = [given.get(name) for name in names]
    elif len(names) == 1 and not (isinstance(given, tuple) and len(given) == 1):
        sizes = [given]
    elif isinstance(given, tuple) and len(given) == len(names):
        sizes = list(given)
    else:
        expected = f"a tuple with one size for each of {', '.join(names)}, or a dictionary from parameter to size"
        raise ProblemError(f"got TYPICAL {given!r} in {where}, expected {expected}")
    return tuple(
        size
        for name, value, stated in zip(names, point, sizes, strict=True)
        for size in _sizes(name, value, stated, where)
    )


def _sizes(name: str, value: Any, stated: Any, where: str) -> Iterator[Array | None]:
    """Yield the typical size of each array of one value."""
    parts = dict(leaves(name, stated)) if is_container(stated) else {}
    for selected, array in leaves(name, value):
        size = parts.get(selected) if parts else stated
        if size is None:
            yield None
            continue
        try:
            found = np.broadcast_to(np.asarray(size, dtype=np.float64), array.shape)
        except (TypeError, ValueError) as error:
            expected = f"a positive number or an array of shape {array.shape}"
            raise ProblemError(f"got TYPICAL {size!r} for {selected} in {where}, expected {expected}") from error
        if not (np.isfinite(found) & (found > 0)).all():
            raise ProblemError(f"got TYPICAL {size!r} for {selected} in {where}, expected positive finite sizes")
        yield found


def _samples(given: Any, names: Sequence[str], inputs: Inputs, where: str) -> tuple[int, ...]:
    """Return the positions of the arrays that ``SAMPLES`` names.

    Raises
    ------
    ProblemError
        If a name is no parameter, or the leading axes differ or are empty.
    """
    wanted = (given,) if isinstance(given, str) else tuple(given)
    for name in wanted:
        if name not in names:
            raise ProblemError(f"got {name!r} in SAMPLES in {where}, expected some of: {', '.join(names)}")
    found = tuple(names.index(name) for name in wanted)
    shapes = [inputs.arrays[i].shape for i in found]
    lengths = {shape[:1] for shape in shapes}
    if len(lengths) > 1 or lengths & {(), (0,)}:
        shown = ", ".join(f"{n} {shape}" for n, shape in zip(wanted, shapes, strict=True))
        raise ProblemError(f"got {shown} in SAMPLES in {where}, expected leading axes of the same length, 1 or more")
    return found


def _floats(name: str, value: Any, where: str) -> Array:
    """Return a value as float64 array, or as complex128 array if it is complex; whole numbers become floats."""
    _refuse_masked(name, value, where)
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


def _refuse_masked(name: str, value: Any, where: str) -> None:
    """Reject masked arrays: as plain arrays they would count what their masks leave out."""
    if isinstance(value, (list, tuple)):
        for part in value:
            _refuse_masked(name, part, where)
    # By its name: importing numpy.ma takes time, and where there is a masked array it has been imported.
    elif any(cls.__name__ == "MaskedArray" and cls.__module__.startswith("numpy.ma") for cls in type(value).__mro__):
        raise ProblemError(
            f"got a masked array for {name} in {where}, expected a plain one: pass {name}.filled(...), or "
            f"{name}.compressed() with the entries that count"
        )
