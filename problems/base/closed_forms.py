"""Closed forms of all operators, derived from a problem's value, gradient, Jacobian and Hessian.

With blocks ``J_i = df/dx_i`` and ``H_ij = d^2f/dx_i dx_j`` for the differentiated inputs x_i::

    jvp(t) = sum_i J_i t_i        vjp(c)_i = J_i^T c        hvp(t)_i = sum_j H_ij t_j

The results have the signature of the callables that `Backend.prepare` returns, on NumPy arrays: they take
``(*differentiated, *data, *directions)`` and return tuples with one entry for each differentiated input. They keep
the dtype of their arguments, so that a reference can be evaluated in ``np.longdouble``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.problems.base.problem import NUMPY, Problem, Tools
from autodiff_compare.vocabulary import Operator, Optimizer

Closed = Callable[..., Any]


def complete(
    problem: Problem, inputs: Inputs, optimizer: Optimizer | None = None, tools: Tools = NUMPY
) -> Mapping[Operator, Closed]:
    """Return every operator of ``problem`` that follows from its closed forms, as prepared callables.

    Parameters
    ----------
    problem
        Its ``reference`` may have value, gradient, value and gradient together, jacobian, sparse_jacobian, hessian,
        and hvp where a Hessian is too large. Without a value, the objective is evaluated in NumPy.
    inputs
        Their number of arrays and their keywords are used; the values of the arrays are not.
    optimizer
        The update rule of ``step``; without one there is no ``step``.
    tools
        The environment in which the objective is evaluated where there is no closed form of the value.

    Returns
    -------
    mapping
        Operator -> callable, for the operators that can be derived. The gradient of a scalar problem is its Jacobian.
    """
    forms = _Forms(problem, inputs, tools)
    given = problem.reference
    found: dict[Operator, Closed] = {Operator.VALUE: forms.value}
    is_scalar = Operator.GRADIENT in problem.operators
    if is_scalar and Operator.GRADIENT in given:
        found |= {
            Operator.GRADIENT: forms.gradient,
            Operator.VALUE_AND_GRADIENT: forms.value_and_gradient,
        }
        if optimizer is not None:
            found[Operator.STEP] = lambda *args: first_step(optimizer, forms.split(args)[0], forms.gradient(*args))
    if problem.pattern is not None and (forms.is_sparse or Operator.JACOBIAN in given):
        found[Operator.SPARSE_JACOBIAN] = forms.sparse_jacobian
    if forms.is_sparse or forms.has_jacobian:
        found |= {Operator.JACOBIAN: forms.jacobian, Operator.JVP: forms.jvp, Operator.VJP: forms.vjp}
    if Operator.HESSIAN in given:
        found |= {Operator.HESSIAN: forms.hessian, Operator.HVP: forms.hvp}
    elif Operator.HVP in given:
        found[Operator.HVP] = forms.given_hvp
    return {operator: form for operator, form in found.items() if operator in problem.operators | {Operator.STEP}}


@dataclass(frozen=True)
class _Forms:
    problem: Problem
    inputs: Inputs
    tools: Tools

    @property
    def n(self) -> int:
        return len(self.inputs.differentiated)

    @property
    def has_jacobian(self) -> bool:
        return bool({Operator.GRADIENT, Operator.JACOBIAN} & set(self.problem.reference))

    @property
    def is_sparse(self) -> bool:
        return Operator.SPARSE_JACOBIAN in self.problem.reference

    def split(self, given: Sequence[Array]) -> tuple[Sequence[Array], Sequence[Array]]:
        """Return the differentiated inputs and the directions."""
        return given[: self.n], given[len(self.inputs.arrays) :]

    def call(self, operator: Operator, given: Sequence[Array]) -> Any:
        return self.problem.reference[operator](*given[: len(self.inputs.arrays)], **self.inputs.static)

    def value(self, *given: Array) -> Array:
        args = given[: len(self.inputs.arrays)]
        if Operator.VALUE in self.problem.reference:
            return np.asarray(self.call(Operator.VALUE, args))
        return np.asarray(self.problem.function(self.tools, self.inputs.static)(*args))

    def gradient(self, *given: Array) -> tuple[Array, ...]:
        return _tuple(self.call(Operator.GRADIENT, given))

    def value_and_gradient(self, *given: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return value and gradient, by one closed form if the problem has one that shares their work."""
        if Operator.VALUE_AND_GRADIENT not in self.problem.reference:
            return self.value(*given), self.gradient(*given)
        value, gradient = self.call(Operator.VALUE_AND_GRADIENT, given)
        return np.asarray(value), _tuple(gradient)

    def jacobian(self, *given: Array) -> tuple[Array, ...]:
        if self.is_sparse:
            return tuple(self.scattered(*given))
        operator = Operator.JACOBIAN if Operator.JACOBIAN in self.problem.reference else Operator.GRADIENT
        return _tuple(self.call(operator, given))

    @functools.cached_property
    def places(self) -> list[tuple[Array, Array]]:
        """Return rows and columns of the declared patterns, in CSR order and without duplicates."""
        pattern = self.problem.pattern
        assert pattern is not None, "a sparse closed form comes with its pattern"
        found = []
        for (rows, columns), x in zip(pattern(self.inputs), self.inputs.differentiated, strict=True):
            size = max(x.size, 1)
            flat = np.sort(np.asarray(rows) * size + columns)
            found.append(np.divmod(flat[np.diff(flat, prepend=-1) > 0], size))
        return found

    def sparse_jacobian(self, *given: Array) -> tuple[Array, ...]:
        if self.is_sparse:
            return _tuple(self.call(Operator.SPARSE_JACOBIAN, given))
        blocks = (block.reshape(-1, x.size) for block, x in zip(self.jacobian(*given), given, strict=False))
        return tuple(block[places] for block, places in zip(blocks, self.places, strict=True))

    def scattered(self, *given: Array) -> Iterator[Array]:
        """Yield the dense blocks of a sparse closed form."""
        shape = self.value(*given).shape
        for x, entries, places in zip(given, self.sparse_jacobian(*given), self.places, strict=False):
            block = np.zeros((math.prod(shape), x.size), dtype=entries.dtype)
            block[places] = entries
            yield block.reshape(shape + x.shape)

    def pushed(self, given: Sequence[Array], tangents: Sequence[Array]) -> Array:
        """Return the product of a sparse closed form and tangents."""
        out = np.zeros_like(self.value(*given))
        parts = zip(self.sparse_jacobian(*given), self.places, tangents, strict=True)
        for entries, (rows, columns), t in parts:
            np.add.at(out.reshape(-1), rows, entries * np.ravel(t)[columns])
        return out

    def pulled(self, given: Sequence[Array], cotangent: Array) -> Iterator[Array]:
        """Yield the products of a cotangent and the blocks of a sparse closed form."""
        for x, entries, (rows, columns) in zip(given, self.sparse_jacobian(*given), self.places, strict=False):
            out = np.zeros(x.shape, dtype=entries.dtype)
            np.add.at(out.reshape(-1), columns, entries * np.ravel(cotangent)[rows])
            yield out

    def hessian(self, *given: Array) -> tuple[tuple[Array, ...], ...]:
        blocks = self.call(Operator.HESSIAN, given)
        return tuple(map(_tuple, blocks)) if isinstance(blocks, (tuple, list)) else ((np.asarray(blocks),),)

    def jvp(self, *given: Array) -> Array:
        tangents = self.split(given)[1]
        if self.is_sparse:
            return self.pushed(given, tangents)
        return _sum(_apply(block, t) for block, t in zip(self.jacobian(*given), tangents, strict=True))

    def vjp(self, *given: Array) -> tuple[Array, ...]:
        (cotangent,) = self.split(given)[1]
        if self.is_sparse:
            return tuple(self.pulled(given, cotangent))
        return tuple(_apply_transposed(block, cotangent) for block in self.jacobian(*given))

    def given_hvp(self, *given: Array) -> tuple[Array, ...]:
        return _tuple(self.problem.reference[Operator.HVP](*given, **self.inputs.static))

    def hvp(self, *given: Array) -> tuple[Array, ...]:
        tangents = self.split(given)[1]
        return tuple(
            _sum(_apply(block, t) for block, t in zip(row, tangents, strict=True)) for row in self.hessian(*given)
        )


