"""The machines of a run: what has one key and what has not, how rows get theirs, and what older folders lack."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process import affinity, environment
from autodiff_compare.results import machines, tables
from autodiff_compare.results.machines import installed_bytes, key_of, of_run, split, stamped, this_machine, titles
from autodiff_compare.results.resume import elsewhere
from autodiff_compare.results.rows import SCHEMA_VERSION, TABLES, CellRow, MachineRow, Run, SampleRow
from autodiff_compare.results.store import RunFolder
from tests.report.blank import blank

GIB = 2**30
#: A virtual machine of 24 GiB, of which the system has kept 2 %.
FIRST = blank(
    MachineRow, hostname="a", cpu_model="AMD EPYC", cpu_id="AuthenticAMD 25 1 1 1ddebed0", cpu_count=2,
    affinity="2 of 2, on 2 cores", memory_bytes=25_276_514_304, os="Linux 6.1", python="3.11.7", code="c0de",
    versions='{"numpy": "2.4.6", "pandas": "3.1.1"}', environment="{}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "alike"),
    [
        ({}, True),
        ({"hostname": "b"}, True),
        ({"onednn": "on"}, True),
        ({"memory_bytes": 25_276_514_304 - 50 * 4096}, True),
        ({"versions": '{"pandas": "2.0", "numpy": "2.4.6"}'}, True),
        ({"cpu_model": "AMD EPYC 2"}, False),
        # Clouds shorten names: the same name with AVX-512 is another processor.
        ({"cpu_id": "AuthenticAMD 25 17 1 99999999"}, False),
        ({"cpu_count": 4}, False),
        ({"affinity": "2 of 2, on 1 core"}, False),
        ({"memory_bytes": 32 * GIB - GIB // 2}, False),
        ({"memory_bytes": None}, False),
        ({"accelerators": "NVIDIA H200"}, False),
        ({"os": "Linux 6.2"}, False),
        ({"python": "3.12.0"}, False),
        ({"versions": '{"numpy": "2.4.7"}'}, False),
        ({"versions": "damaged"}, False),
        ({"environment": '{"XLA_FLAGS": "--a"}'}, False),
        ({"code": "0ther"}, False),
    ],
)
def test_what_can_change_a_time_is_in_the_key(fields: dict[str, object], alike: bool) -> None:
    assert (key_of(dataclasses.replace(FIRST, **fields)) == key_of(FIRST)) == alike  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usable", "installed"),
    [(0.97, 1), (3.73, 4), (5.8, 6), (15.5, 16), (16.0, 16), (23.54, 24), (31.3, 32), (251.6, 256), (503.5, 512)],
)
def test_what_the_system_keeps_of_the_memory_does_not_count(usable: float, installed: int) -> None:
    assert installed_bytes(int(usable * GIB)) == installed * GIB


def _processors(folder: pathlib.Path, *kinds: tuple[str, int]) -> pathlib.Path:
    """Describe processors by (number of the first of their core, highest clock rate in kHz or 0)."""
    for number, (core, rate) in enumerate(kinds):
        (folder / f"cpu{number}" / "topology").mkdir(parents=True)
        (folder / f"cpu{number}" / "topology" / "thread_siblings_list").write_text(f"{core}\n")
        if rate:
            (folder / f"cpu{number}" / "cpufreq").mkdir()
            (folder / f"cpu{number}" / "cpufreq" / "cpuinfo_max_freq").write_text(f"{rate}\n")
    return folder


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        ([], ""),
        ([0], "1 at 5.2 GHz of 6, on 1 core"),
        ([0, 1], "2 at 5.2 GHz of 6, on 1 core"),
        ([0, 2], "2 at 5.2 GHz of 6, on 2 cores"),
        ([1, 3], "2 at 5.2 GHz of 6, on 2 cores"),  # other numbers, equally fast
        ([0, 4], "1 at 5.2 GHz, 1 at 3.9 GHz of 6, on 2 cores"),
        ([0, 5], "1 at 5.2 GHz, 1 of 6, on 2 cores"),
        ([0, 1, 2, 3, 4], "4 at 5.2 GHz, 1 at 3.9 GHz of 6, on 3 cores"),
    ],
)
def test_processors_are_described_by_what_their_speed_depends_on(
    allowed: list[int], words: str, tmp_path: pathlib.Path
) -> None:
    fast, economical = 5_200_000, 3_900_000
    kinds = [("0-1", fast), ("0-1", fast), ("2-3", fast), ("2-3", fast), ("4", economical), ("5", 0)]
    assert affinity.described(allowed, 6, _processors(tmp_path, *kinds)) == words


def test_a_system_that_describes_no_processors(tmp_path: pathlib.Path) -> None:
    assert affinity.described([0, 3], None, tmp_path) == "2, on 2 cores"


_X86 = (
    "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nstepping\t: 1\n"
)


def test_a_processor_is_more_than_its_name() -> None:
    plain, wide = (
        environment.cpu_id(f"{_X86}flags\t\t: fpu {more}\n\nprocessor\t: 1\n") for more in ("sse", "sse avx")
    )
    assert plain.startswith("AuthenticAMD 25 1 1 ")
    assert plain != wide
    assert environment.cpu_id(f"{_X86}flags : sse fpu\n") == plain, "the order of the flags is no property of it"
    arm = "CPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xd40\nFeatures\t: fp asimd\n"
    assert environment.cpu_id(arm).startswith("0x41 0x1 0xd40 ")
    assert environment.cpu_id("") == ""


def test_accelerators_are_named_by_their_models(tmp_path: pathlib.Path) -> None:
    for number in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "information").write_text(f"Model: \t\t NVIDIA H200\nIRQ:   \t\t {number}\n")
    assert environment.accelerators(tmp_path) == "NVIDIA H200, NVIDIA H200"
    assert environment.accelerators(tmp_path / "none") == ""


def test_this_machine_is_the_same_at_each_look_and_for_each_plan() -> None:
    """The key holds the program's files and not the user's: the units of a spread run have plans of their own."""
    first, second = (
        this_machine(plan(Query([name], ["numpy"], operators=["value"])), Settings()) for name in ("sphere", "matyas")
    )
    assert first == second
    assert first.key == key_of(first) != ""
    given = Settings(environment={"XLA_FLAGS": "--a"})
    assert this_machine(plan(Query(["sphere"], ["numpy"], operators=["value"])), given).key != first.key
    one = this_machine(plan(Query(["sphere"], ["numpy"], operators=["value"])), Settings(), allowed=[0])
    assert one.cpu_count == 1
    assert one.affinity.startswith("1 ")


def _cell(backend: str, machine: str = "") -> CellRow:
    return blank(CellRow, cell_id=f"p/small/float64/gradient/{backend}", backend=backend, machine=machine, status="ok")


def test_rows_get_the_machine_of_the_folder_unless_they_name_theirs(tmp_path: pathlib.Path) -> None:
    here = dataclasses.replace(FIRST, key="here")
    folder = RunFolder(tmp_path, machine=here)
    folder.add({"runs": [blank(Run, run_id="r", command="compare.py run p", schema_version=SCHEMA_VERSION)]})
    there = dataclasses.replace(FIRST, key="there", hostname="b")
    folder.add({"machines": [there], "cells": [_cell("b", "there")]})
    folder.add({"cells": [_cell("a")], "samples": [SampleRow(_cell("a").cell_id, "steady", 0, 0, 1, 1.0)]})
    folder.amend({"onednn": "on"})
    folder.close()
    first = json.loads((folder.path / "log.jsonl").read_text().splitlines()[0])
    assert (list(first), len(first["machines"])) == (["machines", "runs"], 1), "the machine comes with its first row"
    again = RunFolder(tmp_path, folder.path, machine=here)
    assert {c.backend: c.machine for c in again.rows["cells"]} == {"a": "here", "b": "there"}
    assert {(m.key, m.onednn) for m in again.rows["machines"]} == {("here", "on"), ("there", "")}
    again.close()
    found = tables.read_all(folder.path)
    assert list(found["timings"]["machine"]) == ["here"]
    assert [len(part["cells"]) for part in split(found).values()] == [1, 1]


def test_rows_without_a_machine_stay_as_they_are_where_the_folder_has_none(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add({"cells": [_cell("a")]})
    folder.close()
    assert [c.machine for c in folder.rows["cells"]] == [""]
    assert stamped({"cells": [_cell("a")]}, FIRST)["cells"][0].machine == FIRST.key


#: The version that was published last, as it was written: without the table and without the columns.
_VERSION_4 = 4


def test_an_older_folder_has_the_machine_of_its_run(tmp_path: pathlib.Path) -> None:
    run = blank(Run, run_id="r", schema_version=_VERSION_4, cpu_model="c", cpu_count=2, versions='{"numpy": "1"}')
    rows: dict[str, list[Any]] = {
        "runs": [run],
        "cells": [_cell("a")],
        "samples": [SampleRow(_cell("a").cell_id, "steady", 0, 0, 1, 1.0)],
    }
    for name, kind in TABLES.items():
        tables.write(tmp_path / f"{name}.csv", kind, rows.get(name, ()))
    (tmp_path / "machines.csv").unlink()
    for name in set(TABLES) - {"machines", "runs"}:
        lines = (tmp_path / f"{name}.csv").read_text().splitlines()
        assert all(line.rpartition(",")[2] in ("machine", "") for line in lines)
        (tmp_path / f"{name}.csv").write_text("".join(f"{line.rpartition(',')[0]}\n" for line in lines))
    found = tables.read_all(tmp_path)
    (machine,) = tables.rows_from(found["machines"], MachineRow)
    assert (machine.cpu_model, machine.cpu_count, machine.versions) == ("c", 2, '{"numpy": "1"}')
    assert machine == of_run(run)
    assert set(found["cells"]["machine"]) == set(found["samples"]["machine"]) == {machine.key}
    assert list(split(found)) == [machine.key]
    assert set(tables.read_all(tmp_path, ["cells"])["cells"]["machine"]) == {machine.key}, "asked for alone"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hostname": "z"}, ""),
        ({"cpu_model": "Z80"}, "cpu_model AMD EPYC and Z80"),
        ({"versions": '{"numpy": "1.0"}'}, "numpy 2.4.6 and 1.0"),
        ({"memory_bytes": 31 * GIB}, "memory_bytes 24 GiB and 32 GiB"),
        ({"environment": '{"XLA_FLAGS": "--a"}'}, "XLA_FLAGS absent and --a"),
        ({"code": "0ther"}, "code c0de and 0ther"),
    ],
)
def test_a_run_that_goes_on_elsewhere_says_how_the_machines_differ(fields: dict[str, object], words: str) -> None:
    known = dataclasses.replace(FIRST, key=key_of(FIRST))
    here = dataclasses.replace(FIRST, **fields)  # type: ignore[arg-type]
    told = elsewhere([known], dataclasses.replace(here, key=key_of(here)))
    assert bool(told) == bool(words)
    assert f"({words})" in told or not words


def test_a_title_has_what_tells_the_machines_apart() -> None:
    known = [
        dataclasses.replace(FIRST, key="1"),
        dataclasses.replace(FIRST, key="1", hostname="twin"),
        dataclasses.replace(FIRST, key="2", hostname="b", versions='{"numpy": "2.4.7"}', environment='{"A": "1"}'),
        dataclasses.replace(FIRST, key="3", hostname="c", cpu_model="Z80", affinity="", cpu_count=1),
    ]
    # The machine that only started the run has no number.
    known.insert(0, dataclasses.replace(FIRST, key="0", hostname="laptop"))
    assert titles(known, ["1", "2", "3"]) == {
        "1": "Machine 1: AMD EPYC, 2 of 2, on 2 cores, numpy 2.4.6, hosts a and twin",
        "2": "Machine 2: AMD EPYC, 2 of 2, on 2 cores, numpy 2.4.7, A=1, host b",
        "3": "Machine 3: Z80, 1 processor, numpy 2.4.6, host c",
    }
    assert titles(known, ["2"]) == {"2": "Machine 1: AMD EPYC, host b"}
    assert titles([], []) == {}


def test_the_key_has_every_column_of_a_machine_but_three() -> None:
    assert {f.name for f in dataclasses.fields(MachineRow)} >= machines._NOT_IN_KEY == {"key", "hostname", "onednn"}
