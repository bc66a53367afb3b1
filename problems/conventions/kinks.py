"""Kinks, ties and clipping: continuous functions that are not differentiable at the point."""

from __future__ import annotations

from functools import partial

from autodiff_compare.problems.conventions.case import ZERO_TIMES_INFINITY, Case, Kink, Value, ones

_kink = partial(Case, "kinks")
_tie = partial(Case, "ties")
_clip = partial(Case, "clip")

_SMOOTH = "xp.sqrt(x * x + 1e-12) where a smooth function will do"
_CORNER = "choose the side: xp.where(x > 0, ..., ...)"
_EVEN = "average over the tied entries yourself, or break the tie by a smooth maximum (logsumexp)"

_KINKS = (
    _kink("abs", "xp.abs(x)", (0.0,), Kink(-1, 1), "|x| has slopes -1 and 1", _SMOOTH),
    _kink("abs_negated", "-xp.abs(x)", (0.0,), Kink(-1, 1), "-|x| has slopes 1 and -1", _SMOOTH),
    _kink("abs_minus_zero", "xp.abs(x)", (-0.0,), Kink(-1, 1), "-0.0 is the same point as 0.0", _SMOOTH),
    _kink("abs_shifted", "xp.abs(x - 1.0)", (1.0,), Kink(-1, 1), "|x - 1| at 1", _SMOOTH),
    _kink("abs_of_double", "xp.abs(2.0 * x)", (0.0,), Kink(-2, 2), "slopes -2 and 2", _SMOOTH),
    _kink("abs_of_abs", "xp.abs(xp.abs(x))", (0.0,), Kink(-1, 1), "||x|| is |x|", _SMOOTH),
    _kink("abs_plus_x", "xp.abs(x) + x", (0.0,), Kink(0, 2), "slopes 0 and 2", _CORNER),
    _kink("abs_minus_abs", "xp.abs(x) - xp.abs(-x)", (0.0,), Value(0.0), "|x| - |-x| is 0 everywhere",
          "simplify first"),
    _kink("abs_squared", "xp.abs(x) ** 2", (0.0,), Value(0.0), "|x|^2 = x^2", "x * x"),
    _kink("abs_cubed", "xp.abs(x) ** 3", (0.0,), Value(0.0), "derivative 3 x |x|", ""),
    _kink("abs_times_x", "x * xp.abs(x)", (0.0,), Value(0.0), "x |x| has the derivative 2 |x|", ""),
    _kink("abs_sum", "xp.sum(xp.abs(x))", ([0.0, 2.0],), Kink([-1, 1], [1, 1]), "a corner in the first entry", _SMOOTH),
    _kink("abs_away", "xp.abs(x)", (-2.0,), Value(-1.0), "smooth away from 0", ""),
    _kink("sign_times_x", "xp.sign(x) * x", (0.0,), Kink(-1, 1), "sign(x) x = |x|", _SMOOTH),
    _kink("maximum_zero", "xp.maximum(x, xp.zeros_like(x))", (0.0,), Kink(0, 1), "the ramp has slopes 0 and 1",
          _CORNER),
    _kink("minimum_zero", "xp.minimum(x, xp.zeros_like(x))", (0.0,), Kink(0, 1), "slopes 1 and 0", _CORNER),
    _kink(
        "maximum_plus_minimum",
        "xp.maximum(x, xp.zeros_like(x)) + xp.minimum(x, xp.zeros_like(x))",
        (0.0,),
        Value(1.0),
        "max(x, 0) + min(x, 0) = x",
        "write x",
    ),
    _kink(
        "ramp_difference",
        "xp.maximum(x, xp.zeros_like(x)) - xp.maximum(-x, xp.zeros_like(x))",
        (0.0,),
        Value(1.0),
        "max(x, 0) - max(-x, 0) = x",
        "write x",
    ),
    _kink("relu_difference", "xp.relu(x) - xp.relu(-x)", (0.0,), Value(1.0), "relu(x) - relu(-x) = x", "write x"),
    _kink("maximum_negated", "xp.maximum(x, -x)", (0.0,), Kink(-1, 1), "max(x, -x) = |x|", _SMOOTH),
    _kink("ramp_by_where", "xp.where(x > 0, x, xp.zeros_like(x))", (0.0,), Kink(0, 1), "the ramp by where", _CORNER),
    _kink("abs_by_where", "xp.where(x > 0, x, -x)", (0.0,), Kink(-1, 1), "|x| by where", _SMOOTH),
    _kink("abs_by_root", "xp.sqrt(x * x)", (0.0,), Kink(-1, 1),
          "sqrt(x^2) = |x| has the hull [-1, 1]; the slope of the root is infinite, that of x^2 is 0", "xp.abs(x)",
          lost=ZERO_TIMES_INFINITY),
    _kink("half_ramp", "(x + xp.abs(x)) / 2.0", (0.0,), Kink(0, 1), "the ramp by abs", _CORNER),
    _kink("hinge", "xp.maximum(1.0 - x, xp.zeros_like(x))", (1.0,), Kink(-1, 0), "the hinge at its corner", _CORNER),
    _kink("huber_at_delta", "xp.huber(x, 1.0)", (1.0,), Value(1.0), "both pieces have slope delta there", ""),
    _kink("abs_of_sine", "xp.abs(xp.sin(x))", (0.0,), Kink(-1, 1), "|sin x| ~ |x|", _SMOOTH),
    _kink("triangle", "1.0 - xp.abs(x)", (0.0,), Kink(-1, 1), "the top of a tent", _SMOOTH),
    _kink("l1_distance", "xp.sum(xp.abs(x - y))", (1.0, 1.0), Kink([-1, 1], [1, -1]), "|x - y| at x = y", _SMOOTH),
    _kink(
        "abs_difference_of_two",
        "xp.abs(x[0]) - xp.abs(x[1])",
        ([0.0, 0.0],),
        Kink([-1, -1], [-1, 1], [1, -1], [1, 1]),
        "a saddle of corners",
        _SMOOTH,
    ),
    _kink("heaviside_times_x", "xp.heaviside(x, a) * x", (0.0,), Kink(0, 1), "H(x) x is the ramp", _CORNER,
          data=(0.5,)),
    _kink("interp_knot", "xp.interp(x, a, b)", (1.0,), Kink(1, 4), "slopes 1 and 4 on either side of the knot", "",
          data=([0.0, 1.0, 2.0], [0.0, 1.0, 5.0])),
)  # fmt: skip

