"""Reductions, products with zeros, rounding and sorting."""

from __future__ import annotations

from functools import partial
from math import inf, log, nan

from autodiff_compare.problems.conventions.case import ZERO_TIMES_INFINITY, Case, Kink, Undefined, Value

_reduce = partial(Case, "reductions")
_product = partial(Case, "products")
_round = partial(Case, "rounding")
_sort = partial(Case, "sorting")

_EPS = "add eps under the root: xp.sqrt(xp.var(x) + eps)"
_STEP = "a step function has no useful derivative: a straight-through or a smooth one is a choice of yours"

_REDUCTIONS = (
    _reduce("sum", "xp.sum(x)", ([1.0, 2.0],), Value([1, 1]), "ones", ""),
    _reduce("mean", "xp.mean(x)", ([1.0, 2.0],), Value([0.5, 0.5]), "1/n", ""),
    _reduce("mean_of_one", "xp.mean(x)", ([3.0],), Value(1.0), "1/1", ""),
    _reduce("var_of_equals", "xp.var(x)", ([1.0, 1.0],), Value([0, 0]), "2 (x - mean)/n", ""),
    _reduce("var", "xp.var(x)", ([1.0, 3.0],), Value([-1, 1]), "2 (x - mean)/n", ""),
    _reduce("var_corrected", "xp.var(x, correction=1)", ([1.0, 3.0],), Value([-2, 2]), "2 (x - mean)/(n - 1)", ""),
    _reduce("std_of_equals", "xp.std(x)", ([1.0, 1.0],), Kink([0.5, -0.5], [-0.5, 0.5]), "|x0 - x1|/2", _EPS),
    _reduce("std_of_one", "xp.std(x)", ([3.0],), Value(0.0), "0 for every x", _EPS),
    _reduce("std_of_three_equals", "xp.std(x)", ([2.0, 2.0, 2.0],),
            Kink([0, 1 / 6**0.5, -1 / 6**0.5], [0, -1 / 6**0.5, 1 / 6**0.5], more="an ellipse in the plane sum = 0"),
            "a cone in the deviations", _EPS),
    _reduce("std", "xp.std(x)", ([1.0, 3.0],), Value([-0.5, 0.5]), "(x - mean)/(n std)", ""),
    _reduce("std_corrected_of_one", "xp.std(x, correction=1)", ([3.0],), Undefined("0/0: one entry, no freedom"),
            "n - 1 = 0", ""),
    _reduce("max_with_minus_inf", "xp.max(x)", ([-inf, 1.0],), Value([0, 1]), "one largest entry", ""),
    _reduce("max_with_nan", "xp.max(x)", ([nan, 1.0],), Undefined("the maximum of nan"), "nan is no number", ""),
    _reduce("nansum", "xp.nansum(x)", ([nan, 2.0],), Value([0, 1]), "the nan is left out", ""),
    _reduce("nanmean", "xp.nanmean(x)", ([nan, 2.0, 4.0],), Value([0, 0.5, 0.5]), "the nan is left out", ""),
    _reduce("nanmax", "xp.nanmax(x)", ([nan, 2.0, 4.0],), Value([0, 0, 1]), "the nan is left out", ""),
    _reduce("cumsum", "xp.sum(xp.cumulative_sum(x))", ([1.0, 2.0, 3.0],), Value([3, 2, 1]), "how often each is summed",
            ""),
    _reduce("softmax_entry", "xp.softmax(x)[0]", ([0.0, 0.0],), Value([0.25, -0.25]), "p (1 - p), -p q", ""),
    _reduce("softmax_minus_inf", "xp.softmax(x)[1]", ([-inf, 0.0],), Value([0, 0]), "p q = 0", ""),
    _reduce("log_softmax_far", "xp.log_softmax(x)[0]", ([-1000.0, 0.0],), Value([1, -1]), "1 - p, -q", ""),
    _reduce("log_of_softmax_far", "xp.log(xp.softmax(x)[0])", ([-1000.0, 0.0],), Value([1, -1]),
            "1 - p, -q, though p underflows", "xp.log_softmax(x)", value=-1000.0),
    _reduce("standardize_equals", "xp.sum(xp.standardize(x) * a)", ([2.0, 2.0],), Value([-0.5 / 1e-5**0.5,
            0.5 / 1e-5**0.5]),
            "(a - mean a)/sqrt(eps)", "", data=([1.0, 2.0],)),
    _reduce("trapezoid", "xp.trapezoid(x)", ([1.0, 5.0, 2.0],), Value([0.5, 1, 0.5]), "the weights", ""),
)  # fmt: skip

