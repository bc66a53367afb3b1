"""The verb ``show``: print the results of a run from its tables."""

from __future__ import annotations

import argparse
import pathlib

from autodiff_compare.cli import output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.exits import OK
from autodiff_compare.cli.formats import markdown
from autodiff_compare.results.places import locate
from autodiff_compare.results.tables import TableError
from autodiff_compare.summary.run import summary


def show(options: argparse.Namespace) -> int:
    """Print the results of a run from its tables; return the exit code."""
    try:
        results(locate(options.run, options.out), options)
    except TableError as error:
        return usage(str(error))
    return OK


def results(folder: pathlib.Path, options: argparse.Namespace) -> None:
    """Print the results of a run: as JSON or CSV if the options ask for it, else as the summary."""
    if options.json or options.csv:
        output.write("cells", output.results(folder), options, [folder])
    else:
        summary.show(folder, markdown.console() if options.markdown else console(), errors=options.errors)
