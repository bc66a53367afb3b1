"""An extra installed from the wheel, with what the registry has; the bounds that pip holds an environment to."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.packaging import builds, lowest

pytestmark = pytest.mark.xdist_group("packaging")


def _pip(executable: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pip on the environment of a Python, with the registry that this machine is set up for."""
    options = ("--quiet", "--no-input", "--disable-pip-version-check", "--python", str(executable))
    command = [sys.executable, "-m", "pip", *options, "install", "--timeout", "30", "--retries", "1", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def test_the_extra_jax_is_all_that_its_backend_needs(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    executable = builds.empty_environment(tmp_path / "user")
    pins = str(builds.ROOT / "constraints.txt")
    done = _pip(executable, "--no-compile", "--only-binary", ":all:", "--constraint", pins, f"{wheel}[jax]")
    if done.returncode:
        pytest.skip(f"the packages cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    command = executable.parent / "autodiff-compare"
    words = ("check", "sphere", "-b", "numpy", "-b", "jax", "-b", "torch", "-o", "gradient", "--out", "out")
    shown = " ".join(builds.printed(command, *words, cwd=tmp_path).split())
    assert "2 of 3 cells agree" in shown
    assert "not installed: torch" in shown


def test_an_older_version_is_not_kept_without_a_word(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """An environment says that it has NumPy 1.26 and pandas 2.1: ``pip check`` names the bounds."""
    executable = builds.empty_environment(tmp_path / "user")
    (packages,) = executable.parents[1].glob("lib/python*/site-packages")
    old = {"numpy": "1.26.4", "pandas": "2.1.4"}
    for name, version in old.items():
        metadata = packages / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    builds.install(executable, str(wheel))
    checked = [sys.executable, "-m", "pip", "--python", str(executable), "check"]
    told = subprocess.run(checked, capture_output=True, text=True, check=False).stdout
    for name, version in old.items():
        assert f"has requirement {name}>={lowest.bounds()[name]}, but you have {name} {version}" in told
