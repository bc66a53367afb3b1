"""Idioms of TensorFlow, with the activations and losses of Keras."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRELUDE = ""

_SAME = (
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "betainc", "cos", "cosh",
    "cumulative_sum", "cumulative_prod", "digamma", "divide", "divide_no_nan", "erf", "erfc", "erfinv", "exp",
    "expm1", "floor", "imag", "conj", "log", "log1p", "log_sigmoid", "maximum", "minimum", "multiply", "ndtri", "pow",
    "real", "rint", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "softplus", "sqrt", "square", "subtract",
    "tan", "tanh", "xlog1py", "xlogy", "zeta", "reduce_euclidean_norm",
)  # fmt: skip
_OTHER = {"atan2": "atan2", "ceil": "ceil", "cumulative_sum": "cumsum", "cumulative_prod": "cumprod"}
_ACTIVATIONS = {
    "celu": "celu",
    "mish": "mish",
    "hard_sigmoid": "hard_sigmoid",
    "hard_silu": "hard_silu",
    "hard_tanh": "hard_tanh",
    "softshrink": "soft_shrink",
    "hardshrink": "hard_shrink",
    "tanhshrink": "tanh_shrink",
}

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {name: f"tf.math.{_OTHER.get(name, name)}" for name in _SAME}
    | {name: f"tf.keras.activations.{own}" for name, own in _ACTIVATIONS.items()}
    | {
        "relu": "tf.nn.relu",
        "relu6": "tf.nn.relu6",
        "leaky_relu": "tf.nn.leaky_relu",
        "elu": "tf.nn.elu",
        "selu": "tf.nn.selu",
        "gelu": "tf.nn.gelu",
        "gelu_tanh": "(lambda x: tf.nn.gelu(x, approximate=True))",
        "silu": "tf.nn.silu",
        "softsign": "tf.nn.softsign",
        "softmax": "tf.nn.softmax",
        "log_softmax": "tf.nn.log_softmax",
        "logsumexp": "tf.reduce_logsumexp",
        "huber": "(lambda x, delta: tf.keras.losses.huber(tf.zeros((1,), x.dtype), x[None], delta))",
        "bce_with_logits": "(lambda x, target: tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=x))",
        "cross_entropy": "(lambda x, label: "
        "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[label], logits=x[None])[0])",
        "cosine_similarity": "(lambda x, y: -tf.keras.losses.cosine_similarity(x, y))",
        "l1_loss": "(lambda x, y: tf.keras.losses.MAE(y, x))",
        "gammaln": "tf.math.lgamma",
        "gammainc": "tf.math.igamma",
        "polygamma_1": "(lambda x: tf.math.polygamma(tf.ones_like(x), x))",
        "betaln": "(lambda x, y: tf.math.lbeta(tf.stack([x, y])))",
        "i0": "tf.math.bessel_i0",
        "i0e": "tf.math.bessel_i0e",
        "i1": "tf.math.bessel_i1",
        "i1e": "tf.math.bessel_i1e",
        "bessel_j0": "tf.math.special.bessel_j0",
        "bessel_j1": "tf.math.special.bessel_j1",
        "spence": "tf.math.special.spence",
        "dawsn": "tf.math.special.dawsn",
        "clip": "tf.clip_by_value",
        "fmod": "tf.truncatemod",
        "max": "tf.reduce_max",
        "min": "tf.reduce_min",
        "mean": "tf.reduce_mean",
        "prod": "tf.reduce_prod",
        "max_over": "(lambda x: tf.reduce_max(x, axis=-1))",
        "min_over": "(lambda x: tf.reduce_min(x, axis=-1))",
        "logcumsumexp": "tf.math.cumulative_logsumexp",
        "top_2": "(lambda x: tf.math.top_k(x, 2).values)",
        "max_pool_2": "(lambda x: tf.nn.max_pool1d(x[None, :, None], 2, 2, 'VALID')[0, :, 0])",
        "std": """
def std(x, correction=0.0):
    return xp.std(x, correction=correction) if correction else tf.math.reduce_std(x)
""",
        "var": """
def var(x, correction=0.0):
    return xp.var(x, correction=correction) if correction else tf.math.reduce_variance(x)
