"""Operators derived from those that a backend has natively.

Each `Rule` names the operator it gives, the operators it needs, and the function that builds it. `derivable` applies
the rules in order until they give nothing new: a backend with nothing but a nestable gradient gets every operator.
A derived operator calls the prepared callables of the backend itself, so it costs what a user of that backend would
pay.

For f from x (n entries) to y (m entries), with Jacobian J = dy/dx, the rules are:

==============================  =====================================================  ============================
operator                        formula                                                calls
==============================  =====================================================  ============================
gradient from vjp               J' 1                                                   one vjp
gradient from jvp               J e_k for every unit vector e_k                        n jvp
vjp from gradient               grad of x -> sum(f(x) u), u the cotangent              one gradient
jvp and vjp from jacobian       J t and u' J                                           one Jacobian and one product
jacobian from vjp               rows e_i' J                                            m vjp
jacobian from jvp               columns J e_k                                          n jvp
hvp from gradient               grad of x -> sum(grad f(x) t), t the tangent           one gradient of a gradient
hvp from hessian                H t                                                    one Hessian and one product
hessian from hvp                columns H e_k                                          n hvp
several operators side by side  each of them (`operators.composite`)                   all of them
batch of k rows                 one row after the other (`operators.composite`)        k times the operator
==============================  =====================================================  ============================
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from autodiff_compare.backends.operators.composite import COMPOSITE
from autodiff_compare.backends.operators.curvature import CURVATURE
from autodiff_compare.backends.operators.derivation import Derivation, Rule
from autodiff_compare.backends.operators.objective import Prepared, Unsupported, Var
from autodiff_compare.backends.operators.request import BackendLike, Request
from autodiff_compare.backends.operators.series import SERIES
from autodiff_compare.backends.operators.sparse_jacobian import sparse_jacobian
from autodiff_compare.vocabulary import Operator


def _value(d: Derivation) -> Prepared:
    return d.request.function


def _value_and_gradient(d: Derivation) -> Prepared:
    value, gradient = d.prepare(Operator.VALUE), d.prepare(Operator.GRADIENT)
    return lambda *args: (value(*args), gradient(*args))


def _gradient_from_both(d: Derivation) -> Prepared:
    both = d.prepare(Operator.VALUE_AND_GRADIENT)
    return lambda *args: both(*args)[1]


def _gradient_from_jacobian(d: Derivation) -> Prepared:
    d.scalar_output()
    return d.prepare(Operator.JACOBIAN)


def _gradient_from_vjp(d: Derivation) -> Prepared:
    one = d.backend.to_var(np.ones_like(d.backend.to_numpy(d.scalar_output())))
    vjp = d.prepare(Operator.VJP, [one])
    return lambda *args: vjp(*args, one)


def _gradient_from_jvp(d: Derivation) -> Prepared:
    d.scalar_output()
    units, jvp, argnums = d.input_units(), d.prepare(Operator.JVP, d.zeros()), d.request.argnums

    def gradient(*args: Var) -> tuple[Var, ...]:
        inputs = [args[i] for i in argnums]
        return tuple(
            d.stacked([jvp(*args, *t) for t in block], tuple(x.shape), x)
            for block, x in zip(units, inputs, strict=True)
        )

    return gradient


def _vjp_from_jacobian(d: Derivation) -> Prepared:
    jacobian, xp = d.prepare(Operator.JACOBIAN), d.backend.xp

    def vjp(*given: Var) -> tuple[Var, ...]:
        args, (cotangent,) = d.split(given)
        return tuple(_apply_transposed(xp, block, cotangent) for block in jacobian(*args))

    return vjp


def _vjp_from_gradient(d: Derivation) -> Prepared:
    """Differentiate sum(f(x) u): its gradient is u' J for the cotangent u."""
    f, xp, n = d.request.function, d.backend.xp, len(d.request.args)

    def projected(*given: Var) -> Var:
        return xp.sum(f(*given[:n]) * given[n])

    return d.gradient_of(projected)


