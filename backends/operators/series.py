"""Taylor series by nested forward mode: the derivatives of every order along one direction.

Let ``phi(t) = f(x + t v)``. One pass of forward mode takes a function to its derivative along v, beside its value. So K
passes within each other take ``(phi)`` to ``(phi, phi')``, to ``(phi, phi', phi'')`` and so on: each differentiates all
that it is given and keeps the last of it. The operations double with each pass, ``2^K`` in all, where the arithmetic of
truncated series takes ``K^2``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from autodiff_compare.backends.operators.derivation import Derivation, Rule
from autodiff_compare.backends.operators.objective import Function, Prepared, Unsupported, Var
from autodiff_compare.backends.operators.orders import closed
from autodiff_compare.vocabulary import Operator


def nested(transforms: Any, f: Function, argnums: Sequence[int], n: int, degree: int) -> Prepared:
    """Return the prepared callable of ``taylor``, by a framework's own forward mode.

    Parameters
    ----------
    transforms
        Has ``jvp(f, primals, tangents) -> (output, tangent)``, which nests and takes functions that return tuples.
    f, argnums, n
        The function, the positions of its differentiated arguments, and the number of all its arguments.
    degree
        The highest order.
    """

    def taylor(*given: Var) -> tuple[Var, ...]:
        xs, tangents = tuple(given[i] for i in argnums), tuple(given[n:])
        function = closed(f, given[:n], tuple(argnums))

        def lowest(*at: Var) -> tuple[Var, ...]:
            return (function(*at),)

        def raised(lower: Function) -> Function:
            def higher(*at: Var) -> tuple[Var, ...]:
                values, slopes = transforms.jvp(lower, at, tangents)
                return (*values, slopes[-1])

            return higher

        every = functools.reduce(lambda g, _: raised(g), range(degree), lowest)
        return tuple(every(*xs)[1:])

    return taylor


def _by_gradients(d: Derivation) -> Prepared:
    """Differentiate ``sum(grad phi v)`` again and again: reverse mode within reverse mode, for scalar functions."""
    if tuple(d.output().shape) != ():
        raise Unsupported(f"{d.backend.name} has gradients alone, and a Taylor series of an array needs forward mode")
    xp, n, argnums = d.backend.xp, len(d.request.args), d.request.argnums

    def slope(lower: Function, *given: Var) -> Var:
        parts = d.backend.grad(lower, argnums)(*given)
        return functools.reduce(lambda a, b: a + b, [xp.sum(g * t) for g, t in zip(parts, given[n:], strict=True)])

    def lowest(*given: Var) -> Var:
        return d.request.function(*given[:n])

    orders: list[Function] = [lowest]
    for _ in range(d.request.degree):
        orders.append(functools.partial(slope, orders[-1]))
    return lambda *given: tuple(order(*given) for order in orders[1:])


#: The rules, in the order in which they are tried.
SERIES = (Rule(Operator.TAYLOR, frozenset({Operator.GRADIENT}), _by_gradients, nests=True),)
