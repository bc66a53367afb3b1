"""Estimates of a case's derivatives: the objective in plain NumPy, differentiated along directions of its inputs."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN
from autodiff_compare.judge import differences
from autodiff_compare.judge.differences import WIDE, Estimates
from autodiff_compare.judge.probe.observations import Direction
from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array
from autodiff_compare.problems.base.closed_forms import first_step
from autodiff_compare.process.failures import described
from autodiff_compare.vocabulary import Operator

#: Operators whose left vector is given: their matrix has one row.
LEFT_GIVEN = frozenset({Operator.GRADIENT, Operator.VJP, Operator.STEP})
#: Operators whose matrix is the Hessian.
HESSIANS = frozenset({Operator.HESSIAN, Operator.SPARSE_HESSIAN})
_SECOND = HESSIANS | {Operator.HVP}
#: Most input entries for which differences are taken in extended precision: it is slow.
_MOST_WIDE = 2**12
#: Bits by which the entries of a given tangent may differ, in units of the inputs, to be moved together.
_BITS_TOGETHER = 14
_MOST_PARTS = 4
#: Part of the middle input below which steps in proportion to that one may miss the scale of an input.
_FAR_BELOW = 2.0**-20
#: Binary exponent of the outputs beyond which they are divided by a power of two.
_EXTREME = 500
_ONE = np.ones((1, 1))


class Estimator:
    """Numerical differences of a case's objective in plain NumPy, whatever the dtype of the case.

    Parameters
    ----------
    case
        A case whose operator is a derivative.
    again
        Take differences that trust no single ladder (`judge.differences.first`).

    Attributes
    ----------
    x, scales
        The inputs as one flat vector, and the scale of each (`judge.differences.scales`).
    parts, shapes
        The leaves within ``x``, and their shapes.
    output
        The objective's value as a flat vector.
    unit
        Power of two by which the objective is divided; 1 unless its size is extreme.
    raised
        The first exception of the objective at a point nearby, in words; empty if there was none.
    """

    def __init__(self, case: Case, *, again: bool = False) -> None:
        self.case, self._again = case, again
        self.second_order = case.operator in _SECOND
        self.raised = ""
        self.shapes = [x.shape for x in case.inputs.differentiated]
        self.x = flat(case.inputs.differentiated).astype(np.float64)
        self.output = np.ravel(case.output).astype(np.float64)
        ends = np.cumsum([0, *(math.prod(shape) for shape in self.shapes)]).tolist()
        self.parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.scales = differences.scales(self.x, self.parts, self._typical())
        # An input times its derivative may overflow where neither does. A power of two divides without rounding.
        biggest = float(np.max(np.abs(self.output[np.isfinite(self.output)]), initial=0.0))
        extreme = biggest > 0 and abs(math.frexp(biggest)[1]) > _EXTREME and case.operator != Operator.STEP
        self.unit = math.ldexp(0.5, math.frexp(biggest)[1]) if extreme else 1.0

    def f(self, point: Array) -> Array:
        """Return the objective divided by `unit`, as a flat vector, at a flat vector of all inputs.

        The objective has a value at the point of the case. Where it raises nearby, its domain has ended: it is nan.
        """
        inputs, problem = self.case.inputs, self.case.problem
        try:
            value = np.asarray(problem.function(PLAIN, inputs.static)(*self.split(point), *inputs.data))
        except Exception as error:  # a user's code may raise anything
            # Code may fail for another type, which says nothing about the domain.
            if point.dtype == np.float64:
                self.raised = self.raised or self._in_words(point, error)
            return np.full(self.output.size, np.nan)
        return np.ravel(value if value.dtype == WIDE else value.astype(np.float64)) / self.unit

    def _in_words(self, point: Array, error: Exception) -> str:
        """Return an exception with the input that has moved most, in units of its scale."""
        words = f"{type(error).__name__}: {described(error)}".splitlines()[0]
        moved = np.abs(point - self.x) / self.scales
        k = int(np.argmax(moved))
        leaf = next(i for i, part in enumerate(self.parts) if part.start <= k < part.stop)
        index = [int(i) for i in np.unravel_index(k - self.parts[leaf].start, self.shapes[leaf])]
        of = f" of input {leaf}" if len(self.parts) > 1 else ""
        return f"the function raises where entry {index}{of} is {point[k]:.6g} instead of {self.x[k]:.6g}: {words}"

    def estimated(self, fixed: Array, direction: Direction) -> tuple[Estimates, Array]:
        """Return the estimates of the observations along a direction, and whether each decides."""
        weights = self._cotangent if self.case.operator in LEFT_GIVEN else fixed
        if self.case.operator == Operator.JVP:
            found = self._along_tangent(lambda u: self._first(u, weights))
        elif self.case.operator == Operator.HVP:
            s = direction.dense(self.x.size)
            found = self._along_tangent(lambda u: self.second(s, u))
        elif self.second_order:
            found = self.second(direction.dense(self.x.size), fixed[0])
        elif self.case.operator == Operator.STEP:
            gradient = self._gradient(direction)
            return self._updates(gradient), gradient.decided
        else:
            found = self._first(direction.dense(self.x.size), weights)
        return found, found.decided

    @functools.cached_property
    def wide(self) -> Any:
        """The floating type wider than float64 in which the objective computes; `None` if it does not."""
        if WIDE is np.float64 or self.x.size > _MOST_WIDE:
            return None
        with np.errstate(all="ignore"):
            return WIDE if self.f(self.x.astype(WIDE)).dtype == WIDE else None

    def _first(self, u: Array, weights: Array) -> Estimates:
        return differences.first(self.f, self.x, u, weights, lambda: self.wide, again=self._again)

    def second(self, s: Array, t: Array) -> Estimates:
        """Return the estimate of ``s H t``."""
        return differences.second(self.f, self.x, s, t, _ONE, lambda: self.wide, again=self._again)

    def _along_tangent(self, estimate: Callable[[Array], Estimates]) -> Estimates:
        """Return the estimate along the given tangent, which may move inputs of very different sizes.

        First no input counts as smaller than the middle one of its leaf. If that decides nothing, the function may live
        on the scale of small inputs. An input far below the middle one may have another unit, whose scale no step saw:
        what is resolved in steps of each input's own size stands.
        """
        middle = np.concatenate([np.full(p.stop - p.start, _middle(self.scales[p])) for p in self.parts])
        found = self._by_parts(np.maximum(self.scales, middle), estimate)
        if not found.decided.all():
            found = self._by_parts(np.maximum(self.scales, middle * 2.0**-30), estimate)
        if not ((self.scales < _FAR_BELOW * middle) & (self._tangent != 0)).any():
            return found
        # In steps of its own size an entry of 1e-300 that is a zero among others of 1 resolves nothing.
        own = self._by_parts(self.scales, estimate)
        return Estimates.choose((found, own), own.resolved.astype(int).tolist())

    def _by_parts(self, scale: Array, estimate: Callable[[Array], Estimates]) -> Estimates:
        """Return the estimate along the tangent, as the sum of those along its parts.

        A step that suits one input is too small for another. A derivative is linear in the tangent: entries of similar
        size, in units of ``scale``, are moved together, in steps of their own.
        """
        t = self._tangent
        moved = np.flatnonzero(t)
        if not moved.size:
            return estimate(t)
        bits = np.frexp(t[moved] / scale[moved])[1]
        low, high = int(bits.min()), int(bits.max())
        count = min(_MOST_PARTS, 1 + (high - low) // _BITS_TOGETHER)
        part = (bits - low) * count // (high - low + 1)
        found = []
        for k in np.unique(part):
            length = 2.0 ** -float(bits[part == k].max())
            u = np.zeros_like(t)
            u[moved[part == k]] = t[moved[part == k]] * length
            found.append(estimate(u).divided(length))
        return Estimates.add(found)

    def _gradient(self, direction: Direction) -> Estimates:
        length = self.scales[direction.indices[0]]
        u = self.project((direction.dense(self.x.size) * length)[None])[0]
        return self._first(u, self._cotangent).divided(length)

    def _updates(self, gradient: Estimates) -> Estimates:
        """Return the estimates of updates from those of gradient entries.

        The update of an entry is a monotone function of its gradient, whatever the rule. So the ends of the bar of the
        gradient give the ends of the bar of the update.
        """

        def update(g: Array) -> Array:
            return first_step(self.case.optimizer, (np.zeros_like(g),), (g,))[0]

        d, bar = gradient.derivative, gradient.bar
        middle = update(d)
        ends, far = (
            np.abs(np.stack([update(d - w), update(d + w)]) - middle).max(axis=0) for w in (bar, gradient.doubt)
        )
        return replace(
            gradient, derivative=middle, bar=ends, doubt=far, low=update(gradient.high), high=update(gradient.low)
        )

    @functools.cached_property
    def _cotangent(self) -> Array:
        given = self.case.directions if self.case.operator == Operator.VJP else (np.ones(self.output.size),)
        return np.ravel(given[0])[None].astype(np.float64)

    @functools.cached_property
    def _tangent(self) -> Array:
        return flat(self.case.directions).astype(np.float64)

    def _typical(self) -> Array | None:
        """Return the sizes that the problem states for its inputs; nan where it states none."""
        given = self.case.problem.typical
        if not given:
            return None
        stated = (np.nan if size is None else size for size in given)
        return flat([np.broadcast_to(np.asarray(size, float), s) for size, s in zip(stated, self.shapes, strict=True)])

    def unit_direction(self, coordinate: int) -> Array:
        """Return the projected direction that moves one input by its scale."""
        row = np.zeros((1, self.x.size))
        row[0, coordinate] = self.scales[coordinate]
        projected: Array = self.project(row)[0]
        return projected

    def split(self, point: Array) -> list[Array]:
        """Return a flat vector as the differentiated inputs."""
        return [point[part].reshape(shape) for part, shape in zip(self.parts, self.shapes, strict=True)]

    def project(self, rows: Array) -> Array:
        """Return directions, as rows, after the problem's normalisation."""
        normalise = self.case.problem.normalise
        if normalise is None or not len(rows):
            return rows
        return np.stack([flat([np.asarray(normalise.apply(part)) for part in self.split(row)]) for row in rows])

    @functools.cached_property
    def projects(self) -> bool:
        """Return whether the normalisation P is an orthogonal projection: ``P^T = P = P P`` on random vectors."""
        if self.case.problem.normalise is None:
            return True
        a, b = np.random.default_rng(0).normal(size=(2, 1, self.x.size))
        pa, pb = self.project(a), self.project(b)
        return bool(np.allclose(pa @ b.T, a @ pb.T) and np.allclose(self.project(pa), pa))


def _middle(scale: Array) -> float:
    return float(np.sort(scale)[(scale.size - 1) // 2]) if scale.size else 1.0


def flat(arrays: Sequence[Array]) -> Array:
    """Return arrays as one flat vector."""
    return np.concatenate([np.ravel(a) for a in arrays])
