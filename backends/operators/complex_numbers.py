"""The convention for derivatives by complex numbers, and what of them a backend computes.

A derivative by a complex number ``z = a + ib`` is that by the pair (a, b), written as complex numbers again:

- *gradient* of a real value L: ``dL/da + i dL/db``, the direction of steepest ascent. It is twice the derivative by the
  conjugate of z (Wirtinger 1927), and what PyTorch, TensorFlow and our engine return. JAX and HIPS autograd return
  the conjugate, the number ``c`` with ``dL = Re(c dz)``. A step of descent along ``-c`` would go astray, and that along
  the gradient is the same step as in real and imaginary parts.
- *jvp*: the derivative of the output along the tangent, a complex number. *hvp*: that of the gradient.
- *vjp*: the adjoint of the jvp in the inner product ``Re sum(conj(u) v)``. For a holomorphic f it is ``conj(f'(z)) u``,
  and with the cotangent 1 of a real value it is the gradient.
- *jacobian*: ``J`` with ``dy = J dz``, so ``f'(z)`` if f is holomorphic. With ``dy = Re(J dz)`` if the output is real,
  so the conjugate of the gradient. It is complex if the input or the output is. A complex function of complex numbers
  that is not holomorphic has none: four real derivatives are no complex number.

The value and the products are defined for every function, so that a function without a Jacobian is differentiated by
them. An operator beyond `vocabulary.COMPLEX`, such as the Hessian, would not be an array of complex numbers either.

An adapter that keeps this sets ``complex_numbers``, and states in ``conversions`` what it does to its framework's own
results. The derived forms of gradient, Jacobian, vjp, jvp and hvp are those of real numbers: these have to be native.
"""

from __future__ import annotations

from typing import Any

from autodiff_compare.backends.operators.objective import Unsupported
from autodiff_compare.backends.operators.request import Request
from autodiff_compare.vocabulary import COMPLEX, SECOND_ORDER, STANDARD_OPERATORS, Operator


def require_defined(backend: Any, request: Request) -> None:
    """Reject an operator that a backend does not compute of functions of complex numbers.

    Parameters
    ----------
    backend
        A backend that declares ``complex_numbers``.
    request
        A request with complex arguments or directions.

    Raises
    ------
    Unsupported
        With what to do instead.
    """
    operator, name = request.operator, backend.name
    if operator not in COMPLEX:
        raise Unsupported(f"{operator} is not defined for complex numbers: take real and imaginary parts as two inputs")
    if backend.order and operator in SECOND_ORDER:
        raise Unsupported(f"{name} has no choice of the order of modes for complex numbers: use {name}")
    if operator not in backend.native and operator in STANDARD_OPERATORS - {Operator.VALUE}:
        raise Unsupported(f"{name} has no {operator} of complex numbers of its own")


def is_complex(array: Any) -> bool:
    """Return whether an array of any framework has complex numbers, by the name of its dtype."""
    return "complex" in str(getattr(array, "dtype", ""))


def has_complex(request: Request) -> bool:
    """Return whether a differentiated argument or a direction of a request is complex.

    Of a function of real numbers with complex values, only the cotangent tells it before the function is called.
    """
    return any(map(is_complex, (*request.inputs, *request.directions)))
