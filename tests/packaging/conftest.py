"""One build and one installation for all tests of the packaging."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from tests.packaging import builds

#: The tests in it are those of a user's project.
collect_ignore = ["project"]
PROJECT = pathlib.Path(__file__).parent / "project"


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The sources as a clone has them."""
    return builds.copied_source(tmp_path_factory.mktemp("clone") / "autodiff-compare")


@pytest.fixture(scope="session")
def wheel(source: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel of the clone."""
    return builds.wheel_of(source, tmp_path_factory.mktemp("builds") / "wheel")


@pytest.fixture(scope="session")
def installed(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The Python of an environment that holds the wheel alone; other packages come from this environment."""
    executable = builds.empty_environment(tmp_path_factory.mktemp("environments") / "user")
    builds.install(executable, str(wheel))
    builds.share_packages(executable)
    return executable


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    """A user's project with its own ``harness backends problems vocabulary compare``."""
    return pathlib.Path(shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__")))
