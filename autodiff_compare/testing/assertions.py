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

from collections.abc import Callable
from typing import Any

from autodiff_compare.judge.judge import Comparison
from autodiff_compare.testing.containers import arguments
from autodiff_compare.testing.judgement import asked, direction, doubles, judged, require_scalar
from autodiff_compare.testing.numbers import called, numbers
from autodiff_compare.vocabulary import Operator


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
        If the function does not return a scalar, the point is not finite, or ``rtol`` or ``seed`` is negative.

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
    point = asked(f, x, seed, rtol)
    found = called(gradient, [point], "the gradient function") if callable(gradient) else gradient
    require_scalar(f, point)
    return judged(f, point, Operator.GRADIENT, found, (), dtype, seed, rtol, typical)


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
    point = asked(f, x, seed, rtol)
    found = called(jacobian, [point], "the Jacobian function") if callable(jacobian) else jacobian
    return judged(f, point, Operator.JACOBIAN, found, (), dtype, seed, rtol, typical)


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
    point = asked(f, x, seed, rtol)
    found = called(hessian, [point], "the Hessian function") if callable(hessian) else hessian
    require_scalar(f, point)
    return judged(f, point, Operator.HESSIAN, found, (), dtype, seed, rtol, typical)


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
    point = asked(f, x, seed, rtol)
    vector = direction(v, point, "v", seed, needed=not callable(hvp))
    found = called(hvp, [point, vector], "the product", apart=False) if callable(hvp) else hvp
    require_scalar(f, point)
    return judged(f, point, Operator.HVP, found, vector.leaves, dtype, seed, rtol, typical)


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
    point = asked(f, x, seed, rtol)
    seen: tuple[Comparison, ...] = ()
    if jvp is not None:
        tangent = direction(v, point, "v", seed, needed=not callable(jvp))
        found = called(jvp, [point, tangent], "the JVP function", apart=False) if callable(jvp) else jvp
        seen += judged(f, point, Operator.JVP, found, tangent.leaves, dtype, seed, rtol, typical)
    if vjp is not None:
        output = arguments((numbers(called(f, [doubles(point)], "f"), "a result of f", also_complex=True),), "f(x)")
        cotangent = direction(w if w is None else (w,), output, "w", seed, needed=not callable(vjp))
        found = called(vjp, [point, cotangent], "the VJP function", apart=False) if callable(vjp) else vjp
        seen += judged(f, point, Operator.VJP, found, cotangent.leaves, dtype, seed, rtol, typical)
    return seen
