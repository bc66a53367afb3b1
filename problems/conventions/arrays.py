"""Indexing, scattering, empty arrays, broadcasting, and a variable that is used twice."""

from __future__ import annotations

from functools import partial
from math import inf

from autodiff_compare.problems.conventions.case import Case, Kink, Undefined, Value

_index = partial(Case, "indexing")
_scatter = partial(Case, "scatter")
_empty = partial(Case, "empty")
_broadcast = partial(Case, "broadcasting")
_same = partial(Case, "same_variable")

_OUT = "an index that does not exist"

_INDEXING = (
    _index("take_repeated", "xp.sum(xp.take(x, xp.asarray([0, 0, 1])) * a)", ([1.0, 2.0],), Value([3, 4]),
           "repeated indices add up: 1 + 2", "", data=([1.0, 2.0, 4.0],)),
    _index("at_repeated", "xp.sum(xp.at(x, xp.asarray([0, 0, 1])))", ([1.0, 2.0],), Value([2, 1]),
           "repeated indices add up", ""),
    _index("take_negative", "xp.sum(xp.take(x, xp.asarray([-1])))", ([1.0, 2.0],), Value([0, 1]), "-1 is the last", "",
           refusal="a negative index need not count from the end"),
    _index("take_out_of_range", "xp.sum(xp.take(x, xp.asarray([5])))", ([1.0, 2.0],), Undefined(_OUT),
           "there is no entry 5", "check the index", refusal=_OUT),
    _index("at_out_of_range", "xp.sum(xp.at(x, xp.asarray([5])))", ([1.0, 2.0],), Undefined(_OUT),
           "there is no entry 5", "check the index", refusal=_OUT),
    _index("at_static_out_of_range", "x[5]", ([1.0, 2.0],), Undefined(_OUT), "there is no entry 5", "check the index",
           refusal=_OUT),
    _index("slice_nothing", "xp.sum(x[1:1])", ([1.0, 2.0],), Value([0, 0]), "an empty sum", ""),
    _index("slice_step", "xp.sum(x[::2])", ([1.0, 2.0, 3.0],), Value([1, 0, 1]), "every second entry", ""),
    _index("slice_reversed", "xp.sum(xp.flip(x) * a)", ([1.0, 2.0],), Value([2, 1]), "the weights reversed", "",
           data=([1.0, 2.0],)),
    _index("slice_beyond", "xp.sum(x[1:10])", ([1.0, 2.0],), Value([0, 1]), "a slice stops at the end", ""),
    _index("masked_select", "xp.sum(xp.masked_select(x, [True, False]))", ([1.0, 2.0],), Value([1, 0]),
           "the selected entry", ""),
    _index("masked_select_nothing", "xp.sum(xp.masked_select(x, [False, False]))", ([1.0, 2.0],), Value([0, 0]),
           "an empty sum", ""),
    _index("take_along_axis", "xp.sum(xp.take_along_axis(x, xp.asarray([[1, 1]]), axis=1))", ([[1.0, 2.0]],),
           Value([0, 2]), "repeated indices add up", ""),
    _index("diagonal", "xp.sum(xp.linalg.diagonal(x))", ([[1.0, 2.0], [3.0, 4.0]],), Value([1, 0, 0, 1]),
           "the diagonal", ""),
    _index("lower_triangle", "xp.sum(xp.tril(x))", ([[1.0, 2.0], [3.0, 4.0]],), Value([1, 0, 1, 1]),
           "the lower triangle", ""),
    _index("roll", "xp.sum(xp.roll(x, 1) * a)", ([1.0, 2.0, 3.0],), Value([2, 3, 1]), "the weights rolled back", "",
           data=([1.0, 2.0, 3.0],)),
)  # fmt: skip

