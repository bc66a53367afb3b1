"""A run on the workers of a dask scheduler: two worker processes, and daemons that are started as users start them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from autodiff_compare.execution.cluster.engine import Engine, EngineError
from autodiff_compare.execution.cluster.engines import engine
from autodiff_compare.plan.query import Query
from autodiff_compare.vocabulary import Status
from tests.cluster.spreading import QUADRATIC, UNTIMED, Heard, alone, ends, spread, unmeasured
from tests.cluster.test_local import faulty
from tests.commands import ROOT, executed
from tests.processes import until

pytestmark = pytest.mark.thorough
distributed = pytest.importorskip("distributed")


@dataclass
class Cluster:
    """A scheduler and its workers, started by dask's own command line."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _scheduler(host: str, file: pathlib.Path) -> list[str]:
    """Return the words of a scheduler that writes its address to a file: it takes a port that is free then."""
    return ["scheduler", "--host", host, "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]


def _address(file: pathlib.Path) -> str:
    until(lambda: file.exists() and file.read_text().rstrip().endswith("}"))
    return str(json.loads(file.read_text())["address"]).removeprefix("tcp://")


@contextlib.contextmanager
def started(tmp_path: pathlib.Path, workers: int = 2, prefix: tuple[str, ...] = ()) -> Iterator[Cluster]:
    """Yield a scheduler with workers, each in a process session of its own."""
    file, log = tmp_path / "scheduler.json", (tmp_path / "dask.log").open("ab")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    dask = [*prefix, sys.executable, "-m", "dask"]
    options = {"stdout": log, "stderr": log, "env": environment, "start_new_session": True, "cwd": tmp_path}
    found = Cluster("", subprocess.Popen([*dask, *_scheduler("127.0.0.1", file)], **options))  # type: ignore[call-overload]
    try:
        found.address = address = _address(file)
        worker = ["worker", f"tcp://{address}", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        found.workers += [
            subprocess.Popen([*dask, *worker, "--name", f"w{i}"], **options)  # type: ignore[call-overload]
            for i in range(workers)
        ]
        with distributed.Client(address, timeout=600, set_as_default=False) as client:
            if workers:
                client.wait_for_workers(workers, timeout=600)
        yield found
    finally:
        for process in (*found.workers, found.scheduler):
            process.terminate()
        for process in (*found.workers, found.scheduler):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
        log.close()


def test_two_worker_processes_give_the_tables_of_a_run_alone(tmp_path: pathlib.Path) -> None:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        contextlib.closing(_engine(cluster.scheduler_address.removeprefix("tcp://"))) as there,
    ):
        parts = spread(tmp_path / "spread", there)
    assert unmeasured(parts.path) == unmeasured(alone(tmp_path / "alone").path)


def _engine(address: str) -> Engine:
    return engine(f"dask://{address}", UNTIMED)


def test_a_scheduler_of_the_command_line_serves_the_verbs(tmp_path: pathlib.Path) -> None:
    with started(tmp_path) as cluster:
        on = ("--on", f"dask://{cluster.address}", "--out", str(tmp_path / "out"))
        done = executed("check", QUADRATIC, "sphere", "-b", "manual", "-b", "numpy", "-o", "gradient", "--json", *on)
        assert done.returncode == 0, done.stderr
        assert "dashboard of the scheduler: http" in done.stderr
        assert [row["status"] for row in _rows(done.stdout)] == ["ok"] * 4
        visited = executed("doctor", "-b", "numpy", "--on", f"dask://{cluster.address}")
        assert visited.returncode == 0, visited.stderr
        assert "1 host" in visited.stdout


def test_a_visit_without_a_worker_says_how_to_start_one(tmp_path: pathlib.Path) -> None:
    with started(tmp_path, workers=0) as cluster:
        done = executed("doctor", "-b", "numpy", "--on", f"dask://{cluster.address}")
    assert done.returncode == 2
    assert f"whose scheduler has no worker: start one with dask worker tcp://{cluster.address}" in done.stderr


def _rows(text: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(text)["rows"]
    return rows


def test_a_worker_that_is_killed_costs_its_open_group_only(tmp_path: pathlib.Path) -> None:
    with started(tmp_path, workers=1) as cluster:
        marker = tmp_path / "begun"
        query = faulty(tmp_path, f"p = pathlib.Path({str(marker)!r}); p.exists() or (p.touch(), time.sleep(600))")
        heard, found = Heard(), []

        def run() -> None:
            with contextlib.closing(_engine(cluster.address)) as there:
                found.append(spread(tmp_path / "out", there, query, listener=heard))

        thread = threading.Thread(target=run)
        thread.start()
        until(marker.exists)
        os.killpg(cluster.workers[0].pid, signal.SIGKILL)
        until(lambda: any("node lost" in text for text in heard.said))
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "dask", "worker", f"tcp://{cluster.address}", "--no-nanny", "--no-dashboard"]
        cluster.workers.append(
            subprocess.Popen(
                command,
                env=environment,
                cwd=tmp_path,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        thread.join()
    assert set(ends(found[0]).values()) == {"ok"}


def test_a_scheduler_that_disappears_leaves_a_row_for_every_cell(tmp_path: pathlib.Path) -> None:
    marker = tmp_path / "begun"
    query = faulty(tmp_path, f"pathlib.Path({str(marker)!r}).touch(); time.sleep(600)")
    with started(tmp_path, workers=1) as cluster:
        found = []

        def run() -> None:
            with contextlib.closing(_engine(cluster.address)) as there:
                found.append(spread(tmp_path / "out", there, query))

        thread = threading.Thread(target=run)
        thread.start()
        until(marker.exists)
        cluster.scheduler.kill()
        thread.join()
    assert set(ends(found[0], ["node lost", "has disappeared"]).values()) == {Status.CRASH}
    assert len(found[0].rows["cells"]) == 4


def test_where_no_scheduler_answers_the_command_says_what_to_start() -> None:
    with pytest.raises(EngineError, match=r"no scheduler answers: start one with dask scheduler"):
        _engine(f"127.0.0.1:{_free_port()}")


def test_two_hosts_of_two_network_namespaces(tmp_path: pathlib.Path) -> None:
    """A scheduler and a worker here, and a worker behind a virtual cable, in a namespace and with a name of its own."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "unshare", "hostname"))):
        pytest.skip("hosts of network namespaces are made by root, with ip, unshare and hostname")
    name, here, there = f"adc{os.getpid() % 10_000}", "10.213.7.1", "10.213.7.2"
    commands = [
        f"ip netns add {name}",
        f"ip link add {name}a type veth peer name {name}b netns {name}",
        f"ip addr add {here}/24 dev {name}a",
        f"ip link set {name}a up",
        f"ip -n {name} addr add {there}/24 dev {name}b",
        f"ip -n {name} link set {name}b up",
        f"ip -n {name} link set lo up",
    ]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no network namespace can be made here: {command}: {done.stderr.strip()}")
        _two_hosts(tmp_path, name, here)
    finally:
        subprocess.run(["ip", "link", "del", f"{name}a"], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _two_hosts(tmp_path: pathlib.Path, name: str, here: str) -> None:
    file, processes = tmp_path / "scheduler.json", []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    dask, log = [sys.executable, "-m", "dask"], (tmp_path / "dask.log").open("ab")
    options = {"env": environment, "stdout": log, "stderr": log, "start_new_session": True, "cwd": tmp_path}
    elsewhere = ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh"]
    try:
        processes.append(subprocess.Popen([*dask, *_scheduler(here, file)], **options))  # type: ignore[call-overload]
        address = _address(file)
        worker = [*dask, "worker", f"tcp://{address}", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        commands = (worker, [*elsewhere, *worker])
        processes += [subprocess.Popen(command, **options) for command in commands]  # type: ignore[call-overload]
        with distributed.Client(address, timeout=600, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=600)
        query = Query(["sphere", "rosenbrock", "beale", QUADRATIC], ["manual", "numpy"], ["gradient"])
        with contextlib.closing(_engine(address)) as there:
            assert len(there.hosts()) == 2
            folder = spread(tmp_path / "out", there, query)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(300)
        log.close()
    assert {row.status for row in folder.rows["cells"]} <= {"ok", "unsupported"}
    # Equal hosts are one machine by two names.
    assert {row.hostname for row in folder.rows["machines"]} >= {"elsewhere"}
