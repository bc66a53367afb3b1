"""The entry point of the command line: parse the arguments, run the verb, return its exit code."""

from __future__ import annotations

import os
import pkgutil
import shlex
import signal
import sys
from collections.abc import Callable, Sequence

from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.exits import FAILED, INTERRUPTED, OK, USAGE
from autodiff_compare.cli.options import unset_variables

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
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args([_FORMER_NAMES.get(word, word) for word in given[:1]] + given[1:])
    unset = unset_variables(options)
    if unset:
        print(
            f"autodiff-compare: got --env {unset[0]}, which is not set here, expected a variable that is set, or "
            "NAME=VALUE",
            file=sys.stderr,
        )
        return USAGE
    options.command = shlex.join(["compare.py", *given])
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    # A terminated run ends like an interrupted one, so that its finished cells are written.
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


if __name__ == "__main__":
    sys.exit(main())
