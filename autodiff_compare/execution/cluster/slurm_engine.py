"""``--on slurm[:PARTITION]``: a job of Slurm for each unit, sent by submitit.

The coordinator and all nodes share a file system: an order is a file in the run's folder, and the node's lines are
another, which is read as it grows. The jobs' own logs stand beside them.
"""

from __future__ import annotations

import contextlib
import pathlib
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import submitit

from autodiff_compare.execution.cluster.engine import Channel, Engine, EngineError, command, end_node, start_node

#: Jobs at a time that wait or run; Slurm decides how many of them run.
JOBS = 32
#: Seconds between two looks at the lines of a job, and between two questions to Slurm about it.
_LINES_S, _ASK_S = 0.5, 10.0
#: What the line that ends a unit has, and no other: within a text, quotation marks are escaped.
_END = '"end":{'
#: Lines of a job that ended without a word may take so long to be seen on a shared file system.
_SETTLE_S = 5.0


#: Returns the executor that sends jobs, whose files are in a folder.
Jobs = Callable[[pathlib.Path], submitit.Executor]


def slurm_jobs(partition: str, args: str, limit_s: float | None) -> Jobs:
    """Return jobs of Slurm; each has a node to itself unless ``args`` say otherwise.

    Raises
    ------
    EngineError
        If there is no Slurm here, or an argument is not of the form ``--name=value`` or ``--flag``.
    """
    given = _parsed(args)
    if shutil.which("sbatch") is None:
        raise EngineError("got --on slurm on a machine without sbatch: start the run on a login node of the cluster")
    # A job with a number of processors is bound to them by a Slurm that can, which the node looks at.
    given |= {} if given.keys() & {"exclusive", "cpus-per-task", "oversubscribe"} else {"exclusive": True}

    def jobs(folder: pathlib.Path) -> submitit.Executor:
        executor = submitit.SlurmExecutor(folder=folder / "%j")
        executor.update_parameters(
            job_name="autodiff-compare",
            # Without a limit of the unit, the job gets that of its partition.
            time=None if limit_s is None else int(limit_s // 60) + 2,
            partition=partition or None,
            additional_parameters=given,
            use_srun=False,
        )
        return executor

    return jobs


def local_jobs(folder: pathlib.Path) -> submitit.Executor:
    """Return an executor of the same library that starts jobs on this machine: for trials without a Slurm."""
    return submitit.LocalExecutor(folder=folder / "%j")


def _parsed(args: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in shlex.split(args):
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise EngineError(f"got {word!r} in --slurm-args, expected words such as --account=NAME or --exclusive")
        found[name] = value if equals else True
    return found


@final
class SlurmEngine(Engine):
    """Jobs of Slurm.

    Parameters
    ----------
    jobs
        Sends them.
    partition
        The partition of the jobs; empty for the default one.
    """

    once = True

    def __init__(self, jobs: Jobs, partition: str = "") -> None:
        self._jobs, self._partition = jobs, partition
        self._nodes: Sequence[str] = ()
        # Several threads send jobs, and an executor has one set of parameters.
        self._lock = threading.Lock()

    def use(self, folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._executor = self._jobs(self._folder)
        self.notes = [f"jobs: squeue --name autodiff-compare; their logs: {self._folder}"]

    def places(self) -> Sequence[str]:
        # Once its nodes are asked for, each of them gets a visit.
        return self._nodes or [f"job {i}" for i in range(JOBS)]

    def hosts(self) -> Sequence[str]:
        if isinstance(self._executor, submitit.SlurmExecutor):
            within = ["--partition", self._partition] if self._partition else []
            words = ["sinfo", "--noheader", "--format=%n", "--states=idle,mixed,allocated", *within]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            self._nodes = sorted(set(done.stdout.split()))
        return self.places()[:1] if not self._nodes else self._nodes

    def open(self, place: str) -> Channel:
        return _JobChannel(self.submit, self._folder, place if place in self._nodes else "")

    def submit(self, folder: pathlib.Path, node: str) -> submitit.Job[int]:
        """Send the job that carries out the order in a folder, on any node or on one of a name.

        Raises
        ------
        EngineError
            If Slurm refuses it.
        """
        try:
            with self._lock:
                if node:
                    self._executor.update_parameters(nodelist=node)
                # Nothing of this project is pickled: a function of Python's own library starts it.
                words = list(command("execution.cluster.slurm_engine:carry", str(folder)))
                return self._executor.submit(subprocess.check_call, words)
        except (submitit.core.utils.FailedJobError, OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"the job was refused: {' '.join(str(error).split())}") from error


class _JobChannel(Channel):
    def __init__(
        self, submit: Callable[[pathlib.Path, str], submitit.Job[int]], folder: pathlib.Path, node: str
    ) -> None:
        self._submit, self._node = submit, node
        self._folder = folder / f"unit-{time.time_ns():x}"
        self._folder.mkdir()
        self._job: submitit.Job[int] | None = None
        self._asked, self._stopped, self._has_ended = time.monotonic(), False, False

    def send(self, line: str) -> None:
        (self._folder / "order.jsonl").write_text(line + "\n", encoding="utf-8")
        (self._folder / "lines.jsonl").touch()
        self._job = self._submit(self._folder, self._node)

    def lines(self) -> Iterator[str]:
        ended = 0.0
        with (self._folder / "lines.jsonl").open(encoding="utf-8") as file:
            rest = ""
            while not self._stopped and (not ended or time.monotonic() < ended + _SETTLE_S):
                rest += file.read()
                *whole, rest = rest.split("\n")
                self._has_ended |= any(_is_end(line) for line in whole)
                yield from whole
                if not ended and not whole and self._is_over():
                    ended = time.monotonic()
                if not whole:
                    time.sleep(_LINES_S)

    def _is_over(self) -> bool:
        """Return whether the job runs no more; Slurm is asked now and then."""
        assert self._job is not None
        if self._job.paths.result_pickle.exists():
            return True
        if time.monotonic() < self._asked + (_ASK_S if isinstance(self._job, submitit.SlurmJob) else 0):
            return False
        self._asked = time.monotonic()
        if not isinstance(self._job, submitit.SlurmJob):
            return bool(self._job.done())
        # Not sacct, as submitit does: many small clusters keep no accounts.
        done = subprocess.run(["squeue", "-h", "-j", self._job.job_id], capture_output=True, text=True, check=False)
        return not done.stdout.strip() and (not done.returncode or "Invalid job id" in done.stderr)

    def stop(self) -> None:
        self._stopped = True
        self.close()

    def close(self) -> None:
        # A job whose unit has ended ends by itself.
        if self._job is not None and not self._has_ended and not self._job.paths.result_pickle.exists():
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                self._job.cancel(check=False)
        if isinstance(self._job, submitit.LocalJob):
            # A process of this one.
            self._job.wait()

    def why(self) -> str:
        if self._job is None:
            return ""
        said = (self._job.stderr() or "").strip().splitlines()
        return f"job {self._job.job_id}" + (f": {said[-1]}" if said else "")


def carry(folder: str) -> None:
    """Carry out the order in a folder, within a job; the node's lines are appended to a file there."""
    path = pathlib.Path(folder)
    with (path / "lines.jsonl").open("ab") as lines, (path / "stderr.txt").open("ab") as stderr:
        node = start_node(stderr, lines)
        try:
            assert node.stdin is not None
            node.stdin.write((path / "order.jsonl").read_bytes())
            node.stdin.flush()
            _until_ended(node, path / "lines.jsonl")
        finally:
            end_node(node)


def _until_ended(node: subprocess.Popen[bytes], lines: pathlib.Path) -> None:
    """Wait until a node has ended its unit: it would wait for another order."""
    with lines.open(encoding="utf-8") as file:
        seen = ""
        while node.poll() is None and not _is_end(seen):
            time.sleep(_LINES_S)
            # A line may come in two pieces.
            seen = seen[-len(_END) :] + file.read()


def _is_end(line: str) -> bool:
    """Return whether a line says that a unit has ended."""
    return _END in line
