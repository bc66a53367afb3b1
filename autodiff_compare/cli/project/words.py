"""The words of a command line, completed by the settings of the project.

Settings become words before anything is parsed: they are checked as options are, and the recorded command of a run
holds them, so that another person or ``--resume`` repeats the same run. What the command line says itself comes first:
a setting is left out if its option is given, or one that excludes it.
"""

from __future__ import annotations

import argparse
import difflib
import glob
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from autodiff_compare.cli.project.settings import TABLE, ProjectError, Settings, find

#: Verbs that settings would mislead: they are about this program, not about the project.
_WITHOUT = frozenset({"completion", "list", "new"})
#: Words with which a command line says all by itself.
_ALONE = frozenset({"-h", "--help", "--no-config", "--resume"})
#: Options that only a person may give.
_REFUSED = frozenset({"help", "no-config", "resume"})
#: Settings that name files of the user, or Pythons.
_NAMING = frozenset({"problems", "backend", "explain-file"})
#: Problems and suites say together what is computed.
_PROBLEMS = frozenset({"problems", "suite"})


def completed(given: Sequence[str], parse: Callable[[], argparse.ArgumentParser]) -> tuple[list[str], str]:
    """Return the words of a command line with the settings of the project, and a sentence about what they add.

    Parameters
    ----------
    given
        The words of the user, the verb first.
    parse
        Makes a new parser of the command line.

    Returns
    -------
    list, str
        The sentence is empty if nothing is added.

    Raises
    ------
    ProjectError
        If a setting is unknown or has a value that its option cannot take.
    """
    alone = _ALONE & {word.partition("=")[0] for word in given}
    found = None if alone or not given or given[0] in _WITHOUT else find(pathlib.Path.cwd())
    if found is None:
        return list(given), ""
    parser = parse()
    verbs = _verbs(parser)
    if given[0] not in verbs:
        return list(given), ""
    settings = _chosen(found, given[0], verbs)
    said = _said(given, parser, verbs[given[0]])
    options: list[str] = []
    problems: list[str] = []
    for key, value in settings.items():
        if said & _excluding(verbs[given[0]], key):
            continue
        if key == "problems":
            problems = [word for text in _several(found, key, value) for word in _located(found, text)]
        else:
            options += _words(found, _option(verbs[given[0]], key), key, value)
    added = [*options, *problems]
    sentence = f"{found.file} adds: {' '.join(added)} (--no-config leaves this out)" if added else ""
    return [given[0], *options, *given[1:], *problems], sentence


def _verbs(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    return next(action.choices for action in parser._actions if isinstance(action.choices, dict))


def _chosen(found: Settings, verb: str, verbs: Mapping[str, argparse.ArgumentParser]) -> dict[str, Any]:
    """Return the settings of a verb; those for every verb that this one lacks are left out."""
    known = {name: _keys(parser) for name, parser in verbs.items()}
    _require(found, found.verbs, sorted(set(verbs) - _WITHOUT), "table", TABLE)
    _require(found, found.every, sorted(set().union(*known.values())), "key", TABLE)
    for name, table in found.verbs.items():
        _require(found, table, known[name], "key", f"{TABLE}.{name}")
    every = {key: value for key, value in found.every.items() if key in known[verb]}
    return every | dict(found.verbs.get(verb, {}))


def _keys(verb: argparse.ArgumentParser) -> list[str]:
    """Return the settings that a verb can take: its long options, and problems."""
    options = [text.removeprefix("--") for action in verb._actions for text in action.option_strings]
    positional = ["problems"] if any(action.dest == "problems" for action in verb._actions) else []
    return [*positional, *(name for name in options if not name.startswith("-") and name not in _REFUSED)]


def _require(found: Settings, names: Mapping[str, Any], known: Sequence[str], kind: str, table: str) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            expected = f"did you mean {close[0]!r}?" if close else f"expected one of: {', '.join(known)}"
            raise ProjectError(f"got {kind} {name!r} in [tool.{table}] of {found.file}, {expected}")


def _said(given: Sequence[str], parser: argparse.ArgumentParser, verb: argparse.ArgumentParser) -> set[str]:
    """Return the destinations of the arguments that a command line gives itself."""
    for action in verb._actions:
        action.default = argparse.SUPPRESS
    verb._defaults.clear()
    return set(vars(parser.parse_args(given)))


def _excluding(verb: argparse.ArgumentParser, key: str) -> frozenset[str]:
    """Return the destinations that say what a setting says: its own, and those that argparse excludes beside it."""
    if key in _PROBLEMS:
        return _PROBLEMS
    action = _option(verb, key)
    groups = [group._group_actions for group in verb._mutually_exclusive_groups]
    return frozenset({action.dest}.union(*({a.dest for a in group} for group in groups if action in group)))


def _option(verb: argparse.ArgumentParser, key: str) -> argparse.Action:
    return next(action for action in verb._actions if f"--{key}" in action.option_strings)


def _words(found: Settings, option: argparse.Action, key: str, value: Any) -> Iterator[str]:
    """Yield the words of one setting."""
    if option.nargs == 0:
        if not isinstance(value, bool):
            raise ProjectError(f"got {key} = {value!r:.40} in {found.file}, expected true or false")
        if value:
            yield f"--{key}"
        return
    texts = _several(found, key, value)
    if len(texts) > 1 and not isinstance(option, argparse._AppendAction):
        raise ProjectError(f"got {len(texts)} values for {key} in {found.file}, expected one: it cannot be repeated")
    for text in texts:
        if option.type is pathlib.Path:
            yield f"--{key}={_relative(found, text)}"
        elif key in _NAMING:
            yield from (f"--{key}={word}" for word in _located(found, text))
        else:
            yield f"--{key}={text}"


def _several(found: Settings, key: str, value: Any) -> list[str]:
    """Return the texts of a value: a text, a number, or a list of them."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(v, bool) or not isinstance(v, (str, int, float)) for v in values):
        raise ProjectError(f"got {key} = {value!r:.40} in {found.file}, expected a text, a number or a list of them")
    return [str(v) for v in values]


def _located(found: Settings, text: str) -> Iterator[str]:
    """Yield a name; paths in it are made relative to the current folder, and a pattern of files is expanded.

    The forms are those of the command line: ``mine.py``, ``mine.py:variant``, ``name@path/to/python``.
    """
    name, at, python = text.partition("@")
    name, colon, variant = name.partition(":")
    if name.endswith(".py"):
        files = sorted(glob.glob(name, root_dir=found.file.parent)) if glob.has_magic(name) else [name]
        if not files:
            raise ProjectError(f"got {name!r} in {found.file}, expected a pattern of existing files")
        names = [_relative(found, file) for file in files]
    else:
        names = [name]
    python = _relative(found, python) if os.sep in python else python
    yield from (f"{one}{colon}{variant}{at}{python}" for one in names)


def _relative(found: Settings, name: str) -> str:
    """Return a path of the settings as it is written in the current folder."""
    return os.path.relpath(found.file.parent / pathlib.Path(name).expanduser())
