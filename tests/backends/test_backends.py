"""The contract of ``backends/interface.py``, tested on every installed backend and on a user's own.

``AUTODIFF_BACKEND=path/to/mine_backend.py pytest tests/backends/test_backends.py`` tests that adapter in the same way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import load
from autodiff_compare.vocabulary import STANDARD_OPERATORS, Operator
from tests.backends.test_step import opened

O = Operator  # noqa: E741
#: Specification -> relative tolerance of first and second derivatives (for differences, see their module's docstring).
EXACT = 1e-12
BACKENDS = {
    "numpy": (EXACT, EXACT),
    "torch": (EXACT, EXACT),
    "tensorflow": (EXACT, EXACT),
    "tensorflow:eager": (EXACT, EXACT),
    "jax": (EXACT, EXACT),
    "jax:eager": (EXACT, EXACT),
    "autograd": (EXACT, EXACT),
    "finite_difference": (1e-10, 1e-7),
}
if own := os.environ.get("AUTODIFF_BACKEND"):
    BACKENDS = {own: (EXACT, EXACT)}


@dataclass(frozen=True)
class Scenario:
    """A function with its Jacobian blocks (and Hessian blocks, if scalar) in NumPy."""

    name: str
    f: Callable[..., Any]  # f(xp, *args)
    args: tuple[Any, ...]
    n: int  # the number of differentiated arguments
    value: Callable[..., Any]
    jacobian: Callable[..., tuple[Any, ...]]
    hessian: Callable[..., Any] | None = None


U = (np.array([0.3, 0.7, -1.1]), np.array([1.5, 2.5]), np.array([0, 1, 1]))
V = (np.array([0.9, -0.4, 0.2]), np.array([-0.5, 0.8]), np.array([1, 0, 1]))
SELECT = np.eye(2)
SCENARIOS = (
    Scenario(
        "two_inputs_and_integer_data",
        lambda xp, a, b, k: xp.sum(xp.sin(a) * xp.take(b, k, axis=0)) + xp.sum(a * a * a),
        U,
        2,
        lambda a, b, k: np.sum(np.sin(a) * b[k]) + np.sum(a**3),
        lambda a, b, k: (np.cos(a) * b[k] + 3 * a * a, np.sin(a) @ SELECT[k]),
        lambda a, b, k: (
            (np.diag(-np.sin(a) * b[k] + 6 * a), np.cos(a)[:, None] * SELECT[k]),
            ((np.cos(a)[:, None] * SELECT[k]).T, np.zeros((2, 2))),
        ),
    ),
    Scenario(
        "scalars",
        lambda xp, x, y: x * x * y + 0.5 * y,
        (np.array(1.5), np.array(-0.4)),
        2,
        lambda x, y: x * x * y + 0.5 * y,
        lambda x, y: (2 * x * y, x * x + 0.5),
        lambda x, y: ((2 * y, 2 * x), (2 * x, np.zeros(()))),
    ),
    Scenario(
        "disconnected",
        lambda xp, x, y: xp.sum(x * x),
        (np.array([1.5, -2.0]), np.array([3.0])),
        2,
        lambda x, y: np.sum(x * x),
        lambda x, y: (2 * x, np.zeros(1)),
        lambda x, y: ((2 * np.eye(2), np.zeros((2, 1))), (np.zeros((1, 2)), np.zeros((1, 1)))),
    ),
    Scenario(
        "linear",
        lambda xp, x, w: xp.sum(x * w),
        (np.array([1.5, -2.0]), np.array([3.0, 0.25])),
        1,
        lambda x, w: np.sum(x * w),
        lambda x, w: (w,),
        lambda x, w: ((np.zeros((2, 2)),),),
    ),
    Scenario(
        "empty",
        lambda xp, x: xp.sum(x * x),
        (np.zeros((0, 2)),),
        1,
        lambda x: np.sum(x * x),
        lambda x: (np.zeros((0, 2)),),
        lambda x: ((np.zeros((0, 2, 0, 2)),),),
    ),
    Scenario(
        "tall_vector",
        lambda xp, x: xp.stack([x[0] * x[1], xp.sin(x[0]), x[1] * x[1]]),
        (np.array([0.6, -1.2]),),
        1,
        lambda x: np.array([x[0] * x[1], np.sin(x[0]), x[1] ** 2]),
        lambda x: (np.array([[x[1], x[0]], [np.cos(x[0]), 0.0], [0.0, 2 * x[1]]]),),
    ),
    Scenario(
        "matrix_product",
        lambda xp, a, b: xp.matmul(a, b),
        (np.arange(6.0).reshape(2, 3) - 2.5, np.arange(6.0).reshape(3, 2) / 7),
        2,
        lambda a, b: a @ b,
        lambda a, b: (
            np.einsum("ik,lj->ijkl", np.eye(2), b),
            np.einsum("il,jk->ijlk", a, np.eye(2)),
        ),
    ),
)


def expected(s: Scenario, operator: Operator, args, directions):
    """Return the expected result by the table of ``backends/interface.py``, from the scenario's closed forms."""
    blocks = s.jacobian(*args)
    value = np.asarray(s.value(*args))
    if operator is O.VALUE:
        return [value]
    if operator is O.JVP:
        return [sum(np.tensordot(b, t, np.ndim(t)) for b, t in zip(blocks, directions, strict=True))]
    if operator is O.VJP:
        c = directions[0]
        return [np.tensordot(c, b, np.ndim(c)) for b in blocks]
    if operator is O.HVP:
        return [
            sum(np.tensordot(b, t, np.ndim(t)) for b, t in zip(row, directions, strict=True))
            for row in s.hessian(*args)
        ]
    if operator is O.HESSIAN:
        return [b for row in s.hessian(*args) for b in row]
    return [value, *blocks] if operator is O.VALUE_AND_GRADIENT else list(blocks)


