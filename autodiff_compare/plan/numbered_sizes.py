"""Sizes that are given by their number, ``n=1000``: whether a problem can be made at one.

A problem states a few sizes, and its inputs are a function of a number ``n``. Many can be made at any ``n``. Others
cannot: their inputs ignore ``n``, or are defined for some numbers only, or would fill the memory. This is seen by
drawing the inputs, in growing steps, and by evaluating the function where that is cheap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from autodiff_compare.plan.cases import objective_value
from autodiff_compare.plan.unplannable import is_unplannable
from autodiff_compare.problems import Inputs, Problem, ProblemError
from autodiff_compare.problems.base import number_of, numbered
from autodiff_compare.process.failures import described
from autodiff_compare.process.time_limit import TimeLimitExceeded, time_limit

#: Most entries of all arrays of a point: half a GiB of float64.
MOST_ENTRIES = 1 << 26
#: Up to this number of entries, the function is evaluated while the run is planned.
_EVALUATED = 10_000
#: Factor between two sizes at which inputs are drawn to see how they grow.
_STEP = 4
#: Number of entries from which the measured growth tells the number at any larger size: smaller terms no longer count.
_TELLING = 100_000


def refusals(problem: Problem, sizes: Iterable[str], limit_s: float) -> dict[str, str]:
    """Return the sizes that are given by their number and at which a problem cannot be made, each with the reason.

    Parameters
    ----------
    problem
        The problem.
    sizes
        Names of sizes; others than ``n=K`` are passed over, as are the problem's own.
    limit_s
        Seconds for drawing the inputs of one size and evaluating the function once.
    """
    found = {}
    for size in sizes:
        n = number_of(problem.rows_of(size)[0])
        if n is None or problem.rows_of(size)[0] in problem.size_names or is_unplannable(problem):
            continue
        why = _refusal(problem, n, limit_s)
        if why:
            found[size] = why
    return found


def not_made(refused: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield ``n=10, n=100 of problem (reason)`` for the refused sizes of each problem; problems of one reason together.

    Parameters
    ----------
    refused
        Problem -> its refused sizes with the reason of each.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for problem, sizes in refused.items():
        for why in dict.fromkeys(sizes.values()):
            which = ", ".join(size for size, its in sizes.items() if its == why)
            alike.setdefault((which, why), []).append(problem)
    for (which, why), names in alike.items():
        yield f"{which} of {', '.join(names)} ({why})"


def _refusal(problem: Problem, n: int, limit_s: float) -> str:
    """Return why a problem cannot be made at n; empty if it can."""
    if list(problem.sizes.values()) == list(range(len(problem.sizes))):
        return "its sizes are names, not numbers"
    try:
        with time_limit(limit_s):
            return _too_many(problem, n) or _unmade(problem, n)
    except TimeLimitExceeded:
        return f"its inputs are not drawn, or its value is not computed, within {limit_s:g} s"
    except MemoryError as error:
        return f"its inputs do not fit into the memory: {error}"
    except ProblemError as error:
        return str(error)
    except LookupError:  # a table of its own sizes
        own = ", ".join(f"{size} {number}" for size, number in problem.sizes.items())
        return f"it has sizes of its own alone: {own}"
    except (Exception, SystemExit) as error:  # inputs of another size, and a user's code, may raise anything
        return f"{type(error).__name__}: {described(error)}"


def _unmade(problem: Problem, n: int) -> str:
    """Return why the inputs at n are none of that size; the function is evaluated if that is cheap."""
    inputs = problem.draw(numbered(n), 0)
    own, smallest = min((number, size) for size, number in problem.sizes.items())
    if own != n and _shape(inputs) == _shape(problem.draw(smallest, 0)):
        given = "its point is given: write x = lambda n, rng: ..., a function of the size"
        return given if problem.fixed else "its inputs do not depend on n"
    if _entries(inputs) <= _EVALUATED:
        with np.errstate(all="ignore"):
            value = objective_value(problem, inputs)
        if not np.isfinite(value).all():
            return "its value there is nan or infinite: draw a point of its domain"
    return ""


def _too_many(problem: Problem, n: int) -> str:
    """Return why the inputs at n have too many entries.

    Inputs are drawn at growing sizes. From two of them follows the number of entries at the next, as if it grew by a
    power of the size: matrices of n columns are recognised before one of a terabyte is made. Once there are many
    entries, the number at n itself follows, so that an absurd n is refused after milliseconds of drawing.
    """
    at = min(problem.sizes.values())
    if at <= 0 or n <= at:
        return ""
    start, last = at, _entries(problem.inputs(np.random.default_rng(0), at))
    power = 2.0
    while at < n:
        following = min(at * _STEP, n)
        expected = last * (following / at) ** power
        told = n if at > start and last >= _TELLING else following
        # In logarithms, since the power of an absurd size is no float.
        if math.log(max(last, 1)) + power * (math.log(told) - math.log(at)) > math.log(MOST_ENTRIES):
            return f"its inputs would have more than {MOST_ENTRIES} entries"
        try:
            entries = _entries(problem.inputs(np.random.default_rng(0), following))
        except (ValueError, ArithmeticError, LookupError):  # not every number is one of its sizes
            entries = math.ceil(expected)
        power = max(1.0, math.log(max(entries, 1) / max(last, 1)) / math.log(following / at))
        at, last = following, entries
    return ""


def _entries(inputs: Inputs) -> int:
    return sum(int(np.size(a)) for a in inputs.arrays)


def _shape(inputs: Inputs) -> tuple[object, ...]:
    return (*(np.shape(a) for a in inputs.arrays), repr(sorted(inputs.static.items())))
