"""The command line as tests call it: within their own process, or in one that is started.

A Python that imports the package anew takes a second of each call. So only what belongs to a process is tested in one:
signals, file descriptors, which modules are loaded, and what libraries write past Python's streams.
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


def executed(*words: str, cwd: pathlib.Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run ``compare.py WORDS`` in a process of its own."""
    command = [sys.executable, str(ROOT / "compare.py"), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)


def called(*words: str, cwd: pathlib.Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run ``compare.py WORDS`` within this process, and return its exit code with the texts that it prints."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", [str(ROOT / "compare.py"), *words])
        patch.setattr(sys, "path", [*sys.path])  # the folders of users' files are added to it
        patch.delenv("NO_COLOR", raising=False)  # the option sets it
        patch.chdir(cwd)
        try:
            code = main(words)
        except SystemExit as ended:  # of argparse
            code = int(ended.code or 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
    return subprocess.CompletedProcess(list(words), code, out.getvalue(), err.getvalue())
