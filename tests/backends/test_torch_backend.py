"""PyTorch's fallbacks for missing rules, and every derivative of the functions that problems are made of."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Unsupported, load
from autodiff_compare.vocabulary import STANDARD_OPERATORS, Operator
from tests.backends.test_step import opened

O = Operator  # noqa: E741
RNG = np.random.default_rng(5)
A = RNG.normal(size=(3, 3))
S = A @ A.T + 3 * np.eye(3)
B = RNG.normal(size=(3, 2))
V = np.array([0.3, -1.2, 0.8, 2.1])


def symmetric(xp, a):
    return (a + xp.permute_dims(a, (1, 0))) / 2


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "eigvalsh": (lambda xp, a: xp.linalg.eigvalsh(symmetric(xp, a)), (S,)),
    "eigh_values": (lambda xp, a: xp.linalg.eigh(symmetric(xp, a))[0], (S,)),
    "eigh_projectors": (lambda xp, a: xp.linalg.eigh(symmetric(xp, a))[1] ** 2, (S,)),
    "det": (lambda xp, a: xp.linalg.det(a), (A,)),
    "inv": (lambda xp, a: xp.linalg.inv(a), (A,)),
    "solve": (lambda xp, a, b: xp.linalg.solve(a, b), (A, B)),
    "cholesky": (lambda xp, a: xp.linalg.cholesky(symmetric(xp, a)), (S,)),
    "svdvals": (lambda xp, a: xp.linalg.svdvals(a), (B,)),
    "vector_norm": (lambda xp, a: xp.linalg.vector_norm(a), (V,)),
    "matrix_norm": (lambda xp, a: xp.linalg.matrix_norm(a), (A,)),
    "cumulative_sum": (lambda xp, a: xp.cumulative_sum(a * a), (V,)),
    "cumulative_prod": (lambda xp, a: xp.cumulative_prod(a), (V,)),
    "where": (lambda xp, a: xp.where(a > 0, a * a, xp.sin(a)), (V,)),
    "max": (lambda xp, a: xp.max(a * a, axis=0), (B,)),
    "min": (lambda xp, a: xp.min(a * a), (V,)),
    "maximum": (lambda xp, a, b: xp.maximum(a * a, b * a), (A, S)),
    "clip": (lambda xp, a: xp.clip(a, -1, 1) ** 2, (V,)),
    "take_repeated": (lambda xp, a: xp.take(a * a, xp.asarray([2, 0, 0, 1]), axis=0), (V,)),
    "take_tall": (lambda xp, a: xp.take(a * a, xp.asarray([1, 0, 0]), axis=1), (B,)),
    "index": (lambda xp, a: a[1, :] * a[:, 0], (A,)),
    "mask": (lambda xp, a: (a * a)[a > 0], (V,)),
    "sort": (lambda xp, a: xp.sort(a * a), (V,)),
    "prod": (lambda xp, a: xp.prod(a, axis=0), (B,)),
    "std": (lambda xp, a: xp.std(a, axis=0), (B,)),
    "outer": (lambda xp, a: xp.linalg.outer(a, a), (V,)),
}
#: Central differences of fourth order in float64: relative errors of 3e-13 and 4e-11 in theory, amplified by the
#: conditioning of these functions (up to 1e3); float32: 1.2e-7 amplified likewise.
TOLERANCE = {"float64": {False: 1e-9, True: 1e-6}, "float32": {False: 1e-3, True: 1e-3}}
OPERATORS = sorted(STANDARD_OPERATORS - {O.VALUE, O.VALUE_AND_GRADIENT})


def leaves(out):
    return [x for part in out for x in leaves(part)] if isinstance(out, (tuple, list)) else [out]


def function_of(name: str, operator: Operator, xp: Any) -> Callable[..., Any]:
    f = FUNCTIONS[name][0]
    if operator in (O.GRADIENT, O.HVP, O.HESSIAN):
        return lambda *a: xp.sum(f(xp, *a) ** 2 + f(xp, *a))
    return lambda *a: f(xp, *a)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_agree_with_differences(name, operator, dtype):
    torch, differences = opened("torch"), opened("finite_difference")
    args = [a.astype(dtype) for a in FUNCTIONS[name][1]]
    shapes = [a.shape for a in args] if operator in (O.JVP, O.HVP) else []
    if operator is O.VJP:
        shapes = [np.shape(function_of(name, operator, np)(*args))]
    rng = np.random.default_rng(1)
    given = [*args, *(np.asarray(rng.normal(size=s)).astype(dtype) for s in shapes)]
    which = range(len(args))

    def run(backend, arrays):
        variables = [backend.to_var(a) for a in arrays]
        f = function_of(name, operator, backend.xp)
        parts = variables[: len(args)], variables[len(args) :]
        call = backend.prepare(operator, f, parts[0], argnums=which, directions=parts[1])
        return [backend.to_numpy(x) for x in leaves(call(*variables))]

    got, want = run(torch, given), run(differences, [a.astype(float) for a in given])
    scale = max(np.abs(w).max() for w in want)
    for g, w in zip(got, want, strict=True):
        assert (g.dtype, g.shape) == (dtype, w.shape)
        tolerance = TOLERANCE[dtype][operator in (O.HVP, O.HESSIAN)]
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance * scale)


def cube(torch, *, once: bool):
    """x^3 as a user's own function: with a backward rule, without forward and batching rules."""

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return torch.from_numpy(3 * x.numpy() ** 2 * g.numpy()) if once else 3 * x * x * g

    if once:
        Cube.backward = staticmethod(torch.autograd.function.once_differentiable(Cube.backward))
    return Cube.apply


