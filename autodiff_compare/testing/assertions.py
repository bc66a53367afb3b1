"""Assertions about the derivatives of a user's function, for tests and notebooks.

Each takes the function, the point, and the derivative: a value, or a function that computes it with any framework.
The function is called with float64 arrays. The derivative is judged by numerical differences of the function with an
error bar; above 32 inputs by our engine in extended precision, if numerical differences confirm that. What is allowed
in each entry is its rounding error in the dtype of the derivative (`autodiff_compare.judge.tolerances`).

Arguments
---------
A tuple ``x`` holds one argument of the function each; anything else is the only argument. An argument is an array, or a
container of arrays: a dictionary, list, tuple, named tuple or dataclass. A derivative is a container like ``x``.

Functions get copies. A function that writes into its argument fails the assertion, and the caller's arrays stay.

Complex numbers
---------------
Arguments may be complex, and so may be values of other functions than those of a gradient. With ``z = a + ib`` a
gradient is ``dL/da + i dL/db``, a product with the Jacobian is the derivative along the tangent, and the other product
is its adjoint in ``Re sum(conj(w) y)`` (`autodiff_compare.backends.operators.complex_numbers`). JAX returns the
conjugate of this gradient.
"""

from __future__ import annotations

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


def assert_gradients(
    f: Callable[..., Any],
    x: Any,
    gradient: Any,
    *,
    dtype: str | None = None,
    seed: int = 0,
    rtol: float | None = None,
    typical: Any = None,
) -> tuple[Comparison, ...]:
    """Assert that ``gradient`` is the gradient of ``f`` at ``x``.

    Parameters
    ----------
    f
        Function of NumPy arrays that returns a scalar. It is called with float64 arrays.
    x
        The point: one array or container of arrays, or a tuple with one for each argument of ``f``.
    gradient
        A container like ``x`` of anything that ``np.asarray`` accepts; or a function of the same arguments as ``f``
        that returns this. By complex numbers it is ``dL/da + i dL/db``.
    dtype
        The precision in which the gradient was computed, ``float64`` or ``float32``; by default its own dtype.
    seed
        Seed of the random directions, which are used above 32 input entries.
    rtol
        Relative error that is allowed in addition to rounding, such as 1e-3 for an approximation.
    typical
        Typical sizes, a container like ``x`` with a number or an array of the same shape for each array. By default
        numerical differences move each entry in proportion to its own size.

    Returns
    -------
    tuple of Comparison
        The comparisons, with errors and tolerances.

    Raises
    ------
    AssertionError
        If the gradient is wrong, or cannot be proved right because the function is not smooth at ``x`` or too noisy;
        if a function writes into its input, or gives other numbers each time.
    TypeError
        If something is not made of numbers: None, truth values, texts, masked arrays; or if the value is complex.
    ValueError
        If the function does not return a scalar.

    Examples
    --------
    >>> _ = assert_gradients(lambda x: np.sum(np.sin(x)), np.array([0.3, 1.0]), np.cos)
    >>> layer = {"w": np.array([0.3, 1.0]), "b": np.array(0.5)}
    >>> _ = assert_gradients(
    ...     lambda p: np.sum(p["w"] ** 2) * p["b"],
    ...     layer,
    ...     lambda p: {"w": 2 * p["w"] * p["b"], "b": np.sum(p["w"] ** 2)},
    ... )
    """
    __tracebackhide__ = True
    point = arguments(x)
    found = called(gradient, [point], "the gradient function") if callable(gradient) else gradient
    _scalar(f, point)
    return _judged(f, point, Operator.GRADIENT, found, (), dtype, seed, rtol, typical)


