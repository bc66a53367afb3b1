"""The pytest plugin: the fixture ``assert_gradients``, which pytest finds once this package is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def assert_gradients() -> Callable[..., Any]:
    """Return `autodiff_compare.testing.assert_gradients`, which fails the test if a gradient is wrong.

    It is called as ``assert_gradients(f, x, gradient)``: ``f`` takes NumPy arrays; ``gradient`` is an array, or a
    function of ``x`` written with any framework.
    """
    from autodiff_compare import testing

    return testing.assert_gradients
