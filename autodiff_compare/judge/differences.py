"""Numerical derivatives with an honest error bar.

One central difference is a number; a ladder of them is a number and a statement of how far to trust it.
Along a direction ``u``, with ``D(h) = (f(x + h u) - f(x - h u)) / 2h``:

1. *Noise.* Values at fourteen closely spaced points on either side differ by a smooth part, which a polynomial of
   degree seven takes up, and by rounding, which is left over: ``sigma^2 = mean(residuals^2)``. More and Wild (2011,
   "Estimating computational noise", SIAM J. Sci. Comput. 33) take fourth differences at equal distances; those see
   no noise where its period divides the distance, which a staircase of rounded values makes likely, so that the
   points here stand at irregular distances.
2. *Steps.* Seventeen steps fall by factors of two from a quarter of the scale of ``x``; each is the step actually
   achieved in floating point. From the first non-finite value upwards all are dropped: the domain ends there.
3. *Extrapolation.* ``D(h) = f' + a h^2 + b h^4 + ...``, so ``(4 D(h/2) - D(h)) / 3`` has no ``h^2`` term, and so on
   to depth five (Romberg). A rounding bound is carried with every entry.
4. *Choice.* An entry's bar is its distance from its neighbours plus its rounding bound. The entry with the
   smallest bar is taken among those that agree with **every** difference at a smaller step. That rule is what
   defeats aliasing: for ``sin(10 x)`` the large steps agree with each other, and wrongly.

For ``f = exp`` at 0: D(1/4) = 1.0104, D(1/8) = 1.0026, extrapolated 0.99998, once more 1.00000003; the bar falls
until rounding (eps / h) takes over, near 1e-15, and there the entry is taken.

At a kink ``f(x + h u) - 2 f(x) + f(x - h u)`` falls like ``h``, not ``h^2``; then the interval between the one-sided
derivatives is found, by the same ladder over forward differences.

Everything here is float64 on plain NumPy functions, and shares no code with any backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: A function of one flat vector that returns one flat vector.
FlatFunction = Callable[[Array], Array]

STEPS = 17
DEPTH = 5
#: Per coordinate up to this many, by random directions and chosen coordinates above it.
FEW = 32
RANDOM_DIRECTIONS = 3
CHOSEN_COORDINATES = 8

_EPS = float(np.finfo(np.float64).eps)
_H = 0.25 * 0.5 ** np.arange(STEPS)
_NOISE_DEGREE = 7
# Fixed and irregular, in (0, 1]; six residuals are left on each side.
_NOISE_NODES = (np.arange(14) + np.random.default_rng(0).uniform(0.1, 1.0, 14)) / 14
# Noise may be rounding, seen at any distance, or a staircase, seen only beyond its step. The points lie on one side
# of x each, so that a kink or jump at x itself is not taken for noise.
_NOISE_POINTS = (2.0**-18 * _NOISE_NODES, -(2.0**-13) * _NOISE_NODES)
#: Orthonormal rows that annihilate polynomials on the nodes.
_RESIDUALS = np.linalg.qr(np.vander(2 * _NOISE_NODES - 1, _NOISE_DEGREE + 1), mode="complete")[0].T[_NOISE_DEGREE + 1 :]
#: A bar above this part of the derivative is worth another try at other steps.
_POOR = 1e-7
_OUTSIDE = (ArithmeticError, ValueError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Estimates:
    """Derivatives of ``r`` scalar functions, each with its error bar.

    Parameters
    ----------
    derivative, bar
        The estimates and bounds of their errors, shape ``(r,)``; ``nan`` where there is none.
    low, high
        The one-sided derivatives in ascending order at a kink, shape ``(r,)``; else ``nan``.
    verdicts
        `Verdict.PASS` where there is an estimate, `NONSMOOTH` or `UNDETERMINED` where not.
    """

    derivative: Array
    bar: Array
    low: Array
    high: Array
    verdicts: tuple[Verdict, ...]

    @staticmethod
    def join(parts: Sequence[Estimates]) -> Estimates:
        """The estimates of several calls, one after the other."""
        arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in ("derivative", "bar", "low", "high")}
        return Estimates(**arrays, verdicts=tuple(v for p in parts for v in p.verdicts))


def directions(x: Array, rng: np.random.Generator) -> Array:
    """Directions that probe a function at ``x`` at a cost that does not grow with its size.

    Every coordinate for up to `FEW` of them. Otherwise three random directions with entries
    ``sign * U(0.5, 1.5)`` (pure signs miss a swap of two coordinates), and eight coordinates: those of the largest
    and the smallest input and six at random. Entries are in units of the scale of the input.

    Parameters
    ----------
    x
        Flat float64 vector of ``n`` inputs.
    rng
        Source of the random directions.

    Returns
    -------
    Array
        Shape ``(r, n)``.
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
    """How far each input may sensibly move: its own size, at least the root mean square of all; 1 at the origin."""
    typical = float(np.sqrt(np.mean(x * x))) if x.size else 1.0
    return np.maximum(np.abs(x), typical if typical > 0 and np.isfinite(typical) else 1.0)


