"""Objectives into which differences are planted, each with its point: smooth there, but for `kinks`."""

from __future__ import annotations

from typing import Any

import numpy as np


def layers(W, b, V, x, xp):
    """Two layers and a softmax."""
    a = xp.tanh(xp.matmul(W, x) + b)
    z = xp.matmul(V, a)
    e = xp.exp(z - xp.max(z))
    s = e / xp.sum(e)
    t = xp.log(s)
    return xp.sum(a * a) - t[0] * xp.sum(xp.cos(x))


def likelihood(A, y, r, xp):
    """Log-likelihood of a Gaussian with a covariance that is made from A."""
    K = xp.matmul(A, xp.matrix_transpose(A)) + xp.exp(r) * xp.eye(3, dtype=A.dtype)
    L = xp.linalg.cholesky(K)
    z = xp.linalg.solve(L, y)
    d = xp.linalg.diagonal(L)
    w = xp.linalg.solve(xp.matrix_transpose(L), xp.sin(z))
    return xp.sum(z * z) / 2 + xp.sum(xp.log(d)) + xp.sum(w * y)


def mechanics(q, v, xp):
    """Energy of a point on a moving sphere."""
    s, c = xp.sin(q), xp.cos(q)
    p = xp.stack([s[0] * c[1], s[0] * s[1], c[0]])
    u = xp.linalg.cross(p, v)
    n = xp.sqrt(xp.sum(u * u) + 1.0)
    m = xp.linalg.vector_norm(p + v)
    h = xp.atan2(n, m)
    return n * xp.log1p(m) + h * xp.sum(xp.square(v))


def shapes(X, y, xp):
    """Entries moved around between products."""
    T = xp.permute_dims(X, (1, 0))
    R = xp.reshape(T, (9,))
    C = xp.concat([R, y])
    G = xp.take(C, xp.asarray([0, 3, 3, 7, 10]), axis=0)
    F = xp.flip(G, axis=0) * xp.roll(G, 1, axis=0)
    B = xp.expand_dims(y, axis=1) * xp.broadcast_to(y, (3, 3))
    D = xp.sum(X * B, axis=0)
    P = xp.cumulative_sum(D)
    return xp.sum(F) + xp.sum(xp.sin(P)) * xp.prod(y)


def statistics(x, w, xp):
    """Moments and their logarithms."""
    m = xp.mean(x)
    v = xp.var(x)
    k = xp.logaddexp(x, w)
    z = (x - m) / xp.sqrt(v)
    g = xp.expm1(-z * z)
    h = xp.hypot(k, w)
    p = xp.pow(h, w)
    return xp.sum(g * p) + xp.std(k) * m


def kinks(x, y, xp):
    """Zeros and ties."""
    a = xp.abs(x)
    b = xp.maximum(x, y)
    c = xp.minimum(y, x)
    d = xp.max(y)
    e = xp.clip(x, 0.0, 2.0)
    f = xp.min(x * x)
    g = xp.sum(a + e * y + b * b - c)
    return xp.sin(g) + d * xp.sum(y) + f * d


def loop(x, c, scan, xp):
    """A recurrence by the backend's own loop, then by Python's."""

    def step(carry, t):
        inner = xp.tanh(carry * t) + x
        return xp.sin(inner), xp.sum(inner)

    last, sums = scan(step, xp.zeros_like(x), c)
    for k in range(3):
        last = last * xp.cos(last) + sums[k]
    return xp.sum(xp.exp(last) * x)


_A = np.array([[1.1, 0.3, -0.2], [0.4, 0.9, 0.5], [-0.6, 0.2, 1.3]])
#: Objective -> the point.
POINTS: dict[str, dict[str, Any]] = {
    "layers": {"W": _A, "b": [0.1, -0.3, 0.2], "V": _A.T * 0.7, "x": [0.5, -1.2, 0.8]},
    "likelihood": {"A": _A, "y": [0.3, -0.7, 1.1], "r": -0.4},
    "mechanics": {"q": [0.6, 1.1], "v": [0.4, -0.3, 0.9]},
    "shapes": {"X": _A, "y": [0.7, 1.4, -0.8]},
    "statistics": {"x": [0.3, 1.7, 0.9, -0.4], "w": [0.8, 1.2, 0.6, 1.5]},
    "kinks": {"x": [0.0, 1.5, -0.7, 0.0], "y": [0.5, 1.5, 1.5, 0.0]},
    "loop": {"x": [0.4, -0.9], "c": [0.3, 0.8, 1.1]},
}
#: Objective -> members of the backend that it uses.
USES = {"loop": ("scan",)}
