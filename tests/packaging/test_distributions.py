"""What the source distribution and the wheel hold, and what an installation of each gives."""

from __future__ import annotations

import os
import pathlib
import sys

import numpy as np
import pytest

import autodiff_compare
from tests.packaging import builds

pytestmark = pytest.mark.xdist_group("packaging")

#: Files that are no Python code and that the installed package reads or shows.
DATA = {
    "autodiff_compare/py.typed",
    "autodiff_compare/cli/formats/output.schema.json",
    "autodiff_compare/fuzzing/known_defects.json",
    "autodiff_compare/backends/numpy_autodiff/README.md",
    "autodiff_compare/report/page/templates/report.css",
    "autodiff_compare/report/page/templates/report.html.j2",
    *(f"autodiff_compare/report/page/templates/{name}.js" for name in ("tables", "page", "figures", "explorer")),
}
#: What the source distribution holds beside the package.
BESIDE = {
    ".ci/run",
    ".pre-commit-hooks.yaml",
    "action.yml",
    "action/compare.sh",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "Makefile",
    "README.md",
    "compare.py",
    "constraints.txt",
    "docs/your_own.ipynb",
    "docs/your_own.md",
    "pyproject.toml",
    "results/README.md",
    "results/sample/cells.csv",
    "tests/imports.py",
    "tests/packaging/project/notebook.ipynb",
}


def package_files() -> set[str]:
    """Return the package's files, those of its two linked rooms included, named as in the wheel."""
    package = builds.ROOT / "autodiff_compare"
    return DATA | {
        pathlib.Path(folder, file).relative_to(builds.ROOT).as_posix()
        for folder, _, files in os.walk(package, followlinks=True)
        for file in files
        if file.endswith(".py")
    }


def test_the_wheel_holds_the_package_under_one_name(wheel: pathlib.Path) -> None:
    found = builds.contents(wheel)
    metadata = {
        name for name in found if name.startswith(f"autodiff_compare-{autodiff_compare.__version__}.dist-info/")
    }
    assert found - metadata == package_files()


def test_the_source_distribution_gives_the_same_wheel(
    source: pathlib.Path, wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    archive = builds.sdist_of(source, tmp_path / "sdist")
    found = builds.contents_of_sdist(archive)
    assert package_files() | BESIDE <= found
    # The two open rooms stand inside the package as real files; a second copy at the top would drift.
    assert not {name.partition("/")[0] for name in found} & {"backends", "problems"}
    assert builds.contents(builds.wheel_of(archive, tmp_path / "wheel")) == builds.contents(wheel)


def test_the_wheel_installs_the_command(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (home,) = builds.printed(
        installed, "-c", "import autodiff_compare as a; print(a.__path__[0])", cwd=tmp_path
    ).splitlines()
    assert installed.parents[1] in pathlib.Path(home).parents
    assert not any(path.is_symlink() for path in pathlib.Path(home).rglob("*"))
    command = installed.parent / "autodiff-compare"
    assert builds.printed(command, "--version", cwd=tmp_path) == f"autodiff-compare {autodiff_compare.__version__}\n"


def test_an_editable_installation_takes_the_code_of_the_clone(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    executable = builds.empty_environment(tmp_path / "editable")
    builds.share_packages(executable)
    builds.install(executable, "--ignore-installed", "--no-build-isolation", "--editable", str(source))
    code = "from autodiff_compare import backends, problems; print(backends.__file__, problems.__file__)"
    for path in builds.printed(executable, "-c", code, cwd=tmp_path).split():
        assert source / "autodiff_compare" in pathlib.Path(path).parents
    listed = builds.printed(executable.parent / "autodiff-compare", "list", "sphere", cwd=tmp_path)
    assert listed.startswith("sphere")


def test_a_worker_under_another_python_takes_the_installed_package(
    installed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The other environment has NumPy and nothing else: the package is lent to it for the worker's lifetime."""
    other = builds.empty_environment(tmp_path / "other")
    (packages,) = other.parents[1].glob("lib/python*/site-packages")
    for path in pathlib.Path(np.__file__).parents[1].glob("numpy*"):
        (packages / path.name).symlink_to(path)
    command = installed.parent / "autodiff-compare"
    done = builds.printed(command, "check", "sphere", "-b", f"numpy@{other}", "-o", "gradient", cwd=tmp_path)
    assert "1 of 1 cells agree" in " ".join(done.split())
    assert "numpy@other" in done


def test_this_environment_has_what_builds_need() -> None:
    """Builds are not isolated, since nothing is downloaded: setuptools comes from the extra ``test``."""
    import setuptools

    assert int(setuptools.__version__.partition(".")[0]) >= 77
    assert sys.version_info >= (3, 11)