_PRODUCTS = (
    _product("prod_one_zero", "xp.prod(x)", ([2.0, 0.0, 3.0],), Value([0, 6, 0]), "the product of the others", ""),
    _product("prod_two_zeros", "xp.prod(x)", ([0.0, 0.0, 3.0],), Value([0, 0, 0]), "the product of the others", ""),
    _product("prod_all_zeros", "xp.prod(x)", ([0.0, 0.0],), Value([0, 0]), "the product of the others", ""),
    _product("prod_single_zero", "xp.prod(x)", ([0.0],), Value(1.0), "the empty product", ""),
    _product("prod_no_zero", "xp.prod(x)", ([2.0, 4.0],), Value([4, 2]), "the product of the others", ""),
    _product("prod_by_axis", "xp.sum(xp.prod(x, axis=1))", ([[0.0, 2.0], [3.0, 4.0]],), Value([2, 0, 4, 3]),
             "the product of the others in the row", ""),
    _product("prod_signed_zero", "xp.prod(x)", ([-0.0, 5.0],), Value([5, 0]), "the product of the others", ""),
    _product("prod_subnormal", "xp.prod(x)", ([1e-300, 1e-300, 2.0],), Value([0, 0, 0]), "the others underflow", "",
             dtypes=("float64",)),
    _product("prod_overflow_of_others", "xp.prod(x)", ([1e-200, 1e200, 3.0],), Value([3e200, 3e-200, 1]),
             "the product of the others", "", dtypes=("float64",)),
    _product("cumprod_one_zero", "xp.sum(xp.cumulative_prod(x))", ([2.0, 0.0, 3.0],), Value([1, 8, 0]),
             "1 + x1 + x1 x2, x0 + x0 x2, x0 x1", "multiply step by step"),
    _product("cumprod_first_zero", "xp.sum(xp.cumulative_prod(x))", ([0.0, 2.0, 3.0],), Value([9, 0, 0]),
             "1 + x1 + x1 x2, 0, 0", "multiply step by step"),
    _product("cumprod_last_zero", "xp.sum(xp.cumulative_prod(x))", ([2.0, 3.0, 0.0],), Value([4, 2, 6]),
             "1 + x1 + x1 x2, x0 + x0 x2, x0 x1", "multiply step by step"),
    _product("cumprod_two_zeros", "xp.sum(xp.cumulative_prod(x))", ([0.0, 0.0, 3.0],), Value([1, 0, 0]),
             "1 + x1 + x1 x2 = 1", "multiply step by step"),
    _product("cumprod_no_zero", "xp.sum(xp.cumulative_prod(x))", ([2.0, 3.0],), Value([4, 2]), "1 + x1, x0", ""),
    _product("product_by_hand", "x[0] * x[1] * x[2]", ([2.0, 0.0, 3.0],), Value([0, 6, 0]), "the product of the others",
             ""),
    _product("product_by_logarithms", "xp.exp(xp.sum(xp.log(x)))", ([2.0, 0.0],),
             Value([0, 2]), "the product of the others is 0, 2, but log 0 is -inf",
             "xp.prod(x)", lost=ZERO_TIMES_INFINITY),
    _product("zero_times_itself", "x * x", (0.0,), Value(0.0), "2 x", ""),
    _product("dot_with_zero", "xp.sum(x * y)", ([0.0, 1.0], [2.0, 0.0]), Value([2, 0], [0, 1]), "y and x", ""),
)  # fmt: skip

_JUMP = "a jump"
_ROUNDINGS = (
    _round("floor_between", "xp.floor(x)", (1.3,), Value(0.0), "constant around it", ""),
    _round("floor_jump", "xp.floor(x)", (1.0,), Undefined(_JUMP), "jumps at whole numbers", _STEP),
    _round("ceil_between", "xp.ceil(x)", (1.3,), Value(0.0), "constant around it", ""),
    _round("ceil_jump", "xp.ceil(x)", (1.0,), Undefined(_JUMP), "jumps at whole numbers", _STEP),
    _round("round_between", "xp.round(x)", (1.3,), Value(0.0), "constant around it", ""),
    _round("round_jump", "xp.round(x)", (0.5,), Undefined(_JUMP), "jumps at halves", _STEP),
    _round("trunc_between", "xp.trunc(x)", (-1.3,), Value(0.0), "constant around it", ""),
    _round("trunc_zero", "xp.trunc(x)", (0.0,), Value(0.0), "0 between -1 and 1", ""),
    _round("rint_between", "xp.rint(x)", (1.3,), Value(0.0), "constant around it", ""),
    _round("sign_away", "xp.sign(x)", (2.0,), Value(0.0), "constant around it", ""),
    _round("sign_zero", "xp.sign(x)", (0.0,), Undefined(_JUMP), "jumps at 0", _STEP),
    _round("heaviside_away", "xp.heaviside(x, a)", (1.0,), Value(0.0), "constant around it", "", data=(0.5,)),
    _round("remainder_between", "xp.remainder(x, y)", (5.5, 2.0), Value(1.0, -2.0),
           "x - y floor(x/y): 1 and -floor(x/y)",
           ""),
    _round("remainder_negative", "xp.remainder(x, y)", (-5.5, 2.0), Value(1.0, 3.0), "1 and -floor(x/y) = 3", ""),
    _round("remainder_jump", "xp.remainder(x, a)", (4.0,), Undefined(_JUMP), "jumps at multiples", _STEP, data=(2.0,)),
    _round("fmod_negative", "xp.fmod(x, y)", (-5.5, 2.0), Value(1.0, 2.0), "1 and -trunc(x/y) = 2", ""),
    _round("floor_divide_between", "xp.floor_divide(x, y)", (5.5, 2.0), Value(0.0, 0.0), "constant around it", ""),
    _round("fraction", "x - xp.floor(x)", (1.3,), Value(1.0), "x less a constant", ""),
    _round("sawtooth_squared", "(x - xp.round(x)) ** 2", (2.0,), Value(0.0), "smooth between the halves", ""),
    _round("copysign_away", "xp.copysign(x, a)", (2.0,), Value(-1.0), "-|x|", "", data=(-1.0,)),
    _round("copysign_zero", "xp.copysign(x, a)", (0.0,), Kink(-1, 1), "|x| with a positive sign", "", data=(1.0,)),
    _round("copysign_by_sign", "xp.copysign(a, x)", (2.0,), Value(0.0), "constant while x is positive", "",
           data=(3.0,)),
)  # fmt: skip

