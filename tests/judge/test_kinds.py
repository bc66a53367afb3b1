"""Kinds of functions on which checkers of derivatives err: a right gradient is never refused, a wrong one never passes.

Each gradient is that of the rules of calculus, in the comment where it is not obvious.
"""

from __future__ import annotations

import itertools
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.testing import assert_gradients
from autodiff_compare.vocabulary import Operator, Status, Verdict
from tests.judge.test_judge import case_at, verdict_of

REFUTED = {Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE}


@dataclass(frozen=True)
class Kind:
    """A function of one vector with its gradient.

    Parameters
    ----------
    name
        The function in words.
    f, gradient
        ``f(x, xp=xp)``, and its gradient in NumPy.
    x
        The point.
    wrong
        Gradients that must not pass, as functions of the right one; by default each entry zero and off by 1 %.
    open
        Whether the judge may leave the right gradient open: nothing that it sees decides.
    """

    name: str
    f: Callable[..., Any]
    gradient: Callable[[Any], Any]
    x: Sequence[float]
    wrong: tuple[Callable[[Any], Any], ...] = ()
    open: bool = False

    def mutants(self, right: Any) -> list[Any]:
        if self.wrong:
            return [np.asarray(w(right)) for w in self.wrong]
        entries = itertools.product(np.flatnonzero(right)[:4], (0.0, 1.01))
        return [np.where(np.arange(right.size) == k, factor * right, right) for k, factor in entries]


_FORTY = np.where(np.arange(40) == 7, 1e-4, np.linspace(1, 2, 40))

KINDS = [
    # Inputs of different units, and one small input among others.
    Kind("sum 1/x, one small", lambda x, *, xp: xp.sum(1 / x), lambda x: -1 / x**2, [1e-4, 2.0, -3.0]),
    Kind("sum 1/x, one small of forty", lambda x, *, xp: xp.sum(1 / x), lambda x: -1 / x**2, _FORTY),
    Kind("sum 1/x^2", lambda x, *, xp: xp.sum(1 / x**2), lambda x: -2 / x**3, [1e-3, 5.0, 1e4], open=True),
    Kind("sum log x", lambda x, *, xp: xp.sum(xp.log(x)), lambda x: 1 / x, [1e-9, 1.0, 1e6]),
    Kind("sum sqrt x", lambda x, *, xp: xp.sum(xp.sqrt(x)), lambda x: 0.5 / np.sqrt(x), [1e-8, 1.0, 100.0]),
    # A bump within a narrow range: seen from far away the function does not depend on the second input.
    Kind(
        "bump in the micrometres",
        lambda p, *, xp: p[0] ** 2 + xp.exp(-(((p[1] - 2e-6) / 1e-6) ** 2)),
        lambda p: np.array([2 * p[0], -2 * (p[1] - 2e-6) / 1e-12 * np.exp(-(((p[1] - 2e-6) / 1e-6) ** 2))]),
        [1.0, 1e-6],
    ),
    Kind(
        "step in the nanoseconds",
        lambda p, *, xp: p[0] + xp.tanh((p[1] - 3e-9) / 1e-9),
        lambda p: np.array([1.0, 1e9 / np.cosh((p[1] - 3e-9) / 1e-9) ** 2]),
        [5.0, 2e-9],
    ),
    Kind(
        "resonance in the megahertz",
        lambda p, *, xp: p[0] ** 3 + 1 / (1 + ((p[1] - 5e6) / 1e5) ** 2),
        lambda p: np.array([3 * p[0] ** 2, -2 * (p[1] - 5e6) / 1e10 / (1 + ((p[1] - 5e6) / 1e5) ** 2) ** 2]),
        [1e-3, 5.1e6],
    ),
    # Numbers whose squares leave the range of float64.
    *(
        Kind(
            f"sum sin(x/s), s = {s:g}",
            lambda x, *, xp, s=s: xp.sum(xp.sin(x / s)),
            lambda x, s=s: np.cos(x / s) / s,
            [0.5 * s, 1.2 * s, -2.0 * s],
        )
        for s in (1e-200, 1e-163, 1e155, 1e200)
    ),
    Kind("sum exp x at 700", lambda x, *, xp: xp.sum(xp.exp(x)), np.exp, [700.0, 1.0], (lambda g: g * [1.01, 1],)),
    Kind("1e155 sum sin x", lambda x, *, xp: 1e155 * xp.sum(xp.sin(x)), lambda x: 1e155 * np.cos(x), [0.5, 2.0]),
    Kind("1e300 sum x^2", lambda x, *, xp: 1e300 * xp.sum(x * x), lambda x: 2e300 * x, [0.5, 2.0]),
    Kind("1e-300 sum x^2", lambda x, *, xp: 1e-300 * xp.sum(x * x), lambda x: 2e-300 * x, [0.5, 2.0]),
    # Kinks and structure nearer than a step.
    Kind("|x| + x^2, near 0", lambda x, *, xp: xp.sum(xp.abs(x) + x * x), lambda x: np.sign(x) + 2 * x, [1e-6, 0.5],
         (lambda g: g * [-1, 1], lambda g: g * [0.4, 1]), open=True),
    Kind("ramp, near its corner", lambda x, *, xp: xp.sum(xp.where(x > 1, x - 1, 0 * x)), lambda x: 1.0 * (x > 1),
         [1 + 1e-7, 3.0], (lambda g: g * [0.5, 1], lambda g: g * [0, 1]), open=True),
    Kind("max, nearly tied", lambda x, *, xp: xp.max(x), lambda x: 1.0 * (x == x.max()), [1.0, 1.0 + 1e-6, -2.0],
         (lambda g: np.array([0.5, 0.5, 0]), lambda g: np.array([1.0, 0, 0])), open=True),
    # Oscillations faster than the first steps.
    *(
        Kind(
            f"sum sin({w:g} x)",
            lambda x, *, xp, w=w: xp.sum(xp.sin(w * x)),
            lambda x, w=w: w * np.cos(w * x),
            x,
            (lambda g: g * 1.01, lambda g: 0 * g, lambda g: g * 0 + 9.0),
            open=True,
        )
        for w, x in ((1e6, [0.3, 1.0]), (1e5, [0.7, 0.2]), (3e7, [0.1, 2.0]), (1e4, [0.3, 1.0]))
    ),
]  # fmt: skip