def first(f: FlatFunction, x: Array, u: Array, weights: Array) -> Estimates:
    """The derivative of ``weights @ f`` along ``u``: ``weights @ J @ u``.

    Parameters
    ----------
    f
        Function of a flat vector, giving a flat vector of ``m`` values.
    x, u
        Point and direction, shape ``(n,)``. The length of ``u`` should be about the scale of ``x``.
    weights
        Shape ``(r, m)``: what is observed of the output.
    """
    n = np.abs(u[u != 0])
    own = np.abs(x[u != 0])
    nearest = float(np.min(own[own > 0] / n[own > 0])) if (own > 0).any() else 1.0
    best: Estimates | None = None
    for factor in (1.0, min(nearest, 1.0), 2.0**-12):
        found = _attempt(_sample(f, x, ((0.5, u), (-0.5, -u)), weights, 1, factor))
        best = found if best is None else _better(best, found)
        if not _poor(best):
            break
    assert best is not None
    return best


def second(f: FlatFunction, x: Array, s: Array, t: Array, weights: Array) -> Estimates:
    """The mixed second derivative ``s @ H @ t`` of ``weights @ f``.

    By ``(f(x+hp) + f(x-hp) - f(x+hm) - f(x-hm)) / 4h^2`` with ``p = s + t``, ``m = s - t``, extrapolated as in `first`.
    """
    p, m = s + t, s - t
    stencil = ((0.25, p), (0.25, -p), (-0.25, m), (-0.25, -m))
    best = _attempt(_sample(f, x, stencil, weights, 2, 1.0))
    return best if not _poor(best) else _better(best, _attempt(_sample(f, x, stencil, weights, 2, 2.0**-6)))


@dataclass(frozen=True)
class _Samples:
    """Observed values on the stencil, ``values[k, i, r]`` at step ``k`` and stencil point ``i``."""

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
    absolute = np.abs(weights)

    def observe(point: Array) -> tuple[Array, Array]:
        try:
            with np.errstate(all="ignore"):
                y = f(point)
                return weights @ y, absolute @ np.abs(y)
        except _OUTSIDE:
            return np.full(len(weights), np.nan), np.full(len(weights), np.nan)

    seen = [[observe(x + h * factor * v) for _, v in stencil] for h in _H]
    u = stencil[0][1]
    center, center_size = observe(x)
    steps = _H * factor
    if order == 1:
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


def _noise(nearby: Array) -> Array:
    """Standard deviation of the rounding noise; 0 where the domain ends within the points."""
    with np.errstate(all="ignore"):
        residuals = _RESIDUALS @ (nearby - nearby[0])
        sigma: Array = np.sqrt(np.mean(residuals * residuals, axis=0))
    return np.where(np.isfinite(sigma), sigma, 0.0)


def _attempt(s: _Samples) -> Estimates:
    with np.errstate(all="ignore"):
        h = s.steps[:, None] ** s.order
        weight = np.abs(s.coefficients)
        d = np.einsum("i,kir->kr", s.coefficients, s.values) / h
        rounding = np.maximum(_EPS * np.einsum("i,kir->kr", weight, s.sizes), 2 * s.sigma * weight.sum())
        d = _drop(d)
        value, bar = _ladder(d, rounding / h + 2 * _EPS * np.abs(d), base=4)
        finite = np.isfinite(d).sum(axis=0)
        kinked = _kinked(s) if s.order == 1 else np.zeros(value.shape, bool)
        low, high = _sides(s, kinked)
    verdicts = tuple(
        Verdict.UNDETERMINED if n < 3 else Verdict.NONSMOOTH if kink or not np.isfinite(v) else Verdict.PASS
        for n, kink, v in zip(finite, kinked, value, strict=True)
    )
    good = np.array([v == Verdict.PASS for v in verdicts])
    return Estimates(np.where(good, value, np.nan), np.where(good, bar, np.nan), low, high, verdicts)


def _drop(d: Array) -> Array:
    """All steps from the first non-finite value upwards become nan."""
    bad = ~np.isfinite(d)
    return np.where(np.flip(np.logical_or.accumulate(np.flip(bad, 0), axis=0), 0), np.nan, d)