def _jvp_from_jacobian(d: Derivation) -> Prepared:
    jacobian, xp = d.prepare(Operator.JACOBIAN), d.backend.xp

    def jvp(*given: Var) -> Var:
        args, tangents = d.split(given)
        parts = [_apply(xp, block, t) for block, t in zip(jacobian(*args), tangents, strict=True)]
        return functools.reduce(lambda a, b: a + b, parts)

    return jvp


def _jacobian_from_vjp(d: Derivation) -> Prepared:
    output = d.output()
    units, shape = d.units(output), tuple(output.shape)
    vjp, argnums = d.prepare(Operator.VJP, units[:1] or [output]), d.request.argnums

    def jacobian(*args: Var) -> tuple[Var, ...]:
        rows = [vjp(*args, unit) for unit in units]
        return tuple(
            d.stacked([row[k] for row in rows], shape + tuple(args[i].shape), args[i]) for k, i in enumerate(argnums)
        )

    return jacobian


def _jacobian_from_jvp(d: Derivation) -> Prepared:
    units, shape = d.input_units(), tuple(d.output().shape)
    jvp, argnums = d.prepare(Operator.JVP, d.zeros()), d.request.argnums

    def jacobian(*args: Var) -> tuple[Var, ...]:
        inputs = [args[i] for i in argnums]
        return tuple(
            d.stacked([jvp(*args, *t) for t in block], shape + tuple(x.shape), x, axis=-1)
            for block, x in zip(units, inputs, strict=True)
        )

    return jacobian


def _hvp_from_gradient(d: Derivation) -> Prepared:
    """Differentiate sum(grad f(x) t): its gradient is H t. Nests the backend's own gradient, reverse over reverse."""
    d.scalar_output()
    xp, n = d.backend.xp, len(d.request.args)
    gradient = d.backend.grad(d.request.function, d.request.argnums)

    def slope(*given: Var) -> Var:
        parts = [xp.sum(g * t) for g, t in zip(gradient(*given[:n]), given[n:], strict=True)]
        return functools.reduce(lambda a, b: a + b, parts)

    return d.gradient_of(slope)


def _hvp_from_hessian(d: Derivation) -> Prepared:
    hessian, xp = d.prepare(Operator.HESSIAN), d.backend.xp

    def hvp(*given: Var) -> tuple[Var, ...]:
        args, tangents = d.split(given)
        rows = ([_apply(xp, block, t) for block, t in zip(row, tangents, strict=True)] for row in hessian(*args))
        return tuple(functools.reduce(lambda a, b: a + b, row) for row in rows)

    return hvp


def _hessian_from_hvp(d: Derivation) -> Prepared:
    units, hvp, argnums = d.input_units(), d.prepare(Operator.HVP, d.zeros()), d.request.argnums

    def hessian(*args: Var) -> tuple[tuple[Var, ...], ...]:
        products = [[hvp(*args, *t) for t in directions] for directions in units]
        inputs = [args[i] for i in argnums]
        return tuple(
            tuple(
                d.stacked([p[i] for p in columns], tuple(x.shape) + tuple(y.shape), x, axis=-1)
                for columns, y in zip(products, inputs, strict=True)
            )
            for i, x in enumerate(inputs)
        )

    return hessian


def _sparse_jacobian(d: Derivation) -> Prepared:
    return sparse_jacobian(d.backend, d.request)


def _step(d: Derivation) -> Prepared:
    """Make one update from a fresh optimizer state."""
    gradient, backend = d.prepare(Operator.GRADIENT), d.backend
    optimizer, argnums = d.request.optimizer, d.request.argnums
    if optimizer is None:
        raise ValueError("got no optimizer for operator 'step', expected optimizer=Optimizer(...)")

    def step(*args: Var) -> tuple[Var, ...]:
        params = [args[i] for i in argnums]
        return backend.step(optimizer, params, gradient(*args), None)[0]

    return step


def _apply(xp: Any, block: Var, tangent: Var) -> Var:
    """Contract the trailing axes of a Jacobian block with a tangent of that shape."""
    lead = tuple(block.shape)[: len(block.shape) - len(tangent.shape)]
    size = math.prod(tangent.shape)
    return xp.reshape(
        xp.matmul(xp.reshape(block, (math.prod(lead), size)), xp.reshape(tangent, (size, 1))),
        lead,
    )


