"""Descents: a problem is minimised by one backend from one start, and what happened on the way is kept.

Three kinds, all told apart by the data in `problems.Descent`:

- *by hand*: value and gradient through `Backend.prepare`, the update through `Backend.step`, the framework's own
  optimizer. With ``accumulate`` the update gets the sum of all gradients so far.
- *minimise*: `Backend.minimiser` is given the function and does both.
- *adaptive*: plain steps ``p - alpha g`` in the framework's own array arithmetic, with alpha growing while the loss
  falls. Where alpha has died there is a restart, made in NumPy in the dtype of the run.

Every point is evaluated once: a run of n updates calls value-and-gradient n + 1 times, and once more for each restart
that asks for the gradient at the new point.

How the adaptive rule counts, by a small example: at update n the loss falls from 5.85 to 5.70, so alpha grows from 0.01
to 0.012 and row n + 1 of the log holds (5.70, 0.012), the step size of the *next* update. A restart changes the
point but not the loss that the next one is compared with: that stays the loss from before the restart, for a
``stale`` and for a ``fresh`` gradient alike. The counts of the classic study depend on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Optional

import numpy as np

from autodiff_compare.backends import Backend, Objective
from autodiff_compare.plan.cases import cast, rounded
from autodiff_compare.problems import Adaptive, Array, Descent, Inputs, Problem
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.vocabulary import Operator

Vars = Sequence[Any]

#: Every iteration up to here is kept; afterwards one as soon as the count has grown by this factor.
KEEP_ALL, KEEP_GROWTH = 1000, 1.01


class DescentError(ValueError):
    """A descent contradicts itself; the message says what to change."""


@dataclass(frozen=True)
class Step:
    """One iteration that was kept.

    Parameters
    ----------
    iteration
        Number of updates made before.
    loss
        At this point; at a restart that from before it, since the next update is compared with that one.
    step_size, gradient_norm
        Of the next update; the norm is nan where the framework keeps its gradient to itself (``minimise``).
    extra
        What `Descent.follow` asks for, by name, and ``restart`` with its number.
    """

    iteration: int
    loss: float
    step_size: float
    gradient_norm: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """A finished descent.

    Parameters
    ----------
    start
        Seed of the start.
    iterations, restarts, evaluations
        Updates made, restarts among them, calls of value-and-gradient (of the minimiser with ``minimise``).
    converged
        Whether the stop rule was met; False where there is none.
    final_loss
        At the last point.
    seconds
        From the first evaluation to the last, logging included, preparation excluded.
    message
        Why it ended, where it did not converge.
    steps
        Those kept: all of the first `KEEP_ALL`, every restart, the last, and a thinning sequence of the others.
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


def descend(
    backend: Backend, problem: Problem, descent: str, start: int, dtype: str, max_iterations: int | None = None
) -> Trace:
    """Minimise ``problem`` on an opened backend.

    Parameters
    ----------
    descent
        A key of ``problem.descent``.
    start
        Seed of the start.
    dtype
        ``"float64"`` or ``"float32"``: of the start, the data and every update.
    max_iterations
        At most so many updates, in place of the descent's own bound.

    Raises
    ------
    DescentError
        If there is no such descent, or it asks for what does not go together.
    Unsupported
        If the backend has no gradient of this function or no optimizer.
    """
    if descent not in problem.descent:
        raise DescentError(
            f"got descent {descent!r}, expected one of {problem.name}: {', '.join(problem.descent) or 'it has none'}"
        )
    rule = problem.descent[descent]
    _refuse_contradictions(rule)
    run = _Run(backend, problem, rule, rounded(rule.start(start), dtype), dtype)
    limit = rule.max_iterations if max_iterations is None else max_iterations
    log = _Log(run)
    if rule.adaptive is None:
        prepared: Any = _minimiser(run) if rule.way == "minimise" else _by_hand(run)
        walk: Callable[[], _End] = partial(_optimise, run, prepared, limit, log)
    else:
        walk = partial(_adapt, run, run.value_and_gradient(), rule.adaptive, rule.adaptive.stream(start), limit, log)
    begun = time.perf_counter()
    end = walk()
    seconds = time.perf_counter() - begun
    converged = rule.stop_loss is not None and end.tested <= rule.stop_loss
    return Trace(
        problem=problem.name,
        descent=descent,
        backend=backend.spec,
        dtype=dtype,
        start=start,
        iterations=end.iterations,
        restarts=end.restarts,
        evaluations=end.evaluations,
        converged=converged,
        final_loss=end.loss,
        seconds=seconds,
        message="" if converged else _why(end, rule.stop_loss),
        steps=tuple(log.steps),
        first_point=tuple(cast(a, dtype) for a in run.inputs.differentiated),
        last_point=tuple(run.numpy(end.params)),
        data=tuple(cast(a, dtype) for a in run.inputs.data),
    )


