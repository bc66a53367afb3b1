"""Pytrees: which values are containers, the names of their leaves, and functions of the leaves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from autodiff_compare.problems.base.declared.pytree import is_container, leaves, mapped, unpacked


class Layer(NamedTuple):
    w: Any
    b: Any


ONES = np.ones((2, 2))


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (1.0, ["p"]),
        ([1.0, 2.0], ["p"]),
        (([1.0, 2.0], [3.0, 4.0]), ["p"]),
        (np.float64(1.0), ["p"]),
        ([np.float64(1.0), np.array(2.0)], ["p"]),  # numbers, as arrays of no dimension
        (ONES, ["p"]),
        ([ONES, ONES], ["p[0]", "p[1]"]),  # a container for equal and unequal shapes alike
        ((ONES, 1.0), ["p[0]", "p[1]"]),
        ({"w": [1.0, 2.0], "b": 0.5}, ["p['w']", "p['b']"]),
        ([{"w": 1.0}, {"w": 2.0}], ["p[0]['w']", "p[1]['w']"]),
        ([[ONES, [1.0, 2.0]], 3.0], ["p[0][0]", "p[0][1]", "p[1]"]),
        (Layer(ONES, 0.5), ["p[0]", "p[1]"]),
        ({}, []),
    ],
    ids=repr,
)
def test_leaves_are_named_and_the_container_is_restored(value: Any, names: list[str]) -> None:
    found = dict(leaves("p", value))
    assert list(found) == names
    assert is_container(value) is (names != ["p"])
    given = [np.asarray(x) for x in found.values()]
    back = unpacked(lambda p, more, xp: (p, more, xp), [value])(*given, "more", xp=np)
    assert back[1:] == ("more", np)
    assert type(back[0]) is (type(value) if is_container(value) else np.ndarray)
    for name, x in leaves("p", back[0]):
        np.testing.assert_array_equal(x, found[name])
    assert [name for name, _ in leaves("p", mapped(lambda _, x: np.asarray(x), "p", value))] == names


def test_the_function_of_leaves_has_no_arrays_in_its_closure() -> None:
    """A compiler would treat them as constants of the function."""
    cells = unpacked(print, [{"w": ONES, "b": [ONES]}]).__closure__
    assert cells is not None
    assert "array" not in repr([cell.cell_contents for cell in cells])
