"""The loader of users' files: what they import from their own folder, and the errors it raises."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from autodiff_compare.user_files import Kind, UserFileError, load_module
from tests.imports import ROOT


@pytest.fixture(autouse=True)
def _restored_imports() -> Iterator[None]:
    """Leave ``sys.path`` and ``sys.modules`` as they were."""
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def written(folder: pathlib.Path, **files: str) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_a_file_imports_modules_of_its_own_folder_now_and_later(tmp_path: pathlib.Path) -> None:
    text = "import first_here\ndef f():\n    import later_here\n    return first_here.K, later_here.K"
    written(tmp_path, mine=text, first_here="K = 1", later_here="K = 2")
    assert load_module(tmp_path / "mine.py", "problem").f() == (1, 2)


def test_an_installed_module_comes_before_one_of_the_users_folder(tmp_path: pathlib.Path) -> None:
    written(tmp_path, mine="import colorsys", colorsys="K = 1")
    sys.modules.pop("colorsys", None)
    assert not hasattr(load_module(tmp_path / "mine.py", "problem").colorsys, "K")


@pytest.mark.parametrize("kinds", [("problem", "problem"), ("backend", "problem"), ("backend", "backend")])
def test_two_folders_each_have_a_module_of_one_name(kinds: tuple[Kind, Kind], tmp_path: pathlib.Path) -> None:
    loaded: list[ModuleType] = []
    for name, kind in zip(("one", "two"), kinds, strict=True):
        folder = written(tmp_path / name, **{f"{name}_file": "import model_here", "model_here": f"K = {name!r}"})
        loaded.append(load_module(folder / f"{name}_file.py", kind))
    assert [module.model_here.K for module in loaded] == ["one", "two"]


def test_files_of_one_name_in_several_folders_import_their_own_modules(tmp_path: pathlib.Path) -> None:
    text = "import beside_here\ndef f():\n    return beside_here.K"
    folders = [written(tmp_path / name, mine=text, beside_here=f"K = {name!r}") for name in ("one", "two", "three")]
    loaded = [load_module(folder / "mine.py", "problem") for folder in [*folders, folders[0]]]
    assert [module.f() for module in loaded] == ["one", "two", "three", "one"]
    assert len({module.__name__ for module in loaded}) == 3, "a file that is loaded again keeps its name"


@pytest.mark.parametrize("kind", ["problem", "backend"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError"),
        ("import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("raise SystemExit('no GPU')", "SystemExit: no GPU"),
    ],
)
def test_a_file_that_raises_is_named_with_its_reason(
    kind: Kind, text: str, reason: str, tmp_path: pathlib.Path
) -> None:
    written(tmp_path, mine=text)
    with pytest.raises(UserFileError, match=f"cannot load {kind} file .*mine.py: {reason}"):
        load_module(tmp_path / "mine.py", kind)


def test_a_file_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserFileError, match=r"got backend file 'no/such.py', expected an existing .py file"):
        load_module(pathlib.Path("no/such.py"), "backend")


@pytest.mark.parametrize("text", ["from problems import Problem", "import backends.interface", "import vocabulary"])
def test_a_former_name_is_told_with_the_new_one(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "old.py").write_text(text)
    code = f"""
import pathlib, sys
from autodiff_compare.user_files import UserFileError, load_module
sys.path[:] = [entry for entry in sys.path if pathlib.Path(entry).resolve() != pathlib.Path.cwd()]
try:
    load_module(pathlib.Path({str(tmp_path / "old.py")!r}), "problem")
except UserFileError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"import autodiff_compare.{text.split()[1].partition('.')[0]} instead" in done.stdout
