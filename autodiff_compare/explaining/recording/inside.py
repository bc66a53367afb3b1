"""The function within a nested derivative, as a program of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from autodiff_compare.explaining.recording.program import Program, Step, Use
from autodiff_compare.explaining.recording.recorder import Recorder, recorded_by, variable_of
from autodiff_compare.problems import Inputs, Problem


def recorded_inside(problem: Problem, inputs: Inputs, number: int, *, unrolled: bool) -> Program | None:
    """Return the program of a function that an objective differentiates, at the point where it does.

    Its first input is the function's own. Others are the variables around it that depend on the objective's inputs.

    Parameters
    ----------
    problem, inputs, unrolled
        As for `autodiff_compare.explaining.recording.recorder.recorded`.
    number
        Index of the nested derivative among the operations of the objective.

    Returns
    -------
    Program or None
        `None` if the function returns a constant, or reads complex numbers from around it.
    """
    recorder = Recorder(unrolled, number)
    outer = recorded_by(recorder, problem, inputs)
    if recorder.inside is None:
        return None
    z, steps, out = recorder.inside
    own = {z.name, *(v.name for step in steps for v in step.results)}
    known = outer.variables()
    named = dict.fromkeys(itertools.chain(_names(steps), [out.name]))
    around = [known[name] for name in named if name in known and name not in own]
    active = [v for v in around if v.active]
    if not out.active or any(v.kind == "c" for v in active):
        return None
    data = tuple(v for v in around if not v.active)
    return replace(outer, inputs=(variable_of(z), *active), data=data, steps=steps, output=out.name, decided=())


def _names(steps: Sequence[Step]) -> Iterator[str]:
    """Yield the variables that operations name, also for their dtypes alone."""
    for step in steps:
        yield from (piece.name for piece in step.text if isinstance(piece, Use))
        for body in step.bodies:
            yield from _names(body.steps)
            yield from (piece.name for piece in body.result if isinstance(piece, Use))
