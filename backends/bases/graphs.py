"""The base of systems that build a graph of symbols, compile it, and run it on NumPy arrays.

PyTensor and CasADi are of this kind. A function is called once, with symbols, and returns an expression. Its derivative
is an expression too. With the output y of the inputs x, all operators follow from the gradient of a scalar:

===========  ==============================================================================
vjp          gradient of <y, u> by x, for the cotangent u
jvp          <vjp(u), t> is linear in u; its gradient by u is J t, for the tangent t
hvp          gradient of <grad y, t> by x, for a scalar y
===========  ==============================================================================

A compiled jvp is no slower for that: y itself and the factors that cancel are removed from the graph.

A subclass implements `symbol`, `gradients`, `compiled` and `replaced`, and sets ``xp`` in `open`. Where the system's
own expressions lack a Python shape or an operator, `Traced` gives them both. It costs nothing once a graph is compiled.
"""

from __future__ import annotations

import abc
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.interface import Function, NumpyArrays, Prepared, Request, Unsupported, Var
from autodiff_compare.vocabulary import Operator

Symbol = Any


class Graphs(NumpyArrays):
    """A backend whose prepared callables are compiled graphs. Outside of a graph, variables are NumPy arrays."""

    native: ClassVar[frozenset[Operator]] = frozenset(
        {Operator.VALUE, Operator.VALUE_AND_GRADIENT, Operator.VJP, Operator.JVP, Operator.HVP}
    )
    nestable = True

    @abc.abstractmethod
    def symbol(self, shape: tuple[int, ...], dtype: str) -> Symbol:
        """Return a new input of a graph."""

    @abc.abstractmethod
    def gradients(self, scalar: Symbol, inputs: Sequence[Symbol]) -> Sequence[Symbol]:
        """Return the gradients of a scalar expression; zeros where it does not depend on an input."""

    @abc.abstractmethod
    def compiled(self, inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> Callable[..., Sequence[Any]]:
        """Compile a function from NumPy arrays to a sequence of numbers or arrays. Inputs may be unused."""

    @abc.abstractmethod
    def replaced(self, outputs: Sequence[Symbol], old: Sequence[Symbol], new: Sequence[Symbol]) -> Sequence[Symbol]:
        """Return expressions with inputs replaced by other expressions."""

    @final
    def to_numpy(self, var: Var) -> NDArray[Any]:
        """Copy an array; an expression without inputs is computed first."""
        if isinstance(var, (np.ndarray, np.generic, int, float)) and not is_symbolic(var):
            return np.array(var)
        return np.array(self.compiled([], [var])()[0])

    @final
    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def gradient(*args: Any) -> Any:
            if any(map(is_symbolic, args)):
                found = self._inside(f, args, wanted)
            else:
                found = self.prepare(Operator.GRADIENT, f, args, argnums=wanted)(*args)
            return found[0] if isinstance(argnums, int) else tuple(found)

        return gradient

    def stop_gradient(self, x: Var) -> Var:  # noqa: ARG002 - the signature of the contract
        raise Unsupported(f"{self.name} has no stop_gradient in this adapter")

    def _inside(self, f: Function, args: Sequence[Any], wanted: Sequence[int]) -> Sequence[Symbol]:
        """Return the gradient as part of a larger graph. Its inputs are new, so that no other path to them counts."""
        given = list(args)
        for i in wanted:
            given[i] = self.symbol(tuple(args[i].shape), str(args[i].dtype))
        new = [given[i] for i in wanted]
        return self.replaced(self.gradients(f(*given), new), new, [args[i] for i in wanted])

    def _native(self, request: Request) -> Prepared:
        args = [self.symbol(a.shape, a.dtype.name) for a in map(np.asarray, request.args)]
        inputs = [args[i] for i in request.argnums]
        output = request.function(*args)
        if not is_symbolic(output):
            return self._constant(request, np.asarray(output))
        request.require_scalar(output.shape)
        dtypes = [np.asarray(request.args[i]).dtype for i in request.argnums]
        ways = [self.symbol(tuple(x.shape), dtypes[0].name) for x in request.directions_like(output)]
        run = self.compiled([*args, *ways], _OUTPUTS[request.operator](self, output, inputs, ways))
        return _RESULTS[request.operator](run, dtypes)

    def _constant(self, request: Request, value: NDArray[Any]) -> Prepared:
        """Return the derivatives of a function whose output depends on no input."""
        request.require_scalar(value.shape)
        zeros = tuple(np.zeros_like(np.asarray(request.args[i])) for i in request.argnums)
        results = {
            Operator.VALUE: value,
            Operator.VALUE_AND_GRADIENT: (value, zeros),
            Operator.JVP: np.zeros_like(value),
        }
        found = results.get(request.operator, zeros)
        return lambda *_: found


def _dot(xp: Any, a: Sequence[Any], b: Sequence[Any]) -> Any:
    total = xp.sum(a[0] * b[0])
    for x, y in zip(a[1:], b[1:], strict=True):
        total = total + xp.sum(x * y)
    return total


def _vjp(b: Graphs, y: Symbol, inputs: Sequence[Symbol], ways: Sequence[Symbol]) -> Sequence[Symbol]:
    return b.gradients(b.xp.sum(y * ways[0]), inputs)


def _jvp(b: Graphs, y: Symbol, inputs: Sequence[Symbol], ways: Sequence[Symbol]) -> Sequence[Symbol]:
    u = b.symbol(tuple(y.shape), str(ways[0].dtype))
    slope = b.gradients(_dot(b.xp, _vjp(b, y, inputs, [u]), ways), [u])
    # The result is the same for every u; a graph that still names it needs a value.
    return b.replaced(slope, [u], [np.zeros(tuple(y.shape), str(ways[0].dtype))])


def _hvp(b: Graphs, y: Symbol, inputs: Sequence[Symbol], ways: Sequence[Symbol]) -> Sequence[Symbol]:
    return b.gradients(_dot(b.xp, b.gradients(y, inputs), ways), inputs)


_OUTPUTS: Mapping[Operator, Callable[..., Sequence[Symbol]]] = MappingProxyType(
    {
        Operator.VALUE: lambda _, y, *__: [y],
        Operator.VALUE_AND_GRADIENT: lambda b, y, inputs, _: [y, *b.gradients(y, inputs)],
        Operator.VJP: _vjp,
        Operator.JVP: _jvp,
        Operator.HVP: _hvp,
    }
)


def _each(found: Sequence[Any], dtypes: Sequence[Any]) -> tuple[NDArray[Any], ...]:
    return tuple(np.asarray(d, dtype) for d, dtype in zip(found, dtypes, strict=True))


#: Operator -> what is made of the compiled function, and the dtypes of the differentiated inputs.
_RESULTS: Mapping[Operator, Callable[..., Prepared]] = MappingProxyType(
    {
        Operator.VALUE: lambda run, dtypes: lambda *given: np.asarray(run(*given)[0], dtypes[0]),
        Operator.JVP: lambda run, dtypes: lambda *given: np.asarray(run(*given)[0], dtypes[0]),
        Operator.VJP: lambda run, dtypes: lambda *given: _each(run(*given), dtypes),
        Operator.HVP: lambda run, dtypes: lambda *given: _each(run(*given), dtypes),
        Operator.VALUE_AND_GRADIENT: lambda run, dtypes: _both(run, dtypes),
    }
)


def _both(run: Callable[..., Sequence[Any]], dtypes: Sequence[Any]) -> Prepared:
    def value_and_gradient(*given: Any) -> Any:
        value, *gradient = run(*given)
        return np.asarray(value, dtypes[0]), _each(gradient, dtypes)

    return value_and_gradient


def _binary(function: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[Traced, Any], Traced]:
    def method(self: Traced, other: Any) -> Traced:
        a, b = self.of, self.rules.operand(raw(other), self.of)
        return Traced(self.rules, function(b, a) if swapped else function(a, b))

    return method


class Traced:
    """An expression of a system with a shape and a dtype in Python, and with operators.

    Parameters
    ----------
    rules
        The backend, which has of its system's expressions ``shape(of)``, ``dtype(of)``, ``index(of, key)`` and
        ``operand(x, like)``, the latter to take a constant into an expression.
    of
        The expression.
    """

    __array_ufunc__ = None  # so that NumPy lets array * traced call Traced.__rmul__

    def __init__(self, rules: Any, of: Any) -> None:
        self.rules, self.of = rules, of

    shape = property(lambda self: tuple(self.rules.shape(self.of)))
    dtype = property(lambda self: np.dtype(self.rules.dtype(self.of)))
    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: math.prod(self.shape))
    T = property(lambda self: self.rules.xp.permute_dims(self, tuple(range(self.ndim))[::-1]))
    mT = property(lambda self: self.rules.xp.matrix_transpose(self))  # noqa: N815 - the name in the standard

    def __getitem__(self, key: Any) -> Traced:
        return Traced(self.rules, self.rules.index(self.of, raw(key)))

    def __bool__(self) -> bool:
        raise Unsupported("a branch on data: the graph is built before its numbers are known; write xp.where")

    def __neg__(self) -> Traced:
        return Traced(self.rules, -self.of)

    def __abs__(self) -> Traced:
        return Traced(self.rules, abs(self.of))

    __add__, __radd__ = _binary(operator.add), _binary(operator.add, True)
    __sub__, __rsub__ = _binary(operator.sub), _binary(operator.sub, True)
    __mul__, __rmul__ = _binary(operator.mul), _binary(operator.mul, True)
    __truediv__, __rtruediv__ = _binary(operator.truediv), _binary(operator.truediv, True)
    __pow__, __rpow__ = _binary(operator.pow), _binary(operator.pow, True)
    __matmul__, __rmatmul__ = _binary(operator.matmul), _binary(operator.matmul, True)
    __lt__, __le__ = _binary(operator.lt), _binary(operator.le)
    __gt__, __ge__ = _binary(operator.gt), _binary(operator.ge)


def is_symbolic(x: Any) -> bool:
    """Return whether ``x`` is an expression: `Traced`, or an array of a system's scalars."""
    return isinstance(x, Traced) or (isinstance(x, np.ndarray) and x.dtype == object)


def raw(x: Any) -> Any:
    """Return the system's expression in ``x``, also within tuples and lists."""
    if isinstance(x, (tuple, list)):
        return type(x)(map(raw, x))
    return x.of if isinstance(x, Traced) else x


def lifted(rules: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the system's expressions as a function of `Traced` ones."""

    def call(*args: Any, **options: Any) -> Any:
        found = function(*map(raw, args), **options)
        if isinstance(found, (tuple, list)):
            return tuple(Traced(rules, each) for each in found)
        return Traced(rules, found)

    return call
