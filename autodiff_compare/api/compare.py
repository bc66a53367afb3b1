"""`compare`, the interface from Python: compare backends on a Python function, without a problem file."""

from __future__ import annotations

import contextlib
import io
import keyword
import pathlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from autodiff_compare.api import serialise
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.plan.plan import Plan, plan, plan_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Problem, point_of, problem_of
from autodiff_compare.results.machines import this_machine
from autodiff_compare.results.provenance import recorded_now
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import read_all
from autodiff_compare.summary import summary
from autodiff_compare.summary.recommendation import recommendation
from autodiff_compare.summary.recommendation_text import paragraphs
from autodiff_compare.summary.terminal import WIDTH

if TYPE_CHECKING:
    import pandas as pd

_HTML = '<pre style="line-height: 1.25; white-space: pre; font-family: monospace">{code}</pre>'


class Tables(Mapping[str, "pd.DataFrame"]):
    """The tables of a run, as a mapping from table name to data frame; `compare` returns them.

    A table is read as ``tables["cells"]`` or ``tables.cells``. ``results/README.md`` documents every table and column.
    In a terminal or a notebook, the tables are displayed as their summary.

    Attributes
    ----------
    folder : pathlib.Path or None
        Folder of the CSV files; `None` if they were not kept.
    in_process : str
        Reason why the function was computed in this process; empty if worker processes computed it.

    Examples
    --------
    >>> tables = compare(lambda x, xp: xp.sum(x**2), [1.0, 2.0], backends="numpy")  # doctest: +SKIP
    >>> list(tables)  # doctest: +SKIP
    ['runs', 'cells', 'checks', 'pairs', 'samples', 'timings', 'steps', 'descents', 'questions', 'conventions']
    >>> tables.cells[["backend", "operator", "status"]].head(2)  # doctest: +SKIP
      backend  operator status
    0   numpy     value     ok
    1   numpy  gradient     ok
    """

    def __init__(
        self, frames: Mapping[str, pd.DataFrame], folder: pathlib.Path | None, in_process: str, text: str, html: str
    ) -> None:
        self._frames = dict(frames)
        self.folder = folder
        self.in_process = in_process
        self._text, self._html = text, html

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._frames[name]

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name.startswith("_") or name not in self._frames:
            raise AttributeError(f"got {name!r}, expected one of: {', '.join(self.__dict__.get('_frames', ()))}")
        return self._frames[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._frames]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def recommend(self, calls: int = 10_000, operator: str | None = None) -> str:
        """Recommend a backend for a number of evaluations, from the tables; nothing is measured.

        Parameters
        ----------
        calls
            Number of planned evaluations, at least 1.
        operator
            Name of the operator; by default ``gradient``, or ``jacobian`` if the value is not a scalar.

        Returns
        -------
        str
            The recommendation, one paragraph a line: the backend, its break-even counts, accuracy and memory.

        Raises
        ------
        RecommendError
            If no backend is right and timed, or the tables do not have the operator.
        ValueError
            If ``calls`` is not a whole number from 1.
        """
        return "\n".join(paragraphs(recommendation(self, None, _whole("calls", calls, 1), operator)))

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def compare(
    f: Callable[..., Any] | Mapping[str, Callable[..., Any]],
    x: Any,
    *,
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
        framework's own arrays, without ``xp``: ``{"torch": f, "jax": g}``.
    x
        Point of evaluation: an array of floats or complex numbers, a tuple with one value for each parameter, or a
        dictionary from parameter to value. A value may be a container of arrays.
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
    problem, values = _problem(f, x, typical)
    names = [dtype if isinstance(dtype, str) else np.dtype(dtype).name for dtype in _several(dtypes)]
    query = Query(
        backends=_several(backends or ()),
        operators=_several(operators),
        dtypes=names,
        seed=_whole("seed", seed),
        variants=variants,
        degrees=[_whole("degrees", degree, 1) for degree in (degrees if isinstance(degrees, Sequence) else (degrees,))],
    )
    settings = Settings(
        rounds=_whole("rounds", rounds),
        threads=_whole("threads", threads, 1),
        timeout_s=_positive("timeout", timeout),
        environment=_texts("env", env or {}),
    )
    with contextlib.ExitStack() as held:
        folder = pathlib.Path(held.enter_context(tempfile.TemporaryDirectory(prefix="autodiff-compare-")))
        held.callback(_forget, folder)
        planned, why = _planned(problem, f, values, typical, folder, query)
        if why:
            words = f"{problem.name} is computed in this process, without isolation and timeouts: {why}"
            warnings.warn(words, stacklevel=2)
        command = f"autodiff_compare.compare({problem.name})" + (f" in this process: {why}" if why else "")
        return _run(planned, settings, pathlib.Path(out) if out else folder, command, why, kept=out is not None)


def _problem(f: Any, x: Any, typical: Any) -> tuple[Problem, tuple[Any, ...]]:
    """Return the problem of ``f``, and the value of each parameter; a tuple ``x`` has one value for each."""
    native, objective = (dict(f), None) if isinstance(f, Mapping) else ({}, f)
    if not native and not callable(f):
        raise ValueError(f"got {type(f).__name__} to compare, expected a function f(x, xp) or {{'torch': f, 'jax': g}}")
    first = next(iter(native.values()), f)
    while isinstance(first, partial):
        first = first.func
    name = str(getattr(first, "__name__", type(first).__name__))
    if not name.isidentifier() or keyword.iskeyword(name):
        name = "function"
    values = x if isinstance(x, Mapping) else {"INPUTS": x if isinstance(x, tuple) else (x,)}
    problem = problem_of(name, objective, native, {**values, "TYPICAL": typical}, "compare()")
    point = point_of(objective, native, values, "compare()")
    if isinstance(x, Mapping) and len(x) > len(point):
        raise ValueError(
            f"got values for {', '.join(map(str, x))} in compare(), expected one for each parameter that is "
            f"differentiated, {len(point)} in all: leave out the others, or give f without their defaults"
        )
    return problem, point


def _planned(
    problem: Problem, f: Any, values: Sequence[Any], typical: Any, folder: pathlib.Path, query: Query
) -> tuple[Plan, str]:
    """Return the plan, and the reason for running in this process (empty if workers run it)."""
    objective, native = (None, f) if isinstance(f, Mapping) else (f, {})
    try:
        path = serialise.write(folder, problem.name, objective, native, values, typical)
    except serialise.NotSendable as error:
        found = with_operators(problem)
        return plan_problems([found], {found.name: found.name}, query), str(error)
    return plan(replace(query, problems=[str(path)])), ""


def _run(planned: Plan, settings: Settings, out: pathlib.Path, command: str, why: str, *, kept: bool) -> Tables:
    here = this_machine(planned, settings, in_process=bool(why))
    folder = RunFolder(out, machine=here)
    try:
        folder.add({"runs": [replace(recorded_now(command, planned, settings, here), run_id=folder.run_id)]})
        # Failures are in the tables; a pipe is told of progress alone.
        with Display(failures=False) as display:
            local = LocalPool(planned, folder, display) if why else None
            Runner(planned, settings, folder, display, local).run()
    finally:
        folder.close()
    # In a notebook a console displays whatever it records, unless it is told that it is in none.
    console = Console(
        file=io.StringIO(),
        width=WIDTH,
        record=True,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=True,
        force_jupyter=False,
    )
    summary.show(folder.path, console)
    for line in summary.not_computed(planned.dropped):
        console.print(line)
    html = console.export_html(inline_styles=True, code_format=_HTML, clear=False)
    text = "\n".join(line.rstrip() for line in console.export_text(clear=False).splitlines())
    return Tables(read_all(folder.path), folder.path if kept else None, why, text, html)


def _several(given: Any) -> tuple[Any, ...]:
    """Return a sequence, also of a single name; a dtype may be NumPy's."""
    return (given,) if isinstance(given, (str, type, np.dtype)) else tuple(given)


def _whole(name: str, given: Any, least: int = 0) -> int:
    """Return a whole number of any numeric type as an int; reject any other value."""
    if not isinstance(given, (int, float, np.integer, np.floating)) or given != given // 1 or given < least:
        raise ValueError(f"got {name}={given!r}, expected a whole number from {least}")
    return int(given)


def _texts(name: str, given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise ValueError(f"got {name}={given!r}, expected a dictionary from variable to text, both of type str")
    return dict(given)


def _positive(name: str, given: Any) -> float:
    if not isinstance(given, (int, float, np.integer, np.floating)) or not 0 < given < float("inf"):
        raise ValueError(f"got {name}={given!r}, expected a positive number of seconds")
    return float(given)


def _forget(folder: pathlib.Path) -> None:
    """Take the folder of the problem file off ``sys.path``: the folder is about to be removed."""
    sys.path[:] = [entry for entry in sys.path if entry != str(folder.resolve())]
