"""Functions that a node calls beside the units of a plan: trials of the judge, shares of a campaign, the doctor."""

from __future__ import annotations

import dataclasses
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from autodiff_compare.execution.cluster.engine import command
from autodiff_compare.judge import controls, known_derivatives, mutants
from autodiff_compare.plan.plan import load_problems
from autodiff_compare.plan.query import Query


def made(name: str, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records of a function of `_CALLS`, as JSON objects."""
    for record in _CALLS[name](**parameters):
        yield record if isinstance(record, dict) else dataclasses.asdict(record)


def _mutants(problem: str, dtype: str, seed: int) -> Iterator[Any]:
    found, _ = load_problems(Query(problems=[problem]))
    yield from mutants.selftest(found, [dtype], seed)


def _controls(dtypes: Sequence[str], seed: int) -> Iterator[Any]:
    yield from controls.trials(dtypes, seed)


def _known_derivatives(seed: int) -> Iterator[Any]:
    yield from known_derivatives.known_derivatives(seed=seed)


def _doctor(words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what the verb ``doctor`` finds on this host."""
    # In a process of its own, as on the command line: this one has libraries loaded whose threads would disturb it.
    yield from _told("doctor", "execution.cluster.calls:verb", "doctor", "--json", *words)["rows"]


def _fuzz(part: int, parts: int, words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what one share of a campaign has searched (`autodiff_compare.fuzzing.searched`)."""
    yield _told("fuzz", "cli.verbs.trials.shares:share", str(part), str(parts), *words)


def _told(name: str, function: str, *words: str) -> Any:
    """Return the JSON that a function prints in a process of its own; the room that has it lies above this one.

    Raises
    ------
    RuntimeError
        If it prints none.
    """
    done = subprocess.run(command(function, *words), capture_output=True, text=True, check=False, cwd="/")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr.strip()[-300:]}") from None


def verb(*words: str) -> None:
    """Run a command line of this program, named by text: the room that has it lies above this one."""
    sys.exit(pkgutil.resolve_name("autodiff_compare.cli.main:main")(words))


#: Functions that measure their host: nothing else is to compute there meanwhile.
ALONE = frozenset({"doctor"})
_CALLS: Mapping[str, Callable[..., Iterator[Any]]] = {
    "mutants": _mutants,
    "controls": _controls,
    "known derivatives": _known_derivatives,
    "doctor": _doctor,
    "fuzz": _fuzz,
}
