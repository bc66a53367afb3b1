"""Operators built from those a backend has natively.

Each rule says what it gives, what it needs and how it is built. The rules are applied, in order,
until nothing new can be had: a backend with nothing but a nestable gradient gets every operator.
A derived operator goes through the same prepared callables that the backend itself would use, so
it costs what a user of that backend would pay for it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.compressed import sparse_jacobian
from vocabulary import Operator, Optimizer

if TYPE_CHECKING:
    from backends.interface import Backend, Function, Var

Prepared = Callable[..., Any]


@dataclass(frozen=True)
class Request:
    """What `Backend.prepare` was asked for."""

    backend: Backend
    f: Function
    args: Sequence[Var]
    argnums: tuple[int, ...]
    directions: Sequence[Var]
    optimizer: Optimizer | None

    def prepare(self, operator: Operator, directions: Sequence[Var] = ()) -> Prepared:
        return self.backend.prepare(operator, self.f, self.args, argnums=self.argnums, directions=directions)

    def output(self) -> Var:
        """One value of the function, for its shape and dtype."""
        return self.backend.prepare(Operator.VALUE, self.f, self.args)(*self.args)

    def units(self, like: Var) -> list[Var]:
        """The basis of the space of arrays shaped like ``like``, in C order."""
        array = self.backend.to_numpy(like)
        basis = np.eye(array.size, dtype=array.dtype).reshape(array.size, *array.shape)
        return [self.backend.to_var(row) for row in basis]

    def zeros(self) -> list[Var]:
        return [self.backend.to_var(np.zeros_like(self.backend.to_numpy(self.args[i]))) for i in self.argnums]

    def input_units(self) -> list[list[list[Var]]]:
        """For each differentiated input, the list of its unit directions (zero in the other inputs)."""
        zeros = self.zeros()
        return [
            [[*zeros[:k], unit, *zeros[k + 1 :]] for unit in self.units(self.args[i])]
            for k, i in enumerate(self.argnums)
        ]

    def scalar_output(self) -> Var:
        """One value of the function; an error unless it is a scalar."""
        output = self.output()
        if tuple(output.shape) != ():
            raise ValueError(
                f"got a function with an output of shape {tuple(output.shape)}, expected a scalar of shape ():"
                " sum it, or ask for vjp or jacobian instead"
            )
        return output

    def stacked(self, parts: Sequence[Var], shape: tuple[int, ...], like: Var, *, axis: int = 0) -> Var:
        """``parts`` along one axis, in ``shape``, which alone says what to return where there are none."""
        xp = self.backend.xp
        if not parts:
            return self.backend.to_var(np.zeros(shape, dtype=self.backend.to_numpy(like).dtype))
        return xp.reshape(xp.stack(list(parts), axis=axis), shape)

    def split(self, given: Sequence[Var]) -> tuple[Sequence[Var], Sequence[Var]]:
        return given[: len(self.args)], given[len(self.args) :]


@dataclass(frozen=True)
class Rule:
    gives: Operator
    needs: frozenset[Operator]
    build: Callable[[Request], Prepared]
    nests: bool = False  # it differentiates the backend's own gradient


def _value(r: Request) -> Prepared:
    from backends.interface import bare

    return bare(r.f)


def _value_and_gradient(r: Request) -> Prepared:
    value, gradient = r.prepare(Operator.VALUE), r.prepare(Operator.GRADIENT)
    return lambda *args: (value(*args), gradient(*args))


def _gradient_from_both(r: Request) -> Prepared:
    both = r.prepare(Operator.VALUE_AND_GRADIENT)
    return lambda *args: both(*args)[1]


def _gradient_from_jacobian(r: Request) -> Prepared:
    r.scalar_output()
    return r.prepare(Operator.JACOBIAN)


def _gradient_from_vjp(r: Request) -> Prepared:
    one = r.backend.to_var(np.ones_like(r.backend.to_numpy(r.scalar_output())))
    vjp = r.prepare(Operator.VJP, [one])
    return lambda *args: vjp(*args, one)


def _gradient_from_jvp(r: Request) -> Prepared:
    r.scalar_output()
    units, jvp = r.input_units(), r.prepare(Operator.JVP, r.zeros())

    def gradient(*args: Var) -> tuple[Var, ...]:
        inputs = [args[i] for i in r.argnums]
        return tuple(
            r.stacked([jvp(*args, *t) for t in block], tuple(x.shape), x)
            for block, x in zip(units, inputs, strict=True)
        )

    return gradient


def _vjp_from_jacobian(r: Request) -> Prepared:
    jacobian, xp = r.prepare(Operator.JACOBIAN), r.backend.xp

    def vjp(*given: Var) -> tuple[Var, ...]:
        args, (cotangent,) = r.split(given)
        return tuple(_apply_transposed(xp, block, cotangent) for block in jacobian(*args))

    return vjp


def _vjp_from_gradient(r: Request) -> Prepared:
    """The gradient of ``<f, cotangent>``."""
    from backends.interface import bare

    f, xp, n = bare(r.f), r.backend.xp, len(r.args)

    def projected(*given: Var) -> Var:
        return xp.sum(f(*given[:n]) * given[n])

    return r.backend.prepare(Operator.GRADIENT, projected, [*r.args, *r.directions], argnums=r.argnums)


def _jvp_from_jacobian(r: Request) -> Prepared:
    jacobian, xp = r.prepare(Operator.JACOBIAN), r.backend.xp

    def jvp(*given: Var) -> Var:
        args, tangents = r.split(given)
        parts = [_apply(xp, block, t) for block, t in zip(jacobian(*args), tangents, strict=True)]
        return functools.reduce(lambda a, b: a + b, parts)

    return jvp


def _jacobian_from_vjp(r: Request) -> Prepared:
    output = r.output()
    units, shape = r.units(output), tuple(output.shape)
    vjp = r.prepare(Operator.VJP, units[:1] or [output])

    def jacobian(*args: Var) -> tuple[Var, ...]:
        rows = [vjp(*args, unit) for unit in units]
        return tuple(
            r.stacked([row[k] for row in rows], shape + tuple(args[i].shape), args[i]) for k, i in enumerate(r.argnums)
        )

    return jacobian


def _jacobian_from_jvp(r: Request) -> Prepared:
    units, shape = r.input_units(), tuple(r.output().shape)
    jvp = r.prepare(Operator.JVP, r.zeros())

    def jacobian(*args: Var) -> tuple[Var, ...]:
        inputs = [args[i] for i in r.argnums]
        return tuple(
            r.stacked([jvp(*args, *t) for t in block], shape + tuple(x.shape), x, axis=-1)
            for block, x in zip(units, inputs, strict=True)
        )

    return jacobian


def _hvp_from_gradient(r: Request) -> Prepared:
    """The gradient of ``<grad f, t>``, by nesting the backend's own gradient (reverse over reverse)."""
    from backends.interface import bare

    r.scalar_output()
    xp, n = r.backend.xp, len(r.args)
    gradient = r.backend.grad(bare(r.f), r.argnums)

    def slope(*given: Var) -> Var:
        parts = [xp.sum(g * t) for g, t in zip(gradient(*given[:n]), given[n:], strict=True)]
        return functools.reduce(lambda a, b: a + b, parts)

    return r.backend.prepare(Operator.GRADIENT, slope, [*r.args, *r.directions], argnums=r.argnums)


