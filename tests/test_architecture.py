"""Who may import whom, and what starts without a framework."""

from __future__ import annotations

import ast
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "jaxlib", "optax", "autograd", "array_api_compat"}
ROOMS = {"backends", "problems", "harness"}
PANDAS_ROOMS = {"tables.py", "summary.py"}
#: What only the report may import; beside these it may use pandas.
DRAWING = {"matplotlib", "jinja2", "markupsafe"}


def files(*patterns: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern))


def imports(path: str) -> Iterator[tuple[str, bool]]:
    """(module, whether at import time) of every import that is not for type checking only."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    yield from _walk(tree, True)


def _walk(node: ast.AST, top: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            yield str(child.module), top
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _walk(child, top and not inside)


def root(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", files("problems/**/*.py"))
def test_problems_know_numpy_and_their_own_base(path: str) -> None:
    for module, _ in imports(path):
        assert root(module) not in FRAMEWORKS | {"backends", "harness", "pandas"}, module


@pytest.mark.parametrize("path", files("backends/*.py", "backends/sparsity/*.py", "backends/*_backend/adapter.py"))
def test_backends_import_a_framework_only_when_opened(path: str) -> None:
    for module, top in imports(path):
        assert root(module) not in {"problems", "harness", "pandas"}, module
        if top:
            assert root(module) not in FRAMEWORKS, f"{module} is imported before open()"


@pytest.mark.parametrize("path", files("backends/baselines/*.py"))
def test_a_baseline_knows_its_framework_and_not_our_interface(path: str) -> None:
    own = pathlib.Path(path).stem
    found = {module for module, _ in imports(path)}
    assert {root(module) for module in found} & FRAMEWORKS <= {own}
    engine = {"backends"} if own == "numpy" else set()  # from backends import numpy_autodiff
    assert {module for module in found if root(module) in ROOMS} <= engine


@pytest.mark.parametrize("path", files("backends/*_backend.py", "backends/*_backend/**/*.py"))
def test_an_adapter_names_only_its_own_framework(path: str) -> None:
    # The other files of an adapter's folder are imported when it is opened, so they may import their framework at once.
    name = pathlib.Path(path).parts[1].removesuffix(".py").removesuffix("_backend")
    own = {
        "torch": {"torch", "array_api_compat"},
        "tensorflow": {"tensorflow", "keras"},
        "jax": {"jax", "jaxlib", "optax"},
        "autograd": {"autograd"},
    }.get(name, set())
    assert {root(module) for module, _ in imports(path)} & FRAMEWORKS <= own


@pytest.mark.parametrize("path", files("backends/numpy_autodiff/**/*.py"))
def test_the_engine_stands_alone(path: str) -> None:
    allowed = {"numpy", "scipy", "backends"} | set(sys.stdlib_module_names)
    for module, _ in imports(path):
        assert root(module) in allowed, module
        if root(module) == "backends":
            assert module.startswith("backends.numpy_autodiff"), module


@pytest.mark.parametrize("path", files("harness/**/*.py"))
def test_the_harness_reaches_backends_and_problems_through_their_doors(path: str) -> None:
    for module, _ in imports(path):
        assert root(module) not in FRAMEWORKS, module
        if root(module) == "backends":
            assert module == "backends", f"{module}: use backends.load()"
        if root(module) == "problems":
            allowed = {"problems", "problems.base.closed_forms", "problems.conventions"}
            assert module in allowed, f"{module}: use problems.load()"
        of_the_report = path.startswith("harness/report/")
        if root(module) == "pandas":
            assert of_the_report or pathlib.Path(path).name in PANDAS_ROOMS
        if root(module) in DRAWING:
            assert of_the_report, f"{module}: only the report draws"


@pytest.mark.parametrize("path", ["vocabulary.py", "user_files.py"])
def test_shared_modules_import_nothing_but_the_standard_library(path: str) -> None:
    assert {root(module) for module, _ in imports(path)} <= set(sys.stdlib_module_names)


def test_the_command_line_is_thin() -> None:
    for module, top in imports("compare.py"):
        if top:
            assert root(module) in set(sys.stdlib_module_names), module
        assert root(module) not in FRAMEWORKS | {"numpy", "pandas"}


@pytest.mark.parametrize(
    "code",
    [
        "import compare; compare.main(['--help'])",
        "import compare; compare.main(['run', '--help'])",
        "import compare; compare.main(['list'])",
        "import problems; problems.available()",
        "import backends; [cls() for cls in backends.available().values()]",
    ],
)
def test_no_framework_is_imported_by(code: str) -> None:
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', *sorted({FRAMEWORKS!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_every_room_is_packaged() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    have = {
        str(p.parent.relative_to(ROOT)).replace("/", ".") for room in ROOMS for p in (ROOT / room).rglob("__init__.py")
    }
    assert have == set(listed)


def test_versions_are_pinned_in_one_place_only() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    assert not [d for d in wanted if any(c in d for c in "<>=~")]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    names = {d.partition("[")[0].lower() for d in wanted} - {"autodiff-compare"}
    assert names <= {p.replace("_", "-") for p in pinned}


@pytest.mark.xdist_group("architecture")
def test_tests_of_one_group_stay_in_one_process(request: pytest.FixtureRequest) -> None:
    """Some versions of pytest and pytest-xdist forget groups without a word; the tests then take half as long again."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not request.config.getoption("loadgroup"):
        pytest.skip("one process has no groups")
    assert request.node.nodeid.endswith("@architecture")
