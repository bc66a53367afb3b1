"""Automatic differentiation of plain NumPy code: reverse and forward mode, of any order.

>>> import numpy as np
>>> from backends.numpy_autodiff import Variable, grad
>>> float(grad(lambda x: np.sin(x) ** 2)(0.5).round(6))
0.841471
>>> x = Variable(3.0)
>>> y = x * x + x
>>> y.backward()
>>> float(x.grad)
7.0
"""

from backends.numpy_autodiff.backward import no_grad
from backends.numpy_autodiff.compiler import Compiled, CompileError, compile
from backends.numpy_autodiff.custom import checkpoint, custom_rule
from backends.numpy_autodiff.memory import keep_freed_memory
from backends.numpy_autodiff.primitive import Primitive
from backends.numpy_autodiff.tracing import Trace, TraceError
from backends.numpy_autodiff.transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
)
from backends.numpy_autodiff.variable import Variable
from backends.numpy_autodiff.view import graph_dot, graph_svg, graph_text, primitive_counts

__all__ = [
    "CompileError",
    "Compiled",
    "Primitive",
    "Trace",
    "TraceError",
    "Variable",
    "checkpoint",
    "compile",
    "custom_rule",
    "grad",
    "graph_dot",
    "graph_svg",
    "graph_text",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "keep_freed_memory",
    "linearize",
    "no_grad",
    "primitive_counts",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
