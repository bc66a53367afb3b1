"""The files that ``new backend --system`` writes, one for each kind of system that has a base of adapters.

Each wraps a system that most readers know, so that every call to replace can be seen at work. `NAME` and `CLASS` are
replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_ARRAYS = '''\
"""NAME: a backend of a system whose variables hold arrays and record what is done to them, as in MyGrad.

    compare.py conformance ./NAME_backend.py        try every clause of the contract; says how to repair a broken one
    compare.py conformance --needed ./NAME_backend.py    list the names of xp that it lacks, the most needed first
    compare.py run hello cubic_fit -b ./NAME_backend.py -b numpy

It wraps PyTorch, as if this project did not know it: replace each call of torch by that of your system.
"""

from autodiff_compare.backends.bases.namespace import Namespace
from autodiff_compare.backends.bases.wrapped import WrappedArrays
from autodiff_compare.backends.interface import Unsupported

# Functions that the system has under the name and with the signature of the array API standard.
ALIKE = "abs asin acos atan cos cosh exp expm1 log log1p maximum minimum reshape sin sinh sqrt tan tanh where"


class CLASS(WrappedArrays):
    # The name in tables and commands, the distributions that pip must have installed, the dtypes that it computes in.
    name = "NAME"
    requires = ("torch",)
    dtypes = ("float64", "float32")

    def open(self):
        import torch  # here, never above: a backend whose package is not installed is listed and skipped

        self.torch = torch
        own = {name: getattr(torch, name) for name in ALIKE.split()}
        own |= {"concat": self._concat, "permute_dims": torch.permute, "sum": self._sum}
        # Namespace adds what follows from these and from operators: mean, stack, clip, ... A name that is not there
        # makes the problems that need it unsupported.
        self.xp = Namespace("NAME", own, linalg={"inv": torch.linalg.inv}, special={"erf": torch.special.erf})

    def _concat(self, xs, axis=0):
        if axis is None:
            raise Unsupported("NAME joins arrays along an axis")
        return self.torch.concatenate(list(xs), axis)

    def _sum(self, x, axis=None, keepdims=False):
        return self.torch.sum(x, axis, keepdims)

    def variable(self, array, records):
        """Return a variable that holds a NumPy array; it records only if ``records``."""
        # The operators + - * / ** @ < <= > >= and indexing are those of the variable, also beside a NumPy array:
        # array * variable needs __rmul__ on the variable, and __array_ufunc__ = None, so that NumPy leaves it to it.
        return self.torch.as_tensor(array).requires_grad_(records)

    def array(self, var):
        """Return the NumPy array in a variable."""
        return var.detach().numpy()

    def sweep(self, output, inputs, cotangent, again):
        """Return the derivatives of a recorded output, summed with a cotangent unless it is a scalar, by the inputs."""
        # Variables or NumPy arrays; None for zero. again: they are differentiated once more, as happens only with
        # nestable = True, which needs a method fresh(x) too. A system with one tape for all implements recording().
        return self.torch.autograd.grad(output, inputs, cotangent, allow_unused=True)
'''

_GRAPHS = '''\
"""NAME: a backend of a system that builds a graph of symbols and compiles it, as PyTensor, CasADi or SymPy.

    compare.py conformance ./NAME_backend.py        try every clause of the contract; says how to repair a broken one
    compare.py conformance --needed ./NAME_backend.py    list the names of xp that it lacks, the most needed first
    compare.py run hello wood -b ./NAME_backend.py -b numpy

It wraps SymPy: replace each call of sympy by that of your system. SymPy's symbols are scalars, and arrays of them are
NumPy's. A system whose symbols are arrays takes Traced and lifted from autodiff_compare.backends.bases.graphs instead
of scalar_functions and filled; their docstrings say how.
"""

import itertools

import numpy as np

from autodiff_compare.backends.bases.graphs import Graphs
from autodiff_compare.backends.bases.namespace import Namespace
from autodiff_compare.backends.bases.scalars import filled, scalar_array, scalar_functions

# Functions of one scalar that have the name of the array API standard.
ALIKE = "acos asin atan cos cosh exp log sin sinh sqrt tan tanh"


class CLASS(Graphs):
    # The name in tables and commands, the distributions that pip must have installed, the dtypes that it computes in.
    name = "NAME"
    requires = ("sympy",)
    dtypes = ("float64",)

    def open(self):
        import sympy  # here, never above: a backend whose package is not installed is listed and skipped

        self.sympy, self.names = sympy, itertools.count()
        unary = {name: getattr(sympy, name) for name in ALIKE.split()}
        # SymPy's own abs, max and min have derivatives that are no numbers: sign, Heaviside and Dirac functions.
        unary["abs"] = lambda x: self._where(x >= 0, x, -x)
        binary = {
            "maximum": lambda a, b: self._where(a >= b, a, b),
            "minimum": lambda a, b: self._where(a <= b, a, b),
        }
        functions = scalar_functions(unary, binary, self._where)
        # Namespace adds what follows from these: mean, clip, linalg.trace, ... A name that is not there makes the
        # problems that need it unsupported. Raise Unsupported (autodiff_compare.backends.interface) with your reason.
        self.xp = Namespace("NAME", functions)

    def _where(self, condition, a, b):
        return self.sympy.Piecewise((a, condition), (b, True))

    def symbol(self, shape, dtype):
        """Return a new input of a graph."""
        size = int(np.prod(shape))
        return filled([self.sympy.Symbol(f"x{next(self.names)}", real=True) for _ in range(size)], shape)

    def gradients(self, scalar, inputs):
        """Return expressions for the gradients of a scalar expression, shaped like the inputs."""
        return [filled([self.sympy.diff(scalar.item(), s) for s in entries(x)], x.shape) for x in inputs]

    def compiled(self, inputs, outputs):
        """Return a function from NumPy arrays, one for each input, to a list of arrays."""
        names = [s for x in inputs for s in entries(x)]
        run = self.sympy.lambdify(names, [entries(scalar_array(y)) for y in outputs], modules="math", cse=True)
        shapes = [np.shape(y) for y in outputs]

        def call(*given):
            found = run(*(number for x in given for number in np.ravel(x).tolist()))
            return [np.reshape(np.array(each, float), shape) for each, shape in zip(found, shapes)]

        return call

    def replaced(self, outputs, old, new):
        """Return expressions in which inputs are replaced by other expressions, or by arrays of numbers."""
        swap = {a: b for x, y in zip(old, new) for a, b in zip(entries(x), entries(scalar_array(y)))}
        return [filled([s.xreplace(swap) for s in entries(y)], y.shape) for y in outputs]


def entries(x):
    """Return the scalars of an array, in C order."""
    return np.ravel(np.asarray(x)).tolist()
'''

_SCALARS = '''\
"""NAME: a backend of a system of scalars that carry their derivatives, as dual numbers do.

    compare.py conformance ./NAME_backend.py        try every clause of the contract; says how to repair a broken one
    compare.py conformance --needed ./NAME_backend.py    list the names of xp that it lacks, the most needed first
    compare.py run hello wood -b ./NAME_backend.py -b numpy

