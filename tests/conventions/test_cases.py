"""The cases of the atlas are well-formed, and correct as far as NumPy can verify them."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.conventions.judgement import coordinates, numpy_function
from autodiff_compare.judge.singular import hull
from autodiff_compare.judge.singular.slopes import Coordinates, nearby, sides
from autodiff_compare.problems.conventions import CASES, DEFINITIONS, FAMILIES, Case, Kink, Undefined, Value

#: Functions that NumPy and the definitions lack, from SciPy: it is independent of the declared values.
_SCIPY = {
    "bessel_j0": "j0", "bessel_j1": "j1", "digamma": "psi", "erfcx": "erfcx", "erfinv": "erfinv",
    "gammainc": "gammainc",
    "i0e": "i0e", "i1": "i1", "i1e": "i1e", "log_ndtr": "log_ndtr", "ndtri": "ndtri", "spence": "spence",
    "zeta": "zeta", "betaln": "betaln", "betainc": "betainc", "dawsn": "dawsn", "gammaln": "gammaln",
}  # fmt: skip

#: As written, the value is nan, overflows or is lost to rounding, so that NumPy cannot verify the derivative.
_LOST = {
    "log_of_exp", "log_of_exp_negative", "x_log_x", "x2_log_x", "entropy_with_zero", "logsumexp_by_hand", "bce_by_hand",
    "log_of_softmax_far", "logistic_by_hand", "tanh_by_hand", "softmax_by_hand", "cosh_overflow", "mean_of_huge",
    "var_of_huge", "infinity_minus_infinity", "norm_huge", "norm_tiny", "cancellation", "log_subnormal",
    "nan_times_zero",
    "sum_with_nan", "sqrt_infinity", "reciprocal_infinity", "exp_overflow", "logsumexp_of_nothing", "logaddexp_far",
    "subnormal_times_number", "square_of_tiny", "cube_of_tiny",
    # The step of the differences is larger than the feature: a jump of tan, a period of sin, a spike of 1/x.
    "tangent_behind_where", "sine_of_large", "reciprocal_of_tiny", "sinc_tiny", "expm1_small", "log1p_small",
    # float16 has too few digits for a difference; the substitute for infinity overflows; the scales are too far apart.
    "float16_stays", "nan_to_num", "prod_overflow_of_others",
    # NumPy raises at the point itself.
    "cholesky_singular", "cholesky_one_by_one",
    # A gradient by differences needs both sides.
    "second_power_three_halves", "second_power_five_halves",
    # At the corner the gradient is off by half its step; dividing by a smaller step magnifies that.
    "second_relu_squared",
    # Its value is rounded to nothing around 1e10, or does not exist below 0.
    "gammaln_large",
}  # fmt: skip


#: Second differences need the larger steps.
STEPS = {"gradient": "float64", "jvp": "float64", "second": "float32"}


def function(case: Case) -> Callable[..., Any]:
    """Return the case's function in NumPy, with SciPy for special functions."""
    names = {n.attr for n in ast.walk(ast.parse(case.f, mode="eval")) if isinstance(n, ast.Attribute)}
    lacking = names & set(_SCIPY) - set(DEFINITIONS)
    if not lacking and "polygamma_1" not in names:
        return numpy_function(case)
    special = pytest.importorskip("scipy.special", reason="SciPy defines this function")
    scope = {name: getattr(special, own) for name, own in _SCIPY.items()}
    scope["polygamma_1"] = lambda x: special.polygamma(1, x)
    return eval(
        f"lambda {', '.join(case.names)}: {case.f}",
        {"xp": type("xp", (), {k: staticmethod(v) for k, v in scope.items()})},
    )


def displaced(case: Case, f: Callable[..., Any]) -> tuple[Coordinates, Callable[[Any], Any]]:
    """Return the coordinates of a case, and its function of a displacement (for second derivatives, its gradient)."""
    at = Coordinates.of(case.inputs("float64"), symmetric=case.symmetric)
    data = case.constants("float64")

    def value(by: Any) -> Any:
        try:
            return np.real(np.ravel(f(*at.moved(by), *data))).astype(np.float64)
        except np.linalg.LinAlgError:  # outside the domain
            return np.array([np.nan])

    def gradient(by: Any) -> Any:
        step = 2.0**-24
        units = step * np.eye(len(at.places)) * at.scales
        return np.array([float(value(by + u)[0] - value(by - u)[0]) / (2 * u.sum()) for u in units])

    return at, gradient if case.operator == "second" else value


def along(case: Case, array: Any) -> Any:
    """Return the derivative of a case along 1, 2, 3, ... if it is a JVP."""
    return np.atleast_1d(array @ np.arange(1, array.shape[-1] + 1)) if case.operator == "jvp" else array


