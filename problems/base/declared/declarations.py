"""Problems declared by a module, by a user's file, or by a function and a point.

A user's file declares a function and the point at which it is differentiated::

    def objective(x, xp):                       # or OBJECTIVES = {"torch": f_torch, "jax": f_jax}: for each backend
        return xp.sum(x**2)                     # a function of its own arrays, without xp

    x = [1.0, 2.0, 3.0]                         # or INPUTS = (...): the same by position

    TYPICAL = [0.1, 10.0, 1.0]                  # optional: the typical size of each entry, for numerical differences
    SAMPLES = ("x",)                            # optional: parameters with one sample in each row, for gradient_batch

or a function that draws the point at a size (`autodiff_compare.problems.base.declared.points`)::

    x = lambda n, rng: rng.normal(size=n)

    SIZES = (10, 1000)                          # optional: the sizes n, the default first; any other by --n

or whole problems, with everything that `Problem` has::

    PROBLEM = Problem(...)                      # or PROBLEMS = (...)

The parameters of ``objective`` without a default are differentiated. Each takes its value from the variable of its
name, or in their order from ``INPUTS``. A value is an array of floats or complex numbers, or a container of such
arrays (`autodiff_compare.problems.base.declared.pytree`); integers become floats. A default that is a NumPy array is
passed as data; any other default is kept.

The result may be a scalar or an array. That decides which operators apply, and is known only once the function has
been evaluated: until then `Problem.operators` is empty.
"""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from autodiff_compare.problems.base.declared.points import (
    at_size,
    data_at_size,
    depends_on_size,
    draws_data,
    given_point,
    is_drawn,
    refuse_masked,
)
from autodiff_compare.problems.base.declared.pytree import is_container, leaves, unpacked
from autodiff_compare.problems.base.declared.typical import one_size, typical_sizes
from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.problems.base.problem import Problem, ProblemError
from autodiff_compare.problems.base.size_names import numbered
from autodiff_compare.user_files import UserFileError, load_module

_FORMS = "define objective(x, xp) and x = [...], OBJECTIVES = {...} and INPUTS = (...), or PROBLEM = Problem(...)"
#: The dictionary of a file that was written for another process: it holds what other files declare by their names.
DECLARATION = "__declaration__"
#: The size of a function whose point is drawn, where it names none.
_SIZES = (100,)


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
    declared = getattr(module, DECLARATION, vars(module))
    if any(name in declared for name in ("PROBLEM", "PROBLEMS")):
        return problems_in(module)
    objective, native = declared.get("objective"), declared.get("OBJECTIVES", {})
    if objective is None and not native:
        raise ProblemError(f"got no problem in {path}: {_FORMS}")
    return (problem_of(path.stem, objective, native, declared, str(path)),)


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
        A value, or all of ``INPUTS``, may be a function of the size (`autodiff_compare.problems.base.declared.points`).
        ``SIZES`` -> the sizes n of such a function, the default first; by default 100.
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
    drawn = depends_on_size(required, values, data)
    sizes = _numbers(values.get("SIZES", _SIZES), where) if drawn else ()
    point = _point(required, values, sizes, where)
    names = [leaf for n, value in zip(required, point, strict=True) for leaf, _ in leaves(n, value)]
    if not names:
        raise ProblemError(f"got no array in {', '.join(required)} in {where}, expected one or more to differentiate")
    native = {backend: _by_position(f, required, where) for backend, f in native.items()}
    if any(map(is_container, point)):
        function = function and unpacked(function, point)
        native = {backend: unpacked(f, point) for backend, f in native.items()}

    def at(rng: np.random.Generator, n: int) -> Inputs:
        there = given_point(required, at_size(required, values, n, rng, where), where)
        found = [leaf for name, value in zip(required, there, strict=True) for leaf in leaves(name, value)]
        if [name for name, _ in found] != names:
            raise ProblemError(
                f"got other containers at n = {n} than at n = {sizes[0]} in {where}, expected the same keys and "
                "lengths: let the shapes of the arrays depend on n"
            )
        return Inputs(tuple(x for _, x in found), data_at_size(data, n, rng, where))

    inputs = at(np.random.default_rng(0), sizes[0] if sizes else 0)
    typical = typical_sizes(values.get("TYPICAL"), required, point, where)
    return Problem(
        name=name,
        title=f"{(objective or next(iter(native.values()))).__doc__ or name}".strip().splitlines()[0],
        source=_source(names, inputs, sizes, where),
        sizes={numbered(n): n for n in sizes} or {"small": sum(x.size for x in inputs.differentiated)},
        inputs=at if drawn else lambda rng, n: inputs,  # noqa: ARG005 - the given point, for every seed
        objective=function,
        operators=frozenset(),
        suites=frozenset(),
        fixed=not drawn or _fixed(at, sizes[0], where),
        native=native,
        complex_numbers=any(np.iscomplexobj(x) for x in inputs.differentiated),
        typical=tuple(one_size(size, where) for size in typical) if drawn else typical,
        samples=_samples(values.get("SAMPLES", ()), [*names, *data], inputs, where),
        names=tuple(names),
    )


