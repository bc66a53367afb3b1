"""An environment with each dependency at its lower bound: ``python -m tests.packaging.lowest`` makes and tries it.

The bounds are those of ``pyproject.toml``. What tests themselves need has the versions of ``constraints.txt``, as far
as these bounds allow.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.builds import ROOT

FOLDER = ROOT / ".lowest"
#: Extras of tools for developers: no bound of theirs is promised.
TOOLS = frozenset({"test", "dev", "docs"})
#: Backends of the comparison: one for each extra that is a system.
_CHECK = ("-b", "numpy", "-b", "numpy:numba", "-b", "torch", "-b", "tensorflow", "-b", "jax", "-b", "autograd")
#: Rooms whose tests call NumPy, SciPy, pandas and rich, and no framework: the covering selection of each.
WHOLE = ("engine", "plan", "results", "summary", "charts", "plots", "testing")
#: Of the other rooms, the files that call a framework, or what the extras report and cluster install, most directly.
#: All of them would take as long as `make test` again; the comparison has every operator on every framework besides.
SAMPLE = (
    "api/test_serialise.py",
    "api/test_tables.py",
    "backends/test_array_object.py",
    "backends/test_autograd_backend.py",
    "backends/test_backends.py",
    "cluster/test_local.py",
    "cluster/test_slurm.py",
    "cluster/test_texts.py",
    "cluster/test_units.py",
    "crosschecks/test_field.py",
    "judge/test_differences.py",
    "judge/test_reference.py",
    "report/test_report.py",
)


def _project() -> dict[str, Any]:
    """Return the table ``project`` of ``pyproject.toml``."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def requirements(*, tools: bool = False) -> Iterator[Requirement]:
    """Yield what the package and its extras require; ``tools`` includes the extras of tools."""
    project = _project()
    extras = project["optional-dependencies"]
    chosen = [group for name, group in extras.items() if tools or name not in TOOLS]
    texts = [*project["dependencies"], *(text for group in chosen for text in group)]
    yield from (one for one in map(Requirement, texts) if one.name != project["name"])


def bounds() -> dict[str, str]:
    """Return distribution -> its lower bound."""
    return {one.name: bound.version for one in requirements() for bound in one.specifier if bound.operator == ">="}


def _constraints() -> str:
    """Return the bounds, and the pins of tools that pytest needs."""
    known = {canonicalize_name(name) for name in bounds()}
    tools = {canonicalize_name(one.name) for one in requirements(tools=True)} - known
    pins = (line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line)
    kept = [line for line in pins if canonicalize_name(line.partition("==")[0]) in tools]
    return "\n".join([*(f"{name}=={version}" for name, version in bounds().items()), *kept]) + "\n"


def make() -> pathlib.Path:
    """Make the environment, if it does not have these versions yet; return its Python."""
    python, wanted = FOLDER / "bin" / "python", _constraints()
    mark = FOLDER / "constraints.txt"
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(FOLDER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(FOLDER)], check=True)
        given = FOLDER / "wanted.txt"
        given.write_text(wanted, encoding="utf-8")
        extras = ",".join(["test", *(name for name in _project()["optional-dependencies"] if name not in TOOLS)])
        install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]
        subprocess.run([*install, "--constraint", str(given), "--editable", f"{ROOT}[{extras}]"], check=True)
        given.rename(mark)
    return python


def main() -> None:
    """Make the environment, run the comparison in it and the tests, and exit with the first code that is not 0."""
    python = str(make())
    print("At their lower bounds:", ", ".join(f"{name} {version}" for name, version in bounds().items()), flush=True)
    tests = (f"tests/{name}" for name in (*WHOLE, *SAMPLE))
    # Old versions warn about newer ones that they use; that is no fault of this project.
    pytest = ["-m", "pytest", "-m", "not thorough", "-W", "default", *tests]
    # Both run, whatever the first finds: making the environment takes minutes.
    codes = [
        subprocess.run([python, *command], cwd=ROOT, check=False).returncode
        for command in (["compare.py", "check", *_CHECK], pytest)
    ]
    sys.exit(next(filter(None, codes), 0))


if __name__ == "__main__":
    main()