_I01, _I00 = "xp.asarray([0, 1])", "xp.asarray([0, 0])"
_SCATTERING = (
    _scatter("scatter_add_base", f"xp.sum(xp.scatter_add(x, {_I00}, y) * a)", ([1.0, 2.0], [3.0, 4.0]),
             Value([1, 2], [1, 1]), "both updates go to entry 0", "", data=([1.0, 2.0],)),
    _scatter("scatter_set_once", f"xp.sum(xp.scatter_set(x, {_I01}, y) * a)", ([1.0, 2.0, 5.0], [3.0, 4.0]),
             Value([0, 0, 3], [1, 2]), "what is overwritten counts no more", "", data=([1.0, 2.0, 3.0],)),
    _scatter("scatter_set_repeated", f"xp.sum(xp.scatter_set(x, {_I00}, y))", ([1.0, 2.0], [3.0, 4.0]),
             Undefined("which of two writes stays is not said"), "two writes to one place",
             "write each place once"),
    _scatter("scatter_max_tied_with_base", "xp.sum(xp.scatter_max(x, xp.asarray([0]), y))", ([2.0], [2.0]),
             Kink([1, 0], [0, 1]), "max(x0, y0) with both equal", ""),
    _scatter("scatter_max_tied_updates", f"xp.sum(xp.scatter_max(x, {_I00}, y))", ([0.0], [2.0, 2.0]),
             Kink([0, 1, 0], [0, 0, 1]), "the larger of two equal updates", ""),
    _scatter("scatter_max_no_tie", f"xp.sum(xp.scatter_max(x, {_I00}, y))", ([0.0], [1.0, 2.0]), Value([0], [0, 1]),
             "the largest", ""),
    _scatter("scatter_min_tied_updates", f"xp.sum(xp.scatter_min(x, {_I00}, y))", ([5.0], [2.0, 2.0]),
             Kink([0, 1, 0], [0, 0, 1]), "the smaller of two equal updates", ""),
    _scatter("scatter_multiply", f"xp.sum(xp.scatter_multiply(x, {_I01}, y))", ([2.0, 3.0], [5.0, 7.0]),
             Value([5, 7], [2, 3]), "the other factor", ""),
    _scatter("scatter_multiply_zero", "xp.sum(xp.scatter_multiply(x, xp.asarray([0]), y))", ([0.0], [5.0]),
             Value([5], [0]), "the other factor", ""),
    _scatter("scatter_multiply_repeated", f"xp.sum(xp.scatter_multiply(x, {_I00}, y))", ([2.0], [3.0, 5.0]),
             Value([15], [10, 6]), "the product of the others", ""),
    _scatter("segment_sum", "xp.sum(xp.segment_sum(x, xp.asarray([0, 0, 1]), 2) * a)", ([1.0, 2.0, 3.0],),
             Value([1, 1, 2]), "the weight of its segment", "", data=([1.0, 2.0],)),
    _scatter("segment_max_tied", "xp.sum(xp.segment_max(x, xp.asarray([0, 0, 1]), 2))", ([2.0, 2.0, 3.0],),
             Kink([1, 0, 1], [0, 1, 1]), "a tie in the first segment", ""),
    _scatter("scatter_nothing", "xp.sum(xp.scatter_add(x, xp.asarray([1]), y) * a)", ([1.0, 2.0], [0.0]),
             Value([1, 2], [2]), "adding 0 has slope 1 all the same", "", data=([1.0, 2.0],)),
)  # fmt: skip

_EMPTIES = (
    _empty("sum_of_nothing", "xp.sum(x)", ([],), Value([]), "no entries", ""),
    _empty("prod_of_nothing", "xp.prod(x)", ([],), Value([]), "no entries", ""),
    _empty("mean_of_nothing", "xp.mean(x)", ([],), Value([]), "no entries; the value is 0/0", "", refusal="0/0"),
    _empty("max_of_nothing", "xp.max(x)", ([],), Undefined("no largest entry"), "no entries", "",
           refusal="no largest entry"),
    _empty("norm_of_nothing", "xp.linalg.vector_norm(x)", ([],), Value([]), "no entries", ""),
    _empty("logsumexp_of_nothing", "xp.logsumexp(x)", ([],), Value([]), "no entries; the value is -inf", "",
           refusal="no largest entry", value=-inf),
    _empty("product_with_nothing", "xp.sum(x) * xp.sum(y)", ([], [2.0]), Value([], [0]), "0 times the sum", ""),
    _empty("slice_of_nothing", "xp.sum(x[0:0]) + xp.sum(y)", ([], [2.0]), Value([], [1]), "y alone", ""),
    _empty("concat_with_nothing", "xp.sum(xp.concat([x, y]) * a)", ([], [2.0, 3.0]), Value([], [1, 2]), "y alone", "",
           data=([1.0, 2.0],)),
    _empty("sort_of_nothing", "xp.sum(xp.sort(x))", ([],), Value([]), "no entries", ""),
    _empty("cumsum_of_nothing", "xp.sum(xp.cumulative_sum(x))", ([],), Value([]), "no entries", ""),
)  # fmt: skip