def _apply_transposed(xp: Any, block: Var, cotangent: Var) -> Var:
    """Contract the leading axes of a Jacobian block with a cotangent of that shape."""
    trail, size = tuple(block.shape)[len(cotangent.shape) :], math.prod(cotangent.shape)
    row = xp.reshape(cotangent, (1, size))
    return xp.reshape(xp.matmul(row, xp.reshape(block, (size, math.prod(trail)))), trail)


_O = Operator
_RULES = (
    Rule(_O.VALUE, frozenset(), _value),
    Rule(_O.GRADIENT, frozenset({_O.VALUE_AND_GRADIENT}), _gradient_from_both),
    Rule(_O.GRADIENT, frozenset({_O.VJP}), _gradient_from_vjp),
    Rule(_O.GRADIENT, frozenset({_O.JACOBIAN}), _gradient_from_jacobian),
    Rule(_O.VJP, frozenset({_O.GRADIENT}), _vjp_from_gradient),
    Rule(_O.VJP, frozenset({_O.JACOBIAN}), _vjp_from_jacobian),
    Rule(_O.GRADIENT, frozenset({_O.JVP}), _gradient_from_jvp),
    Rule(_O.VALUE_AND_GRADIENT, frozenset({_O.GRADIENT}), _value_and_gradient),
    Rule(_O.JACOBIAN, frozenset({_O.VJP}), _jacobian_from_vjp),
    Rule(_O.JACOBIAN, frozenset({_O.JVP}), _jacobian_from_jvp),
    Rule(_O.JVP, frozenset({_O.JACOBIAN}), _jvp_from_jacobian),
    Rule(_O.HVP, frozenset({_O.HESSIAN}), _hvp_from_hessian),
    Rule(_O.HVP, frozenset({_O.GRADIENT}), _hvp_from_gradient, nests=True),
    Rule(_O.HESSIAN, frozenset({_O.HVP}), _hessian_from_hvp),
    Rule(_O.SPARSE_JACOBIAN, frozenset({_O.JVP, _O.VJP}), _sparse_jacobian),
    Rule(_O.STEP, frozenset({_O.GRADIENT}), _step),
    *COMPOSITE,
    *CURVATURE,
    *SERIES,
)


@functools.cache
def derivable(native: frozenset[Operator], nestable: bool = True) -> Mapping[Operator, Rule]:
    """Return, for each operator that can be derived, the rule with the shortest chain.

    In each round, the rules whose needs are known add their operators; the first rule in the table wins a round.

    Parameters
    ----------
    native
        The operators to start from; they are not among the keys of the result.
    nestable
        Whether the backend's gradient can itself be differentiated (`Backend.nestable`).
    """
    rules: dict[Operator, Rule] = {}
    known = set(native)
    while True:
        new: dict[Operator, Rule] = {}
        for rule in _RULES:
            if rule.gives not in known and rule.needs <= known and (nestable or not rule.nests):
                new.setdefault(rule.gives, rule)
        if not new:
            return rules
        rules |= new
        known |= set(new)


def derive(backend: BackendLike, request: Request) -> Prepared:
    """Build the operator of a request from the others that a backend has natively.

    The backend may have the operator itself, and still want it built of others.

    Parameters
    ----------
    backend
        The opened backend.
    request
        What `Backend.prepare` was asked for.

    Raises
    ------
    Unsupported
        If no chain of rules leads to the operator.
    """
    rule = derivable(backend.native - {request.operator}, backend.nestable).get(request.operator)
    if rule is None:
        raise Unsupported(underivable(backend, request.operator))
    return rule.build(Derivation(backend, request))


def underivable(backend: BackendLike, operator: Operator) -> str:
    """Return why an operator cannot be derived from those that a backend has."""
    native = ", ".join(sorted(backend.native)) or "nothing"
    why = "" if backend.nestable else ": its gradient cannot be differentiated again"
    return f"{backend.name} offers {native}; {operator} cannot be derived from that{why}"
