"""The TensorFlow adapter: every operator and variant, dtypes, steps, loops.

Expected values are computed by hand unless stated.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Unsupported, load
from autodiff_compare.backends.tensorflow_backend.adapter import _reason
from autodiff_compare.problems.tape import QUESTIONS
from autodiff_compare.vocabulary import Operator, Optimizer

if not os.environ.get("CI"):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

O = Operator  # noqa: E741 - a column of a table
VARIANTS = ("", "eager", "xla")
DTYPES = ("float64", "float32")
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
W = np.array([1.0, -2.0, 0.5])
C = np.array([[2.0, 1.0, -1.0], [0.5, 3.0, 1.0]])


@pytest.fixture(scope="module", params=VARIANTS)
def backend(request: pytest.FixtureRequest) -> Any:
    opened = load(f"tensorflow:{request.param}")
    opened.open()
    return opened


def f(x: Any, w: Any, c: Any, *, xp: Any) -> Any:
    """Return sum c x^2 w, a scalar."""
    return xp.sum(c * x * x * w)


def rows(x: Any, w: Any, c: Any, *, xp: Any) -> Any:
    """Return c x^2 w, a matrix."""
    return c * x * x * w


T, U = C - 0.5, W + 1.0
DX, DW = 2 * C * X * W, np.sum(C * X * X, axis=0)
HXX = np.diag(np.ravel(2 * C * W)).reshape(2, 3, 2, 3)
HXW = np.einsum("ij,jk->ijk", 2 * C * X, np.eye(3))
HWX = np.einsum("ij,jk->kij", 2 * C * X, np.eye(3))
JX = np.diag(np.ravel(DX)).reshape(2, 3, 2, 3)
JW = np.einsum("ij,jk->ijk", C * X * X, np.eye(3))

CASES = [
    (O.VALUE, f, (), np.sum(C * X * X * W)),
    (O.GRADIENT, f, (), (DX, DW)),
    (O.VALUE_AND_GRADIENT, f, (), (np.sum(C * X * X * W), (DX, DW))),
    (O.JVP, f, (T, U), np.sum(DX * T) + np.sum(DW * U)),
    (O.HVP, f, (T, U), (2 * C * W * T + 2 * C * X * U, np.sum(2 * C * X * T, axis=0))),
    (O.HESSIAN, f, (), ((HXX, HXW), (HWX, np.zeros((3, 3))))),
    (O.VALUE, rows, (), C * X * X * W),
    (O.JVP, rows, (T, U), DX * T + C * X * X * U),
    (O.VJP, rows, (T,), (DX * T, np.sum(C * X * X * T, axis=0))),
    (O.JACOBIAN, rows, (), (JX, JW)),
]


def flat(result: Any) -> list[Any]:
    return [leaf for part in result for leaf in flat(part)] if isinstance(result, tuple) else [result]


def assert_same(backend: Any, got: Any, expected: Any, dtype: str = "float64") -> None:
    arrays = [backend.to_numpy(leaf) for leaf in flat(got)]
    wanted = [np.asarray(leaf) for leaf in flat(expected)]
    assert [a.shape for a in arrays] == [w.shape for w in wanted]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}
    for a, w in zip(arrays, wanted, strict=True):
        assert np.linalg.norm(a - w) <= 20 * np.finfo(dtype).eps * np.linalg.norm(w)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("operator", "objective", "directions", "expected"), CASES)
def test_operators(
    backend: Any, dtype: str, operator: Operator, objective: Any, directions: tuple[Any, ...], expected: Any
) -> None:
    """An operator is prepared at one point and used at another; arrays keep shape and dtype; there is one trace."""
    calls = []

    def bound(*args: Any) -> Any:
        calls.append(1)
        return objective(*args, xp=backend.xp)

    elsewhere = [backend.to_var(np.ones_like(a), dtype=dtype) for a in (X, W, C, *directions)]
    prepared = backend.prepare(operator, bound, elsewhere[:3], argnums=(0, 1), directions=elsewhere[3:])
    given = [backend.to_var(a, dtype=dtype) for a in (X, W, C, *directions)]
    traces = len(calls)
    assert_same(backend, prepared(*given), expected, dtype)
    prepared(*given)
    assert len(calls) == (traces + 2 if backend.variant == "eager" else traces)


SCALAR_INPUT = [
    (O.GRADIENT, (), (12.0,)),
    (O.JVP, (1.0,), 12.0),
    (O.VJP, (1.0,), (12.0,)),
    (O.JACOBIAN, (), (12.0,)),
    (O.HVP, (1.0,), (12.0,)),
    (O.HESSIAN, (), ((12.0,),)),
]


@pytest.mark.parametrize(("operator", "directions", "expected"), SCALAR_INPUT)
def test_zero_dimensional_input(backend: Any, operator: Operator, directions: Any, expected: Any) -> None:
    """The first and second derivatives of x^3 at 2 are both 12."""
    x, t = backend.to_var(2.0), [backend.to_var(d) for d in directions]
    prepared = backend.prepare(operator, lambda x: x * x * x, [x], directions=t)
    assert_same(backend, prepared(x, *t), expected)


DISCONNECTED = [
    (O.GRADIENT, (), (6.0, np.zeros(3))),
    (O.JACOBIAN, (), (6.0, np.zeros(3))),
    (O.HESSIAN, (), ((2.0, np.zeros(3)), (np.zeros(3), np.zeros((3, 3))))),
    (O.HVP, (1.0, W), (2.0, np.zeros(3))),
]


@pytest.mark.parametrize(("operator", "directions", "expected"), DISCONNECTED)
def test_an_unused_input_has_zero_derivatives(backend: Any, operator: Operator, directions: Any, expected: Any) -> None:
    args, t = [backend.to_var(3.0), backend.to_var(W)], [backend.to_var(d) for d in directions]
    prepared = backend.prepare(operator, lambda a, _: a * a, args, argnums=(0, 1), directions=t)
    assert_same(backend, prepared(*args, *t), expected)


def test_the_same_tensor_given_twice_counts_each_use_once(backend: Any) -> None:
    x = backend.to_var(3.0)
    prepared = backend.prepare(O.GRADIENT, lambda a, b: a * a * b, [x, x], argnums=(0, 1))
    assert_same(backend, prepared(x, x), (18.0, 9.0))
    assert_same(backend, backend.grad(lambda a, b: a * a * b, (0, 1))(x, x), (18.0, 9.0))
    # d/dy (x y) at y = x is x: x used inside the function is not the argument.
    assert_same(backend, backend.grad(lambda y: x * y)(x), 3.0)


def test_grad_nests(backend: Any) -> None:
    second = backend.grad(backend.grad(lambda x: x * x * x))
    assert_same(backend, second(backend.to_var(2.0)), 12.0)


def test_sparse_gradients_are_dense(backend: Any) -> None:
    x, t = backend.to_var([1.0, 2.0, 3.0]), backend.to_var([1.0, 1.0, 1.0])

    def picked(x: Any) -> Any:
        return backend.xp.sum(backend.xp.take(x, backend.xp.asarray([0, 0, -1])) ** 3)

    assert_same(backend, backend.prepare(O.GRADIENT, picked, [x])(x), ([6.0, 0.0, 27.0],))
    assert_same(backend, backend.prepare(O.HVP, picked, [x], directions=[t])(x, t), ([12.0, 0.0, 18.0],))


def test_jacobian_of_an_empty_output(backend: Any) -> None:
    x = backend.to_var(X)
    assert_same(backend, backend.prepare(O.JACOBIAN, lambda x: x[:0], [x])(x), (np.zeros((0, 3, 2, 3)),))


LOOP = [
    (O.GRADIENT, False, (5.0 * 2.0**4 + 1 + 4 + 12 + 32 + 80,)),
    (O.JVP, True, 5.0 * 2.0**4 + 1 + 4 + 12 + 32 + 80),
    (O.HVP, True, (20.0 * 2.0**3 + 2 + 12 + 48 + 160,)),
    (O.HESSIAN, False, ((20.0 * 2.0**3 + 2 + 12 + 48 + 160,),)),
]


@pytest.mark.parametrize(("operator", "directed", "expected"), LOOP)
def test_operators_through_a_scan(backend: Any, operator: Operator, directed: bool, expected: Any) -> None:
    """With c_k = x^k, differentiate the last carry x^5 plus the sum of all ys at x = 2."""
    x, one = backend.to_var(2.0), backend.to_var(1.0)

    def powers(x: Any) -> Any:
        ones = backend.to_var(np.ones(5))
        last, ys = backend.scan(lambda c, u: (c * x * u, c * x * u), x * 0 + 1, ones)
        return last + backend.xp.sum(ys)

    directions = [one] if directed else []
    prepared = backend.prepare(operator, powers, [x], directions=directions)
    assert_same(backend, prepared(x, *directions), expected)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_scan(backend: Any, n: int) -> None:
    xs = {"a": backend.to_var(np.arange(1.0, n + 1)), "b": backend.to_var(np.ones((n, 2)))}
    carry, (sums, pairs) = backend.scan(lambda c, x: (c + x["a"], (c + x["a"], x["b"] * c)), backend.to_var(0.0), xs)
    running = np.cumsum(np.arange(1.0, n + 1))
    assert_same(backend, carry, running[-1] if n else 0.0)
    assert_same(backend, sums, running)
    assert_same(backend, pairs, np.concatenate([[0.0], running])[:n, None] * np.ones((n, 2)))


RULES = [
    Optimizer("sgd", 0.1),
    Optimizer("momentum", 0.1, momentum=0.9),
    Optimizer("nesterov", 0.1, momentum=0.9),
    Optimizer("adam", 0.001, b1=0.9, b2=0.999, eps=1e-7),
    Optimizer("adam", 0.001, b1=0.9, b2=0.999, eps=1e-7, eps_hat=True),
    # With an eps as large as the gradient, its position in the formula shows in the first digits.
    Optimizer("adam", 0.001, eps=0.5),
    Optimizer("adam", 0.001, eps=0.5, eps_hat=True),
]


def updates(rule: Optimizer, p: Any, gradients: list[Any]) -> Any:
    """Evaluate the formulas of `vocabulary.Optimizer` as they are written there."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(gradients, 1):
        if rule.name == "adam":
            m, v = rule.b1 * m + (1 - rule.b1) * g, rule.b2 * v + (1 - rule.b2) * g * g
            c1, c2 = 1 - rule.b1**n, 1 - rule.b2**n
            scale = np.sqrt(c2) / c1 * m / (np.sqrt(v) + rule.eps)
            p = p - rule.learning_rate * (scale if rule.eps_hat else m / c1 / (np.sqrt(v / c2) + rule.eps))
        else:
            momentum = 0.0 if rule.name == "sgd" else rule.momentum
            v = momentum * v + g
            p = p - rule.learning_rate * (g + momentum * v if rule.name == "nesterov" else v)
    return p


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.name}-{r.eps}-{r.eps_hat}")
def test_steps_follow_the_formulas(backend: Any, rule: Optimizer, dtype: str) -> None:
    import tensorflow as tf

    floatx = tf.keras.backend.floatx()
    rng = np.random.RandomState(0)
    gradients = [rng.uniform(-1, 1, (2, 3)) for _ in range(5)]
    first = backend.to_var(X, dtype=dtype)
    params, state = (first,), None
    for g in gradients:
        params, state = backend.step(rule, params, [backend.to_var(g, dtype=dtype)], state)
    got, wanted = backend.to_numpy(params[0]), updates(rule, X, gradients)
    assert got.dtype == np.dtype(dtype)
    assert np.max(np.abs(got - wanted)) <= (1e-12 if dtype == "float64" else 2e-6)
    assert np.array_equal(backend.to_numpy(first), X.astype(dtype))
    assert tf.keras.backend.floatx() == floatx


