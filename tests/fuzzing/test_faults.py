"""The fuzzer on trial: sixty planted faults, of which random programs must show nine of ten."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autodiff_compare.fuzzing.operations import OPERATIONS
from tests.fuzzing.faults import FAULTS, ROOT, Line, changed_source


def found(numbers: list[int]) -> list[str]:
    """Return the lines of the trial for some faults, each tried in a process of its own."""
    lines = []
    for number in numbers:
        command = [sys.executable, "-W", "ignore", "-m", "tests.fuzzing.faults", str(number)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        lines.append(done.stdout.strip())
    return lines


def test_there_are_sixty_faults_of_known_operations_and_each_changes_one_line() -> None:
    assert len(FAULTS) == len(set(FAULTS)) == 60
    assert {fault.operation.rpartition(".")[2] for fault in FAULTS} <= set(OPERATIONS)
    for fault in FAULTS:
        if isinstance(fault, Line):
            changed_source(fault)


@pytest.mark.parametrize("number", [28])
def test_a_planted_fault_is_found(number: int) -> None:
    (line,) = found([number])
    assert "MISSED" not in line


def test_planted_faults_are_found() -> None:
    """Every sixth, of which one may be missed; ``python -m tests.fuzzing.faults`` with all numbers tries the others."""
    missed = [line for line in found(list(range(3, 60, 6))) if "MISSED" in line]
    assert len(missed) <= 1, "\n".join(missed)
