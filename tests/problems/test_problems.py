"""Every problem runs under the array API standard, and its closed forms agree with numerical differences."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import array_api_strict
import numpy as np
import pytest
import scipy.special

from autodiff_compare.backends import PLAIN
from autodiff_compare.backends.interface import python_scan
from autodiff_compare.backends.plain import Plain
from autodiff_compare.plan.cases import cast
from autodiff_compare.plan.precision import complex_dtype
from autodiff_compare.problems import Inputs, Problem, available, regressions
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.vocabulary import Operator, Optimizer

PROBLEMS = list(available().values())
every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
# The other problems have their derivatives checked by numerical differences in test_crosschecks.py.
# Those of complex numbers are in test_complex_numbers.py.
CLOSED = [p for p in PROBLEMS if {Operator.GRADIENT, Operator.JACOBIAN} & set(p.reference) and not p.complex_numbers]
every_closed_form = pytest.mark.parametrize("problem", CLOSED, ids=lambda p: p.name)


#: Problems of special functions, which SciPy has in double precision at most.
IN_DOUBLE = frozenset({"black_scholes", *(p.name for p in regressions.PROBLEMS)})


def _lifted(name: str) -> Any:
    """Return a function of SciPy on arrays of the standard's own class."""
    function = getattr(scipy.special, {"lgamma": "gammaln"}.get(name, name))
    return lambda x, **axes: array_api_strict.asarray(function(np.asarray(x), **axes))


class Strict(Plain):
    """The array API standard with ``special``, and the loops of a backend."""

    def __init__(self) -> None:
        special = {name: _lifted(name) for name in ("erfc", "expit", "lgamma", "logsumexp")}
        names = {name: getattr(array_api_strict, name) for name in array_api_strict.__all__}
        super().__init__(SimpleNamespace(**names, special=SimpleNamespace(**special)))

    def scan(self, f: Any, init: Any, xs: Any) -> Any:
        return python_scan(self.xp, f, init, xs)


def drawn(problem: Problem, seed: int = 0) -> Inputs:
    return problem.inputs(np.random.default_rng(seed), problem.sizes["small"])


def slope(f: Any, inputs: Inputs, tangents: list[Any], h: float = 1e-3, dtype: Any = np.longdouble) -> Any:
    """Return central differences of order six along ``tangents``, in long double."""

    def at(k: int) -> Any:
        moved = [x.astype(dtype) + k * h * t for x, t in zip(inputs.differentiated, tangents, strict=True)]
        return f(*moved, *inputs.data)

    return sum(c * (at(k) - at(-k)) for k, c in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))) / h


def value(problem: Problem, inputs: Inputs, *arrays: Any) -> Any:
    """Return the objective in long double, by its closed form where NumPy's linear algebra has no long double."""
    try:
        return problem.function(PLAIN, inputs.static)(*arrays)
    except TypeError:
        return problem.reference[Operator.VALUE](*arrays, **inputs.static)


def products(problem: Problem, inputs: Inputs) -> Any:
    """Return all closed forms, also of products that are not among the problem's operators."""
    return complete(replace(problem, operators=problem.operators | {Operator.JVP, Operator.HVP}), inputs, tools=PLAIN)


def relative(a: Any, b: Any) -> float:
    return float(np.linalg.norm(abs(np.ravel(a - b)).astype(float)) / np.linalg.norm(abs(np.ravel(b)).astype(float)))


# Problems that differentiate inside their objective need more than the standard.
_DIFFERENTIATE = {"derivative", "value_and_derivative", "solve_root", "solve_fixed_point"}


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if not _DIFFERENTIATE & {*p.uses}], ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_objective_uses_only_the_standard_and_keeps_the_dtype(problem: Problem, dtype: str) -> None:
    inputs, xp = drawn(problem), array_api_strict
    arrays = [cast(a, dtype) for a in inputs.arrays]
    out = problem.function(Strict(), inputs.static)(*map(xp.asarray, arrays))
    kind = complex_dtype(dtype).name if np.iscomplexobj(np.asarray(out)) else dtype
    assert out.dtype == getattr(xp, kind)
    plain = complete(problem, inputs, tools=PLAIN)[Operator.VALUE](*inputs.arrays)
    assert relative(np.asarray(out), plain) < 100 * np.finfo(dtype).eps


