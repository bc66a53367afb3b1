"""The script for a machine with a GPU, with a CPU standing in: what it runs, and what it says of a barrier."""

from __future__ import annotations

import pytest

from tests.conftest import opened
from tests.gpu_check import Barrier, main


@pytest.mark.parametrize(
    ("times", "waits", "words"),
    [
        ((0.001, 0.3, 0.001), True, "waits"),
        ((0.001, 0.001, 0.3), False, "does not wait"),
        ((0.3, 0.001, 0.001), True, "nothing was asynchronous"),
    ],
)
def test_a_barrier_is_judged_by_when_the_result_is_there(
    times: tuple[float, float, float], waits: bool, words: str
) -> None:
    found = Barrier("torch", "gpu", *times)
    assert (found.waits, found.words) == (waits, words)


def test_a_cpu_stands_in_for_the_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    for spec in ("torch", "jax"):
        opened(spec)
    assert main(["--device", "cpu", "--problem", "sphere", "--rounds", "1"]) == 0
    shown = capsys.readouterr().out
    assert "`--device cpu` on" in shown
    assert " cells right, 0 not reached." in shown
    assert "| sphere | gradient |" in shown
    assert "does not wait" not in shown
