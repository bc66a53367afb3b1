"""Users' files as text: collected where the run is started, written and watched where a unit is carried out.

A problem file, a backend file or a folder of instance files is the user's, and no other host has it. Its text travels
with the unit, together with the modules of its own folder that it imports. Nothing else does: a file that is read when
the function is called must be on every host, under an absolute path.

A host writes the texts into a folder of its own, and reads them again before each finished group leaves it. A file that
has changed meanwhile ends the unit: nobody could say which text the numbers belong to.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autodiff_compare.plan.plan import Plan
from autodiff_compare.vocabulary import split_spec

#: Bytes of all users' files together; what is larger belongs on every host.
LARGEST = 64 << 20


class TextsError(ValueError):
    """Raised if users' files cannot travel, or have changed on a host; the message names the file."""


@dataclasses.dataclass(frozen=True)
class Texts:
    """The users' files of a plan.

    Parameters
    ----------
    folders
        Folder on the user's machine -> path below it -> text.
    given
        What the plan calls a file or a folder -> (folder, path below it; empty for the folder itself).
    """

    folders: Mapping[str, Mapping[str, str]]
    given: Mapping[str, tuple[str, str]]

    def of(self, names: Iterable[str]) -> Texts:
        """Return the files that a plan with some problems and backends needs; names that are none are ignored."""
        keys = {split_spec(name)[0] for name in names} | {name.partition("@")[2] for name in names}
        given = {name: place for name, place in self.given.items() if name in keys}
        used = {folder for folder, _ in given.values()}
        return Texts({folder: files for folder, files in self.folders.items() if folder in used}, given)

    def message(self) -> dict[str, Any]:
        """Return the texts as a JSON object, which `Texts` takes back."""
        return {"folders": {k: dict(v) for k, v in self.folders.items()}, "given": dict(self.given)}


def collected(plan: Plan) -> Texts:
    """Return the texts of the users' files of a plan.

    Raises
    ------
    TextsError
        If a file cannot be read, or all together are larger than `LARGEST`.
    """
    folders: dict[str, dict[str, str]] = {}
    given: dict[str, tuple[str, str]] = {}
    named = (*plan.sources.values(), *(split_spec(text)[0] for text in plan.adapters.values()))
    try:
        for name in (name for name in dict.fromkeys(named) if name.endswith(".py")):
            path = pathlib.Path(name).resolve()
            given[name] = (str(path.parent), pathlib.Path(name).name)
            folders.setdefault(str(path.parent), {}).update(_named(pathlib.Path(name), _with_imported(path)))
        for name, files in _instances(plan):
            given[name] = (name, "")
            folders.setdefault(name, {}).update({path.name: _text(path) for path in files})
    except OSError as error:
        raise TextsError(f"cannot read {error.filename}: {error.strerror}") from error
    size = sum(len(text) for files in folders.values() for text in files.values())
    if size > LARGEST:
        raise TextsError(
            f"got {size} bytes of files to send, expected at most {LARGEST}: leave out sizes of --data, or run there"
        )
    return Texts(folders, given)


def _instances(plan: Plan) -> Iterator[tuple[str, list[pathlib.Path]]]:
    """Yield each folder of instance files, and the files of it that the plan reads."""
    used = {(cell.problem, cell.size) for cell in plan.cells}
    for problem in plan.problems:
        files = [path for size, path in problem.files.items() if (problem.name, size) in used]
        if files:
            yield plan.sources[problem.name].partition("@")[2], files


def _named(given: pathlib.Path, files: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of a file and its imports, the file under its given name too: a link names its problem.

    What it imports is looked for beside the file that the link leads to.
    """
    real = given.resolve()
    if given.name != real.name and (real.parent / given.name).exists():
        raise TextsError(
            f"got {given}, a link to {real}, beside which is another {given.name}: give the link a new name"
        )
    return {**files, given.name: files[real.name]}


def _with_imported(file: pathlib.Path) -> dict[str, str]:
    """Return path -> text of a Python file and of the modules below its folder that it imports, directly or not."""
    folder, found, left = file.parent, dict[str, str](), [file]
    while left:
        path = left.pop()
        name = path.relative_to(folder).as_posix()
        if name not in found:
            found[name] = _text(path)
            left += [other for module in _imported(found[name]) for other in _files_of(folder, module)]
    return found


def _imported(text: str) -> set[str]:
    """Return the top-level names of the modules that a text imports; none if it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names}


def _files_of(folder: pathlib.Path, module: str) -> list[pathlib.Path]:
    """Return the file of a module in a folder, or all Python files of a package there.

    Python prefers a package to a module of the same name, and a module to a package without ``__init__.py``.
    """
    file, package = folder / f"{module}.py", folder / module
    if file.is_file() and not (package / "__init__.py").is_file():
        return [file]
    return sorted(path for path in package.rglob("*.py") if path.is_file())


def _text(path: pathlib.Path) -> str:
    # Bytes that are no UTF-8 travel as halves of surrogate pairs, and are written again as they were.
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _digest(folder: str, files: Mapping[str, str]) -> str:
    digest = hashlib.sha256(folder.encode("utf-8", "surrogateescape"))
    for name, text in files.items():
        digest.update(f"\0{name}\0{len(text)}\0{text}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


class Copies:
    """The users' files of a run on a host that carries out its units.

    Parameters
    ----------
    texts
        The files.
    folder
        The folder below which they are written.

    Raises
    ------
    OSError
        If they cannot be written.
    """

    def __init__(self, texts: Texts, folder: pathlib.Path) -> None:
        self.texts = texts
        # Equal files have one place in all units, so that a worker which has loaded them need not do so again.
        self._places = {name: folder / _digest(name, files) for name, files in texts.folders.items()}
        for path, text in self._copies():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogateescape"))

    def place(self, name: str) -> str:
        """Return where a problem or backend of the plan is loaded from on this host."""
        text, at, folder = name.partition("@")
        if at and folder in self.texts.given:
            return f"{text}@{self._place(folder)}"
        file, _ = split_spec(name)
        return f"{self._place(file)}{name[len(file) :]}" if file in self.texts.given else name

    def require_unchanged(self) -> None:
        """Raise `TextsError` if a file is no longer what was sent."""
        for path, text in self._copies():
            try:
                found = path.read_bytes()
            except OSError:
                found = b""
            if found != text.encode("utf-8", "surrogateescape"):
                raise TextsError(f"got {self.as_given(str(path))} changed on this host while it was computed")

    def as_given(self, told: Any) -> Any:
        """Return a message in which the paths of this host are those that the user wrote."""
        if isinstance(told, str):
            return self._renamed(told)
        if isinstance(told, Mapping):
            return {self.as_given(key): self.as_given(part) for key, part in told.items()}
        return [self.as_given(part) for part in told] if isinstance(told, (list, tuple)) else told

    def _renamed(self, text: str) -> str:
        for name in sorted(self.texts.given, key=lambda name: -len(self.texts.given[name][1])):
            text = text.replace(self._place(name), name)
        for name, place in self._places.items():
            text = text.replace(str(place), name)
        return text

    def _place(self, name: str) -> str:
        folder, below = self.texts.given[name]
        return str(self._places[folder] / below)

    def _copies(self) -> Iterator[tuple[pathlib.Path, str]]:
        for name, files in self.texts.folders.items():
            for below, text in files.items():
                yield self._places[name] / below, text
