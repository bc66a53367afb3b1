"""An explanation in words: what differs, at which line, both numbers, the right one, and whose fault it is."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Iterator, Sequence

from autodiff_compare.explaining.alone import Answer, Trial
from autodiff_compare.explaining.recording.program import Place
from autodiff_compare.explaining.records import COTANGENTS, SECOND, TANGENTS, VALUES, Entry, Explanation, Parted
from autodiff_compare.judge.comparison import in_digits
from autodiff_compare.plan.cases import Cell

_WIDTH = 80
_MARGIN = "  "
#: Stage -> the number that is compared, of an operation and one operand.
_COMPARED = {
    VALUES: "the value of {operation}",
    TANGENTS: "the tangent of {operation}",
    COTANGENTS: "the cotangent that {operation} passes back to {operand}",
    SECOND: "the derivative of the cotangent that {operation} passes back to {operand}",
}
#: Stage -> the number that is compared, of a tap.
_OF_A_TAP = {
    VALUES: "value",
    TANGENTS: "tangent",
    COTANGENTS: "cotangent",
    SECOND: "derivative of the cotangent",
}
#: Stage -> what the operation is given in the trial of it alone.
_GIVEN = {
    VALUES: "at the same operands",
    TANGENTS: "at the same operands and tangents",
    COTANGENTS: "at the same operands and cotangent",
    SECOND: "at the same operands, cotangent and tangents",
}
_FINE = ("right", "subgradient")


def subject_of(cell: Cell) -> str:
    """Return what was computed, in words."""
    return f"{cell.operator} of {cell.problem}, {cell.size}, {cell.dtype}"


def lines(found: Explanation, subject: str) -> Iterator[str]:
    """Yield the lines of an explanation, at most 80 columns wide but for quoted source.

    Parameters
    ----------
    found
        The explanation.
    subject
        What was computed, such as ``gradient of mine, small, float64``.
    """
    if found.result is None:
        yield from _wrapped(f"{found.a} and {found.b} agree within rounding: {subject}.")
        return
    yield from _wrapped(f"{found.a} and {found.b} part: {subject}.")
    yield ""
    yield from _numbers(f"{found.result.name}{_at(found.result)}", found.result, found, found.verdicts)
    yield ""
    parted = found.parted
    what = "taps" if parted is not None and _is_mark(parted) else "operations"
    for stage in found.stages[: -1 if parted else None]:
        yield f"{_MARGIN}The {stage} of all {what} agree within rounding."
    if parted is None:
        yield from _whole(found)
    elif _is_mark(parted):
        yield from _between(parted, found)
    else:
        yield from _operation(parted, found)


def _operation(parted: Parted, found: Explanation) -> Iterator[str]:
    inside = f" of the function that is differentiated at {_where(parted.within)}" if parted.within else ""
    yield from _wrapped(f"The {parted.stage} part at operation {parted.number} of {parted.count}{inside}:", _MARGIN)
    yield ""
    yield from _source(parted)
    yield ""
    if parted.shapes:
        yield from _shapes(parted, found)
        return
    what = _COMPARED[parted.stage].format(operation=_called(parted), operand=_operand(parted))
    yield from _numbers(f"{what}{_at(parted.entry)}", parted.entry, found)
    if parted.trial is not None:
        yield ""
        yield from _alone(parted, parted.trial, found)
    yield ""
    yield from _wrapped(conclusion(found))
    for place in parted.others:
        yield from _wrapped(
            f"Another operation differs on its own: {_where(place)}: {place.part or place.text}", _MARGIN
        )


def _shapes(parted: Parted, found: Explanation) -> Iterator[str]:
    """Yield the shapes of an operation's value, and which backend has another one than NumPy."""
    *shapes, right = parted.shapes
    yield f"{_MARGIN}the shape of the value of {_called(parted)}:"
    words = ["right" if shape == right else "wrong" for shape in shapes]
    yield from _table([(s, str(shape), w) for s, shape, w in zip((found.a, found.b), shapes, words, strict=True)])
    yield ""
    yield from _wrapped(conclusion(found))


def _is_mark(parted: Parted) -> bool:
    """Return whether a search between taps has found this."""
    return bool(parted.until)


def _between(parted: Parted, found: Explanation) -> Iterator[str]:
    """Yield the lines about a tap: the difference lies between it and another one."""
    yield f"{_MARGIN}The {parted.stage} part at {parted.entry.name}:"
    yield ""
    if parted.operation == "tap":
        yield from _source(parted)
        yield ""
    yield from _numbers(f"the {_OF_A_TAP[parted.stage]} of {parted.entry.name}{_at(parted.entry)}", parted.entry, found)
    yield ""
    yield from _wrapped(
        f"The difference arises between {parted.entry.name} and {parted.until}, whose {parted.stage}"
        " agree. More taps between them narrow it down."
    )


