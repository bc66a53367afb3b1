"""The machines of a run: what distinguishes two of them, and the parts of the tables that each has made.

A time belongs to the machine on which it was measured, with its software. The column ``machine`` of a row is the key of
its machine in the table ``machines``: a digest of everything that can change a time there. Hosts that are alike have
one key, and their names are no part of it.

No statistic joins two keys. `split` gives each machine its own tables, and what is shown of a run is made from these,
one machine at a time. A group (problem, size, dtype, operator) is computed on one machine as a whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autodiff_compare.process import environment
from autodiff_compare.process.affinity import processors
from autodiff_compare.process.variables import influential_variables, recorded_variables
from autodiff_compare.results.formatting import listed, plural, size
from autodiff_compare.results.rows import MachineRow, Run

if TYPE_CHECKING:
    from autodiff_compare.plan.plan import Plan
    from autodiff_compare.plan.settings import Settings

#: Packages whose version changes no result and no timing. Older runs name mpmath, which no result has come from.
WITHOUT_EFFECT = frozenset({"mpmath", "pandas"})
#: Columns of `MachineRow` that are no part of the key: the name of a host changes no time, and what TensorFlow chooses
#: follows from the processor and the environment.
_NOT_IN_KEY = frozenset({"key", "hostname", "onednn"})
#: Most facts in a title.
_MOST_FACTS = 6
#: Column of `MachineRow` -> the value that stands for an unknown one.
UNKNOWN: Mapping[str, Any] = MappingProxyType(
    {"cpu_id": "", "affinity": "", "memory_bytes": None, "accelerators": "unknown", "onednn": "", "environment": ""}
)
#: Columns of ``runs.csv`` that describe the machine on which the run was started.
OF_THE_MACHINE = (
    "hostname", "cpu_model", "cpu_count", "memory_bytes", "os", "python", "versions", "environment", "onednn",
)  # fmt: skip


def this_machine(
    planned: Plan, settings: Settings, *, in_process: bool = False, allowed: Sequence[int] | None = None
) -> MachineRow:
    """Return the row of ``machines.csv`` of the machine on which this process runs.

    Parameters
    ----------
    planned
        Its backends may run under other interpreters, whose packages count.
    settings
        Their environment variables reach the workers.
    in_process
        Whether the functions are computed in this process, where all its environment variables count.
    allowed
        Numbers of the processors on which cells are timed; by default all that this process may use.
    """
    facts = environment.machine() | environment.hardware(processors() if allowed is None else allowed)
    row = MachineRow(
        key="",
        versions=json.dumps({**environment.versions(), **planned.versions}),
        environment=json.dumps(variables(planned, settings, in_process=in_process)),
        code=environment.program_digest(),
        **facts,  # type: ignore[arg-type]
    )
    return dataclasses.replace(row, key=key_of(row))


def stamped(rows: Mapping[str, Sequence[Any]], machine: MachineRow) -> dict[str, list[Any]]:
    """Return rows by table name, with the key of a machine in those that name none."""
    key = machine.key
    return {
        name: [row if getattr(row, "machine", key) else dataclasses.replace(row, machine=key) for row in new]
        for name, new in rows.items()
    }


def variables(planned: Plan, settings: Settings, *, in_process: bool) -> dict[str, str]:
    """Return the environment variables that count in a run; the parameters are those of `this_machine`."""
    if in_process:
        return influential_variables()
    return recorded_variables(settings.environment, other_python=bool(planned.interpreters))


def of_run(run: Run) -> MachineRow:
    """Return the only machine of a run of an older schema, as its row in ``runs.csv`` describes it."""
    known = {name: getattr(run, name) for name in OF_THE_MACHINE}
    row = MachineRow(key="", cpu_id="", affinity="", accelerators="unknown", code="", **known)
    return dataclasses.replace(row, key=key_of(row))


def key_of(row: MachineRow) -> str:
    """Return the key of a machine: a digest of all its facts that can change a time.

    Memory counts as `installed_bytes`, since a virtual machine's varies by a few pages from start to start.
    """
    facts = {name: value for name, value in vars(row).items() if name not in _NOT_IN_KEY}
    facts["memory_bytes"] = row.memory_bytes and installed_bytes(row.memory_bytes)
    facts["versions"] = _counted(row.versions) or row.versions
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def installed_bytes(usable: int) -> int:
    """Return the memory that is installed where ``usable`` bytes are left by the system: the next usual size.

    Usual sizes are 2^k and 3 * 2^k bytes. A system keeps a few per cent for itself, so what is usable lies well between
    two of them, where a rounded number could fall on either side.
    """
    above = 1 << (usable - 1).bit_length()
    return above * 3 // 4 if usable <= above * 3 // 4 else above


def _counted(text: str) -> dict[str, Any]:
    """Return the names and values that count, from a column ``versions`` or ``environment``; none if it is damaged."""
    try:
        return {name: value for name, value in json.loads(text).items() if name not in WITHOUT_EFFECT}
    except (ValueError, AttributeError, RecursionError):
        return {}


def split(tables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return key -> the tables of that machine, in the order of the table ``machines``.

    Every table is restricted to the rows that the machine has made, the table ``runs`` excepted. A machine without
    rows is left out, unless no machine has any.

    Parameters
    ----------
    tables
        Table name -> data frame, as `autodiff_compare.results.tables.read_all` returns them.
    """
    named = dict.fromkeys(tables["machines"]["key"])
    made = {name: frame for name, frame in tables.items() if "machine" in frame.columns}
    used = {key for frame in made.values() for key in frame["machine"].unique()}
    keys = [key for key in [*named, *sorted(used - set(named))] if key in used] or list(named)[:1] or [""]
    return {key: {**tables, **{name: frame[frame["machine"] == key] for name, frame in made.items()}} for key in keys}


def titles(known: Sequence[MachineRow], keys: Collection[str]) -> dict[str, str]:
    """Return key -> a title: its number and processor, the facts in which the machines differ, and its hosts.

    Parameters
    ----------
    known
        The rows of the table ``machines``.
    keys
        The machines that are shown, in the order of their numbers.

    Examples
    --------
    ``Machine 2: AMD EPYC, 4 of 8, on 4 cores, numpy 2.4.6, host b``
    """
    rows = {row.key: row for row in reversed(known)}
    facts = {key: _facts(rows[key]) for key in keys if key in rows}
    common = set.intersection(*map(set, facts.values())) if facts else set()
    found = {}
    for number, (key, own) in enumerate(facts.items(), 1):
        hosts = list(dict.fromkeys(row.hostname for row in known if row.key == key))
        model = rows[key].cpu_model
        differing = [words for words in own if words not in common and words != model]
        named = f"host{'s' if len(hosts) > 1 else ''} {listed(hosts, 4)}"
        found[key] = f"Machine {number}: {', '.join(filter(None, [model, *differing[:_MOST_FACTS], named]))}"
    return found


def _facts(row: MachineRow) -> list[str]:
    """Return what is in the key of a machine, in words."""
    memory = [size(installed_bytes(row.memory_bytes))] if row.memory_bytes else []
    packages, variables = _counted(row.versions), _counted(row.environment)
    return [
        row.cpu_model,
        row.cpu_id,
        row.affinity or plural(row.cpu_count, "processor"),
        *memory,
        row.accelerators,
        row.os,
        f"Python {row.python}",
        *(f"{name} {version}" for name, version in packages.items()),
        *(f"{name}={value}" for name, value in variables.items()),
        f"code {row.code}",
    ]
