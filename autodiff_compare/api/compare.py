"""The door from Python: compare a function of one's own, without a file."""

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
from autodiff_compare.execution.local import Here
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.evaluation import described
from autodiff_compare.plan.plan import DEFAULT_BACKENDS, Plan, plan, plan_of
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Problem, point_of, problem_of
from autodiff_compare.results.provenance import recorded_now
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import read_all
from autodiff_compare.summary import summary
from autodiff_compare.summary.recommendation import recommendation
from autodiff_compare.summary.recommendation_text import paragraphs

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 80
_HTML = '<pre style="line-height: 1.25; white-space: pre; font-family: monospace">{code}</pre>'


class Tables(Mapping[str, "pd.DataFrame"]):
    """The tables of a run: ``tables["cells"]`` or ``tables.cells``; shown, they are their summary.

    Parameters
    ----------
    frames
        Table name -> data frame; ``results/README.md`` documents every column.
    folder
        Where the CSV files are, if they were kept.
    in_process
        Why the function was not computed in worker processes; empty where it was.
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
        """Which backend to take for so many calls, in words: see `autodiff_compare.summary.recommendation`.

        Raises
        ------
        RecommendError
            If none of them is right and was timed.
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
    out: str | pathlib.Path | None = None,
) -> Tables:
    """Compute, check and time the derivatives of a function on several backends.

    Parameters
    ----------
    f
        ``f(x, xp)``, or ``f(x, y, xp)``, of array API names: differentiated in all parameters without a default. Or a
        dictionary from backend to a function of that framework's own arrays, such as ``{"torch": f, "jax": g}``.
    x
        The point: an array of floats, a tuple of one for each parameter, or a dictionary by parameter.
    backends
        ``name[:variant][@PYTHON]`` or paths of files; by default numpy, torch, tensorflow and jax, or those of ``f``.
    operators
        Names such as ``"gradient"``; by default all that a function with such a value has.
    dtypes
        ``"float64"``, ``"float32"`` or both.
    rounds
        Timing rounds; 0 judges without timing, fewer than 8 give no verdict on speed.
    variants
        ``"all"`` adds every variant of the backends, ``"modes"`` their second derivatives in every order of modes.
    threads
        Threads of each worker process.
    seed
        Of directions, and of the second point, at which functions are prepared.
    timeout
        Seconds for one cell.
    out
        Folder in which the run's CSV files are kept; they are not by default.

    Returns
    -------
    Tables
        Table name -> data frame: ``tables.cells``, ``tables.timings``, ``tables.checks``, ... Shown, it is the summary.

    Raises
    ------
    ValueError
        If the function cannot be evaluated at the point in plain NumPy, or something asked for does not exist.

    Warns
    -----
    UserWarning
        If the function cannot be sent to a worker process, with the reason: it is then computed in this one.
    """
    problem, values = _problem(f, x)
    names = [dtype if isinstance(dtype, str) else np.dtype(dtype).name for dtype in _several(dtypes)]
    what = (_several(backends or DEFAULT_BACKENDS), _several(operators), names, _whole("seed", seed), variants)
    settings = Settings(
        rounds=_whole("rounds", rounds), threads=_whole("threads", threads, 1), timeout_s=_positive("timeout", timeout)
    )
    with contextlib.ExitStack() as held:
        folder = pathlib.Path(held.enter_context(tempfile.TemporaryDirectory(prefix="autodiff-compare-")))
        held.callback(_forget, folder)
        planned, why = _planned(problem, f, values, folder, *what)
        if why:
            words = f"{problem.name} is computed in this process, with less isolation and no deadlines: {why}"
            warnings.warn(words, stacklevel=2)
        command = f"autodiff_compare.compare({problem.name})" + (f" in this process: {why}" if why else "")
        return _run(planned, settings, pathlib.Path(out) if out else folder, command, why, kept=out is not None)


def _problem(f: Any, x: Any) -> tuple[Problem, tuple[Any, ...]]:
    """What is compared and the value of each parameter; the inputs of a tuple are several, anything else is one."""
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
    problem = problem_of(name, objective, native, values, "compare()")
    point = point_of(objective, native, values, "compare()")
    if isinstance(x, Mapping) and len(x) > len(point):
        raise ValueError(
            f"got values for {', '.join(map(str, x))} in compare(), expected one for each parameter that is "
            f"differentiated, {len(point)} in all: leave out the others, or give f without their defaults"
        )
    return problem, point


def _planned(
    problem: Problem,
    f: Any,
    values: Sequence[Any],
    folder: pathlib.Path,
    specs: Sequence[str],
    operators: Sequence[str],
    dtypes: Sequence[str],
    seed: int,
    variants: str,
) -> tuple[Plan, str]:
    """What is to be done, and why it cannot be done by workers, if so."""
    objective, native = (None, f) if isinstance(f, Mapping) else (f, {})
    rest = (specs, operators, dtypes, ("small",), seed)
    try:
        path = serialise.write(folder, problem.name, objective, native, values)
    except serialise.NotSendable as error:
        found = described(problem)
        return plan_of([found], {found.name: found.name}, *rest, variants=variants), str(error)
    return plan([str(path)], *rest, variants=variants), ""


def _run(planned: Plan, settings: Settings, out: pathlib.Path, command: str, why: str, *, kept: bool) -> Tables:
    folder = RunFolder(out)
    try:
        folder.add({"runs": [replace(recorded_now(command, planned, settings), run_id=folder.run_id)]})
        Runner(planned, settings, folder, pool=Here(planned, folder) if why else None).run()
    finally:
        folder.close()
    # In a notebook a console displays whatever it records, unless it is told that it is in none.
    console = Console(
        file=io.StringIO(),
        width=_WIDTH,
        record=True,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=True,
        force_jupyter=False,
    )
    summary.show(folder.path, console)
    html = console.export_html(inline_styles=True, code_format=_HTML, clear=False)
    text = "\n".join(line.rstrip() for line in console.export_text(clear=False).splitlines())
    return Tables(read_all(folder.path), folder.path if kept else None, why, text, html)


def _several(given: Any) -> tuple[Any, ...]:
    """One thing or several; a dtype may be NumPy's."""
    return (given,) if isinstance(given, (str, type, np.dtype)) else tuple(given)


def _whole(name: str, given: Any, least: int = 0) -> int:
    """A whole number, of whatever type."""
    if not isinstance(given, (int, float, np.integer, np.floating)) or given != given // 1 or given < least:
        raise ValueError(f"got {name}={given!r}, expected a whole number from {least}")
    return int(given)


def _positive(name: str, given: Any) -> float:
    if not isinstance(given, (int, float, np.integer, np.floating)) or not 0 < given < float("inf"):
        raise ValueError(f"got {name}={given!r}, expected a positive number of seconds")
    return float(given)


def _forget(folder: pathlib.Path) -> None:
    """Where the function was written is no place to import from: it is about to be removed."""
    sys.path[:] = [entry for entry in sys.path if entry != str(folder.resolve())]
