"""Vector-Jacobian products: reverse mode for any output."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.reverse import pull_back
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import Function
from autodiff_compare.backends.numpy_autodiff.transforms.recording import direction, record


def vjp(f: Function, *args: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return ``(f(*args), pullback)``, or ``(f(*args), pullback, aux)``.

    ``pullback(cotangent)`` returns a tuple of one cotangent per argument; ``cotangent`` is shaped like the output.
    It is the adjoint of `jvp` in the real inner product ``Re sum(conj(u) * v)``: for a real argument and a complex
    output the real part of ``J^H cotangent``. The pullback may be called any number of times, by any thread.

    Raises
    ------
    ValueError
        By ``pullback``, if the cotangent is not shaped like the output.
    TypeError
        If an argument is not floating or complex.
    """
    r = record(f, args, has_aux)
    lock = threading.Lock()
    like = [constant(r.value(leaf)) for leaf in r.outputs]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        given, _ = flatten(cotangent)
        if len(given) != len(like):
            raise ValueError(f"got {len(given)} cotangents, expected {len(like)}: pass a container like the output")
        given = [direction(g, np.asarray(x), "cotangent") for g, x in zip(given, like, strict=True)]
        with lock:
            for leaf, g in zip(r.outputs, given, strict=True):
                if r.traced(leaf):
                    g = np.conj(g) if g.dtype.kind == "c" else _as_flow(g, leaf.primal)
                    leaf.flow = g if leaf.flow is None else leaf.flow + g
            pull_back(r.tape.nodes)
            return r.input_trees(r.gradients(given))

    return (r.copied_output(), pullback, r.aux) if has_aux else (r.copied_output(), pullback)


def _as_flow(g: Any, x: Any) -> Any:
    return float(g) if g.__class__ is x.__class__ is np.float64 else g
