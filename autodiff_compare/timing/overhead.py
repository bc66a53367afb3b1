"""The overhead of the backend interface: a derivative through it, timed against a hand-written baseline in one worker.

The tasks are five objectives from two scalars to megabytes, and the four objectives of ADBench. Interface and baseline
are called on the same variables, in rounds of random order. What differs is then the cost of the interface: wrappers,
checks, conversions. For ADBench's objectives it is also how the problem is written: a baseline is written as a user of
the framework would write it.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare import backends, problems
from autodiff_compare.backends import Objective
from autodiff_compare.plan.cases import leaves
from autodiff_compare.plan.sparsity import expanded, patterns
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.timing import clock
from autodiff_compare.timing.schedule import Schedule, run_rounds
from autodiff_compare.timing.statistics import Round, round_of
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Task:
    """A derivative to be timed through the interface and by hand.

    Parameters
    ----------
    title
        Name of the task in tables.
    problem
        The objective.
    inputs
        Draws the inputs from a random stream.
    operator
        The derivative.
    """

    title: str
    problem: Problem
    inputs: Callable[[np.random.Generator], Inputs]
    operator: Operator = Operator.GRADIENT

    def objective(self, backend: backends.Backend, inputs: Inputs) -> Objective:
        """Return the function in the backend's namespace, with its sparsity patterns if the operator needs them."""
        function = self.problem.function(backend, inputs.static)
        if self.operator != Operator.SPARSE_JACOBIAN:
            return Objective(function)
        known, wide = patterns(self.problem, inputs), expanded(self.problem, backend, inputs)
        return Objective(function, patterns=known, expanded=wide)


def _scalars(x: Any, y: Any, *, xp: Any) -> Any:  # noqa: ARG001 - every task has this signature
    return 0.26 * (x * x + y * y) - 0.48 * x * y


def _rosenbrock(x: Any, *, xp: Any) -> Any:
    head = x[:-1]
    return xp.sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2)


def _waves(x: Any, *, xp: Any) -> Any:
    return xp.sum(xp.sin(x) * x)


def _layer(x: Any, A: Any, *, xp: Any) -> Any:
    h = xp.tanh(xp.matmul(A, x))
    return xp.sum(h * h)


def _bells(x: Any, *, xp: Any) -> Any:
    return xp.sum(xp.exp(-x * x))


def _layer_inputs(rng: np.random.Generator) -> Inputs:
    A, x = rng.normal(size=(256, 256)) / 16, rng.normal(size=256)
    return Inputs((x,), (A,))


def _vector(n: int) -> Callable[[np.random.Generator], Inputs]:
    return lambda rng: Inputs((rng.normal(size=n),))


def _task(title: str, objective: Callable[..., Any], inputs: Callable[[np.random.Generator], Inputs]) -> Task:
    name = objective.__name__.strip("_")
    return Task(title, Problem(name, title, "", {"small": 1}, lambda rng, _: inputs(rng), objective), inputs)


def _suite_task(
    name: str, title: str, shorten: Callable[[Inputs], Inputs] = lambda inputs: inputs, **how: Operator
) -> Task:
    """Return the task of a problem of the suite at its medium size."""
    problem = problems.available()[name]
    return Task(title, problem, lambda rng: shorten(problem.inputs(rng, problem.sizes["medium"])), **how)


def _first_characters(inputs: Inputs) -> Inputs:
    """Return the inputs with the first 128 characters of the text: a thousand take seconds, at the same cost each."""
    state, text = inputs.data
    return replace(inputs, data=(state, text[:128]))


#: Name -> task. The modules of `autodiff_compare.backends.baselines` use the same names: a new task needs an entry in
#: each of them.
TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "scalars": _task("two scalars", _scalars, lambda rng: Inputs((np.array(rng.normal()), np.array(rng.normal())))),
        "rosenbrock": _task("vector of 10", _rosenbrock, _vector(10)),
        "waves": _task("vector of 1000", _waves, _vector(1000)),
        "layer": _task("256 x 256 matrix, 0.5 MB", _layer, _layer_inputs),
        "bells": _task("vector of 500 000, 4 MB", _bells, _vector(500_000)),
        "gmm": _suite_task("gmm", "gmm: 25 components, 1000 points in 10 dimensions"),
        "lstm": _suite_task("lstm", "lstm: 128 characters, 2 layers", _first_characters),
        "hand": _suite_task("hand", "hand: Jacobian of 100 points", operator=Operator.JACOBIAN),
        "ba": _suite_task("ba", "ba: Jacobian of 5000 observations", operator=Operator.SPARSE_JACOBIAN),
    }
)


def measure(backend: backends.Backend, task: str, rounds: int, seed: int) -> dict[str, Any]:
    """Time a task through the interface and by hand, in paired rounds, and compare the two results.

    Parameters
    ----------
    backend
        An opened backend with a hand-written baseline.
    task
        A name in `TASKS`.
    rounds
        Requested number of rounds (see `autodiff_compare.timing.schedule.Schedule`).
    seed
        Seed of the inputs and of the order of visits.

    Returns
    -------
    dict
        ``interface`` and ``by_hand``: seconds per call of each round, lists of one length. ``difference``: the largest
        difference of two entries, relative to the largest entry by hand.
    """
    # The framework's objects are set aside: collecting them before each visit took longer than the calls.
    gc.collect()
    gc.freeze()
    chosen, by_hand = TASKS[task], backends.baseline(backend.name)[task]
    inputs = chosen.inputs(np.random.default_rng(seed))
    args = [backend.to_var(array) for array in inputs.arrays]
    argnums = range(len(inputs.differentiated))
    interface = backend.prepare(chosen.operator, chosen.objective(backend, inputs), args, argnums=argnums)
    runs = {"interface": interface, "by_hand": by_hand}
    given = [backend.own_array(arg) for arg in args]
    sides = {side: clock.Timed(run, given, backend.block) for side, run in runs.items()}
    results = [[backend.to_numpy(leaf) for leaf in leaves(timed.run(*given))] for timed in sides.values()]
    # Both sides make the same number of calls, so that their blocks hold the same amount of work.
    calls = max(clock.calibrate(timed).calls for timed in sides.values())
    taken: dict[str, list[Round]] = {side: [] for side in sides}

    def visit(side: str, _: int) -> bool:
        blocks = clock.visit(sides[side], calls)
        taken[side].append(round_of([b.seconds for b in blocks], [b.waited_s for b in blocks], calls))
        return True

    run_rounds(list(sides), visit, taken.__getitem__, Schedule(rounds), random.Random(seed))
    seconds = {side: [each.seconds for each in rounds] for side, rounds in taken.items()}
    return {**seconds, "difference": _relative_difference(*results)}


def _relative_difference(a: list[Any], b: list[Any]) -> float:
    """Return the largest absolute difference of two entries, relative to the largest entry of ``b``."""
    largest = max(float(np.max(np.abs(leaf))) for leaf in b)
    return max(float(np.max(np.abs(x - y))) for x, y in zip(a, b, strict=True)) / largest
