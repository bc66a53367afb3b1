"""What one backend does in one case, asked inside its worker process: value, derivative, one-sided derivatives."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend, Unsupported
from autodiff_compare.conventions.slopes import Coordinates, nearby, sides
from autodiff_compare.conventions.spelling import spelled
from autodiff_compare.plan.cases import leaves
from autodiff_compare.problems import Array
from autodiff_compare.problems.conventions import CASES, Case, Kink, Value
from autodiff_compare.vocabulary import Operator

#: How frameworks say that a function has no derivative rule, as opposed to that something went wrong.
_NO_RULE = re.compile(
    r"not (?:been )?implemented|no gradient (?:defined|registered)|gradient registry|differentiation rule|"
    r"not differentiable|no derivative|derivative for|has no rule|not supported|unsupported|does not support|"
    r"dual numbers|could not infer a gradient",
    re.IGNORECASE,
)
#: The headline of every exception inside a graph of TensorFlow.
_SAYS_NOTHING = "Graph execution error"
_OPERATORS = {"gradient": Operator.VALUE_AND_GRADIENT, "jvp": Operator.JVP, "second": Operator.HESSIAN}
#: ``d/dz`` of ``z^2`` at 1 + 2i is 2 + 4i; the direction of steepest ascent of its real part is the conjugate.
_PROBE, _CONJUGATED = 1 + 2j, 2 + 4j


@dataclass
class Observation:
    """What is seen of one backend in one case.

    Parameters
    ----------
    status
        ``answered``, ``raised``, or ``not_available`` (no such function, or no rule for it).
    spelled
        The source text that was run.
    value
        Of the function at the point, flat; empty where it is not evaluated.
    value_dtype
        Of the value.
    obtained
        The derivative's coordinates, see `autodiff_compare.conventions.slopes`.
    left, right, bar
        One-sided derivatives of the backend's own function, flat, with their error bars.
    hull, hull_bar
        (points, entries): limits of its gradients nearby; only for kinks in several coordinates.
    normalisation
        What was done to the answer before it was read.
    remark
        What is wrong with its shape or dtype.
    message
        The exception.
    """

    status: str = "answered"
    spelled: str = ""
    value: Array = field(default_factory=lambda: np.zeros(0))
    value_dtype: str = ""
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
    """Put the case ``name`` to an opened backend: an `Observation` as a dictionary. What it raises is an answer too."""
    found = Observation()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        _observe(backend, CASES[name], dtype, found)
    return asdict(found)


def _observe(backend: Backend, case: Case, dtype: str, found: Observation) -> None:
    try:
        words = spelled(backend, case)
    except Unsupported as error:
        found.status, found.message = "not_available", str(error)
        return
    found.spelled = words.source
    question = _Question(backend, case, dtype, words.function)
    try:
        question.answer(found)
    except Exception as error:  # whatever a framework raises is its answer
        found.status, found.message = _said(error)
        found.obtained = np.zeros(0)
    if case.operator != "answer":
        question.measure(found)


class _Question:
    """One case on one backend."""

    def __init__(self, backend: Backend, case: Case, dtype: str, function: Callable[..., Any]) -> None:
        self.backend, self.case, self.dtype, self.function = backend, case, dtype, function
        self.inputs, self.data = case.inputs(dtype), case.constants(dtype)
        self.at = Coordinates.of(self.inputs, symmetric=case.symmetric)
        self.argnums = tuple(range(len(self.inputs)))
        #: Value and gradient, once that is known to work: it serves for the value too, which saves compiling that.
        self.both: Callable[..., Any] | None = None

    def answer(self, found: Observation) -> None:
        """The derivative, in the framework's idiom or by the operator."""
        args = self._vars(self.inputs)
        if self.case.operator == "answer":
            given = self.function(*args)
            self._take(self._plain(given, found), found, self.inputs[:1])
            return
        operator = _OPERATORS[self.case.operator]
        tangents = [self.backend.to_var(t) for t in self.at.tangents()] if operator == Operator.JVP else []
        run = self.backend.prepare(operator, self.function, args, argnums=self.argnums, directions=tangents)
        result = self.backend.block(run(*args, *tangents))
        if operator == Operator.VALUE_AND_GRADIENT:
            # Op by op there is nothing to compile, and the value alone is quicker.
            self.both = run if self.backend.variant != "eager" else None
            self._see(found, result[0])
            result = result[1]
        self._take([np.asarray(self.backend.to_numpy(leaf)) for leaf in leaves(result)], found, self.inputs)
        if self.case.operator == "gradient" and not found.obtained.any():
            self._doubt()

    def _doubt(self) -> None:
        """Adapters give zeros for what is not connected, as is right for an input that is not used.

        Where the derivative is no zero, that would hide that the framework has none: its own idiom says which.
        """
        if not isinstance(self.case.right, Value) or not self.case.right.array.any():
            return
        try:
            raw = spelled(self.backend, replace(self.case, f="xp.raw_gradient")).function
        except Unsupported:
            return
        try:
            found = raw(*self._vars(self.inputs))(self.function, *self._vars(self.inputs))
        except Exception as error:
            raise NotImplementedError(_said(error)[1]) from error
        if found is None:
            raise NotImplementedError("its own idiom gives None")

    def measure(self, found: Observation) -> None:
        """One-sided derivatives of the backend's own function, as far as it can be evaluated."""
        try:
            f = self._forward(found)
            if self.at.places:
                seen = sides(f, self.at, self.dtype)
                found.left, found.right, found.bar = (np.ravel(a) for a in (seen.left, seen.right, seen.bar))
                if isinstance(self.case.right, Kink) and len(self.at.places) > 1:
                    found.hull, found.hull_bar = nearby(f, self.at, self.dtype)
        except Exception as error:
            found.message = found.message or f"no one-sided derivatives: {_said(error)[1]}"

    def _forward(self, found: Observation) -> Callable[[Array], Array]:
        """The function, or for second derivatives its gradient, of a displacement in coordinates."""
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
            self._see(found, run(*args))
        return f

    def _vars(self, inputs: Sequence[Array]) -> list[Any]:
        return [self.backend.to_var(part) for part in (*inputs, *self.data)]

    def _see(self, found: Observation, value: Any) -> None:
        array = np.asarray(self.backend.to_numpy(value))
        found.value, found.value_dtype = np.real(np.ravel(array)).astype(np.float64), str(array.dtype)

    def _plain(self, given: Any, found: Observation) -> list[Array]:
        """The answer of an idiom: an array, `None`, or an array and what was done to it."""
        if given is None:
            found.normalisation = "None as 0"
            return [np.zeros_like(self.inputs[0])]
        if isinstance(given, tuple):
            given, found.normalisation = given
        is_plain = isinstance(given, (bool, int, float, np.ndarray, np.generic))
        return [np.asarray(given if is_plain else self.backend.to_numpy(given))]

    def _take(self, parts: list[Array], found: Observation, inputs: Sequence[Array]) -> None:
        """Normalise the answer and read its coordinates."""
        if self.case.operator == "jvp":
            found.obtained = np.real(np.ravel(parts[0])).astype(np.float64)
            return
        if self.case.operator == "second":
            found.obtained = np.concatenate([np.zeros(0), *map(np.ravel, parts)]).astype(np.float64)
            return
        found.remark = _remark(parts, inputs)
        notes = [found.normalisation]
        if any(map(np.iscomplexobj, inputs)) and _conjugates(self.backend):
            parts = [np.conj(part) for part in parts]
            notes.append("conjugated")
        if self.case.symmetric and any(not np.array_equal(p, np.swapaxes(p, -1, -2), equal_nan=True) for p in parts):
            notes.append("symmetric part")
        found.normalisation = ", ".join(filter(None, notes))
        if not found.remark.startswith("shape"):
            at = self.at if len(inputs) == len(self.inputs) else Coordinates.of(inputs, symmetric=False)
            found.obtained = at.read(parts)