def assert_jacobian(
    f: Callable[..., Any],
    x: Any,
    jacobian: Any,
    *,
    dtype: str | None = None,
    seed: int = 0,
    rtol: float | None = None,
    typical: Any = None,
) -> tuple[Comparison, ...]:
    """Assert that ``jacobian`` is the Jacobian of ``f`` at ``x``.

    Parameters
    ----------
    f
        Function of NumPy arrays that returns an array, of shape ``out``.
    x
        The point, as in `assert_gradients`.
    jacobian
        A container like ``x`` with an array of shape ``out + shape`` for each array of ``shape`` in ``x``; or a
        function of the same arguments as ``f`` that returns this.
    dtype, seed, rtol, typical
        As in `assert_gradients`.

    Returns
    -------
    tuple of Comparison
        The comparisons, with errors and tolerances.

    Raises
    ------
    AssertionError, TypeError
        As in `assert_gradients`.

    Examples
    --------
    >>> _ = assert_jacobian(lambda x: x**2, np.array([0.3, 1.0]), lambda x: np.diag(2 * x))
    """
    __tracebackhide__ = True
    point = arguments(x)
    found = called(jacobian, [point], "the Jacobian function") if callable(jacobian) else jacobian
    return _judged(f, point, Operator.JACOBIAN, found, (), dtype, seed, rtol, typical)


def assert_hessian(
    f: Callable[..., Any],
    x: Any,
    hessian: Any,
    *,
    dtype: str | None = None,
    seed: int = 0,
    rtol: float | None = None,
    typical: Any = None,
) -> tuple[Comparison, ...]:
    """Assert that ``hessian`` is the Hessian of ``f`` at ``x``.

    Parameters
    ----------
    f
        Function of NumPy arrays that returns a scalar.
    x
        The point, as in `assert_gradients`.
    hessian
        An array of shape ``shape + shape`` for one array of ``shape``. For several, a nested tuple or container with
        the block of each pair, the first array of the pair outside. Or a function that returns this.
    dtype, seed, rtol, typical
        As in `assert_gradients`.

    Returns
    -------
    tuple of Comparison
        The comparisons, with errors and tolerances.

    Raises
    ------
    AssertionError, TypeError, ValueError
        As in `assert_gradients`.

    Examples
    --------
    >>> _ = assert_hessian(lambda x: np.sum(x**3), np.array([0.3, 1.0]), lambda x: np.diag(6 * x))
    """
    __tracebackhide__ = True
    point = arguments(x)
    found = called(hessian, [point], "the Hessian function") if callable(hessian) else hessian
    _scalar(f, point)
    return _judged(f, point, Operator.HESSIAN, found, (), dtype, seed, rtol, typical)


def assert_hvp(
    f: Callable[..., Any],
    x: Any,
    hvp: Any,
    *,
    v: Any = None,
    dtype: str | None = None,
    seed: int = 0,
    rtol: float | None = None,
    typical: Any = None,
) -> tuple[Comparison, ...]:
    """Assert that ``hvp`` is the product of the Hessian of ``f`` at ``x`` with a vector.

    Parameters
    ----------
    f
        Function of NumPy arrays that returns a scalar.
    x
        The point, as in `assert_gradients`.
    hvp
        A function of ``(x, v)``, each passed as given here; or its value, a container like ``x``, if ``v`` is given.
    v
        The vector, a container like ``x``; by default a random one.
    dtype, seed, rtol, typical
        As in `assert_gradients`.

    Returns
    -------
    tuple of Comparison
        The comparisons, with errors and tolerances.

    Raises
    ------
    AssertionError, TypeError, ValueError
        As in `assert_gradients`.

    Examples
    --------
    >>> _ = assert_hvp(lambda x: np.sum(x**3), np.array([0.3, 1.0]), lambda x, v: 6 * x * v)
    """
    __tracebackhide__ = True
    point = arguments(x)
    vector = _direction(v, point, "v", seed, needed=not callable(hvp))
    found = called(hvp, [point, vector], "the product", apart=False) if callable(hvp) else hvp
    _scalar(f, point)
    return _judged(f, point, Operator.HVP, found, vector.leaves, dtype, seed, rtol, typical)


