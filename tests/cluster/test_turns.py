"""Units of a host take turns: one is timed alone, and nobody waits for ever."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import stat
import threading
import time
from typing import Any

import pytest

from autodiff_compare.execution import turns
from autodiff_compare.execution.turns import HostTurns, TurnsError
from tests.processes import until


class Counted:
    """Counts the units that are at work and those that are timed, and notes when more are than may be."""

    def __init__(self) -> None:
        self.working = self.measuring = 0
        self.wrong: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def change(self, working: int, measuring: int) -> None:
        with self._lock:
            self.working += working
            self.measuring += measuring
            if self.measuring > 1 or (self.measuring and self.working):
                self.wrong.append((self.working, self.measuring))


def test_one_is_timed_while_nothing_else_computes(tmp_path: pathlib.Path) -> None:
    """Four units, each with its own descriptors as another process would have them."""
    counted = Counted()

    def unit() -> None:
        own = HostTurns(tmp_path)
        for _ in range(5):
            with own.working():
                counted.change(1, 0)
                time.sleep(0.001)
                counted.change(-1, 0)
                with own.measuring():
                    counted.change(0, 1)
                    time.sleep(0.001)
                    counted.change(0, -1)
        own.close()

    threads = [threading.Thread(target=unit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.wrong == []


def test_who_prepares_without_end_does_not_keep_another_from_being_timed(tmp_path: pathlib.Path) -> None:
    timed = threading.Event()

    def prepare() -> None:
        own = HostTurns(tmp_path)
        # Whoever comes back at once would hold the lock at any time, one of the two always.
        while not timed.is_set():
            with own.working():
                time.sleep(0.002)
        own.close()

    threads = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in threads:
        thread.start()
    own = HostTurns(tmp_path)

    def measure() -> None:
        with own.working(), own.measuring():
            timed.set()

    threading.Thread(target=measure, daemon=True).start()
    got_its_turn = timed.wait(60)
    timed.set()
    for thread in threads:
        thread.join()
    assert got_its_turn


def test_a_long_unit_lets_others_be_timed_between_its_groups(tmp_path: pathlib.Path) -> None:
    told: list[str] = []
    own, other, timed = HostTurns(tmp_path), HostTurns(tmp_path, told.append), threading.Event()

    def time_one() -> None:
        with other.working(), other.measuring():
            timed.set()

    with own.working():
        assert not own.wanted()
        thread = threading.Thread(target=time_one)
        thread.start()
        # Not `until(own.wanted)`: the other holds the turnstile for a moment already when it begins to work.
        until(lambda: told)
        assert told == ["waiting until other units of this host pause"]
        assert own.wanted()
        assert not timed.is_set()
        own.pause()
        assert timed.is_set(), "who waited comes before who paused"
    thread.join()


def _held(folder: str, held: Any) -> None:
    own = HostTurns(pathlib.Path(folder))
    with own.working(), own.measuring():
        held.set()
        time.sleep(600)


def test_a_unit_that_is_killed_while_it_is_timed_releases_its_host(tmp_path: pathlib.Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=_held, args=(str(tmp_path), held))
    other.start()
    until(held.is_set)
    told: list[str] = []
    own, done = HostTurns(tmp_path, told.append), threading.Event()

    def work() -> None:
        with own.working():
            done.set()

    threading.Thread(target=work).start()
    until(lambda: told)
    assert told == ["waiting while another unit is timed"]
    assert not done.is_set()
    other.kill()
    other.join()
    until(done.is_set)


def test_the_files_can_be_locked_by_any_user(tmp_path: pathlib.Path) -> None:
    mask = os.umask(0o077)
    try:
        HostTurns(tmp_path).close()
    finally:
        os.umask(mask)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o444}
    # A second user finds them, and needs to read them only.
    HostTurns(tmp_path).close()


@pytest.mark.parametrize("kind", ["a link", "a folder", "a pipe"])
def test_what_is_no_lock_file_is_refused(kind: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / turns._LOCK
    if kind == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "a folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(TurnsError, match=r"got .*autodiff-compare\.lock"):
        HostTurns(tmp_path)


def test_an_interruption_of_what_is_timed_waits_for_nobody(tmp_path: pathlib.Path) -> None:
    own, other = HostTurns(tmp_path), HostTurns(tmp_path)
    with pytest.raises(KeyboardInterrupt), own.working(), own.measuring():
        raise KeyboardInterrupt
    with other.working(), other.measuring():
        pass
