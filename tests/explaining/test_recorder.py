"""Recording: the program of an objective computes the same bits, and knows the line of each operation."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems, tap
from autodiff_compare.backends import PLAIN
from autodiff_compare.explaining.recording.program import Program, function, function_text, lines
from autodiff_compare.explaining.recording.recorder import RecordError, recorded
from autodiff_compare.explaining.recording.views import split, tapped_view, values_view
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.problems.base.declared.declarations import problem_of

#: Problems with loops, nested derivatives, factorisations, indices, data of whole numbers and long programs.
PROBLEMS = (
    "ba", "chain_rule", "cubic_fit", "eigenvalue_smallest", "engine_perceptron", "gaussian_process", "gmm",
    "heat_inverse", "kmeans", "kmeans_newton", "lqr", "lstm", "neo_hookean", "ode", "spline", "ur5_arm",
)  # fmt: skip


def written(program: Program) -> Any:
    """Return the function of a program's text."""
    parameters = [v.name for v in (*program.inputs, *program.data)]
    return function(function_text(parameters, list(lines(program.steps)), program.output), program.constants)


def program_of(objective: Any, *arrays: Any, **more: Any) -> Program:
    """Return the program of an objective at a point."""
    given = {f"x{i}": np.asarray(x, dtype=np.float64) for i, x in enumerate(arrays)}
    subject = problem_of("subject", lambda x, xp: x, {}, {"x": [1.0]}, "here")
    inputs = Inputs(tuple(given.values()))
    return recorded(replace(subject, objective=objective, inputs=lambda rng, n: inputs), inputs, **more)


@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_program_computes_the_same_bits(name: str, unrolled: bool) -> None:
    subject = problems.available()[name]
    inputs = subject.draw(subject.smallest, 0)
    program = recorded(subject, inputs, unrolled=unrolled)
    tools = {tool: getattr(PLAIN, tool) for tool in program.tools}
    with np.errstate(all="ignore"):
        got = written(program)(*inputs.arrays, xp=np, **tools)
        want = subject.function(PLAIN, inputs.static)(*inputs.arrays)
    assert np.array_equal(got, want, equal_nan=True)


def everything(x: Any, y: Any, *, xp: Any) -> Any:
    """Operators from both sides, methods, properties, indices, containers, constants and dtypes."""
    table = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    a = 2.0 * x + x / 3 - (1 - x) ** 2 + (-x) * (+x) + abs(x) % 7.0
    b = table[0] * x + x * table[1] + np.float64(0.5) * x
    c = xp.stack([x[0], x[-1], y[1, 2]]) + y[..., 0][0] + y[:, 1:2].sum()
    d = y.T @ xp.asarray([1.0, 2.0], dtype=x.dtype)
    e = xp.where((x > 0) & ~(x >= 2.0) | (x == 1.0), x, xp.zeros_like(x))
    f = xp.astype(x > 0.5, x.dtype) * xp.concat([x[:2], x[2:]]).reshape((3,))
    g = xp.sum(xp.reshape(y, (-1,)) * xp.arange(6, dtype=xp.float64)) + xp.pi
    q, r = xp.linalg.qr(y)
    for entry in x:
        g = g + entry
    return xp.sum(a + b + c + d + e + f) * g + q[0, 0] * r[0, 1] + len(x) * x.size


def test_every_form_of_an_operation_is_recorded() -> None:
    x, y = np.array([0.3, 1.0, 2.5]), np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    program = program_of(everything, x, y)
    assert written(program)(x, y, xp=np) == everything(x, y, xp=np)
    # In float32 the program keeps to the dtype of the inputs, where the objective asks for it.
    narrow = written(program)(x.astype(np.float32), y.astype(np.float32), xp=np)
    assert narrow == pytest.approx(everything(x, y, xp=np), rel=1e-5)