def assert_jvp_vjp(
    f: Callable[..., Any],
    x: Any,
    jvp: Any = None,
    vjp: Any = None,
    *,
    v: Any = None,
    w: Any = None,
    dtype: str | None = None,
    seed: int = 0,
    rtol: float | None = None,
    typical: Any = None,
) -> tuple[Comparison, ...]:
    """Assert that ``jvp`` and ``vjp`` are products of the Jacobian of ``f`` at ``x``; one of them may be left out.

    Parameters
    ----------
    f
        Function of NumPy arrays that returns an array.
    x
        The point, as in `assert_gradients`.
    jvp
        A function of ``(x, v)`` that returns the derivative of ``f`` along ``v``, or its value if ``v`` is given.
    vjp
        A function of ``(x, w)`` that returns the gradient of ``sum(w * f(x))``, or its value if ``w`` is given.
    v, w
        The tangent, a container like ``x``, and the cotangent, an array like the output; by default random ones.
    dtype, seed, rtol, typical
        As in `assert_gradients`.

    Returns
    -------
    tuple of Comparison
        The comparisons, with errors and tolerances.

    Raises
    ------
    AssertionError, TypeError
        As in `assert_gradients`.
    ValueError
        If neither product is given.

    Examples
    --------
    >>> _ = assert_jvp_vjp(np.sin, np.array([0.3, 1.0]), lambda x, v: np.cos(x) * v, lambda x, w: np.cos(x) * w)
    """
    __tracebackhide__ = True
    if jvp is None and vjp is None:
        raise ValueError("got no product, expected jvp, vjp or both")
    point = arguments(x)
    seen: tuple[Comparison, ...] = ()
    if jvp is not None:
        tangent = _direction(v, point, "v", seed, needed=not callable(jvp))
        found = called(jvp, [point, tangent], "the JVP function", apart=False) if callable(jvp) else jvp
        seen += _judged(f, point, Operator.JVP, found, tangent.leaves, dtype, seed, rtol, typical)
    if vjp is not None:
        output = arguments((numbers(called(f, [_doubles(point)], "f"), "a result of f", also_complex=True),), "f(x)")
        cotangent = _direction(w if w is None else (w,), output, "w", seed, needed=not callable(vjp))
        found = called(vjp, [point, cotangent], "the VJP function", apart=False) if callable(vjp) else vjp
        seen += _judged(f, point, Operator.VJP, found, cotangent.leaves, dtype, seed, rtol, typical)
    return seen


def _doubles(point: Arrays) -> Arrays:
    """Return the point in double precision.

    Raises
    ------
    TypeError
        If it is not made of numbers.
    """
    __tracebackhide__ = True
    leaves = [numbers(x, name, also_complex=True) for name, x in zip(point.names, point.leaves, strict=True)]
    return Arrays(point.names, tuple(leaf.astype(widest(leaf)) for leaf in leaves), point.refill)


def _scalar(f: Callable[..., Any], point: Arrays) -> None:
    __tracebackhide__ = True
    output = numbers(called(f, [_doubles(point)], "f"), "a result of f")
    if output.shape != ():
        raise ValueError(f"got an output of shape {output.shape}, expected a scalar: check a component or a projection")


def _direction(given: Any, like: Arrays, name: str, seed: int, *, needed: bool) -> Arrays:
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


def _judged(
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
    value = numbers(called(f, [_doubles(point)], "f"), "a result of f", also_complex=True)
    with_complex = any(map(np.iscomplexobj, (value, *_doubles(point).leaves)))
    if with_complex and operator == Operator.HESSIAN:
        raise TypeError(
            "got complex numbers, expected real ones: their Hessian is no array of complex numbers; use assert_hvp, or"
            " write the function in real and imaginary parts"
        )
    parts = _parts(found, point, operator)
    leaves = tuple(_floats(numbers(leaf, f"a {operator}", also_complex=with_complex)) for leaf in parts)
    dtype = dtype or precision(leaves)
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
    inputs = Inputs(_doubles(point).leaves)
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