_TIES = (
    _tie("max", "xp.max(x)", ([1.0, 2.0, 2.0],), Kink([0, 1, 0], [0, 0, 1]), "either of the tied entries", _EVEN),
    _tie("min", "xp.min(x)", ([1.0, 1.0, 2.0],), Kink([1, 0, 0], [0, 1, 0]), "either of the tied entries", _EVEN),
    _tie("max_of_three", "xp.max(x)", ([2.0, 2.0, 2.0],), Kink(*(ones(3, k) for k in range(3))), "any of them", _EVEN),
    _tie("max_of_zeros", "xp.max(x)", ([0.0, 0.0],), Kink([1, 0], [0, 1]), "either", _EVEN),
    _tie("max_signed_zeros", "xp.max(x)", ([0.0, -0.0],), Kink([1, 0], [0, 1]), "-0.0 equals 0.0", _EVEN),
    _tie("max_by_axis", "xp.sum(xp.max(x, axis=1))", ([[2.0, 2.0], [1.0, 3.0]],),
         Kink([1, 0, 0, 1], [0, 1, 0, 1]), "a tie in the first row", _EVEN),
    _tie("max_over_dimension", "xp.sum(xp.max_over(x))", ([[2.0, 2.0]],), Kink([1, 0], [0, 1]),
         "either; by the function that also knows the index", _EVEN),
    _tie("min_over_dimension", "xp.sum(xp.min_over(x))", ([[2.0, 2.0]],), Kink([1, 0], [0, 1]),
         "either; by the function that also knows the index", _EVEN),
    _tie("max_matrix", "xp.max(x)", ([[3.0, 1.0], [3.0, 2.0]],), Kink(ones(4, 0), ones(4, 2)), "either", _EVEN),
    _tie("max_no_tie", "xp.max(x)", ([1.0, 3.0, 2.0],), Value([0, 1, 0]), "one largest entry", ""),
    _tie("maximum_of_two", "xp.maximum(x, y)", (2.0, 2.0), Kink([1, 0], [0, 1]), "either argument", _EVEN),
    _tie("minimum_of_two", "xp.minimum(x, y)", (2.0, 2.0), Kink([1, 0], [0, 1]), "either argument", _EVEN),
    _tie("maximum_of_itself", "xp.maximum(x, x)", (2.0,), Value(1.0), "max(x, x) = x", "write x"),
    _tie("minimum_of_itself", "xp.minimum(x, x)", (2.0,), Value(1.0), "min(x, x) = x", "write x"),
    _tie("fmax_of_two", "xp.fmax(x, y)", (2.0, 2.0), Kink([1, 0], [0, 1]), "either argument", _EVEN),
    _tie("fmin_of_two", "xp.fmin(x, y)", (2.0, 2.0), Kink([1, 0], [0, 1]), "either argument", _EVEN),
    _tie("max_minus_min", "xp.max(x) - xp.min(x)", ([1.0, 1.0],), Kink([1, -1], [-1, 1]), "|x0 - x1|", _EVEN),
    _tie("max_plus_min_of_two", "xp.max(x) + xp.min(x)", ([1.0, 1.0],), Value([1, 1]), "x0 + x1", "xp.sum(x)"),
    _tie("maximum_plus_minimum_of_two", "xp.maximum(x, y) + xp.minimum(x, y)", (2.0, 2.0), Value(1.0, 1.0), "x + y",
         "x + y"),
    _tie("max_sum_tied_to_scalar", "xp.sum(xp.maximum(x, y))", ([1.0, 2.0], 2.0), Kink([0, 0, 2], [0, 1, 1]),
         "y wins the first; the second is tied", _EVEN),
    _tie("median_even", "xp.median(x)", ([3.0, 1.0, 2.0, 5.0],), Value([0.5, 0, 0.5, 0]),
         "NumPy's median of four is the mean of the middle two", "sort, and average the middle yourself"),
    _tie("median_tied", "xp.median(x)", ([2.0, 2.0, 1.0],), Kink([1, 0, 0], [0, 1, 0]),
         "the middle of three is the smaller of the tied two", "sort, and take the middle"),
    _tie("quantile_between", "xp.quantile(x, 0.25)", ([1.0, 2.0, 4.0],), Value([0.5, 0.5, 0]),
         "halfway between the first two", ""),
    _tie("cummax_tied", "xp.sum(xp.cummax(x))", ([2.0, 2.0],), Kink([2, 0], [1, 1]),
         "the second running maximum is either entry", _EVEN),
    _tie("top_2_tied", "xp.sum(xp.top_2(x))", ([2.0, 2.0, 2.0],), Kink([1, 1, 0], [1, 0, 1], [0, 1, 1]),
         "any two of three", _EVEN),
    _tie("max_pool_tied", "xp.sum(xp.max_pool_2(x))", ([1.0, 1.0, 0.0, 3.0],), Kink([1, 0, 0, 1], [0, 1, 0, 1]),
         "a tie in the first window", _EVEN),
    _tie("kth_smallest_tied", "xp.kth_smallest(x, 1)", ([1.0, 2.0, 2.0],), Kink([0, 1, 0], [0, 0, 1]),
         "the second smallest is the smaller of the tied two", _EVEN),
    _tie("smooth_maximum", "xp.logsumexp(x)", ([2.0, 2.0],), Value([0.5, 0.5]), "softmax of equals", ""),
)  # fmt: skip

