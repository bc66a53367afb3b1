"""Trials of the interface and of the clock, with made-up rounds: the counted claims and their bounds."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from autodiff_compare import backends
from autodiff_compare.cli.verbs.trials import selftest
from autodiff_compare.cli.verbs.trials.overhead import judged, sentence
from autodiff_compare.timing import trials
from autodiff_compare.timing.load import busy
from autodiff_compare.timing.overhead import TASKS, measure
from autodiff_compare.timing.statistics import Round, round_of

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

    monkeypatch.setattr(module.clock, "calibrate", lambda timed: module.clock.Calibration(1, 1.0))
    monkeypatch.setattr(module.clock, "visit", lambda timed, calls: [module.clock.Block(1.0, 0.0)])
    assert set(backends.baseline(name)) == set(TASKS)
    for task in TASKS:
        found = measure(backend, task, 2, 0)
        assert found["difference"] <= 1e-12, task  # both in float64, sums of up to 500 000 terms in another order
        assert (len(found["interface"]), len(found["by_hand"])) == (2, 2)


def test_every_framework_of_the_default_has_its_gradients_by_hand() -> None:
    assert backends.baseline_names() == ("jax", "numpy", "tensorflow", "torch")


def _launch(noise: float) -> trials.Launch:
    rng = np.random.default_rng(3)

    def launch(work: Sequence[int], order: random.Random) -> trials.Series:
        a, b = ([Round(units * 1e-6 * x) for x in rng.lognormal(0.0, noise, trials.ROUNDS)] for units in work)
        return a, b

    return launch


def test_claims_are_counted_by_launch_and_pooled() -> None:
    found = trials.counts(20, _launch(0.05), random.Random(0))
    by_kind = {(c.identical, c.pooled): (c.claims, c.trials) for c in found}
    assert by_kind[True, True] == (0, 20)
    assert by_kind[True, False][0] <= 1
    assert by_kind[True, False][1] == 60
    # 25 % more at 5 % scatter: every round is slower.
    assert by_kind[False, False] == (60, 60)
    assert by_kind[False, True] == (20, 20)
    assert all(c.kept and not c.withheld for c in found)


def _machine(seed: int, shared: float, fast: float = 1.0) -> trials.Launch:
    """Return launches on a made-up machine.

    Each worker's process is up to 1 % faster or slower than another of the same program; each block scatters by 3 %. A
    share of the blocks meets another process, waits for one to four times its length, and is told to have waited.
    ``fast`` is the factor that blocks of the first worker gain where they meet none.
    """
    rng = np.random.default_rng(seed)

    def rounds(units: int, gain: float) -> list[Round]:
        process = rng.uniform(0.99, 1.01)
        found = []
        for _ in range(trials.ROUNDS):
            seconds = units * 1e-5 * process * rng.lognormal(0.0, 0.03, 7)
            met = rng.random(7) < rng.choice([shared, shared / 4])
            waited_s = np.where(met, seconds * rng.uniform(1.0, 4.0, 7), 0.0)
            found.append(round_of(list(np.where(met, seconds, seconds / gain) + waited_s), list(waited_s), 1))
        return found

    return lambda work, _: (rounds(work[0], fast), rounds(work[1], 1.0))


@pytest.mark.parametrize(
    ("shared", "works", "claimed", "withheld"),
    [
        # An idle machine: each slow-down of 25 % is found, and of 60 equal pairs at most one is called different.
        (0.0, trials.IDENTICAL, (0, 1), 0),
        (0.0, trials.SLOWER, (57, 60), 0),
        # Hardly disturbed, half of the blocks, and nearly all.
        (0.1, trials.IDENTICAL, (0, 1), 0),
        (0.1, trials.SLOWER, (57, 60), 0),
        (0.6, trials.IDENTICAL, (0, 1), None),
        (0.95, trials.IDENTICAL, (0, 1), None),
        # Nothing is quiet: no verdict on anything.
        (4.0, trials.IDENTICAL, (0, 0), 60),
        (4.0, trials.SLOWER, (0, 0), 60),
    ],
)
def test_sixty_pairs_on_a_made_up_machine(
    shared: float, works: Sequence[int], claimed: tuple[int, int], withheld: int | None
) -> None:
    _, pooled = trials.counts(60, _machine(5, shared), random.Random(0), [works])
    assert pooled.trials == 60
    assert claimed[0] <= pooled.claims <= claimed[1]
    assert withheld is None or pooled.withheld == withheld


def test_a_difference_that_only_disturbed_blocks_hide_is_claimed_once_enough_rounds_are_quiet() -> None:
    _, pooled = trials.counts(20, _machine(7, 0.3, fast=0.8), random.Random(0), [trials.IDENTICAL])
    assert pooled.claims == 20


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
    assert trials.Count(identical, pooled, claims, 0, tried).kept == kept


def test_busy_processes_are_busy_on_each_processor_and_end_with_the_block() -> None:
    with busy(3) as started:
        assert [p.poll() for p in started] == [None] * 3
        if hasattr(os, "sched_getaffinity"):
            allowed = sorted(os.sched_getaffinity(0))
            bound = [os.sched_getaffinity(p.pid) for p in started]
            assert bound == [{allowed[i % len(allowed)]} for i in range(3)]
    assert all(p.poll() is not None for p in started)


@pytest.mark.parametrize(
    ("load", "machines", "launches"),
    [("idle", ["as it is"], 12), ("busy", ["with busy CPUs"], 6), ("both", ["as it is", "with busy CPUs"], 18)],
)
def test_the_verb_repeats_the_trial_under_load(
    load: str, machines: list[str], launches: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[tuple[int, int]] = []

    def launch(work: Sequence[int], order: random.Random) -> trials.Series:
        made.append((work[0], len(running)))
        return _machine(1, 0.0)(work, order)

    running: list[int] = []

    @contextlib.contextmanager
    def kept_busy(processes: int) -> Iterator[None]:
        running.extend(range(processes))
        yield
        running.clear()

    monkeypatch.setattr(selftest.clock_trials, "launch", launch)
    monkeypatch.setattr(selftest, "busy", kept_busy)
    options = argparse.Namespace(trials=2, load=load, seed=0, on=None)
    assert selftest.timing(options) == 0
    assert len(made) == launches
    # Under load equal work alone is timed, with a process on each processor; else both kinds, with none.
    assert {work for work, others in made if others} == ({100} if load != "idle" else set())
    assert {work for work, others in made if not others} == ({100, 125} if load != "busy" else set())
    shown = capsys.readouterr().out
    assert all(machine in shown for machine in machines)
