"""The environments of the example backends; ``python -m tests.peers.environments [NAME ...]`` makes missing ones.

Each system has a folder ``.peers/NAME`` with the packages of ``examples/backends/requirements/NAME.txt``, which pins
all of them. A system that cannot be installed here is named with the reason, and its tests are skipped.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / ".peers"
REQUIREMENTS = ROOT / "examples" / "backends" / "requirements"
#: System -> the Python that it needs; empty for the one of this project.
PYTHONS = {
    "casadi": "",
    "chainer": "3.9",
    "jax_enzyme": "",
    "mygrad": "",
    "pytensor": "",
    "uncertainties": "",
}
#: Systems of 1 GB, whose environments are made only where they are named.
LARGE = frozenset({"jax_enzyme"})
#: Seconds for all environments together.
LIMIT_S = 240.0


def python_of(name: str) -> pathlib.Path | None:
    """Return the Python of a system's environment, `None` if it was not made from the present requirements."""
    mark, wanted = FOLDER / name / "installed.txt", REQUIREMENTS / f"{name}.txt"
    made = mark.is_file() and mark.read_text() == wanted.read_text()
    return FOLDER / name / "bin" / "python" if made else None


def interpreter(version: str) -> str | None:
    """Return a Python of this version: the present one, one of pyenv, or one on the path."""
    if version in ("", f"{sys.version_info.major}.{sys.version_info.minor}"):
        return sys.executable
    found = sorted((pathlib.Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(found[0]) if found else shutil.which(f"python{version}")


def make(name: str, until: float) -> str:
    """Make an environment; return why it cannot be made, empty if it was."""
    folder, base = FOLDER / name, interpreter(PYTHONS[name])
    if base is None:
        return f"no Python {PYTHONS[name]} on this machine"
    shutil.rmtree(folder, ignore_errors=True)
    wanted = REQUIREMENTS / f"{name}.txt"
    # pip of this environment installs into the other one, so that none is unpacked there.
    steps = [
        [base, "-m", "venv", "--without-pip", str(folder)],
        [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps",
         "--no-compile", "--timeout", "30", "--retries", "1", "-r", str(wanted)],
    ]  # fmt: skip
    # The pins hold where pip builds a wheel too (the second name from pip 25.3 on): the setup.py of Chainer needs a
    # setuptools that still has pkg_resources.
    pinned = os.environ | {"PIP_CONSTRAINT": str(wanted), "PIP_BUILD_CONSTRAINT": str(wanted)}
    for step in steps:
        try:
            subprocess.run(
                step, check=True, capture_output=True, text=True, env=pinned, timeout=max(until - time.monotonic(), 1)
            )
        except subprocess.TimeoutExpired:
            return f"not installed within {LIMIT_S:g} s"
        except subprocess.CalledProcessError as error:
            return reason(error.stderr)
    (folder / "installed.txt").write_text(wanted.read_text())
    return ""


def reason(stderr: str) -> str:
    """Return the line of pip's messages that names the fault: the last exception, or the last line that says ERROR."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"\w*(Error|Exception)\b: |ERROR: ", line)]
    return (named or lines or ["no message"])[-1]


def main(names: list[str]) -> None:
    """Make the environments that are missing, two at a time, and print one line for each."""
    until = time.monotonic() + LIMIT_S
    wanted = names or sorted(set(PYTHONS) - LARGE)
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        begun = {name: pool.submit(make, name, until) for name in wanted if python_of(name) is None}
        for name in wanted:
            why = begun[name].result() if name in begun else ""
            print(f"{name}: {f'skipped: {why}' if why else python_of(name)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
