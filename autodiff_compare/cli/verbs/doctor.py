"""The doctor: what is installed, what clock and machine are like now, what to change before quoting a number.

Every finding is measured here and now; the thresholds are those by which a run flags its own timings.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from autodiff_compare import backends
from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.process import environment
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.process.environment import THREADS_TOLERANCE
from autodiff_compare.results import formatting
from autodiff_compare.summary import terminal
from autodiff_compare.timing import clock as measure
from autodiff_compare.timing.clock import CONTENDED
from autodiff_compare.timing.statistics import noisy

#: Blocks of a millisecond of equal work by which the noise is told.
_BLOCKS = 300
_WORKER_S = 120.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Parameters
    ----------
    area, what
        ``machine``, ``clock``, ``noise`` or ``backend``, and what of it.
    found
        What it is, with its unit.
    advice
        What to change before quoting a number; empty if nothing.
    """

    area: str
    what: str
    found: str
    advice: str = ""


def doctor(options: argparse.Namespace) -> int:
    """The verb: print the findings and the advice; 3 if a backend that is installed cannot be opened."""
    found = [*machine(), *clock(), *noise()]
    for name in options.backend or backends.available():
        try:
            found.append(opened(name, options.threads))
        except ValueError as error:
            return usage(str(error))
    if output.wanted(options):
        output.write([asdict(finding) for finding in found], options)
    else:
        _show(found)
    return exits.FAILED if any(f.area == "backend" and "cannot be opened" in f.found for f in found) else exits.OK


def machine() -> Iterator[Finding]:
    """Processors, other load, and what the system may do to the clock rate."""
    facts = environment.machine()
    count = int(facts["cpu_count"] or 1)
    yield Finding("machine", "processor", f"{facts['cpu_model']}, {count} for this process")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    busy = load > 0.5
    yield Finding("machine", "load", f"{load:.2g} on average, last minute", "stop what else runs here" if busy else "")
    quota = _quota()
    if quota is not None:
        advice = f"the system grants {quota:.3g} processors, not {count}: use --threads 1" if quota < count else ""
        yield Finding("machine", "quota", f"{quota:.3g} processors", advice)
    governor = _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor:
        advice = "" if governor == "performance" else "set the frequency governor to 'performance'"
        yield Finding("machine", "governor", governor, advice)
    siblings = _text("/sys/devices/system/cpu/smt/active")
    if siblings:
        words = "two threads share a core" if siblings == "1" else "off"
        yield Finding("machine", "hyperthreading", words)


def clock() -> Iterator[Finding]:
    """Resolution of the timer and what reading it costs."""
    reads = np.array([time.perf_counter() for _ in range(20_000)])
    steps = np.diff(reads)
    resolution, cost = float(steps[steps > 0].min()), float(steps.mean())
    coarse = resolution > 1e-3 * measure.BLOCK_S
    yield Finding(
        "clock",
        "timer",
        f"resolution {formatting.seconds(resolution)}, a read {formatting.seconds(cost)}",
        "the timer is coarse: trust no figure under a millisecond" if coarse else "",
    )


def noise() -> Iterator[Finding]:
    """How much equal work differs from block to block now, and how long this process waits for a processor."""
    timed = measure.Timed(measure.work, (200,), lambda out: out)
    calls = measure.calibrate(timed)
    waited, start = measure.queue_delay_s(), time.perf_counter()
    blocks = np.array([timed.block(calls) for _ in range(_BLOCKS)])
    share = (measure.queue_delay_s() - waited) / (time.perf_counter() - start)
    low, middle, high = np.quantile(blocks, [0.25, 0.5, 0.75])
    spread = float((high - low) / middle)
    yield Finding(
        "noise",
        "spread",
        f"middle half of {_BLOCKS} equal blocks within {spread:.1%}, slowest {blocks.max() / middle:.2g}x the median",
        "noisy: use --rigorous and --launches 3, or another machine" if noisy(list(blocks)) else "",
    )
    yield Finding(
        "noise",
        "waiting",
        f"{share:.1%} of the time waiting for a processor",
        "contended: stop what else runs here" if share > CONTENDED else "",
    )


def opened(spec: str, threads: int) -> Finding:
    """A backend in a worker of its own: versions, seconds to import, threads really used.

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    backend = backends.load(spec)
    absent = backends.missing(backend)
    if absent:
        return Finding("backend", spec, f"not installed: {', '.join(absent)}")
    client = None
    try:
        client = WorkerClient(spec, threads)
        told = client.request("open", _WORKER_S)
    except WorkerError as error:
        return Finding("backend", spec, f"cannot be opened: {error}", "install it anew, or leave it out with -b")
    finally:
        if client is not None:
            client.close()
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items()) or "no framework"
    used = f"{told['threads']:.2f} threads busy of {threads} asked for"
    used += "".join(f"; {name} {word}" for name, word in told["switches"].items())
    over = told["threads"] > THREADS_TOLERANCE * threads
    advice = "it uses more threads than asked for: its timings are flagged" if over else ""
    return Finding("backend", spec, f"{versions}; opens in {told['seconds']:.2g} s; {used}", advice)


def _show(found: list[Finding]) -> None:
    out = console()
    for area in dict.fromkeys(f.area for f in found):
        table = terminal.plain_table(area.capitalize(), header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in found:
            if finding.area == area:
                table.add_row(finding.what, finding.found)
        out.print(table)
        out.print()
    advice = [f"{f.what}: {f.advice}" for f in found if f.advice]
    out.print("Before quoting a number:" if advice else "Nothing to change: a number from here can be quoted.")
    for line in advice:
        out.print(f"- {line}")


def _quota() -> float | None:
    """Processors that the system grants to this group of processes (Linux), or `None` where it sets no limit."""
    with contextlib.suppress(ValueError, ZeroDivisionError):
        granted, period = _text("/sys/fs/cgroup/cpu.max").split()
        return int(granted) / int(period)
    return None


def _text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
