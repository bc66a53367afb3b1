"""Numerical differences of a case: observations of its derivative, and the same observations of a result.

Every derivative is read as a matrix ``M``: a gradient has one row, a JVP one column, a Jacobian is ``outputs x
inputs``, a Hessian ``inputs x inputs``. An observation is a number ``l @ M @ r``. Differences of the objective give it
without ``M``: for a first derivative ``l @ J @ r`` is the derivative of ``l @ f`` along ``r``, for a Hessian ``l @ H @
r`` is the mixed second derivative of ``f`` along ``l`` and ``r``. The same number is computed from the result under
test, and both must agree within the error bar of the difference and the rounding of the result.

Which ``l`` and ``r`` are observed: the side that the operator takes as an argument (the tangent of a JVP, the cotangent
of a VJP) is given; the other is probed coordinate by coordinate, or by few vectors if there are many coordinates. A
Hessian is probed on the right by one random vector ``r``. A wrong row ``e`` of the error goes unnoticed only if
``e @ r = 0``. Such ``r`` form a hyperplane, which has probability zero (the idea of Freivalds 1977).

Every input moves in proportion to its own size, so that all observations have the unit of the function. An entry that
drowns in the error bars of others is looked at alone; the finding counts those that remain.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN
from autodiff_compare.judge import differences
from autodiff_compare.judge.comparison import WIDE
from autodiff_compare.judge.differences import CHOSEN_COORDINATES, FEW, MEANINGFUL, Estimates
from autodiff_compare.judge.findings import Finding, Judged, Place, summary
from autodiff_compare.judge.observations import NOTHING_UNSEEN, Direction, Group, Unseen, unseen
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.sparsity import joined
from autodiff_compare.problems import Array
from autodiff_compare.problems.base.closed_forms import first_step
from autodiff_compare.vocabulary import Operator, Verdict

#: Up to this part of an update, rounding of the parameters is added to the tolerance; above, the update is lost in it.
RESOLVED = 0.1
#: Most input entries for which differences are taken in extended precision: it is slow.
_MOST_WIDE = 2**12
#: Most outputs of which each is looked at with ``every``.
_MOST_OUTPUTS = 2**11
#: Bits by which the entries of a given tangent may differ, in units of the inputs, to be moved together.
_BITS_TOGETHER = 14
_MOST_PARTS = 4
#: Inputs at values where functions have kinks that are looked at singly.
_KINKS_SEEN = 16
_SECOND = frozenset({Operator.HVP, Operator.HESSIAN})
_LEFT_GIVEN = frozenset({Operator.GRADIENT, Operator.VALUE_AND_GRADIENT, Operator.VJP, Operator.STEP})
_ONE = np.ones((1, 1))
#: The direction of an operator whose tangent is given: its matrix has one column.
_GIVEN = Direction(np.zeros(1, dtype=int), np.ones(1))


class Probe:
    """Numerical differences of a case's objective in plain NumPy, whatever the dtype of the case.

    With a normalisation P, such as symmetrising, results are compared as ``P g``. If P is an orthogonal projection,
    ``<P g, P u> = <g, P u>``: the objective's derivative along a projected direction is then what the result must show.
    Other normalisations cannot be observed.

    Parameters
    ----------
    case
        A case whose operator is a derivative.
    every
        Look at every input singly, however many there are.
    """

    def __init__(self, case: Case, every: bool = False) -> None:
        self.case = case
        self.every = every
        self.second_order = case.operator in _SECOND
        self.shapes = [x.shape for x in case.inputs.differentiated]
        self.x = _flat(case.inputs.differentiated).astype(np.float64)
        self.output = np.ravel(case.output).astype(np.float64)
        ends = np.cumsum([0, *(math.prod(shape) for shape in self.shapes)]).tolist()
        self.parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.scales = differences.scales(self.x, self.parts, self._typical())
        self._first_beside = 0
        self._entries: dict[tuple[int, int], Group] = {}

    def f(self, flat: Array) -> Array:
        """Return the objective, as a flat vector, at a flat vector of all differentiated inputs."""
        inputs, problem = self.case.inputs, self.case.problem
        value = np.asarray(problem.function(PLAIN, inputs.static)(*self._split(flat), *inputs.data))
        return np.ravel(value if value.dtype == WIDE else value.astype(np.float64))

    def matrix(self, leaves: Sequence[Array]) -> Any:
        """Return a derivative as the matrix ``M``: an array, or a SciPy matrix for a sparse Jacobian.

        Parameters
        ----------
        leaves
            Leaves of the derivative, without the value; for `step` the updates.
        """
        m, n = self.output.size, self.x.size
        sizes = [math.prod(shape) for shape in self.shapes]
        k = len(sizes)
        if self.case.operator == Operator.JVP:
            return leaves[0].reshape(m, 1)
        if self.case.operator == Operator.SPARSE_JACOBIAN:
            return joined(self.case.patterns, leaves)
        if self.case.operator == Operator.JACOBIAN:
            return np.concatenate([leaf.reshape(m, size) for leaf, size in zip(leaves, sizes, strict=True)], axis=1)
        if self.case.operator == Operator.HESSIAN:
            blocks = [[leaves[i * k + j].reshape(sizes[i], sizes[j]) for j in range(k)] for i in range(k)]
            return np.block(blocks)
        flat = _flat(leaves)
        return flat.reshape((n, 1) if self.case.operator == Operator.HVP else (1, n))

    def check(self, derivative: Sequence[Array], rounding: Sequence[Array]) -> Finding:
        """Compare a derivative with every observation ``d``, by the rules of `judge.findings`.

        Parameters
        ----------
        derivative
            Leaves as for `matrix`; all finite.
        rounding
            One array for each leaf, of its shape: the absolute error that rounding may cause in each entry. For
            `step` it includes the rounding of the parameters.
        """
        if not self.projects:
            return Finding(Verdict.UNDETERMINED, math.nan, math.nan, math.nan, math.nan, "normalisation not orthogonal")
        M, T = (self._seen_from(self.matrix(leaves).astype(np.float64)) for leaves in (derivative, rounding))
        if 0 in M.shape:
            return Finding(Verdict.PASS, 0.0, 0.0, 0.0, 0.0, "empty")
        groups = list(self.groups)
        judged = self._judged(groups, M, T)
        hidden = self._unseen(groups, judged, M)
        if all(v in (Verdict.PASS, Verdict.SUBGRADIENT) for v in judged.verdicts) and hidden.count:
            groups += self._singly(hidden)
            judged = self._judged(groups, M, T)
            hidden = self._unseen(groups, judged, M)
        return summary(judged, self._place(groups, judged.worst), hidden)

    def entry(self, row: int, column: int) -> Estimates:
        """Return the estimate of one entry of the matrix, in the user's units."""
        i, j = (column, row) if self.second_order else (row, column)
        return self._alone(i, j).found.divided(self._length(i, j))

    # ---- observations

    @functools.cached_property
    def groups(self) -> list[Group]:
        """The observations, with their estimates."""
        rng = np.random.default_rng(self.case.seed)
        fixed = self._fixed(rng)
        groups = [self._group(fixed, d) for d in self._directions(rng)]
        self._first_beside = len(groups)
        return [*groups, *self._beside_kinks(groups, fixed, rng)]

    def _fixed(self, rng: np.random.Generator) -> Array:
        """Return the vectors of the side that does not vary, as rows."""
        if self.case.operator == Operator.HESSIAN:
            return self._project((differences.signs(rng, self.x.size) * self.scales)[None])
        if self.case.operator in _LEFT_GIVEN or self.case.operator == Operator.HVP:
            return _ONE
        m = self.output.size
        if m <= FEW or (self.every and m <= _MOST_OUTPUTS):
            return np.eye(m)
        # Outputs have units too: each counts in proportion to its size.
        scale = differences.scales(self.output)
        rows = differences.directions(np.ones(m), rng)
        random = np.count_nonzero(rows, axis=1) > 1
        return np.where(random[:, None], rows / scale, rows)

    def _directions(self, rng: np.random.Generator) -> Iterator[Direction]:
        """Yield the vectors of the side that varies."""
        n = self.x.size
        if self.case.operator == Operator.JVP:
            yield _GIVEN
            return
        rows = differences.directions(self.scales, rng, self.parts)
        if self.case.operator == Operator.STEP:
            # An update rule need not be linear in the gradient: only single entries can be observed, unscaled.
            rows = np.sign(rows[np.count_nonzero(rows, axis=1) == 1])
        singles = np.count_nonzero(rows, axis=1) == 1
        if self.every and n > FEW:
            rows, singles = rows[~singles], singles[~singles]
        yield from map(Direction.of, self._project(rows))
        if self.every and n > FEW:
            yield from (self._single(j) for j in range(n))

    def _single(self, column: int) -> Direction:
        if self.case.problem.normalise is not None:
            return Direction.of(self._unit(column))
        scale = 1.0 if self.case.operator == Operator.STEP else self.scales[column]
        return Direction(np.array([column]), np.array([scale]))

    def _group(self, fixed: Array, direction: Direction) -> Group:
        found, known = self._estimated(fixed, direction)
        return Group(fixed, direction, found, known)

    def _estimated(self, fixed: Array, direction: Direction) -> tuple[Estimates, Array]:
        """Return the estimates of the observations along a direction, and whether each decides."""
        weights = self._cotangent if self.case.operator in _LEFT_GIVEN else fixed
        if self.case.operator == Operator.JVP:
            found = self._along_tangent(lambda u: self._first(u, weights))
        elif self.case.operator == Operator.HVP:
            s = direction.dense(self.x.size)
            found = self._along_tangent(lambda u: self._second(s, u))
        elif self.second_order:
            found = self._second(direction.dense(self.x.size), fixed[0])
        elif self.case.operator == Operator.STEP:
            gradient = self._gradient(direction)
            return self._updates(gradient), gradient.decided
        else:
            found = self._first(direction.dense(self.x.size), weights)
        return found, found.decided

    def _beside_kinks(self, groups: Sequence[Group], fixed: Array, rng: np.random.Generator) -> Iterator[Group]:
        """Yield observations that keep clear of kinks, and some of the entries that are at one.

        Along a direction that moves all inputs, one kink hides what the others do. Most kinks are where an input is
        zero, like that of ``relu(x)``, or equal to another, like that of ``max(x)``. The other inputs are observed
        together, and some of these alone.
        """
        many = [g for g in groups if g.direction.entry is None]
        if self.second_order or not any(Verdict.NONSMOOTH in g.found.verdicts for g in many):
            return
        special = np.zeros(self.x.size, bool)
        for part in self.parts:
            _, place, count = np.unique(self.x[part], return_inverse=True, return_counts=True)
            special[part] = (self.x[part] == 0) | (count[place.ravel()] > 1)
        if 0 < special.sum() < special.size:
            row = np.where(special, 0.0, differences.signs(rng, self.x.size) * self.scales)
            yield self._group(fixed, Direction.of(self._project(row[None])[0]))
        seen = {g.direction.entry for g in groups}
        left = [int(j) for j in np.flatnonzero(special) if int(j) not in seen]
        for j in sorted(rng.choice(left, min(len(left), _KINKS_SEEN), replace=False)) if left else ():
            yield self._group(fixed, self._single(int(j)))

    # ---- estimates

    @functools.cached_property
    def wide(self) -> Any:
        """The floating type wider than float64 in which the objective computes; `None` if it does not."""
        if WIDE is np.float64 or self.x.size > _MOST_WIDE:
            return None
        try:
            with np.errstate(all="ignore"):
                return WIDE if self.f(self.x.astype(WIDE)).dtype == WIDE else None
        except Exception:  # code that does not support the type may raise any exception
            return None

    def _first(self, u: Array, weights: Array) -> Estimates:
        return differences.first(self.f, self.x, u, weights, self.wide)

    def _second(self, s: Array, t: Array) -> Estimates:
        return differences.second(self.f, self.x, s, t, _ONE, self.wide)

    def _along_tangent(self, estimate: Any) -> Estimates:
        """Return the estimate along the given tangent, which may move inputs of very different sizes.

        A step that suits one input is too small for another. A derivative is linear in the tangent: its entries are
        moved in parts, each in steps of its own, and the estimates are added.
        """
        t = self._tangent
        moved = np.flatnonzero(t)
        if not moved.size:
            return estimate(t)  # type: ignore[no-any-return]
        near_zero = np.concatenate([np.full(p.stop - p.start, _middle(self.scales[p]) * 2.0**-30) for p in self.parts])
        bits = np.frexp(t[moved] / np.maximum(self.scales, near_zero)[moved])[1]
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
        u = self._project((direction.dense(self.x.size) * length)[None])[0]
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
        ends = np.abs(np.stack([update(d - bar), update(d + bar)]) - middle)
        return replace(
            gradient, derivative=middle, bar=ends.max(axis=0), low=update(gradient.high), high=update(gradient.low)
        )

    def _alone(self, i: int, j: int) -> Group:
        """Return the observation of entry (i, j), as the groups see it; cached, as backends err in the same entries."""
        if (i, j) not in self._entries:
            if self.case.operator == Operator.HESSIAN:
                fixed = self._unit(i)[None]
            else:
                fixed = _ONE if self._rows == 1 else _unit_row(self._rows, i)
            direction = _GIVEN if self.case.operator == Operator.JVP else self._single(j)
            self._entries[i, j] = self._group(fixed, direction)
        return self._entries[i, j]

    def _length(self, i: int, j: int) -> float:
        """Return the size of the observation of entry (i, j), in the user's units."""
        if self.case.operator in (Operator.STEP, Operator.JVP):
            return 1.0
        return float(self.scales[j] * (self.scales[i] if self.case.operator == Operator.HESSIAN else 1.0))

    # ---- findings

    def _seen_from(self, M: Any) -> Any:
        """Return the matrix with the side that varies as columns."""
        return M.T if self.second_order else M

    def _judged(self, groups: Sequence[Group], M: Any, T: Any) -> Judged:
        sizes = [g.found.bar.size for g in groups]
        together = [g.direction.entry is None and k < self._first_beside for k, g in enumerate(groups)]
        return Judged(
            found=Estimates.join([g.found for g in groups]),
            known=np.concatenate([g.known for g in groups]),
            got=np.concatenate([g.seen(M) for g in groups]),
            slack=np.concatenate([g.slack(T) for g in groups]),
            part=RESOLVED if self.case.operator == Operator.STEP else MEANINGFUL,
            excused=np.repeat(together, sizes) & (self._first_beside < len(self.groups)),
        )

    def _unseen(self, groups: Sequence[Group], judged: Judged, M: Any) -> Unseen:
        if self.case.problem.normalise is not None:
            return NOTHING_UNSEEN
        proved = np.array([v == Verdict.PASS for v in judged.verdicts])
        limits = np.where(proved, judged.tolerance + judged.error, math.inf)
        ends = np.cumsum([g.found.bar.size for g in groups])[:-1]
        columns = np.ones(M.shape[1]) if M.shape[1] != self.x.size else self.scales
        rows = np.ones(M.shape[0]) if self.case.operator != Operator.HESSIAN else self.scales
        return unseen(M, groups, np.split(limits, ends), (rows, columns))

    def _singly(self, hidden: Unseen) -> Iterator[Group]:
        """Yield the observations of some entries that no other observation proves, or of all of them."""
        which = np.arange(hidden.count)
        if not self.every and hidden.count > CHOSEN_COORDINATES:
            which = np.random.default_rng(self.case.seed).choice(hidden.count, CHOSEN_COORDINATES, replace=False)
        for i, j in zip(hidden.rows[which].tolist(), hidden.columns[which].tolist(), strict=True):
            yield self._alone(i, j)

    def _place(self, groups: Sequence[Group], k: int) -> Place:
        """Return which observation the k-th is, and how it was obtained."""
        group = next(g for g, start, end in _spans(groups) if start <= k < end)
        fixed = group.fixed[k - next(start for g, start, _ in _spans(groups) if g is group)]
        step, order = float(group.found.step[0]), "second" if self.second_order else "central"
        i, j = np.flatnonzero(fixed), group.direction.entry
        if j is None or i.size != 1 or self.case.problem.normalise is not None:
            words = f"a direction of {max(group.direction.indices.size, i.size)} entries"
            return Place(None, words, 1.0, f"{order} differences along {words}, in steps down to {step:.2g} of it")
        row, column = (j, int(i[0])) if self.second_order else (int(i[0]), j)
        words = self._entry_in_words(row, column)
        moved = "the tangent" if self.case.operator == Operator.JVP else "it"
        smallest = step * abs(float(group.direction.values[0]))
        how = f"{order} differences along {moved}, in steps down to {smallest:.2g}"
        return Place((row, column), words, self._length(int(i[0]), j), how)

    def _entry_in_words(self, row: int, column: int) -> str:
        """Return an entry's index in its leaf, and the number of the leaf if there are several."""
        operator, index, leaves = self.case.operator, [], []
        if operator in (Operator.JVP, Operator.JACOBIAN, Operator.SPARSE_JACOBIAN):
            index += np.unravel_index(row, self.case.output.shape)
        along = {Operator.JVP: (), Operator.HVP: (row,), Operator.HESSIAN: (row, column)}.get(operator, (column,))
        for flat in along:
            leaf = next(k for k, part in enumerate(self.parts) if part.start <= flat < part.stop)
            index += np.unravel_index(flat - self.parts[leaf].start, self.shapes[leaf])
            leaves.append(str(leaf))
        of = f" of input {', '.join(leaves)}" if len(self.parts) > 1 and leaves else ""
        return f"entry {[int(i) for i in index]}{of}"

    @property
    def _rows(self) -> int:
        if self.case.operator == Operator.HESSIAN:
            return self.x.size
        return 1 if self.case.operator in _LEFT_GIVEN | {Operator.HVP} else self.output.size

    # ---- the case

    @functools.cached_property
    def _cotangent(self) -> Array:
        given = self.case.directions if self.case.operator == Operator.VJP else (np.ones(self.output.size),)
        return np.ravel(given[0])[None].astype(np.float64)

    @functools.cached_property
    def _tangent(self) -> Array:
        return _flat(self.case.directions).astype(np.float64)

    def _typical(self) -> Array | None:
        return None

    def _unit(self, coordinate: int) -> Array:
        projected: Array = self._project(_unit_row(self.x.size, coordinate) * self.scales[coordinate])[0]
        return projected

    def _split(self, flat: Array) -> list[Array]:
        return [flat[part].reshape(shape) for part, shape in zip(self.parts, self.shapes, strict=True)]

    def _project(self, rows: Array) -> Array:
        normalise = self.case.problem.normalise
        if normalise is None or not len(rows):
            return rows
        return np.stack([_flat([np.asarray(normalise.apply(part)) for part in self._split(row)]) for row in rows])

    @functools.cached_property
    def projects(self) -> bool:
        """Return whether the normalisation P is an orthogonal projection: ``P^T = P = P P`` on random vectors."""
        if self.case.problem.normalise is None:
            return True
        a, b = np.random.default_rng(0).normal(size=(2, 1, self.x.size))
        pa, pb = self._project(a), self._project(b)
        return bool(np.allclose(pa @ b.T, a @ pb.T) and np.allclose(self._project(pa), pa))


def _spans(groups: Sequence[Group]) -> Iterator[tuple[Group, int, int]]:
    """Yield each group with the range of its observations."""
    start = 0
    for group in groups:
        end = start + group.found.bar.size
        yield group, start, end
        start = end


def _middle(scale: Array) -> float:
    return float(np.sort(scale)[(scale.size - 1) // 2]) if scale.size else 1.0


def _unit_row(n: int, k: int) -> Array:
    row = np.zeros((1, n))
    row[0, k] = 1.0
    return row


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(a) for a in arrays])