def test_two_descents_do_not_share_state(backend: Any) -> None:
    rule, g = Optimizer("momentum", 0.1), [backend.to_var(W)]
    (a,), state = backend.step(rule, [backend.to_var(W)], g, None)
    backend.step(rule, [backend.to_var(W * 7)], g, None)
    (a,), _ = backend.step(rule, [a], g, state)
    assert np.max(np.abs(backend.to_numpy(a) - updates(rule, W, [W, W]))) <= 1e-12


def test_the_step_operator(backend: Any) -> None:
    x = backend.to_var([1.0, 2.0])
    step = backend.prepare(O.STEP, lambda x: backend.xp.sum(x * x), [x], optimizer=Optimizer("sgd", 0.25))
    assert_same(backend, step(x), ([0.5, 1.0],))


def test_variables_are_never_aliases(backend: Any) -> None:
    array = np.arange(64.0)
    var = backend.to_var(array)
    out = backend.to_numpy(var)
    array[:] = out[:] = -1.0
    assert np.array_equal(backend.to_numpy(var), np.arange(64.0))
    strided = np.arange(12.0).reshape(3, 4).T[::-1]
    assert np.array_equal(backend.to_numpy(backend.to_var(strided)), strided)


def test_an_integer_input_is_refused(backend: Any) -> None:
    with pytest.raises(TypeError, match="got dtype int64"):
        backend.prepare(O.GRADIENT, lambda x: x * x, [backend.to_var(np.array(3))])


