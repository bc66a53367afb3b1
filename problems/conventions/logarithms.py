"""Logarithms, masks by ``where``, and ``sin(x)/x``."""

from __future__ import annotations

from functools import partial
from math import cos, e, exp, inf, log, pi, sin

from autodiff_compare.problems.conventions.case import Case, Kink, Undefined, Value

_log = partial(Case, "logs")
_mask = partial(Case, "where_masks")
_sinc = partial(Case, "sinc")

_INNER = "guard the argument: xp.where(ok, f(xp.where(ok, x, 1)), 0)"
_DOUBLE = "a second where inside: the unselected branch must be finite where it is not taken"

_LOGS = (
    _log("log_zero", "xp.log(x)", (0.0,), Value(inf), "1/x from the right", "xp.log(x + eps)"),
    _log("log_negative", "xp.log(x)", (-1.0,), Undefined("outside the domain"), "no real logarithm", ""),
    _log("log_one", "xp.log(x)", (1.0,), Value(1.0), "1/x", ""),
    _log("log_subnormal", "xp.log(x)", (1e-310,), Value(inf), "1/x overflows", "", dtypes=("float64",)),
    _log("log1p_edge", "xp.log1p(x)", (-1.0,), Value(inf), "1/(1 + x) from the right", ""),
    _log("log1p_small", "xp.log1p(x)", (1e-20,), Value(1.0), "1/(1 + x)", ""),
    _log("log_of_exp", "xp.log(xp.exp(x))", (800.0,), Value(1.0), "x, though e^800 overflows", "write x", value=800.0),
    _log("log_of_exp_negative", "xp.log(xp.exp(x))", (-800.0,), Value(1.0), "x, though e^-800 underflows", "write x",
         value=-800.0),
    _log("log_abs", "xp.log(xp.abs(x))", (-2.0,), Value(-0.5), "1/x", ""),
    _log("log2_eight", "xp.log2(x)", (8.0,), Value(1 / (8 * log(2))), "1/(x log 2)", ""),
    _log("log10_hundred", "xp.log10(x)", (100.0,), Value(1 / (100 * log(10))), "1/(x log 10)", ""),
    _log("x_log_x", "x * xp.log(x)", (0.0,), Value(-inf), "log x + 1 -> -inf; 0 log 0 is 0", "xlogy", value=0.0),
    _log("x2_log_x", "x * x * xp.log(x)", (0.0,), Value(0.0), "2 x log x + x -> 0", _INNER, value=0.0),
    _log("xlogy_zero", "xp.xlogy(x, y)", (0.0, 2.0), Value(log(2), 0.0), "log y and x/y", ""),
    _log("xlogy_zero_data", "xp.xlogy(x, a)", (0.0,), Value(log(2)), "log y", "", data=(2.0,)),
    _log("xlogy_both_zero", "xp.xlogy(a, x)", (0.0,), Value(0.0), "0 log y is 0 for every y > 0", "", data=(0.0,)),
    _log("xlogy_positive", "xp.xlogy(x, y)", (3.0, 2.0), Value(log(2), 1.5), "log y and x/y", ""),
    _log("xlog1py_zero", "xp.xlog1py(x, y)", (0.0, 1.0), Value(log(2), 0.0), "log(1 + y) and x/(1 + y)", ""),
    _log("entr_zero", "xp.entr(x)", (0.0,), Value(inf), "-log x - 1 -> inf", ""),
    _log("entr_one", "xp.entr(x)", (1.0,), Value(-1.0), "-log x - 1", ""),
    _log("logaddexp_equal", "xp.logaddexp(x, y)", (1.0, 1.0), Value(0.5, 0.5), "softmax of equals", ""),
    _log("logaddexp_minus_inf", "xp.logaddexp(x, a)", (1.0,), Value(1.0), "e^-inf adds nothing", "", data=(-inf,)),
    _log("logaddexp_both_minus_inf", "xp.logaddexp(x, y)", (-inf, -inf), Undefined("log 0 of no definite share"),
         "-inf - -inf", "mask the entries -inf"),
    _log("logaddexp_far", "xp.logaddexp(x, y)", (1000.0, 0.0), Value(1.0, 0.0), "the larger one alone", ""),
    _log("logsumexp_large", "xp.logsumexp(x)", ([1000.0, 1000.0],), Value([0.5, 0.5]), "softmax of equals", ""),
    _log("logsumexp_one_minus_inf", "xp.logsumexp(x)", ([-inf, 0.0],), Value([0, 1]), "softmax", ""),
    _log("logsumexp_all_minus_inf", "xp.logsumexp(x)", ([-inf, -inf],), Undefined("log 0 of no definite share"),
         "a softmax of nothing", "mask the entries -inf"),
    _log("logsumexp_by_hand", "xp.log(xp.sum(xp.exp(x)))", ([1000.0, 1000.0],), Value([0.5, 0.5]),
         "softmax of equals, though e^1000 overflows", "xp.logsumexp(x)", value=1000 + log(2)),
    _log("logcumsumexp_minus_inf", "xp.sum(xp.logcumsumexp(x)[1:])", ([-inf, 0.0],), Value([0, 1]),
         "log(e^-inf + e^0)", ""),
    _log("entropy_with_zero", "-xp.sum(x * xp.log(x))", ([0.5, 0.0],), Value([log(2) - 1, inf]),
         "-log p - 1 -> inf at p = 0", "-xp.sum(xlogy(p, p))", value=0.5 * log(2)),
    _log("logdet_identity", "xp.logdet(x)", ([[1.0, 0.0], [0.0, 1.0]],), Value([1, 0, 0, 1]), "X^-T", ""),
)  # fmt: skip

