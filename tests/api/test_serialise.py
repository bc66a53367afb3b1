"""Functions written down for another process: the same function there, or the reason why not."""

from __future__ import annotations

import importlib.util
import linecache
import pathlib
import sys
import textwrap
from functools import partial
from typing import Any

import numpy as np
import pytest

from autodiff_compare.api import serialise
from autodiff_compare.problems import DECLARATION

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
    sys.modules[spec.name] = module  # a dataclass looks up its module, and the loader of problem files puts it there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
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
        "class K: a = 2.0\nk = K()\ndef f(x, xp): return xp.sum(x * k.a)",
        "class K: a = 1.0\nK.a = 2.0\ndef f(x, xp): return xp.sum(x * K.a)",
        "class K:\n    def __init__(self, a): self.__a = a\n    def __call__(self, x, xp): "
        "return xp.sum(x) * self.__a\nf = K(2.0)",
        "class K:\n    __slots__ = ('a',)\n    def g(self, x, xp): return xp.sum(x) * self.a\n"
        "k = K()\nk.a = 2.0\nf = k.g",
        "class B:\n    def g(self, x, xp): return xp.sum(x)\nclass K(B):\n"
        "    def g(self, x, xp): return 2.0 * super().g(x, xp)\nf = K().g",
        "import numpy as np\nfrom dataclasses import dataclass\n@dataclass\nclass K:\n    a: np.ndarray\n"
        "    n: float = 2.0\nk = K(np.ones(2))\ndef f(x, xp): return xp.sum(x * xp.asarray(k.a)) * k.n",
        "class K:\n    @classmethod\n    def f(cls, x, xp): return cls.n * xp.sum(x)\n    n = 2.0\nf = K.f",
        "class K:\n    @property\n    def n(self): return 2.0\nk = K()\ndef f(x, xp): return k.n * xp.sum(x)",
        "M = 2.0\nclass K:\n    def h(self): return M\nks = [K(), {'a': K()}]\n"
        "def f(x, xp): return ks[1]['a'].h() * xp.sum(x)",
        "import functools\n@functools.cache\ndef n(k): return 1.0 if k < 2 else 2.0 * n(k - 1)\n"
        "def f(x, xp): return n(2) * xp.sum(x)",
        "import enum\nclass E(enum.Enum):\n    TWO = 2.0\ndef f(x, xp): return E.TWO.value * xp.sum(x)",
        "from collections import namedtuple, OrderedDict\nd = OrderedDict(a=2.0)\n"
        "def f(x, xp): return d['a'] * xp.sum(x)",
        "def objective(x, xp): return xp.sum(x)\ndef f(x, xp): return 2.0 * objective(x, xp)",
        "def objective(x, xp): return 2.0 * xp.sum(x)\nf = objective",
        "TYPICAL = SIZES = 2.0\ndef f(x, xp): return xp.sum(x * TYPICAL) * SIZES / TYPICAL",
        "import numpy as np\nINPUTS = np.array([2.0, 2.0])\ndef f(x, xp): return xp.sum(x * INPUTS)",
        "_arrays, _numpy, _sys, _io, _found = 2.0, 3.0, 3.0, 5.0, 5.0\nimport numpy as np\nk = np.array([1.0, 1.0])\n"
        "def f(x, xp): return xp.sum(x * k) * _arrays * _numpy / _sys * _io / _found",
        "PROBLEM = PROBLEMS = 2.0\nSAMPLES = 1.0\ndef f(x, xp): return xp.sum(x) * PROBLEM * SAMPLES",
        "def f(x, xp):\n    # a comment\n    return xp.sum(xp.stack([x[i] * 2.0 for i in range(2)]))",
    ],
)
def test_a_function_that_is_sent_is_the_same_function(text: str, tmp_path: pathlib.Path) -> None:
    """All of them are ``2 sum(x)``."""
    f = defined(text, "f", tmp_path)
    path = serialise.write(tmp_path, "sent", f, {}, [np.array([3.0, 4.0])])
    declared = getattr(loaded(path), DECLARATION)
    assert declared["objective"](np.array([3.0, 4.0]), xp=np) == f(np.array([3.0, 4.0]), xp=np) == 14.0
    np.testing.assert_array_equal(declared["INPUTS"][0], [3.0, 4.0])
    assert "__main__" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from threading import Lock\nk = Lock()\ndef f(x, xp): return x if k else 0", "k is of type lock, which"),
        ("from threading import Lock\nclass K: l = 0\nk = K()\nk.l = Lock()\ndef f(x, xp): return k", "k is of type K"),
        ("k = []\nk.append(k)\ndef f(x, xp): return x * k[0]", "data that contain themselves"),
        ("exec('class K:\\n    def g(self, x, xp): return x')\nf = K().g", "class K has no method by which"),
        ("def f(x, xp):\n    global count\n    count = 1\n    return x", "assigns count"),
        ("def f(x, xp): return nosuch(x)", "nosuch in f has no value"),
        ("def g(k):\n    def f(x, xp):\n        nonlocal k\n        k += 1\n    return f\nf = g(1)", "assigns k"),
        ("f, g = lambda x, xp: x, lambda x, xp: x", "shares its line"),
        ("def g(): yield 1.0\nR = g()\ndef f(x, xp): return x * next(R)", "R is of type generator, which cannot be"),
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
    assert "'objective': tests.api.test_serialise.quadratic," in text
    bound = partial(quadratic, xp=np)
    with pytest.raises(serialise.NotSendable, match="xp of quadratic is of type module"):
        serialise.write(tmp_path, "sent", bound, {}, [])
