"""Observation of one backend in one case, inside its worker process: value, derivative, one-sided derivatives."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend, Unsupported
from autodiff_compare.conventions.translation import translated
from autodiff_compare.judge.singular.slopes import Coordinates, nearby, sides
from autodiff_compare.plan.cases import leaves
from autodiff_compare.problems import Array
from autodiff_compare.problems.conventions import CASES, Case, Kink, Value
from autodiff_compare.vocabulary import Operator

#: Messages by which frameworks report a missing derivative rule, as opposed to a failure.
_NO_RULE = re.compile(
    r"not (?:been )?implemented|no gradient (?:defined|registered)|gradient registry|differentiation rule|"
    r"not differentiable|no derivative|derivative for|has no rule|not supported|unsupported|does not support|"
    r"dual numbers|could not infer a gradient",
    re.IGNORECASE,
)
#: TensorFlow puts this line above every exception raised inside a graph; it carries no information.
_EMPTY_HEADLINE = "Graph execution error"
_OPERATORS = {"gradient": Operator.VALUE_AND_GRADIENT, "jvp": Operator.JVP, "second": Operator.HESSIAN}
#: ``d/dz`` of ``z^2`` at 1 + 2i is 2 + 4i; the direction of steepest ascent of its real part is the conjugate.
_PROBE, _CONJUGATED = 1 + 2j, 2 + 4j


@dataclass
class Observation:
    """The result of one case on one backend.

    Parameters
    ----------
    status
        ``answered``, ``raised``, or ``not_available`` (no such function, or no derivative rule).
    spelled
        Source text that was run.
    value
        Function value at the point, flat float64; empty if it is not evaluated.
    obtained
        Coordinates of the derivative, see `autodiff_compare.judge.singular.slopes`.
    left, right, bar
        One-sided derivatives of the backend's own function, flat, with their error bars.
    hull, hull_bar
        Limits of gradients nearby and their error bars, (points, entries); only for kinks in several coordinates.
    normalisation
        Conversions applied to the answer before comparison, in words.
    remark
        Fault of the answer's shape or dtype.
    message
        Exception raised by the backend.
    """

    status: str = "answered"
    spelled: str = ""
    value: Array = field(default_factory=lambda: np.zeros(0))
    obtained: Array = field(default_factory=lambda: np.zeros(0))
    left: Array = field(default_factory=lambda: np.zeros(0))
    right: Array = field(default_factory=lambda: np.zeros(0))
    bar: Array = field(default_factory=lambda: np.zeros(0))
    hull: Array = field(default_factory=lambda: np.zeros((0, 0)))
    hull_bar: Array = field(default_factory=lambda: np.zeros((0, 0)))
    normalisation: str = ""
    remark: str = ""
    message: str = ""


def observe(backend: Backend, name: str, dtype: str) -> dict[str, Any]:
    """Run the case ``name`` on an opened backend and return the `Observation` as a dictionary.

    An exception of the backend is recorded, not raised: it is an answer too.
    """
    found = Observation()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        _observe(backend, CASES[name], dtype, found)
    return asdict(found)


def _observe(backend: Backend, case: Case, dtype: str, found: Observation) -> None:
    try:
        translation = translated(backend, case)
    except Unsupported as error:
        found.status, found.message = "not_available", str(error)
        return
    found.spelled = translation.source
    trial = _Trial(backend, case, dtype, translation.function)
    try:
        trial.differentiate(found)
    except Exception as error:  # a framework may raise anything, and this is its answer
        found.status, found.message = status_of(error)
        found.obtained = np.zeros(0)
    if case.operator != "answer":
        trial.measure(found)


class _Trial:
    """One case on one backend: prepared inputs, and the steps that fill in an `Observation`."""

    def __init__(self, backend: Backend, case: Case, dtype: str, function: Callable[..., Any]) -> None:
        self.backend, self.case, self.dtype, self.function = backend, case, dtype, function
        self.inputs, self.data = case.inputs(dtype), case.constants(dtype)
        self.at = Coordinates.of(self.inputs, symmetric=case.symmetric)
        self.argnums = tuple(range(len(self.inputs)))
        #: The prepared value and gradient, once it has run: `measure` uses it, which saves compiling the value alone.
        self.both: Callable[..., Any] | None = None

    def differentiate(self, found: Observation) -> None:
        """Compute the derivative, in the framework's idiom or by the operator, and record it."""
        args = self._vars(self.inputs)
        if self.case.operator == "answer":
            given = self.function(*args)
            self._record_derivative(self._idiom_answer(given, found), found, self.inputs[:1])
            return
        operator = _OPERATORS[self.case.operator]
        tangents = [self.backend.to_var(t) for t in self.at.tangents()] if operator == Operator.JVP else []
        run = self.backend.prepare(operator, self.function, args, argnums=self.argnums, directions=tangents)
        result = self.backend.block(run(*args, *tangents))
        if operator == Operator.VALUE_AND_GRADIENT:
            # Eager backends compile nothing, and the value alone is faster.
            self.both = run if self.backend.variant != "eager" else None
            self._record_value(found, result[0])
            result = result[1]
        self._record_derivative(
            [np.asarray(self.backend.to_numpy(leaf)) for leaf in leaves(result)], found, self.inputs
        )
        if self.case.operator == "gradient" and not found.obtained.any():
            self._check_that_zero_is_a_gradient()

    def _check_that_zero_is_a_gradient(self) -> None:
        """Raise NotImplementedError if the zeros stand for a missing derivative rule.

        Adapters return zeros for inputs that are not connected to the output; this is right for unused inputs. If the
        right derivative is not zero, zeros would hide that the framework has no rule: its own idiom tells (`None`).
        """
        if not isinstance(self.case.right, Value) or not self.case.right.array.any():
            return
        try:
            raw = translated(self.backend, replace(self.case, f="xp.raw_gradient")).function
        except Unsupported:
            return
        try:
            found = raw(*self._vars(self.inputs))(self.function, *self._vars(self.inputs))
        except Exception as error:
            raise NotImplementedError(status_of(error)[1]) from error
        if found is None:
            raise NotImplementedError("the framework's own gradient function returns None")

    def measure(self, found: Observation) -> None:
        """Measure the one-sided derivatives of the backend's own function, if it can be evaluated."""
        try:
            f = self._forward(found)
            if self.at.places:
                seen = sides(f, self.at, self.dtype)
                found.left, found.right, found.bar = (np.ravel(a) for a in (seen.left, seen.right, seen.bar))
                if isinstance(self.case.right, Kink) and len(self.at.places) > 1:
                    is_gradient = found.obtained.size == self.at.scales.size
                    towards = (found.obtained / self.at.scales,) if is_gradient else ()
                    found.hull, found.hull_bar = nearby(f, self.at, self.dtype, towards)
        except Exception as error:
            found.message = found.message or f"no one-sided derivatives: {status_of(error)[1]}"

    def _forward(self, found: Observation) -> Callable[[Array], Array]:
        """Return the function of a displacement in coordinates; for second derivatives, return its gradient."""
        second = self.case.operator == "second"
        args = self._vars(self.inputs)
        operator = Operator.GRADIENT if second else Operator.VALUE
        run = self.both or self.backend.prepare(operator, self.function, args, argnums=self.argnums)

        def f(by: Array) -> Array:
            out = run(*self._vars(self.at.moved(by)))
            out = self.backend.block(out[0] if self.both else out)
            parts = [np.asarray(self.backend.to_numpy(leaf)) for leaf in leaves(out)]
            return self.at.read(parts) if second else np.real(np.ravel(parts[0])).astype(np.float64)

        if not second and not found.value.size:
            self._record_value(found, run(*args))
        return f

    def _vars(self, inputs: Sequence[Array]) -> list[Any]:
        return [self.backend.to_var(part) for part in (*inputs, *self.data)]

    def _record_value(self, found: Observation, value: Any) -> None:
        found.value = np.real(np.ravel(np.asarray(self.backend.to_numpy(value)))).astype(np.float64)

    def _idiom_answer(self, given: Any, found: Observation) -> list[Array]:
        """Convert the answer of an idiom to arrays: it is an array, `None`, or an array with its normalisation."""
        if given is None:
            found.normalisation = "None as 0"
            return [np.zeros_like(self.inputs[0])]
        if isinstance(given, tuple):
            given, found.normalisation = given
        is_plain = isinstance(given, (bool, int, float, np.ndarray, np.generic))
        return [np.asarray(given if is_plain else self.backend.to_numpy(given))]

    def _record_derivative(self, parts: list[Array], found: Observation, inputs: Sequence[Array]) -> None:
        """Normalise the derivative and record its coordinates."""
        if self.case.operator == "jvp":
            found.obtained = np.real(np.ravel(parts[0])).astype(np.float64)
            return
        if self.case.operator == "second":
            found.obtained = np.concatenate([np.zeros(0), *map(np.ravel, parts)]).astype(np.float64)
            return
        found.remark = _fault(parts, inputs)
        notes = [found.normalisation]
        if any(map(np.iscomplexobj, inputs)):
            conjugates = _conjugates(self.backend)
            parts = [np.conj(part) for part in parts] if conjugates else parts
            notes += ["conjugated"] * (conjugates or bool(self.backend.conversion(Operator.GRADIENT)))
        if self.case.symmetric and any(not np.array_equal(p, np.swapaxes(p, -1, -2), equal_nan=True) for p in parts):
            notes.append("symmetric part")
        found.normalisation = ", ".join(filter(None, notes))
        if not found.remark.startswith("shape"):
            at = self.at if len(inputs) == len(self.inputs) else Coordinates.of(inputs, symmetric=False)
            found.obtained = at.read(parts)


