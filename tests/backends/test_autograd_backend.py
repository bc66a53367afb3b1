"""The HIPS autograd adapter: reasons for its gaps, float32 results, eigenvectors in forward mode."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff_compare.backends import Unsupported
from autodiff_compare.problems.tape import QUESTIONS
from autodiff_compare.studies.tape import ask
from autodiff_compare.vocabulary import Operator, Optimizer
from tests.backends.test_step import opened

O = Operator  # noqa: E741
S = np.array([[2.0, 0.5], [0.5, -1.0]])


@pytest.fixture
def backend():
    return opened("autograd")


def test_a_function_without_a_rule_is_unsupported(backend):
    x = backend.to_var(S)
    with pytest.raises(Unsupported, match="VJP of qr"):
        backend.prepare(O.GRADIENT, lambda a: backend.xp.sum(backend.xp.linalg.qr(a)[1]), [x])


def test_the_tangent_of_eigenvectors_is_not_zero(backend):
    """Compare with d(v v^T) = sum_j v_j v_j^T dA v v^T / (w - w_j) + transpose, first-order perturbation theory."""
    xp, direction = backend.xp, np.array([[0.3, -0.2], [-0.2, 0.7]])

    def projector(a):
        v = xp.linalg.eigh(a)[1][:, 1]
        return xp.linalg.outer(v, v)

    x, t = backend.to_var(S), backend.to_var(direction)
    w, V = np.linalg.eigh(S)
    turn = np.outer(V[:, 0], V[:, 0]) @ direction @ np.outer(V[:, 1], V[:, 1]) / (w[1] - w[0])
    got = backend.prepare(O.JVP, projector, [x], directions=[t])(x, t)
    np.testing.assert_allclose(got, turn + turn.T, rtol=0, atol=1e-15)


@pytest.mark.parametrize("operator", [O.GRADIENT, O.JVP, O.VJP, O.JACOBIAN, O.HVP, O.HESSIAN])
@pytest.mark.parametrize("name", ["where", "max", "eigvalsh"])
def test_float32_stays_float32(backend, name, operator):
    xp = backend.xp
    f = {
        "where": lambda a: xp.sum(xp.where(a > 0, a * a, 2.0 * a)),
        "max": lambda a: xp.max(a * a * a),
        "eigvalsh": lambda a: xp.linalg.eigvalsh(a)[0] ** 2,
    }[name]
    x = backend.to_var(S, dtype="float32")
    given = {O.VJP: [backend.to_var(np.float32(1))], O.JVP: [x], O.HVP: [x]}.get(operator, [])
    out = backend.prepare(operator, f, [x], directions=given)(x, *given)
    while isinstance(out, tuple):
        (out,) = out
    assert out.dtype == np.float32


def test_there_is_no_single_update(backend):
    x = backend.to_var(S)
    with pytest.raises(Unsupported, match="whole loops"):
        backend.step(Optimizer("sgd", 0.1), [x], [x], None)


def test_a_gradient_of_a_vector_is_refused(backend):
    with pytest.raises(ValueError, match=r"output of shape \(2, 2\), expected a scalar"):
        backend.prepare(O.GRADIENT, lambda a: a * a, [backend.to_var(S)])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.name)
def test_questions_to_a_tape_have_an_expected_or_a_known_answer(backend, question):
    row = ask(backend, question)
    assert row.equal or row.convention, row
