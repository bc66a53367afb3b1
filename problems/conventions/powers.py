"""Powers, roots, norms, hypot and atan2, at their singular points."""

from __future__ import annotations

from functools import partial
from math import inf, log

from autodiff_compare.problems.conventions.case import ZERO_TIMES_INFINITY, Case, Kink, Undefined, Value

_power = partial(Case, "powers")
_root = partial(Case, "roots")
_norm = partial(Case, "norms")
_angle = partial(Case, "hypot_arctan2")

_GUARD = "xp.where(x == 0, 0, xp.where(x == 0, 1, x) ** p): guard the argument, not the result"
_BALL = "the unit ball"
_SAFE_NORM = "xp.sqrt(xp.where(s > 0, s, 1)) where s = xp.sum(x * x), masked to 0 where s == 0"

_POWERS = (
    _power("power_0", "x ** 0", (0.0,), Value(0.0), "x^0 = 1 everywhere", ""),
    _power("power_0_float", "x ** 0.0", (0.0,), Value(0.0), "x^0 = 1 everywhere", "write 1"),
    _power("power_1", "x ** 1", (0.0,), Value(1.0), "x^1 = x", "write x"),
    _power("power_1_float", "x ** 1.0", (0.0,), Value(1.0), "x^1 = x", "write x"),
    _power("power_2", "x ** 2", (0.0,), Value(0.0), "2 x", ""),
    _power("power_2_float", "x ** 2.0", (0.0,), Value(0.0), "2 x", "x * x"),
    _power("power_3", "x ** 3", (0.0,), Value(0.0), "3 x^2", ""),
    _power("power_2_negative_base", "x ** 2.0", (-3.0,), Value(-6.0), "2 x, also for a negative base", ""),
    _power("power_3_negative_base", "x ** 3.0", (-2.0,), Value(12.0), "3 x^2", ""),
    _power("power_minus_1", "x ** -1", (2.0,), Value(-0.25), "-1/x^2", ""),
    _power("power_minus_1_negative_base", "x ** -1.0", (-2.0,), Value(-0.25), "-1/x^2", ""),
    _power("power_half", "x ** 0.5", (0.0,), Value(inf), "the slope of the root is infinite at 0", _GUARD),
    _power("power_three_halves", "x ** 1.5", (0.0,), Value(0.0), "1.5 sqrt(x), from the right", ""),
    _power("power_third", "x ** (1.0 / 3.0)", (0.0,), Value(inf), "infinite slope", _GUARD),
    _power("power_array_of_zeros", "xp.sum(x ** a)", ([0.0, 2.0],), Value([0, 0]), "x^0 = 1 everywhere", "",
           data=([0.0, 0.0],)),
    _power("power_array_mixed", "xp.sum(x ** a)", ([0.0, 0.0, 0.0],), Value([0, 1, 0]), "exponents 0, 1, 2 at 0", "",
           data=([0.0, 1.0, 2.0],)),
    _power("exponent_of_zero_base", "a ** x", (2.0,), Value(0.0), "0^y = 0 for y > 0", "", data=(0.0,)),
    _power("exponent_of_zero_base_at_zero", "a ** x", (0.0,), Undefined("0^y jumps from 1 to 0 at y = 0"),
           "0^0 = 1, 0^y = 0 for y > 0, infinite for y < 0", "", data=(0.0,)),
    _power("exponent_of_one", "a ** x", (3.0,), Value(0.0), "1^y = 1", "", data=(1.0,)),
    _power("exponent_of_two", "a ** x", (3.0,), Value(8 * log(2)), "2^y log 2", "", data=(2.0,)),
    _power("both_at_zero_base", "xp.pow(x, y)", (0.0, 2.0), Value(0.0, 0.0), "y x^(y-1) and x^y log x -> 0",
           "where a base can be 0, take the exponent out of the differentiation"),
    _power("both_positive", "xp.pow(x, y)", (2.0, 3.0), Value(12.0, 8 * log(2)), "y x^(y-1), x^y log x", ""),
    _power("both_negative_base", "xp.pow(x, y)", (-2.0, 2.0), Undefined("x^y is real at whole y only"),
           "d/dx is -4; in y there is no derivative", "xp.pow(x, 2): a constant exponent"),
    _power("negative_base_alone", "xp.pow(x, a)", (-2.0,), Value(-4.0), "y x^(y-1) with y = 2 constant", "",
           data=(2.0,)),
    _power("power_by_array_0d", "xp.pow(x, a)", (0.0,), Value(0.0), "2 x", "", data=(2.0,)),
    _power("square_function", "xp.square(x)", (0.0,), Value(0.0), "2 x", ""),
    _power("base_e", "xp.exp(x)", (0.0,), Value(1.0), "e^x", ""),
    _power("float_power_2", "xp.float_power(x, 2.0)", (0.0,), Value(0.0), "2 x", "x * x", dtypes=("float64",)),
    _power("zero_times_power", "x * x ** -1.0", (2.0,), Value(0.0), "x / x = 1", ""),
)  # fmt: skip

