"""Closed forms of a problem, in NumPy, behind the backend interface.

This backend differentiates nothing. Its value is the objective itself, in NumPy. Every other operator is a closed form
of the `Objective`, or a product with one: with a Jacobian J, ``jvp`` is J t and ``vjp`` is u' J; with a Hessian H,
``hvp`` is H t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, final

import numpy as np

from autodiff_compare.backends.interface import Function, NumpyArrays, Objective, Prepared, Request, Unsupported, Var
from autodiff_compare.vocabulary import STANDARD_OPERATORS, Operator

Forms = Mapping[Operator, Prepared]
Argnums = tuple[int, ...]


@final
class ManualBackend(NumpyArrays):
    """Closed forms written by hand, in NumPy."""

    name = "manual"
    native = STANDARD_OPERATORS | {Operator.SPARSE_JACOBIAN, Operator.STEP}

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:  # noqa: ARG002
        raise Unsupported("manual differentiates nothing, so an objective cannot contain a derivative")

    def _native(self, request: Request) -> Prepared:
        operator, f = request.operator, request.f
        if operator is Operator.VALUE:
            return request.function
        forms = dict(f.closed_forms) if isinstance(f, Objective) else {}
        if isinstance(f, Objective):
            forms.setdefault(Operator.VALUE, f.function)
        if operator in forms:
            return forms[operator]
        for gives, needs, build in _RULES:
            if gives is operator and needs <= set(forms):
                return build(forms, request.argnums)
        raise Unsupported(f"no closed form for {operator} is given: add one to the problem's `reference`")


def _both(forms: Forms, argnums: Argnums) -> Prepared:  # noqa: ARG001
    value, gradient = forms[Operator.VALUE], forms[Operator.GRADIENT]
    return lambda *args: (value(*args), gradient(*args))


def _contract(block: Any, direction: Any) -> Any:
    """Sum over the trailing axes of ``block``, which have the shape of ``direction``."""
    return np.tensordot(block, direction, np.ndim(direction))


def _jvp(forms: Forms, argnums: Argnums) -> Prepared:
    jacobian, k = forms.get(Operator.JACOBIAN) or forms[Operator.GRADIENT], len(argnums)

    def jvp(*given: Var) -> Var:
        blocks = jacobian(*given[:-k])
        return np.asarray(sum(_contract(b, t) for b, t in zip(blocks, given[-k:], strict=True)))

    return jvp


def _vjp(forms: Forms, argnums: Argnums) -> Prepared:  # noqa: ARG001
    jacobian = forms.get(Operator.JACOBIAN) or forms[Operator.GRADIENT]

    def vjp(*given: Var) -> tuple[Var, ...]:
        return tuple(np.tensordot(given[-1], block, np.ndim(given[-1])) for block in jacobian(*given[:-1]))

    return vjp


def _hvp(forms: Forms, argnums: Argnums) -> Prepared:
    hessian, k = forms[Operator.HESSIAN], len(argnums)

    def hvp(*given: Var) -> tuple[Var, ...]:
        rows = hessian(*given[:-k])
        tangents = given[-k:]
        return tuple(np.asarray(sum(_contract(b, t) for b, t in zip(row, tangents, strict=True))) for row in rows)

    return hvp


#: Operator, the closed forms that it needs, and how it is built from them. The gradient of a scalar function is its
#: Jacobian.
_RULES: tuple[tuple[Operator, frozenset[Operator], Callable[[Forms, Argnums], Prepared]], ...] = (
    (Operator.VALUE_AND_GRADIENT, frozenset({Operator.VALUE, Operator.GRADIENT}), _both),
    (Operator.JVP, frozenset({Operator.JACOBIAN}), _jvp),
    (Operator.JVP, frozenset({Operator.GRADIENT}), _jvp),
    (Operator.VJP, frozenset({Operator.JACOBIAN}), _vjp),
    (Operator.VJP, frozenset({Operator.GRADIENT}), _vjp),
    (Operator.JACOBIAN, frozenset({Operator.GRADIENT}), lambda forms, argnums: forms[Operator.GRADIENT]),  # noqa: ARG005
    (Operator.HVP, frozenset({Operator.HESSIAN}), _hvp),
)