def _hvp_from_hessian(r: Request) -> Prepared:
    hessian, xp = r.prepare(Operator.HESSIAN), r.backend.xp

    def hvp(*given: Var) -> tuple[Var, ...]:
        args, tangents = r.split(given)
        rows = ([_apply(xp, block, t) for block, t in zip(row, tangents, strict=True)] for row in hessian(*args))
        return tuple(functools.reduce(lambda a, b: a + b, row) for row in rows)

    return hvp


def _hessian_from_hvp(r: Request) -> Prepared:
    units, hvp = r.input_units(), r.prepare(Operator.HVP, r.zeros())

    def hessian(*args: Var) -> tuple[tuple[Var, ...], ...]:
        products = [[hvp(*args, *t) for t in directions] for directions in units]
        inputs = [args[i] for i in r.argnums]
        return tuple(
            tuple(
                r.stacked([p[i] for p in columns], tuple(x.shape) + tuple(y.shape), x, axis=-1)
                for columns, y in zip(products, inputs, strict=True)
            )
            for i, x in enumerate(inputs)
        )

    return hessian


def _step(r: Request) -> Prepared:
    """One update from a fresh optimizer state."""
    gradient, backend, optimizer = r.prepare(Operator.GRADIENT), r.backend, r.optimizer
    if optimizer is None:
        raise ValueError("got no optimizer for operator 'step', expected optimizer=Optimizer(...)")

    def step(*args: Var) -> tuple[Var, ...]:
        params = [args[i] for i in r.argnums]
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
    Rule(_O.SPARSE_JACOBIAN, frozenset({_O.JVP, _O.VJP}), sparse_jacobian),
    Rule(_O.STEP, frozenset({_O.GRADIENT}), _step),
)


@functools.cache
def derivable(native: frozenset[Operator], nestable: bool = True) -> Mapping[Operator, Rule]:
    """The rule for each operator that can be had from ``native``, shortest chain first.

    ``nestable`` says whether the backend's gradient can itself be differentiated (`Backend.nestable`).
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


def derive(
    backend: Backend,
    operator: Operator,
    f: Function,
    args: Sequence[Var],
    argnums: tuple[int, ...],
    directions: Sequence[Var],
    optimizer: Optimizer | None,
) -> Prepared:
    """Build ``operator`` from what ``backend`` has natively; `Backend.prepare` explains the arguments.

    Raises
    ------
    Unsupported
        If no rule leads there.
    """
    from backends.interface import Unsupported

    rule = derivable(backend.native, backend.nestable).get(operator)
    if rule is None:
        native = ", ".join(sorted(backend.native)) or "nothing"
        why = "" if backend.nestable else ": its gradient cannot be differentiated again"
        raise Unsupported(f"{backend.name} offers {native}; {operator} cannot be derived from that{why}")
    return rule.build(Request(backend, f, args, argnums, directions, optimizer))
