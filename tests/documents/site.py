"""Hooks of ``mkdocs.yml``: the documents of this repository as one site (``make site``).

The documents link to each other, to files beside ``docs/`` and to source files, so that they can be read in the
repository. A site has no files outside ``docs/``. Documents that stand elsewhere become pages, source files become
pages with their text, and images are copied. Every link is rewritten to its place in the site; MkDocs then checks them.
"""

from __future__ import annotations

import os.path
import pathlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: Document outside ``docs/`` -> its page.
OUTSIDE = {
    "README.md": "index.md",
    "results/README.md": "reference/tables.md",
    "backends/numpy_autodiff/README.md": "engine.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_COMMENT = re.compile(r"^<!--.*?-->\n", re.M | re.S)
_IMAGES = {".svg", ".png", ".gif"}
#: Extension of a source file -> the language of its text.
_LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml"}


def on_files(files: Files, config: Any) -> Files:
    """Add the documents, images and source files that stand outside ``docs/``."""
    for path, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text(encoding="utf-8")))
    for path, uri in beside(documents()).items():
        if uri.endswith(".md"):
            language = _LANGUAGES.get(pathlib.Path(path).suffix, "text")
            text = (ROOT / path).read_text(encoding="utf-8")
            files.append(File.generated(config, uri, content=f"# {path}\n\n````{language}\n{text}````\n"))
        else:
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page with links to its neighbours in the site, and without comments."""
    origin = {uri: path for path, uri in documents().items()}.get(page.file.src_uri)
    return markdown if origin is None else rewritten(_COMMENT.sub("", markdown), origin, page.file.src_uri)


def documents() -> dict[str, str]:
    """Return each document of the repository, as a path from its root, with the page that it becomes."""
    inside = sorted((ROOT / "docs").rglob("*.md"))
    return {**OUTSIDE, **{_path(path): path.relative_to(ROOT / "docs").as_posix() for path in inside}}


def beside(pages: Mapping[str, str]) -> dict[str, str]:
    """Return each file that a document links to and that is no document, with its place in the site."""
    found = {}
    for path in pages:
        for target in _targets(path):
            if target not in pages and not target.startswith("docs/"):
                image = pathlib.Path(target).suffix in _IMAGES
                found[target] = f"images/{pathlib.Path(target).name}" if image else f"source/{target}.md"
    return found


def rewritten(markdown: str, origin: str, uri: str) -> str:
    """Return a text with its links changed from the repository to the site.

    Parameters
    ----------
    markdown
        Text of a document.
    origin
        Path of the document from the root of the repository.
    uri
        Its place in the site.
    """
    pages = documents()
    places = {**pages, **beside(pages)}

    def link(match: re.Match[str]) -> str:
        target = _resolved(origin, match[2])
        place = places.get(target) or (target.removeprefix("docs/") if _is_file(target) else None)
        if place is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(place, posixpath.dirname(uri) or '.')}{match[3]}"

    return _LINK.sub(link, markdown)


def _targets(path: str) -> Iterator[str]:
    """Yield the files of the repository that a document links to."""
    for match in _LINK.finditer((ROOT / path).read_text(encoding="utf-8")):
        target = _resolved(path, match[2])
        if _is_file(target):
            yield target


def _resolved(origin: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


def _is_file(path: str) -> bool:
    return not path.startswith("..") and "://" not in path and os.path.isfile(ROOT / path)


def _path(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()
