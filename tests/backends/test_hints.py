"""Hints: the message of each framework for a spelling that it refuses, and the spelling that all accept."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import load, missing
from autodiff_compare.backends.bases.namespace import Namespace
from autodiff_compare.backends.hints import hint, lacking
from autodiff_compare.backends.interface import Absent
from autodiff_compare.vocabulary import Operator

X = np.array([1.0, -2.0, 0.5])


def _assigned(x: Any, xp: Any) -> Any:
    x[0] = 2.0
    return xp.sum(x)


def _in_place(x: Any, xp: Any) -> Any:
    z = xp.sqrt(x**2 + 1)
    z -= x / z
    return xp.sum(z)


def _filled(x: Any, xp: Any) -> Any:
    y = xp.zeros(3)
    y[0] = x[0]
    return xp.sum(y)


def _accumulated(x: Any, xp: Any) -> Any:
    total = xp.zeros(3)
    total += x * x
    return xp.sum(total)


#: What a user writes -> backends that refuse it, and words of the hint.
SPELLINGS: list[tuple[str, Callable[[Any, Any], Any], tuple[str, ...], str]] = [
    ("branch", lambda x, xp: xp.sum(x) if x[0] > 0 else x[1], ("tensorflow", "jax"), "xp.where"),
    ("mask", lambda x, xp: xp.sum(x[x > 0]), ("jax",), "xp.where(mask"),
    ("assignment", _assigned, ("tensorflow", "jax"), "xp.where"),
    ("entry by entry", _filled, ("numpy", "tensorflow", "jax"), "xp.stack"),
    ("accumulation", _accumulated, ("numpy",), "x = x - y in place of x -= y"),
    ("in place", _in_place, ("torch",), "x = x - y in place of x -= y"),
    ("method", lambda x, xp: x.cumsum()[-1], ("tensorflow",), "xp.cumulative_sum"),
    ("method of the standard", lambda x, xp: x.sum(), ("tensorflow",), "xp.sum(x)"),
    ("NumPy's name", lambda x, xp: xp.sum(xp.concatenate([x, x])), ("tensorflow",), "xp.concat"),
    ("NumPy's function", lambda x, xp: xp.sum(np.sin(x)), ("jax",), "xp.sin"),
    ("negative step", lambda x, xp: xp.sum(x[::-1] * x), ("torch",), "xp.flip"),
    ("torch's name", lambda x, xp: xp.sum(xp.cat([x, x])), ("numpy", "tensorflow", "jax"), "xp.concat"),
    ("method that the standard lacks", lambda x, xp: xp.sum(x.copy() ** 2), ("torch", "tensorflow"), "copy=True"),
    ("squeeze", lambda x, xp: xp.squeeze(x[:1]), ("torch", "tensorflow"), "axis=0"),
    ("axis by position", lambda x, xp: xp.sum(xp.sum(xp.reshape(x, (3, 1)), 1)), ("torch",), "axis=0"),
    ("dim for axis", lambda x, xp: xp.sum(x, dim=0), ("numpy", "torch", "jax"), "axis=0"),
    ("torch's logsumexp", lambda x, xp: xp.logsumexp(x), ("torch",), "xp.special.logsumexp"),
    ("shape in numbers", lambda x, xp: xp.sum(xp.reshape(x, 3, 1)), ("numpy", "torch", "jax"), "one tuple"),
    ("zeros in numbers", lambda x, xp: xp.sum(x + xp.zeros(3, 1)), ("numpy", "torch", "jax"), "one tuple"),
    ("xp of a number", lambda x, xp: xp.sqrt(2) * x[0], ("torch",), "math.sqrt"),
    ("two dtypes", lambda x, xp: xp.matmul(xp.arange(3), x), ("torch",), "xp.astype"),
    ("list of arrays", lambda x, xp: xp.sum([x[0], x[1]]), ("torch", "jax"), "xp.stack"),
    ("list of indices", lambda x, xp: xp.sum(x[[0, 1]]), ("jax",), "xp.asarray([0, 1])"),
    ("NumPy's array", lambda x, xp: xp.matmul(X, x), ("torch",), "xp.asarray(A)"),
    ("NumPy's sum", lambda x, xp: np.sum(x * x), ("torch",), "functions of xp"),
    ("math", lambda x, xp: math.sin(x[0]), ("torch", "jax"), "functions of xp"),
    ("round", lambda x, xp: round(x[0]) * x[1], ("torch", "numpy"), "xp.round"),
    ("misspelt", lambda x, xp: xp.summ(x), ("numpy", "torch", "tensorflow", "jax"), "did you mean xp.sum?"),
    ("misspelt in linalg", lambda x, xp: xp.linalg.vector_nrom(x), ("numpy", "jax"), "xp.linalg.vector_norm?"),
    ("misspelt in special", lambda x, xp: xp.special.expt(x), ("numpy", "torch", "jax"), "mean xp.special.expit?"),
    ("relu", lambda x, xp: xp.sum(xp.relu(x)), ("numpy", "jax"), "xp.maximum(x, 0.0)"),
    ("random numbers", lambda x, xp: xp.sum(xp.random.normal(size=3) * x), ("jax",), "drawn beforehand"),
    ("no result", lambda x, xp: None, ("torch", "jax"), "has to be an array"),
    ("several results", lambda x, xp: (x[0], x[1]), ("torch", "jax"), "xp.stack"),
    ("vector norm", lambda x, xp: xp.linalg.norm(x), ("tensorflow",), "xp.linalg.vector_norm"),
]
ROWS = [(name, f, backend, words) for name, f, backends, words in SPELLINGS for backend in backends]


@pytest.mark.parametrize(("name", "f", "backend", "words"), ROWS, ids=[f"{r[0]}-{r[2]}" for r in ROWS])
def test_a_refused_spelling_has_a_hint(name: str, f: Callable[..., Any], backend: str, words: str) -> None:
    opened = load(backend)
    if missing(opened) and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing(opened))}")
    opened.open()
    x = opened.to_var(X)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each framework raises its own
        opened.prepare(Operator.GRADIENT, lambda x: f(x, opened.xp), [x])(x)
    assert words in f"{caught.value} {hint(caught.value, opened.name, opened.xp)}"


def test_a_name_of_the_standard_that_a_namespace_lacks_is_named() -> None:
    class Names:
        linalg: Any = type("linalg", (), {})()

    xp = Names()
    for call, words in (
        (lambda: xp.acos, "mine has no xp.acos"),  # type: ignore[attr-defined]
        (lambda: xp.linalg.det, "mine has no xp.linalg.det"),
        (lambda: xp.nosuch, ""),  # type: ignore[attr-defined]
        (lambda: "text".acos, ""),  # type: ignore[attr-defined]
    ):
        with pytest.raises(AttributeError) as caught:
            call()
        assert lacking(caught.value, "mine", xp) == words
        assert not (words and hint(caught.value, "mine", xp)), "no other spelling of it helps"


@pytest.mark.parametrize(
    ("name", "told", "words"),
    [
        ("atan2", "mine has no complex step of atan2", ""),  # a name of the standard
        ("linalg.det", "mine has no xp.linalg.det", ""),
        ("concatenate", "mine has no xp.concatenate", "write xp.concat"),  # NumPy's name for another one
        ("nosuch", "mine has no xp.nosuch", ""),
    ],
)
def test_an_adapters_own_reason_is_kept(name: str, told: str, words: str) -> None:
    class Names(Namespace):
        def __getattr__(self, name: str) -> Any:
            if name == "atan2":
                raise Absent("mine has no complex step of atan2")
            return super().__getattr__(name)

    xp = Names("mine", {})
    with pytest.raises(Absent) as caught:
        _ = functools.reduce(getattr, name.split("."), xp)
    error = caught.value
    assert str(error) == told
    assert lacking(error, "mine", xp) == ""
    found = hint(error, "mine", xp)
    assert found.startswith(words)
    assert bool(found) == bool(words)
