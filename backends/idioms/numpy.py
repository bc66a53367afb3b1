"""Idioms of our engine; NumPy's functions are its namespace, and SciPy's are in `numpy_autodiff.special`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRELUDE = "from autodiff_compare.backends.numpy_autodiff import special"

_SPECIAL = (
    "betainc", "betaln", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "gammainc", "gammaln", "i0", "i0e", "i1",
    "i1e", "log_ndtr", "log_softmax", "logit", "logsumexp", "ndtr", "ndtri", "softmax", "xlog1py", "xlogy",
    "zeta",
)  # fmt: skip

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {name: f"special.{name}" for name in _SPECIAL}
    | {
        "dawsn": "special.dawsn",
        "bessel_j0": "special.j0",
        "bessel_j1": "special.j1",
        "polygamma_1": "(lambda x: special.polygamma(1, x))",
        "sigmoid": "special.expit",
        "log_sigmoid": "special.log_expit",
        "max_over": "(lambda x: np.max(x, axis=-1))",
        "min_over": "(lambda x: np.min(x, axis=-1))",
        "cummax": "np.maximum.accumulate",
        "logcumsumexp": "np.logaddexp.accumulate",
        "reduce_euclidean_norm": "np.linalg.norm",
        "at": "(lambda x, index: x[index])",
        "masked_select": "(lambda x, mask: x[np.array(mask)])",
        "lstsq": "(lambda A, b: np.linalg.lstsq(A, b, rcond=None)[0])",
        "logdet": "(lambda A: np.linalg.slogdet(A)[1])",
        "stop_gradient": "stop_gradient",
        "raw_gradient": "(lambda f, *args: grad(f)(*args))",
    }
)

_POLYNOMIAL = """
x = Variable(5.0)
z = 2 * x
{retain}y = x**2 - z + 1
y.backward()
answer = z.grad
"""
_MATRIX = "x = Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])\ny = x**2 - 2 * x + 1\n"
_TWO_PASSES = """
x = Variable(5.0)
y = x**3
y.backward(create_graph=True)
first = x.grad
{clear}first.backward()
answer = x.grad{value}
"""

TAPE: Mapping[str, str] = MappingProxyType(
    {
        "value": "x = Variable(5.0)\ny = x**2 - 2 * x + 1\nanswer = y.value",
        "gradient": "x = Variable(5.0)\ny = x**2 - 2 * x + 1\ny.backward()\nanswer = x.grad",
        "intermediate_dropped": _POLYNOMIAL.format(retain=""),
        "intermediate_retained": _POLYNOMIAL.format(retain="z.retain_grad()\n"),
        "seed_ones": _MATRIX + "y.backward(np.ones((2, 3)))\nanswer = x.grad",
        "seed_rows": _MATRIX + "y.backward([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])\nanswer = x.grad",
        "no_seed": _MATRIX + "y.backward()\nanswer = x.grad",
        "second_derivative": "first = grad(lambda x: x**3)\nanswer = [first(5.0), grad(first)(5.0)]",
        "third_derivative": "answer = grad(grad(grad(lambda x: x**3)))(5.0)",
        "accumulates": _TWO_PASSES.format(clear="", value=".value"),
        "cleared": _TWO_PASSES.format(clear="x.zero_grad()\n", value=""),
        "recording_kept": """
x = Variable(5.0)
y = x**3
y.backward(retain_graph=True)
first = x.grad
x.zero_grad()
y.backward()
answer = [first, x.grad]
""",
        "unused_input": "answer = grad(lambda a, b: a**2, argnums=1)(5.0, 2.0)",
        "integer_input": "x = Variable(5)\ny = x**2\ny.backward()\nanswer = x.grad",
    }
)
