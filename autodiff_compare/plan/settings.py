"""The settings of a run: rounds, launches, threads, time limits, and the cells that share a process."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Isolate(enum.StrEnum):
    """The cells that share a worker process.

    ``backend``: the cells of one backend. ``cell``: no cells; each starts a fresh process, which imports its framework
    again. ``none``: all cells; a crash then also loses the results of the other backends in its group.
    """

    BACKEND = "backend"
    CELL = "cell"
    NONE = "none"


#: Default time limits for one cell, in seconds: of size small, which takes about one on every backend; of others.
SMALL_S, LARGER_S = 60.0, 1800.0
#: Default time limit for importing a framework, in seconds; it takes up to 20 s on an idle machine.
OPEN_S = 120.0


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Parameters
    ----------
    rounds
        Timing rounds per launch; 0 checks without timing.
    threads
        Threads per worker.
    timeout_s
        Time limit in seconds for the preparation and first calls of a cell, and for each visit of its rounds;
        `None`: the default for its size (`deadline_s`).
    open_timeout_s
        Time limit in seconds for importing a framework. After each import that exceeds it, it is doubled for the next:
        a machine may be that slow.
    imports_alone, preparations_alone
        Whether frameworks are imported, or imported and cells prepared, one after the other, so that each is timed by
        itself; by default they are side by side.
    memory
        Whether to measure peak memory, which costs one more call per cell.
    launches
        Number of times that the workers are started; the rounds of all launches are pooled.
    isolate
        The cells that share a worker process.
    budget_s
        Time limit in seconds for all timing together; `None`: no limit.
    descents
        Whether problems with a descent are also minimised, from their first start.
    device
        Device of the backends: ``cpu`` or ``gpu``.
    environment
        Environment variables that the user passes on to workers: name -> value. A worker inherits no others that can
        change a number.
    """

    rounds: int = 8
    threads: int = 1
    timeout_s: float | None = None
    open_timeout_s: float = OPEN_S
    imports_alone: bool = False
    preparations_alone: bool = False
    memory: bool = True
    launches: int = 1
    isolate: Isolate = Isolate.BACKEND
    budget_s: float | None = None
    descents: bool = False
    device: str = "cpu"
    environment: Mapping[str, str] = field(default_factory=dict)

    def deadline_s(self, size: str = "small") -> float:
        """Return the time limit in seconds for a request of a cell of this size."""
        if self.timeout_s is not None:
            return self.timeout_s
        return SMALL_S if size == "small" else LARGER_S
