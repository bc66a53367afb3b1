"""The recording of a function along a curve: every result has a power series in the parameter t of the curve.

A primitive without a rule of its own has a JVP, and that is enough: along the curve,

    y'(t) = J(u(t)) u'(t) = jvp(u'(t); y(t), u(t))

is an equation between series. Derivative rules are NumPy code, so the right-hand side can be recorded along the curve
itself, in one order less. If it does not read the result y, once is enough. If it does, y is needed to order k for its
order k + 1, and the rule is applied once for each order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.forward import jvp_rule
from autodiff_compare.backends.numpy_autodiff.core.primitive import lift
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, ended
from autodiff_compare.backends.numpy_autodiff.taylor.call import SeriesCall, fitted
from autodiff_compare.backends.numpy_autodiff.taylor.rules import rule_of
from autodiff_compare.backends.numpy_autodiff.taylor.series import Series, add


class Curve(Trace):
    """A trace whose nodes carry in ``flow`` the coefficients of their series, and that keeps no graph.

    Parameters
    ----------
    order
        The highest power of t.
    """

    __slots__ = ("order", "reads", "result")

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order
        self.record = self._follow
        #: Nodes that stand for the result of a primitive, and whether one of them was used.
        self.result: tuple[Any, ...] = ()
        self.reads = False

    def lift(self, value: Any, coefficients: Series) -> Any:
        """Make a node from its value and the coefficients after it."""
        node = lift(value, self)
        node.flow = fitted([value, *coefficients[: self.order]], value)
        node.flow += [None] * (self.order + 1 - len(node.flow))
        return node

    def of(self, x: Any) -> Series:
        """Return the series of a result, which may be a constant."""
        if isinstance(x, Node) and x.tape is self:
            return x.flow  # type: ignore[no-any-return]
        return [x, *[None] * self.order]

    def _follow(self, node: Node) -> None:
        if self.result and any(x is ours for x in node.args for ours in self.result):
            self.reads = True
        call = SeriesCall(node, self.order)
        rule = rule_of(call.primitive)
        with np.errstate(all="ignore"):
            if not call.traced:
                node.flow = _still(call)
            elif rule is None:
                node.flow = _by_tangent(call)
            else:
                node.flow = fitted(rule(call), call.ans)
        node.args = ()


def _still(call: SeriesCall) -> Any:
    """Return the series of a call whose arguments do not move."""
    still = [None] * call.order
    return [[part, *still] for part in call.ans] if isinstance(call.ans, tuple) else [call.ans, *still]


def _by_tangent(call: SeriesCall) -> Any:
    """Return the series of a primitive by its JVP rule; a list of series for several outputs."""
    several = isinstance(call.ans, tuple)
    outputs: list[Series] = [[part] for part in (call.ans if several else (call.ans,))]
    known = 1
    while known <= call.order:
        slopes, reads = _slopes(call, outputs, call.order - 1)
        upto = known if reads else call.order
        for found, slope in zip(outputs, slopes, strict=True):
            found += [None if slope[k - 1] is None else slope[k - 1] / k for k in range(known, upto + 1)]
        known = upto + 1
    fitted_ = [fitted(found, found[0]) for found in outputs]
    return fitted_ if several else fitted_[0]


def _slopes(call: SeriesCall, outputs: list[Series], order: int) -> tuple[list[Series], bool]:
    """Return the series of ``J u'`` to an order, for each output, and whether the result was read."""
    curve = Curve(min(order, len(outputs[0]) - 1) if len(outputs[0]) > 1 else order)
    args = [x if s is None else curve.lift(x, s[1:]) for x, s in zip(call.values, call.series, strict=True)]
    results = tuple(curve.lift(found[0], found[1:]) for found in outputs)
    curve.result = results
    several = isinstance(call.ans, tuple)
    ans: Any = results[0]
    if several:
        ans = type(call.ans)._make(results) if hasattr(call.ans, "_make") else results
    totals: list[Any] = [None] * len(outputs)
    for i in call.where:
        rates = [None if c is None else c * k for k, c in enumerate(call.series[i])][1:]
        if all(c is None for c in rates):
            continue
        first = np.zeros_like(call.values[i])[()] if rates[0] is None else rates[0]
        found = jvp_rule(call.primitive, i)(curve.lift(first, rates[1:]), ans, *args, **call.kwargs)
        for n, part in enumerate(found if several and found is not None else (found,)):
            totals[n] = add(totals[n], part)
    curve.record = ended
    reads = curve.reads or any(part is node for part in totals for node in results)
    none: Series = [None] * (curve.order + 1)
    return [none if part is None else curve.of(part) for part in totals], reads