def _source(names: Sequence[str], inputs: Inputs, sizes: Sequence[int], where: str) -> str:
    """Return where a function comes from, and the shapes of its point."""
    shapes = ", ".join(f"{n} {x.shape}" for n, x in zip(names, inputs.differentiated, strict=True))
    return f"{where}, drawn, at n = {sizes[0]} {shapes}" if sizes else f"{where}, at the given {shapes}"


def _numbers(given: Any, where: str) -> tuple[int, ...]:
    """Return the sizes that a declaration names."""
    found = (given,) if isinstance(given, int) else given
    if not isinstance(found, (tuple, list)) or not found or not all(type(n) is int and n > 0 for n in found):
        raise ProblemError(f"got SIZES = {given!r} in {where}, expected whole numbers from 1: SIZES = (10, 1000)")
    return tuple(dict.fromkeys(found))


def _fixed(at: Callable[[np.random.Generator, int], Inputs], n: int, where: str) -> bool:
    """Return whether a drawn point is the same for every seed; reject one that differs for one seed."""
    first, again, other = (at(np.random.default_rng(seed), n).arrays for seed in (0, 0, 1))
    if not all(map(_same, first, again)):
        raise ProblemError(
            f"got two points for one seed in {where}, expected rng to be the only source of random numbers"
        )
    return all(map(_same, first, other))


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _point(names: list[str], values: Mapping[str, Any], sizes: Sequence[int], where: str) -> tuple[Any, ...]:
    """Return the value of each parameter at the given point, or at the first size of a drawn one."""
    n = sizes[0] if sizes else 0
    return given_point(names, at_size(names, values, n, np.random.default_rng(0), where), where)


def point_of(
    objective: Callable[..., Any] | None,
    native: Mapping[str, Callable[..., Any]],
    values: Mapping[str, Any],
    where: str,
) -> Any:
    """Return the value of each differentiated parameter, in float64 or complex128; a drawn one as its function.

    The arguments are those of `problem_of`.

    Returns
    -------
    tuple or function
        One value for each parameter; the function that draws them all, if there is one.
    """
    required, data, _ = _signature(objective, native, where)
    if is_drawn(values.get("INPUTS")):
        return values["INPUTS"]
    if not depends_on_size(required, values, data):
        return given_point(required, values, where)
    together = values.get("INPUTS")
    return tuple(together) if together is not None else tuple(values[name] for name in required)


def _signature(
    objective: Callable[..., Any] | None, native: Mapping[str, Callable[..., Any]], where: str
) -> tuple[list[str], dict[str, Any], Callable[..., Any] | None]:
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
            f"got objective({', '.join(parameters)}) in {where}, expected objective({shown}): xp stands for the array "
            "functions of each system, so write xp.sum(x) for np.sum(x)"
        )
    required = [name for name in _required(objective, where) if name != "xp"]
    if not required:
        raise ProblemError(f"got objective({', '.join(parameters)}) in {where}, expected a parameter to differentiate")
    arrays = {
        name: p.default for name, p in parameters.items() if isinstance(p.default, np.ndarray) or draws_data(p.default)
    }
    for name, array in arrays.items():
        refuse_masked(name, array, where)
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
