"""Operators as one compiled graph: dynamo traces the ``torch.func`` transforms, and inductor compiles them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from autodiff_compare.backends.operators.objective import Prepared, Unsupported, Var
from autodiff_compare.backends.operators.orders import closed, second_derivative
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.backends.torch_backend.composite import over_directions, over_samples
from autodiff_compare.backends.torch_backend.eager import Task
from autodiff_compare.backends.torch_backend.forward_mode import never_wider
from autodiff_compare.vocabulary import BATCHES, SAMPLED, SECOND_ORDER, Operator

#: Dynamo fails on most such functions with an assertion inside torch, and afterwards on any forward mode.
NO_FORWARD_WITHIN_FORWARD = "torch.compile cannot nest forward mode within forward mode (torch 2.13): use torch"


def compiled(operator: Operator, task: Task, example: Sequence[Var], order: str) -> Prepared:
    """Compile one graph for the shapes of ``example``, which holds arguments and directions.

    ``order`` is the order of modes of a second derivative.

    Raises
    ------
    Unsupported
        If dynamo or inductor fails; the message has its reason.
    """
    row = BATCHES.get(operator, operator)
    if row in SECOND_ORDER:
        if order == "ff":
            raise Unsupported(NO_FORWARD_WITHIN_FORWARD)
        transform = second_derivative(task.torch.func, row, order, task.f, task.argnums, task.n)
    else:
        transform = _TRANSFORMS[row](task)
    if operator in BATCHES:
        transform = (over_samples if operator in SAMPLED else over_directions)(task, transform)
    return _compiled(task.torch, never_wider(task.torch, transform, task.out.dtype), example)


def _compiled(torch: Any, function: Prepared, example: Sequence[Var]) -> Prepared:
    run: Prepared = torch.compile(_alone(function), backend=_inductor, fullgraph=True, dynamic=False)
    with warnings.catch_warnings():
        # torch 2.13 warns about its own use of torch.jit while inductor is imported.
        warnings.simplefilter("ignore")
        try:
            run(*example)
        except Exception as error:
            raise Unsupported(f"torch.compile(fullgraph=True): {_reason(error)}: use torch") from error
    return run


def _reason(error: Exception) -> str:
    """Return the error's type, its first line and dynamo's explanation if there is one; the rest is too long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    why = [line.removeprefix("Explanation: ")[:200] for line in lines if line.startswith("Explanation: ")]
    return ": ".join([type(error).__name__, *lines[:1], *why[:1]])


def _inductor(graph: Any, example: Sequence[Any]) -> Prepared:
    """Compile a graph by inductor, with memory for zero tangents.

    In forward mode, torch represents a zero tangent by a tensor without memory. The code that inductor makes reads that
    memory nevertheless, which sometimes is a segmentation fault (torch 2.13; pytorch/pytorch issues 190856, 197067).
    """
    import torch
    from torch._inductor.compile_fx import compile_fx
    from torch._inductor.decomposition import select_decomp_table

    table: dict[Any, Callable[..., Any]] = {
        **select_decomp_table(),
        torch.ops.aten._efficientzerotensor.default: torch.zeros,
    }
    compile_graph: Callable[..., Prepared] = cast("Any", compile_fx)
    return compile_graph(graph, example, decompositions=table)


def all_at_once(
    plan: Compression, task: Task, args: Sequence[Var], seeds: Sequence[Var], index: Sequence[Var], *, whole: bool
) -> Prepared:
    """Return the entries of a sparse Jacobian by one batched product with all seeds.

    Parameters
    ----------
    plan, task, args
        The products, the function, and example arguments.
    seeds, index
        The constant arrays of the plan: see `autodiff_compare.backends.operators.sparse_jacobian.constants`.
    whole
        Whether to compile product and extraction into one graph.

    Raises
    ------
    Unsupported
        If some operation has no batching rule or no forward rule.
    """
    product, n, k = _TRANSFORMS[plan.operator](task), task.n, len(seeds)

    def entries(*given: Var) -> tuple[Var, ...]:
        found = task.torch.func.vmap(lambda *seed: product(*given[:n], *seed))(*given[n : n + k])
        return tuple(part.reshape(-1)[at] for part, at in zip(plan.sources(found), given[n + k :], strict=True))

    fixed = (*seeds, *index)
    entries = never_wider(task.torch, entries, task.out.dtype)
    if whole:
        run = _compiled(task.torch, entries, (*args, *fixed))
        return lambda *given: run(*given, *fixed)
    try:
        entries(*args, *fixed)
    except RuntimeError as error:
        raise Unsupported(f"torch.func.vmap: {error}") from error
    return lambda *given: entries(*given, *fixed)


