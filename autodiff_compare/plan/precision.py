"""Floating dtypes by name, with their limits. NumPy has no bfloat16: its arrays are those of the package ml_dtypes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: The largest relative error that tells a derivative from another one: a wider tolerance proves nothing.
MEANINGFUL = 1e-3
#: The same in roundings, for half precision, in which right results err by more than a thousandth.
_ROUNDINGS = 32.0


class Limits(NamedTuple):
    """The numbers of a dtype that tolerances are made of.

    Parameters
    ----------
    eps
        Spacing of the numbers at 1.
    smallest_normal
        The smallest positive number with all digits.
    largest
        The largest finite number.
    """

    eps: float
    smallest_normal: float
    largest: float

    @property
    def meaningful(self) -> float:
        """The largest relative error of a result that still tells a derivative from another one.

        It is a thousandth, 3 % in float16 and 25 % in bfloat16.
        """
        return max(MEANINGFUL, _ROUNDINGS * self.eps)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a name in `vocabulary.DTYPES` or `vocabulary.HALF_DTYPES`.

    Raises
    ------
    ValueError
        If it is bfloat16 and ml_dtypes is not installed.
    """
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError as error:
        raise ValueError("got dtype bfloat16, which needs the package ml_dtypes: pip install ml_dtypes") from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def complex_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype of complex numbers whose parts have the dtype of that name: complex128 or complex64.

    There is none for half precision, whose numbers complex64 holds.
    """
    return np.dtype(np.complex128 if name == "float64" else np.complex64)


def limits(name: str) -> Limits:
    """Return the limits of a dtype.

    >>> limits("bfloat16").eps == 2**-7
    True
    """
    if name == "bfloat16":
        # Eight bits of significand, one of them implied, and the exponents of float32.
        return Limits(2.0**-7, 2.0**-126, (2 - 2.0**-7) * 2.0**127)
    found = np.finfo(name)
    return Limits(float(found.eps), float(found.smallest_normal), float(found.max))
