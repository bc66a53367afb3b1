"""The benchmark of the engine against hand-written gradients.

Command: ``python -m autodiff_compare.backends.numpy_autodiff.tools.benchmark``.

Each workload is a function, a hand-written value and gradient, and a target for the ratio of the two times. The engine,
the hand-written gradient and the function alone are timed in turns within one run, so that other load on the machine
falls on all of them. The table has the ratio of the minima, and the median of the ratios of all rounds. The ratio of
the function alone is a lower bound: no sweep makes the forward pass cheaper. Set ``OMP_NUM_THREADS=1`` for one thread.
Nothing passes or fails by time. Gradients are compared before they are timed, and a difference raises.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler import compile
from autodiff_compare.backends.numpy_autodiff.core.memory import keep_freed_memory
from autodiff_compare.backends.numpy_autodiff.core.primitive import lift
from autodiff_compare.backends.numpy_autodiff.core.tracing import Trace
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import grad, value_and_grad
from autodiff_compare.backends.numpy_autodiff.transforms.jacobian import hvp
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp


@dataclass(frozen=True)
class Workload:
    """A function, its hand-written value and gradient, and their arguments.

    Attributes
    ----------
    by_hand
        ``(value, gradient)``; a tuple of gradients for several ``argnums``.
    operations
        The number of recorded operations, if the cost is given per operation; 0 to give it relative to ``by_hand``.
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


def _residual(x: Any, y: Any, target: Any) -> Any:
    return np.sum(np.abs(x @ y - target))


def _cubic(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    r = a + b * x + c * x * x + d * x * x * x - y
    return np.sum(r * r)


def _cubic_powers(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    return np.sum((a + b * x + c * x**2 + d * x**3 - y) ** 2)


def _cubic_horner(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    return np.sum((((d * x + c) * x + b) * x + a - y) ** 2)


def _rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _perceptron(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, labels: Any) -> Any:
    h = np.maximum(x @ w1 + b1, 0)
    h = np.maximum(h @ w2 + b2, 0)
    z = h @ w3 + b3
    z = z - np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(len(labels)), labels[:, 0]])


def _chain(y: Any) -> Any:
    for _ in range(200):
        y = y * 1.0001 + 0.5
    return np.sum(y)


def _scalar_chain(y: Any) -> Any:
    for _ in range(1000):
        y = y * 1.0001 + 0.5
    return y


def workloads() -> list[Workload]:
    """Return all workloads, with inputs from one seed."""
    # The engine itself imports no other package of the project; the hand-written gradients are in its suite ``engine``.
    hand: Any = importlib.import_module("autodiff_compare.problems.engine_suite")
    rng = np.random.default_rng(0)

    def square(n: int) -> tuple[Any, ...]:
        return rng.normal(size=(n, n)), rng.normal(size=(n, n)), np.eye(n)

    x = np.linspace(-np.pi, np.pi, 2000)
    cubic = (*map(float, rng.normal(size=4)), x, np.sin(x))
    widths = (64, 128, 128, 10)
    layers = [p for m, n in itertools.pairwise(widths) for p in (rng.normal(size=(m, n)) / m, np.zeros(n))]
    batch = (rng.normal(size=(256, 64)), rng.integers(0, 10, (256, 1)))
    four, both, six = (0, 1, 2, 3), (0, 1), tuple(range(6))
    residual, fit, valley = hand.residual_by_hand, hand.cubic_by_hand, hand.rosenbrock_by_hand
    number_chain, chain = (partial(hand.number_chain_by_hand, n=1000), partial(hand.chain_by_hand, n=200))
    return [
        Workload("Goldstein-Price, scalars", _goldstein_price, hand.goldstein_price_by_hand, (0.7, -0.4), both, 20.0),
        Workload("sum abs(X Y - I), 3x3", _residual, residual, square(3), both, 2.0),
        Workload("sum abs(X Y - I), 100x100", _residual, residual, square(100), both, 1.15),
        Workload("cubic fit, 2000, x*x*x", _cubic, fit, cubic, four, 2.5),
        Workload("cubic fit, 2000, x**3", _cubic_powers, fit, cubic, four, 2.5),
        Workload("cubic fit, 2000, Horner", _cubic_horner, fit, cubic, four, 2.5),
        Workload("Rosenbrock, 10 000", _rosenbrock, valley, (rng.normal(size=10_000),), 0, 1.7),
        Workload("Rosenbrock, 1 000 000", _rosenbrock, valley, (rng.normal(size=1_000_000),), 0, 1.7),
        Workload("perceptron 64-128-128-10, 256", _perceptron, hand.perceptron_by_hand, (*layers, *batch), six, 1.15),
        Workload("1000 y*1.0001 + 0.5, scalar", _scalar_chain, number_chain, (1.0,), 0, 0.5, 2000),
        Workload("200 y*1.0001 + 0.5, 10-vector", _chain, chain, (np.ones(10),), 0, 1.0, 400),
    ]


def check(work: Workload) -> None:
    """Raise `AssertionError` unless the engine and the hand-written gradient agree."""
    value, gradient = value_and_grad(work.function, work.argnums)(*work.args)
    expected, by_hand = work.by_hand(*work.args)
    np.testing.assert_allclose(value, expected, rtol=1e-11)
    pairs = [(gradient, by_hand)] if isinstance(work.argnums, int) else zip(gradient, by_hand, strict=True)
    for got, want in pairs:
        scale = float(np.max(np.abs(want)))
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * scale)