def _alone(transformed: Prepared) -> Prepared:
    """Return the same function with a code object of its own.

    Dynamo caches its graphs by code object, tries their guards in order at every call, and rejects a ninth graph. All
    results of one transform share a code object, so that without this the ninth operator of a process would fail.
    """

    def call(*given: Var) -> Var:
        return transformed(*given)

    call.__code__ = call.__code__.replace()
    return call


def _jvp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def jvp(*given: Var) -> Var:
        inputs = tuple(given[i] for i in argnums)
        return torch.func.jvp(closed(f, given[:n], argnums), inputs, given[n:])[1]

    return jvp


def _vjp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def vjp(*given: Var) -> tuple[Var, ...]:
        pull_back = torch.func.vjp(closed(f, given[:n], argnums), *(given[i] for i in argnums))[1]
        rows: tuple[Var, ...] = pull_back(given[n])
        return rows

    return vjp


def _value_and_gradient(task: Task) -> Prepared:
    both = task.torch.func.grad_and_value(task.f, task.argnums)

    def value_and_gradient(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        gradient, value = both(*args)
        return value, gradient

    return value_and_gradient


def _gradient(task: Task) -> Prepared:
    gradient: Prepared = task.torch.func.grad(task.f, task.argnums)
    return gradient


def _jacobian(task: Task) -> Prepared:
    transform = task.torch.func.jacrev if task.wide else task.torch.func.jacfwd
    jacobian: Prepared = transform(task.f, task.argnums)
    return jacobian


def _value_and_jvp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def value_and_jvp(*given: Var) -> tuple[Var, Var]:
        found: tuple[Var, Var] = torch.func.jvp(
            closed(f, given[:n], argnums), tuple(given[i] for i in argnums), given[n:]
        )
        return found

    return value_and_jvp


def _value_and_vjp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def value_and_vjp(*given: Var) -> tuple[Var, tuple[Var, ...]]:
        value, pull_back = torch.func.vjp(closed(f, given[:n], argnums), *(given[i] for i in argnums))
        return value, pull_back(given[n])

    return value_and_vjp


def _value_and_jacobian(task: Task) -> Prepared:
    def twice(*args: Var) -> tuple[Var, Var]:
        out = task.f(*args)
        return out, out

    transform = task.torch.func.jacrev if task.wide else task.torch.func.jacfwd
    jacobian = transform(twice, task.argnums, has_aux=True)
    return lambda *args: jacobian(*args)[::-1]


def _value_gradient_hessian(task: Task) -> Prepared:
    """Compute the Jacobian of the gradient, reverse over reverse, with value and gradient as its auxiliary output."""
    both = task.torch.func.grad_and_value(task.f, task.argnums)

    def gradient(*args: Var) -> Any:
        slopes, value = both(*args)
        return slopes, (value, slopes)

    hessian = task.torch.func.jacrev(gradient, task.argnums, has_aux=True)

    def value_gradient_hessian(*args: Var) -> tuple[Any, ...]:
        second, (value, slopes) = hessian(*args)
        return value, slopes, second

    return value_gradient_hessian


_TRANSFORMS: Mapping[Operator, Callable[[Task], Prepared]] = MappingProxyType(
    {
        Operator.VALUE: lambda task: task.f,
        Operator.GRADIENT: _gradient,
        Operator.VALUE_AND_GRADIENT: _value_and_gradient,
        Operator.JVP: _jvp,
        Operator.VJP: _vjp,
        Operator.JACOBIAN: _jacobian,
        Operator.VALUE_AND_JVP: _value_and_jvp,
        Operator.VALUE_AND_VJP: _value_and_vjp,
        Operator.VALUE_AND_JACOBIAN: _value_and_jacobian,
        Operator.VALUE_GRADIENT_HESSIAN: _value_gradient_hessian,
    }
)
