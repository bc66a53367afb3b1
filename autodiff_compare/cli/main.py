"""The entry point of the command line: parse the arguments, run the verb, return its exit code."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import pathlib
import pkgutil
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence

from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.exits import DEFECT, FAILED, INTERRUPTED, OK, UNWRITTEN, USAGE
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.options import unset_variables, without_engine
from autodiff_compare.cli.project.settings import ProjectError
from autodiff_compare.cli.project.words import completed
from autodiff_compare.process.interruption import end_alike
from autodiff_compare.results.formatting import printable

#: Errors of a standard output that is closed, full or gone.
_OUTPUT = frozenset({errno.EPIPE, errno.ENOSPC, errno.EBADF, errno.EIO})
#: Errors of a path that the system does not let a program look at.
_PATHS = frozenset({errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP})
#: Former name of a verb -> its name. Kept out of the parser, so that neither --help nor a shell's completion offers it.
_FORMER_NAMES = {"tax": "overhead"}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse a command line and run its verb.

    Parameters
    ----------
    argv
        The arguments without the program's name; by default those of this process.

    Returns
    -------
    int
        Exit code, as in `autodiff_compare.cli.exits`.
    """
    try:
        return _run(argv)
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED


def _run(argv: Sequence[str] | None) -> int:
    """Parse a command line and run its verb; an interruption is left to `main`."""
    given = list(sys.argv[1:] if argv is None else argv)
    closed = _replace_closed_streams()
    try:
        pathlib.Path.cwd()
    except OSError as error:
        complain(f"cannot read the current folder: {error.strerror}: change to a folder that is there")
        return USAGE
    try:
        given, added = completed([_FORMER_NAMES.get(word, word) for word in given[:1]] + given[1:], parser)
    except ProjectError as error:
        complain(printable(str(error)))
        return USAGE
    if added:
        complain(printable(added))
    try:
        options = parser().parse_args(given)
    except OSError as error:
        return _unwritable(error)
    except SystemExit as ended:
        if closed and not ended.code:
            return _unwritten("it is closed")
        raise
    unset = unset_variables(options)
    if unset:
        complain(f"got --env {unset[0]}, which is not set here, expected a variable that is set, or NAME=VALUE")
        return USAGE
    if alone := without_engine(options):
        complain(f"got {alone} without --on, expected --on to say where the units are computed")
        return USAGE
    options.command = shlex.join(["compare.py", *given])
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    end_alike()
    try:
        verb: Callable[..., int] = pkgutil.resolve_name(options.verb)
    except ModuleNotFoundError as error:
        return _not_installed(error)
    return _ended(verb, options) or (_unwritten("it is closed") if closed else OK)


def _replace_closed_streams() -> bool:
    """Let standard streams that are closed lead nowhere; return whether standard output was.

    Python gives a process no stream for a closed descriptor. A file that is opened later would get its number, and what
    a C library prints would go into that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    closed = sys.stdout is None
    # They live as long as the process.
    if sys.stdout is None:
        sys.stdout = pathlib.Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = pathlib.Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    return closed


def _ended(verb: Callable[..., int], options: argparse.Namespace) -> int:
    """Run a verb and return its exit code, or the code of what ended it."""
    try:
        code = verb(options)
        sys.stdout.flush()
    except OSError as error:
        from autodiff_compare.results.store import StoreError

        if isinstance(error, StoreError):
            complain(str(error))
            return FAILED
        if error.errno in _PATHS and error.filename is not None:
            complain(printable(f"cannot use the path {str(error.filename)!r}: {error.strerror}"))
            return USAGE
        if error.errno not in _OUTPUT:
            return _defect()
        return _unwritable(error)
    except Exception:
        return _defect()
    return code


def _not_installed(error: ModuleNotFoundError) -> int:
    """Report a package that this project requires and this Python lacks: a fresh clone runs before it is installed."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "autodiff_compare"):
        raise error
    complain(
        f"the package {package} is required and not installed for {sys.executable}: in a clone, "
        f"{shlex.quote(sys.executable)} -m pip install . installs it; elsewhere, install autodiff-compare"
    )
    return FAILED


def _unwritable(error: OSError) -> int:
    """Report an error of standard output."""
    return _unwritten("" if error.errno == errno.EPIPE else error.strerror or str(error))


def _unwritten(why: str) -> int:
    """Report that standard output cannot be written to; what Python has buffered for it is dropped.

    A reader that has gone, as ``head`` does, needs no message: ``why`` is empty.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if why:
        complain(f"cannot write to standard output: {why}")
    return UNWRITTEN


def _defect() -> int:
    """Report an exception that this program should have handled."""
    traceback.print_exc()
    complain("the lines above are a defect of this program: please report it")
    return DEFECT


if __name__ == "__main__":
    sys.exit(main())
