"""Clauses of the contract of `autodiff_compare.backends.interface`, each with a test for an opened backend.

These clauses cover the methods of `Backend` that a user calls. The operators of ``prepare`` are tested by a run of the
functions in `autodiff_compare.contract.functions`, judged as any other run: see
`autodiff_compare.cli.verbs.trials.conformance`.

Every expected number is a closed form, which stands beside the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends import LINALG, NAMES, Objective, Unsupported
from autodiff_compare.contract.clause import Broken, Clause, close, short
from autodiff_compare.contract.objectives import OBJECTIVES
from autodiff_compare.contract.repeated_calls import REPEATED_CALLS
from autodiff_compare.problems import Array
from autodiff_compare.process.failures import described
from autodiff_compare.vocabulary import (
    BATCHES,
    DTYPES,
    ORDERS,
    PARTS,
    SAMPLED,
    SECOND_ORDER,
    STANDARD_OPERATORS,
    Operator,
    Optimizer,
    directed,
)


def try_clause(backend: Any, number: int) -> dict[str, Any]:
    """Try the clause with that index on a backend, see `outcome`."""
    return outcome(backend, CLAUSES[number])


def outcome(backend: Any, clause: Clause) -> dict[str, Any]:
    """Return ``kept`` (True, False, or `None` if the backend lacks an optional feature) and ``words``."""
    try:
        return {"kept": True, "words": clause.try_on(backend) or ""}
    except Broken as error:
        return {"kept": False, "words": str(error)}
    except Unsupported as error:
        return {"kept": None if clause.optional else False, "words": f"unsupported: {error}"}
    except Exception as error:  # a backend under development may raise anything: the clause is broken
        first = described(error, instead="" if str(error).strip() else "no message").partition("\n")[0]
        return {"kept": False, "words": f"{type(error).__name__}: {first}"}


def _attributes(b: Any) -> None:
    if not str(b.name).isidentifier():
        raise Broken(f"got name {b.name!r}, expected letters, digits and underscores")
    if not isinstance(b.native, frozenset) or not b.native <= set(Operator):
        raise Broken(f"got native {b.native!r}, expected a frozenset of Operator")
    if "" not in b.variants or not all(isinstance(k, str) and isinstance(v, str) for k, v in b.variants.items()):
        raise Broken(
            f"got variants {dict(b.variants)!r}, expected a dict with '' and a line of description for each variant"
        )
    if not set(b.modes) <= SECOND_ORDER or not {*b.modes.values(), *b.orders} <= set(ORDERS):
        raise Broken(f"got modes {dict(b.modes)!r} and orders {set(b.orders)!r}, expected some of {', '.join(ORDERS)}")
    if not isinstance(b.requires, tuple):
        raise Broken(f"got requires {b.requires!r}, expected a tuple of distribution names")
    if set(b.versions()) < set(b.requires):
        raise Broken(f"got versions of {sorted(b.versions())}, expected versions of {sorted(b.requires)}")


def _unknown_variant(b: Any) -> None:
    try:
        type(b)("no such variant")
    except ValueError:
        return
    raise Broken("got an instance for variant 'no such variant', expected a ValueError")


def _namespace(b: Any) -> str:
    absent = [name for name in NAMES if not hasattr(b.xp, name)]
    linalg = getattr(b.xp, "linalg", None)
    absent += [f"linalg.{name}" for name in LINALG if not hasattr(linalg, name)]
    if not absent:
        return f"all {len(NAMES) + len(LINALG)}"
    shown = ", ".join(absent[:4]) + (", ..." if len(absent) > 4 else "")
    return f"{len(NAMES) + len(LINALG) - len(absent)} of {len(NAMES) + len(LINALG)}; without {shown}"


#: 0-d, with a zero, with negative strides, empty, transposed.
_ARRAYS: tuple[Array, ...] = (
    np.array(1.5),
    np.array([1.0, -2.0, 0.0]),
    np.arange(12.0).reshape(3, 4)[::2, ::-1],
    np.zeros((0, 2)),
    np.arange(6.0).reshape(2, 3).T,
)


def _round_trip(b: Any) -> None:
    for array in _ARRAYS:
        for dtype in DTYPES:
            given = array.astype(dtype)
            _same(b.to_numpy(b.to_var(given)), given)


def _same(got: Any, given: Array) -> None:
    if not isinstance(got, np.ndarray):
        raise Broken(f"got {type(got).__name__} from to_numpy, expected a numpy.ndarray")
    if got.shape != given.shape or got.dtype != given.dtype or not np.array_equal(got, given):
        raise Broken(f"got {got.dtype} {got.shape} back from {given.dtype} {given.shape}, expected the same numbers")


def _integers(b: Any) -> None:
    _same(b.to_numpy(b.to_var(np.array([0, 2, 1]))), np.array([0, 2, 1]))


def _dtype_given(b: Any) -> None:
    got = b.to_numpy(b.to_var(np.array([1.0, 2.0]), dtype="float32"))
    if got.dtype != np.float32:
        raise Broken(f"got {got.dtype} from to_var(..., dtype='float32'), expected float32")


def _no_alias(b: Any) -> None:
    for dtype in DTYPES:
        array = np.array([1.0, 2.0], dtype=dtype)
        var = b.to_var(array)
        array[0] = 7.0
        if b.to_numpy(var)[0] != 1.0:
            raise Broken(f"got a {dtype} variable that changes with the array it was made of, expected a copy")


def _no_view(b: Any) -> None:
    var = b.to_var(np.array([1.0, 2.0]))
    got = b.to_numpy(var)
    try:
        got[0] = 7.0
    except ValueError:
        raise Broken("got an array from to_numpy that cannot be written to, expected a copy") from None
    if b.to_numpy(var)[0] != 1.0:
        raise Broken("got a variable that changes with the array from to_numpy, expected a copy")


def _block(b: Any) -> None:
    var = b.to_var(np.array([1.0]))
    for out in (var, (var, (var, var))):
        if b.block(out) is not out and not isinstance(b.block(out), type(out)):
            raise Broken(f"got {type(b.block(out)).__name__} from block, expected its argument")


def _cubes(b: Any) -> Callable[..., Any]:
    """Return sum(x^3 y): its gradient is 3 x^2 y by x and x^3 by y, its Hessian by x is diag(6 x y)."""
    return lambda x, y: b.xp.sum(x * x * x * y)


def _grad(b: Any) -> None:
    x, y = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    for dtype in DTYPES:
        args = [b.to_var(a.astype(dtype)) for a in (x, y)]
        one = b.grad(_cubes(b))(*args)
        close(b.to_numpy(one), 3 * x * x * y, "grad of sum(x^3 y) by x", dtype)
        both = b.grad(_cubes(b), (0, 1))(*args)
        if not isinstance(both, tuple) or len(both) != 2:
            raise Broken(f"got {type(both).__name__} for argnums (0, 1), expected a tuple of two")
        close(b.to_numpy(both[1]), x**3, "grad of sum(x^3 y) by y", dtype)


def _nested(b: Any) -> str | None:
    if not b.nestable:
        raise Unsupported("nestable is False: hvp and hessian are not derived from its gradient")
    x, one = b.to_var(np.array(2.0)), b.to_var(np.array(1.0))
    first = b.grad(lambda x, y: b.xp.sum(x * x * x * y))
    second = b.grad(lambda x, y: b.xp.sum(first(x, y)))
    close(b.to_numpy(second(x, one)), 12.0, "the gradient of the gradient of x^3 at 2")
    return None


def _prepared_elsewhere(b: Any) -> None:
    """Prepare at one point with one set of data and directions, and call at another."""
    xs = [np.array([1.0, 2.0]), np.array([-3.0, 0.5])]
    ys = [np.array([4.0, -1.0]), np.array([0.25, 2.0])]
    for operator in sorted(b.native & {Operator.VALUE, Operator.GRADIENT, Operator.JVP, Operator.VJP}):
        given = [[b.to_var(x), b.to_var(y)] for x, y in zip(xs, ys, strict=True)]
        ways = {Operator.JVP: ys, Operator.VJP: [np.array(2.0), np.array(-1.0)]}.get(operator, [])
        directions = [[b.to_var(w)] for w in ways] or [[], []]
        run = b.prepare(operator, _cubes(b), given[0], argnums=(0,), directions=directions[0])
        got = b.block(run(*given[1], *directions[1]))
        gradient = 3 * xs[1] ** 2 * ys[1]
        expected = {
            Operator.VALUE: np.sum(xs[1] ** 3 * ys[1]),
            Operator.GRADIENT: gradient,
            Operator.JVP: np.sum(gradient * ys[1]),
            Operator.VJP: -gradient,
        }[operator]
        if operator in (Operator.GRADIENT, Operator.VJP):
            if not isinstance(got, tuple):
                raise Broken(f"got {type(got).__name__} from a prepared {operator}, expected a tuple, one per argnum")
            got = got[0]
        close(b.to_numpy(got), expected, f"{operator} prepared at another point")


def _not_scalar(b: Any) -> None:
    if Operator.GRADIENT not in b.native:
        raise Unsupported("its gradient is derived")
    x = b.to_var(np.array([1.0, 2.0]))
    try:
        got = b.prepare(Operator.GRADIENT, lambda x: x * x, [x])(x)
    except Exception:  # each framework raises its own exception
        return
    raise Broken(f"got {short(b.to_numpy(got[0]))} for the gradient of a vector function, expected an exception")


def _unsupported(b: Any) -> str:
    """Prepare every operator: one that the backend lacks must raise Unsupported with a reason."""
    refused, x = [], b.to_var(np.array([1.0, 2.0]))
    f = Objective(lambda x: b.xp.sum(x * x), samples=(0,))
    for operator in (o for o in Operator if o in STANDARD_OPERATORS | set(PARTS) | set(BATCHES)):
        one = {Operator.JVP: np.ones(2), Operator.HVP: np.ones(2), Operator.VJP: np.array(1.0)}.get(directed(operator))
        batched = operator in BATCHES and operator not in SAMPLED
        ways = [] if one is None else [b.to_var(np.stack([one] * 3) if batched else one)]
        try:
            run = b.prepare(operator, f, [x], argnums=(0,), directions=ways)
            b.block(run(x, *ways))
        except Unsupported as error:
            if not str(error).strip():
                raise Broken(f"got Unsupported without a reason for {operator}, expected one") from None
            refused.append(str(operator))
        except NotImplementedError as error:
            raise Broken(f"got NotImplementedError for {operator}, expected Unsupported(reason): {error}") from None
    return f"missing: {', '.join(refused)}" if refused else "no operator is missing"


def _orders(b: Any) -> str:
    if not b.orders:
        raise Unsupported("orders is empty")
    x, y = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    for order in sorted(b.orders):
        ordered = type(b)(":".join(filter(None, (b.variant, order))))
        ordered.open()
        args = [ordered.to_var(x), ordered.to_var(y)]
        run = ordered.prepare(Operator.HESSIAN, _cubes(ordered), args, argnums=(0,))
        close(ordered.to_numpy(run(*args)[0][0]), np.diag(6 * x * y), f"a Hessian by {ORDERS[order]}")
    return ", ".join(sorted(b.orders))


def _scan(b: Any) -> None:
    xp, xs = b.xp, np.array([1.0, 2.0, 3.0])
    start = b.to_var(np.array(0.5))
    last, all_of = b.scan(lambda c, x: (c * x + 1.0, c * c), start, b.to_var(xs))
    close(b.to_numpy(last), 13.0, "the last carry of c -> c x + 1")  # 1.5, 4, 13
    close(b.to_numpy(all_of), [0.25, 2.25, 16.0], "the outputs c^2")
    last, nothing = b.scan(lambda c, x: (c + x[0] * x[1], None), start, (b.to_var(xs), b.to_var(xs)))
    close(b.to_numpy(last), 14.5, "a scan over two arrays without outputs")
    if nothing is not None:
        raise Broken(f"got {type(nothing).__name__} for outputs that are all None, expected None")
    slope = b.grad(lambda c, xs: xp.sum(b.scan(lambda c, x: (c * x, None), c, xs)[0]))
    close(b.to_numpy(slope(start, b.to_var(xs))), 6.0, "the gradient through a scan")


def _while_loop(b: Any) -> None:
    x = b.to_var(np.array(1.0))
    found = b.while_loop(lambda s: s < 100.0, lambda s: s * 3.0, x, 50)
    close(b.to_numpy(found), 243.0, "tripling 1 until 100")
    close(b.to_numpy(b.while_loop(lambda s: s < 100.0, lambda s: s * 3.0, x, 2)), 9.0, "the same, twice at most")
    slope = b.grad(lambda x: b.xp.sum(b.while_loop(lambda s: s < 100.0, lambda s: s * 3.0, x, 50)))
    close(b.to_numpy(slope(x)), 243.0, "the gradient through five rounds")


def _derivative(mode: str) -> Callable[[Any], None]:
    def inside(b: Any) -> None:
        x = b.to_var(np.array([2.0, -1.0]))
        slope = b.derivative(lambda x: b.xp.sum(x * x * x), mode)
        value = b.prepare(Operator.VALUE, lambda x: b.xp.sum(slope(x)), [x], argnums=(0,))
        close(b.to_numpy(b.block(value(x))), 15.0, "the sum of the gradient of sum(x^3)")

    return inside


_RULES: Mapping[str, Optimizer] = {
    "sgd": Optimizer("sgd", 0.1),
    "momentum": Optimizer("momentum", 0.1, momentum=0.8),
    "nesterov": Optimizer("nesterov", 0.1, momentum=0.8),
    "adam": Optimizer("adam", 0.1, b1=0.8, b2=0.9, eps=1e-3),
}


def _updates(rule: Optimizer, p: Array, gradients: Sequence[Array]) -> Iterator[Array]:
    """Yield the parameters after each update, by the formulas of `vocabulary.Optimizer`."""
    v, m, s = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(gradients, 1):
        if rule.name == "adam":
            m, s = rule.b1 * m + (1 - rule.b1) * g, rule.b2 * s + (1 - rule.b2) * g * g
            p = p - rule.learning_rate * (m / (1 - rule.b1**n)) / (np.sqrt(s / (1 - rule.b2**n)) + rule.eps)
        else:
            momentum = 0.0 if rule.name == "sgd" else rule.momentum
            v = momentum * v + g
            p = p - rule.learning_rate * (g + momentum * v if rule.name == "nesterov" else v)
        yield p


def _step(b: Any) -> None:
    start, gradients = np.array([1.0, -2.0]), [np.array([0.5, 1.0]), np.array([-1.0, 0.25])]
    for rule in _RULES.values():
        given = b.to_var(start)
        params, state = (given,), None
        for g, expected in zip(gradients, _updates(rule, start, gradients), strict=True):
            params, state = b.step(rule, params, (b.to_var(g),), state)
            close(b.to_numpy(params[0]), expected, f"an update by {rule.name}")
        if not np.array_equal(b.to_numpy(given), start):
            raise Broken(f"got parameters that {rule.name} changed in place, expected new ones")


CLAUSES: tuple[Clause, ...] = (
    Clause("the attributes have the values of the contract", "see the class attributes of Backend", _attributes),
    Clause("an unknown variant is a ValueError", "leave __init__ to Backend", _unknown_variant),
    Clause("names of the array API standard", "", _namespace),
    Clause(
        "to_var and to_numpy keep shape, dtype and numbers",
        "to_var: keep array.dtype unless dtype= is given",
        _round_trip,
    ),
    Clause("integers stay integers", "indices and labels are data: do not cast them", _integers),
    Clause("to_var takes a dtype", "cast to dtype= where it is given", _dtype_given),
    Clause("to_var copies", "copy the array, as np.array(array) does and np.asarray does not", _no_alias),
    Clause("to_numpy copies", "return np.array(...) of the variable", _no_view),
    Clause("block returns its argument", "wait until it is computed, then return it", _block),
    Clause(
        "grad of a scalar function",
        "one array for an integer argnums, a tuple for a sequence, in the inputs' dtype",
        _grad,
        True,
    ),
    Clause(
        "grad can be differentiated again", "return a differentiable function, or set nestable = False", _nested, True
    ),
    Clause(
        "a function prepared at one point is right at another",
        "args of prepare give shapes and dtypes only: take the values from the call",
        _prepared_elsewhere,
        True,
    ),
    Clause(
        "the gradient of a vector is an error", "raise ValueError unless the output has the shape ()", _not_scalar, True
    ),
    Clause(
        "a missing operator raises Unsupported with a reason", "raise Unsupported('why') when preparing", _unsupported
    ),
    Clause("each order of modes in orders", "heed order_of(operator) in _native, or leave orders empty", _orders, True),
    Clause("scan", "return python_scan(self.xp, f, init, xs), or the framework's own loop", _scan, True),
    Clause(
        "while_loop",
        "leave it to Backend, take the framework's own loop, or raise Unsupported where values are not known",
        _while_loop,
        True,
    ),
    Clause(
        "a reverse derivative inside an objective", "leave it to Backend if grad nests", _derivative("reverse"), True
    ),
    Clause(
        "a forward derivative inside an objective",
        "raise Unsupported where there is none",
        _derivative("forward"),
        True,
    ),
    Clause("step: sgd, momentum, nesterov and adam", "the formulas are in vocabulary.Optimizer", _step, True),
    *OBJECTIVES,
    *REPEATED_CALLS,
)
