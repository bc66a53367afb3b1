"""Products of matrices and tensors.

For ``Y = A B`` the product rule ``dY = dA B + A dB`` has the transposes ``G B^T`` for A and ``A^T G`` for B.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import add_cotangent
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SPREADS
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array


def _t(x: Any) -> Any:
    return x.T if len(x.shape) == 2 else np.swapaxes(x, -1, -2)


def _product(a: Any, b: Any) -> Any:
    """Compute ``a @ b`` of matrices; the method is twice as fast as the operator on small ones."""
    return a.dot(b) if a.__class__ is b.__class__ is np.ndarray else np.matmul(a, b)


def _matmul_x(g: Any, _ans: Any, x: Any, y: Any) -> Any:
    if len(x.shape) == 2 == len(y.shape):
        return _product(g, y.T)
    if len(y.shape) == 1:
        return g[..., None] * y if len(x.shape) > 1 else g * y
    if len(x.shape) == 1:
        g = g[..., None, :]
        return np.matmul(g, _t(y))[..., 0, :]
    return np.matmul(g, _t(y))


def _matmul_y(g: Any, _ans: Any, x: Any, y: Any) -> Any:
    if len(x.shape) == 2 == len(y.shape):
        return _product(x.T, g)
    if len(x.shape) == 1:
        return x[:, None] * g[..., None, :] if len(y.shape) > 1 else g * x
    if len(y.shape) == 1:
        g = g[..., None]
        return np.matmul(_t(x), g)[..., 0]
    return np.matmul(_t(x), g)


def _matmul(x: Any, y: Any) -> Any:
    return x.dot(y) if len(x.shape) == 2 == len(y.shape) else np.matmul(x, y)


MATMUL: Primitive = Primitive(
    "matmul",
    _matmul,
    (_matmul_x, _matmul_y),
    (lambda t, ans, x, y: MATMUL(t, y), lambda t, ans, x, y: MATMUL(x, t)),
    selects=SPREADS,
)


def _pull_matmul(node: Any, g: Any) -> None:
    """Send the cotangent of a product to both arguments at once."""
    x, y = node.args
    a, b = x.primal, y.primal
    if g.__class__ is float:
        g = spread(g, node.primal)
    if g.__class__ is a.__class__ is b.__class__ is np.ndarray and a.ndim == 2 == b.ndim:
        _send_fitting(x, g.dot(b.T), a)
        _send_fitting(y, a.T.dot(g), b)
    else:
        add_cotangent(x, _matmul_x(g, None, a, b), a)
        add_cotangent(y, _matmul_y(g, None, a, b), b)


def _send_fitting(x: Any, d: Any, value: Any) -> None:
    """Add a cotangent that has the shape of its argument."""
    if x.flow is None and d.dtype is value.dtype:
        x.flow = d
    else:
        add_cotangent(x, d, value)


MATMUL.specialise((0, 1), _pull_matmul)
MATMUL_CALL = MATMUL.call((0, 1))


def dot(a: Any, b: Any) -> Any:
    """Compute `numpy.dot`."""
    a, b = as_array(a), as_array(b)
    if not a.shape or not b.shape:
        return np.multiply(a, b)
    if len(b.shape) <= 2 and (len(a.shape) <= 2):
        return MATMUL(a, b)
    return np.tensordot(a, b, axes=((-1,), (-2 if len(b.shape) > 1 else -1,)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Compute `numpy.tensordot`, by one matrix product."""
    a, b = as_array(a), as_array(b)
    if isinstance(axes, int):
        first, second = list(range(len(a.shape) - axes, len(a.shape))), list(range(axes))
    else:
        first, second = [list(np.atleast_1d(s)) for s in axes]
    first, second = [i % len(a.shape) for i in first], [i % len(b.shape) for i in second]
    if [a.shape[i] for i in first] != [b.shape[i] for i in second]:
        raise ValueError(f"got shapes {a.shape} and {b.shape}, expected equal lengths along axes {first} and {second}")
    rows = [i for i in range(len(a.shape)) if i not in first]
    columns = [i for i in range(len(b.shape)) if i not in second]
    inner = int(np.prod([a.shape[i] for i in first], dtype=int))
    left = [a.shape[i] for i in rows]
    right = [b.shape[i] for i in columns]
    x = np.reshape(np.transpose(a, rows + first), (int(np.prod(left, dtype=int)), inner))
    y = np.reshape(np.transpose(b, second + columns), (inner, int(np.prod(right, dtype=int))))
    return np.reshape(MATMUL(x, y), (*left, *right))


def outer(a: Any, b: Any) -> Any:
    """Compute `numpy.outer`."""
    return np.ravel(a)[:, None] * np.ravel(b)[None, :]


def inner(a: Any, b: Any) -> Any:
    """Compute `numpy.inner`."""
    if not np.shape(a) or not np.shape(b):
        return np.multiply(a, b)
    return tensordot(a, b, axes=((-1,), (-1,)))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Compute `numpy.vecdot`: the first argument is conjugated."""
    return np.sum(np.conj(x1) * x2, axis=axis)


HANDLERS: dict[Any, Any] = {
    np.dot: dot,
    np.tensordot: tensordot,
    np.outer: outer,
    np.inner: inner,
    np.vdot: lambda a, b: np.sum(np.conj(np.ravel(a)) * np.ravel(b)),
    np.linalg.tensordot: lambda x1, x2, /, *, axes=2: tensordot(x1, x2, axes),
    np.linalg.outer: outer,
    np.linalg.vecdot: vecdot,
    np.linalg.matmul: MATMUL,
}
UFUNCS: dict[Any, Any] = {
    np.matmul: MATMUL,
    np.vecdot: vecdot,
    np.matvec: lambda x1, x2: np.matmul(x1, x2[..., None])[..., 0],
    np.vecmat: lambda x1, x2: np.matmul(np.conj(x1)[..., None, :], x2)[..., 0, :],
}