def _fault(parts: Sequence[Array], inputs: Sequence[Array]) -> str:
    """Return the first fault of the derivative's shape or dtype; empty if there is none."""
    for part, x in zip(parts, inputs, strict=False):
        if part.shape != x.shape:
            return f"shape {part.shape} for an input of shape {x.shape}"
    for part, x in zip(parts, inputs, strict=False):
        if part.dtype != x.dtype:
            return f"dtype {part.dtype} for an input of {x.dtype}"
    return ""


@functools.lru_cache(maxsize=8)
def _conjugates(backend: Backend) -> bool:
    """Return whether the backend's gradient is the conjugate ``dL/da - i dL/db`` of the steepest ascent."""
    xp, z = backend.xp, backend.to_var(np.array(_PROBE))
    run = backend.prepare(Operator.GRADIENT, lambda z: xp.real(z * z), [z])
    return bool(np.abs(backend.to_numpy(run(z)[0]) - _CONJUGATED) < 1e-6)


def status_of(error: Exception) -> tuple[str, str]:
    """Return the status that an exception means, and its message in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and _EMPTY_HEADLINE not in line]
    first = lines[0] if lines else ""
    words = f"{type(error).__name__}: {first}"[:300]
    lacks = isinstance(error, (Unsupported, NotImplementedError)) or (
        not isinstance(error, (IndexError, KeyError, TypeError, ValueError)) and _NO_RULE.search(str(error))
    )
    return ("not_available" if lacks else "raised"), words
