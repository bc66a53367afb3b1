"""A run that is killed again and again, at random times, ends with the tables of an undisturbed one."""

from __future__ import annotations

import pathlib
import random
import shutil
import subprocess
import sys
import time

import pytest

from tests.commands import called, executed
from tests.results.test_resume import QUADRATIC, ROOT, facts, records

RUN = ("run", QUADRATIC, "-b", "manual", "-b", "numpy", "--rounds", "2", "-o", "value", "-o", "gradient")
#: Kills of one run; there are four runs.
KILLS = 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, float]:
    """An undisturbed run, and its seconds: those of a process, as the runs that are killed are."""
    out, began = tmp_path_factory.mktemp("undisturbed"), time.monotonic()
    done = executed(*RUN, "--out", str(out))
    assert done.returncode == 0, done.stderr
    (folder,) = out.iterdir()
    return folder, time.monotonic() - began


def _begun(out: pathlib.Path) -> list[str]:
    """Return how to go on in a folder, anew if what is there holds no run yet."""
    for folder in out.iterdir():
        if (folder / "log.jsonl").is_file() and records(folder)[:1] != [] and records(folder)[0].endswith("\n"):
            return ["--resume", str(folder)]
        shutil.rmtree(folder)
    return []


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_run_is_resumed_to_the_same_tables(
    seed: int, undisturbed: tuple[pathlib.Path, float], tmp_path: pathlib.Path
) -> None:
    whole, seconds = undisturbed
    times, kept = random.Random(seed), []
    for _ in range(KILLS):
        command = [sys.executable, str(ROOT / "compare.py"), *RUN, "--out", str(tmp_path), *_begun(tmp_path)]
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(times.uniform(0.1, 1.0) * seconds)
        run.kill()
        # Negative, or that of a whole run where the machine was quicker than before.
        assert run.wait() in (-9, 0)
        before = kept
        kept = [line for log in tmp_path.rglob("log.jsonl") for line in records(log.parent) if line.endswith("\n")]
        assert kept[: len(before)] == before, "what was finished is kept"
    done = called(*RUN, "--out", str(tmp_path), *_begun(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert facts(folder) == facts(whole)
