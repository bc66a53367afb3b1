"""Properties of random programs: every mode gives one derivative, and it is the right one or, at a steep point, nan.

Programs are drawn as those of `compare.py fuzz` are, from seeds. A failure names its seed; ``complaints(seed)`` repeats
it alone. Three things are judged:

- *agreement*: reverse and forward mode, both nestings and the compiled mode give the same wherever they are finite;
- *references*: at regular points, the numerical differences of the judge, which share no code with the engine;
- *limits*: at awkward points (0, -0, ties, the ends of domains), the limit of the gradient. If the gradient tends to
  one limit from every direction in which it exists, and the function is continuous, that limit is the derivative, by
  the mean value theorem. The answer there must be it, or nan. The gradient nearby is that of a regular point.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Backend, load
from autodiff_compare.backends.numpy_autodiff import CompileError, compile, grad, hvp, jacobian, jvp, vjp
from autodiff_compare.fuzzing.generator import Recipe, program
from autodiff_compare.fuzzing.program import Program, problem_of_text
from autodiff_compare.judge import differences
from autodiff_compare.vocabulary import Verdict

Array = Any
#: Programs of one test of ``make test-all``; 40 of them are 20 000 programs.
BLOCK = 500
Complaints = Iterator[str]
#: Operations that are holomorphic, and those of one value, of which a chain has no sums in which digits cancel.
HOLOMORPHIC = (
    *(
        "sin",
        "cos",
        "exp",
        "square",
        "negative",
        "add",
        "subtract",
        "multiply",
        "divide",
        "reciprocal",
        "scale",
        "shift",
    ),
    *(
        "subtract_from",
        "divide_by",
        "divided",
        "exponential",
        "sum",
        "mean",
        "prod",
        "cumulative_sum",
        "cumulative_prod",
    ),
    *("diff", "index", "slice", "take", "flip", "roll", "tril", "triu", "diagonal", "concat", "stack", "unstack"),
    *("broadcast_arrays", "broadcast_to", "expand_dims", "permute_dims", "moveaxis", "reshape", "tile", "repeat"),
    *("matmul", "at", "tensordot", "outer", "trace", "matrix_transpose", "solve", "inv", "det", "matrix_power", "scan"),
)
CHAIN = (
    *(
        "square",
        "scale",
        "divide_by",
        "negative",
        "power",
        "flip",
        "slice",
        "asinh",
        "abs",
        "clip",
        "max",
        "sqrt",
        "log",
    ),
    *("reciprocal", "vector_norm", "where_sqrt", "take"),
)
#: Operations whose derivative along a direction is that of sorted values where some are equal, which is not linear.
SORTED = frozenset({"eigvalsh", "svdvals", "matrix_norm"})
RECIPES = {
    "regular": Recipe(awkward=0.0, longest=8),
    "awkward": Recipe(awkward=1.0, longest=4),
    "single": Recipe(awkward=0.0),
    "complex": Recipe(awkward=0.0, longest=8, operations=HOLOMORPHIC),
    "extreme": Recipe(awkward=0.0, longest=4, operations=CHAIN),
}
KINDS = ("regular", "awkward", "awkward", "single", "complex", "extreme")


@functools.cache
def engine() -> Backend:
    found = load("numpy")
    found.open()
    return found


class Function:
    """A random program as a function of arrays or variables: an array is summed with different weights."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._function = problem_of_text(program.source()).function(engine(), {})

    def __call__(self, *inputs: Array) -> Array:
        found = self._function(*inputs)
        found = np.real(found) if found.dtype.kind == "c" else found
        if found.shape == ():
            return found
        weights = np.cos(np.arange(float(np.size(found)))).reshape(found.shape)
        return np.sum(found * weights.astype(found.dtype))


def inner(a: Any, b: Any) -> Any:
    return sum(np.sum(np.real(np.conj(x) * y)) for x, y in zip(a, b, strict=True))


