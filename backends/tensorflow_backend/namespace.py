"""The array namespace of TensorFlow, by the Python array API standard 2024.12.

Importing this module imports TensorFlow, so only the adapter's ``open()`` does that. Where TensorFlow's own function
conforms, it is used under the standard's name; the files in ``functions/`` hold the others.

Supported by tensors themselves
-------------------------------
- ``+ - * / // % ** @`` and comparisons, with a Python scalar on either side; ``abs(x)``, ``-x``;
- ``~ & | ^`` of booleans and integers;
- ``x[i]``, slices with negative steps, ``...`` and ``None``; a boolean mask (the result has a dynamic shape);
- ``x.shape`` (unpacks, compares and indexes like a tuple of ints), ``x.ndim``, ``x.dtype``, ``len(x)``.

Not supported by tensors, with the function to use instead: ``A @ v`` with a vector (`matmul`), ``x[indices]``
(`take`), ``x.T``, ``x.mT`` (`matrix_transpose`, `permute_dims`), ``x.size`` (``math.prod(x.shape)``), ``+x``
(`positive`), shifts (`bitwise_left_shift`), assignment to an entry (`where`, `concat`).

TensorFlow does not promote dtypes: mixing two of them raises an error; use `astype`.
"""

from __future__ import annotations

import math

from autodiff_compare.backends.tensorflow_backend.functions import fft, linalg
from autodiff_compare.backends.tensorflow_backend.functions.dtypes import *  # noqa: F403 - each family lists its public names
from autodiff_compare.backends.tensorflow_backend.functions.elementwise import *  # noqa: F403
from autodiff_compare.backends.tensorflow_backend.functions.linalg import matmul, matrix_transpose, tensordot, vecdot
from autodiff_compare.backends.tensorflow_backend.functions.manipulation import *  # noqa: F403
from autodiff_compare.backends.tensorflow_backend.functions.reductions import *  # noqa: F403
from autodiff_compare.backends.tensorflow_backend.functions.special import special

__array_api_version__ = "2024.12"

e, inf, nan, newaxis, pi = math.e, math.inf, math.nan, None, math.pi

__all__ = [
    "e", "fft", "inf", "linalg", "matmul", "matrix_transpose", "nan", "newaxis", "pi", "special", "tensordot", "vecdot",
]  # fmt: skip
