"""The provenance of a run: code, machine, versions and settings, and the comparison of two of them.

The numbers of two runs may stand in one table only if their provenance agrees.
"""

from __future__ import annotations

import datetime
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process import environment
from autodiff_compare.results.formatting import printable, size
from autodiff_compare.results.machines import OF_THE_MACHINE, UNKNOWN, WITHOUT_EFFECT, installed_bytes
from autodiff_compare.results.rows import SCHEMA_VERSION, MachineRow, Run
from autodiff_compare.results.tables import TableError
from autodiff_compare.vocabulary import split_spec

#: Columns of `MachineRow` by which two machines are told apart, and those of the software on one machine. The host's
#: name is not among them: a container gets a new one at each start.
HARDWARE = ("cpu_model", "cpu_id", "cpu_count", "affinity", "memory_bytes", "accelerators", "os")
SOFTWARE = ("python", "onednn", "environment", "versions")
#: Columns that hold a JSON object of texts.
_OF_TEXTS = frozenset({"versions", "environment"})
#: A value that no column has.
_NEVER = object()
#: Longest value in a message, in characters.
_LONGEST = 60


def code_digest(given: Iterable[str], files: Iterable[pathlib.Path] = (), program: str = "") -> str:
    """Return a digest of this program's source files and of the user's.

    Unlike a commit, it tells two states of uncommitted files apart.

    Parameters
    ----------
    given
        Problems and backends as named by the user; those of the form ``path.py[:variant]`` are files.
    files
        Further files of the user.
    program
        Digest of this program's files, where it is known already.
    """
    own = sorted(pathlib.Path(name) for name in {split_spec(text)[0] for text in given} if name.endswith(".py"))
    return environment.digest_of([*own, *files], program or environment.program_digest())


def recorded_now(command: str, planned: Plan, settings: Settings, here: MachineRow) -> Run:
    """Return the row of ``runs.csv`` of a run that begins now on the machine ``here``, with an empty id."""
    return Run(
        run_id="",
        schema_version=SCHEMA_VERSION,
        started_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command,
        git_commit=environment.git_commit(),
        code=code_digest((*planned.sources.values(), *planned.adapters.values()), planned.files, here.code),
        seed=planned.seed,
        threads=settings.threads,
        device=settings.device,
        rounds=settings.rounds,
        planned_cells=len(planned.cells),
        **{name: getattr(here, name) for name in OF_THE_MACHINE},
    )


def differences(a: Run | MachineRow, b: Run | MachineRow, fields: Sequence[str]) -> list[str]:
    """Describe each difference of two runs, or of two machines, in ``fields``.

    A field that is unknown in one of them, because its schema is older, is no difference. Of the columns ``versions``
    and ``environment``, each package and each variable is a field; memory counts as what is installed.

    Raises
    ------
    TableError
        If a column ``versions`` or ``environment`` is not a JSON object of texts.
    """
    pairs: dict[str, tuple[Any, Any]] = {}
    for name in fields:
        pair = getattr(a, name), getattr(b, name)
        if UNKNOWN.get(name, _NEVER) in pair:
            continue
        if name in _OF_TEXTS:
            pairs |= _each(*(_json_of_texts(text, name) for text in pair))
        else:
            pairs[name] = (_installed(pair[0]), _installed(pair[1])) if name == "memory_bytes" else pair
    pairs = {name: pair for name, pair in pairs.items() if name not in WITHOUT_EFFECT}
    return [f"{name} {_short(x)} and {_short(y)}" for name, (x, y) in pairs.items() if x != y]


def _installed(usable: int) -> str:
    return size(installed_bytes(usable))


def versions(run: Run | MachineRow) -> dict[str, str]:
    """Return distribution -> version from the column ``versions`` of a run.

    Raises
    ------
    TableError
        If the column is not a JSON object of texts.
    """
    return _json_of_texts(run.versions, "versions")


def _each(first: dict[str, str], second: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the two values of each name of two mappings; ``absent`` where one lacks it."""
    return {name: (first.get(name, "absent"), second.get(name, "absent")) for name in sorted({*first, *second})}


def _json_of_texts(text: str, column: str) -> dict[str, str]:
    expected = f"expected a JSON object of texts in column {column!r} of the table runs"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(f"got no JSON, {expected}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise TableError(f"got {_short(text)}, {expected}")
    return found


def _short(value: Any) -> str:
    text = printable(str(value)).replace("\n", "\\n")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
