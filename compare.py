"""The command line: parse, plan, run, write, print.

``python compare.py`` or, once installed, ``autodiff-compare``.
"""

from __future__ import annotations

import importlib
import os
import shlex
import signal
import sys
from collections.abc import Sequence

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    from harness.arguments import parser

    given = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(given)
    options.command = shlex.join(["compare.py", *given])
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    # A terminated run ends as an interrupted one: what was finished is written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    module, function = options.verb
    try:
        code: int = getattr(importlib.import_module(module), function)(options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_OK
    except OSError as error:
        from harness.store import StoreError

        if not isinstance(error, StoreError):
            raise
        print(f"autodiff-compare: {error}", file=sys.stderr)
        return EXIT_FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