_MASKS = (
    _mask("sqrt_behind_where", "xp.where(x > 0, xp.sqrt(x), xp.zeros_like(x))", (0.0,), Kink(0, inf),
          "0 from the left, infinite from the right", _INNER),
    _mask("sqrt_behind_where_left", "xp.where(x > 0, xp.sqrt(x), xp.zeros_like(x))", (-1.0,), Value(0.0),
          "the constant 0 is selected", _INNER),
    _mask("log_behind_where", "xp.where(x > 0, xp.log(x), xp.zeros_like(x))", (0.0,), Kink(-inf, 0),
          "the constant 0 is selected, from the left; from the right it falls to -inf", _INNER),
    _mask("log_behind_where_left", "xp.where(x > 0, xp.log(x), xp.zeros_like(x))", (-1.0,), Value(0.0),
          "the constant 0 is selected", _INNER),
    _mask("quotient_behind_where", "xp.where(x != 0, x / x, xp.ones_like(x))", (0.0,), Value(0.0),
          "1 on both sides and at the point", _INNER),
    _mask("sine_quotient_behind_where", "xp.where(x != 0, xp.sin(x) / x, xp.ones_like(x))", (0.0,), Value(0.0),
          "sin x / x is even", "xp.sinc(x / pi)"),
    _mask("reciprocal_behind_where", "xp.where(x > 1, 1.0 / x, x * x)", (0.0,), Value(0.0), "x^2 is selected around 0",
          _INNER),
    _mask("log1p_behind_where", "xp.where(x > -1, xp.log1p(x), xp.zeros_like(x))", (-2.0,), Value(0.0),
          "the constant 0 is selected", _INNER),
    _mask("arccos_behind_where", "xp.where(x < 1, xp.acos(x), xp.zeros_like(x))", (2.0,), Value(0.0),
          "the constant 0 is selected", _INNER),
    _mask("power_half_behind_where", "xp.where(x > 0, x ** 0.5, 2.0 * x)", (-1.0,), Value(2.0), "2 x is selected",
          _INNER),
    _mask("power_minus_1_behind_where", "xp.where(x > 1, x ** -1.0, 2.0 * x)", (0.0,), Value(2.0),
          "2 x is selected around 0", _INNER),
    _mask("exp_behind_where", "xp.where(x < 10, xp.exp(x), x)", (1000.0,), Value(1.0),
          "x is selected; the other branch overflows", _INNER),
    _mask("exp_quotient_behind_where", "xp.where(x < 10, xp.exp(x) / (1.0 + xp.exp(x)), xp.ones_like(x))", (1000.0,),
          Value(0.0), "the constant 1 is selected; inf/inf is not", _INNER),
    _mask("norm_behind_where", "xp.where(xp.sum(x * x) > 0, xp.sqrt(xp.sum(x * x)), 0.0 * xp.sum(x))", ([0.0, 0.0],),
          Kink([1, 0], [0, 1], [-1, 0], [0, -1], more="the unit ball"), "the tip of a cone; the other branch is 0",
          _INNER),
    _mask("branch_on_a_point", "xp.where(x == 1, xp.ones_like(x), x)", (1.0,),
          Undefined("a branch that is taken at a single point says nothing of its neighbourhood"),
          "the function is x, the branch the constant 1", "branch on intervals"),
    _mask("masked_sum_of_logs", "xp.sum(xp.where(x > 0, xp.log(x), xp.zeros_like(x)))", ([-1.0, 2.0],),
          Value([0, 0.5]), "the first entry is not selected", _INNER),
    _mask("log_guarded_inside", "xp.where(x > 0, xp.log(xp.where(x > 0, x, xp.ones_like(x))), xp.zeros_like(x))",
          (-1.0,), Value(0.0), "the safe spelling", ""),
    _mask("sqrt_guarded_inside", "xp.where(x > 0, xp.sqrt(xp.where(x > 0, x, xp.ones_like(x))), xp.zeros_like(x))",
          (-1.0,), Value(0.0), "the safe spelling", ""),
    _mask("x_log_x_behind_where", "xp.where(x > 0, x * xp.log(x), xp.zeros_like(x))", (-1.0,), Value(0.0),
          "the constant 0 is selected", _INNER),
    _mask("quotient_guarded_inside", "xp.where(x != 0, xp.sin(x) / xp.where(x != 0, x, xp.ones_like(x)), "
          "xp.ones_like(x))", (0.0,), Value(0.0), "sin x / x is even", ""),
    _mask("mask_by_product", "(x > 0) * xp.log(x)", (-1.0,), Undefined("0 * nan is nan, also in the value"),
          "a product is no mask", "xp.where with the argument guarded", refusal="booleans need not multiply"),
    _mask("nan_behind_where", "xp.where(xp.isnan(a), x, a * x)", (2.0,), Value(1.0), "x is selected where a is nan",
          _DOUBLE, data=(float("nan"),)),
    _mask("infinity_behind_where", "xp.where(xp.isinf(a), x, a * x)", (2.0,), Value(1.0),
          "x is selected where a is infinite", _DOUBLE, data=(inf,)),
    _mask("divide_no_nan_zero", "xp.divide_no_nan(a, x)", (0.0,), Undefined("1/x around 0, and 0 at 0"),
          "an isolated point", "", data=(1.0,)),
    _mask("divide_no_nan_numerator", "xp.divide_no_nan(x, a)", (1.0,), Value(0.0), "the constant 0", "", data=(0.0,)),
    _mask("tangent_behind_where", "xp.where(x > 0, xp.tan(x), xp.zeros_like(x))", (-pi / 2,), Value(0.0),
          "the constant 0 is selected; tan' is about 1e32", ""),
    _mask("where_equal_branches", "xp.where(x > 0, x, x)", (0.0,), Value(1.0), "x either way", ""),
)  # fmt: skip

