"""The files that ``new`` writes: a function, a problem and a backend. `NAME` and `CLASS` are replaced."""

from __future__ import annotations

#: Kind -> name of the file, and its text.
STARTERS = {
    "function": (
        "NAME.py",
        '''"""NAME: a function of your own, and the point at which it is differentiated.

    compare.py run ./NAME.py          differentiate it on every backend, check and time it
    compare.py check ./NAME.py        check it only
    compare.py recommend ./NAME.py    find the backend for your number of calls
"""

import numpy as np

# Data: NumPy arrays as defaults. Each backend gets them as arrays of its own.
T = np.array([0.0, 1.0, 2.0, 3.0])
Y = np.array([2.1, 1.2, 0.8, 0.4])


def objective(scale, rate, xp, t=T, y=Y):
    """The squared error of an exponential decay."""
    # xp is the array namespace of the backend: names of the array API standard, and xp.special.
    # Write xp.where for a branch on data, xp.concat and xp.stack for an assignment to entries.
    model = scale * xp.exp(-rate * t)
    return xp.sum((model - y) ** 2)


# Parameters without a default are differentiated. Each has a value here: a number, a list or an array.
scale = 2.0
rate = 0.5
''',
    ),
    "problem": (
        "NAME.py",
        '''"""NAME: a problem with sizes, a closed form and a descent.

    compare.py list ./NAME.py       describe it
    compare.py check ./NAME.py -b numpy -b torch -b tensorflow -b jax --dtype float64 --dtype float32
    compare.py descend ./NAME.py    minimise it on every backend

`autodiff_compare.Problem` documents every field. In a clone, such a file in problems/ joins the suite; it then imports
from autodiff_compare.problems.base.
"""

import numpy as np

from autodiff_compare import Inputs, Operator, Problem
from autodiff_compare.problems import Descent
from autodiff_compare.vocabulary import Optimizer


def objective(w, A, y, *, xp):
    """Return the squared error of a linear model: first what is differentiated, then data, then xp by name."""
    residual = xp.matmul(A, w) - y
    return xp.sum(residual * residual)


def draw(rng, n):
    """Return inputs of size n, from a generator of random numbers: what is differentiated, and data."""
    A = rng.normal(size=(n, 3))
    return Inputs((rng.normal(size=3),), (A, A @ np.array([1.0, -2.0, 0.5])))


def gradient(w, A, y):
    """Return the gradient 2 A^T (A w - y) in plain NumPy: a closed form is the strictest reference."""
    return 2 * A.T @ (A @ w - y)


def start(seed):
    """Return the inputs at which a descent begins."""
    return draw(np.random.default_rng(seed), 20)


PROBLEM = Problem(
    name="NAME",
    title="least squares of a linear model",
    source="where it comes from: a paper, a book, a project",
    sizes={"small": 20, "medium": 2_000},
    inputs=draw,
    objective=objective,
    reference={Operator.GRADIENT: gradient},
    samples=(1, 2),  # A and y have a row for each sample
    descent={"sgd": Descent(optimizer=Optimizer("sgd", learning_rate=0.01), start=start, max_iterations=100)},
)
''',
    ),
    "backend": (
        "NAME_backend.py",
        '''"""NAME: a backend of your own, complete and small. Replace its two computations by those of your system.

    compare.py conformance ./NAME_backend.py        try every clause of the contract; says how to repair a broken one
    compare.py conformance --needed ./NAME_backend.py    list the names of xp that it lacks, the most needed first
    compare.py run hello cubic_fit -b ./NAME_backend.py -b numpy

This one differentiates by a complex step: f(x + i h t) = f(x) + i h f'(x) t + O(h^2). With h = 1e-20 the imaginary part
is the derivative along t without cancellation (Squire and Trapp 1998). It is right for functions of real numbers that
continue to complex ones.
"""

import numpy as np

# Import the framework in open(), never here: its package is listed, planned and skipped without it.
from autodiff_compare.backends.interface import Absent, NumpyArrays, Unsupported
from autodiff_compare.vocabulary import Operator

STEP = 1e-20


class Names:
    """The array namespace xp: NumPy's, but for functions that do not continue to complex numbers."""

    def __init__(self, plain):
        self._plain = plain

    def __getattr__(self, name):
        # A name that is not there makes the problems that need it unsupported, by name.
        if name in ("linalg", "hypot", "atan2"):
            raise Absent(f"NAME has no xp.{name}: it has no complex step here")
        return getattr(self._plain, name)

    @staticmethod
    def abs(x):
        return np.where(np.real(x) < 0, -x, x)


# Systems of other kinds start from a file of their own: compare.py new backend NAME --system arrays, graphs or scalars.
# Anything else derives from Backend: autodiff_compare/backends/interface.py describes its methods.
class CLASS(NumpyArrays):
    # The name in tables and commands, the distributions that pip must have installed, and the operators that _native
    # prepares. All others are derived from these: here vjp, gradients and Jacobians from jvp.
    name = "NAME"
    requires = ("numpy",)
    native = frozenset({Operator.VALUE, Operator.JVP})

    def open(self):
        super().open()
        self.xp = Names(self.xp)

    def _native(self, request):
        # request.function is the user's function of arrays; request.args are examples of them, and tell shapes and
        # dtypes only: what is prepared is called with others. Trace or compile here, outside of the clock.
        function, n = request.function, len(request.args)
        if request.operator is Operator.VALUE:
            return function
        if request.operator is not Operator.JVP:
            raise Unsupported(f"NAME has no {request.operator}")

        def jvp(*given):
            args = list(given[:n])
            for i, tangent in zip(request.argnums, given[n:]):
                args[i] = args[i] + STEP * 1j * tangent
            out = function(*args)
            # The result has the dtype of the function's output, float64 or float32.
            return np.imag(out) / np.asarray(STEP, np.real(out).dtype)

        return jvp
''',
    ),
}
