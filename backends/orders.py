"""Second derivatives in a given order of modes, made of the transforms that a framework offers.

For a scalar f of x, a tangent t, and an order of outer and inner mode:

========================  ================================================  ==================================
order                     product ``H t``                                   Hessian
========================  ================================================  ==================================
``fr``, forward, reverse  tangent of the gradient along t                   columns of the gradient's Jacobian
``rr``, reverse, reverse  pull-back of t through the gradient               rows of the gradient's Jacobian
``rf``, reverse, forward  gradient of the slope of f along t                rows, of all slopes' Jacobian
``ff``, forward, forward  slopes of the slope of f along t, one by one      columns, of all slopes' Jacobian
========================  ================================================  ==================================

The slope along t is one pass of forward mode; all slopes are as many as x has entries. So a product by ``ff`` costs n
passes where the others cost one, and a Hessian by ``ff`` n^2 where the others cost n: exact all the same, and for
few inputs not the worst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from autodiff_compare.backends.objective import Function, Var
from autodiff_compare.vocabulary import ORDERS, Operator


class Transforms(Protocol):
    """What JAX and ``torch.func`` call so, for functions of several arrays that may return a tuple of arrays."""

    def grad(self, f: Function, argnums: tuple[int, ...], /) -> Callable[..., tuple[Var, ...]]: ...

    def jvp(self, f: Function, primals: Sequence[Var], tangents: Sequence[Var], /) -> tuple[Any, Any]: ...

    def vjp(self, f: Function, /, *primals: Var) -> tuple[Any, Callable[[Any], Any]]: ...

    def jacfwd(self, f: Function, argnums: tuple[int, ...], /) -> Callable[..., Any]: ...

    def jacrev(self, f: Function, argnums: tuple[int, ...], /) -> Callable[..., Any]: ...


def parted(variant: str, variants: Mapping[str, str]) -> tuple[str, str]:
    """A variant and the order of modes behind it, ``""`` where there is none."""
    known = {name: order for order, words in ORDERS.items() for name in (order, words.replace(" ", "_"))}
    rest, _, last = variant.rpartition(":")
    return (rest, known[last]) if variant not in variants and last in known else (variant, "")


def second_derivative(
    t: Transforms, operator: Operator, order: str, f: Function, argnums: tuple[int, ...], n: int
) -> Callable[..., Any]:
    """``hvp`` or ``hessian`` of ``f``, a scalar function of ``n`` arguments, as `backends.interface` has them.

    Parameters
    ----------
    t
        The framework's transforms.
    order
        A key of `vocabulary.ORDERS`.
    """
    return _hessian(t, order, f, argnums) if operator is Operator.HESSIAN else _hvp(t, order, f, argnums, n)


def _hessian(t: Transforms, order: str, f: Function, argnums: tuple[int, ...]) -> Callable[..., Any]:
    outer = {"f": t.jacfwd, "r": t.jacrev}[order[0]]
    inner = {"f": t.jacfwd, "r": t.grad}[order[1]]
    return outer(inner(f, argnums), argnums)


def _hvp(t: Transforms, order: str, f: Function, argnums: tuple[int, ...], n: int) -> Callable[..., Any]:
    def hvp(*given: Var) -> tuple[Var, ...]:
        xs, tangents = tuple(given[i] for i in argnums), tuple(given[n:])
        function, every = closed(f, given[:n], argnums), tuple(range(len(argnums)))
        found: tuple[Var, ...] = _PRODUCTS[order](t, function, every, xs, tangents)
        return tuple(found)

    return hvp


def closed(f: Function, given: Sequence[Var], argnums: tuple[int, ...]) -> Function:
    """``f`` of the differentiated inputs alone, with the others of ``given`` as they are."""

    def function(*inputs: Var) -> Var:
        args = list(given)
        for i, x in zip(argnums, inputs, strict=True):
            args[i] = x
        return f(*args)

    return function


def _slope(t: Transforms, f: Function, tangents: tuple[Var, ...]) -> Function:
    return lambda *xs: t.jvp(f, xs, tangents)[1]


_PRODUCTS: dict[str, Callable[..., Any]] = {
    "fr": lambda t, f, every, xs, tangents: t.jvp(t.grad(f, every), xs, tangents)[1],
    "rr": lambda t, f, every, xs, tangents: t.vjp(t.grad(f, every), *xs)[1](tangents),
    "rf": lambda t, f, every, xs, tangents: t.grad(_slope(t, f, tangents), every)(*xs),
    "ff": lambda t, f, every, xs, tangents: t.jacfwd(_slope(t, f, tangents), every)(*xs),
}
