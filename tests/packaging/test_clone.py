"""A clone in which nothing is installed: ``python compare.py``."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

import autodiff_compare
from tests.packaging import builds


def distributions(name: str) -> set[str]:
    """Return a distribution and those that it requires, without its extras."""
    found = {name}
    for line in importlib.metadata.requires(name) or ():
        required = Requirement(line)
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            found |= distributions(required.name)
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of packages that holds NumPy, rich and what rich requires."""
    folder = tmp_path_factory.mktemp("bare")
    for name in distributions("numpy") | distributions("rich"):
        distribution = importlib.metadata.distribution(name)
        for top in {path.parts[0] for path in distribution.files or () if ".." not in path.parts}:
            if not (folder / top).exists():
                (folder / top).symlink_to(pathlib.Path(str(distribution.locate_file(top))))
    return folder


def run(bare: pathlib.Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the clone's script under a Python that finds the standard library, the clone and the bare packages."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-S", str(builds.ROOT / "compare.py"), *args],
        env={**settings, "PYTHONPATH": str(bare), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_list_needs_numpy_and_rich_alone(bare: pathlib.Path) -> None:
    done = run(bare, "list")
    assert done.returncode == 0, done.stderr
    assert "cubic_fit" in done.stdout
    assert "torch" in done.stdout
    assert "not installed: torch" in done.stdout
    assert done.stderr == ""


def test_the_bare_folder_holds_nothing_else(bare: pathlib.Path) -> None:
    # Fails where rich or NumPy take up a dependency: then say so in the README.
    found = {name for name in os.listdir(bare) if not name.endswith((".dist-info", ".libs"))}
    assert found == {"numpy", "rich", "pygments", "markdown_it", "mdurl"}


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["run", "--help"]])
def test_the_parser_needs_the_standard_library_alone(tmp_path: pathlib.Path, args: list[str]) -> None:
    done = run(tmp_path, *args)
    assert done.returncode == 0, done.stderr
    expected = f"autodiff-compare {autodiff_compare.__version__}\n" if args == ["--version"] else "usage: "
    assert done.stdout.startswith(expected)
