"""Who may import whom, how large a folder may be, and what starts without a framework."""

from __future__ import annotations

import ast
import collections
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from tests.imports import PACKAGE, ROOT, between, circle, folder, graph, imports, modules, room, tree

#: Files whose tests read the same syntax trees stay in one process.
pytestmark = pytest.mark.xdist_group("architecture")

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "jaxlib", "optax", "autograd", "array_api_compat"} | {
    "numba", "llvmlite",
}  # fmt: skip
#: What only the report, the charts and the figures for Python may import.
DRAWING = {"matplotlib", "jinja2", "markupsafe", "vl_convert"}
#: Files outside these that may import pandas, each as ``room.module``.
PANDAS = {
    "api.advice", "api.figures", "api.overview", "api.tables", "results.frames.relative",
    "results.frames.tidy", "results.tables",
    "summary.run.conversions", "summary.run.failures", "summary.run.flags", "summary.run.growth_table",
    "summary.run.kinks", "summary.run.overview", "summary.run.sentence", "summary.run.studies", "summary.run.summary",
    "summary.scaling",
}  # fmt: skip
#: The file of Python's interface that names the axes of a figure in its types.
AXES = "api.figures"

_FLOOR = {"vocabulary", "user_files", "taps"}
_OPEN = {"backends", "problems"}
#: Room -> the rooms it may import, from the lowest floor to the highest.
ROOMS: dict[str, set[str]] = {
    "vocabulary": set(),
    "user_files": set(),
    "taps": set(),
    "backends": _FLOOR,
    "problems": _FLOOR,
}
for _room, _allowed in {
    "process": "",
    "plan": "process",
    "timing": "process plan",
    "judge": "process plan",
    "results": "process plan timing",
    "studies": "process plan timing results",
    "conventions": "process plan timing results judge",
    "execution": "process plan timing results judge studies conventions",
    "explaining": "process plan timing results judge studies conventions execution",
    "summary": "process plan timing results studies conventions",
    "charts": "process plan timing results",
    "report": "process plan timing results studies conventions summary charts",
    "plots": "process plan timing results studies conventions summary charts report",
    "fuzzing": "process plan timing results judge studies conventions execution",
    "contract": "process plan timing results judge studies conventions execution",
    "testing": "process plan judge",
    "api": "process plan timing results judge studies conventions execution summary charts report plots contract"
    " testing",
    "__main__": "cli",
    "cli": "process plan timing results judge studies conventions execution summary charts report contract api"
    " explaining fuzzing",
}.items():
    ROOMS[_room] = {*_allowed.split(), *_FLOOR, *_OPEN}
#: The public face has no room; it holds the version that the command line prints.
ROOMS["cli"].add("")

#: Floor of the engine -> the floors it may import.
FLOORS = {
    "core": set(),
    "transforms": {"core"},
    "rules": {"core", "transforms"},
    "compiler": {"core", "transforms"},
    "dependence": {"core", "transforms", "rules"},
    "taylor": {"core", "transforms", "rules"},
    "batching": {"core", "transforms", "compiler"},
    "loops": {"core", "transforms", "compiler"},
    "array": {"core", "transforms", "rules", "compiler"},
    "tools": {"core", "transforms", "rules", "compiler", "array"},
}  # fmt: skip
ENGINE = f"{PACKAGE}.backends.numpy_autodiff"
#: Files a folder may hold; folders that are tables are as long as there are entries.
LARGEST = 14
TABLES = {f"{PACKAGE}.problems", f"{ENGINE}.rules"}

MODULES = modules()


def of(*rooms: str, like: str = "") -> list[str]:
    """Return the modules of the rooms, each named without the package, whose name matches a pattern; at least one."""
    names = [name.removeprefix(f"{PACKAGE}.") for name in MODULES if room(name) in rooms]
    found = [name for name in names if re.search(like, name)]
    assert found, f"no module of {rooms} is like {like!r}"
    return found


def file(module: str) -> pathlib.Path:
    return MODULES[f"{PACKAGE}.{module}"]


def root(module: str) -> str:
    return module.partition(".")[0]


def test_no_file_is_in_a_circle_of_imports() -> None:
    assert circle(graph()) == []


def test_no_folder_is_in_a_circle_of_imports() -> None:
    # The files beside the rooms are floors of their own, not one folder.
    places = {name: name if folder(name) == PACKAGE else folder(name) for name in MODULES}
    assert circle(between(graph(), places)) == []


def test_a_circle_is_found() -> None:
    assert sorted(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})[1:]) == ["a", "b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_rooms_import_downwards_only() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, imported in graph().items()
        for other in imported
        if room(name) and room(other) != room(name) and room(other) not in ROOMS[room(name)]
    ]
    assert wrong == []


def test_floors_of_the_engine_import_downwards_only() -> None:
    def floor(name: str) -> str:
        return name.removeprefix(f"{ENGINE}.").partition(".")[0]

    inside = [name for name in graph() if name.startswith(f"{ENGINE}.")]
    wrong = [
        f"{name} imports {other}"
        for name in inside
        for other in graph()[name]
        if floor(other) != floor(name) and floor(other) not in FLOORS[floor(name)]
    ]
    assert {floor(name) for name in inside} == set(FLOORS)
    assert wrong == []


def test_a_folder_holds_about_a_dozen_files() -> None:
    counts = collections.Counter(folder(name) for name in MODULES)
    assert {place: n for place, n in counts.items() if n > LARGEST and place not in TABLES} == {}


def test_problems_know_numpy_and_their_own_base() -> None:
    for module in of("problems"):
        for name, _ in imports(file(module)):
            assert root(name) not in FRAMEWORKS | {"pandas"}, f"{module} imports {name}"


