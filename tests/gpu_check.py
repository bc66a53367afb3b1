"""Try ``--device gpu``: the suites classic and adbench on PyTorch and JAX, and whether the barrier waits.

``python -m tests.gpu_check`` on a machine with a GPU takes at most eight minutes and writes a table in Markdown to
standard output. Its exit code is 1 if a result is wrong or a barrier does not wait, and 3 if a cell broke. Every result
is judged by the reference that NumPy computes on the CPU. With ``--device cpu`` a CPU stands in for the GPU: that tries
this script, and says nothing about a GPU.

*The barrier.* A kernel is queued that lasts a fraction of a second, and behind it a sum. A barrier that waits returns
when the sum is there: reading it afterwards takes no time. One that does not wait leaves the kernel's time to the
reading. If the launch itself takes that time, as on a CPU, nothing was asynchronous, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from autodiff_compare import backends
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.results import formatting
from autodiff_compare.results.rows import CellRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import read_all
from autodiff_compare.vocabulary import BROKEN, Status

ROOT = pathlib.Path(__file__).parents[1]
SPECS = ("torch", "jax")
#: Seconds for all: of a run that is not finished by then, the table holds what there is.
LIMIT_S = 480.0
#: Seconds of the kernel, at least, and the part of them that reading may take behind a barrier that waits.
_KERNEL_S, _READ_PART = 0.2, 0.25
#: Cycles of the sleep kernel that is tried first.
_CYCLES = 1 << 20


@dataclass(frozen=True)
class Barrier:
    """Seconds to launch a kernel and a sum behind it, to wait for them, and then to read the sum."""

    spec: str
    device: str
    launch_s: float
    wait_s: float
    read_s: float

    @property
    def whole_s(self) -> float:
        return self.launch_s + self.wait_s + self.read_s

    @property
    def waits(self) -> bool:
        """Return whether the sum was there when the barrier returned."""
        return self.read_s <= _READ_PART * self.whole_s

    @property
    def words(self) -> str:
        if not self.waits:
            return "does not wait"
        return "waits" if self.launch_s < 0.5 * self.whole_s else "nothing was asynchronous"


def barrier(spec: str, device: str) -> Barrier:
    """Measure the barrier of a backend, in this process."""
    backend = backends.load(spec)
    backend.device = device
    backend.open()
    launch = _sleep(backend) if spec == "torch" and device == "gpu" else _products(backend)
    amount = 1
    while _measured(backend, launch, amount).whole_s < _KERNEL_S:
        amount *= 2
    return _measured(backend, launch, amount)


def _measured(backend: Any, launch: Callable[[int], Any], amount: int) -> Barrier:
    start = time.perf_counter()
    out = launch(amount)
    launched = time.perf_counter()
    out = backend.block(out)
    waited = time.perf_counter()
    np.asarray(backend.to_numpy(out))
    read = time.perf_counter()
    return Barrier(backend.spec, backend.device, launched - start, waited - launched, read - waited)


def _sleep(backend: Any) -> Callable[[int], Any]:
    """Return a function that queues PyTorch's sleep kernel, and a sum behind it."""
    import torch

    x = backend.to_var(np.ones(8))

    def launch(amount: int) -> Any:
        torch.cuda._sleep(amount * _CYCLES)
        return torch.sum(x)

    return launch


def _products(backend: Any) -> Callable[[int], Any]:
    """Return a function that queues products of matrices, each of the one before, and a sum behind them."""
    xp, x = backend.xp, backend.to_var(np.eye(1000))

    def launch(amount: int) -> Any:
        y = x
        for _ in range(amount):
            y = xp.matmul(y, x)
        return xp.sum(y)

    backend.block(launch(1))
    return launch


