"""The bases of adapters, each with a small system of its kind: every operator is right, and what is missing says so.

The systems: a tape of sums and products, scalars that carry a gradient, and expressions that print as Python.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Unsupported
from autodiff_compare.backends.bases.graphs import Graphs, Traced, lifted, raw
from autodiff_compare.backends.bases.namespace import Namespace, on_arrays
from autodiff_compare.backends.bases.scalars import Scalars, scalar_array, scalar_functions
from autodiff_compare.backends.bases.wrapped import WrappedArrays
from autodiff_compare.contract.clauses import outcome
from autodiff_compare.contract.objectives import OBJECTIVES
from autodiff_compare.vocabulary import Operator

X, Y = np.array([1.0, 2.0, -0.5]), np.array([3.0, -1.0, 2.0])


class Node:
    """An array with the arrays it was made of, and for each the function that pulls a cotangent back to it."""

    __array_ufunc__ = None

    def __init__(self, data: Any, parents: tuple[Any, ...] = (), records: bool = False) -> None:
        self.data, self.parents, self.grad = np.asarray(data), parents, None
        self.records = records or any(p.records for p, _ in parents)

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)

    def __getitem__(self, key: Any) -> Node:
        def pull(g: Any) -> Any:
            out = np.zeros_like(self.data)
            out[key] = g
            return out

        return Node(self.data[key], ((self, pull),))

    def __add__(self, other: Any) -> Node:
        b = node(other, self.dtype)
        return Node(self.data + b.data, ((self, lambda g: g), (b, lambda g: g)))

    def __mul__(self, other: Any) -> Node:
        b = node(other, self.dtype)
        return Node(self.data * b.data, ((self, lambda g: g * b.data), (b, lambda g: g * self.data)))

    def __matmul__(self, other: Node) -> Node:
        a, b = self.data, other.data
        return Node(a @ b, ((self, lambda g: g @ b.T), (other, lambda g: a.T @ g)))

    def __sub__(self, other: Any) -> Node:
        return self + node(other, self.dtype) * -1.0

    __radd__, __rmul__ = __add__, __mul__


def node(x: Any, dtype: Any) -> Node:
    return x if isinstance(x, Node) else Node(np.asarray(x, dtype))


def back(n: Node, g: Any) -> None:
    """Add a cotangent to every recording node below, path by path."""
    if n.records:
        n.grad = g if n.grad is None else n.grad + g
    for parent, pull in n.parents:
        back(parent, pull(g))


class Tape(WrappedArrays):
    name, requires = "tape", ()

    def open(self) -> None:
        total = lambda x: Node(x.data.sum(), ((x, lambda g: np.broadcast_to(g, x.shape)),))  # noqa: E731
        join = lambda xs, axis=0: Node(  # noqa: E731
            np.stack([x.data for x in xs]), tuple((x, lambda g, i=i: g[i]) for i, x in enumerate(xs))
        )
        reshape = lambda x, shape: Node(np.reshape(x.data, shape), ((x, lambda g: np.reshape(g, x.shape)),))  # noqa: E731
        self.xp = Namespace("Tape", {"sum": total, "stack": join, "reshape": reshape})

    def variable(self, array: Any, records: bool) -> Any:
        return Node(array, records=records)

    def array(self, var: Any) -> Any:
        return var.data

    def sweep(self, output: Any, inputs: Any, cotangent: Any, again: bool) -> Any:
        back(output, np.ones_like(output.data) if cotangent is None else cotangent.data)
        return [x.grad for x in inputs]


class OneTape(Tape):
    """A system that records on one tape for all variables, and whose functions take NumPy arrays as they are."""

    name = "one_tape"

    def open(self) -> None:
        super().open()
        self.tapes: list[int] = []
        self.count = 0
        self.xp = Namespace(
            "OneTape", on_arrays({name: getattr(self.xp, name) for name in ("sum", "stack", "reshape")})
        )

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        self.count += 1
        self.tapes.append(self.count)
        try:
            yield
        finally:
            self.tapes.pop()

    def variable(self, array: Any, records: bool) -> Any:
        return super().variable(array, records) if records else array

    def sweep(self, output: Any, inputs: Any, cotangent: Any, again: bool) -> Any:
        assert self.tapes, "a sweep outside of the recording"
        return super().sweep(output, inputs, None if cotangent is None else Node(cotangent), again)


class Carrier:
    """A number with its gradient by independent numbers."""

    def __init__(self, v: float, d: dict[int, float]) -> None:
        self.v, self.d = v, d

    def __mul__(self, other: Any) -> Carrier:
        o = other if isinstance(other, Carrier) else Carrier(float(other), {})
        keys = {*self.d, *o.d}
        return Carrier(self.v * o.v, {k: self.d.get(k, 0.0) * o.v + self.v * o.d.get(k, 0.0) for k in keys})

    def __add__(self, other: Any) -> Carrier:
        o = other if isinstance(other, Carrier) else Carrier(float(other), {})
        return Carrier(self.v + o.v, {k: self.d.get(k, 0.0) + o.d.get(k, 0.0) for k in {*self.d, *o.d}})

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other: Any) -> Carrier:
        return self + other * -1.0

    def __lt__(self, other: Any) -> bool:
        return self.v < getattr(other, "v", other)


class Carriers(Scalars):
    name, requires = "carriers", ()

    def open(self) -> None:
        self.xp = Namespace("Carriers", scalar_functions({}, {}, lambda c, a, b: a if c else b))

    def scalar(self, value: float) -> Any:
        found = Carrier(value, {})
        found.d[id(found)] = 1.0
        return found

    def number(self, scalar: Any) -> float:
        return float(getattr(scalar, "v", scalar))

    def slopes(self, scalar: Any, inputs: Any) -> Any:
        return [getattr(scalar, "d", {}).get(id(x), 0.0) for x in inputs]


class Jet:
    """A number with its gradient and its Hessian by a fixed number of independent numbers."""

    def __init__(self, v: float, g: Any, h: Any) -> None:
        self.v, self.g, self.h = v, g, h

    def __mul__(self, other: Any) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.v * other, self.g * other, self.h * other)
        cross = np.outer(self.g, other.g)
        return Jet(
            self.v * other.v, self.v * other.g + other.v * self.g, self.v * other.h + other.v * self.h + cross + cross.T
        )

    def __add__(self, other: Any) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.v + other, self.g, self.h)
        return Jet(self.v + other.v, self.g + other.g, self.h + other.h)

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other: Jet) -> Jet:
        return self + other * -1.0


class Jets(Scalars):
    name, requires = "jets", ()
    native = Scalars.native | {Operator.HESSIAN}

    def open(self) -> None:
        self.xp = Namespace("Jets", scalar_functions({}, {}, lambda c, a, b: a if c else b))

    def scalars(self, values: Any) -> Any:
        n = len(values)
        return [Jet(v, unit, np.zeros((n, n))) for v, unit in zip(values, np.eye(n), strict=True)]

    def number(self, scalar: Any) -> float:
        return float(getattr(scalar, "v", scalar))

    def slopes(self, scalar: Any, inputs: Any) -> Any:
        return getattr(scalar, "g", np.zeros(len(inputs)))

    def curvatures(self, scalar: Any, inputs: Any) -> Any:
        return getattr(scalar, "h", np.zeros((len(inputs),) * 2))


class Monomials:
    """A polynomial of the entries of inputs in each entry: ``{((entry, power), ...): coefficient}``."""

    def __init__(self, entries: Any) -> None:
        self.entries = np.asarray(entries, dtype=object)

    def __add__(self, other: Any) -> Monomials:
        return Monomials(np.frompyfunc(_add, 2, 1)(self.entries, other.entries))

    def __mul__(self, other: Any) -> Monomials:
        return Monomials(np.frompyfunc(_times, 2, 1)(self.entries, other.entries))

    def __sub__(self, other: Any) -> Monomials:
        return self + other * _constant(-1.0)


def _add(a: Any, b: Any) -> Any:
    return {k: a.get(k, 0.0) + b.get(k, 0.0) for k in {*a, *b}}


def _times(a: Any, b: Any) -> Any:
    out: dict[Any, float] = {}
    for p, c in a.items():
        for q, d in b.items():
            key = tuple(sorted(p + q))
            out[key] = out.get(key, 0.0) + c * d
    return out


def _constant(x: Any) -> Monomials:
    return x if isinstance(x, Monomials) else Monomials(np.frompyfunc(lambda v: {(): float(v)}, 1, 1)(np.asarray(x)))


def _filled(entries: list[Any], shape: tuple[int, ...]) -> Monomials:
    out = np.empty(len(entries), dtype=object)
    out[:] = entries
    return Monomials(out.reshape(shape))


class Polynomials(Graphs):
    name, requires = "polynomials", ()

    def open(self) -> None:
        self.count = 0

        def total(x: Monomials) -> Monomials:
            found: Any = {}
            for entry in np.ravel(x.entries).tolist():
                found = _add(found, entry)
            return _filled([found], ())

        stack = lambda xs, axis=0: _filled([np.ravel(x.entries).tolist()[0] for x in xs], (len(xs),))  # noqa: E731
        reshape = lambda x, shape: Monomials(np.reshape(x.entries, shape))  # noqa: E731
        own = {"sum": total, "stack": stack, "reshape": reshape}
        self.xp = Namespace("Polynomials", on_arrays({name: lifted(self, f) for name, f in own.items()}))

    def shape(self, of: Any) -> Any:
        return np.shape(of.entries)

    def dtype(self, of: Any) -> str:
        return "float64"

    def index(self, of: Any, key: Any) -> Any:
        found = of.entries[key]
        return _filled([found], ()) if isinstance(found, dict) else Monomials(found)

    def operand(self, x: Any, like: Any) -> Any:
        return _constant(x)

    def symbol(self, shape: tuple[int, ...], dtype: str) -> Any:
        size = int(np.prod(shape))
        self.count += size
        return Traced(self, _filled([{(i,): 1.0} for i in range(self.count - size, self.count)], shape))

    def names(self, x: Any) -> list[int]:
        return [next(iter(entry))[0] for entry in np.ravel(raw(x).entries).tolist()]

    def gradients(self, scalar: Any, inputs: Any) -> Any:
        (of,) = np.ravel(raw(scalar).entries).tolist()

        def slope(i: int) -> Any:
            out: dict[Any, float] = {}
            for powers, c in of.items():
                if i in powers:
                    at = powers.index(i)
                    rest = powers[:at] + powers[at + 1 :]
                    out[rest] = out.get(rest, 0.0) + c * powers.count(i)
            return out

        return [Traced(self, _filled(list(map(slope, self.names(x))), x.shape)) for x in inputs]

    def replaced(self, outputs: Any, old: Any, new: Any) -> Any:
        swap = {
            i: entry
            for a, b in zip(old, new, strict=True)
            for i, entry in zip(self.names(a), np.ravel(_constant(raw(b)).entries).tolist(), strict=True)
        }

        def changed(of: Any) -> Any:
            out: Any = {}
            for powers, c in of.items():
                term: Any = {(): c}
                for i in powers:
                    term = _times(term, swap.get(i, {(i,): 1.0}))
                out = _add(out, term)
            return out

        return [Traced(self, Monomials(np.frompyfunc(changed, 1, 1)(raw(y).entries))) for y in outputs]

    def compiled(self, inputs: Any, outputs: Any) -> Any:
        names = [i for x in inputs for i in self.names(x)]

        def run(*given: Any) -> Any:
            at = dict(zip(names, (v for g in given for v in np.ravel(g).tolist()), strict=True))
            value = lambda of: sum(c * float(np.prod([at[i] for i in p])) for p, c in of.items())  # noqa: E731
            return [np.asarray(np.frompyfunc(value, 1, 1)(raw(y).entries), dtype=float) for y in outputs]

        return run


def opened(cls: Any) -> Any:
    backend = cls()
    backend.open()
    return backend


def cubic(xp: Any) -> Any:
    """Return sum(x x y) - x0 y1; by x: 2 x y - (y1, 0, 0); by y: x x - (0, x0, 0)."""
    return lambda x, y: xp.sum(x * x * y) - x[0] * y[1]


BY_X = 2 * X * Y - np.array([Y[1], 0, 0])
BY_Y = X * X - np.array([0, X[0], 0])


@pytest.mark.parametrize("cls", [Tape, OneTape, Carriers, Jets, Polynomials])
def test_first_derivatives(cls: Any) -> None:
    b = opened(cls)
    args = [b.to_var(X), b.to_var(Y)]
    elsewhere = [b.to_var(Y), b.to_var(X)]  # prepared there: no number of it may stay
    prepare = lambda operator, f, ways=(): b.prepare(operator, f, elsewhere, argnums=(0, 1), directions=ways)  # noqa: E731
    value, gradient = prepare(Operator.VALUE_AND_GRADIENT, cubic(b.xp))(*args)
    np.testing.assert_allclose(b.to_numpy(value), np.sum(X * X * Y) - X[0] * Y[1], rtol=1e-14)
    for found, expected in zip(gradient, (BY_X, BY_Y), strict=True):
        np.testing.assert_allclose(b.to_numpy(found), expected, rtol=1e-14)
    ways = [b.to_var(Y), b.to_var(X)]
    slope = prepare(Operator.JVP, cubic(b.xp), ways)(*args, *ways)
    np.testing.assert_allclose(b.to_numpy(slope), BY_X @ Y + BY_Y @ X, rtol=1e-14)
    rows = prepare(Operator.JACOBIAN, lambda x, y: b.xp.stack([x[0] * y[1], x[2] + y[2]]))(*args)
    assert all(isinstance(block, (np.ndarray, Node)) and block.dtype == float for block in rows), "computed, not lazy"
    np.testing.assert_allclose(b.to_numpy(rows[0]), [[Y[1], 0, 0], [0, 0, 1]], rtol=1e-14)
    np.testing.assert_allclose(b.to_numpy(rows[1]), [[0, X[0], 0], [0, 0, 1]], rtol=1e-14)
    zero = prepare(Operator.GRADIENT, lambda x, y: b.xp.sum(y * y))(*args)[0]
    np.testing.assert_array_equal(b.to_numpy(zero), np.zeros(3))


def test_a_graph_has_second_derivatives_and_can_be_nested() -> None:
    b = opened(Polynomials)
    product = b.prepare(Operator.HVP, cubic(b.xp), [Y, X], argnums=(0,), directions=[X])(X, Y, X)
    np.testing.assert_allclose(product[0], 2 * Y * X, rtol=1e-14)
    first = b.grad(lambda x, y: b.xp.sum(x * x * x * y))
    np.testing.assert_allclose(b.grad(lambda x, y: b.xp.sum(first(x, y)))(X, Y), 6 * X * Y, rtol=1e-14)


def test_a_recording_ends_after_an_exception_and_is_begun_anew_inside_another() -> None:
    b = opened(OneTape)
    x = b.to_var(X)

    def nested(x: Any) -> Any:
        """Return sum(x) times the sum of the gradient of sum(y y) at X, which is a constant 2 sum(X)."""
        (slope,) = b.prepare(Operator.GRADIENT, lambda y: b.xp.sum(y * y), [X], argnums=(0,))(X)
        depths.append(len(b.tapes))
        return b.xp.sum(x) * float(np.sum(slope))

    depths: list[int] = []
    (found,) = b.prepare(Operator.GRADIENT, nested, [x], argnums=(0,))(x)
    np.testing.assert_allclose(found, np.full(3, 2 * np.sum(X)), rtol=1e-14)
    assert (depths[-1], b.tapes) == (1, [])

    def failing(x: Any) -> Any:
        if isinstance(x, Node):
            raise ValueError("while recording")
        return b.xp.sum(x)

    with pytest.raises(ValueError, match="while recording"):
        b.prepare(Operator.GRADIENT, failing, [x], argnums=(0,))(x)
    assert b.tapes == []


def test_scalars_with_second_derivatives() -> None:
    """By hand, of sum(A x y) + y0 with inputs of unequal shapes: A by x and y, zero by x twice and by y twice."""
    b = opened(Jets)
    a, y = np.array([[1.0, 2.0], [-3.0, 0.5], [4.0, 1.5]]), np.array([0.5, -2.0])
    x = X.reshape(3, 1)
    f = lambda k, x, y: b.xp.sum(k * x * y) + y[0]  # noqa: E731
    blocks = b.prepare(Operator.HESSIAN, f, [a, x + 1, y - 1], argnums=(1, 2))(a, x, y)
    assert [[block.shape for block in row] for row in blocks] == [[(3, 1, 3, 1), (3, 1, 2)], [(2, 3, 1), (2, 2)]]
    np.testing.assert_array_equal(blocks[0][0], np.zeros((3, 1, 3, 1)))
    np.testing.assert_allclose(blocks[0][1], a.reshape(3, 1, 2), rtol=1e-14)
    np.testing.assert_allclose(blocks[1][0], a.T.reshape(2, 3, 1), rtol=1e-14)
    np.testing.assert_array_equal(blocks[1][1], np.zeros((2, 2)))
    product = b.prepare(Operator.HVP, lambda x: b.xp.sum(x * x * x), [Y], directions=[Y])(X, Y)
    np.testing.assert_allclose(product[0], 6 * X * Y, rtol=1e-14)
    ((constant,),) = b.prepare(Operator.HESSIAN, lambda x: np.asarray(2.0), [Y])(X)
    np.testing.assert_array_equal(constant, np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"output of shape \(3,\), expected a scalar"):
        b.prepare(Operator.HESSIAN, lambda x: x * x, [X])


@pytest.mark.parametrize(
    ("native", "operator", "told"),
    [(frozenset({Operator.HESSIAN}), Operator.HESSIAN, "carriers has no second derivatives")],
)
def test_a_promise_that_a_scalar_system_does_not_keep(native: Any, operator: Operator, told: str) -> None:
    promising = type("Promising", (Carriers,), {"native": Carriers.native | native})
    with pytest.raises(Unsupported, match=told):
        opened(promising).prepare(operator, lambda x: x[0] * x[1], [X])(X)


def test_an_index_by_scalars_is_unsupported() -> None:
    """NumPy's own message asks for an array of integers, which the data were before they became scalars."""
    x = scalar_array(X)
    for key in (scalar_array(np.array([0, 1])), (scalar_array(np.array([0])), None), x > 0):
        with pytest.raises(Unsupported, match="an index or mask that is computed by scalars"):
            x[key]
    np.testing.assert_array_equal(x[np.array([2, 0])].astype(float), X[[2, 0]])


