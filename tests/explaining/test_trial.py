"""The explanation on trial: fifty planted differences, and fifty pairs that differ by rounding alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Objective
from autodiff_compare.explaining import wording
from autodiff_compare.explaining.alone import Answer
from autodiff_compare.explaining.directions import Directions, directions
from autodiff_compare.explaining.evaluation import evaluate
from autodiff_compare.explaining.parting import differences
from autodiff_compare.explaining.records import STAGES, Explanation
from autodiff_compare.explaining.search import Search
from autodiff_compare.plan.cases import Case, build_case, leaves
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.problems import SCALAR, Inputs, Problem
from autodiff_compare.problems.base.declared.declarations import problem_of
from autodiff_compare.process.protocol import decode, encode
from autodiff_compare.vocabulary import Operator
from tests.explaining import objectives
from tests.explaining.planted import PLANTED, Planted, along, opened, right_slope


def problem(name: str) -> Problem:
    """Return the problem of an objective."""
    point = objectives.POINTS[name]
    if name in objectives.USES:
        arrays = tuple(np.asarray(x) for x in point.values())
        plain = problem_of(name, lambda x, c, xp: x, {}, point, "here")
        return replace(
            plain, objective=getattr(objectives, name), uses=objectives.USES[name], operators=SCALAR,
            inputs=lambda rng, n: Inputs(arrays),
        )  # fmt: skip
    return with_operators(problem_of(name, getattr(objectives, name), {}, point, "here"))


def case_of(name: str, operator: str) -> Case:
    """Return the case of an objective."""
    subject = problem(name)
    return build_case(subject, subject.smallest, "float64", Operator(operator), 0)


def result(backend: Any, case: Case) -> list[Any]:
    """Return the leaves of a case on a backend."""
    args, along = ([backend.to_var(a) for a in group] for group in (case.inputs.arrays, case.directions))
    run = backend.prepare(
        case.operator,
        Objective(case.problem.function(backend, case.inputs.static)),
        args,
        argnums=range(len(case.inputs.differentiated)),
        directions=along,
    )
    return [np.asarray(backend.to_numpy(leaf)) for leaf in leaves(run(*args, *along))]


def searching(case: Case, pair: Mapping[str, Any], seen: Directions, *, nan: bool = False) -> Search:
    """Return the search on two backends in this process."""

    def ask(spec: str, verb: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        assert verb == "program"
        # A worker gets its parameters as text.
        sent: Any = decode(encode(params))
        return evaluate(pair[spec], **sent)

    first, second = pair
    return Search(case, (first, second), ask, seen, nan=nan)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.name)
def test_a_planted_difference_is_named_by_its_line(planted: Planted) -> None:
    case = case_of(planted.objective, planted.operator)
    pair = {"right": opened(), "other": opened(planted)}
    found = differences(case, *(result(backend, case) for backend in pair.values()))
    assert found
    parted = searching(case, pair, directions(case, found[0].part, found[0].entry)).found()[1]
    assert parted is not None
    assert planted.line in parted.place.text, parted
    assert parted.operation == f"xp.{planted.function}"


#: Function -> the same function with other roundings.
_OTHERWISE = {
    "exp": lambda _, xp, own: lambda x: 1 / own(-x),
    "sum": lambda _, xp, own: lambda x, **k: own(xp.flip(x, axis=0), **k) if k == {} else own(x, **k),
    "matmul": lambda _, xp, own: lambda a, b: own(a * 3.0, b) / 3.0,
    "tanh": lambda _, xp, own: lambda x: xp.sinh(x) / xp.cosh(x),
    "log": lambda _, xp, own: lambda x: 2 * own(xp.sqrt(x)),
    "sqrt": lambda _, xp, own: lambda x: x / own(x),
    "var": lambda _, xp, own: lambda x: xp.mean((x - xp.mean(x)) ** 2),
    "cos": lambda _, xp, own: lambda x: xp.sin(x + np.pi / 2),
    "prod": lambda _, xp, own: lambda x: own(xp.flip(x, axis=0)),
    "cumulative_sum": lambda _, xp, own: lambda x: own(x * 3.0) / 3.0,
    "linalg.solve": lambda _, xp, own: lambda a, b: own(3.0 * a, 3.0 * b),
}
_OPERATORS = ("gradient", "value_and_gradient", "jvp", "hvp", "hessian", "value")
#: 7 objectives by 6 operators, and 8 more.
EQUAL = [(name, operator) for name in objectives.POINTS for operator in _OPERATORS] + [
    (name, operator) for name in ("layers", "likelihood", "mechanics", "shapes") for operator in ("vjp", "jacobian")
]


def otherwise(name: str) -> Any:
    """Return our engine with every function of `_OTHERWISE` in its other form."""
    return opened(*(Planted("rounding", name, function, how, "") for function, how in _OTHERWISE.items()))


@pytest.mark.parametrize(("name", "operator"), EQUAL)
def test_nothing_is_named_where_only_rounding_differs(name: str, operator: str) -> None:
    case = case_of(name, operator)
    pair = {"right": opened(), "other": otherwise(name)}
    assert differences(case, *(result(backend, case) for backend in pair.values())) == []
    # The stages are not made where results agree: here they are, for the first entry.
    stages, parted, _ = searching(case, pair, directions(case, 0, 0)).found()
    assert parted is None
    assert stages == STAGES[case.operator]


def centred(x, xp):
    """A square matrix, of which a mean along the other axis has as many entries."""
    m = xp.expand_dims(xp.mean(x, axis=1), axis=1)
    return xp.sum(xp.sin(x - m) * xp.eye(3, dtype=x.dtype))


def reduced(x, xp):
    """A matrix of which a mean along the other axis has fewer entries."""
    return xp.sum(xp.sin(x - xp.mean(x, axis=1, keepdims=True)))


@pytest.mark.parametrize(
    ("objective", "shape", "function", "how", "line", "shapes"),
    [
        (centred, (3, 3), "expand_dims", along(0), "m = xp.expand_dims", ((3, 1), (1, 3), (3, 1))),
        (reduced, (3, 2), "mean", along(0), "xp.mean(x", ((3, 1), (1, 2), (3, 1))),
    ],
)
def test_a_value_of_another_shape_is_named(
    objective: Any, shape: tuple[int, int], function: str, how: Any, line: str, shapes: Any
) -> None:
    point = {"x": np.sin(np.arange(1.0, 1.0 + np.prod(shape))).reshape(shape)}
    subject = with_operators(problem_of(objective.__name__, objective, {}, point, "here"))
    case = build_case(subject, subject.smallest, "float64", Operator.GRADIENT, 0)
    pair = {"right": opened(), "other": opened(Planted("axis", "", function, how, line))}
    parted = searching(case, pair, directions(case, 0, 0)).found()[1]
    assert parted is not None
    assert line in parted.place.text
    assert parted.shapes == shapes
    found = Explanation("right", "other", parted.entry, ("values",), parted)
    assert wording.conclusion(found) == f"other is wrong in xp.{function}: NumPy gives shape {shapes[0]}."
    assert f"    other      {shapes[1]}  wrong" in list(wording.lines(found, "it"))


def test_a_constant_of_another_value_is_named_and_judged() -> None:
    subject = with_operators(problem_of("centred", centred, {}, {"x": np.sin(np.arange(9.0)).reshape(3, 3)}, "here"))
    case = build_case(subject, subject.smallest, "float64", Operator.GRADIENT, 0)
    pair = {"right": opened(), "other": opened(Planted("rule", "", "eye", _doubled, ""))}
    parted = searching(case, pair, directions(case, 0, 0)).found()[1]
    assert parted is not None
    assert parted.trial is not None
    assert (parted.operation, parted.trial.a.word, parted.trial.b.word) == ("xp.eye", "right", "wrong")
    assert (parted.trial.reference, parted.trial.source) == (1.0, "NumPy")


def roots(x, xp):
    """Square roots."""
    return xp.sum(xp.sqrt(x))


def test_nan_of_both_backends_is_answered_with_a_choice_of_the_operand() -> None:
    """The words alone: which backend gives nan for an entry that is not chosen is each framework's own."""
    subject = with_operators(problem_of("roots", roots, {}, {"x": [4.0, 2.0]}, "here"))
    case = build_case(subject, subject.smallest, "float64", Operator.GRADIENT, 0)
    pair = {"right": opened(), "other": opened(Planted("rule", "", "sqrt", _doubled, ""))}
    parted = searching(case, pair, directions(case, 0, 0)).found()[1]
    assert parted is not None
    assert parted.trial is not None
    nan = Answer(np.nan, "wrong")
    both = replace(parted, trial=replace(parted.trial, a=nan, b=nan))
    told = wording.conclusion(Explanation("right", "other", parted.entry, ("values",), both))
    assert told.startswith("Alone, xp.sqrt gives nan on both backends")
    assert "xp.sqrt(xp.where(mask, x, 1.0))" in told
    one = replace(parted, trial=replace(parted.trial, a=Answer(0.0, "right"), b=nan))
    assert (
        wording.conclusion(Explanation("right", "other", parted.entry, ("values",), one))
        == "other is wrong in xp.sqrt."
    )


