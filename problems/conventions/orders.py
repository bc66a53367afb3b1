"""Extreme magnitudes, nan, second derivatives, and cases of other families in forward mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import exp, inf, nan, pi

import numpy as np

from autodiff_compare.problems.conventions.case import ZERO_TIMES_INFINITY, Case, Kink, Right, Undefined, Value

_extreme = partial(Case, "magnitudes", dtypes=("float64",))
_nan = partial(Case, "not_a_number")
_second = partial(Case, "second_order", operator="second")

_EXTREMES = (
    _extreme("exp_overflow", "xp.exp(x)", (1000.0,), Value(inf), "e^x overflows, as its slope does", ""),
    _extreme("exp_underflow", "xp.exp(x)", (-1000.0,), Value(0.0), "e^x underflows", ""),
    _extreme("tanh_of_huge", "xp.tanh(x)", (1e300,), Value(0.0), "1 - tanh^2", ""),
    _extreme("square_of_tiny", "x * x", (1e-200,), Value(2e-200), "2 x; the value underflows", ""),
    _extreme("cube_of_tiny", "x ** 3", (1e-150,), Value(3e-300), "3 x^2; the value underflows", ""),
    _extreme("reciprocal_of_tiny", "1.0 / x", (1e-160,), Value(-inf), "-1/x^2 overflows, the value does not", "scale"),
    _extreme("reciprocal_of_huge", "1.0 / x", (1e200,), Value(0.0), "-1/x^2 underflows", ""),
    _extreme("reciprocal_zero", "1.0 / x", (0.0,), Undefined("a pole"), "infinite", ""),
    _extreme("reciprocal_infinity", "1.0 / x", (inf,), Value(0.0), "-1/x^2", ""),
    _extreme("quotient_of_huge", "x / y", (1e200, 1e200), Value(1e-200, -1e-200), "1/y and -x/y^2; y^2 overflows", ""),
    _extreme("quotient_of_tiny", "x / y", (1e-200, 1e-200), Value(1e200, -1e200), "1/y and -x/y^2; y^2 underflows", ""),
    _extreme("logistic_of_huge", "xp.logaddexp(x, xp.zeros_like(x))", (1e300,), Value(1.0), "the larger one alone", ""),
    _extreme("sqrt_of_huge", "xp.sqrt(x)", (1e300,), Value(0.5e-150), "1/(2 sqrt x)", ""),
    _extreme("sqrt_of_tiny", "xp.sqrt(x)", (1e-300,), Value(0.5e150), "1/(2 sqrt x)", ""),
    _extreme("log_of_huge", "xp.log(x)", (1e300,), Value(1e-300), "1/x", ""),
    _extreme("atan_of_huge", "xp.atan(x)", (1e200,), Value(0.0), "1/(1 + x^2) underflows; x^2 overflows", ""),
    _extreme("asinh_of_huge", "xp.asinh(x)", (1e200,), Value(1e-200), "1/sqrt(1 + x^2); x^2 overflows", ""),
    _extreme("acosh_of_huge", "xp.acosh(x)", (1e200,), Value(1e-200), "1/sqrt(x^2 - 1); x^2 overflows", ""),
    _extreme("power_of_huge", "x ** 0.5", (1e300,), Value(0.5e-150), "0.5 x^-0.5", ""),
    _extreme("cosh_overflow", "xp.log(xp.cosh(x))", (1000.0,), Value(1.0), "tanh, though cosh overflows",
             "xp.abs(x) + xp.log1p(xp.exp(-2 * xp.abs(x))) - log 2", value=1000 - 0.6931471805599453),
    _extreme("normalised_huge", "x[0] / xp.sum(x)", ([1e200, 1e200],), Value([0.25e-200, -0.25e-200]),
             "x1/s^2 and -x0/s^2; s^2 overflows", ""),
    _extreme("mean_of_huge", "xp.mean(x)", ([1e308, 1e308],), Value([0.5, 0.5]), "1/n; the sum overflows",
             "scale first", value=1e308),
    _extreme("var_of_huge", "xp.var(x)", ([1e160, 3e160],), Value([-1e160, 1e160]), "2 (x - mean)/n; squares overflow",
             "scale first", value=inf),
    _extreme("subnormal_times_number", "x * 2.0", (5e-324,), Value(2.0), "the factor", ""),
    _extreme("cancellation", "xp.log(1.0 + x)", (1e-17,), Value(1.0), "1/(1 + x); the value is lost", "xp.log1p(x)",
             value=0.0),
    _extreme("sine_of_large", "xp.sin(x)", (1e6 * pi,), Value(1.0), "cos", ""),
    _extreme("infinity_minus_infinity", "x - x", (inf,), Value(0.0), "0 for every x; inf - inf in the value",
             "simplify first", value=nan),
)  # fmt: skip

_NANS = (
    _nan("nan_to_num", "xp.sum(xp.nan_to_num(x))", ([nan, 1.0, inf],), Value([0, 1, 0]), "what is replaced is constant",
         ""),
    _nan("fmax_ignores", "xp.fmax(x, a)", (2.0,), Value(1.0), "the number beside nan", "", data=(nan,)),
    _nan("fmax_of_nan", "xp.fmax(a, x)", (2.0,), Value(1.0), "the number beside nan", "", data=(nan,)),
    _nan("maximum_keeps", "xp.maximum(x, a)", (2.0,), Undefined("the maximum of nan"), "nan is no number", "",
         data=(nan,)),
    _nan("nan_times_zero", "x * a", (nan,), Value(0.0), "the factor 0", "", data=(0.0,), value=nan),
    _nan("sum_with_nan", "xp.sum(x * a)", ([nan, 2.0],), Value([3, 4]), "the factors", "", data=([3.0, 4.0],)),
    _nan("sort_with_nan", "xp.sort(x)[0]", ([nan, 1.0],), Value([0, 1]), "nan goes to the end", ""),
    _nan("clip_of_nan", "xp.clip(x, 0.0, 1.0)", (nan,), Undefined("nan is on no side"), "nan is no number", ""),
)  # fmt: skip

_CORNER = "no second derivative at a corner"
_SECONDS = (
    _second("square", "x ** 2", (0.0,), Value(2.0), "2", ""),
    _second("square_float", "x ** 2.0", (0.0,), Value(2.0), "2", "x * x"),
    _second("cube", "x ** 3", (0.0,), Value(0.0), "6 x", ""),
    _second("fourth", "x ** 4.0", (0.0,), Value(0.0), "12 x^2", ""),
    _second("power_1", "x ** 1.0", (0.0,), Value(0.0), "x^1 = x", "write x"),
    _second("power_0", "x ** 0.0", (0.0,), Value(0.0), "x^0 = 1", "write 1"),
    _second("power_three_halves", "x ** 1.5", (0.0,), Value(inf), "0.75/sqrt(x) -> inf", ""),
    _second("power_five_halves", "x ** 2.5", (0.0,), Value(0.0), "3.75 sqrt(x)", ""),
    _second("power_by_both", "xp.pow(x[0], x[1])", ([0.0, 2.0],), Value([2, 0, 0, 0]),
            "y (y - 1) x^(y-2) = 2; the others hold x log x -> 0", ""),
    _second("abs", "xp.abs(x)", (0.0,), Undefined(_CORNER), "the slope jumps by 2", ""),
    _second("abs_away", "xp.abs(x)", (1.0,), Value(0.0), "straight", ""),
    _second("abs_cubed", "xp.abs(x) ** 3", (0.0,), Value(0.0), "6 |x|", ""),
    _second("x_abs_x", "x * xp.abs(x)", (0.0,), Kink(-2, 2), "2 |x| has slopes -2 and 2", ""),
    _second("relu_squared", "xp.relu(x) ** 2", (0.0,), Kink(0, 2), "2 relu(x) has slopes 0 and 2", ""),
    _second("softplus_zero", "xp.softplus(x)", (0.0,), Value(0.25), "s (1 - s)", ""),
    _second("softplus_far", "xp.softplus(x)", (1000.0,), Value(0.0), "s (1 - s)", ""),
    _second("sinc_zero", "xp.sinc(x)", (0.0,), Value(-(pi**2) / 3), "1 - (pi x)^2/6 + ...", ""),
    _second("norm_squared_zero", "xp.linalg.vector_norm(x) ** 2", ([0.0, 0.0],),
            Value([2, 0, 0, 2]), "2 I, since |x|^2 = x.x; the second derivative of the norm is infinite at 0",
            "xp.sum(x * x)", lost=ZERO_TIMES_INFINITY),
    _second("norm_away", "xp.linalg.vector_norm(x)", ([3.0, 4.0],), Value([0.128, -0.096, -0.096, 0.072]),
            "(I - u u^T)/|x|", ""),
    _second("prod_one_zero", "xp.prod(x)", ([2.0, 0.0, 3.0],), Value([0, 3, 0, 3, 0, 2, 0, 2, 0]),
            "the product of the third", ""),
    _second("prod_two_zeros", "xp.prod(x)", ([0.0, 0.0, 3.0],), Value([0, 3, 0, 3, 0, 0, 0, 0, 0]),
            "the product of the third", ""),
    _second("prod_pair", "xp.prod(x)", ([0.0, 0.0],), Value([0, 1, 1, 0]), "x0 x1", ""),
    _second("cumprod_zero", "xp.sum(xp.cumulative_prod(x))", ([0.0, 2.0],), Value([0, 1, 1, 0]), "x0 + x0 x1", ""),
    _second("logsumexp_equal", "xp.logsumexp(x)", ([1.0, 1.0],), Value([0.25, -0.25, -0.25, 0.25]),
            "diag(p) - p p^T", ""),
    _second("logaddexp_equal", "xp.logaddexp(x[0], x[1])", ([1.0, 1.0],), Value([0.25, -0.25, -0.25, 0.25]),
            "diag(p) - p p^T", ""),
    _second("det_singular", "xp.linalg.det(x)", ([[1.0, 2.0], [2.0, 4.0]],),
            Value([0, 0, 0, 1, 0, 0, -1, 0, 0, -1, 0, 0, 1, 0, 0, 0]), "a d - b c", ""),
    _second("xlogy_zero", "xp.xlogy(x[0], x[1])", ([0.0, 2.0],), Value([0, 0.5, 0.5, 0]), "0, 1/y, -x/y^2", ""),
    _second("hypot_away", "xp.hypot(x[0], x[1])", ([3.0, 4.0],), Value([0.128, -0.096, -0.096, 0.072]),
            "(I - u u^T)/r", ""),
    _second("where_log", "xp.where(x > 0, xp.log(x), 3.0 * x * x)", (-1.0,), Value(6.0), "3 x^2 is selected", ""),
    _second("where_sqrt", "xp.where(x > 0, xp.sqrt(x), 3.0 * x * x)", (-1.0,), Value(6.0), "3 x^2 is selected", ""),
    _second("max_no_tie", "xp.max(x)", ([1.0, 2.0],), Value([0, 0, 0, 0]), "straight", ""),
    _second("sigmoid_zero", "xp.sigmoid(x)", (0.0,), Value(0.0), "s (1 - s)(1 - 2 s)", ""),
    _second("gelu_zero", "xp.gelu(x)", (0.0,), Value(2 / (2 * pi) ** 0.5), "2 phi(0)", ""),
    _second("elu_zero", "xp.elu(x)", (0.0,), Kink(0, 1), "e^x from the left, 0 from the right", ""),
    _second("huber_at_delta", "xp.huber(x, 1.0)", (1.0,), Kink(0, 1), "1 inside, 0 outside", ""),
    _second("exp_of_minus_square", "xp.exp(-x * x)", (1.0,), Value(2 * exp(-1)), "(4 x^2 - 2) e^(-x^2)", ""),
    _second("eigenvalue_largest", "xp.linalg.eigvalsh(xp.stack([xp.stack([x[0], x[1]]), xp.stack([x[1], x[2]])]))[1]",
            ([3.0, 0.0, 1.0],), Value([0, 0, 0, 0, 1, 0, 0, 0, 0]),
            "(a + b)/2 + sqrt(((a - b)/2)^2 + c^2): 2/(a - b) in c",
            ""),
)  # fmt: skip

#: Cases of other families that are repeated in forward mode.
FORWARD = (
    "abs", "maximum_zero", "ramp_difference", "relu_difference", "maximum_plus_minimum", "abs_by_root",
    "huber_at_delta",
    "max", "max_over_dimension", "maximum_of_two", "maximum_of_itself", "median_even", "clip_lower", "clip_by_bound",
    "power_0_float", "power_2_float", "exponent_of_zero_base", "sqrt_zero", "norm_zero", "norm_squared_zero",
    "hypot_origin", "hypot_tiny", "xlogy_zero", "logaddexp_equal", "logsumexp_large", "sqrt_behind_where_left",
    "log_behind_where_left", "exp_quotient_behind_where", "sinc_zero", "prod_one_zero", "prod_two_zeros",
    "cumprod_one_zero", "std_of_equals", "sort_no_tie", "eigenvalue_largest", "eigenvalue_squares_double",
    "cholesky_below", "det_singular", "take_repeated", "scatter_add_base", "relu_zero", "softplus_far", "gelu_zero",
)  # fmt: skip


def forward(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return the cases named in `FORWARD` as JVPs along the tangent 1, 2, 3, ..."""
    known: Mapping[str, Case] = {case.name: case for case in cases}
    return tuple(
        replace(known[name], family="forward_mode", name=f"forward_{name}", operator="jvp", right=_along(known[name]))
        for name in FORWARD
    )


def _along(case: Case) -> Right:
    if isinstance(case.right, Undefined):
        return case.right
    entries = case.right.array
    tangent = np.arange(1, entries.shape[-1] + 1)
    # A matrix product of NumPy may warn of infinite entries, though the sum is right.
    with np.errstate(invalid="ignore"):
        along = np.atleast_1d(entries @ tangent)
    return Value(along[0]) if isinstance(case.right, Value) else Kink(*along, more=case.right.more)


CASES = (*_EXTREMES, *_NANS, *(replace(case, name=f"second_{case.name}") for case in _SECONDS))
