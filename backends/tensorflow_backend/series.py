"""Taylor series on TensorFlow by tapes within each other.

`tf.autodiff.ForwardAccumulator` does not serve here: TensorFlow 2.21 differentiates an accumulator wrongly, and traces
a function for each operation and level of nested ones. A tape gives the derivative along v of a scalar ``phi`` as
``grad phi . v``. That of an array takes two: its pull-back is linear in the cotangent u, and its gradient in u along v
is the derivative along v.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff_compare.backends.operators.objective import Function, Var
from autodiff_compare.backends.tensorflow_backend.operators import Differentiated


def taylor(p: Differentiated, degree: int) -> Function:
    """Return ``taylor`` as eager code: the derivatives of the orders 1, 2, ... along the tangents."""

    def orders(k: int, args: Sequence[Var], xs: list[Var], tangents: list[Var]) -> tuple[Var, ...]:
        """Return the value and the derivatives up to order k, all from one evaluation."""
        if not k:
            return (p.value(args),)
        with p.tape() as outer:
            with p.tape() as inner:
                inner.watch(xs)
                lower = orders(k - 1, args, xs, tangents)
            if lower[-1].shape.rank == 0:
                slopes = p.reverse(inner, lower[-1], xs)
                return (*lower, p.tf.add_n([p.tf.reduce_sum(g * t) for g, t in zip(slopes, tangents, strict=True)]))
            cotangent = p.tf.zeros_like(lower[-1])
            outer.watch(cotangent)
            pulled = p.reverse(inner, lower[-1], xs, cotangent)
        return (*lower, *p.reverse(outer, pulled, [cotangent], tangents))

    def series(*given: Var) -> Any:
        args, xs, tangents = p.split(given)
        return orders(degree, args, xs, list(tangents))[1:]

    return series