@pytest.mark.parametrize("cls", [Tape, Carriers])
def test_a_system_of_first_order_says_so(cls: Any) -> None:
    b = opened(cls)
    x = b.to_var(X)
    with pytest.raises(Unsupported, match="cannot be differentiated again"):
        b.prepare(Operator.HESSIAN, lambda x: b.xp.sum(x * x), [x])


def test_a_branch_on_data_is_unsupported_in_a_graph() -> None:
    b = opened(Polynomials)
    with pytest.raises(Unsupported, match=r"xp\.where"):
        b.prepare(Operator.VALUE, lambda x: x if x else x * x, [X])


def test_a_missing_function_names_the_system() -> None:
    b = opened(Tape)
    assert not hasattr(b.xp, "exp")
    assert not hasattr(b.xp, "hypot")  # composed of sqrt, which is missing too
    for name in ("xp.exp", "xp.linalg.eigh", "xp.special.erf"):
        with pytest.raises(Unsupported, match=f"Tape has no .*{name.rpartition('.')[2]}"):
            eval(name, {"xp": b.xp})


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("hypot", (X, Y)), ("square", (X,)), ("mean", (X,)), ("var", (X,)), ("std", (X,)), ("clip", (X, -1.0, 1.0)),
        ("flip", (X,)), ("take", (X, np.array([2, 0]))), ("expand_dims", (X,)), ("matrix_transpose", (np.outer(X, Y),)),
        ("moveaxis", (np.outer(X, Y), 0, 1)), ("tril", (np.outer(X, Y),)), ("linalg.trace", (np.outer(X, Y),)),
        ("linalg.cross", (X, Y)), ("linalg.vector_norm", (X,)), ("linalg.outer", (X, Y)), ("stack", ([X, Y],)),
        ("linalg.diagonal", (np.outer(X, Y),)), ("vecdot", (X, Y)), ("unstack", (X,)),
    ],
)  # fmt: skip
def test_a_composed_function_is_that_of_numpy(name: str, args: Any) -> None:
    few = ("sum", "sqrt", "reshape", "concat", "permute_dims", "where", "maximum", "minimum")
    composed: Any = Namespace("few", {n: getattr(np, n) for n in few})
    expected: Any = np
    for part in name.split("."):
        composed, expected = getattr(composed, part), getattr(expected, part)
    options = {"axis": 0} if name in ("expand_dims", "take") else {}
    np.testing.assert_allclose(composed(*args, **options), expected(*args, **options), rtol=1e-15)


