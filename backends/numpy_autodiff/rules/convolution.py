"""`numpy.convolve` and `numpy.correlate`, whose derivatives are convolutions as well, as large as the value's own.

A full convolution of n by m numbers, n >= m, is ``y_k = sum_j a_(k-j) v_j`` for k = 0, ..., n + m - 2. It is linear in
each argument. Its transposes are

    of a:   a'_i = sum_k g_k v_(k-i)        of v:   v'_j = sum_k g_k a_(k-j)

With ``flip(v)_q = v_(m-1-q)`` entry ``i + m - 1`` of the full convolution of g and flip(v) is
``sum_q g_(i+m-1-q) v_(m-1-q) = sum_k g_k v_(k-i)``, which is a'_i. These n entries are those in which g covers flip(v):
the mode "valid". The same holds for v' with flip(a).

The mode "valid" keeps ``z_l = y_(l+m-1)``, the ``L = n - m + 1`` entries in which a covers v. Its transposes are

    of a:   a'_i = sum_l g_l v_(l+m-1-i), entry i of the full convolution of g and flip(v), which has L + m - 1 = n
    of v:   v'_j = sum_l g_l a_(l+m-1-j), entry j of the valid convolution of flip(a) and g, which has n - L + 1 = m:
            its entry j is sum_l g_l flip(a)_(j+L-1-l), and n - 1 - (j + L - 1 - l) = l + m - 1 - j

The mode "same" keeps n entries of the full convolution: its cotangent is filled with zeros to the full length. No table
is made, and every product is one that the value has, so that time and memory are of the order of the value's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array

#: NumPy's numbers of the modes.
_NUMBERED = {0: "valid", 1: "same", 2: "full"}


def _convolve(a: Any, v: Any, mode: Any) -> Any:
    return np.convolve(a, v, mode)


def _filled(g: Any, m: int) -> Any:
    """Return a cotangent of the mode "same" with zeros for the entries of the full convolution that it drops."""
    before = np.zeros((m - 1) // 2, g.dtype)
    return np.concatenate((before, g, np.zeros(m - 1 - len(before), g.dtype))) if m > 1 else g


def _longer_vjp(g: Any, _ans: Any, _a: Any, v: Any, mode: str) -> Any:
    if mode == "valid":
        return CONVOLVE(*_by_length(g, np.flip(v)), "full")
    return CONVOLVE(g if mode == "full" else _filled(g, v.size), np.flip(v), "valid")


def _shorter_vjp(g: Any, _ans: Any, a: Any, v: Any, mode: str) -> Any:
    if mode == "valid":
        return CONVOLVE(np.flip(a), g, "valid")
    return CONVOLVE(g if mode == "full" else _filled(g, v.size), np.flip(a), "valid")


def _longer_jvp(t: Any, _ans: Any, _a: Any, v: Any, mode: str) -> Any:
    return CONVOLVE(t, v, mode)


def _shorter_jvp(t: Any, _ans: Any, a: Any, _v: Any, mode: str) -> Any:
    return CONVOLVE(a, t, mode)


#: The first argument is at least as long as the second.
CONVOLVE: Primitive = Primitive("convolve", _convolve, (_longer_vjp, _shorter_vjp), (_longer_jvp, _shorter_jvp))


def _by_length(a: Any, v: Any) -> tuple[Any, Any]:
    return (a, v) if a.size >= v.size else (v, a)


def _vectors(a: Any, v: Any, fewest: int) -> tuple[Any, Any]:
    """Return the arguments as vectors; a number is one of length 1 where ``fewest`` axes are 0."""
    a, v = as_array(a), as_array(v)
    if any(not fewest <= len(x.shape) <= 1 or not x.size for x in (a, v)):
        raise ValueError(f"got shapes {a.shape} and {v.shape}, expected two vectors that are not empty")
    return np.atleast_1d(a), np.atleast_1d(v)


def _named(mode: Any) -> str:
    name = mode if isinstance(mode, str) else _NUMBERED.get(mode, "")
    if name not in _NUMBERED.values():
        raise ValueError(f"got mode {mode!r}, expected 'full', 'same' or 'valid'")
    return name


def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """Compute `numpy.convolve`."""
    return CONVOLVE(*_by_length(*_vectors(a, v, 0)), _named(mode))


def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """Compute `numpy.correlate`: a convolution with the reversed and conjugated second argument."""
    a, v = _vectors(a, v, 1)
    if v.size > a.size:
        return np.conj(np.flip(correlate(v, a, mode)))
    return CONVOLVE(a, np.conj(np.flip(v)), _named(mode))


HANDLERS: dict[Any, Any] = {np.convolve: convolve, np.correlate: correlate}
