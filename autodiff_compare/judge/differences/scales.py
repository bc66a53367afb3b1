"""The size of each input, and the directions in which a function is probed.

Inputs have units: 90 mol/s stands beside 1e-4 mol/l. A step that suits one is far too large or too small for the other.
So each input moves in proportion to its own size. No number is squared: sizes may range over the whole float64 range.

*Exact steps.* A scale is a power of two, ``2^e <= |x| < 2^(e+1)``, and the entries of a direction are multiples of
``2^-10`` of it. ``x`` is a multiple of ``2^(e-52)``. So ``x + h u`` is exact for any step ``h = 2^-k`` down to
``2^-42``, except where it crosses a power of two, and half a rounding is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autodiff_compare.problems import Array

#: Up to this many inputs each coordinate is a direction; above it, random directions and chosen coordinates are used.
FEW = 32
RANDOM_DIRECTIONS = 3
CHOSEN_COORDINATES = 8
#: Most leaves that get a random direction of their own, the largest first.
MOST_LEAVES = 4
_BITS = 10


def scales(x: Array, parts: Sequence[slice] = (), typical: Array | None = None) -> Array:
    """Return the scale of each input: its typical size if one is given, else its own size, as a power of two.

    An input of zero has no size. It gets the median size of the others in its leaf, or 1 if all are zero.

    Parameters
    ----------
    x
        Flat vector, shape ``(n,)``; the scales have the same shape.
    parts
        The leaves within ``x``; one by default.
    typical
        Typical sizes, shape ``(n,)``; nan where none is given.
    """
    size = np.abs(x)
    if typical is not None:
        size = np.where(np.isfinite(typical) & (typical != 0), np.abs(typical), size)
    for part in parts or (slice(0, x.size),):
        size[part] = np.where(usable(size[part]), size[part], middle(size[part]))
    return np.ldexp(0.5, np.frexp(size)[1])


def usable(size: Array) -> Array:
    """Return where a size is finite and not zero."""
    return np.isfinite(size) & (size > 0)


def middle(size: Array) -> float:
    """Return the lower median of the usable sizes; 1 if there are none."""
    known = np.sort(size[usable(size)])
    return float(known[(known.size - 1) // 2]) if known.size else 1.0


def signs(rng: np.random.Generator, n: int) -> Array:
    """Return ``n`` entries ``sign * U(0.5, 1.5)``, as multiples of ``2^-10``.

    Pure signs would miss a swap of two entries, since ``a - b`` is then often weighted with zero.
    """
    size = np.round(rng.uniform(0.5, 1.5, n) * 2.0**_BITS) * 2.0**-_BITS
    return np.asarray(rng.choice([-1.0, 1.0], n) * size)


def directions(scale: Array, rng: np.random.Generator, parts: Sequence[slice] = ()) -> Array:
    """Return directions that probe a function, so few that the cost does not grow with its size.

    Up to `FEW` inputs, each coordinate is a direction. Above, there are `RANDOM_DIRECTIONS` random ones, one for each
    of the `MOST_LEAVES` largest leaves if there are several, and `CHOSEN_COORDINATES` coordinates. A leaf that is small
    beside others would drown in a direction that moves all of them.

    Parameters
    ----------
    scale
        Scale of each input, shape ``(n,)``.
    rng
        Random stream of the directions.
    parts
        The leaves within the inputs.

    Returns
    -------
    Array
        The directions as rows, shape ``(r, n)``.
    """
    n = scale.size
    if n <= FEW:
        return np.diag(scale)
    rows = [signs(rng, n) for _ in range(RANDOM_DIRECTIONS)]
    if len(parts) > 1:
        for part in sorted(parts, key=lambda p: p.start - p.stop)[:MOST_LEAVES]:
            row = np.zeros(n)
            row[part] = signs(rng, part.stop - part.start)
            rows.append(row)
    for k in chosen(scale, rng, parts):
        rows.append(np.zeros(n))
        rows[-1][k] = 1.0
    return np.stack(rows) * scale


def chosen(scale: Array, rng: np.random.Generator, parts: Sequence[slice] = ()) -> list[int]:
    """Return different coordinates: those of the largest and the smallest scale, one of each leaf, and random ones."""
    extremes = [int(np.argmax(scale)), int(np.argmin(scale))]
    of_leaves = [int(rng.integers(p.start, p.stop)) for p in parts if p.stop > p.start] if len(parts) > 1 else []
    random = rng.choice(scale.size, 2 * CHOSEN_COORDINATES, replace=False).tolist()
    return list(dict.fromkeys([*extremes, *of_leaves, *random]))[:CHOSEN_COORDINATES]
