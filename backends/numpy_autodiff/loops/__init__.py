"""The compiled mode with loops: a function and its derivatives as fused loops, which `numba` compiles to machine code.

The graph of `compiler` is written as *kernels*: functions of loops over entries, with all intermediate results in
variables. ``sum(sin(x) * x)`` is one loop without temporary arrays. What has no loop here (factorisations, large matrix
products, sorts) is a NumPy call between kernels. `forms` says which operations have loops, `plan` places results,
`kernel` keeps lines and places, `entries` writes values at an index, `nests` writes loops, `program` decides what is
kept in memory, `emit` writes the function that calls the kernels, and `native` compiles them. `pointwise` holds the
elementwise functions.

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff.loops import compile
>>> gradient = compile(lambda x: np.sum(np.sin(x)), np.ones(3), operator="gradient", build="python")
>>> gradient(np.zeros(3))
array([1., 1., 1.])
>>> print(gradient.source[gradient.source.index("def loops_0"):])
def loops_0(x0, v0):
    for i1 in range(0, 3):
        a1 = x0[i1]
        a2 = np.cos(a1)
        v0[i1] = a2
    return None
<BLANKLINE>
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from autodiff_compare.backends.numpy_autodiff import compiler
from autodiff_compare.backends.numpy_autodiff.compiler.compiled import ALL_REWRITES, Compiled
from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph
from autodiff_compare.backends.numpy_autodiff.compiler.source import Source
from autodiff_compare.backends.numpy_autodiff.loops.emit import emit
from autodiff_compare.backends.numpy_autodiff.loops.native import BUILDERS, Build

#: Operations that a rolled loop saves at least. A compiler takes a millisecond for each that is not saved.
_FEWEST_SAVED = 40
#: A dot product is a loop like any other, and a sum of products needs no factors to be one.
_REWRITES = tuple(name for name in ALL_REWRITES if name not in ("dot", "factor"))


def compile(
    f: Callable[..., Any],
    *examples: Any,
    argnums: int | Sequence[int] = 0,
    operator: str = "value_and_gradient",
    build: str = "cached",
) -> Compiled:
    """Trace ``f`` once and make fused loops of its values and derivatives.

    Parameters
    ----------
    f, examples, argnums, operator
        As for `autodiff_compare.backends.numpy_autodiff.compile`.
    build
        ``cached``: compiled by `numba`, with the machine code kept in the user's cache folder; ``compiled``: not kept;
        ``python``: run as Python, slowly, for tests.

    Returns
    -------
    Compiled
        As by `autodiff_compare.backends.numpy_autodiff.compile`. Its ``source`` has the kernels too. A graph that is
        too long for a compiler, or split by too many NumPy calls, is straight-line code: ``fallbacks`` tells why.

    Raises
    ------
    CompileError
        As there.
    ImportError
        Without `numba`, unless ``build`` is ``python``.
    """
    if build not in BUILDERS:
        raise ValueError(f"got build {build!r}, expected one of: {', '.join(BUILDERS)}")
    return compiler.compile(
        f,
        *examples,
        argnums=argnums,
        operator=operator,
        rewrites=_REWRITES,
        write=functools.partial(_write, BUILDERS[build]),
        fewest_saved=_FEWEST_SAVED,
    )


def _write(
    build: Build, graph: Graph, operator: str, inputs: Sequence[Any], _rewrites: frozenset[str], _first: bool
) -> Source:
    return emit(graph, operator, inputs, build)


__all__ = ["compile"]
