"""Hints: where a spelling fails on one backend, the one that works on all of them.

An objective is written against the array API standard, but a user writes what NumPy has, or what worked on the first
backend. Each framework refuses that in words of its own. `hint` adds the spelling of the standard.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.array_api import FFT, LINALG, NAMES
from autodiff_compare.backends.operators.objective import Unsupported
from autodiff_compare.backends.special import NAMES as SPECIAL

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
        **{name: f"xp.special.{name}" for name in (
            "betainc", "erfc", "erfinv", "expit", "gammainc", "i0", "i1", "log_softmax", "logit", "xlogy",
        )},
        "gammaln": "xp.special.lgamma",
        "psi": "xp.special.digamma",
        "relu": "xp.maximum(x, 0.0)",
        "softplus": "xp.logaddexp(x, 0.0)",
        "cbrt": "xp.sign(x) * xp.abs(x) ** (1 / 3)",
        "exp2": "xp.pow(2.0, x)",
        "deg2rad": "x * (math.pi / 180)",
        "radians": "x * (math.pi / 180)",
        "rad2deg": "x * (180 / math.pi)",
        "degrees": "x * (180 / math.pi)",
        "vdot": "xp.vecdot",
        "trapezoid": "xp.sum((y[1:] + y[:-1]) * (t[1:] - t[:-1])) / 2",
        "polyval": "Horner's rule, y = y * x + c for each coefficient c",
        "median": "xp.sort, then an entry of it",
        "nansum": "xp.sum(xp.where(xp.isnan(x), 0.0, x))",
        "average": "xp.mean, or xp.sum(w * x) / xp.sum(w)",
        "copy": "xp.asarray(x, copy=True)",
        "random": "the random numbers as a default of the function, an array drawn beforehand",
    }
)  # fmt: skip

_BRANCH = "xp.where(condition, a, b) works on every backend"
_MASK = "xp.where(mask, x, 0.0) works on every backend: its shape does not depend on data"
_ASSIGN = "xp.where, xp.concat or xp.stack build the array on every backend"
_IN_PLACE = f"x = x - y in place of x -= y works on every backend; {_ASSIGN}"
_NUMBER = "math.sqrt(2.0) and its like take Python numbers; xp.asarray(2.0) is an array"
_LIST = "xp.stack([a, b]) makes an array of several numbers or arrays"
_TUPLE = "a shape is one tuple, as in xp.reshape(x, (2, 3)) and xp.zeros((2, 3))"
_AXIS = (
    "an axis is given as axis=0, as in xp.sum(x, axis=0), xp.cumulative_sum(x, axis=0), xp.special.logsumexp(x, axis=0)"
)
_RESULT = "the result has to be an array of the backend: functions of xp, not of math or NumPy, return one"
_NUMBERS = "functions of xp (xp.sin for math.sin and np.sin) take the arrays of every backend"
_ASARRAY = "xp.asarray(A) makes it an array of the backend"
_TAKE = "xp.take(x, i, axis=0) works on every backend"
_DTYPES = "xp.astype(y, x.dtype) gives both one dtype on every backend"

#: Similarity from which a name is taken for a misspelt one: ``summ`` for ``sum``, but not ``nosuch`` for ``cosh``.
_CLOSE = 0.75

#: Patterns of messages that several backends have, and the hints.
_SHARED: tuple[tuple[str, str], ...] = (
    (r"unexpected keyword argument 'dim'|missing .*\bdim\b", _AXIS),
    (r"\b(sum|prod|mean|var|std|max|min|any|all)\(\) takes 1 positional argument", _AXIS),
    (
        r"squeeze\(\) missing .*'axis'",
        "xp.squeeze(x, axis=0) names the axis, and xp.reshape(x, ()) makes a number of one",
    ),
    (r"reshape\(\) takes 2 positional|'shape' .* must be tuple|for 'order' argument: -?\d|got order='-?\d", _TUPLE),
    (r"(zeros|ones|empty)\(\) takes 1 positional|Cannot interpret '\d+' as a data type", _TUPLE),
    (r"must be Tensor, not (list|tuple)|got <class '(list|tuple)'>|'(list|tuple)' object has no attribute", _LIST),
    (r"define __round__ method|round\(\) to a Python integer", "xp.round(x) works on every backend"),
    (r"\blen is not well defined", "x.shape[0] is the length on every backend"),
    (r"None values not supported|Output was None", _RESULT),
    (r"'(NoneType|int|float|numpy\.float64)' object has no attribute '(shape|numel)'", _RESULT),
)
#: Backend -> a pattern of its messages, and the hint. They are tried before those of `_SHARED`.
_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "jax": (
            (r"boolean indices must be concrete|NonConcreteBooleanIndex", f"{_MASK}; or run jax:eager"),
            (r"attempted boolean conversion of traced|TracerBool", f"{_BRANCH}; jax:eager branches on data"),
            (r"TracerArrayConversion|__array__\(\) method was called on traced", _NUMBERS),
            (r"TracerInteger|__index__\(\) method was called on traced", _TAKE),
            (r"problem arose with the `(float|complex)` function", f"{_NUMBERS}; jax:eager knows values"),
            (r"ConcretizationTypeError|abstract tracer value", f"{_BRANCH}; jax:eager knows values"),
            (r"non-tuple sequence for multidimensional indexing", "x[xp.asarray([0, 1])] works on every backend"),
            (r"JAX arrays are immutable|does not support item assignment", _ASSIGN),
        ),
        "torch": (
            (r"step must be greater than zero|negative step", "xp.flip(x, axis=0) works on every backend"),
            (r"(to|must) have (the )?same dtype|expected scalar type .* but found", _DTYPES),
            (r"vmap: .*(item|data-dependent)|data-dependent (control flow|branching)", _BRANCH),
            (r"requires grad .*in-place|in-place operation|modified by an inplace", _IN_PLACE),
            (r"got an unexpected keyword argument '(axis|out|keepdims)'", _NUMBERS),
            (r"must be Tensor, not (int|float|complex|bool)\b", _NUMBER),
            (r"must be Tensor, not numpy.ndarray", f"{_ASARRAY}; {_LIST}"),
            (r"\btranspose\(\)", f"write {SPELLINGS['transpose']}"),
            (
                r"Can't call numpy\(\) on Tensor|must be Tensor, not (?!list|tuple)|only (one element|integer) tensors",
                _NUMBERS,
            ),
            (r"unsupported operand .*(Tensor.*ndarray|ndarray.*Tensor)", _ASARRAY),
        ),
        "tensorflow": (
            (r"symbolic `?tf.Tensor`? as a Python `?bool`?", f"{_BRANCH}; tensorflow:eager branches on data"),
            (r"does not support item assignment", _ASSIGN),
            (r"cannot convert a symbolic tf.Tensor|does not support ufuncs", _NUMBERS),
        ),
        "numpy": (
            (r"got out= in np\.\w+ of a variable", _IN_PLACE),
            (r"setting an array element with a sequence\.$", _ASSIGN),
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


def _similar(name: str, place: Any, xp: Any) -> list[str]:
    """Return the names that all backends have and that are similar to one which ``place``, a namespace, lacks."""
    for extension, names in (("", NAMES), ("linalg", LINALG), ("fft", FFT), ("special", SPECIAL)):
        if place is (getattr(xp, extension, None) if extension else xp):
            close = difflib.get_close_matches(name, names, n=2, cutoff=_CLOSE)
            return [f"xp.{extension}{'.' if extension else ''}{each}" for each in close]
    return []


def hint(error: BaseException, owner: str, xp: Any) -> str:
    """Return the spelling that works on every backend, in words; empty if none is known. Parameters as `lacking`."""
    if isinstance(error, AttributeError) and isinstance(name := getattr(error, "name", None), str):
        place = getattr(error, "obj", None)
        if _name_of_the_standard(error, xp):  # the spelling is that of the standard: it is the backend that lacks it
            return ""
        if (place is xp or place is getattr(xp, "linalg", None)) and name in SPELLINGS:
            return f"write {SPELLINGS[name]}: it works on every backend"
        if similar := _similar(name, place, xp):
            return f"did you mean {' or '.join(similar)}?"
        if place is not xp and hasattr(place, "shape") and name != "numel":  # torch asks NumPy's number for it
            known = SPELLINGS.get(name, f"xp.{name}(x)" if name in NAMES else "a function of xp")
            return f"write {known}: arrays have no methods in the standard"
    words = type(error).__name__
    with contextlib.suppress(Exception):  # a user's exception may be one that cannot be put into words
        words = f"{words}: {error}"
    rows = (*_ROWS.get(owner, ()), *_SHARED)
    return next((told for pattern, told in rows if re.search(pattern, words, re.IGNORECASE | re.DOTALL)), "")
