"""The function to differentiate, as a backend receives it: `Objective` and the words that go with it.

Everything here is independent of any backend. The rest of the contract builds on this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.backends.sparsity.pattern import Pattern
from autodiff_compare.vocabulary import Operator

#: An array of some framework: what `Backend.to_var` returns.
Var = Any
#: A mathematical function of such arrays.
Function = Callable[..., Var]
#: The result of `Backend.prepare`: a bare callable on the framework's own arrays.
Prepared = Callable[..., Any]


class Unsupported(Exception):  # noqa: N818 - a missing capability is not a failure
    """Raised where a backend lacks a capability. The tables show the message as the reason."""


class Absent(Unsupported, AttributeError):  # noqa: N818 - a missing capability is not a failure
    """Raised by the attribute of a namespace where the framework lacks that function.

    It is an `AttributeError`, so that ``hasattr(xp.special, "betainc")`` can be asked.
    """


@dataclass(frozen=True)
class Expanded:
    """A function split into two steps: ``f(*args) = rows(*copies(*args), *data)``.

    ``copies`` repeats entries of the inputs such that each output uses entries of its own. One product from the left
    then gives the slopes of many outputs: two products instead of fifteen for two outputs of fifteen inputs each.
    A problem declares the split by `autodiff_compare.problems.base.problem.Expansion`; here it is bound to one
    backend's namespace.

    Parameters
    ----------
    copies
        Returns a tuple of arrays from the arguments of ``f``.
    rows
        Returns the output of ``f`` from these arrays and from the arguments that are not differentiated.
    of
        One entry per array of ``copies``: the index, among the differentiated inputs, of the input it was copied from.
    patterns
        One pattern per array of ``copies``: the non-zeros of the output's Jacobian with respect to it.
    """

    copies: Function
    rows: Function
    of: tuple[int, ...]
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Objective:
    """A problem's function, bound to one backend's array namespace.

    Calling an objective calls ``function``.

    Parameters
    ----------
    function
        The function itself: arrays of the backend in, one array out. This is what a backend traces.
    closed_forms
        Operator -> NumPy callable with the signature of the prepared callable. Only the backend ``manual`` reads
        these, because it differentiates nothing itself.
    patterns
        One `Pattern` per differentiated input: where that Jacobian may be non-zero. Rows are the entries of the output
        and columns those of the input, both in C order. Needed by ``sparse_jacobian`` only.
    expanded
        The function in two steps, where the problem declares them; ``sparse_jacobian`` then uses it.
    hessian_patterns
        One `Pattern` per differentiated input: where its rows of the Hessian may be non-zero. Columns are the entries
        of all differentiated inputs, one after the other. Needed by ``sparse_hessian`` only.
    samples
        Positions of the arguments whose leading axis counts samples. Needed by batches over samples only.
    """

    function: Function
    closed_forms: Mapping[Operator, Callable[..., Any]] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()
    expanded: Expanded | None = None
    samples: tuple[int, ...] = ()
    hessian_patterns: tuple[Pattern, ...] = ()

    def __call__(self, *args: Var) -> Var:
        return self.function(*args)


def bare(f: Function) -> Function:
    """Return the function inside an `Objective`, and any other callable unchanged."""
    return f.function if isinstance(f, Objective) else f
