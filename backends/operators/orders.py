"""Second derivatives in a chosen order of modes, composed of a framework's first-order transforms.

Let f be a scalar function of x with n entries, g = grad f its gradient (reverse mode), s(x) = df(x)[t] its directional
derivative along a tangent t (one pass of forward mode), and H its Hessian. H is symmetric, so that H t is at once the
derivative of g along t, the pull-back of t through g, and the gradient of s. Each order of modes is one of these, the
outer mode named first:

=============================  ====================================  ========================================
order                          product ``H t``                       Hessian
=============================  ====================================  ========================================
``fr``, forward over reverse   dg(x)[t]                              columns of the Jacobian of g
``rr``, reverse over reverse   t' dg(x), the pull-back of t          rows of the Jacobian of g
``rf``, reverse over forward   grad s(x)                             rows of the Jacobian of x -> df(x)
``ff``, forward over forward   ds(x)[e_k] for every unit vector e_k  columns of the Jacobian of x -> df(x)
=============================  ====================================  ========================================

Here df(x) holds all n directional derivatives, so it takes n forward passes. A product by ``ff`` costs n passes where
the other orders cost one, and a Hessian by ``ff`` costs n^2 where they cost n. The results are equally exact, and for
few inputs ``ff`` is not the slowest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from autodiff_compare.backends.operators.objective import Function, Var
from autodiff_compare.vocabulary import ORDERS, Operator


class Transforms(Protocol):
    """The first-order transforms of a framework, with the signatures of JAX and ``torch.func``.

    The functions take several arrays and return an array or a tuple of arrays. Transforms may be nested.
    """

    def grad(self, f: Function, argnums: tuple[int, ...], /) -> Callable[..., tuple[Var, ...]]: ...

    def jvp(self, f: Function, primals: Sequence[Var], tangents: Sequence[Var], /) -> tuple[Any, Any]: ...

    def vjp(self, f: Function, /, *primals: Var) -> tuple[Any, Callable[[Any], Any]]: ...

    def jacfwd(self, f: Function, argnums: tuple[int, ...], /) -> Callable[..., Any]: ...

    def jacrev(self, f: Function, argnums: tuple[int, ...], /) -> Callable[..., Any]: ...


def split_variant(variant: str, variants: Mapping[str, str]) -> tuple[str, str]:
    """Split ``variant[:order]`` or ``order`` into variant and key of `vocabulary.ORDERS`, each ``""`` if absent.

    The order may be written out, as in ``forward_over_reverse``. A name among ``variants`` is never taken for an order.
    """
    known = {name: order for order, words in ORDERS.items() for name in (order, words.replace(" ", "_"))}
    rest, _, last = variant.rpartition(":")
    return (rest, known[last]) if variant not in variants and last in known else (variant, "")


def second_derivative(
    t: Transforms, operator: Operator, order: str, f: Function, argnums: tuple[int, ...], n: int
) -> Callable[..., Any]:
    """Return the prepared callable of ``hvp`` or ``hessian``, as `autodiff_compare.backends.interface` defines it.

    Parameters
    ----------
    t
        The framework's transforms.
    operator
        ``hvp`` or ``hessian``.
    order
        A key of `vocabulary.ORDERS`.
    f, argnums, n
        A scalar function, the positions of its differentiated arguments, and the number of all its arguments.
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
    """Return ``f`` as a function of the differentiated inputs alone; the other arguments are fixed at ``given``."""

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
