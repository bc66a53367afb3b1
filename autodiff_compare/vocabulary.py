"""The words that every room shares: operators, statuses, dtypes, optimizers.

This module imports nothing but the standard library, so that problems, backends and
the harness can agree on their words without importing each other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

DTYPES = ("float64", "float32")

#: Sets of problems, with what they are for; ``all`` is every problem there is.
SUITES = {
    "classic": "the five studies this project grew from",
    "tests": "test functions of optimisation, and models people really differentiate",
    "adbench": "the four objectives of ADBench",
    "gradbench": "the evaluations of GradBench",
    "engine": "what our own engine is measured by",
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
    """A word that is its text, wherever a text is wanted."""

    def __str__(self) -> str:
        return str.__str__(self)

    def __format__(self, spec: str) -> str:
        return str.__format__(self, spec)


class Operator(Word):
    """What is computed of a function ``f`` at ``x``."""

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


#: What is made of second derivatives, and can be had in several orders of modes.
SECOND_ORDER = frozenset({Operator.HVP, Operator.HESSIAN})

#: Orders of modes of a second derivative, the outer mode first, with their names in full.
ORDERS = {
    "fr": "forward over reverse",
    "rr": "reverse over reverse",
    "rf": "reverse over forward",
    "ff": "forward over forward",
}


#: Variants that can be added to the backends of a run, as sets by name.
VARIANTS = {
    "all": "every variant of each backend, and autograd to the default backends",
    "modes": f"hvp and hessian of each backend in every order of modes ({', '.join(ORDERS)}), such as jax:fr",
}


class How(Word):
    """Whether the framework offers an operator itself or we build it from what it offers."""

    NATIVE = "native"
    DERIVED = "derived"


class Status(Word):
    """How a planned cell ended; every planned cell ends as exactly one row."""

    OK = "ok"
    WRONG = "wrong"
    UNSUPPORTED = "unsupported"
    NOT_INSTALLED = "not_installed"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"
    OUT_OF_MEMORY = "out_of_memory"


def because(status: str, message: str) -> str:
    """``status: message``; the message alone where it says so itself, as ``not installed: torch`` does."""
    if message.startswith(status.replace("_", " ")):
        return message
    return f"{status}: {message}" if message else status


#: Something broke, as opposed to being absent or wrong; the cause may have been the moment.
BROKEN = frozenset({Status.ERROR, Status.TIMEOUT, Status.CRASH, Status.OUT_OF_MEMORY})


class Verdict(Word):
    """How one comparison with a reference ended; only `PASS` and `SUBGRADIENT` speak for a result.

    ``inconclusive``: it agrees, but the tolerance is too wide to mean anything. ``nonsmooth``: numerical
    differences find no derivative here. ``undetermined``: too few finite values around the point.
    ``subgradient``: the point is a kink and the result lies between the one-sided derivatives.
    ``no_grad``: no gradient, or nothing but zeros, where the derivative is not zero. ``nonfinite``: nan or
    infinite where the derivative is finite.
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
    """Where the time of a cell goes."""

    IMPORT = "import"
    PREPARE = "prepare"
    FIRST_CALL = "first_call"
    STEADY = "steady"


@dataclass(frozen=True)
class Optimizer:
    """An update rule with its hyper-parameters, meaning the same on every backend.

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
