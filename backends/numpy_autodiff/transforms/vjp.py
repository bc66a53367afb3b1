"""Vector-Jacobian products: reverse mode for any output."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.reach import of_seed, protected, steep
from autodiff_compare.backends.numpy_autodiff.core.reverse import pull_back
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import Function
from autodiff_compare.backends.numpy_autodiff.transforms.recording import Recording, direction, record


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
    r, sweep = recorded(f, args, has_aux)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        found: tuple[Any, ...] = sweep(cotangent, None)
        return found

    return (r.copied_output(), pullback, r.aux) if has_aux else (r.copied_output(), pullback)


def recorded(f: Function, args: Sequence[Any], has_aux: bool = False) -> tuple[Recording, Function]:
    """Return the recording of ``f(*args)``, and ``sweep(cotangent, masks)``.

    The masks tell which entries of each output are reached (see `autodiff_compare.backends.numpy_autodiff.core.reach`);
    None for those whose cotangent is not zero.
    """
    r = record(f, args, has_aux)
    lock = threading.Lock()
    like = [constant(r.value(leaf)) for leaf in r.outputs]
    dangerous = bool(r.tape.watched) and steep(r.tape.watched)

    def sweep(cotangent: Any, masks: Sequence[Any] | None) -> tuple[Any, ...]:
        given, _ = flatten(cotangent)
        if len(given) != len(like):
            raise ValueError(f"got {len(given)} cotangents, expected {len(like)}: pass a container like the output")
        given = [direction(g, np.asarray(x), "cotangent") for g, x in zip(given, like, strict=True)]
        reached = map(of_seed, given) if masks is None else masks
        with lock, protected(r.tape.nodes, zip(r.outputs, reached, strict=True)) if dangerous else nullcontext():
            for leaf, g in zip(r.outputs, given, strict=True):
                if r.traced(leaf):
                    g = np.conj(g) if g.dtype.kind == "c" else _as_flow(g, leaf.primal)
                    leaf.flow = g if leaf.flow is None else leaf.flow + g
            pull_back(r.tape.nodes)
            return r.input_trees(r.gradients(given))

    return r, sweep


def _as_flow(g: Any, x: Any) -> Any:
    return float(g) if g.__class__ is x.__class__ is np.float64 else g