def revived(found: Mapping[str, Any]) -> Trace:
    """The trace in the dictionary that `dataclasses.asdict` made of it, here or in another process."""
    points = {name: tuple(found[name]) for name in ("first_point", "last_point", "data")}
    return Trace(**{**found, **points, "steps": tuple(Step(**step) for step in found["steps"])})


def _refuse_contradictions(rule: Descent) -> None:
    if rule.way == "minimise" and (rule.accumulate or rule.adaptive):
        raise DescentError("got way='minimise' with accumulate or adaptive, expected way='by_hand': it has no gradient")
    if rule.accumulate and rule.adaptive:
        raise DescentError("got accumulate with adaptive, expected one of them: the adaptive rule adds nothing up")


@dataclass(frozen=True)
class _Run:
    """What is fixed during a descent."""

    backend: Backend
    problem: Problem
    rule: Descent
    inputs: Inputs
    dtype: str

    def vars(self, arrays: Sequence[Array]) -> list[Any]:
        return [self.backend.to_var(cast(array, self.dtype)) for array in arrays]

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


@dataclass(frozen=True)
class _End:
    """How a descent ended; ``tested`` is the loss that the stop rule saw last."""

    params: Vars
    loss: float
    tested: float
    iterations: int
    evaluations: int
    restarts: int = 0


@dataclass
class _Log:
    """Keeps steps; ``due`` is the next iteration to keep."""

    run: _Run
    steps: list[Step] = field(default_factory=list)
    due: int = 0

    def keep(self, n: int, loss: float, step_size: float, grads: Vars | None, params: Vars, **extra: Any) -> None:
        """``grads`` may be unknown."""
        if self.run.rule.follow:
            point = self.run.numpy(params)
            extra |= {name: np.asarray(f(*point)).tolist() for name, f in self.run.rule.follow.items()}
        norm = math.nan if grads is None else _norm(self.run.numpy(grads))
        self.steps.append(Step(n, loss, step_size, norm, extra))
        self.due = n + 1 if n < KEEP_ALL else math.ceil(n * KEEP_GROWTH)


def _norm(arrays: Sequence[Array]) -> float:
    return math.sqrt(sum(float(np.vdot(wide, wide)) for wide in (a.astype(np.float64) for a in arrays)))


#: The loss at a point, the gradient if it is known, and what makes the update.
_Evaluated = tuple[float, Optional[Vars], Callable[[], Vars]]  # noqa: UP045 - a worker's Python may be 3.9


def _by_hand(run: _Run) -> Callable[[Vars], _Evaluated]:
    """Evaluate, then apply; the optimizer's state and the summed gradients live in here."""
    both, data = run.value_and_gradient(), run.vars(run.inputs.data)
    backend, rule = run.backend, run.rule
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

        return float(value), grads, update

    return evaluate


