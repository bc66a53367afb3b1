"""Findings: faults told apart by the operations that remain after shrinking, with all that shows them."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from autodiff_compare.fuzzing.oracle import Class, Judgement
from autodiff_compare.fuzzing.program import Input, Program
from autodiff_compare.vocabulary import ORDERS, SECOND_ORDER, Operator, split_spec

#: Operations in which every scalar program ends, and which shrinking may leave: at fault only if nothing else is left.
_FRAME = frozenset({"sum", "sin", "shift", "add"})
#: Operator -> what of a framework it shows; all others show its reverse mode.
_SECOND = "second order"
_MODES = {Operator.VALUE: "value", Operator.JVP: "forward", **dict.fromkeys(SECOND_ORDER, _SECOND)}


@dataclass(frozen=True)
class Failure:
    """One outcome that is a finding.

    Parameters
    ----------
    number
        The number of the program; -1 if it was shrunk.
    program, spec, operator, dtype
        What was computed.
    judgement
        How it is wrong.
    """

    number: int
    program: Program
    spec: str
    operator: Operator
    dtype: str
    judgement: Judgement

    @property
    def mode(self) -> str:
        """Return what of the framework it shows, as in `Key`."""
        mode = _MODES.get(self.operator, "reverse")
        order = self.spec.rpartition(":")[2]
        return f"{mode} of forward" if mode == _SECOND and order in ORDERS and order[1] == "f" else mode


@dataclass(frozen=True)
class Key:
    """What makes two failures one finding.

    Parameters
    ----------
    backend
        The framework, without its variant.
    mode
        What of the framework is at fault: the ``value``, its ``forward`` or ``reverse`` mode, the ``second order`` by
        the derivative of reverse mode, or the ``second order of forward`` mode (orders ``ff`` and ``rf``), which
        differentiates other rules.
    classed, kind
        The class and the kind of the judgement.
    operations
        The operations of the shrunk program.
    """

    backend: str
    mode: str
    classed: Class
    kind: str
    operations: frozenset[str]

    @staticmethod
    def of(failure: Failure) -> Key:
        """Return the key of a shrunk failure."""
        operations = frozenset(failure.program.operations)
        backend, _ = split_spec(failure.spec)
        judgement = failure.judgement
        return Key(backend, failure.mode, judgement.classed, judgement.kind, operations - _FRAME or operations)

    def may_explain(self, failure: Failure) -> bool:
        """Return whether a failure holds the operations of this finding, on the same framework, in any mode.

        A defect in one entry is a loss of precision beside entries that are much larger.
        """
        classed = failure.judgement.classed
        alike = classed == self.classed or (self.classed, classed) == (Class.DEFECT, Class.PRECISION)
        same = split_spec(failure.spec)[0] == self.backend
        return same and alike and self.operations <= set(failure.program.operations)


@dataclass
class Finding:
    """One fault with its smallest program, and everything that was seen of it.

    Attributes
    ----------
    failure
        The shrunk failure.
    seen
        (backend, operator, dtype) -> number of programs.
    numbers
        The numbers of programs that show it.
    """

    failure: Failure
    seen: collections.Counter[tuple[str, str, str]] = field(default_factory=collections.Counter)
    numbers: list[int] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Return what makes failures this finding."""
        return Key.of(self.failure)

    def count(self, failure: Failure) -> None:
        """Count a failure with this finding."""
        self.seen[failure.spec, str(failure.operator), failure.dtype] += 1
        if failure.number not in self.numbers:
            self.numbers.append(failure.number)


class Findings:
    """The findings of a campaign.

    Parameters
    ----------
    known
        Faults that are known: they are counted, and not written down again. They explain failures as those do that the
        campaign has found itself.
    """

    def __init__(self, known: Sequence[Finding] = ()) -> None:
        self._found: dict[Key, Finding] = {}
        self._known = {finding.key: finding for finding in known}

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def is_known(self, finding: Finding) -> bool:
        """Return whether a finding was known before the campaign."""
        return finding.key in self._known

    @property
    def new(self) -> list[Finding]:
        """Return the findings that were not known before."""
        return [finding for finding in self if not self.is_known(finding)]

    def explaining(self, failure: Failure) -> list[Finding]:
        """Return the findings whose operations a failure holds."""
        possible = {**self._known, **self._found}
        return [finding for key, finding in possible.items() if key.may_explain(failure)]

    def count(self, finding: Finding, failure: Failure) -> None:
        """Count a failure with a finding that explains it."""
        self._found.setdefault(finding.key, Finding(finding.failure)).count(failure)

    def take_up(self, other: Finding, seen: Mapping[tuple[str, str, str], int], numbers: Sequence[int]) -> None:
        """Count what another part of the campaign has seen of a finding."""
        finding = self._found.setdefault(other.key, Finding(other.failure))
        finding.seen.update(seen)
        finding.numbers += [number for number in numbers if number not in finding.numbers]

    def add(self, shrunk: Failure, failure: Failure) -> Finding:
        """Count a failure with the finding of its shrunk form, which is made if it is new."""
        finding = self._found.setdefault(Key.of(shrunk), Finding(shrunk))
        finding.count(failure)
        return finding


def without(program: Program, operations: frozenset[str]) -> Program | None:
    """Return a program whose steps of these operations are inputs with their values; `None` if nothing remains."""
    cut = {step.name for step in program.steps if step.operation in operations}
    if program.result in cut:
        return None
    made = tuple(Input(name, np.asarray(program.values[name])) for name in program.values if name in cut)
    steps = tuple(step for step in program.steps if step.name not in cut)
    rest = replace(program, inputs=(*program.inputs, *made), steps=steps).without_unused()
    return rest if rest.steps else None
