"""Write the report of one run, or of several runs or machines side by side."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Sequence

from autodiff_compare.report import contents, markdown, side_by_side
from autodiff_compare.report.page import page, record
from autodiff_compare.results.replacing import own_folder, write_text


def write(folders: Sequence[pathlib.Path], out: pathlib.Path) -> pathlib.Path:
    """Write ``report.html``, ``figures/`` and ``summary.md``.

    The page of a run on several machines shows them side by side, and each has a whole page of its own below the run's
    folder, in ``machine-1``, ``machine-2`` and so on.

    Parameters
    ----------
    folders
        Folders of the runs. The report of a single run is written into its folder.
    out
        Folder in which the report of several runs gets a new folder.

    Returns
    -------
    pathlib.Path
        Path of the page.

    Raises
    ------
    TableError
        If a run's tables are missing, damaged or of another schema.
    OSError
        If the folder cannot be written to.
    """
    runs = [record.read_all(folder) for folder in dict.fromkeys(f.resolve() for f in folders)]
    records = list(itertools.chain.from_iterable(runs))
    for parts in runs:
        for k, part in enumerate(parts if len(parts) > 1 else (), 1):
            page.write(contents.page(part), own_folder(part.folder / f"machine-{k}"))
    if len(records) == 1:
        path = page.write(contents.page(records[0]), folders[0])
        text = markdown.summary(records)
    else:
        target = folders[0] if len(runs) == 1 else own_folder(out / side_by_side.folder_name(records))
        path = page.write(side_by_side.page(records), target)
        text = markdown.summary(records, side_by_side.beside(records))
    write_text(path.with_name("summary.md"), text)
    return path
