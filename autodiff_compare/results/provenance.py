"""Provenance: what two runs must have in common for their numbers to be put side by side."""

from __future__ import annotations

import datetime
import hashlib
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process import environment
from autodiff_compare.process.environment import PACKAGE
from autodiff_compare.results.rows import ADDED
from autodiff_compare.results.tables import SCHEMA_VERSION, Run, TableError

#: A host's name and memory are left out: containers get new names, and virtual machines lose a few pages.
MACHINE = ("cpu_model", "cpu_count", "os", "python", "onednn")
#: Packages that no result and no timing depends on.
_WITHOUT_EFFECT = frozenset({"pandas"})
_LONGEST = 60


def code_digest(given: Iterable[str], files: Iterable[pathlib.Path] = ()) -> str:
    """Digest of this program's source and of the user's: ``files``, and those among ``given``, ``path.py[:variant]``.

    A commit does not tell two states of changed files apart; this does.
    """
    digest = hashlib.sha256()
    # In a clone the adapters and problems are behind links, which rglob does not follow.
    rooms = {path.resolve() for room in (".", "backends", "problems") for path in (PACKAGE / room).rglob("*.py")}
    own = sorted(pathlib.Path(name) for name in {text.partition(":")[0] for text in given} if name.endswith(".py"))
    for path in [*sorted(rooms), *own, *files]:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def recorded_now(command: str, planned: Plan, settings: Settings) -> Run:
    """The row of ``runs.csv`` of a run that begins now, without its id."""
    return Run(
        run_id="",
        schema_version=SCHEMA_VERSION,
        started_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command,
        git_commit=environment.git_commit(),
        code=code_digest((*planned.sources.values(), *planned.adapters.values()), planned.files),
        seed=planned.seed,
        threads=settings.threads,
        device=settings.device,
        onednn="",
        rounds=settings.rounds,
        versions=json.dumps({**environment.versions(), **planned.versions}),
        **environment.machine(),  # type: ignore[arg-type]
    )


def differences(a: Run, b: Run, fields: Sequence[str]) -> list[str]:
    """In words, where two runs differ in ``fields`` or in the versions of their packages.

    A field that one of them does not know, since its schema is older, is no difference.

    Raises
    ------
    TableError
        If the column ``versions`` of one holds no JSON object of texts.
    """
    pairs = {name: (getattr(a, name), getattr(b, name)) for name in fields}
    pairs = {name: pair for name, pair in pairs.items() if name not in ADDED[Run] or ADDED[Run][name] not in pair}
    first, second = versions(a), versions(b)
    for name in sorted((set(first) | set(second)) - _WITHOUT_EFFECT):
        pairs[name] = (first.get(name, "absent"), second.get(name, "absent"))
    return [f"{name} {_short(x)} and {_short(y)}" for name, (x, y) in pairs.items() if x != y]


def versions(run: Run) -> dict[str, str]:
    """Distribution -> version, from the column ``versions``."""
    try:
        found = json.loads(run.versions)
    except (ValueError, RecursionError) as error:
        raise TableError(f"got versions that are no JSON in the table runs: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise TableError("got versions in the table runs that are no JSON object of texts")
    return found


def printable(text: str) -> str:
    """Text from a file, fit for a terminal: control characters, which could steer it, are spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _short(value: Any) -> str:
    text = printable(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