_S1 = cos(1) - sin(1)
_SINCS = (
    _sinc("sinc_zero", "xp.sinc(x)", (0.0,), Value(0.0), "even", ""),
    _sinc("sinc_half", "xp.sinc(x)", (0.5,), Value(-4 / pi), "(cos(pi x) - sinc(x))/x", ""),
    _sinc("sinc_tiny", "xp.sinc(x)", (1e-8,), Value(-(pi**2) / 3 * 1e-8), "-pi^2 x/3; the closed form cancels",
          "a series near 0"),
    _sinc("sinc_one", "xp.sinc(x)", (1.0,), Value(-1.0), "cos(pi)/1", ""),
    _sinc("sine_over_x_zero", "xp.sin(x) / x", (0.0,), Undefined("0/0 as it is written"), "the limit is even: 0",
          "xp.sinc(x / pi)"),
    _sinc("sine_over_x_one", "xp.sin(x) / x", (1.0,), Value(_S1), "(x cos x - sin x)/x^2", ""),
    _sinc("expm1_over_x_zero", "xp.expm1(x) / x", (0.0,), Undefined("0/0 as it is written"), "the limit is 1/2",
          "mask 0 before the division"),
    _sinc("log1p_over_x_zero", "xp.log1p(x) / x", (0.0,), Undefined("0/0 as it is written"), "the limit is -1/2",
          "mask 0 before the division"),
    _sinc("expm1_small", "xp.expm1(x)", (1e-10,), Value(exp(1e-10)), "e^x", ""),
    _sinc("sinc_many", "xp.sum(xp.sinc(x))", ([0.0, 1.0, 2.0],), Value([0, -1, 0.5]), "cos(pi n)/n", ""),
    _sinc("one_minus_cosine_over_x", "(1.0 - xp.cos(x)) / x", (0.0,), Undefined("0/0 as it is written"),
          "the limit is 1/2", "mask 0 before the division"),
    _sinc("tanh_over_x_one", "xp.tanh(x) / x", (1.0,), Value(4 / (e + 1 / e) ** 2 - (e - 1 / e) / (e + 1 / e)),
          "(x sech^2 x - tanh x)/x^2", ""),
)  # fmt: skip

CASES = (*_LOGS, *_MASKS, *_SINCS)
