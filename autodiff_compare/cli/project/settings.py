"""The table ``[tool.autodiff-compare]`` of a project's ``pyproject.toml``.

Its keys are the long options of the command line without their dashes, and ``problems``. They count for every verb
that has the option; a table ``[tool.autodiff-compare.VERB]`` counts for one verb, and before the others.
"""

from __future__ import annotations

import pathlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FILE = "pyproject.toml"
#: Name of the table below ``tool``.
TABLE = "autodiff-compare"


class ProjectError(ValueError):
    """Raised if a project's settings cannot be used; the message names the file and the key."""


@dataclass(frozen=True)
class Settings:
    """The settings of a project.

    Parameters
    ----------
    file
        The ``pyproject.toml``; paths in it are relative to its folder.
    every
        Key -> value, for every verb that has the option.
    verbs
        Verb -> key -> value, for one verb.
    """

    file: pathlib.Path
    every: Mapping[str, Any]
    verbs: Mapping[str, Mapping[str, Any]]


def find(folder: pathlib.Path) -> Settings | None:
    """Return the settings that count in a folder; `None` if there are none.

    They are looked for in the folder and those above it, as far as the root of its repository.

    Raises
    ------
    ProjectError
        If the file cannot be read, or the table is none.
    """
    for place in (folder, *folder.parents):
        table = _table(place / FILE)
        if table is not None:
            verbs = {key: value for key, value in table.items() if isinstance(value, dict)}
            return Settings(place / FILE, {k: v for k, v in table.items() if k not in verbs}, verbs)
        if (place / ".git").exists():
            break
    return None


def _table(file: pathlib.Path) -> Mapping[str, Any] | None:
    """Return the table of a file; `None` if there is no file or no table in it."""
    if not file.is_file():
        return None
    try:
        text = file.read_text(encoding="utf-8")
        # A file of another project may be broken without being any business of this program.
        tool = tomllib.loads(text).get("tool", {}) if TABLE in text else {}
    except (OSError, ValueError) as error:
        raise ProjectError(f"cannot read {file}: {error}") from error
    table = tool.get(TABLE) if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ProjectError(f"got {TABLE} = {table!r:.40} in {file}, expected a table [tool.{TABLE}]")
    return table
