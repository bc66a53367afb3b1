"""Derivatives of functions of complex numbers on every backend: each operator in the convention, or refused by name."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import Unsupported, load
from autodiff_compare.execution.computation.preparation import prepared
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.plan.cases import build_case, leaves
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import BATCHES, COMPLEX, ON_REQUEST, PARTS, SAMPLED, Operator, Status
from tests.conftest import opened
from tests.selection import few

O = Operator  # noqa: E741 - the operator of a row
Z = np.array([1 + 1j, 2 - 0.5j])
COMPOSITE = tuple(o for o in (*PARTS, *BATCHES) if o in COMPLEX and o != O.VALUE_AND_GRADIENT)
SPECS = ("numpy", "torch", "jax", "tensorflow:eager", "numpy:compiled")
#: Several inputs, real and complex ones; holomorphic, real and other values.
NAMES = ("real_gains", "complex_solve", "impedance", "kerr", "spectrum_moduli", "damped_oscillations")


def _loss(z: Any, a: Any, y: Any, *, xp: Any) -> Any:
    r = xp.matmul(a, z) - y
    return xp.mean(xp.real(r) ** 2 + xp.imag(r) ** 2)


def _rows(rng: np.random.Generator, n: int) -> Inputs:
    a, y, z = (rng.normal(size=s) + 1j * rng.normal(size=s) for s in ((n, 2), n, 2))
    return Inputs((z,), (a, y))


SAMPLES = Problem(
    "samples", "a loss of complex samples", "this test", {"small": 3}, _rows, _loss,
    frozenset({O.GRADIENT, O.JACOBIAN}), samples=(1, 2), complex_numbers=True,
)  # fmt: skip


def problem_of(name: str) -> Problem:
    return SAMPLES if name == "samples" else problems.available()[name]


@functools.cache
def judge_of(name: str, operator: Operator, dtype: str) -> Judge:
    size = "smallx2" if operator in BATCHES else "small"
    return Judge(build_case(problem_of(name), size, dtype, operator, 5))


def status(spec: str, name: str, operator: Operator, dtype: str = "float64") -> tuple[Status, str]:
    judge, backend = judge_of(name, operator, dtype), opened(spec)
    found = prepared(backend, problem_of(name), (judge.case.size, dtype, operator, 5)).timed
    result = [np.asarray(backend.to_numpy(leaf)) for leaf in leaves(backend.block(found.run(*found.args)))]
    return overall(judge(result))


def composites() -> Iterator[tuple[str, Operator, str]]:
    for spec in SPECS:
        for operator in COMPOSITE:
            for name in ("samples",) if operator in SAMPLED else NAMES[: 6 if operator in PARTS else 3]:
                if operator in SAMPLED or ON_REQUEST[operator] <= problem_of(name).operators:
                    yield name, operator, spec


@pytest.mark.parametrize(("name", "operator", "spec"), list(composites()))
def test_several_derivatives_at_once_are_right(name: str, operator: Operator, spec: str) -> None:
    assert status(spec, name, operator) == (Status.OK, "")


TRACED = [
    (name, operator, spec)
    for spec in ("numpy:compiled", "jax", "tensorflow")
    for name in NAMES
    for operator in (O.GRADIENT, O.VJP, O.JVP, O.JACOBIAN, O.HVP)
    if operator in problem_of(name).operators
]


@pytest.mark.parametrize(("name", "operator", "spec"), few(TRACED, 18))
def test_what_is_traced_and_compiled_is_right(name: str, operator: Operator, spec: str) -> None:
    assert status(spec, name, operator) == (Status.OK, "")


@pytest.mark.parametrize("spec", SPECS[:4])
def test_single_precision_stays_single(spec: str) -> None:
    for name, operator in (("real_gains", O.HVP), ("complex_solve", O.JACOBIAN), ("kerr", O.VJP)):
        assert status(spec, name, operator, "float32") == (Status.OK, "")


def _modulus(z: Any) -> Any:
    return (z * z.conj()).real.sum()


@pytest.mark.parametrize(
    ("spec", "operator", "words"),
    [
        ("numpy", O.HESSIAN, "hessian is not defined for complex numbers"),
        ("torch", O.LAPLACIAN, "laplacian is not defined for complex numbers"),
        ("torch", O.TAYLOR, "taylor is not defined for complex numbers"),
        ("torch:fr", O.HVP, "no choice of the order of modes for complex numbers: use torch"),
        ("torch:compile", O.GRADIENT, "no code for complex numbers: use torch"),
    ],
)
def test_what_is_not_computed_is_refused_by_name(spec: str, operator: Operator, words: str) -> None:
    backend = opened(spec)
    with pytest.raises(Unsupported, match=words):
        backend.prepare(operator, _modulus, [backend.to_var(Z)], directions=[backend.to_var(Z)])


@pytest.mark.parametrize("spec", ["manual", "finite_difference"])
def test_a_backend_that_does_not_declare_complex_numbers_is_asked_for_none(spec: str) -> None:
    with pytest.raises(Unsupported, match="takes no complex numbers"):
        prepared(opened(spec), problem_of("kerr"), ("small", "float64", O.JVP, 0))


def test_conversions_are_stated() -> None:
    jax, torch = load("jax"), load("torch")
    assert jax.conversion(O.GRADIENT) == jax.conversion(O.GRADIENT_BATCH) == "conjugate of jax.grad"
    assert jax.conversion(O.VALUE_AND_VJP).startswith("conjugate of jax.vjp")
    assert jax.conversion(O.JACOBIAN) == torch.conversion(O.GRADIENT) == load("numpy").conversion(O.JACOBIAN) == ""
    assert torch.conversion(O.VALUE_AND_JACOBIAN).startswith("rows of torch.autograd.grad, conjugated")


@pytest.mark.parametrize("spec", SPECS[:4])
def test_a_gradient_of_real_numbers_is_as_before(spec: str) -> None:
    """Complex numbers on the way from real to real numbers: |exp(ix)(1 + x)|^2 has the slope 2 (1 + x)."""
    backend = opened(spec)
    xp = backend.xp

    def f(x: Any) -> Any:
        z = xp.astype(x, xp.complex128)
        y = xp.exp(z * backend.to_var(np.array(1j))) * (1 + z)
        return xp.sum(xp.real(y) ** 2 + xp.imag(y) ** 2)

    x = backend.to_var(np.array([0.5, -2.0, 3.0]))
    (found,) = backend.prepare(O.GRADIENT, f, [x])(x)
    assert backend.to_numpy(found).dtype == np.float64
    np.testing.assert_allclose(backend.to_numpy(found), [3.0, -2.0, 8.0], rtol=1e-14)
