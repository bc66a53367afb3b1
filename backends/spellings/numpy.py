"""Our engine's spellings: NumPy's functions are its namespace, SciPy's stand in ``special``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRELUDE = "from backends.numpy_autodiff import special"

_SPECIAL = (
    "betainc", "betaln", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "gammainc", "gammaln", "i0", "i0e", "i1",
    "i1e", "log_ndtr", "log_softmax", "logit", "logsumexp", "ndtr", "ndtri", "softmax", "xlog1py", "xlogy",
    "zeta",
)  # fmt: skip

SPELLINGS: Mapping[str, str] = MappingProxyType(
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
