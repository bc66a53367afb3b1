"""Campaigns: our engine has no finding, a planted fault is found once and shrunk, and known ones are counted."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare import backends
from autodiff_compare.backends import numpy_autodiff
from autodiff_compare.fuzzing.batch import Outcome
from autodiff_compare.fuzzing.campaign import Campaign, Scope, stride
from autodiff_compare.fuzzing.executors import InProcess, InWorker, UnavailableError
from autodiff_compare.fuzzing.findings import Failure, Finding, Findings
from autodiff_compare.fuzzing.generator import Recipe
from autodiff_compare.fuzzing.known import entry, known_defects
from autodiff_compare.fuzzing.oracle import Class
from autodiff_compare.fuzzing.program import Input, Program, Step
from autodiff_compare.fuzzing.record import fuzz_rows, write_finding
from autodiff_compare.process.client import WorkerError
from autodiff_compare.vocabulary import Operator, Status
from tests.fuzzing.faults import Namespace


def engine(spec: str = "numpy") -> Any:
    backend = backends.load(spec)
    backend.open()
    return backend


def minus_twice(f: Callable[..., Any], *args: Any) -> Any:
    """Return ``f`` with its sign turned in the derivative alone."""
    true = f(*args)
    return true - 2.0 * true + 2.0 * numpy_autodiff.stop_gradient(true)


def steeper(f: Callable[..., Any], x: Any) -> Any:
    """Return ``f`` with its slope wrong by a constant, which leaves its second derivative right."""
    return f(x) + 0.1 * (x - numpy_autodiff.stop_gradient(x))


def faulty(*names: str, fault: Callable[..., Any] = minus_twice) -> Any:
    backend = engine()
    for name in names:
        backend.xp = Namespace(backend.xp, name, functools.partial(fault, getattr(backend.xp, name)))
    return backend


def campaign(backend: Any, scope: Scope, findings: Findings | None = None) -> Campaign:
    found = Campaign({"numpy": InProcess(backend)}, scope, findings)
    found.run()
    return found


@pytest.mark.parametrize(("seed", "dtype"), [(11, "float64"), (12, "float32")])
def test_our_engine_has_no_finding(seed: int, dtype: str) -> None:
    found = campaign(engine(), Scope(seed, dtypes=(dtype,), programs=40))
    assert [f.failure.judgement.words for f in found.findings] == []
    assert found.count == 40
    assert found.outcomes["numpy"][Class.AGREE] > 110


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_our_engine_has_no_finding_in_many_programs(dtype: str) -> None:
    # In one campaign, so that the references of a program are computed once.
    specs = ("numpy", "numpy:compiled")
    found = Campaign({spec: InProcess(engine(spec)) for spec in specs}, Scope(100, dtypes=(dtype,), programs=250))
    found.run()
    assert [(f.failure.program.source(), f.failure.spec, f.failure.judgement.words) for f in found.findings] == []
    assert all(sum(found.outcomes[spec].values()) > 750 for spec in specs)


SCOPE = Scope(7, Recipe(("elementwise",), awkward=0.0, longest=2), programs=60)


@pytest.fixture(scope="module")
def shown() -> Findings:
    """Return what a campaign finds of two faults."""
    return campaign(faulty("tanh", "exp"), SCOPE).findings


def of(findings: Findings, operation: str) -> Finding:
    (found,) = (finding for finding in findings if operation in finding.key.operations)
    return found


def test_each_fault_is_one_finding_of_one_line(shown: Findings) -> None:
    assert {frozenset(f.key.operations) for f in shown} == {frozenset({"tanh"}), frozenset({"exp"})}
    finding = of(shown, "tanh")
    assert finding.failure.program.operations in (("tanh",), ("tanh", "sum"))
    assert finding.failure.program.size == 1
    assert len(finding.numbers) > 1
    assert sum(finding.seen.values()) >= len(finding.numbers)


def test_a_known_defect_is_counted_and_not_new(shown: Findings, tmp_path: pathlib.Path) -> None:
    finding = of(shown, "tanh")
    scope = dataclasses.replace(SCOPE, programs=finding.numbers[0] + 1)
    again = campaign(faulty("tanh"), scope, Findings([finding]))
    assert again.findings.new == []
    (known,) = again.findings
    row = write_finding(known, 0, tmp_path, "run", {})
    assert (row.number, row.operations, row.programs) == (0, "tanh", 1)
    assert not (tmp_path / "findings").exists()


def test_a_known_defect_explains_a_program_that_holds_its_operations(shown: Findings) -> None:
    """Where the operation of a known defect is cut out of a program that fails, the rest does not fail."""
    steps = (Step("a", "square", ("x0",)), Step("b", "tanh", ("a",)), Step("c", "square", ("b",)))
    program = Program((Input("x0", np.array(0.5)),), steps, "c")
    failing = dataclasses.replace(of(shown, "tanh").failure, program=program, operator=Operator.GRADIENT, number=0)
    found = Campaign({"numpy": InProcess(faulty("tanh"))}, SCOPE, Findings([of(shown, "tanh")]))
    found._follow(failing)
    (known,) = found.findings
    assert found.findings.new == []
    assert (known.key, known.numbers) == (of(shown, "tanh").key, [0])


@pytest.mark.parametrize("outer", ["sin", "square", ""])
def test_a_known_slope_explains_second_derivatives_of_what_is_composed_with_it(outer: str, shown: Findings) -> None:
    first = of(shown, "tanh").failure
    known = Finding(dataclasses.replace(first, operator=Operator.GRADIENT))
    steps = (Step("a", "square", ("x0",)), Step("b", "tanh", ("a",)), *([Step("c", outer, ("b",))] if outer else []))
    program = Program((Input("x0", np.array(0.5)),), steps, steps[-1].name)
    found = Campaign({"numpy": InProcess(faulty("tanh", fault=steeper))}, SCOPE, Findings([known]))
    found._follow(dataclasses.replace(first, program=program, operator=Operator.HVP, number=0))
    assert found.findings.new == []
    assert [finding.numbers for finding in found.findings] == [[0]]


@pytest.mark.parametrize(
    ("listed", "classed", "explained"),
    [
        (Class.DEFECT, Class.PRECISION, True),  # wrong in one entry, beside entries that are much larger
        (Class.PRECISION, Class.DEFECT, False),  # lost digits are no wrong number
        (Class.PRECISION, Class.PRECISION, True),
        (Class.DEFECT, Class.ERROR, False),
    ],
)
def test_a_defect_may_be_a_loss_of_precision_elsewhere(
    listed: Class, classed: Class, explained: bool, shown: Findings
) -> None:
    def judged(as_class: Class) -> Failure:
        failure = of(shown, "tanh").failure
        return dataclasses.replace(failure, judgement=dataclasses.replace(failure.judgement, classed=as_class))

    assert Finding(judged(listed)).key.may_explain(judged(classed)) is explained


@pytest.mark.parametrize(("mode", "new"), [(Operator.HVP, True), (Operator.GRADIENT, False), (Operator.JVP, False)])
def test_a_known_defect_of_second_order_hides_none_of_first_order(mode: Operator, new: bool, shown: Findings) -> None:
    """The fault is in the first derivative. A known defect of tanh in another mode explains it if it fails there."""
    first = of(shown, "tanh")
    known = Finding(dataclasses.replace(first.failure, operator=mode))
    if new:
        # x tanh(x) - x tanh(x) has no slope by tanh at all, so that its first derivatives are right.
        steps = (Step("a", "tanh", ("x0",)), Step("b", "subtract", ("a", "a")))
        known = Finding(dataclasses.replace(known.failure, program=Program(first.failure.program.inputs, steps, "b")))
    steps = (Step("a", "square", ("x0",)), Step("b", "tanh", ("a",)))
    program = Program((Input("x0", np.array(0.5)),), steps, "b")
    found = Campaign({"numpy": InProcess(faulty("tanh"))}, SCOPE, Findings([known]))
    for operator in (Operator.VJP, Operator.JVP):
        found._follow(dataclasses.replace(first.failure, program=program, operator=operator, number=0))
    assert [finding.key.mode for finding in found.findings.new] == (["reverse"] if new else [])


@pytest.mark.parametrize(
    ("spec", "new"), [("numpy", True), ("numpy:fr", True), ("numpy:rf", False), ("numpy:ff", False)]
)
def test_a_known_second_derivative_of_forward_mode_hides_none_of_reverse_mode(
    spec: str, new: bool, shown: Findings
) -> None:
    failure = dataclasses.replace(of(shown, "tanh").failure, operator=Operator.HVP)
    known = Finding(dataclasses.replace(failure, spec="numpy:ff"))
    found = Campaign({spec: InProcess(faulty("tanh"))}, SCOPE, Findings([known]))
    steps = (Step("a", "square", ("x0",)), Step("b", "tanh", ("a",)))
    program = Program((Input("x0", np.array(0.5)),), steps, "b")
    found._follow(dataclasses.replace(failure, spec=spec, program=program, number=0))
    assert [finding.key.mode for finding in found.findings.new] == (["second order"] if new else [])


def test_a_finding_is_written_as_a_problem_file_and_a_script(shown: Findings, tmp_path: pathlib.Path) -> None:
    finding = of(shown, "tanh")
    row = write_finding(finding, 1, tmp_path, "run", {"numpy": "2"})
    folder = tmp_path / "findings" / "001"
    assert "xp.tanh(x0)" in (folder / "program.py").read_text()
    assert "np.tanh(x0)" in (folder / "script.py").read_text()
    # The script calls the engine without the planted fault, and says so.
    assert row.reproduced == "no"
    assert entry(finding, {"numpy": "2"})["versions"] == {"numpy": "2"}


def test_rows_count_each_operation_of_a_program() -> None:
    found = campaign(engine(), dataclasses.replace(SCOPE, programs=20))
    rows = list(fuzz_rows(found, "run"))
    sums = [r for r in rows if r.operation == "sum" and r.operator == "gradient"]
    assert len(sums) == 1
    assert sums[0].agree > 5
    assert sums[0].defect == 0


def test_the_committed_list_of_known_defects_can_be_read() -> None:
    for known in known_defects():
        assert np.isfinite(known.failure.program.value).all()
        assert known.key.operations
        assert known.versions


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("numpy", 1), ("numpy:compiled", 1), ("torch:ff", 1), ("jax", 10), ("jax:eager", 10), ("jax:rr", 10),
     ("tensorflow:xla", 20), ("torch:compile:fr", 100), ("mine", 1)],
)  # fmt: skip
def test_backends_that_compile_get_fewer_programs(spec: str, expected: int) -> None:
    assert stride(spec) == expected


# ---- workers


def answered(texts: list[str], operators: list[list[str]], dtype: str) -> dict[str, Any]:
    del dtype
    outcomes = [[vars(Outcome(Status.OK, (np.zeros(()),))) for _ in names] for names in operators]
    assert len(texts) == len(operators)
    return {"outcomes": outcomes}


def worker(fails: Callable[[str, str], Status | None]) -> InWorker:
    """Return an executor whose worker dies of some programs or operators."""

    def request(deadline_s: float, **params: Any) -> dict[str, Any]:
        assert deadline_s > 0
        for text, names in zip(params["texts"], params["operators"], strict=True):
            for name in names:
                status = fails(text, name)
                if status is not None:
                    raise WorkerError(status, "gone", fatal=True)
        return answered(**params)

    return InWorker(request)


def test_a_program_that_kills_its_worker_costs_itself_alone() -> None:
    executor = worker(lambda text, name: Status.CRASH if (text, name) == ("b", "hvp") else None)
    tasks = [(text, ("gradient", "hvp")) for text in "abc"]
    found = [[o.status for o in outcomes] for outcomes in executor(tasks, "float64")]
    assert found == [["ok", "ok"], ["ok", "crash"], ["ok", "ok"]]


def test_a_hang_is_told_from_a_backend_that_is_not_there() -> None:
    (outcome,) = worker(lambda *_: Status.TIMEOUT)([("a", ("jvp",))], "float64")[0]
    assert outcome.status == Status.TIMEOUT
    with pytest.raises(UnavailableError):
        worker(lambda *_: Status.NOT_INSTALLED)([("a", ("jvp",))], "float64")


def test_a_backend_that_is_not_there_is_left_out() -> None:
    found = Campaign({"gone": worker(lambda *_: Status.NOT_INSTALLED)}, Scope(programs=5))
    found.run()
    assert found.count == 5
    assert "gone" in found.unavailable


def test_orders_of_modes_get_second_derivatives_alone() -> None:
    scalar = Program((Input("x0", np.array(0.5)),), (Step("v0", "sin", ("x0",)),), "v0")
    vector = Program((Input("x0", np.array([0.5])),), (Step("v0", "sin", ("x0",)),), "v0")
    assert Scope().operators_of(scalar, "torch:ff") == (Operator.VALUE, Operator.HVP)
    assert Scope().operators_of(vector, "torch:ff") == ()
    assert Scope(operators=(Operator.JACOBIAN,)).operators_of(vector, "jax") == (Operator.VALUE, Operator.JACOBIAN)