def _ladder(d: Array, bound: Array, base: int) -> tuple[Array, Array]:
    """Extrapolate ``d[k, r]`` at steps halving with ``k``; the value with the smallest bar that no smaller step denies.

    ``base`` is the ratio by which the leading error term falls: 4 for central, 2 for one-sided differences.
    """
    gap = np.full_like(d, np.nan)
    gap[1:] = np.abs(np.diff(d, axis=0))
    values, bars = [d], [gap + bound]
    previous, carried = d, bound
    for j in range(1, DEPTH + 1):
        ratio = float(base**j)
        value, rounding = np.full_like(d, np.nan), np.full_like(d, np.nan)
        value[1:] = previous[1:] + (previous[1:] - previous[:-1]) / (ratio - 1)
        rounding[1:] = (ratio * carried[1:] + carried[:-1]) / (ratio - 1)
        error = np.abs(value - previous)
        error[1:] = np.maximum(error[1:], np.abs(np.diff(value, axis=0)))
        values.append(value)
        bars.append(error + rounding)
        previous, carried = value, rounding
    table, bar = np.stack(values), np.stack(bars)
    # A smaller step differs from the truth by its rounding and by its truncation, a third of its gap at most.
    allowed = bar[:, :, None] + (bound + gap)[None, None]
    agrees = np.abs(table[:, :, None] - d[None, None]) <= allowed
    smaller = np.arange(len(d))[None, :] > np.arange(len(d))[:, None]
    fit = np.all(agrees | ~smaller[None, :, :, None], axis=2) & np.isfinite(bar)
    rank = np.where(fit, bar, np.inf).reshape(-1, d.shape[1])
    best = np.argmin(rank, axis=0)
    columns = np.arange(d.shape[1])
    chosen = rank[best, columns]
    return np.where(np.isfinite(chosen), table.reshape(-1, d.shape[1])[best, columns], np.nan), chosen


def _kinked(s: _Samples) -> Array:
    """Where the slope jumps at the point: the jump over ``h`` neither vanishes nor drowns in rounding."""
    h = s.steps[:, None]
    jump = (s.values[:, 0] - 2 * s.center + s.values[:, 1]) / h
    size = s.sizes.sum(axis=1) + 2 * s.center_size
    bound = np.maximum(_EPS * size, 8 * s.sigma) / h
    limit = 2 * jump[1:] - jump[:-1]
    resolved = np.abs(limit) > 8 * bound[1:]
    steady = np.abs(np.diff(limit, axis=0)) <= 0.05 * np.abs(limit[1:])
    three = resolved[2:] & resolved[1:-1] & resolved[:-2] & steady[1:] & steady[:-1]
    # Only the smallest step that rounding still resolves can tell; larger ones may see a kink nearby.
    last = resolved.shape[0] - 1 - np.argmax(np.flip(resolved, 0), axis=0)
    found: Array = np.take_along_axis(three, np.maximum(last - 2, 0)[None], axis=0)[0]
    real: Array = found & resolved.any(axis=0) & (last >= 2)
    return real


def _sides(s: _Samples, kinked: Array) -> tuple[Array, Array]:
    """The interval of the one-sided derivatives, widened by their bars."""
    empty = np.full(kinked.shape, np.nan)
    if not kinked.any():
        return empty, empty
    h = s.steps[:, None]
    ends = []
    for sign, side in ((1.0, 0), (-1.0, 1)):
        d = _drop(sign * (s.values[:, side] - s.center) / h)
        bound = np.maximum(_EPS * (s.sizes[:, side] + s.center_size), 4 * s.sigma) / h + 2 * _EPS * np.abs(d)
        ends.append(_ladder(d, bound, base=2))
    (right, right_bar), (left, left_bar) = ends
    low = np.minimum(right - right_bar, left - left_bar)
    high = np.maximum(right + right_bar, left + left_bar)
    return np.where(kinked, low, np.nan), np.where(kinked, high, np.nan)


def _poor(e: Estimates) -> bool:
    """Whether other steps may do better: no estimate, or a wide bar."""
    biggest = float(np.nanmax(np.abs(e.derivative))) if np.isfinite(e.derivative).any() else 0.0
    return any(v != Verdict.PASS for v in e.verdicts) or bool((e.bar > _POOR * max(biggest, 1e-300)).any())


def _better(a: Estimates, b: Estimates) -> Estimates:
    """Column by column ``b`` where ``a`` has no estimate, or where ``b`` is narrower and within the bars of ``a``.

    Smaller steps alone may see the treads of a staircase only: they may sharpen an estimate, not overrule it.
    """
    with np.errstate(invalid="ignore"):
        sharper = (b.bar < a.bar) & (np.abs(a.derivative - b.derivative) <= a.bar + b.bar)
    take = [
        y == Verdict.PASS and (x != Verdict.PASS or bool(ok))
        for x, y, ok in zip(a.verdicts, b.verdicts, sharper, strict=True)
    ]
    merge = {n: np.where(take, getattr(b, n), getattr(a, n)) for n in ("derivative", "bar", "low", "high")}
    return Estimates(**merge, verdicts=tuple(b.verdicts[i] if t else a.verdicts[i] for i, t in enumerate(take)))
