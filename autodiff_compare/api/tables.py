"""The tables of a run as Python code and notebooks use them: data frames, figures, a report, a recommendation."""

from __future__ import annotations

import functools
import io
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from autodiff_compare.api import overview
from autodiff_compare.api.advice import Advice
from autodiff_compare.api.figures import Plot
from autodiff_compare.api.numbers import whole
from autodiff_compare.results import tables
from autodiff_compare.results.frames import tidy
from autodiff_compare.results.places import locate
from autodiff_compare.results.rows import TABLES
from autodiff_compare.summary.recommendation import RecommendError, recommendation
from autodiff_compare.summary.run import sentence, summary
from autodiff_compare.summary.terminal import WIDTH

if TYPE_CHECKING:
    import pandas as pd


class Tables(Mapping[str, "pd.DataFrame"]):
    """The tables of a run, as a mapping from table name to data frame; `compare` and `read` return them.

    A table is read as ``tables["cells"]`` or ``tables.cells``. ``results/README.md`` documents the columns of the
    files. Frames have, in addition, the parts of a cell: ``problem``, ``size``, ``n``, ``dtype``, ``operator``,
    ``backend`` and ``variant``. The number of timings, ``n`` in ``timings.csv``, is called ``count`` there. Printed,
    the tables are their summary; in a notebook they are displayed as HTML.

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
    ['runs', 'machines', 'cells', 'checks', 'pairs', 'samples', 'timings', 'steps', 'descents', 'questions', ...]
    >>> tables.cells[["backend", "operator", "status"]].head(2)  # doctest: +SKIP
      backend  operator status
    0   numpy     value     ok
    1   numpy  gradient     ok
    """

    def __init__(
        self,
        frames: Mapping[str, pd.DataFrame],
        folder: pathlib.Path | None,
        in_process: str = "",
        dropped: Iterable[str] = (),
    ) -> None:
        self.folder = folder
        self.in_process = in_process
        self._stored = dict(frames)
        self._frames = tidy.keyed(frames)
        self._dropped = tuple(dropped)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    if not TYPE_CHECKING:  # a checker knows the names below, and no other

        def __getattr__(self, name: str) -> pd.DataFrame:
            known = self.__dict__.get("_frames", ())
            raise AttributeError(f"got {name!r}, expected one of: {', '.join([*known, 'plot', 'tidy', 'recommend'])}")

    @property
    def runs(self) -> pd.DataFrame:
        """The run: its command, code, machine and settings."""
        return self._frames["runs"]

    @property
    def machines(self) -> pd.DataFrame:
        """One row for each machine on which the run was computed."""
        return self._frames["machines"]

    @property
    def cells(self) -> pd.DataFrame:
        """One row for each cell: its result, and how it ended."""
        return self._frames["cells"]

    @property
    def checks(self) -> pd.DataFrame:
        """One row for each comparison of a result with a reference."""
        return self._frames["checks"]

    @property
    def pairs(self) -> pd.DataFrame:
        """One row for each difference between the results of two backends."""
        return self._frames["pairs"]

    @property
    def samples(self) -> pd.DataFrame:
        """One row for each raw timing."""
        return self._frames["samples"]

    @property
    def timings(self) -> pd.DataFrame:
        """One row for each cell and phase: the statistics of its timings."""
        return self._frames["timings"]

    @property
    def steps(self) -> pd.DataFrame:
        """One row for each recorded iteration of a descent."""
        return self._frames["steps"]

    @property
    def descents(self) -> pd.DataFrame:
        """One row for each descent."""
        return self._frames["descents"]

    @property
    def questions(self) -> pd.DataFrame:
        """One row for each question to a tape, and the answer of a backend."""
        return self._frames["questions"]

    @property
    def conventions(self) -> pd.DataFrame:
        """One row for each answer in the atlas of conventions."""
        return self._frames["conventions"]

    @property
    def fuzz(self) -> pd.DataFrame:
        """The outcomes of random programs."""
        return self._frames["fuzz"]

    @property
    def findings(self) -> pd.DataFrame:
        """One row for each fault that random programs have shown."""
        return self._frames["findings"]

    def tidy(self) -> pd.DataFrame:
        """Return one row for each cell: its time, ratio to the fastest and error as numbers, and its verdict.

        Returns
        -------
        pandas.DataFrame
            ``problem``, ``size``, ``n``, ``dtype``, ``operator``, ``backend``, ``variant``, ``machine``, ``spec``
            (``backend[:variant]``), ``status``, ``verdict`` (``fastest``, ``slower``, ``tie``, ``contended``; empty if
            not compared); ``median_s``, ``low_s``, ``high_s`` (seconds of one call, 95 % interval); ``ratio``,
            ``ratio_low``, ``ratio_high`` (time over that of the fastest of the group, 99 % interval);
            ``ratio_to_value``; ``setup_s`` (preparation and first call); ``error``, ``error_eps``, ``tolerance``,
            ``reference``; ``peak_bytes``, ``flags``, ``message``, ``cell_id``. What is unknown is nan or empty.
        """
        return self._tidy.copy()

    @functools.cached_property
    def _tidy(self) -> pd.DataFrame:
        return tidy.tidy(self._stored)

    @property
    def plot(self) -> Plot:
        """Figures: ``plot.time()``, ``plot.error()``, ``plot.scaling()``, ``plot.profile()``."""
        return Plot(self.tidy)

    def recommend(self, calls: int = 10_000, operator: str | None = None, n: int | None = None) -> Advice:
        """Recommend a backend for a number of evaluations, from the tables; nothing is measured.

        Parameters
        ----------
        calls
            Number of planned evaluations, at least 1.
        operator
            Name of the operator; by default ``gradient``, or ``jacobian`` if the value is not a scalar.
        n
            The size, if several were run.

        Returns
        -------
        Advice
            ``best``, ``sure``, ``crossovers``; printed, it is a text with the reasons, the accuracy and the memory.

        Raises
        ------
        RecommendError
            If no backend is right and timed, or the tables do not have the operator or the size.
        ValueError
            If ``calls`` or ``n`` is not a whole number from 1.
        """
        calls = whole("calls", calls, 1)
        numbers = self.cells["n"].dropna().unique().tolist()
        if n is None and len(numbers) > 1 and self.cells["problem"].nunique() == 1:
            choices = ", ".join(str(int(number)) for number in numbers)
            raise RecommendError(f"got tables with more than one size, expected n= one of: {choices}")
        size = None if n is None else self._size(whole("n", n, 1))
        return Advice(recommendation(self._stored, None, calls, operator, size))

    def _size(self, n: int) -> str:
        """Return the name of the size with a number; another name is left to the message of a recommendation."""
        names = self.cells.loc[self.cells["n"] == n, "size"]
        return str(names.iloc[0]) if len(names) else f"n={n}"

    def report(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Write the report of the run: one HTML page with its figures and tables, which needs no network.

        Parameters
        ----------
        path
            Path of the page, such as ``report.html``; its folder must exist.

        Returns
        -------
        pathlib.Path
            The path of the page.
        """
        from autodiff_compare.report.write import write

        page = pathlib.Path(path)
        if page.is_dir():
            raise ValueError(
                f"got the folder {str(page)!r}, expected the path of a page: {str(page / 'report.html')!r}"
            )
        with tempfile.TemporaryDirectory(prefix="autodiff-compare-") as scratch:
            # A name in a table is no path.
            folder = pathlib.Path(scratch) / (re.sub(r"[^\w-]", "", str(self.runs["run_id"].iloc[0])) or "run")
            folder.mkdir()
            for name, table in TABLES.items():
                tables.write(folder / f"{name}.csv", table, tables.rows_from(self._stored[name], table))
            shutil.copyfile(write([folder], pathlib.Path(scratch)), page)
        return page

    def to_markdown(self) -> str:
        """Return the overview of the run in Markdown: times by backend, failures, and the result in a sentence."""
        return overview.as_markdown(list(overview.grids(self._tidy)), self._sentence)

    @property
    def _place(self) -> pathlib.Path:
        """Return the folder that messages name."""
        return self.folder or pathlib.Path("RUN")

    @property
    def _sentence(self) -> str:
        return " ".join([sentence.result(self._stored, self._place), *summary.not_computed(self._dropped)])

    @functools.cached_property
    def _text(self) -> str:
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
        summary.show_tables(self._stored, self._place, console)
        for line in summary.not_computed(self._dropped):
            console.print(line)
        return "\n".join(line.rstrip() for line in console.export_text(clear=False).splitlines())

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return overview.as_html(list(overview.grids(self._tidy)), self._sentence)


def read(run: str | os.PathLike[str]) -> Tables:
    """Return the tables of a run that was stored, by this program or on another machine.

    Parameters
    ----------
    run
        Folder of the run, its name or id, or ``"latest"``, ``"latest~1"``, ...

    Raises
    ------
    TableError
        If its tables are missing, damaged or of a later version.
    """
    folder = locate(os.fspath(run))
    return Tables(tables.read_all(folder), folder)
