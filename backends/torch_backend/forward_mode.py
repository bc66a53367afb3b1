"""Forward mode in torch: its first use, the dtype of its results, and forward derivatives inside an objective."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from autodiff_compare.backends.operators.objective import Function, Var


@functools.cache  # it enters a dual level of its own, which may not be nested in another
def load_forward_mode(torch: Any) -> None:
    """Use forward mode once. The first use imports decompositions, when torch 2.13 warns about its own torch.jit."""
    forward = torch.autograd.forward_ad
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with forward.dual_level():
            forward.make_dual(torch.ones(()), torch.ones(()))


def never_wider(torch: Any, transform: Function, dtype: Any) -> Function:
    """Return a ``torch.func`` derivative whose results have ``dtype``, the dtype of the function's output.

    torch 2.13 widens the tangent of a float32 0-d tensor times a Python number to float64, in every transform made of
    ``torch.func.jvp``. Results stay unchanged if an argument is float64 itself.
    """
    wide = (torch.float64, torch.complex128)
    if dtype in wide:
        return transform

    def kept(*given: Var) -> Any:
        found = transform(*given)
        return found if any(a.dtype in wide for a in given) else _cast(found, dtype)

    return kept


def _cast(result: Any, dtype: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(_cast(part, dtype) for part in result)
    if result.is_complex() or dtype.is_complex:
        # A derivative may be complex where the output is real, and real where the output is complex.
        return result.to(dtype.to_complex() if result.is_complex() else dtype.to_real())
    return result.to(dtype)


def forward_value_and_derivative(torch: Any, f: Function, *, at_once: bool) -> Callable[[Var], tuple[Var, Var]]:
    """Return value and gradient of a scalar function of one array, by one directional derivative per entry; nestable.

    With ``at_once``, the directions are batched by vmap. After vmap has rejected ``f`` once, for instance because of
    random numbers or a custom operation without a batching rule, they are taken one by one.
    """
    refused = not at_once

    def along(x: Var, unit: Var) -> tuple[Var, Var]:
        value, slope = torch.func.jvp(f, (x,), (unit,))
        return value, slope.to(x.dtype)  # torch widens it: see `never_wider`

    def both(x: Var) -> tuple[Var, Var]:
        nonlocal refused
        units = torch.eye(x.numel(), dtype=x.dtype).reshape(x.numel(), *x.shape)
        if not x.numel():
            return f(x), torch.zeros_like(x)
        if x.numel() > 1 and not refused:
            try:
                values, slopes = torch.func.vmap(along, (None, 0))(x, units)
            except RuntimeError:  # if f itself is at fault, it raises again below
                refused = True
            else:
                return values[0], slopes.reshape(x.shape)
        found = [along(x, unit) for unit in units]
        return found[0][0], torch.stack([slope for _, slope in found]).reshape(x.shape)

    return both
