"""How a run is made: rounds, launches, threads, deadlines, and which cells share a process."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Isolate(enum.StrEnum):
    """What shares a worker process.

    ``backend``: the cells of one backend. ``cell``: nothing; every cell begins in a fresh process, at the price of an
    import each. ``none``: everything; a crash then takes the other backends' results of its group with it.
    """

    BACKEND = "backend"
    CELL = "cell"
    NONE = "none"


#: Seconds for one cell where none were asked for: of the size small, which takes one on every backend, and of others.
SMALL_S, LARGER_S = 60.0, 1800.0


@dataclass(frozen=True)
class Settings:
    """How a run is made.

    Parameters
    ----------
    rounds
        Timing rounds of each launch; 0 judges without timing.
    threads
        Threads of each worker.
    timeout_s
        Seconds for one cell's preparation and first calls, and for each visit of its rounds; `None`: as its size has it
        (`deadline_s`).
    memory
        Whether to measure peak memory, which costs one more call a cell.
    launches
        How many times the workers are started; rounds of all launches are pooled.
    isolate
        What shares a worker process.
    budget_s
        Seconds for all timing together, or `None` for as long as it takes.
    descents
        Whether problems that have a descent are minimised too, from their first start.
    device
        Where the backends compute: ``cpu`` or ``gpu``.
    """

    rounds: int = 8
    threads: int = 1
    timeout_s: float | None = None
    memory: bool = True
    launches: int = 1
    isolate: Isolate = Isolate.BACKEND
    budget_s: float | None = None
    descents: bool = False
    device: str = "cpu"

    def deadline_s(self, size: str = "small") -> float:
        """Seconds until a request for a cell of that size is given up."""
        if self.timeout_s is not None:
            return self.timeout_s
        return SMALL_S if size == "small" else LARGER_S
