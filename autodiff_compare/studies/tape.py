"""Put the questions of ``problems/tape.py`` to a backend, in its own idiom, and compare the answers.

The idiom is source text that sets ``answer``; it is run as it stands, so that the table shows what was run.
"""

from __future__ import annotations

import json
import textwrap
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend
from autodiff_compare.problems import Problem, Question

#: What an idiom raises when it is misspelt: never the framework's answer.
_DEFECTS = (SyntaxError, NameError, ImportError, AttributeError)

#: An idiom may use its framework's default precision: float32, a few roundings of the power rule.
_RELATIVE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Answer:
    """One row of ``questions.csv``.

    Parameters
    ----------
    backend, question, asked
        Who was asked, and what.
    expected, obtained
        JSON: a number, nested lists, ``"none"`` (no gradient), ``"error"``; ``obtained`` can also be
        ``"not_asked"`` (the adapter has no idiom for it) or ``"broken_idiom"`` (a misspelt idiom, see ``message``).
    equal
        Whether ``obtained`` is ``expected``, to 1e-6 of its largest entry, with the same shape.
    convention
        Where it is not: what the framework legitimately does instead; empty if nothing excuses it.
    message
        The exception or warning with which the framework answered.
    spelled
        The source text that was run.
    """

    backend: str
    question: str
    asked: str
    expected: str
    obtained: str
    equal: bool
    convention: str
    message: str
    spelled: str


def ask(backend: Backend, question: Question) -> Answer:
    """Run the idiom of an opened backend for one question; never raises what the idiom raises."""
    spelled = textwrap.dedent(backend.idioms.get(question.name, "")).strip()
    obtained, message = _run(backend, spelled)
    equal = _same(obtained, question.expected)
    conventions = [words for words, other in question.conventions.items() if _same(obtained, other)]
    return Answer(
        backend=backend.spec,
        question=question.name,
        asked=question.asked,
        expected=json.dumps(question.expected),
        obtained=json.dumps(obtained),
        equal=equal,
        convention="" if equal else "; ".join(conventions),
        message=message,
        spelled=spelled,
    )


def ask_all(backend: Backend, problem: Problem) -> list[Answer]:
    """The answers of one backend; none if it has no idioms at all (it is not a system a person writes code for)."""
    return [ask(backend, question) for question in problem.questions] if backend.idioms else []


def _run(backend: Backend, source: str) -> tuple[Any, str]:
    """The plain answer and what the framework said along with it."""
    if not source:
        return "not_asked", f"{backend.name} has no idiom for this question"
    names: dict[str, Any] = dict(backend.idiom_scope())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            exec(compile(source, f"<idiom of {backend.name}>", "exec"), names)
            if "answer" not in names:
                return "broken_idiom", "it sets no name `answer`"
            answer = _plain(backend, names["answer"])
        except _DEFECTS as defect:
            return "broken_idiom", _one_line(defect)
        except Exception as error:
            return "error", _one_line(error)
    return answer, "; ".join(dict.fromkeys(_one_line(w.message) for w in said))


def _plain(backend: Backend, answer: Any) -> Any:
    """Nested lists of floats, ``"none"`` for `None`."""
    if answer is None:
        return "none"
    if isinstance(answer, str):
        return answer
    if isinstance(answer, (list, tuple)):
        return [_plain(backend, part) for part in answer]
    is_plain = isinstance(answer, (bool, int, float, np.ndarray, np.generic))
    return np.asarray(answer if is_plain else backend.to_numpy(answer), dtype=float).tolist()


def _same(obtained: Any, expected: Any) -> bool:
    """Equal words, or numbers of equal shape within rounding; NaN equals nothing."""
    if _wordy(obtained) or _wordy(expected):
        return bool(obtained == expected)
    a, b = np.asarray(obtained, dtype=float), np.asarray(expected, dtype=float)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= _RELATIVE_TOLERANCE * np.max(np.abs(b), initial=0.0)))


def _wordy(answer: Any) -> bool:
    """Whether an answer holds a word anywhere."""
    return any(map(_wordy, answer)) if isinstance(answer, list) else isinstance(answer, str)


def _one_line(error: object) -> str:
    first = str(error).strip().splitlines()[0:1]
    return f"{type(error).__name__}: {''.join(first)}"[:300]