Replace Scalar by the scalar of your system, and what makes and reads one in the three methods of the backend.
"""

import math

from autodiff_compare.backends.bases.namespace import Namespace
from autodiff_compare.backends.bases.scalars import Scalars, scalar_functions


class Scalar:
    """A number, and its derivatives by independent numbers: identity -> derivative."""

    def __init__(self, value, slopes):
        self.value, self.slopes = value, slopes

    def __add__(self, other):
        return chain(value(self) + value(other), (self, 1.0), (other, 1.0))

    def __mul__(self, other):
        return chain(value(self) * value(other), (self, value(other)), (other, value(self)))

    def __pow__(self, power):
        if isinstance(power, Scalar):
            return exp(power * log(self))
        return chain(self.value**power, (self, power * self.value ** (power - 1) if power else 0.0))

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * other**-1.0

    def __rtruediv__(self, other):
        return other * self**-1.0

    def __neg__(self):
        return -1.0 * self

    def __lt__(self, other):
        return self.value < value(other)

    def __le__(self, other):
        return self.value <= value(other)

    def __gt__(self, other):
        return self.value > value(other)

    def __ge__(self, other):
        return self.value >= value(other)

    __radd__, __rmul__ = __add__, __mul__


def value(x):
    return x.value if isinstance(x, Scalar) else x


def chain(result, *parts):
    """Return a scalar by the chain rule, from pairs of an argument and the derivative by it."""
    slopes = {}
    for x, factor in parts:
        for key, slope in getattr(x, "slopes", {}).items():
            slopes[key] = slopes.get(key, 0.0) + factor * slope
    return Scalar(result, slopes)


def exp(x):
    return chain(math.exp(value(x)), (x, math.exp(value(x))))


def log(x):
    return chain(math.log(value(x)), (x, 1 / value(x)))


def sqrt(x):
    return chain(math.sqrt(value(x)), (x, 0.5 / math.sqrt(value(x))))


def sin(x):
    return chain(math.sin(value(x)), (x, math.cos(value(x))))


def cos(x):
    return chain(math.cos(value(x)), (x, -math.sin(value(x))))


# Functions of one and of two scalars under their names in the array API standard; arguments may be plain numbers.
UNARY = {"abs": lambda x: x if x >= 0 else -x, "cos": cos, "exp": exp, "log": log, "sin": sin, "sqrt": sqrt}
BINARY = {"maximum": lambda a, b: a if a >= b else b, "minimum": lambda a, b: a if a <= b else b}


class CLASS(Scalars):
    # The name in tables and commands, the distributions that pip must have installed, the dtypes that it computes in.
    name = "NAME"
    requires = ()  # ("mysystem",)
    dtypes = ("float64",)

    def open(self):
        # Import the system here, never above: a backend whose package is not installed is listed and skipped.
        functions = scalar_functions(UNARY, BINARY, lambda condition, a, b: a if condition else b)
        # Namespace adds what follows from these: mean, clip, linalg.trace, ... A name that is not there makes the
        # problems that need it unsupported. Raise Unsupported (autodiff_compare.backends.interface) with your reason.
        self.xp = Namespace("NAME", functions)

    # A system that numbers its independent scalars implements scalars(values) instead of scalar(value). For second
    # derivatives, add Operator.HESSIAN to native and implement curvatures(scalar, inputs).
    def scalar(self, value):
        """Return a new independent scalar."""
        found = Scalar(value, {})
        found.slopes[id(found)] = 1.0
        return found

    def number(self, scalar):
        """Return the value of a scalar, or a plain number as it is."""
        return float(value(scalar))

    def slopes(self, scalar, inputs):
        """Return the derivatives of a scalar, or of a plain number, by independent scalars."""
        return [getattr(scalar, "slopes", {}).get(id(x), 0.0) for x in inputs]
'''

#: Kind of system, as in ``--system`` -> text of the file.
SYSTEMS: Mapping[str, str] = MappingProxyType({"arrays": _ARRAYS, "graphs": _GRAPHS, "scalars": _SCALARS})
