"""A fixture for anybody's own tests; pytest finds it once this project is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def assert_gradients() -> Callable[..., Any]:
    """Return `autodiff_compare.testing.assert_gradients`: it fails unless a gradient is right.

    ``f`` takes NumPy arrays; ``gradient`` is an array, or a function of ``x`` by any framework.
    """
    from autodiff_compare import testing

    return testing.assert_gradients
