"""The pytest plugin: the assertions of `autodiff_compare.testing` as fixtures, and the marker ``derivatives``.

pytest finds it once this package is installed. Nothing of the package is imported before a test asks for a fixture.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

_MARKER = "derivatives"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", f"{_MARKER}: checks a derivative; set on every test that uses a fixture assert_*"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use one of the fixtures, so that ``pytest -m derivatives`` selects them."""
    for item in items:
        if not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(_MARKER)


@pytest.fixture
def assert_gradients() -> Callable[..., Any]:
    """Return `autodiff_compare.testing.assert_gradients`, which fails the test if a gradient is wrong.

    It is called as ``assert_gradients(f, x, gradient)``: ``f`` takes NumPy arrays; ``gradient`` is a value, or a
    function of ``x`` written with any framework.
    """
    return _assertion("assert_gradients")


@pytest.fixture
def assert_jacobian() -> Callable[..., Any]:
    """Return `autodiff_compare.testing.assert_jacobian`, called as ``assert_jacobian(f, x, jacobian)``."""
    return _assertion("assert_jacobian")


@pytest.fixture
def assert_hessian() -> Callable[..., Any]:
    """Return `autodiff_compare.testing.assert_hessian`, called as ``assert_hessian(f, x, hessian)``."""
    return _assertion("assert_hessian")


@pytest.fixture
def assert_hvp() -> Callable[..., Any]:
    """Return `autodiff_compare.testing.assert_hvp`, called as ``assert_hvp(f, x, product)``."""
    return _assertion("assert_hvp")


@pytest.fixture
def assert_jvp_vjp() -> Callable[..., Any]:
    """Return `autodiff_compare.testing.assert_jvp_vjp`, called as ``assert_jvp_vjp(f, x, jvp, vjp)``."""
    return _assertion("assert_jvp_vjp")


_FIXTURES = frozenset({"assert_gradients", "assert_jacobian", "assert_hessian", "assert_hvp", "assert_jvp_vjp"})


def _assertion(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module("autodiff_compare.testing"), name)
    return found
