"""Transforms by the names of operators, each applied to a function and all of its arguments at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.numpy_autodiff.transforms.arguments import placed
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import grad, value_and_grad
from autodiff_compare.backends.numpy_autodiff.transforms.jacobian import hessian, hvp, jacobian
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import vjp

Function = Callable[..., Any]


def _positions(argnums: int | tuple[int, ...]) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else argnums


def _chosen(f: Function, argnums: int | tuple[int, ...], args: Sequence[Any]) -> tuple[Function, list[Any]]:
    """Return ``f`` as a function of the differentiated arguments alone, and their values."""
    where, args, _ = placed(f, _positions(argnums), args, {})

    def partial(*values: Any) -> Any:
        given = list(args)
        for i, value in zip(where, values, strict=True):
            given[i] = value
        return f(*given)

    return partial, [args[i] for i in where]


def _jvp(f: Function, argnums: int | tuple[int, ...], given: Sequence[Any]) -> Any:
    n = len(given) - len(_positions(argnums))
    partial, xs = _chosen(f, argnums, given[:n])
    return jvp(partial, xs, given[n:])[1]


def _vjp(f: Function, argnums: int | tuple[int, ...], given: Sequence[Any]) -> Any:
    partial, xs = _chosen(f, argnums, given[:-1])
    found = vjp(partial, *xs)[1](given[-1])
    return found[0] if isinstance(argnums, int) else found


def _hvp(f: Function, argnums: int | tuple[int, ...], given: Sequence[Any]) -> Any:
    n = len(given) - len(_positions(argnums))
    partial, xs = _chosen(f, argnums, given[:n])
    found = hvp(partial, xs, given[n:])
    return found[0] if isinstance(argnums, int) else found


#: Name of an operator -> what computes it from the function, the positions of its differentiated arguments, and the
#: arguments, which tangents or a cotangent follow.
OPERATORS: Mapping[str, Callable[[Function, Any, Sequence[Any]], Any]] = MappingProxyType(
    {
        "value": lambda f, argnums, args: f(*args),  # noqa: ARG005
        "gradient": lambda f, argnums, args: grad(f, argnums)(*args),
        "value_and_gradient": lambda f, argnums, args: value_and_grad(f, argnums)(*args),
        "jvp": _jvp,
        "vjp": _vjp,
        "hvp": _hvp,
        "jacobian": lambda f, argnums, args: jacobian(f, argnums)(*args),
        "hessian": lambda f, argnums, args: hessian(f, argnums)(*args),
    }
)
