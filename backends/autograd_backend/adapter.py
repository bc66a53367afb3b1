"""HIPS autograd: reverse and forward mode by tracing NumPy itself.

Our engine and JAX's interface descend from it. Nothing is compiled or traced ahead of time: each call traces again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, final

import numpy as np

from autodiff_compare.backends.idioms.autograd import TAPE
from autodiff_compare.backends.interface import Function, NumpyArrays, Prepared, Request, Unsupported, Var, bare
from autodiff_compare.vocabulary import DTYPES, SECOND_ORDER, STANDARD_OPERATORS, Operator, Optimizer

Argnums = tuple[int, ...]


@final
class AutogradBackend(NumpyArrays):
    """HIPS autograd over NumPy."""

    name = "autograd"
    requires = ("autograd",)
    nestable = True
    dtypes: ClassVar[tuple[str, ...]] = (*DTYPES, "float16")
    native = STANDARD_OPERATORS
    modes: ClassVar[Mapping[Operator, str]] = MappingProxyType(dict.fromkeys(SECOND_ORDER, "rr"))
    orders: ClassVar[frozenset[str]] = frozenset({"rr"})
    idioms: ClassVar[Mapping[str, str]] = TAPE

    def open(self) -> None:
        import autograd
        import autograd.numpy
        import autograd.tracer

        super().open()
        # autograd warns where the output does not depend on an input. The contract defines that derivative as zero.
        warnings.filterwarnings("ignore", message="Output seems independent of input", module="autograd")
        from autodiff_compare.backends.autograd_backend.namespace import namespace

        self._autograd: Any = autograd
        self.xp = namespace()

    def idiom_scope(self) -> Mapping[str, Any]:
        ag = self._autograd.differential_operators
        return {"grad": ag.grad, "make_vjp": ag.make_vjp, "np": self._autograd.numpy}

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        gradient: Callable[..., Any] = self._autograd.grad(
            bare(f), argnums if isinstance(argnums, int) else tuple(argnums)
        )
        return gradient

    def stop_gradient(self, x: Var) -> Var:
        while self._autograd.tracer.isbox(x):
            x = self._autograd.tracer.getval(x)
        return x

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        ag, function = self._autograd.differential_operators, bare(f)
        if mode == "reverse":
            gradient = ag.grad(function)
            return lambda x: _like(gradient(x), x)
        pushed = ag.make_jvp(function)

        def forward(x: Var) -> Var:
            units = np.eye(np.size(x), dtype=x.dtype).reshape(np.size(x), *np.shape(x))
            slopes = [pushed(x)(unit)[1] for unit in units]
            return _like(self.xp.reshape(self.xp.stack(slopes), np.shape(x)), x) if slopes else self.xp.zeros_like(x)

        return forward

    def step(  # whole loops are no part of the contract
        self,
        optimizer: Optimizer,  # noqa: ARG002
        params: Sequence[Var],  # noqa: ARG002
        grads: Sequence[Var],  # noqa: ARG002
        state: Any,  # noqa: ARG002
    ) -> tuple[tuple[Var, ...], Any]:
        raise Unsupported("autograd.misc.optimizers runs whole loops and keeps no state between updates")

    def _native(self, request: Request) -> Prepared:
        function, operator = request.function, request.operator
        out = np.asarray(function(*request.args))
        request.require_scalar(out.shape)
        directions = request.directions or [np.zeros_like(like) for like in request.directions_like(out)]
        example = (*request.args, *directions)
        refusals = []
        for way in _WAYS[operator]:
            run = way(self._autograd.differential_operators, function, request.argnums, len(request.args))
            try:
                run(*example)
            except NotImplementedError as error:
                refusals.append(str(error))
                continue
            return run
        raise Unsupported(f"autograd cannot do {operator} of this function: {refusals[0]}")


def _value(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    return f


def _bare_or_tuple(argnums: Argnums) -> tuple[Any, Callable[[Any], Any], Callable[[Any, Any], tuple[Var, ...]]]:
    """Return autograd's argnum, and how to pass directions to it and results from it.

    autograd traces a tuple of inputs as one container. A single input is passed bare, which avoids that.
    """
    if len(argnums) == 1:
        (i,) = argnums
        return i, lambda directions: directions[0], lambda result, args: (_like(result, args[i]),)
    return argnums, tuple, lambda results, args: tuple(map(_like, results, [args[i] for i in argnums]))


def _like(found: Var, given: Var) -> Var:
    """Return ``found`` in the dtype of ``given``: autograd's rules of where, max, eigh and others widen float32."""
    return found if found.dtype == given.dtype else found.astype(given.dtype)


