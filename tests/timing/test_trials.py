"""Trials of the interface and of the clock, with made-up rounds: the counted claims and their bounds."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import numpy as np
import pytest

from autodiff_compare import backends
from autodiff_compare.cli.verbs.trials.overhead import judged, sentence
from autodiff_compare.timing import trials
from autodiff_compare.timing.overhead import TASKS, measure
from autodiff_compare.timing.statistics import Round

BY_HAND = [1e-3] * 15


@pytest.mark.parametrize(
    ("interface", "by_hand", "difference", "verdict"),
    [
        (BY_HAND, BY_HAND, 0.0, "within"),
        ([1.019e-3] * 15, BY_HAND, 0.0, "within"),  # 2 %
        ([1.021e-3] * 15, BY_HAND, 0.0, "over"),
        ([1.9e-6] * 15, [1e-6] * 15, 0.0, "within"),  # 90 %, but less than 1 us
        ([2.1e-6] * 15, [1e-6] * 15, 0.0, "over"),
        # Of 15 rounds the 95 % interval goes from the 4th to the 12th: 1 - 2 P(Binomial(15, 1/2) < 4) = 0.965.
        ([1e-3] * 7 + [2e-3] * 8, BY_HAND, 0.0, "over ?"),
        ([1e-3] * 3 + [2e-3] * 12, BY_HAND, 0.0, "over"),
        ([1e-3] * 8 + [2e-3] * 7, BY_HAND, 0.0, "within ?"),
        ([1e-3] * 12 + [2e-3] * 3, BY_HAND, 0.0, "within"),
        ([1e-3] * 5, [1e-3] * 5, 0.0, "within ?"),  # too few for an interval
        ([0.5e-3] * 15, BY_HAND, 0.0, "within"),
        (BY_HAND, BY_HAND, 1e-3, "other result"),
    ],
)
def test_the_overhead_is_judged(interface: list[float], by_hand: list[float], difference: float, verdict: str) -> None:
    assert judged("torch", "scalars", interface, by_hand, difference).verdict == verdict


def test_the_overhead_is_summarised_in_a_sentence() -> None:
    rounds = {"within": BY_HAND, "within ?": BY_HAND[:5], "over": [2e-3] * 15, "over ?": [1e-3] * 7 + [2e-3] * 8}
    found = [judged("torch", "scalars", interface, BY_HAND[: len(interface)], 0.0) for interface in rounds.values()]
    assert [row.verdict for row in found] == list(rounds)
    assert sentence(found).startswith(
        "2 of 4 within 2% or 1 us of the hand-written gradient, 1 of them proved; 2 over, 1 of them proved. ?: "
    )
    assert sentence(found[:1]) == "1 of 1 within 2% or 1 us of the hand-written gradient, 1 of them proved."


@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax"])
def test_both_sides_compute_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backends.load(name)
    if backends.missing(backend) and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed")
    backend.open()
    from autodiff_compare.timing import overhead as module

    monkeypatch.setattr(module.clock, "calibrate", lambda timed: 1)
    monkeypatch.setattr(module.clock, "visit", lambda timed, calls: [module.clock.Block(1.0, 0.0)])
    assert set(backends.baseline(name)) == set(TASKS)
    for task in TASKS:
        found = measure(backend, task, 2, 0)
        assert found["difference"] <= 1e-12, task  # both in float64, sums of up to 500 000 terms in another order
        assert (len(found["interface"]), len(found["by_hand"])) == (2, 2)


def test_every_framework_of_the_default_has_its_gradients_by_hand() -> None:
    assert backends.baseline_names() == ("jax", "numpy", "tensorflow", "torch")


def _launch(noise: float) -> object:
    rng = np.random.default_rng(3)

    def launch(work: Sequence[int], order: random.Random) -> trials.Series:
        a, b = ([Round(units * 1e-6 * x) for x in rng.lognormal(0.0, noise, trials.ROUNDS)] for units in work)
        return a, b

    return launch


def test_claims_are_counted_by_launch_and_pooled() -> None:
    found = trials.counts(20, _launch(0.05), random.Random(0))  # type: ignore[arg-type]
    by_kind = {(c.identical, c.pooled): (c.claims, c.trials) for c in found}
    assert by_kind[True, True] == (0, 20)
    assert by_kind[True, False][0] <= 1
    assert by_kind[True, False][1] == 60
    # 25 % more at 5 % scatter: every round is slower.
    assert by_kind[False, False] == (60, 60)
    assert by_kind[False, True] == (20, 20)
    assert all(c.kept for c in found)


@pytest.mark.parametrize(
    ("identical", "pooled", "claims", "tried", "kept"),
    [
        (True, True, 1, 60, True),
        (True, True, 2, 60, False),
        (True, False, 2, 60, True),
        (True, False, 3, 60, False),
        (False, True, 57, 60, True),
        (False, True, 56, 60, False),
        (False, False, 48, 60, True),
        (False, False, 47, 60, False),
    ],
)
def test_the_bounds_on_claims(identical: bool, pooled: bool, claims: int, tried: int, kept: bool) -> None:
    assert trials.Count(identical, pooled, claims, tried).kept == kept
