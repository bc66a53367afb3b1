"""Idioms of JAX; its namespace is ``jax.numpy``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRELUDE = "import jax.nn, jax.scipy.special"

_NN = (
    "celu", "elu", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax",
    "logsumexp", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
)  # fmt: skip
_SPECIAL = (
    "betainc", "betaln", "digamma", "entr", "erf", "erfc", "erfinv", "gammainc", "gammaln", "i0", "i0e", "i1", "i1e",
    "log_ndtr", "logit", "ndtr", "ndtri", "spence", "xlog1py", "xlogy", "zeta",
)  # fmt: skip

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {name: f"jax.nn.{name}" for name in _NN}
    | {name: f"jax.scipy.special.{name}" for name in _SPECIAL}
    | {
        "gelu_tanh": "(lambda x: jax.nn.gelu(x, approximate=True))",
        "softsign": "jax.nn.soft_sign",
        "standardize": "(lambda x: jax.nn.standardize(x, epsilon=1e-5))",
        "polygamma_1": "(lambda x: jax.scipy.special.polygamma(1, x))",
        "rsqrt": "jax.lax.rsqrt",
        "max_over": "(lambda x: jnp.max(x, axis=-1))",
        "min_over": "(lambda x: jnp.min(x, axis=-1))",
        "cummax": "jax.lax.cummax",
        "logcumsumexp": "jax.lax.cumlogsumexp",
        "top_2": "(lambda x: jax.lax.top_k(x, 2)[0])",
        "max_pool_2": "(lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (2,), 'VALID'))",
        "reduce_euclidean_norm": "jnp.linalg.norm",
        "at": "(lambda x, index: x[index])",
        "scatter_add": "(lambda x, index, updates: x.at[index].add(updates))",
        "scatter_set": "(lambda x, index, updates: x.at[index].set(updates))",
        "scatter_max": "(lambda x, index, updates: x.at[index].max(updates))",
        "scatter_min": "(lambda x, index, updates: x.at[index].min(updates))",
        "scatter_multiply": "(lambda x, index, updates: x.at[index].multiply(updates))",
        "segment_sum": "jax.ops.segment_sum",
        "segment_max": "jax.ops.segment_max",
        "masked_select": "(lambda x, mask: x[np.array(mask)])",
        "lstsq": "(lambda A, b: jnp.linalg.lstsq(A, b)[0])",
        "logdet": "(lambda A: jnp.linalg.slogdet(A)[1])",
        "stop_gradient": "jax.lax.stop_gradient",
        "raw_gradient": "(lambda f, *args: jax.grad(f)(*args))",
    }
)

TAPE: Mapping[str, str] = MappingProxyType(
    {
        "value": """
            answer = (lambda x: x**2 - 2 * x + 1)(5.0)
        """,
        "gradient": """
            answer = jax.grad(lambda x: x**2 - 2 * x + 1)(5.0)
        """,
        "intermediate_dropped": """
            def f(x):
                z = 2 * x
                return x**2 - z + 1

            dx = jax.grad(f)(5.0)
            answer = None  # a gradient exists only for what was an argument
        """,
        "intermediate_retained": """
            def f(x, nudge):
                z = 2 * x + nudge  # the gradient of z is that of an addition to it
                return x**2 - z + 1

            answer = jax.grad(f, argnums=1)(5.0, 0.0)
        """,
        "seed_ones": """
            x = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
            y, pull_back = jax.vjp(lambda x: x**2 - 2 * x + 1, x)
            (answer,) = pull_back(jnp.ones_like(y))
        """,
        "seed_rows": """
            x = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
            y, pull_back = jax.vjp(lambda x: x**2 - 2 * x + 1, x)
            (answer,) = pull_back(jnp.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
        """,
        "no_seed": """
            x = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
            answer = jax.grad(lambda x: x**2 - 2 * x + 1)(x)
        """,
        "second_derivative": """
            first = jax.grad(lambda x: x**3)
            answer = [first(5.0), jax.grad(first)(5.0)]
        """,
        "third_derivative": """
            answer = jax.grad(jax.grad(jax.grad(lambda x: x**3)))(5.0)
        """,
        "accumulates": """
            first = jax.grad(lambda x: x**3)
            held = first(5.0)
            held = jax.grad(first)(5.0)
            answer = held
        """,
        "cleared": """
            first = jax.grad(lambda x: x**3)
            held = first(5.0)
            held = jax.grad(first)(5.0)
            answer = held
        """,
        "recording_kept": """
            y, pull_back = jax.vjp(lambda x: x**3, 5.0)
            answer = [pull_back(1.0)[0], pull_back(1.0)[0]]
        """,
        "unused_input": """
            answer = jax.grad(lambda a, b: a**2, argnums=1)(5.0, 2.0)
        """,
        "integer_input": """
            answer = jax.grad(lambda x: x**2)(5)
        """,
    }
)
