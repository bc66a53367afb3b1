"""What workers are told before they start, and what TensorFlow makes of it on this processor."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from autodiff_compare import backends
from autodiff_compare.process.client import WorkerClient
from autodiff_compare.process.environment import onednn_by_default, onednn_stated, worker_environment
from autodiff_compare.timing.clock import HIGH_WATER_MARK
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
def test_settings_of_the_caller_go_before_ours(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
    monkeypatch.setenv("TF_CPU_ALLOCATOR_USE_BFC", value)
    found = worker_environment(1)
    assert found["TF_ENABLE_ONEDNN_OPTS"] == found["TF_CPU_ALLOCATOR_USE_BFC"] == value
    assert onednn_stated() == ("on" if value == "1" else "off")


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
def test_the_memory_of_a_call_is_measured_with_and_without_a_counter(
    way: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, method, onednn = WAYS[way]
    for short, name in (("BFC", "TF_CPU_ALLOCATOR_USE_BFC"), ("ONEDNN", "TF_ENABLE_ONEDNN_OPTS")):
        monkeypatch.delenv(name, raising=False)
        if short in given:
            monkeypatch.setenv(name, given[short])
    # One product of 500 x 500 numbers of 8 bytes. TensorFlow's allocators count the block they hand out, which may be
    # a free one of up to twice the size: a larger one is split.
    least = 2_000_000 - (counting_error() if method == HIGH_WATER_MARK else 0)
    for spec, opened, found in products(tmp_path):
        assert opened["switches"] == {"onednn": onednn or onednn_stated()}
        assert found["memory_method"] == method
        assert least <= found["peak_bytes"] < 4_000_000, spec


def products(folder: pathlib.Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield what a worker says of each variant of TensorFlow, and of the product of two large matrices by it."""
    source = folder / "product.py"
    source.write_text(
        "import numpy as np\nx = np.ones((500, 500))\ndef objective(x, xp):\n    return xp.matmul(x, x)\n"
    )
    client = WorkerClient("tensorflow", 1)
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
