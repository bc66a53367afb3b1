"""The bare operations of two programs of the suite ``engine``, beside the engine's times for them.

Command: ``python -m autodiff_compare.backends.numpy_autodiff.tools.bare``.

A form computes value and gradient by the NumPy calls of a mode, and nothing else: no recording, no checks, no sweep.
`cubic_on_a_bare_tape` records and sweeps, but knows only the four operations of its program, their shapes and one
dtype. `cubic_on_a_tape_with_checks` also checks the class, recording, shape and dtype of operands and cotangents, and
holds the caller's arrays; what this program does not need raises. All forms of a program, the engine and the gradient
by hand are timed in turns. Printed are ratios of the minima, and the time that an operation of the engine takes beyond
those of a form. Set ``OPENBLAS_NUM_THREADS=1`` for one thread.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler import compile
from autodiff_compare.backends.numpy_autodiff.core.memory import keep_freed_memory
from autodiff_compare.backends.numpy_autodiff.core.tracing import Trace
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import value_and_grad
from autodiff_compare.backends.numpy_autodiff.transforms.recording import Recording

Form = Callable[..., Any]
_POINTS, _BATCH = 2000, 256
_ONES = np.ones(_POINTS)
_sum, _max = np.add.reduce, np.maximum.reduce

# --- Cubic fit


def cubic_as_recorded(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Compute the terms as they are written, and the products of the backward sweep."""
    bx, cx, dx = b * x, c * x, d * x
    cxx, dxx = cx * x, dx * x
    dxxx = dxx * x
    r = a + bx + cxx + dxxx - y
    square = r * r
    g = r * 2.0
    of_cx, of_dxx = g * x, g * x
    of_dx = of_dxx * x
    return _sum(square), (g.dot(_ONES), g.dot(x), of_cx.dot(x), of_dx.dot(x))


