"""A run spread over nodes on this machine: the tables of a run alone, and a row for each thing that can go wrong."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from autodiff_compare.execution.cluster import spread as spread_module
from autodiff_compare.execution.cluster.engine import NODE, Channel, Engine, EngineError, PipeChannel
from autodiff_compare.execution.cluster.local_engine import LocalEngine
from autodiff_compare.execution.cluster.spread import Spread
from autodiff_compare.execution.cluster.texts import collected
from autodiff_compare.execution.turns import HostTurns
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process.affinity import processors
from autodiff_compare.results.rows import FuzzRow, MachineRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import read
from autodiff_compare.vocabulary import Status
from tests.cluster.spreading import QUADRATIC, QUERY, UNTIMED, Heard, alone, ends, folder_of, spread, unmeasured
from tests.commands import ROOT, executed
from tests.processes import children, lives, until

#: A problem of the user whose function does something once it is called by a worker of a node.
IN_A_WORKER = """
import os, pathlib, signal, sys, time
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import Operator

HERE = pathlib.Path(__file__)
NODE = "autodiff-compare-node-" in str(HERE)
WORKER = getattr(sys.modules["__main__"].__spec__, "name", "") == "autodiff_compare.execution.worker"

def f(x, xp):
    if NODE and WORKER:
        {fault}
    return xp.sum(x * x)

PROBLEM = Problem(
    name="faulty", title="t", source="s", sizes={{"small": 3}}, inputs=lambda rng, n: Inputs((rng.random(n),)),
    objective=f, operators=frozenset({{Operator.VALUE, Operator.GRADIENT}}),
    reference={{Operator.GRADIENT: lambda x: 2 * x}},
)
"""


#: Begins a node whose unit is told that its time is over, a second after it has begun to wait for another one.
OVER_WHILE_IT_WAITS = """
import fcntl, os, signal, time

def flock(descriptor, kind, lock=fcntl.flock):
    if not kind & (fcntl.LOCK_NB | fcntl.LOCK_UN):
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGUSR1)
    lock(descriptor, kind)

