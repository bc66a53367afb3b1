"""The cells without a right result: one row for each reason, and what a user can do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd
from rich.console import Group, RenderableType
from rich.styled import Styled

from autodiff_compare.results.tables import specs_of
from autodiff_compare.summary.terminal import plain_table
from autodiff_compare.vocabulary import Status, because

#: Status of a cell without a right result -> its meaning, and what a user can do.
REMEDIES = {
    "wrong": "wrong: the result differs from its reference, or could not be proved right. "
    "compare.py check PROBLEM -b BACKEND -o OPERATOR shows every error.",
    "error": "error: an exception was raised, as shown.",
    "timeout": "timeout: no answer in time. Give it more with --timeout, or take a smaller --size.",
    "not_run": "not run: not tried, for the reason shown; run --resume tries it again.",
    "crash": "crash: the worker process died. Run the function alone in this framework to find the cause.",
    "out_of_memory": "out of memory: take a smaller --size.",
    "unsupported": "unsupported: the backend does not have the operator or function.",
    "not_installed": "not installed: install the packages named, or leave the backend out.",
}
#: What the message of a cell has whose host or unit ended, and no other -> its meaning, and what a user can do.
_OF_A_UNIT = {
    "node lost: ": "crash, node lost: the host, worker or job that computed it was lost; run --resume tries it again.",
    "the unit took longer than --unit-timeout": "timeout of a unit: give it more with --unit-timeout, or take a "
    "smaller --size; run --resume tries it again.",
}
#: Messages about the function itself, whatever the backend and the operator, and the numbers in them.
_OF_THE_FUNCTION = re.compile(r"^repeat: two evaluations of the function|^in plain NumPy, before any backend")
_IN_BRACKETS = r" \([^)]*\)"
#: Statuses whose reason is the backend's, whatever the problem: what is wrong or broken is so in one problem.
_OF_THE_BACKEND = frozenset({Status.UNSUPPORTED, Status.NOT_INSTALLED})
#: The place in a user's code at the end of a message.
_PLACE = re.compile(r" \([^()]*\.py:\d+.*\)$")
#: Problems of one reason that are named; the others are counted.
_FEW_NAMES = 4


def remedies(statuses: Iterable[str], messages: Iterable[str]) -> list[str]:
    """Return the meaning of each status, and what a user can do about it; a unit's end is no fault of a cell."""
    had, units = set[str](), set[str]()
    for status, message in zip(statuses, messages, strict=True):
        unit = next((words for told, words in _OF_A_UNIT.items() if told in str(message)), "")
        (units if unit else had).add(unit or status)
    return [w for s, w in REMEDIES.items() if s in had] + [w for w in _OF_A_UNIT.values() if w in units]


def table(failures: pd.DataFrame) -> RenderableType:
    """Return one row per distinct failure (problems, backends, operators, reason), and below them what to do.

    A failure of the function itself has one row for all backends, and what a backend lacks has one for all problems.
    """
    made = plain_table("Cells without a right result")
    for name in ("problem", "backend", "operators", "why"):
        made.add_column(name, overflow="fold")
    specs = specs_of(failures)
    own = failures["message"].map(lambda message: not _OF_THE_FUNCTION.search(message))
    lacks = failures["status"].isin(_OF_THE_BACKEND)
    # Numbers drawn at random differ in each cell, and the reason is one.
    reason = failures["message"].where(own, failures["message"].str.replace(_IN_BRACKETS, "", regex=True))
    reason = reason.where(~lacks, [_without_names(*row) for row in zip(reason, failures["operator"], strict=True)])
    keys = [failures["problem"].where(~lacks, ""), failures["status"], specs.where(own, ""), reason]
    for (_, status, _, why), group in failures.groupby(keys, sort=False):
        several = group["problem"].nunique() > 1 or group["operator"].nunique() > 1
        words = str(why if several and lacks[group.index[0]] else group["message"].iloc[0])
        backends, operators = (", ".join(dict.fromkeys(names)) for names in (specs[group.index], group["operator"]))
        made.add_row(_some(group["problem"]), backends, operators, because(str(status), words))
    return Group(made, *(Styled(words, "dim") for words in remedies(failures["status"], failures["message"])))


def _without_names(message: str, operator: str) -> str:
    """Return a message without the place in one problem and the name of one operator."""
    return re.sub(rf"\b{re.escape(operator)} cannot be", "these operators cannot be", _PLACE.sub("", message))


def _some(names: Iterable[str]) -> str:
    """Return up to `_FEW_NAMES` different names, and the number of the others."""
    found = list(dict.fromkeys(map(str, names)))
    if len(found) <= _FEW_NAMES + 1:
        return ", ".join(found)
    return f"{', '.join(found[:_FEW_NAMES])} and {len(found) - _FEW_NAMES} others"
