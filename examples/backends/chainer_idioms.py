"""Answers of Chainer to the questions of ``problems/tape.py``, as the classic tutorials ask them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_ELEMENTWISE = """
    x = Variable(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    y = x**2 - 2 * x + 1
"""
_TWO_PASSES = """
    x = Variable(np.array(5.0))
    y = x**3
    y.backward(enable_double_backprop=True)
    first = x.grad_var
"""

TAPE: Mapping[str, str] = MappingProxyType(
    {
        "value": """
            x = Variable(np.array(5.0))
            answer = x**2 - 2 * x + 1
        """,
        "gradient": """
            x = Variable(np.array(5.0))
            y = x**2 - 2 * x + 1
            y.backward()
            answer = x.grad
        """,
        "intermediate_dropped": """
            x = Variable(np.array(5.0))
            z = 2 * x
            y = x**2 - z + 1
            y.backward()
            answer = z.grad
        """,
        "intermediate_retained": """
            x = Variable(np.array(5.0))
            z = 2 * x
            y = x**2 - z + 1
            y.backward(retain_grad=True)
            answer = z.grad
        """,
        "seed_ones": _ELEMENTWISE + "    y.grad = np.ones_like(y.array)\n    y.backward()\n    answer = x.grad\n",
        "seed_rows": _ELEMENTWISE
        + "    y.grad = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])\n    y.backward()\n    answer = x.grad\n",
        "no_seed": _ELEMENTWISE + "    y.backward()\n    answer = x.grad\n",
        "second_derivative": _TWO_PASSES + "    x.cleargrad()\n    first.backward()\n    answer = [first, x.grad]\n",
        "third_derivative": _TWO_PASSES
        + "    x.cleargrad()\n    first.backward(enable_double_backprop=True)\n    second = x.grad_var\n"
        + "    x.cleargrad()\n    second.backward()\n    answer = x.grad\n",
        "accumulates": _TWO_PASSES + "    first.backward()\n    answer = x.grad\n",
        "cleared": _TWO_PASSES + "    x.cleargrad()\n    first.backward()\n    answer = x.grad\n",
        "recording_kept": """
            x = Variable(np.array(5.0))
            y = x**3
            y.backward()
            first = x.grad
            x.cleargrad()
            y.backward()
            answer = [first, x.grad]
        """,
        "unused_input": """
            a, b = Variable(np.array(5.0)), Variable(np.array(2.0))
            y = a**2
            y.backward()
            answer = b.grad
        """,
        "integer_input": """
            x = Variable(np.array(5))
            y = x**2
            y.backward()
            answer = x.grad
        """,
    }
)
