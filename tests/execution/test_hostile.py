"""Odd results, exceptions and acts of a process: each costs its own cell, whose status is true, and no other."""

from __future__ import annotations

import pathlib

import pytest

from autodiff_compare.results.tables import read_all
from autodiff_compare.vocabulary import Status
from tests.examples.hostile_backend import FAULTS, METHODS
from tests.execution.test_faults import ENDS, run, told_where

HOSTILE = str(pathlib.Path(__file__).parents[1] / "examples" / "hostile_backend.py")
WRONG, ERROR, CRASH, OK = Status.WRONG, Status.ERROR, Status.CRASH, Status.OK
_FAIL, _NUMBERS = "gradient fail at [", "expected numbers"

#: Fault -> the status with which its cell ends, and words of its message.
HOSTILE_ENDS: dict[str, tuple[Status, str]] = {
    **dict.fromkeys(
        ("twice", "negative", "reversed", "shifted", "constant", "one_zero", "one_sign", "off_by_1e-6"), (WRONG, _FAIL)
    ),
    **dict.fromkeys(("in_float32", "in_float16", "off_by_a_constant", "largest"), (WRONG, _FAIL)),
    "all_nan": (WRONG, "10 entries nan or infinite"),
    "minus_infinity": (WRONG, "1 entry nan or infinite"),
    "complex": (WRONG, "got complex128, expected float64"),
    "half": (WRONG, "got float16, expected float64"),
    "whole": (WRONG, "got int64, expected float64"),
    "truth": (WRONG, "got bool, expected float64"),
    "swapped_bytes": (WRONG, "got >f8, expected float64"),
    "long": (WRONG, "got float128, expected float64"),
    "empty": (WRONG, "got (0,), expected (10,)"),
    "sum": (WRONG, "got (), expected (10,)"),
    "column": (WRONG, "got (10, 1), expected (10,)"),
    "longer": (WRONG, "got (11,), expected (10,)"),
    "matrix": (WRONG, "got (10, 10), expected (10,)"),
    "tuple": (WRONG, "got (10,), (10,), expected (10,)"),
    "ragged": (WRONG, "got (10,), (2,), expected (10,)"),
    **dict.fromkeys(("nothing", "text", "mapping", "generator", "function", "records"), (ERROR, _NUMBERS)),
    # The numbers are right; the mask, the shape that is pretended and the layout in memory are not compared.
    **dict.fromkeys(("deceptive", "masked", "strided", "read_only", "backwards"), (OK, "")),
    "system_exit": (CRASH, "exit code 3"),
    "keyboard_interrupt": (CRASH, "SIGINT"),
    "generator_exit": (CRASH, "GeneratorExit"),
    "stranger": (CRASH, "Stranger: who am I"),
    "stop_iteration": (ERROR, "StopIteration"),
    "no_words": (ERROR, "ValueError"),
    "no_name": (ERROR, "Nameless"),
    "many_words": (ERROR, "ValueError: word word"),
    "many_lines": (ERROR, "ValueError: line (tests/examples/hostile_backend.py"),
    "control": (ERROR, "gone"),
    "surrogates": (ERROR, "ValueError"),
    "group": (ERROR, "ExceptionGroup: several (2 sub-exceptions)"),
    "warning": (OK, ""),
    "recursion": (ERROR, "RecursionError"),
    "memory": (Status.OUT_OF_MEMORY, "Unable to allocate"),
    "limit": (Status.OUT_OF_MEMORY, "Unable to allocate"),
    "broken_pipe": (ERROR, "BrokenPipeError"),
    "timeout": (ERROR, "TimeoutError: too late"),
    "division": (ERROR, "ZeroDivisionError"),
    "sigterm": (CRASH, "SIGTERM"),
    "sigbus": (CRASH, "SIGBUS"),
    "sigill": (CRASH, "SIGILL"),
    "sigfpe": (CRASH, "SIGFPE"),
    "exit_0": (CRASH, "exit code 0"),
    "exit_in_a_thread": (CRASH, "exit code 9"),
    **dict.fromkeys(("closes_stdout", "closes_stderr"), (ERROR, "Bad file descriptor")),
    "closes_everything": (CRASH, "exit code"),
    "forgets_its_modules": (ERROR, "KeyError"),
    **dict.fromkeys(
        ("error_in_a_thread", "thread_that_stays", "shouts", "binary", "forgets_its_environment", "forgets_its_path"),
        (OK, ""),
    ),
    **dict.fromkeys(("raises_on_errors", "seeds", "collects_never", "starts_a_timer", "ignores_signals"), (OK, "")),
    **dict.fromkeys(("vanishes", "forks", "forks_and_goes_on"), (OK, "")),
    "open_raises": (ERROR, "libfast.so: wrong ELF class"),
    "open_exits": (CRASH, "exit code 4"),
    "open_leaves": (CRASH, "no licence"),
    "open_dies": (CRASH, "SIGSEGV"),
    "to_var_raises": (ERROR, "no such array"),
    "to_var_gives_nothing": (ERROR, "Error"),
    "to_numpy_raises": (ERROR, "lost on the way back"),
    "to_numpy_gives_text": (ERROR, _NUMBERS),
    "block_raises": (ERROR, "the stream is broken"),
    "block_gives_nothing": (ERROR, _NUMBERS),
    "prepare_raises": (ERROR, "cannot trace"),
    "prepare_exits": (CRASH, "exit code 5"),
    "prepare_gives_nothing": (ERROR, "'NoneType' object is not callable"),
    "versions_raise": (ERROR, "which version"),
    "switches_unknown": (ERROR, "malformed response to 'open': got {'fast_math': 'on'} as switches"),
    "switches_no_words": (ERROR, "malformed response to 'open': got {'onednn': True} as switches"),
    "mode_gives_nothing": (ERROR, "malformed response to 'cell': got None as mode, expected a text"),
    "mode_gives_a_number": (ERROR, "malformed response to 'cell': got 2 as mode, expected a text"),
}
#: Faults of one run.
_TOGETHER = 12
CHUNKS = [list(HOSTILE_ENDS)[i : i + _TOGETHER] for i in range(0, len(HOSTILE_ENDS), _TOGETHER)]


def test_every_fault_has_its_end_and_there_are_a_hundred() -> None:
    assert {*FAULTS, *METHODS} == {*HOSTILE_ENDS}
    assert len({*HOSTILE_ENDS, *ENDS}) > 120


@pytest.mark.parametrize("faults", CHUNKS, ids=lambda faults: faults[0])
def test_each_fault_costs_its_own_cell(faults: list[str], tmp_path: pathlib.Path) -> None:
    specs = [f"{HOSTILE}:{fault}" for fault in faults]
    folder = run(tmp_path, [*specs, "manual"], ["gradient"], environment=told_where(tmp_path))
    *rows, last = folder.rows["cells"]
    found = {row.variant: (row.status, row.message) for row in rows}
    assert [*found] == faults
    differ = {
        fault: (status, message)
        for fault, (status, message) in found.items()
        if status != HOSTILE_ENDS[fault][0] or HOSTILE_ENDS[fault][1] not in message or (status == OK) != (not message)
    }
    assert differ == {}
    assert (last.backend, last.status) == ("manual", OK)
    # Whatever a message holds, the tables can be read.
    assert len(read_all(folder.path)["cells"]) == len(faults) + 1
