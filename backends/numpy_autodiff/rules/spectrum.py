"""Second derivatives of functions of eigenvalues, where some of those are equal.

Let ``A = V diag(w) L`` with ``L = V^-1``, and let f depend on w alone. Its gradient is the transpose of
``B = V diag(g) L`` with ``g = df/dw``, which divides by no gap. With ``P = L dA V``

    dB = V (D o P + diag(dg)) L,    D_ij = (g_i - g_j) / (w_i - w_j) for i != j,

and among equal eigenvalues D is 0/0. Its limit exists where f is symmetric in them. With the Hessian H of f in w,
``g_i - g_j = (H_ii - H_ij) (w_i - w_j) + ...`` near ``w_i = w_j``, so that the limit is ``a = H_ii - H_ij``. By
symmetry it is one number for each block of equal values, and the block of dB is ``a P + c I``. A rule does not know H,
but there are two ways to a:

- where the graph is kept, by a sweep of its own from g to w (`pull_between`) with weights that add to 0 in each block;
- where tangents are pushed while recording, from those of g and w: within a block ``dg_i = a dw_i + c``.

`SPECTRUM` is B as a function of A and g. A derivative that begins forward needs no D at all: `DIRECTION`, the
tangents of w, is computed in the basis of each block that makes P diagonal for the first direction, and `turn` puts the
decomposition itself into that basis. Singular values are treated as eigenvalues (`rules.svd`).

A function that is not symmetric in equal values has no second derivative there. It is treated as if it were symmetric.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.cotangent import add_cotangent
from autodiff_compare.backends.numpy_autodiff.core.forward import is_streaming
from autodiff_compare.backends.numpy_autodiff.core.partial_sweep import pull_between
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, primal
from autodiff_compare.backends.numpy_autodiff.rules.linalg import adjoint
from autodiff_compare.backends.numpy_autodiff.rules.matrices import (
    GENERAL,
    HERMITIAN,
    blocks,
    diagonal_of,
    hermitian,
    off_diagonal,
    on_diagonal,
    transposed,
)


def differentiated(x: Any) -> bool:
    """Return whether a transform further out differentiates results that are computed with ``x``."""
    return primal(x) is not x


def equal(w: Any, symmetric: bool) -> Any:
    """Return whether eigenvalues i and j are equal within rounding, per matrix; None if all are distinct."""
    return blocks(w, HERMITIAN if symmetric else GENERAL)


def _left(v: Any, symmetric: bool) -> Any:
    return adjoint(v) if symmetric else np.linalg.inv(v)


def _part(t: Any, symmetric: bool) -> Any:
    return hermitian(t) if symmetric else t


def _quotients(w: Any, g: Any, alike: Any) -> Any:
    """Return D, with 0 where eigenvalues are equal."""
    rise, run = (x[..., :, None] - x[..., None, :] for x in (g, w))
    return np.where(alike, 0, rise / np.where(alike, 1, run))


def _value(x: Any) -> Any:
    return x.primal if isinstance(x, Node) else x


def _over(x: Any, d: Any) -> Any:
    """Return ``x / d``, and 0 where d is 0: there the block has nothing to divide."""
    zero = np.equal(d, 0)
    return np.where(zero, 0, x / np.where(zero, 1, d))


def _mean(alike: Any, x: Any) -> Any:
    """Return the mean over the block of each entry."""
    return np.sum(alike * x[..., None, :], axis=-1) / np.sum(alike, axis=-1)


# --- The gradient


def _spectrum(a: Any, w: Any, v: Any, g: Any, symmetric: bool) -> Any:
    del a, w
    return _part((v * g[..., None, :]) @ _left(v, symmetric), symmetric)


def _slopes(node: Any, alike: Any) -> Any:
    """Return ``a`` for each entry, by a sweep from g to w."""
    _, w, _, g, _ = node.args
    like = _value(w)
    if not (isinstance(g, Node) and isinstance(w, Node)):
        return np.zeros_like(like)
    # The last minus the first of each block. Those are w and -w where singular values vanish. Between them may be zeros
    # that belong to no singular value, so that the function does not depend on them.
    place, count = np.sum(np.tril(alike), axis=-1), np.sum(alike, axis=-1)
    weights = (np.equal(place, count).astype(int) - np.equal(place, 1)).astype(like.dtype)
    back = pull_between(w, g, weights)
    if back is None:
        return np.zeros_like(weights)
    return _over(_mean(alike, weights * back), _mean(alike, weights * weights))


def _read_slopes(dw: Any, dg: Any, p: Any, alike: Any) -> Any:
    """Return ``a`` for each entry, from the tangents of w and g, by least squares over the block."""
    spread = dw - _mean(alike, dw)
    square = _mean(alike, np.real(np.conj(spread) * spread))
    off = np.where(alike, off_diagonal(p), 0)
    turning = _mean(alike, np.sum(np.real(np.conj(off) * off), axis=-1))
    found = _over(_mean(alike, np.conj(spread) * dg), square)
    # A nilpotent direction does not move the eigenvalues, so it does not determine a.
    eps = float(np.finfo(off.dtype).eps)
    rounding = (p.shape[-1] * eps) ** 2 * np.sum(np.real(np.conj(p) * p), axis=(-2, -1))[..., None]
    hidden = np.logical_and(np.less(square, eps * turning), np.greater(turning, rounding))
    return np.where(hidden, np.nan, found)


def _push_spectrum(node: Any) -> None:
    _, w, v, g = map(_value, node.args[:4])
    symmetric = node.args[4]
    ta, dw, _, dg = (x.flow if isinstance(x, Node) else None for x in node.args[:4])
    dw, dg = (np.zeros_like(w) if t is None else t for t in (dw, dg))
    alike, left = _alike(w, symmetric), _left(v, symmetric)
    inner = on_diagonal(_mean(alike, dg)).astype(v.dtype)
    if ta is not None:
        p = left @ _part(ta, symmetric) @ v
        slope = _read_slopes(dw, dg, p, alike) if is_streaming(node.tape) else _slopes(node, alike)
        inner = inner - on_diagonal(slope * _mean(alike, dw)).astype(v.dtype)
        inner = inner + (_quotients(w, g, alike) + np.where(alike, slope[..., None, :], 0)) * p
    node.flow = v @ inner @ left


def _alike(w: Any, symmetric: bool) -> Any:
    found = equal(w, symmetric)
    return np.eye(w.shape[-1], dtype=bool) if found is None else found


def _pull_spectrum(node: Any, cotangent: Any) -> None:
    """Transpose dB, where the tangents of equal eigenvalues are the diagonal of P."""
    args, symmetric = node.args, node.args[4]
    _, w, v, g = map(_value, args[:4])
    left = _left(v, symmetric)
    m = transposed(v) @ _part(cotangent, symmetric) @ transposed(left)
    alike = _alike(w, symmetric)
    inner = (_quotients(w, g, alike) + np.where(alike, _slopes(node, alike)[..., None, :], 0)) * off_diagonal(m)
    back = transposed(left) @ inner @ transposed(v)
    found = {0: _part(back, symmetric), 3: np.real(diagonal_of(m)) if symmetric else diagonal_of(m)}
    for i in node.call.where:
        if i in found:
            add_cotangent(args[i], found[i], found[i])


#: ``V diag(g) V^-1`` as a function of ``a`` and ``g``; the changes of ``w`` and ``v`` follow from that of ``a``.
SPECTRUM: Primitive = Primitive("spectrum", _spectrum, pull=_pull_spectrum, push=_push_spectrum)


# --- Tangents


def frame(p: Any, alike: Any, symmetric: bool) -> tuple[Any, Any] | None:
    """Return a basis in which the blocks of P are diagonal, and their eigenvalues: constants to every transform.

    None where a block of a real general matrix has complex eigenvalues, or where it is being compiled.
    """
    p = primal(p)
    first = np.argmax(alike, axis=-1)
    size = np.sum(np.abs(p), axis=(-2, -1))[..., None]
    shift = (4 * first * (size + np.equal(size, 0))).astype(p.dtype)
    inside = np.where(alike, p, 0) + on_diagonal(shift)
    if symmetric:
        moved, turn = np.linalg.eigh(inside)
        return np.where(alike, turn, 0), moved - np.real(shift)
    if isinstance(p, Node):
        return None
    moved, turn = np.linalg.eig(inside)
    if moved.dtype != p.dtype:
        return None
    # The shifts make eigenvalues of one block neighbours in this order, as are the places of each block in ``places``.
    # The small imaginary part keeps rounding from deciding the order of conjugates.
    order, places = (
        np.argsort(np.real(moved) + 0.3 * np.imag(moved), axis=-1),
        np.argsort(first, axis=-1, kind="stable"),
    )
    sorting = np.take_along_axis(order, np.argsort(places, axis=-1), axis=-1)
    return (
        np.where(alike, np.take_along_axis(turn, sorting[..., None, :], -1), 0),
        np.take_along_axis(moved, sorting, -1) - shift,
    )


def _parted(p: Any, alike: Any) -> Any:
    found = frame(p, alike, symmetric=False)
    return diagonal_of(p).copy() if found is None else found[1]


#: The tangents of equal eigenvalues of a general matrix: the eigenvalues of their block of P, if of the same dtype.
PARTED: Primitive = Primitive("parted", _parted, constant=True)


def _direction(a: Any, t: Any, w: Any, v: Any, symmetric: bool, known: bool) -> Any:
    del a, w, known
    found = diagonal_of(_left(v, symmetric) @ _part(t, symmetric) @ v)
    return np.real(found) if symmetric else found


def _direction_vjp_a(g: Any, _ans: Any, _a: Any, t: Any, w: Any, v: Any, symmetric: bool, known: bool) -> Any:
    """Return ``V (D o P) V^-1`` with D of ``g``. ``known`` says that P is diagonal within each block."""
    left = _left(v, symmetric)
    p = left @ _part(t, symmetric) @ v
    alike = _alike(w, symmetric)
    inner = _quotients(w, g, alike) * p
    if not known:
        # nan is a factor of g, so that the transpose is nan too.
        turning = np.logical_and(alike, np.not_equal(off_diagonal(primal(p)), 0))
        inner = inner + np.where(turning, np.nan, 0) * g[..., None]
    return _part(transposed(v @ inner @ left), symmetric)


def _direction_vjp_t(g: Any, _ans: Any, _a: Any, _t: Any, _w: Any, v: Any, symmetric: bool, known: bool) -> Any:
    del known
    return _part(transposed((v * g[..., None, :]) @ _left(v, symmetric)), symmetric)


#: The diagonal of ``V^-1 t V``, which are the tangents of w along ``t``.
DIRECTION: Primitive = Primitive("direction", _direction, (_direction_vjp_a, _direction_vjp_t))


def turn(node: Any, turned: Primitive, symmetric: bool) -> Any:
    """Return tangents of equal eigenvalues that can be differentiated further, and put ``node`` into their basis.

    Parameters
    ----------
    turned
        The primitive ``(a, w, v) -> (w, v)``, the decomposition of ``a`` in a given basis.
    """
    a, t = node.args[0].primal, node.args[0].flow
    w, v = map(_value, node.primal)
    alike = equal(w, symmetric)
    outer = a.flow if isinstance(a, Node) and is_streaming(a.tape) else None
    along = primal(t if outer is None else outer)
    found = frame(_left(v, symmetric) @ _part(along, symmetric) @ v, alike, symmetric)
    known = found is not None and (outer is not None or is_streaming(node.tape))
    if known and found is not None:
        v = v @ found[0]
        if outer is None:
            node.primal = turned(a, w, v)
    return DIRECTION(a, t, w, v, symmetric, known)
