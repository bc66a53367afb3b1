"""`numpy.einsum` and other sums of products: kron, cross.

An einsum ``y_o = sum x^1_(s1) x^2_(s2) ...`` is linear in each operand, so its JVP is the einsum with t in place of
that operand. The VJP of ``x^i`` is ``sum g_o prod_(k != i) x^k``, over the subscripts that ``x^i`` does not have. That
is an einsum too, with the operand's subscripts as output and ``g`` in its place: ``ij,jk->ik`` becomes ``ik,jk->ij``.
Two cases need more. A subscript that only this operand has was summed over: the cotangent is repeated along it. A
subscript that the operand has twice took a diagonal: the cotangent is put back on that diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SPREADS
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array
from autodiff_compare.backends.numpy_autodiff.rules.shapes import EMBED

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _einsum(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands)


def _einsum_vjp(i: int, g: Any, _ans: Any, *operands: Any, subscripts: str) -> Any:
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    mine = "".join(dict.fromkeys(terms[i]))
    others = [(t, x) for k, (t, x) in enumerate(zip(terms, operands, strict=True)) if k != i]
    lengths = dict(zip(terms[i], np.shape(operands[i]), strict=True))
    known = set(output).union(*(t for t, _ in others))
    alone = "".join(s for s in mine if s not in known)
    if alone:
        others.append((alone, np.ones([lengths[s] for s in alone], np.asarray(0, g.dtype).dtype)))
    spelled = ",".join([output, *(t for t, _ in others)]) + "->" + mine
    found = EINSUM(g, *(x for _, x in others), subscripts=spelled)
    found = np.broadcast_to(found, tuple(_widest(s, mine, found, lengths) for s in mine))
    return _on_diagonals(found, mine, terms[i], lengths)


def _widest(s: str, mine: str, found: Any, lengths: dict[str, int]) -> int:
    return max(lengths[s], int(found.shape[mine.index(s)]))


def _on_diagonals(found: Any, mine: str, term: str, lengths: dict[str, int]) -> Any:
    """Give a repeated subscript its further axes back, by one diagonal after the other."""
    for s in [s for k, s in enumerate(term) if s in term[:k]]:
        axis, n = mine.index(s), lengths[s]
        moved = np.moveaxis(found, axis, -1)
        found = EMBED(moved, shape=(*moved.shape, n), offset=0, axis1=-2, axis2=-1)
        mine = mine[:axis] + mine[axis + 1 :] + s + s
    if mine == term:
        return found
    return np.transpose(found, _order(mine, term))


def _order(have: str, want: str) -> list[int]:
    places = {s: [k for k, c in enumerate(have) if c == s] for s in have}
    return [places[s].pop(0) for s in want]


def _einsum_jvp(i: int, t: Any, _ans: Any, *operands: Any, subscripts: str) -> Any:
    return EINSUM(*operands[:i], t, *operands[i + 1 :], subscripts=subscripts)


EINSUM: Primitive = Primitive("einsum", _einsum, (_einsum_vjp,), (_einsum_jvp,), variadic=True, selects=SPREADS)


def einsum(*given: Any, optimize: Any = False) -> Any:
    """Compute `numpy.einsum`: every legal form, subscripts as text or as lists, with ellipsis and implicit output."""
    del optimize
    subscripts, operands = (given[0], given[1:]) if isinstance(given[0], str) else _spelled(given)
    operands = [as_array(x) for x in operands]
    return EINSUM(*operands, subscripts=_explicit(subscripts.replace(" ", ""), [len(np.shape(x)) for x in operands]))


def _spelled(given: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the subscripts of the form ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` as text, and the operands."""

    def text(sublist: Sequence[Any]) -> str:
        return "".join("..." if s is Ellipsis else _LETTERS[s] for s in sublist)

    pairs = len(given) // 2
    spelled = ",".join(text(given[2 * k + 1]) for k in range(pairs))
    return (spelled + "->" + text(given[-1]) if len(given) % 2 else spelled), list(given[0 : 2 * pairs : 2])


def _explicit(subscripts: str, ndims: list[int]) -> str:
    """Write the ellipsis as letters and the output in full."""
    inputs, arrow, output = subscripts.partition("->")
    free = [s for s in _LETTERS if s not in subscripts]
    terms = inputs.split(",")
    most = max([n - len(t.replace("...", "")) for t, n in zip(terms, ndims, strict=True) if "..." in t], default=0)
    broad = "".join(free[:most])
    terms = [
        t.replace("...", broad[most - (n - len(t.replace("...", ""))) :] if "..." in t else "")
        for t, n in zip(terms, ndims, strict=True)
    ]
    if arrow:
        output = output.replace("...", broad)
    else:
        counted = "".join(terms)
        output = broad + "".join(sorted(s for s in set(counted) - set(broad) if counted.count(s) == 1))
    return ",".join(terms) + "->" + output


def kron(a: Any, b: Any) -> Any:
    """Compute `numpy.kron`."""
    n = max(len(np.shape(a)), len(np.shape(b)))
    a, b = (np.reshape(x, (1,) * (n - len(np.shape(x))) + np.shape(x)) for x in (a, b))
    left = np.reshape(a, tuple(m for k in a.shape for m in (k, 1)))
    right = np.reshape(b, tuple(m for k in b.shape for m in (1, k)))
    return np.reshape(left * right, tuple(i * j for i, j in zip(a.shape, b.shape, strict=True)))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Compute `numpy.cross`; the third entry of a vector of two is zero, and of two such only the third is returned."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_array(a), as_array(b)
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if not {a.shape[-1], b.shape[-1]} <= {2, 3}:
        raise ValueError(f"got vectors of length {a.shape[-1]} and {b.shape[-1]}, expected 3, or 2")
    if a.shape[-1] == b.shape[-1] == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (x if x.shape[-1] == 3 else np.append(x, np.zeros((*x.shape[:-1], 1), x.dtype), axis=-1) for x in (a, b))
    turn, back = [1, 2, 0], [2, 0, 1]
    found = a[..., turn] * b[..., back] - a[..., back] * b[..., turn]
    return np.moveaxis(found, -1, axisc)


def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Compute `numpy.linalg.cross`, of vectors of three alone."""
    x1, x2 = as_array(x1), as_array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(f"got vectors of length {x1.shape[axis]} and {x2.shape[axis]}, expected 3")
    return cross(x1, x2, axis=axis)


HANDLERS: dict[Any, Any] = {
    np.einsum: einsum,
    np.kron: kron,
    np.cross: cross,
    np.linalg.cross: linalg_cross,
}
