"""What the engine costs against gradients written by hand in NumPy: ``python -m backends.numpy_autodiff.benchmark``.

Each workload is a function, its value and gradient by hand, and a target for the ratio of the two times. The engine,
the hand and the function alone take turns within one run, so that what else the machine does falls on all of them;
the table gives the ratio of the minima, and the median of the ratios of all rounds. The ratio of the function alone is
a floor: no sweep makes the forward pass cheaper. Set ``OMP_NUM_THREADS=1`` for one thread. Nothing here passes or
fails by time; before anything is timed, the gradients are compared, and a difference raises.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.numpy_autodiff.memory import keep_freed_memory
from backends.numpy_autodiff.transforms import value_and_grad


@dataclass(frozen=True)
class Workload:
    """A function, its value and gradient by hand, and what they are called with.

    Attributes
    ----------
    by_hand
        ``(value, gradient)``; a tuple of gradients for several ``argnums``.
    operations
        Where the cost is counted in microseconds per recorded operation instead of against ``by_hand``.
    """

    name: str
    function: Callable[..., Any]
    by_hand: Callable[..., Any]
    args: tuple[Any, ...]
    argnums: int | tuple[int, ...]
    target: float
    operations: int = 0


def _goldstein_price(x: Any, y: Any) -> Any:
    a = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    b = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return a * b


def _goldstein_price_by_hand(x: float, y: float) -> Any:
    s, t = x + y + 1, 2 * x - 3 * y
    p = 19 - 14 * x + 3 * x * x - 14 * y + 6 * x * y + 3 * y * y
    q = 18 - 32 * x + 12 * x * x + 48 * y - 36 * x * y + 27 * y * y
    a, b = 1 + s * s * p, 30 + t * t * q
    ax = 2 * s * p + s * s * (-14 + 6 * x + 6 * y)
    bx = 4 * t * q + t * t * (-32 + 24 * x - 36 * y)
    by = -6 * t * q + t * t * (48 - 36 * x + 54 * y)
    return a * b, (ax * b + a * bx, ax * b + a * by)


def _residual(x: Any, y: Any) -> Any:
    return np.sum(np.abs(x @ y - np.eye(x.shape[0])))


def _residual_by_hand(x: Any, y: Any) -> Any:
    r = x @ y - np.eye(x.shape[0])
    s = np.sign(r)
    return np.sum(np.abs(r)), (s @ y.T, x.T @ s)


def _cubic(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    r = a + b * x + c * x * x + d * x * x * x - y
    return np.sum(r * r)


def _cubic_powers(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    return np.sum((a + b * x + c * x**2 + d * x**3 - y) ** 2)


def _cubic_horner(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    return np.sum((((d * x + c) * x + b) * x + a - y) ** 2)


def _cubic_by_hand(a: float, b: float, c: float, d: float, x: Any, y: Any) -> Any:
    r = ((d * x + c) * x + b) * x + a - y
    square = x * x
    return r.dot(r), (2 * r.sum(), 2 * r.dot(x), 2 * r.dot(square), 2 * r.dot(square * x))


def _rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _rosenbrock_by_hand(x: Any) -> Any:
    a = x[:-1]
    t, u = x[1:] - a * a, 1 - a
    value = np.sum(100 * t**2 + u**2)
    g = np.empty_like(x)
    g[:-1] = -400 * a * t - 2 * u
    g[-1] = 0
    g[1:] += 200 * t
    return value, g


def _perceptron(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, labels: Any) -> Any:
    h = np.maximum(x @ w1 + b1, 0)
    h = np.maximum(h @ w2 + b2, 0)
    z = h @ w3 + b3
    z = z - np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(len(labels)), labels])


def _perceptron_by_hand(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, labels: Any) -> Any:
    h1 = np.maximum(x @ w1 + b1, 0)
    h2 = np.maximum(h1 @ w2 + b2, 0)
    z = h2 @ w3 + b3
    z -= z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1)
    rows = np.arange(len(labels))
    value = np.mean(np.log(total) - z[rows, labels])
    g3 = e / total[:, None]
    g3[rows, labels] -= 1
    g3 /= len(labels)
    g2 = (g3 @ w3.T) * (h2 > 0)
    g1 = (g2 @ w2.T) * (h1 > 0)
    return value, (x.T @ g1, g1.sum(0), h1.T @ g2, g2.sum(0), h2.T @ g3, g3.sum(0))


def _chain(y: Any) -> Any:
    for _ in range(200):
        y = y * 1.0001 + 0.5
    return np.sum(y)


def _chain_by_hand(y: Any) -> Any:
    factor = 1.0
    for _ in range(200):
        y = y * 1.0001 + 0.5
        factor *= 1.0001
    return np.sum(y), np.full_like(y, factor)


def _scalar_chain(y: Any) -> Any:
    for _ in range(1000):
        y = y * 1.0001 + 0.5
    return y


def _scalar_chain_by_hand(y: float) -> Any:
    factor = 1.0
    for _ in range(1000):
        y = y * 1.0001 + 0.5
        factor *= 1.0001
    return y, factor


def workloads() -> list[Workload]:
    """All of them, with inputs from one seed."""
    rng = np.random.default_rng(0)

    def square(n: int) -> tuple[Any, Any]:
        return rng.normal(size=(n, n)), rng.normal(size=(n, n))

    x = np.linspace(-np.pi, np.pi, 2000)
    cubic = (*map(float, rng.normal(size=4)), x, np.sin(x))
    widths = (64, 128, 128, 10)
    layers = [p for m, n in itertools.pairwise(widths) for p in (rng.normal(size=(m, n)) / m, np.zeros(n))]
    batch = (rng.normal(size=(256, 64)), rng.integers(0, 10, 256))
    four, both = (0, 1, 2, 3), (0, 1)
    return [
        Workload("Goldstein-Price, scalars", _goldstein_price, _goldstein_price_by_hand, (0.7, -0.4), both, 20.0),
        Workload("sum abs(X Y - I), 3x3", _residual, _residual_by_hand, square(3), both, 2.0),
        Workload("sum abs(X Y - I), 100x100", _residual, _residual_by_hand, square(100), both, 1.15),
        Workload("cubic fit, 2000, x*x*x", _cubic, _cubic_by_hand, cubic, four, 2.5),
        Workload("cubic fit, 2000, x**3", _cubic_powers, _cubic_by_hand, cubic, four, 2.5),
        Workload("cubic fit, 2000, Horner", _cubic_horner, _cubic_by_hand, cubic, four, 2.5),
        Workload("Rosenbrock, 10 000", _rosenbrock, _rosenbrock_by_hand, (rng.normal(size=10_000),), 0, 1.7),
        Workload("Rosenbrock, 1 000 000", _rosenbrock, _rosenbrock_by_hand, (rng.normal(size=1_000_000),), 0, 1.7),
        Workload(
            "perceptron 64-128-128-10, 256", _perceptron, _perceptron_by_hand, (*layers, *batch), tuple(range(6)), 1.15
        ),
        Workload("1000 y*1.0001 + 0.5, scalar", _scalar_chain, _scalar_chain_by_hand, (1.0,), 0, 0.5, 2000),
        Workload("200 y*1.0001 + 0.5, 10-vector", _chain, _chain_by_hand, (np.ones(10),), 0, 1.0, 400),
    ]


def check(work: Workload) -> None:
    """Raise `AssertionError` unless engine and hand agree."""
    value, gradient = value_and_grad(work.function, work.argnums)(*work.args)
    expected, by_hand = work.by_hand(*work.args)
    np.testing.assert_allclose(value, expected, rtol=1e-11)
    pairs = [(gradient, by_hand)] if isinstance(work.argnums, int) else zip(gradient, by_hand, strict=True)
    for got, want in pairs:
        scale = float(np.max(np.abs(want)))
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * scale)


def measure(work: Workload, seconds: float = 1.0) -> tuple[list[float], ...]:
    """Seconds per call of the engine, by hand, and of the function alone, in turns."""
    calls = (value_and_grad(work.function, work.argnums), work.by_hand, work.function)
    counts = [_calls_in(f, work.args, 2e-3) for f in calls]
    times: tuple[list[float], ...] = ([], [], [])
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(times[0]) < 7:
        for f, n, found in zip(calls, counts, times, strict=True):
            found.append(_time(f, work.args, n))
    return times


def _time(f: Callable[..., Any], args: tuple[Any, ...], n: int) -> float:
    start = time.perf_counter()
    for _ in range(n):
        f(*args)
    return (time.perf_counter() - start) / n


def _calls_in(f: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> int:
    f(*args)
    return max(1, int(seconds / max(_time(f, args, 3), 1e-9)))


def row(work: Workload) -> str:
    """One line of the table, in Markdown."""
    check(work)
    engine, hand, alone = measure(work)
    times = f"{1e6 * min(engine):.1f} | {1e6 * min(hand):.1f}"
    if work.operations:
        best, middle = (1e6 * s(engine) / work.operations for s in (min, statistics.median))
        return f"| {work.name} | {times} | | {best:.2f} us/op | {middle:.2f} us/op | {work.target:g} us/op |"
    best = min(engine) / min(hand)
    middle = statistics.median([e / h for e, h in zip(engine, hand, strict=True)])
    return f"| {work.name} | {times} | {min(alone) / min(hand):.2f} | {best:.2f} | {middle:.2f} | {work.target:g} |"


def main(names: Sequence[str]) -> None:
    """Print the rows whose name contains one of ``names`` (all without any)."""
    keep_freed_memory()
    print("| workload | engine, us | by hand, us | function alone | ratio of minima | median ratio | target |")
    print("|---|---|---|---|---|---|---|")
    for work in workloads():
        if not names or any(name in work.name for name in names):
            print(row(work), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
