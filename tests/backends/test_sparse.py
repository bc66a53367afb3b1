"""Sparse Jacobians: patterns, colourings, compressed products on every backend, and how they are judged."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_compare.backends import Objective, Pattern
from autodiff_compare.backends.sparsity.colouring import Compression, colours
from autodiff_compare.judge import judge as check
from autodiff_compare.judge.comparison import LARGEST_DENSE_BYTES, too_large
from autodiff_compare.judge.reference import Reference
from autodiff_compare.plan import sparsity
from autodiff_compare.plan.cases import build_case
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import VECTOR, Inputs, Problem, available
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.vocabulary import DTYPES, How, Operator, Status
from tests.backends.test_derived import Poor
from tests.conftest import opened

BACKENDS = (
    "numpy",
    "numpy:compiled",
    "torch",
    "torch:compile",
    "tensorflow",
    "tensorflow:eager",
    "tensorflow:xla",
    "jax",
    "jax:eager",
    "autograd",
)
SPARSE = Operator.SPARSE_JACOBIAN


def of(matrix: Any) -> Pattern:
    matrix = np.asarray(matrix)
    return Pattern.of(matrix.shape, *np.nonzero(matrix))


def arrow(n: int) -> Any:
    matrix = np.eye(n, dtype=bool)
    matrix[0, :] = matrix[:, 0] = True
    return matrix


def banded(n: int, width: int) -> Any:
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= width


# The lower bound: the number of entries of the longest row; for the arrow, of its first row.
@pytest.mark.parametrize(
    ("matrix", "by_columns", "by_rows"),
    [
        pytest.param(banded(30, 1), 3, 3, id="tridiagonal"),
        pytest.param(banded(30, 2), 5, 5, id="pentadiagonal"),
        pytest.param(np.eye(7), 1, 1, id="diagonal"),
        pytest.param(np.ones((4, 6)), 6, 4, id="dense"),
        pytest.param(arrow(8), 8, 8, id="arrow"),
        pytest.param(arrow(8)[1:], 2, 7, id="arrow without its full row"),
        pytest.param(arrow(8)[:, 1:], 7, 2, id="arrow without its full column"),
        pytest.param(np.zeros((3, 4)), 0, 0, id="no entries"),
        pytest.param(np.zeros((0, 4)), 0, 0, id="no rows"),
        pytest.param(np.zeros((4, 0)), 0, 0, id="no columns"),
        pytest.param([[0, 0, 0], [0, 1, 0], [0, 1, 0]], 1, 2, id="empty rows and columns"),
        pytest.param([[1, 1, 0, 0], [0, 0, 1, 1]], 2, 1, id="blocks"),
    ],
)
def test_known_numbers_of_colours(matrix: Any, by_columns: int, by_rows: int) -> None:
    pattern = of(matrix)
    assert colours(pattern).max(initial=-1) + 1 == by_columns
    assert colours(pattern.transposed).max(initial=-1) + 1 == by_rows
    plan = Compression.of([pattern])
    assert plan.number == min(by_columns, by_rows)
    assert plan.operator == (Operator.JVP if by_columns <= by_rows else Operator.VJP)


def test_the_largest_first_order_is_tried_where_the_natural_one_is_not_the_best() -> None:
    # Columns as nodes, rows as edges: the path a-c-d-b, named so that its ends come first. Natural order gives both
    # ends 0, then c = 1 and d = 2; the inner nodes have more edges, and taken first they leave two colours.
    edges = [(0, 2), (2, 3), (3, 1)]
    matrix = np.zeros((3, 4))
    for row, ends in enumerate(edges):
        matrix[row, list(ends)] = 1
    assert colours(of(matrix)).max() + 1 == 2


matrices = st.integers(0, 7).flatmap(
    lambda m: st.integers(0, 7).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=m, max_size=m).map(
            lambda rows: np.array(rows, dtype=bool).reshape(m, n)
        )
    )
)


@settings(max_examples=200, deadline=None)
@given(matrices, st.integers(0, 7))
def test_columns_of_one_colour_share_no_row_and_every_entry_is_found(matrix: Any, cut: int) -> None:
    values = np.where(matrix, np.arange(1.0, matrix.size + 1).reshape(matrix.shape), 0.0)
    cut = min(cut, matrix.shape[1])
    blocks = [matrix[:, :cut], matrix[:, cut:]]
    found = colours(of(matrix))
    assert np.array_equal(found == -1, ~matrix.any(axis=0))
    assert set(found) - {-1} == set(range(found.max(initial=-1) + 1))
    for a, b in itertools.combinations(range(matrix.shape[1]), 2):
        assert found[a] != found[b] or found[a] == -1 or not (matrix[:, a] & matrix[:, b]).any()
    parts = [values[:, :cut], values[:, cut:]]
    for operator in (Operator.JVP, Operator.VJP):
        plan = Compression.of([of(block) for block in blocks], [operator])
        shapes = [(b.shape[1],) for b in blocks] if operator == Operator.JVP else [(len(matrix),)]
        seeds = plan.seeds(shapes, ["float64"] * len(shapes))
        if operator == Operator.JVP:
            products: Any = sum(s @ part.T for s, part in zip(seeds, parts, strict=True))
        else:
            products = [seeds[0] @ part for part in parts]
        for source, index, block, part in zip(plan.sources(products), plan.index, blocks, parts, strict=True):
            assert np.array_equal(np.take(source, index), part[block])


def test_a_pattern_is_sorted_and_knows_each_place_once() -> None:
    pattern = Pattern.of((3, 4), [2, 0, 2, 0], [1, 3, 1, 0])
    assert [pattern.rows.tolist(), pattern.columns.tolist()] == [[0, 0, 2], [0, 3, 1]]
    assert pattern.nnz == 3


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([0, 3], [0, 0], "got rows 0 to 3, expected integers from 0 to 2"),
        ([0], [-1], "got columns -1 to -1, expected integers from 0 to 3"),
        ([0.5], [0], "got rows 0.5 to 0.5"),
        ([0, 1], [0], "expected vectors of one length"),
    ],
)
def test_a_pattern_outside_of_its_matrix_is_refused(rows: Any, columns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pattern.of((3, 4), rows, columns)


# A problem with two inputs, integer data, a scatter through repeated indices, and columns of different lengths.
def chain(x: Any, w: Any, k: Any, xp: Any) -> Any:
    return xp.concat([x[:-1] * x[:-1] * x[1:], xp.sin(w) * xp.take(x, k, axis=0)])


def chain_inputs(rng: Any, n: int) -> Inputs:
    return Inputs((rng.uniform(1, 2, n), rng.uniform(1, 2, n)), (np.arange(n) // 2,))


def chain_pattern(inputs: Inputs) -> Any:
    n, k = inputs.differentiated[0].size, inputs.data[0]
    i, j = np.arange(n - 1), np.arange(n)
    return (np.concatenate([i, i, j + n - 1]), np.concatenate([i, i + 1, k])), (j + n - 1, j)


def chain_entries(x: Any, w: Any, k: Any) -> Any:
    first = np.stack([2 * x[:-1] * x[1:], x[:-1] ** 2], axis=1).ravel()
    return np.concatenate([first, np.sin(w)]), np.cos(w) * x[k]


def made(pattern: Any = chain_pattern, reference: Any = None, **options: Any) -> Problem:
    given = {"objective": chain, "inputs": chain_inputs, "operators": VECTOR | {SPARSE}} | options
    return Problem(
        name="chain", title="", source="", sizes={"small": 6}, pattern=pattern, reference=reference or {}, **given
    )


def tall(x: Any, w: Any, k: Any, xp: Any) -> Any:
    """Return one output of all inputs, so that rows are coloured."""
    return xp.reshape(xp.sum(x * x) * w[0] + x[1], (1, 1))


#: torch:compile takes part in half of its cases, because inductor takes seconds for each function.
CASES = [
    pytest.param(spec, f, dtype, id=f"{spec}-{f.__name__}-{dtype}")
    for spec, f, dtype in itertools.product([*BACKENDS, "finite_difference"], [chain, tall], DTYPES)
    if spec != "torch:compile" or (f is chain) == (dtype == "float64")
]


@pytest.mark.parametrize(("spec", "objective", "dtype"), CASES)
def test_the_entries_are_those_of_the_dense_jacobian(spec: str, objective: Any, dtype: str) -> None:
    backend, problem = opened(spec), made(pattern=None, objective=objective)
    case = build_case(problem, "small", dtype, SPARSE, 3)
    patterns = case.patterns
    assert Compression.of(patterns).operator == (Operator.JVP if objective is chain else Operator.VJP)

    def variables(inputs: Inputs) -> list[Any]:
        return [backend.to_var(a.astype(dtype) if a.dtype.kind == "f" else a) for a in inputs.arrays]

    f = Objective(problem.function(backend, {}), patterns=patterns)
    elsewhere = variables(build_case(problem, "small", dtype, SPARSE, 4).inputs)
    run = backend.prepare(SPARSE, f, elsewhere, argnums=(0, 1))
    assert backend.how(SPARSE) is How.DERIVED
    entries = [backend.to_numpy(leaf) for leaf in backend.block(run(*variables(case.inputs)))]
    assert {e.dtype.name for e in entries} == {dtype}
    engine = opened("numpy")
    dense = engine.prepare(Operator.JACOBIAN, problem.function(engine, {}), case.inputs.arrays, argnums=(0, 1))
    tolerance = max(1e-10 if spec == "finite_difference" else 0.0, 4 * np.finfo(dtype).eps)
    for found, block in zip(sparsity.matrices(patterns, entries), dense(*case.inputs.arrays), strict=True):
        np.testing.assert_allclose(found.toarray(), block.reshape(found.shape), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("native", "calls"),
    # Rows have two entries; x[1] stands in four rows: two of x, and those of two places that take it.
    [(Operator.JVP, 2), (Operator.VJP, 4), (Operator.GRADIENT, 4)],
)
def test_derived_from_either_product(native: Any, calls: int) -> None:
    backend = Poor(native)
    case = build_case(made(), "small", "float64", SPARSE, 0)
    counted = 0

    def f(*args: Any) -> Any:
        nonlocal counted
        counted += 1
        return chain(*args, xp=backend.xp)

    run = backend.prepare(SPARSE, Objective(f, patterns=case.patterns), case.inputs.arrays, argnums=(0, 1))
    counted = 0
    found = run(*case.inputs.arrays)
    assert counted == calls
    for got, want in zip(found, chain_entries(*case.inputs.arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
def test_without_entries_there_is_nothing_to_compute(spec: str) -> None:
    backend = opened(spec)
    x = backend.to_var(np.ones(3))
    f = Objective(lambda x: 0 * x, patterns=(Pattern.of((3, 3), [], []),))
    (entries,) = backend.prepare(SPARSE, f, [x])(x)
    assert backend.to_numpy(entries).shape == (0,)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ((), "got 0 patterns for 1 differentiated inputs, expected one for each"),
        ((Pattern.of((2, 3), [0], [0]),), r"got patterns of shape \[\(2, 3\)\], expected \[\(3, 3\)\]"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(patterns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        opened("numpy").prepare(SPARSE, Objective(lambda x: x * x, patterns=patterns), [np.ones(3)])


@pytest.mark.parametrize("axis", [0, -1])
def test_a_compiled_jacobian_of_take_is_right(axis: int) -> None:
    # pytorch issue 183986: index_select would be compiled into a sum over the batch.
    backend = opened("torch:compile")
    x, k = np.arange(6.0).reshape(2, 3) + 0.5, np.array([1, 0, 1])
    f = lambda x, k: backend.xp.take(x, k, axis=axis)  # noqa: E731
    (got,) = backend.prepare(Operator.JACOBIAN, f, [backend.to_var(x), backend.to_var(k)])(
        backend.to_var(x), backend.to_var(k)
    )
    rows = np.eye(6).reshape(2, 3, 6)
    expected = np.take(rows, k, axis=axis if axis == 0 else 1)
    np.testing.assert_array_equal(backend.to_numpy(got).reshape(expected.shape), expected)


def flat_here(x: Any, xp: Any) -> Any:
    """Flat in x[0] at 0, beyond the rounding of x[1], and another branch for x[2] within reach."""
    return xp.stack([x[0] ** 4, 1e20 * x[1] + x[2], xp.where(x[2] > 1.05, x[3], 0 * x[2]), x[3] * 0 + 2.0])


def out_of_sight(x: Any, xp: Any) -> Any:
    """The same, through a function of NumPy that our engine refuses."""
    return flat_here(np.lib.stride_tricks.as_strided(x), xp)


def places(found: Any) -> set[tuple[int, int]]:
    return set(zip(found.rows.tolist(), found.columns.tolist(), strict=True))


def test_detection_sees_flat_places_hidden_terms_and_both_branches() -> None:
    x = np.array([0.0, 1.0, 1.0, 1.0])
    (found,) = sparsity.patterns(made(pattern=None, objective=flat_here), Inputs((x,)))
    # Row 2 is x[3] or 0, whatever x[2] is nearby; row 3 is 2.
    assert places(found) == {(0, 0), (1, 1), (1, 2), (2, 3)}


def test_where_our_engine_cannot_follow_inputs_are_changed() -> None:
    x = np.array([0.0, 1.0, 1.0, 1.0])
    (found,) = sparsity.patterns(made(pattern=None, objective=out_of_sight), Inputs((x,)))
    # Row 2 takes the other branch when x[2] grows by a tenth, and 0 * x[2] when x[2] is nan. Moving x[3] alone does
    # not show that this branch uses x[3]. Row 3 is 0 * x[3].
    assert places(found) == {(0, 0), (1, 1), (1, 2), (2, 2), (3, 3)}


def test_detection_agrees_with_the_declared_pattern() -> None:
    inputs = chain_inputs(np.random.default_rng(1), 9)
    found, declared = (sparsity.patterns(made(pattern=p), inputs) for p in (None, chain_pattern))
    for a, b in zip(found, declared, strict=True):
        assert a.shape == b.shape
        assert np.array_equal(a.rows, b.rows)
        assert np.array_equal(a.columns, b.columns)


def test_many_inputs_are_followed_at_once_and_too_many_to_change_ask_for_a_declared_pattern() -> None:
    inputs = chain_inputs(np.random.default_rng(0), 6000)
    found, declared = (sparsity.patterns(made(pattern=p), inputs) for p in (None, chain_pattern))
    assert [p.nnz for p in found] == [p.nnz for p in declared]

    def unseen(*args: Any, xp: Any) -> Any:
        return chain(*map(np.lib.stride_tricks.as_strided, args), xp=xp)

    with pytest.raises(ValueError, match="got 12000 inputs without a pattern, expected at most 10000"):
        sparsity.patterns(made(pattern=None, objective=unseen), inputs)


def test_closed_forms_follow_from_sparse_entries_and_from_dense_blocks() -> None:
    case = build_case(made(reference={SPARSE: chain_entries}), "small", "float64", SPARSE, 0)
    args, n = case.inputs.arrays, 6
    forms = complete(case.problem, case.inputs)
    blocks = forms[Operator.JACOBIAN](*args)
    x, w, k = args
    assert blocks[0][0, :3].tolist() == [2 * x[0] * x[1], x[0] ** 2, 0.0]
    assert blocks[1][n - 1].tolist() == [np.cos(w[0]) * x[k[0]], *[0.0] * (n - 1)]
    tangents = [np.arange(1.0, n + 1), np.arange(2.0, n + 2)]
    pushed = sum(block @ t for block, t in zip(blocks, tangents, strict=True))
    np.testing.assert_allclose(forms[Operator.JVP](*args, *tangents), pushed, rtol=1e-15)
    cotangent = np.arange(1.0, 2 * n)
    for got, block in zip(forms[Operator.VJP](*args, cotangent), blocks, strict=True):
        np.testing.assert_allclose(got, cotangent @ block, rtol=1e-15)
    dense = complete(made(reference={Operator.JACOBIAN: lambda *_: blocks}), case.inputs)
    for got, want in zip(dense[SPARSE](*args), chain_entries(*args), strict=True):
        assert np.array_equal(got, want)


def incomplete(inputs: Inputs) -> Any:
    """Return the declared pattern without its last entry."""
    (rows, columns), other = chain_pattern(inputs)
    return (rows[:-1], columns[:-1]), other


@pytest.mark.parametrize("numerically", [False, True], ids=["against the closed form", "by differences"])
@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (lambda e: e, Status.OK),
        (lambda e: np.where(np.arange(e.size) == 4, -e, e), Status.WRONG),
        (lambda e: np.roll(e, 1), Status.WRONG),
        (lambda e: np.zeros_like(e), Status.WRONG),
    ],
    ids=["right", "one sign flipped", "shifted", "zeros"],
)
def test_entries_are_judged_one_by_one(alter: Any, expected: Status, numerically: bool) -> None:
    case = build_case(made(reference={SPARSE: chain_entries}), "small", "float64", SPARSE, 0)
    right = chain_entries(*case.inputs.arrays)
    judge = check.Judge(case, Reference(("numerical_difference",), None) if numerically else None)
    comparisons = judge((alter(right[0]), right[1]))
    assert check.overall(comparisons)[0] == expected
    if expected == Status.WRONG and not numerically:
        # Entry 4 of the first pattern stands in row 2 and column 2, the largest change of a roll elsewhere.
        row, column = json.loads(comparisons[0].worst_index)
        assert column in (row, row + 1) or row >= 5


@pytest.mark.parametrize("spec", ["numpy", "jax"])
def test_a_declared_pattern_that_misses_an_entry_is_found_out(spec: str) -> None:
    backend = opened(spec)
    case = build_case(made(pattern=incomplete), "small", "float64", SPARSE, 0)
    args = [backend.to_var(a) for a in case.inputs.arrays]
    f = Objective(case.problem.function(backend, {}), patterns=case.patterns)
    found = backend.prepare(SPARSE, f, args, argnums=(0, 1))(*args)
    status, why = check.overall(check.Judge(case)([backend.to_numpy(leaf) for leaf in found]))
    assert status == Status.WRONG
    assert "numerical_difference" in why


def test_a_dense_result_beyond_the_limit_is_refused_and_the_sparse_one_is_not() -> None:
    n = math.isqrt(LARGEST_DENSE_BYTES // 8) + 1
    problem = Problem("wide", "", "", {"small": n}, lambda rng, n: Inputs((rng.uniform(size=n),)), lambda x, xp: x * x)
    dense = build_case(problem, "small", "float64", Operator.JACOBIAN, 0)
    assert too_large(dense).startswith("the dense result would take 0.125 GiB, over the 0.125 GiB allowed")
    assert not too_large(build_case(problem, "small", "float32", Operator.JACOBIAN, 0))
    assert not too_large(build_case(problem, "small", "float64", Operator.VJP, 0))


@pytest.mark.parametrize(
    ("name", "operators", "has"),
    [("planar_arm", [], False), ("planar_arm", [SPARSE], True), ("eigenvalue_smallest_raw", [SPARSE, "value"], False)],
)
def test_a_sparse_jacobian_can_be_asked_of_any_jacobian_that_is_compared_as_it_is(
    name: str, operators: list[str], has: bool
) -> None:
    assert (SPARSE in {cell.operator for cell in plan(Query([name], operators=operators)).cells}) == has


def test_the_sparse_jacobian_of_an_arm_is_its_jacobian_without_the_zeros() -> None:
    case = build_case(available()["planar_arm"], "small", "float64", SPARSE, 0)
    (pattern,) = case.patterns
    # The last row, the angle of the hand, is constant: its entries are all ones.
    assert pattern.nnz == 9
    assert check.Judge(case).reference.names == ("extended_precision",)


def test_scipy_arrays_hold_every_place_of_the_pattern() -> None:
    patterns = Pattern.of((3, 2), [0, 2], [1, 0]), Pattern.of((3, 1), [2], [0])
    whole = sparsity.joined(patterns, [np.array([5.0, 0.0]), np.array([7.0])])
    assert whole.nnz == 3
    assert whole.toarray().tolist() == [[0.0, 5.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 7.0]]
