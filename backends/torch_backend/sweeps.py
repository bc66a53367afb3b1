"""Backward sweeps through a recorded output: the rows of its Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff_compare.backends.operators.objective import Var


def zeros(torch: Any, leaves: Sequence[Var]) -> tuple[Var, ...]:
    """Return zeros, the gradient of an output that recorded nothing; raise a `RuntimeError` if recording is off."""
    if not torch.is_grad_enabled():
        raise RuntimeError("got a derivative under torch.no_grad(), expected recording on: call it outside that block")
    return tuple(torch.zeros_like(leaf) for leaf in leaves)


def basis_of(torch: Any, like: Var) -> Var:
    """Return the unit arrays of that shape and dtype, in C order, along a new first axis."""
    return torch.eye(like.numel(), dtype=like.dtype).reshape(like.numel(), *like.shape)


def rows(torch: Any, out: Var, leaves: Sequence[Var], basis: Var) -> tuple[Var, ...]:
    """Return the Jacobian blocks of ``out`` by one backward sweep over a batch of unit cotangents."""
    parts: Sequence[Var | None] = [None] * len(leaves)
    if _depends(torch, out, basis):

        def sweep(seeds: Var) -> Sequence[Var | None]:
            found: Sequence[Var | None] = torch.autograd.grad(
                out, leaves, seeds, is_grads_batched=True, allow_unused=True, retain_graph=True
            )
            return found

        parts = _of_complex(torch, out, leaves, basis, sweep)
    return _blocks(torch, out, leaves, parts)


def row_by_row(torch: Any, out: Var, leaves: Sequence[Var], basis: Var) -> tuple[Var, ...]:
    """Return the Jacobian blocks of ``out`` by one backward sweep per unit cotangent."""
    parts: Sequence[Var | None] = [None] * len(leaves)
    if _depends(torch, out, basis):

        def sweep(seeds: Var) -> Sequence[Var | None]:
            sweeps = [torch.autograd.grad(out, leaves, row, allow_unused=True, retain_graph=True) for row in seeds]
            return [None if column[0] is None else torch.stack(column) for column in zip(*sweeps, strict=True)]

        parts = _of_complex(torch, out, leaves, basis, sweep)
    return _blocks(torch, out, leaves, parts)


def _of_complex(
    torch: Any, out: Var, leaves: Sequence[Var], basis: Var, sweep: Callable[[Var], Sequence[Var | None]]
) -> Sequence[Var | None]:
    """Return the rows of a Jacobian ``J`` from sweeps, which give ``J^H u`` for a cotangent u.

    For a unit u that is a row of ``conj(J)``. By a real input it is the real part alone: u = i gives the imaginary one.
    """
    found, of_complex = sweep(basis), [leaf.is_complex() for leaf in leaves]
    if not any((out.is_complex(), *of_complex)):
        return found
    turned = sweep(1j * basis) if out.is_complex() and not all(of_complex) else [None] * len(found)
    return [
        part if part is None else part.conj_physical() if c else part if other is None else torch.complex(part, other)
        for part, other, c in zip(found, turned, of_complex, strict=True)
    ]


def _depends(torch: Any, out: Var, basis: Var) -> bool:
    """Return whether a backward sweep is needed: ``out`` has entries and recorded something."""
    if basis.shape[0] and out.grad_fn is None:
        zeros(torch, ())
    return bool(basis.shape[0]) and out.grad_fn is not None


def _blocks(torch: Any, out: Var, leaves: Sequence[Var], parts: Sequence[Var | None]) -> tuple[Var, ...]:
    """Reshape each part to ``out.shape + x.shape``, with zeros for `None`."""
    shape = tuple(out.shape)
    return tuple(
        torch.zeros(shape + tuple(x.shape), dtype=torch.promote_types(x.dtype, out.dtype))
        if part is None
        else part.detach().reshape(shape + tuple(x.shape))
        for part, x in zip(parts, leaves, strict=True)
    )