def asked(kind: type) -> list[Any]:
    return [
        pytest.param(case, id=name)
        for name, case in CASES.items()
        if isinstance(case.right, kind) and case.operator != "answer" and name.removeprefix("forward_") not in _LOST
    ]


def test_the_atlas_has_enough_cases_and_families() -> None:
    assert len(CASES) >= 300
    assert len(FAMILIES) >= 25
    assert all(sum(case.family == family for case in CASES.values()) >= 5 for family in FAMILIES)


def test_every_case_is_well_formed() -> None:
    for case in CASES.values():
        assert case.name.isidentifier(), case
        assert case.why, case.name
        assert "\n" not in case.why + case.safe, case.name
        assert 1 <= len(case.at) <= 3, case.name
        tree = ast.parse(case.f, mode="eval")
        bound = {a.arg for node in ast.walk(tree) if isinstance(node, ast.Lambda) for a in node.args.args}
        free = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert free <= {"xp", *case.names} | bound, case.name
        if isinstance(case.right, Kink):
            assert case.right.more or len(case.right.vertices) > 1, f"{case.name}: a hull of one point is a value"


def test_every_name_that_a_case_uses_exists() -> None:
    """Names are of the array API, definitions or idioms; a misspelt one would be 'not available' in every backend."""
    idioms = {"raw_gradient", "stop_gradient", "polygamma_1"}
    for case in CASES.values():
        for node in ast.walk(ast.parse(case.f, mode="eval")):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "xp":
                known = hasattr(np, node.attr) or node.attr in DEFINITIONS or node.attr in idioms or node.attr in _SCIPY
                assert known, (case.name, node.attr)


@pytest.mark.parametrize("case", asked(Value))
def test_the_declared_derivative_agrees_with_differences_in_numpy(case: Case) -> None:
    """Compare with one-sided differences, on each side on which the function is defined."""
    at, f = displaced(case, function(case))
    if not at.places:
        assert case.right.array.size == 0  # type: ignore[union-attr]
        return
    with np.errstate(all="ignore"):
        seen = sides(f, at, STEPS[case.operator])
    right = coordinates(case.right, case, "float64")  # type: ignore[arg-type]
    coarse = 2e-3 if case.operator == "second" else 1e-6
    shown = 0
    for side in (seen.left, seen.right):
        found = along(case, side) if case.operator == "jvp" else np.ravel(side)
        finite = np.abs(right[np.isfinite(right)]).max(initial=0.0) or 1.0
        bar = float(seen.bar.max()) * (9 if case.operator == "jvp" else 1)
        for got, wanted in zip(found, right, strict=True):
            if np.isnan(got):
                continue
            shown += 1
            assert got == wanted if np.isinf(wanted) else abs(got - wanted) <= coarse * finite + 3 * bar
    assert shown, "NumPy cannot verify this case: name it in _LOST, with its reason"


@pytest.mark.parametrize("case", asked(Kink))
def test_the_declared_subdifferential_agrees_with_gradients_in_numpy(case: Case) -> None:
    """Every declared vertex is in the measured hull, and every measured gradient in the declared one."""
    at, f = displaced(case, function(case))
    with np.errstate(all="ignore"):
        if len(at.places) == 1:
            found = sides(f, at, STEPS[case.operator])
            points = np.array([np.ravel(found.left), np.ravel(found.right)])
        else:
            points = nearby(f, at, "float64")[0]
    if case.operator == "jvp":
        points = (points * np.arange(1, points.shape[1] + 1)).sum(axis=1, keepdims=True)
    declared = case.right.array  # type: ignore[union-attr]
    allowed = 2e-3 if case.operator == "second" else 1e-4
    size = np.abs(declared[np.isfinite(declared)]).max(initial=1.0)
    # Vertices of a round hull are approached only where a direction of approach points at them.
    loose = 0.05 if case.right.more else 0.0  # type: ignore[union-attr]
    for corner in declared:
        assert hull.distance(points, corner) <= (allowed + loose) * size
    if not case.right.more:  # type: ignore[union-attr]
        for point in points[~np.isnan(points).any(axis=1)]:
            assert hull.distance(declared, point) <= allowed * size


def test_the_exceptions_are_cases_of_the_atlas() -> None:
    assert set(CASES) >= _LOST


def test_undefined_cases_have_a_reason() -> None:
    assert all(case.right.reason for case in CASES.values() if isinstance(case.right, Undefined))


def test_importing_the_cases_loads_no_framework() -> None:
    for file in (pathlib.Path(__file__).parents[2] / "problems" / "conventions").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                module = str(node.module)
                assert module.startswith("autodiff_compare.problems") or module.partition(".")[0] in {
                    "__future__", "collections", "dataclasses", "functools", "math", "numpy", "types", "typing",
                }  # fmt: skip
