"""Descents: one backend minimises a problem from one start, and the steps are recorded in a trace.

This is the engine of three studies: the matrix inverse, eigenvalue targeting and the cubic fit. `problems.Descent`
chooses one of three kinds:

- *by hand*: value and gradient through `Backend.prepare`, the update through `Backend.step`, the framework's own
  optimizer. With ``accumulate`` the update gets the sum of all gradients so far.
- *minimise*: `Backend.minimiser` gets the function, differentiates and updates.
- *adaptive*: plain steps ``p - alpha g`` in the framework's own array arithmetic. After each update alpha is multiplied
  by ``grow`` if the loss has fallen, else by ``shrink``. Once alpha is below ``smallest``, the point is perturbed (a
  restart): ``Y <- Y + Y * randn * scale / number``, in NumPy, in the dtype of the run.

Every point is evaluated once: n updates call value-and-gradient n + 1 times, and once more for each restart with a
``fresh`` gradient, which is evaluated at the new point.

Example of the adaptive rule: at update n the loss falls from 5.85 to 5.70, so alpha grows from 0.01 to 0.012. Row n + 1
of the log holds (5.70, 0.012), the step size of the *next* update. A restart does not change the loss that the next one
is compared with, be the gradient ``stale`` or ``fresh``: the update counts of the classic study depend on it.

The expected numbers are in ``tests/studies/test_descent.py``. In float64 from start 0 the absolute matrix inverse takes
56 141 updates and 415 restarts (``stale``) or 42 336 and 318 (``fresh``), the squared one 490 and none; eigenvalue
targeting by Adam takes 2172, 3123, 3056 and 2944 updates from starts 0 to 3.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Optional

import numpy as np

from autodiff_compare.backends import Backend, Objective
from autodiff_compare.plan.cases import cast, rounded
from autodiff_compare.problems import Adaptive, Array, Descent, Inputs, Problem, ProblemError
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.studies.changes import descent_of
from autodiff_compare.vocabulary import Operator

Vars = Sequence[Any]

#: Updates made before the clock starts: the first one of an optimizer has no state yet, and is compiled by itself.
_WARM = 2
#: Every iteration up to 1000 is kept; after that, the next one kept is 1 % later.
KEEP_ALL, KEEP_GROWTH = 1000, 1.01


class DescentError(ValueError):
    """A descent that does not exist or contradicts itself; the message says what to change."""


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


def descend(
    backend: Backend,
    problem: Problem,
    descent: str,
    start: int,
    dtype: str,
    max_iterations: int | None = None,
    every: int = 0,
    watch: bool = False,
) -> Trace:
    """Minimise ``problem`` on an opened backend and return the trace: see `prepared`."""
    return prepared(backend, problem, descent, start, dtype, max_iterations, every, watch)()


def prepared(
    backend: Backend,
    problem: Problem,
    descent: str,
    start: int,
    dtype: str,
    max_iterations: int | None = None,
    every: int = 0,
    watch: bool = False,
) -> Callable[[], Trace]:
    """Prepare a descent of ``problem`` on an opened backend; return the function that runs it.

    Gradient and update have been called before it begins, so that nothing is traced or compiled in it.

    Parameters
    ----------
    descent
        A key of ``problem.descent``, and changes of it as in `studies.changes`.
    start
        Seed of the start.
    dtype
        ``"float64"`` or ``"float32"``: of the start, the data and every update.
    max_iterations
        Most updates, in place of the descent's own bound.
    every
        Updates from one recorded step to the next, in place of the descent's own number.
    watch
        Whether each step records the entries of the point, as ``point``.

    Raises
    ------
    DescentError
        If the problem has no such descent, it cannot be changed so, or its options contradict each other.
    Unsupported
        If the backend has no gradient of this function or no optimizer.
    """
    try:
        rule = descent_of(problem, descent)
    except ProblemError as error:
        raise DescentError(str(error)) from error
    _refuse_contradictions(rule)
    point = {"point": lambda *x: np.concatenate([np.ravel(part) for part in x])} if watch else {}
    rule = replace(rule, every=every or rule.every, follow={**rule.follow, **point})
    run = _Run(backend, problem, descent, rule, start, dtype, rounded(rule.start(start), dtype))
    log = _Log(run)
    loop = _prepared_loop(run, rule.max_iterations if max_iterations is None else max_iterations, log)

    def timed() -> Trace:
        begun = time.perf_counter()
        end = loop()
        return _trace(run, log, end, time.perf_counter() - begun)

    return timed


def _trace(run: _Run, log: _Log, end: _End, seconds: float) -> Trace:
    stop = run.rule.stop_loss
    converged = stop is not None and end.tested <= stop
    return Trace(
        problem=run.problem.name,
        descent=run.descent,
        backend=run.backend.spec,
        dtype=run.dtype,
        start=run.start,
        iterations=end.iterations,
        restarts=end.restarts,
        evaluations=end.evaluations,
        converged=converged,
        final_loss=end.loss,
        seconds=seconds,
        message="" if converged else _reason(end, stop),
        steps=tuple(log.steps),
        first_point=tuple(cast(a, run.dtype) for a in run.inputs.differentiated),
        last_point=tuple(run.numpy(end.params)),
        data=tuple(cast(a, run.dtype) for a in run.inputs.data),
    )


def _prepared_loop(run: _Run, limit: int, log: _Log) -> Callable[[], _End]:
    """Prepare the functions of a descent, and return its loop: preparation is not timed."""
    adaptive = run.rule.adaptive
    if adaptive is not None:
        both = run.value_and_gradient()
        _adapt(run, both, adaptive, adaptive.stream(run.start), min(limit, _WARM), _Log(run))
        return partial(_adapt, run, both, adaptive, adaptive.stream(run.start), limit, log)
    way = _minimiser if run.rule.way == "minimise" else _by_hand
    functions = run.minimise() if run.rule.way == "minimise" else run.value_and_gradient()
    _optimise(run, way(run, functions), min(limit, _WARM), _Log(run))
    return partial(_optimise, run, way(run, functions), limit, log)


def revived(found: Mapping[str, Any]) -> Trace:
    """Return the trace from the dictionary that `dataclasses.asdict` made of it, here or in another process."""
    points = {name: tuple(found[name]) for name in ("first_point", "last_point", "data")}
    return Trace(**{**found, **points, "steps": tuple(Step(**step) for step in found["steps"])})


def _refuse_contradictions(rule: Descent) -> None:
    if rule.way == "minimise" and (rule.accumulate or rule.adaptive):
        raise DescentError("got way='minimise' with accumulate or adaptive, expected way='by_hand': it has no gradient")
    if rule.accumulate and rule.adaptive:
        raise DescentError("got accumulate with adaptive, expected one of them: the adaptive rule sums no gradients")


@dataclass(frozen=True)
class _Run:
    """Constants of a descent."""

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
class _End:
    """State at the end of a descent; ``tested`` is the loss that the stop rule tested last."""

    params: Vars
    loss: float
    tested: float
    iterations: int
    evaluations: int
    restarts: int = 0


@dataclass
class _Log:
    """Recorded steps; ``due`` is the next iteration to record."""

    run: _Run
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


def _by_hand(run: _Run, both: Callable[..., Any]) -> Callable[[Vars], _Evaluated]:
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


def _minimiser(run: _Run, minimise: Callable[..., Any]) -> Callable[[Vars], _Evaluated]:
    """Return a function that lets the framework evaluate and update at once; an unwanted update is dropped."""
    data = run.vars(run.inputs.data)
    state: Any = None

    def evaluate(params: Vars) -> _Evaluated:
        nonlocal state
        value, new, state = minimise([*params, *data], state)
        return run.number(value), None, lambda: new

    return evaluate


def _optimise(run: _Run, evaluate: Callable[[Vars], _Evaluated], limit: int, log: _Log) -> _End:
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
    return _End(params, loss, tested, n, n + 1 + fresh, restarts)


def _restarted(run: _Run, params: Vars, rule: Adaptive, stream: np.random.RandomState, number: int) -> Vars:
    """Return ``Y + Y * randn * scale / number``, drawn in float64 and applied in the dtype of the run."""
    point = run.numpy(params)
    moved = (y + y * cast(np.asarray(stream.randn(*y.shape)), run.dtype) * rule.restart_scale / number for y in point)
    return run.vars([np.asarray(y) for y in moved])


def _reason(end: _End, stop: float | None) -> str:
    """Return why a descent ended without meeting its stop rule."""
    if not math.isfinite(end.loss):
        return f"the loss is {end.loss} after {end.iterations} updates: take a smaller learning rate"
    if stop is None:
        return f"no stop rule: made its {end.iterations} updates"
    return f"loss {end.loss:.3g} after {end.iterations} updates, expected at most {stop:g}"
