"""`compare`, the interface from Python: compare backends on a Python function, without a problem file."""

from __future__ import annotations

import contextlib
import keyword
import os
import pathlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from autodiff_compare.api import progress, serialise
from autodiff_compare.api.numbers import positive, sizes, whole
from autodiff_compare.api.tables import Tables
from autodiff_compare.api.texts import environment, names, one_name
from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.plan.plan import Plan, plan, plan_problems
from autodiff_compare.plan.query import LARGEST_SEED, Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Problem, is_drawn, point_of, problem_of
from autodiff_compare.problems.base import numbered
from autodiff_compare.results.machines import this_machine
from autodiff_compare.results.provenance import recorded_now
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import read_all


def compare(
    f: Callable[..., Any] | Mapping[str, Callable[..., Any]] | str,
    x: Any = None,
    *,
    at: Any = None,
    n: int | Iterable[int] | str | None = None,
    backends: str | Sequence[str] | None = None,
    operators: str | Sequence[str] = (),
    dtypes: str | Sequence[str] = "float64",
    rounds: int = 8,
    variants: str = "",
    threads: int = 1,
    seed: int = 0,
    timeout: float = 60.0,
    env: Mapping[str, str] | None = None,
    typical: Any = None,
    degrees: int | Sequence[int] = (),
    out: str | pathlib.Path | None = None,
) -> Tables:
    """Compute the derivatives of a function on several backends, check each one, and time the right ones.

    The function runs in worker processes, one per backend.

    Parameters
    ----------
    f
        Function of arrays and of the array namespace, ``f(x, xp)`` or ``f(x, y, xp)``, written with array API names.
        It returns an array of floats: a scalar has gradients and Hessians, any other shape has Jacobians. Complex
        numbers have products, and Jacobians if the function is holomorphic. It is differentiated in all parameters
        without a default. Or a dictionary from backend to a function of that
        framework's own arrays, without ``xp``: ``{"torch": f, "jax": g}``. Or the name of a problem of this project,
        such as ``"rosenbrock"``, which has a point of its own.
    x
        Point of evaluation: an array of floats or complex numbers, a tuple with one value for each parameter, or a
        dictionary from parameter to value. A value may be a container of arrays. It may also be a function of the size,
        ``lambda n, rng: rng.normal(size=n)``, which is called with a `numpy.random.Generator`; so may ``x``
        itself, which then returns any of these but a dictionary. A default of ``f`` that is such a function is data.
    at
        Point of a problem that is given by its name: numbers, the entries of its inputs in order, or an array for each
        input, such as ``at=[-2, 0.5]``. By default the point is drawn.
    n
        The sizes at which it is computed, if ``x`` is a function of the size: a number, several, or a range such as
        ``"10:1e6:log7"``, seven numbers of equal ratios. By default 100. A problem is computed at its smallest size.
    backends
        Backends as ``name[:variant][@PYTHON]``, or paths of ``.py`` files; by default numpy, torch, tensorflow and
        jax, or the keys of ``f``.
    operators
        Names of operators, such as ``"gradient"``; by default all operators of a function with such a value.
    dtypes
        ``"float64"``, ``"float32"`` or both; of complex numbers the dtypes of their parts.
    rounds
        Timing rounds; 0 checks without timing, fewer than 8 give no verdict on speed.
    variants
        ``"all"`` adds every variant of the backends, ``"modes"`` their second derivatives in every order of modes.
    threads
        Threads per worker process.
    seed
        Seed of the random directions and of the point used for tracing.
    timeout
        Time limit for one cell, in seconds. There is none if the function is computed in this process.
    env
        Environment variables to pass on to the workers: name -> value. They inherit none that can change a number.
    typical
        Typical sizes of the inputs, by which numerical differences move them: a size, a tuple with one for each
        parameter, or a dictionary from parameter to size. A size is a number or shaped like the value. By default each
        entry moves in proportion to its own size.
    degrees
        The highest derivative of ``taylor``, or several: a series of each degree is computed; 4 by default.
    out
        Folder in which the run's CSV files are kept; by default they are removed.

    Returns
    -------
    Tables
        Table name -> data frame: ``tables.cells``, ``tables.checks``, ``tables.timings``, ... They are displayed as
        their summary.

    Raises
    ------
    ValueError
        If the function cannot be evaluated at ``x`` in plain NumPy; if a backend, operator, dtype or variant does not
        exist; or if a number is out of its range. The message says what was expected.

    Warns
    -----
    UserWarning
        If the function cannot be sent to a worker process, with the reason. It is then computed in this process:
        there is no timeout, and a crash ends your process.

    Examples
    --------
    >>> import autodiff_compare
    >>> def energy(x, xp):
    ...     return xp.sum(x**2 * xp.sin(x))
    >>> tables = autodiff_compare.compare(energy, [0.5, 1.5], operators="gradient")  # doctest: +SKIP
    >>> print(tables)  # doctest: +SKIP
    >>> tables.timings.query("phase == 'steady'")[["cell_id", "median_s"]]  # doctest: +SKIP
    """
    numbers = sizes(n)
    query = Query(
        backends=() if backends is None else names("backends", backends),
        operators=names("operators", operators),
        dtypes=names("dtypes", dtypes),
        sizes=list(map(numbered, numbers)),
        seed=whole("seed", seed, most=LARGEST_SEED),
        variants=one_name("variants", variants),
        degrees=[whole("degrees", degree, 1) for degree in (degrees if isinstance(degrees, Sequence) else (degrees,))],
    )
    settings = Settings(
        rounds=whole("rounds", rounds),
        threads=whole("threads", threads, 1),
        timeout_s=positive("timeout", timeout),
        environment=environment({} if env is None else env),
    )
    if out is not None and not os.fspath(out):
        raise ValueError(f"got out={out!r}, expected a folder, such as out='results'")
    with contextlib.ExitStack() as held:
        folder = pathlib.Path(held.enter_context(tempfile.TemporaryDirectory(prefix="autodiff-compare-")))
        held.callback(_forget, folder)
        if isinstance(f, str):
            planned, why = _named(f, x, typical, at, query)
        elif at is not None:
            raise ValueError("got at= for a function of your own, expected x: compare(f, [1.0, 2.0])")
        else:
            planned, why = _planned(f, x, typical, numbers, folder, query)
        name = planned.problems[0].name
        if why:
            words = f"{name} is computed in this process, without isolation and timeouts: {why}"
            warnings.warn(words, stacklevel=2)
        command = f"autodiff_compare.compare({name})" + (f" in this process: {why}" if why else "")
        return _run(planned, settings, folder if out is None else pathlib.Path(out), command, why, kept=out is not None)


