"""Descents: one backend minimises a problem from one start, and the steps are recorded in a trace.

This is the engine of three studies: the matrix inverse, eigenvalue targeting and the cubic fit. `problems.Descent`
chooses one of three kinds:

- *by hand*: value and gradient through `Backend.prepare`, the update through `Backend.step`, the framework's own
  optimizer. With ``accumulate`` the update gets the sum of all gradients so far.
- *minimise*: `Backend.minimiser` gets the function, differentiates and updates.
- *adaptive*: plain steps ``p - alpha g`` in the framework's own array arithmetic. After each update alpha is multiplied
  by ``grow`` if the loss has fallen, else by ``shrink``. Once alpha is below ``smallest``, the point is perturbed (a
  restart): ``Y <- Y + Y * randn * scale / number``, in NumPy, in the dtype of the run.

`autodiff_compare.studies.updates` holds the loops, `autodiff_compare.studies.trace` what they record.

Every point is evaluated once: n updates call value-and-gradient n + 1 times, and once more for each restart with a
``fresh`` gradient, which is evaluated at the new point.

The expected numbers are in ``tests/studies/test_descent.py``. In float64 from start 0 the absolute matrix inverse takes
56 141 updates and 415 restarts (``stale``) or 42 336 and 318 (``fresh``), the squared one 490 and none; eigenvalue
targeting by Adam takes 2172, 3123, 3056 and 2944 updates from starts 0 to 3.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from autodiff_compare.backends import Backend
from autodiff_compare.plan.cases import cast, rounded
from autodiff_compare.problems import Descent, Problem, ProblemError
from autodiff_compare.studies.changes import descent_of
from autodiff_compare.studies.trace import NO_STOP_RULE, Trace
from autodiff_compare.studies.updates import DescentRun, End, Log, adapt, by_hand, minimiser, optimise

#: Updates made before the clock starts: the first one of an optimizer has no state yet, and is compiled by itself.
_WARM = 2


class DescentError(ValueError):
    """A descent that does not exist or contradicts itself; the message says what to change."""


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
    run = DescentRun(backend, problem, descent, rule, start, dtype, rounded(rule.start(start), dtype))
    log = Log(run)
    loop = _prepared_loop(run, rule.max_iterations if max_iterations is None else max_iterations, log)

    def timed() -> Trace:
        begun = time.perf_counter()
        end = loop()
        return _trace(run, log, end, time.perf_counter() - begun)

    return timed


def _trace(run: DescentRun, log: Log, end: End, seconds: float) -> Trace:
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


def _prepared_loop(run: DescentRun, limit: int, log: Log) -> Callable[[], End]:
    """Prepare the functions of a descent, and return its loop: preparation is not timed."""
    adaptive = run.rule.adaptive
    if adaptive is not None:
        both = run.value_and_gradient()
        adapt(run, both, adaptive, adaptive.stream(run.start), min(limit, _WARM), Log(run))
        return partial(adapt, run, both, adaptive, adaptive.stream(run.start), limit, log)
    way = minimiser if run.rule.way == "minimise" else by_hand
    functions = run.minimise() if run.rule.way == "minimise" else run.value_and_gradient()
    optimise(run, way(run, functions), min(limit, _WARM), Log(run))
    return partial(optimise, run, way(run, functions), limit, log)


def _refuse_contradictions(rule: Descent) -> None:
    if rule.way == "minimise" and (rule.accumulate or rule.adaptive):
        raise DescentError("got way='minimise' with accumulate or adaptive, expected way='by_hand': it has no gradient")
    if rule.accumulate and rule.adaptive:
        raise DescentError("got accumulate with adaptive, expected one of them: the adaptive rule sums no gradients")


def _reason(end: End, stop: float | None) -> str:
    """Return why a descent ended without meeting its stop rule."""
    if not math.isfinite(end.loss):
        return f"the loss is {end.loss} after {end.iterations} updates: take a smaller learning rate"
    if stop is None:
        return f"{NO_STOP_RULE}: made its {end.iterations} updates"
    return f"loss {end.loss:.3g} after {end.iterations} updates, expected at most {stop:g}"
