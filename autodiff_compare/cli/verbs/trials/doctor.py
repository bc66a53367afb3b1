"""The verb ``doctor``: check machine, clock, noise and backends, and print what to change before quoting a number.

Every finding is measured when the verb runs. The thresholds are those by which a run flags its timings.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from autodiff_compare import backends
from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.trials import elsewhere
from autodiff_compare.execution.display import Display
from autodiff_compare.process import environment
from autodiff_compare.process.affinity import THREADS_TOLERANCE
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.process.variables import recorded_variables, withheld_variables
from autodiff_compare.results import formatting
from autodiff_compare.summary import terminal
from autodiff_compare.timing import clock as measure
from autodiff_compare.timing.statistics import CONTENDED_SHARE, noisy

#: Blocks of equal work, a millisecond each, whose spread is the noise.
_BLOCKS = 300
_WORKER_S = 120.0


@dataclass(frozen=True)
class Finding:
    """One observation.

    Parameters
    ----------
    area
        ``machine``, ``clock``, ``noise``, ``backend`` or, of the last one, ``verdict``.
    what
        The quantity or the backend.
    found
        Its value, with the unit.
    advice
        The change to make before quoting a number; empty if none is needed.
    """

    area: str
    what: str
    found: str
    advice: str = ""


def doctor(options: argparse.Namespace) -> int:
    """Print the findings and the advice; return exit code 3 if an installed backend cannot be opened."""
    if options.on:
        return elsewhere.doctor(options)
    names = list(options.backend or backends.available())
    # The noise is measured before a thread renews the line.
    found = [*machine(), *variables(environment_of(options)), *clock(), *noise()]
    try:
        with Display("backends") as display, display.ticking():
            display.begin(len(names), 0)
            for name in names:
                display.doing(f"opening {name}")
                found.append(opened(name, options.threads, environment_of(options)))
                display.piece_done()
    except ValueError as error:
        return usage(str(error))
    found.append(verdict(found))
    if output.wanted(options):
        output.write("doctor", [asdict(finding) for finding in found], options)
    else:
        _show(found)
    return exits.FAILED if any(f.area == "backend" and "cannot be opened" in f.found for f in found) else exits.OK


def machine() -> Iterator[Finding]:
    """Yield the processor, the load, the quota, the frequency governor and hyperthreading."""
    facts = environment.machine()
    count = int(facts["cpu_count"] or 1)
    yield Finding("machine", "processor", f"{facts['cpu_model']}, {count} for this process")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    busy = load > 0.5
    yield Finding("machine", "load", f"{load:.2g} (average of the last minute)", "stop other programs" if busy else "")
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


def variables(given: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the environment variables that workers get and that they do not get, of those that can change a number."""
    passed = recorded_variables(given)
    words = ", ".join(f"{name}={value}" for name, value in passed.items()) or "none"
    yield Finding("machine", "passed on", f"{words} (of the variables that can change a number)")
    withheld = withheld_variables(given)
    if withheld:
        yield Finding("machine", "withheld", f"{', '.join(withheld)}: --env NAME passes one on to the workers")


def clock() -> Iterator[Finding]:
    """Yield the resolution of the timer and the time of one reading."""
    reads = np.array([time.perf_counter() for _ in range(20_000)])
    steps = np.diff(reads)
    resolution, cost = float(steps[steps > 0].min()), float(steps.mean())
    coarse = resolution > 1e-3 * measure.BLOCK_S
    yield Finding(
        "clock",
        "timer",
        f"resolution {formatting.seconds(resolution)}, one reading takes {formatting.seconds(cost)}",
        "the timer is coarse: do not trust times under a millisecond" if coarse else "",
    )


def noise() -> Iterator[Finding]:
    """Yield the spread of blocks of equal work, and the share of time that this process waits for a processor."""
    timed = measure.Timed(measure.synthetic_work, (200,), lambda out: out)
    calls = measure.calibrate(timed).calls
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
        f"{share:.1%} of the time was spent waiting for a processor",
        "contended: stop other programs" if share > CONTENDED_SHARE else "",
    )


def opened(spec: str, threads: int, given: Mapping[str, str]) -> Finding:
    """Open a backend in its own worker; return its versions, the seconds to open it, and the threads it uses.

    Parameters
    ----------
    spec, threads
        The backend, and the threads of its worker.
    given
        Variables that the user passes on to the worker.

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
        client = WorkerClient(spec, threads, environment=given)
        told = client.request("open", _WORKER_S)
    except WorkerError as error:
        advice = (
            f"leave out --env {', '.join(given)}, or correct the value" if given else "reinstall it, or open others: -b"
        )
        return Finding("backend", spec, f"cannot be opened: {error}", advice)
    finally:
        if client is not None:
            client.close()
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items()) or "no framework"
    used = f"{told['threads']:.2f} threads busy of {threads} asked for"
    used += "".join(f"; {name} {word}" for name, word in told["switches"].items())
    over = told["threads"] > THREADS_TOLERANCE * threads
    advice = "it uses more threads than --threads: its timings are flagged" if over else ""
    return Finding("backend", spec, f"{versions}; opens in {told['seconds']:.2g} s; {used}", advice)


def verdict(found: Sequence[Finding]) -> Finding:
    """Return whether numbers from this machine can be quoted now: nothing that was found needs a change."""
    against = list(dict.fromkeys(f.what for f in found if f.advice and f.area != "backend"))
    broken = [f.what for f in found if f.advice and f.area == "backend"]
    reasons = ([", ".join(against)] if against else []) + ([f"backend {', '.join(broken)}"] if broken else [])
    return Finding("verdict", "quote numbers", f"no: {'; '.join(reasons)}" if reasons else "yes")


def _show(found: Sequence[Finding]) -> None:
    out = console()
    for area in dict.fromkeys(f.area for f in found[:-1]):
        table = terminal.plain_table(area.capitalize(), header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in found:
            if finding.area == area:
                table.add_row(finding.what, finding.found)
        out.print(table)
        out.print()
    advice = [f"{f.what}: {f.advice}" for f in found if f.advice]
    if advice:
        out.print("Before quoting a number:")
    for line in advice:
        out.print(f"- {line}")
    out.print(f"Quote numbers from this machine now? {found[-1].found.capitalize()}", style="bold")


def _quota() -> float | None:
    """Return the processors that Linux grants to this control group, or `None` if it sets no limit."""
    with contextlib.suppress(ValueError, ZeroDivisionError):
        granted, period = _text("/sys/fs/cgroup/cpu.max").split()
        return int(granted) / int(period)
    return None


def _text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
