"""The verb ``report``: write the page, the figures and the Markdown summary of one run, or of several side by side."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import webbrowser

from autodiff_compare.cli import exits
from autodiff_compare.cli.console import told_after, usage
from autodiff_compare.results.places import data_folder, locate
from autodiff_compare.results.tables import TableError

#: Import name -> distribution.
_NEEDED = {"matplotlib": "matplotlib", "jinja2": "Jinja2", "vl_convert": "vl-convert-python"}


def report(options: argparse.Namespace) -> int:
    """Write the report of one run, or of several side by side; return the exit code."""
    absent = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if absent:
        return usage(
            f"not installed: {', '.join(absent)}, needed for the report: pip install 'autodiff-compare[report]'"
        )
    from autodiff_compare.report.write import write

    try:
        folders = [locate(run, options.out) for run in options.runs]
        with told_after(f"drawing the figures of {', '.join(folder.name for folder in folders)}"):
            path = write(folders, options.out or data_folder())
    except TableError as error:
        return usage(str(error))
    except OSError as error:
        return usage(f"cannot write the report: {error}")
    print(path)
    if options.open and not webbrowser.open(path.resolve().as_uri()):
        print(f"autodiff-compare: found no browser: open {path} yourself", file=sys.stderr)
    return exits.OK