_ROOTS = (
    _root("sqrt_zero", "xp.sqrt(x)", (0.0,), Value(inf), "1/(2 sqrt x) -> inf", "xp.sqrt(x + eps)"),
    _root("sqrt_negative", "xp.sqrt(x)", (-1.0,), Undefined("outside the domain"), "no real root", ""),
    _root("sqrt_infinity", "xp.sqrt(x)", (inf,), Value(0.0), "1/(2 sqrt x) -> 0", ""),
    _root("sqrt_of_square_away", "xp.sqrt(x * x)", (-2.0,), Value(-1.0), "|x|", ""),
    _root("sqrt_of_fourth_power", "xp.sqrt(x ** 4)", (0.0,), Value(0.0), "sqrt(x^4) = x^2 has slope 0", "x * x",
          lost=ZERO_TIMES_INFINITY),
    _root("square_of_sqrt", "xp.sqrt(x) ** 2", (0.0,), Value(1.0), "x from the right has slope 1", "write x",
          lost=ZERO_TIMES_INFINITY),
    _root("x_sqrt_x", "x * xp.sqrt(x)", (0.0,), Value(0.0), "x^1.5 has slope 0", "x ** 1.5",
          lost=ZERO_TIMES_INFINITY),
    _root("sqrt_of_cube", "xp.sqrt(x * x * x)", (0.0,), Value(0.0), "x^1.5 has slope 0", "x ** 1.5",
          lost=ZERO_TIMES_INFINITY),
    _root("cbrt_zero", "xp.cbrt(x)", (0.0,), Value(inf), "infinite slope", ""),
    _root("cbrt_negative", "xp.cbrt(x)", (-8.0,), Value(1 / 12), "x^(-2/3)/3 is real for negative x", ""),
    _root("rsqrt_one", "xp.rsqrt(x)", (4.0,), Value(-1 / 16), "-x^(-3/2)/2", ""),
    _root("sqrt_half_square", "xp.sqrt(1.0 - x * x)", (1.0,), Value(-inf), "the edge of the circle", ""),
    _root("arcsin_edge", "xp.asin(x)", (1.0,), Value(inf), "1/sqrt(1 - x^2) -> inf", ""),
    _root("arccos_edge", "xp.acos(x)", (1.0,), Value(-inf), "-1/sqrt(1 - x^2) -> -inf", ""),
    _root("arccosh_edge", "xp.acosh(x)", (1.0,), Value(inf), "1/sqrt(x^2 - 1) -> inf", ""),
    _root("arctanh_edge", "xp.atanh(x)", (1.0,), Value(inf), "1/(1 - x^2) -> inf", ""),
)  # fmt: skip

