"""The site of the documents: built strictly, complete, and without anything from the network."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (os.environ.get("CI") or importlib.util.find_spec("material")),
    reason="mkdocs-material is not installed: pip install '.[docs]'",
)


def build(folder: pathlib.Path, *options: str, root: pathlib.Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder), *options],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The site. A page that is not in the navigation, or a link to nothing, is a warning, and fails the build."""
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_document_is_a_page(site: pathlib.Path) -> None:
    from tests.documents.site import documents  # needs mkdocs

    assert [uri for uri in documents().values() if not (site / uri).with_suffix(".html").is_file()] == []


def test_files_outside_the_documents_are_in_the_site(site: pathlib.Path) -> None:
    assert (site / "source/tests/examples/dual_backend.py.html").is_file()
    assert list((site / "images").glob("profile-*.svg"))
    home = (site / "index.html").read_text(encoding="utf-8")
    assert re.search(r'href="measuring\.html#a-sealed-environment"', home)


def test_nothing_comes_from_the_network(site: pathlib.Path) -> None:
    loaded = re.compile(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(https?:)?//")
    assert [page.name for page in site.rglob("*.html") if loaded.search(page.read_text(encoding="utf-8"))] == []


def test_a_link_to_nothing_fails(tmp_path: pathlib.Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[nothing](nothing.md)\n", encoding="utf-8")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    alone = re.sub(r"^hooks:.*\n", "", text, flags=re.M).partition("nav:\n  -")[0] + "nav: [index.md]\n"
    (tmp_path / "mkdocs.yml").write_text(alone, encoding="utf-8")
    done = build(tmp_path / "site", root=tmp_path)
    assert done.returncode == 1
    assert "nothing.md" in done.stderr
