"""The judgement of a derivative that a test asserts: its case, its directions, and the failure if it is not right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.judge import complex_numbers
from autodiff_compare.judge.differences import FEW
from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, rounded
from autodiff_compare.problems import Array, Inputs, Problem, typical_sizes
from autodiff_compare.testing.containers import Arrays, arguments, leaves_of
from autodiff_compare.testing.failure import PROVED, failure
from autodiff_compare.testing.numbers import called, numbers, precision, widest
from autodiff_compare.vocabulary import COMPLEX, DTYPES, Operator, Status, Verdict


def asked(f: Any, x: Any, seed: Any, rtol: Any) -> Arrays:
    """Return the arrays of the arguments of an assertion, if it can be made.

    Raises
    ------
    TypeError
        If ``f`` is no function, or a number is none.
    ValueError
        If a number is out of its range.
    """
    __tracebackhide__ = True
    if not callable(f):
        raise TypeError(f"got {type(f).__name__} as f, expected a function of NumPy arrays")
    if rtol is not None and not (isinstance(rtol, (int, float, np.integer, np.floating)) and 0 <= rtol < math.inf):
        raise ValueError(f"got rtol={rtol!r}, expected a relative error such as 1e-3")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"got seed={seed!r}, expected a whole number from 0")
    point = arguments(x)
    for name, leaf in zip(point.names, doubles(point).leaves, strict=True):
        if not np.isfinite(leaf).all():
            raise ValueError(f"got nan or infinity in {name}, expected the finite numbers at which to differentiate")
    return point


def doubles(point: Arrays) -> Arrays:
    """Return the point in double precision.

    Raises
    ------
    TypeError
        If it is not made of numbers.
    """
    __tracebackhide__ = True
    leaves = [numbers(x, name, also_complex=True) for name, x in zip(point.names, point.leaves, strict=True)]
    return Arrays(point.names, tuple(leaf.astype(widest(leaf)) for leaf in leaves), point.refill)


def require_scalar(f: Callable[..., Any], point: Arrays) -> None:
    """Raise unless a function returns one real number."""
    __tracebackhide__ = True
    output = numbers(called(f, [doubles(point)], "f"), "a result of f")
    if output.shape != ():
        raise ValueError(f"got an output of shape {output.shape}, expected a scalar: check a component or a projection")


def direction(given: Any, like: Arrays, name: str, seed: int, *, needed: bool) -> Arrays:
    """Return a direction: the given one, or one with entries sign * U(0.5, 1.5)."""
    __tracebackhide__ = True
    if given is None and needed:
        raise ValueError(f"got the value of a product without its vector, expected {name}=")
    shapes = [np.shape(leaf) for leaf in like.leaves]
    wide = [widest(np.asarray(leaf)) for leaf in like.leaves]
    if given is None:
        leaves = list(_drawn(np.random.default_rng(seed), shapes, wide))
    else:
        parts = leaves_of(given, _labels(like), name)
        of_complex = [dtype.kind == "c" for dtype in wide] if len(parts) == len(wide) else [False] * len(parts)
        leaves = [numbers(p, name, also_complex=c).astype(np.complex128 if c else np.float64)
                  for p, c in zip(parts, of_complex, strict=True)]  # fmt: skip
        if [leaf.shape for leaf in leaves] != shapes:
            got = ", ".join(str(leaf.shape) for leaf in leaves)
            raise ValueError(f"got {name} of shape {got}, expected {', '.join(map(str, shapes))}")
    dtypes = [getattr(leaf, "dtype", w) for leaf, w in zip(like.leaves, wide, strict=True)]
    kept = [leaf.astype(t if t.kind in "fc" else w) for leaf, t, w in zip(leaves, dtypes, wide, strict=True)]
    return Arrays(tuple(n.replace("x", name, 1) for n in like.names), tuple(kept), like.refill)


def _drawn(rng: np.random.Generator, shapes: Sequence[Any], dtypes: Sequence[Any]) -> Iterator[Array]:
    """Yield numbers ``sign * U(0.5, 1.5)``, of which complex ones have two."""

    def parts(shape: Any) -> Array:
        return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape))

    for shape, dtype in zip(shapes, dtypes, strict=True):
        yield parts(shape) + 1j * parts(shape) if dtype.kind == "c" else parts(shape)


def _labels(point: Arrays) -> list[str]:
    """Return the text that selects each array of the arguments, without their name."""
    return [name[1:] for name in point.names]


def _parts(found: Any, point: Arrays, operator: Operator) -> tuple[Any, ...]:
    """Return the arrays of a derivative in the order of the arguments, of which a Hessian has one for each pair."""
    if operator == Operator.JVP:
        return leaves_of(found)
    labels = _labels(point)
    if operator == Operator.HESSIAN:
        labels = [a + b for a in labels for b in labels]
    return leaves_of(found, labels, f"a {operator}")


def _floats(array: Array) -> Array:
    """Return whole numbers, which a gradient may be, as floats."""
    return array.astype(np.float64) if array.dtype.kind in "iu" else array


def judged(
    f: Callable[..., Any],
    point: Arrays,
    operator: Operator,
    found: Any,
    directions: Sequence[Array],
    dtype: str | None,
    seed: int,
    rtol: float | None,
    typical: Any,
) -> tuple[Comparison, ...]:
    """Judge a derivative; raise if it is not proved right."""
    __tracebackhide__ = True
    value = numbers(called(f, [doubles(point)], "f"), "a result of f", also_complex=True)
    with_complex = any(map(np.iscomplexobj, (value, *doubles(point).leaves)))
    if with_complex and operator == Operator.HESSIAN:
        raise TypeError(
            "got complex numbers, expected real ones: their Hessian is no array of complex numbers; use assert_hvp, or"
            " write the function in real and imaginary parts"
        )
    parts = _parts(found, point, operator)
    leaves = tuple(_floats(numbers(leaf, f"a {operator}", also_complex=with_complex)) for leaf in parts)
    dtype = precision(leaves) if dtype is None else dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if dtype not in DTYPES:
        raise AssertionError(f"got a {operator} of dtype {dtype}, expected one of {', '.join(DTYPES)}")
    case = _case(f, point, operator, directions, dtype, seed, rtol, typical)
    if with_complex:
        case = replace(case, problem=replace(case.problem, operators=COMPLEX, complex_numbers=True))
        # A complex number may be real.
        wanted = map(np.dtype, complex_numbers.dtypes(case))
        leaves = tuple(x.astype(t) if t.kind == "c" else x for x, t in zip(leaves, wanted, strict=False))
    few = sum(x.size for x in case.inputs.differentiated) <= FEW
    comparisons = Judge(case, NUMERICAL if few else None)(leaves)
    status, why = overall(comparisons)
    if status != Status.OK and not _close_enough(comparisons, rtol):
        raise AssertionError(failure(operator, point, comparisons, why))
    return comparisons


def _case(
    f: Callable[..., Any],
    point: Arrays,
    operator: Operator,
    directions: Sequence[Array],
    dtype: str,
    seed: int,
    rtol: float | None,
    typical: Any,
) -> Case:
    """Return the case of a derivative of a user's function at the given point."""
    inputs = Inputs(doubles(point).leaves)
    sizes = None if typical is None else leaves_of(typical, _labels(point), "typical")
    problem = Problem(
        name="f",
        title="a function under test",
        source="",
        sizes={"small": 1},
        inputs=lambda *_: inputs,
        objective=lambda *args, xp: f(*point.refill(args)),  # noqa: ARG005 - f computes in NumPy
        typical=typical_sizes(sizes, point.names, inputs.differentiated, "the assertion"),
        tolerance=None if rtol is None else rtol / float(np.finfo(dtype).eps),
    )
    given = rounded(Inputs(tuple(directions)), dtype).differentiated
    return Case(problem, "small", dtype, operator, seed, rounded(inputs, dtype), given, DEFAULT_OPTIMIZER)


def _close_enough(comparisons: Sequence[Comparison], rtol: float | None) -> bool:
    """Return whether all errors, and the error bars of their references, are below a tolerance that the user gave."""
    if rtol is None:
        return False
    return all(
        c.verdict in PROVED
        or (c.verdict == Verdict.INCONCLUSIVE and c.norm_rel_error <= rtol and c.reference_error_bound <= rtol)
        for c in comparisons
    )
