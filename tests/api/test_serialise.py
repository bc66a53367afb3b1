"""Functions written down for another process: the same function there, or the reason why not."""

from __future__ import annotations

import importlib.util
import linecache
import pathlib
import textwrap
from functools import partial
from typing import Any

import numpy as np
import pytest

from autodiff_compare.api import serialise

A = np.array([[2.0, 1.0], [1.0, 3.0]])


def quadratic(x: Any, xp: Any) -> Any:
    return 0.5 * xp.sum(x * (xp.asarray(A, dtype=x.dtype) @ x))


def defined(text: str, name: str, folder: pathlib.Path) -> Any:
    """A function of the script that runs: a module called ``__main__`` that nobody can import."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text))
    linecache.checkcache()
    scope: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    return scope[name]


def loaded(path: pathlib.Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "text",
    [
        "def f(x, xp): return xp.sum(x * 2.0)",
        "f = lambda x, xp: xp.sum(x * 2.0)",
        "f = g = (lambda x, xp: xp.sum(x * 2.0)); h = lambda x, xp: xp.sum(x * 3.0)",
        "K = 2.0\ndef f(x, xp): return xp.sum(x * K)",
        "K = [2.0, {'a': 2.0}]\ndef f(x, xp): return xp.sum(x * K[1]['a'])",
        "import numpy as np\nK = np.array([2.0, 2.0])\ndef f(x, xp): return xp.sum(x * xp.asarray(K))",
        "import math as m\ndef f(x, xp): return xp.sum(x) * m.sqrt(4.0)",
        "def h(x): return 2.0 * x\ndef f(x, xp): return xp.sum(h(x))",
        "def f(x, xp, n=[1.0, 2.0].pop()): return xp.sum(x) * n",
        "def f(x, xp, *, n=2.0): return xp.sum(x) * n",
        "def make(k):\n    def f(x, xp):\n        return xp.sum(x * k)\n    return f\nf = make(2.0)",
        "def f(x, xp):\n    def h(y):\n        return 2.0 * y\n    return xp.sum(h(x))",
        "def fact(n): return 1.0 if n < 2 else n * fact(n - 1)\ndef f(x, xp): return fact(2) * xp.sum(x)",
        "from functools import partial\ndef g(k, x, xp, n): return n * k * xp.sum(x)\nf = partial(g, 0.5, n=4)",
        "from math import sqrt\ndef f(x, xp): return xp.sum(x) * sqrt(4)",
        "def d(f): return f\n@d\ndef f(x, xp): return 2.0 * xp.sum(x)",
        "from functools import wraps\ndef d(f):\n    @wraps(f)\n    def g(*a, **k): return 2.0 * f(*a, **k)\n"
        "    return g\n@d\ndef f(x, xp): return xp.sum(x)",
        "class K:\n    @staticmethod\n    def f(x, xp): return 2.0 * xp.sum(x)\nf = K.f",
        "k = (float('inf'), range(2), slice(0, 9), {1}, set(), {'a': (2.0,)}, -float('nan'))\n"
        "def f(x, xp): return xp.sum(x[k[2]]) * k[5]['a'][0] / (1.0 if k[0] > 1 and k[3] and k[6] != k[6] else 0.0)",
        "def f(x, xp, k=lambda x: 2.0 * x): return k(xp.sum(x))",
        "def f(x, xp):\n    # a comment\n    return xp.sum(xp.stack([x[i] * 2.0 for i in range(2)]))",
    ],
)
def test_a_function_that_is_sent_is_the_same_function(text: str, tmp_path: pathlib.Path) -> None:
    """All of them are ``2 sum(x)``."""
    f = defined(text, "f", tmp_path)
    path = serialise.write(tmp_path, "sent", f, {}, [np.array([3.0, 4.0])])
    module = loaded(path)
    assert module.objective(np.array([3.0, 4.0]), xp=np) == f(np.array([3.0, 4.0]), xp=np) == 14.0
    np.testing.assert_array_equal(module.INPUTS[0], [3.0, 4.0])
    assert "__main__" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class K: a = 2\nk = K()\ndef f(x, xp): return x * k.a", "k is of type K, expected plain data"),
        ("k = []\nk.append(k)\ndef f(x, xp): return x * k[0]", "data that contain themselves"),
        ("import functools\n@functools.cache\ndef f(x, xp): return x", "no function with a source"),
        ("def f(x, xp):\n    global count\n    count = 1\n    return x", "assigns count"),
        ("def f(x, xp): return nosuch(x)", "nosuch in f has no value"),
        ("def g(k):\n    def f(x, xp):\n        nonlocal k\n        k += 1\n    return f\nf = g(1)", "assigns k"),
        ("f, g = lambda x, xp: x, lambda x, xp: x", "shares its line"),
        ("import random\nR = random.Random(0)\ndef f(x, xp): return x * R.random()", "R is of type Random"),
        ("exec('def f(x, xp): return x')", "cannot be read"),
        ("import sys\ndef f(x, xp): return x\nsys.modules[__name__]", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_says_why(text: str, words: str, tmp_path: pathlib.Path) -> None:
    f = defined(text, "f", tmp_path)
    if not words:
        assert serialise.write(tmp_path, "sent", f, {}, []).is_file()
        return
    with pytest.raises(serialise.NotSendable, match=words):
        serialise.write(tmp_path, "sent", f, {}, [])


def test_a_function_of_a_module_is_imported_from_there(tmp_path: pathlib.Path) -> None:
    text = serialise.write(tmp_path, "sent", quadratic, {}, []).read_text()
    assert "import tests.api.test_serialise\n" in text
    assert "objective = tests.api.test_serialise.quadratic" in text
    bound = partial(quadratic, xp=np)
    with pytest.raises(serialise.NotSendable, match="xp of quadratic is of type module"):
        serialise.write(tmp_path, "sent", bound, {}, [])
