"""Composite operators of JAX: several results of one evaluation, and batches by ``jax.vmap``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.operators.objective import Function, Prepared, Var
from autodiff_compare.backends.operators.orders import closed
from autodiff_compare.backends.operators.request import Request
from autodiff_compare.vocabulary import SAMPLED, Operator

Argnums = tuple[int, ...]


def batch(jax: Any, request: Request, row: Prepared) -> Prepared:
    """Return a batch of an operator: ``row`` vectorised over directions, or over samples.

    Parameters
    ----------
    row
        The operator of one direction, or of the function of one sample.
    """
    n, samples = len(request.args), request.samples
    request.rows()
    if request.operator not in SAMPLED:
        return lambda *given: jax.vmap(lambda *direction: row(*given[:n], *direction))(*given[n:])

    def one(*args: Var) -> Any:
        return row(*(a[None] if i in samples else a for i, a in enumerate(args)))

    run: Prepared = jax.vmap(one, in_axes=tuple(0 if i in samples else None for i in range(n)))
    return run


def _value_and_jvp(jax: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def value_and_jvp(*given: Var) -> tuple[Var, Var]:
        value, tangent = jax.jvp(closed(f, given[:n], argnums), tuple(given[i] for i in argnums), given[n:])
        return value, tangent

    return value_and_jvp


def _value_and_vjp(jax: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def value_and_vjp(*given: Var) -> tuple[Var, tuple[Var, ...]]:
        value, pull = jax.vjp(closed(f, given[:n], argnums), *(given[i] for i in argnums))
        return value, tuple(pull(given[n]))

    return value_and_vjp


def _value_and_jacobian(jax: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def twice(*args: Var) -> tuple[Var, Var]:
        value = f(*args)
        return value, value

    jacobian = (jax.jacrev if wide else jax.jacfwd)(twice, argnums, has_aux=True)
    return lambda *args: jacobian(*args)[::-1]


def _value_gradient_hessian(jax: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    """Compute the Jacobian of the gradient, forward over reverse, with value and gradient as its auxiliary output."""

    def gradient(*args: Var) -> Any:
        value, slopes = jax.value_and_grad(f, argnums)(*args)
        return slopes, (value, slopes)

    hessian = jax.jacfwd(gradient, argnums, has_aux=True)

    def value_gradient_hessian(*args: Var) -> tuple[Any, ...]:
        second, (value, slopes) = hessian(*args)
        return value, slopes, second

    return value_gradient_hessian


#: Operators with several results, in the form of `adapter._TRANSFORMS`.
SIDE_BY_SIDE: Mapping[Operator, Callable[[Any, Function, Argnums, int, bool], Prepared]] = MappingProxyType(
    {
        Operator.VALUE_AND_JVP: _value_and_jvp,
        Operator.VALUE_AND_VJP: _value_and_vjp,
        Operator.VALUE_AND_JACOBIAN: _value_and_jacobian,
        Operator.VALUE_GRADIENT_HESSIAN: _value_gradient_hessian,
    }
)
