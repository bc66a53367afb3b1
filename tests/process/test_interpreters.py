"""Backends under the Python of another environment: two versions of NumPy in one table."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import pathlib
import shutil
import subprocess
import sys
import venv

import numpy as np
import pytest

from autodiff_compare.execution import worker
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.process import compatibility, interpreters
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.process.interpreters import InterpreterError, found, split
from autodiff_compare.results import tables
from autodiff_compare.results.rows import CellRow
from autodiff_compare.results.store import RunFolder
from tests.commands import called
from tests.imports import graph, modules, room

pytestmark = pytest.mark.xdist_group("architecture")  # the syntax trees are read once
ROOT = pathlib.Path(__file__).parents[2]
QUADRATIC = str(ROOT / "tests" / "examples" / "quadratic.py")
VALLEY = str(ROOT / "tests" / "examples" / "valley.py")
#: What a fake environment says of its NumPy; no such version exists.
FAKE = "2.3.99"


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An environment of its own whose NumPy is this one's, under another version; needs no network."""
    folder = tmp_path_factory.mktemp("envs") / "older"
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    ours = pathlib.Path(np.__file__).parent.parent
    for name in ("numpy", "numpy.libs"):
        if (ours / name).exists():
            (packages / name).symlink_to(ours / name)
    (packages / f"numpy-{FAKE}.dist-info").mkdir()
    (packages / f"numpy-{FAKE}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: numpy\nVersion: {FAKE}\n"
    )
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("torch", ("torch", "")),
        ("torch:compile", ("torch:compile", "")),
        ("torch@/a/b/python", ("torch", "/a/b/python")),
        ("torch:compile@old=/a:b/python", ("torch:compile", "old=/a:b/python")),
        ("./mine.py@python3", ("./mine.py", "python3")),
    ],
)
def test_a_backend_names_its_interpreter_behind_an_at_sign(spec: str, parts: tuple[str, str]) -> None:
    assert split(spec) == parts


def test_an_at_sign_in_the_path_of_a_file_is_no_interpreter(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "me@home.py"
    path.touch()
    assert split(f"{path}:fast") == (f"{path}:fast", "")
    assert split(f"{path}:fast@/a/python") == (f"{path}:fast", "/a/python")
    assert split(f"{path}@old=/a/python") == (str(path), "old=/a/python")


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("/no/such/python", "expected the path of a Python"),
        ("/etc", "got folder '/etc', expected the path of a Python"),
        ("", "expected the path of a Python"),
        ("/bin/false", "expected a Python that prints its versions"),
        ("/bin/echo", "expected a Python that prints its versions"),
        (f"a/b={sys.executable}", "got label 'a/b'"),
        (f"a:b={sys.executable}", "got label 'a:b'"),
    ],
)
def test_what_is_no_python_is_refused(python: str, words: str) -> None:
    with pytest.raises(InterpreterError, match=words):
        found(python)
    with pytest.raises(PlanError, match=words if python else "got 'numpy@' without an interpreter"):
        plan(Query([QUADRATIC], [f"numpy@{python}"]))


def test_the_folder_of_an_environment_stands_for_its_python(fake: pathlib.Path) -> None:
    assert found(str(fake.parent.parent)).path == str(fake)


def test_an_old_python_is_refused(tmp_path: pathlib.Path) -> None:
    old = tmp_path / "python2"
    old.write_text('#!/bin/sh\necho \'{"python": "3.8.18"}\'\n')
    old.chmod(0o755)
    with pytest.raises(InterpreterError, match=r"got Python 3\.8\.18 .*, expected 3\.9 or newer"):
        found(str(old))


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/home/me/envs/old/bin/python", "old"),
        ("/home/me/project/.venv/bin/python", "project"),
        ("/home/me/.pyenv/versions/3.9.18/bin/python3", "3.9.18"),
        ("/usr/bin/python3.11", "python3.11"),
        ("/usr/local/bin/python3", "python3"),
        ("/somewhere/python", "python"),
    ],
)
def test_an_environment_is_called_by_its_folder(path: str, label: str) -> None:
    assert interpreters._label(pathlib.Path(path)) == label


