"""Composite operators on torch's autograd engine: several results of one recording, and batches.

Cotangents are batched by ``is_grads_batched``, which sweeps backwards once for all of them; tangents and samples by
``torch.func.vmap``. Where torch has no batching rule for an operation, the rows are computed one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.operators.composite import stacked
from autodiff_compare.backends.operators.objective import Prepared, Var
from autodiff_compare.backends.operators.orders import closed
from autodiff_compare.backends.torch_backend import eager
from autodiff_compare.backends.torch_backend.eager import Task
from autodiff_compare.backends.torch_backend.forward_mode import load_forward_mode, never_wider
from autodiff_compare.backends.torch_backend.sweeps import basis_of, row_by_row, rows, zeros
from autodiff_compare.backends.torch_backend.twice import DifferentiableCheck
from autodiff_compare.vocabulary import Operator

Way = Callable[[Task], Prepared]


def one_sample(task: Task, run: Prepared) -> Prepared:
    """Return ``run`` as a function of the arguments with one row of each array of samples, without its axis."""

    def one(*args: Var) -> Any:
        return run(*(a.unsqueeze(0) if i in task.samples else a for i, a in enumerate(args)))

    return one


def over_samples(task: Task, run: Prepared) -> Prepared:
    """Return ``run`` vectorised over samples."""
    places = tuple(0 if i in task.samples else None for i in range(task.n))
    batch: Prepared = task.torch.func.vmap(one_sample(task, run), in_dims=places)
    return batch


def over_directions(task: Task, run: Prepared) -> Prepared:
    """Return ``run`` vectorised over directions."""
    n = task.n

    def batch(*given: Var) -> Any:
        return task.torch.func.vmap(lambda *direction: run(*given[:n], *direction))(*given[n:])

    return batch


def _value_and_dual_jvp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n
    forward = torch.autograd.forward_ad
    load_forward_mode(torch)

    def value_and_jvp(*given: Var) -> tuple[Var, Var]:
        inputs = [a.detach() for a in given[:n]]
        with forward.dual_level():
            for k, i in enumerate(argnums):
                inputs[i] = forward.make_dual(inputs[i], given[n + k])
            primal, tangent = forward.unpack_dual(f(*inputs))
            return primal, torch.zeros_like(primal) if tangent is None else tangent

    return value_and_jvp


def _apart(way: Way) -> Way:
    """Return the value beside a product by two evaluations."""

    def build(task: Task) -> Prepared:
        product, n = way(task), task.n
        value = eager.value(task.torch, task.f)
        return lambda *given: (value(*given[:n]), product(*given))

    return build


def _value_and_vjp(task: Task) -> Prepared:
    torch, n = task.torch, task.n

    def value_and_vjp(*given: Var) -> tuple[Var, tuple[Var, ...]]:
        out, leaves = task.record(given[:n])
        if not out.requires_grad:
            return out, zeros(torch, leaves)
        found = torch.autograd.grad(out, leaves, given[n], allow_unused=True, materialize_grads=True)
        return out.detach(), found

    return value_and_vjp


def _value_and_columns(task: Task) -> Prepared:
    torch, f, argnums = task.torch, task.f, task.argnums
    if task.by_rows:
        return _value_and_rows(task)
    load_forward_mode(torch)

    def twice(*args: Var) -> tuple[Var, Var]:
        out = f(*args)
        return out, out

    def value_and_jacobian(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        blocks, value = torch.func.jacfwd(twice, argnums, has_aux=True)(*args)
        return value, tuple(blocks)

    return never_wider(torch, value_and_jacobian, task.out.dtype)


def _value_and_rows(task: Task) -> Prepared:
    return _value_and_jacobian(task, rows)


def _value_and_row_by_row(task: Task) -> Prepared:
    return _value_and_jacobian(task, row_by_row)


def _value_and_jacobian(task: Task, sweep: Callable[..., tuple[Var, ...]]) -> Prepared:
    basis = basis_of(task.torch, task.out)

    def value_and_jacobian(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        out, leaves = task.record(args)
        return out.detach(), sweep(task.torch, out, leaves, basis)

    return value_and_jacobian


def _value_gradient_hessian(task: Task) -> Prepared:
    return eager.hessian_of(task, rows, beside=True)


def _value_gradient_hessian_by_rows(task: Task) -> Prepared:
    return eager.hessian_of(task, row_by_row, beside=True)


def _jvp_batch(task: Task) -> Prepared:
    load_forward_mode(task.torch)
    f, argnums, n = task.f, task.argnums, task.n

    def jvp(*given: Var) -> Var:
        inputs = given[:n]
        chosen = tuple(inputs[i] for i in argnums)
        return task.torch.func.jvp(closed(f, inputs, argnums), chosen, tuple(given[n:]))[1]

    return never_wider(task.torch, over_directions(task, jvp), task.out.dtype)


def _vjp_batch(task: Task) -> Prepared:
    def vjp_batch(*given: Var) -> tuple[Var, ...]:
        out, leaves = task.record(given[: task.n])
        return _pulled(task.torch, [out], leaves, [given[task.n]], batched=True)

    return vjp_batch


def _vjp_one_by_one(task: Task) -> Prepared:
    def vjp_batch(*given: Var) -> tuple[Var, ...]:
        out, leaves = task.record(given[: task.n])
        return _pulled(task.torch, [out], leaves, [given[task.n]], batched=False)

    return vjp_batch


def _hvp_batch(task: Task) -> Prepared:
    return _hvp(task, batched=True)


def _hvp_one_by_one(task: Task) -> Prepared:
    return _hvp(task, batched=False)


def _hvp(task: Task, *, batched: bool) -> Prepared:
    """Pull all tangents back through one gradient: reverse over reverse."""
    torch, n = task.torch, task.n
    check = DifferentiableCheck(task)

    def hvp_batch(*given: Var) -> tuple[Var, ...]:
        out, leaves = task.record(given[:n])
        check(out, leaves)
        if not out.requires_grad:
            return _empty(torch, leaves, given[n].shape[0])
        slopes = torch.autograd.grad(out, leaves, create_graph=True, materialize_grads=True)
        return _pulled(torch, slopes, leaves, given[n:], batched=batched)

    return hvp_batch


def _pulled(
    torch: Any, outputs: Sequence[Var], leaves: Sequence[Var], cotangents: Sequence[Var], *, batched: bool
) -> tuple[Var, ...]:
    """Return the rows that a batch of cotangents of each output gives for each leaf."""
    count = cotangents[0].shape[0]
    pairs = [(out, c) for out, c in zip(outputs, cotangents, strict=True) if out.requires_grad]
    if not pairs:
        return _empty(torch, leaves, count)
    outs, seeds = [out for out, _ in pairs], [c for _, c in pairs]
    keep = {"allow_unused": True, "retain_graph": True}
    if batched:
        found = torch.autograd.grad(outs, leaves, seeds, is_grads_batched=True, **keep)
        return tuple(e if g is None else g for g, e in zip(found, _empty(torch, leaves, count), strict=True))
    every = [
        torch.autograd.grad(outs, leaves, [s[k] for s in seeds], materialize_grads=True, **keep) for k in range(count)
    ]
    return tuple(torch.stack(column) for column in zip(*every, strict=True))


def _empty(torch: Any, leaves: Sequence[Var], count: int) -> tuple[Var, ...]:
    """Return rows of zeros, as `eager.zeros` does for one row."""
    return tuple(z.expand(count, *z.shape).clone() for z in zeros(torch, leaves))


def _gradient_batch(task: Task) -> Prepared:
    return over_samples(task, task.torch.func.grad(task.f, task.argnums))


def _jacobian_batch(task: Task) -> Prepared:
    if any(task.complex_inputs) or task.out.is_complex():
        # torch.func.jacrev gives the conjugate, and jacfwd half of the derivatives of a real output.
        return _sample_by_sample(eager.WAYS[Operator.JACOBIAN][0])(task)
    if not task.wide:
        load_forward_mode(task.torch)
    transform = task.torch.func.jacrev if task.wide else task.torch.func.jacfwd
    return never_wider(task.torch, over_samples(task, transform(task.f, task.argnums)), task.out.dtype)


def _sample_by_sample(way: Way) -> Way:
    def build(task: Task) -> Prepared:
        run = one_sample(task, way(task))

        def batch(*args: Var) -> Any:
            count = args[task.samples[0]].shape[0]
            each = ([a[k] if i in task.samples else a for i, a in enumerate(args)] for k in range(count))
            return stacked(task.torch, [run(*one) for one in each])

        return batch

    return build


def _direction_by_direction(way: Way) -> Way:
    def build(task: Task) -> Prepared:
        run, n = way(task), task.n

        def batch(*given: Var) -> Any:
            return stacked(task.torch, [run(*given[:n], *row) for row in zip(*given[n:], strict=True)])

        return batch

    return build


def ways(single: Mapping[Operator, tuple[Way, ...]]) -> Mapping[Operator, tuple[Way, ...]]:
    """Return the implementations of composite operators, best first, given those of single ones."""
    return MappingProxyType(
        {
            Operator.VALUE_AND_JVP: (_value_and_dual_jvp, *map(_apart, single[Operator.JVP])),
            Operator.VALUE_AND_VJP: (_value_and_vjp,),
            Operator.VALUE_AND_JACOBIAN: (_value_and_columns, _value_and_rows, _value_and_row_by_row),
            Operator.VALUE_GRADIENT_HESSIAN: (_value_gradient_hessian, _value_gradient_hessian_by_rows),
            Operator.GRADIENT_BATCH: (_gradient_batch, *map(_sample_by_sample, single[Operator.GRADIENT])),
            Operator.JACOBIAN_BATCH: (_jacobian_batch, *map(_sample_by_sample, single[Operator.JACOBIAN])),
            Operator.JVP_BATCH: (_jvp_batch, *map(_direction_by_direction, single[Operator.JVP])),
            Operator.VJP_BATCH: (_vjp_batch, _vjp_one_by_one),
            Operator.HVP_BATCH: (_hvp_batch, _hvp_one_by_one),
        }
    )
