"""What a campaign has searched and found, and its shares: parts that were searched apart, as JSON.

A campaign of several hosts deals its batches out in turn. Together the shares hold the programs of a campaign on one
host; the shares of one machine add up to one `Searched`.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodiff_compare.fuzzing.findings import Findings
from autodiff_compare.fuzzing.known import entry, finding_of
from autodiff_compare.fuzzing.operations import OPERATIONS
from autodiff_compare.fuzzing.oracle import Class
from autodiff_compare.fuzzing.program import Program
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Field:
    """A place of the heat map: operation, operator, backend and dtype."""

    operation: str
    operator: str
    spec: str
    dtype: str


class Coverage:
    """Counts of outcomes and of pairs of operations.

    Attributes
    ----------
    counts
        `Field` -> class -> number of outcomes of programs that hold the operation.
    pairs
        Pair of operations of which the second takes the result of the first -> number of programs.
    """

    def __init__(self) -> None:
        self.counts: dict[Field, collections.Counter[Class]] = {}
        self.pairs: collections.Counter[tuple[str, str]] = collections.Counter()

    def add_program(self, program: Program) -> None:
        """Count the pairs of a program."""
        self.pairs.update(program.pairs)

    def add(self, program: Program, operator: Operator, spec: str, dtype: str, classed: Class) -> None:
        """Count one outcome for each operation of its program."""
        for operation in program.operations:
            self.counts.setdefault(Field(operation, operator, spec, dtype), collections.Counter())[classed] += 1

    @property
    def operations(self) -> frozenset[str]:
        """Return the operations that occurred in a program."""
        return frozenset(place.operation for place in self.counts)

    def rows(self) -> Iterator[tuple[Field, str, collections.Counter[Class]]]:
        """Yield places in the order of the table of operations, each with the family of its operation."""
        order = {name: k for k, name in enumerate(OPERATIONS)}
        for place in sorted(self.counts, key=lambda f: (order[f.operation], f.spec, f.operator, f.dtype)):
            yield place, OPERATIONS[place.operation].family, self.counts[place]


class Searched:
    """What was searched and found.

    Parameters
    ----------
    specs
        The backends, ``backend[:variant]``.
    findings
        Takes up what is found.

    Attributes
    ----------
    coverage
        Counts of outcomes by operation, operator and backend.
    outcomes
        Backend -> class -> number of outcomes.
    findings
        The findings so far.
    unavailable
        Backend -> why it cannot compute anything.
    count
        Number of programs.
    """

    def __init__(self, specs: Sequence[str], findings: Findings) -> None:
        self.coverage, self.findings = Coverage(), findings
        self.outcomes = {spec: collections.Counter[Class]() for spec in specs}
        self.unavailable: dict[str, str] = {}
        self.count = 0

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "count": self.count,
            "outcomes": {spec: _plain(counted) for spec, counted in self.outcomes.items()},
            "coverage": [[*vars(place).values(), _plain(counted)] for place, counted in self.coverage.counts.items()],
            "pairs": [[*pair, count] for pair, count in self.coverage.pairs.items()],
            "unavailable": self.unavailable,
            "findings": [
                {
                    "entry": entry(finding, {}),
                    "seen": [[*where, count] for where, count in finding.seen.items()],
                    "numbers": finding.numbers,
                }
                for finding in self.findings
            ],
        }

    def take_up(self, share: Mapping[str, Any]) -> None:
        """Add a share, as `as_data` has returned it."""
        self.count += share["count"]
        for spec, counted in share["outcomes"].items():
            self.outcomes[spec].update(_counter(counted))
        for operation, operator, spec, dtype, counted in share["coverage"]:
            place = Field(operation, operator, spec, dtype)
            self.coverage.counts.setdefault(place, collections.Counter()).update(_counter(counted))
        for first, second, count in share["pairs"]:
            self.coverage.pairs[first, second] += count
        self.unavailable.update(share["unavailable"])
        for found in share["findings"]:
            seen = {(spec, operator, dtype): count for spec, operator, dtype, count in found["seen"]}
            self.findings.take_up(finding_of(found["entry"]), seen, found["numbers"])


def _plain(counted: Mapping[Class, int]) -> dict[str, int]:
    return {str(classed): count for classed, count in counted.items()}


def _counter(counted: Mapping[str, int]) -> collections.Counter[Class]:
    return collections.Counter({Class(name): count for name, count in counted.items()})
