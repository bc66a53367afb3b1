"""The updates of a descent: the loops that evaluate, record and move a point until the stop rule is met.

`by_hand` and `minimiser` evaluate a point and make the update by a framework's own optimizer; `optimise` is the loop
around either. `adapt` is the loop of the adaptive step-size rule. `autodiff_compare.studies.descent` defines the three
kinds.

Example of the adaptive rule: at update n the loss falls from 5.85 to 5.70, so alpha grows from 0.01 to 0.012. Row n + 1
of the log holds (5.70, 0.012), the step size of the *next* update. A restart does not change the loss that the next one
is compared with, be the gradient ``stale`` or ``fresh``: the update counts of the classic study depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from autodiff_compare.backends import Backend, Objective
from autodiff_compare.plan.cases import cast
from autodiff_compare.problems import Adaptive, Array, Descent, Inputs, Problem
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.studies.trace import KEEP_ALL, KEEP_GROWTH, Step
from autodiff_compare.vocabulary import Operator

Vars = Sequence[Any]


@dataclass(frozen=True)
class DescentRun:
    """The constants of a descent, and the conversions of its arrays to variables of the backend and back."""

    backend: Backend
    problem: Problem
    descent: str
    rule: Descent
    start: int
    dtype: str
    inputs: Inputs

    def vars(self, arrays: Sequence[Array]) -> list[Any]:
        return [self.backend.to_var(cast(array, self.dtype)) for array in arrays]

    def number(self, loss: Any) -> float:
        """Return a loss as a number. A variable need not have ``float()``."""
        return float(self.backend.to_numpy(loss))

    def numpy(self, variables: Vars) -> list[Array]:
        return [np.asarray(self.backend.to_numpy(v)) for v in variables]

    @property
    def objective(self) -> Objective:
        function = self.problem.function(self.backend, self.inputs.static)
        return Objective(function, complete(self.problem, self.inputs, self.rule.optimizer))

    def value_and_gradient(self) -> Callable[..., tuple[Any, Vars]]:
        args = self.vars(self.inputs.arrays)
        argnums = range(len(self.inputs.differentiated))
        return self.backend.prepare(Operator.VALUE_AND_GRADIENT, self.objective, args, argnums=argnums)

    def minimise(self) -> Callable[..., Any]:
        argnums = range(len(self.inputs.differentiated))
        return self.backend.minimiser(self.rule.optimizer, self.objective, self.vars(self.inputs.arrays), argnums)


@dataclass(frozen=True)
class End:
    """State at the end of a descent; ``tested`` is the loss that the stop rule tested last."""

    params: Vars
    loss: float
    tested: float
    iterations: int
    evaluations: int
    restarts: int = 0


@dataclass
class Log:
    """Recorded steps; ``due`` is the next iteration to record."""

    run: DescentRun
    steps: list[Step] = field(default_factory=list)
    due: int = 0

    def keep(self, n: int, loss: float, step_size: float, grads: Vars | None, params: Vars, **extra: Any) -> None:
        """Record a step; ``grads`` is `None` if the framework does not return its gradient."""
        if self.run.rule.follow:
            point = self.run.numpy(params)
            extra |= {name: np.asarray(f(*point)).tolist() for name, f in self.run.rule.follow.items()}
        norm = math.nan if grads is None else _norm(self.run.numpy(grads))
        self.steps.append(Step(n, loss, step_size, norm, extra))
        own = n + 1 if n < KEEP_ALL else math.ceil(n * KEEP_GROWTH)
        self.due = n + self.run.rule.every if self.run.rule.every else own


def _norm(arrays: Sequence[Array]) -> float:
    return math.sqrt(sum(float(np.vdot(wide, wide)) for wide in (a.astype(np.float64) for a in arrays)))


#: The loss at a point, the gradient if it is known, and a function that makes the update.
_Evaluated = tuple[float, Optional[Vars], Callable[[], Vars]]  # noqa: UP045 - a worker's Python may be 3.9


def by_hand(run: DescentRun, both: Callable[..., Any]) -> Callable[[Vars], _Evaluated]:
    """Return a function that evaluates and then updates; it holds the optimizer's state and the summed gradients."""
    data, backend, rule = run.vars(run.inputs.data), run.backend, run.rule
    state: Any = None
    total: Vars | None = None

    def evaluate(params: Vars) -> _Evaluated:
        nonlocal total
        value, grads = both(*params, *data)
        if rule.accumulate:
            total = grads if total is None else [t + g for t, g in zip(total, grads, strict=True)]
            grads = total

        def update() -> Vars:
            nonlocal state
            new, state = backend.step(rule.optimizer, params, grads, state)
            return new

        return run.number(value), grads, update

    return evaluate


