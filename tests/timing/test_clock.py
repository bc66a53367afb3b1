"""The clock: peak memory of known sizes, busy threads, blocks counted by a fake clock."""

from __future__ import annotations

import gc
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from autodiff_compare.process.affinity import active_threads
from autodiff_compare.timing import clock
from tests.resident import counting_error

linux = pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="only Linux reports it")


@linux
@pytest.mark.parametrize("entries", [200_000, 1_000_000])
@pytest.mark.parametrize("keep", [False, True])
def test_peak_memory_is_seen_also_where_the_allocator_keeps_what_was_freed(entries: int, keep: bool) -> None:
    code = f"""
import numpy as np
from autodiff_compare.process.affinity import limit_affinity
limit_affinity(1)  # as in a worker
from autodiff_compare.backends import numpy_autodiff
from autodiff_compare.timing.clock import peak_memory_growth
if {keep}:
    numpy_autodiff.keep_freed_memory()
def call():
    a = np.full({entries}, 1.0)
    return a, np.full({entries}, 2.0)
call(), call()
print(peak_memory_growth(call))
"""
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    # Two arrays of 8-byte numbers.
    assert abs(int(done.stdout) - 16 * entries) < counting_error()


def test_no_figure_where_the_mark_cannot_be_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> int:
        raise PermissionError

    monkeypatch.setattr(pathlib.Path, "write_text", denied)
    assert clock.peak_memory_growth(lambda: np.ones(10)) is None


@linux
def test_one_busy_thread_is_counted_as_one() -> None:
    # Long enough for a share of a tenth also where other processes want the processor.
    assert active_threads(lambda: sum(range(1000)), seconds=1.0) == 1


def test_calibration_doubles_the_calls_until_a_block_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls, barriers = 0.0, 0, 0

    def run() -> None:
        nonlocal now, calls
        now, calls = now + 1e-4, calls + 1

    def barrier(_: object) -> None:
        nonlocal barriers
        barriers += 1

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now)
    timed = clock.Timed(run, (), barrier)
    # 0.1 ms a call: 8 calls take 0.8 ms, 16 take 1.6, twice; three equal blocks end the warming up.
    found = clock.calibrate(timed)
    assert (found.calls, found.per_call_s) == (16, pytest.approx(1e-4))
    assert (calls, barriers) == (1 + 2 + 4 + 8 + 16 + 3 * 16, 5 + 3)
    calls = barriers = 0
    blocks = clock.visit(timed, 16)
    assert [block.seconds for block in blocks] == pytest.approx([1.6e-3] * 7)
    assert (calls, barriers) == (8 * 16, 8), "one block is not timed; one barrier ends each"


def test_calibration_is_not_misled_by_a_process_that_ran_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, cpu, calls = 0.0, 0.0, 0

    def run() -> None:
        nonlocal wall, cpu, calls
        calls += 1
        cpu += 1e-4
        # Every 16th call another process has the processor for 5 ms, the first time during the very first block.
        wall += 1e-4 + (5e-3 if calls % 16 == 1 else 0.0)

    monkeypatch.setattr(clock.time, "perf_counter", lambda: wall)
    monkeypatch.setattr(clock.time, "process_time", lambda: cpu)
    # One block of one call takes 5.1 ms and the next 0.1 ms; 16 calls take 1.6 ms of the processor each time.
    assert clock.calibrate(clock.Timed(run, (), lambda _: None)).calls == 16
    # 1 + 1, 2, 4, 8, 16 + 16, and two blocks that agree with it.
    assert calls == 1 + 1 + 2 + 4 + 8 + 4 * 16


@pytest.mark.parametrize(("seconds", "expected"), [(3e-4, 4), (1.1e-3, 1), (0.9e-3, 2)])
def test_a_block_lasts_a_millisecond(seconds: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def run() -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now)
    assert clock.calibrate(clock.Timed(run, (), lambda _: None)).calls == expected


@pytest.mark.parametrize(
    ("wall", "cpu", "blocks"),
    [
        # One block shows that one call is long enough; 24 blocks of 20 and 22.5 ms exceed half a second. Where seconds
        # do not agree, three blocks, the first and those of 30 ms, tell how long an undisturbed one is.
        ((0.02, 0.0215), (0.0,), 1 + 3),  # within a tenth
        ((0.02, 0.0225), (0.0,), 1 + 24 + 3),  # not within a tenth: half a second of warming up
        ((0.02, 0.0225), (0.010, 0.0105), 1 + 3 + 3),  # their processor time is
        ((0.02, 0.0225), (0.010, 0.0115), 1 + 24 + 3),  # neither is
        ((0.02, 0.0225), (0.010, 0.010, 0.0115), 1 + 24 + 3),  # two in a row are not enough
    ],
)
def test_warming_up_ends_when_three_blocks_agree_or_after_half_a_second(
    wall: tuple[float, ...], cpu: tuple[float, ...], blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = processor = 0.0
    made = 0

    def run() -> None:
        nonlocal now, processor, made
        now, processor, made = now + wall[made % len(wall)], processor + cpu[made % len(cpu)], made + 1

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now)
    monkeypatch.setattr(clock.time, "process_time", lambda: processor)
    found = clock.calibrate(clock.Timed(run, (), lambda _: None))
    assert made == blocks
    assert (found.calls, found.per_call_s) == (1, pytest.approx(min(wall)))