def chosen(x, xp):
    """An entry that is chosen by its size."""
    return x[xp.argmax(x * x)] * xp.sum(x)


def test_another_decision_is_compared_with_numpys() -> None:
    subject = with_operators(problem_of("chosen", chosen, {}, {"x": [0.3, -2.0, 1.0]}, "here"))
    case = build_case(subject, subject.smallest, "float64", Operator.GRADIENT, 0)
    pair = {"right": opened(), "other": opened(Planted("rule", "", "argmax", _smallest, ""))}
    parted = searching(case, pair, directions(case, 0, 0)).found()[1]
    assert parted is not None
    found = Explanation("right", "other", parted.entry, ("values",), parted)
    shown = [line.split() for line in wording.lines(found, "it")]
    assert ["other", "0", "unlike", "NumPy"] in shown
    assert ["reference", "1", "by", "NumPy"] in shown
    assert wording.conclusion(found).startswith("other decides otherwise than NumPy in xp.argmax.")


def at_zero(x, xp):
    """A convention at zeros, and an operation that may give nan there."""
    return xp.linalg.vector_norm(x - x) * xp.sum(x) + xp.sum(xp.abs(x))


@pytest.mark.parametrize(("nan", "line"), [(True, "xp.linalg.vector_norm(x - x)"), (False, "xp.abs(x)")])
def test_where_a_result_is_nan_its_source_is_named_before_conventions(nan: bool, line: str) -> None:
    subject = with_operators(problem_of("at_zero", at_zero, {}, {"x": [0.0, 0.0]}, "here"))
    case = build_case(subject, subject.smallest, "float64", Operator.GRADIENT, 0)
    norm = Planted("rule", "", "linalg.vector_norm", _root, "") if nan else None
    pair = {
        "right": opened(),
        "other": opened(*filter(None, (Planted("convention", "", "abs", right_slope, ""), norm))),
    }
    with np.errstate(all="ignore"):
        (first, *_) = differences(case, *(result(backend, case) for backend in pair.values()))
        assert first.nan is nan
        search = searching(case, pair, directions(case, first.part, first.entry), nan=first.nan)
        parted = search.found()[1]
    assert parted is not None
    assert parted.place.part == line
    assert [place.part for place in parted.others] == (["xp.abs(x)"] if nan else [])


def _root(engine: Any, xp: Any, own: Any) -> Any:
    del engine, own
    return lambda x: xp.sqrt(xp.sum(x * x))


def _smallest(engine: Any, xp: Any, own: Any) -> Any:
    del engine, own
    return xp.argmin


def _doubled(engine: Any, xp: Any, own: Any) -> Any:
    del engine, xp
    return lambda n, **k: 2.0 * own(n, **k)