def conclusion(found: Explanation) -> str:
    """Return in one or two sentences which backend is wrong, as far as the trial of the operation tells."""
    parted = found.parted
    assert parted is not None, "without an operation there is no conclusion"
    trial, name = parted.trial, _called(parted)
    if parted.shapes:
        *shapes, right = parted.shapes
        off = [spec for spec, shape in zip((found.a, found.b), shapes, strict=True) if shape != right]
        return f"{' and '.join(off)} {'are' if len(off) > 1 else 'is'} wrong in {name}: NumPy gives shape {right}."
    if trial is None:
        return f"The first difference is in {name}. It was not tried alone, so neither is called wrong."
    words = {found.a: trial.a, found.b: trial.b}
    wrong = [spec for spec, answer in words.items() if answer.word == "wrong"]
    if parted.conventions or all(answer.word == "subgradient" for answer in words.values()):
        also = " or ".join(f"conventions --explain {case}" for case in parted.conventions)
        atlas = f" The atlas of conventions has this case: {also}." if also else ""
        return f"Both answers are right: {name} has a kink there, and each backend has its own convention.{atlas}"
    if len(wrong) == len(words) and all(math.isnan(answer.number) for answer in words.values()):
        return (
            f"Alone, {name} gives nan on both backends: its operand is outside of its domain, or at an end of it. Where"
            " xp.where takes another branch there, choose the operand too: xp.sqrt(xp.where(mask, x, 1.0))."
        )
    if wrong:
        return f"{' and '.join(wrong)} {'are' if len(wrong) > 1 else 'is'} wrong in {name}."
    unlike = [spec for spec, answer in words.items() if answer.word == "unlike NumPy"]
    if unlike:
        return (
            f"{' and '.join(unlike)} {'decide' if len(unlike) > 1 else 'decides'} otherwise than NumPy in {name}."
            " Rounding turns a decision only between operands that are equal or nearly so."
        )
    if all(answer.word in _FINE for answer in words.values()):
        return (
            f"Alone, {name} is right on both backends: the difference arises only together with the operations around"
            " it, as where a compiler joins them."
        )
    return f"The first difference is in {name}; the trial alone does not tell which backend is wrong."


def _whole(found: Explanation) -> Iterator[str]:
    yield from _wrapped(
        "No operation differs by itself. The difference arises only when a backend runs the function as a whole: from"
        " a compiler, from a loop's own derivative, from a branch that depends on values, or from the free signs of the"
        " vectors of a decomposition.",
        _MARGIN,
    )
    for place in found.decided[:5]:
        yield from _wrapped(f"A value decides at {_where(place)}: {place.text}", _MARGIN)


def _source(parted: Parted) -> Iterator[str]:
    place = parted.place
    label = f' (tap "{parted.label}")' if parted.label else ""
    times = f", call {parted.occurrence} of {parted.occurrences}" if parted.occurrences > 1 else ""
    yield f"{_MARGIN}{_where(place)}{label}{times}"
    yield f"{_MARGIN * 2}{place.text}"
    at = place.text.find(place.part) if place.part and place.part != place.text else -1
    if at >= 0:
        yield f"{_MARGIN * 2}{' ' * at}{'^' * len(place.part)}"
    within = parted.within
    if place.caller is not None and not (within and _where(within) == _where(place.caller)):
        yield f"{_MARGIN}called at {_where(place.caller)}"
        yield f"{_MARGIN * 2}{place.caller.text}"


def _numbers(title: str, entry: Entry, found: Explanation, words: Sequence[str] = ()) -> Iterator[str]:
    """Yield an entry of an array on both backends, each with a word about it."""
    yield from _wrapped(f"{title}:", _MARGIN)
    yield from _table(list(zip((found.a, found.b), in_digits(entry.a, entry.b), words or ("", ""), strict=True)))
    yield f"{_MARGIN * 2}{'rounding':<{_column([found.a, found.b])}}  +- {entry.tolerance:.2g}"


def _alone(parted: Parted, trial: Trial, found: Explanation) -> Iterator[str]:
    yield from _wrapped(f"{_called(parted)} alone, {_GIVEN[parted.stage]}:", _MARGIN)
    reference = trial.a.number if math.isnan(trial.reference) else trial.reference
    shown = in_digits(trial.a.number, trial.b.number, reference)
    answers = zip((found.a, found.b), (trial.a, trial.b), shown[:2], strict=True)
    rows = [(spec, *_answer(answer, number)) for spec, answer, number in answers]
    if not math.isnan(trial.reference):
        rows.append(("reference", shown[2], f"by {trial.source.replace('_', ' ')}"))
    yield from _table(rows)
    if trial.sides:
        yield from _wrapped(trial.sides, _MARGIN * 2)


def _answer(answer: Answer, number: str) -> tuple[str, str]:
    if math.isnan(answer.number) and answer.word not in ("right", "wrong", "subgradient"):
        return answer.word, answer.reason
    return number, answer.word


def _table(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield lines of a name, a number and a word."""
    name, number = _column([row[0] for row in rows]), max(len(row[1]) for row in rows)
    for first, second, third in rows:
        yield f"{_MARGIN * 2}{first:<{name}}  {second:<{number}}  {third}".rstrip()


def _column(names: Sequence[str]) -> int:
    return max(len("reference"), *map(len, names))


def _at(entry: Entry) -> str:
    return f", entry {entry.index}" if entry.index else ""


def _called(parted: Parted) -> str:
    name = parted.operation
    if name == "tap":
        return f'tap "{parted.label}"'
    return "indexing" if name == "[]" else name if name.strip(".")[0].isalpha() else f"the operator {name}"


def _operand(parted: Parted) -> str:
    return parted.entry.name if parted.entry.name.startswith("input ") else f"`{parted.entry.name}`"


def _where(place: Place) -> str:
    shown = os.path.relpath(place.file) if place.file else "?"
    return f"{place.file if shown.startswith('..') else shown}:{place.line}"


def _wrapped(text: str, margin: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False, break_long_words=False
    )
