"""Rules for composite operators: several operators side by side, and one operator for each row of a batch.

A row of a batch of products belongs to one direction of each argument. A row of a batch over samples is the operator of
the function of that sample alone: the arrays of samples are replaced by one of their rows, as an array with a leading
axis of length 1, so that a function written for many samples serves for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autodiff_compare.backends.operators.derivation import Derivation, Rule
from autodiff_compare.backends.operators.objective import Prepared, Var
from autodiff_compare.vocabulary import BATCHES, PARTS, SAMPLED, Operator, directed


def _beside(d: Derivation) -> Prepared:
    """Call the parts one after the other."""
    takes, parts = directed(d.request.operator), PARTS[d.request.operator]
    runs = [d.prepare(part, d.request.directions if part == takes else ()) for part in parts]

    def together(*given: Var) -> tuple[Any, ...]:
        args = d.split(given)[0]
        return tuple(run(*(given if part == takes else args)) for part, run in zip(parts, runs, strict=True))

    return together


def _value_gradient_hessian(d: Derivation) -> Prepared:
    both, hessian = d.prepare(Operator.VALUE_AND_GRADIENT), d.prepare(Operator.HESSIAN)
    return lambda *args: (*both(*args), hessian(*args))


def _by_directions(d: Derivation) -> Prepared:
    """Call the product once for each direction."""
    count = d.request.rows()
    run = d.prepare(BATCHES[d.request.operator], [direction[0, ...] for direction in d.request.directions])

    def batch(*given: Var) -> Any:
        args, directions = d.split(given)
        found = [run(*args, *(direction[k, ...] for direction in directions)) for k in range(count)]
        return stacked(d.backend.xp, found)

    return batch


def _by_samples(d: Derivation) -> Prepared:
    """Call the operator of one sample once for each of them."""
    request, count = d.request, d.request.rows()
    row = replace(request, args=request.sample(request.args, 0))
    run = Derivation(d.backend, row).prepare(BATCHES[request.operator])

    def batch(*given: Var) -> Any:
        return stacked(d.backend.xp, [run(*request.sample(given, k)) for k in range(count)])

    return batch


def stacked(xp: Any, rows: Sequence[Any]) -> Any:
    """Stack equal nested tuples of arrays along a new first axis of each array."""
    if isinstance(rows[0], tuple):
        return tuple(stacked(xp, parts) for parts in zip(*rows, strict=True))
    return xp.stack(list(rows))


#: The rules, in the order in which they are tried.
COMPOSITE = (
    Rule(
        Operator.VALUE_GRADIENT_HESSIAN,
        frozenset({Operator.VALUE_AND_GRADIENT, Operator.HESSIAN}),
        _value_gradient_hessian,
    ),
    *(
        Rule(operator, frozenset(parts), _beside)
        for operator, parts in PARTS.items()
        if operator not in (Operator.VALUE_AND_GRADIENT, Operator.VALUE_GRADIENT_HESSIAN)
    ),
    *(
        Rule(operator, frozenset({row}), _by_samples if operator in SAMPLED else _by_directions)
        for operator, row in BATCHES.items()
    ),
)
