"""Builds and installations of this project, made in folders of their own and without a network."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
_MADE_HERE = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "build", "dist", "*.egg-info", ".hypothesis", ".*_cache", "20*T*-*"
)


def python(executable: pathlib.Path | str, *args: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run a Python, untouched by this one's settings, and return what it printed and its exit code."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(executable), *args], cwd=cwd, env=settings, capture_output=True, text=True, check=False, timeout=600
    )


def printed(executable: pathlib.Path | str, *args: str, cwd: pathlib.Path) -> str:
    """Run a Python that must end well, and return its standard output."""
    done = python(executable, *args, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copied_source(folder: pathlib.Path) -> pathlib.Path:
    """Copy the project into ``folder``: a build leaves files beside the sources, and a later one would take them up."""
    return pathlib.Path(shutil.copytree(ROOT, folder, symlinks=True, ignore=_left_out))


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Return what is no source: results, builds, caches, and virtual environments by whatever name."""
    environments = {name for name in names if pathlib.Path(folder, name, "pyvenv.cfg").exists()}
    return _MADE_HERE(folder, names) | environments


def sdist_of(source: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Build the source distribution; return its archive."""
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    folder.mkdir()
    printed(sys.executable, "-c", code, str(folder), cwd=source)
    (archive,) = folder.iterdir()
    return archive


def wheel_of(source: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Build the wheel of a folder or of a source distribution; return the wheel."""
    _pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.iterdir()
    return wheel


def contents(wheel: pathlib.Path) -> set[str]:
    """Return the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def contents_of_sdist(archive: pathlib.Path) -> set[str]:
    """Return the files in a source distribution, named without its own folder."""
    with tarfile.open(archive) as members:
        return {member.name.partition("/")[2] for member in members if member.isfile()}


def empty_environment(folder: pathlib.Path) -> pathlib.Path:
    """Make a virtual environment that holds nothing; return its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


def install(executable: pathlib.Path, *args: str) -> None:
    """Install into the environment of a Python, without dependencies."""
    _pip("install", "--no-compile", *args, executable=executable)


def share_packages(executable: pathlib.Path) -> None:
    """Let an environment see the packages of this one, behind its own: what is installed in it comes first."""
    (packages,) = executable.parents[1].glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(package_folders()), encoding="utf-8")


def package_folders() -> list[str]:
    """Return the folders in which the packages of this environment are installed."""
    return [path for path in sys.path if pathlib.Path(path).name in ("site-packages", "dist-packages")]


def _pip(verb: str, *args: str, executable: pathlib.Path | str = sys.executable) -> None:
    options = ("--quiet", "--no-input", "--disable-pip-version-check", "--python", str(executable))
    printed(sys.executable, "-m", "pip", *options, verb, "--no-deps", "--no-index", *args, cwd=ROOT.parent)
