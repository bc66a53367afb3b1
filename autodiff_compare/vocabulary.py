"""The vocabulary of all rooms: operators, statuses, verdicts, dtypes, optimizers.

This module imports nothing but the standard library, so that problems, backends and the rooms of the package share
their words without importing each other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

DTYPES = ("float64", "float32")

#: Suite of problems -> its purpose; ``all`` holds every problem.
SUITES = {
    "classic": "the five studies this project grew from",
    "tests": "test functions of optimisation, and models that are differentiated in practice",
    "adbench": "the four objectives of ADBench",
    "gradbench": "the evaluations of GradBench",
    "engine": "problems that measure this project's NumPy engine",
    "all": "every problem",
}


def join_spec(backend: str, variant: str = "") -> str:
    """Return ``backend:variant``, or ``backend`` if the variant is empty."""
    return f"{backend}:{variant}" if variant else backend


def split_spec(spec: str) -> tuple[str, str]:
    """Return (backend, variant) of ``backend[:variant]``; the variant may hold an order of modes, or be empty."""
    backend, _, variant = spec.partition(":")
    return backend, variant


class Word(str, enum.Enum):  # noqa: UP042 - a worker may run on a Python that has no enum.StrEnum yet
    """An enumeration whose members are texts: they compare, format and print as their value."""

    def __str__(self) -> str:
        return str.__str__(self)

    def __format__(self, spec: str) -> str:
        return str.__format__(self, spec)


class Operator(Word):
    """A derivative, or another quantity, that is computed of a function at a point."""

    VALUE = "value"
    GRADIENT = "gradient"
    VALUE_AND_GRADIENT = "value_and_gradient"
    JVP = "jvp"
    VJP = "vjp"
    JACOBIAN = "jacobian"
    SPARSE_JACOBIAN = "sparse_jacobian"
    HVP = "hvp"
    HESSIAN = "hessian"
    STEP = "step"


#: Operators that a backend has natively as a rule, and that a run computes where it names none.
STANDARD_OPERATORS = frozenset(
    {
        Operator.VALUE,
        Operator.GRADIENT,
        Operator.VALUE_AND_GRADIENT,
        Operator.JVP,
        Operator.VJP,
        Operator.JACOBIAN,
        Operator.HVP,
        Operator.HESSIAN,
    }
)

#: Operators of second derivatives, which can be computed in several orders of modes.
SECOND_ORDER = frozenset({Operator.HVP, Operator.HESSIAN})

#: Abbreviation of an order of modes -> its full name; the outer mode comes first.
ORDERS = {
    "fr": "forward over reverse",
    "rr": "reverse over reverse",
    "rf": "reverse over forward",
    "ff": "forward over forward",
}


#: The environment variable that keeps a worker from storing machine code between runs, if it is not empty.
NO_CACHE = "AUTODIFF_COMPARE_NO_CACHE"
#: Option of ``--variants`` -> the backends that it adds to a run.
VARIANTS = {
    "all": "every variant of each backend, and autograd to the default backends",
    "modes": f"hvp and hessian of each backend in every order of modes ({', '.join(ORDERS)}), such as jax:fr",
}


class How(Word):
    """How a backend has an operator: natively, from its framework, or derived from its native operators."""

    NATIVE = "native"
    DERIVED = "derived"


class Status(Word):
    """The end of a planned cell; every planned cell ends as exactly one row."""

    OK = "ok"
    WRONG = "wrong"
    UNSUPPORTED = "unsupported"
    NOT_INSTALLED = "not_installed"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_RUN = "not_run"


def because(status: str, message: str) -> str:
    """Return ``status: message``, or the message alone if it begins with the status, as ``not installed: torch``."""
    if message.startswith(status.replace("_", " ")):
        return message
    return f"{status}: {message}" if message else status


#: Statuses of cells that a resumed run executes again: their failure may be temporary, or they were not tried.
BROKEN = frozenset({Status.ERROR, Status.TIMEOUT, Status.CRASH, Status.OUT_OF_MEMORY, Status.NOT_RUN})


class Verdict(Word):
    """The outcome of one comparison with a reference; only `PASS` and `SUBGRADIENT` prove a result right.

    - ``pass``: the result agrees within the tolerance.
    - ``fail``: it does not.
    - ``inconclusive``: it agrees, but the tolerance is too wide to prove anything.
    - ``nonsmooth``: numerical differences find no derivative at the point.
    - ``undetermined``: too few values around the point are finite.
    - ``subgradient``: the point is a kink, and the result lies between the one-sided derivatives.
    - ``no_grad``: the result is missing or all zeros, and the derivative is not zero.
    - ``nonfinite``: the result is nan or infinite where the derivative is finite.
    """

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NONSMOOTH = "nonsmooth"
    UNDETERMINED = "undetermined"
    SUBGRADIENT = "subgradient"
    NO_GRAD = "no_grad"
    NONFINITE = "nonfinite"


class Phase(Word):
    """A phase in the execution of a cell that is timed by itself; ``value``: the value, beside its derivative."""

    IMPORT = "import"
    PREPARE = "prepare"
    FIRST_CALL = "first_call"
    STEADY = "steady"
    VALUE = "value"


@dataclass(frozen=True)
class Optimizer:
    """An update rule with its hyper-parameters, which mean the same on every backend.

    The rules, for parameters ``p``, gradient ``g``, rate ``lr`` and update count ``n`` from 1:

    - ``sgd``: ``p -= lr g``
    - ``momentum``: ``v = momentum v + g``; ``p -= lr v`` (``v`` starts at zero)
    - ``nesterov``: ``v = momentum v + g``; ``p -= lr (g + momentum v)``
    - ``adam``: ``m = b1 m + (1-b1) g``; ``v = b2 v + (1-b2) g^2``;
      ``p -= lr m' / (sqrt(v') + eps)`` with ``m' = m/(1-b1^n)``, ``v' = v/(1-b2^n)``
      (Kingma and Ba 2015, algorithm 1). With ``eps_hat`` the eps stands beside the
      uncorrected root, as in section 2 of that paper and in Keras:
      ``p -= lr sqrt(1-b2^n)/(1-b1^n) m / (sqrt(v) + eps)``.
    """

    name: Literal["sgd", "momentum", "nesterov", "adam"]
    learning_rate: float
    momentum: float = 0.9
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    eps_hat: bool = False
