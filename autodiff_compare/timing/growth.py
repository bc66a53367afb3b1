"""The growth of a time with the size: an exponent with its interval, beside a fixed cost.

Model. A call takes ``t(n) = a + c n^k``: a fixed cost ``a >= 0``, such as the overhead of a call, and a power of the
size. A straight line through ``log t`` against ``log n`` leaves ``a`` out and is wrong where it matters: for 10 us +
1 ns n, at seven sizes from 10 to 10^6, its slope is 0.38 although the time grows like n.

Fit. With ``s = a / (c N^k)``, N the largest size, ``log t_i = log c' + log(s + (n_i / N)^k)``. For given k and s the
best ``log c'`` is the mean of the residuals, so that the sum of squares ``R(k) = min over s of R(k, s)`` is a function
of k alone. It is minimised on a grid of k in steps of 0.01, and s by repeated refinement of a grid.

Interval. By the likelihood ratio, the 95 % interval holds the exponents with

    R(k) - R(k*) <= q^2 v,    v = max(R(k*) / (m - 3), e^2),

where q is the 97.5 % quantile of Student's t distribution with m - 3 degrees of freedom, m the number of sizes, and e
the mean standard error of the ``log t_i``, a 95 % interval of which is known from the rounds. The interval holds the
deviations from the model too, such as those of caches: they are in R(k*). Where the fixed cost hides the power, R is
flat and the interval has no end on the grid: the exponent is then not determined, and no number is given.

Check: of 100 sets of seven times of 5 us + 2 ns n with 3 % noise, 96 intervals hold 1; of 100 sets of 1 ms + 1 ps n,
whose power is hidden, 98 give no exponent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Fewest sizes of a fit: one more than the parameters of the model.
FEWEST = 4
#: The exponents that are tried.
_EXPONENTS = np.arange(0.0, 6.005, 0.01)
#: An interval wider than this determines no exponent.
_WIDEST = 1.0
#: Half the width of a 95 % interval in standard errors.
_NORMAL_95 = 1.96

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """The growth of a time with the size, ``t = fixed_s + c n^exponent``.

    Parameters
    ----------
    exponent, low, high
        The exponent and its 95 % interval; nan if it is not determined.
    fixed_s
        The fixed cost in seconds; nan if the exponent is not determined.
    first, last
        Smallest and largest size.
    sizes
        Number of sizes.
    """

    exponent: float
    low: float
    high: float
    fixed_s: float
    first: float
    last: float
    sizes: int

    @property
    def determined(self) -> bool:
        """Return whether there is an exponent."""
        return math.isfinite(self.exponent)

    def __str__(self) -> str:
        """Return ``n^1.02 [0.97, 1.07]``, or why there is no exponent."""
        if self.determined:
            return f"n^{self.exponent:.2f} [{self.low:.2f}, {self.high:.2f}]"
        return "not determined" if self.sizes >= FEWEST else f"under {FEWEST} quiet sizes"


def growth(sizes: Sequence[float], seconds: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Growth:
    """Return the growth of a time with the size.

    Parameters
    ----------
    sizes
        Distinct positive sizes, in any order.
    seconds, low, high
        Time at each size, and its 95 % interval; nan where the interval is unknown.

    Returns
    -------
    Growth
        Without an exponent under `FEWEST` sizes, and where the times do not determine one.
    """
    n, t = np.asarray(sizes, np.float64), np.asarray(seconds, np.float64)
    ends = float(np.min(n, initial=np.inf)), float(np.max(n, initial=0.0))
    if len(n) < FEWEST or not (np.isfinite(t) & (t > 0)).all():
        return Growth(math.nan, math.nan, math.nan, math.nan, *ends, len(n))
    shares, residues = _profile(n / n.max(), np.log(t))
    best = int(np.argmin(residues))
    from scipy.special import stdtrit  # here: every command imports this file, and SciPy takes as long as NumPy

    freedom = len(n) - 3
    quantile = float(stdtrit(freedom, 0.975))
    variance = max(float(residues[best]) / freedom, _measured_variance(low, high))
    inside = np.flatnonzero(residues - residues[best] <= quantile**2 * variance)
    bottom, top = int(inside[0]), int(inside[-1])
    if bottom == 0 or top == len(_EXPONENTS) - 1 or _EXPONENTS[top] - _EXPONENTS[bottom] > _WIDEST:
        return Growth(math.nan, math.nan, math.nan, math.nan, *ends, len(n))
    k, share = float(_EXPONENTS[best]), float(shares[best])
    scale = math.exp(float(np.mean(np.log(t) - np.log(share + (n / n.max()) ** k))))
    return Growth(k, float(_EXPONENTS[bottom]), float(_EXPONENTS[top]), share * scale, *ends, len(n))


def _measured_variance(low: Sequence[float], high: Sequence[float]) -> float:
    """Return the mean square of the standard errors of the log times, from their intervals; 0 if none is known."""
    widths = np.log(np.asarray(high, np.float64)) - np.log(np.asarray(low, np.float64))
    known = widths[np.isfinite(widths)]
    return float(np.mean((known / (2 * _NORMAL_95)) ** 2)) if len(known) else 0.0


def _profile(n: _Floats, log_t: _Floats) -> tuple[_Floats, _Floats]:
    """Return for each exponent the best share of the fixed cost, and the sum of squared residuals with it."""
    powers = n[None, :] ** _EXPONENTS[:, None]
    # Shares of the fixed cost at the largest size: none, or from far below the smallest time to far above all.
    logs = np.linspace(-25.0, 10.0, 71)
    centre, step = np.zeros(len(_EXPONENTS)), float(logs[1] - logs[0])
    for offsets in (logs, *(np.linspace(-1.0, 1.0, 11) * step / 5**j for j in range(5))):
        shares = np.exp(centre[:, None] + offsets[None, :])
        found = _residues(shares, powers, log_t)
        chosen = np.argmin(found, axis=1)
        rows = np.arange(len(chosen))
        centre, best = np.log(shares[rows, chosen]), found[rows, chosen]
    alone = _residues(np.zeros((len(_EXPONENTS), 1)), powers, log_t)[:, 0]
    return np.where(alone <= best, 0.0, np.exp(centre)), np.minimum(alone, best)


def _residues(shares: _Floats, powers: _Floats, log_t: _Floats) -> _Floats:
    """Return the sum of squared residuals for each exponent (row) and share (column)."""
    rest = log_t - np.log(shares[:, :, None] + powers[:, None, :])
    return np.asarray(np.sum((rest - rest.mean(axis=-1, keepdims=True)) ** 2, axis=-1))
