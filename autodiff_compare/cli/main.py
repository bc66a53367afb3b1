"""The command line: parse the words, run the verb, return its exit code."""

from __future__ import annotations

import os
import pkgutil
import shlex
import signal
import sys
from collections.abc import Callable, Sequence

from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.exits import FAILED, INTERRUPTED, OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb that the words name.

    Parameters
    ----------
    argv
        The words behind the program's name; those of this process by default.

    Returns
    -------
    int
        The exit code: see `autodiff_compare.cli.exits`.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(given)
    options.command = shlex.join(["compare.py", *given])
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    # A terminated run ends as an interrupted one: the cells that are finished get written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    verb: Callable[..., int] = pkgutil.resolve_name(options.verb)
    try:
        return verb(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except OSError as error:
        from autodiff_compare.results.store import StoreError

        if not isinstance(error, StoreError):
            raise
        print(f"autodiff-compare: {error}", file=sys.stderr)
        return FAILED