T, INF = np.arange(12.0).reshape(2, 3, 2) / 7 - 0.8, np.inf


@pytest.mark.parametrize(
    ("name", "x", "options"),
    [
        ("linalg.diagonal", T, {"offset": 1}), ("linalg.diagonal", T, {"offset": -2}),
        ("linalg.diagonal", T, {"offset": 5}), ("linalg.trace", T, {"offset": -1}),
        *(("linalg.vector_norm", T, {"ord": p, "axis": a}) for p in (1, 2, 3.5, INF, -INF) for a in (None, 1, -1)),
        *(("linalg.matrix_norm", T, {"ord": p, "keepdims": k}) for p in ("fro", 1, -1, INF, -INF) for k in (0, 1)),
        ("moveaxis", T, {"source": (0, -1), "destination": (1, 0)}), ("moveaxis", T, {"source": -1, "destination": 0}),
        ("squeeze", T[:, :1, :1], {"axis": (1, -1)}), ("flip", T, {"axis": (0, -1)}), ("mean", T, {"axis": (0, -1)}),
        ("zeros_like", T, {"dtype": np.float32}), ("ones_like", T, {"dtype": np.bool_}),
        ("full_like", T, {"fill_value": 2, "dtype": np.dtype("int64")}),
    ],
    ids=lambda part: "" if isinstance(part, np.ndarray) else str(part),
)  # fmt: skip
def test_a_composed_function_takes_the_parameters_of_the_standard(name: str, x: Any, options: dict[str, Any]) -> None:
    few = ("abs", "max", "min", "sum", "sqrt", "reshape", "permute_dims")
    path = name.split(".")
    composed, expected = (
        functools.reduce(getattr, path, xp)(x, **options)
        for xp in (Namespace("few", {n: getattr(np, n) for n in few}), np)
    )
    assert (composed.shape, composed.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(composed, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda xp: xp.flip(T, axis=3), "got axis 3, expected one of 3 axes, from -3 to 2"),
        (lambda xp: xp.take(T, [0], axis=-4), "got axis -4"),
        (lambda xp: xp.moveaxis(T, 0, 5), "got axis 5"),
        (lambda xp: xp.expand_dims(T, axis=4), "got axis 4, expected one of 4 axes"),
        (lambda xp: xp.squeeze(T, axis=0), r"got shape \(2, 3, 2\) with axis 0, expected a length of 1"),
        (lambda xp: xp.linalg.matrix_norm(T, ord=2), "got ord=2, expected 'fro', 1"),
    ],
)
def test_an_axis_that_is_not_there_is_refused(call: Any, words: str) -> None:
    few = ("abs", "sum", "sqrt", "reshape", "permute_dims")
    with pytest.raises((IndexError, ValueError, Unsupported), match=words):
        call(Namespace("few", {n: getattr(np, n) for n in few}))


