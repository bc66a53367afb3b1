"""Operators as one compiled graph: the ``torch.func`` transforms, which dynamo traces, through inductor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from backends.interface import Function, Unsupported, Var
from backends.namespaces.torch_eager import Prepared, Task
from backends.sparsity import Compression
from vocabulary import Operator


def compiled(operator: Operator, task: Task, example: Sequence[Var]) -> Prepared:
    """One graph for the shapes of ``example``, arguments and directions, compiled now.

    Raises
    ------
    Unsupported
        With what dynamo or inductor cannot do.
    """
    return _compiled(task.torch, _TRANSFORMS[operator](task), example)


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


def _closed(f: Function, given: Sequence[Var], argnums: tuple[int, ...]) -> Prepared:
    """``f`` of the differentiated inputs alone."""

    def function(*inputs: Var) -> Var:
        args = list(given)
        for i, x in zip(argnums, inputs, strict=True):
            args[i] = x
        return f(*args)

    return function


def _jvp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def jvp(*given: Var) -> Var:
        inputs = tuple(given[i] for i in argnums)
        return torch.func.jvp(_closed(f, given[:n], argnums), inputs, given[n:])[1]

    return jvp


def _vjp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def vjp(*given: Var) -> tuple[Var, ...]:
        pull_back = torch.func.vjp(_closed(f, given[:n], argnums), *(given[i] for i in argnums))[1]
        rows: tuple[Var, ...] = pull_back(given[n])
        return rows

    return vjp


def _hvp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def hvp(*given: Var) -> tuple[Var, ...]:
        inputs = tuple(given[i] for i in argnums)
        gradient = torch.func.grad(_closed(f, given[:n], argnums), tuple(range(len(argnums))))
        rows: tuple[Var, ...] = torch.func.vjp(gradient, *inputs)[1](tuple(given[n:]))
        return rows

    return hvp


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


def _hessian(task: Task) -> Prepared:
    hessian: Prepared = task.torch.func.jacrev(task.torch.func.grad(task.f, task.argnums), task.argnums)
    return hessian


_TRANSFORMS: Mapping[Operator, Callable[[Task], Prepared]] = MappingProxyType(
    {
        Operator.VALUE: lambda task: task.f,
        Operator.GRADIENT: _gradient,
        Operator.VALUE_AND_GRADIENT: _value_and_gradient,
        Operator.JVP: _jvp,
        Operator.VJP: _vjp,
        Operator.JACOBIAN: _jacobian,
        Operator.HVP: _hvp,
        Operator.HESSIAN: _hessian,
    }
)