def test_the_gradient_of_a_vector_is_refused(backend: Any) -> None:
    x = backend.to_var(W)
    with pytest.raises(ValueError, match=r"got an output of shape \(3,\)"):
        backend.prepare(O.GRADIENT, lambda x: x * x, [x])(x)


def test_xla_names_what_it_cannot_compile() -> None:
    xla = load("tensorflow:xla")
    xla.open()
    x = xla.to_var(np.eye(2))
    with pytest.raises(Unsupported, match=r"no kernel for MatrixDeterminant: use tensorflow$"):
        xla.prepare(O.VALUE, xla.xp.linalg.det, [x])


def test_what_xla_says_of_a_loop_is_the_same_every_time() -> None:
    """TensorFlow 2.21 gives this message for the jvp of the problem ``lstm``; its numbers differ between runs."""
    said = "Propagate: Cannot find body function while_body_4191_grad_4377_grad_5146_const_0 for While node while_grad"
    assert _reason(said) == "it cannot differentiate this tf.while_loop twice, which this operator requires"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.name)
def test_idioms_give_the_expected_answer_or_a_stated_convention(question: Any) -> None:
    from autodiff_compare.studies.tape import ask

    backend = load("tensorflow")
    backend.open()
    answer = ask(backend, question)
    assert answer.equal or answer.convention, answer
