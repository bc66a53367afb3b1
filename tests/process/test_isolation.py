"""The end of a worker process, and what it imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: The end -> what is printed: a function registered for the end, then an object that is taken apart.
ENDS = {"leave()": "registered", "sys.exit(0)": "registered\ntaken apart"}


@pytest.mark.parametrize("end", ENDS)
def test_a_worker_ends_with_what_was_registered_and_takes_nothing_apart(end: str) -> None:
    code = (
        "import atexit, sys\n"
        "from autodiff_compare.process.isolation import leave\n"
        "class Object:\n"
        "    def __del__(self): print('taken apart')\n"
        "kept = Object()\n"
        "atexit.register(print, 'registered')\n"
        f"{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ENDS[end]
