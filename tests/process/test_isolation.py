"""The end of a worker process, and what it imports."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys

import pytest

from autodiff_compare.process import client
from autodiff_compare.process.isolation import without

#: The end -> what is printed: a function registered for the end, then an object that is taken apart.
ENDS = {"leave()": "registered", "sys.exit(0)": "registered\ntaken apart"}


@pytest.mark.parametrize("end", ENDS)
def test_a_worker_ends_with_what_was_registered_and_takes_nothing_apart(end: str) -> None:
    code = (
        "import atexit, sys\n"
        "from autodiff_compare.process.isolation import leave\n"
        "class Object:\n"
        "    def __del__(self): print('taken apart')\n"
        "kept = Object()\n"
        "atexit.register(print, 'registered')\n"
        f"{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ENDS[end]


def test_no_process_is_left_where_the_machine_gives_them_no_time_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_GRACE_S", 0.0)
    worker = client.WorkerClient("numpy", 1)
    worker.close()
    assert worker._process.returncode == -signal.SIGKILL
    assert worker._watchdog.returncode is not None


@pytest.mark.parametrize(
    ("module", "there", "within"),
    [("colorsys", False, False), ("json", True, True), ("no_such_module", False, False)],
)
def test_foreign_packages_are_absent_within_and_as_before_afterwards(
    module: str, there: bool, within: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not there:
        monkeypatch.delitem(sys.modules, module, raising=False)
    with without([module]):
        assert importable(module) == within
    assert (module in sys.modules) == there
    assert importable(module) == (module != "no_such_module")


def test_a_package_is_found_again_after_an_import_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(RuntimeError), without(["colorsys"]):
        raise RuntimeError("the framework cannot be imported")
    assert importable("colorsys")


def importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


@pytest.mark.thorough
def test_tensorflow_is_imported_without_the_packages_that_it_does_not_require() -> None:
    pytest.importorskip("tensorflow")
    code = (
        "import sys\n"
        "from autodiff_compare.execution.worker import _respond\n"
        "told = _respond({}, {'backend': 'tensorflow', 'verb': 'open', 'params': {}})\n"
        "assert 'ok' in told, told\n"
        "print([name for name in ('jax', 'matplotlib', 'pandas') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