@pytest.mark.parametrize("closed", [False, True], ids=["by differences", "closed form"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_a_right_gradient_is_not_refused_and_a_wrong_one_does_not_pass(kind: Kind, closed: bool) -> None:
    x = np.asarray(kind.x, dtype=float)
    reference = {Operator.GRADIENT: kind.gradient} if closed else {}
    judge, right = Judge(case_at(kind.f, x, reference=reference), None if closed else NUMERICAL), kind.gradient(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = judge([right])
        wrong = [overall(judge([mutant]))[0] for mutant in kind.mutants(right)]
    assert not {c.verdict for c in found} & REFUTED, overall(found)
    assert (kind.open and not closed) or overall(found) == (Status.OK, "")
    assert set(wrong) == {Status.WRONG}


@pytest.mark.parametrize("factor", [2.0, 1.03, -1.03])
def test_rounding_that_crosses_a_kink_excuses_no_value_beyond_both_sides(factor: float) -> None:
    """In float32 x - c may have either sign here: rounding changes the slope by all of its jump."""
    c = -0.001552994392034894

    def f(x: Any, *, xp: Any) -> Any:
        return 0.0447 / abs(c) * xp.abs(x[1] - c) - 1400 * x[0]

    x = np.array([0.34475612640380859375, -0.0015529943630099297])
    judge = Judge(case_at(f, x, dtype="float32"), NUMERICAL)
    right = np.array([-1400, 0.0447 / abs(c)], dtype=np.float32)
    assert verdict_of(judge([right])) == Verdict.SUBGRADIENT
    assert overall(judge([right * np.array([1, factor], dtype=np.float32)]))[0] != Status.OK


@pytest.mark.parametrize("power", [1.5, 2.5, 3.0, 3.5])
@pytest.mark.parametrize("offset", [0, 1])
def test_a_right_gradient_beside_a_tip_is_not_refuted(power: float, offset: int) -> None:
    """Of ``|x - c|^p`` right beside c, steps that all lie beyond c settle on another slope, with a narrow bar."""

    def f(x: Any, *, xp: Any) -> Any:
        return xp.sum(xp.abs(x - 3e4) ** power) + offset * xp.sum(x)

    for distance in (1e-7, 1e-8, -1e-9, 1e-10, -1e-11, 1e-12, 1e-13):
        x = np.array([3e4 * (1 + distance)])
        right = power * np.abs(x - 3e4) ** (power - 1) * np.sign(x - 3e4) + offset
        judge = Judge(case_at(f, x), NUMERICAL)
        assert not {c.verdict for c in judge([right])} & REFUTED, distance
        assert overall(judge([right + 1e-2 * abs(right) + 1e-2]))[0] == Status.WRONG


def test_a_right_product_is_not_refuted_by_noise_that_only_large_steps_show() -> None:
    x, t = np.array([4.037e-3, 93.9, 74.9]), np.array([1.36, -1.14, -1.05])
    for seed in range(12):
        scale = 10 ** np.random.default_rng(seed).uniform(6.5, 9.5)

        def f(p: Any, *, xp: Any, scale: float = scale) -> Any:
            return (scale * p[0] * (p[1] / 30 + 1) + 0.1 * p[0] * p[2]) - scale * p[0] * (p[1] / 30 + 1)

        judge = Judge(case_at(f, x, operator=Operator.HVP, directions=(t,)), NUMERICAL)
        right = 0.1 * np.array([t[2], 0.0, t[0]])
        assert not {c.verdict for c in judge([right])} & REFUTED, scale
        assert overall(judge([right * [1.1, 1, 1]]))[0] != Status.OK


# ---- gradients that are zero but for rounding


def _softmax(x: Any, *, xp: Any) -> Any:
    e = xp.exp(x - xp.max(x))
    return xp.sum(e / xp.sum(e))


def _normalised(x: Any, *, xp: Any) -> Any:
    return xp.sum((x - xp.mean(x)) / xp.std(x))


CONSTANT = [
    ("softmax", _softmax),
    ("layer norm", _normalised),
    ("sin^2 + cos^2", lambda x, *, xp: xp.sum(xp.sin(x) ** 2 + xp.cos(x) ** 2)),
    ("shares", lambda x, *, xp: xp.sum(x / xp.sum(x))),
    ("cosh^2 - sinh^2", lambda x, *, xp: xp.sum(xp.cosh(x) ** 2 - xp.sinh(x) ** 2)),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("closed", [False, True], ids=["engine", "closed form"])
@pytest.mark.parametrize(("name", "f"), CONSTANT, ids=[name for name, _ in CONSTANT])
def test_rounding_is_all_that_is_left_of_a_zero_gradient(name: str, f: Any, closed: bool, dtype: str) -> None:
    """The terms are about 1, and so a rounding of one is about eps of that."""
    x = np.array([0.3, 1.1, -0.7, 2.0]) if name != "shares" else np.array([0.3, 1.1, 0.7, 2.0])
    reference = {Operator.GRADIENT: lambda x: 0 * x} if closed else {}
    judge = Judge(case_at(f, x.astype(dtype).astype(float), dtype=dtype, reference=reference))
    eps = np.finfo(dtype).eps
    assert overall(judge([np.zeros(4, dtype)])) == (Status.OK, "")
    assert overall(judge([(eps * np.array([0.5, -0.3, 0.2, -0.4])).astype(dtype)])) == (Status.OK, "")
    assert overall(judge([np.full(4, 1e-2, dtype)]))[0] == Status.WRONG
    assert overall(judge([np.array([1e5 * eps, 0, 0, 0], dtype)]))[0] == Status.WRONG


# ---- functions that are not functions


def _drawn(x: Any, *, xp: Any) -> Any:
    return xp.sum(x * x) * np.random.rand()


def _counted(x: Any, *, xp: Any, calls: Any = itertools.count()) -> Any:  # noqa: B008 - it remembers, which is the point
    return xp.sum(x * x) + next(calls)


def _timed(x: Any, *, xp: Any) -> Any:
    return xp.sum(x * x) * (1 + time.perf_counter_ns() % 1_000_003)


def _dropped_out(x: Any, *, xp: Any, rng: Any = np.random.default_rng(0)) -> Any:  # noqa: B008 - likewise
    return xp.sum(x * x * rng.choice([0.0, 2.0], 3))


@pytest.mark.parametrize("f", [_drawn, _counted, _timed, _dropped_out])
def test_a_function_that_gives_other_values_each_time_is_named_as_such(f: Any) -> None:
    x = np.array([0.5, -1.5, 2.0])
    for judge in (Judge(case_at(f, x)), Judge(case_at(f, x), NUMERICAL)):
        status, why = overall(judge([2 * x]))
        assert status == Status.WRONG
        assert "deterministic" in why.split(";")[0]
        assert "confirmed" not in why


# ---- kinks of any size


@pytest.mark.parametrize("n", [2, 65, 1000])
@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (lambda x, *, xp: xp.sum(xp.where(x > 0, x, 0 * x)), 0.0, 1.0),
        (lambda x, *, xp: xp.sum(xp.abs(x)), -1.0, 1.0),
        (lambda x, *, xp: xp.sum(3 * x - xp.abs(x)), 2.0, 4.0),
        (lambda x, *, xp: xp.sum(xp.clip(5 * x, 0.0, 1.0)), 0.0, 5.0),
    ],
    ids=["ramp", "abs", "concave", "clip"],
)
def test_a_subgradient_is_right_at_any_number_of_kinks(f: Any, low: float, high: float, n: int) -> None:
    middle = (low + high) / 2
    judge = Judge(case_at(f, np.zeros(n), reference={Operator.GRADIENT: lambda x: low + 0 * x}))
    assert verdict_of(judge([np.full(n, middle)])) == Verdict.SUBGRADIENT
    assert verdict_of(judge([np.linspace(low, high, n)])) == Verdict.SUBGRADIENT
    assert verdict_of(judge([np.full(n, low)])) == Verdict.PASS
    outside = np.full(n, middle)
    outside[n // 2] = high + 0.1
    assert overall(judge([outside]))[0] == Status.WRONG


@pytest.mark.parametrize("closed", [False, True], ids=["by differences", "closed form"])
def test_entries_of_a_large_tie_are_judged_by_their_sum(closed: bool) -> None:
    """Moved alike, tied entries stay tied: the sum of the gradient of their maximum is 1."""
    n = 65
    first_of_all = np.eye(1, n)[0]
    reference = {Operator.GRADIENT: lambda x: first_of_all} if closed else {}
    case = case_at(lambda x, *, xp: xp.max(x), np.full(n, 0.7), reference=reference)
    judge = Judge(case, None if closed else NUMERICAL)
    for right in (first_of_all, np.full(n, 1 / n)):
        assert overall(judge([right]))[0] == Status.OK
    for wrong in (np.full(n, 2 / n), np.full(n, 0.5), 0.9 * np.full(n, 1 / n)):
        assert overall(judge([wrong]))[0] == Status.WRONG


def notes(comparisons: Sequence[Comparison]) -> str:
    return " ".join(c.note for c in comparisons)


@pytest.mark.parametrize(
    ("f", "x", "g", "got", "sides"),
    [
        (lambda x, *, xp: xp.sum(xp.abs(x)), [0.0, 2.0, -3.0], [1.0, 1.0, -1.0], 1.0, (-1.0, 1.0)),
        (lambda x, *, xp: xp.sum(xp.abs(x)), [0.0, 2e6, -3e-6], [0.5, 1.0, -1.0], 0.5, (-1.0, 1.0)),
        (lambda x, *, xp: xp.sum(2 * x + 3 * xp.abs(x)), [5.0, 0.0], [5.0, 4.0], 4.0, (-1.0, 5.0)),
        (lambda x, *, xp: xp.sum(xp.maximum(1 - x, 0 * x)), [1.0, 9.0], [-0.25, 0.0], -0.25, (-1.0, 0.0)),
    ],
)
def test_one_sided_derivatives_are_in_the_users_units(
    f: Any, x: Any, g: Any, got: float, sides: tuple[float, float]
) -> None:
    found = Judge(case_at(f, x), NUMERICAL)([np.array(g)])
    assert verdict_of(found) == Verdict.SUBGRADIENT
    note = notes(found)
    assert f"got {got:g}," in note
    numbers = re.search(r"one-sided derivatives (\S+) and ([^\s,;]+)", note)
    assert numbers, note
    assert [float(n) for n in numbers.groups()] == pytest.approx(sides, abs=1e-2)


# ---- what a verdict says


@pytest.mark.parametrize("reference", [None, NUMERICAL], ids=["best", "by differences"])
def test_a_failure_names_the_entry_what_was_got_and_what_was_expected(reference: Any) -> None:
    x = np.array([0.5, 1e-2, 30.0])
    case = case_at(lambda x, *, xp: xp.sum(x**3), x)
    _, why = overall(Judge(case, reference)([3 * x * x * [1, 1.5, 1]]))
    assert "[1]" in why
    assert "0.00045" in why
    assert "0.0003" in why


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: np.sum(x) + 0j, "complex"),
        (lambda x: bool(np.sum(x) > 0), "truth value"),
        (lambda x: None, "None"),
        (lambda x: "text", "text"),
        (lambda x: np.sum(x) > 0, "truth value"),
    ],
    ids=["complex", "bool", "None", "text", "NumPy's bool"],
)
def test_what_is_no_real_number_is_refused_with_a_reason(f: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        assert_gradients(f, np.ones(2), np.ones(2))


def _overwrites(x: Any) -> Any:
    x *= 2
    return x


def _overwrites_and_errs(x: Any) -> Any:
    x[0] = 7.0
    return np.array([14.0, 2.0, 2.0])


@pytest.mark.parametrize("gradient", [_overwrites, _overwrites_and_errs])
def test_the_callers_array_is_not_changed_and_a_change_does_not_pass(gradient: Any) -> None:
    x = np.array([1.0, 1.0, 1.0])
    with pytest.raises(AssertionError):
        assert_gradients(lambda x: np.sum(x * x), x, gradient)
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_an_objective_that_changes_its_input_is_refused() -> None:
    def f(x: Any) -> Any:
        x += 1
        return np.sum(x * x)

    x = np.array([1.0, 2.0])
    with pytest.raises((AssertionError, ValueError)):
        assert_gradients(f, x, 2 * (x + 1))
    assert x.tolist() == [1.0, 2.0]
