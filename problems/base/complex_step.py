"""The complex-step derivative: directional derivatives of analytic functions, exact to rounding.

For an analytic f, ``f(x + i h t) = f(x) + i h f'(x) t - O(h^2)``. The imaginary part divided by h is the directional
derivative. Nothing is subtracted, so h may be as small as numbers go (Squire and Trapp 1998, SIAM Review 40).

The result is silently wrong for a function that is not analytic: absolute values, norms, comparisons of the perturbed
parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base.inputs import Array

#: The error is of the order of its square, which is below the rounding of every precision.
_STEP = 1e-100


def hessian_products(gradient: Callable[..., tuple[Array, ...]], n: int) -> Callable[..., tuple[Array, ...]]:
    """Return the closed form of ``hvp`` that an analytic gradient gives, for `Problem.reference`.

    Parameters
    ----------
    gradient
        ``gradient(*differentiated, *data, **static)``, which must also take complex arrays.
    n
        Number of differentiated inputs.
    """

    def hvp(*given: Array, **static: Any) -> tuple[Array, ...]:
        inputs, data, tangents = given[:n], given[n:-n], given[-n:]
        dtype = inputs[0].dtype
        step = np.promote_types(dtype, np.float64).type(_STEP)  # float32 rounds it to 0
        moved = (x + 1j * step * t for x, t in zip(inputs, tangents, strict=True))
        return tuple(np.asarray(part.imag / step, dtype=dtype) for part in gradient(*moved, *data, **static))

    return hvp
