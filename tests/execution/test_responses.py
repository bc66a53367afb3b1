"""Malformed responses: each field of each response is looked at, and a run loses the cell alone."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

from autodiff_compare.execution.responses import checked
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import read_all
from autodiff_compare.vocabulary import Status

#: Verb -> a response as workers give it.
GOOD: dict[str, dict[str, Any]] = {
    "open": {"seconds": 0.5, "threads": 1.0, "threads_active": None, "switches": {"onednn": "on"}},
    "cell": {
        "result": [np.ones(2)],
        "repeatable": True,
        "inputs_unchanged": True,
        "prepare_s": 0.0,
        "prepare_waited_s": 0.0,
        "first_call_s": 1e-5,
        "first_call_waited_s": 0,
        "how": "native",
        "mode": "",
        "conversion": "",
        "memory_method": "VmHWM",
        "objective_calls": 1,
        "peak_bytes": None,
        "flags": [],
    },
    "calibrate": {"calls": 8, "per_call_s": 1e-4, "flags": ["lazy"]},
    "beside": {"per_call_s": 1e-4},
    "visit": {
        "seconds": [1e-3, 2e-3],
        "waited_s": [0.0, 0.0],
        "value_seconds": [],
        "value_waited_s": [],
        "retraced": False,
        "other": None,
    },
    "finish": {"retraced": False, "flags": []},
}
#: The worker itself does not read it: blocks are sized by the seconds of a call.
UNREAD = {("calibrate", "calls")}
FIELDS = [(verb, name) for verb, found in GOOD.items() for name in found if (verb, name) not in UNREAD]
#: No field may hold these.
NEVER: list[Any] = [
    -1,
    float("nan"),
    float("inf"),
    10**5000,
    object(),
    {"a": 1},
    ["x", None],
    [[]],
    "y" * 9,
    [-1.0],
    2j,
]


@pytest.mark.parametrize("verb", GOOD)
def test_what_workers_answer_is_passed_on(verb: str) -> None:
    assert checked(verb, GOOD[verb]) is GOOD[verb]


def test_a_lost_cell_and_the_answer_to_a_question_have_no_fields_to_be_checked() -> None:
    assert checked("calibrate", {"lost": True}) == {"lost": True}
    assert checked("questions", {}) == {}


@pytest.mark.parametrize(("verb", "name"), FIELDS)
def test_each_field_is_needed_and_has_its_kind(verb: str, name: str) -> None:
    wrong = [value for value in NEVER if not (isinstance(value, str) and isinstance(GOOD[verb][name], str))]
    given = [{**GOOD[verb], name: value} for value in wrong]
    for found in [{k: v for k, v in GOOD[verb].items() if k != name}, *given]:
        with pytest.raises(WorkerError, match=rf"malformed response to '{verb}': got .*{name}, expected ") as error:
            checked(verb, found)
        assert (error.value.status, error.value.fatal) == (Status.ERROR, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": []},
        {"seconds": [1e-3, 0.0]},
        {"waited_s": [0.0]},
        {"value_seconds": [1e-4]},
        {"waited_s": [0, 0, 0]},
    ],
)
def test_a_visit_has_blocks_and_as_many_times_of_waiting(changes: dict[str, Any]) -> None:
    with pytest.raises(WorkerError, match="malformed response to 'visit'"):
        checked("visit", {**GOOD["visit"], **changes})


@pytest.mark.parametrize(
    ("verb", "name", "value"),
    [
        ("cell", "peak_bytes", 1024.5),
        ("cell", "first_call_s", float("nan")),
        ("calibrate", "per_call_s", 0.0),
        ("calibrate", "flags", [None]),
        ("visit", "seconds", [float("nan")]),
        ("visit", "seconds", [{}]),
        ("finish", "flags", None),
    ],
)
def test_a_malformed_response_costs_its_cell_and_the_tables_can_be_read(
    verb: str, name: str, value: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = WorkerClient.request

    def tampered(self: WorkerClient, asked: str, *args: Any, **params: Any) -> dict[str, Any]:
        found = request(self, asked, *args, **params)
        hit = asked == verb and self.spec == "numpy"
        return {**found, name: value} if hit else found

    monkeypatch.setattr(WorkerClient, "request", tampered)
    folder = RunFolder(tmp_path)
    Runner(plan(Query(["sphere"], ["numpy", "manual"], ["gradient"])), Settings(rounds=1), folder).run()
    folder.close()
    cells = read_all(folder.path)["cells"]
    assert dict(zip(cells["backend"], cells["status"], strict=True)) == {"numpy": "error", "manual": "ok"}
    (message,) = cells.loc[cells["backend"] == "numpy", "message"]
    assert f"malformed response to {verb!r}: got " in message
    assert name in message
