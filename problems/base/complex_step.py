"""The slope of a function that is analytic, exact to rounding, by a step in the imaginary direction.

``f(x + i h t) = f(x) + i h f'(x) t - O(h^2)``: the imaginary part over h is the directional derivative, and nothing is
subtracted, so that h may be as small as numbers go (Squire and Trapp 1998, SIAM Review 40). It is silently wrong for
what is not analytic: absolute values, norms, comparisons of the parts that are moved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base.inputs import Array

#: Its square, times any slope of slopes, is nothing beside 1 in every precision.
_STEP = 1e-100


def hessian_products(gradient: Callable[..., tuple[Array, ...]], n: int) -> Callable[..., tuple[Array, ...]]:
    """``hvp`` from an analytic gradient: a closed form as `Problem.reference` has it.

    Parameters
    ----------
    gradient
        ``gradient(*differentiated, *data, **static)``, which must also take complex arrays.
    n
        How many inputs are differentiated.
    """

    def hvp(*given: Array, **static: Any) -> tuple[Array, ...]:
        inputs, data, tangents = given[:n], given[n:-n], given[-n:]
        dtype = inputs[0].dtype
        step = np.promote_types(dtype, np.float64).type(_STEP)  # it is no number in float32
        moved = (x + 1j * step * t for x, t in zip(inputs, tangents, strict=True))
        return tuple(np.asarray(part.imag / step, dtype=dtype) for part in gradient(*moved, *data, **static))

    return hvp
