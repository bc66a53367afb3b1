"""Results for functions of complex numbers: right ones pass, those of another convention and wrong parts do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.judge.complex_numbers import in_pairs, join_parts, refused, result_in_pairs, split_parts
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.pairs import pairwise
from autodiff_compare.judge.reference import NUMERICAL, reference_for
from autodiff_compare.plan.cases import Case, build_case, cast
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import COMPLEX, Operator, Status, Verdict
from tests.selection import few

O = Operator  # noqa: E741 - the operator of a row
Z = np.array([1 + 1j, 2 - 0.5j, -0.3 + 0.4j])
X = np.array([0.5, 1.5, -2.0])


def case_of(
    f: Callable[..., Any], *inputs: Any, operator: Operator, directions: Sequence[Any] = (), dtype: str = "float64"
) -> Case:
    problem = Problem(
        "made", "made for a test", "this test", {"small": 1}, lambda rng, n: Inputs(inputs), f, COMPLEX,
        complex_numbers=True,
    )  # fmt: skip
    made = build_case(problem, "small", dtype, operator, 0)
    return Case(problem, "small", dtype, operator, 0, made.inputs, tuple(directions), made.optimizer)


def power(z: Any, *, xp: Any) -> Any:
    return xp.sum(xp.real(z) ** 2 + xp.imag(z) ** 2)


def cubed(z: Any, *, xp: Any) -> Any:
    return z * z * z


T = np.array([1 - 2j, 0.5 + 1j, 1j])
#: Function, inputs, operator, directions, the right result by hand, wrong ones.
#: d|z|^2 = 2 Re(conj(z) dz), d z^3 = 3 z^2 dz, d exp(ix) = i exp(ix) dx, d(z conj(z)) = 2 Re(conj(z) dz).
ROWS: list[tuple[str, Callable[..., Any], tuple[Any, ...], Operator, tuple[Any, ...], Any, list[Any]]] = [
    ("gradient of |z|^2", power, (Z,), O.GRADIENT, (), 2 * Z, [2 * np.conj(Z), Z, 2 * Z.real + 0j, 2 * Z * (1 + 1e-6)]),
    ("one imaginary part", power, (Z,), O.GRADIENT, (), 2 * Z, [2 * Z + [0, 1e-6j, 0], 2 * Z + [0, 0, 1e-6]]),
    ("hvp of |z|^2", power, (Z,), O.HVP, (T,), 2 * T, [2 * np.conj(T), 2 * T.real + 0j]),
    ("jvp of |z|^2", power, (Z,), O.JVP, (T,), np.sum(2 * np.real(np.conj(Z) * T)), [np.sum(2 * np.real(Z * T))]),
    ("jacobian of |z|^2", power, (Z,), O.JACOBIAN, (), 2 * np.conj(Z), [2 * Z]),
    ("jvp of z^3", cubed, (Z,), O.JVP, (T,), 3 * Z**2 * T, [3 * np.conj(Z**2) * T, 3 * Z**2 * np.conj(T)]),
    ("vjp of z^3", cubed, (Z,), O.VJP, (T,), 3 * np.conj(Z**2) * T, [3 * Z**2 * T, 3 * Z**2 * np.conj(T)]),
    ("jacobian of z^3", cubed, (Z,), O.JACOBIAN, (), np.diag(3 * Z**2), [np.diag(np.conj(3 * Z**2)), np.diag(3 * Z)]),
    ("value of z^3", cubed, (Z,), O.VALUE, (), Z**3, [np.conj(Z**3)]),
    (
        "jacobian of what is not holomorphic", lambda z, *, xp: z * xp.conj(z), (Z,), O.JACOBIAN, (),
        None, [np.diag(np.conj(Z)), np.diag(2 * Z.real + 0j), np.diag(Z)],
    ),
    (
        "jvp of what is not holomorphic", lambda z, *, xp: z * xp.conj(z), (Z,), O.JVP, (T,),
        2 * np.real(np.conj(Z) * T) + 0j, [np.conj(Z) * T, 2 * np.conj(Z) * T],
    ),
    (
        "jacobian of real numbers", lambda x, *, xp: xp.exp(1j * x), (X,), O.JACOBIAN, (),
        np.diag(1j * np.exp(1j * X)), [np.diag(np.exp(1j * X)), np.diag(-np.sin(X) + 0j)],
    ),
    (
        "vjp to real numbers", lambda x, *, xp: xp.exp(1j * x), (X,), O.VJP, (T,),
        np.real(np.conj(1j * np.exp(1j * X)) * T), [np.real(1j * np.exp(1j * X) * T)],
    ),
    (
        "real parts of outputs", lambda z, *, xp: xp.abs(z), (Z,), O.JACOBIAN, (),
        np.diag(np.conj(Z) / abs(Z)), [np.diag(Z / abs(Z)), np.diag(Z.real / abs(Z) + 0j)],
    ),
]  # fmt: skip


@pytest.mark.parametrize("numerically", [False, True])
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_only_the_derivative_of_the_convention_passes(row: Any, numerically: bool) -> None:
    _, f, inputs, operator, directions, right, wrong = row
    if numerically and operator is O.VALUE:
        return
    judge = Judge(case_of(f, *inputs, operator=operator, directions=directions), NUMERICAL if numerically else None)
    if right is not None:
        assert overall(judge([np.asarray(right)])) == (Status.OK, "")
    for other in wrong:
        assert overall(judge([np.asarray(other)]))[0] == Status.WRONG, other


@pytest.mark.parametrize(
    ("dtype", "result", "words"),
    [
        ("float64", 2 * Z.real, "got float64, expected complex128"),
        ("float64", (2 * Z).astype(np.complex64), "got complex64, expected complex128"),
        ("float32", 2 * Z, "got complex128, expected complex64"),
        ("float32", (2 * Z).astype(np.complex64), ""),
        ("float64", (2 * Z)[:2], "got (2,), expected (3,)"),
        ("float64", 2 * Z * [1, np.nan, 1], "nan or infinite"),
    ],
)
def test_dtype_and_shape_are_those_of_complex_numbers(dtype: str, result: Any, words: str) -> None:
    status, why = overall(Judge(case_of(power, Z, operator=O.GRADIENT, dtype=dtype))([result]))
    assert (status == Status.OK) == (not words)
    assert words in why


def test_a_wrong_part_is_named() -> None:
    status, why = overall(Judge(case_of(power, Z, operator=O.GRADIENT))([2 * Z + [0, 1e-3j, 0]]))
    assert status == Status.WRONG
    assert "at [1, 1]" in why
    assert "1 the imaginary part" in why


def test_real_parts_that_cancel_have_the_rounding_of_the_whole_number() -> None:
    """(1 + i)^2 has the real part 0: in float32 it is off by a rounding of 2, not of 0."""
    z = np.array([1 + (1 + 1e-7) * 1j, 3 + 4j])
    case = case_of(lambda z, *, xp: z * z * z, z, operator=O.JACOBIAN, dtype="float32")
    judge = Judge(case)
    right = np.diag(3 * case.inputs.differentiated[0] ** 2)
    eps = np.finfo(np.float32).eps
    assert overall(judge([(right + np.diag([eps, 0])).astype(np.complex64)]))[0] == Status.OK
    assert overall(judge([(right + np.diag([1e3 * eps, 0])).astype(np.complex64)]))[0] == Status.WRONG


def test_differences_of_backends_are_those_of_pairs() -> None:
    case = case_of(power, Z, operator=O.GRADIENT)
    same, other, short = pairwise(case, {"a": [2 * Z], "b": [2 * Z]}), 2 * np.conj(Z), (2 * Z)[:1]
    assert same[0].max_abs_difference == 0
    (differs,) = pairwise(case, {"a": [2 * Z], "b": [other]})
    assert differs.max_abs_difference == pytest.approx(4 * max(abs(Z.imag)))
    (cut,) = pairwise(case, {"a": [short], "b": [short]})
    assert "expected (3,)" in cut.note


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_pairs_are_numbers_bit_by_bit(dtype: Any) -> None:
    pairs = np.array([[-1.0, -0.0], [np.inf, 2.0], [0.0, -np.inf]], dtype)
    numbers = join_parts(pairs)
    assert numbers.dtype.itemsize == 2 * pairs.dtype.itemsize
    assert np.angle(numbers[0]) < 0, "below the cut of the logarithm"
    np.testing.assert_array_equal(split_parts(numbers), pairs)
    assert np.signbit(split_parts(numbers)[0, 1])


def test_half_precision_has_no_complex_numbers() -> None:
    assert "use float32" in refused(case_of(power, Z, operator=O.GRADIENT, dtype="float16"))
    assert not refused(case_of(power, Z, operator=O.GRADIENT, dtype="float32"))


NAMES = [name for name, problem in problems.available().items() if problem.complex_numbers]


@pytest.mark.parametrize("name", few(NAMES, 8))
def test_closed_forms_agree_with_differences(name: str) -> None:
    """Each closed form, turned into pairs, against the function itself along both parts of every input."""
    problem = problems.available()[name]
    operator = (
        O.GRADIENT if O.GRADIENT in problem.reference else O.JACOBIAN if O.JACOBIAN in problem.reference else O.JVP
    )
    case = build_case(problem, "small", "float64", operator, 3)
    pairs = in_pairs(case)
    found = reference_for(pairs)
    assert found.arrays is not None
    assert all(name.startswith("closed_form") for name in found.names)
    comparisons = Judge(pairs, NUMERICAL)([np.asarray(a, np.float64) for a in found.arrays])
    assert {c.verdict for c in comparisons} == {Verdict.PASS}, comparisons


def test_there_are_twenty_problems_of_each_kind() -> None:
    kinds = {name: problems.available()[name].operators for name in NAMES}
    assert len(kinds) >= 20
    assert sum(O.GRADIENT in k for k in kinds.values()) >= 10
    assert sum(O.GRADIENT not in k and O.JACOBIAN in k for k in kinds.values()) >= 8
    assert sum(O.JACOBIAN not in k for k in kinds.values()) >= 2


def test_a_result_is_cast_like_the_inputs() -> None:
    case = case_of(power, Z, operator=O.GRADIENT, dtype="float32")
    assert cast(Z, "float32").dtype == np.complex64
    np.testing.assert_array_equal(case.inputs.differentiated[0], Z.astype(np.complex64).astype(np.complex128))
    (pairs,) = result_in_pairs(case, [2 * Z])
    np.testing.assert_array_equal(pairs, np.stack([2 * Z.real, 2 * Z.imag], axis=-1))
