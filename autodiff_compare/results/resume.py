"""Going on with a run: what was asked for then, and whether the folder's numbers and ours may stand in one table.

The options come from the recorded command, so that ``compare.py run --resume RUN`` suffices. A file of the
user's own (``./mine.py``) or another interpreter (``@PYTHON``) is executed only if it is named again on the
command line: a run's folder is data, and data does not choose what is executed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace

from autodiff_compare.process.environment import onednn_stated
from autodiff_compare.results.provenance import MACHINE, differences, printable
from autodiff_compare.results.store import locate, read_log
from autodiff_compare.results.tables import Run, TableError, go_on

Parse = Callable[[Sequence[str]], argparse.Namespace]

#: Words whose runs can be gone on with, and what does each.
RESUMABLE = dict.fromkeys(("run", "check"), "autodiff_compare.cli.verbs.run:run") | {
    "descend": "autodiff_compare.cli.verbs.descend:descend"
}

#: What may be other than then: it says where and how long, not what.
_FREE = frozenset({"verb", "command", "out", "resume", "timeout", "json", "csv", "no_color"})


class ResumeError(ValueError):
    """A run cannot be gone on with; the message says why and what to do."""


def resumed(options: argparse.Namespace, parse: Parse) -> argparse.Namespace:
    """The options of the run that ``options.resume`` names, made a path; ``options`` only say where and how long.

    Parameters
    ----------
    options
        Parsed from this command line.
    parse
        What parses words to options, the verb first.

    Raises
    ------
    ResumeError
        If more than the run was asked for and it is not what was asked for then, or if the run used files of
        the user's own that are not named again.
    TableError
        If there is no such run or its log is damaged.
    """
    folder = locate(options.resume, options.out)
    then = parsed(recorded(folder).command, parse)
    if then.verb != options.verb:
        raise ResumeError(f"got {folder}, which is no run of {_verbs(options)}: {_other(then, folder)}")
    plain = parse(shlex.split(options.command)[1:2])
    repeated = _asked(options) != _asked(plain)
    if repeated and _asked(options) != _asked(then):
        names = [name for name, value in _asked(then).items() if _asked(options)[name] != value]
        raise ResumeError(f"got another {', '.join(names)} than the run {folder} has: leave all but --resume away")
    named = then.problems if "problems" in then else [then.problem or ""]
    own = [text for text in (*named, *then.backend) if "@" in text or text.partition(":")[0].endswith(".py")]
    if own and not repeated:
        raise ResumeError(
            f"got a run that executes {', '.join(own)}: if you trust them, repeat its whole command and add --resume"
        )
    timeout = then.timeout if options.timeout == plain.timeout else options.timeout
    here = {"out": options.out, "resume": folder, "timeout": timeout, "command": options.command}
    return argparse.Namespace(**{**vars(then), **here})


def recorded(folder: pathlib.Path) -> Run:
    """The row of ``runs.csv`` of a run, from its log.

    Raises
    ------
    TableError
        If the log is damaged or does not begin with such a row.
    """
    records, _ = read_log(folder)
    # The row is written again when a worker says what is known only to it: the last one counts.
    rows = {row.run_id: row for rows, _ in records for row in rows.get("runs", ())}
    if len(rows) != 1:
        raise TableError(f"got {len(rows)} runs in the log of {folder}, expected 1")
    run: Run = next(iter(rows.values()))
    return run


def refusal(folder: pathlib.Path, ours: Run) -> str:
    """Why a run cannot be gone on with by this process; empty if it can."""
    # Ours has no workers yet; what they will be told must be what TensorFlow has said before.
    ours = replace(ours, onednn=onednn_stated())
    fields = ("schema_version", *MACHINE, "seed", "threads", "device", "rounds", "code")
    apart = differences(recorded(folder), ours, fields)
    if not apart:
        return ""
    return f"got a run that differs from this one, expected an equal one: {'; '.join(apart)}: start a new run"


def _verbs(options: argparse.Namespace) -> str:
    """Those that end up where this command line does."""
    return " or ".join(repr(name) for name, verb in RESUMABLE.items() if verb == options.verb)


def _other(then: argparse.Namespace, folder: pathlib.Path) -> str:
    can = then.verb in RESUMABLE.values()
    return go_on(recorded(folder).command, folder) if can else "it cannot be gone on with"


def parsed(command: str, parse: Parse) -> argparse.Namespace:
    """Options from a recorded command; the parser's own words about it are no use here.

    Raises
    ------
    ResumeError
        If the parser does not know it.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return parse(shlex.split(command)[1:])
    except (SystemExit, ValueError) as error:
        raise ResumeError(f"got a recorded command that this program does not have: {printable(command)}") from error


def _asked(options: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(options).items() if name not in _FREE}
