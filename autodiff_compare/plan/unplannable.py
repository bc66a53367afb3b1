"""A user's file that cannot be planned: it stands in the plan for its own rows, so that the other files run."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from autodiff_compare.plan.query import DEFAULT_SIZES
from autodiff_compare.problems import Problem, ProblemError
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Unplannable:
    """The function and the inputs of a file that cannot be planned: whoever asks for them is told why."""

    why: str

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise ProblemError(self.why)


def is_unplannable(problem: Problem) -> bool:
    """Return whether a problem is the stand-in of a file that cannot be planned."""
    return isinstance(problem.objective, Unplannable)


def stand_in(path: str, why: str, sizes: Iterable[str], operators: Sequence[str]) -> Problem:
    """Return a problem in the place of a file, whose cells all end with the reason.

    Parameters
    ----------
    path
        The user's file.
    why
        Reason why it cannot be planned.
    sizes
        Sizes of the run; the stand-in has them in addition to the default.
    operators
        Operators of the query; the value if it names none, since the file's own operators are unknown.
    """
    missing = Unplannable(why)
    return Problem(
        name=pathlib.Path(path).stem,
        title="a file that cannot be planned",
        source=path,
        sizes=dict.fromkeys((*DEFAULT_SIZES, *sizes), 0),
        inputs=missing,
        objective=missing,
        operators=frozenset(map(Operator, operators)) or frozenset({Operator.VALUE}),
        suites=frozenset(),
    )
