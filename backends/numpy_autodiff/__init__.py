"""Automatic differentiation of plain NumPy code: reverse and forward mode, of any order.

>>> import numpy as np
>>> from autodiff_compare.backends.numpy_autodiff import Variable, grad
>>> float(grad(lambda x: np.sin(x) ** 2)(0.5).round(6))
0.841471
>>> x = Variable(3.0)
>>> y = x * x + x
>>> y.backward()
>>> float(x.grad)
7.0
"""

from autodiff_compare.backends.numpy_autodiff.array import special
from autodiff_compare.backends.numpy_autodiff.array.variable import Variable
from autodiff_compare.backends.numpy_autodiff.compiler import Compiled, CompileError, compile
from autodiff_compare.backends.numpy_autodiff.core.memory import keep_freed_memory
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Trace, TraceError
from autodiff_compare.backends.numpy_autodiff.dependence.patterns import Places, hessian_pattern, jacobian_pattern
from autodiff_compare.backends.numpy_autodiff.taylor.transform import taylor
from autodiff_compare.backends.numpy_autodiff.tools.graph_svg import graph_svg
from autodiff_compare.backends.numpy_autodiff.tools.graph_text import graph_dot, graph_text, primitive_counts
from autodiff_compare.backends.numpy_autodiff.transforms.checkpoint import checkpoint
from autodiff_compare.backends.numpy_autodiff.transforms.custom import custom_rule, stop_gradient
from autodiff_compare.backends.numpy_autodiff.transforms.gradient import grad, value_and_grad
from autodiff_compare.backends.numpy_autodiff.transforms.jacobian import hessian, hvp, jacobian
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp, linearize
from autodiff_compare.backends.numpy_autodiff.transforms.no_grad import no_grad
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import vjp

__all__ = [
    "CompileError",
    "Compiled",
    "Places",
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
    "hessian_pattern",
    "hvp",
    "jacobian",
    "jacobian_pattern",
    "jvp",
    "keep_freed_memory",
    "linearize",
    "no_grad",
    "primitive_counts",
    "special",
    "stop_gradient",
    "taylor",
    "value_and_grad",
    "vjp",
]