def test_backends_import_a_framework_only_when_opened() -> None:
    for module in of("backends", like=r"^backends\.\w+$|^backends\.sparsity\.|\.adapter$"):
        for name, top in imports(file(module)):
            assert root(name) != "pandas", f"{module} imports {name}"
            assert not (top and root(name) in FRAMEWORKS), f"{module} imports {name} before open()"


def test_a_baseline_knows_its_framework_and_not_our_interface() -> None:
    for module in of("backends", like=r"^backends\.baselines\."):
        own = module.rpartition(".")[2]
        found = {name for name, _ in imports(file(module))}
        assert {root(name) for name in found} & FRAMEWORKS <= {own}, module
        engine = {ENGINE} if own == "numpy" else set()
        assert {name for name in found if root(name) == PACKAGE} <= engine, module


def test_an_adapter_names_only_its_own_framework() -> None:
    for module in of("backends", like="_backend"):
        name = module.split(".")[1].removesuffix("_backend")
        own = {
            "torch": {"torch", "array_api_compat"},
            "tensorflow": {"tensorflow", "keras"},
            "jax": {"jax", "jaxlib", "optax"},
            "autograd": {"autograd"},
        }.get(name, set())
        assert {root(found) for found, _ in imports(file(module))} & FRAMEWORKS <= own, module


def test_the_engine_stands_alone() -> None:
    for module in of("backends", like=r"^backends\.numpy_autodiff"):
        allowed = {"numpy", "scipy", PACKAGE} | set(sys.stdlib_module_names)
        # What speaks to a compiler of machine code; nothing imports it but by name, when a kernel is compiled.
        allowed |= {"llvmlite"} if module.endswith(".loops.machine") else set()
        for name, _ in imports(file(module)):
            assert root(name) in allowed, f"{module} imports {name}"
            assert root(name) != PACKAGE or name.startswith(ENGINE), f"{module} imports {name}"


def test_rooms_reach_backends_and_problems_through_their_packages() -> None:
    """The measurement of rounding is a trace of the engine's core."""
    for module in of(*set(ROOMS) - _FLOOR - _OPEN):
        for name, _ in imports(file(module)):
            assert root(name) not in FRAMEWORKS, f"{module} imports {name}"
            if root(name) == PACKAGE and room(name) == "backends":
                traces = module.startswith("judge.rounding.") and name.startswith(f"{ENGINE}.core.")
                assert traces or name in {f"{PACKAGE}.backends", ENGINE}, (
                    f"{module} imports {name}: use backends.load()"
                )
            if root(name) == PACKAGE and room(name) == "problems":
                allowed = {"problems", "problems.base", "problems.base.closed_forms", "problems.conventions"}
                assert name.removeprefix(f"{PACKAGE}.") in allowed, f"{module} imports {name}: use problems.load()"
            drawn = module.startswith(("report", "plots"))
            assert root(name) != "pandas" or drawn or module in PANDAS, f"{module} imports {name}"
            draws = drawn or module.startswith("charts") or module == AXES
            assert root(name) not in DRAWING or draws, f"{module} imports {name}: only report, charts and plots draw"


def test_the_shared_words_import_nothing_but_the_standard_library() -> None:
    for module in _FLOOR:
        assert {root(name) for name, _ in imports(file(module))} <= set(sys.stdlib_module_names)


def test_the_public_face_and_the_parser_import_no_array_library() -> None:
    for module in (f"{PACKAGE}.cli.main", f"{PACKAGE}.cli.arguments", PACKAGE):
        code = f"import sys, {module}; print(sorted({{'numpy', 'pandas', 'rich', 'scipy'}} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", module


@pytest.mark.parametrize(
    "code",
    [
        "from autodiff_compare.cli.main import main; main(['--help'])",
        "from autodiff_compare.cli.main import main; main(['run', '--help'])",
        "from autodiff_compare.cli.main import main; main(['list'])",
        "from autodiff_compare import problems; problems.available()",
        "from autodiff_compare import backends; [cls() for cls in backends.available().values()]",
    ],
)
def test_no_framework_is_imported_by(code: str) -> None:
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', *sorted({FRAMEWORKS!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("bare", ["backends", "problems"])
def test_the_open_rooms_refuse_their_bare_names(bare: str) -> None:
    if not (ROOT / bare).is_dir():
        pytest.skip("an unpacked source distribution has no folder beside the package")
    done = subprocess.run(
        [sys.executable, "-c", f"import {bare}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"expected {PACKAGE}.{bare}" in done.stderr


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", PACKAGE, "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("autodiff-compare ")


def test_every_folder_of_code_is_a_package() -> None:
    for name, path in MODULES.items():
        assert (path.parent / "__init__.py").is_file(), name


def test_verbs_and_worker_functions_that_are_named_by_text_exist() -> None:
    texts = [
        node.value
        for path in MODULES.values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{PACKAGE}.")
    ]
    named = [text.partition(":") for text in texts if ":" in text]
    assert len(named) >= 20
    for module, _, function in named:
        defined = {n.name for n in tree(MODULES[module]).body if isinstance(n, ast.FunctionDef)}
        assert function in defined, f"{module}:{function}"


def test_versions_are_pinned_in_one_place_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    assert not [d for d in wanted if any(c in d for c in ("<", "==", "~"))], "a lower bound is no pin"
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    names = {d.partition("[")[0].partition(">=")[0].lower() for d in wanted} - {"autodiff-compare"}
    assert names <= {p.replace("_", "-") for p in pinned}


def test_tests_of_one_group_stay_in_one_process(request: pytest.FixtureRequest) -> None:
    """Some versions of pytest and pytest-xdist forget groups without a word; the tests then take half as long again."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not request.config.getoption("loadgroup"):
        pytest.skip("one process has no groups")
    assert request.node.nodeid.endswith("@architecture")
