"""The arguments of NumPy's functions as tables: values to give them, and what their results are compared by."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff import Variable
from autodiff_compare.backends.numpy_autodiff.array.functions import spelled

MATRIX = np.array([[0.5, -1.2, 2.0], [1.5, 0.3, -0.7]])
VECTOR = np.array([0.3, 1.2, -0.7, 2.1])
SQUARE = np.array([[2.0, 0.5, 0.1], [0.5, 3.0, -0.4], [0.1, -0.4, 5.0]])
MASK = np.array([[True, False, True], [True, True, False]])

#: The arguments without a default, where a matrix for each is not what the function takes.
BASE: dict[str, tuple[Any, ...]] = {
    "np.apply_along_axis": (np.sum, 0, MATRIX),
    "np.apply_over_axes": (np.sum, MATRIX, [0]),
    "np.argpartition": (MATRIX, 1),
    "np.array_split": (MATRIX, 2),
    "np.astype": (MATRIX, np.float32),
    "np.bincount": (np.array([0, 2, 1, 1]), VECTOR),
    "np.block": ([[MATRIX, MATRIX]],),
    "np.broadcast_to": (VECTOR, (2, 4)),
    "np.can_cast": (np.float64, np.float32),
    "np.choose": (np.array([0, 1, 0]), [MATRIX, MATRIX + 1]),
    "np.clip": (MATRIX, -0.5, 0.5),
    "np.cross": (SQUARE, SQUARE.T + 1),
    "np.column_stack": ([MATRIX, MATRIX],),
    "np.compress": ([True, False], MATRIX),
    "np.concatenate": ([MATRIX, MATRIX],),
    "np.convolve": (VECTOR, VECTOR[:3]),
    "np.correlate": (VECTOR, VECTOR[:3]),
    "np.delete": (VECTOR, 1),
    "np.diag_indices_from": (SQUARE,),
    "np.digitize": (MATRIX, np.array([0.0, 1.0])),
    "np.dot": (MATRIX, SQUARE),
    "np.dsplit": (MATRIX.reshape(1, 3, 2), 2),
    "np.dstack": ([MATRIX, MATRIX],),
    "np.einsum": ("ij,ij->i", MATRIX, MATRIX),
    "np.einsum_path": ("ij,ij->i", MATRIX, MATRIX),
    "np.expand_dims": (MATRIX, 1),
    "np.extract": (MASK, MATRIX),
    "np.fft.irfft": (VECTOR,),
    "np.full_like": (MATRIX, 2.5),
    "np.gradient": (MATRIX, 0.5),
    "np.hsplit": (MATRIX, 3),
    "np.hstack": ([MATRIX, MATRIX],),
    "np.insert": (VECTOR, 1, 9.0),
    "np.interp": (MATRIX, np.array([-1.0, 0.0, 1.0]), np.array([1.0, 2.0, 4.0])),
    "np.lexsort": ((VECTOR, VECTOR),),
    "np.linalg.cross": (SQUARE, SQUARE.T + 1),
    "np.linalg.matmul": (MATRIX, SQUARE),
    "np.linalg.matrix_power": (SQUARE, 3),
    "np.linalg.multi_dot": ([MATRIX, SQUARE, SQUARE],),
    "np.linalg.lstsq": (SQUARE, VECTOR[:3]),
    "np.linalg.solve": (SQUARE, VECTOR[:3]),
    "np.linalg.tensorinv": (SQUARE.reshape(3, 3),),
    "np.linalg.tensorsolve": (SQUARE, VECTOR[:3]),
    "np.linalg.vecdot": (MATRIX, MATRIX),
    "np.moveaxis": (MATRIX, 0, 1),
    "np.nanpercentile": (MATRIX, 30.0),
    "np.nanquantile": (MATRIX, 0.3),
    "np.pad": (MATRIX, 1),
    "np.partition": (MATRIX, 1),
    "np.percentile": (MATRIX, 30.0),
    "np.piecewise": (VECTOR, [VECTOR > 0], [np.abs, 1.0]),
    "np.polyfit": (VECTOR, VECTOR**2, 1),
    "np.quantile": (MATRIX, 0.3),
    "np.repeat": (MATRIX, 2),
    "np.reshape": (MATRIX, (3, 2)),
    "np.resize": (MATRIX, (2, 2)),
    "np.roll": (MATRIX, 1),
    "np.rollaxis": (MATRIX, 1),
    "np.searchsorted": (np.array([0.0, 1.0, 2.0]), MATRIX),
    "np.select": ([MASK], [MATRIX]),
    "np.split": (MATRIX, 2),
    "np.stack": ([MATRIX, MATRIX],),
    "np.swapaxes": (MATRIX, 0, 1),
    "np.take": (MATRIX, [0, 1]),
    "np.take_along_axis": (MATRIX, np.array([[0, 1]])),
    "np.tensordot": (SQUARE, SQUARE),
    "np.tile": (MATRIX, 2),
    "np.unstack": (MATRIX,),
    "np.vsplit": (MATRIX, 2),
    "np.vstack": ([MATRIX, MATRIX],),
    "np.where": (MASK, MATRIX, -MATRIX),
}
_VECTORS = "bincount diag geomspace linspace logspace poly polyadd polyder polydiv polyint polymul polysub polyval"
_VECTORS += (
    " roots setdiff1d setxor1d trim_zeros union1d unwrap vander diagflat intersect1d cumulative_sum cumulative_prod"
)
_SQUARES = "det eig eigh eigvals eigvalsh inv cholesky cond slogdet trace diagonal svd matrix_rank pinv"

#: A value other than the default, by the name of the argument; ``function argument`` where it differs.
VALUES: dict[str, Any] = {
    **dict.fromkeys(("axis", "axis1", "k", "offset", "axisb", "axisc"), 0),
    **dict.fromkeys(("axis2", "n", "decimals", "ddof", "correction", "axisa", "start", "m", "minlength"), 1),
    **dict.fromkeys(("subok", "endpoint", "rowvar", "sorted", "equal_nan"), False),
    **dict.fromkeys(("keepdims", "copy", "overwrite_input", "stable", "assume_unique", "return_index"), True),
    **dict.fromkeys(("return_inverse", "return_counts", "return_indices", "include_initial", "retstep"), True),
    **dict.fromkeys(("bias", "increasing", "hermitian", "right", "invert", "returned", "full", "cov", "sparse"), True),
    **dict.fromkeys(("deg", "upper", "suppress_small", "descending"), True),
    **dict.fromkeys(("fweights",), np.array([1, 2, 1])),
    **dict.fromkeys(("left", "right_value", "to_end", "to_begin", "nan", "posinf", "neginf", "initial"), 0.5),
    **dict.fromkeys(("prepend", "append"), 0.25),
    **dict.fromkeys(("rtol", "atol", "tol", "rcond", "discont", "period", "dx"), 1.5),
    **dict.fromkeys(("a_min", "a_max", "min", "max"), 0.1),
    **dict.fromkeys(("np.where x", "np.where y"), 2 * MATRIX),
    "aweights": np.array([0.5, 1.0, 2.0]),
    "casting": "unsafe",
    "device": "cpu",
    "dtype": np.float32,
    "where": MASK,
    "order": "F",
    "ord": 1,
    "kind": "stable",
    "mode": "full",
    "norm": "ortho",
    "axes": (0,),
    "s": (2,),
    "shape": (3, 2),
    "num": 4,
    "base": 2.0,
    "method": "lower",
    "weights": np.abs(MATRIX),
    "trim": "f",
    "side": "right",
    "sorter": np.array([2, 1, 0]),
    "indexing": "ij",
    "optimize": True,
    "default": 9.0,
    "edge_order": 2,
    "max_work": 1,
    "UPLO": "U",
    "p": 1,
    "N": 2,
    "w": np.arange(1.0, 5.0),
    "y": MATRIX,
    "mean": np.zeros((1, 1)),
    "einsum_call": False,
    "full_matrices": False,
    "compute_uv": False,
    "ind": 1,
    # Old names of method and shape, which NumPy 2.2 still takes.
    "interpolation": "lower",
    "newshape": (3, 2),
    "np.around decimals": 1,
    "np.choose mode": "wrap",
    "np.fft.fft2 axes": (1, 0),
    "np.fft.ifft2 axes": (1, 0),
    "np.fft.irfft2 axes": (1, 0),
    "np.fft.rfft2 axes": (1, 0),
    "np.interp right": 7.0,
    "np.isin kind": "sort",
    "np.linalg.cond p": 1,
    "np.linalg.norm ord": "fro",
    "np.linalg.matrix_norm ord": 1,
    "np.linalg.qr mode": "r",
    "np.linalg.tensordot axes": 1,
    "np.linalg.tensorsolve axes": (0,),
    "np.linalg.trace offset": 1,
    "np.pad mode": "edge",
    "np.partition kind": "introselect",
    "np.argpartition kind": "introselect",
    "np.linalg.pinv rtol": 1e-15,
    "np.rot90 axes": (1, 0),
    "np.take mode": "clip",
    "np.tensordot axes": 1,
    "np.transpose axes": (1, 0),
    "np.trapezoid x": MATRIX,
    "np.unique axis": 0,
    "np.polyint k": 2.0,
    "np.flip axis": (0, 1),
    "np.expand_dims axis": (0, 1),
    "np.bincount weights": VECTOR,
    "np.array_equal equal_nan": True,
    "np.isclose equal_nan": True,
    "np.allclose equal_nan": True,
    "np.can_cast casting": "unsafe",
    "np.reshape order": "F",
}
#: Functions of the printed form, and of memory, which a variable has of its own.
APART = {"np.array2string", "np.array_repr", "np.array_str", "np.may_share_memory", "np.shares_memory"}


def parameters(function: Any) -> list[inspect.Parameter]:
    """Return the parameters of a NumPy function; none for a function in C, as NumPy 2.2 gives none."""
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:
        return []


def base(function: Any) -> tuple[Any, ...]:
    name = spelled(function)
    if name in BASE:
        return BASE[name]
    word = function.__name__
    one = VECTOR if word in _VECTORS.split() else SQUARE if word in _SQUARES.split() else MATRIX
    required = [
        p for p in parameters(function) if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    return (one,) * max(len(required), 1)


def traced(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(traced(part) for part in x)
    return Variable(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def plain(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [plain(part) for part in x]
    return x.value if isinstance(x, Variable) else x


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return plain(call())
    except (TypeError, ValueError, NotImplementedError, IndexError, np.linalg.LinAlgError) as error:
        return error


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
        return
    assert np.shape(found) == np.shape(expected)
    if isinstance(expected, (np.ndarray, np.generic)):
        assert np.asarray(found).dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6 if expected.dtype == np.float32 else 1e-12, atol=1e-14)
    else:
        np.testing.assert_equal(found, expected)


def itself(x: Any) -> Any:
    return x


#: What of a result can be compared: an empty array holds any numbers, and singular vectors have any sign.
FORM: dict[Any, Callable[[Any], Any]] = {np.empty_like: np.zeros_like, np.linalg.svd: lambda x: list(map(np.abs, x))}
