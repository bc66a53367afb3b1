"""Points that a user gives as numbers: as sizes of a problem, or as starts of its descents.

Numbers are filled into the differentiated arrays in order, row by row: of a function of two arrays with one entry each,
``-2, 0.5`` is x = [-2], y = [0.5]. Their count decides the size of the problem, where it has one for them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from autodiff_compare.problems.base.inputs import Inputs
from autodiff_compare.problems.base.problem import Problem, ProblemError

#: Characters of a point in the name of its size; a longer one is abridged, with a digest of its numbers.
_LONGEST = 40
#: Largest size, in numbers given, that is tried beyond those that a problem names.
_MOST_TRIED = 200


def with_points(problem: Problem, points: Sequence[Sequence[complex]], seed: int) -> Problem:
    """Return the problem at the given points: each is a size of it, named ``at=-2,0.5``.

    Parameters
    ----------
    problem
        It loses its own sizes, and its descents and questions, which belong to other points.
    points
        The entries of the differentiated arrays of each point.
    seed
        Seed of the data beside the point.

    Raises
    ------
    ProblemError
        If the problem has no size with so many entries, or the numbers do not fit.
    """

    def draw(n: int) -> Inputs:
        return problem.inputs(np.random.default_rng(seed), n)

    found: dict[str, Inputs] = {}
    numbers: dict[str, int] = {}
    for point in points:
        n = size_with(len(point), draw, list(problem.sizes.values()))
        if n is None:
            expected = _shapes(draw(problem.sizes[problem.smallest]))
            raise ProblemError(f"got {_count(len(point))} for {problem.name}, expected {expected}")
        name = f"at={written(point)}"
        found[name], numbers[name] = filled(draw(n), point), n
    return replace(problem, sizes=numbers, points=found, fixed=True, files={}, instances=None, descent={}, questions=())


def written(point: Sequence[complex]) -> str:
    """Return a point as text: its numbers, or the first of them and a digest if they are many."""
    whole = ",".join(map(number, point))
    if len(whole) <= _LONGEST:
        return whole
    return f"{','.join(map(number, point[:2]))},...{hashlib.sha256(whole.encode()).hexdigest()[:6]}"


def number(value: complex) -> str:
    """Return a number as the shortest text that stands for it: ``-2``, ``0.5``, ``1e-05``, ``1+2j``.

    A negative zero as imaginary part is written, since it chooses the side of a branch cut.
    """
    if isinstance(value, complex) and (value.imag or math.copysign(1.0, value.imag) < 0):
        return f"{value:.17g}" if complex(f"{value}") != value else f"{value}".strip("()")
    return repr(float(value.real)).removesuffix(".0")


def filled(inputs: Inputs, numbers: Sequence[complex]) -> Inputs:
    """Return the inputs with these entries in the differentiated arrays, which keep their shapes.

    Raises
    ------
    ProblemError
        If there are too few or too many numbers, or a complex one for an array of real numbers.
    """
    like = inputs.differentiated
    if len(numbers) != entries(inputs):
        raise ProblemError(f"got {_count(len(numbers))}, expected {_shapes(inputs)}")
    flat = np.asarray(numbers, np.complex128)
    parts = np.split(flat, np.cumsum([x.size for x in like])[:-1])
    if any(part.imag.any() and not np.iscomplexobj(x) for part, x in zip(parts, like, strict=True)):
        raise ProblemError(f"got a complex number, expected real ones: {_shapes(inputs)}")
    made = ((p if np.iscomplexobj(x) else p.real).reshape(x.shape) for p, x in zip(parts, like, strict=True))
    return Inputs(tuple(np.ascontiguousarray(part) for part in made), inputs.data, inputs.static)


def entries(inputs: Inputs) -> int:
    """Return the number of entries of the differentiated arrays."""
    return sum(x.size for x in inputs.differentiated)


def size_with(count: int, draw: Callable[[int], Inputs], known: Sequence[int]) -> int | None:
    """Return the size at which a point has ``count`` entries; `None` if none is found.

    The first of the ``known`` sizes is tried, then those of them that are no larger than the count, then every size up
    to the count: a size beyond it would take long to draw.
    """
    tried = [*known[:1], *(n for n in known[1:] if n <= count), *range(1, min(count, _MOST_TRIED) + 1)]
    return next((n for n in dict.fromkeys(tried) if _entries_at(n, draw) == count), None)


def _entries_at(n: int, draw: Callable[[int], Inputs]) -> int:
    try:
        return entries(draw(n))
    except Exception:  # a size that the problem does not name may not exist
        return -1


def _shapes(inputs: Inputs) -> str:
    """Return in words how many numbers a point takes."""
    shapes = ", ".join(str(x.shape) for x in inputs.differentiated)
    return f"{_count(entries(inputs))}: the entries of {'an array' if shapes.count('(') == 1 else 'arrays'} of {shapes}"


def _count(n: int) -> str:
    return f"{n} number{'s' * (n != 1)}"
