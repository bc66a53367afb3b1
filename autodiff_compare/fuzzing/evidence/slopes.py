"""Whether a function has derivatives at a point, as numerical differences see it, and where a gradient leaves them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from autodiff_compare.fuzzing.evidence.nearness import flat
from autodiff_compare.fuzzing.evidence.point import STEP, Point
from autodiff_compare.judge import differences
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator, Verdict

#: Random directions along which a curvature is sought, and the widest bar of one, as a part of it or of 1.
_DIRECTIONS, _UNSETTLED = 3, 1e-2


class Slopes:
    """The slopes and curvatures of a function at a point.

    Parameters
    ----------
    point
        The point.
    """

    def __init__(self, point: Point) -> None:
        self.point = point

    @functools.cached_property
    def exist(self) -> bool:
        """Return whether the function has a slope along every input, and along a random direction the sum of them."""
        point = self.point
        t, weights = flat(point.case(Operator.JVP).directions), np.eye(point.case(Operator.VALUE).output.size)
        steps = STEP * point.scale
        seen = [differences.first(point.f, point.x, row, weights).divided(h)
                for row, h in zip(np.diag(steps), steps, strict=True)]  # fmt: skip
        along = differences.first(point.f, point.x, STEP * t, weights).divided(STEP)
        if not all(verdict == Verdict.PASS for each in (*seen, along) for verdict in each.verdicts):
            return False
        total = sum((x * each.derivative for x, each in zip(t, seen, strict=True)), np.zeros(len(weights)))
        slack = 3 * along.bar + sum(3 * np.abs(x) * each.bar for x, each in zip(t, seen, strict=True))
        size = 1.0 + np.abs(along.derivative)
        return bool(np.all(np.abs(total - along.derivative) <= slack + 1e-9 * size) and np.all(slack <= 1e-3 * size))

    @functools.cached_property
    def curvature_exists(self) -> bool:
        """Return whether numerical differences find a curvature, the same on both sides of the point.

        Each entry is tried alone, since a jump in one may be small beside the curvature of all.
        """
        point = self.point
        rng, n = np.random.default_rng(point.seed), point.x.size
        together = rng.uniform(0.5, 1.5, (_DIRECTIONS, n)) * rng.choice([-1.0, 1.0], (_DIRECTIONS, n))
        weights = np.ones((1, point.case(Operator.VALUE).output.size))
        for u in point.scale * np.concatenate([np.eye(n), together]):
            seen = differences.second(point.f, point.x, u, u, weights)
            if seen.verdicts[0] != Verdict.PASS or not 3 * seen.bar[0] <= _UNSETTLED * (1 + abs(seen.derivative[0])):
                return False
        return True

    def outside(self, operator: Operator, found: Sequence[Array]) -> str:
        """Return in words where a gradient at a kink is outside the one-sided derivatives; empty if nowhere.

        One operation has the kink and all others are smooth, so that the derivatives by the chain rule are its
        subgradients, mapped linearly: along each direction they lie between the derivatives of both sides.
        """
        if operator not in (Operator.GRADIENT, Operator.VJP):
            return ""
        point = self.point
        (u,) = point.case(operator).directions or (np.ones(()),)
        g, n = flat(found).astype(np.float64), point.x.size
        for d in (*np.eye(n), np.ones(n), flat(point.case(Operator.JVP).directions)):
            seen = differences.first(point.f, point.x, STEP * d * point.scale, np.ravel(u)[None]).divided(STEP)
            middle, bar = float(seen.derivative[0]), 3 * float(seen.bar[0])
            low, high = (float(seen.low[0]), float(seen.high[0])) if seen.kinked[0] else (middle - bar, middle + bar)
            slope = float(g @ (d * point.scale))
            slack = 1e-6 * (1.0 + abs(slope))
            if np.isfinite(low) and np.isfinite(high) and not low - slack <= slope <= high + slack:
                return (
                    f"{operator} at a kink: got {slope:.6g} along {d}, one-sided derivatives {low:.6g} and {high:.6g}"
                )
        return ""
