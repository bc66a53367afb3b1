"""References: the best available source, its name, and its confirmation by numerical differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.judge.comparison import WIDE, allowed_rounding, compared, norm
from autodiff_compare.judge.mutants import operators
from autodiff_compare.judge.probe import Probe
from autodiff_compare.judge.reference import Reference, reference_for
from autodiff_compare.judge.rounding import engine
from autodiff_compare.plan.cases import Case, build_case
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import DTYPES, Operator, Verdict

#: Of the suite field, first derivatives are in `tests.crosschecks.test_field`, closed forms in `tests.problems`. Those
#: of complex numbers are references of pairs, in `test_complex_numbers.py`.
PROBLEMS = [p for p in problems.available().values() if "field" not in p.suites and not p.complex_numbers]
CASES = [(p, o) for p in PROBLEMS for o in operators(p)]
IDS = [f"{p.name}-{o}" for p, o in CASES]
#: In single precision the classic problems have every operator, and the others the first that they have of these: the
#: reference is computed from the rounded point in the same extended precision.
_FIRST = (Operator.GRADIENT, Operator.JACOBIAN, Operator.JVP, Operator.VALUE)
IN_DTYPES = [
    (p, o, dtype)
    for p, o in CASES
    for dtype in DTYPES
    if dtype == "float64" or "classic" in p.suites or o == next(first for first in _FIRST if first in operators(p))
]
EPS = float(np.finfo(np.float64).eps)


def case_of(problem: Problem, operator: Operator = Operator.GRADIENT, dtype: str = "float64", seed: int = 0) -> Case:
    return build_case(problem, "small", dtype, operator, seed)


def made(objective: Callable[..., Any], inputs: Callable[..., Inputs], **fields: Any) -> Problem:
    return Problem("made", "made for a test", "this test", {"small": 4, "large": 300_000}, inputs, objective, **fields)


def cubes(x: Any, *, xp: Any) -> Any:
    return xp.sum(x**3)


def drawn(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.uniform(0.5, 2.0, n),))


def closed(f: Callable[..., Any]) -> dict[Operator, Callable[..., Any]]:
    return {Operator.GRADIENT: f}


@functools.cache
def reference_of(problem: str, operator: Operator, dtype: str = "float64", seed: int = 0) -> Reference:
    """Return the reference of a known problem, which two tests read."""
    return reference_for(case_of(problems.available()[problem], operator, dtype, seed))


@pytest.mark.parametrize(
    ("problem", "operator", "dtype"), IN_DTYPES, ids=[f"{p.name}-{o}-{d}" for p, o, d in IN_DTYPES]
)
def test_every_problem_has_a_reference_finer_than_its_dtype(problem: Problem, operator: Operator, dtype: str) -> None:
    case, found = case_of(problem, operator, dtype), reference_of(problem.name, operator, dtype)
    assert found.arrays is not None
    assert len(found.names) == len(found.arrays)
    assert found.eps <= np.finfo(dtype).eps
    assert any(norm(a) > 0 for a in compared(case, found.arrays)), "a reference of zeros proves nothing"
    assert all(np.isfinite(change).all() for change in found.changes())


@pytest.mark.parametrize(
    ("problem", "operator", "seed"),
    [
        pytest.param(*case, seed, id=f"{name}-{seed}")
        for case, name in zip(CASES, IDS, strict=True)
        for seed in ((0, 1) if "classic" in case[0].suites else (0,))
        # Beside a value, the gradient has the reference of the gradient alone.
        if case[1] not in (Operator.VALUE, Operator.VALUE_AND_GRADIENT)
    ],
)
def test_numerical_differences_confirm_every_reference(problem: Problem, operator: Operator, seed: int) -> None:
    case = case_of(problem, operator, seed=seed)
    arrays = reference_of(problem.name, operator, seed=seed).arrays
    assert arrays is not None
    derivative = compared(case, arrays)
    found = Probe(case).check(derivative, allowed_rounding(case, derivative, EPS, 1))
    assert found.verdict == Verdict.PASS, found
    assert found.tolerance < 1e-8


@pytest.mark.skipif(WIDE is np.float64, reason="longdouble is float64 here")
def test_closed_form_is_evaluated_in_longdouble() -> None:
    found = reference_for(case_of(made(cubes, drawn, reference=closed(lambda x: 3 * x * x))))
    assert found.names == ("closed_form",)
    assert found.arrays is not None
    assert found.arrays[0].dtype == WIDE
    assert found.eps < EPS


def _with_linalg(x: Any) -> Any:
    return 3 * np.linalg.solve(np.eye(x.size), x * x)


def _rounded_to_float64(x: Any) -> Any:
    return (3 * x * x).astype(np.float64)


@pytest.mark.parametrize("form", [_with_linalg, _rounded_to_float64])
def test_closed_form_in_float64_says_so(form: Callable[..., Any]) -> None:
    case = case_of(made(cubes, drawn, reference=closed(form)))
    found = reference_for(case)
    assert found.names == ("closed_form (float64)",)
    assert found.eps == EPS
    assert found.arrays is not None
    assert np.allclose(found.arrays[0], 3 * case.inputs.differentiated[0] ** 2, rtol=4 * EPS)


def test_large_inputs_are_not_computed_in_longdouble() -> None:
    case = build_case(
        made(cubes, drawn, reference=closed(lambda x: 3 * x * x)), "large", "float64", Operator.GRADIENT, 0
    )
    assert reference_for(case).names == ("closed_form (float64)",)


def test_value_beside_a_gradient_is_named_for_itself() -> None:
    case = case_of(made(cubes, drawn, reference=closed(lambda x: 3 * x * x)), Operator.VALUE_AND_GRADIENT)
    assert [name.split()[0] for name in reference_for(case).names] == ["extended_precision", "closed_form"]


def test_change_by_one_rounding_measures_the_conditioning() -> None:
    """d/dx sum (x^2/2 - c x) = x - c, with x next to c: its condition number is |x|/|x - c|, here 1e8."""

    def close(rng: np.random.Generator, n: int) -> Inputs:
        c = rng.uniform(1.0, 2.0, n) + 0.1234567
        return Inputs((c * (1 + 1e-8),), (c,))

    problem = made(lambda x, c, *, xp: xp.sum(x * x / 2 - c * x), close, reference=closed(lambda x, c: x - c))
    found = reference_for(case_of(problem))
    assert found.arrays is not None
    kappa = norm(found.changes()[0]) / (EPS * norm(found.arrays[0]))
    assert 1e7 < kappa < 1e9


def test_whole_numbers_in_data_are_not_perturbed() -> None:
    """Masks and labels are exact: moving one by a rounding would change the function, not its conditioning."""

    def masked(rng: np.random.Generator, n: int) -> Inputs:
        return Inputs((rng.uniform(1.0, 2.0, n),), (np.array([0.0, 1.0, 1.0, 0.0])[:n],))

    problem = made(
        lambda x, mask, *, xp: xp.sum(xp.where(mask == 1, x * x, 0 * x)),
        masked,
        reference=closed(lambda x, mask: np.where(mask == 1, 2 * x, 0 * x)),
    )
    found = reference_for(case_of(problem))
    assert found.arrays is not None
    assert norm(found.changes()[0]) <= 4 * EPS * norm(found.arrays[0])


class _Engine:
    """A substitute for the NumPy engine whose gradient is that of `cubes`, times a factor."""

    xp = np

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def open(self) -> None: ...

    def to_var(self, array: Any) -> Any:
        return array

    def to_numpy(self, var: Any) -> Any:
        return var

    def block(self, out: Any) -> Any:
        return out

    def prepare(self, *_: Any, **__: Any) -> Callable[..., Sequence[Any]]:
        return lambda x: (3 * x * x * self.factor,)


@pytest.mark.parametrize(
    ("factor", "names"),
    [(1.0, "extended_precision"), (1 + 1e-9, "numerical_difference"), (np.nan, "numerical_difference")],
)
def test_engine_counts_only_if_differences_confirm_it(
    monkeypatch: pytest.MonkeyPatch, factor: float, names: str
) -> None:
    monkeypatch.setattr(engine.backends, "load", lambda _: _Engine(factor))
    found = reference_for(case_of(made(cubes, drawn)))
    assert found.names[0].split()[0] == names
    assert ("confirmed" in found.note) == (names == "extended_precision")


def test_our_engine_serves_where_there_is_no_closed_form() -> None:
    from autodiff_compare import backends

    if "numpy" not in backends.available():
        pytest.skip("the numpy backend is not there")
    case = case_of(made(cubes, drawn))
    found = reference_for(case)
    assert found.names[0].startswith("extended_precision")
    assert found.arrays is not None
    assert np.allclose(found.arrays[0].astype(float), 3 * case.inputs.differentiated[0] ** 2, rtol=4 * EPS)


def test_closed_form_of_another_shape_is_not_broadcast() -> None:
    found = reference_for(case_of(made(cubes, drawn, reference=closed(lambda x: (3 * x * x)[:, None]))))
    assert not found.names[0].startswith("closed_form")
    assert "got (4, 1), expected (4,)" in found.note


def test_value_falls_back_to_the_objective() -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("no formula here")

    case = case_of(made(cubes, drawn, reference={Operator.VALUE: broken}), Operator.VALUE)
    found = reference_for(case)
    assert found.names[0].startswith("extended_precision")
    assert "no formula here" in found.note
    assert found.arrays is not None
    assert float(found.arrays[0]) == pytest.approx(np.sum(case.inputs.differentiated[0] ** 3), rel=8 * EPS)


def test_broken_closed_form_gives_way_and_the_note_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("no formula here")

    def absent(_: str) -> Any:
        raise ValueError("no backend")

    monkeypatch.setattr(engine.backends, "load", absent)
    found = reference_for(case_of(made(cubes, drawn, reference=closed(broken))))
    assert found.names == ("numerical_difference",)
    assert found.arrays is None
    assert "RuntimeError: no formula here" in found.note


def test_numerical_cost_does_not_grow_with_the_inputs() -> None:
    counts = []
    for n in (50, 5000):
        calls = 0

        def counted(x: Any, *, xp: Any) -> Any:
            nonlocal calls
            calls += 1
            return cubes(x, xp=xp)

        case = case_of(replace(made(counted, drawn), sizes={"small": n}))
        calls = 0
        assert {v for g in Probe(case).groups for v in g.found.verdicts} == {Verdict.PASS}
        counts.append(calls)
    assert counts[0] == counts[1]