_SORTS = (
    _sort("sort_no_tie", "xp.sum(xp.sort(x) * a)", ([3.0, 1.0, 2.0],), Value([3, 1, 2]), "each entry's rank", "",
          data=([1.0, 2.0, 3.0],)),
    _sort("sort_tie", "xp.sum(xp.sort(x) * a)", ([2.0, 2.0],), Kink([1, 3], [3, 1]), "either order",
          "weights that agree on ties", data=([1.0, 3.0],)),
    _sort("sort_tie_sum", "xp.sum(xp.sort(x))", ([2.0, 2.0, 1.0],), Value([1, 1, 1]), "a sum in any order", ""),
    _sort("sort_descending", "xp.sum(xp.sort(x, descending=True) * a)", ([3.0, 1.0, 2.0],), Value([1, 3, 2]),
          "each entry's rank from above", "", data=([1.0, 2.0, 3.0],)),
    _sort("sort_signed_zeros", "xp.sum(xp.sort(x) * a)", ([0.0, -0.0],), Kink([1, 3], [3, 1]), "-0.0 equals 0.0", "",
          data=([1.0, 3.0],)),
    _sort("sort_with_infinity", "xp.sort(x)[0]", ([inf, 1.0],), Value([0, 1]), "the smallest", ""),
    _sort("argsort_take", "xp.sum(xp.take(x, xp.argsort(x)) * a)", ([3.0, 1.0, 2.0],), Value([3, 1, 2]),
          "each entry's rank", "", data=([1.0, 2.0, 3.0],)),
    _sort("argmax_take", "xp.take(x, xp.reshape(xp.argmax(x), (1,)))[0]", ([1.0, 3.0],), Value([0, 1]), "the largest",
          ""),
    _sort("argmax_take_tie", "xp.take(x, xp.reshape(xp.argmax(x), (1,)))[0]", ([3.0, 3.0],), Kink([1, 0], [0, 1]),
          "either of the tied", ""),
    _sort("kth_smallest", "xp.kth_smallest(x, 1)", ([5.0, 1.0, 3.0],), Value([0, 0, 1]), "the middle", ""),
    _sort("median_odd", "xp.median(x)", ([3.0, 1.0, 2.0],), Value([0, 0, 1]), "the middle", ""),
    _sort("quantile_at_entry", "xp.quantile(x, 0.5)", ([1.0, 2.0, 4.0],), Value([0, 1, 0]), "the middle", ""),
    _sort("top_2", "xp.sum(xp.top_2(x))", ([1.0, 3.0, 2.0],), Value([0, 1, 1]), "the two largest", ""),
    _sort("cummax", "xp.sum(xp.cummax(x))", ([1.0, 3.0, 2.0],), Value([1, 2, 0]), "how often each is the largest", ""),
    _sort("spread", "xp.sort(x)[2] - xp.sort(x)[0]", ([3.0, 1.0, 2.0],), Value([1, -1, 0]), "largest less smallest",
          ""),
    _sort("log_of_max", "xp.log(xp.max(x))", ([1.0, 4.0],), Value([0, 0.25]), "1/max", "", value=log(4)),
)  # fmt: skip

CASES = (*_REDUCTIONS, *_PRODUCTS, *_ROUNDINGS, *_SORTS)