CUBE_AT = np.array([1.0, 2.0])
BY_HAND = {
    O.GRADIENT: 3 * CUBE_AT**2,
    O.VJP: 3 * CUBE_AT**2,
    O.JVP: 3 * CUBE_AT**2,
    O.JACOBIAN: np.diag(3 * CUBE_AT**2),
    O.HVP: 6 * CUBE_AT,
    O.HESSIAN: np.diag(6 * CUBE_AT),
}


def prepared_cube(operator: Operator, *, once: bool):
    backend = opened("torch")
    import torch

    apply = cube(torch, once=once)
    scalar = operator in (O.GRADIENT, O.HVP, O.HESSIAN)
    x, one = backend.to_var(CUBE_AT), backend.to_var(np.ones(2))
    given = [one] if operator in (O.VJP, O.JVP, O.HVP) else []
    run = backend.prepare(
        operator, (lambda x: apply(x).sum()) if scalar else apply, [backend.to_var(CUBE_AT + 0.5)], directions=given
    )
    return backend, lambda: backend.to_numpy(leaves(run(x, *given))[0])


@pytest.mark.parametrize("operator", list(BY_HAND))
def test_a_function_with_a_backward_alone_has_every_operator(operator):
    _, run = prepared_cube(operator, once=False)
    np.testing.assert_allclose(run(), BY_HAND[operator], rtol=1e-14)


@pytest.mark.parametrize("operator", [O.GRADIENT, O.VJP, O.JVP, O.JACOBIAN])
def test_a_backward_that_is_not_differentiable_goes_row_by_row(operator):
    _, run = prepared_cube(operator, once=True)
    np.testing.assert_allclose(run(), BY_HAND[operator], rtol=1e-14)


@pytest.mark.parametrize("operator", [O.HVP, O.HESSIAN])
def test_a_second_derivative_that_torch_would_call_zero_is_unsupported(operator):
    with pytest.raises(Unsupported, match="differentiable only once"):
        prepared_cube(operator, once=True)


def test_more_outputs_than_inputs_fall_back_to_rows():
    backend = opened("torch")
    import torch

    apply = cube(torch, once=True)
    x = backend.to_var(CUBE_AT)
    (block,) = backend.prepare(O.JACOBIAN, lambda x: torch.cat([apply(x), x]), [x])(x)
    np.testing.assert_allclose(block.numpy(), [[3, 0], [0, 12], [1, 0], [0, 1]], rtol=1e-14)


@pytest.mark.parametrize("operator", list(BY_HAND))
def test_a_function_without_any_rule_is_unsupported(operator):
    backend = opened("torch")
    import torch

    x = backend.to_var(CUBE_AT)
    given = [x] if operator in (O.VJP, O.JVP, O.HVP) else []
    scalar = operator in (O.GRADIENT, O.HVP, O.HESSIAN)

    def f(x):
        out = torch.special.zeta(x + 2, x)
        return out.sum() if scalar else out

    with pytest.raises(Unsupported, match=f"cannot do {operator} .*zeta"):
        backend.prepare(operator, f, [x], directions=given)


