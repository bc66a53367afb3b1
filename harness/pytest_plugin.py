"""A fixture for anybody's own tests; pytest finds it once this project is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def assert_gradients() -> Callable[..., Any]:
    """`harness.check.assert_gradients`: ``assert_gradients(f, x, gradient)`` fails unless the gradient is right.

    ``f`` takes NumPy arrays; ``gradient`` is an array, or a function of ``x`` by any framework.
    """
    from harness import check

    return check.assert_gradients
