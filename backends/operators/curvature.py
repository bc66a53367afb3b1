"""Operators made of products with the Hessian: its sparse entries, its diagonal, the Laplacian, and an estimate of it.

With H the Hessian of a scalar function of n numbers, and products ``H V`` with several directions at once
(``hvp_batch``):

==================  =====================================  =======================================================
operator            directions                             result
==================  =====================================  =======================================================
sparse_hessian      one for each colour                    entries read off the products (`sparsity.symmetric`)
hessian_diagonal    the n unit vectors                     ``e_i H e_i``
laplacian           the n unit vectors                     the sum of ``e_i H e_i``
laplacian_estimate  k vectors of random signs, as given    the mean of ``v H v``, and the half width of its interval
==================  =====================================  =======================================================

*The estimate* (Hutchinson 1990, Communications in Statistics 19). The signs of v are independent with mean 0, so that
``v_i v_j`` has the mean 1 for i = j and 0 otherwise: ``v H v`` has the mean ``trace H``. Its variance is twice the sum
of the squared entries off the diagonal, so that a diagonal Hessian is estimated without error. k values ``q_r`` with
standard deviation s give the interval ``mean q +- t s / sqrt(k)``, which covers the trace in 95 of 100 draws: t is the
quantile of Student's distribution with k - 1 degrees of freedom.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.operators.derivation import Derivation, Rule
from autodiff_compare.backends.operators.objective import Objective, Prepared, Var
from autodiff_compare.backends.sparsity.pattern import Pattern
from autodiff_compare.backends.sparsity.symmetric import SymmetricCompression
from autodiff_compare.vocabulary import Operator

#: The part of all draws in which the interval of an estimate covers the trace.
COVERED = 0.95


def _sparse_hessian(d: Derivation) -> Prepared:
    """Read the entries off as many products as the pattern has colours."""
    d.scalar_output()
    patterns, inputs = _patterns(d), [d.backend.to_numpy(x) for x in d.request.inputs]
    plan = SymmetricCompression.of(patterns)
    if not plan.number:
        empty = [np.zeros(0, x.dtype) for x in inputs]
        return lambda *_: tuple(map(d.backend.to_var, empty))
    xp = d.backend.xp
    seeds = [d.backend.to_var(s) for s in plan.seeds([x.shape for x in inputs], [x.dtype for x in inputs])]
    index = [d.backend.to_var(at) for at in plan.index]
    products = d.prepare(Operator.HVP_BATCH, seeds)

    def entries(*args: Var) -> tuple[Var, ...]:
        flat = xp.reshape(_beside(xp, products(*args, *seeds), plan.number), (-1,))
        return tuple(xp.take(flat, at, axis=0) for at in index)

    return entries


def _patterns(d: Derivation) -> Sequence[Pattern]:
    """Return the objective's patterns once they fit the shapes of its inputs."""
    patterns = d.request.f.hessian_patterns if isinstance(d.request.f, Objective) else ()
    sizes = [math.prod(x.shape) for x in d.request.inputs]
    got, expected = [p.shape for p in patterns], [(size, sum(sizes)) for size in sizes]
    if got != expected:
        raise ValueError(
            f"got Hessian patterns of shape {got}, expected {expected}, entries of each input by those of all: "
            "pass Objective(f, hessian_patterns=(Pattern.of(shape, rows, columns), ...))"
        )
    return patterns


def _beside(xp: Any, parts: Sequence[Var], rows: int) -> Var:
    """Return products, one array for each input, as one matrix with a row for each direction."""
    flat = [xp.reshape(part, (rows, -1)) for part in parts]
    return flat[0] if len(flat) == 1 else xp.concat(flat, axis=1)


def _units(d: Derivation) -> list[Var]:
    """Return all unit directions of all inputs, ``(n, *shape)`` for each."""
    inputs = [d.backend.to_numpy(x) for x in d.request.inputs]
    ends = np.cumsum([0, *(x.size for x in inputs)])
    identity = np.eye(int(ends[-1]))
    return [
        d.backend.to_var(identity[:, start:stop].astype(x.dtype).reshape(len(identity), *x.shape))
        for x, start, stop in zip(inputs, ends, ends[1:], strict=False)
    ]


def _along_units(d: Derivation) -> Callable[..., Var]:
    """Return a function of the arguments that gives ``e_i H e_i`` for all i, as a vector, from products."""
    xp, units = d.backend.xp, _units(d)
    n = units[0].shape[0]
    if not n:
        return _nothing(d)
    products = d.prepare(Operator.HVP_BATCH, units)
    index = d.backend.to_var(np.arange(n) * (n + 1))

    def diagonal(*args: Var) -> Var:
        return xp.take(xp.reshape(_beside(xp, products(*args, *units), n), (-1,)), index, axis=0)

    return diagonal


