"""What tests share: opening a backend once, and skipping with a reason where its framework is absent."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import tests.one_thread  # noqa: F401 - before anything else that loads NumPy

# isort: split
from autodiff_compare import backends
from tests.selection import seconds, thorough

# How long an example takes, or making one, says something about the machine and its load, and nothing about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--artefacts", metavar="FOLDER", help="keep the pictures that tests take in this folder")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Find the tests without looking for garbage, and leave what is there then out of every later search.

    40 000 tests and the frameworks are a million objects, which a search goes through in 0.65 s: that was a quarter of
    the time to find the tests, and more than half of the time of those that take milliseconds.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        _leave_out_of_searches()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Leave what the tests of a file have left behind out of every later search for garbage.

    What frameworks trace and compile stays. Half-way through the tests a search took 0.2 to 1 s, and the clock searches
    before each visit.
    """
    result = yield
    if nextitem is None or nextitem.path != item.path:
        _leave_out_of_searches()
    return result


def _leave_out_of_searches() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that ``make test`` leaves out: see `tests.selection`."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        file = item.nodeid.partition("::")[0].removeprefix("tests/")
        tests.setdefault(f"{file}::{getattr(item, 'originalname', item.name)}", []).append(item)
    given = {
        function: [getattr(getattr(item, "callspec", None), "params", None) for item in found]
        for function, found in tests.items()
    }
    left_out = [tests[function][index] for function, index in thorough(given)]
    for item in left_out:
        item.add_marker(pytest.mark.thorough)
    if config.option.markexpr == "not thorough":
        # pytest leaves them out by their mark, but only after every plugin has gone through all of them.
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def pytest_runtest_setup() -> None:
    """Give PyTorch one thread, as `tests.one_thread` gives NumPy, once a test has imported it."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in one process, and those of an ``xdist_group``; start the longest first.

    What a file's tests share, such as a fixture of the module, is made once then. What is left for the end is short, so
    that no process waits long for the last one.
    """
    from xdist.scheduler import LoadGroupScheduling

    class ByGroupOrFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return str(super()._split_scope(nodeid)).partition("::")[0]

        def _assign_work_unit(self, node: Any) -> None:
            longest = max(self.workqueue, key=lambda scope: seconds(scope, len(self.workqueue[scope])))
            self.workqueue.move_to_end(longest, last=False)
            super()._assign_work_unit(node)

    return ByGroupOrFile(config, log)


#: Variables by which programs choose the width and the colours of what they print.
_TERMINAL = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


@pytest.fixture(scope="session", autouse=True)
def _runs_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the home and the terminal of the person who runs the tests out of them.

    Runs without a name go into a temporary folder, and what is printed has the width and colours of no terminal.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        for name in _TERMINAL:
            patch.delenv(name, raising=False)
        yield


@functools.cache
def opened(spec: str) -> Any:
    """An opened backend; skips where its framework is missing, except in CI, where all must be there."""
    backend = backends.load(spec)
    absent = backends.missing(backend)
    if absent:
        reason = f"{spec}: not installed: {', '.join(absent)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    backend.open()
    return backend
