"""The sparsity pattern of a matrix: the places where it may be non-zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Pattern:
    """The places where a matrix may be non-zero, in CSR order: by rows, and by columns within a row.

    Make one with `Pattern.of`, which sorts the places and checks them.

    Parameters
    ----------
    shape
        Numbers of rows and columns of the matrix.
    rows, columns
        int64 vectors of one length: the row and the column of each place, no place twice.
    """

    shape: tuple[int, int]
    rows: Array
    columns: Array

    @staticmethod
    def of(shape: tuple[int, int], rows: Any, columns: Any) -> Pattern:
        """Return the pattern of places given in any order, each any number of times.

        Parameters
        ----------
        shape
            Numbers of rows and columns of the matrix.
        rows, columns
            Integer vectors of one length, counted from 0.

        Raises
        ------
        ValueError
            If ``rows`` and ``columns`` differ in length, or an index is not an integer or is outside of ``shape``.
        """
        given = [np.asarray(rows), np.asarray(columns)]
        for index, size, word in zip(given, shape, ("row", "column"), strict=True):
            if index.size and (index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= size):
                raise ValueError(f"got {word}s {index.min()} to {index.max()}, expected integers from 0 to {size - 1}")
        if given[0].shape != given[1].shape or given[0].ndim != 1:
            shapes = " and ".join(str(index.shape) for index in given)
            raise ValueError(f"got rows and columns of shape {shapes}, expected vectors of one length")
        flat = given[0].astype(np.int64) * max(shape[1], 1) + given[1].astype(np.int64)
        if (np.diff(flat) <= 0).any():
            # Not np.unique: it hashes first, which takes ten times as long (1 s for a million, NumPy 2.4).
            flat = np.sort(flat)
            flat = flat[np.diff(flat, prepend=-1) > 0]
        return Pattern(shape, *np.divmod(flat, max(shape[1], 1)))

    @staticmethod
    def beside(patterns: Sequence[Pattern]) -> Pattern:
        """Return the pattern of matrices placed side by side.

        Raises
        ------
        ValueError
            If the matrices differ in their number of rows.
        """
        rows = {p.shape[0] for p in patterns}
        if len(rows) != 1:
            raise ValueError(
                f"got patterns with {sorted(rows)} rows, expected one for each input and all of one output"
            )
        starts = np.cumsum([0, *(p.shape[1] for p in patterns)])
        lines = np.concatenate([p.rows for p in patterns])
        columns = np.concatenate([p.columns + start for p, start in zip(patterns, starts, strict=False)])
        order = np.argsort(lines, kind="stable")
        return Pattern((rows.pop(), int(starts[-1])), lines[order], columns[order])

    @property
    def nnz(self) -> int:
        """The number of places, including those that happen to hold a zero."""
        return int(self.rows.size)

    @property
    def transposed(self) -> Pattern:
        """The pattern of the transposed matrix."""
        order = np.argsort(self.columns, kind="stable")
        return Pattern((self.shape[1], self.shape[0]), self.columns[order], self.rows[order])
