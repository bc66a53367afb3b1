"""The atlas of conventions in the terminal: counts by family and backend, defects, one case in full."""

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
from autodiff_compare.results.rows import ConventionRow
from autodiff_compare.summary.terminal import plain_table
from autodiff_compare.vocabulary import join_spec, split_spec

#: Class -> its letter in a count, and its meaning.
LETTERS = {
    Class.AGREE: ("a", "agree: the derivative exists, and the answer is equal to it"),
    Class.CONVENTION: ("c", "convention: no derivative exists, and the answer is in the hull of those nearby"),
    Class.VALUE: ("v", "value differs: the function has another value, by its definition or by an overflow"),
    Class.DEFECT: ("D", "defect: a wrong derivative, nan, or an exception where a right answer exists"),
    Class.UNDEFINED: ("u", "undefined: no answer is right, or the chain rule finds none"),
    Class.ERROR: ("e", "error: the backend raises an exception, which the case allows"),
    Class.NOT_AVAILABLE: ("-", "not available: no such function or no derivative rule"),
}
#: Letter -> heading of its column, where the words are too long.
_HEADS = {"c": "conv.", "v": "value", "u": "undef.", "-": "n/a"}
#: Backends in one table, and the longest answer in a list.
_BACKENDS, _ANSWER = 4, 40


def spec_of(row: ConventionRow) -> str:
    """Return the backend of a row, ``name[:variant]``."""
    return join_spec(row.backend, row.variant)


def order(specs: Sequence[str]) -> list[str]:
    """Sort backends: defaults before variants, the well-known four before others."""
    known = ("numpy", "torch", "tensorflow", "jax")
    return sorted(
        specs, key=lambda s: (":" in s, known.index(split_spec(s)[0]) if split_spec(s)[0] in known else len(known), s)
    )


def overview(rows: Sequence[ConventionRow], out: Console) -> None:
    """Print counts, conventions that differ, defects, and the result in a sentence, for each dtype."""
    _legend(out)
    for dtype in dict.fromkeys(row.dtype for row in rows):
        here = [row for row in rows if row.dtype == dtype]
        specs = order(list(dict.fromkeys(map(spec_of, here))))
        for start in range(0, len(specs), _BACKENDS):
            _families(here, specs[start : start + _BACKENDS], dtype, out)
        _totals(here, specs, out)
        _listed(
            here,
            Class.CONVENTION,
            f"Conventions that differ ({dtype}); in brackets: the right range of each entry",
            out,
        )
        _listed(here, Class.DEFECT, f"Defects ({dtype}); in brackets: the right answer", out)
        out.print(sentence(here, specs))


def _legend(out: Console) -> None:
    out.print("Classes of answers", style="bold")
    for letter, meaning in LETTERS.values():
        _wrapped(out, f"  {letter}  {meaning}", 5)
    out.print()


def _families(rows: Sequence[ConventionRow], specs: Sequence[str], dtype: str, out: Console) -> None:
    table = plain_table(f"Answers that do not agree, by family and class ({dtype})")
    table.add_column("family", no_wrap=True)
    table.add_column("cases", justify="right", no_wrap=True)
    for spec in specs:
        table.add_column(spec.replace(":", "\n:"), no_wrap=True)
    for family in dict.fromkeys(row.family for row in rows):
        here = [row for row in rows if row.family == family]
        table.add_row(family, str(len({row.case for row in here})), *(_exceptions(here, spec) for spec in specs))
    out.print(table)
    out.print()


def _exceptions(rows: Sequence[ConventionRow], spec: str) -> Text:
    """Return the counts of every class but `agree`; a dot if all agree."""
    found = Counter(row.classed for row in rows if spec_of(row) == spec)
    text = Text()
    for classed, (letter, _) in LETTERS.items():
        if classed != Class.AGREE and found[classed]:
            text.append(" " if text else "")
            text.append(f"{found[classed]}{letter}", style="bold" if classed == Class.DEFECT else "")
    return text or Text(".")


def _totals(rows: Sequence[ConventionRow], specs: Sequence[str], out: Console) -> None:
    table = plain_table("Number of answers by class")
    table.add_column("backend", no_wrap=True)
    for letter, words in LETTERS.values():
        table.add_column(f"{letter} {_HEADS.get(letter, words.partition(':')[0])}", justify="right")
    for spec in specs:
        found = Counter(row.classed for row in rows if spec_of(row) == spec)
        table.add_row(spec, *(str(found[classed]) for classed in LETTERS))
    out.print(table)
    out.print()


