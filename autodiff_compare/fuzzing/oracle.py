"""The judgement of outcomes: what of them agrees with the derivative, and how the others differ.

Every outcome is judged as a cell is (`autodiff_compare.judge.judge`). That takes up to a hundred milliseconds, so that
a short way is tried first: an outcome agrees if it equals our engine's result to a few roundings, and numerical
differences confirm that result (`autodiff_compare.fuzzing.evidence.engine_results`). Everything else goes the long way:
an outcome that differs, and programs at kinks, at the ends of domains and on scales that these differences do not see.
So nothing is called wrong unless the judge refutes it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.fuzzing.batch import SEED, SIZE, Outcome
from autodiff_compare.fuzzing.evidence.engine_results import EngineResults
from autodiff_compare.fuzzing.evidence.nearness import EPS, ROUNDINGS
from autodiff_compare.fuzzing.evidence.point import Point
from autodiff_compare.fuzzing.evidence.slopes import Slopes
from autodiff_compare.fuzzing.program import Program, problem_of_text
from autodiff_compare.judge.comparison import WIDE
from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.judge.reference import NUMERICAL_DIFFERENCE
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import SECOND_ORDER, Operator, Status, Verdict, Word

#: dtype -> relative error up to which a wrong outcome has lost digits rather than a term.
_LOST_DIGITS = {"float64": 1e-4, "float32": 1e-2}
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
        #: The point of the program.
        self.point = Point(with_operators(problem_of_text(program.source())), SIZE, dtype, SEED)
        self._engine, self._slopes = EngineResults(self.point), Slopes(self.point)
        self._judge: Callable[[Operator], Judge] = functools.cache(lambda operator: Judge(self.point.case(operator)))
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
            if self._engine.agrees(operator, outcome.leaves):
                return Judgement(Class.AGREE)
            if not thorough and (kind := self._engine.plain_defect(operator, outcome.leaves)):
                return Judgement(Class.DEFECT, kind, "differs from our engine")
            return self._judged(operator, outcome.leaves)

    def reference(self, operator: Operator) -> tuple[Array, ...]:
        """Return the leaves of the right result in float64; empty if none is known."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if self._engine.expected(operator) and self._engine.confirmed(operator):
                return self._engine.expected(operator)
            found = self._judge(operator).reference.arrays or ()
            return tuple(np.asarray(leaf, dtype=np.float64) for leaf in found)

    def _failed(self, operator: Operator, outcome: Outcome) -> Judgement:
        """Return the class of an exception: where an operation has no derivative, it is as good an answer as nan."""
        derived = outcome.status == Status.ERROR and operator != Operator.VALUE
        if derived and (self.program.singular or not self._smooth(operator)):
            return Judgement(Class.UNDECIDED, "", self._excused(outcome.message))
        kind = outcome.message.partition(":")[0] if outcome.status == Status.ERROR else str(outcome.status)
        return Judgement(Class.ERROR, kind, outcome.message)

    def _judged(self, operator: Operator, found: Sequence[Array]) -> Judgement:
        comparisons = self._judge(operator)(found)
        status, words = overall(comparisons)
        if status == Status.OK:
            kinked = any(c.verdict == Verdict.SUBGRADIENT for c in comparisons)
            return Judgement(Class.CONVENTION if kinked else Class.AGREE)
        refuted = sorted((c for c in comparisons if c.verdict in _REFUTED), key=lambda c: bool(c.reference))
        if not refuted:
            nonsmooth = any(c.verdict == Verdict.NONSMOOTH for c in comparisons)
            outside = "" if not nonsmooth or self._conventional(operator) else self._slopes.outside(operator, found)
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
        sizes = np.abs(self.point.x)
        least = float(np.min(sizes[sizes != 0], initial=1.0))
        moved = worst.max_abs_error * least ** (2 if operator in SECOND_ORDER else 1)
        return moved <= unit * max(float(np.max(np.abs(v), initial=0.0)) for v in self.program.values.values())

    def _excused(self, words: str) -> str:
        """Add the operations whose own derivative does not exist: the chain rule promises nothing there.

        Each may follow a convention of its own. Where several do, what they give together may be no derivative, as that
        of ``relu(x) - relu(-x)`` at 0, which is 0 for a function that is x.
        """
        singular = ", ".join(self.program.singular)
        return f"{words}; no derivative by the chain rule: {singular} at a singular point" if singular else words

    def _smooth(self, operator: Operator) -> bool:
        """Return whether numerical differences show that the derivative exists."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            exists = self._engine.confirmed(operator) or self._slopes.exist
            # A random product of second derivatives hides a jump of the curvature along one entry.
            regular = operator not in SECOND_ORDER or (not self.program.singular and self._engine.confirmed(operator))
            return exists and (regular or self._slopes.curvature_exists)

    def _refuted(self, operator: Operator, worst: Comparison, words: str) -> Judgement:
        if worst.verdict == Verdict.NONFINITE:
            return Judgement(Class.DEFECT, "nan", words)
        if not worst.reference:
            return Judgement(Class.DEFECT, worst.quantity, words)
        if worst.norm_rel_error <= _LOST_DIGITS[self.dtype]:
            return Judgement(Class.PRECISION, "digits", words)
        return Judgement(Class.DEFECT, "value" if operator == Operator.VALUE else "number", words)