def _remark(parts: Sequence[Array], inputs: Sequence[Array]) -> str:
    for part, x in zip(parts, inputs, strict=False):
        if part.shape != x.shape:
            return f"shape {part.shape} for an input of shape {x.shape}"
    for part, x in zip(parts, inputs, strict=False):
        if part.dtype != x.dtype:
            return f"dtype {part.dtype} for an input of {x.dtype}"
    return ""


@functools.lru_cache(maxsize=8)
def _conjugates(backend: Backend) -> bool:
    """Whether the backend returns ``dL/da - i dL/db`` where the direction of steepest ascent has a plus."""
    xp, z = backend.xp, backend.to_var(np.array(_PROBE))
    run = backend.prepare(Operator.GRADIENT, lambda z: xp.real(z * z), [z])
    return bool(np.abs(backend.to_numpy(run(z)[0]) - _CONJUGATED) < 1e-6)


def _said(error: Exception) -> tuple[str, str]:
    """Status and message of an exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and _SAYS_NOTHING not in line]
    first = lines[0] if lines else ""
    words = f"{type(error).__name__}: {first}"[:300]
    lacks = isinstance(error, (Unsupported, NotImplementedError)) or (
        not isinstance(error, (IndexError, KeyError, TypeError, ValueError)) and _NO_RULE.search(str(error))
    )
    return ("not_available" if lacks else "raised"), words
