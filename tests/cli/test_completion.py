"""The scripts of ``completion``, each in its own shell: what the shell answers to half a command."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from autodiff_compare.cli.main import main

#: Seconds for a shell to answer, on a machine with other work.
PATIENCE_S = 300.0
#: Half a word after the program's name -> the whole word, which nothing else begins with.
HALVES = [
    ("desc", "descend"),
    ("run cubic_f", "cubic_fit"),
    ("check sphere --opera", "--operator"),
    ("check sphere -o sparse_j", "sparse_jacobian"),
    ("run sphere -b numpy:comp", "numpy:compiled"),
    ("run -b numpy:compiled matya", "matyas"),
    ("descend matrix_inverse_s", "matrix_inverse_squared"),
    ("new prob", "problem"),
]


def shell(name: str) -> str:
    """Return the path of a shell; skip the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"not installed: {name} (.ci/shells installs it)")
    return path


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Return shell -> the file with its script."""
    folder = tmp_path_factory.mktemp("completion")
    made = {}
    for name in ("bash", "zsh", "fish"):
        made[name] = folder / f"_{name}"
        with made[name].open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            assert main(["completion", name]) == 0
    return made


def test_fish_completes(script: dict[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    asked = "".join(f"complete -C 'autodiff-compare {half}'\necho\n" for half, _ in HALVES)
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", f"source '{script['fish']}'\n{asked}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    lines = [line for line in done.stdout.splitlines() if line]
    assert [line.partition("\t")[0] for line in lines] == [whole for _, whole in HALVES]
    assert max(map(len, lines)) <= 80, "a word and a few words about it"


#: How an interactive shell reads its script: name of the shell, its options, and what is typed first.
READING = {
    "bash, sourced": ("bash", ("--norc", "-i"), "source {script}"),
    "zsh, sourced": ("zsh", ("-f", "-i"), "autoload -U compinit; compinit -D; source {script}"),
    "zsh, evaluated": ("zsh", ("-f", "-i"), 'autoload -U compinit; compinit -D; eval "$(cat {script})"'),
    "zsh, from fpath": ("zsh", ("-f", "-i"), "fpath=({folder} $fpath); autoload -U compinit; compinit -D"),
}


@pytest.fixture(params=READING)
def terminal(request: pytest.FixtureRequest, script: dict[str, pathlib.Path], tmp_path: pathlib.Path) -> Iterator[int]:
    """Yield the terminal of an interactive shell that has read its script."""
    name, options, read = READING[request.param]
    path = shell(name)
    shutil.copy(script[name], tmp_path / "_autodiff-compare")
    # Not `pty.fork`: threads of a framework that another test has imported would not survive it.
    opened, inner = pty.openpty()
    asked = subprocess.Popen(
        [path, *options],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(tmp_path)},
    )
    os.close(inner)
    try:
        # The prompt is written in two parts, so that the echo of this line is not taken for it.
        typed = f"{read.format(script=script[name], folder=tmp_path)}; PS1='rea''dy> '\n"
        os.write(opened, typed.encode())
        _answer(opened, "ready> ")
        yield opened
    finally:
        asked.kill()
        asked.wait()
        os.close(opened)


def test_an_interactive_shell_completes(terminal: int) -> None:
    for half, whole in HALVES:
        os.write(terminal, f"autodiff-compare {half}\t".encode())
        _answer(terminal, re.escape(f"autodiff-compare {half.rpartition(' ')[0]} ".replace("  ", " ") + f"{whole} "))
        os.write(terminal, b"\x15")  # Ctrl-U empties the line.


def _answer(terminal: int, wanted: str) -> None:
    """Read from a terminal until its text holds what is wanted."""
    text, end = "", time.monotonic() + PATIENCE_S
    while not re.search(wanted, text):
        ready, _, _ = select.select([terminal], [], [], max(end - time.monotonic(), 0))
        assert ready, f"expected {wanted!r} of the terminal, got {text!r}"
        text += os.read(terminal, 4096).decode(errors="replace")
