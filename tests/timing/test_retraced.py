"""The flag ``retraced``: a single trace during thousands of timed calls sets it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from autodiff_compare.execution.computation.cell import CellWorker
from autodiff_compare.execution.worker import Worker
from autodiff_compare.plan.cases import cast
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.problems import problem_of
from tests.conftest import opened

State = dict[str, Any]


def by_jax(state: State) -> Callable[..., Any]:
    jax = pytest.importorskip("jax")

    @partial(jax.jit, static_argnums=1)
    def scaled(x: Any, k: int) -> Any:
        return k * (x * x).sum()

    return lambda x: scaled(x, state["k"])


def by_tensorflow(state: State) -> Callable[..., Any]:
    tf = pytest.importorskip("tensorflow")

    @tf.function
    def scaled(x: Any, k: int) -> Any:
        return k * tf.reduce_sum(x * x)

    return lambda x: scaled(x, state["k"])


def by_torch(state: State) -> Callable[..., Any]:
    pytest.importorskip("torch")
    return lambda x: state["k"] * (x * x).sum()


#: Backend -> a function that is traced again when ``state["k"]`` becomes another number.
RETRACING = {"jax:eager": by_jax, "tensorflow:eager": by_tensorflow, "torch:compile": by_torch}


def worker_on(spec: str, f: Callable[..., Any], operator: str = "value") -> tuple[Worker, int]:
    """Return a calibrated worker with the function as its cell, and the calls of a block."""
    worker = Worker(spec)
    worker.backend = opened(spec)
    problem = with_operators(problem_of("mine", None, {spec: f}, {"INPUTS": (np.arange(1.0, 5.0),)}, "test"))
    worker.cells = CellWorker(worker.backend)
    worker.problems = {("mine", "mine"): problem}
    worker.cell("mine", "mine", problem.size_names[0], "float64", operator, 0)
    return worker, worker.cells.calibrate()["calls"]


@pytest.mark.parametrize("spec", RETRACING)
def test_a_single_trace_in_a_round_is_seen(spec: str) -> None:
    state = {"k": 1}
    worker, calls = worker_on(spec, RETRACING[spec](state))
    seen = []
    for k in (1, 2, 2):
        state["k"] = k
        seen.append(worker.cells.visit(calls)["retraced"])
    assert seen == [False, True, False]


def test_our_own_compiler_is_seen_too() -> None:
    worker, calls = worker_on("numpy:compiled", lambda x: (x * x).sum(), "gradient")
    seen = [worker.cells.visit(calls)["retraced"]]
    # Numbers of another type are another form of the arguments.
    timed = worker.cells.current()
    worker.cells.timed = replace(timed, args=[cast(arg, "float32") for arg in timed.args])
    seen += [worker.cells.visit(calls)["retraced"] for _ in range(2)]
    assert seen == [False, True, False]


@pytest.mark.parametrize("spec", ["numpy", "numpy:compiled", "torch", "tensorflow", "tensorflow:eager", "jax"])
@pytest.mark.parametrize("operator", ["gradient", "hvp"])
def test_a_function_that_is_not_traced_again_is_not_flagged(spec: str, operator: str) -> None:
    worker, calls = worker_on(spec, lambda x: (x * x * x)[0], operator)
    assert not worker.cells.visit(calls)["retraced"]
    assert not worker.cells.finish()["retraced"]
