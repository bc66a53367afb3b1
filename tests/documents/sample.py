"""Make the sample run of the repository light: ``python -m tests.documents.sample FOLDER``.

A whole run with its page and figures takes 14 MB. The sample keeps every table, fewer rows of two of them, and the
figures as SVG. The page is not kept: ``compare.py report results/sample`` makes it from the tables.

- ``samples.csv``: one block a round, the median one. A round's value is the median of its blocks, so that every median,
  interval and ratio of ``timings.csv`` follows from the rows that are kept.
- ``steps.csv``: the first hundred steps of a descent's first backend, and of every descent the restarts, the last step,
  and steps that are evenly spaced on a log scale.

To make the whole again: ``compare.py run --quick`` and ``compare.py report RUN``.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from autodiff_compare.report.write import write as write_report
from autodiff_compare.results import tables
from autodiff_compare.results.rows import SampleRow, StepRow
from autodiff_compare.results.tables import rows_from

#: Steps of one descent by one backend, evenly spaced on a log scale of iterations.
_SPACED = 60
#: Steps from the start, all of which the study of the learning rate looks at.
_FIRST = 100
#: Figures of single problems: the page has one for each.
_SINGLE = "p[0-9]*-*.svg"


def thinned_samples(rows: Sequence[SampleRow]) -> list[SampleRow]:
    """Return the median block of each round; of an even number of blocks the lower one of the middle two."""
    rounds: dict[tuple[str, str, int], list[SampleRow]] = {}
    for row in rows:
        rounds.setdefault((row.cell_id, row.phase, row.round), []).append(row)
    return [sorted(blocks, key=lambda row: row.seconds)[(len(blocks) - 1) // 2] for blocks in rounds.values()]


def thinned_steps(rows: Sequence[StepRow]) -> list[StepRow]:
    """Return the steps that are kept: see the module."""
    descents: dict[tuple[str, int], list[StepRow]] = {}
    for row in rows:
        descents.setdefault((row.cell_id, row.start), []).append(row)
    kept: list[StepRow] = []
    led: set[tuple[str, int]] = set()
    for (cell_id, start), steps in descents.items():
        group = (cell_id.rpartition("/")[0], start)
        first = _FIRST if group not in led else 1
        led.add(group)
        iterations = [step.iteration for step in steps]
        spaced = np.rint(np.geomspace(1, iterations[-1] + 1, _SPACED)) - 1
        chosen = {*range(min(first, len(steps))), *np.searchsorted(iterations, spaced).tolist(), len(steps) - 1}
        chosen |= {i for i, step in enumerate(steps) if "restart" in step.extra}
        kept += [steps[i] for i in sorted(chosen)]
    return kept


def thin(folder: pathlib.Path) -> None:
    """Thin the tables of a run's folder, remake its report from them, and keep the figures of the whole run as SVG."""
    samples = rows_from(tables.read(folder / "samples.csv", SampleRow), SampleRow)
    tables.write(folder / "samples.csv", SampleRow, thinned_samples(samples))
    steps = rows_from(tables.read(folder / "steps.csv", StepRow), StepRow)
    tables.write(folder / "steps.csv", StepRow, thinned_steps(steps))
    for old in (folder / "figures").glob("*"):
        old.unlink()
    write_report([folder], folder.parent)
    for name in ("report.html", "log.jsonl", *(f"figures/{pattern}" for pattern in ("*.png", _SINGLE))):
        for path in folder.glob(name):
            path.unlink()


if __name__ == "__main__":
    thin(pathlib.Path(sys.argv[1]))
