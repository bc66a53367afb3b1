"""A run as jobs: by submitit's executor of this machine, and by a real Slurm of one node where it can be had."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from autodiff_compare.execution.cluster import slurm_binding
from autodiff_compare.execution.cluster.engine import EngineError
from autodiff_compare.vocabulary import Status
from tests.cluster.slurm_box import NoSlurmError, install, installed, slurm
from tests.cluster.spreading import QUADRATIC, alone, ends, spread, unmeasured
from tests.cluster.test_local import faulty
from tests.results.test_resume import ROOT

pytest.importorskip("submitit")
from autodiff_compare.execution.cluster.slurm_engine import SlurmEngine, _parsed, local_jobs


@pytest.mark.parametrize(
    ("environment", "usable", "of", "words"),
    [
        ({}, 8, 8, ""),
        ({"SLURM_JOB_ID": "1", "SLURM_CPUS_ON_NODE": "8"}, 8, 8, ""),
        ({"SLURM_JOB_ID": "1", "SLURM_CPUS_ON_NODE": "2"}, 2, 8, ""),
        ({"SLURM_JOB_ID": "1", "SLURM_CPUS_ON_NODE": "2"}, 8, 8, "is granted 2 of 8 processors and not bound to them"),
        ({"SLURM_JOB_ID": "1"}, 8, 8, ""),
    ],
)
def test_a_job_is_timed_on_processors_of_its_own_only(
    environment: dict[str, str], usable: int, of: int, words: str
) -> None:
    assert words in slurm_binding.unbound(environment, usable, of)
    assert bool(words) == bool(slurm_binding.unbound(environment, usable, of))


def test_arguments_of_sbatch_are_words_with_dashes() -> None:
    found = _parsed("--account=mine --exclusive --constraint='a|b'")
    assert found == {"account": "mine", "exclusive": True, "constraint": "a|b"}
    with pytest.raises(EngineError, match=r"got 'mine' in --slurm-args, expected words such as --account=NAME"):
        _parsed("--account mine")


@pytest.mark.thorough
def test_jobs_of_this_machine_give_the_tables_of_a_run_alone(tmp_path: pathlib.Path) -> None:
    parts = spread(tmp_path / "spread", SlurmEngine(local_jobs))
    assert unmeasured(parts.path) == unmeasured(alone(tmp_path / "alone").path)


@pytest.mark.thorough
def test_a_job_that_is_killed_twice_is_a_crash(tmp_path: pathlib.Path) -> None:
    there = SlurmEngine(local_jobs)
    folder = spread(tmp_path / "out", there, faulty(tmp_path, "os.kill(os.getppid(), 9)"))
    found = ends(folder, ["node lost"])
    assert found.pop("quadratic/small/float64/value/numpy") == found.pop("quadratic/small/float64/gradient/numpy")
    assert set(found.values()) == {Status.CRASH}


@pytest.fixture(scope="module")
def box() -> Iterator[dict[str, str]]:
    """The environment of commands that speak to a Slurm of one node."""
    # Packages are installed where tests may change the machine, as in CI.
    if not installed() and not os.environ.get("CI"):
        pytest.skip("slurm-wlm and munge are not installed: python -m tests.cluster.slurm_box installs them")
    try:
        install()
        with slurm() as environment:
            yield {**environment, "PATH": f"{pathlib.Path(sys.executable).parent}:{environment['PATH']}"}
    except NoSlurmError as error:
        pytest.skip(str(error))


def _cli(box: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "compare.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=box)


@pytest.mark.thorough
def test_a_plan_runs_on_a_real_slurm(box: dict[str, str], tmp_path: pathlib.Path) -> None:
    words = ("run", QUADRATIC, "-b", "manual", "-b", "numpy", "-o", "gradient", "--rounds", "2")
    for out, on in (("alone", ()), ("spread", ("--on", "slurm:main", "--slurm-args=--comment=trial"))):
        done = _cli(box, *words, "--out", str(tmp_path / out), *on)
        assert done.returncode == 0, done.stderr
    assert "jobs: squeue --name autodiff-compare" in done.stderr
    whole, parts = (next((tmp_path / out).iterdir()) for out in ("alone", "spread"))
    assert unmeasured(parts) == unmeasured(whole)
    visited = _cli(box, "doctor", "-b", "numpy", "--on", "slurm")
    assert visited.returncode == 0, visited.stderr


@pytest.mark.thorough
def test_a_job_that_slurm_refuses_is_a_crash_with_its_words(box: dict[str, str], tmp_path: pathlib.Path) -> None:
    words = ("check", QUADRATIC, "-b", "manual", "-o", "gradient", "--out", str(tmp_path), "--on", "slurm:nosuch")
    done = _cli(box, *words)
    assert done.returncode == 3, done.stderr
    assert "invalid partition specified: nosuch" in " ".join((done.stdout + done.stderr).split())
