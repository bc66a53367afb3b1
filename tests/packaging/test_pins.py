"""The versions that go together: ``constraints.txt`` pins every distribution that the extras install."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.imports import imports, modules
from tests.packaging import lowest
from tests.packaging.builds import ROOT

#: Libraries of GPUs, which torch requires on some platforms only.
_GPU = ("nvidia-", "cuda-", "triton")
PINS = {
    canonicalize_name(name): version
    for name, _, version in (line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    if version
}


def required(wanted: Iterable[Requirement]) -> set[str]:
    """Return the names of all distributions that the requirements lead to, as those installed here declare them."""
    todo, seen = list(wanted), set()
    while todo:
        one = todo.pop()
        name = canonicalize_name(one.name)
        if (name, str(one.extras)) in seen or name == "autodiff-compare" or name.startswith(_GPU):
            continue
        seen.add((name, str(one.extras)))
        for line in importlib.metadata.requires(name) or ():
            further = Requirement(line)
            if further.marker is None or any(further.marker.evaluate({"extra": e}) for e in one.extras or {""}):
                todo.append(further)
    return {name for name, _ in seen}


def installed(name: str) -> bool:
    """Return whether a distribution is installed here."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_the_pins_cover_what_the_extras_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        Requirement(text) for text in (*project["dependencies"], *(t for extra in extras.values() for t in extra))
    ]
    absent = [one.name for one in wanted if one.name != "autodiff-compare" and not installed(one.name)]
    if absent:
        pytest.skip(f"not installed, so what they require is unknown: {', '.join(absent)}")
    assert required(wanted) - set(PINS) == set()


def test_every_dependency_has_a_lower_bound_that_the_pins_keep() -> None:
    for one in lowest.requirements():
        assert [bound.operator for bound in one.specifier] == [">="], f"{one}: make lowest tries one bound"
        assert one.specifier.contains(PINS[canonicalize_name(one.name)], prereleases=True), one


def test_the_package_imports_each_dependency() -> None:
    """What tests alone import belongs to the extra ``test``."""
    called = {name.partition(".")[0] for path in modules().values() for name, _ in imports(path)}
    for path in modules().values():
        called.update(re.findall(r'import_module\("(\w+)', path.read_text(encoding="utf-8")))
    offered: dict[str, set[str]] = {}
    for module, names in importlib.metadata.packages_distributions().items():
        for name in names:
            offered.setdefault(canonicalize_name(name), set()).add(module)
    here = [canonicalize_name(one.name) for one in lowest.requirements() if installed(one.name)]
    assert [name for name in here if not offered[name] & called] == []


def test_the_page_on_installing_has_every_bound_and_pin() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    for name, bound in lowest.bounds().items():
        assert f"| {name} | {bound} | {PINS[canonicalize_name(name)]} |" in page


def test_what_make_lowest_runs_is_there() -> None:
    assert [name for name in (*lowest.WHOLE, *lowest.SAMPLE) if not (ROOT / "tests" / name).exists()] == []


@pytest.mark.parametrize("file", ["constraints.txt", "pyproject.toml", "MANIFEST.in", "Makefile"])
def test_no_registry_and_no_path_of_a_machine_is_named(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.findall(r"https?://|file:|^--|@ |/(?:home|root|opt|tmp|work)/", text, re.M)
