"""The verdict on an estimate of a Laplacian: right for its random directions, and how far from the Laplacian itself.

An estimate is judged like any result: for the directions that were drawn, mean and half width are functions of the
inputs. That they are right does not make the mean the Laplacian. So a right mean is an ``estimate``, not a ``pass``,
and its note compares it with the Laplacian: of 100 estimates, 95 are within their half widths of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from autodiff_compare.judge.comparison import join_notes
from autodiff_compare.judge.reference import reference_for
from autodiff_compare.judge.verdicts import Comparison
from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator, Verdict

#: Most inputs for which the Laplacian itself is computed: it takes a product with the Hessian for each.
_MOST_INPUTS = 512


def estimated(case: Case, found: Sequence[Comparison], result: Sequence[Array]) -> Iterator[Comparison]:
    """Yield the comparisons of an estimate, with the verdict ``estimate`` in place of a ``pass`` of the mean."""
    for k, comparison in enumerate(found):
        if k or comparison.verdict != Verdict.PASS:
            yield comparison
        else:
            note = join_notes(comparison.note, _distance(case, *(float(np.ravel(leaf)[0]) for leaf in result)))
            yield replace(comparison, verdict=Verdict.ESTIMATE, note=note)


def _distance(case: Case, mean: float, half_width: float) -> str:
    """Return in words where the Laplacian is; empty if it is not known."""
    if sum(x.size for x in case.inputs.differentiated) > _MOST_INPUTS:
        return ""
    arrays = reference_for(replace(case, operator=Operator.LAPLACIAN, directions=())).arrays
    if arrays is None:
        return ""
    exact = float(arrays[0])
    where = "within" if abs(mean - exact) <= half_width else "outside of"
    return f"the Laplacian is {exact:.6g}, {where} {mean:.6g} +- {half_width:.2g}"
