"""Idioms of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRELUDE = "import torch.nn.functional as F"

_SPECIAL = (
    "bessel_j0", "bessel_j1", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "gammainc", "gammaln", "i0", "i0e",
    "i1", "i1e", "log_ndtr", "logit", "ndtr", "ndtri", "sinc", "xlog1py", "xlogy", "zeta",
)  # fmt: skip
_SAME = (
    "exp2", "float_power", "fmax", "fmin", "fmod", "heaviside", "logaddexp2", "logdet", "median", "nan_to_num",
    "nanmean", "nansum", "quantile", "rsqrt", "sigmoid", "trapezoid",
)  # fmt: skip

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {name: f"torch.special.{name}" for name in _SPECIAL}
    | {name: f"torch.{name}" for name in _SAME}
    | {
        "relu": "F.relu",
        "relu6": "F.relu6",
        "leaky_relu": "F.leaky_relu",
        "elu": "F.elu",
        "celu": "F.celu",
        "selu": "F.selu",
        "gelu": "F.gelu",
        "gelu_tanh": "(lambda x: F.gelu(x, approximate='tanh'))",
        "silu": "F.silu",
        "mish": "F.mish",
        "log_sigmoid": "F.logsigmoid",
        "softplus": "F.softplus",
        "softsign": "F.softsign",
        "hard_tanh": "F.hardtanh",
        "hard_sigmoid": "F.hardsigmoid",
        "hard_silu": "F.hardswish",
        "softshrink": "F.softshrink",
        "hardshrink": "F.hardshrink",
        "tanhshrink": "F.tanhshrink",
        "softmax": "(lambda x: torch.softmax(x, -1))",
        "log_softmax": "(lambda x: torch.log_softmax(x, -1))",
        "logsumexp": "(lambda x: torch.logsumexp(x, -1))",
        "standardize": "(lambda x: F.layer_norm(x, x.shape))",
        "huber": "(lambda x, delta: F.huber_loss(x, torch.zeros_like(x), delta=delta))",
        "bce_with_logits": "F.binary_cross_entropy_with_logits",
        "cross_entropy": "(lambda x, label: F.cross_entropy(x, torch.tensor(label)))",
        "cosine_similarity": "(lambda x, y: F.cosine_similarity(x, y, dim=0))",
        "l1_loss": "F.l1_loss",
        "polygamma_1": "(lambda x: torch.special.polygamma(1, x))",
        "clip": "torch.clamp",
        "rint": "torch.round",
        "max_over": "(lambda x: torch.max(x, -1).values)",
        "min_over": "(lambda x: torch.min(x, -1).values)",
        "cummax": "(lambda x: torch.cummax(x, -1).values)",
        "logcumsumexp": "(lambda x: torch.logcumsumexp(x, -1))",
        "top_2": "(lambda x: torch.topk(x, 2).values)",
        "kth_smallest": "(lambda x, k: torch.kthvalue(x, k + 1).values)",
        "max_pool_2": "(lambda x: F.max_pool1d(x[None, None, :], 2)[0, 0])",
        "reduce_euclidean_norm": "torch.linalg.norm",
        "at": "(lambda x, index: x[index])",
        "scatter_add": "(lambda x, index, updates: torch.scatter_add(x, 0, index, updates))",
        "scatter_set": "(lambda x, index, updates: torch.scatter(x, 0, index, updates))",
        "scatter_max": "(lambda x, index, updates: torch.scatter_reduce(x, 0, index, updates, 'amax'))",
        "scatter_min": "(lambda x, index, updates: torch.scatter_reduce(x, 0, index, updates, 'amin'))",
        "scatter_multiply": "(lambda x, index, updates: torch.scatter_reduce(x, 0, index, updates, 'prod'))",
        "segment_sum": "(lambda x, ids, n: torch.zeros(n, dtype=x.dtype).index_add(0, ids, x))",
        "segment_max": "(lambda x, ids, n: torch.full((n,), -torch.inf, dtype=x.dtype)"
        ".scatter_reduce(0, ids, x, 'amax'))",
        "masked_select": "(lambda x, mask: torch.masked_select(x, torch.tensor(mask)))",
        "lstsq": "(lambda A, b: torch.linalg.lstsq(A, b[:, None]).solution[:, 0])",
        "cdist": "(lambda X: torch.cdist(X, X))",
        "stop_gradient": "torch.detach",
        "raw_gradient": """
def raw_gradient(f, *args):
    for a in args:
        if a is args[0] or a.is_floating_point():
            a.requires_grad_()
    f(*args).backward()
    return args[0].grad
""",
    }
)

TAPE: Mapping[str, str] = MappingProxyType(
    {
        "value": """
            x = torch.tensor(5.0)
            y = x**2 - 2 * x + 1
            answer = y
        """,
        "gradient": """
            x = torch.tensor(5.0, requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward()
            answer = x.grad
        """,
        "intermediate_dropped": """
            x = torch.tensor(5.0, requires_grad=True)
            z = 2 * x
            y = x**2 - z + 1
            y.backward()
            answer = z.grad
        """,
        "intermediate_retained": """
            x = torch.tensor(5.0, requires_grad=True)
            z = 2 * x
            z.retain_grad()
            y = x**2 - z + 1
            y.backward()
            answer = z.grad
        """,
        "seed_ones": """
            x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward(torch.ones_like(y))
            answer = x.grad
        """,
        "seed_rows": """
            x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward(torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
            answer = x.grad
        """,
        "no_seed": """
            x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = x**2 - 2 * x + 1
            y.backward()
            answer = x.grad
        """,
        "second_derivative": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (ddx,) = torch.autograd.grad(dx, x)
            answer = [dx, ddx]
        """,
        "third_derivative": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (ddx,) = torch.autograd.grad(dx, x, create_graph=True)
            (answer,) = torch.autograd.grad(ddx, x)
        """,
        "accumulates": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (x**3).backward()
            dx.backward()
            answer = x.grad
        """,
        "cleared": """
            x = torch.tensor(5.0, requires_grad=True)
            (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
            (x**3).backward()
            x.grad = None
            dx.backward()
            answer = x.grad
        """,
        "recording_kept": """
            x = torch.tensor(5.0, requires_grad=True)
            y = x**3
            y.backward(retain_graph=True)
            first = x.grad
            x.grad = None
            y.backward()
            answer = [first, x.grad]
        """,
        "unused_input": """
            a = torch.tensor(5.0, requires_grad=True)
            b = torch.tensor(2.0, requires_grad=True)
            y = a**2
            y.backward()
            answer = b.grad
        """,
        "integer_input": """
            x = torch.tensor(5, requires_grad=True)
            y = x**2
            y.backward()
            answer = x.grad
        """,
    }
)