@pytest.mark.parametrize(("operator", "expected"), [(O.VJP, r"\(\)"), (O.JVP, r"\(2,\)"), (O.HVP, r"\(2,\)")])
def test_a_direction_of_another_shape_is_a_mistake_not_a_lack(operator, expected):
    backend = opened("torch")
    x, wrong = backend.to_var(CUBE_AT), backend.to_var(np.ones(3))
    with pytest.raises(ValueError, match=rf"got a direction of shape \(3,\), expected {expected}"):
        backend.prepare(operator, lambda x: (x * x).sum(), [x], directions=[wrong])


def test_a_singular_example_does_not_rule_out_the_operator():
    backend = opened("torch")
    singular, regular = (backend.to_var(a) for a in (np.ones((2, 2)), np.array([[2.0, 1.0], [0.0, 3.0]])))
    run = backend.prepare(O.GRADIENT, lambda a: backend.xp.linalg.det(a), [singular])
    # d det / dA = adj(A)^T
    np.testing.assert_allclose(run(regular)[0].numpy(), [[3.0, 0.0], [-1.0, 2.0]], atol=1e-15)


def test_prepare_works_where_recording_is_off():
    backend = opened("torch")
    import torch

    x = backend.to_var(CUBE_AT)
    with torch.no_grad():
        run = backend.prepare(O.GRADIENT, lambda x: (x**3).sum(), [x])
    np.testing.assert_allclose(run(x)[0].numpy(), BY_HAND[O.GRADIENT], rtol=1e-14)


def test_one_call_of_the_objective_per_derivative():
    backend, calls = opened("torch"), 0

    def f(x):
        nonlocal calls
        calls += 1
        return (x * x * x).sum()

    x = backend.to_var(CUBE_AT)
    for operator in (O.GRADIENT, O.VALUE_AND_GRADIENT, O.VJP, O.JVP, O.JACOBIAN, O.HVP, O.HESSIAN):
        shape = {O.VJP: (), O.JVP: (2,), O.HVP: (2,)}.get(operator)
        given = [] if shape is None else [backend.to_var(np.ones(shape))]
        run, calls = backend.prepare(operator, f, [x], directions=given), 0
        for _ in range(3):
            run(x, *given)
        assert calls == 3, operator


# One worker compiles them all, because starting inductor takes most of the time and its cache is shared.
@pytest.mark.xdist_group("torch_compile")
def test_every_operator_compiles_to_one_graph():
    if not (os.environ.get("CI") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    backend = opened("torch:compile")
    xp = backend.xp
    args = [np.array([0.3, -0.7]), np.array([1.5, 0.4])]
    x, y = (backend.to_var(a) for a in args)
    t, c = (backend.to_var(a) for a in (np.array([1.0, 2.0]), np.array(2.0)))
    a, b = args

    def f(x, y):
        return xp.sum(x * x * y)

    # By hand, for f = sum x^2 y in x: the gradient is 2xy, the Hessian diag(2y).
    expected = {
        O.VALUE: ((), [np.sum(a * a * b)]),
        O.GRADIENT: ((), [2 * a * b]),
        O.VALUE_AND_GRADIENT: ((), [np.sum(a * a * b), 2 * a * b]),
        O.JVP: ((t,), [2 * a * b @ np.array([1.0, 2.0])]),
        O.VJP: ((c,), [4 * a * b]),
        O.JACOBIAN: ((), [2 * a * b]),
        O.HVP: ((t,), [2 * b * np.array([1.0, 2.0])]),
        O.HESSIAN: ((), [np.diag(2 * b)]),
    }
    for operator, (given, want) in expected.items():
        run = backend.prepare(operator, f, [y, x], directions=given)
        got = [backend.to_numpy(v) for v in leaves(run(x, y, *given))]
        assert [g.shape for g in got] == [np.shape(w) for w in want]
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-14, atol=1e-15, err_msg=operator)


