"""The command line: parse, plan, run, write, print.

``python compare.py`` or, once installed, ``autodiff-compare``.
"""

from __future__ import annotations

import importlib
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pathlib

    from harness.door import Tables


def compare(
    f: Callable[..., Any] | Mapping[str, Callable[..., Any]],
    x: Any,
    *,
    backends: str | Sequence[str] | None = None,
    operators: str | Sequence[str] = (),
    dtypes: str | Sequence[str] = "float64",
    rounds: int = 8,
    variants: str = "",
    threads: int = 1,
    seed: int = 0,
    timeout: float = 60.0,
    out: str | pathlib.Path | None = None,
) -> Tables:
    """Compute, check and time the derivatives of a function on several backends.

    Parameters
    ----------
    f
        ``f(x, xp)``, or ``f(x, y, xp)``, of array API names: differentiated in all parameters without a default. Or a
        dictionary from backend to a function of that framework's own arrays, such as ``{"torch": f, "jax": g}``.
    x
        The point: an array of floats, a tuple of one for each parameter, or a dictionary by parameter.
    backends
        ``name[:variant][@PYTHON]`` or paths of files; by default numpy, torch, tensorflow and jax, or those of ``f``.
    operators
        Names such as ``"gradient"``; by default all that a function with such a value has.
    dtypes
        ``"float64"``, ``"float32"`` or both.
    rounds
        Timing rounds; 0 judges without timing, fewer than 8 give no verdict on speed.
    variants
        ``"all"`` adds every variant of the backends, ``"modes"`` their second derivatives in every order of modes.
    threads
        Threads of each worker process.
    seed
        Of directions, and of the second point, at which functions are prepared.
    timeout
        Seconds for one cell.
    out
        Folder in which the run's CSV files are kept; they are not by default.

    Returns
    -------
    harness.door.Tables
        Table name -> data frame: ``tables.cells``, ``tables.timings``, ``tables.checks``, ... Shown, it is the summary.

    Raises
    ------
    ValueError
        If the function cannot be evaluated at the point in plain NumPy, or something asked for does not exist.

    Warns
    -----
    UserWarning
        If the function cannot be sent to a worker process, with the reason: it is then computed in this one.
    """
    from harness import door

    return door.compare(
        f,
        x,
        backends=backends,
        operators=operators,
        dtypes=dtypes,
        rounds=rounds,
        variants=variants,
        threads=threads,
        seed=seed,
        timeout=timeout,
        out=out,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    from harness.arguments import parser
    from harness.exits import FAILED, INTERRUPTED, OK

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
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except OSError as error:
        from harness.store import StoreError

        if not isinstance(error, StoreError):
            raise
        print(f"autodiff-compare: {error}", file=sys.stderr)
        return FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
