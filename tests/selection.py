"""The tests of ``make test``: a covering selection; the others are marked ``thorough`` and run by ``make test-rest``.

A test function with many parameter sets keeps a covering array of them (Cohen et al. 1997): every value of every
parameter stays, and every combination of operator, backend and dtype. For a cross-check of 90 problems by 10
operators by 4 backends by 2 dtypes that is one set in 20. Whole functions are left out only where `THOROUGH` names
them, with the reason.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

#: Sets that a function may have without being thinned.
_FEW = 24
#: Parameters whose combinations all stay. Tests call a backend by different names.
_COMBINED = (("operator",), ("spec", "backend", "name"), ("dtype",))

#: Test function, named ``file::function`` below ``tests/`` -> why ``make test`` leaves it out.
THOROUGH: Mapping[str, str] = {}


def thorough(tests: Mapping[str, Sequence[Mapping[str, Any] | None]]) -> Iterator[tuple[str, int]]:
    """Yield the tests that ``make test`` leaves out.

    Parameters
    ----------
    tests
        Test function -> the parameters of each of its tests in their order, `None` of a test without any.

    Yields
    ------
    tuple
        The function, and the index of the test that is left out.
    """
    for function, sets in tests.items():
        if function in THOROUGH:
            kept: set[int] = set()
        elif len(sets) > _FEW:
            kept = covering([features(parameters or {}) for parameters in sets])
        else:
            continue
        yield from ((function, i) for i in range(len(sets)) if i not in kept)


def covering(sets: Sequence[Iterable[Hashable]]) -> set[int]:
    """Return indices of sets that have together every feature that any set has, the first ones with a new feature."""
    seen: set[Hashable] = set()
    kept = set()
    for i, found in enumerate(map(set, sets)):
        if not found <= seen:
            kept.add(i)
            seen |= found
    return kept


def features(parameters: Mapping[str, Any]) -> Iterator[Hashable]:
    """Yield what a parameter set must be kept for: each value, and the combination of operator, backend and dtype."""
    words = {name: _word(value) for name, value in parameters.items()}
    yield from words.items()
    yield tuple(next((words[n] for n in names if n in words), None) for names in _COMBINED)


def _word(value: Any) -> Hashable:
    """Return a value that compares as the parameter does: any object but text, a number or an enum is its own."""
    return value if isinstance(value, (str, int, float, Enum, type(None))) else id(value)
