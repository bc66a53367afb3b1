"""Numerical differences of a case, seen through few vectors, and the verdict on a result that is seen alike."""

from __future__ import annotations

from autodiff_compare.judge.differences import MEANINGFUL
from autodiff_compare.judge.probe.findings import SEVERITY, Finding
from autodiff_compare.judge.probe.probe import RESOLVED, Probe

__all__ = ["MEANINGFUL", "RESOLVED", "SEVERITY", "Finding", "Probe"]
