"""The atlas of conventions, asked for an operation: the cases at kinks and ties that are about it."""

from __future__ import annotations

import re

from autodiff_compare.problems.conventions import CASES, Kink

#: Operators of Python -> names in the atlas.
_NAMES = {"abs": "abs", "**": "pow", "%": "remainder", "//": "floor_divide", ".max": "max", ".min": "min"}


def related(operation: str, *, forward: bool) -> tuple[str, ...]:
    """Return the simplest case of the atlas at a kink of an operation, if there is one.

    Parameters
    ----------
    operation
        Name as in `autodiff_compare.explaining.recording.program.Step`, such as ``xp.maximum``.
    forward
        Whether forward mode is asked for.
    """
    name = _NAMES.get(operation, operation.removeprefix("xp."))
    pattern = re.compile(rf"\bxp\.{re.escape(name)}\(")
    operator = "jvp" if forward else "gradient"
    alike = (case for case in CASES.values() if case.operator == operator and pattern.search(case.f))
    found = [case for case in alike if isinstance(case.right, Kink)]
    return tuple(case.name for case in sorted(found, key=lambda case: len(case.f))[:1])
