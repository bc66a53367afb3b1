"""Functions of the array API standard 2024.12 that objectives are written with."""

from __future__ import annotations

#: Functions of the namespace itself.
NAMES = (
    "abs", "acos", "acosh", "add", "all", "any", "arange", "argmax", "argmin", "argsort", "asarray", "asin",
    "asinh", "astype", "atan", "atan2", "atanh", "broadcast_arrays", "broadcast_to", "ceil", "clip", "concat",
    "conj", "copysign", "cos", "cosh", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "divide",
    "empty_like", "equal", "exp", "expand_dims", "expm1", "eye", "flip", "floor", "floor_divide", "full",
    "full_like", "greater", "greater_equal", "hypot", "imag", "isfinite", "isinf", "isnan", "less", "less_equal",
    "linspace", "log", "log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "matmul", "matrix_transpose", "max", "maximum", "mean", "meshgrid", "min", "minimum",
    "moveaxis", "multiply", "negative", "not_equal", "ones", "ones_like", "permute_dims", "positive", "pow",
    "prod", "real", "reciprocal", "remainder", "repeat", "reshape", "roll", "round", "searchsorted", "sign",
    "signbit", "sin", "sinh", "sort", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "take",
    "take_along_axis", "tan", "tanh", "tensordot", "tile", "tril", "triu", "trunc", "unstack", "var", "vecdot",
    "where", "zeros", "zeros_like",
)  # fmt: skip
#: Functions of its extension ``linalg``.
LINALG = (
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matrix_norm", "matrix_power", "outer",
    "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "trace", "vector_norm",
)  # fmt: skip
#: Functions of its extension ``fft``.
FFT = (
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn", "rfft",
    "rfftfreq", "rfftn",
)  # fmt: skip
