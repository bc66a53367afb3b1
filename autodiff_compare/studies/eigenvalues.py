"""How each backend reads a full matrix that is not symmetric: value, gradient and what they have in common.

`eigvalsh` is defined for symmetric matrices, and given another one, backends differ twice. The *value* tells which
symmetric matrix S was read: the lower triangle, the upper one, or the symmetric part. The *gradient* tells which
entries were taken for variables: all of them (``v v^T``) or one triangle, whose off-diagonals then count twice.
Both are right about what they mean; after symmetrising they are equal to ``v v^T`` of the S that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator

#: The matrix printed in the classic study.
PRINTED = np.array(
    [
        [0.6102723, 0.17637432, 0.38962376],
        [0.3735156, 0.6306771, 0.19141042],
        [0.34370267, 0.7677151, 0.4024818],
    ]
)


def _mirrored(triangle: Array) -> Array:
    return np.asarray(triangle + triangle.T - np.diag(np.diagonal(triangle)))


#: Words -> the symmetric matrix that is read.
READINGS: Mapping[str, Callable[[Array], Array]] = {
    "lower triangle": lambda A: _mirrored(np.tril(A)),
    "upper triangle": lambda A: _mirrored(np.triu(A)),
    "symmetric part": lambda A: (A + A.T) / 2,
}
#: Words -> the gradient as it is returned, from v v^T.
GRADIENTS: Mapping[str, Callable[[Array], Array]] = {
    "symmetric": lambda G: G,
    "lower triangle, off-diagonals doubled": lambda G: np.tril(G) + np.tril(G, -1),
    "upper triangle, off-diagonals doubled": lambda G: np.triu(G) + np.triu(G, 1),
}
_OTHER = "none of the known"


@dataclass(frozen=True)
class Convention:
    """The convention of one backend for the smallest eigenvalue of a matrix that is not symmetric.

    Parameters
    ----------
    backend
        As written on the command line.
    reads, returns
        In words: a key of `READINGS` and of `GRADIENTS`, or that it is none of them.
    value
        The eigenvalue when nothing but the value is asked for.
    value_beside_gradient
        The eigenvalue when it is computed together with the gradient; JAX with ``symmetrize_input=False``
        is known to give another one there.
    gradient
        (n, n), as returned.
    symmetrised
        ``(G + G^T)/2`` of it: what is compared between backends.
    error
        Norm of the difference of that to ``v v^T`` of the matrix that was read, which has norm 1;
        nan where the reading is unknown.
    """

    backend: str
    reads: str
    returns: str
    value: float
    value_beside_gradient: float
    gradient: Array
    symmetrised: Array
    error: float


def convention(backend: Backend, A: Array = PRINTED) -> Convention:
    """Differentiate the smallest eigenvalue at ``A`` on one opened backend, and name what it did.

    Parameters
    ----------
    backend
        Opened; ``finite_difference`` will do.
    A
        (n, n) float64, not symmetric; the smallest eigenvalue of each reading must be a simple one.

    Raises
    ------
    Unsupported
        If the backend has no `eigvalsh` or no gradient of it.
    """

    def smallest(x: Any) -> Any:
        return backend.xp.linalg.eigvalsh(x)[..., 0]

    x = backend.to_var(A)
    value = float(backend.to_numpy(backend.prepare(Operator.VALUE, smallest, [x])(x)))
    beside, (gradient,) = backend.prepare(Operator.VALUE_AND_GRADIENT, smallest, [x])(x)
    G = np.asarray(backend.to_numpy(gradient))
    reads, expected = _reading(A, value)
    symmetrised = (G + G.T) / 2
    return Convention(
        backend=backend.spec,
        reads=reads,
        returns=next((words for words, of in GRADIENTS.items() if _close(G, of(expected))), _OTHER),
        value=value,
        value_beside_gradient=float(backend.to_numpy(beside)),
        gradient=G,
        symmetrised=symmetrised,
        error=float(np.linalg.norm(symmetrised - expected)),
    )


def _reading(A: Array, value: float) -> tuple[str, Array]:
    """Return the words for the reading whose smallest eigenvalue this is, and v v^T of its eigenvector v."""
    for words, of in READINGS.items():
        values, V = np.linalg.eigh(of(A))
        if _close(value, values[0]):
            return words, np.outer(V[:, 0], V[:, 0])
    return _OTHER, np.full_like(A, np.nan)


def _close(a: Any, b: Any) -> bool:
    # Wide enough for numerical differences, and far below what tells the readings apart (1e-2 at the printed A).
    return bool(np.all(np.abs(np.asarray(a) - b) <= 1e-6))
