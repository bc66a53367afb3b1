"""The array object of each backend: operators, members and indexing of the array API standard, eager and traced.

Values are compared with those of NumPy for the same expression. The gradient is taken of one sum of all smooth rows. It
is a polynomial of degree two in each input, so that central differences of its NumPy values are exact but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import load, missing
from autodiff_compare.vocabulary import Operator

A = np.array([[2.0, -1.0, 0.5], [0.25, 3.0, 1.0], [1.0, 0.5, -2.0]])
V = np.array([1.0, -2.0, 0.5])
T = np.arange(12.0).reshape(2, 3, 2) / 7 - 0.8
I = np.array([2, 0])  # noqa: E741
J = np.array([[1, -1], [0, 1]])

Call = Callable[[Any, Any, Any, Any, Any, Any], Any]
#: Expressions in A (3x3), v (3), t (2x3x2), i and j (integers), with derivatives.
SMOOTH: dict[str, Call] = {
    "A @ v": lambda xp, a, v, t, i, j: a @ v,
    "v @ A": lambda xp, a, v, t, i, j: v @ a,
    "v @ v": lambda xp, a, v, t, i, j: v @ v,
    "t @ A": lambda xp, a, v, t, i, j: t.mT @ a,
    "A.T": lambda xp, a, v, t, i, j: a.T * v,
    "A.size": lambda xp, a, v, t, i, j: v * a.size,
    "A.ndim": lambda xp, a, v, t, i, j: v * a.ndim,
    "A.shape": lambda xp, a, v, t, i, j: xp.reshape(t, t.shape[1:] + t.shape[:1]),
    "+v": lambda xp, a, v, t, i, j: +v - -v,
    "1j * v": lambda xp, a, v, t, i, j: xp.imag(1j * v) + xp.real(v * (2 + 1j)),
    "v[i]": lambda xp, a, v, t, i, j: v[i],
    "v[j]": lambda xp, a, v, t, i, j: v[j],
    "A[i]": lambda xp, a, v, t, i, j: a[i],
    "A[i, i]": lambda xp, a, v, t, i, j: a[i, i],
    "A[j, i]": lambda xp, a, v, t, i, j: a[j, i],
    "A[:, i]": lambda xp, a, v, t, i, j: a[:, i],
    "A[1, i]": lambda xp, a, v, t, i, j: a[1, i],
    "A[i, -1]": lambda xp, a, v, t, i, j: a[i, -1],
    "A[..., i]": lambda xp, a, v, t, i, j: a[..., i],
    "A[i][None]": lambda xp, a, v, t, i, j: a[None, i],
    "t[:, i, 0]": lambda xp, a, v, t, i, j: t[:, i, 0],
    "t[:, j, :]": lambda xp, a, v, t, i, j: t[:, j, :],
    "t[0, i, 1:]": lambda xp, a, v, t, i, j: t[0, i, 1:],
    "t[1, :, j]": lambda xp, a, v, t, i, j: t[1, :, j],
    "t[j[1], :, 0]": lambda xp, a, v, t, i, j: t[j[1], :, 0],
    "rows": lambda xp, a, v, t, i, j: xp.stack([row * k for k, row in enumerate(a)]),
    "v[argmax]": lambda xp, a, v, t, i, j: v[xp.argmax(v)] * v,
    "integer * v": lambda xp, a, v, t, i, j: xp.arange(3) * v + i[0],
    "squeeze": lambda xp, a, v, t, i, j: xp.squeeze(t[:, :1, :1], axis=(1, -1)),
}
#: Others: integers, truths, dtypes, masks.
ROUGH: dict[str, Call] = {
    "i << 1": lambda xp, a, v, t, i, j: (i << 1) + (i >> 1),
    "~i & 3": lambda xp, a, v, t, i, j: (~i & 3) | (i ^ 1),
    "v > 0": lambda xp, a, v, t, i, j: (v > 0) & ~(v >= 1),
    "A[mask]": lambda xp, a, v, t, i, j: a[a > 0.4],
    "A[mask of rows]": lambda xp, a, v, t, i, j: a[v > 0.0],
    "A[mask, 0]": lambda xp, a, v, t, i, j: a[v > 0.0, 0],
    "A[truth]": lambda xp, a, v, t, i, j: a[v[0] > 0.0],
    "float32 + float64": lambda xp, a, v, t, i, j: xp.astype(v, xp.float32) + v,
    "int32 + int64": lambda xp, a, v, t, i, j: xp.astype(i, xp.int32) + i,
    "float32 complex": lambda xp, a, v, t, i, j: xp.astype(v, xp.float32) * 1j,
    "full of a number": lambda xp, a, v, t, i, j: xp.full((2,), 0.1, dtype=xp.float64) + xp.full_like(v[:2], 0.3),
    "concat of dtypes": lambda xp, a, v, t, i, j: xp.concat([xp.astype(v, xp.float32), v]),
    "maximum of dtypes": lambda xp, a, v, t, i, j: xp.maximum(xp.astype(v, xp.float32), v),
    "where of dtypes": lambda xp, a, v, t, i, j: xp.where(v > 0, xp.astype(v, xp.float32), v),
    "matmul of dtypes": lambda xp, a, v, t, i, j: xp.astype(a, xp.float32) @ v,
}
#: Backend -> row -> why it differs; an entry that has come to agree fails.
LACKS: dict[str, dict[str, str]] = {
    "torch": {
        "A.size": "torch's size is a method: math.prod(x.shape)",
        "t[1, :, j]": "torch keeps the place of indices that a slice divides: xp.take",
        "matmul of dtypes": "torch's @ does not promote dtypes: xp.astype",
    },
}
SPECS = ("numpy", "torch", "tensorflow", "jax")


def opened(spec: str) -> Any:
    backend = load(spec)
    if missing(backend) and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing(backend))}")
    backend.open()
    return backend


@pytest.fixture(scope="module", params=SPECS)
def backend(request: pytest.FixtureRequest) -> Any:
    return opened(request.param)


@pytest.mark.parametrize("name", [*SMOOTH, *ROUGH])
def test_an_expression_has_the_value_and_dtype_of_numpy(
    request: pytest.FixtureRequest, backend: Any, name: str
) -> None:
    reason = LACKS.get(backend.name, {}).get(name)
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    call = {**SMOOTH, **ROUGH}[name]
    wanted = np.asarray(call(np, A, V, T, I, J))
    got = backend.to_numpy(call(backend.xp, *map(backend.to_var, (A, V, T, I, J))))
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, rtol=1e-6 if wanted.dtype.name in ("float32", "complex64") else 1e-14)


def total(xp: Any, args: Sequence[Any], without: Collection[str]) -> Any:
    """Return the sum of all entries of the smooth rows, each with a weight of its own."""
    rows = [call(xp, *args) for name, call in SMOOTH.items() if name not in without]
    return sum(xp.sum(row) * (k + 1) for k, row in enumerate(rows))


@pytest.mark.parametrize("spec", ["numpy", "numpy:compiled", "torch", "tensorflow", "tensorflow:eager", "jax"])
def test_the_same_inside_traced_functions(spec: str) -> None:
    backend, inputs = opened(spec), [A, V, T]
    without = LACKS.get(backend.name, {})
    slopes = []
    for k, x in enumerate(inputs):
        slope = np.zeros(x.shape)
        for at in np.ndindex(x.shape):
            ends = []
            for h in (2.0**-7, -(2.0**-7)):
                moved = [np.array(y) for y in inputs]
                moved[k][at] += h
                ends.append(float(total(np, [*moved, I, J], without)))
            slope[at] = (ends[0] - ends[1]) * 2.0**6
        slopes.append(slope)
    args = [backend.to_var(a) for a in (A, V, T, I, J)]
    run = backend.prepare(
        Operator.VALUE_AND_GRADIENT, lambda *args: total(backend.xp, args, without), args, argnums=(0, 1, 2)
    )
    value, gradients = run(*args)
    assert float(backend.to_numpy(value)) == pytest.approx(float(total(np, [A, V, T, I, J], without)), rel=1e-13)
    for got, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(backend.to_numpy(got), slope, atol=1e-9)


def test_the_members_of_an_array(backend: Any) -> None:
    a = backend.to_var(A)
    assert (tuple(a.shape), a.ndim, a.T.shape[0]) == ((3, 3), 2, 3)
    assert isinstance(a.shape, tuple)
    assert len(a) == 3
    assert (float(a[0, 1]), int(a[0, 0]), bool(a[0, 0] > 1)) == (-1.0, 2, True)
    assert range(3)[backend.to_var(np.array(1))] == 1
    with pytest.raises((IndexError, ValueError)):
        backend.xp.squeeze(a, axis=0)


def test_an_array_of_tensorflow_is_one_for_tensorflow_and_numpy() -> None:
    import tensorflow as tf

    a, v = opened("tensorflow").to_var(A), opened("tensorflow").to_var(V)
    np.testing.assert_array_equal(tf.reduce_sum(a, axis=0).numpy(), A.sum(axis=0))
    np.testing.assert_array_equal((A * v).numpy(), A * V)
    np.testing.assert_array_equal((np.float64(2.0) * v).numpy(), 2 * V)
    np.testing.assert_array_equal(np.asarray(v), V)
    assert a.__array_namespace__() is opened("tensorflow").xp
    with pytest.raises(TypeError, match="a tensor is immutable: build the array with"):
        v[0] = 1.0
    with pytest.raises(IndexError, match="got an index of dtype float64, expected integers"):
        a[v]
    with pytest.raises(IndexError, match="got 3 indices for an array of 2 dimensions"):
        a[0, 0, 0]
