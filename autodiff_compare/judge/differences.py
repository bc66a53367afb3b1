"""Numerical derivatives with an error bar, from central differences at many steps.

A single central difference has an unknown error. Differences at a ladder of steps give an estimate together with a
bound of its error. Along a direction ``u``, with ``D(h) = (f(x + h u) - f(x - h u)) / 2h``:

1. *Noise.* The standard deviation ``sigma`` of the rounding noise of ``f`` is estimated from 14 closely spaced values
   ``y``. They are the sum of a smooth part, which a polynomial of degree 7 fits, and of noise. Let ``R`` be orthonormal
   rows that annihilate such polynomials. Each of the 6 residuals ``R y`` has the variance of the noise, so ``sigma^2 =
   mean(residuals^2)``. More and Wild (2011, "Estimating computational noise", SIAM J. Sci. Comput. 33) use fourth
   differences at equal distances. These miss a noise whose period divides the distance, which is likely for a staircase
   of rounded values; here the distances are irregular.
2. *Steps.* Seventeen steps fall by factors of two from a quarter of the scale of ``x``. If a value is not finite, the
   domain ends there: that step and all larger ones are dropped.
3. *Extrapolation.* The differences are extrapolated to step 0 (`autodiff_compare.judge.extrapolation`). The bound of
   their rounding error is ``max(eps (|f+| + |f-|), 4 sigma) / 2h + 2 eps |D|``.

*Kinks.* ``S(h) = f(x + h u) - 2 f(x) + f(x - h u)`` is ``h^2 f'' + ...`` where ``f`` is smooth. At a kink it is ``h``
times the difference of the one-sided derivatives. If ``S(h)/h`` has a limit other than 0, there is a kink, and the
interval between the one-sided derivatives is extrapolated from forward differences.

Everything is computed in float64 on plain NumPy functions and shares no code with any backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.judge.extrapolation import extrapolated, within_domain
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: A function of one flat vector that returns one flat vector.
FlatFunction = Callable[[Array], Array]

#: Steps of a ladder.
STEPS = 17
#: Up to this many inputs each coordinate is a direction; above it, random directions and chosen coordinates are used.
FEW = 32
RANDOM_DIRECTIONS = 3
CHOSEN_COORDINATES = 8

_EPS = float(np.finfo(np.float64).eps)
_H = 0.25 * 0.5 ** np.arange(STEPS)
_NOISE_DEGREE = 7
#: Fixed nodes at irregular distances in (0, 1]; six residuals remain.
_NOISE_NODES = (np.arange(14) + np.random.default_rng(0).uniform(0.1, 1.0, 14)) / 14
# Two distances, as rounding shows at any distance and the steps of a staircase only beyond their width. Each set of
# points lies on one side of x, so that a kink or jump at x is not taken for noise.
_NOISE_POINTS = (2.0**-18 * _NOISE_NODES, -(2.0**-13) * _NOISE_NODES)
# The columns of a Vandermonde matrix span the polynomials on the nodes. In its complete QR factorisation the last
# columns of Q are orthonormal to them.
_RESIDUALS = np.linalg.qr(np.vander(2 * _NOISE_NODES - 1, _NOISE_DEGREE + 1), mode="complete")[0].T[_NOISE_DEGREE + 1 :]
#: A bar above this part of the derivative is wide: other steps are tried.
_WIDE_BAR = 1e-7
#: Names of the fields of `Estimates` that are arrays of shape ``(r,)``.
_ARRAYS = ("derivative", "bar", "low", "high")
#: Exceptions of an objective outside its domain; they count as nan.
_OUTSIDE_DOMAIN = (ArithmeticError, ValueError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Estimates:
    """Estimated derivatives of ``r`` scalar functions, each with its error bar.

    Parameters
    ----------
    derivative, bar
        The estimates and the bounds of their errors, shape ``(r,)``; ``nan`` where there is no estimate.
    low, high
        At a kink the interval of the one-sided derivatives, widened by their bars, shape ``(r,)``; else ``nan``.
    verdicts
        `Verdict.PASS` where there is an estimate. `NONSMOOTH` where no entry of the ladder is accepted or there is a
        kink; `UNDETERMINED` where fewer than three differences are finite.
    """

    derivative: Array
    bar: Array
    low: Array
    high: Array
    verdicts: tuple[Verdict, ...]

    @staticmethod
    def join(parts: Sequence[Estimates]) -> Estimates:
        """Return several estimates as one, concatenated."""
        arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in _ARRAYS}
        return Estimates(**arrays, verdicts=tuple(v for p in parts for v in p.verdicts))

    def divided(self, length: float | Array) -> Estimates:
        """Return the estimates for directions that are ``length`` times shorter; shape ``(r,)`` or a number."""
        return Estimates(**{n: getattr(self, n) / length for n in _ARRAYS}, verdicts=self.verdicts)


def directions(x: Array, rng: np.random.Generator) -> Array:
    """Return directions that probe a function at ``x``, so few that the cost does not grow with its size.

    Up to `FEW` inputs, each coordinate is a direction. Above, there are three random directions and eight coordinates:
    those of the largest and the smallest input and six at random. Random entries are ``sign * U(0.5, 1.5)``; pure signs
    would miss a swap of two coordinates. All entries are in units of `scales`.

    Parameters
    ----------
    x
        Flat float64 vector of ``n`` inputs.
    rng
        Random stream of the directions.

    Returns
    -------
    Array
        The directions as rows, shape ``(r, n)``.
    """
    scale = scales(x)
    if x.size <= FEW:
        return np.diag(scale)
    signs = rng.choice([-1.0, 1.0], size=(RANDOM_DIRECTIONS, x.size))
    random = signs * rng.uniform(0.5, 1.5, size=signs.shape) * scale
    extremes = [int(np.argmax(np.abs(x))), int(np.argmin(np.abs(x)))]
    chosen = np.array([*extremes, *rng.choice(x.size, CHOSEN_COORDINATES - 2, replace=False)])
    units = np.zeros((len(chosen), x.size))
    units[np.arange(len(chosen)), chosen] = scale[chosen]
    return np.concatenate([random, units])


def scales(x: Array) -> Array:
    """Return the scale of each input: its own size, at least the root mean square of all; 1 if all are zero.

    Parameters
    ----------
    x
        Flat vector, shape ``(n,)``; the scales have the same shape.
    """
    typical = float(np.sqrt(np.mean(x * x))) if x.size else 1.0
    return np.maximum(np.abs(x), typical if typical > 0 and np.isfinite(typical) else 1.0)


def first(f: FlatFunction, x: Array, u: Array, weights: Array) -> Estimates:
    """Estimate the first derivatives of ``weights @ f`` along ``u``: ``weights @ J @ u``.

    Steps from a quarter of ``u`` are tried first. If that gives no estimate or a wide bar, smaller ladders follow: one
    that starts before any input along ``u`` changes its sign, where a logarithm or root ends, and one that starts at
    ``2^-12`` of the first.

    Parameters
    ----------
    f
        Function of a flat vector of shape ``(n,)``, with values of shape ``(m,)``.
    x, u
        Point and direction, shape ``(n,)``. The length of ``u`` should be about the scale of ``x``.
    weights
        Linear combinations of the outputs, shape ``(r, m)``.

    Returns
    -------
    Estimates
        Of ``r`` derivatives.
    """
    moved = u != 0
    sign_change = np.abs(x[moved]) / np.abs(u[moved])
    nearest = float(np.min(sign_change[sign_change > 0], initial=1.0))
    stencil = ((0.5, u), (-0.5, -u))
    best = _estimate(_sample(f, x, stencil, weights, 1, 1.0))
    for factor in (nearest, 2.0**-12):
        if not _needs_retry(best):
            break
        best = _combined(best, _estimate(_sample(f, x, stencil, weights, 1, factor)))
    return best


def second(f: FlatFunction, x: Array, s: Array, t: Array, weights: Array) -> Estimates:
    """Estimate the mixed second derivatives ``s @ H @ t`` of ``weights @ f``.

    Let ``p = s + t`` and ``m = s - t``. By Taylor's theorem and the symmetry of H::

        f(x + h p) + f(x - h p) = 2 f + h^2 p H p + O(h^4)
        p H p - m H m = 4 s H t

    So ``(f(x+hp) + f(x-hp) - f(x+hm) - f(x-hm)) / 4h^2`` is ``s H t`` with an error in even powers of ``h``, which is
    extrapolated as in `first`.

    Parameters
    ----------
    f
        Function of a flat vector of shape ``(n,)``, with values of shape ``(m,)``.
    x, s, t
        Point and directions, shape ``(n,)``; the lengths of both should be about the scale of ``x``.
    weights
        Linear combinations of the outputs, shape ``(r, m)``.

    Returns
    -------
    Estimates
        Of ``r`` derivatives.
    """
    p, m = s + t, s - t
    stencil = ((0.25, p), (0.25, -p), (-0.25, m), (-0.25, -m))
    best = _estimate(_sample(f, x, stencil, weights, 2, 1.0))
    if not _needs_retry(best):
        return best
    return _combined(best, _estimate(_sample(f, x, stencil, weights, 2, 2.0**-6)))


@dataclass(frozen=True)
class _Samples:
    """Values of ``weights @ f`` on the stencil: ``values[k, i, r]`` at step ``k`` and stencil point ``i``.

    ``sizes`` are those of ``|weights| @ |f|``, which bound the rounding of ``values``; ``center`` and ``center_size``
    are both at ``x``. ``steps[k]`` is the step achieved in floating point, ``sigma[r]`` the noise, ``order`` that of
    the derivative.
    """

    values: Array
    sizes: Array
    center: Array
    center_size: Array
    coefficients: Array
    steps: Array
    sigma: Array
    order: int


def _sample(
    f: FlatFunction, x: Array, stencil: Sequence[tuple[float, Array]], weights: Array, order: int, factor: float
) -> _Samples:
    def observe(point: Array) -> tuple[Array, Array]:
        return _observed(f, point, weights)

    seen = [[observe(x + h * factor * v) for _, v in stencil] for h in _H]
    u = stencil[0][1]
    center, center_size = observe(x)
    steps = _H * factor
    if order == 1:
        # x + h u is rounded: the step achieved, not the step meant, divides the difference.
        steps = np.array([((x + h * u) - (x - h * u)) @ u / (2 * (u @ u)) for h in steps])
    nearby = [np.array([observe(x + h * factor * u)[0] for h in points]) for points in _NOISE_POINTS]
    return _Samples(
        values=np.array([[value for value, _ in row] for row in seen]),
        sizes=np.array([[size for _, size in row] for row in seen]),
        center=center,
        center_size=center_size,
        coefficients=np.array([c for c, _ in stencil]),
        steps=steps,
        sigma=np.maximum(*map(_noise, nearby)),
        order=order,
    )


def _observed(f: FlatFunction, point: Array, weights: Array) -> tuple[Array, Array]:
    """Return ``weights @ f`` and ``|weights| @ |f|`` at a point; nan outside the domain."""
    try:
        with np.errstate(all="ignore"):
            y = f(point)
            return weights @ y, np.abs(weights) @ np.abs(y)
    except _OUTSIDE_DOMAIN:
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)


def _noise(nearby: Array) -> Array:
    """Return the standard deviation of the rounding noise; 0 where the domain ends within the points."""
    with np.errstate(all="ignore"):
        residuals = _RESIDUALS @ (nearby - nearby[0])
        sigma: Array = np.sqrt(np.mean(residuals * residuals, axis=0))
    return np.where(np.isfinite(sigma), sigma, 0.0)


def _estimate(s: _Samples) -> Estimates:
    with np.errstate(all="ignore"):
        h = s.steps[:, None] ** s.order
        weight = np.abs(s.coefficients)
        d = np.einsum("i,kir->kr", s.coefficients, s.values) / h
        rounding = np.maximum(_EPS * np.einsum("i,kir->kr", weight, s.sizes), 2 * s.sigma * weight.sum())
        d = within_domain(d)
        value, bar = extrapolated(d, rounding / h + 2 * _EPS * np.abs(d), base=4)
        finite = np.isfinite(d).sum(axis=0)
        kinked = _kinked(s) if s.order == 1 else np.zeros(value.shape, bool)
        low, high = _one_sided(s, kinked)
    verdicts = tuple(
        Verdict.UNDETERMINED if n < 3 else Verdict.NONSMOOTH if kink or not np.isfinite(v) else Verdict.PASS
        for n, kink, v in zip(finite, kinked, value, strict=True)
    )
    good = np.array([v == Verdict.PASS for v in verdicts])
    return Estimates(np.where(good, value, np.nan), np.where(good, bar, np.nan), low, high, verdicts)


def _kinked(s: _Samples) -> Array:
    """Return where the slope jumps at the point, shape ``(r,)``.

    ``S(h)/h`` is ``jump + c h``. Two steps give ``jump = 2 S(h/2)/(h/2) - S(h)/h``. There is a kink if three successive
    values of it agree within 5 % and exceed eight times their rounding bound.
    """
    h = s.steps[:, None]
    jump = (s.values[:, 0] - 2 * s.center + s.values[:, 1]) / h
    size = s.sizes.sum(axis=1) + 2 * s.center_size
    bound = np.maximum(_EPS * size, 8 * s.sigma) / h
    limit = 2 * jump[1:] - jump[:-1]
    resolved = np.abs(limit) > 8 * bound[1:]
    steady = np.abs(np.diff(limit, axis=0)) <= 0.05 * np.abs(limit[1:])
    three = resolved[2:] & resolved[1:-1] & resolved[:-2] & steady[1:] & steady[:-1]
    # Only the smallest step that rounding resolves decides: larger ones may reach a kink nearby.
    last = resolved.shape[0] - 1 - np.argmax(np.flip(resolved, 0), axis=0)
    found: Array = np.take_along_axis(three, np.maximum(last - 2, 0)[None], axis=0)[0]
    real: Array = found & resolved.any(axis=0) & (last >= 2)
    return real


def _one_sided(s: _Samples, kinked: Array) -> tuple[Array, Array]:
    """Return the ends of the interval of the one-sided derivatives, widened by their bars; nan without a kink."""
    empty = np.full(kinked.shape, np.nan)
    if not kinked.any():
        return empty, empty
    h = s.steps[:, None]
    ends = []
    for sign, side in ((1.0, 0), (-1.0, 1)):
        d = within_domain(sign * (s.values[:, side] - s.center) / h)
        bound = np.maximum(_EPS * (s.sizes[:, side] + s.center_size), 4 * s.sigma) / h + 2 * _EPS * np.abs(d)
        ends.append(extrapolated(d, bound, base=2))
    (right, right_bar), (left, left_bar) = ends
    low = np.minimum(right - right_bar, left - left_bar)
    high = np.maximum(right + right_bar, left + left_bar)
    return np.where(kinked, low, np.nan), np.where(kinked, high, np.nan)


def _needs_retry(e: Estimates) -> bool:
    """Return whether other steps may give more: some function has no estimate, or a wide bar."""
    biggest = float(np.nanmax(np.abs(e.derivative))) if np.isfinite(e.derivative).any() else 0.0
    return any(v != Verdict.PASS for v in e.verdicts) or bool((e.bar > _WIDE_BAR * max(biggest, 1e-300)).any())


def _combined(a: Estimates, b: Estimates) -> Estimates:
    """Return ``b`` for each function without an estimate in ``a``, or whose bar in ``b`` is narrower; else ``a``.

    Where both have an estimate, they must agree within their bars. ``b`` comes from smaller steps, which may lie on one
    tread of a staircase and see no slope: they may refine an estimate, not replace it.
    """
    with np.errstate(invalid="ignore"):
        sharper = (b.bar < a.bar) & (np.abs(a.derivative - b.derivative) <= a.bar + b.bar)
    take = [
        y == Verdict.PASS and (x != Verdict.PASS or bool(ok))
        for x, y, ok in zip(a.verdicts, b.verdicts, sharper, strict=True)
    ]
    merge = {n: np.where(take, getattr(b, n), getattr(a, n)) for n in _ARRAYS}
    return Estimates(**merge, verdicts=tuple(b.verdicts[i] if t else a.verdicts[i] for i, t in enumerate(take)))
