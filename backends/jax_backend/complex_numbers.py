"""Derivatives of functions of complex numbers in the convention of `operators.complex_numbers`.

JAX transposes where the convention takes the adjoint. Its gradient of a real value is ``dL/da - i dL/db``, the
conjugate. Its pull-back of a cotangent u through a holomorphic f is ``f'(z) u``, where the adjoint is
``conj(f'(z)) u``: the conjugate of JAX's pull-back of ``conj(u)``. Tangents are those of the convention, so that hvp,
the tangent of the gradient, is conjugated like it. The conjugations are compiled with the derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.operators.complex_numbers import is_complex
from autodiff_compare.backends.operators.objective import Function, Prepared, Var
from autodiff_compare.backends.operators.request import Request
from autodiff_compare.vocabulary import PARTS, Operator

#: Operator -> what is done to JAX's own result.
CONVERSIONS: Mapping[Operator, str] = MappingProxyType(
    {
        Operator.GRADIENT: "conjugate of jax.grad",
        Operator.VJP: "conjugate of jax.vjp at the conjugate cotangent",
        Operator.HVP: "conjugate of the tangent of jax.grad",
    }
)


def in_convention(jax: Any, row: Operator, transform: Prepared, n: int) -> Prepared:
    """Return a derivative of one row in the convention.

    Parameters
    ----------
    row
        Any operator but a batch and a Jacobian.
    transform
        JAX's own derivative.
    n
        The number of arguments; directions follow.
    """
    conj, parts = jax.numpy.conj, PARTS.get(row, ())

    def adjoint(result: Sequence[Var]) -> tuple[Var, ...]:
        return tuple(map(conj, result))

    def converted(*given: Var) -> Any:
        if Operator.VJP in (row, *parts):
            given = (*given[:n], *map(conj, given[n:]))
        found = transform(*given)
        if not parts:
            return adjoint(found) if row in CONVERSIONS else found
        return tuple(adjoint(f) if part in CONVERSIONS else f for part, f in zip(parts, found, strict=True))

    return converted


def jacobian(jax: Any, request: Request, output: Any, wide: bool) -> Prepared:
    """Return the Jacobian ``J`` with ``dy = J dz``, or ``dy = Re(J dz)`` for a real output.

    JAX's own is that, where it has one: by reverse mode for a real output; by forward mode for real inputs of a complex
    output; by either mode for complex inputs of a complex output, which it takes on trust to be holomorphic.
    """
    f, argnums = request.function, request.argnums
    if not is_complex(output):
        of_real: Prepared = jax.jacrev(f, argnums)
        return of_real
    which = [is_complex(request.args[i]) for i in argnums]
    holomorphic = jax.jacrev if wide else jax.jacfwd
    by_complex = _of(lambda f, of: holomorphic(f, of, holomorphic=True), f, argnums, which)
    by_real = _of(jax.jacfwd, f, argnums, [not c for c in which])

    def blocks(*args: Var) -> tuple[Var, ...]:
        of_complex, of_real = iter(by_complex(*args)), iter(by_real(*args))
        return tuple(next(of_complex if c else of_real) for c in which)

    return blocks


def _of(
    transform: Callable[[Function, tuple[int, ...]], Prepared],
    f: Function,
    argnums: Sequence[int],
    which: Sequence[bool],
) -> Prepared:
    """Return a Jacobian by some of the arguments; nothing if there are none."""
    chosen = tuple(i for i, c in zip(argnums, which, strict=True) if c)
    return transform(f, chosen) if chosen else lambda *_: ()


def value_and_jacobian(jax: Any, request: Request, output: Any, wide: bool) -> Prepared:
    """Return the Jacobian beside the value; compiled, both share one evaluation."""
    f, slopes = request.function, jacobian(jax, request, output, wide)
    return lambda *args: (f(*args), slopes(*args))


#: Operator -> its builder, where conjugating JAX's own derivative is not enough.
JACOBIANS: Mapping[Operator, Callable[[Any, Request, Any, bool], Prepared]] = MappingProxyType(
    {Operator.JACOBIAN: jacobian, Operator.VALUE_AND_JACOBIAN: value_and_jacobian}
)