def _listed(rows: Sequence[ConventionRow], classed: Class, title: str, out: Console) -> None:
    """Print each case of a class with its answers; of the conventions, only the cases where backends differ."""
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
    """Return the backends as a list, with ``jax`` for all variants of JAX if all gave the answer."""
    ways: dict[str, list[str]] = {}
    for spec in order(specs):
        ways.setdefault(split_spec(spec)[0], []).append(spec)
    every = {name: sum(split_spec(spec)[0] == name for spec in asked) for name in ways}
    return ", ".join(name if len(found) == every[name] else ", ".join(found) for name, found in ways.items())


def answer(row: ConventionRow) -> str:
    """Return a backend's answer in at most 40 characters."""
    if row.obtained == "[]" and row.message:
        return _cut(row.message.partition("; ")[2].partition(": ")[0] or row.message, _ANSWER)
    words = _cut(_vector(json.loads(row.obtained)), _ANSWER)
    if row.classed == Class.DEFECT and words == expected(row):
        return f"{words}, off by {row.distance:.1g},"
    return words


def expected(row: ConventionRow) -> str:
    """Return the right answer in at most 40 characters."""
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
    """Return an array as nested lists."""
    return f"[{', '.join(map(_nested, entries))}]" if isinstance(entries, list) else _number(entries)


def _number(value: Any) -> str:
    """Return a number with four digits; rounding errors of a zero are a zero."""
    number = complex(value)
    if number.imag:
        return f"{number:.4g}"
    size = 0.0 if 1e-15 < abs(number.real) < 1e-9 else number.real
    return f"{size + 0.0:.4g}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def sentence(rows: Sequence[ConventionRow], specs: Sequence[str]) -> str:
    """Return the result in a sentence: cases, conventions that differ, defects of each backend."""
    cases = dict.fromkeys(row.case for row in rows)
    families = len(dict.fromkeys(row.family for row in rows))
    per = Counter(spec_of(row) for row in rows if row.classed == Class.DEFECT)
    defects = [f"{per[spec]} on {spec}" for spec in specs if per]
    differ = sum(
        len({answer(r) for r in rows if r.case == case and r.classed == Class.CONVENTION}) > 1 for case in cases
    )
    return (
        f"{plural(len(cases), 'case')} in {plural(families, 'family', 'families')} on {plural(len(specs), 'backend')}. "
        f"Conventions differ in {differ}. "
        f"Defects: {', '.join(defects) or 'none'}."
    )


def explain(rows: Sequence[ConventionRow], out: Console) -> None:
    """Print one case in full: its derivation, the safe way to write it, each backend's answer with its evidence."""
    if not rows:
        out.print("The atlas does not have this case in that dtype.")
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
    _field(out, "write", first.safe or ("no safe way is known" if defect else "the function as it is"))
    for row in rows:
        out.print()
        _answered(row, out)


def _right(row: ConventionRow) -> str:
    words = row.right.partition(": ")[2]
    if row.right.startswith("undefined"):
        return f"no answer: {words}"
    given = json.loads(row.expected)
    if row.right.startswith("kink"):
        corners = ", ".join(f"({_vector(v)})" if isinstance(v, list) else _number(v) for v in given)
        return f"any point of {words}, such as {corners}" if words else f"any point in the convex hull of {corners}"
    return _vector(given)


def _answered(row: ConventionRow, out: Console) -> None:
    out.print(f"{spec_of(row)}, {row.dtype}: {LETTERS[Class(row.classed)][1].partition(':')[0]}", style="bold")
    if row.obtained != "[]":
        _field(out, "  derivative", _vector(json.loads(row.obtained)))
    if row.spelled:
        _field(out, "  source", row.spelled)
    if row.value == row.value or not row.value_agrees:
        wanted = "" if row.value_agrees else f", expected {_number(row.value_expected)}"
        _field(out, "  value", f"{_number(row.value)}{wanted}")
    if row.left != "[]":
        _field(out, "  from the left", _vector(json.loads(row.left)))
        _field(out, "  from the right", _vector(json.loads(row.right_side)))
    if row.right.startswith("kink") and row.hull != "[]":
        ranges = json.loads(row.hull)
        # The ranges of the entries alone would be a box, of which the hull is a part.
        _field(out, "  hull" if len(ranges) == 1 else "  hull, by entry", f"{_ranges(ranges)}; {_off(row)}")
    for name, words in (("  normalised", row.normalisation), ("  message", row.message)):
        if words:
            _field(out, name, words)


def _off(row: ConventionRow) -> str:
    if not row.distance > 0 or row.distance <= row.tolerance:  # the distance of a point inside is a rounding
        return "the answer is inside"
    return f"the answer is {row.distance:.1g} outside, allowed is {row.tolerance:.1g}"


def _field(out: Console, name: str, words: str) -> None:
    lines = [part for line in words.splitlines() for part in textwrap.wrap(line, out.width - 18) or [""]]
    for k, line in enumerate(lines or [""]):
        out.print(f"{name if k == 0 else '':<17} {line}", soft_wrap=True)