def size(parts: Any) -> float:
    return 1.0 + float(sum(np.sum(np.abs(p)) for p in parts))


def differ(a: Any, b: Any, tolerance: float) -> bool:
    """Return whether two results differ where both are finite, or one is infinite where the other is finite."""
    for x, y in zip(a, b, strict=True):
        known = ~(np.isnan(x) | np.isnan(y))
        with np.errstate(invalid="ignore"):
            near = (np.asarray(x) == y) | (np.abs(np.asarray(x) - y) <= tolerance)
        if np.any(known & ~near):
            return True
    return False


def like(rng: np.random.Generator, xs: list[Array]) -> list[Array]:
    """Draw directions without zeros."""
    found = []
    for x in xs:
        t = rng.uniform(0.5, 1.5, np.shape(x)) * rng.choice([-1.0, 1.0], np.shape(x))
        t = t + 1j * rng.uniform(0.5, 1.5, np.shape(x)) if np.iscomplexobj(x) else t
        found.append(np.asarray(t).astype(np.asarray(x).dtype)[()])
    return found


def modes(f: Function, xs: list[Array], ts: list[Array], tolerance: float, turn: int) -> Complaints:
    """Compare the first derivatives of the modes; of every second program also those that take longer."""
    every = tuple(range(len(xs)))
    gradient = grad(f, every)(*xs)
    if any(
        np.asarray(g).dtype != np.asarray(x).dtype or np.shape(g) != np.shape(x)
        for g, x in zip(gradient, xs, strict=True)
    ):
        yield f"gradient of dtype or shape {[(np.asarray(g).dtype, np.shape(g)) for g in gradient]}"
    tolerance *= size([g[np.isfinite(g)] for g in map(np.atleast_1d, gradient)])
    if SORTED & {*f.program.singular}:
        return
    tangent = jvp(f, xs, ts)[1]
    if differ([tangent], [inner(gradient, ts)], tolerance):
        yield f"jvp {tangent} along {ts}, gradient {gradient}"
    if turn % 2 or any(map(np.iscomplexobj, xs)):
        return
    pullback = vjp(f, *xs)[1]
    if differ(pullback(np.asarray(1.0, f(*xs).dtype)), gradient, tolerance):
        yield f"vjp differs from grad {gradient}"
    columns = jacobian(f, every, mode="forward")(*xs)
    if differ(columns, gradient, tolerance):
        yield f"columns {columns}, gradient {gradient}"


def nestings(f: Function, xs: list[Array], ts: list[Array], tolerance: float) -> Complaints:
    """Compare the second derivatives of all nestings."""
    if SORTED & {*f.program.singular}:
        return
    every = tuple(range(len(xs)))
    found = {
        "forward over reverse": hvp(f, xs, ts),
        "reverse over reverse": grad(lambda *ys: inner(grad(f, every)(*ys), ts), every)(*xs),
        "reverse over forward": grad(lambda *ys: jvp(f, ys, ts)[1], every)(*xs),
    }
    first = found["forward over reverse"]
    tolerance *= size([g[np.isfinite(g)] for g in map(np.atleast_1d, first)])
    for name, other in found.items():
        if differ(first, other, tolerance):
            yield f"{name} {other}, forward over reverse {first}"
    twice = jvp(lambda *ys: jvp(f, ys, ts)[1], xs, ts)[1]
    if differ([twice], [inner(first, ts)], tolerance * 10):
        yield f"forward over forward {twice}, forward over reverse {inner(first, ts)}"


