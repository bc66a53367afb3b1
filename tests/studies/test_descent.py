"""Descents: counts and end points of the classic studies on every backend, stop rules, recorded steps.

The expected numbers come from the classic studies, measured there with NumPy in float64. A test that needs another
number computes it itself in plain NumPy.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Unsupported
from autodiff_compare.problems import Adaptive, Descent, Inputs, Problem, available
from autodiff_compare.studies.descent import DescentError, descend, prepared
from autodiff_compare.studies.trace import KEEP_ALL, Trace
from autodiff_compare.vocabulary import Optimizer
from tests.conftest import opened

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")
WITHOUT_OPTIMIZER = ("manual",)
PROBLEMS = available()


@functools.cache
def trace(
    spec: str, problem: str, descent: str, start: int = 0, dtype: str = "float64", limit: int | None = None
) -> Trace:
    return descend(opened(spec), PROBLEMS[problem], descent, start, dtype, limit)


# ---- the matrix inverse

#: (loss, step size) at iterations 0 to 50 of the absolute objective, seed 0, float64.
FIRST = [
    (5.85456017906792, 0.01),
    (5.70088909206058, 0.012),
    (5.5251483464532205, 0.0144),
    (5.4592358433490915, 0.01728),
    (5.380140839624137, 0.020736),
    (5.285226835154194, 0.0248832),
    (5.17133002979026, 0.02985984),
    (5.034653863353539, 0.035831808),
    (4.8706424636294745, 0.0429981696),
    (4.673828783960596, 0.05159780351999999),
    (4.437652368357945, 0.06191736422399999),
    (4.154240669634762, 0.07430083706879999),
    (3.8141466311669414, 0.08916100448255998),
    (3.628512129531965, 0.10699320537907198),
    (3.668769068491518, 0.05349660268953599),
    (3.506807946381036, 0.06419592322744318),
    (3.4513510751537986, 0.07703510787293182),
    (3.1893782416132446, 0.09244212944751817),
    (3.3341513064774526, 0.04622106472375909),
    (3.229580380310187, 0.0554652776685109),
    (3.024541830396937, 0.06655833320221308),
    (3.149763138129531, 0.03327916660110654),
    (3.0133462312049186, 0.039934999921327846),
    (2.9753626259898986, 0.04792199990559341),
    (3.0400701964451766, 0.023960999952796706),
    (2.9641785023466225, 0.028753199943356046),
    (2.9012240131811127, 0.034503839932027255),
    (2.9916635412203423, 0.017251919966013628),
    (2.902453614734183, 0.020702303959216354),
    (2.8588642632131975, 0.024842764751059624),
    (2.9623519415945294, 0.012421382375529812),
    (2.8569547829789212, 0.014905658850635774),
    (2.8564674707391493, 0.017886790620762927),
    (2.913145362361093, 0.008943395310381463),
    (2.880084303572188, 0.010732074372457755),
    (2.851975323172012, 0.012878489246949306),
    (2.8547181797593613, 0.006439244623474653),
    (2.8309142174313493, 0.0077270935481695835),
    (2.818700439974795, 0.0092725122578035),
    (2.8475819843405112, 0.00463625612890175),
    (2.8319962462267636, 0.005563507354682099),
    (2.8241146167717317, 0.006676208825618519),
    (2.8075273083905135, 0.008011450590742222),
    (2.8223808892869444, 0.004005725295371111),
    (2.81624829897874, 0.004806870354445333),
    (2.7991921765952457, 0.005768244425334399),
    (2.808763028904942, 0.0028841222126671996),
    (2.8038683149263273, 0.0034609466552006393),
    (2.7945207066498114, 0.004153135986240767),
    (2.801452705995881, 0.0020765679931203833),
    (2.793112691819411, 0.00249188159174446),
]


@pytest.mark.parametrize("spec", FRAMEWORKS + WITHOUT_OPTIMIZER)
def test_the_adaptive_descent_begins_as_in_the_classic_study(spec: str) -> None:
    steps = trace(spec, "matrix_inverse_absolute", "stale", limit=100).steps
    found = [(s.loss, s.step_size) for s in steps[: len(FIRST)]]
    assert [s.iteration for s in steps] == list(range(101))
    np.testing.assert_allclose(found, FIRST, rtol=1e-12)


@pytest.mark.parametrize("spec", FRAMEWORKS)
def test_float32_stays_float32_and_follows_the_closed_form(spec: str) -> None:
    # 3e-7: over eleven roundings of this run the losses of iterations 0 to 100 differ by no more.
    expected = trace("manual", "matrix_inverse_absolute", "stale", dtype="float32", limit=100)
    found = trace(spec, "matrix_inverse_absolute", "stale", dtype="float32", limit=100)
    assert all(a.dtype == np.float32 for a in (*found.first_point, *found.last_point, *found.data))
    np.testing.assert_allclose([s.loss for s in found.steps], [s.loss for s in expected.steps], rtol=3e-7)


@pytest.mark.parametrize("spec", ["numpy", "numpy:compiled", "manual"])
@pytest.mark.parametrize(("descent", "iterations", "restarts"), [("stale", 56_141, 415), ("fresh", 42_336, 318)])
def test_the_absolute_descent_takes_the_classic_counts(spec: str, descent: str, iterations: int, restarts: int) -> None:
    found = trace(spec, "matrix_inverse_absolute", descent)
    assert (found.iterations, found.restarts, found.converged) == (iterations, restarts, True)
    (X, target), (Y,) = found.data, found.last_point
    assert found.final_loss == pytest.approx(np.abs(X @ Y - target).sum(), rel=1e-12)
    assert found.final_loss < 1e-3
    # One evaluation a point, and one more where a restart asks for the gradient at the new point.
    assert found.evaluations == iterations + 1 + (restarts if descent == "fresh" else 0)


@pytest.mark.parametrize("spec", ["numpy", "numpy:compiled", "manual"])
def test_the_squared_descent_takes_490_steps_and_no_restart(spec: str) -> None:
    found = trace(spec, "matrix_inverse_squared", "fresh")
    assert (found.iterations, found.restarts, found.converged) == (490, 0, True)
    assert found.final_loss < 1e-7


def test_without_restarts_the_absolute_descent_stalls() -> None:
    found = trace("numpy", "matrix_inverse_absolute", "no_restarts")
    assert (found.restarts, found.converged) == (0, False)
    assert round(min(s.loss for s in found.steps), 2) == 2.78  # the classic figure, given to three digits
    assert found.message == "loss 2.78 after 1000 updates, expected at most 0.001"


def test_the_log_keeps_the_beginning_every_restart_the_end_and_few_others() -> None:
    found = trace("manual", "matrix_inverse_absolute", "fresh")
    kept = [s.iteration for s in found.steps]
    assert kept == sorted(set(kept))
    assert kept[: KEEP_ALL + 1] == list(range(KEEP_ALL + 1))
    assert kept[-1] == found.iterations
    assert [s.extra["restart"] for s in found.steps if "restart" in s.extra] == list(range(1, found.restarts + 1))
    # ln(42) / ln(1.01) = 376 without restarts; each restart may add one and delay the next.
    assert len(kept) <= KEEP_ALL + 376 + found.restarts + 2


@pytest.mark.parametrize("descent", ["fresh", "stale"])
def test_a_point_is_evaluated_once(descent: str) -> None:
    calls = 0

    def counted(*args: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        return original(*args, **keywords)

    problem = PROBLEMS["matrix_inverse_absolute"]
    original = problem.objective
    run = prepared(opened("numpy"), replace(problem, objective=counted), descent, 0, "float64", 2000)
    calls = 0
    found = run()
    assert found.restarts > 0
    assert calls == found.evaluations == 2001 + (found.restarts if descent == "fresh" else 0)


@pytest.mark.parametrize("spec", ["numpy:compiled", "tensorflow", "jax"])
@pytest.mark.parametrize("problem", ["cubic_fit", "matrix_inverse_absolute"])
def test_nothing_is_traced_or_compiled_while_a_descent_runs(spec: str, problem: str) -> None:
    backend = opened(spec)
    run = prepared(backend, PROBLEMS[problem], next(iter(PROBLEMS[problem].descent)), 0, "float64", 3)
    traces = backend.traces()
    assert run().iterations == 3
    assert backend.traces() == traces


# ---- eigenvalue targeting

#: Updates to L <= 1e-8 by seed, equal within 1 over four frameworks, float32 and float64.
ADAM_UPDATES = {0: 2172, 1: 3123, 2: 3056, 3: 2944}


# A framework that takes the count of the first start computes the same updates from the others, in seconds each.
@pytest.mark.parametrize(
    ("spec", "start"), [*((spec, 0) for spec in FRAMEWORKS), *(("numpy", start) for start in ADAM_UPDATES if start)]
)
def test_adam_takes_the_classic_counts(spec: str, start: int) -> None:
    found = trace(spec, "eigenvalue_targeting_equal", "by_hand", start)
    assert abs(found.iterations - ADAM_UPDATES[start]) <= 1
    assert found.converged
    np.testing.assert_allclose(found.steps[-1].extra["eigenvalues"], [1, 1, 1], atol=1e-4)  # L <= 1e-8


@pytest.mark.parametrize(("descent", "dtype"), [("minimise", "float64"), ("by_hand", "float32")])
@pytest.mark.parametrize("spec", FRAMEWORKS)
def test_adam_takes_the_same_count_minimising_and_in_float32(spec: str, descent: str, dtype: str) -> None:
    found = trace(spec, "eigenvalue_targeting_equal", descent, 0, dtype)
    assert abs(found.iterations - ADAM_UPDATES[0]) <= 1
    assert found.last_point[0].dtype == dtype
    assert math.isnan(found.steps[0].gradient_norm) == (descent == "minimise")


def test_a_descending_target_is_never_reached() -> None:
    # All eigenvalues go to the mean of the target (2, 1, 0.5), where the loss is its spread.
    found = trace("numpy", "eigenvalue_targeting_distinct", "descending")
    target = np.array([2, 1, 0.5])
    assert not found.converged
    np.testing.assert_allclose(found.steps[-1].extra["eigenvalues"], target.mean(), atol=0.01)
    assert found.final_loss == pytest.approx(((target - target.mean()) ** 2).sum(), rel=1e-3)


# ---- the cubic fit


@pytest.mark.parametrize("spec", FRAMEWORKS)
def test_the_cubic_fit_ends_at_the_classic_point(spec: str) -> None:
    found = trace(spec, "cubic_fit", "cleared")
    expected = [-0.09202848612079, -0.00192837734038, 0.84758806540845, 0.01117792080568]
    np.testing.assert_allclose(found.last_point[0], expected, rtol=0, atol=1e-10)
    assert found.final_loss == pytest.approx(9.016587142824, rel=1e-10)
    assert (found.iterations, found.converged, found.message) == (2000, False, "no stop rule: made its 2000 updates")
    assert found.steps[0].extra == {"theta": [0.1, 0.2, 0.3, 0.4]}


@pytest.mark.parametrize("spec", FRAMEWORKS)
def test_without_clearing_gradients_the_loss_swings(spec: str) -> None:
    found = trace(spec, "cubic_fit", "accumulated")
    x, y = found.data
    V = np.stack([x**3, x**2, x, x**0], axis=-1)
    theta, total = found.first_point[0], np.zeros(4)
    for _ in range(2000):
        total = total + 2 * V.T @ (V @ theta - y)
        theta = theta - 1e-6 * total
    np.testing.assert_allclose(found.last_point[0], theta, rtol=1e-7)
    assert f"{found.final_loss:.1e}" == "7.6e+04"  # the classic figure, given to two digits
    losses = np.array([s.loss for s in found.steps])
    assert np.sum(np.diff(np.sign(np.diff(losses[:100]))) != 0) > 10


# ---- the rules


def parabola(**rule: Any) -> Problem:
    """Return (x - 3)^2 from x = 0 with learning rate 0.25: each update halves the distance, the loss is 9 / 4^n."""
    settings: dict[str, Any] = {
        "optimizer": Optimizer("sgd", 0.25),
        "start": lambda _: Inputs((np.zeros(()),)),
        "max_iterations": 50,
    }
    return Problem(
        name="parabola",
        title="",
        source="",
        sizes={"small": 1},
        inputs=lambda *_: Inputs((np.zeros(()),)),
        objective=lambda x, *, xp: (x - 3.0) * (x - 3.0),
        descent={"default": Descent(**(settings | rule))},
    )


@pytest.mark.parametrize(
    ("rule", "iterations", "loss", "converged"),
    [
        # Losses 9, 2.25, 0.5625, 0.140625 after 0, 1, 2, 3 updates.
        ({"stop_loss": 2.25, "stop_when": "after"}, 1, 2.25, True),
        ({"stop_loss": 2.25, "stop_when": "before"}, 2, 0.5625, True),
        ({"stop_loss": 9.0, "stop_when": "after"}, 0, 9.0, True),
        ({"stop_loss": 9.0, "stop_when": "before"}, 1, 2.25, True),
        ({"stop_loss": 2.25, "stop_when": "after", "way": "minimise"}, 1, 2.25, True),
        ({"stop_loss": 2.25, "stop_when": "before", "way": "minimise"}, 2, 0.5625, True),
        ({"max_iterations": 3}, 3, 0.140625, False),
        ({"max_iterations": 0}, 0, 9.0, False),
    ],
)
@pytest.mark.parametrize("spec", FRAMEWORKS)
def test_a_descent_stops_where_its_rule_says(
    spec: str, rule: dict[str, Any], iterations: int, loss: float, converged: bool
) -> None:
    found = descend(opened(spec), parabola(**rule), "default", 0, "float64")
    assert (found.iterations, found.final_loss, found.converged) == (iterations, loss, converged)
    assert found.last_point[0] == 3.0 - 3.0 / 2**iterations
    assert [s.loss for s in found.steps] == [9.0 / 4**n for n in range(iterations + 1)]


@pytest.mark.parametrize("spec", FRAMEWORKS)
def test_a_loss_that_overflows_ends_the_descent(spec: str) -> None:
    # With lr 1e200 the first update lands at 6e200, whose square is beyond float64.
    with np.errstate(over="ignore"):
        found = descend(opened(spec), parabola(optimizer=Optimizer("sgd", 1e200)), "default", 0, "float64")
    assert (found.iterations, found.converged, found.final_loss) == (1, False, math.inf)
    assert found.message == "the loss is inf after 1 updates: take a smaller learning rate"


def test_the_adaptive_rule_moves_every_array() -> None:
    # x^2 + y^2 from (1, 2): g = 2 p, so that p falls to p (1 - 2 alpha), with alpha 0.1, then 0.12.
    rule = Descent(
        Optimizer("sgd", 0.1),
        start=lambda _: Inputs((np.ones(()), np.full((2,), 2.0))),
        adaptive=Adaptive(np.random.RandomState),
        max_iterations=2,
    )
    problem = replace(parabola(), objective=lambda x, y, *, xp: x * x + xp.sum(y * y), descent={"default": rule})
    x, y = descend(opened("numpy"), problem, "default", 0, "float64").last_point
    np.testing.assert_allclose([x, *y], np.array([1, 2, 2]) * 0.8 * 0.76, rtol=1e-15)


def test_a_run_repeats_itself_bit_for_bit() -> None:
    first, again = (
        descend(opened("numpy"), PROBLEMS["matrix_inverse_absolute"], "fresh", 3, "float64", 500) for _ in "ab"
    )
    assert first.steps == again.steps
    assert first.last_point[0].tobytes() == again.last_point[0].tobytes()


@pytest.mark.parametrize(
    ("problem", "name", "words"),
    [
        (PROBLEMS["cubic_fit"], "nosuch", "got descent 'nosuch', expected one of cubic_fit: cleared, accumulated"),
        (PROBLEMS["planar_arm"], "x", "got descent 'x', expected one of planar_arm: it has none"),
        (parabola(way="minimise", accumulate=True), "default", "expected way='by_hand'"),
        (
            parabola(accumulate=True, adaptive=PROBLEMS["matrix_inverse_squared"].descent["fresh"].adaptive),
            "default",
            "expected one of them",
        ),
    ],
)
def test_a_descent_that_cannot_be_made_says_why(problem: Problem, name: str, words: str) -> None:
    with pytest.raises(DescentError, match=words):
        descend(opened("numpy"), problem, name, 0, "float64")


def test_a_backend_without_optimizer_says_so() -> None:
    with pytest.raises(Unsupported, match="no optimizer of its own"):
        descend(opened("manual"), PROBLEMS["cubic_fit"], "cleared", 0, "float64")
