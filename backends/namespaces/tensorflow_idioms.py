"""How a TensorFlow user spells the questions of ``problems/tape.py``: source text, imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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

IDIOMS: Mapping[str, str] = MappingProxyType(
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
