"""What the tests of the compiled mode share: a point, arguments of each operator, and the engine's own result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff import grad, hvp, jvp, vjp

Function = Callable[..., Any]
POINT = np.array([0.7, -1.3, 0.4, 2.1, -0.6, 1.2])


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def arguments_of(f: Function, operator: str, x: np.ndarray) -> tuple[Any, ...]:
    direction = 1.5 + np.cos(np.arange(x.size, dtype=x.dtype)).reshape(x.shape).astype(x.dtype)
    if operator in ("jvp", "hvp"):
        return x, direction
    return (x, x.dtype.type(0.7)) if operator == "vjp" else (x,)


def eager(f: Function, operator: str, given: tuple[Any, ...]) -> Any:
    direct: dict[str, Function] = {
        "value": f,
        "gradient": grad(f),
        "value_and_gradient": lambda x: (f(x), grad(f)(x)),
        "jvp": lambda x, t: jvp(f, (x,), (t,))[1],
        "vjp": lambda x, g: vjp(f, x)[1](g)[0],
        "hvp": lambda x, t: hvp(f, (x,), (t,))[0],
    }
    return direct[operator](*given)


def assert_equal(got: Any, expected: Any, rounding: float = 64.0) -> None:
    """Equal within ``rounding`` units of the largest entry; nan, inf, dtype and shape alike."""
    if isinstance(expected, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            assert_equal(a, b, rounding)
        return
    assert np.shape(got) == np.shape(expected)
    # Compiled code computes in the machine's byte order; the eager engine keeps that of the input.
    assert got.dtype == expected.dtype.newbyteorder("=")
    finite = np.abs(np.asarray(expected)[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(got, expected, rtol=0, atol=rounding * np.finfo(expected.dtype).eps * scale)


def tree(x: Any) -> Any:
    return tuple(map(tree, x)) if isinstance(x, tuple) else np.asarray(x)
