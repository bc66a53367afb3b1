"""The table of operators for ``list --operators``: how each backend computes each of them; no framework is imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console

from autodiff_compare import backends
from autodiff_compare.backends import Backend, derivable
from autodiff_compare.results.formatting import listed
from autodiff_compare.summary import terminal
from autodiff_compare.vocabulary import DTYPES, HALF_DTYPES, How, Operator

#: Word for an operator of the backend ``manual``, which evaluates the closed forms that a problem gives, and for none.
_CLOSED, _NONE = "given", "-"
#: Backend -> its column's header: the whole table fits into 80 columns.
_SHORT = {"finite_difference": "finite", "tensorflow": "tf"}


def show(out: Console) -> None:
    """Print the table of operators by backend, and the dtypes."""
    found = [backends.load(name) for name in backends.available()]
    table = terminal.plain_table("Operators, and how each backend computes them")
    table.add_column("operator", no_wrap=True)
    for backend in found:
        table.add_column(_SHORT.get(backend.name, backend.name), no_wrap=True)
    for operator in Operator:
        table.add_row(str(operator), *(way(backend, operator) for backend in found))
    out.print(table, markup=False)
    for line in _legend(found):
        out.print(line, style="dim", markup=False)


def way(backend: Backend, operator: Operator) -> str:
    """Return ``native``, ``derived`` or ``given``, as the backend's variant computes an operator; ``-`` for none."""
    if backend.how(operator) is How.NATIVE:
        return _CLOSED if backend.name == "manual" else str(How.NATIVE)
    rules = derivable(backend.native - {operator}, backend.nestable)
    return str(How.DERIVED) if operator in rules else _NONE


def _legend(found: Sequence[Backend]) -> Iterator[str]:
    """Yield the meaning of the words and headers, and the dtypes of each backend."""
    yield "native: the framework's own; derived: built from its other operators;"
    yield "given: a closed form of the problem, where it has one."
    yield f"{_NONE}: not offered; check -o OPERATOR -b BACKEND gives the reason"
    yield "; ".join(f"{_SHORT[b.name]}: {b.name}" for b in found if b.name in _SHORT)
    yield f"dtypes: {listed(DTYPES)} on every backend;"
    for dtype in HALF_DTYPES:
        yield f"{dtype} on {listed(b.name for b in found if dtype in b.dtypes)}, for most operations"
