"""Sweeps of scalar arithmetic, by hand: what `Call` derives from the rules, in a third of the time.

A float64 scalar cotangent says that nothing was broadcast and needs no cast before it reaches an
input (which casts it to its own dtype), so `fit` is skipped for it. Tests compare each of these with its rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.numpy_autodiff.primitive import Call, fit
from backends.numpy_autodiff.rules import elementwise as rules

_float64 = np.float64


def _pull_add(node: Any, g: Any) -> None:
    x, y = node.args
    d = g
    if g.__class__ is not _float64:
        d = fit(g, x.value)
    h = x.flow
    x.flow = d if h is None else h + d
    if g.__class__ is not _float64:
        d = fit(g, y.value)
    h = y.flow
    y.flow = d if h is None else h + d


def _pull_subtract(node: Any, g: Any) -> None:
    x, y = node.args
    d = g
    if g.__class__ is not _float64:
        d = fit(g, x.value)
    h = x.flow
    x.flow = d if h is None else h + d
    if g.__class__ is not _float64:
        d = fit(g, y.value)
    h = y.flow
    y.flow = -d if h is None else h - d


def _pull_multiply(node: Any, g: Any) -> None:
    x, y = node.args
    a = x.value
    b = y.value
    d = g * b
    if d.__class__ is not _float64:
        d = fit(d, a)
    h = x.flow
    x.flow = d if h is None else h + d
    d = g * a
    if d.__class__ is not _float64:
        d = fit(d, b)
    h = y.flow
    y.flow = d if h is None else h + d


def _pull_shift(node: Any, g: Any) -> None:
    x = node.args[0]
    h = x.flow
    x.flow = g if h is None else h + g


def _pull_from(node: Any, g: Any) -> None:
    x = node.args[1]
    h = x.flow
    x.flow = -g if h is None else h - g


def _pull_negative(node: Any, g: Any) -> None:
    x = node.args[0]
    h = x.flow
    x.flow = -g if h is None else h - g


def _pull_scale(node: Any, g: Any) -> None:
    x, c = node.args
    d = g * c
    h = x.flow
    x.flow = d if h is None else h + d


def _pull_power(node: Any, g: Any) -> None:
    """``n x^(n-1)`` for n = 2, 3, 4, as a multiple of ``x`` or of its square."""
    x, n = node.args
    a = x.value
    d = g * (a * n if n == 2 else a * a * n if n == 3 else a * a * a * n)
    h = x.flow
    x.flow = d if h is None else h + d


ADD = Call(rules.ADD, (0, 1), pull=_pull_add)
SUBTRACT = Call(rules.SUBTRACT, (0, 1), pull=_pull_subtract)
MULTIPLY = Call(rules.MULTIPLY, (0, 1), pull=_pull_multiply)
SHIFT = Call(rules.ADD, (0,), pull=_pull_shift)
SHIFT_BACK = Call(rules.SUBTRACT, (0,), pull=_pull_shift)
FROM = Call(rules.SUBTRACT, (1,), pull=_pull_from)
NEGATIVE = Call(rules.NEGATIVE, (0,), pull=_pull_negative)
SCALE = Call(rules.MULTIPLY, (0,), pull=_pull_scale)
POWER = Call(rules.POWER, (0,), pull=_pull_power)
