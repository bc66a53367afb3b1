"""The compiled mode: a function and its derivatives traced once, rewritten, and emitted as straight-line NumPy code.

`graph` captures the operations, `roll` makes loops of those that repeat (found by `periods`; `loop` says what one is
and rewrites it), `rewrite` simplifies them (with `factors` for sums), `emit` writes the function (with `blocks` for
long vectors, `rounds` for loops and `source` for single statements; `scalars` for single numbers), `specialisation`
makes it callable for one form of arguments, and `compiled` is the object that the user calls. For the gradient of
``f(x) = sum(sin(x))``:

    capture     v0 = sin(x);  v1 = sum(v0);  v2 = cos(x);  v3 = ones * v2
    rewrite     ones * v2 is v2; the value is not an output, so v0 and v1 are dead
    emit        def gradient(x0): ... v0 = cos(x0); return v0

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff.compiler import compile
>>> gradient = compile(lambda x: np.sum(np.sin(x)), np.ones(3), operator="gradient")
>>> gradient(np.zeros(3))
array([1., 1., 1.])
>>> "sin(" in gradient.source, "cos(x0)" in gradient.source
(False, True)
"""

from autodiff_compare.backends.numpy_autodiff.compiler.compiled import ALL_REWRITES, Compiled, compile
from autodiff_compare.backends.numpy_autodiff.compiler.graph import CompileError, goes_on

__all__ = ["ALL_REWRITES", "CompileError", "Compiled", "compile", "goes_on"]