def compiled(f: Function, xs: list[Array], ts: list[Array], elsewhere: list[Array], tolerance: float) -> Complaints:
    """Compare what is compiled at one point and called at another with what is not compiled."""
    every = tuple(range(len(xs)))
    try:
        made = compile(f, *elsewhere, argnums=every, operator="gradient")
    except CompileError:
        return
    gradient = grad(f, every)(*xs)
    tolerance *= size([g[np.isfinite(g)] for g in map(np.atleast_1d, gradient)])
    if differ(made(*xs), gradient, tolerance):
        yield f"compiled {made(*xs)}, gradient {gradient}"
    second = compile(f, *elsewhere, *ts, argnums=every, operator="hvp")(*xs, *ts)
    expected = hvp(f, xs, ts)
    if differ(second, expected, tolerance * size([g[np.isfinite(g)] for g in map(np.atleast_1d, expected)])):
        yield f"compiled hvp {second}, hvp {expected}"


def reference(f: Function, xs: list[Array], ts: list[Array]) -> Complaints:
    """Compare the directional derivative with numerical differences."""
    sizes = [np.size(x) for x in xs]

    def flat(v: Array) -> Array:
        parts = np.split(v, np.cumsum(sizes)[:-1])
        return np.atleast_1d(f(*(p.reshape(np.shape(x))[()] for p, x in zip(parts, xs, strict=True))))

    x, u = (np.concatenate([np.ravel(p) for p in parts]) for parts in (xs, ts))
    estimate = differences.first(flat, x, 0.25 * u, np.ones((1, 1)))
    found = 0.25 * inner(grad(f, tuple(range(len(xs))))(*xs), ts)
    error = abs(float(estimate.derivative[0]) - found)
    if estimate.verdicts[0] == Verdict.PASS and error > estimate.bar[0] + 1e-9 * (1 + abs(found)):
        yield f"{found} along {u}, by differences {estimate.derivative[0]} with the bar {estimate.bar[0]}"


def moved(xs: list[Array], ds: list[Array], h: float) -> list[Array]:
    return [x + h * d for x, d in zip(xs, ds, strict=True)]


def limit(of: Callable[..., Any], f: Function, xs: list[Array], rng: np.random.Generator) -> list[Array] | None:
    """Return the limit of a function at a point, or None unless it is the same from every direction where it exists."""
    value, found = f(*xs), []
    for ds in _both_ways(rng, xs):
        jump = abs(f(*moved(xs, ds, 1e-7)) - value)
        if jump > 1e-3 * (1 + abs(value)):
            return None
        if np.isnan(jump):
            continue
        near, far = of(*moved(xs, ds, 1e-9)), of(*moved(xs, ds, 1e-7))
        if all(np.all(np.isfinite(p)) for p in (*near, *far)):
            if differ(near, far, 1e-4 * size(near)):
                return None
            found.append(near)
    if len(found) < 2 or any(differ(found[0], other, 1e-4 * size(found[0])) for other in found[1:]):
        return None
    return [np.asarray(p) for p in found[0]]


def _both_ways(rng: np.random.Generator, xs: list[Array]) -> Iterator[list[Array]]:
    """Yield directions and their negatives, the first with all entries positive, which moves ties together."""
    for positive in (True, False):
        ds = like(rng, xs)
        ds = [np.abs(d) for d in ds] if positive else ds
        yield from (ds, [-d for d in ds])


def _finite(x: Array) -> Array:
    """Return an array with nan for infinite entries, which are no finite answer either."""
    return np.where(np.isfinite(x), x, np.nan)


def limits(f: Function, xs: list[Array], rng: np.random.Generator) -> Complaints:
    """Compare the gradient at an awkward point with its limit there, and its derivative likewise."""
    if f.program.mixes_conventions or f.program.jumps:
        # The chain rule promises nothing: ``relu(x) - relu(-x)`` is x.
        return
    every = tuple(range(len(xs)))
    gradient = grad(f, every)(*xs)
    expected = limit(grad(f, every), f, xs, rng)
    if expected is None:
        return
    if differ(map(_finite, gradient), expected, 1e-3 * size(expected)):
        yield f"gradient {gradient}, nearby {expected}"
    if f.program.kinks or any(np.any(np.isnan(g)) for g in gradient):
        # At a kink the second derivative is that of the convention.
        return
    ts = like(rng, xs)
    expected = limit(lambda *ys: hvp(f, ys, ts), f, xs, rng)
    found = hvp(f, xs, ts)
    if expected is not None and differ(map(_finite, found), expected, 1e-2 * size(expected)):
        yield f"hvp {found} along {ts}, nearby {expected}"