def first_step(optimizer: Optimizer, params: Sequence[Array], grads: Sequence[Array]) -> tuple[Array, ...]:
    """Return the parameters after one update from a fresh state, by the rules of `Optimizer` with n = 1.

    From a zero state, momentum is plain descent and Nesterov's look-ahead is ``g + m g``. Adam's bias-corrected
    moments are ``g`` and ``g^2``, so that its update is ``lr g / (|g| + eps)``. With ``eps_hat``, eps is added before
    the second moment is corrected, which divides it by ``sqrt(1 - b2)``.
    """
    return tuple(np.asarray(p - _UPDATES[optimizer.name](optimizer, g)) for p, g in zip(params, grads, strict=True))


def _plain_update(o: Optimizer, g: Array) -> Array:
    return g * o.learning_rate


def _nesterov_update(o: Optimizer, g: Array) -> Array:
    return o.learning_rate * (g + o.momentum * g)


def _adam_update(o: Optimizer, g: Array) -> Array:
    eps = o.eps / math.sqrt(1 - o.b2) if o.eps_hat else o.eps
    return o.learning_rate * g / (np.abs(g) + eps)


_UPDATES: Mapping[str, Callable[[Optimizer, Array], Array]] = {
    "sgd": _plain_update,
    "momentum": _plain_update,
    "nesterov": _nesterov_update,
    "adam": _adam_update,
}


def _tuple(arrays: Any) -> tuple[Array, ...]:
    return tuple(map(np.asarray, arrays)) if isinstance(arrays, (tuple, list)) else (np.asarray(arrays),)


def _sum(parts: Any) -> Array:
    first, *rest = parts
    return np.asarray(sum(rest, start=first))


def _apply(block: Array, tangent: Array) -> Array:
    """Contract the trailing axes of a Jacobian block with a tangent of that shape."""
    return np.asarray(np.tensordot(block, tangent, axes=tangent.ndim))


def _apply_transposed(block: Array, cotangent: Array) -> Array:
    """Contract the leading axes of a Jacobian block with a cotangent of that shape."""
    return np.asarray(np.tensordot(cotangent, block, axes=cotangent.ndim))
