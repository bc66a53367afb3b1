"""Assertions for a user's own tests: they fail unless a gradient is right."""

from __future__ import annotations

from autodiff_compare.judge.judge import assert_gradients

__all__ = ["assert_gradients"]
