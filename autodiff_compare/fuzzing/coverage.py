"""Counts of what a campaign has covered: outcomes by operation, operator and backend, and pairs of operations."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from dataclasses import dataclass

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