def minimiser(run: DescentRun, minimise: Callable[..., Any]) -> Callable[[Vars], _Evaluated]:
    """Return a function that lets the framework evaluate and update at once; an unwanted update is dropped."""
    data = run.vars(run.inputs.data)
    state: Any = None

    def evaluate(params: Vars) -> _Evaluated:
        nonlocal state
        value, new, state = minimise([*params, *data], state)
        return run.number(value), None, lambda: new

    return evaluate


def optimise(run: DescentRun, evaluate: Callable[[Vars], _Evaluated], limit: int, log: Log) -> End:
    """Update by an optimizer until the stop rule is met, the loss is not finite or the limit is reached."""
    rate, after = run.rule.optimizer.learning_rate, run.rule.stop_when == "after"
    stop = -math.inf if run.rule.stop_loss is None else run.rule.stop_loss
    params: Vars = run.vars(run.inputs.differentiated)
    tested, n = math.inf, 0
    while True:
        loss, grads, update = evaluate(params)
        if after:
            tested = loss
        ended = n >= limit or tested <= stop or not math.isfinite(loss)
        if ended or n >= log.due:
            log.keep(n, loss, rate, grads, params)
        if ended:
            return End(params, loss, tested, n, evaluations=n + 1)
        tested = loss
        params, n = update(), n + 1


def adapt(
    run: DescentRun,
    both: Callable[..., tuple[Any, Vars]],
    rule: Adaptive,
    stream: np.random.RandomState,
    limit: int,
    log: Log,
) -> End:
    """Update by the step-size rule of the classic study.

    The loop avoids all overhead that it can: a run makes up to a million updates of 3x3 matrices.
    """
    data = run.vars(run.inputs.data)
    stop = -math.inf if run.rule.stop_loss is None else run.rule.stop_loss
    after, smallest, grow, shrink = run.rule.stop_when == "after", rule.smallest, rule.grow, rule.shrink
    alpha, restarts, n, fresh = run.rule.optimizer.learning_rate, 0, 0, 0
    params: Vars = run.vars(run.inputs.differentiated)
    value, grads = both(*params, *data)
    loss = run.number(value)
    inf, single = math.inf, len(params) == 1
    tested = loss if after else inf
    # Comparisons with nan are false, so a loss that is nan ends the loop, as an infinite one does.
    while n < limit and tested > stop and -inf < loss < inf:
        if alpha < smallest and restarts < rule.max_restarts:
            restarts += 1
            params, alpha = _restarted(run, params, rule, stream, restarts), run.rule.optimizer.learning_rate
            if rule.gradient == "fresh":
                grads, fresh = both(*params, *data)[1], fresh + 1
            log.keep(n, loss, alpha, grads, params, restart=restarts)
        elif n >= log.due:
            log.keep(n, loss, alpha, grads, params)
        # Nearly every descent has one array; this special case saves a third of the loop's own cost.
        if single:
            params = (params[0] - alpha * grads[0],)
        else:
            params = [p - alpha * g for p, g in zip(params, grads, strict=True)]
        value, grads = both(*params, *data)
        before, loss, n = loss, run.number(value), n + 1
        tested = loss if after else before
        alpha *= grow if loss < before else shrink
    log.keep(n, loss, alpha, grads, params)
    return End(params, loss, tested, n, n + 1 + fresh, restarts)


def _restarted(run: DescentRun, params: Vars, rule: Adaptive, stream: np.random.RandomState, number: int) -> Vars:
    """Return ``Y + Y * randn * scale / number``, drawn in float64 and applied in the dtype of the run."""
    point = run.numpy(params)
    moved = (y + y * cast(np.asarray(stream.randn(*y.shape)), run.dtype) * rule.restart_scale / number for y in point)
    return run.vars([np.asarray(y) for y in moved])
