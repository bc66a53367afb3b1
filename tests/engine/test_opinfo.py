"""The engine's gradients against PyTorch's on the samples that PyTorch tests itself with, operator by operator.

A sample is compared where NumPy's function, without the engine, has PyTorch's value: elsewhere the two libraries define
different functions. There the engine must have a derivative, and it must be PyTorch's.
"""

from __future__ import annotations

import sys
import types
import unittest
import warnings
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import vjp
from tests.engine.opinfo import OPERATORS
from tests.engine.test_peers import required

#: Samples of an operator that are tried; some have hundreds, which differ in options that NumPy lacks.
_MOST = 10


@pytest.fixture(scope="module")
def operators() -> dict[str, Any]:
    """PyTorch's table of operators, by name and variant."""
    required("torch")
    stub = types.ModuleType("expecttest")
    # PyTorch's test classes derive from it; none of them runs here.
    stub.TestCase = unittest.TestCase  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "expecttest" not in sys.modules:
            patch.setitem(sys.modules, "expecttest", stub)
        from torch.testing._internal.common_methods_invocations import op_db
    return {f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name: op for op in op_db}


def _tensors(x: Any) -> list[Any]:
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (list, tuple)):
        return [t for part in x for t in _tensors(part)]
    return [x] if type(x).__module__.startswith("torch") and hasattr(x, "requires_grad") else []


def _array(t: Any) -> Any:
    return t.detach().resolve_conj().resolve_neg().numpy(force=True).copy()[()]


def _replaced(x: Any, values: dict[int, Any]) -> Any:
    """Return the argument with arrays in place of tensors."""
    if isinstance(x, dict):
        return {key: _replaced(part, values) for key, part in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)([_replaced(part, values) for part in x])
    return values.get(id(x), _array(x)) if _tensors(x) else x


def _results(y: Any) -> list[Any]:
    """Return the floating and complex results."""
    parts = list(y) if isinstance(y, (list, tuple)) else [y]
    return [p for p in parts if (p.is_floating_point() or p.is_complex() if _tensors(p) else p.dtype.kind in "fc")]


def _cotangent(y: Any, seed: int) -> Any:
    parts = np.random.default_rng(seed).normal(size=(2, *y.shape))
    return (parts[0] + 1j * parts[1] if y.dtype.kind == "c" else parts[0])[()]


def _compare(name: str, op: Any, sample: Any) -> bool:
    """Compare the gradients at a sample; return False where NumPy's function is another."""
    torch = required("torch")
    given = [sample.input, list(sample.args), sample.kwargs]
    inputs = list({id(t): t for t in _tensors(given) if t.requires_grad}.values())

    def ours(*arrays: Any) -> list[Any]:
        x, args, kwargs = _replaced(given, {id(t): a for t, a in zip(inputs, arrays, strict=True)})
        return _results(OPERATORS[name](x, *args, **kwargs))

    theirs = _results(op(sample.input, *sample.args, **sample.kwargs))
    arrays = [_array(t) for t in inputs]
    try:
        plain = ours(*arrays)
        # Residuals and ranks follow the solution in one library and not in the other.
        theirs = theirs[: len(plain)]
        for a, b in zip(plain, theirs, strict=True):
            assert np.shape(a) == tuple(b.shape)
            np.testing.assert_allclose(a, _array(b), rtol=1e-8, atol=1e-10)
    except (AssertionError, TypeError, ValueError, IndexError, np.linalg.LinAlgError):
        return False
    if not any(t.requires_grad for t in theirs):
        return False
    cotangents = [_cotangent(_array(t), k) for k, t in enumerate(theirs)]
    chosen = [(t, torch.as_tensor(np.asarray(c))) for t, c in zip(theirs, cotangents, strict=True) if t.requires_grad]
    expected = torch.autograd.grad([t for t, _ in chosen], inputs, [c for _, c in chosen], allow_unused=True)
    _, pullback = vjp(ours, *arrays)
    # A real output, such as eigenvalues that PyTorch calls complex, has real cotangents.
    cotangents = [c if np.iscomplexobj(a) else np.real(c) for a, c in zip(plain, cotangents, strict=True)]
    # Both are differences of products of numbers up to 10: 1e-9 of the largest is seven digits more than rounding.
    for found, wanted, x in zip(pullback(cotangents), expected, arrays, strict=True):
        wanted = np.zeros_like(x) if wanted is None else _array(wanted)
        if name == "linalg.cholesky":
            # The engine's gradient is Hermitian, PyTorch's of complex matrices is not: their Hermitian parts agree.
            found, wanted = ((m + np.conj(np.swapaxes(m, -1, -2))) / 2 for m in (found, wanted))
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_operator_of_pytorch(name: str, kind: str, operators: dict[str, Any]) -> None:
    torch, op = required("torch"), operators[name]
    dtype = getattr(torch, kind)
    if dtype not in op.dtypes or not op.supports_autograd:
        return
    samples = [s for s, _ in zip(op.sample_inputs("cpu", dtype, requires_grad=True), range(_MOST), strict=False)]
    compared = sum(_compare(name, op, sample) for sample in samples)
    assert kind == "complex128" or compared, "no sample has NumPy's value: what stands for it in OPERATORS is wrong"