@pytest.mark.xdist_group("torch_compile")
def test_one_process_compiles_more_functions_than_dynamo_keeps_for_a_code_object():
    if not (os.environ.get("CI") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    backend = opened("torch:compile")
    import torch

    x = backend.to_var(np.array([1.0, 2.0, 3.0]))

    def prepared(k):
        return backend.prepare(O.GRADIENT, lambda x: backend.xp.sum(x * x) * k, [x])

    runs = [prepared(float(k)) for k in range(torch._dynamo.config.recompile_limit + 1)]
    for k, run in enumerate(runs):
        np.testing.assert_allclose(backend.to_numpy(run(x)[0]), 2.0 * k * np.array([1.0, 2.0, 3.0]), rtol=1e-15)


def test_compile_says_why_it_cannot():
    backend = opened("torch:compile")
    x = backend.to_var(CUBE_AT)

    def f(x):
        return x.sum() if float(x[0]) > 0 else x.sum() * 2

    with pytest.raises(Unsupported, match=r"torch.compile\(fullgraph=True\): .*data-dependent.*: use torch"):
        backend.prepare(O.GRADIENT, f, [x])


def test_compile_refuses_forward_mode_within_forward_mode():
    backend = opened("torch:compile:ff")
    x = backend.to_var(CUBE_AT)
    with pytest.raises(Unsupported, match=r"forward mode within forward mode.*: use torch"):
        backend.prepare(O.HVP, lambda x: (x * x).sum(), [x], directions=[x])


@pytest.mark.xdist_group("torch_compile")
def test_a_compiled_tangent_that_is_zero_has_memory():
    """Inductor's code for such a tangent read a null pointer (pytorch/pytorch issue 190856)."""
    if not (os.environ.get("CI") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    backend = opened("torch:compile:rf")
    import torch

    x, t = backend.to_var(CUBE_AT), backend.to_var(np.array([1.0, -1.0]))

    def f(x):
        return ((torch.arange(2.0, dtype=x.dtype) - x) ** 2).sum() * 0.5

    # The Hessian is the identity: H t = t.
    (row,) = backend.prepare(O.HVP, f, [x], directions=[t])(x, t)
    np.testing.assert_allclose(row.numpy(), [1.0, -1.0], rtol=1e-15)


def widening(xp):
    """Return 3 outputs of 2 inputs, with Python constants times 0-d tensors, which forward mode widens to float64."""
    return lambda x: xp.stack([2.5 * xp.sum(x * x), x[0] * 3.0, 1.0 / x[1]])


#: At (1, 2): its rows are 5 x, (3, 0) and (0, -1/x_1^2). The Hessian of 2.5 sum x^2 / 5 is the identity.
JACOBIAN = [[5.0, 10.0], [3.0, 0.0], [0.0, -0.25]]


@pytest.mark.parametrize("spec", ["torch", "torch:fr", "torch:rf", "torch:ff"])
def test_forward_mode_keeps_float32(spec):
    backend = opened(spec)
    xp, x = backend.xp, backend.to_var(CUBE_AT.astype(np.float32))

    def scalar(x):
        return 2.5 * xp.sum(x * x) / 5.0 - 1.0

    found = {
        O.JACOBIAN: backend.prepare(O.JACOBIAN, widening(xp), [x])(x)[0],
        O.JVP: backend.prepare(O.JVP, widening(xp), [x], directions=[x])(x, x),
        O.HVP: backend.prepare(O.HVP, scalar, [x], directions=[x])(x, x)[0],
        O.HESSIAN: backend.prepare(O.HESSIAN, scalar, [x])(x)[0][0],
    }
    expected = {O.JACOBIAN: JACOBIAN, O.JVP: JACOBIAN @ CUBE_AT, O.HVP: CUBE_AT, O.HESSIAN: np.eye(2)}
    for operator, got in found.items():
        assert got.numpy().dtype == np.float32, operator
        np.testing.assert_allclose(got.numpy(), expected[operator], rtol=1e-6, err_msg=operator)


@pytest.mark.xdist_group("torch_compile")
def test_a_compiled_jvp_keeps_float32():
    if not (os.environ.get("CI") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    backend = opened("torch:compile")
    x = backend.to_var(CUBE_AT.astype(np.float32))
    got = backend.prepare(O.JVP, lambda x: 2.5 * backend.xp.sum(x * x), [x], directions=[x])(x, x)
    assert (got.numpy().dtype, float(got)) == (np.float32, 25.0)  # 5 x . x at (1, 2)


def test_an_input_of_float64_is_never_narrowed():
    backend = opened("torch:fr")
    x = backend.to_var(CUBE_AT)
    ((block,),) = backend.prepare(O.HESSIAN, lambda x: (x * x).sum().float(), [x])(x)
    assert block.numpy().dtype == np.float64


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="expected one of: 'compile'"):
        load("torch:nosuch")


@pytest.mark.parametrize("argnums", [(0, 1), (1, 0), (1,)])
@pytest.mark.parametrize("operator", [Operator.GRADIENT, Operator.VALUE_AND_GRADIENT])
def test_gradients_come_in_the_order_of_argnums(operator: Operator, argnums: tuple[int, ...]) -> None:
    backend = opened("torch")
    x, y = backend.to_var([3.0]), backend.to_var([5.0])
    run = backend.prepare(operator, lambda x, y: backend.xp.sum(x * x * y), [x, y], argnums=argnums)
    found = run(x, y) if operator is Operator.GRADIENT else run(x, y)[1]
    # d(x^2 y) = (2 x y, x^2) at (3, 5).
    assert [float(g[0]) for g in found] == [(30.0, 9.0)[i] for i in argnums]


def _number_or_both(xp, x, y):
    """Use ``y`` where x is positive only."""
    return x * y + y if x > 0 else x * x


#: Function of two numbers -> points in order, each with the gradient there.
USES: dict[str, tuple[Callable[..., Any], list[tuple[tuple[float, float], tuple[float, float]]]]] = {
    "both": (lambda xp, x, y: x * xp.sin(y), [((2.0, 0.0), (0.0, 2.0)), ((1.0, 0.0), (0.0, 1.0))]),
    "the first": (lambda xp, x, y: x * x, [((2.0, 1.0), (4.0, 0.0)), ((3.0, 1.0), (6.0, 0.0))]),
    "the second": (lambda xp, x, y: y * y, [((2.0, 1.0), (0.0, 2.0)), ((2.0, 3.0), (0.0, 6.0))]),
    "by its value": (
        _number_or_both,
        [((2.0, 3.0), (3.0, 3.0)), ((-2.0, 3.0), (-4.0, 0.0)), ((1.0, 5.0), (5.0, 2.0))],
    ),
    "none": (lambda xp, x, y: xp.asarray(1.5), [((2.0, 3.0), (0.0, 0.0))]),
}


@pytest.mark.parametrize("argnums", [(0, 1), (0,), (1,)])
@pytest.mark.parametrize("name", USES)
def test_the_gradient_in_arguments_that_are_not_always_used(name, argnums):
    f, points = USES[name]
    backend = opened("torch")
    first = [backend.to_var(np.asarray(v)) for v in points[0][0]]
    run = backend.prepare(O.GRADIENT, functools.partial(f, backend.xp), first, argnums=argnums)
    for point, slopes in points:
        args = [backend.to_var(np.asarray(v)) for v in point]
        got = [float(g) for g in run(*args)]
        np.testing.assert_allclose(got, [slopes[i] for i in argnums], rtol=1e-14)
        assert not any(a.requires_grad for a in args)


def test_an_error_of_the_function_is_raised_as_it_is_and_the_next_gradient_is_right():
    def f(x, *, n):
        if x > 1:
            raise RuntimeError("too large")
        return x**n

    backend = opened("torch")
    run = backend.prepare(O.GRADIENT, functools.partial(f, n=3), [backend.to_var(np.asarray(0.5))])
    with pytest.raises(RuntimeError, match="too large"):
        run(backend.to_var(np.asarray(2.0)))
    assert float(run(backend.to_var(np.asarray(1.0)))[0]) == 3.0


def test_keywords_of_a_partial_are_those_given_last():
    def f(x, scale=2.0, *, n=1, shift=0.0):
        return scale * x**n + shift * x

    backend = opened("torch")
    x = backend.to_var(np.asarray(2.0))
    # d/dx (s x^n + c x) = s n x^(n - 1) + c; the defaults of the function itself stay as they are.
    for given, slope in (({"n": 3}, 24.0), ({"n": 2, "shift": 1.0}, 9.0), ({"scale": 5.0, "n": 2}, 20.0), ({}, 2.0)):
        run = backend.prepare(O.GRADIENT, functools.partial(f, **given), [x])
        assert float(run(x)[0]) == slope
    assert f.__kwdefaults__ == {"n": 1, "shift": 0.0}
