"""The compiled mode: a function and its derivatives traced once, rewritten, and emitted as straight-line NumPy code.

Its rooms: `graph` captures the operations, `rewrite` simplifies them, `emit` writes the function (with `blocks` for
long vectors and `source` for single statements; `scalars` for single numbers), `compiled` is the object a user calls.
With ``f(x) = sum(x * x)``:

    capture     v0 = x * x;  v1 = sum(v0);  v2 = ones * x;  v3 = ones * x;  v4 = v2 + v3
    rewrite     ones * x is x, so v2 and v3 are x; the value is not asked for, so v0 and v1 are dead
    emit        def gradient(x0): return x0 + x0

>>> import numpy as np
>>> from backends.numpy_autodiff.compiler import compile
>>> gradient = compile(lambda x: np.sum(x * x), np.ones(3), operator="gradient")
>>> gradient(np.array([1.0, 2.0, 3.0]))
array([2., 4., 6.])
>>> "v0 = x0 + x0" in gradient.source
True
"""

from backends.numpy_autodiff.compiler.compiled import ALL_REWRITES, Compiled, compile
from backends.numpy_autodiff.compiler.graph import CompileError

__all__ = ["ALL_REWRITES", "CompileError", "Compiled", "compile"]