def _gradient(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    which, _, as_tuple = _bare_or_tuple(argnums)
    gradient = ag.grad(f, which)
    return lambda *args: as_tuple(gradient(*args), args)


def _value_and_gradient(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    which, _, as_tuple = _bare_or_tuple(argnums)
    both = ag.value_and_grad(f, which)

    def value_and_gradient(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        value, gradient = both(*args)
        return value, as_tuple(gradient, args)

    return value_and_gradient


def _jvp(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:
    which, pack, _ = _bare_or_tuple(argnums)
    at = ag.make_jvp(f, which)
    return lambda *given: _like(*reversed(at(*given[:n])(pack(given[n:]))))


def _transposed_jvp(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:
    """Return a jvp by reverse mode twice, because most of ``linalg`` has no forward rule.

    For a function with Jacobian J, the pull-back v(u) = u' J is linear in the cotangent u. Its own pull-back of t is
    J t, the jvp, at whatever u it is recorded. ``autograd.make_jvp_reversemode`` records it at u = 0, where the rule of
    ``eigh`` skips the eigenvectors, so that their tangent would be zero. Here it is recorded at ones.
    """
    which, pack, _ = _bare_or_tuple(argnums)
    at = ag.make_vjp(f, which)

    def jvp(*given: Var) -> Var:
        pull_back, out = at(*given[:n])
        return _like(ag.make_vjp(pull_back)(ag.vspace(out).ones())[0](pack(given[n:])), out)

    return jvp


def _vjp(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:
    which, _, as_tuple = _bare_or_tuple(argnums)
    at = ag.make_vjp(f, which)
    return lambda *given: as_tuple(at(*given[:n])[0](given[n]), given)


def _hvp(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:
    which, pack, as_tuple = _bare_or_tuple(argnums)
    at = ag.make_hvp(f, which)
    return lambda *given: as_tuple(at(*given[:n])[0](pack(given[n:])), given)


def _jacobian(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    """Return what ``autograd.jacobian`` does, for several inputs at once and also for empty ones."""
    which, _, as_tuple = _bare_or_tuple(argnums)
    at = ag.make_vjp(f, which)

    def jacobian(*args: Var) -> tuple[Var, ...]:
        pull_back, out = at(*args)
        shape = np.shape(out)
        rows = [as_tuple(pull_back(unit), args) for unit in ag.vspace(out).standard_basis()]
        columns = zip(*rows, strict=True) if rows else ([] for _ in argnums)
        return tuple(
            np.array(column, dtype=args[i].dtype).reshape(shape + args[i].shape)
            for column, i in zip(columns, argnums, strict=True)
        )

    return jacobian


def _hessian(ag: Any, f: Function, argnums: Argnums, n: int) -> Prepared:
    rows = [_jacobian(ag, ag.grad(f, i), argnums, n) for i in argnums]
    return lambda *args: tuple(row(*args) for row in rows)


#: Operator -> implementations, best first. The first one for which autograd has all rules is used.
_WAYS: Mapping[Operator, tuple[Callable[[Any, Function, Argnums, int], Prepared], ...]] = MappingProxyType(
    {
        Operator.VALUE: (_value,),
        Operator.GRADIENT: (_gradient,),
        Operator.VALUE_AND_GRADIENT: (_value_and_gradient,),
        Operator.JVP: (_jvp, _transposed_jvp),
        Operator.VJP: (_vjp,),
        Operator.JACOBIAN: (_jacobian,),
        Operator.HVP: (_hvp,),
        Operator.HESSIAN: (_hessian,),
    }
)
