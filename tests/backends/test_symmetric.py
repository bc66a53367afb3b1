"""Star colourings of Hessian patterns: what a colouring promises, published numbers of colours, exact recovery."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize._numdiff import group_columns

from autodiff_compare.backends.sparsity.colouring import colours
from autodiff_compare.backends.sparsity.pattern import Pattern
from autodiff_compare.backends.sparsity.symmetric import SymmetricCompression, star_colours


def of(matrix: Any) -> Pattern:
    matrix = np.asarray(matrix)
    return Pattern.of(matrix.shape, *np.nonzero(matrix))


def banded(n: int, width: int) -> Any:
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= width


def arrow(n: int, at: int = 0) -> Any:
    matrix = np.eye(n, dtype=bool)
    matrix[at, :] = matrix[:, at] = True
    return matrix


def graph(n: int, edges: Any, diagonal: bool = True) -> Any:
    matrix = np.eye(n, dtype=bool) if diagonal else np.zeros((n, n), bool)
    for i, j in edges:
        matrix[i, j] = matrix[j, i] = True
    return matrix


def grid(k: int) -> Any:
    """Return the five-point stencil of k times k points."""
    line = graph(k, [(i, i + 1) for i in range(k - 1)])
    eye = np.eye(k, dtype=bool)
    return np.kron(line, eye) | np.kron(eye, line)


# Star chromatic numbers: 2 for a star, 3 for a path of four or more vertices and for cycles but that of five, which
# needs 4; n for a complete graph; 5 for large grids (Fertin, Raspaud and Reed 2004, Journal of Graph Theory 47).
@pytest.mark.parametrize(
    ("matrix", "fewest"),
    [
        pytest.param(np.eye(5), 1, id="diagonal"),
        pytest.param(banded(2, 1), 2, id="two"),
        pytest.param(banded(30, 1), 3, id="tridiagonal"),
        pytest.param(banded(30, 2), 5, id="pentadiagonal"),
        pytest.param(arrow(8), 2, id="arrow"),
        pytest.param(arrow(8, 7), 2, id="arrow, hub last"),
        pytest.param(graph(5, [(i, (i + 1) % 5) for i in range(5)]), 4, id="cycle of five"),
        pytest.param(graph(6, [(i, (i + 1) % 6) for i in range(6)]), 3, id="cycle of six"),
        pytest.param(np.ones((6, 6)), 6, id="dense"),
        pytest.param(graph(4, [(0, 1), (2, 3)], diagonal=False), 1, id="pairs without a diagonal"),
        pytest.param(np.zeros((3, 3)), 0, id="no entries"),
        pytest.param(np.zeros((0, 0)), 0, id="no rows"),
    ],
)
def test_known_numbers_of_colours(matrix: Any, fewest: int) -> None:
    assert star_colours(of(matrix)).max(initial=-1) + 1 == fewest


def test_a_grid_needs_at_most_six_and_seven_by_columns() -> None:
    # Five are enough for any grid; greedy orders find five or six where columns of no common row need seven.
    assert star_colours(of(grid(8))).max() + 1 <= 6
    assert group_columns(grid(8).astype(int)).max() + 1 >= 6


symmetric = st.integers(0, 9).flatmap(
    lambda n: st.lists(st.booleans(), min_size=n * (n + 1) // 2, max_size=n * (n + 1) // 2).map(
        lambda bits: _symmetric(n, bits)
    )
)


def _symmetric(n: int, bits: Any) -> Any:
    matrix = np.zeros((n, n), bool)
    matrix[np.triu_indices(n)] = bits
    return matrix | matrix.T


@settings(max_examples=100, deadline=None)
@given(symmetric, st.integers(0, 9), st.randoms(use_true_random=False))
def test_every_entry_is_read_off_the_products_as_it_is(matrix: Any, cut: int, random: Any) -> None:
    n, cut = len(matrix), min(cut, len(matrix))
    values = np.where(matrix, [[random.uniform(1, 2) for _ in range(n)] for _ in range(n)], 0.0)
    values = np.triu(values) + np.triu(values, 1).T
    parts = [of(matrix[:cut]), of(matrix[cut:])]
    plan = SymmetricCompression.of(parts)
    seeds = np.concatenate(plan.seeds([(cut,), (n - cut,)], [float, float]), axis=1)
    products = (seeds @ values).ravel()
    # One term of each sum is not zero, so nothing is rounded.
    for part, index, rows in zip(parts, plan.index, (values[:cut], values[cut:]), strict=True):
        assert np.array_equal(products[index], rows[part.rows, part.columns])
    assert plan.number <= colours(of(matrix)).max(initial=-1) + 1


@settings(max_examples=50, deadline=None)
@given(symmetric)
def test_columns_without_entries_have_no_colour_and_no_colour_is_left_out(matrix: Any) -> None:
    found = star_colours(of(matrix))
    assert np.array_equal(found == -1, ~matrix.any(axis=0))
    assert set(found) - {-1} == set(range(found.max(initial=-1) + 1))


def test_ten_thousand_neighbours_need_three_products() -> None:
    n = 10_000
    i = np.arange(n - 1)
    pattern = Pattern.of((n, n), np.concatenate([np.arange(n), i, i + 1]), np.concatenate([np.arange(n), i + 1, i]))
    assert SymmetricCompression.of([pattern]).number == 3


@pytest.mark.parametrize("matrix", [np.triu(np.ones((3, 3))), np.ones((2, 3))])
def test_a_pattern_that_is_not_symmetric_is_refused(matrix: Any) -> None:
    with pytest.raises(ValueError, match="not symmetric"):
        star_colours(of(matrix))


def test_the_best_of_three_orders_is_taken() -> None:
    # All trees have star colourings with three colours; every tree of seven vertices here must be given one.
    for parents in itertools.product(range(1), range(2), range(3), range(4)):
        tree = graph(5, [(k + 1, parent) for k, parent in enumerate(parents)])
        assert star_colours(of(tree)).max() + 1 <= 3
