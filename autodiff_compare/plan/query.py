"""The query: the problems, backends and operators that a run is asked for, as names.

Only the standard library is imported here, so that the command line can show the defaults without loading anything.
"""

from __future__ import annotations

import difflib
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_BACKENDS = ("numpy", "torch", "tensorflow", "jax")
DEFAULT_DTYPES = ("float64",)
DEFAULT_SIZES = ("small",)
#: The suites of a query that names neither a problem nor a suite.
DEFAULT_SUITES = ("classic",)

#: Seeds up to this one are written to tables, whose whole numbers have 64 bits.
LARGEST_SEED = 2**63 - 1

#: Stands for every operator that a problem has.
ALL_OPERATORS = "all"

#: Field with several names -> its value where none is given.
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "problems": (),
    "backends": DEFAULT_BACKENDS,
    "operators": (),
    "dtypes": DEFAULT_DTYPES,
    "sizes": DEFAULT_SIZES,
    "suites": (),
    "degrees": (),
    "points": (),
}


class PlanError(ValueError):
    """A query names something that does not exist; the message lists the choices."""


@dataclass(frozen=True)
class Query:
    """Names of the problems, backends and operators to compare; `autodiff_compare.plan.plan.plan` resolves them.

    A field with several names holds each name once, in the order given. An empty sequence stands for the default.

    Parameters
    ----------
    problems
        Names of problems, with a size or without (``gmm/medium``), or paths of ``.py`` files. They are added to the
        problems of ``suites``.
    backends
        Backends as ``name[:variant][:order][@PYTHON]``, or paths of ``.py`` files; by default `DEFAULT_BACKENDS`.
    operators
        Names of operators; `ALL_OPERATORS`, which is the default, for every operator that a problem has, without
        ``sparse_jacobian`` where its Jacobian is dense.
    leading
        Whether a user's file has its leading operator alone, where no operator is named: its gradient, or its Jacobian
        if its value is not a scalar.
    dtypes
        ``float64``, ``float32`` or both; by default ``float64``.
    sizes
        Names of sizes, or patterns as for `fnmatch`; by default ``small``. A problem without a size named ``small``
        is taken at its first size.
    seed
        Seed of the inputs and of the directions.
    suites
        Names of suites, from `autodiff_compare.vocabulary.SUITES`; ``classic`` if there are no ``problems`` either.
    variants
        A key of `autodiff_compare.vocabulary.VARIANTS`, which adds variants to the backends; empty to add none.
    data
        Folder of the user's instance files: each file is one more size of its problem.
    every
        Whether numerical differences look at every entry of a derivative singly, however many there are.
    degrees
        The highest derivatives of ``taylor``: a series of each degree is computed; by default of
        `autodiff_compare.vocabulary.TAYLOR_DEGREE`.
    points
        Points at which the problems are evaluated, in place of their sizes: the entries of their inputs in order.
    timeout_s
        Seconds for loading a user's file and evaluating its function once; `None` for those of a small cell.
    """

    problems: Sequence[str] = ()
    backends: Sequence[str] = DEFAULT_BACKENDS
    operators: Sequence[str] = ()
    dtypes: Sequence[str] = DEFAULT_DTYPES
    sizes: Sequence[str] = DEFAULT_SIZES
    seed: int = 0
    suites: Sequence[str] = ()
    variants: str = ""
    data: pathlib.Path | None = None
    every: bool = False
    degrees: Sequence[int] = ()
    points: Sequence[tuple[complex, ...]] = ()
    leading: bool = False
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        for name, default in _DEFAULTS.items():
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))) or default)


def require(kind: str, names: Sequence[str], choices: Sequence[str]) -> None:
    """Reject a name that is none of the choices."""
    for name in names:
        if name not in choices:
            if "," in name:
                raise PlanError(f"got {kind} {name!r}, expected one name: give the option once for each {kind}")
            close = difflib.get_close_matches(name, choices, n=2)
            expected = f"did you mean {' or '.join(close)}? Expected" if close else "expected"
            raise PlanError(f"got {kind} {name!r}, {expected} one of: {', '.join(choices)}")
