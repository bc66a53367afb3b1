"""A contest inside one worker: a gradient through our interface against the same one written by hand.

Five tasks from two scalars to megabytes, and the objectives of ADBench. Both sides are called on the same variables, in
rounds that alternate in random order, so that what differs is what the interface costs: wrappers, checks, conversions.
Of ADBench's it is also how the problem is written: the hand's is what a user of the framework would write.
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
from autodiff_compare.timing.schedule import Pace, go_around
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Task:
    """A derivative of a problem, the inputs it is taken at and its name for people."""

    title: str
    problem: Problem
    inputs: Callable[[np.random.Generator], Inputs]
    operator: Operator = Operator.GRADIENT

    def objective(self, backend: backends.Backend, inputs: Inputs) -> Objective:
        """The function in the backend's namespace, with what the operator needs to know of it."""
        function = self.problem.function(backend, inputs.static)
        if self.operator != Operator.SPARSE_JACOBIAN:
            return Objective(function)
        known, wide = patterns(self.problem, inputs), expanded(self.problem, backend, inputs)
        return Objective(function, patterns=known, expanded=wide)


def _scalars(x: Any, y: Any, *, xp: Any) -> Any:  # noqa: ARG001 - the signature of every task
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


def _own(title: str, objective: Callable[..., Any], inputs: Callable[[np.random.Generator], Inputs]) -> Task:
    name = objective.__name__.strip("_")
    return Task(title, Problem(name, title, "", {"small": 1}, lambda rng, _: inputs(rng), objective), inputs)


def _of(name: str, title: str, shorten: Callable[[Inputs], Inputs] = lambda inputs: inputs, **how: Operator) -> Task:
    """What a problem of the suite poses at its medium size."""
    problem = problems.available()[name]
    return Task(title, problem, lambda rng: shorten(problem.inputs(rng, problem.sizes["medium"])), **how)


def _beginning(inputs: Inputs) -> Inputs:
    """128 characters of a text: each costs the same, and a thousand take seconds."""
    state, text = inputs.data
    return replace(inputs, data=(state, text[:128]))


#: Name, which the modules of `autodiff_compare.backends.baselines` share -> task. A new one needs its line in each of
#: them.
TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "scalars": _own("two scalars", _scalars, lambda rng: Inputs((np.array(rng.normal()), np.array(rng.normal())))),
        "rosenbrock": _own("vector of 10", _rosenbrock, _vector(10)),
        "waves": _own("vector of 1000", _waves, _vector(1000)),
        "layer": _own("256 x 256 matrix, 0.5 MB", _layer, _layer_inputs),
        "bells": _own("vector of 500 000, 4 MB", _bells, _vector(500_000)),
        "gmm": _of("gmm", "gmm: 25 components, 1000 points in 10 dimensions"),
        "lstm": _of("lstm", "lstm: 128 characters, 2 layers", _beginning),
        "hand": _of("hand", "hand: Jacobian of 100 points", operator=Operator.JACOBIAN),
        "ba": _of("ba", "ba: Jacobian of 5000 observations", operator=Operator.SPARSE_JACOBIAN),
    }
)


def contest(backend: backends.Backend, task: str, rounds: int, seed: int) -> dict[str, Any]:
    """Seconds per call and round of both sides, paired, and how far their results are apart.

    Returns
    -------
    dict
        ``interface`` and ``by_hand``: a value a round; ``difference``: largest difference of an entry relative to the
        largest entry.
    """
    # What a framework left behind is set aside: collecting it took longer than the calls.
    gc.collect()
    gc.freeze()
    given, hand = TASKS[task], backends.baseline(backend.name)[task]
    inputs = given.inputs(np.random.default_rng(seed))
    args = [backend.to_var(array) for array in inputs.arrays]
    argnums = range(len(inputs.differentiated))
    ours = backend.prepare(given.operator, given.objective(backend, inputs), args, argnums=argnums)
    sides = {side: clock.Timed(run, args, backend.block) for side, run in (("interface", ours), ("by_hand", hand))}
    results = [[backend.to_numpy(leaf) for leaf in leaves(timed.run(*args))] for timed in sides.values()]
    # One number of calls for both, so that a block is the same amount of work.
    calls = max(clock.calibrate(timed) for timed in sides.values())
    taken: dict[str, list[float]] = {side: [] for side in sides}

    def visit(side: str, _: int) -> bool:
        taken[side].append(float(np.median(clock.visit(sides[side], calls))) / calls)
        return True

    go_around(list(sides), visit, taken.__getitem__, Pace(rounds), random.Random(seed))
    return {**taken, "difference": _apart(*results)}


def _apart(a: list[Any], b: list[Any]) -> float:
    largest = max(float(np.max(np.abs(leaf))) for leaf in b)
    return max(float(np.max(np.abs(x - y))) for x, y in zip(a, b, strict=True)) / largest
