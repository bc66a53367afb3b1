"""What workers are told before they start, and what TensorFlow makes of it on this processor."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from autodiff_compare import backends
from autodiff_compare.process.client import WorkerClient
from autodiff_compare.process.environment import ROOT
from autodiff_compare.process.variables import (
    influential_variables,
    onednn_by_default,
    onednn_stated,
    recorded_variables,
    withheld_variables,
    worker_environment,
)
from autodiff_compare.timing.clock import HIGH_WATER_MARK
from tests.process.hostile import HOSTILE, PASSED_ON, checked, named, worker
from tests.resident import counting_error

linux = pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="Linux tells, others do not")
with_tensorflow = pytest.mark.skipif(
    bool(backends.missing(backends.load("tensorflow"))), reason="tensorflow: not installed"
)

#: Beginnings of ``/proc/cpuinfo`` -> whether TensorFlow 2.21 uses oneDNN there.
PROCESSORS = {
    "EPYC 7003, Zen 3": ("model name\t: AMD EPYC\nflags\t\t: fpu sse4_2 fma avx2 vaes\n", False),
    "EPYC 9004, Zen 4": ("flags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni\n", True),
    "Skylake": ("flags\t\t: fpu avx2 avx512f avx512bw\n", False),
    "Cascade Lake": ("flags\t\t: fpu avx2 avx512f avx512_vnni\n\nprocessor\t: 1\nflags\t\t: fpu\n", True),
    "Alder Lake": ("flags\t\t: fpu avx2 avx_vnni\n", True),
    "Graviton 2, Neoverse N1": ("Features\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", False),
    "Graviton 3, Neoverse V1": ("Features\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n", True),
    "no such file": ("", False),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_onednn_goes_by_the_rule_of_tensorflow(name: str) -> None:
    cpuinfo, used = PROCESSORS[name]
    assert onednn_by_default(cpuinfo) == used


@pytest.mark.parametrize("value", ["0", "1"])
def test_what_is_passed_on_goes_before_ours(value: str) -> None:
    given = {"TF_ENABLE_ONEDNN_OPTS": value, "TF_CPU_ALLOCATOR_USE_BFC": value}
    assert worker_environment(1, given).items() >= given.items()
    assert onednn_stated(given) == ("on" if value == "1" else "off")


#: Hostile variables that change nothing of what a worker computes, nor how long it takes: they need not be named.
HARMLESS = {"PYTHONHASHSEED"}


def test_a_worker_inherits_no_variable_that_can_change_a_number() -> None:
    assert len(HOSTILE) >= 40
    assert worker_environment(1, caller={**HOSTILE, "PYTHONHOME": "/nowhere"}) == worker_environment(1, caller={})


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_variable_does_not_reach_workers_and_is_named(name: str) -> None:
    caller = {"PATH": "/bin", name: HOSTILE[name]}
    assert worker_environment(1, caller=caller) == worker_environment(1, caller={"PATH": "/bin"})
    assert (name in named(caller)) == (name not in HARMLESS)


@pytest.mark.parametrize("name", PASSED_ON)
def test_a_variable_that_reaches_workers_is_named(name: str) -> None:
    caller = {name: PASSED_ON[name] or "0"}
    assert worker_environment(1, caller=caller) != worker_environment(1, caller={})
    assert name in named(caller)


def test_a_worker_that_is_started_under_hostile_variables_has_none_of_them(tmp_path: pathlib.Path) -> None:
    """What the process itself finds in its environment, beside what the runner means to give it."""
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import os\n\nx = [1.0]\n\n\ndef objective(x, xp):\n"
        "    print('NAMES', *os.environ, file=__import__('sys').stderr)\n    return xp.sum(x)\n",
        encoding="utf-8",
    )
    seen = []
    for hostile in ({}, HOSTILE):
        with worker(mine, hostile) as client:
            client._stderr.seek(0)
            lines = client._stderr.read().decode().splitlines()
        seen.append({*next(line for line in lines if line.startswith("NAMES")).split()})
    assert seen[1] == seen[0]
    assert not seen[1] & set(HOSTILE) - set(worker_environment(1))


def test_verdicts_are_the_same_under_hostile_variables(tmp_path: pathlib.Path) -> None:
    """The runner, in which the judge computes, has them too, but for those that only make Python itself slow.

    With warnings as errors, NumPy is not imported under variables that it warns of.
    """
    kept = {name: value for name, value in HOSTILE.items() if name == "PYTHONHASHSEED" or "PYTHON" not in name}
    what = ("matyas", "-b", "numpy", "-b", "manual", "-o", "gradient", "-o", "hessian")
    clean, hostile = checked(tmp_path, {}, *what), checked(tmp_path, kept, *what)
    assert hostile == clean
    assert {status for _, status, _ in clean} == {"ok"}


def test_a_worker_inherits_places_languages_and_proxies() -> None:
    caller = {"PATH": "/bin", "HOME": "/root", "LC_ALL": "C", "https_proxy": "http://u:secret@p", "TMPDIR": "/t"}
    assert worker_environment(1, caller=caller).items() >= caller.items()
    assert recorded_variables(caller=caller) == {}


def test_library_paths_and_devices_are_inherited_and_recorded() -> None:
    caller = {"LD_LIBRARY_PATH": "/opt/lib", "CUDA_VISIBLE_DEVICES": "1", "PYTHONPATH": "/mine"}
    found = worker_environment(1, caller=caller)
    assert found["LD_LIBRARY_PATH"] == "/opt/lib"
    assert found["PYTHONPATH"] == os.pathsep.join((str(ROOT), "/mine"))
    assert recorded_variables({"XLA_FLAGS": "--a"}, caller=caller) == caller | {"XLA_FLAGS": "--a"}


def test_another_python_gets_the_core_type_and_no_path_of_this_one() -> None:
    caller = {"OPENBLAS_CORETYPE": "Haswell", "PYTHONPATH": "/mine", "CONDA_PREFIX": "/here"}
    found = worker_environment(1, caller=caller, other_python=True)
    assert found["OPENBLAS_CORETYPE"] == "Haswell"
    assert not {"PYTHONPATH", "CONDA_PREFIX"} & set(found)
    assert recorded_variables(caller=caller, other_python=True)["OPENBLAS_CORETYPE"] == "Haswell"


def test_what_is_withheld_is_named() -> None:
    caller = {"JAX_DISABLE_JIT": "1", "PATH": "/bin", "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "1"}
    assert withheld_variables(caller=caller) == ["JAX_DISABLE_JIT", "MALLOC_ARENA_MAX"]
    assert withheld_variables(["JAX_DISABLE_JIT"], caller=caller) == ["MALLOC_ARENA_MAX"]


def test_a_process_of_ones_own_is_recorded_with_all_that_can_change_a_number() -> None:
    caller = {"JAX_DISABLE_JIT": "1", "PATH": "/bin", "LD_LIBRARY_PATH": "/opt/lib"}
    assert influential_variables(caller) == {"JAX_DISABLE_JIT": "1", "LD_LIBRARY_PATH": "/opt/lib"}


@with_tensorflow
@linux
def test_what_is_stated_is_what_tensorflow_chooses_on_this_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    code = """
from autodiff_compare import backends
backend = backends.load("tensorflow")
backend.open()
print(backend.switches()["onednn"])
"""
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [onednn_stated()]


#: The settings of the caller -> how the memory of a call is measured, and what TensorFlow says of oneDNN.
WAYS: dict[str, tuple[dict[str, str], str, str]] = {
    "ours": ({}, "tf.get_memory_info", ""),
    "oneDNN and its allocator": ({"BFC": "0", "ONEDNN": "1"}, "tf.get_memory_info", "on"),
    "no counter": ({"BFC": "0", "ONEDNN": "0"}, HIGH_WATER_MARK, "off"),
}


@with_tensorflow
@linux
@pytest.mark.parametrize("way", WAYS)
def test_the_memory_of_a_call_is_measured_with_and_without_a_counter(way: str, tmp_path: pathlib.Path) -> None:
    short, method, onednn = WAYS[way]
    names = {"BFC": "TF_CPU_ALLOCATOR_USE_BFC", "ONEDNN": "TF_ENABLE_ONEDNN_OPTS"}
    given = {names[key]: value for key, value in short.items()}
    # One product of 500 x 500 numbers of 8 bytes. TensorFlow's allocators count the block they hand out, which may be
    # a free one of up to twice the size: a larger one is split.
    least = 2_000_000 - (counting_error() if method == HIGH_WATER_MARK else 0)
    for spec, opened, found in products(tmp_path, given):
        assert opened["switches"] == {"onednn": onednn or onednn_stated()}
        assert found["memory_method"] == method
        assert least <= found["peak_bytes"] < 4_000_000, spec


def products(folder: pathlib.Path, given: dict[str, str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield what a worker says of each variant of TensorFlow, and of the product of two large matrices by it."""
    source = folder / "product.py"
    source.write_text(
        "import numpy as np\nx = np.ones((500, 500))\ndef objective(x, xp):\n    return xp.matmul(x, x)\n"
    )
    client = WorkerClient("tensorflow", 1, environment=given)
    try:
        for spec in ("tensorflow", "tensorflow:eager", "tensorflow:xla"):
            opened = client.request("open", 300.0, spec)
            found = client.request(
                "cell", 300.0, spec, source=str(source), problem="product", size="small", dtype="float64",
                operator="value", seed=0, memory=True,
            )  # fmt: skip
            yield spec, opened, found
    finally:
        client.close()
