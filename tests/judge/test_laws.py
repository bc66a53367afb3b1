"""Functions in SI units: right derivatives of every backend pass, and a parameter that is detached is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import stop_gradient
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, leaves
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import Operator, Status
from tests.conftest import opened
from tests.judge.laws import LAWS, Law

#: The quick variants: a trace of TensorFlow costs what a hundred eager calls do, and JAX op by op compiles each.
BACKENDS = ("numpy", "torch", "tensorflow:eager", "jax")


def detach(spec: str) -> Callable[[Any], Any]:
    """Return the function of a framework that cuts a value off from differentiation."""
    if spec == "torch":
        return lambda x: x.detach()
    if spec == "tensorflow:eager":
        return pytest.importorskip("tensorflow").stop_gradient
    return stop_gradient if spec == "numpy" else pytest.importorskip("jax").lax.stop_gradient


def objective(law: Law, packed: bool, cut: Callable[[int, Any], Any] = lambda _, p: p) -> Callable[..., Any]:
    """Return the law as a function of its parameters, one by one or packed into one vector; ``cut`` changes each."""
    n = len(law.at)

    def f(*args: Any, xp: Any) -> Any:
        parameters, data = ([args[0][k] for k in range(n)], args[1:]) if packed else (args[:n], args[n:])
        return law.f(*(cut(k, p) for k, p in enumerate(parameters)), *data, xp=xp)

    return f


def case_of(law: Law, packed: bool, operator: Operator = Operator.GRADIENT) -> Case:
    point = (np.array(law.at),) if packed else tuple(map(np.asarray, law.at))
    inputs = Inputs(point, law.arrays)
    problem = Problem(law.field, law.field, law.source, {"small": 1}, lambda *_: inputs, objective(law, packed))
    return Case(problem, "small", "float64", operator, 0, inputs, (), DEFAULT_OPTIMIZER)


def differentiated(spec: str, case: Case, function: Callable[..., Any]) -> tuple[Any, ...]:
    backend = opened(spec)
    args = [backend.to_var(a) for a in case.inputs.arrays]
    argnums = range(len(case.inputs.differentiated))
    run = backend.prepare(case.operator, lambda *a: function(*a, xp=backend.xp), args, argnums=argnums)
    return tuple(backend.to_numpy(leaf) for leaf in leaves(backend.block(run(*args))))


def complex_step(law: Law) -> Any:
    """Return the gradient of a law by complex steps, which do not cancel (Squire and Trapp 1998)."""
    found = []
    for k, value in enumerate(law.at):
        step = 1e-30 * abs(value)
        moved = [complex(v, step if i == k else 0.0) for i, v in enumerate(law.at)]
        found.append(law.f(*moved, *law.arrays, xp=np).imag / step)
    return np.array(found)


def statuses(judge: Judge, results: Sequence[Any]) -> list[Status]:
    return [overall(judge(result))[0] for result in results]


def zeroed(right: Any, packed: bool) -> list[Any]:
    """Return the right gradient with each entry in turn set to zero, as a detached parameter leaves it."""
    cut = [np.where(np.arange(len(right)) == k, 0.0, right) for k in range(len(right))]
    return [(g,) if packed else tuple(map(np.asarray, g)) for g in cut]


def test_there_are_many_fields_and_every_parameter_counts() -> None:
    assert len({law.field for law in LAWS}) == len(LAWS) >= 25
    for law in LAWS:
        assert np.all(complex_step(law) != 0), law.field


@pytest.mark.parametrize("packed", [False, True], ids=["scalars", "one vector"])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.field)
def test_a_law_is_judged_right_and_a_detached_parameter_is_found(law: Law, packed: bool) -> None:
    case, right = case_of(law, packed), complex_step(law)
    judge = Judge(case)
    assert overall(judge((right,) if packed else tuple(map(np.asarray, right)))) == (Status.OK, "")
    assert overall(judge(differentiated("numpy", case, objective(law, packed)))) == (Status.OK, "")
    assert statuses(judge, zeroed(right, packed)) == [Status.WRONG] * len(right)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.field)
def test_numerical_differences_alone_do_the_same(law: Law) -> None:
    case, right = case_of(law, True), complex_step(law)
    judge = Judge(case, NUMERICAL)
    assert overall(judge((right,))) == (Status.OK, "")
    assert statuses(judge, zeroed(right, True)) == [Status.WRONG] * len(right)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.field)
def test_second_derivatives_of_a_law_are_judged_right(law: Law) -> None:
    case = case_of(law, True, Operator.HESSIAN)
    assert overall(Judge(case)(differentiated("numpy", case, objective(law, True)))) == (Status.OK, "")


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.field)
def test_every_backend_is_judged_alike(law: Law) -> None:
    """Each backend gives the right gradient; each in turn loses one parameter, another one for each backend."""
    case = case_of(law, True)
    judge = Judge(case)
    for number, spec in enumerate(BACKENDS):
        lost, cut = number % len(law.at), detach(spec)
        assert overall(judge(differentiated(spec, case, objective(law, True)))) == (Status.OK, ""), spec
        wrong = objective(law, True, lambda k, p, lost=lost, cut=cut: cut(p) if k == lost else p)
        assert overall(judge(differentiated(spec, case, wrong)))[0] == Status.WRONG, (spec, lost)
