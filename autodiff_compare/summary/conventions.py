"""The atlas in the terminal: counts by family and backend, the defects, and one case in full."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from autodiff_compare.conventions.judgement import Class
from autodiff_compare.results.formatting import plural
from autodiff_compare.results.tables import ConventionRow
from autodiff_compare.summary.terminal import plain_table

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
#: Heads of the columns where the words are too long for one.
_HEADS = {"c": "conv.", "v": "value", "u": "undef.", "-": "n/a"}
#: Backends side by side in one table, and the widest answer in a list.
_ABREAST, _ANSWER = 4, 40


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
            _families(here, specs[start : start + _ABREAST], dtype, out)
        _totals(here, specs, out)
        _listed(here, Class.CONVENTION, f"Conventions that differ ({dtype}), with the hull", out)
        _listed(here, Class.DEFECT, f"Defects ({dtype}), with what is right", out)
        out.print(sentence(here, specs))


def _families(rows: Sequence[ConventionRow], specs: Sequence[str], dtype: str, out: Console) -> None:
    table = plain_table(f"Cases that do not simply agree ({dtype}; the letters: below)")
    table.add_column("family", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True, min_width=2)
    for spec in specs:
        table.add_column(spec.replace(":", "\n:"), no_wrap=True)
    for family in dict.fromkeys(row.family for row in rows):
        here = [row for row in rows if row.family == family]
        table.add_row(family, str(len({row.case for row in here})), *(_exceptions(here, spec) for spec in specs))
    out.print(table)
    out.print()


def _exceptions(rows: Sequence[ConventionRow], spec: str) -> Text:
    """Counts of every class but `agree`; a point where all agree."""
    found = Counter(row.classed for row in rows if spec_of(row) == spec)
    text = Text()
    for classed, (letter, _) in LETTERS.items():
        if classed != Class.AGREE and found[classed]:
            text.append(" " if text else "")
            text.append(f"{found[classed]}{letter}", style="bold" if classed == Class.DEFECT else "")
    return text or Text(".")


def _totals(rows: Sequence[ConventionRow], specs: Sequence[str], out: Console) -> None:
    table = plain_table("All cases")
    table.add_column("backend", no_wrap=True)
    for letter, words in LETTERS.values():
        table.add_column(f"{letter} {_HEADS.get(letter, words.partition(':')[0])}", justify="right")
    for spec in specs:
        found = Counter(row.classed for row in rows if spec_of(row) == spec)
        table.add_row(spec, *(str(found[classed]) for classed in LETTERS))
    out.print(table)
    for letter, words in LETTERS.values():
        if ":" in words:
            _wrapped(out, f"  {letter}  {words}", 5)
    out.print()


def _listed(rows: Sequence[ConventionRow], classed: Class, title: str, out: Console) -> None:
    """A line per case, wrapped: who answered what; of the conventions only those where backends differ."""
    lines = []
    asked = dict.fromkeys(map(spec_of, rows))
    for case in dict.fromkeys(row.case for row in rows):
        found = [row for row in rows if row.case == case and row.classed == classed]
        answers: dict[str, list[str]] = {}
        for row in found:
            answers.setdefault(answer(row), []).append(spec_of(row))
        if found and (classed == Class.DEFECT or len(answers) > 1):
            given = "; ".join(f"{words} {_short(specs, list(asked))}" for words, specs in answers.items())
            lines.append(f"{case} ({expected(found[0])}): {given}")
    if not lines:
        return
    out.print(title, style="bold")
    for line in lines:
        _wrapped(out, line, 4)
    out.print()


def _wrapped(out: Console, text: str, indent: int) -> None:
    out.print("\n".join(textwrap.wrap(text, out.width, subsequent_indent=" " * indent, break_on_hyphens=False)))


def _short(specs: Sequence[str], asked: Sequence[str]) -> str:
    """``jax`` for all ways of JAX that were asked; else one by one."""
    ways: dict[str, list[str]] = {}
    for spec in order(specs):
        ways.setdefault(spec.partition(":")[0], []).append(spec)
    every = {name: sum(spec.partition(":")[0] == name for spec in asked) for name in ways}
    return ", ".join(name if len(found) == every[name] else ", ".join(found) for name, found in ways.items())


def answer(row: ConventionRow) -> str:
    """A backend's answer in a few characters."""
    if row.obtained == "[]" and row.message:
        return _cut(row.message.partition("; ")[2].partition(": ")[0] or row.message, _ANSWER)
    words = _cut(_vector(json.loads(row.obtained)), _ANSWER)
    if row.classed == Class.DEFECT and words == expected(row):
        return f"{words}, off by {row.distance:.1g},"
    return words


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


def _nested(entries: Any) -> str:
    """An array as people write it."""
    return f"[{', '.join(map(_nested, entries))}]" if isinstance(entries, list) else _number(entries)


def _number(value: Any) -> str:
    """Four digits; what is left of a zero is a zero."""
    number = complex(value)
    if number.imag:
        return f"{number:.4g}"
    size = 0.0 if 1e-15 < abs(number.real) < 1e-9 else number.real
    return f"{size + 0.0:.4g}"


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
        f"{plural(len(cases), 'case')} in {plural(families, 'family', 'families')} on {plural(len(specs), 'backend')}. "
        f"Conventions differ in {differ}. "
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
    _field(out, "at", ", ".join(map(_nested, json.loads(first.point))))
    _field(
        out,
        "asked for",
        {"second": "second derivatives", "answer": "gradient, in the framework's idiom"}.get(
            first.operator, first.operator
        ),
    )
    _field(out, "right", _right(first))
    _field(out, "because", first.derivation)
    defect = any(row.classed == Class.DEFECT for row in rows)
    _field(out, "write", first.safe or ("no other way is known: mind the defects" if defect else "it as it stands"))
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
        _field(out, "  hull", f"{_ranges(json.loads(row.hull))}; {_off(row)}")
    for name, words in (("  normalised", row.normalisation), ("  said", row.message)):
        if words:
            _field(out, name, words)


def _off(row: ConventionRow) -> str:
    return f"off by {row.distance:.1g}, allowed {row.tolerance:.1g}" if row.distance > 0 else "inside"


def _field(out: Console, name: str, words: str) -> None:
    lines = [part for line in words.splitlines() for part in textwrap.wrap(line, out.width - 18) or [""]]
    for k, line in enumerate(lines or [""]):
        out.print(f"{name if k == 0 else '':<17} {line}", soft_wrap=True)
