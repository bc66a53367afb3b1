"""``--on local:N``: N units at a time on this machine, each on processors of its own, and timed on the same ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, final

from autodiff_compare.execution.cluster.engine import Channel, Engine, EngineError, PipeChannel
from autodiff_compare.process.affinity import processors


@final
class LocalEngine(Engine):
    """Nodes on this machine.

    Parameters
    ----------
    count
        Number of nodes.
    threads
        Threads of a worker; a node has at least as many processors.

    Raises
    ------
    EngineError
        If there are fewer processors than threads of all nodes.
    """

    def __init__(self, count: int, threads: int) -> None:
        found = processors()
        each = len(found) // count
        if found and each < threads:
            raise EngineError(
                f"got local:{count} with --threads {threads}, expected at most {max(len(found) // threads, 1)} units "
                f"at a time on {len(found)} processors"
            )
        # What is left over goes to no node: all have the same number, and a machine has one key.
        self._shares = {str(i): found[i * each : (i + 1) * each] for i in range(count)}
        self._timed_on = found[:threads]

    def places(self) -> Sequence[str]:
        return list(self._shares)

    def hosts(self) -> Sequence[str]:
        return self.places()[:1]

    def open(self, place: str) -> Channel:
        if share := self._shares[place]:
            # Of this thread; the node that it starts keeps it. Libraries count processors when they are loaded.
            os.sched_setaffinity(0, share)
        return PipeChannel()

    def told(self, place: str) -> Mapping[str, Any]:
        del place
        return {"timed_on": self._timed_on}
