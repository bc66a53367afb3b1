"""The tape study: ask each backend the questions of ``problems/tape.py`` in its own idiom, and compare the answers.

A question is about the interface of an AD system, for instance whether it raises an error for a vector output without a
cotangent. A backend's idiom for it is source text that sets ``answer``. It runs unchanged, so the table shows exactly
what was run. The expected answers stand beside the questions (``Question.expected``); the tests are in
``tests/studies/test_tape.py``.
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

#: Exceptions of a misspelt idiom; they are never the framework's answer.
_DEFECTS = (SyntaxError, NameError, ImportError, AttributeError)

#: An idiom may use its framework's default dtype: a few roundings of the power rule in float32.
_RELATIVE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Answer:
    """One row of ``questions.csv``.

    Parameters
    ----------
    backend
        Backend that was asked, ``name[:variant]``.
    question, asked
        Name of the question, and its text.
    expected, obtained
        JSON: a number, nested lists, ``"none"`` (no gradient), ``"error"``; ``obtained`` can also be
        ``"not_asked"`` (the adapter has no idiom for it) or ``"broken_idiom"`` (a misspelt idiom, see ``message``).
    equal
        Whether ``obtained`` equals ``expected`` within 1e-6 of its largest entry, with the same shape.
    convention
        If not equal: the legitimate behaviour of the framework instead; empty if there is none.
    message
        Exception or warning of the framework.
    spelled
        Source text that was run.
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
    """Run the idiom of an opened backend for one question; its exceptions are recorded, not raised."""
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
    """Return the answers of one backend; none for a backend without idioms, such as ``manual``."""
    return [ask(backend, question) for question in problem.questions] if backend.idioms else []


def _run(backend: Backend, source: str) -> tuple[Any, str]:
    """Return the answer as plain lists, and the exception or warnings of the framework."""
    if not source:
        return "not_asked", f"{backend.name} has no idiom for this question"
    names: dict[str, Any] = dict(backend.idiom_scope())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            exec(compile(source, f"<idiom of {backend.name}>", "exec"), names)
            if "answer" not in names:
                return "broken_idiom", "the idiom does not set the name `answer`"
            answer = _plain(backend, names["answer"])
        except _DEFECTS as defect:
            return "broken_idiom", _one_line(defect)
        except Exception as error:
            return "error", _one_line(error)
    return answer, "; ".join(dict.fromkeys(_one_line(w.message) for w in warned))


def _plain(backend: Backend, answer: Any) -> Any:
    """Convert an answer to nested lists of floats, and `None` to ``"none"``."""
    if answer is None:
        return "none"
    if isinstance(answer, str):
        return answer
    if isinstance(answer, (list, tuple)):
        return [_plain(backend, part) for part in answer]
    is_plain = isinstance(answer, (bool, int, float, np.ndarray, np.generic))
    return np.asarray(answer if is_plain else backend.to_numpy(answer), dtype=float).tolist()


def _same(obtained: Any, expected: Any) -> bool:
    """Return whether words are equal, or numbers have equal shapes and agree within rounding; nan equals nothing."""
    if _has_words(obtained) or _has_words(expected):
        return bool(obtained == expected)
    a, b = np.asarray(obtained, dtype=float), np.asarray(expected, dtype=float)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= _RELATIVE_TOLERANCE * np.max(np.abs(b), initial=0.0)))


def _has_words(answer: Any) -> bool:
    """Return whether an answer has a word at any depth."""
    return any(map(_has_words, answer)) if isinstance(answer, list) else isinstance(answer, str)


def _one_line(error: object) -> str:
    first = str(error).strip().splitlines()[0:1]
    return f"{type(error).__name__}: {''.join(first)}"[:300]
