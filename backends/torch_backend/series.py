"""Taylor series on torch by ``torch.func.jvp`` within itself, and second derivatives along several directions."""

from __future__ import annotations

from typing import Any

from autodiff_compare.backends.operators.objective import Prepared, Unsupported, Var
from autodiff_compare.backends.operators.series import nested
from autodiff_compare.backends.torch_backend.eager import Task
from autodiff_compare.backends.torch_backend.forward_mode import load_forward_mode, never_wider


def taylor(task: Task, degree: int, example: tuple[Var, ...]) -> Prepared:
    """Return ``taylor``, tried on an example.

    Raises
    ------
    Unsupported
        If torch has no forward rule for some operation, or none that nests.
    """
    load_forward_mode(task.torch)
    run = never_wider(task.torch, nested(task.torch.func, task.f, task.argnums, task.n, degree), task.out.dtype)
    return tried(task, run, example)


def second_along(task: Task, example: tuple[Var, ...]) -> Prepared:
    """Return the second derivatives along several directions, vectorised."""
    torch, n = task.torch, task.n
    load_forward_mode(torch)
    series = nested(torch.func, task.f, task.argnums, n, 2)

    def second(*given: Var) -> Any:
        return torch.func.vmap(lambda *row: series(*given[:n], *row)[1])(*given[n:])

    return tried(task, never_wider(torch, second, task.out.dtype), example)


def tried(task: Task, run: Prepared, example: tuple[Var, ...]) -> Prepared:
    """Return a callable once it works on an example, without recording."""

    def recording_nothing(*given: Var) -> Any:
        with task.torch.no_grad():
            return run(*given)

    try:
        recording_nothing(*example)
    except (RuntimeError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unsupported(f"torch cannot nest forward mode of this function: {reason}") from error
    return recording_nothing
