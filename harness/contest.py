"""A contest inside one worker: a gradient through our interface against the same one written by hand.

Five tasks from two scalars to megabytes. Both sides are called on the same variables, in rounds that alternate in
random order, so that what differs is what the interface costs: wrappers, checks, conversions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

import backends
from harness import measure
from harness.cells import leaves
from harness.pace import Pace, go_around
from vocabulary import Operator


@dataclass(frozen=True)
class Task:
    """A scalar function ``f(*args, xp)``, its arguments, and those that it is differentiated for."""

    title: str
    f: Callable[..., Any]
    args: Callable[[np.random.Generator], tuple[Any, ...]]
    argnums: tuple[int, ...] = (0,)


def _scalars(x: Any, y: Any, *, xp: Any) -> Any:  # noqa: ARG001 - the signature of every task
    return 0.26 * (x * x + y * y) - 0.48 * x * y


def _rosenbrock(x: Any, *, xp: Any) -> Any:
    head = x[:-1]
    return xp.sum(100.0 * (x[1:] - head * head) ** 2 + (1.0 - head) ** 2)


def _waves(x: Any, *, xp: Any) -> Any:
    return xp.sum(xp.sin(x) * x)


def _layer(A: Any, x: Any, *, xp: Any) -> Any:
    h = xp.tanh(xp.matmul(A, x))
    return xp.sum(h * h)


def _bells(x: Any, *, xp: Any) -> Any:
    return xp.sum(xp.exp(-x * x))


#: Name, which the handwritten modules share -> task. A new one needs its line in each of them.
TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "scalars": Task("two scalars", _scalars, lambda rng: (rng.normal(), rng.normal()), (0, 1)),
        "rosenbrock": Task("vector of 10", _rosenbrock, lambda rng: (rng.normal(size=10),)),
        "waves": Task("vector of 1000", _waves, lambda rng: (rng.normal(size=1000),)),
        "layer": Task(
            "256 x 256 matrix, 0.5 MB",
            _layer,
            lambda rng: (rng.normal(size=(256, 256)) / 16, rng.normal(size=256)),
            (1,),
        ),
        "bells": Task("vector of 500 000, 4 MB", _bells, lambda rng: (rng.normal(size=500_000),)),
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
    given, hand = TASKS[task], backends.by_hand(backend.name)[task]
    args = [backend.to_var(array) for array in given.args(np.random.default_rng(seed))]
    ours = backend.prepare(Operator.GRADIENT, partial(given.f, xp=backend.xp), args, argnums=given.argnums)
    sides = {side: measure.Timed(run, args, backend.block) for side, run in (("interface", ours), ("by_hand", hand))}
    results = [[backend.to_numpy(leaf) for leaf in leaves(timed.run(*args))] for timed in sides.values()]
    # One number of calls for both, so that a block is the same amount of work.
    calls = max(measure.calibrate(timed) for timed in sides.values())
    taken: dict[str, list[float]] = {side: [] for side in sides}

    def visit(side: str, _: int) -> bool:
        taken[side].append(float(np.median(measure.visit(sides[side], calls))) / calls)
        return True

    go_around(list(sides), visit, taken.__getitem__, Pace(rounds), random.Random(seed))
    return {**taken, "difference": _apart(*results)}


def _apart(a: list[Any], b: list[Any]) -> float:
    largest = max(float(np.max(np.abs(leaf))) for leaf in b)
    return max(float(np.max(np.abs(x - y))) for x, y in zip(a, b, strict=True)) / largest