_BROADCASTS = (
    _broadcast("scalar_times_vector", "xp.sum(x * y)", (2.0, [1.0, 3.0]), Value(4.0, [2, 2]), "the sum of the other",
               ""),
    _broadcast("one_times_vector", "xp.sum(x * y)", ([2.0], [1.0, 3.0]), Value([4], [2, 2]), "the sum of the other",
               ""),
    _broadcast("row_plus_column", "xp.sum((x + y) * a)", ([[1.0, 2.0]], [[3.0], [4.0]]), Value([4, 6], [3, 7]),
               "column and row sums of the weights", "", data=([[1.0, 2.0], [3.0, 4.0]],)),
    _broadcast("one_by_one", "xp.sum(x * y)", ([[2.0]], [[5.0]]), Value([5], [2]), "size 1 meets size 1", ""),
    _broadcast("ones_in_front", "xp.sum(x * y)", ([[[2.0]]], [1.0, 3.0]), Value([4], [2, 2]), "leading axes of 1", ""),
    _broadcast("broadcast_to", "xp.sum(xp.broadcast_to(x, (3, 2)))", ([1.0, 2.0],), Value([3, 3]), "how often each",
               ""),
    _broadcast("broadcast_to_itself", "xp.sum(xp.broadcast_to(x, (1,)))", ([2.0],), Value([1]), "once", ""),
    _broadcast("maximum_with_scalar", "xp.sum(xp.maximum(x, y))", ([1.0, 3.0], 2.0), Value([0, 1], 1.0),
               "who is larger", ""),
    _broadcast("where_with_scalar", "xp.sum(xp.where(x > 0, x, y))", ([-1.0, 3.0], 2.0), Value([0, 1], 1.0),
               "who is selected", ""),
    _broadcast("power_by_scalar", "xp.sum(xp.pow(x, y))", ([1.0, 2.0], 2.0), Value([2, 4], 2.772588722239781),
               "y x^(y-1); sum of x^y log x = 4 log 2", ""),
    _broadcast("with_nothing", "xp.sum(x * y) + xp.sum(y)", ([], [2.0]), Value([], [1]), "1 broadcast to 0 entries",
               ""),
)  # fmt: skip

_SAME = (
    _same("plus", "xp.add(x, x)", (3.0,), Value(2.0), "2 x", ""),
    _same("times", "xp.multiply(x, x)", (3.0,), Value(6.0), "x^2", ""),
    _same("minus", "xp.subtract(x, x)", (3.0,), Value(0.0), "0", ""),
    _same("quotient", "xp.divide(x, x)", (3.0,), Value(0.0), "1", ""),
    _same("quotient_zero", "xp.divide(x, x)", (0.0,), Undefined("0/0 as it is written"), "1 everywhere else",
          "write 1"),
    _same("power", "xp.pow(x, x)", (2.0,), Value(4 * (1 + 0.6931471805599453)), "x^x (1 + log x)", ""),
    _same("arctan2", "xp.atan2(x, x)", (2.0,), Value(0.0), "pi/4", ""),
    _same("logaddexp", "xp.logaddexp(x, x)", (2.0,), Value(1.0), "x + log 2", ""),
    _same("matmul", "xp.sum(x @ x)", ([[1.0, 2.0], [3.0, 4.0]],), Value([7, 11, 9, 13]), "column plus row sums", ""),
    _same("where", "xp.where(x > 1, x, 2.0 * x)", (3.0,), Value(1.0), "x is selected", ""),
    _same("stack_twice", "xp.sum(xp.stack([x, x]) * a)", (3.0,), Value(3.0), "the sum of the weights", "",
          data=([1.0, 2.0],)),
    _same("concat_twice", "xp.sum(xp.concat([x, x]) * a)", ([3.0],), Value(3.0), "the sum of the weights", "",
          data=([1.0, 2.0],)),
    _same("equal_inputs", "xp.multiply(x, y)", (3.0, 3.0), Value(3.0, 3.0), "two variables that happen to be equal",
          ""),
)  # fmt: skip

CASES = (*_INDEXING, *_SCATTERING, *_EMPTIES, *_BROADCASTS, *_SAME)
