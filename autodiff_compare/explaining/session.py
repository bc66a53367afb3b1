"""One explanation from names: a problem, two backends and an operator become results, and the search begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.backends import load
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.pool import passing_pool
from autodiff_compare.explaining.alone import word_of
from autodiff_compare.explaining.directions import directions
from autodiff_compare.explaining.marked import MarkedSearch, MarkError
from autodiff_compare.explaining.parting import differences
from autodiff_compare.explaining.recording.recorder import RecordError
from autodiff_compare.explaining.records import STAGES, Explanation, entry_of
from autodiff_compare.explaining.search import Search
from autodiff_compare.explaining.workers import Ask
from autodiff_compare.judge.comparison import layout, shapes_in_words
from autodiff_compare.judge.judge import Judge
from autodiff_compare.plan.cases import Case, build_case, sent
from autodiff_compare.plan.plan import Plan, PlanError, load_problems, plan_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Array, Problem
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.interruption import result_of
from autodiff_compare.vocabulary import Operator

#: Request -> what a listener is told.
_DOING = {
    "cell": "computing the result",
    "program": "comparing operations",
    "taps": "listing taps",
    "tapped": "comparing taps",
}


class ExplainError(Exception):
    """A difference cannot be explained; the message says why and what to do."""


def planned(query: Query) -> Plan:
    """Return the plan of one cell on two backends.

    Parameters
    ----------
    query
        A problem and two backends. Without an operator it is the gradient, of a vector function the Jacobian; the
        product of the Hessian with a vector if a backend has an order of modes.

    Raises
    ------
    PlanError
        If a name does not exist, a file holds several problems, the backends are the same, or no stage explains the
        operator.
    """
    if len(query.backends) != 2:
        raise PlanError(f"got {query.backends[0]} twice, expected two backends, variants or orders of modes")
    found, sources = load_problems(query)
    if len(found) != 1:
        raise PlanError(f"got {len(found)} problems in {query.problems[0]}, expected a file with one")
    if not query.operators:
        query = replace(query, operators=[_default(found[0], query.backends)])
    (name,) = query.operators
    if name in list(Operator) and Operator(name) not in STAGES:
        raise PlanError(f"got operator {name}, expected one that can be explained: {', '.join(map(str, STAGES))}")
    made = plan_problems(found, sources, query)
    idle = {*made.specs} - {cell.spec for cell in made.cells}
    if idle:
        raise PlanError("; ".join(made.dropped) or f"got {min(idle)}, which does not compute {name} of {found[0].name}")
    return made


def _default(problem: Problem, specs: Sequence[str]) -> str:
    if Operator.GRADIENT not in problem.operators:
        return str(Operator.JACOBIAN)
    try:
        ordered = any(load(spec.partition("@")[0]).order for spec in specs)
    except ValueError as error:
        raise PlanError(str(error)) from error
    return str(Operator.HVP if ordered else Operator.GRADIENT)


def explained(plan: Plan, settings: Settings, listener: Silent | None = None) -> Explanation:
    """Return the explanation of a plan of `planned`; a listener is told what is being computed.

    Raises
    ------
    ExplainError
        If a backend gives no result, the objective cannot be recorded, or a backend cannot compute what was recorded.
    """
    (problem,), cell = plan.problems, plan.cells[0]
    if problem.complex_numbers:
        raise ExplainError(
            f"got complex numbers in {problem.name}, expected a function of real ones: pass real and imaginary parts as"
            " two inputs"
        )
    case = build_case(problem, cell.size, cell.dtype, cell.operator, plan.seed)
    first, second = plan.specs
    with _asking(plan, settings, listener or Silent()) as (ask, together):
        results = together(lambda spec: _result(plan, case, spec, ask))
        found = differences(case, *results)
        if not found:
            return Explanation(first, second, None)
        worst = found[0]
        leaf = tuple(layout(case))[worst.part]
        entry, seen = entry_of(worst, leaf.name, leaf.shape), directions(case, worst.part, worst.entry)
        search: Search | MarkedSearch = Search(case, (first, second), ask, seen, nan=worst.nan)
        if any(_is_native(problem, plan.adapters[spec]) for spec in plan.specs):
            search = MarkedSearch(case, (first, second), ask, seen, plan.sources[problem.name])
        try:
            stages, parted, decided = search.found()
        except WorkerError as error:
            raise ExplainError(f"cannot compute the intermediate results: {_words(error)}") from error
        except (RecordError, MarkError) as error:
            raise ExplainError(str(error)) from error
    return Explanation(first, second, entry, stages, parted, decided, _verdicts(case, results))


def _is_native(problem: Problem, spec: str) -> bool:
    """Return whether a backend has a function of its own for the problem."""
    backend = load(spec)
    return backend.spec in problem.native or backend.name in problem.native


def _verdicts(case: Case, results: Sequence[Sequence[Array]]) -> tuple[str, ...]:
    """Return what the judge says about each result."""
    try:
        judge = Judge(case)
        return tuple(word_of(judge(result)) for result in results)
    except Exception:  # a user's function may raise anything in plain NumPy
        return ("not judged",) * len(results)


#: Returns what a function gives for each backend of a plan, in their order.
Together = Callable[[Callable[[str], Sequence[Array]]], list[Sequence[Array]]]


@contextmanager
def _asking(plan: Plan, settings: Settings, listener: Silent) -> Iterator[tuple[Ask, Together]]:
    """Return, within a context, a function that sends requests to the workers of a plan, and one for both at once.

    The first request to a worker imports its framework, which takes one processor. So both are made side by side, each
    on a share of the processors, if there are two.
    """
    # A worker ends with the thread that started it, so these threads stay until the pool is closed.
    with ThreadPoolExecutor(len(plan.specs)) as threads, passing_pool(plan, settings, listener) as pool:
        deadline_s = settings.deadline_s(plan.cells[0].size)
        shares = dict(zip(plan.specs, pool.shares, strict=False))

        def ask(spec: str, verb: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
            listener.doing(f"{_DOING[verb]} on {spec}")
            try:
                if spec in shares:
                    return pool.request_on(shares[spec], spec, verb, deadline_s, **params)
                return pool.request(spec, verb, deadline_s, **params)
            except WorkerError as error:
                raise WorkerError(error.status, f"{spec}: {error}", fatal=error.fatal) from error

        def together(compute: Callable[[str], Sequence[Array]]) -> list[Sequence[Array]]:
            if len(shares) < len(plan.specs):
                return list(map(compute, plan.specs))
            try:
                return [result_of(found) for found in [threads.submit(compute, spec) for spec in plan.specs]]
            except BaseException:
                # The other thread is waited for at the end, and need not finish its request.
                pool.kill()
                raise

        yield ask, together


def _result(plan: Plan, case: Case, spec: str, ask: Ask) -> Sequence[Array]:
    """Return the leaves of the case on a backend."""
    foreign = case.problem.fixed or spec in plan.interpreters
    params = {
        "source": plan.sources[case.problem.name],
        "problem": case.problem.name,
        "size": case.size,
        "dtype": case.dtype,
        "operator": case.operator,
        "seed": plan.seed,
        "numbers": sent(case) if foreign else (),
    }
    try:
        answer = ask(spec, "cell", params)
    except WorkerError as error:
        raise ExplainError(f"no {case.operator} to compare: {_words(error)}") from error
    if not answer["repeatable"]:
        raise ExplainError(f"{spec} gives other numbers at a second call: a random function has no derivative")
    result: Sequence[Array] = answer["result"]
    got, expected = [np.shape(leaf) for leaf in result], [leaf.shape for leaf in layout(case)]
    if got != expected:
        shapes = f"got {shapes_in_words(got)}, expected {shapes_in_words(expected)}"
        raise ExplainError(f"{spec} gives a {case.operator} of another shape: {shapes}")
    return result


def _words(error: WorkerError) -> str:
    spec, _, message = str(error).partition(": ")
    status = str(error.status).replace("_", " ")
    lines = message.strip().splitlines() or [""]
    return f"{spec}: {lines[0]}" if lines[0].startswith(status) else f"{spec}: {status}: {lines[0]}"
