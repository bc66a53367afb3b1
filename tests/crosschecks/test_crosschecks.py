"""Every problem x operator x backend against its reference, the backends against each other, and the operators too.

The suite ``classic`` in both dtypes and by closed forms as well; the others in float64, and in float32 where value and
gradient come together, which is where a constant of the wrong width shows. In float32 another operator of a classic
problem is tried on two of the backends, in turns: each backend meets each problem and each operator in each dtype.
TensorFlow and JAX, which take up to seconds to trace each function, have the other problems in float32 in turns. The
many test functions of optimisation take the eager variant of TensorFlow for all but value and gradient in float64,
since a trace costs what a hundred eager calls do. JAX is the other way round: its eager variant compiles every
operation for every shape, which takes three to five times as long as to compile the function. `OP_BY_OP` are the
problems that have this variant besides.
There is nothing here that a backend may refuse. `IMPRECISE` lists results that have fewer digits than promised.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import PLAIN, Objective, load
from autodiff_compare.judge import judge
from autodiff_compare.judge.pairs import pairwise
from autodiff_compare.plan.cases import Case, build_case, cast, leaves
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import DEFAULT_BACKENDS, Query
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.vocabulary import DTYPES, HALF_DTYPES, Operator, Status, Verdict
from tests.conftest import opened

SEED = 20
CLASSIC = frozenset(p.name for p in plan(Query()).problems)
#: Relative to the norm of the reference: what the project promises of float64, whatever the judge allows.
PROMISED = 1e-10

#: The test functions of optimisation.
LANDSCAPES = frozenset(p.name for p in problems.available().values() if p.optimum is not None) - CLASSIC
QUICK = ("numpy", "torch", "tensorflow:eager", "jax")
#: A function of numbers, a problem of several outputs and one of complex numbers, which JAX computes op by op as well.
OP_BY_OP = frozenset({"matyas", "planar_arm", "complex_polynomial"})
#: What TensorFlow and JAX are asked of problems that are not classic, of one output and of several. Every operator of
#: theirs is tried on the classic ones; the value of one output is part of value and gradient.
TRACED = frozenset({Operator.VALUE_AND_GRADIENT, Operator.HVP, Operator.SPARSE_JACOBIAN})
TRACED_OF_SEVERAL = frozenset({Operator.VALUE, Operator.JACOBIAN, Operator.SPARSE_JACOBIAN})
#: The same function as another problem's, written otherwise: only its value and gradient are computed.
TWINS = {"gmm_adbench": "gmm", "ode_unrolled": "ode"}
#: The objectives of many fields: `test_field` has them.
ELSEWHERE = frozenset(p.name for p in problems.available().values() if "field" in p.suites)
#: Left out for their cost: by reverse over reverse through a loop TensorFlow takes a minute and more to trace them.
#: Their products with vectors, hvp, are there.
DEAR = {("lqr", Operator.HESSIAN), ("ode", Operator.HESSIAN)}


_TRIGAMMA = "its trigamma, torch.special.polygamma(1, x), errs by up to 1e-10 in version 2.13"
#: (problem, operator, backend), in float64 -> why the result has fewer digits than promised.
IMPRECISE = {
    (problem, operator, "torch"): _TRIGAMMA
    for problem in ("negative_binomial_regression", "beta_regression")
    for operator in (Operator.HVP, Operator.HESSIAN)
}
#: (problem, operator, backend), in every dtype -> what the framework gets wrong.
DEFECTS = {
    ("complex_determinant", operator, "tensorflow:eager"): (
        "its gradient of det multiplies by the determinant, not by its conjugate, in version 2.21"
    )
    for operator in (Operator.JVP, Operator.VJP, Operator.JACOBIAN)
}


@functools.cache
def case_of(problem: str, dtype: str, operator: Operator, seed: int = SEED) -> Case:
    return build_case(problems.available()[problem], "small", dtype, operator, seed)


@functools.cache
def judge_of(problem: str, dtype: str, operator: Operator) -> judge.Judge:
    return judge.Judge(case_of(problem, dtype, operator))


@functools.cache
def result_of(problem: str, dtype: str, operator: Operator, spec: str) -> tuple[Any, ...]:
    """Prepared at the inputs of one seed, used at those of another."""
    backend, case = opened(spec), case_of(problem, dtype, operator)
    other = case_of(problem, dtype, operator, SEED + 1)

    def var(array: Any) -> Any:
        return backend.to_var(cast(array, dtype))

    function = case.problem.function(backend, case.inputs.static)
    patterns = case.patterns if operator == Operator.SPARSE_JACOBIAN else ()
    run = backend.prepare(
        operator,
        Objective(function, complete(case.problem, case.inputs, case.optimizer, PLAIN), patterns=patterns),
        [var(a) for a in other.inputs.arrays],
        argnums=range(len(case.inputs.differentiated)),
        directions=[var(t) for t in other.directions],
        optimizer=case.optimizer,
    )
    found = run(*(var(a) for a in (*case.inputs.arrays, *case.directions)))
    return tuple(np.asarray(backend.to_numpy(leaf)) for leaf in leaves(backend.block(found)))


GROUPS = [
    (problem, operator)
    for problem, operator in dict.fromkeys((cell.problem, cell.operator) for cell in plan(Query(suites=("all",))).cells)
    if problem not in ELSEWHERE
    and (problem not in TWINS or operator == Operator.VALUE_AND_GRADIENT)
    and (problem, operator) not in DEAR
]
# The quick ones first: `make test` keeps the first set with each operator, backend and dtype.
GROUPS.sort(key=lambda group: group[0] not in CLASSIC)


def dtypes_of(problem: str, operator: Operator) -> Iterator[str]:
    known = problems.available()[problem]
    whole = problem in CLASSIC or operator in (Operator.VALUE_AND_GRADIENT, Operator.SPARSE_JACOBIAN)
    # Descents within derivatives cost seconds each to trace; nested derivatives in float32 are tried by test_nested.py.
    scalar = Operator.GRADIENT in known.operators or "while_loop" in known.uses
    yield from DTYPES if whole or (not scalar and operator in (Operator.VALUE, Operator.JACOBIAN)) else DTYPES[:1]


def specs_of(problem: str, *operators: Operator, dtype: str = "float64") -> list[str]:
    """The backends that are to have all of ``operators``."""
    known = problems.available()[problem]
    if problem in CLASSIC:
        return list(DEFAULT_BACKENDS)
    first = (*operators, dtype) == (Operator.VALUE_AND_GRADIENT, "float64")
    # Each framework has conventions of its own in each operator on complex numbers.
    of_any = known.complex_numbers or set(operators) <= (
        TRACED if Operator.GRADIENT in known.operators else TRACED_OF_SEVERAL
    )
    if not of_any:
        return ["numpy", "torch"]
    quick = (known.complex_numbers or problem in LANDSCAPES) and not first
    specs = list(QUICK if quick else DEFAULT_BACKENDS)
    turn = sorted(problems.available()).index(problem) % 2
    return specs if dtype == "float64" else [*specs[:2], specs[2 + turn]]


def in_turns(problem: str, operator: Operator, specs: list[str]) -> list[str]:
    """Two of the backends: others for another operator of the problem, and for another problem of the operator."""
    turn = sorted(CLASSIC).index(problem) + 2 * list(Operator).index(operator)
    return [specs[(turn + k) % len(specs)] for k in range(2)]


def cells() -> Iterator[Any]:
    for problem, operator in GROUPS:
        for dtype in dtypes_of(problem, operator):
            specs = specs_of(problem, operator, dtype=dtype) + ["manual"] * (problem in CLASSIC)
            if problem in CLASSIC and dtype == "float32" and operator != Operator.VALUE_AND_GRADIENT:
                specs = in_turns(problem, operator, specs)
            for spec in specs + ["jax:eager"] * (problem in OP_BY_OP):
                key = (problem, operator, spec)
                reason = DEFECTS.get(key, "") or (IMPRECISE.get(key, "") if dtype == "float64" else "")
                yield grouped(problem, operator, spec, dtype, reason=reason)


def grouped(*values: Any, reason: str = "") -> Any:
    """One problem stays in one test process, so that its results are computed once; a known failure has its reason."""
    known = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
    return pytest.param(*values, marks=[pytest.mark.xdist_group(values[0]), *known])


def precise(problem: str, operator: Operator) -> list[str]:
    """The backends that are to have the operator with all digits."""
    return [spec for spec in specs_of(problem, operator) if (problem, operator, spec) not in {**IMPRECISE, **DEFECTS}]


@pytest.mark.parametrize(("problem", "operator", "spec", "dtype"), list(cells()))
def test_a_result_agrees_with_its_reference(problem: str, operator: Operator, spec: str, dtype: str) -> None:
    result = result_of(problem, dtype, operator, spec)
    comparisons = judge_of(problem, dtype, operator)(result, repeatable=True, inputs_unchanged=True)
    status, message = judge.overall(comparisons)
    assert status == Status.OK, message
    assert {c.verdict for c in comparisons} == {Verdict.PASS}, comparisons
    if dtype == "float64":
        assert max(c.norm_rel_error for c in comparisons if np.isfinite(c.norm_rel_error)) <= PROMISED


def test_a_classic_problem_and_an_operator_meet_each_backend_in_each_dtype() -> None:
    tried = [cell.values for cell in cells() if cell.values[0] in CLASSIC]
    for place in (0, 1):  # of the problem, and of the operator
        double, single = ({(c[place], c[2]) for c in tried if c[3] == dtype} for dtype in DTYPES)
        assert double == single


@pytest.mark.parametrize(("problem", "operator"), [grouped(*group) for group in GROUPS])
def test_the_backends_agree_to_1e_10(problem: str, operator: Operator) -> None:
    results = {spec: result_of(problem, "float64", operator, spec) for spec in precise(problem, operator)}
    pairs = pairwise(case_of(problem, "float64", operator), results)
    assert len(pairs) == len(results) * (len(results) - 1) // 2
    for pair in pairs:
        assert pair.norm_rel_difference <= PROMISED, pair


# ---- what the operators have to do with each other, on every backend


def found(problem: str, operator: Operator, spec: str) -> tuple[Any, ...]:
    return result_of(problem, "float64", operator, spec)


def directions(problem: str, operator: Operator) -> tuple[Any, ...]:
    return case_of(problem, "float64", operator).directions


def matrix(problem: str, spec: str) -> Any:
    """All blocks of the Hessian as one matrix."""
    inputs = case_of(problem, "float64", Operator.HESSIAN).inputs.differentiated
    blocks = iter(found(problem, Operator.HESSIAN, spec))
    return np.block([[next(blocks).reshape(x.size, y.size) for y in inputs] for x in inputs])


def flat(arrays: Any) -> Any:
    return np.concatenate([np.ravel(a) for a in arrays])


def pushed(problem: str, spec: str, tangents: Any) -> Any:
    """The Jacobian times tangents, flat; of complex numbers, a real output takes the real part of it."""
    blocks = found(problem, Operator.JACOBIAN, spec)
    return sum(block.reshape(-1, t.size) @ t.ravel() for block, t in zip(blocks, tangents, strict=True))


def having(*operators: Operator) -> Any:
    """(problem, backend) wherever there are all of ``operators``."""
    everything = plan(Query(suites=("all",))).problems
    names = [p.name for p in everything if p.operators >= set(operators) and p.name not in {*TWINS, *ELSEWHERE}]
    names = [name for name in names if not any((name, o) in DEAR for o in operators)]
    pairs = [grouped(name, spec) for name in names for spec in specs_of(name, *operators)]
    return pytest.mark.parametrize(("problem", "spec"), pairs)


def close(a: Any, b: Any, scale: float) -> bool:
    return bool(np.linalg.norm(a - b) <= PROMISED * scale)


@having(Operator.HESSIAN)
def test_a_hessian_is_symmetric(problem: str, spec: str) -> None:
    H = matrix(problem, spec)
    assert np.any(H)
    assert close(H, H.T, np.linalg.norm(H))


@having(Operator.HESSIAN, Operator.HVP)
def test_an_hvp_is_the_hessian_times_the_tangents(problem: str, spec: str) -> None:
    H, t = matrix(problem, spec), flat(directions(problem, Operator.HVP))
    assert close(flat(found(problem, Operator.HVP, spec)), H @ t, np.linalg.norm(H) * np.linalg.norm(t))


@having(Operator.JVP, Operator.JACOBIAN)
def test_a_jvp_is_the_jacobian_times_the_tangents(problem: str, spec: str) -> None:
    t = directions(problem, Operator.JVP)
    scale = np.linalg.norm(flat(found(problem, Operator.JACOBIAN, spec))) * np.linalg.norm(flat(t))
    (jvp,) = found(problem, Operator.JVP, spec)
    assert np.any(jvp)
    product = pushed(problem, spec, t)
    assert close(np.ravel(jvp), product if np.iscomplexobj(jvp) else np.real(product), scale)


@having(Operator.JVP, Operator.VJP)
def test_jvp_and_vjp_are_adjoint(problem: str, spec: str) -> None:
    """<c, J t> = <J^T c, t>, of complex numbers in the inner product Re sum(conj(u) v)."""
    (cotangent,), t = directions(problem, Operator.VJP), flat(directions(problem, Operator.JVP))
    (jvp,) = found(problem, Operator.JVP, spec)
    vjp = flat(found(problem, Operator.VJP, spec))
    assert np.any(vjp)
    paired, back = np.real(np.vdot(cotangent, jvp)), np.real(np.vdot(vjp, t))
    assert close(paired, back, np.linalg.norm(vjp) * np.linalg.norm(t))


# ---- half precision, in which every framework computes these


HALF = [
    pytest.param(problem, operator, spec, dtype, marks=pytest.mark.xdist_group(problem))
    for problem in ("sphere", "goldstein_price", "chain_rule", "engine_perceptron")
    for operator in (Operator.VALUE_AND_GRADIENT, Operator.HVP, Operator.JACOBIAN)
    if operator in problems.available()[problem].operators
    for dtype in HALF_DTYPES
    for spec in DEFAULT_BACKENDS
    if dtype in load(spec).dtypes
]


@pytest.mark.parametrize(("problem", "operator", "spec", "dtype"), HALF)
def test_half_precision_agrees_with_the_reference(problem: str, operator: Operator, spec: str, dtype: str) -> None:
    result = result_of(problem, dtype, operator, spec)
    assert {str(leaf.dtype) for leaf in result} == {dtype}
    status, message = judge.overall(judge_of(problem, dtype, operator)(result))
    assert status == Status.OK, message
