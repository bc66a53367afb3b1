"""What torch's forward mode needs, and derivatives by it inside an objective, to be differentiated again."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from autodiff_compare.backends.objective import Function, Var


@functools.cache  # it enters a level of its own, which must not stand inside another
def load_forward_mode(torch: Any) -> None:
    """Its first use imports decompositions, during which torch 2.13 warns about its own torch.jit."""
    forward = torch.autograd.forward_ad
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with forward.dual_level():
            forward.make_dual(torch.ones(()), torch.ones(()))


def never_wider(torch: Any, transform: Function, dtype: Any) -> Function:
    """A derivative by ``torch.func`` in ``dtype``, that of the function's output.

    torch 2.13 widens the tangent of a float32 0-d tensor times a Python number to float64, in all that is made of
    ``torch.func.jvp``. Where an argument is of float64 itself, nothing is narrowed.
    """
    wide = torch.float64
    if dtype == wide:
        return transform

    def kept(*given: Var) -> Any:
        found = transform(*given)
        return found if any(a.dtype == wide for a in given) else _cast(found, dtype)

    return kept


def _cast(result: Any, dtype: Any) -> Any:
    return tuple(_cast(part, dtype) for part in result) if isinstance(result, tuple) else result.to(dtype)


def forward_value_and_derivative(torch: Any, f: Function, *, at_once: bool = True) -> Callable[[Var], tuple[Var, Var]]:
    """Value and gradient of a scalar function of one array by one directional derivative per entry; it nests.

    They are taken all ``at_once`` by vmap, unless f has what vmap refuses, such as random
    numbers or an operation of its own without a batching rule.
    """
    refused = not at_once

    def along(x: Var, unit: Var) -> tuple[Var, Var]:
        value, slope = torch.func.jvp(f, (x,), (unit,))
        return value, slope.to(x.dtype)  # which torch widens: see `never_wider`

    def both(x: Var) -> tuple[Var, Var]:
        nonlocal refused
        units = torch.eye(x.numel(), dtype=x.dtype).reshape(x.numel(), *x.shape)
        if not x.numel():
            return f(x), torch.zeros_like(x)
        if x.numel() > 1 and not refused:
            try:
                values, slopes = torch.func.vmap(along, (None, 0))(x, units)
            except RuntimeError:  # should f itself be at fault, it says so again below
                refused = True
            else:
                return values[0], slopes.reshape(x.shape)
        found = [along(x, unit) for unit in units]
        return found[0][0], torch.stack([slope for _, slope in found]).reshape(x.shape)

    return both