""",
        "linalg.vector_norm": "(lambda x, axis=None, ord=2: tf.norm(x, ord, axis))",
        "take": "tf.gather",
        "at": "tf.gather",
        "scatter_add": "(lambda x, index, updates: tf.tensor_scatter_nd_add(x, index[:, None], updates))",
        "scatter_set": "(lambda x, index, updates: tf.tensor_scatter_nd_update(x, index[:, None], updates))",
        "scatter_max": "(lambda x, index, updates: tf.tensor_scatter_nd_max(x, index[:, None], updates))",
        "scatter_min": "(lambda x, index, updates: tf.tensor_scatter_nd_min(x, index[:, None], updates))",
        "segment_sum": "tf.math.unsorted_segment_sum",
        "segment_max": "tf.math.unsorted_segment_max",
        "masked_select": "tf.boolean_mask",
        "lstsq": "(lambda A, b: tf.linalg.lstsq(A, b[:, None])[:, 0])",
        "logdet": "tf.linalg.logdet",
        "stop_gradient": "tf.stop_gradient",
        "raw_gradient": """
def raw_gradient(f, *args):
    args = [tf.convert_to_tensor(a) for a in args]
    with tf.GradientTape() as tape:
        tape.watch([a for a in args if a.dtype != tf.bool])
        y = tf.convert_to_tensor(f(*args))
    found = tape.gradient(y, args[0])
    if isinstance(found, tf.IndexedSlices):
        return tf.convert_to_tensor(found), "sparse made dense"
    return found
""",
    }
)

_CUBE_TWICE = """
    x = tf.Variable(5.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = x**3
        first = inner.gradient(y, x)
"""

_ELEMENTWISE = """
    x = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    with tf.GradientTape() as tape:
        y = x**2 - 2 * x + 1
"""

TAPE: Mapping[str, str] = MappingProxyType(
    {
        "value": """
            x = tf.Variable(5.0)
            answer = x**2 - 2 * x + 1
        """,
        "gradient": """
            x = tf.Variable(5.0)
            with tf.GradientTape() as tape:
                y = x**2 - 2 * x + 1
            answer = tape.gradient(y, x)
        """,
        "intermediate_dropped": """
            x = tf.Variable(5.0)
            with tf.GradientTape() as tape:
                z = 2 * x
                y = x**2 - z + 1
            dx = tape.gradient(y, x)
            answer = tape.gradient(y, z)
        """,
        "intermediate_retained": """
            x = tf.Variable(5.0)
            with tf.GradientTape(persistent=True) as tape:
                z = 2 * x
                y = x**2 - z + 1
            dx = tape.gradient(y, x)
            answer = tape.gradient(y, z)
        """,
        "seed_ones": _ELEMENTWISE + "    answer = tape.gradient(y, x, output_gradients=tf.ones_like(y))\n",
        "seed_rows": _ELEMENTWISE
        + "    seed = tf.constant([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])\n"
        + "    answer = tape.gradient(y, x, output_gradients=seed)\n",
        "no_seed": _ELEMENTWISE + "    answer = tape.gradient(y, x)\n",
        "second_derivative": _CUBE_TWICE + "    answer = [first, outer.gradient(first, x)]\n",
        "third_derivative": """
            x = tf.Variable(5.0)
            with tf.GradientTape() as third:
                with tf.GradientTape() as second:
                    with tf.GradientTape() as first:
                        y = x**3
                    dy = first.gradient(y, x)
                d2y = second.gradient(dy, x)
            answer = third.gradient(d2y, x)
        """,
        "accumulates": _CUBE_TWICE + "    answer = outer.gradient(first, x)\n",
        "cleared": _CUBE_TWICE + "    answer = outer.gradient(first, x)  # nothing is held, nothing to clear\n",
        "recording_kept": """
            x = tf.Variable(5.0)
            with tf.GradientTape(persistent=True) as tape:
                y = x**3
            answer = [tape.gradient(y, x), tape.gradient(y, x)]
        """,
        "unused_input": """
            a, b = tf.Variable(5.0), tf.Variable(2.0)
            with tf.GradientTape() as tape:
                y = a**2
            answer = tape.gradient(y, b)
        """,
        "integer_input": """
            x = tf.Variable(5)
            with tf.GradientTape() as tape:
                y = x**2
            answer = tape.gradient(y, x)
        """,
    }
)
