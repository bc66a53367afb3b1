"""The atlas in the terminal: counts by family and backend, the defects, and one case in full."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.conventions.judgement import Class
from harness.summary import plain_table
from harness.tables import ConventionRow

#: How a class is abbreviated in a count, and in words.
LETTERS = {
    Class.AGREE: ("a", "agree"),
    Class.CONVENTION: ("c", "convention: one of several right answers"),
    Class.VALUE: ("v", "value differs: another function, or overflow on the way"),
    Class.DEFECT: ("D", "defect: outside the hull, nan, or an error without need"),
    Class.UNDEFINED: ("u", "undefined: nothing is right here"),
    Class.ERROR: ("e", "error: it raises, and may"),
    Class.NOT_AVAILABLE: ("-", "not available: no such function or rule"),
}
#: Backends side by side in one table, and the widest answer in a list.
_ABREAST, _ANSWER = 4, 34


def spec_of(row: ConventionRow) -> str:
    """``name[:variant]``."""
    return f"{row.backend}:{row.variant}" if row.variant else row.backend


def order(specs: Sequence[str]) -> list[str]:
    """Defaults first, then variants, each in the order of the backends that people know."""
    known = ("numpy", "torch", "tensorflow", "jax")
    return sorted(
        specs, key=lambda s: (":" in s, known.index(s.split(":")[0]) if s.split(":")[0] in known else len(known), s)
    )


def overview(rows: Sequence[ConventionRow], out: Console) -> None:
    """Counts, then conventions that differ, then defects, then a sentence."""
    for dtype in dict.fromkeys(row.dtype for row in rows):
        here = [row for row in rows if row.dtype == dtype]
        specs = order(list(dict.fromkeys(map(spec_of, here))))
        for start in range(0, len(specs), _ABREAST):
            _counts(here, specs[start : start + _ABREAST], dtype, out)
        _legend(out)
        _listed(here, Class.CONVENTION, f"Conventions that differ ({dtype})", out)
        _listed(here, Class.DEFECT, f"Defects ({dtype})", out)
        out.print(sentence(here, specs), soft_wrap=False)


def _counts(rows: Sequence[ConventionRow], specs: Sequence[str], dtype: str, out: Console) -> None:
    table = plain_table(f"Cases by class ({dtype})")
    table.add_column("family", no_wrap=True)
    for spec in specs:
        table.add_column(spec, no_wrap=True)
    for family in dict.fromkeys(row.family for row in rows):
        table.add_row(family, *(_count(rows, family, spec) for spec in specs))
    table.add_row("all", *(_count(rows, None, spec) for spec in specs))
    out.print(table)
    out.print()


def _count(rows: Sequence[ConventionRow], family: str | None, spec: str) -> Text:
    found = Counter(row.classed for row in rows if spec_of(row) == spec and family in (None, row.family))
    text = Text()
    for classed, (letter, _) in LETTERS.items():
        if found[classed]:
            text.append(
                f"{' ' if text else ''}{found[classed]}{letter}", style="bold" if classed == Class.DEFECT else ""
            )
    return text


def _legend(out: Console) -> None:
    for letter, words in LETTERS.values():
        out.print(f"  {letter}  {words}")
    out.print()


def _listed(rows: Sequence[ConventionRow], classed: Class, title: str, out: Console) -> None:
    """One line per case and answer; of the conventions only those where backends differ."""
    lines = []
    for case in dict.fromkeys(row.case for row in rows):
        found = [row for row in rows if row.case == case and row.classed == classed]
        answers: dict[str, list[str]] = {}
        for row in found:
            answers.setdefault(answer(row), []).append(spec_of(row))
        if classed == Class.DEFECT or len(answers) > 1:
            right = expected(found[0]) if found else ""
            lines += [(case, words, right, ", ".join(_short(specs))) for words, specs in answers.items()]
    if not lines:
        return
    table = plain_table(title)
    for name in ("case", "answer", "right", "backends"):
        table.add_column(name, overflow="fold")
    previous = ""
    for case, words, right, specs in lines:
        first = case != previous
        table.add_row(case if first else "", words, right if first else "", specs)
        previous = case
    out.print(table)
    out.print()


def _short(specs: Sequence[str]) -> list[str]:
    """``jax, jax:eager`` is shown as ``jax +eager``."""
    short: dict[str, list[str]] = {}
    for spec in order(specs):
        name, _, variant = spec.partition(":")
        short.setdefault(name, []).append(variant)
    return [
        " ".join(
            [name if "" in variants else "", *(f"+{v}" if "" in variants else f"{name}:{v}" for v in variants if v)]
        ).strip()
        for name, variants in short.items()
    ]


def answer(row: ConventionRow) -> str:
    """A backend's answer in a few characters."""
    if row.obtained == "[]" and row.message:
        return _cut(row.message.split("; ")[-1].split(": ")[0], _ANSWER)
    return _cut(_vector(json.loads(row.obtained)), _ANSWER)