def leaves(out):
    return [x for part in out for x in leaves(part)] if isinstance(out, (tuple, list)) else [out]


def cast(array, dtype):
    return array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array


def directions_of(s: Scenario, operator: Operator, dtype):
    if operator in (O.JVP, O.HVP):
        shapes = [a.shape for a in s.args[: s.n]]
    else:
        shapes = [np.shape(s.value(*s.args))] if operator is O.VJP else []
    rng = np.random.default_rng(8)
    return [np.asarray(rng.uniform(0.5, 1.5, shape)).astype(dtype) for shape in shapes]


CASES = [
    pytest.param(s, op, id=f"{s.name}-{op}")
    for s in SCENARIOS
    for op in Operator
    if op in STANDARD_OPERATORS and (s.hessian or op in (O.VALUE, O.JVP, O.VJP, O.JACOBIAN))
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("s", "operator"), CASES)
@pytest.mark.parametrize("spec", BACKENDS)
def test_operator(spec, s, operator, dtype):
    backend = opened(spec)
    first, second = BACKENDS[spec]
    tolerance = second if operator in (O.HVP, O.HESSIAN) else first
    tolerance = max(tolerance, 3e-6) if dtype == "float32" else tolerance
    args = [cast(a, dtype) for a in s.args]
    elsewhere = [backend.to_var(a + np.asarray(0.25, a.dtype) if a.dtype.kind == "f" else a) for a in args]
    given = directions_of(s, operator, dtype)
    run = backend.prepare(
        operator,
        lambda *a: s.f(backend.xp, *a),
        elsewhere,
        argnums=range(s.n),
        directions=[backend.to_var(np.ones_like(t)) for t in given],
    )
    variables = [backend.to_var(a) for a in (*args, *given)]
    got = [backend.to_numpy(x) for x in leaves(backend.block(run(*variables)))]
    want = [np.asarray(w, dtype=float) for w in expected(s, operator, [*args], given)]
    assert [g.shape for g in got] == [w.shape for w in want]
    assert {g.dtype.name for g in got} == {dtype}
    for g, w in zip(got, want, strict=True):
        scale = max(np.max(np.abs(w), initial=0.0), np.max(np.abs(want[0]), initial=0.0))
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance * scale)
    for before, after in zip((*args, *given), variables, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(after), before)


@pytest.mark.parametrize("spec", BACKENDS)
def test_variables_are_copies(spec):
    backend, array = opened(spec), np.arange(4.0)[::-1]
    var = backend.to_var(array)
    array[0] = 9.0
    out = backend.to_numpy(var)
    np.testing.assert_array_equal(out, [3.0, 2.0, 1.0, 0.0])
    out[0] = 7.0
    np.testing.assert_array_equal(backend.to_numpy(var), [3.0, 2.0, 1.0, 0.0])


@pytest.mark.parametrize("spec", [spec for spec in BACKENDS if spec != "finite_difference"])
def test_grad_nests(spec):
    backend = opened(spec)
    third = backend.grad(backend.grad(backend.grad(lambda x: x * x * x * x)))
    assert float(backend.to_numpy(third(backend.to_var(np.array(0.5))))) == pytest.approx(12.0, rel=1e-13)


@pytest.mark.parametrize("name", ["manual", "finite_difference", "torch", "jax"])
def test_importing_an_adapter_imports_no_framework(name):
    code = (
        f"import sys, autodiff_compare.backends.{name}_backend;"
        "print([m for m in ('torch', 'jax', 'tensorflow', 'optax', 'autograd') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_variant_lists_the_choices():
    with pytest.raises(ValueError, match="expected one of: 'eager'"):
        load("jax:nosuch")


@pytest.mark.parametrize("operator", [o for o in O if o not in (O.SPARSE_JACOBIAN, O.STEP)])
def test_jax_traces_once_in_prepare_and_never_after(operator):
    backend, traces = opened("jax"), 0

    def f(x):
        nonlocal traces
        traces += 1
        return backend.xp.sum(x * x * x)

    x, t = backend.to_var(np.array([1.0, 2.0])), backend.to_var(np.array([1.0, 0.5]))
    given = {O.JVP: [t], O.HVP: [t], O.VJP: [backend.to_var(np.array(1.0))]}.get(operator, [])
    run = backend.prepare(operator, f, [x], directions=given)
    made = traces
    assert made >= 1
    run(t, *given)
    assert traces == made


def test_torch_refuses_to_return_zeros_where_recording_is_off():
    backend = opened("torch")
    import torch

    x = backend.to_var(np.array([1.0, 2.0]))
    gradient = backend.prepare(O.GRADIENT, lambda x: (x * x).sum(), [x])
    with torch.no_grad(), pytest.raises(RuntimeError, match="no_grad"):
        gradient(x)
    assert not x.requires_grad
