"""Axes of charts: scales and ticks with units, on log and on linear axes.

A log axis over few decades has ticks at 1, 2, ..., 9 times each power of ten. Labels stand at the powers of ten, at 2
and 5 times these where less than two decades are seen, and at every tick where the ends are within a factor of 4. The
expressions look at the part of the axis that is seen, so that this remains true after zooming. ``log`` is a parameter
of the chart: `False` in a page that shows it linearly.

Bytes are counted in powers of two: ticks at round decimal numbers would be labelled 19.53 KiB, 39.06 KiB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autodiff_compare.charts.looks import FAINT, GRID

Json = dict[str, Any]

#: Pixels between the ends of a log axis and the outermost values.
_PADDING = 14

_PLAIN = (
    "datum.value == 0 || (abs(datum.value) >= 0.0009995 && abs(datum.value) < 99950) ? format(datum.value, '.4~r')"
    " : replace(format(datum.value, '.3~e'), 'e+', 'e')"
)


def _scaled(units: Iterable[tuple[float, str]]) -> str:
    """Return the expression of a label in the largest of the units that is not larger than the value."""
    *larger, (last, name) = units
    words = f"format(datum.value / {last!r}, '.4~r') + ' {name}'"
    for scale, unit in reversed(larger):
        words = (
            f"abs(datum.value) >= {0.9995 * scale!r} ? format(datum.value / {scale!r}, '.4~r') + ' {unit}' : {words}"
        )
    return f"datum.value == 0 ? '0' : {words}"


#: Unit of an axis -> expression of its labels.
LABELS = {
    "number": _PLAIN,
    "seconds": _scaled([(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]),
    "bytes": _scaled([(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")]),
    "ratio": f"({_PLAIN}) + 'x'",
    "share": "format(datum.value, '.0%')",
}


@dataclass(frozen=True)
class Axis:
    """A quantitative axis.

    Parameters
    ----------
    field
        Name of the numbers in the rows.
    title
        Title with the quantity, and its unit where the labels have none.
    unit
        Key of `LABELS`.
    log
        Whether the scale is logarithmic; then only positive numbers are shown.
    """

    field: str
    title: str
    unit: str = "number"
    log: bool = True

    def shows(self, value: Any) -> bool:
        """Return whether the axis can show a value."""
        return value is not None and math.isfinite(value) and (value > 0 or not self.log)

    def encoding(self, channel: str) -> Json:
        """Return the encoding of ``channel``, x or y."""
        return {
            "field": self.field,
            "type": "quantitative",
            "title": self.title,
            "scale": self._scale(),
            "axis": {"labelOverlap": "greedy", "labelSeparation": 6, "tickCount": 5} | self.labels(channel),
        }

    def _scale(self) -> Json:
        if not self.log:
            return {"zero": False, "nice": True}
        return {"type": "log", "base": 2 if self.unit == "bytes" else 10, "nice": False, "padding": _PADDING}

    def labels(self, channel: str) -> Json:
        """Return the properties of the axis for its labels, and for the lines at ticks without one."""
        label = LABELS[self.unit]
        if self.unit == "bytes":
            return {"labelExpr": label, "values": {"expr": _binary(channel, self.log)}, "gridColor": GRID}
        if not self.log:
            return {"labelExpr": label}
        minor = {"test": f"log && !{_labelled(channel)}", "value": FAINT}
        labels = {"labelExpr": f"!log || {_labelled(channel)} ? ({label}) : ''", "ticks": False, "labelPadding": 5}
        return labels | {"gridColor": {"condition": minor, "value": GRID}}


def _labelled(channel: str) -> str:
    """Return the expression of whether a tick of a log axis has a label."""
    digit = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))"
    span = f"domain('{channel}')[1] / domain('{channel}')[0]"
    return f"({digit} == 1 || {span} < 60 && ({digit} == 2 || {digit} == 5) || {span} < 4)"


def _binary(channel: str, log: bool) -> str:
    """Return the expression of the ticks for bytes, at multiples of a power of two; `null` leaves them to the scale.

    A log scale of base 2 has its ticks at powers of two where it shows three of them: over a factor of 8.
    """
    low, high = f"domain('{channel}')[0]", f"domain('{channel}')[1]"
    step = f"pow(2, ceil(log(({high} - {low}) / 5) / LN2))"
    multiples = f"sequence(ceil({low} / {step}) * {step}, {high} + {step} / 1024, {step})"
    return f"log && {high} / {low} >= 8 ? null : {multiples}" if log else multiples