class _Limited(Display):
    """A display that ends the run when the time is over."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def group_done(self) -> None:
        super().group_done()
        if time.monotonic() > self._until:
            raise KeyboardInterrupt


def cells(query: Query, device: str, out: pathlib.Path, until: float, rounds: int) -> tuple[RunFolder, int]:
    """Run the cells of a query on a device until the time is over; return its folder, and the number planned."""
    planned, folder = plan(query), RunFolder(out)
    settings = Settings(rounds=rounds, device=device, timeout_s=60.0, descents=False)
    try:
        with _Limited(until) as display:
            Runner(planned, settings, folder, display).run()
    except KeyboardInterrupt:
        print("the time is over: the table holds what there is", file=sys.stderr)
    finally:
        folder.close()
    return folder, len(planned.cells)


def table(folder: RunFolder, planned: int, barriers: Sequence[Barrier], device: str) -> list[str]:
    """Return the report as lines of Markdown."""
    rows: Sequence[CellRow] = folder.rows["cells"]
    right = sum(row.status == Status.OK for row in rows)
    lines = [
        f"`--device {device}` on {_device()}: {right} of {planned} cells right, {planned - len(rows)} not reached.",
        "",
    ]
    lines += ["| backend | barrier | launch | wait | read |", "|---|---|---|---|---|"]
    for b in barriers:
        times = " | ".join(map(formatting.seconds, (b.launch_s, b.wait_s, b.read_s)))
        lines.append(f"| {b.spec} | {b.words} | {times} |")
    lines += ["", "| problem | operator | " + " | ".join(SPECS) + " |", "|---|---|" + "---|" * len(SPECS)]
    tables = read_all(folder.path)
    steady = tables["timings"].query("phase == 'steady'").set_index("cell_id")["median_s"]
    for problem, operator in dict.fromkeys((row.problem, row.operator) for row in rows):
        own = {row.backend: row for row in rows if (row.problem, row.operator) == (problem, operator)}
        shown = [_shown(own[spec], steady.get(own[spec].cell_id)) if spec in own else "" for spec in SPECS]
        lines.append(f"| {problem} | {operator} | " + " | ".join(shown) + " |")
    return lines


def _shown(row: CellRow, median_s: float | None) -> str:
    if row.status != Status.OK:
        return f"{row.status}: {row.message}".replace("|", "/").replace("\n", " ")
    return "ok" if median_s is None else formatting.seconds(float(median_s))


def _device() -> str:
    """Return the name of the GPU; of a machine without one, that there is none."""
    try:
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return (
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip() or "no GPU"
        )
    except (OSError, subprocess.SubprocessError):
        return "no GPU"


def _barrier_elsewhere(spec: str, device: str) -> Barrier:
    """Measure a barrier in a process of its own: two frameworks would share the memory of the GPU."""
    command = [sys.executable, "-m", "tests.gpu_check", "--device", device, "--barrier", spec]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return Barrier(**json.loads(done.stdout.splitlines()[-1]))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--barrier", metavar="BACKEND", help="measure the barrier of one backend, as JSON")
    parser.add_argument("--problem", action="append", default=[], help="a problem instead of both suites")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    if options.barrier:
        print(json.dumps(asdict(barrier(options.barrier, options.device))))
        return 0
    until = time.monotonic() + 0.9 * LIMIT_S
    try:
        barriers = [_barrier_elsewhere(spec, options.device) for spec in SPECS]
    except subprocess.CalledProcessError as error:
        print(error.stderr.strip().splitlines()[-1], file=sys.stderr)
        return 3
    suites = [] if options.problem else ["classic", "adbench"]
    query = Query(options.problem, list(SPECS), suites=suites)
    with tempfile.TemporaryDirectory() as out:
        folder, planned = cells(query, options.device, pathlib.Path(out), until, options.rounds)
        print("\n".join(table(folder, planned, barriers, options.device)))
    statuses = {row.status for row in folder.rows["cells"]}
    if Status.WRONG in statuses or not all(b.waits for b in barriers):
        return 1
    return 3 if statuses & (BROKEN | {Status.UNSUPPORTED, Status.NOT_INSTALLED}) or not statuses else 0


if __name__ == "__main__":
    sys.exit(main())
