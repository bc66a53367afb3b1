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
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.judge import differences
from autodiff_compare.judge.differences import CHOSEN_COORDINATES, FEW, Estimates
from autodiff_compare.judge.probe.estimator import HESSIANS, LEFT_GIVEN, Estimator, flat
from autodiff_compare.judge.probe.findings import Finding, Judged, Place, summary
from autodiff_compare.judge.probe.observations import NOTHING_UNSEEN, Direction, Group, Unseen, traced, unseen
from autodiff_compare.plan import precision
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.sparsity import joined, stacked
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator, Verdict

#: Up to this part of an update, rounding of the parameters is added to the tolerance; above, the update is lost in it.
RESOLVED = 0.1
#: Most outputs of which each is looked at with ``every``.
_MOST_OUTPUTS = 2**11
#: Most entries of a Hessian that are looked at singly because of kinks.
_MOST_ENTRIES = 256
#: Inputs at values where functions have kinks that are looked at singly.
_KINKS_SEEN = 16
_OPEN = frozenset({Verdict.INCONCLUSIVE, Verdict.UNDETERMINED})
_ONE = np.ones((1, 1))
#: The direction of an operator whose tangent is given: its matrix has one column.
_GIVEN = Direction(np.zeros(1, dtype=int), np.ones(1))