def _minimiser(run: _Run) -> Callable[[Vars], _Evaluated]:
    """The framework evaluates and applies at once; an update that turns out not to be wanted is dropped."""
    data, argnums = run.vars(run.inputs.data), range(len(run.inputs.differentiated))
    minimise = run.backend.minimiser(run.rule.optimizer, run.objective, run.vars(run.inputs.arrays), argnums)
    state: Any = None

    def evaluate(params: Vars) -> _Evaluated:
        nonlocal state
        value, new, state = minimise([*params, *data], state)
        return float(value), None, lambda: new

    return evaluate


def _optimise(run: _Run, evaluate: Callable[[Vars], _Evaluated], limit: int, log: _Log) -> _End:
    """Updates by an optimizer until the stop rule is met, the loss is not finite or the limit is reached."""
    rate = run.rule.optimizer.learning_rate
    stop = -math.inf if run.rule.stop_loss is None else run.rule.stop_loss
    params: Vars = run.vars(run.inputs.differentiated)
    tested, n = math.inf, 0
    while True:
        loss, grads, update = evaluate(params)
        if run.rule.stop_when == "after":
            tested = loss
        ended = n >= limit or tested <= stop or not math.isfinite(loss)
        if ended or n >= log.due:
            log.keep(n, loss, rate, grads, params)
        if ended:
            return _End(params, loss, tested, n, evaluations=n + 1)
        tested = loss
        params, n = update(), n + 1


def _adapt(
    run: _Run,
    both: Callable[..., tuple[Any, Vars]],
    rule: Adaptive,
    stream: np.random.RandomState,
    limit: int,
    log: _Log,
) -> _End:
    """The step-size rule of the classic study. The loop is lean: a run makes up to a million updates of 3x3 numbers."""
    data = run.vars(run.inputs.data)
    stop = -math.inf if run.rule.stop_loss is None else run.rule.stop_loss
    after, smallest, grow, shrink = run.rule.stop_when == "after", rule.smallest, rule.grow, rule.shrink
    alpha, restarts, n, fresh = run.rule.optimizer.learning_rate, 0, 0, 0
    params: Vars = run.vars(run.inputs.differentiated)
    value, grads = both(*params, *data)
    loss = float(value)
    inf, single = math.inf, len(params) == 1
    tested = loss if after else inf
    # Written so that a loss that is nan or infinite ends the loop.
    while n < limit and tested > stop and -inf < loss < inf:
        if alpha < smallest and restarts < rule.max_restarts:
            restarts += 1
            params, alpha = _restarted(run, params, rule, stream, restarts), run.rule.optimizer.learning_rate
            if rule.gradient == "fresh":
                grads, fresh = both(*params, *data)[1], fresh + 1
            log.keep(n, loss, alpha, grads, params, restart=restarts)
        elif n >= log.due:
            log.keep(n, loss, alpha, grads, params)
        # Nearly every descent moves one array; written out, that saves a third of what this loop costs by itself.
        if single:
            params = (params[0] - alpha * grads[0],)
        else:
            params = [p - alpha * g for p, g in zip(params, grads, strict=True)]
        value, grads = both(*params, *data)
        before, loss, n = loss, float(value), n + 1
        tested = loss if after else before
        alpha *= grow if loss < before else shrink
    log.keep(n, loss, alpha, grads, params)
    return _End(params, loss, tested, n, n + 1 + fresh, restarts)


def _restarted(run: _Run, params: Vars, rule: Adaptive, stream: np.random.RandomState, number: int) -> Vars:
    """``Y += Y * randn * scale / number``, drawn in float64 and applied in the dtype of the run."""
    point = run.numpy(params)
    moved = (y + y * cast(np.asarray(stream.randn(*y.shape)), run.dtype) * rule.restart_scale / number for y in point)
    return run.vars([np.asarray(y) for y in moved])


def _why(end: _End, stop: float | None) -> str:
    if not math.isfinite(end.loss):
        return f"the loss is {end.loss} after {end.iterations} updates: take a smaller learning rate"
    if stop is None:
        return f"no stop rule: made its {end.iterations} updates"
    return f"loss {end.loss:.3g} after {end.iterations} updates, expected at most {stop:g}"