def test_a_plan_tells_the_interpreters_apart(fake: pathlib.Path) -> None:
    made = plan(Query([QUADRATIC], ["numpy", f"numpy@{fake}", f"numpy:compiled@x={fake}"], ["gradient"]))
    assert made.specs == ("numpy", "numpy@older", "numpy@x:compiled")
    assert [(c.backend, c.variant) for c in made.cells] == [("numpy", ""), ("numpy@older", ""), ("numpy@x", "compiled")]
    assert set(made.adapters.values()) == {"numpy", "numpy:compiled"}
    assert made.interpreters["numpy@older"].path == str(fake), "a link into another environment is not followed"
    assert made.versions["numpy@older"] == FAKE
    assert made.versions["python@older"] == sys.version.split()[0]
    with pytest.raises(PlanError, match=r"two backends named 'numpy@older'.*@LABEL=PATH"):
        plan(Query([QUADRATIC], [f"numpy@{fake}", f"numpy@older={sys.executable}"]))


PROBE = """
import sys
from autodiff_compare.backends.interface import NumpyArrays

class Probe(NumpyArrays):
    name, native = "probe", frozenset()
    def _native(self, *_): ...
    def open(self):
        raise RuntimeError("\\n".join([sys.executable, *sys.path]))
"""


def test_a_foreign_worker_sees_our_code_and_its_own_packages_only(fake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "probe_backend.py"
    path.write_text(PROBE)
    client = WorkerClient(str(path), 1, found(str(fake)))
    try:
        with pytest.raises(WorkerError, match="RuntimeError") as caught:
            client.request("open", 300.0)
    finally:
        client.close()
    executable, ours, *others = str(caught.value).removeprefix("RuntimeError: ").splitlines()
    assert executable.partition(" (")[0] == str(fake), "in front of the line that raised"
    assert pathlib.Path(ours).name.startswith("autodiff-compare-")
    assert not pathlib.Path(ours).exists(), "linked for as long as the worker lived"
    packages = {p for p in others if "site-packages" in p}
    assert packages == {str(next((fake.parent.parent / "lib").glob("python*/site-packages")))}
    assert not {str(ROOT), "", "."} & set(others)


def rows(folder: pathlib.Path) -> dict[str, CellRow]:
    frame = tables.read_all(folder)["cells"]
    return {row.backend: row for row in tables.rows_from(frame, CellRow)}


@pytest.mark.parametrize("isolate", [Isolate.BACKEND, Isolate.NONE])
def test_two_environments_stand_in_one_table(isolate: Isolate, fake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    made = plan(Query([VALLEY], ["numpy", f"numpy@{fake}"], ["gradient", "vjp"]))
    Runner(made, Settings(rounds=1, isolate=isolate), folder).run()
    folder.close()
    cells = tables.read_all(folder.path)["cells"]
    assert list(cells["status"]) == ["ok"] * 4
    assert list(cells["backend"]) == ["numpy", "numpy@older"] * 2
    pairs = tables.read_all(folder.path)["pairs"]
    assert set(zip(pairs["backend_a"], pairs["backend_b"], strict=True)) == {("numpy", "numpy@older")}


def test_a_descent_runs_there_too(fake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    command = ["descend", "matrix_inverse_squared", "-b", f"numpy@{fake}", "--iterations", "3", "--out", str(tmp_path)]
    done = called(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    (cell,) = tables.read_all(folder)["descents"]["cell_id"]
    assert cell.endswith("/numpy@older")
    assert "numpy@older" in done.stdout


def test_a_package_that_the_other_environment_lacks_is_not_installed(
    fake: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = RunFolder(tmp_path)
    Runner(plan(Query([QUADRATIC], [f"torch@{fake}"], ["gradient"])), Settings(rounds=0), folder).run()
    folder.close()
    row = rows(folder.path)["torch@older"]
    assert (row.status, row.message) == ("not_installed", "not installed: torch, array-api-compat")


def test_a_run_records_the_versions_and_is_not_resumed_without_its_interpreter(
    fake: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    command = ["check", "sphere", "-b", f"numpy@{fake}", "-o", "value", "--out", str(tmp_path)]
    done = called(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    versions = json.loads(tables.read_all(folder)["runs"]["versions"].iloc[0])
    assert versions["numpy@older"] == FAKE
    assert versions["numpy"] == importlib.metadata.version("numpy")
    assert "numpy@older" in done.stdout
    done = called("check", "--resume", str(folder), cwd=tmp_path)
    assert done.returncode == 2
    assert f"got a run that executes numpy@{fake}: if you trust them" in done.stderr


#: (Python, NumPy, backend): a real older NumPy, and the oldest Python that a worker runs on.
OLDER = [("python3.11", "2.2.6", "numpy"), ("python3.9", "2.0.2", "finite_difference")]


@pytest.mark.parametrize(("name", "version", "backend"), OLDER, ids=[f"{p}-numpy{v}" for p, v, _ in OLDER])
def test_two_versions_of_numpy_stand_in_one_table(
    name: str, version: str, backend: str, tmp_path: pathlib.Path
) -> None:
    """Really two, where the registry has them; no more of this test depends on a network."""
    python = _with_numpy(name, version, tmp_path / "env")
    (tmp_path / "out").mkdir()
    folder = RunFolder(tmp_path / "out")
    made = plan(Query([VALLEY], [backend, f"{backend}@older={python}"], ["value", "gradient"]))
    Runner(made, Settings(rounds=1), folder).run()
    folder.close()
    assert made.versions["numpy@older"] == version
    assert made.versions["python@older"].startswith(name.removeprefix("python"))
    cells = tables.read_all(folder.path)["cells"].set_index(["operator", "backend"])
    assert cells.loc[("value", f"{backend}@older"), "status"] == "ok"
    here, there = (cells.loc[("gradient", b), "gradient_norm"] for b in (backend, f"{backend}@older"))
    assert there == pytest.approx(here, rel=1e-12)
    assert cells.loc[("gradient", f"{backend}@older"), "status"] == cells.loc[("gradient", backend), "status"]


def _with_numpy(name: str, version: str, folder: pathlib.Path) -> pathlib.Path:
    """An environment of that Python with that NumPy; skips where either is not to be had."""
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    installed = sorted(
        (pathlib.Path.home() / ".pyenv" / "versions").glob(f"{name.removeprefix('python')}.*/bin/python")
    )
    python = sys.executable if name == here else str(installed[0]) if installed else shutil.which(name)
    if python is None:
        pytest.skip(f"no {name} on this machine")
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True, timeout=300)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--timeout", "15", "--retries", "0", "--no-deps"]
    wheel = ["--only-binary", ":all:", "--python-version", name.removeprefix("python"), f"numpy=={version}"]
    done = subprocess.run(
        [*pip, "--target", packages, *wheel], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip(f"no wheel of NumPy {version} to be had: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "bin" / "python"


def _modules_of_a_worker() -> dict[str, pathlib.Path]:
    """Return the modules that a worker imports, directly or not, with their files; every adapter and problem too."""
    files, edges = modules(), graph()
    functions = {text.partition(":")[0] for text in worker._FUNCTIONS.values()}
    reached = {name for name in files if room(name) in ("backends", "problems")}
    waiting = reached | functions | {worker.__name__, compatibility.__name__}
    while waiting:
        reached |= waiting
        waiting = {other for name in waiting for other in edges[name]} - reached
    return {name: files[name] for name in reached}


def test_what_a_worker_imports_is_python_3_9() -> None:
    """Its syntax is that of 3.9, and no ``int | None`` is evaluated when a module is imported."""
    found = _modules_of_a_worker()
    assert {"autodiff_compare.timing.clock", "autodiff_compare.process.protocol"} < set(found)
    for path in found.values():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=interpreters.OLDEST)
        for node in (n for n in tree.body if isinstance(n, ast.Assign)):
            either = [n for n in ast.walk(node.value) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.BitOr)]
            assert not any(map(_names_a_type, either)), f"{path.name}:{node.lineno}: write Union[...] or Optional[...]"


def _names_a_type(node: ast.BinOp) -> bool:
    words = {ast.unparse(side).partition("[")[0] for side in (node.left, node.right)}
    return bool(words & {"int", "float", "str", "bool", "None", "Any", "Array", "Callable", "Sequence", "tuple"})


def test_zip_is_completed_as_of_python_3_10() -> None:
    strict = compatibility._Zip([1, 2], "ab", strict=True)
    assert list(strict) == [(1, "a"), (2, "b")]
    assert list(compatibility._Zip()) == list(compatibility._Zip(strict=True)) == []
    assert list(compatibility._Zip([1, 2], "abc")) == [(1, "a"), (2, "b")]
    for short, long in (([1], [1, 2]), ([], [1])):
        for pair in ((short, long), (long, short)):
            with pytest.raises(ValueError, match="different lengths"):
                list(compatibility._Zip(*pair, strict=True))
    assert isinstance(compatibility._Zip([1]), zip)
    before = zip
    compatibility.complete()
    assert zip is before, "nothing is touched on a Python that has it"
