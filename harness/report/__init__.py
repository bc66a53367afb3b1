"""The report of a run: one page that needs no other file, its figures, and a summary in Markdown.

Made from the CSV files alone, so that a run from another machine renders too. Two renderings of one run are the same
bytes: there is no time of day in them and no name that is drawn by chance. Texts from the tables are text wherever they
come to stand: the page is rendered with autoescape and carries a policy that allows no source but itself, figures
parse no formulas, and no file is named after what a table says without being reduced to letters and digits.
"""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
import sys
import webbrowser
from collections.abc import Sequence

from harness import exits, session
from harness.provenance import printable
from harness.store import locate
from harness.tables import TableError

#: Import name -> distribution.
_NEEDED = {"matplotlib": "matplotlib", "jinja2": "Jinja2"}


def report(options: argparse.Namespace) -> int:
    """The verb: write the report of a run, or of several side by side; returns the exit code."""
    absent = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if absent:
        return session.usage(
            f"got no {' and no '.join(absent)}, which draw the report: pip install 'autodiff-compare[report]'"
        )
    try:
        path = write([locate(run, options.out) for run in options.runs], options.out)
    except TableError as error:
        return session.usage(printable(str(error)))
    except OSError as error:
        return session.usage(f"cannot write the report: {printable(str(error))}")
    print(path)
    if options.open and not webbrowser.open(path.resolve().as_uri()):
        print(f"autodiff-compare: found no browser to open {path} with", file=sys.stderr)
    return exits.OK


def write(folders: Sequence[pathlib.Path], out: pathlib.Path) -> pathlib.Path:
    """Write ``report.html``, ``figures/`` and ``summary.md`` into a run's folder; of several, into one under ``out``.

    Returns
    -------
    pathlib.Path
        Of the page.

    Raises
    ------
    TableError
        If a run's tables are missing, damaged or of another schema.
    OSError
        If the folder cannot be written to.
    """
    from harness.report import contents, markdown, page, record, side_by_side

    records = [record.read(folder) for folder in dict.fromkeys(f.resolve() for f in folders)]
    if len(records) == 1:
        path = page.write(contents.page(records[0]), folders[0])
        text = markdown.summary(records)
    else:
        target = out / side_by_side.folder_name(records)
        target.mkdir(exist_ok=True)
        path = page.write(side_by_side.page(records), target)
        text = markdown.summary(records, side_by_side.beside(records))
    path.with_name("summary.md").write_text(text, encoding="utf-8", newline="\n")
    return path
