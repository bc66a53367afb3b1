"""The lower envelope of total times; each expected number of calls is derived beside its case."""

from __future__ import annotations

import pytest

from autodiff_compare.summary.break_even import Line, cheapest


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"a": Line(1.0, 1.0)}, [(1, "a")]),
        # 1 + (n - 1) against 5 + (n - 1)/2: equal at n = 9.
        ({"a": Line(1.0, 1.0), "b": Line(5.0, 0.5)}, [(1, "a"), (10, "b")]),
        ({"a": Line(1.0, 1.0), "b": Line(5.0, 2.0)}, [(1, "a")]),
        # b overtakes a after 9 calls, c after 19, but b stays cheaper than c until 29.
        ({"a": Line(1, 1.0), "b": Line(5, 0.5), "c": Line(19 - 18 * 0.25, 0.25)}, [(1, "a"), (10, "b"), (40, "c")]),
        ({"a": Line(1.0, 1.0), "b": Line(1.0, 0.5)}, [(1, "b")]),
        ({"a": Line(0.0, 1.0), "b": Line(1e30, 0.5)}, [(1, "a")]),
    ],
    ids=["one", "two", "never", "three", "same start", "beyond counting"],
)
def test_break_even(lines: dict[str, Line], expected: list[tuple[int, str]]) -> None:
    found = cheapest(lines, 10**9)
    assert found == expected
    for (n, later), (_, earlier) in zip(found[1:], found, strict=False):
        assert lines[later].total(n) < lines[earlier].total(n)
        assert lines[later].total(n - 1) >= lines[earlier].total(n - 1)
