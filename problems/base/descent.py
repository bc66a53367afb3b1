"""How a problem is minimised: the optimizer, its starts and its stopping rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.vocabulary import Optimizer


@dataclass(frozen=True)
class Descent:
    """How a problem is minimised.

    Parameters
    ----------
    optimizer
        The update rule, run by the framework's own optimizer. With ``adaptive`` only its
        learning rate is used, as the first step size.
    start
        ``start(seed)`` gives the inputs of one run.
    starts
        Seeds of the runs to make.
    stop_loss, stop_when
        Stop once the loss is at most ``stop_loss``; `None` never stops. ``stop_when`` says whether the
        loss tested is that of the point before or after the update.
    max_iterations
        Upper bound on the number of updates.
    adaptive
        Step-size rule of the classic matrix-inverse study; see `autodiff_compare.studies.descent`.
    accumulate
        The gradient is never cleared: each update uses the sum of all gradients so far.
    way
        ``"by_hand"``: the gradient is computed, then applied. ``"minimise"``: the optimizer is given
        the function and does both (`Backend.minimiser`).
    follow
        Name -> function of the differentiated inputs in NumPy whose value is kept with each logged step.
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


@dataclass(frozen=True)
class Adaptive:
    """Grow the step while the loss falls, shrink it otherwise, restart where it has died.

    Parameters
    ----------
    grow, shrink
        Factors on the step size after a step that lowered the loss, and after one that did not.
    smallest, max_restarts
        Below this step size there is a restart, as long as fewer than ``max_restarts`` were made.
    restart_scale
        Restart number j does ``Y += Y * randn(*Y.shape) * restart_scale / j``.
    stream
        ``stream(seed)`` is the random stream of the restarts, as the start of that seed left it.
    gradient
        Whether the step after a restart uses the gradient there or, as the classic code does by
        mistake, the one from before the restart.
    """

    stream: Callable[[int], np.random.RandomState]
    grow: float = 1.2
    shrink: float = 0.5
    smallest: float = 1e-10
    max_restarts: int = 10_000
    restart_scale: float = 0.1
    gradient: Literal["fresh", "stale"] = "fresh"