@every_closed_form
def test_first_derivatives_agree_with_sixth_order_differences(problem: Problem) -> None:
    inputs, rng = drawn(problem), np.random.default_rng(1)
    tangents = [rng.uniform(0.5, 1.5, x.shape) for x in inputs.differentiated]
    jvp = products(problem, inputs)[Operator.JVP](*inputs.arrays, *tangents)
    # Truncation is of order h^6 f^(7), rounding of order eps / h; the steps cross no kink at this seed.
    h, dtype, most = (4e-3, float, 1e-10) if problem.name in IN_DOUBLE else (1e-3, np.longdouble, 1e-11)
    difference = slope(lambda *a: value(problem, inputs, *a), inputs, tangents, h, dtype)
    assert relative(jvp, difference) < most
    assert np.any(jvp)


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if Operator.HESSIAN in p.reference], ids=lambda p: p.name)
def test_second_derivatives_agree_with_sixth_order_differences(problem: Problem) -> None:
    inputs, rng, forms = drawn(problem), np.random.default_rng(2), products(problem, drawn(problem))
    tangents = [rng.uniform(0.5, 1.5, x.shape) for x in inputs.differentiated]
    for k, product in enumerate(forms[Operator.HVP](*inputs.arrays, *tangents)):
        difference = slope(lambda *a, k=k: forms[Operator.GRADIENT](*a)[k], inputs, tangents)
        assert relative(product, difference) < 1e-11


@every_problem
def test_inputs_follow_the_seed(problem: Problem) -> None:
    first, again, other = drawn(problem, 3), drawn(problem, 3), drawn(problem, 4)
    assert all(np.array_equal(a, b) for a, b in zip(first.arrays, again.arrays, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first.differentiated, other.differentiated, strict=True))
    assert all(a.dtype in (np.float64, np.complex128) for a in first.differentiated)
    assert problem.complex_numbers or not any(map(np.iscomplexobj, first.differentiated))


@every_closed_form
def test_no_reference_is_zero_everywhere_at_any_size(problem: Problem) -> None:
    # The judge compares relative to the norm of the reference, and could not fail a backend that returns zeros.
    for n in problem.sizes.values():
        inputs = problem.inputs(np.random.default_rng(0), n)
        forms = complete(problem, inputs, tools=PLAIN)
        operator = Operator.GRADIENT if Operator.GRADIENT in forms else Operator.JACOBIAN
        for block in forms[operator](*inputs.arrays):
            assert np.any(block), n