def cubic_in_fewest_passes(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Use Horner's rule, no memory but two vectors, and dot products for all sums: fourteen passes."""
    r = np.multiply(d, x)
    for k in (c, b, a):
        np.add(r, k, r)
        if k is not a:
            np.multiply(r, x, r)
    np.subtract(r, y, r)
    value, by_a, by_b = r.dot(r), r.dot(_ONES), r.dot(x)
    np.multiply(r, x, r)
    by_c = r.dot(x)
    np.multiply(r, x, r)
    return value, (2 * by_a, 2 * by_b, 2 * by_c, 2 * r.dot(x))


def cubic_by_matrix(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Fill a matrix of powers, and use two products with it."""
    powers = np.empty((4, len(x)))
    powers[0], powers[1] = 1.0, x
    np.multiply(x, x, powers[2])
    np.multiply(powers[2], x, powers[3])
    r = np.array([a.item(), b.item(), c.item(), d.item()]).dot(powers)
    np.subtract(r, y, r)
    return r.dot(r), tuple(2 * powers.dot(r))


class _Tape:
    """A variable of the shortest tape: no levels, no ownership, no checks of shapes, dtypes or operands."""

    __slots__ = ("args", "flow", "nodes", "pull", "value")

    args: Any
    pull: Any

    def __init__(self, value: Any, nodes: Any) -> None:
        self.value = value
        self.nodes = nodes
        self.flow = None

    def _record(self, value: Any, args: Any, pull: Any) -> Any:
        out = _Tape(value, self.nodes)
        out.args = args
        out.pull = pull
        self.nodes.append(out)
        return out

    def __add__(self, other: Any) -> Any:
        return self._record(self.value + other.value, (self, other), _pull_add)

    def __sub__(self, other: Any) -> Any:
        return self._record(self.value - other, (self,), _pull_same)

    def __mul__(self, other: Any) -> Any:
        if other.__class__ is _Tape:
            return self._record(self.value * other.value, (self,), _pull_square)
        return self._record(self.value * other, (self, other), _pull_product)

    def sum(self) -> Any:
        return self._record(_sum(self.value), (self,), _pull_same)


def _gather(x: Any, g: Any) -> None:
    x.flow = g if x.flow is None else x.flow + g


def _pull_add(node: Any, g: Any) -> None:
    x, y = node.args
    _gather(x, g if x.value.shape else g.dot(_ONES))
    _gather(y, g)


def _pull_same(node: Any, g: Any) -> None:
    _gather(node.args[0], g)


def _pull_square(node: Any, g: Any) -> None:
    _gather(node.args[0], node.args[0].value * (2.0 * g))


def _pull_product(node: Any, g: Any) -> None:
    x, factor = node.args
    _gather(x, g * factor if x.value.shape else g.dot(factor))


def cubic_on_a_bare_tape(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Record the operations and sweep through them, without anything that makes an engine safe or general."""
    nodes: list[Any] = []
    given = [_Tape(v, nodes) for v in (a, b, c, d)]
    ta, tb, tc, td = given
    r = ta + tb * x + tc * x * x + td * x * x * x - y
    out = (r * r).sum()
    out.flow = 1.0
    while nodes:
        node = nodes.pop()
        node.pull(node, node.flow)
        node.args = ()
    return out.value, tuple([v.flow for v in given])


# The same tape with each check that an engine needs, at its cheapest spelling for this program.


class _Trace:
    """A recording: its nodes, and the arrays of the caller that it holds."""

    __slots__ = ("held", "kept", "nodes")

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.held: list[Any] = []
        self.kept: Any = None

    def hold(self, array: Any) -> None:
        """Forbid writing to an array that a product needs on the way back."""
        if array.flags.writeable:
            array.setflags(False)
            self.held.append(array)
        self.kept = array


class _Checked:
    """A variable that looks at the class, the recording and the shape of every operand."""

    __slots__ = ("args", "flow", "pull", "trace", "value")

    args: Any
    flow: Any
    pull: Any
    trace: Any
    value: Any

    def __add__(self, other: Any) -> Any:
        trace = self.trace
        if other.__class__ is not _Checked or other.trace is not trace:
            return NotImplemented
        return _noted(trace, self.value + other.value, (self, other), _pull_checked_add)

    def __sub__(self, other: Any) -> Any:
        if other.__class__ is not np.ndarray:
            return NotImplemented
        return _noted(self.trace, self.value - other, (self,), _pull_checked)

    def __mul__(self, other: Any) -> Any:
        trace = self.trace
        if other.__class__ is _Checked:
            if other.trace is not trace or other is not self:
                return NotImplemented
            return _noted(trace, self.value * other.value, (self,), _pull_checked_square)
        if other.__class__ is not np.ndarray:
            return NotImplemented
        if other is not trace.kept:
            trace.hold(other)
        return _noted(trace, self.value * other, (self, other), _pull_checked_product)

    def sum(self) -> Any:
        return _noted(self.trace, _sum(self.value), (self,), _pull_checked)


def _noted(trace: Any, value: Any, args: Any, pull: Any) -> Any:
    node = _Checked()
    node.value = value
    node.trace = trace
    node.args = args
    node.pull = pull
    node.flow = None
    trace.nodes.append(node)
    return node


def _send(x: Any, g: Any) -> None:
    """Add a cotangent that has the shape and the dtype of its argument."""
    value = x.value
    if g.__class__ is not float and (g.shape != value.shape or g.dtype is not value.dtype):
        raise NotImplementedError
    x.flow = g if x.flow is None else x.flow + g


def _pull_checked(node: Any, g: Any) -> None:
    _send(node.args[0], g)


def _pull_checked_add(node: Any, g: Any) -> None:
    x, y = node.args
    _send(x, g if x.value.shape == g.shape else float(g.dot(_ONES)))
    _send(y, g)


def _pull_checked_square(node: Any, g: Any) -> None:
    x = node.args[0]
    _send(x, x.value * (2.0 * g))


def _pull_checked_product(node: Any, g: Any) -> None:
    x, factor = node.args
    if factor.shape != g.shape or factor.dtype is not g.dtype:
        raise NotImplementedError
    _send(x, g * factor if x.value.shape else float(g.dot(factor)))


def cubic_on_a_tape_with_checks(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Record and sweep with the checks, and give every gradient an array of its own."""
    trace = _Trace()
    given = []
    for v in (a, b, c, d):
        if v.__class__ is not np.ndarray or v.dtype.kind not in "fc":
            raise NotImplementedError
        node = _noted(trace, v[()], (), None)
        given.append(node)
    trace.nodes.clear()
    ta, tb, tc, td = given
    try:
        r = ta + tb * x + tc * x * x + td * x * x * x - y
        out = (r * r).sum()
        if out.__class__ is not _Checked or out.value.__class__ is not np.float64:
            raise NotImplementedError
        out.flow = 1.0
        nodes = trace.nodes
        while nodes:
            node = nodes.pop()
            g = node.flow
            if g is not None:
                node.pull(node, g)
            node.args = ()
        return out.value, tuple([np.float64(v.flow) for v in given])
    finally:
        for array in trace.held:
            array.setflags(True)


# --- Perceptron


def perceptron_as_recorded(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, labels: Any) -> Any:
    """Compute forth, keeping every result as a recording does, and back with the products and checks of the rules."""
    ones, rows = np.ones(len(x)), np.arange(len(x))[:, None]
    p1 = x.dot(w1)
    s1 = p1 + b1
    h1 = np.maximum(s1, 0.0)
    p2 = h1.dot(w2)
    s2 = p2 + b2
    h2 = np.maximum(s2, 0.0)
    p3 = h2.dot(w3)
    s3 = p3 + b3
    top = _max(s3.T.copy(), 0).reshape((-1, 1))
    z = s3 - top
    e = np.exp(z)
    total = _sum(e, 1)
    value = np.mean(np.log(total) - z[rows, labels][:, 0])
    each = 1.0 / len(x)
    taken = np.zeros(z.shape)
    np.add.at(taken, (rows, labels), -each)
    gz = (each / total).reshape((-1, 1)) * e + taken
    hit = s3 == top
    assert np.count_nonzero(hit) == len(x)
    assert not np.isnan(top).any()
    g3 = gz - _sum(gz, 1, keepdims=True) * hit.astype(float)
    g2 = _masked(g3.dot(w3.T), s2)
    g1 = _masked(g2.dot(w2.T), s1)
    return value, (x.T.dot(g1), ones.dot(g1), h1.T.dot(g2), ones.dot(g2), h2.T.dot(g3), ones.dot(g3))


def _masked(g: Any, s: Any) -> Any:
    """Return the cotangent behind ``maximum(s, 0)``, after the question for ties."""
    assert not np.equal(s, 0.0).any()
    return g * np.greater(s, 0.0)


@dataclass(frozen=True)
class Program:
    """A program of the suite: its arguments, the gradient by hand, the engine's two modes and their forms.

    Attributes
    ----------
    operations
        The number of operations that the engine records.
    forms
        Mode -> the bare forms to compare it with; the first has the NumPy calls of the mode.
    """

    name: str
    args: tuple[Any, ...]
    hand: Form
    modes: Mapping[str, Form]
    forms: Mapping[str, tuple[Form, ...]]
    operations: int


FORMS: Mapping[str, Mapping[str, tuple[Form, ...]]] = {
    "cubic": {
        "numpy": (cubic_as_recorded, cubic_on_a_bare_tape, cubic_on_a_tape_with_checks),
        "numpy:compiled": (cubic_in_fewest_passes, cubic_by_matrix),
    },
    "perceptron": {"numpy": (perceptron_as_recorded,), "numpy:compiled": ()},
}
_SIZES = {"cubic": _POINTS, "perceptron": _BATCH}


def program(name: str) -> Program:
    """Return the program of this name, with arguments as the suite ``engine`` draws them."""
    # The engine itself imports no other package of the project; problems and gradients by hand are in its suite.
    suite: Any = importlib.import_module("autodiff_compare.problems.engine_suite")
    (problem,) = [p for p in suite.PROBLEMS if p.name == f"engine_{name}"]
    inputs = problem.inputs(np.random.default_rng(0), _SIZES[name])
    where = tuple(range(len(inputs.differentiated)))
    namespace: Any = importlib.import_module("autodiff_compare.backends.numpy_autodiff.array.namespace")

    def function(*args: Any) -> Any:
        return problem.objective(*args, xp=namespace.xp)

    recording = Recording(Trace(), inputs.arrays, where).call(function)
    modes: dict[str, Form] = {
        "numpy": value_and_grad(function, where),
        "numpy:compiled": compile(function, *inputs.arrays, argnums=where, operator="value_and_gradient"),
    }
    hand = getattr(suite, f"{name}_by_hand")
    return Program(problem.title, inputs.arrays, hand, modes, FORMS[name], len(recording.tape.nodes))


def seconds(made: Program, rounds: int, calls: int) -> dict[Form, float]:
    """Return the fewest seconds of a call of each form, timed in turns."""
    forms = [made.hand, *made.modes.values(), *(form for forms in made.forms.values() for form in forms)]
    best = dict.fromkeys(forms, float("inf"))
    for _ in range(rounds):
        for f in forms:
            start = time.perf_counter()
            for _ in range(calls):
                f(*made.args)
            best[f] = min(best[f], (time.perf_counter() - start) / calls)
    return best


def lines(made: Program, best: Mapping[Form, float]) -> list[str]:
    """Return the lines of a program: each mode over the gradient by hand, and its bare forms below."""
    hand = best[made.hand]
    found = [f"{made.name}: {1e6 * hand:.1f} us by hand, {made.operations} operations"]
    for mode, engine in made.modes.items():
        found.append(f"  {mode}: {best[engine] / hand:.2f} times the gradient by hand")
        for form in made.forms[mode]:
            words = form.__name__.partition("_")[2].replace("_", " ")
            more = 1e6 * (best[engine] - best[form]) / made.operations
            found.append(f"    {words}: {best[form] / hand:.2f}; the engine adds {more:.2f} us to each operation")
    return found


if __name__ == "__main__":
    keep_freed_memory()
    for each in FORMS:
        chosen = program(each)
        print(*lines(chosen, seconds(chosen, 3000, 1)), sep="\n")