EXTREME = (1e300, 1e-300, -1e200, 1e-160, 1e150, 5e-324, 0.0, 1.0, -1.0)


def complaints(seed: int) -> list[str]:
    """Return what is wrong with the derivatives of the program of a seed."""
    rng, kind = np.random.default_rng(seed), KINDS[seed % 6]
    with np.errstate(all="ignore"):
        made = program(0, seed, RECIPES[kind])
        if made is not None and kind == "extreme":
            made = _chain(made)
        if made is None or not made.size:
            return []
        xs = [point(rng, kind, x.value)[()] for x in made.inputs]
        found = [
            f"{kind} {' '.join(made.operations)} at {xs}: {text}"
            for text in _complaints(kind, Function(made), xs, rng, seed // 6)
        ]
    return [f"seed {seed}: {text}" for text in found]


def _chain(made: Program) -> Program | None:
    """Return the last value of a program before the sums that its scalar is made of; `None` if there is none."""
    steps = tuple(step for step in made.steps if step.operation in CHAIN)
    return dataclasses.replace(made, steps=steps, result=steps[-1].name).without_unused() if steps else None


def point(rng: np.random.Generator, kind: str, x: Array) -> Array:
    """Return an input of a program of a kind: that of the program, or other numbers of its shape."""
    if kind == "complex":
        return x + 1j * rng.uniform(-1.0, 1.0, x.shape)
    if kind == "extreme":
        return np.asarray(rng.choice(EXTREME, x.shape))
    return x.astype(np.float32) if kind == "single" else x


def _complaints(kind: str, f: Function, xs: list[Array], rng: np.random.Generator, turn: int) -> Complaints:
    ts = like(rng, xs)
    if kind == "extreme":
        yield from _extreme(f, xs, ts)
        return
    tolerance = {"single": 2e-4, "awkward": max(1e-8, _cancelling(xs))}.get(kind, 1e-9)
    yield from modes(f, xs, ts, tolerance, turn)
    if kind == "regular" and turn % 8 == 0:
        yield from reference(f, xs, ts)
    if kind == "awkward" and turn % 4 == 0:
        yield from limits(f, xs, rng)
    if kind != "single" and turn % 8 == 1:
        yield from nestings(f, xs, ts, 1e-6)
    if kind in ("regular", "awkward") and turn % 64 == 3:
        yield from compiled(f, xs, ts, moved(xs, ts, 0.125), 1e-6)


def _cancelling(xs: list[Array]) -> float:
    """Return the error where terms of size 1/x cancel, as in the derivative of x / |x|, for the smallest x but zero."""
    sizes = np.concatenate([np.ravel(np.abs(x)) for x in xs])
    smallest = np.min(sizes, where=sizes > 0, initial=1.0)
    return float(16 * np.finfo(np.float64).eps / smallest)


def _extreme(f: Function, xs: list[Array], ts: list[Array]) -> Complaints:
    """Compare modes of a chain where nothing overflows and nothing vanishes on the way."""
    with np.errstate(over="raise", under="raise", divide="ignore", invalid="ignore"):
        try:
            yield from modes(f, xs, ts, 1e-9, 0)
        except FloatingPointError:
            return


def all_complaints(seeds: range) -> str:
    return "\n".join(text for seed in seeds for text in complaints(seed))


def test_some_programs() -> None:
    assert all_complaints(range(400)) == ""


@pytest.mark.parametrize("block", range(40))
def test_many_programs(block: int) -> None:
    """20 000 programs."""
    assert all_complaints(range(400 + BLOCK * block, 400 + BLOCK * (block + 1))) == ""
