"""The command line within the process of the tests: a Python that imports the package anew takes a second of each call.

What belongs to a process, such as signals, file descriptors, or which modules are loaded, is tested in one.
"""

from __future__ import annotations

import contextlib
import io
import pathlib
import signal
import subprocess
import sys

import pytest

from autodiff_compare.cli.main import main

ROOT = pathlib.Path(__file__).parents[1]


def called(*words: str, cwd: pathlib.Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run ``compare.py WORDS`` in a folder, and return its exit code with the texts that it prints."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", [str(ROOT / "compare.py"), *words])
        patch.delenv("NO_COLOR", raising=False)  # the option sets it
        patch.chdir(cwd)
        try:
            code = main(words)
        except SystemExit as ended:  # of argparse
            code = int(ended.code or 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
    return subprocess.CompletedProcess(list(words), code, out.getvalue(), err.getvalue())
