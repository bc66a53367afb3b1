"""Idioms of HIPS autograd."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRELUDE = ""

#: Empty: its array namespace has every function of the atlas that autograd can differentiate.
FUNCTIONS: Mapping[str, str] = MappingProxyType({})

_TWO_PASSES = """
    first = grad(lambda x: x**3)
    held = first(5.0)
    held = grad(first)(5.0)
    answer = held
"""

TAPE: Mapping[str, str] = MappingProxyType(
    {
        "value": """
            answer = (lambda x: x**2 - 2 * x + 1)(5.0)
        """,
        "gradient": """
            answer = grad(lambda x: x**2 - 2 * x + 1)(5.0)
        """,
        "intermediate_dropped": """
            def f(x):
                z = 2 * x
                return x**2 - z + 1

            dx = grad(f)(5.0)
            answer = None  # a gradient exists only for what was an argument
        """,
        "intermediate_retained": """
            def f(x, nudge):
                z = 2 * x + nudge  # the gradient of z is that of an addition to it
                return x**2 - z + 1

            answer = grad(f, argnum=1)(5.0, 0.0)
        """,
        "seed_ones": """
            x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
            pull_back, y = make_vjp(lambda x: x**2 - 2 * x + 1)(x)
            answer = pull_back(np.ones_like(y))
        """,
        "seed_rows": """
            x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
            pull_back, y = make_vjp(lambda x: x**2 - 2 * x + 1)(x)
            answer = pull_back(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
        """,
        "no_seed": """
            x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
            answer = grad(lambda x: x**2 - 2 * x + 1)(x)
        """,
        "second_derivative": """
            first = grad(lambda x: x**3)
            answer = [first(5.0), grad(first)(5.0)]
        """,
        "third_derivative": """
            answer = grad(grad(grad(lambda x: x**3)))(5.0)
        """,
        "accumulates": _TWO_PASSES,
        "cleared": _TWO_PASSES,
        "recording_kept": """
            pull_back, y = make_vjp(lambda x: x**3)(5.0)
            answer = [pull_back(1.0), pull_back(1.0)]
        """,
        "unused_input": """
            answer = grad(lambda a, b: a**2, argnum=1)(5.0, 2.0)
        """,
        "integer_input": """
            answer = grad(lambda x: x**2)(5)
        """,
    }
)
