"""Where batches of programs are computed: in this process, or in a worker that may hang or die."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from autodiff_compare.backends import Backend
from autodiff_compare.fuzzing.batch import Outcome, compute
from autodiff_compare.process.client import WorkerError
from autodiff_compare.vocabulary import Status

#: Seconds for a batch, and further ones for each of its programs. A program that exceeds them alone is a hang.
_PATIENCE_S, _EACH_S = 30.0, 10.0
#: Failures of a worker that concern its backend, not a program.
_ABSENT = (Status.NOT_INSTALLED, Status.NOT_RUN)

#: A program's text and the operators to compute.
Task = tuple[str, tuple[str, ...]]


class UnavailableError(Exception):
    """Raised if a backend cannot compute anything: it is not installed, or its workers keep dying."""


class Executor(abc.ABC):
    """Computes batches of programs on one backend, one at a time.

    Attributes
    ----------
    concurrent
        Whether a batch may be computed in a thread while others are judged.
    """

    concurrent = False

    def __init__(self) -> None:
        self._free = threading.Lock()

    @final
    def __call__(self, tasks: Sequence[Task], dtype: str) -> list[list[Outcome]]:
        """Return the outcome of each operator of each task.

        Raises
        ------
        UnavailableError
            If the backend cannot compute anything.
        """
        with self._free:
            return self._computed(tasks, dtype)

    @abc.abstractmethod
    def _computed(self, tasks: Sequence[Task], dtype: str) -> list[list[Outcome]]:
        """Compute the tasks; no other call runs meanwhile."""


@final
class InProcess(Executor):
    """Computes in this process: a crash ends it, and there is no time limit."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend

    def _computed(self, tasks: Sequence[Task], dtype: str) -> list[list[Outcome]]:
        texts, operators = [text for text, _ in tasks], [names for _, names in tasks]
        return _outcomes(compute(self.backend, texts, operators, dtype))


@final
class InWorker(Executor):
    """Computes in a worker process.

    Parameters
    ----------
    request
        ``request(deadline_s, **params)`` sends the verb ``programs`` to the worker of the backend.
    """

    concurrent = True

    def __init__(self, request: Callable[..., dict[str, Any]]) -> None:
        super().__init__()
        self._request = request

    def _computed(self, tasks: Sequence[Task], dtype: str) -> list[list[Outcome]]:
        params = {"texts": [t for t, _ in tasks], "operators": [list(names) for _, names in tasks], "dtype": dtype}
        try:
            return _outcomes(self._request(_PATIENCE_S + _EACH_S * len(tasks), **params))
        except WorkerError as error:
            if error.status in _ABSENT:
                raise UnavailableError(str(error)) from error
            if len(tasks) > 1:
                # One of them has killed the worker or made it hang: each is tried alone.
                return [found for task in tasks for found in self._computed([task], dtype)]
            ((text, names),) = tasks
            if len(names) > 1:
                return [[found for name in names for (found,) in self._computed([(text, (name,))], dtype)]]
            return [[Outcome(error.status, (), f"{error.status}: {error}")]]


def _outcomes(answer: Mapping[str, Any]) -> list[list[Outcome]]:
    return [[Outcome(o["status"], tuple(o["leaves"]), o["message"]) for o in each] for each in answer["outcomes"]]
