"""Assertions for a user's own tests: they fail unless a derivative is right."""

from __future__ import annotations

from autodiff_compare.testing.assertions import (
    assert_gradients,
    assert_hessian,
    assert_hvp,
    assert_jacobian,
    assert_jvp_vjp,
)

__all__ = ["assert_gradients", "assert_hessian", "assert_hvp", "assert_jacobian", "assert_jvp_vjp"]
