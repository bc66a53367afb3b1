"""The Gaussian ``exp(-c x^2)`` without the rounding of the square, which is 200 units at x = 20.

With x split into ``high``, of half the digits, and the rest, ``high^2`` is exact, and
``x^2 = high^2 + (x - high) (x + high)``, where the second term is small.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules.builders import elementwise

#: Veltkamp's splitter of 53 digits into 26 and 27 (Dekker, Numer. Math. 18, 1971).
_SPLITTER = 2.0**27 + 1
#: Where exp(-c x^2) is 0 in any case, and the product with the splitter is far from overflow.
_FAR = 1e3


def _gauss(x: Any, c: float) -> Any:
    if np.iscomplexobj(x):
        return np.exp(-c * x * x)
    wide = np.clip(np.asarray(x, float), -_FAR, _FAR)
    high = _SPLITTER * wide
    high = high - (high - wide)
    return np.exp(-c * high * high) * np.exp(-c * (wide - high) * (wide + high))


#: ``exp(-c x^2)``; c is a power of 2.
GAUSS: Primitive = elementwise(_gauss, lambda ans, x, c: -2 * c * x * ans, name="gauss")