_BOUND = "choose the side: xp.where((x > low) & (x < high), x, ...)"

_CLIPS = (
    _clip("clip_lower", "xp.clip(x, 0.0, 1.0)", (0.0,), Kink(0, 1), "a corner at the lower bound", _BOUND),
    _clip("clip_upper", "xp.clip(x, 0.0, 1.0)", (1.0,), Kink(0, 1), "a corner at the upper bound", _BOUND),
    _clip("clip_inside", "xp.clip(x, 0.0, 1.0)", (0.5,), Value(1.0), "the identity inside", ""),
    _clip("clip_below", "xp.clip(x, 0.0, 1.0)", (-0.5,), Value(0.0), "constant outside", ""),
    _clip("clip_above", "xp.clip(x, 0.0, 1.0)", (1.5,), Value(0.0), "constant outside", ""),
    _clip("clip_nothing_left", "xp.clip(x, 1.0, 1.0)", (1.0,), Value(0.0), "equal bounds: the constant 1", ""),
    _clip("clip_bounds_exchanged", "xp.clip(x, 2.0, 1.0)", (1.5,), Value(0.0), "minimum(maximum(x, 2), 1) = 1", ""),
    _clip("clip_by_bound", "xp.clip(x, y, z)", (-1.0, 0.0, 1.0), Value(0.0, 1.0, 0.0),
          "below, the result is the lower bound", ""),
    _clip("clip_by_bound_above", "xp.clip(x, y, z)", (2.0, 0.0, 1.0), Value(0.0, 0.0, 1.0),
          "above, the result is the upper bound", ""),
    _clip("clip_tied_with_bound", "xp.clip(x, y, z)", (0.0, 0.0, 1.0), Kink([1, 0, 0], [0, 1, 0]),
          "max(x, low) with both equal", _BOUND),
    _clip("clip_many", "xp.sum(xp.clip(x, 0.0, 1.0))", ([0.0, 0.5, 1.0],), Kink([0, 1, 0], [0, 1, 1], [1, 1, 0], [1, 1,
          1]),
          "corners in the first and the last entry", _BOUND),
    _clip("clip_infinite_bounds", "xp.clip(x, -xp.inf, xp.inf)", (0.5,), Value(1.0), "no bound at all", ""),
    _clip("clip_by_hand_lower", "xp.minimum(xp.maximum(x, xp.zeros_like(x)), xp.ones_like(x))", (0.0,), Kink(0, 1),
          "a corner at the lower bound", _BOUND),
    _clip("clip_by_hand_exchanged", "xp.maximum(xp.minimum(x, xp.ones_like(x)), xp.zeros_like(x))", (1.0,), Kink(0, 1),
          "a corner at the upper bound", _BOUND),
    _clip("clip_of_square", "xp.clip(x * x, 0.0, 1.0)", (1.0,), Kink(0, 2), "x^2 enters the bound with slope 2",
          _BOUND),
    _clip("clip_square_at_zero", "xp.clip(x * x, 0.0, 1.0)", (0.0,), Value(0.0), "x^2 touches the bound with slope 0",
          ""),
    _clip("hard_tanh_by_clip", "xp.clip(x, -1.0, 1.0)", (-1.0,), Kink(0, 1), "a corner at -1", _BOUND),
)  # fmt: skip

CASES = (*_KINKS, *_TIES, *_CLIPS)