def test_inputs_have_the_same_bits_in_every_process() -> None:
    # With another number of threads, since LAPACK and BLAS may round differently then.
    script = (
        "import hashlib, numpy as np; from autodiff_compare import problems;"
        "draw = lambda p, n: b''.join(a.tobytes() for a in p.inputs(np.random.default_rng(5), n).arrays);"
        "all = [draw(p, n) for p in problems.available().values() for n in p.sizes.values()];"
        "starts = [b''.join(a.tobytes() for a in d.start(s).arrays)"
        " for p in problems.available().values() for d in p.descent.values() for s in d.starts];"
        "print(hashlib.sha256(b'|'.join(all + starts)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            cwd=pathlib.Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, threads in (("0", "1"), ("7", "2"))
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


@every_closed_form
def test_products_and_the_step_follow_from_the_closed_forms(problem: Problem) -> None:
    inputs, rng = drawn(problem), np.random.default_rng(6)
    optimizer = Optimizer("adam", 0.01, eps=1e-3)
    asked = replace(problem, operators=problem.operators | {Operator.VJP})
    forms = complete(asked, inputs, optimizer, PLAIN)
    out = np.asarray(forms[Operator.VALUE](*inputs.arrays))
    tangents = [rng.normal(size=x.shape) for x in inputs.differentiated]
    cotangent = rng.normal(size=out.shape)
    pulled = forms[Operator.VJP](*inputs.arrays, cotangent)
    assert [p.shape for p in pulled] == [x.shape for x in inputs.differentiated]
    if Operator.JVP in forms:
        # <c, J t> = <J^T c, t>.
        pushed = forms[Operator.JVP](*inputs.arrays, *tangents)
        assert pushed.shape == out.shape
        paired = sum(np.sum(p * t) for p, t in zip(pulled, tangents, strict=True))
        size = sum(np.sum(abs(p * t)) for p, t in zip(pulled, tangents, strict=True))
        assert abs(np.sum(cotangent * pushed) - paired) <= 1e-14 * size
    if Operator.GRADIENT in forms:
        gradients = forms[Operator.GRADIENT](*inputs.arrays)
        for x, g, moved in zip(inputs.differentiated, gradients, forms[Operator.STEP](*inputs.arrays), strict=True):
            # Adam's first update from a fresh state: m' = g, v' = g^2 (Kingma and Ba 2015, algorithm 1).
            np.testing.assert_allclose(moved, x - 0.01 * g / (np.sqrt(g * g) + 1e-3), rtol=1e-14)


ARM = [[0.3, -0.5, 0.8], [1.0, 0.7, 0.4]]


# classic_goldens.json: chain_rule at (1.5, -0.5), test_functions at (1, 1), planar_arm.
@pytest.mark.parametrize(
    ("name", "point", "operator", "expected"),
    [
        ("chain_rule", ([1.5, -0.5],), "jacobian", [[[2.5, 2.5], [21.288023084105806, 4.4816890703380645]]]),
        ("sphere", ([1.0], [1.0]), "gradient", [[2.0], [2.0]]),
        ("matyas", ([1.0], [1.0]), "gradient", [[0.04], [0.04]]),
        ("goldstein_price", ([1.0], [1.0]), "gradient", [[-5376.0], [8064.0]]),
        ("planar_arm", ARM, "value", [1.9715173395783463, 0.3823086644628109, 0.6000000000000001]),
        (
            "planar_arm",
            ARM,
            "jacobian",
            [
                [
                    [-0.3823086644628109, -0.08678845780147137, -0.2258569893580142],
                    [1.9715173395783463, 1.0161808504527405, 0.3301342459638713],
                    [1.0, 1.0, 1.0],
                ]
            ],
        ),
    ],
)
def test_values_of_the_classic_study(name: str, point: Any, operator: str, expected: Any) -> None:
    n = 2 if len(point) == 2 and name != "planar_arm" else 1
    arrays = tuple(map(np.array, point))
    inputs = Inputs(arrays[:n], arrays[n:])
    found = complete(available()[name], inputs)[Operator(operator)](*inputs.arrays)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


def test_the_planar_arm_is_singular_when_it_is_stretched() -> None:
    jacobian = available()["planar_arm"].reference[Operator.JACOBIAN]
    theta, lengths = map(np.array, ARM)
    # classic_goldens.json, planar_arm: det J = l1 l2 sin(theta2).
    assert np.linalg.det(jacobian(theta, lengths)) == pytest.approx(-0.335597877022942, rel=1e-12)
    assert abs(np.linalg.det(jacobian(np.array([0.3, 0.0, 0.8]), lengths))) < 1e-15


def test_the_pose_of_the_ur5_with_all_joints_at_zero() -> None:
    # Stretched along -x: x = a2 + a3, y = -(d4 + d6), z = d1 - d5, the tool rotated by a right angle about x.
    arm = available()["ur5_arm"]
    links = drawn(arm).data
    pose = arm.objective(np.zeros(6), *links, xp=np)
    np.testing.assert_allclose(pose, [-0.81725, -0.19145, -0.005491, np.pi / 2, 0, 0], rtol=0, atol=1e-15)


def test_the_ur5_frames_are_those_of_denavit_and_hartenberg() -> None:
    # Rot_z(theta) Trans_z(d) Trans_x(a) Rot_x(alpha), parameters: classic_problems.md, section 5.
    a, d = (0, -0.425, -0.39225, 0, 0, 0), (0.089159, 0, 0, 0.10915, 0.09465, 0.0823)
    alpha = (np.pi / 2, 0, 0, np.pi / 2, -np.pi / 2, 0)
    inputs = drawn(available()["ur5_arm"])
    theta, T = inputs.differentiated[0], np.eye(4)
    for k in range(6):
        (c, s), (ca, sa) = (np.array([np.cos(x), np.sin(x)]) for x in (theta[k], alpha[k]))
        T = T @ np.array(
            [[c, -s * ca, s * sa, a[k] * c], [s, c * ca, -c * sa, a[k] * s], [0, sa, ca, d[k]], [0, 0, 0, 1]]
        )
    pose = available()["ur5_arm"].objective(theta, *inputs.data, xp=np)
    np.testing.assert_allclose(pose[:3], T[:3, 3], rtol=0, atol=1e-15)
    (cr, cp, cy), (sr, sp, sy) = np.cos(pose[3:]), np.sin(pose[3:])
    turned = (
        np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    )
    np.testing.assert_allclose(turned, T[:3, :3], rtol=0, atol=1e-14)


def test_the_ur5_is_singular_with_a_stretched_elbow_or_an_aligned_wrist() -> None:
    inputs = drawn(available()["ur5_arm"])
    jacobian = available()["ur5_arm"].reference[Operator.JACOBIAN]
    theta = inputs.differentiated[0]
    assert np.linalg.cond(jacobian(theta, *inputs.data)) < 1e3
    for joint in (2, 4):
        straight = np.where(np.arange(6) == joint, 0.0, theta)
        assert np.linalg.cond(jacobian(straight, *inputs.data)) > 1e14


@pytest.mark.parametrize("seed", range(20))
def test_inputs_of_the_ur5_are_away_from_gimbal_lock_and_from_the_branch_cut(seed: int) -> None:
    inputs = drawn(available()["ur5_arm"], seed)
    roll, pitch, yaw = available()["ur5_arm"].objective(*inputs.arrays, xp=np)[3:]
    assert abs(pitch) < 1.1
    assert max(abs(roll), abs(yaw)) < 3.0


def test_the_optimum_of_the_cubic_fit() -> None:
    # classic_goldens.json, cubic_fit: optimum and min_loss; facts, section 4: eigenvalues of the Hessian.
    fit = available()["cubic_fit"]
    start = fit.descent["cleared"].start(0)
    x, y = start.data
    theta = np.linalg.solve(
        fit.reference[Operator.HESSIAN](np.zeros(4), x, y), -fit.reference[Operator.GRADIENT](np.zeros(4), x, y)
    )
    np.testing.assert_allclose(theta, [-0.0933303890405988, 0, 0.8567408430737848, 0], rtol=1e-12, atol=1e-14)
    assert fit.objective(theta, x, y, xp=np) == pytest.approx(8.817165410007025, rel=1e-13)
    curvatures = np.linalg.eigvalsh(fit.reference[Operator.HESSIAN](theta, x, y))
    np.testing.assert_allclose(curvatures, [1727.5, 2065.98, 80355.8, 562121.9], rtol=1e-4)
    # The largest stable learning rate: 2 / the largest curvature.
    assert 2 / curvatures[-1] == pytest.approx(3.557946898346627e-06, rel=1e-10)
