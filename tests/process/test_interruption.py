"""Interruptions: the first waits for what must not be cut in two, a second one does not, and an ignored one is none."""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from autodiff_compare.process.interruption import end_alike, result_of, uninterrupted
from tests.processes import heard

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for number in ENDING:
            stack.enter_context(heard(number))
        yield


@pytest.mark.parametrize("number", ENDING)
def test_the_first_interruption_waits_and_comes_once(number: signal.Signals) -> None:
    end_alike()
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - where it comes is what is asked
        with uninterrupted():
            signal.raise_signal(number)
            done.append("inside")
        done.append("after")
    assert done == ["inside"]
    assert signal.getsignal(number) is signal.default_int_handler
    with uninterrupted():
        done.append("again")


def test_a_second_interruption_ends_the_block() -> None:
    end_alike()
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append("first")
        signal.raise_signal(signal.SIGTERM)
        done.append("second")
    assert done == ["first"]


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_alike()
    with uninterrupted():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_another_thread_is_not_interrupted_and_changes_no_handler() -> None:
    end_alike()
    seen = []

    def work() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_a_result_is_waited_for_until_an_interruption() -> None:
    """Also one that another thread gets, as the system may give it to any."""
    end_alike()
    asked, ended = threading.Event(), threading.Event()

    def work() -> str:
        assert asked.wait(300.0)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert ended.wait(300.0)
        return "done"

    with concurrent.futures.ThreadPoolExecutor() as threads:
        future = threads.submit(work)
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            asked.set()
            result_of(future)
        ended.set()
        assert result_of(future) == "done"