def expected(row: ConventionRow) -> str:
    """What is right, in a few characters."""
    if row.right.startswith("undefined"):
        return "-"
    if row.right.startswith("kink"):
        return _cut(_ranges(json.loads(row.hull)), _ANSWER)
    return _cut(_vector(json.loads(row.expected)), _ANSWER)


def _ranges(hull: Sequence[Sequence[Any]]) -> str:
    return ", ".join(_number(low) if low == high else f"[{_number(low)}, {_number(high)}]" for low, high in hull)


def _vector(entries: Any) -> str:
    if not isinstance(entries, list):
        return _number(entries)
    return ", ".join(_vector(entry) for entry in entries) if entries else "nothing"


def _number(value: Any) -> str:
    if isinstance(value, str):
        return value
    if abs(value) < 1e-9 and abs(value) > 1e-15:
        value = 0.0
    return f"{value + 0.0:.4g}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def sentence(rows: Sequence[ConventionRow], specs: Sequence[str]) -> str:
    """What was found, in words."""
    cases = dict.fromkeys(row.case for row in rows)
    families = len(dict.fromkeys(row.family for row in rows))
    defects = [f"{sum(r.classed == Class.DEFECT and spec_of(r) == s for r in rows)} on {s}" for s in specs]
    differ = sum(
        len({answer(r) for r in rows if r.case == case and r.classed == Class.CONVENTION}) > 1 for case in cases
    )
    return (
        f"{len(cases)} cases in {families} families on {len(specs)} backends. Conventions differ in {differ}. "
        f"Defects: {', '.join(defects)}."
    )


def explain(rows: Sequence[ConventionRow], out: Console) -> None:
    """One case in full: the derivation, each backend's answer with its evidence, the safe way to write it."""
    if not rows:
        out.print("This case is not asked in that dtype.")
        return
    first = rows[0]
    _field(out, "case", f"{first.case} ({first.family})")
    _field(out, "function", first.function)
    _field(
        out,
        "at",
        ", ".join(
            _vector(part) if not isinstance(part, list) else f"[{_vector(part)}]" for part in json.loads(first.point)
        ),
    )
    _field(
        out,
        "asked for",
        {"second": "second derivatives", "answer": "gradient, in the framework's idiom"}.get(
            first.operator, first.operator
        ),
    )
    _field(out, "right", _right(first))
    _field(out, "because", first.derivation)
    _field(out, "write", first.safe or "it as it stands")
    for row in rows:
        out.print()
        _answered(row, out)


def _right(row: ConventionRow) -> str:
    words = row.right.partition(": ")[2]
    if row.right.startswith("undefined"):
        return f"nothing: {words}"
    given = json.loads(row.expected)
    if row.right.startswith("kink"):
        corners = ", ".join(f"({_vector(v)})" if isinstance(v, list) else _number(v) for v in given)
        return f"any of the hull of {corners}{'; ' + words if words else ''}"
    return _vector(given)


def _answered(row: ConventionRow, out: Console) -> None:
    out.print(f"{spec_of(row)}, {row.dtype}: {LETTERS[Class(row.classed)][1].partition(':')[0]}", style="bold")
    if row.obtained != "[]":
        _field(out, "  derivative", _vector(json.loads(row.obtained)))
    if row.spelled:
        _field(out, "  spelled", row.spelled)
    if row.value == row.value or not row.value_agrees:
        wanted = "" if row.value_agrees else f", expected {_number(row.value_expected)}"
        _field(out, "  value", f"{_number(row.value)}{wanted}")
    if row.left != "[]":
        _field(out, "  from the left", _vector(json.loads(row.left)))
        _field(out, "  from the right", _vector(json.loads(row.right_side)))
    if row.right.startswith("kink") and row.hull != "[]":
        _field(
            out, "  hull", f"{_ranges(json.loads(row.hull))}; off by {row.distance:.1e}, allowed {row.tolerance:.1e}"
        )
    for name, words in (("  normalised", row.normalisation), ("  said", row.message)):
        if words:
            _field(out, name, words)


def _field(out: Console, name: str, words: str) -> None:
    lines = [part for line in words.splitlines() for part in textwrap.wrap(line, out.width - 18) or [""]]
    for k, line in enumerate(lines or [""]):
        out.print(f"{name if k == 0 else '':<17} {line}", soft_wrap=True)
