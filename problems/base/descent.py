"""How a problem is minimised: optimizer, starting points and stopping rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.vocabulary import Optimizer


@dataclass(frozen=True)
class Descent:
    """A minimisation that the verb ``descend`` runs on every backend.

    Parameters
    ----------
    optimizer
        The update rule, run by the framework's own optimizer. With ``adaptive``, only its learning rate is used: as
        the first step size.
    start
        ``start(seed)`` returns the `Inputs` at which a run begins.
    starts
        The seeds of the runs.
    stop_loss
        A run stops once the loss is at most ``stop_loss``; with `None` it makes ``max_iterations`` updates.
    stop_when
        Whether ``stop_loss`` is compared with the loss before or after the update of an iteration.
    max_iterations
        Largest number of updates.
    adaptive
        The step-size rule of the classic matrix-inverse study; `None` uses ``optimizer`` as it is.
    accumulate
        Never clear the gradient: each update uses the sum of all gradients so far.
    way
        ``"by_hand"`` computes the gradient, then applies it. ``"minimise"`` passes the function to the optimizer,
        which does both (`Backend.minimiser`).
    follow
        Name -> NumPy function of the differentiated inputs. Its value is recorded with each logged step.
    every
        Updates from one recorded step to the next; 0 records all at first, and ever fewer later.
    sized
        ``sized(n)`` returns the descent at another size; `None` if it has one size only.
    target
        Position, among the data of ``start``, of the array that the descent aims at and a user may replace.
    """

    optimizer: Optimizer
    start: Callable[[int], Inputs]
    starts: tuple[int, ...] = (0,)
    stop_loss: float | None = None
    stop_when: Literal["before", "after"] = "before"
    max_iterations: int = 1000
    adaptive: Adaptive | None = None
    accumulate: bool = False
    way: Literal["by_hand", "minimise"] = "by_hand"
    follow: Mapping[str, Callable[..., Array]] = field(default_factory=dict)
    every: int = 0
    sized: Callable[[int], Descent] | None = None
    target: int | None = None


@dataclass(frozen=True)
class Adaptive:
    """Step-size control with restarts: grow the step while the loss falls, shrink it otherwise.

    Parameters
    ----------
    stream
        ``stream(seed)`` returns the random stream of the restarts, in the state in which the start of that seed
        left it.
    grow, shrink
        Factors on the step size after a step that lowered the loss, and after one that did not.
    smallest
        A step size below this causes a restart.
    max_restarts
        Largest number of restarts in a run.
    restart_scale
        Restart number j replaces Y by ``Y + Y * randn(*Y.shape) * restart_scale / j``.
    gradient
        The gradient of the step after a restart: ``"fresh"`` is computed at the new point. ``"stale"`` is that from
        before the restart, a mistake of the classic code that the study reproduces.
    """

    stream: Callable[[int], np.random.RandomState]
    grow: float = 1.2
    shrink: float = 0.5
    smallest: float = 1e-10
    max_restarts: int = 10_000
    restart_scale: float = 0.1
    gradient: Literal["fresh", "stale"] = "fresh"
