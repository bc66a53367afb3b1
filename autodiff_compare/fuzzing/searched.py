"""What a campaign has searched and found, and its shares: parts that were searched apart, as JSON.

A campaign of several hosts deals its batches out in turn. Together the shares hold the programs of a campaign on one
host; the shares of one machine add up to one `Searched`.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from autodiff_compare.fuzzing.coverage import Coverage, Field
from autodiff_compare.fuzzing.findings import Findings
from autodiff_compare.fuzzing.known import entry, finding_of
from autodiff_compare.fuzzing.oracle import Class


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
