"""The directions in which a difference of two results is seen: one cotangent, and one tangent for each input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autodiff_compare.judge.comparison import layout
from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Directions:
    """Directions of derivatives.

    Parameters
    ----------
    cotangent
        Shaped like the output; `None` for the gradient of a scalar function.
    tangents
        One for each differentiated input, of its shape; empty if none is needed.
    """

    cotangent: Array | None = None
    tangents: tuple[Array, ...] = ()


def directions(case: Case, part: int, entry: int) -> Directions:
    """Return the directions in which an entry of a result is seen.

    Those of a product are the case's own. An entry of a Jacobian is seen along the unit vectors of its row and column,
    an entry of a Hessian along that of its column.

    Parameters
    ----------
    case
        The case.
    part, entry
        The leaf of its result, and the flat index of an entry in it.
    """
    if case.operator is Operator.VJP:
        return Directions(cotangent=case.directions[0])
    if case.operator in (Operator.JVP, Operator.HVP):
        return Directions(tangents=case.directions)
    if case.operator not in (Operator.JACOBIAN, Operator.HESSIAN):
        return Directions()
    last = tuple(layout(case))[part].inputs[-1]
    shapes = [x.shape for x in case.inputs.differentiated]
    row, column = divmod(entry, math.prod(shapes[last]))
    tangents = tuple(_unit(shape, column) if i == last else np.zeros(shape) for i, shape in enumerate(shapes))
    return Directions(_unit(case.output.shape, row) if case.operator is Operator.JACOBIAN else None, tangents)


def _unit(shape: tuple[int, ...], at: int) -> Array:
    found = np.zeros(shape)
    found.flat[at] = 1.0
    return found
