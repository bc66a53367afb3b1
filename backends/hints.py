"""Hints: where a spelling fails on one backend, the one that works on all of them.

An objective is written against the array API standard, but a user writes what NumPy has, or what worked on the first
backend. Each framework refuses that in words of its own. `hint` adds the spelling of the standard.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.array_api import FFT, LINALG, NAMES
from autodiff_compare.backends.operators.objective import Unsupported

#: Name in NumPy or PyTorch -> the spelling of the standard.
SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"xp.{own}" for name, own in {
            "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
            "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "amax": "max", "amin": "min", "around": "round",
            "array": "asarray", "bitwise_not": "bitwise_invert", "cat": "concat", "clamp": "clip",
            "concatenate": "concat", "conjugate": "conj", "cumprod": "cumulative_prod", "cumsum": "cumulative_sum",
            "fabs": "abs", "fmax": "maximum", "fmin": "minimum", "float_power": "pow", "invert": "bitwise_invert",
            "left_shift": "bitwise_left_shift", "mod": "remainder", "permute": "permute_dims", "power": "pow",
            "right_shift": "bitwise_right_shift", "rint": "round", "row_stack": "concat", "true_divide": "divide",
            "unique": "unique_values", "vstack": "concat", "hstack": "concat",
        }.items()},
        **{name: f"xp.linalg.{name}" for name in LINALG if name not in NAMES},
        "column_stack": "xp.stack(arrays, axis=-1)",
        "dot": "xp.matmul, or xp.vecdot of two vectors",
        "einsum": "xp.matmul, xp.tensordot, or xp.sum of a product",
        "inner": "xp.vecdot",
        "ravel": "xp.reshape(x, (-1,))",
        "flatten": "xp.reshape(x, (-1,))",
        "diag": "xp.linalg.diagonal(A), or xp.eye(n) * x to make a matrix",
        "norm": "xp.linalg.vector_norm or xp.linalg.matrix_norm",
        "transpose": "xp.permute_dims, or x.T of a matrix",
        "swapaxes": "xp.moveaxis or xp.permute_dims",
        "atleast_1d": "xp.reshape",
        "split": "slices, x[a:b]",
        "dtype": "x.dtype",
        "erf": "xp.special.erf",
        "lgamma": "xp.special.lgamma",
        "digamma": "xp.special.digamma",
        "logsumexp": "xp.special.logsumexp",
        "sigmoid": "xp.special.expit",
        "softmax": "xp.exp(xp.special.log_softmax(x))",
    }
)  # fmt: skip

_BRANCH = "xp.where(condition, a, b) works on every backend"
_MASK = "xp.where(mask, x, 0.0) works on every backend: its shape does not depend on data"
_ASSIGN = "xp.where, xp.concat or xp.stack build the array on every backend"
_NUMBERS = "functions of xp (xp.sin for math.sin and np.sin) take the arrays of every backend"
_ASARRAY = "xp.asarray(A) makes it an array of the backend"
_TAKE = "xp.take(x, i, axis=0) works on every backend"
_DTYPES = "xp.astype(y, x.dtype) gives both one dtype on every backend"

#: Backend -> a pattern of its messages, and the hint.
_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "jax": (
            (r"boolean indices must be concrete|NonConcreteBooleanIndex", f"{_MASK}; or run jax:eager"),
            (r"attempted boolean conversion of traced|TracerBool", f"{_BRANCH}; jax:eager branches on data"),
            (r"TracerArrayConversion|__array__\(\) method was called on traced", _NUMBERS),
            (r"TracerInteger|__index__\(\) method was called on traced", _TAKE),
            (r"ConcretizationTypeError|abstract tracer value", f"{_BRANCH}; jax:eager knows values"),
            (r"JAX arrays are immutable|does not support item assignment", _ASSIGN),
        ),
        "torch": (
            (r"step must be greater than zero|negative step", "xp.flip(x, axis=0) works on every backend"),
            (r"to have the same dtype|expected scalar type .* but found", _DTYPES),
            (r"vmap: .*(item|data-dependent)|data-dependent (control flow|branching)", _BRANCH),
            (r"requires grad .*in-place|in-place operation|modified by an inplace", _ASSIGN),
            (r"Can't call numpy\(\) on Tensor|must be Tensor, not|only (one element|integer) tensors", _NUMBERS),
            (r"unsupported operand .*(Tensor.*ndarray|ndarray.*Tensor)", _ASARRAY),
        ),
        "tensorflow": (
            (r"symbolic `?tf.Tensor`? as a Python `?bool`?", f"{_BRANCH}; tensorflow:eager branches on data"),
            (r"does not support item assignment", _ASSIGN),
            (r"cannot convert a symbolic tf.Tensor|does not support ufuncs", _NUMBERS),
        ),
        "autograd": (
            (r"does not support item assignment|assignment", _ASSIGN),
            (r"float\(\) argument|setting an array element with a sequence", _NUMBERS),
        ),
    }
)


def lacking(error: BaseException, owner: str, xp: Any) -> str:
    """Return the name of the standard that a namespace lacks, in words; empty if the error has another cause.

    It is empty for `Absent` too, whose own words give the adapter's reason.

    Parameters
    ----------
    error
        What a user's function raised.
    owner
        Name of the backend.
    xp
        Its namespace.
    """
    path = "" if isinstance(error, Unsupported) else _name_of_the_standard(error, xp)
    return f"{owner} has no xp.{path}" if path else ""


def _name_of_the_standard(error: BaseException, xp: Any) -> str:
    """Return the name of the standard that was not found in a namespace, as ``linalg.det``; empty if none was."""
    if not isinstance(error, AttributeError):
        return ""
    # Python 3.9 does not keep the object of an AttributeError.
    name, place = getattr(error, "name", None), getattr(error, "obj", None)
    if place is None or not isinstance(name, str):
        return ""
    for extension, names in (("", NAMES), ("linalg", LINALG), ("fft", FFT)):
        if place is (getattr(xp, extension, None) if extension else xp) and name in names:
            return f"{extension}{'.' if extension else ''}{name}"
    return ""


def hint(error: BaseException, owner: str, xp: Any) -> str:
    """Return the spelling that works on every backend, in words; empty if none is known. Parameters as `lacking`."""
    if isinstance(error, AttributeError) and isinstance(name := getattr(error, "name", None), str):
        place = getattr(error, "obj", None)
        if _name_of_the_standard(error, xp):  # the spelling is that of the standard: it is the backend that lacks it
            return ""
        if (place is xp or place is getattr(xp, "linalg", None)) and name in SPELLINGS:
            return f"write {SPELLINGS[name]}, which every backend has"
        if place is not xp and hasattr(place, "shape") and name in (*NAMES, *SPELLINGS):
            return f"write {SPELLINGS.get(name, f'xp.{name}(x)')}: arrays have no methods in the standard"
    words = type(error).__name__
    with contextlib.suppress(Exception):  # a user's exception may be one that cannot be put into words
        words = f"{words}: {error}"
    rows = _ROWS.get(owner, ())
    return next((told for pattern, told in rows if re.search(pattern, words, re.IGNORECASE | re.DOTALL)), "")