_NORMS = (
    _norm("norm_zero", "xp.linalg.vector_norm(x)", ([0.0, 0.0],), Kink([1, 0], [0, 1], [-1, 0], [0, -1], more=_BALL),
          "the cone's tip", _SAFE_NORM),
    _norm("norm_zero_one_entry", "xp.linalg.vector_norm(x)", ([0.0],), Kink(-1, 1), "|x|", _SAFE_NORM),
    _norm("norm_away", "xp.linalg.vector_norm(x)", ([3.0, 4.0],), Value([0.6, 0.8]), "x/|x|", ""),
    _norm("norm_by_hand_zero", "xp.sqrt(xp.sum(x * x))", ([0.0, 0.0],),
          Kink([1, 0], [0, 1], [-1, 0], [0, -1], more=_BALL),
          "the cone's tip; the slope of the root is infinite, that of the squares 0", _SAFE_NORM,
          lost=ZERO_TIMES_INFINITY),
    _norm("norm_squared_zero", "xp.linalg.vector_norm(x) ** 2", ([0.0, 0.0],), Value([0, 0]), "|x|^2 = x.x",
          "xp.sum(x * x)"),
    _norm("norm_1_zero", "xp.linalg.vector_norm(x, ord=1)", ([0.0, 1.0],), Kink([-1, 1], [1, 1]), "|x0| + |x1|", ""),
    _norm("norm_inf_tie", "xp.linalg.vector_norm(x, ord=xp.inf)", ([2.0, -2.0],), Kink([1, 0], [0, -1]),
          "the larger of |x0| and |x1|", ""),
    _norm("norm_inf_zero", "xp.linalg.vector_norm(x, ord=xp.inf)", ([0.0, 0.0],),
          Kink([1, 0], [-1, 0], [0, 1], [0, -1]), "the cross-polytope", ""),
    _norm("norm_3_zero", "xp.linalg.vector_norm(x, ord=3)", ([0.0, 0.0],),
          Kink([1, 0], [-1, 0], [0, 1], [0, -1], more="the ball of the dual norm"), "the cone's tip", _SAFE_NORM),
    _norm("norm_3_with_zero", "xp.linalg.vector_norm(x, ord=3)", ([0.0, 2.0],), Value([0, 1]), "smooth there", ""),
    _norm("norm_15_with_zero", "xp.linalg.vector_norm(x, ord=1.5)", ([0.0, 2.0],), Value([0, 1]),
          "|x0|^0.5 sign(x0) -> 0", ""),
    _norm("norm_minus_inf", "xp.linalg.vector_norm(x, ord=-xp.inf)", ([3.0, -1.0],), Value([0, -1]),
          "the smallest modulus", "", refusal="no norm: a system need not offer it"),
    _norm("frobenius_zero", "xp.linalg.matrix_norm(x)", ([[0.0, 0.0], [0.0, 0.0]],),
          Kink([1, 0, 0, 0], [-1, 0, 0, 0], more=_BALL), "the cone's tip", _SAFE_NORM),
    _norm("frobenius_away", "xp.linalg.matrix_norm(x)", ([[3.0, 0.0], [0.0, 4.0]],), Value([0.6, 0, 0, 0.8]),
          "X/|X|", ""),
    _norm("rows_one_zero", "xp.sum(xp.linalg.vector_norm(x, axis=1))", ([[0.0, 0.0], [3.0, 4.0]],),
          Kink([1, 0, 0.6, 0.8], [0, 1, 0.6, 0.8], [-1, 0, 0.6, 0.8], more="a ball in the first row"),
          "one row is the cone's tip", _SAFE_NORM),
    _norm("distance_of_equals", "xp.linalg.vector_norm(x - y)", ([1.0, 2.0], [1.0, 2.0]),
          Kink([1, 0, -1, 0], [0, 1, 0, -1], more="a ball, with opposite signs"), "|x - y| at x = y", _SAFE_NORM),
    _norm("pairwise_distances", "xp.sum(xp.cdist(x))", ([[0.0, 0.0], [3.0, 4.0]],), Value([-1.2, -1.6, 1.2, 1.6]),
          "the distance of a point to itself is 0 everywhere", "mask the diagonal before the root"),
    _norm("unit_vector", "xp.sum(x / xp.linalg.vector_norm(x))", ([3.0, 4.0],), Value([0.032, -0.024]),
          "(I - u u^T)/|x| times ones", ""),
    _norm("cosine_zero", "xp.cosine_similarity(x, y)", ([0.0, 0.0], [1.0, 0.0]),
          Undefined("the angle of the zero vector jumps"), "no limit at 0", "add eps to the norms",
          refusal="no limit"),
    _norm("norm_huge", "xp.linalg.vector_norm(x)", ([3e200, 4e200],), Value([0.6, 0.8]),
          "x/|x|; the squares overflow", "scale by the largest entry", dtypes=("float64",), value=5e200),
    _norm("norm_tiny", "xp.linalg.vector_norm(x)", ([3e-200, 4e-200],), Value([0.6, 0.8]),
          "x/|x|; the squares underflow", "scale by the largest entry", dtypes=("float64",), value=5e-200),
    _norm("euclidean_norm_zero", "xp.reduce_euclidean_norm(x)", ([0.0, 0.0],),
          Kink([1, 0], [0, 1], [-1, 0], [0, -1], more=_BALL), "the cone's tip", _SAFE_NORM),
)  # fmt: skip

