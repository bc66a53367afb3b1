"""Resuming a run: the options of the recorded command, and the check that both runs' cells fit into one table.

A run may be completed on another machine, or with other versions. What is left is computed there, group by group, and
stands under that machine's key: no number joins it with the rest.

``compare.py run --resume RUN`` suffices: the options come from the command that the run has recorded. A run's folder is
data, and data must not choose what is executed. A user's file (``./mine.py``) or another interpreter (``@PYTHON``) is
therefore executed only if the command line names it again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace

from autodiff_compare.process.variables import onednn_stated
from autodiff_compare.results.formatting import printable
from autodiff_compare.results.log import read_log
from autodiff_compare.results.places import locate
from autodiff_compare.results.provenance import HARDWARE, SOFTWARE, differences, versions
from autodiff_compare.results.rows import MachineRow, Run
from autodiff_compare.results.tables import TableError, resume_command
from autodiff_compare.vocabulary import split_spec

#: Parses the words of a command line, the verb first.
Parse = Callable[[Sequence[str]], argparse.Namespace]

#: Verb whose runs can be resumed -> the function that executes it.
RESUMABLE = dict.fromkeys(("run", "check"), "autodiff_compare.cli.verbs.runs.run:run") | {
    "descend": "autodiff_compare.cli.verbs.runs.descend:descend"
}

#: Options that may differ when a run is resumed: they do not change what is computed.
_MAY_DIFFER = frozenset(
    {"verb", "command", "out", "name", "resume", "timeout", "open_timeout", "json", "csv", "no_color", "traceback"}
    | {"on", "slurm_args", "unit_timeout", "errors", "animate", "markdown", "no_config"}
)


class ResumeError(ValueError):
    """Raised if a run cannot be resumed; the message says why and what to do."""


def resumed(options: argparse.Namespace, parse: Parse) -> argparse.Namespace:
    """Return the options of a recorded run, to be executed again with ``--resume``.

    Parameters
    ----------
    options
        The options of this command line; ``options.resume`` names the run. Only the output folder, the timeout, and
        where it is carried out are taken from them, if they are given.
    parse
        Parses the words of a command line, the verb first.

    Returns
    -------
    argparse.Namespace
        The recorded options, with the run's folder as ``resume``.

    Raises
    ------
    ResumeError
        If the command line has other options than the recorded command, or if the run uses a user's file or another
        interpreter that the command line does not name.
    TableError
        If there is no such run or its log is damaged.
    """
    folder = locate(options.resume, options.out)
    then = parsed(recorded(folder).command, parse)
    if then.verb != options.verb:
        raise ResumeError(f"got {folder}, expected a run of {_verbs(options)}: {_advice(then, folder)}")
    plain = parse(shlex.split(options.command)[1:2])
    repeated = _compared(options) != _compared(plain)
    if repeated and _compared(options) != _compared(then):
        names = [name for name, value in _compared(then).items() if _compared(options)[name] != value]
        raise ResumeError(f"got another {', '.join(names)} than the run {folder} has: give --resume alone")
    named = then.problems if "problems" in then else [then.problem or ""]
    executed = [text for text in (*named, *then.backend) if "@" in text or split_spec(text)[0].endswith(".py")]
    if executed and not repeated:
        raise ResumeError(
            f"got a run that executes {', '.join(executed)}: if you trust them, repeat its whole command and add "
            "--resume"
        )
    timeout = then.timeout if options.timeout == plain.timeout else options.timeout
    here = {"out": options.out, "resume": folder, "timeout": timeout, "command": options.command}
    if getattr(options, "on", None):
        here |= {name: getattr(options, name) for name in ("on", "slurm_args", "unit_timeout")}
    return argparse.Namespace(**{**vars(then), **here})


def recorded(folder: pathlib.Path) -> Run:
    """Return the row of ``runs.csv`` of a run, from its log.

    Raises
    ------
    TableError
        If the log is damaged or does not hold exactly one such row.
    """
    records, _ = read_log(folder)
    # The row is written again when a worker says what is known only to it: the last one counts.
    rows = {row.run_id: row for rows, _ in records for row in rows.get("runs", ())}
    if not records:
        raise TableError(f"got {folder}, a run that was ended before its first line was written: start it again")
    if len(rows) != 1:
        raise TableError(f"got {len(rows)} runs in the log of {folder}, expected 1")
    run: Run = next(iter(rows.values()))
    return run


def refusal(folder: pathlib.Path, ours: Run) -> str:
    """Return why the run ``ours`` cannot continue the run in a folder; empty if it can.

    Raises
    ------
    TableError
        If the log is damaged.
    """
    fields = ("schema_version", "seed", "threads", "device", "rounds", "code")
    then = recorded(folder)
    versions(then)
    found = differences(then, ours, fields)
    if not found:
        return ""
    return f"got a run that differs from this one, expected an equal one: {'; '.join(found)}: start a new run"


def elsewhere(known: Sequence[MachineRow], here: MachineRow) -> str:
    """Return what is to be said of a run that goes on on another machine; empty for one that it was on.

    Parameters
    ----------
    known
        The machines of the run so far.
    here
        This machine.
    """
    if not known or here.key in {row.key for row in known}:
        return ""
    # Workers will be told what TensorFlow reports after they have started.
    ours = replace(here, onednn=onednn_stated())
    apart = differences(known[-1], ours, (*HARDWARE, *SOFTWARE, "code"))
    how = f" ({'; '.join(apart)})" if apart else ""
    return (
        f"this machine is not that of the run{how}: what is left is computed here, and times of the two machines are "
        "not compared"
    )


def _verbs(options: argparse.Namespace) -> str:
    """Return the verbs that execute the same function as this command line."""
    return " or ".join(repr(name) for name, verb in RESUMABLE.items() if verb == options.verb)


def _advice(then: argparse.Namespace, folder: pathlib.Path) -> str:
    """Return how to resume a run of another verb."""
    if then.verb not in RESUMABLE.values():
        return "it cannot be resumed"
    return f"use {resume_command(recorded(folder).command, folder)}"


def parsed(command: str, parse: Parse) -> argparse.Namespace:
    """Return the options of a recorded command; what the parser prints about it is discarded.

    Raises
    ------
    ResumeError
        If the parser rejects the command.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return parse(shlex.split(command)[1:])
    except (SystemExit, ValueError) as error:
        raise ResumeError(f"got a recorded command that this program does not have: {printable(command)}") from error


def _compared(options: argparse.Namespace) -> dict[str, object]:
    """Return the options that must be those of the recorded command."""
    return {name: value for name, value in vars(options).items() if name not in _MAY_DIFFER}