fcntl.flock = flock
"""


class Nodes(Engine):
    """Nodes on this machine, each started by a command of its own, with a lock of their own."""

    def __init__(self, turns: pathlib.Path, *commands: Sequence[str]) -> None:
        self._turns = turns
        self._commands = {str(i): command for i, command in enumerate(commands or (NODE,))}

    def places(self) -> Sequence[str]:
        return list(self._commands)

    def open(self, place: str) -> Channel:
        return PipeChannel(self._commands[place])

    def told(self, place: str) -> Mapping[str, Any]:
        return {"turns": str(self._turns)}


def faulty(tmp_path: pathlib.Path, fault: str) -> Query:
    """Return the query of a problem file with a fault, beside a healthy problem."""
    file = tmp_path / "faulty.py"
    file.write_text(IN_A_WORKER.format(fault=fault))
    return Query([str(file), QUADRATIC], ["numpy"], ["value", "gradient"])


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_the_tables_are_those_of_a_run_alone(count: int, tmp_path: pathlib.Path) -> None:
    if count > len(processors()):
        pytest.skip(f"{len(processors())} processors, and {count} are needed")
    whole, parts = alone(tmp_path / "alone"), spread(tmp_path / "spread", LocalEngine(count, 1))
    assert unmeasured(parts.path) == unmeasured(whole.path)
    assert len({row.machine for row in parts.rows["cells"]}) == 1, "one host is one machine"


@pytest.mark.thorough
def test_the_tables_of_timed_launches_are_those_of_a_run_alone(tmp_path: pathlib.Path) -> None:
    settings = replace(UNTIMED, rounds=2, launches=2, descents=True)
    whole = alone(tmp_path / "alone", settings=settings)
    parts = spread(tmp_path / "spread", Nodes(tmp_path), settings=settings)
    assert unmeasured(parts.path) == unmeasured(whole.path)
    kept = [row for row in parts.rows["samples"] if row.phase == "steady"]
    assert {row.round for row in kept} == {0, 1, 2, 3}


@pytest.mark.thorough
def test_a_node_that_is_killed_costs_its_open_group_only_once(tmp_path: pathlib.Path) -> None:
    """The unit is sent once more, and completed there."""
    marker = tmp_path / "killed"
    query = faulty(tmp_path, f"p = pathlib.Path({str(marker)!r}); p.exists() or (p.touch(), os.kill(os.getppid(), 9))")
    heard = Heard()
    folder = spread(tmp_path / "out", Nodes(tmp_path), query, listener=heard)
    assert set(ends(folder).values()) == {"ok"}
    assert marker.exists()
    assert [text for text in heard.said if "sent once more: node lost" in text]


@pytest.mark.thorough
def test_a_node_that_is_lost_twice_is_a_crash_and_costs_no_other_unit(tmp_path: pathlib.Path) -> None:
    folder = spread(tmp_path / "out", Nodes(tmp_path), faulty(tmp_path, "os.kill(os.getppid(), 9)"))
    assert ends(folder, ["node lost", "ended with -9"]) == {
        "faulty/small/float64/value/numpy": "crash",
        "faulty/small/float64/gradient/numpy": "crash",
        "quadratic/small/float64/value/numpy": "ok",
        "quadratic/small/float64/gradient/numpy": "ok",
    }


def test_a_node_that_says_what_is_no_line_of_a_node_is_lost(tmp_path: pathlib.Path) -> None:
    talks = ("/bin/sh", "-c", "echo welcome; cat > /dev/null")
    query = Query([QUADRATIC], ["manual"], ["value"])
    folder = spread(tmp_path / "out", Nodes(tmp_path, talks), query)
    assert ends(folder, ["node lost: 0: ended with 0"]) == {"quadratic/small/float64/value/manual": Status.CRASH}


@pytest.mark.thorough
def test_a_unit_that_takes_too_long_is_ended_and_not_sent_again(tmp_path: pathlib.Path) -> None:
    heard, query = Heard(), replace(faulty(tmp_path, "time.sleep(600)"), problems=[str(tmp_path / "faulty.py")])
    folder = spread(tmp_path / "out", Nodes(tmp_path), query, listener=heard, limit_s=8.0)
    assert ends(folder, ["the unit took longer than --unit-timeout 8"]) == dict.fromkeys(
        ("faulty/small/float64/value/numpy", "faulty/small/float64/gradient/numpy"), Status.TIMEOUT
    )
    assert heard.said == []


@pytest.mark.thorough
def test_a_file_that_changes_on_a_host_ends_its_unit(tmp_path: pathlib.Path) -> None:
    query = replace(faulty(tmp_path, "HERE.write_text('')"), problems=[str(tmp_path / "faulty.py")])
    folder = spread(tmp_path / "out", Nodes(tmp_path), query)
    assert ends(folder, [f"got {tmp_path / 'faulty.py'} changed on this host while it was computed"]) == dict.fromkeys(
        ("faulty/small/float64/value/numpy", "faulty/small/float64/gradient/numpy"), Status.ERROR
    )


@pytest.mark.thorough
def test_a_host_with_another_program_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread_module, "program_digest", lambda: "another")
    folder = spread(tmp_path / "out", Nodes(tmp_path), replace(QUERY, problems=[QUADRATIC]))
    words = ["got another autodiff-compare on", "expected another: install the same version there"]
    assert set(ends(folder, words).values()) == {Status.NOT_RUN}


@pytest.mark.thorough
def test_a_host_without_room_for_the_files_is_an_error(tmp_path: pathlib.Path) -> None:
    """The system refuses it every byte, as a full disk does."""
    # In units of 512 bytes or of 1024: less than the file has.
    full = ("/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *NODE)
    query = faulty(tmp_path, "pass  # " + 2000 * "-")
    folder = spread(tmp_path / "out", Nodes(tmp_path, full), query)
    assert set(ends(folder, ["OSError", "File too large"]).values()) == {Status.ERROR}


def _with_another_version(tmp_path: pathlib.Path) -> tuple[str, ...]:
    """Return the command of a node with another version of a package, which is another machine than this process."""
    other = tmp_path / "site" / "autograd-99.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: autograd\nVersion: 99\n")
    return ("/usr/bin/env", f"PYTHONPATH={other.parent}", *NODE)


@pytest.mark.thorough
def test_cells_that_no_host_could_begin_stand_with_those_of_the_only_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / "beside.py").write_text("two = 2.0\n")
    plain = "def objective(x, xp):\n    return xp.sum(x)\nx = [1.0]\n"
    (tmp_path / "named.py").write_text("import importlib\nimportlib.import_module('beside')\n" + plain)
    (tmp_path / "fine.py").write_text(plain)
    query = Query([str(tmp_path / f"{name}.py") for name in ("named", "fine")], ["numpy"], ["value"])
    folder = spread(tmp_path / "out", Nodes(tmp_path, _with_another_version(tmp_path)), query)
    advice = "No module named 'beside' Of the modules beside your file, those travel that an import statement names"
    assert ends(folder, [advice]) == {
        "named/small/float64/value/numpy": Status.ERROR, "fine/small/float64/value/numpy": Status.OK,
    }  # fmt: skip
    assert len({row.machine for row in folder.rows["cells"]}) == 1


@pytest.mark.thorough
def test_a_host_with_another_version_is_another_machine(tmp_path: pathlib.Path) -> None:
    """Each group is on one of the two, and no statistic joins them."""
    elsewhere = _with_another_version(tmp_path)
    marker = tmp_path / "begun"
    # The first unit waits until the other host has one.
    wait = f"p = pathlib.Path({str(marker)!r}); [time.sleep(.1) for _ in range(3000) if not p.exists()]"
    query = faulty(tmp_path, wait)
    sign = IN_A_WORKER.format(fault=f"pathlib.Path({str(marker)!r}).touch()").replace('"faulty"', '"other"')
    (tmp_path / "other.py").write_text(sign)
    query = replace(query, problems=[str(tmp_path / "faulty.py"), str(tmp_path / "other.py")])
    settings = replace(UNTIMED, timeout_s=600.0)
    folder = spread(tmp_path / "out", Nodes(tmp_path, NODE, elsewhere), query, settings)
    assert set(ends(folder).values()) == {"ok"}
    by_problem = {row.problem: row.machine for row in folder.rows["cells"]}
    assert len(set(by_problem.values())) == 2
    versions = {row.key: row.versions for row in folder.rows["machines"]}
    assert sorted('"autograd": "99"' in versions[key] for key in by_problem.values()) == [False, True]


@pytest.mark.thorough
def test_a_timed_unit_waits_for_another_one_of_its_host(tmp_path: pathlib.Path) -> None:
    heard, other = Heard(), HostTurns(tmp_path)
    settings = Settings(rounds=1, timeout_s=120.0, memory=False)
    query = replace(QUERY, problems=[QUADRATIC], backends=["manual"], operators=["value"])
    found: list[RunFolder] = []

    def run() -> None:
        found.append(spread(tmp_path / "out", Nodes(tmp_path), query, settings, heard))

    with other.working(), other.measuring():
        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: any("waiting while another unit is timed" in text for text in heard.did))
        assert not found
    thread.join()
    assert set(ends(found[0]).values()) == {"ok"}


@pytest.mark.thorough
def test_a_function_that_exits_where_it_is_planned_ends_its_unit_only(tmp_path: pathlib.Path) -> None:
    (tmp_path / "leaves.py").write_text(
        "def objective(x, xp):\n"
        "    if 'autodiff-compare-node-' in __file__:\n        raise SystemExit(3)\n"
        "    return xp.sum(x)\nx = lambda n, rng: rng.normal(size=n)\n"
    )
    query = Query([str(tmp_path / "leaves.py")], ["numpy"], ["gradient"], sizes=["n=2"])
    folder = spread(tmp_path / "out", Nodes(tmp_path), query)
    assert ends(folder, ["SystemExit: 3"]) == {"leaves/n=2/float64/gradient/numpy": Status.ERROR}


@pytest.mark.thorough
def test_a_unit_that_has_waited_too_long_says_so(tmp_path: pathlib.Path) -> None:
    other, query = HostTurns(tmp_path), replace(QUERY, problems=[QUADRATIC], backends=["manual"], operators=["value"])
    late = (*NODE[:3], OVER_WHILE_IT_WAITS + NODE[3], *NODE[4:])
    with other.working(), other.measuring():
        folder = spread(tmp_path / "out", Nodes(tmp_path, late), query, limit_s=3600.0)
    (row,) = folder.rows["cells"]
    assert row.status == Status.TIMEOUT
    assert re.search(r"--unit-timeout 3600; \d+ s of it other units of this host were waited for$", row.message)


@pytest.mark.thorough
def test_a_file_that_cannot_be_planned_costs_its_own_cells(tmp_path: pathlib.Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')")
    query = replace(QUERY, problems=[str(tmp_path / "broken.py"), QUADRATIC])
    whole, parts = alone(tmp_path / "alone", query), spread(tmp_path / "spread", Nodes(tmp_path), query)
    assert unmeasured(parts.path) == unmeasured(whole.path)
    assert {row.status for row in parts.rows["cells"] if row.problem == "broken"} == {Status.ERROR}


def test_modules_beside_a_file_travel_with_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("from parts.inner import factor\n")
    (tmp_path / "parts" / "inner.py").write_text("factor = 3.0\n")
    (tmp_path / "neighbour.py").write_text("import parts\ndef scaled(x):\n    return parts.factor * x\n")
    text = """
    def objective(x, xp):
        import neighbour
        return xp.sum(neighbour.scaled(x) ** 2)
    x = [1.0, 2.0]
    """
    (tmp_path / "its.py").write_text(textwrap.dedent(text))
    query = Query([str(tmp_path / "its.py")], ["numpy"], ["value"])
    folder = spread(tmp_path / "out", Nodes(tmp_path, ("/usr/bin/env", "-C", "/", *NODE)), query)
    # 9 (1 + 4).
    assert [(row.status, row.value) for row in folder.rows["cells"]] == [("ok", 45.0)]


@pytest.mark.thorough
def test_sizes_by_their_number_and_points_travel(tmp_path: pathlib.Path) -> None:
    (tmp_path / "drawn.py").write_text(
        "def objective(x, xp):\n    return xp.sum(x**2)\nx = lambda n, rng: rng.normal(size=n)\n"
    )
    for query in (
        Query([str(tmp_path / "drawn.py"), "lse"], ["numpy"], ["gradient"], sizes=["n=3", "n=5"]),
        Query(["goldstein_price"], ["numpy"], ["gradient"], points=[(-2.0, 0.5)]),
        # The sign of a zero chooses the side of a branch cut.
        Query(["complex_elementary"], ["numpy"], ["jvp"], points=[(complex(-1.0, -0.0),), (complex(-1.0, 0.0),)]),
    ):
        whole, parts = alone(tmp_path / "alone", query), spread(tmp_path / "spread", Nodes(tmp_path), query)
        assert unmeasured(parts.path) == unmeasured(whole.path)
        assert set(ends(parts).values()) == {"ok"}


@pytest.mark.thorough
def test_an_interrupted_run_keeps_what_came_and_is_completed_by_resuming(tmp_path: pathlib.Path) -> None:
    class Impatient(Heard):
        def group_done(self) -> None:
            raise KeyboardInterrupt

    folder = folder_of(tmp_path / "out", QUERY, UNTIMED)
    with pytest.raises(KeyboardInterrupt):
        Spread(plan(QUERY), QUERY, UNTIMED, folder, Nodes(tmp_path), collected(plan(QUERY)), Impatient()).run()
    folder.close()
    kept = (folder.path / "log.jsonl").read_text()
    assert 0 < len(folder.rows["cells"]) < len(plan(QUERY).cells)
    until(lambda: not _nodes(os.getpid()))
    again = RunFolder(folder.path.parent, folder.path, machine=folder.machine)
    again.arrange(plan(QUERY))
    Spread(plan(QUERY), QUERY, UNTIMED, again, Nodes(tmp_path), collected(plan(QUERY))).run()
    again.close()
    assert (again.path / "log.jsonl").read_text().startswith(kept), "what was there is computed again"
    assert unmeasured(again.path) == unmeasured(alone(tmp_path / "alone").path)


@pytest.mark.thorough
def test_a_coordinator_that_is_killed_leaves_no_node_and_its_run_is_resumed(tmp_path: pathlib.Path) -> None:
    marker = tmp_path / "begun"
    query = faulty(tmp_path, f"p = pathlib.Path({str(marker)!r}); p.exists() or (p.touch(), time.sleep(600))")
    words = ["check", *reversed(query.problems), "-b", "numpy", "-o", "value", "-o", "gradient", "--on", "local:1"]
    words += ["--out", str(tmp_path / "out")]
    command = [sys.executable, str(ROOT / "compare.py"), *words]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(marker.exists)
    nodes = _nodes(run.pid)
    run.kill()
    run.wait()
    assert nodes
    until(lambda: not any(map(lives, nodes)))
    (folder,) = (tmp_path / "out").iterdir()
    kept = (folder / "log.jsonl").read_text()
    assert "quadratic/small/float64/gradient/numpy" in kept
    done = executed(*words, "--resume", str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / "log.jsonl").read_text().startswith(kept)
    assert "4 of 4 cells agree" in done.stdout


def _nodes(pid: int) -> list[int]:
    """Return the nodes that a process has started."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            found += [child] if b"autodiff_compare.execution.cluster.node:main" in words else []
    return found


def test_more_units_than_processors_are_refused() -> None:
    if not processors():
        pytest.skip("this system does not name processors")
    with pytest.raises(EngineError, match=r"got local:9999 with --threads 1, expected at most \d+ units at a time on"):
        LocalEngine(9999, 1)


if sys.platform == "win32":
    pytest.skip("nodes are ended by signals", allow_module_level=True)


@pytest.mark.thorough
def test_a_campaign_elsewhere_has_the_tables_of_one_here(tmp_path: pathlib.Path) -> None:
    words = ["fuzz", "-b", "numpy", "--programs", "40", "--seed", "3"]
    tables = []
    for name, on in (("here", []), ("elsewhere", ["--on", f"local:{min(2, max(len(processors()), 1))}"])):
        done = executed(*words, *on, "--out", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert "40 programs" in done.stdout
        (folder,) = (tmp_path / name).iterdir()
        rows = read(folder / "fuzz.csv", FuzzRow)
        assert set(rows["machine"]) <= set(read(folder / "machines.csv", MachineRow)["key"])
        tables.append(rows.drop(columns=["run_id", "machine"]).to_dict("records"))
    assert tables[0] == tables[1]
