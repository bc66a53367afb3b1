"""The trace of a descent: its result, its first and last point, and the steps that were recorded.

A trace is written into tables by `autodiff_compare.studies.records`, and read back from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.problems import Array

#: Every iteration up to 1000 is kept; after that, the next one kept is 1 % later.
KEEP_ALL, KEEP_GROWTH = 1000, 1.01


@dataclass(frozen=True)
class Step:
    """One recorded iteration.

    Parameters
    ----------
    iteration
        Number of updates made before.
    loss
        Loss at this point; at a restart the loss from before it, since the next update is compared with that.
    step_size, gradient_norm
        Those of the next update; the norm is nan if the framework does not return its gradient (``minimise``).
    extra
        Quantities of `Descent.follow` by name; at a restart also ``restart``, its number.
    """

    iteration: int
    loss: float
    step_size: float
    gradient_norm: float
    extra: Mapping[str, Any] = field(default_factory=dict)


#: First words of the message of a descent that has no stop rule.
NO_STOP_RULE = "no stop rule"


@dataclass(frozen=True)
class Trace:
    """The record of a finished descent.

    Parameters
    ----------
    start
        Seed of the start.
    iterations, restarts, evaluations
        Updates made, restarts among them, calls of value-and-gradient (of the minimiser with ``minimise``).
    converged
        Whether the stop rule was met; False without a stop rule.
    final_loss
        Loss at the last point.
    seconds
        From the first evaluation to the last, logging included, preparation excluded.
    message
        Why the descent ended, if it did not converge.
    steps
        Recorded steps: the first `KEEP_ALL`, every restart, the last, and ever fewer of the others.
    first_point, last_point, data
        NumPy arrays in the dtype of the run.
    """

    problem: str
    descent: str
    backend: str
    dtype: str
    start: int
    iterations: int
    restarts: int
    evaluations: int
    converged: bool
    final_loss: float
    seconds: float
    message: str
    steps: tuple[Step, ...]
    first_point: tuple[Array, ...]
    last_point: tuple[Array, ...]
    data: tuple[Array, ...]


def revived(found: Mapping[str, Any]) -> Trace:
    """Return the trace from the dictionary that `dataclasses.asdict` made of it, here or in another process."""
    points = {name: tuple(found[name]) for name in ("first_point", "last_point", "data")}
    return Trace(**{**found, **points, "steps": tuple(Step(**step) for step in found["steps"])})
