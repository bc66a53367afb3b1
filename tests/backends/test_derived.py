"""Derived operators of backends with only one or two native operators, against closed forms."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Backend, Unsupported, load
from autodiff_compare.backends.operators.derived import derivable
from autodiff_compare.vocabulary import OF_HESSIAN, STANDARD_OPERATORS, How, Operator, Optimizer
from tests.backends.test_backends import CASES, directions_of, expected, leaves
from tests.backends.test_step import opened

O = Operator  # noqa: E741
DERIVATIVES = frozenset({O.GRADIENT, O.VALUE_AND_GRADIENT, O.JVP, O.VJP, O.JACOBIAN, O.HVP, O.HESSIAN})


class Poor(Backend):
    """A backend over autograd with only the ``native`` operators given; it records what it prepares."""

    name = "poor"
    requires = ("autograd",)

    def __init__(self, *native: Operator) -> None:
        super().__init__()
        self.native = frozenset(native)  # type: ignore[misc]
        self.asked: list[Operator] = []
        self.inner = opened("autograd")
        self.xp = self.inner.xp

    def open(self) -> None: ...

    def to_var(self, array, *, dtype=None):
        return self.inner.to_var(array, dtype=dtype)

    def to_numpy(self, var):
        return self.inner.to_numpy(var)

    def grad(self, f, argnums=0):
        return self.inner.grad(f, argnums)

    def step(self, optimizer, params, grads, state):
        return tuple(p - optimizer.learning_rate * g for p, g in zip(params, grads, strict=True)), None

    def scan(self, f, init, xs):
        return self.inner.scan(f, init, xs)

    def block(self, out):
        return out

    def _native(self, request):
        assert request.operator in self.native
        self.asked.append(request.operator)
        return self.inner._native(request)


NATIVES = {
    "gradient": (O.GRADIENT,),
    "both": (O.VALUE_AND_GRADIENT,),
    "vjp": (O.VJP,),
    "jvp": (O.JVP,),
    "jacobian": (O.JACOBIAN,),
    "hvp_and_gradient": (O.HVP, O.GRADIENT),
    "hessian_and_vjp": (O.HESSIAN, O.VJP),
}


@pytest.mark.parametrize(("s", "operator"), CASES)
@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
def test_every_operator_from(native, s, operator):
    backend = Poor(*native)
    given = directions_of(s, operator, "float64")
    elsewhere = [backend.to_var(a + 0.25 if a.dtype.kind == "f" else a) for a in s.args]
    run = backend.prepare(
        operator,
        lambda *a: s.f(backend.xp, *a),
        elsewhere,
        argnums=range(s.n),
        directions=[backend.to_var(np.ones_like(t)) for t in given],
    )
    assert set(backend.asked) <= set(native)
    assert (backend.how(operator) is How.NATIVE) == (operator in native)
    got = [backend.to_numpy(x) for x in leaves(run(*(backend.to_var(a) for a in (*s.args, *given))))]
    want = [np.asarray(w, dtype=float) for w in expected(s, operator, [*s.args], given)]
    assert [g.shape for g in got] == [w.shape for w in want]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("operator", sorted(DERIVATIVES))
@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
def test_derived_operators_keep_the_dtype(native, operator, dtype):
    backend = Poor(*native)
    x, y = (backend.to_var(np.array(a), dtype=dtype) for a in ([1.5, -0.5], [0.5, 2.0]))
    given = {O.JVP: [x, y], O.HVP: [x, y], O.VJP: [backend.to_var(np.array(2.0), dtype=dtype)]}.get(operator, [])
    run = backend.prepare(operator, lambda x, y: backend.xp.sum(x * x * y), [x, y], argnums=(0, 1), directions=given)
    assert {backend.to_numpy(v).dtype.name for v in leaves(run(x, y, *given))} == {dtype}


@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
def test_a_step_is_one_update_of_the_backends_own_optimizer(native):
    backend = Poor(*native)
    x = backend.to_var(np.array([1.0, -2.0]))
    run = backend.prepare(O.STEP, lambda x: backend.xp.sum(x * x), [x], optimizer=Optimizer("sgd", 0.25))
    # x - 0.25 * 2x
    np.testing.assert_array_equal(run(x)[0], [0.5, -1.0])
    with pytest.raises(ValueError, match="expected optimizer=Optimizer"):
        backend.prepare(O.STEP, lambda x: backend.xp.sum(x * x), [x])


@pytest.mark.parametrize("operator", [O.GRADIENT, O.VALUE_AND_GRADIENT, O.HVP, O.HESSIAN])
@pytest.mark.parametrize("native", NATIVES.values(), ids=NATIVES)
def test_a_vector_has_no_gradient(native, operator):
    backend = Poor(*native)
    x = backend.to_var(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"output of shape \(2,\), expected a scalar of shape \(\)"):
        backend.prepare(operator, lambda x: x * x, [x], directions=[x] if operator is O.HVP else [])


@dataclass(frozen=True)
class Lack:
    native: tuple[Operator, ...]
    unreachable: frozenset[Operator]


REST = frozenset(O) - DERIVATIVES - {O.VALUE}
#: What products with the Hessian give without a gradient.
FROM_PRODUCTS = OF_HESSIAN | {O.HVP, O.HESSIAN, O.HVP_BATCH}
#: First derivatives cannot be derived from second derivatives.
LACKS = (
    Lack((), DERIVATIVES | REST),
    Lack((O.VALUE,), DERIVATIVES | REST),
    Lack((O.HVP,), (DERIVATIVES | REST) - FROM_PRODUCTS),
    Lack((O.HESSIAN,), (DERIVATIVES | REST) - FROM_PRODUCTS),
)


@pytest.mark.parametrize("lack", LACKS, ids=lambda lack: "+".join(lack.native) or "nothing")
def test_what_cannot_be_derived_says_so(lack):
    backend = Poor(*lack.native)
    every = STANDARD_OPERATORS | REST
    assert every - set(lack.native) - set(derivable(frozenset(lack.native))) == lack.unreachable
    x = backend.to_var(np.array(1.0))
    for operator in lack.unreachable:
        with pytest.raises(Unsupported, match=f"poor offers .*; {operator} cannot be derived from that"):
            backend.prepare(operator, lambda x: x * x, [x])


def depth(operator: Operator, native: frozenset[Operator], rules: Any) -> int:
    """Return the number of derivations between an operator and native ones."""
    if operator in native:
        return 0
    return 1 + max((depth(needed, native, rules) for needed in rules[operator].needs), default=0)


@pytest.mark.parametrize(
    "native",
    [frozenset(c) for k in range(4) for c in itertools.combinations(sorted(DERIVATIVES), k)],
    ids=lambda native: "+".join(sorted(native)),
)
def test_the_shortest_chain_is_taken(native):
    """Compare with a search over every choice of rules."""
    from autodiff_compare.backends.operators.derived import _RULES

    rules = derivable(native)
    assert not set(rules) & native
    shortest: dict[Operator, int] = dict.fromkeys(native, 0)
    for _ in O:
        for rule in _RULES:
            if rule.needs <= set(shortest):
                length = 1 + max((shortest[n] for n in rule.needs), default=0)
                shortest[rule.gives] = min(length, shortest.get(rule.gives, length))
    assert {o: depth(o, native, rules) for o in rules} == {o: n for o, n in shortest.items() if o not in native}


def calls_of(backend: Poor, operator: Operator, given: Callable[..., Any]) -> int:
    """Count the evaluations of the objective in one call of the prepared operator."""
    count = 0

    def f(x):
        nonlocal count
        count += 1
        return backend.xp.sum(x * x * x)

    x = backend.to_var(np.arange(4.0))
    run = backend.prepare(operator, f, [x], directions=given(x))
    count = 0
    run(x, *given(x))
    return count


@pytest.mark.parametrize(
    ("native", "operator", "calls"),
    [
        (O.GRADIENT, O.VJP, 1),
        (O.GRADIENT, O.VALUE_AND_GRADIENT, 2),
        (O.GRADIENT, O.HVP, 1),
        (O.GRADIENT, O.HESSIAN, 4),
        (O.VJP, O.GRADIENT, 1),
        (O.JVP, O.GRADIENT, 4),
        (O.JACOBIAN, O.GRADIENT, 1),
        (O.JACOBIAN, O.JVP, 1),
        (O.JACOBIAN, O.VJP, 1),
        (O.HESSIAN, O.HVP, 1),
    ],
)
def test_a_derived_operator_costs_what_its_rule_says(native, operator, calls):
    backend = Poor(native)
    one = backend.to_var(np.array(1.0))
    got = calls_of(backend, operator, lambda x: {O.VJP: [one], O.JVP: [x], O.HVP: [x]}.get(operator, []))
    assert got == calls


def test_nothing_but_values_is_still_a_backend():
    backend = Poor()
    x = backend.to_var(np.array(3.0))
    assert float(backend.prepare(O.VALUE, lambda x: x * x, [x])(x)) == 9.0
    assert load("manual").how(O.VALUE) is How.NATIVE