def _nothing(d: Derivation) -> Callable[..., Var]:
    empty = np.zeros(0, d.backend.to_numpy(d.request.inputs[0]).dtype)
    return lambda *_: d.backend.to_var(empty)


def by_second_derivatives(d: Derivation, second: Callable[..., Prepared]) -> Prepared:
    """Return ``hessian_diagonal`` or ``laplacian`` from second derivatives along the unit vectors.

    Parameters
    ----------
    d
        The request, of one of the two.
    second
        ``second(units)`` prepares a function of ``(*args, *units)`` that returns the second derivative along each of
        the directions, as a vector; ``units`` are arrays ``(n, *shape)``, one for each differentiated input.
    """
    d.scalar_output()
    units = _units(d)
    if not units[0].shape[0]:
        return _SHAPED[d.request.operator](d, _nothing(d))
    run = second(units)
    return _SHAPED[d.request.operator](d, lambda *args: run(*args, *units))


def _split(d: Derivation, diagonal: Callable[..., Var]) -> Prepared:
    """Return the parts of the diagonal, shaped like the inputs."""
    xp, shapes = d.backend.xp, [tuple(x.shape) for x in d.request.inputs]
    ends = np.cumsum([0, *map(math.prod, shapes)]).tolist()

    def split(*args: Var) -> tuple[Var, ...]:
        found = diagonal(*args)
        parts = zip(ends, ends[1:], shapes, strict=False)
        return tuple(xp.reshape(found[start:stop], shape) for start, stop, shape in parts)

    return split


def _summed(d: Derivation, diagonal: Callable[..., Var]) -> Prepared:
    return lambda *args: d.backend.xp.sum(diagonal(*args))


_SHAPED = {Operator.HESSIAN_DIAGONAL: _split, Operator.LAPLACIAN: _summed}


def _by_products(d: Derivation) -> Prepared:
    """Return ``hessian_diagonal`` or ``laplacian`` from products with the unit vectors."""
    d.scalar_output()
    return _SHAPED[d.request.operator](d, _along_units(d))


def _laplacian_estimate(d: Derivation) -> Prepared:
    """Return the mean of ``v H v`` over the directions, and the half width of its interval."""
    d.scalar_output()
    xp, k = d.backend.xp, d.request.rows()
    if k < 2:
        raise ValueError(f"got {k} direction for laplacian_estimate, expected two or more: one shows no spread")
    products = d.prepare(Operator.HVP_BATCH, d.request.directions)
    factor = half_width(k)

    def estimate(*given: Var) -> tuple[Var, Var]:
        directions = d.split(given)[1]
        images = products(*given)
        parts = [xp.reshape(v * p, (k, -1)) for v, p in zip(directions, images, strict=True)]
        found = xp.sum(parts[0] if len(parts) == 1 else xp.concat(parts, axis=1), axis=1)
        mean = xp.mean(found)
        apart = found - mean
        return mean, xp.sqrt(xp.sum(apart * apart)) * factor

    return estimate


@functools.cache
def half_width(k: int) -> float:
    """Return the half width of the interval of a mean of k values, in units of the norm of their deviations.

    The norm of the deviations is ``s sqrt(k - 1)``, so that ``t s / sqrt(k)`` is ``t / sqrt(k (k - 1))`` times it. With
    ``t = sqrt(v) tan(a)``, Student's density of ``v = k - 1`` degrees of freedom is that of ``cos(a)^(v - 1)``.
    """
    v = k - 1
    x, w = np.polynomial.legendre.leggauss(128)

    def weight(a: float) -> float:
        return float(a / 2 * np.sum(w * np.cos(a / 2 * (x + 1)) ** (v - 1)))

    low, high = 0.0, math.pi / 2
    wanted = COVERED * weight(high)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if weight(middle) < wanted else (low, middle)
    return math.sqrt(v) * math.tan(low) / math.sqrt(k * (k - 1))


#: The rules, in the order in which they are tried.
CURVATURE = (
    Rule(Operator.SPARSE_HESSIAN, frozenset({Operator.HVP_BATCH}), _sparse_hessian),
    Rule(Operator.HESSIAN_DIAGONAL, frozenset({Operator.HVP_BATCH}), _by_products),
    Rule(Operator.LAPLACIAN, frozenset({Operator.HVP_BATCH}), _by_products),
    Rule(Operator.LAPLACIAN_ESTIMATE, frozenset({Operator.HVP_BATCH}), _laplacian_estimate),
)
