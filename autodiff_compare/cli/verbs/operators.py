"""The table of operators for ``list --operators``: how each backend computes each of them; no framework is imported."""

from __future__ import annotations

from rich.console import Console

from autodiff_compare import backends
from autodiff_compare.backends import Backend, derivable, underivable
from autodiff_compare.summary import terminal
from autodiff_compare.vocabulary import DTYPES, How, Operator

#: Word for an operator of the backend ``manual``: it evaluates the closed forms that a problem gives.
_CLOSED = "given"


def show(out: Console) -> None:
    """Print the table of operators by backend, and the dtypes."""
    found = [backends.load(name) for name in backends.available()]
    table = terminal.plain_table("Operators, and how each backend computes them")
    table.add_column("operator", no_wrap=True)
    for backend in found:
        table.add_column(backend.name, overflow="fold")
    for operator in Operator:
        table.add_row(str(operator), *(way(backend, operator) for backend in found))
    out.print(table, markup=False)
    out.print(f"dtypes: {' and '.join(DTYPES)} on every backend", style="dim", markup=False)
    out.print("native: the framework's own; derived: built from its other operators;", style="dim", markup=False)
    out.print("given: a closed form of the problem.", style="dim", markup=False)
    out.print("A backend that cannot compute one of a problem says why in its row.", style="dim", markup=False)


def way(backend: Backend, operator: Operator) -> str:
    """Return ``native`` or ``derived``, or what a backend lacks to have an operator."""
    if backend.how(operator) is How.NATIVE:
        return _CLOSED if backend.name == "manual" else str(How.NATIVE)
    rules = derivable(backend.native, backend.nestable)
    return str(How.DERIVED) if operator in rules else f"no: {underivable(backend, operator)}"