_ANGLES = (
    _angle("hypot_origin", "xp.hypot(x, y)", (0.0, 0.0), Kink([1, 0], [0, 1], [-1, 0], [0, -1], more=_BALL),
           "the cone's tip", "mask the origin before the root"),
    _angle("hypot_on_axis", "xp.hypot(x, y)", (0.0, 2.0), Value(0.0, 1.0), "(x, y)/r", ""),
    _angle("hypot_away", "xp.hypot(x, y)", (3.0, -4.0), Value(0.6, -0.8), "(x, y)/r", ""),
    _angle("hypot_huge", "xp.hypot(x, y)", (3e200, 4e200), Value(0.6, 0.8), "(x, y)/r; the squares overflow", "",
           dtypes=("float64",)),
    _angle("hypot_tiny", "xp.hypot(x, y)", (3e-200, 4e-200), Value(0.6, 0.8), "(x, y)/r; the squares underflow", "",
           dtypes=("float64",)),
    _angle("hypot_infinite", "xp.hypot(x, y)", (inf, 1.0), Undefined("a limit at infinity"),
           "1 and 0 in the limit", ""),
    _angle("hypot_of_itself", "xp.hypot(x, x)", (1.0,), Value(2**0.5), "sqrt(2) |x|", ""),
    _angle("arctan2_origin", "xp.atan2(x, y)", (0.0, 0.0), Undefined("the angle jumps at the origin"),
           "no limit at (0, 0)", "move the origin away, or mask it before the call", refusal="no limit"),
    _angle("arctan2_positive_axis", "xp.atan2(x, y)", (0.0, 2.0), Value(0.5, 0.0), "(x, -y) rotated, over r^2", ""),
    _angle("arctan2_negative_axis", "xp.atan2(x, y)", (0.0, -2.0), Undefined("the angle jumps by 2 pi"),
           "the branch cut; along it d/dy is 0, across it the two sides agree on -1/2", ""),
    _angle("arctan2_vertical", "xp.atan2(x, y)", (2.0, 0.0), Value(0.0, -0.5), "y/r^2, -x/r^2", ""),
    _angle("arctan2_tiny", "1e-200 * xp.atan2(x, y)", (3e-200, 4e-200), Value(0.16, -0.12),
           "4/25 and -3/25 after scaling; r^2 underflows", "scale both arguments", dtypes=("float64",)),
    _angle("arctan2_huge", "1e200 * xp.atan2(x, y)", (3e200, 4e200), Value(0.16, -0.12),
           "4/25 and -3/25 after scaling; r^2 overflows", "scale both arguments", dtypes=("float64",)),
    _angle("arctan_by_quotient", "xp.atan(x / y)", (2.0, 0.0), Undefined("2/0"), "atan2 is defined there",
           "xp.atan2(x, y)", refusal="a division by zero"),
    _angle("arctan_large", "xp.atan(x)", (1e10,), Value(1e-20), "1/(1 + x^2)", ""),
)  # fmt: skip

CASES = (*_POWERS, *_ROOTS, *_NORMS, *_ANGLES)