def _named(name: str, x: Any, typical: Any, at: Any, query: Query) -> tuple[Plan, str]:
    """Return the plan of a problem that is given by its name; workers run it."""
    if x is not None or typical is not None:
        raise ValueError(f"got {'x' if x is not None else 'typical'} for the problem {name!r}, expected at= or n=")
    return plan(replace(query, problems=[name], points=() if at is None else [_entries(at)])), ""


def _entries(at: Any) -> tuple[complex, ...]:
    """Return the entries of a point: of numbers, of an array, or of one array for each input.

    Raises
    ------
    ValueError
        If they are not finite numbers.
    """
    try:
        parts = [np.ravel(np.asarray(part)) for part in (at if isinstance(at, (list, tuple)) else [at])]
        flat = np.concatenate(parts) if parts else np.empty(0)
        found = flat.astype(np.complex128 if np.iscomplexobj(flat) else np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"got at={at!r}, expected numbers, or an array for each input: {error}") from error
    if not found.size or not np.isfinite(found).all():
        raise ValueError(f"got at={at!r}, expected finite numbers")
    return tuple(found.tolist())


def _problem(f: Any, x: Any, typical: Any, numbers: tuple[int, ...]) -> tuple[Problem, Any]:
    """Return the problem of ``f``, and the value of each parameter; a tuple ``x`` has one value for each."""
    native, objective = (dict(f), None) if isinstance(f, Mapping) else ({}, f)
    if not native and not callable(f):
        expected = "a function f(x, xp), {'torch': f, 'jax': g}, or the name of a problem"
        raise ValueError(f"got {type(f).__name__} to compare, expected {expected}")
    if x is None:
        raise ValueError("got no x in compare(), expected the point: compare(f, [1.0, 2.0])")
    first = next(iter(native.values()), f)
    while isinstance(first, partial):
        first = first.func
    name = str(getattr(first, "__name__", type(first).__name__))
    if not name.isidentifier() or keyword.iskeyword(name):
        name = "function"
    values = x if isinstance(x, Mapping) else {"INPUTS": x if isinstance(x, tuple) or is_drawn(x) else (x,)}
    more = {"TYPICAL": typical} | ({"SIZES": numbers} if numbers else {})
    problem = problem_of(name, objective, native, {**values, **more}, "compare()")
    point = point_of(objective, native, values, "compare()")
    if isinstance(x, Mapping) and len(x) > len(point):
        raise ValueError(
            f"got values for {', '.join(map(str, x))} in compare(), expected one for each parameter that is "
            f"differentiated, {len(point)} in all: leave out the others, or give f without their defaults"
        )
    return problem, point


def _planned(
    f: Any, x: Any, typical: Any, numbers: tuple[int, ...], folder: pathlib.Path, query: Query
) -> tuple[Plan, str]:
    """Return the plan, and the reason for running in this process (empty if workers run it)."""
    problem, values = _problem(f, x, typical, numbers)
    objective, native = (None, f) if isinstance(f, Mapping) else (f, {})
    try:
        path = serialise.write(folder, problem.name, objective, native, values, typical, numbers)
    except serialise.NotSendable as error:
        found = with_operators(problem)
        return plan_problems([found], {found.name: found.name}, query), str(error)
    return plan(replace(query, problems=[str(path)])), ""


def _run(planned: Plan, settings: Settings, out: pathlib.Path, command: str, why: str, *, kept: bool) -> Tables:
    here = this_machine(planned, settings, in_process=bool(why))
    folder = RunFolder(out, machine=here)
    try:
        folder.add({"runs": [replace(recorded_now(command, planned, settings, here), run_id=folder.run_id)]})
        with progress.display() as display:
            local = LocalPool(planned, folder, display) if why else None
            Runner(planned, settings, folder, display, local).run()
    finally:
        folder.close()
    return Tables(read_all(folder.path), folder.path if kept else None, why, planned.dropped)


def _forget(folder: pathlib.Path) -> None:
    """Take the folder of the problem file off ``sys.path``: the folder is about to be removed."""
    sys.path[:] = [entry for entry in sys.path if entry != str(folder.resolve())]