@pytest.mark.parametrize(
    "of", [np.float32, np.dtype("float32"), "float32", np.float32(1), X.astype("float32")], ids=str
)
def test_limits_are_those_of_a_dtype_of_its_name_or_of_an_array(of: Any) -> None:
    assert Namespace("few", {}).finfo(of).eps == np.finfo(np.float32).eps


def test_results_of_several_arrays_have_the_names_of_the_standard() -> None:
    """A system may return tuples, lists, or results that have names already."""
    matrix = np.array([[2.0, 1.0], [1.0, 3.0]])
    plain = {"eigh": lambda a: tuple(np.linalg.eigh(a)), "qr": lambda a: list(np.linalg.qr(a)), "svd": np.linalg.svd}
    linalg = Namespace("few", {}, {**plain, "slogdet": lambda a: tuple(np.linalg.slogdet(a))}).linalg
    for name in ("eigh", "qr", "svd", "slogdet"):
        found, expected = getattr(linalg, name)(matrix), getattr(np.linalg, name)(matrix)
        for field in expected._fields:
            np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))


@pytest.mark.parametrize(
    ("args", "options"), [((-1.0, 1.0), {}), ((), {"min": -1.0}), ((), {"max": 1.0}), ((-1.0,), {"max": 1.0}), ((), {})]
)
def test_a_bound_of_clip_may_be_absent_or_named(args: Any, options: Any) -> None:
    composed = Namespace("few", {"maximum": np.maximum, "minimum": np.minimum}).clip(X, *args, **options)
    bounds = (*args, *options.values())
    expected = np.minimum(np.maximum(X, -1.0 if -1.0 in bounds else -np.inf), 1.0 if 1.0 in bounds else np.inf)
    np.testing.assert_array_equal(composed, expected)


@pytest.mark.parametrize(
    ("cls", "kept"),
    [(Tape, [True, None, True]), (Carriers, [True, True, True]), (Polynomials, [True, None, True])],
    ids=["Tape", "Carriers", "Polynomials"],
)
def test_loops_comparisons_and_a_descent(cls: Any, kept: list[bool | None]) -> None:
    """A descent needs no ``float()`` of a variable, which none of these has; two have no ``where``."""
    found = [outcome(opened(cls), clause) for clause in OBJECTIVES]
    assert [each["kept"] for each in found] == kept, found