class Probe:
    """Observations of a case's derivative, with estimates by numerical differences.

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
        self.objective = Estimator(case)
        self.projects = self.objective.projects
        self._n, self._m = self.objective.x.size, self.objective.output.size
        self._second_order = self.objective.second_order
        self._first_beside = 0
        self._entries: dict[tuple[int, int], Group] = {}
        self._better: dict[Group, Group] = {}

    def matrix(self, leaves: Sequence[Array]) -> Any:
        """Return a derivative as the matrix ``M``: an array, or a SciPy matrix for a sparse Jacobian.

        Parameters
        ----------
        leaves
            Leaves of the derivative, without the value; for `step` the updates.
        """
        m, n = self._m, self._n
        sizes = [math.prod(shape) for shape in self.objective.shapes]
        k = len(sizes)
        if self.case.operator == Operator.JVP:
            return leaves[0].reshape(m, 1)
        if self.case.operator == Operator.SPARSE_JACOBIAN:
            return joined(self.case.entries, leaves)
        if self.case.operator == Operator.SPARSE_HESSIAN:
            return stacked(self.case.entries, leaves)
        if self.case.operator == Operator.JACOBIAN:
            return np.concatenate([leaf.reshape(m, size) for leaf, size in zip(leaves, sizes, strict=True)], axis=1)
        if self.case.operator == Operator.HESSIAN:
            blocks = [[leaves[i * k + j].reshape(sizes[i], sizes[j]) for j in range(k)] for i in range(k)]
            return np.block(blocks)
        return flat(leaves).reshape((n, 1) if self.case.operator == Operator.HVP else (1, n))

    def check(self, derivative: Sequence[Array], rounding: Sequence[Array], *, again: bool = False) -> Finding:
        """Compare a derivative with every observation ``d``, by the rules of `judge.probe.findings`.

        Parameters
        ----------
        derivative
            Leaves as for `matrix`; all finite.
        rounding
            One array for each leaf, of its shape: the absolute error that rounding may cause in each entry. For
            `step` it includes the rounding of the parameters.
        again
            Take the differences that refute a derivative once more, so that they trust no single ladder.
        """
        if not self.projects:
            return Finding(Verdict.UNDETERMINED, math.nan, math.nan, math.nan, math.nan, "normalisation not orthogonal")
        M, T = (self._seen_from(self.matrix(leaves).astype(np.float64)) for leaves in (derivative, rounding))
        if 0 in M.shape:
            return Finding(Verdict.PASS, 0.0, 0.0, 0.0, 0.0, "empty")
        if self._second_order and self._out_of_range(derivative, M):
            words = "the function is too large or too small for second differences: scale it, or its inputs"
            return Finding(Verdict.UNDETERMINED, math.nan, math.nan, math.nan, math.nan, words)
        groups = list(self.groups)
        judged = self._judged(groups, M, T)
        if self._n > FEW:
            # An entry that drowns in the rounding of others cannot be decided alone: it stays unseen.
            kept = judged.without_drowned(
                [g.direction.entry is not None for g in groups], [len(g.fixed) for g in groups]
            )
            groups = [g for g, keep in zip(groups, kept, strict=True) if keep]
            judged = self._judged(groups, M, T)
        hidden = self._unseen(groups, judged, M)
        if all(v in (Verdict.PASS, Verdict.SUBGRADIENT) for v in judged.verdicts) and hidden.count:
            # One that cannot be decided alone either stays unseen.
            groups += [g for g in self._singly(hidden) if self._judged([g], M, T).verdicts[0] not in _OPEN]
            judged = self._judged(groups, M, T)
            hidden = self._unseen(groups, judged, M)
        if judged.verdicts[judged.worst] == Verdict.NONSMOOTH:
            groups = self._entry_by_entry(groups)
            judged = self._judged(groups, M, T)
        if again:
            groups = self._taken_again(groups, M, T)
            judged = self._judged(groups, M, T)
        group, row = _at(groups, judged.worst)
        finding = summary(judged, judged.worst, self._place(group, row), hidden, self.objective.unit)
        traceable = finding.verdict == Verdict.FAIL or (self._second_order and finding.verdict == Verdict.NONSMOOTH)
        single = self._traced(group, row, M, T, finding.verdict) if traceable else None
        if single is None:
            return finding
        found = summary(self._judged([single], M, T), 0, self._place(single, 0), hidden, self.objective.unit)
        return replace(found, note=finding.note.partition(";")[0] + ";" + found.note.partition(";")[2])

    def entry(self, row: int, column: int) -> Estimates:
        """Return the estimate of one entry of the matrix, in the user's units."""
        i, j = (column, row) if self._second_order else (row, column)
        found = self._alone(i, j).found
        for length in self._lengths(i, j):
            found = found.divided(length)
        return found.divided(1 / self.objective.unit)

    @functools.cached_property
    def groups(self) -> list[Group]:
        """The observations, with their estimates."""
        rng = np.random.default_rng(self.case.seed)
        fixed = self._fixed(rng)
        groups = [self._group(fixed, d) for d in self._directions(rng)]
        self._first_beside = len(groups)
        return [*groups, *self._beside_kinks(groups, fixed, rng)]

    # ---- the vectors of both sides

    def _fixed(self, rng: np.random.Generator) -> Array:
        """Return the vectors of the side that does not vary, as rows."""
        if self.case.operator in HESSIANS:
            return self.objective.project((differences.signs(rng, self._n) * self.objective.scales)[None])
        if self._rows == 1:
            return _ONE
        if self._m <= FEW or (self.every and self._m <= _MOST_OUTPUTS):
            return np.eye(self._m)
        # Outputs have units too: each counts in proportion to its size.
        rows = differences.directions(np.ones(self._m), rng)
        random = np.count_nonzero(rows, axis=1) > 1
        return np.where(random[:, None], rows / differences.scales(self.objective.output), rows)

    def _directions(self, rng: np.random.Generator) -> Iterator[Direction]:
        """Yield the vectors of the side that varies."""
        if self.case.operator == Operator.JVP:
            yield _GIVEN
            return
        rows = differences.directions(self.objective.scales, rng, self.objective.parts)
        single = np.count_nonzero(rows, axis=1) == 1
        many = rows[~single]
        if self.case.operator != Operator.STEP:
            yield from map(Direction.of, self.objective.project(many))
        columns = range(self._n) if self.every else np.argmax(rows[single] != 0, axis=1).tolist()
        yield from map(self._single, columns)

    def _single(self, column: int) -> Direction:
        """Return the direction along one input.

        An update rule need not be linear in the gradient: for a step, only single entries can be observed, unscaled.
        """
        if self.case.problem.normalise is not None:
            return Direction.of(self.objective.unit_direction(column))
        length = 1.0 if self.case.operator == Operator.STEP else self.objective.scales[column]
        return Direction(np.array([column]), np.array([length]))

    def _beside_kinks(self, groups: Sequence[Group], fixed: Array, rng: np.random.Generator) -> Iterator[Group]:
        """Yield observations that keep clear of kinks, and some of the entries that are at one.

        Along a direction that moves all inputs, one kink hides what the others do. Most kinks are where an input is
        zero, like that of ``relu(x)``, or equal to another, like that of ``max(x)``. The other inputs are observed
        together, and some of these alone.
        """
        many = [g for g in groups if g.direction.entry is None]
        # The fixed side of a Hessian crosses all kinks.
        hessian = self.case.operator in HESSIANS
        if hessian or not any(Verdict.NONSMOOTH in g.found.verdicts for g in many):
            return
        x, special = self.objective.x, np.zeros(self._n, bool)
        for part in self.objective.parts:
            _, place, count = np.unique(x[part], return_inverse=True, return_counts=True)
            special[part] = (x[part] == 0) | (count[place.ravel()] > 1)
        if 0 < special.sum() < special.size:
            row = np.where(special, 0.0, differences.signs(rng, self._n) * self.objective.scales)
            yield self._group(fixed, Direction.of(self.objective.project(row[None])[0]))
        seen = {g.direction.entry for g in groups}
        left = [int(j) for j in np.flatnonzero(special) if int(j) not in seen]
        for j in sorted(rng.choice(left, min(len(left), _KINKS_SEEN), replace=False)) if left else ():
            yield self._group(fixed, self._single(int(j)))

    def _entry_by_entry(self, groups: list[Group]) -> list[Group]:
        """Return the observations with columns of a Hessian at a kink replaced by the entries of these columns.

        The fixed side moves all inputs, and so crosses kinks that an entry has nothing to do with.
        """
        kinked = [g for g in groups if Verdict.NONSMOOTH in g.found.verdicts]
        columns = [g.direction.entry for g in kinked]
        many = len(kinked) * self._n > _MOST_ENTRIES or self.case.problem.normalise is not None
        if self.case.operator not in HESSIANS or many or None in columns:
            return groups
        others = [g for g in groups if Verdict.NONSMOOTH not in g.found.verdicts]
        return [*others, *(self._alone(i, j) for j in columns if j is not None for i in range(self._n))]

    def _taken_again(self, groups: Sequence[Group], M: Any, T: Any) -> list[Group]:
        """Return the observations, with those that refute a matrix taken once more until one of them stands."""
        better = [self._better.get(g, g) for g in groups]
        while True:
            judged = self._judged(better, M, T)
            worst, _ = _at(better, judged.worst)
            if judged.verdicts[judged.worst] != Verdict.FAIL or worst in self._better.values():
                return better
            k = better.index(worst)
            found, known = self._again.estimated(worst.fixed, worst.direction)
            better[k] = self._better[worst] = Group(worst.fixed, worst.direction, found, known)

    @functools.cached_property
    def _again(self) -> Estimator:
        return Estimator(self.case, again=True)

    def _out_of_range(self, derivative: Sequence[Array], M: Any) -> bool:
        """Return whether numbers of a derivative vanish or overflow in units of an objective of extreme size."""
        before = any(np.any(leaf) for leaf in derivative)
        return self.objective.unit != 1 and not (before <= bool(np.any(_entries(M))) and np.isfinite(_entries(M)).all())

    def _group(self, fixed: Array, direction: Direction) -> Group:
        return Group(fixed, direction, *self.objective.estimated(fixed, direction))

    def _alone(self, i: int, j: int) -> Group:
        """Return the observation of entry (i, j), as the groups see it; cached, as backends err in the same entries."""
        if (i, j) not in self._entries:
            if self.case.operator in HESSIANS:
                fixed = self.objective.unit_direction(i)[None]
            else:
                fixed = np.eye(1, self._rows, i)
            direction = _GIVEN if self.case.operator == Operator.JVP else self._single(j)
            self._entries[i, j] = self._group(fixed, direction)
        return self._entries[i, j]

    def _lengths(self, i: int, j: int) -> tuple[float, ...]:
        """Return by how much both sides move in the observation of entry (i, j); their product may overflow."""
        if self.case.operator in (Operator.STEP, Operator.JVP):
            return ()
        scales = self.objective.scales.tolist()
        return (scales[j], scales[i]) if self.case.operator in HESSIANS else (scales[j],)

    @property
    def _rows(self) -> int:
        """The number of rows of the matrix, with the side that varies as columns."""
        if self.case.operator in HESSIANS:
            return self._n
        return 1 if self.case.operator in LEFT_GIVEN | {Operator.HVP} else self._m

    # ---- what they show

    def _seen_from(self, M: Any) -> Any:
        """Return a matrix in units of the objective, with the side that varies as columns."""
        # What overflows is found by `_out_of_range`.
        with np.errstate(over="ignore", under="ignore"):
            return (M.T if self._second_order else M) / self.objective.unit

    def _judged(self, groups: Sequence[Group], M: Any, T: Any) -> Judged:
        sizes = [g.found.bar.size for g in groups]
        together = [g.direction.entry is None and k < self._first_beside for k, g in enumerate(groups)]
        return Judged(
            found=Estimates.join([g.found for g in groups]),
            known=np.concatenate([g.known for g in groups]),
            got=np.concatenate([g.seen(M) for g in groups]),
            slack=np.concatenate([g.slack(T) for g in groups]),
            part=RESOLVED if self.case.operator == Operator.STEP else precision.limits(self.case.dtype).meaningful,
            excused=np.repeat(together, sizes) & (self._first_beside < len(self.groups)),
            alone=np.concatenate([self._alone_at(g) for g in groups]),
            slopes=not self._second_order,
        )

    def _alone_at(self, group: Group) -> Array:
        """Return which observations of a group are one derivative alone; any is, of first order."""
        if not self._second_order:
            return np.ones(len(group.fixed), bool)
        single = np.count_nonzero(group.fixed, axis=1) == 1
        return np.asarray(single & (group.direction.entry is not None))

    def _unseen(self, groups: Sequence[Group], judged: Judged, M: Any) -> Unseen:
        if self.case.problem.normalise is not None:
            return NOTHING_UNSEEN
        proved = np.array([v == Verdict.PASS for v in judged.verdicts])
        limits = np.where(proved, judged.tolerance + judged.error, math.inf)
        ends = np.cumsum([g.found.bar.size for g in groups])[:-1]
        scales = self.objective.scales
        columns = scales if M.shape[1] == self._n and self.case.operator != Operator.JVP else np.ones(M.shape[1])
        rows = scales if self.case.operator in HESSIANS else np.ones(M.shape[0])
        return unseen(M, groups, np.split(limits, ends), (rows, columns))

    def _singly(self, hidden: Unseen) -> Iterator[Group]:
        """Yield the observations of some entries that no other observation proves, or of all of them."""
        which = np.arange(hidden.count)
        if not self.every and hidden.count > CHOSEN_COORDINATES:
            which = np.random.default_rng(self.case.seed).choice(hidden.count, CHOSEN_COORDINATES, replace=False)
        for i, j in zip(hidden.rows[which].tolist(), hidden.columns[which].tolist(), strict=True):
            yield self._alone(i, j)

    def _traced(self, group: Group, row: int, M: Any, T: Any, verdict: Verdict) -> Group | None:
        """Return the observation of a single entry to which one of that verdict is traced; `None` if there is none."""
        if self.case.problem.normalise is not None:
            return None

        def miss(one: Group) -> float:
            judged = self._judged([one], M, T)
            if judged.verdicts[0] != verdict:
                return 0.0
            return judged.miss(0) if verdict == Verdict.FAIL else 1.0

        return traced(group, row, self._group, miss)

    def _place(self, group: Group, row: int) -> Place:
        """Return which observation one is, and how it was obtained."""
        fixed = group.fixed[row]
        step, order = float(group.found.step[row]), "second" if self._second_order else "central"
        i, j = np.flatnonzero(fixed), group.direction.entry
        if j is None or i.size != 1 or self.case.problem.normalise is not None:
            words = f"a direction of {max(group.direction.indices.size, i.size)} entries"
            return Place(None, words, (), f"{order} differences along it, in steps down to {step:.2g} of it")
        position = (j, int(i[0])) if self._second_order else (int(i[0]), j)
        moved = "the tangent" if self.case.operator == Operator.JVP else "it"
        lengths = (float(fixed[i[0]]), float(group.direction.values[0]))
        smallest = step * abs(float(group.direction.values[0]))
        how = f"{order} differences along {moved}, in steps down to {smallest:.2g}"
        return Place(position, self._in_words(*position), lengths, how)

    def _in_words(self, row: int, column: int) -> str:
        """Return an entry's index in its leaf, and the number of the leaf if there are several."""
        operator, parts, index = self.case.operator, self.objective.parts, list[Any]()
        leaves: list[str] = []
        if operator in (Operator.JVP, Operator.JACOBIAN, Operator.SPARSE_JACOBIAN):
            index += np.unravel_index(row, self.case.output.shape)
        both = (row, column)
        by = {Operator.JVP: (), Operator.HVP: (row,), **dict.fromkeys(HESSIANS, both)}.get(operator, (column,))
        for place in by:
            leaf = next(k for k, part in enumerate(parts) if part.start <= place < part.stop)
            index += np.unravel_index(place - parts[leaf].start, self.objective.shapes[leaf])
            leaves.append(str(leaf))
        of = f"input {', '.join(leaves)}" if len(parts) > 1 and leaves else ""
        entry = f"entry {[int(i) for i in index]}" if index or not of else ""
        return " of ".join(filter(None, (entry, of)))


def _entries(M: Any) -> Array:
    return M if isinstance(M, np.ndarray) else np.asarray(M.data)


def _at(groups: Sequence[Group], k: int) -> tuple[Group, int]:
    """Return the group of the k-th observation, and the row of its fixed side."""
    for group in groups:
        if k < group.found.bar.size:
            return group, k
        k -= group.found.bar.size
    raise IndexError(k)
