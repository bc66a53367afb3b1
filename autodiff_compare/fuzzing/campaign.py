"""A campaign: random programs on several backends, batch by batch, judged, with a shrunk finding for each new fault.

All backends get the same programs. One that compiles every function gets every `_THIN`-th program only, so that its
compiler does not hold up the others. While the workers compute a batch, the one before is judged.

*No duplicates.* A fault shows in many programs. A failing program is first compared with the findings so far
(`Findings.known`): the operations of a finding are cut out of it, each replaced by an input with its value. If the rest
does not fail, the program is counted with that finding. Otherwise the rest is shrunk and becomes a finding of its own.
A finding in one mode explains a failure in another one only if its own program fails there too: a wrong second
derivative says nothing about the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from autodiff_compare.fuzzing.batch import Outcome
from autodiff_compare.fuzzing.executors import Executor, Task, UnavailableError
from autodiff_compare.fuzzing.findings import Failure, Finding, Findings, Key, without
from autodiff_compare.fuzzing.generator import Recipe, programs
from autodiff_compare.fuzzing.oracle import FINDINGS, Class, Oracle
from autodiff_compare.fuzzing.program import Program
from autodiff_compare.fuzzing.searched import Searched
from autodiff_compare.fuzzing.shrinking import shrunk
from autodiff_compare.process.interruption import result_of
from autodiff_compare.vocabulary import ORDERS, SECOND_ORDER, Operator, split_spec

#: Number of a program -> operators and their outcomes.
Answers = dict[int, tuple[tuple[Operator, ...], list[Outcome]]]
#: Programs of a batch.
BATCH = 20
#: Variants that compile every function, or as JAX every operation for every shape, get one of so many programs; the
#: others get all. A program of three operators takes 0.02 s of processor time on PyTorch, 0.1 s on eager TensorFlow,
#: and 0.5 to 3 s where it is compiled.
_THIN: Mapping[str, int] = {
    "jax": 10, "jax:eager": 10, "tensorflow": 10, "tensorflow:xla": 20, "torch:compile": 100,
}  # fmt: skip
#: Operators of programs with a scalar value, and with an array. The value comes first: where it differs, so does the
#: function, and its derivatives are not judged.
SCALAR = (Operator.VALUE, Operator.GRADIENT, Operator.JVP, Operator.HVP)
VECTOR = (Operator.VALUE, Operator.JVP, Operator.VJP)


@dataclass(frozen=True)
class Scope:
    """What a campaign covers.

    Parameters
    ----------
    seed, recipe
        The seed and the sizes from which programs are drawn.
    dtypes
        Dtypes of the inputs; batches take them in turn.
    operators
        Operators to compute; empty for `SCALAR` and `VECTOR`.
    budget_s
        Seconds after which no further batch begins; `None`: no limit.
    programs
        Number of programs after which it ends; `None`: no limit.
    part, parts
        The share of the batches that is searched: those whose number leaves the remainder ``part`` when it is divided
        by ``parts``.
    """

    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)
    dtypes: tuple[str, ...] = ("float64",)
    operators: tuple[Operator, ...] = ()
    budget_s: float | None = None
    programs: int | None = None
    part: int = 0
    parts: int = 1

    def operators_of(self, program: Program, spec: str) -> tuple[Operator, ...]:
        """Return the operators of a program on a backend: of those asked for, the ones that its value allows.

        A backend with an order of modes differs from the one without it in second derivatives only.
        """
        allowed = SCALAR_ALL if program.value.ndim == 0 else VECTOR_ALL
        if spec.rpartition(":")[2] in ORDERS:
            allowed &= SECOND_ORDER
        default = SCALAR if program.value.ndim == 0 else VECTOR
        wanted = [operator for operator in self.operators or default if operator in allowed - {Operator.VALUE}]
        return (Operator.VALUE, *wanted) if wanted else ()


VECTOR_ALL = frozenset({Operator.VALUE, Operator.JVP, Operator.VJP, Operator.JACOBIAN})
SCALAR_ALL = VECTOR_ALL | {Operator.GRADIENT, Operator.VALUE_AND_GRADIENT, Operator.HVP, Operator.HESSIAN}


def stride(spec: str) -> int:
    """Return the number of programs of which a backend gets one."""
    backend, variant = split_spec(spec)
    mode = variant.partition(":")[0]
    return _THIN.get(f"{backend}:{mode}", _THIN.get(backend, 1) if mode not in ("eager", "compiled") else 1)


@dataclass(frozen=True)
class Batch:
    """Numbered programs of one dtype."""

    dtype: str
    programs: tuple[tuple[int, Program], ...]


class Campaign(Searched):
    """Random programs through several backends.

    Parameters
    ----------
    executors
        ``backend[:variant]`` -> where its batches are computed.
    scope
        What is covered.
    known
        The findings that are known before.
    tell
        Is called after each program with the number of programs and the findings.
    """

    def __init__(
        self,
        executors: Mapping[str, Executor],
        scope: Scope,
        findings: Findings | None = None,
        tell: Callable[[int, Findings], None] = lambda count, findings: None,  # noqa: ARG005
    ) -> None:
        super().__init__(tuple(executors), Findings() if findings is None else findings)
        self.executors, self.scope, self._tell = dict(executors), scope, tell
        self._reached: dict[tuple[Key, str, str, str], bool] = {}

    def run(self) -> None:
        """Run batches until the budget or the number of programs is spent."""
        until = time.monotonic() + self.scope.budget_s if self.scope.budget_s is not None else None
        batches = self._batches()
        with ThreadPoolExecutor(max(len(self.executors), 1)) as threads:
            try:
                batch = next(batches, None)
                answers = self._sent(threads, batch) if batch else {}
                while batch is not None:
                    following = next(batches, None) if until is None or time.monotonic() < until else None
                    # Workers take one request at a time: the next batch is sent once this one has been answered.
                    received = {spec: result_of(answer) for spec, answer in answers.items()}
                    answers = self._sent(threads, following) if following else {}
                    self._judge(batch, received)
                    batch = following
            finally:
                threads.shutdown(cancel_futures=True)

    def _batches(self) -> Iterator[Batch]:
        found, number = programs(self.scope.seed, self.scope.recipe), 0
        while self.scope.programs is None or number < self.scope.programs:
            many = BATCH if self.scope.programs is None else min(BATCH, self.scope.programs - number)
            place = number // BATCH
            batch = Batch(self.scope.dtypes[place % len(self.scope.dtypes)], tuple(next(found) for _ in range(many)))
            if place % self.scope.parts == self.scope.part:
                yield batch
            number += many

    def _sent(self, threads: ThreadPoolExecutor, batch: Batch) -> dict[str, Future[Answers]]:
        """Return the answers to come; those of backends in this process are there already."""
        answers = {}
        for spec, executor in self.executors.items():
            if executor.concurrent:
                answers[spec] = threads.submit(self._computed, spec, batch)
            else:
                answers[spec] = Future()
                answers[spec].set_result(self._computed(spec, batch))
        return answers

    def _computed(self, spec: str, batch: Batch) -> Answers:
        """Return number of a program -> operators and outcomes, of the programs that a backend gets."""
        step = stride(spec)
        given = {number: program for number, program in batch.programs if number % step == 0}
        chosen = {
            number: (program, names)
            for number, program in given.items()
            if (names := self.scope.operators_of(program, spec))
        }
        tasks: list[Task] = [(program.source(), tuple(map(str, names))) for program, names in chosen.values()]
        if not tasks or spec in self.unavailable:
            return {}
        try:
            found = self.executors[spec](tasks, batch.dtype)
        except UnavailableError as error:
            self.unavailable[spec] = str(error)
            return {}
        return {number: (names, outcomes) for (number, (_, names)), outcomes in zip(chosen.items(), found, strict=True)}

    def _judge(self, batch: Batch, answers: Mapping[str, Answers]) -> None:
        for number, program in batch.programs:
            self.count += 1
            self.coverage.add_program(program)
            oracle = Oracle(program, batch.dtype)
            for spec, found in answers.items():
                if number in found:
                    self._record(number, program, spec, oracle, *found[number])
            self._tell(self.count, self.findings)

    def _record(
        self,
        number: int,
        program: Program,
        spec: str,
        oracle: Oracle,
        operators: Sequence[Operator],
        outcomes: Sequence[Outcome],
    ) -> None:
        """Judge the outcomes of one program on one backend, and follow up the first failure."""
        for operator, outcome in zip(operators, outcomes, strict=True):
            judgement = oracle.judgement(operator, outcome)
            self.coverage.add(program, operator, spec, oracle.dtype, judgement.classed)
            self.outcomes[spec][judgement.classed] += 1
            if judgement.classed in FINDINGS:
                self._follow(Failure(number, program, spec, operator, oracle.dtype, judgement))
                if operator == Operator.VALUE:
                    return

    def _follow(self, failure: Failure) -> None:
        """Count a failure with a finding that explains it, or shrink it.

        A hang is written down as it was drawn: each smaller program might take as long.
        """
        if failure.judgement.classed == Class.HANG:
            self.findings.add(failure, failure)
            return
        rest = failure
        for finding in self.findings.explaining(failure):
            if not self._reaches(finding, failure):
                continue
            remaining = without(rest.program, finding.key.operations)
            again = self._failing([remaining], rest)[0] if remaining else None
            if again is None:
                self.findings.count(finding, failure)
                return
            rest = again
        fails = lambda some: [found is not None for found in self._failing(some, rest)]  # noqa: E731
        needs_scalar = failure.operator in SCALAR_ALL - VECTOR_ALL
        small = shrunk(rest.program, fails, scalar=needs_scalar)
        found = self._failing([small], rest, thorough=True)[0]
        # A program whose failure does not repeat is written down as it was drawn.
        self.findings.add(found or failure, failure)

    def _reaches(self, finding: Finding, failure: Failure) -> bool:
        """Return whether the program of a finding fails in the mode of a failure too.

        Of an array there is no second derivative: a wrong first one is taken to reach it.
        """
        key, program, operator = finding.key, finding.failure.program, failure.operator
        if key.mode == failure.mode:
            return True
        if finding.failure.operator in SECOND_ORDER and operator in SECOND_ORDER:
            # The derivatives of reverse and of forward mode are different rules, and one says nothing about the other.
            return False
        if program.value.ndim and operator in SCALAR_ALL - VECTOR_ALL:
            if operator in SECOND_ORDER:
                return key.mode != "value"
            operator = Operator.VJP
        at = (key, failure.spec, failure.mode, failure.dtype)
        if at not in self._reached:
            tried = [program]
            if operator in SECOND_ORDER and key.mode != "value":
                # The second derivative of f may be right though f' is wrong by a constant. That of f^2 has f' in it.
                tried.append(program.squared)
            self._reached[at] = any(self._is_wrong(some, failure.spec, operator, failure.dtype) for some in tried)
        return self._reached[at]

    def _is_wrong(self, program: Program, spec: str, operator: Operator, dtype: str) -> bool:
        """Return whether a backend's outcome of a program is a finding of any class."""
        try:
            ((outcome,),) = self.executors[spec]([(program.source(), (str(operator),))], dtype)
        except UnavailableError:
            return False
        return Oracle(program, dtype).judgement(operator, outcome).classed in FINDINGS

    def _failing(self, some: Sequence[Program], like: Failure, *, thorough: bool = False) -> list[Failure | None]:
        """Return for each program the failure that is like another one; `None` if it does not fail so.

        While shrinking, a coarse judgement is enough; what is written down is judged thoroughly.
        """
        tasks: list[Task] = [(program.source(), (str(like.operator),)) for program in some]
        try:
            found = self.executors[like.spec](tasks, like.dtype)
        except UnavailableError:
            return [None] * len(some)
        return [
            self._alike(program, outcome, like, thorough) for program, (outcome,) in zip(some, found, strict=True)
        ]  # fmt: skip

    def _alike(self, program: Program, outcome: Outcome, like: Failure, thorough: bool) -> Failure | None:
        judgement = Oracle(program, like.dtype).judgement(like.operator, outcome, thorough=thorough)
        if (judgement.classed, judgement.kind) != (like.judgement.classed, like.judgement.kind):
            return None
        return Failure(-1, program, like.spec, like.operator, like.dtype, judgement)
