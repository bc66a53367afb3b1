"""The judgement of outcomes: what of them agrees with the derivative, and how the others differ.

Every outcome is judged as a cell is (`autodiff_compare.judge.judge`). That takes up to a hundred milliseconds, so that
a short way is tried first. Our engine computes all operators of a program; two numerical differences tie them to the
function, which share no code with any backend:

- along a random direction t, ``J t`` of the engine must be the difference of the function, entry by entry;
- along random s and t, ``s H t`` of the engine must be the second difference;
- the engine's gradient, vjp, Jacobian and Hessian must give the same products: ``<g, t>`` and ``(u J) t`` are ``J t``
  and ``u (J t)``.

An outcome that equals the engine's to a few roundings then agrees. A wrong entry would have to cancel in a product
with random numbers. Everything else goes the long way: an outcome that differs, and programs at kinks, at the ends of
domains and on scales that these differences do not see. So nothing is called wrong unless the judge refutes it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare import backends
from autodiff_compare.backends import PLAIN
from autodiff_compare.execution.computation.preparation import prepared
from autodiff_compare.fuzzing.batch import SEED, SIZE, Outcome
from autodiff_compare.fuzzing.nearness import EPS, ROUNDINGS, flat, inner, near, shown
from autodiff_compare.fuzzing.program import Program, problem_of_text
from autodiff_compare.judge import differences
from autodiff_compare.judge.comparison import WIDE
from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.judge.reference import NUMERICAL_DIFFERENCE
from autodiff_compare.plan.cases import Case, build_case, leaves
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.problems import Array, Problem
from autodiff_compare.vocabulary import SECOND_ORDER, Operator, Status, Verdict, Word

#: A difference above this part of an entry is no rounding.
_PLAIN = 0.05
#: Part of the ladder's first step, in units of the direction.
_STEP = 0.25
#: dtype -> relative error up to which a wrong outcome has lost digits rather than a term.
_LOST_DIGITS = {"float64": 1e-4, "float32": 1e-2}
#: Random directions along which a curvature is sought, and the widest bar of one, as a part of it or of 1.
_DIRECTIONS, _UNSETTLED = 3, 1e-2
_REFUTED = (Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE)


class Class(Word):
    """How the outcome of a backend compares with the derivative.

    - ``agree``: it is the derivative, within rounding.
    - ``convention``: the point is a kink, and the outcome lies between the one-sided derivatives.
    - ``precision``: it has lost digits that its dtype holds.
    - ``defect``: it is wrong.
    - ``unsupported``: the framework says that it has no rule for it.
    - ``error``: the framework raises although NumPy has a value.
    - ``hang``: no answer came in time.
    - ``undecided``: the derivative is not known at this point, or does not exist.
    """

    AGREE = "agree"
    CONVENTION = "convention"
    PRECISION = "precision"
    DEFECT = "defect"
    UNSUPPORTED = "unsupported"
    ERROR = "error"
    HANG = "hang"
    UNDECIDED = "undecided"


#: The classes that are findings.
FINDINGS = (Class.DEFECT, Class.PRECISION, Class.ERROR, Class.HANG)


@dataclass(frozen=True)
class Judgement:
    """The class of an outcome with its evidence.

    Parameters
    ----------
    classed
        The class.
    kind
        What is wrong: ``number``, ``nan``, ``shape``, ``dtype``, ``digits``, the ``value``; of an error the type of the
        exception; else empty.
    words
        The evidence in one line.
    """

    classed: Class
    kind: str = ""
    words: str = ""


class Oracle:
    """The judge of one program in one dtype.

    Parameters
    ----------
    program, dtype
        The program, and the dtype of the outcomes.
    """

    def __init__(self, program: Program, dtype: str) -> None:
        self.program, self.dtype = program, dtype
        self.problem: Problem = with_operators(problem_of_text(program.source()))
        self.scalar = program.value.ndim == 0
        self._eps = float(np.finfo(dtype).eps)

    def judgement(self, operator: Operator, outcome: Outcome, *, thorough: bool = True) -> Judgement:
        """Return the class of an outcome.

        Parameters
        ----------
        operator, outcome
            What was computed.
        thorough
            Whether the judge must have refuted a defect. If not, a large difference from the engine, where numerical
            differences confirm it, is one without further ado.
        """
        if outcome.status == Status.TIMEOUT:
            return Judgement(Class.HANG, "hang", outcome.message)
        if outcome.status == Status.UNSUPPORTED:
            return Judgement(Class.UNSUPPORTED, "", outcome.message)
        if outcome.status != Status.OK:
            return self._failed(operator, outcome)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if self._agrees(operator, outcome.leaves):
                return Judgement(Class.AGREE)
            if not thorough and (kind := self._far(operator, outcome.leaves)):
                return Judgement(Class.DEFECT, kind, "differs from our engine")
            return self._judged(operator, outcome.leaves)

    def reference(self, operator: Operator) -> tuple[Array, ...]:
        """Return the leaves of the right result in float64; empty if none is known."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if self._expected(operator) and self._confirmed(operator):
                return self._expected(operator)
            found = self._judge(operator).reference.arrays or ()
            return tuple(np.asarray(leaf, dtype=np.float64) for leaf in found)

    def _failed(self, operator: Operator, outcome: Outcome) -> Judgement:
        """Return the class of an exception: where an operation has no derivative, it is as good an answer as nan."""
        derived = outcome.status == Status.ERROR and operator != Operator.VALUE
        if derived and (self.program.singular or not self._smooth(operator)):
            return Judgement(Class.UNDECIDED, "", self._excused(outcome.message))
        kind = outcome.message.partition(":")[0] if outcome.status == Status.ERROR else str(outcome.status)
        return Judgement(Class.ERROR, kind, outcome.message)

    @functools.cache  # noqa: B019 - an oracle lives as long as its program
    def case(self, operator: Operator) -> Case:
        """Return the case of an operator."""
        return build_case(self.problem, SIZE, self.dtype, operator, SEED)

    @functools.cache  # noqa: B019 - an oracle lives as long as its program
    def _judge(self, operator: Operator) -> Judge:
        return Judge(self.case(operator))

    def _judged(self, operator: Operator, found: Sequence[Array]) -> Judgement:
        comparisons = self._judge(operator)(found)
        status, words = overall(comparisons)
        if status == Status.OK:
            kinked = any(c.verdict == Verdict.SUBGRADIENT for c in comparisons)
            return Judgement(Class.CONVENTION if kinked else Class.AGREE)
        refuted = sorted((c for c in comparisons if c.verdict in _REFUTED), key=lambda c: bool(c.reference))
        if not refuted:
            nonsmooth = any(c.verdict == Verdict.NONSMOOTH for c in comparisons)
            outside = "" if not nonsmooth or self._conventional(operator) else self._outside(operator, found)
            return Judgement(Class.DEFECT, "number", outside) if outside else Judgement(Class.UNDECIDED, "", words)
        worst = refuted[0]
        if worst.reference and operator != Operator.VALUE:
            if self._conventional(operator) or self._moved_off:
                return Judgement(Class.UNDECIDED, "", self._excused(words))
            if worst.verdict == Verdict.NONFINITE and self.program.singular:
                return Judgement(Class.UNDECIDED, "", self._excused(words))
            if self._invisible(operator, worst):
                return Judgement(Class.UNDECIDED, "", f"{words}; smaller than a rounding of the value")
            doubtful = worst.verdict == Verdict.NONFINITE or operator in SECOND_ORDER
            if doubtful and not self._smooth(operator):
                return Judgement(Class.UNDECIDED, "", words)
        return self._refuted(operator, worst, words)

    def _conventional(self, operator: Operator) -> bool:
        """Return whether conventions of operations decide what the chain rule gives, even for a smooth function."""
        meets = self.program.mixes_conventions or self.program.jumps
        return meets or (operator in SECOND_ORDER and self.program.kinks)

    @property
    def _moved_off(self) -> bool:
        """Return whether rounding may move the judge off a kink at which the dtype still is.

        In ``minimum(tanh(x), y)`` with y = tanh(x) both may be equal in float32. The judge computes in float64 from
        inputs that are rounded to float32, and sees the slope beside the kink. Inputs that are equal stay equal.
        """
        inputs = {x.name for x in self.program.inputs}
        computed = any(not inputs.issuperset(step.operands) for step in self.program.singular_steps)
        return self._eps > EPS and computed

    def _invisible(self, operator: Operator, worst: Comparison) -> bool:
        """Return whether an error moves the value by less than a rounding on the way, over the inputs' least size.

        ``log(1 + x**2)`` is 0 for all floating-point numbers near 1e-12, so that its differences are 0 without noise.
        A derivative that is 0 is computed as a sum of roundings, by a backend as well as by the reference:
        ``hypot(3 * x, x)`` has the second derivative 0, and in extended precision some 1e-19.
        """
        unit = self._eps
        if worst.expected == 0 and worst.got != 0:
            unit *= ROUNDINGS
        elif worst.reference != NUMERICAL_DIFFERENCE:
            unit = ROUNDINGS * (EPS if "float64" in worst.reference else float(np.finfo(WIDE).eps))
        least = float(np.min(np.abs(self._x[self._x != 0]), initial=1.0))
        moved = worst.max_abs_error * least ** (2 if operator in SECOND_ORDER else 1)
        return moved <= unit * max(float(np.max(np.abs(v), initial=0.0)) for v in self.program.values.values())

    def _excused(self, words: str) -> str:
        """Add the operations whose own derivative does not exist: the chain rule promises nothing there.

        Each may follow a convention of its own. Where several do, what they give together may be no derivative, as that
        of ``relu(x) - relu(-x)`` at 0, which is 0 for a function that is x.
        """
        singular = ", ".join(self.program.singular)
        return f"{words}; no derivative by the chain rule: {singular} at a singular point" if singular else words

    def _outside(self, operator: Operator, found: Sequence[Array]) -> str:
        """Return in words where a gradient at a kink is outside the one-sided derivatives; empty if nowhere.

        One operation has the kink and all others are smooth, so that the derivatives by the chain rule are its
        subgradients, mapped linearly: along each direction they lie between the derivatives of both sides.
        """
        if operator not in (Operator.GRADIENT, Operator.VJP):
            return ""
        (u,) = self.case(operator).directions or (np.ones(()),)
        g, n = flat(found).astype(np.float64), self._x.size
        scale = np.where(self._x == 0, 1.0, np.abs(self._x))
        for d in (*np.eye(n), np.ones(n), flat(self.case(Operator.JVP).directions)):
            seen = differences.first(self._f, self._x, _STEP * d * scale, np.ravel(u)[None]).divided(_STEP)
            middle, bar = float(seen.derivative[0]), 3 * float(seen.bar[0])
            low, high = (float(seen.low[0]), float(seen.high[0])) if seen.kinked[0] else (middle - bar, middle + bar)
            slope = float(g @ (d * scale))
            slack = 1e-6 * (1.0 + abs(slope))
            if np.isfinite(low) and np.isfinite(high) and not low - slack <= slope <= high + slack:
                return (
                    f"{operator} at a kink: got {slope:.6g} along {d}, one-sided derivatives {low:.6g} and {high:.6g}"
                )
        return ""

    def _smooth(self, operator: Operator) -> bool:
        """Return whether numerical differences show that the derivative exists."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            exists = self._confirmed(operator) or self._slopes_exist
            # A random product of second derivatives hides a jump of the curvature along one entry.
            regular = operator not in SECOND_ORDER or (not self.program.singular and self._confirmed(operator))
            return exists and (regular or self._curvature_exists)

    def _refuted(self, operator: Operator, worst: Comparison, words: str) -> Judgement:
        if worst.verdict == Verdict.NONFINITE:
            return Judgement(Class.DEFECT, "nan", words)
        if not worst.reference:
            return Judgement(Class.DEFECT, worst.quantity, words)
        if worst.norm_rel_error <= _LOST_DIGITS[self.dtype]:
            return Judgement(Class.PRECISION, "digits", words)
        return Judgement(Class.DEFECT, "value" if operator == Operator.VALUE else "number", words)

    # ---- whether there is a derivative

    @functools.cached_property
    def _slopes_exist(self) -> bool:
        """Return whether the function has a slope along every input, and along a random direction the sum of them."""
        t, weights = flat(self.case(Operator.JVP).directions), np.eye(self.case(Operator.VALUE).output.size)
        steps = _STEP * np.where(self._x == 0, 1.0, np.abs(self._x))
        seen = [differences.first(self._f, self._x, row, weights).divided(h)
                for row, h in zip(np.diag(steps), steps, strict=True)]  # fmt: skip
        along = differences.first(self._f, self._x, _STEP * t, weights).divided(_STEP)
        if not all(verdict == Verdict.PASS for each in (*seen, along) for verdict in each.verdicts):
            return False
        total = sum((x * each.derivative for x, each in zip(t, seen, strict=True)), np.zeros(len(weights)))
        slack = 3 * along.bar + sum(3 * np.abs(x) * each.bar for x, each in zip(t, seen, strict=True))
        size = 1.0 + np.abs(along.derivative)
        return bool(np.all(np.abs(total - along.derivative) <= slack + 1e-9 * size) and np.all(slack <= 1e-3 * size))

    @functools.cached_property
    def _curvature_exists(self) -> bool:
        """Return whether numerical differences find a curvature, the same on both sides of the point.

        Each entry is tried alone, since a jump in one may be small beside the curvature of all.
        """
        rng, n = np.random.default_rng(SEED), self._x.size
        scale = np.where(self._x == 0, 1.0, np.abs(self._x))
        together = rng.uniform(0.5, 1.5, (_DIRECTIONS, n)) * rng.choice([-1.0, 1.0], (_DIRECTIONS, n))
        weights = np.ones((1, self.case(Operator.VALUE).output.size))
        for u in scale * np.concatenate([np.eye(n), together]):
            seen = differences.second(self._f, self._x, u, u, weights)
            if seen.verdicts[0] != Verdict.PASS or not 3 * seen.bar[0] <= _UNSETTLED * (1 + abs(seen.derivative[0])):
                return False
        return True

    # ---- the short way

    def _agrees(self, operator: Operator, found: Sequence[Array]) -> bool:
        """Return whether an outcome equals the engine's, which numerical differences have confirmed."""
        expected = self._expected(operator)
        if len(found) != len(expected) or any(
            f.shape != e.shape or f.dtype != self.dtype for f, e in zip(found, expected, strict=True)
        ):
            return False
        return self._confirmed(operator) and all(
            near(f, e, ROUNDINGS * self._eps) for f, e in zip(found, expected, strict=True)
        )

    def _far(self, operator: Operator, found: Sequence[Array]) -> str:
        """Return the kind of a defect that is plain to see; empty if the judge must decide."""
        expected = self._expected(operator)
        if [f.shape for f in found] != [e.shape for e in expected] or not self._confirmed(operator):
            return ""
        finite = all(np.isfinite(f).all() for f in found)
        if not finite or all(near(f, e, _PLAIN) for f, e in zip(found, expected, strict=True)):
            return ""
        return "value" if operator == Operator.VALUE else "number"

    @functools.cache  # noqa: B019 - an oracle lives as long as its program
    def _expected(self, operator: Operator) -> tuple[Array, ...]:
        """Return the engine's result in float64, at the point as the dtype rounds it; empty if it has none."""
        case = self.case(operator)
        if operator == Operator.VALUE:
            return (case.output,)
        try:
            exact = prepared(_engine(), self.problem, (SIZE, "float64", operator, SEED))
            found = exact.timed.run(*case.inputs.arrays, *case.directions)
            return tuple(np.asarray(leaf) for leaf in leaves(found))
        except Exception:  # the judge goes the long way
            return ()

    def _confirmed(self, operator: Operator) -> bool:
        """Return whether numerical differences confirm the engine's result of an operator."""
        if operator == Operator.VALUE:
            return True
        if not self._first_confirmed:
            return False
        found, tangents = self._expected(operator), self.case(Operator.JVP).directions
        along = self._expected(Operator.JVP)[0]
        if operator in SECOND_ORDER:
            return self._second_confirmed and (operator == Operator.HVP or self._rows_confirmed)
        if operator == Operator.VALUE_AND_GRADIENT:
            found = found[1:]
        if operator == Operator.JACOBIAN:
            products = [np.tensordot(j, t, t.ndim) for j, t in zip(found, tangents, strict=True)]
            return near(np.asarray(sum(products)), along, ROUNDINGS * EPS)
        if operator == Operator.JVP:
            return True
        (u,) = self.case(operator).directions or (np.ones(()),)
        return near(inner(found, tangents), np.asarray(np.sum(u * along)), ROUNDINGS * EPS)

    @functools.cached_property
    def _first_confirmed(self) -> bool:
        """Return whether ``J t`` of the engine is the numerical difference, entry by entry."""
        found = self._expected(Operator.JVP)
        if not found or not found[0].size:
            return bool(found)
        t = flat(self.case(Operator.JVP).directions)
        seen = differences.first(self._f, self._x, _STEP * t, np.eye(found[0].size))
        return shown(seen.divided(_STEP), np.ravel(found[0]))

    @functools.cached_property
    def _second_confirmed(self) -> bool:
        """Return whether ``s H t`` of the engine is the second difference."""
        found = self._expected(Operator.HVP)
        if not found:
            return False
        s, directions = flat(self.case(Operator.JVP).directions), self.case(Operator.HVP).directions
        seen = differences.second(self._f, self._x, _STEP * s, _STEP * flat(directions), np.ones((1, 1)))
        return shown(seen.divided(_STEP**2), np.array([s @ flat(found)]))

    @functools.cached_property
    def _rows_confirmed(self) -> bool:
        """Return whether the rows of the engine's Hessian give the product that was confirmed."""
        tangents, rows = self.case(Operator.HVP).directions, self._expected(Operator.HESSIAN)
        n, product = len(tangents), self._expected(Operator.HVP)
        if len(rows) != n * n:
            return False
        sums = [sum(np.tensordot(rows[i * n + j], tangents[j], tangents[j].ndim) for j in range(n)) for i in range(n)]
        return all(near(np.asarray(a), b, ROUNDINGS * EPS) for a, b in zip(sums, product, strict=True))

    @functools.cached_property
    def _x(self) -> Array:
        return flat(self.case(Operator.VALUE).inputs.differentiated)

    def _f(self, point: Array) -> Array:
        inputs = self.case(Operator.VALUE).inputs
        ends = np.cumsum([x.size for x in inputs.differentiated])[:-1]
        parts = [p.reshape(x.shape) for p, x in zip(np.split(point, ends), inputs.differentiated, strict=True)]
        return np.ravel(np.asarray(self.problem.function(PLAIN, {})(*parts), dtype=np.float64))


@functools.cache
def _engine() -> backends.Backend:
    backend = backends.load("numpy")
    backend.open()
    return backend
