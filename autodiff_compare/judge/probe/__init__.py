"""Numerical differences of a case, seen through few vectors, and the verdict on a result that is seen alike."""

from __future__ import annotations

from autodiff_compare.judge.probe.directional import DirectionalProbe
from autodiff_compare.judge.probe.findings import SEVERITY, Finding
from autodiff_compare.judge.probe.probe import RESOLVED, Probe
from autodiff_compare.plan.cases import Case
from autodiff_compare.vocabulary import DIRECTIONAL

__all__ = ["RESOLVED", "SEVERITY", "DirectionalProbe", "Finding", "Probe", "probe_of"]


def probe_of(case: Case, every: bool = False) -> Probe | DirectionalProbe:
    """Return the numerical differences that suit a case."""
    return DirectionalProbe(case, every) if case.operator in DIRECTIONAL else Probe(case, every)
