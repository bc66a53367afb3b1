"""The base of systems whose variables wrap NumPy arrays: each operation is recorded, and a sweep goes backwards.

Chainer and MyGrad are of this kind. A subclass has four things to say: how a variable is made, which array is in it,
how gradients are asked for, and which functions there are::

    class Mine(WrappedArrays):
        name, requires = "mine", ("mine",)

        def open(self):
            import mine
            self.mine = mine
            self.xp = Namespace("mine", {"sum": mine.sum, "exp": mine.exp})

        def variable(self, array, records):
            return mine.Variable(array, requires_grad=records)

        def array(self, var):
            return var.data

        def sweep(self, output, inputs, cotangent, again):
            output.backward(cotangent.data)
            return [x.grad for x in inputs]

Outside of a derivative, variables record nothing, so that a value costs no memory and a descent builds no graph.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.interface import Backend, Function, Prepared, Request, Unsupported, Var, python_scan
from autodiff_compare.backends.loops import python_while
from autodiff_compare.vocabulary import Operator


class WrappedArrays(Backend):
    """A backend with reverse mode by recording. Integers and booleans stay NumPy arrays: they are data.

    ``nestable`` is False unless the subclass says otherwise; then it implements `fresh`, and `sweep` heeds ``again``.
    """

    native: ClassVar[frozenset[Operator]] = frozenset({Operator.VALUE, Operator.VALUE_AND_GRADIENT, Operator.VJP})
    nestable: ClassVar[bool] = False

    @abc.abstractmethod
    def variable(self, array: NDArray[Any], records: bool) -> Var:
        """Return a variable that holds this array, without a copy; ``records`` if it is to be differentiated.

        Where the functions of ``xp`` take NumPy arrays, one that does not record may be the array itself.
        """

    @abc.abstractmethod
    def array(self, var: Var) -> NDArray[Any]:
        """Return the NumPy array in a variable."""

    @abc.abstractmethod
    def sweep(self, output: Var, inputs: Sequence[Var], cotangent: Var | None, again: bool) -> Sequence[Any]:
        """Return the derivatives of <output, cotangent> by ``inputs``: variables, arrays, or `None` for zero.

        Parameters
        ----------
        output, inputs
            A recorded variable, and variables that it was computed from.
        cotangent
            A variable shaped like ``output``; `None` for a scalar output.
        again
            Whether the derivatives are to be differentiated once more.
        """

    def recording(self) -> AbstractContextManager[Any]:
        """Return the context in which a function is recorded and swept; for a system with one tape for all variables.

        A subclass begins a tape of its own in it, and brings the one before back, also after an exception. By default
        nothing is done: variables know by themselves what they were computed from.
        """
        return nullcontext()

    def fresh(self, x: Var) -> Var:  # noqa: ARG002 - the signature of systems that differentiate twice
        """Return a new recording variable with the value of ``x``, whose derivatives go on to ``x``.

        Raises
        ------
        Unsupported
            By default: the system does not differentiate twice.
        """
        raise Unsupported(f"{self.name} does not differentiate a gradient")

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        found = np.array(array if _is_plain(array) else self.array(array), dtype=dtype)
        return self.variable(found, False) if found.dtype.kind == "f" else found

    def to_numpy(self, var: Var) -> NDArray[Any]:
        return np.array(var if _is_plain(var) else self.array(var))

    def block(self, out: Any) -> Any:
        return out

    def stop_gradient(self, x: Var) -> Var:
        return x if _is_plain(x) else self.variable(self.array(x), False)

    def step(self, *_: Any, **__: Any) -> tuple[tuple[Var, ...], Any]:
        raise Unsupported(f"{self.name} has no optimizer")

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return python_scan(self.xp, f, init, xs)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        """Repeat as `Backend.while_loop`; the condition is given plain arrays, which every system can compare."""
        return python_while(lambda state: cond(self._plain(state)), body, init, limit)

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def gradient(*args: Var) -> Any:
            if self.nestable:
                given = list(args)
                for i in wanted:
                    given[i] = self.fresh(args[i])
                inputs = [given[i] for i in wanted]
                found: Any = self._swept(f(*given), inputs, None, again=True)
            else:
                found = self.prepare(Operator.GRADIENT, f, args, argnums=wanted)(*args)
            return found[0] if isinstance(argnums, int) else found

        return gradient

    def _native(self, request: Request) -> Prepared:
        function, argnums, n = request.function, request.argnums, len(request.args)
        request.require_scalar(np.shape(self.to_numpy(function(*request.args))))
        if request.operator is Operator.VALUE:
            return function

        def recorded(given: Sequence[Var]) -> tuple[Var, list[Var]]:
            args = list(given[:n])
            for i in argnums:
                args[i] = self.variable(self._plain(args[i]), True)
            return function(*args), [args[i] for i in argnums]

        def value_and_gradient(*given: Var) -> tuple[Var, tuple[Var, ...]]:
            with self.recording():
                output, inputs = recorded(given)
                value = self.stop_gradient(output)
                return value, self._swept(output, inputs, None, again=False)

        def vjp(*given: Var) -> tuple[Var, ...]:
            with self.recording():
                return self._swept(*recorded(given), given[n], again=False)

        return vjp if request.operator is Operator.VJP else value_and_gradient

    def _swept(self, output: Var, inputs: Sequence[Var], cotangent: Var | None, *, again: bool) -> tuple[Var, ...]:
        """Return the derivatives in the dtypes of the inputs; they record nothing unless they are needed again."""
        if _is_plain(output):
            return tuple(self.variable(np.zeros_like(self._plain(x)), False) for x in inputs)
        found = self.sweep(output, inputs, cotangent, again)
        return tuple(self._derivative(d, x, again) for d, x in zip(found, inputs, strict=True))

    def _derivative(self, found: Any, like: Var, again: bool) -> Var:
        if found is None:
            return self.variable(np.zeros_like(self._plain(like)), False)
        if again:
            return found
        return self.variable(np.asarray(self._plain(found), dtype=self._plain(like).dtype), False)

    def _plain(self, state: Any) -> Any:
        if isinstance(state, tuple):
            return tuple(map(self._plain, state))
        return state if _is_plain(state) else self.array(state)


def _is_plain(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, int, float, list, tuple))
