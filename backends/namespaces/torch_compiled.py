"""Operators as one compiled graph: the ``torch.func`` transforms, which dynamo traces, through inductor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from backends.interface import Unsupported, Var
from backends.namespaces.torch_eager import Prepared, Task
from backends.orders import closed, second_derivative
from backends.sparsity import Compression
from vocabulary import SECOND_ORDER, Operator


def compiled(operator: Operator, task: Task, example: Sequence[Var], order: str) -> Prepared:
    """One graph for the shapes of ``example``, arguments and directions, compiled now.

    ``order`` is that of the modes of a second derivative.

    Raises
    ------
    Unsupported
        With what dynamo or inductor cannot do.
    """
    if operator in SECOND_ORDER:
        transform = second_derivative(task.torch.func, operator, order, task.f, task.argnums, task.n)
    else:
        transform = _TRANSFORMS[operator](task)
    return _compiled(task.torch, transform, example)


def _compiled(torch: Any, function: Prepared, example: Sequence[Var]) -> Prepared:
    run: Prepared = torch.compile(_alone(function), fullgraph=True, dynamic=False)
    with warnings.catch_warnings():
        # Importing inductor makes torch 2.13 warn about its own use of torch.jit.
        warnings.simplefilter("ignore")
        try:
            run(*example)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            raise Unsupported(f"torch.compile(fullgraph=True): {type(error).__name__}: {reason}") from error
    return run


def all_at_once(
    plan: Compression, task: Task, args: Sequence[Var], seeds: Sequence[Var], index: Sequence[Var], *, whole: bool
) -> Prepared:
    """The entries that ``plan`` finds, by one product with all ``seeds``; as one graph if ``whole``.

    Raises
    ------
    Unsupported
        Where some operation has no rule for a batch, or no forward one.
    """
    product, n, k = _TRANSFORMS[plan.operator](task), task.n, len(seeds)

    def entries(*given: Var) -> tuple[Var, ...]:
        found = task.torch.func.vmap(lambda *seed: product(*given[:n], *seed))(*given[n : n + k])
        return tuple(part.reshape(-1)[at] for part, at in zip(plan.sources(found), given[n + k :], strict=True))

    fixed = (*seeds, *index)
    if whole:
        run = _compiled(task.torch, entries, (*args, *fixed))
        return lambda *given: run(*given, *fixed)
    try:
        entries(*args, *fixed)
    except RuntimeError as error:
        raise Unsupported(f"torch.func.vmap: {error}") from error
    return lambda *given: entries(*given, *fixed)


def _alone(transformed: Prepared) -> Prepared:
    """The same function with a code object of its own.

    Dynamo keeps its graphs by code object, tries their guards in order at every call and refuses a ninth. All
    results of one transform share their code: without this the ninth operator of a process would be unsupported.
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


_TRANSFORMS: Mapping[Operator, Callable[[Task], Prepared]] = MappingProxyType(
    {
        Operator.VALUE: lambda task: task.f,
        Operator.GRADIENT: _gradient,
        Operator.VALUE_AND_GRADIENT: _value_and_gradient,
        Operator.JVP: _jvp,
        Operator.VJP: _vjp,
        Operator.JACOBIAN: _jacobian,
    }
)
