"""Controls of the judge by size: gradients with an error of known size, in problems whose inputs have different units.

A checker may reject an error of 1e-3 and accept one of 1e-9: what it can resolve has to be measured. The controls alter
a right gradient in one entry, in all entries or in its smallest part, by a relative error from 1e-1 to 1e-12, or put
zeros there. The problems are of kinds that checkers get wrong: inputs of very different units, a small array beside a
large one, a single entry of many, a function that moves only within a narrow range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.judge.differences import FEW
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, rounded
from autodiff_compare.problems import Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator, Status

#: Relative sizes of the errors, from the largest. Infinity stands for zeros in place of the right numbers.
SIZES = (math.inf, *(10.0**-k for k in range(1, 13)))
#: (dtype, whether numerical differences alone judge) -> the smallest error that every control must be rejected for.
RESOLUTION = {("float64", False): 1e-12, ("float32", False): 1e-5, ("float64", True): 1e-9, ("float32", True): 1e-4}
#: Entries that are altered one by one; more are drawn at random.
_MOST_ENTRIES = 4


@dataclass(frozen=True)
class Control:
    """A function with its right gradient.

    Parameters
    ----------
    name
        Description of the function.
    objective
        ``objective(*inputs, xp=xp)``.
    gradient
        Its gradient by the rules of calculus: one array for each input.
    inputs
        ``inputs(rng)`` returns the point.
    dtypes
        Dtypes in which the gradient is judged.
    closed, numerically
        Whether the gradient is judged by its closed form, and by numerical differences alone.
    """

    name: str
    objective: Callable[..., Any]
    gradient: Callable[..., tuple[Array, ...]]
    inputs: Callable[[np.random.Generator], tuple[Array, ...]]
    dtypes: Sequence[str] = ("float64",)
    closed: bool = True
    numerically: bool = True

    def case(self, dtype: str, seed: int) -> Case:
        """Return the case of the gradient at a point drawn from ``seed``."""
        point = rounded(Inputs(self.inputs(np.random.default_rng(seed))), dtype)
        problem = Problem(
            name="control",
            title=self.name,
            source="made",
            sizes={"small": 1},
            inputs=lambda *_: point,
            objective=self.objective,
            reference={Operator.GRADIENT: self.gradient},
        )
        return Case(problem, "small", dtype, Operator.GRADIENT, seed, point, (), DEFAULT_OPTIMIZER)


@dataclass(frozen=True)
class SizeTrial:
    """The verdicts on errors of one size in one control.

    Parameters
    ----------
    control, dtype, numerically
        The function, the dtype, and whether numerical differences alone judged.
    error
        Which entries are wrong: ``one entry``, ``all entries`` or ``smallest part``; `RIGHT` if none is.
    size
        Relative size of the error, one of `SIZES`; 0 for the right gradient.
    tried, rejected
        Number of wrong gradients that differ from the right one in the dtype, and of those rejected.
    """

    control: str
    dtype: str
    numerically: bool
    error: str
    size: float
    tried: int
    rejected: int

    @property
    def resolved(self) -> bool:
        """Return whether the size is one that the judge must see."""
        return self.size >= RESOLUTION[self.dtype, self.numerically]

    @property
    def passed(self) -> bool:
        """Return whether the judge did as it must: accept the right gradient, reject an error that it must see."""
        return not self.rejected if self.error == RIGHT else not self.resolved or self.rejected == self.tried


RIGHT = "right result"


def trials(dtypes: Sequence[str] = ("float64", "float32"), seed: int = 0) -> Iterator[SizeTrial]:
    """Yield the verdicts on every control, in every way of judging it, error by error and size by size."""
    for control in CONTROLS:
        for dtype in (d for d in dtypes if d in control.dtypes):
            case = control.case(dtype, seed)
            for numerically in (n for n in (False, True) if (control.numerically if n else control.closed)):
                yield from _of(control, case, Judge(case, NUMERICAL if numerically else None), numerically)


def _of(control: Control, case: Case, judge: Judge, numerically: bool) -> Iterator[SizeTrial]:
    exact = control.gradient(*(x.astype(np.longdouble) for x in case.inputs.differentiated))
    right = tuple(np.asarray(g).astype(case.dtype) for g in exact)
    key = (control.name, case.dtype, numerically)
    accepted = overall(judge(right))[0] == Status.OK
    yield SizeTrial(*key, RIGHT, 0.0, 1, int(not accepted))
    rng = np.random.default_rng(case.seed)
    # Of thousands of entries, numerical differences see few: single entries are not tried there.
    is_sampled = numerically and sum(g.size for g in right) > FEW
    for name, wanted in _places(right, rng).items():
        if name == "one entry" and is_sampled:
            continue
        for size in SIZES:
            factor = 0.0 if math.isinf(size) else 1 + size
            mutants = [_scaled(right, place, factor) for place in wanted]
            different = [m for m in mutants if any(np.any(a != b) for a, b in zip(m, right, strict=True))]
            rejected = sum(overall(judge(m))[0] != Status.OK for m in different)
            yield SizeTrial(*key, name, size, len(different), rejected)


#: Mask of the altered entries, one array for each input.
_Place = tuple[Array, ...]


def _places(right: Sequence[Array], rng: np.random.Generator) -> dict[str, list[_Place]]:
    """Return, for each kind of error, the sets of entries that are altered together."""
    everywhere = tuple(np.ones(g.shape, bool) for g in right)
    return {
        "one entry": list(_single(right, rng)),
        "all entries": [everywhere],
        "smallest part": [_smallest(right)],
    }


def _single(right: Sequence[Array], rng: np.random.Generator) -> Iterator[_Place]:
    entries = [(k, i) for k, g in enumerate(right) for i in range(g.size)]
    chosen: Iterable[int] = range(len(entries))
    if len(entries) > _MOST_ENTRIES:
        chosen = rng.choice(len(entries), _MOST_ENTRIES, replace=False)
    for c in chosen:
        k, i = entries[c]
        place = tuple(np.zeros(g.shape, bool) for g in right)
        place[k].flat[i] = True
        yield place


def _smallest(right: Sequence[Array]) -> _Place:
    """Return the smallest array of several, or the smaller half of the entries of one."""
    sizes = [float(np.abs(g).max(initial=0.0)) for g in right]
    if len(right) > 1:
        return tuple(np.full(g.shape, k == int(np.argmin(sizes))) for k, g in enumerate(right))
    (g,) = right
    return (np.abs(g) <= np.median(np.abs(g)),)


def _scaled(right: Sequence[Array], place: _Place, factor: float) -> tuple[Array, ...]:
    return tuple(np.where(p, g * g.dtype.type(factor), g) for p, g in zip(place, right, strict=True))


def _uniform(n: int) -> Callable[[np.random.Generator], tuple[Array, ...]]:
    return lambda rng: (rng.uniform(0.5, 1.5, n) * rng.choice([-1.0, 1.0], n),)


def _two_leaves(rng: np.random.Generator) -> tuple[Array, ...]:
    return rng.normal(size=100), rng.normal(size=100)


#: Units from picometres to astronomical distances.
_UNITS = 10.0 ** np.arange(-12, 13, 3)
#: Concentrations (mol/l) and rates of an enzyme: Michaelis and Menten 1913.
_S, _V = np.array([1e-5, 3e-5, 1e-4, 3e-4, 1e-3]), np.array([8.0, 21.0, 46.0, 71.0, 90.0])


def _rates(vmax: Any, km: Any) -> tuple[Array, ...]:
    s, v = _S.astype(vmax.dtype), _V.astype(vmax.dtype)
    residual, share = vmax * s / (km + s) - v, s / (km + s)
    return 2 * np.sum(residual * share), -2 * np.sum(residual * vmax * share / (km + s))


def _bump(p: Any) -> tuple[Array, ...]:
    u = (p[1] - 2e-6) / 1e-6
    return (np.stack([2 * p[0], -2 * u / 1e-6 * np.exp(-u * u)]),)


CONTROLS = (
    Control(
        "single products: sum(x^2), 100 000 entries",
        lambda x, *, xp: xp.sum(x * x),
        lambda x: (2 * x,),
        _uniform(100_000),
        ("float64", "float32"),
        numerically=False,
    ),
    Control(
        "a thousand sines: sum(sin(x))",
        lambda x, *, xp: xp.sum(xp.sin(x)),
        lambda x: (np.cos(x),),
        _uniform(1000),
        ("float64", "float32"),
    ),
    Control(
        "a small array beside a large one: 1e14 sum(x^2) + sum(y^2)",
        lambda x, y, *, xp: 1e14 * xp.sum(x * x) + xp.sum(y * y),
        lambda x, y: (1e14 * 2 * x, 2 * y),
        _two_leaves,
        numerically=False,
    ),
    Control(
        "a small array beside a large one: 1e5 sum(x^2) + sum(y^2)",
        lambda x, y, *, xp: 1e5 * xp.sum(x * x) + xp.sum(y * y),
        lambda x, y: (1e5 * 2 * x, 2 * y),
        _two_leaves,
        ("float32",),
    ),
    Control(
        "nine units: sum(sin(x / unit)), units from 1e-12 to 1e12",
        lambda x, *, xp: xp.sum(xp.sin(x / _UNITS)),
        lambda x: (np.cos(x / _UNITS) / _UNITS,),
        lambda rng: (rng.uniform(0.5, 1.0, 9) * _UNITS,),
    ),
    Control(
        "an enzyme: vmax = 90 beside km = 1e-4 mol/l",
        lambda vmax, km, *, xp: xp.sum((vmax * _S / (km + _S) - _V) ** 2),
        _rates,
        lambda rng: (np.array(90.0 * rng.uniform(0.8, 1.2)), np.array(1e-4 * rng.uniform(0.8, 1.2))),
    ),
    Control(
        "a narrow range: p0^2 + exp(-((p1 - 2e-6) / 1e-6)^2)",
        lambda p, *, xp: p[0] ** 2 + xp.exp(-(((p[1] - 2e-6) / 1e-6) ** 2)),
        _bump,
        lambda rng: (np.array([1.0, 1e-6]) * rng.uniform(0.9, 1.1, 2),),
    ),
)
