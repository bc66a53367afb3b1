"""Numerical differences of derivatives along directions: Hessian diagonals, Laplacians, their estimates, Taylor series.

With curvatures ``q(v) = v H v``, the second derivative of the function along v:

- the diagonal of the Hessian holds ``q(e_i)``, the Laplacian is their sum;
- the estimate of the Laplacian is the mean of ``q(v_r)`` over given directions, and its half width is a multiple of the
  norm of their deviations. A norm changes by no more than its argument, so the bars of the ``q(v_r)`` bound its error;
- a Taylor series holds the derivatives of all orders along one direction.

A curvature is quadratic in the direction, so that inputs of different units are moved in groups:
``q(v) = sum_gh v_g H v_h`` for the parts v_g of v.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from autodiff_compare.backends import half_width
from autodiff_compare.judge.differences import FEW, Estimates
from autodiff_compare.judge.differences.high_orders import along
from autodiff_compare.judge.probe.estimator import Estimator, flat
from autodiff_compare.judge.probe.findings import Finding, Judged, Place, summary, worst
from autodiff_compare.judge.probe.observations import NOTHING_UNSEEN
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator, Verdict

#: Most entries of a diagonal that are looked at; of more, random ones are.
_MOST_ENTRIES = 64
#: Most inputs for a Laplacian by differences, which takes some hundred values of the function for each.
_MOST_SUMMED = 1024
#: Part of the function's size below which a term of a Taylor series counts as zero; so does a half width of its mean.
_NEGLIGIBLE = 1e-6
#: Binary exponents by which inputs may differ, in units of their scales, to be moved together.
_BITS_TOGETHER = 14


class DirectionalProbe:
    """Numerical differences of a case whose results are derivatives along directions.

    Parameters
    ----------
    case
        A case of ``hessian_diagonal``, ``laplacian``, ``laplacian_estimate`` or ``taylor``.
    every
        Look at every entry of a diagonal.
    again
        Take differences that trust no single ladder.
    """

    #: As of `judge.probe.Probe`: results are not normalised.
    projects = True

    def __init__(self, case: Case, every: bool = False, *, again: bool = False) -> None:
        self.case, self.every = case, every
        self.objective = Estimator(case, again=again)

    def check(self, derivative: Sequence[Array], rounding: Sequence[Array], *, again: bool = False) -> Finding:
        """Compare a derivative with every observation; parameters as of `judge.probe.Probe.check`."""
        found = self._checked(derivative, rounding)
        return self._again.check(derivative, rounding) if again and found.verdict == Verdict.FAIL else found

    @functools.cached_property
    def _again(self) -> DirectionalProbe:
        return DirectionalProbe(self.case, self.every, again=True)

    def _checked(self, derivative: Sequence[Array], rounding: Sequence[Array]) -> Finding:
        got, slack = (flat(leaves).astype(np.float64) for leaves in (derivative, rounding))
        if not got.size:
            return Finding(Verdict.PASS, 0.0, 0.0, 0.0, 0.0, "empty")
        if self.observed is None:
            words = f"more than {_MOST_SUMMED} inputs: a Laplacian by differences would take too long"
            return Finding(Verdict.UNDETERMINED, math.nan, math.nan, math.nan, math.nan, words)
        places, found = self.observed
        unit = self.objective.unit
        judged = Judged(
            found=found,
            known=found.decided | self._negligible(found),
            got=got[places] / unit,
            slack=slack[places] / unit,
            part=limits(self.case.dtype).meaningful,
            excused=np.zeros(places.size, bool),
            alone=np.ones(places.size, bool),
            slopes=False,
        )
        k = judged.worst
        order = "differences along the direction" if self.case.operator == Operator.TAYLOR else "second differences"
        how = f"{order}, in steps down to {float(found.step[k]):.2g} of it"
        return summary(judged, k, Place(None, self._in_words(int(places[k])), (), how), NOTHING_UNSEEN, unit)

    @functools.cached_property
    def observed(self) -> tuple[Array, Estimates] | None:
        """The flat indices of the numbers that are looked at, and their estimates; `None` if that takes too long."""
        return _OBSERVED[self.case.operator](self)

    def curvature(self, v: Array) -> Estimates:
        """Return the estimate of ``v H v``."""
        parts = list(self._parts(v))
        found = []
        for (s, a), (t, b) in itertools.combinations_with_replacement(parts, 2):
            one = self.objective.second(s, t)
            found.append(one.divided(a * b if s is t else a * b / 2))
        return Estimates.add(found)

    def _parts(self, v: Array) -> list[tuple[Array, float]]:
        """Return the parts of a direction that move inputs of similar size, each scaled to it, with the factors."""
        moved = np.flatnonzero(v)
        if not moved.size:
            return [(v, 1.0)]
        bits = np.frexp(v[moved] / self.objective.scales[moved])[1]
        group = (bits - bits.min()) // _BITS_TOGETHER
        parts = []
        for g in np.unique(group):
            length = 2.0 ** -float(bits[group == g].max())
            part = np.zeros_like(v)
            part[moved[group == g]] = v[moved[group == g]] * length
            parts.append((part, length))
        return parts

    def _entries(self) -> tuple[Array, Estimates]:
        n = self.objective.x.size
        chosen = np.arange(n)
        if n > max(FEW, _MOST_ENTRIES) and not self.every:
            chosen = np.sort(np.random.default_rng(self.case.seed).choice(n, _MOST_ENTRIES, replace=False))
        return chosen, Estimates.join([self.curvature(np.eye(1, n, i)[0]) for i in chosen.tolist()])

    def _sum(self) -> tuple[Array, Estimates] | None:
        n = self.objective.x.size
        if n > _MOST_SUMMED:
            return None
        return np.zeros(1, int), Estimates.add([self.curvature(np.eye(1, n, i)[0]) for i in range(n)])

    def _mean(self) -> tuple[Array, Estimates]:
        rows = np.concatenate([d.reshape(len(d), -1) for d in self.case.directions], axis=1)
        q = Estimates.join([self.curvature(row.astype(np.float64)) for row in rows])
        k = len(rows)
        deviations = q.derivative - q.derivative.mean()
        norm, width = float(np.linalg.norm(deviations)), half_width(k)
        verdict = worst(q.verdicts)
        nan = np.full(2, math.nan)
        found = Estimates(
            derivative=np.array([q.derivative.mean(), width * norm]),
            bar=np.array([q.bar.mean(), width * float(np.linalg.norm(q.bar))]),
            doubt=np.array([q.doubt.mean(), width * float(np.linalg.norm(q.doubt))]),
            low=nan,
            high=nan,
            size=np.full(2, q.size.max()),
            step=np.full(2, q.step.min()),
            verdicts=(verdict, verdict),
        )
        return np.arange(2), found

    def _series(self) -> tuple[Array, Estimates]:
        v, length = flat(self.case.directions).astype(np.float64), self._length
        found = along(self.objective.f, self.objective.x, v * length, self.case.degree, lambda: self.objective.wide)
        every = [one.divided(length**k) for k, one in enumerate(found, 1)]
        return np.arange(self.case.degree * self.objective.output.size), Estimates.join(every)

    def _negligible(self, found: Estimates) -> Array:
        """Return where a bar is small against what it belongs to: those of a derivative that is zero are never narrow.

        A half width is the error of the mean: it is zero where all curvatures agree, as for one input or a diagonal
        Hessian. A term of a Taylor series moves the series within its scale. Rounding is magnified in high orders, so
        that the bar of a term that is zero is never a few roundings.
        """
        if self.case.operator == Operator.LAPLACIAN_ESTIMATE:
            mean = np.abs(found.derivative[0]) if found.decided[0] else 0.0
            return np.array([False, 3 * found.bar[1] <= _NEGLIGIBLE * mean])
        if self.case.operator != Operator.TAYLOR:
            return np.zeros(found.bar.shape, bool)
        orders = np.repeat(np.arange(1, self.case.degree + 1), self.objective.output.size)
        reach = [self._length**k / math.factorial(k) for k in orders.tolist()]
        with np.errstate(invalid="ignore"):
            return np.asarray(3 * found.bar * reach <= _NEGLIGIBLE * found.size)

    @functools.cached_property
    def _length(self) -> float:
        """Return the largest part of the given tangent by which no input moves more than its scale."""
        v, scales = flat(self.case.directions).astype(np.float64), self.objective.scales
        moved = v != 0
        return float(np.min(scales[moved] / np.abs(v[moved]), initial=np.inf)) if moved.any() else 1.0

    def _in_words(self, place: int) -> str:
        if self.case.operator == Operator.TAYLOR:
            order, entry = divmod(place, self.objective.output.size)
            return f"entry [{order + 1}, {entry}]"
        if self.case.operator == Operator.HESSIAN_DIAGONAL:
            return f"entry [{place}]"
        return "half width" if place else "the sum" if self.case.operator == Operator.LAPLACIAN else "the mean"


_OBSERVED: dict[Operator, Callable[[DirectionalProbe], tuple[Array, Estimates] | None]] = {
    Operator.HESSIAN_DIAGONAL: DirectionalProbe._entries,
    Operator.LAPLACIAN: DirectionalProbe._sum,
    Operator.LAPLACIAN_ESTIMATE: DirectionalProbe._mean,
    Operator.TAYLOR: DirectionalProbe._series,
}