def measure(work: Workload, seconds: float = 1.0) -> tuple[list[float], ...]:
    """Return seconds per call of the engine, by hand, and of the function alone, timed in turns."""
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
    """Return one line of the table, in Markdown."""
    check(work)
    engine, hand, alone = measure(work)
    times = f"{1e6 * min(engine):.1f} | {1e6 * min(hand):.1f}"
    if work.operations:
        best, middle = (1e6 * s(engine) / work.operations for s in (min, statistics.median))
        return f"| {work.name} | {times} | | {best:.2f} us/op | {middle:.2f} us/op | {work.target:g} us/op |"
    best = min(engine) / min(hand)
    middle = statistics.median([e / h for e, h in zip(engine, hand, strict=True)])
    return f"| {work.name} | {times} | {min(alone) / min(hand):.2f} | {best:.2f} | {middle:.2f} | {work.target:g} |"


def _fewest(f: Callable[[], Any], times: int = 7) -> float:
    return min(_time(f, (), 1) for _ in range(times))


def _steps(n: int) -> Callable[[Any], Any]:
    """Return a function of n operations, no two of them alike."""

    def f(y: Any) -> Any:
        for k in range(n // 2):
            y = y * 1.0001 + 0.5 * (k + 1)
        return np.sum(y)

    return f


def other_figures() -> list[str]:
    """Return one line per figure: compile times, memory of a recording, and how the time of long sweeps grows."""
    lines = []
    for n, most in ((100, 5), (2000, 100)):
        took = _fewest(partial(compile, _steps(n), np.ones(10)))
        lines.append(f"compiling value and gradient of {n} operations: {1e3 * took:.1f} ms (at most {most})")
    trace = Trace()
    y: Any = lift(np.float64(1), trace)
    tracemalloc.start()
    before, count = tracemalloc.get_traced_memory()[0], 10_000
    for _ in range(count):
        y = y * 1.0001
    used = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()
    lines.append(f"a recorded scalar operation: {used:.0f} bytes (at most 300)")
    for name, f in (("deep", _deep), ("wide", _wide)):
        lines.append(f"100 000 {name} instead of 10 000: {_growth(f):.1f} times as long, ")
        gc.disable()
        lines[-1] += f"{_growth(f):.1f} without the cyclic garbage collector (linear: 10)"
        gc.enable()
    return lines + doubled()


def doubled() -> list[str]:
    """Return one line per loop: how many times as long each derivative takes for twice the length."""
    modes: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
        "gradient": grad,
        "jvp": lambda f: lambda x: jvp(f, (x,), (x,)),
        "hvp": lambda f: lambda x: hvp(f, (x,), (x,)),
    }
    lines = []
    for name, (f, n) in _LOOPS.items():
        x = np.linspace(0.5, 1.5, 2 * n)
        gc.disable()
        ratios = [f"{mode} {_doubling(made(f), x):.1f}" for mode, made in modes.items()]
        gc.enable()
        lines.append(f"{name}, {2 * n} instead of {n}: {', '.join(ratios)} times as long (linear: 2, at most 2.3)")
    return lines


def _doubling(derivative: Callable[[Any], Any], x: Any) -> float:
    """Return the median of five ratios of the processor time for ``x`` to that for its first half."""
    half = x[: len(x) // 2]
    derivative(half)
    ratios = []
    for _ in range(5):
        start = time.process_time()
        derivative(half)
        middle = time.process_time()
        derivative(x)
        ratios.append((time.process_time() - middle) / (middle - start))
    return statistics.median(ratios)


def _squares(x: Any) -> Any:
    total = x[0] * x[0]
    for i in range(1, len(x)):
        total = total + x[i] * x[i]
    return total


#: Loops and long sums, each with a length.
_LOOPS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "stacking entries": (lambda x: np.sum(np.stack([x[i] for i in range(len(x))]) ** 3), 500),
    "joining slices": (lambda x: np.sum(np.concatenate([2 * x[i : i + 1] for i in range(len(x))]) ** 3), 500),
    "adding squares of entries": (_squares, 500),
    "taking entries of rows": (lambda x: sum(np.reshape(x, (2, -1))[i % 2][i // 2] ** 2 for i in range(len(x))), 500),
    "convolving with 200 numbers": (lambda x: np.sum(np.convolve(x, x[:200]) ** 2), 20_000),
}


def _growth(f: Callable[..., Any]) -> float:
    short, long = (_fewest(partial(value_and_grad(f), 0.5, n), 3) for n in (10_000, 100_000))
    return long / short


def _deep(y: Any, n: int) -> Any:
    for _ in range(n):
        y = y * 1.0001
    return y


def _wide(y: Any, n: int) -> Any:
    return sum((y * 2.0 for _ in range(n)), start=y)


def main(names: Sequence[str]) -> None:
    """Print the rows whose name contains one of ``names``; without names, all rows and the other figures."""
    keep_freed_memory()
    print("| workload | engine, us | by hand, us | function alone | ratio of minima | median ratio | target |")
    print("|---|---|---|---|---|---|---|")
    for work in workloads():
        if not names or any(name in work.name for name in names):
            print(row(work), flush=True)
    if not names:
        print("", *other_figures(), sep="\n- ")


if __name__ == "__main__":
    main(sys.argv[1:])
