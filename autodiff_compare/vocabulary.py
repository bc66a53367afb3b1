"""The vocabulary of all rooms: operators, statuses, verdicts, dtypes, optimizers.

This module imports nothing but the standard library, so that problems, backends and the rooms of the package share
their words without importing each other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

DTYPES = ("float64", "float32")
#: Dtypes of half precision. Frameworks have some operations in them, and none has all.
HALF_DTYPES = ("float16", "bfloat16")

#: Suite of problems -> its purpose; ``all`` holds every problem.
SUITES = {
    "classic": "the five studies this project grew from",
    "tests": "test functions of optimisation, and models differentiated in practice",
    "adbench": "the four objectives of ADBench",
    "gradbench": "the evaluations of GradBench",
    "engine": "problems that measure this project's NumPy engine",
    "complex": "functions of complex numbers",
    "field": "one objective from each of many fields of work",
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
    VALUE_AND_JVP = "value_and_jvp"
    VALUE_AND_VJP = "value_and_vjp"
    VALUE_AND_JACOBIAN = "value_and_jacobian"
    VALUE_GRADIENT_HESSIAN = "value_gradient_hessian"
    GRADIENT_BATCH = "gradient_batch"
    JVP_BATCH = "jvp_batch"
    VJP_BATCH = "vjp_batch"
    HVP_BATCH = "hvp_batch"
    JACOBIAN_BATCH = "jacobian_batch"
    SPARSE_HESSIAN = "sparse_hessian"
    HESSIAN_DIAGONAL = "hessian_diagonal"
    LAPLACIAN = "laplacian"
    LAPLACIAN_ESTIMATE = "laplacian_estimate"
    TAYLOR = "taylor"


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

#: Operator that returns the results of several others side by side, from one evaluation -> these others, in order.
PARTS = {
    Operator.VALUE_AND_GRADIENT: (Operator.VALUE, Operator.GRADIENT),
    Operator.VALUE_AND_JVP: (Operator.VALUE, Operator.JVP),
    Operator.VALUE_AND_VJP: (Operator.VALUE, Operator.VJP),
    Operator.VALUE_AND_JACOBIAN: (Operator.VALUE, Operator.JACOBIAN),
    Operator.VALUE_GRADIENT_HESSIAN: (Operator.VALUE, Operator.GRADIENT, Operator.HESSIAN),
}

#: Operator that returns the results of another one along a new first axis -> that other one. Its rows belong to
#: directions, or to the samples of the data (`SAMPLED`).
BATCHES = {
    Operator.GRADIENT_BATCH: Operator.GRADIENT,
    Operator.JVP_BATCH: Operator.JVP,
    Operator.VJP_BATCH: Operator.VJP,
    Operator.HVP_BATCH: Operator.HVP,
    Operator.JACOBIAN_BATCH: Operator.JACOBIAN,
}
#: Batches with one row for each sample of the data: the derivative of the function of that sample alone.
SAMPLED = frozenset({Operator.GRADIENT_BATCH, Operator.JACOBIAN_BATCH})
#: Operators of functions of complex numbers. The results of the others are no arrays of complex numbers.
COMPLEX = frozenset({*STANDARD_OPERATORS, *PARTS, *BATCHES} - {Operator.HESSIAN, Operator.VALUE_GRADIENT_HESSIAN})


def directed(operator: Operator) -> Operator:
    """Return the operator whose directions an operator takes: itself, that of its rows, or one of its parts."""
    if operator is Operator.TAYLOR:
        return Operator.JVP
    row = BATCHES.get(operator, operator)
    return next((part for part in PARTS.get(row, ()) if part in (Operator.JVP, Operator.VJP)), row)


#: Operator that is computed only where a query names it -> the operators that a problem must have for it.
ON_REQUEST: dict[Operator, frozenset[Operator]] = {
    Operator.SPARSE_JACOBIAN: frozenset({Operator.JACOBIAN}),
    **{operator: frozenset(parts) for operator, parts in PARTS.items() if operator != Operator.VALUE_AND_GRADIENT},
    **{operator: frozenset({row}) for operator, row in BATCHES.items()},
    Operator.SPARSE_HESSIAN: frozenset({Operator.HVP}),
    Operator.HESSIAN_DIAGONAL: frozenset({Operator.HVP}),
    Operator.LAPLACIAN: frozenset({Operator.HVP}),
    Operator.LAPLACIAN_ESTIMATE: frozenset({Operator.HVP}),
    Operator.TAYLOR: frozenset({Operator.JVP}),
}

#: Operators of second derivatives, which can be computed in several orders of modes.
SECOND_ORDER = frozenset({Operator.HVP, Operator.HESSIAN})
#: Operators made of products with the Hessian, which are computed in the order of modes of these.
OF_HESSIAN = frozenset(
    {Operator.SPARSE_HESSIAN, Operator.HESSIAN_DIAGONAL, Operator.LAPLACIAN, Operator.LAPLACIAN_ESTIMATE}
)
#: Operators whose results are derivatives along directions, not entries of a matrix.
DIRECTIONAL = frozenset({Operator.HESSIAN_DIAGONAL, Operator.LAPLACIAN, Operator.LAPLACIAN_ESTIMATE, Operator.TAYLOR})
#: Operators that can be computed from products with all unit vectors, or from second derivatives along each.
BY_UNITS = frozenset({Operator.HESSIAN_DIAGONAL, Operator.LAPLACIAN})
#: Variant of a backend with Taylor series -> the operators in which it differs.
SERIES = {"jet": BY_UNITS, "nested": BY_UNITS | {Operator.TAYLOR}}
#: The highest derivative that `Operator.TAYLOR` computes where none is given.
TAYLOR_DEGREE = 4

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
    """The outcome of one comparison with a reference; `PASS`, `SUBGRADIENT` and `ESTIMATE` prove a result right.

    - ``pass``: the result agrees within the tolerance.
    - ``fail``: it does not.
    - ``inconclusive``: it agrees, but the tolerance is too wide to prove anything.
    - ``nonsmooth``: numerical differences find no derivative at the point, and the result is not between those of both
      sides.
    - ``undetermined``: too few values around the point are finite.
    - ``subgradient``: the point is a kink, and the result is in the hull of the derivatives nearby. At a kink of the
      slope these are second derivatives.
    - ``estimate``: the result is right for its random directions; its own error bar tells how far the derivative is.
    - ``no_grad``: the result is missing or all zeros, and the derivative is not zero.
    - ``nonfinite``: the result is nan or infinite where the derivative is finite.
    """

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NONSMOOTH = "nonsmooth"
    UNDETERMINED = "undetermined"
    SUBGRADIENT = "subgradient"
    ESTIMATE = "estimate"
    NO_GRAD = "no_grad"
    NONFINITE = "nonfinite"


class Phase(Word):
    """A phase in the execution of a cell that is timed by itself; ``value``: the value, beside its derivative."""

    IMPORT = "import"
    PREPARE = "prepare"
    FIRST_CALL = "first_call"
    STEADY = "steady"
    VALUE = "value"


#: Backend -> how it runs a function unless a variant is named. ``eager``: operation by operation, at every call;
#: ``graph`` and ``jit``: traced and compiled beforehand, once.
WAYS = {"numpy": "eager", "torch": "eager", "tensorflow": "graph", "jax": "jit", "autograd": "eager"}


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