def test_an_operation_knows_its_line_and_its_part_of_it() -> None:
    program = program_of(everything, [0.3, 1.0, 2.5], [[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    place = next(step.place for step in program.steps if step.operation == "xp.linalg.qr")
    assert place.file == __file__
    assert place.text == "q, r = xp.linalg.qr(y)"
    assert place.part in ("xp.linalg.qr(y)", "")  # Python tells the columns from 3.11 on


def helped(x: Any, *, xp: Any) -> Any:
    return problems.load("hello")[0].objective(x, xp=xp) + 1.0  # type: ignore[misc]


def test_an_operation_of_another_file_names_the_line_that_calls_it() -> None:
    program = program_of(helped, 2.0)
    inner = program.steps[0].place
    assert inner.file != __file__
    assert inner.caller is not None
    assert "problems.load" in inner.caller.text


def layer(W: Any, x: Any, xp: Any) -> Any:
    return xp.tanh(W @ x)


def test_an_operation_of_a_helper_names_the_line_of_the_objective_where_inputs_are_containers() -> None:
    def objective(p: Any, xp: Any) -> Any:
        h = layer(p["first"], p["x"], xp)
        return xp.sum(layer(p["second"], h, xp))

    p = {"first": [[0.5, 0.1], [0.3, 0.7]], "second": [[1.0, 0.2]], "x": [1.0, 2.0]}
    subject = problem_of("subject", objective, {}, {"p": p}, "here")
    program = recorded(subject, subject.draw(subject.smallest, 0))
    called = [step.place.caller for step in program.steps if step.operation == "xp.tanh"]
    assert [place.text for place in called if place] == [
        'h = layer(p["first"], p["x"], xp)',
        'return xp.sum(layer(p["second"], h, xp))',
    ]


def branching(x: Any, *, xp: Any) -> Any:
    y = xp.sum(x)
    if y > 1.0:
        y = y * 2.0
    return y * float(x[0])


def test_a_number_that_is_read_is_noted() -> None:
    program = program_of(branching, [1.0, 2.0])
    assert [place.text for place in program.decided] == ["if y > 1.0:", "return y * float(x[0])"]


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (lambda x, *, xp: np.exp(x), "NumPy function called on an intermediate"),
        (lambda x, *, xp: xp.sum(np.asarray(x)), "NumPy function called on an intermediate"),
        (lambda x, *, xp: 3.0, "expected an array computed from its inputs"),
        (lambda x, *, xp: x.__setitem__(0, 1.0), "got an assignment to entries"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_a_reason(objective: Any, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        program_of(objective, [1.0, 2.0])


def test_a_problem_without_a_neutral_objective_is_refused() -> None:
    subject = problem_of("mine", None, {"numpy": lambda x: x}, {"INPUTS": ([1.0],)}, "here")
    with pytest.raises(RecordError, match="set taps there"):
        recorded(subject, Inputs((np.ones(1),)))


def named(x: Any, *, xp: Any) -> Any:
    return xp.sum(tap("squares", x * x))


def test_a_tap_is_an_operation_with_a_label() -> None:
    program = program_of(named, [1.0, 2.0])
    assert [(step.operation, step.label) for step in program.steps] == [("*", ""), ("tap", "squares"), ("xp.sum", "")]


def zeros(x: Any, *, xp: Any) -> Any:
    """Zeros of both signs, ties and infinite quotients, whose bits a zero that is added must not change."""
    y = xp.copysign(xp.ones_like(x), x * 1.0) + xp.maximum(x, -x) + xp.atan2(x, x)
    return xp.sum(y)


@pytest.mark.parametrize("name", ["zeros", "gmm", "lqr", "ode"])
def test_taps_change_no_bit(name: str) -> None:
    if name == "zeros":
        program = program_of(zeros, [0.0, -0.0, 1.0])
    else:
        subject: Problem = problems.available()[name]
        program = recorded(subject, subject.draw(subject.smallest, 0))
    view, slots = tapped_view(program)
    tools = {tool: getattr(PLAIN, tool) for tool in program.tools}
    with np.errstate(all="ignore"):
        plain = written(program)(*(program.values[v.name] for v in (*program.inputs, *program.data)), xp=np, **tools)
        with_taps = view.problem().objective(*view.inputs.arrays, xp=np, **tools)  # type: ignore[misc]
    assert len(view.inputs.differentiated) == len(program.inputs) + len(slots)
    assert np.asarray(plain).tobytes() == np.asarray(with_taps).tobytes()


def test_the_values_of_all_operations_are_returned_in_order() -> None:
    program = program_of(named, [1.0, 2.0])
    view, slots = values_view(program, differentiable=False)
    joined = view.problem().objective(*view.inputs.arrays, xp=np)  # type: ignore[misc]
    assert [part.tolist() for part in split(joined, slots)] == [[1.0, 4.0], [1.0, 4.0], [5.0]]


def decomposed(A: Any, *, xp: Any) -> Any:
    values, vectors = xp.linalg.eigh(A + xp.matrix_transpose(A))
    left, sizes, right = xp.linalg.svd(A, full_matrices=False)
    orthogonal, triangular = xp.linalg.qr(A)
    again = xp.matmul(vectors * values, xp.matrix_transpose(vectors)) + xp.matmul(left * sizes, right)
    return xp.sum(xp.sin(again) + xp.sin(xp.matmul(orthogonal, triangular)))


def test_vectors_of_a_decomposition_get_numpys_signs() -> None:
    program = program_of(decomposed, [[2.0, 0.3], [-0.4, 1.0]])
    view, slots = values_view(program, differentiable=False)

    def turned(name: str, number: int, own: Any) -> Any:
        """Return a decomposition with other signs: those of the second vector, and of what belongs to it."""

        def function(*args: Any, **kwargs: Any) -> Any:
            parts = list(own(*args, **kwargs))
            signs = np.array([1.0, -1.0])
            parts[number] = parts[number] * signs
            if name != "eigh":
                parts[-1] = parts[-1] * signs[:, None]
            return tuple(parts)

        return function

    other = SimpleNamespace(**{name: getattr(np, name) for name in np.__all__ if hasattr(np, name)})
    linalg = {name: getattr(np.linalg, name) for name in np.linalg.__all__}
    linalg |= {n: turned(n, k, linalg[n]) for n, k in (("eigh", 1), ("svd", 0), ("qr", 0))}
    other.linalg = SimpleNamespace(**linalg)
    own, turned_ = (view.problem().objective(*view.inputs.arrays, xp=xp) for xp in (np, other))  # type: ignore[misc]
    assert len(slots) > 10
    assert np.allclose(own, turned_, rtol=1e-14, atol=1e-15)