def test_a_look_at_the_results_of_the_first_block_takes_its_place() -> None:
    made: list[int] = []
    looked: list[int] = []

    class Look:
        def __call__(self, out: int) -> None:
            looked.append(out)

        def most(self, calls: int) -> int:
            return calls

    blocks = clock.visit(clock.Timed(lambda: made.append(1) or len(made), (), lambda out: out), 3, Look())
    # Three results of the first block, and the last one of each of the seven that are timed.
    assert looked == [1, 2, 3, *range(6, 25, 3)]
    assert (len(blocks), len(made)) == (7, 8 * 3)


def test_garbage_is_collected_before_a_visit_and_not_during_it() -> None:
    events: list[str] = []

    def seen(phase: str, info: dict[str, int]) -> None:
        events.append(f"{phase} {info['generation']}")

    gc.callbacks.append(seen)
    try:
        clock.visit(clock.Timed(lambda: events.append(f"call, collector on: {gc.isenabled()}"), (), lambda _: None), 1)
    finally:
        gc.callbacks.remove(seen)
    assert events == ["start 2", "stop 2"] + ["call, collector on: False"] * 8
    assert gc.isenabled()


def test_the_collector_is_on_again_after_a_visit_that_failed() -> None:
    def fail() -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        clock.visit(clock.Timed(fail, (), lambda _: None), 1)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("text", "seconds"), [("5000000000 2000000000 7\n", 2.0), ("", 0.0), ("1\n", 0.0), ("a b c\n", 0.0)]
)
def test_waiting_is_the_second_number_of_the_schedulers_statistics_in_nanoseconds(
    text: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``/proc/PID/schedstat``: time on the processor, time waiting on a run queue, and the number of timeslices."""
    monkeypatch.setattr(os, "pread", lambda *_: text.encode())
    monkeypatch.setattr(clock, "_scheduler_statistics", lambda: 0)
    assert clock.queue_delay_s() == seconds


def test_waiting_is_unknown_where_the_system_has_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> int:
        raise FileNotFoundError

    monkeypatch.setattr(clock, "_scheduler_statistics", missing)
    assert clock.queue_delay_s() == 0.0


@pytest.mark.parametrize(("seconds", "blocks"), [(0.01, 7), (0.2, 3), (2.0, 1)])
def test_a_visit_ends_after_half_a_second_but_takes_one_block(
    seconds: float, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def run() -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now)
    assert len(clock.visit(clock.Timed(run, (), lambda _: None), 1)) == blocks


def test_the_clock_stops_after_the_result_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(clock.time, "perf_counter", lambda: float(len(events) + (events.append("clock") or 0)))
    timed = clock.Timed(lambda: events.append("call"), (), lambda _: events.append("arrived"))
    timed.block(2)
    assert events == ["clock", "call", "call", "arrived", "clock"]


@pytest.mark.parametrize(
    ("wall_s", "cpu_s", "queue_s", "processors", "others_s"),
    [
        (1.0, 1.0, 0.0, 1, 0.0),
        (1.0, 0.4, 0.6, 1, 0.6),  # another process had the processor for as long as this one waited
        (1.0, 1.0, 0.6, 1, 0.0),  # a thread waited for one of its own process, which ran all the time
        (1.0, 0.9, 0.6, 1, 0.1),  # both
        (1.0, 0.4, 0.0, 1, 0.0),  # it slept
        (1.0, 1.7, 0.4, 2, 0.3),
        (2.0, 1.7, 0.8, 1, 0.3),
        (1.0, 1.01, 0.0, 1, 0.0),  # clocks of different grain
    ],
)
def test_waiting_for_threads_of_its_own_is_no_contention(
    wall_s: float, cpu_s: float, queue_s: float, processors: int, others_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_processors", lambda: processors)
    spent = clock.Elapsed(10 + wall_s, 5 + cpu_s, 1 + queue_s) - clock.Elapsed(10.0, 5.0, 1.0)
    assert spent.contention_s == pytest.approx(others_s, abs=1e-12)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_process_that_collects_no_garbage_does_not_begin_to(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with clock.uncollected():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_the_waiting_of_each_thread_is_the_second_number_in_nanoseconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    for thread, text in {"1": "5000000000 2000000000 7\n", "2": "0 500000000 1\n", "3": "ended"}.items():
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(text, encoding="ascii")
    (tmp_path / "4").mkdir()
    monkeypatch.setattr(clock, "_THREADS", str(tmp_path))
    assert clock.queue_delays_s() == 2.5


@pytest.mark.skipif(not pathlib.Path("/proc/self/schedstat").exists(), reason="the system does not tell")
def test_the_waiting_of_all_threads_is_summed() -> None:
    main, every = clock.queue_delay_s(), clock.queue_delays_s()
    assert every is not None
    assert every >= main >= 0
