"""The backend of closed forms: those of every problem, completed to every operator that is requested."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from autodiff_compare.backends import Objective, Unsupported
from autodiff_compare.problems import available
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.vocabulary import STANDARD_OPERATORS, Operator, Optimizer
from tests.backends.test_step import opened

O = Operator  # noqa: E741
#: Smooth and small enough for plain differences; the cross-checks judge the closed forms of all problems.
PROBLEMS = {name: problem for name, problem in available().items() if "classic" in problem.suites}
SGD = Optimizer("sgd", 0.125)
CASES = [
    pytest.param(name, operator, id=f"{name}-{operator}")
    for name, problem in PROBLEMS.items()
    for operator in sorted(problem.operators | ({O.STEP} if O.GRADIENT in problem.operators else set()))
]
#: Differences of fourth order (see their module's docstring), times the conditioning of the problems.
TOLERANCE = {O.HVP: 1e-6, O.HESSIAN: 1e-6}


def leaves(out):
    return [x for part in out for x in leaves(part)] if isinstance(out, (tuple, list)) else [np.asarray(out)]


def drawn(name: str):
    problem = PROBLEMS[name]
    size = min(problem.sizes.values())
    return problem, problem.inputs(np.random.default_rng(4), min(size, 20))


def directions_of(operator, inputs, value):
    rng = np.random.default_rng(6)
    shapes = [x.shape for x in inputs.differentiated] if operator in (O.JVP, O.HVP) else []
    return [rng.normal(size=s) for s in ([np.shape(value)] if operator is O.VJP else shapes)]


@pytest.mark.parametrize(("name", "operator"), CASES)
def test_closed_forms_agree_with_differences(name, operator):
    problem, inputs = drawn(name)
    manual, differences = opened("manual"), opened("finite_difference")
    function = partial(problem.objective, xp=np, **inputs.static)
    objective = Objective(function, complete(problem, inputs, SGD))
    which = range(len(inputs.differentiated))
    given = [*inputs.arrays, *directions_of(operator, inputs, function(*inputs.arrays))]
    got = leaves(manual.prepare(operator, objective, inputs.arrays, argnums=which, optimizer=SGD)(*given))
    if operator is O.STEP:
        slopes = leaves(differences.prepare(O.GRADIENT, function, inputs.arrays, argnums=which)(*given))
        want = [x - SGD.learning_rate * g for x, g in zip(inputs.differentiated, slopes, strict=True)]
    else:
        want = leaves(differences.prepare(operator, function, inputs.arrays, argnums=which)(*given))
    assert [g.shape for g in got] == [w.shape for w in want]
    if problem.normalise is not None and operator is not O.VALUE:
        got, want = (list(map(problem.normalise.apply, arrays)) for arrays in (got, want))
    scale = max(np.max(np.abs(w)) for w in want)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=0, atol=TOLERANCE.get(operator, 1e-9) * scale)


@pytest.mark.parametrize("operator", sorted((STANDARD_OPERATORS | {O.SPARSE_JACOBIAN, O.STEP}) - {O.VALUE}))
def test_what_no_closed_form_gives_is_unsupported(operator):
    manual = opened("manual")
    with pytest.raises(Unsupported, match=f"no closed form for {operator} is given: add one"):
        manual.prepare(operator, Objective(lambda x: x * x), [np.ones(())])
    with pytest.raises(Unsupported, match=f"no closed form for {operator} is given"):
        manual.prepare(operator, lambda x: x * x, [np.ones(())])


def test_grad_is_the_closed_form():
    manual = opened("manual")
    objective = Objective(lambda x, y: x * x * y, {O.GRADIENT: lambda x, y: (2 * x * y, x * x)})
    x, y = np.array(3.0), np.array(0.5)
    assert [float(g) for g in manual.grad(objective, (0, 1))(x, y)] == [3.0, 9.0]
    assert float(manual.grad(objective)(x, y)) == 3.0


def test_there_is_no_update_rule():
    with pytest.raises(Unsupported, match="manual has no optimizer"):
        opened("manual").step(SGD, [np.ones(1)], [np.ones(1)], None)
