"""PyTorch: eager autograd by default; variant ``compile`` is one fullgraph ``torch.compile`` graph.

Eager derivatives use the engine directly, which is several times faster than ``torch.func``
(measured with torch 2.13, x*x*y + y on 0-d tensors): gradient by ``torch.autograd.grad`` 25 us against
89; jvp by dual numbers 24 against 73; hvp by reverse over reverse 67 against 596 for forward over reverse;
Hessian of a 6- or 100-vector by one batched second sweep 250 against 1400 or more. Under ``compile`` the
``torch.func`` transforms are what dynamo traces, and they cost nothing at run time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from backends.interface import Backend, Function, Unsupported, Var, bare, python_scan
from backends.namespaces.torch import namespace
from vocabulary import Operator, Optimizer

Prepared = Callable[..., Any]
Argnums = tuple[int, ...]

_SCALAR_ONLY = frozenset({Operator.GRADIENT, Operator.VALUE_AND_GRADIENT, Operator.HVP, Operator.HESSIAN})


@final
class TorchBackend(Backend):
    """PyTorch on the CPU."""

    name = "torch"
    requires = ("torch", "array-api-compat")
    variants = MappingProxyType(
        {
            "": "eager autograd",
            "compile": "torch.compile(fullgraph=True) of the torch.func transform; needs a C++ compiler",
        }
    )
    native = frozenset(set(Operator) - {Operator.STEP})
    idioms: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "value": """
                x = torch.tensor(5.0)
                y = x**2 - 2 * x + 1
                answer = y
            """,
            "gradient": """
                x = torch.tensor(5.0, requires_grad=True)
                y = x**2 - 2 * x + 1
                y.backward()
                answer = x.grad
            """,
            "intermediate_dropped": """
                x = torch.tensor(5.0, requires_grad=True)
                z = 2 * x
                y = x**2 - z + 1
                y.backward()
                answer = z.grad
            """,
            "intermediate_retained": """
                x = torch.tensor(5.0, requires_grad=True)
                z = 2 * x
                z.retain_grad()
                y = x**2 - z + 1
                y.backward()
                answer = z.grad
            """,
            "seed_ones": """
                x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
                y = x**2 - 2 * x + 1
                y.backward(torch.ones_like(y))
                answer = x.grad
            """,
            "seed_rows": """
                x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
                y = x**2 - 2 * x + 1
                y.backward(torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
                answer = x.grad
            """,
            "no_seed": """
                x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
                y = x**2 - 2 * x + 1
                y.backward()
                answer = x.grad
            """,
            "second_derivative": """
                x = torch.tensor(5.0, requires_grad=True)
                (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
                (ddx,) = torch.autograd.grad(dx, x)
                answer = [dx, ddx]
            """,
            "third_derivative": """
                x = torch.tensor(5.0, requires_grad=True)
                (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
                (ddx,) = torch.autograd.grad(dx, x, create_graph=True)
                (answer,) = torch.autograd.grad(ddx, x)
            """,
            "accumulates": """
                x = torch.tensor(5.0, requires_grad=True)
                (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
                (x**3).backward()
                dx.backward()
                answer = x.grad
            """,
            "cleared": """
                x = torch.tensor(5.0, requires_grad=True)
                (dx,) = torch.autograd.grad(x**3, x, create_graph=True)
                (x**3).backward()
                x.grad = None
                dx.backward()
                answer = x.grad
            """,
            "recording_kept": """
                x = torch.tensor(5.0, requires_grad=True)
                y = x**3
                y.backward(retain_graph=True)
                first = x.grad
                x.grad = None
                y.backward()
                answer = [first, x.grad]
            """,
            "unused_input": """
                a = torch.tensor(5.0, requires_grad=True)
                b = torch.tensor(2.0, requires_grad=True)
                y = a**2
                y.backward()
                answer = b.grad
            """,
            "integer_input": """
                x = torch.tensor(5, requires_grad=True)
                y = x**2
                y.backward()
                answer = x.grad
            """,
        }
    )

    def open(self) -> None:
        import array_api_compat.torch as compat
        import torch

        self._torch: Any = torch
        self.xp = namespace(torch, compat)

    def idiom_scope(self) -> Mapping[str, Any]:
        return {"torch": self._torch, "np": np}

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        source = array.detach() if isinstance(array, self._torch.Tensor) else array
        return self._torch.from_numpy(np.array(source, dtype=dtype, order="C"))

    def to_numpy(self, var: Var) -> NDArray[Any]:
        return np.array(var.numpy(force=True) if isinstance(var, self._torch.Tensor) else var)

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        which = argnums if isinstance(argnums, int) else tuple(argnums)
        gradient: Callable[..., Any] = self._torch.func.grad(bare(f), which)
        return gradient

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return python_scan(self.xp, f, init, xs)

    def block(self, out: Any) -> Any:
        leaf = out
        while isinstance(leaf, tuple) and leaf:
            leaf = leaf[0]
        if isinstance(leaf, self._torch.Tensor) and not leaf.is_cpu:
            self._torch.accelerator.synchronize(leaf.device)
        return out

    def step(
        self, optimizer: Optimizer, params: Sequence[Var], grads: Sequence[Var], state: Any
    ) -> tuple[tuple[Var, ...], Any]:
        """One update by ``torch.optim``; the state is the optimizer with its own copy of the parameters."""
        torch = self._torch
        if state is None:
            own = [p.detach().clone() for p in params]
            state = (_optimizer(torch, optimizer, own), own, 0)
        update, own, n = state
        with torch.no_grad():
            for mine, given, gradient in zip(own, params, grads, strict=True):
                mine.copy_(given)
                mine.grad = gradient.detach()
        if optimizer.name == "adam" and optimizer.eps_hat:
            # torch adds eps to sqrt(v/(1-b2^n)); dividing it by the same root turns it into eps-hat.
            update.param_groups[0]["eps"] = optimizer.eps / math.sqrt(1 - optimizer.b2 ** (n + 1))
        update.step()
        return tuple(p.detach().clone() for p in own), (update, own, n + 1)

    def _native(
        self,
        operator: Operator,
        f: Function,
        args: Sequence[Var],
        argnums: tuple[int, ...],
        directions: Sequence[Var],
    ) -> Prepared:
        torch, function = self._torch, bare(f)
        with torch.no_grad():
            out = function(*(a.detach() for a in args))
        if operator in _SCALAR_ONLY and tuple(out.shape) != ():
            raise ValueError(
                f"got a function with an output of shape {tuple(out.shape)}, expected a scalar of shape ():"
                f" sum it, or ask for vjp or jacobian instead of {operator}"
            )
        wide = out.numel() <= sum(args[i].numel() for i in argnums)
        if self.variant == "compile":
            given = (*args, *(directions or _directions(torch, operator, args, argnums, out)))
            return _compiled(torch, _TRANSFORMS[operator](torch, function, argnums, len(args), wide), given)
        if operator is Operator.JACOBIAN:
            return _jacobian(torch, function, argnums, out, wide)
        if operator is Operator.JVP:
            return _jvp(torch, function, argnums, (*args, *directions) if directions else None, len(args))
        return _EAGER[operator](torch, function, argnums, len(args))


def _optimizer(torch: Any, optimizer: Optimizer, params: list[Var]) -> Any:
    lr, rest = optimizer.learning_rate, {"foreach": False}
    if optimizer.name == "adam":
        return torch.optim.Adam(params, lr=lr, betas=(optimizer.b1, optimizer.b2), eps=optimizer.eps, **rest)
    momentum = 0.0 if optimizer.name == "sgd" else optimizer.momentum
    return torch.optim.SGD(params, lr=lr, momentum=momentum, nesterov=optimizer.name == "nesterov", **rest)


def _directions(torch: Any, operator: Operator, args: Sequence[Var], argnums: Argnums, out: Var) -> Sequence[Var]:
    if operator in (Operator.JVP, Operator.HVP):
        return [torch.zeros_like(args[i]) for i in argnums]
    return [torch.zeros_like(out)] if operator is Operator.VJP else []


# --- eager -----------------------------------------------------------------------------------------------
# Each callable differentiates fresh leaves that share the caller's memory: the caller's tensors are neither
# asked for requires_grad nor given it. `materialize_grads` returns zeros for an input that is not used.


def _recording(args: Sequence[Var], argnums: Argnums) -> tuple[list[Var], list[Var]]:
    inputs = list(args)
    for i in argnums:
        inputs[i] = args[i].detach().requires_grad_()
    return inputs, [inputs[i] for i in argnums]


def _zeros(torch: Any, leaves: Sequence[Var]) -> tuple[Var, ...]:
    """The gradient of an output that recorded nothing: zero, unless recording is off."""
    if not torch.is_grad_enabled():
        raise RuntimeError("got a derivative under torch.no_grad(), expected recording on: call it outside that block")
    return tuple(torch.zeros_like(leaf) for leaf in leaves)


def _value(torch: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    # Nothing is recorded unless an input asks for it; looking costs 0.1 us, entering no_grad 1.3 us.
    def value(*args: Var) -> Var:
        for a in args:
            if a.requires_grad:
                with torch.no_grad():
                    return f(*args)
        return f(*args)

    return value


def _gradient(torch: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    grad = torch.autograd.grad

    def gradient(*args: Var) -> tuple[Var, ...]:
        inputs, leaves = _recording(args, argnums)
        out = f(*inputs)
        return grad(out, leaves, materialize_grads=True) if out.requires_grad else _zeros(torch, leaves)

    return gradient


def _value_and_gradient(torch: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    grad = torch.autograd.grad

    def value_and_gradient(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        inputs, leaves = _recording(args, argnums)
        out = f(*inputs)
        gradient = grad(out, leaves, materialize_grads=True) if out.requires_grad else _zeros(torch, leaves)
        return out.detach(), gradient

    return value_and_gradient


def _vjp(torch: Any, f: Function, argnums: Argnums, n: int) -> Prepared:
    grad = torch.autograd.grad

    def vjp(*given: Var) -> tuple[Var, ...]:
        inputs, leaves = _recording(given[:n], argnums)
        out = f(*inputs)
        return grad(out, leaves, given[n], materialize_grads=True) if out.requires_grad else _zeros(torch, leaves)

    return vjp


def _jvp(torch: Any, f: Function, argnums: Argnums, example: Sequence[Var] | None, n: int) -> Prepared:
    """Dual numbers; where torch has no forward rule, the transpose of the vjp."""
    forward = torch.autograd.forward_ad
    _load_forward_mode(torch)

    def jvp(*given: Var) -> Var:
        inputs = [a.detach() for a in given[:n]]
        with forward.dual_level():
            for k, i in enumerate(argnums):
                inputs[i] = forward.make_dual(inputs[i], given[n + k])
            out = f(*inputs)
            primal, tangent = forward.unpack_dual(out)
            return torch.zeros_like(primal) if tangent is None else tangent

    def transposed(*given: Var) -> Var:
        inputs, leaves = _recording(given[:n], argnums)
        out = f(*inputs)
        dummy = torch.zeros_like(out, requires_grad=True)
        if not out.requires_grad:
            _zeros(torch, leaves)
            return torch.zeros_like(out)
        rows = torch.autograd.grad(out, leaves, dummy, create_graph=True, materialize_grads=True)
        return torch.autograd.grad(rows, dummy, given[n:], materialize_grads=True)[0]

    if example is not None:
        try:
            jvp(*example)
        except NotImplementedError:
            return transposed
    return jvp


def _load_forward_mode(torch: Any) -> None:
    """Its first use imports decompositions, during which torch 2.13 warns about its own torch.jit."""
    forward = torch.autograd.forward_ad
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with forward.dual_level():
            forward.make_dual(torch.ones(()), torch.ones(()))


def _hvp(torch: Any, f: Function, argnums: Argnums, n: int) -> Prepared:
    grad = torch.autograd.grad

    def hvp(*given: Var) -> tuple[Var, ...]:
        inputs, leaves = _recording(given[:n], argnums)
        out = f(*inputs)
        if not out.requires_grad:
            return _zeros(torch, leaves)
        slopes = grad(out, leaves, create_graph=True, materialize_grads=True)
        pairs = [(s, t) for s, t in zip(slopes, given[n:], strict=True) if s.grad_fn is not None]
        if not pairs:
            return _zeros(torch, leaves)
        rows: tuple[Var, ...] = grad([s for s, _ in pairs], leaves, [t for _, t in pairs], materialize_grads=True)
        return rows

    return hvp


def _jacobian(torch: Any, f: Function, argnums: Argnums, like: Var, wide: bool) -> Prepared:
    """All rows in one batched sweep, or all columns by vectorised dual numbers where these are fewer."""
    shape, size = tuple(like.shape), like.numel()
    basis = torch.eye(size, dtype=like.dtype).reshape(size, *shape)

    def rows(*args: Var) -> tuple[Var, ...]:
        inputs, leaves = _recording(args, argnums)
        return _rows(torch, f(*inputs), leaves, basis)

    if not wide:
        _load_forward_mode(torch)

    def columns(*args: Var) -> tuple[Var, ...]:
        return tuple(torch.func.jacfwd(f, argnums)(*args))

    return rows if wide or any(s == 0 for s in shape) else columns


def _hessian(torch: Any, f: Function, argnums: Argnums, n: int) -> Prepared:  # noqa: ARG001
    def hessian(*args: Var) -> tuple[tuple[Var, ...], ...]:
        inputs, leaves = _recording(args, argnums)
        out = f(*inputs)
        if out.requires_grad:
            slopes = torch.autograd.grad(out, leaves, create_graph=True, materialize_grads=True)
        else:
            slopes = _zeros(torch, leaves)
        bases = [torch.eye(s.numel(), dtype=s.dtype).reshape(s.numel(), *s.shape) for s in slopes]
        return tuple(_rows(torch, s, leaves, basis) for s, basis in zip(slopes, bases, strict=True))

    return hessian


def _rows(torch: Any, out: Var, leaves: Sequence[Var], basis: Var) -> tuple[Var, ...]:
    """The Jacobian blocks of ``out`` by one backward sweep over a batch of unit cotangents."""
    n, shape = basis.shape[0], tuple(out.shape)
    parts: Sequence[Var | None] = [None] * len(leaves)
    if n and out.grad_fn is not None:
        parts = torch.autograd.grad(out, leaves, basis, is_grads_batched=True, allow_unused=True, retain_graph=True)
    elif n:
        _zeros(torch, ())
    blocks = (
        part if part is not None else torch.zeros((n, *leaf.shape), dtype=leaf.dtype)
        for part, leaf in zip(parts, leaves, strict=True)
    )
    return tuple(b.detach().reshape(shape + tuple(leaf.shape)) for b, leaf in zip(blocks, leaves, strict=True))


_EAGER: Mapping[Operator, Callable[[Any, Function, Argnums, int], Prepared]] = MappingProxyType(
    {
        Operator.VALUE: _value,
        Operator.GRADIENT: _gradient,
        Operator.VALUE_AND_GRADIENT: _value_and_gradient,
        Operator.VJP: _vjp,
        Operator.HVP: _hvp,
        Operator.HESSIAN: _hessian,
    }
)

# --- compiled ----------------------------------------------------------------------------------------------


def _compiled(torch: Any, transform: Prepared, example: Sequence[Var]) -> Prepared:
    """One graph for these shapes, compiled now; what dynamo or inductor cannot do is `Unsupported`."""
    run: Prepared = torch.compile(transform, fullgraph=True, dynamic=False)
    with warnings.catch_warnings():
        # Importing inductor makes torch 2.13 warn about its own use of torch.jit.
        warnings.simplefilter("ignore")
        try:
            run(*example)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            raise Unsupported(f"torch.compile(fullgraph=True): {type(error).__name__}: {reason}") from error
    return run


def _closed(f: Function, given: Sequence[Var], argnums: Argnums) -> Prepared:
    """``f`` of the differentiated inputs alone."""

    def function(*inputs: Var) -> Var:
        args = list(given)
        for i, x in zip(argnums, inputs, strict=True):
            args[i] = x
        return f(*args)

    return function


def _func_jvp(torch: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def jvp(*given: Var) -> Var:
        inputs = tuple(given[i] for i in argnums)
        return torch.func.jvp(_closed(f, given[:n], argnums), inputs, given[n:])[1]

    return jvp


def _func_vjp(torch: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def vjp(*given: Var) -> tuple[Var, ...]:
        rows: tuple[Var, ...] = torch.func.vjp(_closed(f, given[:n], argnums), *(given[i] for i in argnums))[1](
            given[n]
        )
        return rows

    return vjp


def _func_hvp(torch: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def hvp(*given: Var) -> tuple[Var, ...]:
        inputs = tuple(given[i] for i in argnums)
        gradient = torch.func.grad(_closed(f, given[:n], argnums), tuple(range(len(argnums))))
        rows: tuple[Var, ...] = torch.func.vjp(gradient, *inputs)[1](tuple(given[n:]))
        return rows

    return hvp


def _func_value_and_gradient(torch: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    both = torch.func.grad_and_value(f, argnums)

    def value_and_gradient(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        gradient, value = both(*args)
        return value, gradient

    return value_and_gradient


def _func_hessian(torch: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    hessian: Prepared = torch.func.jacrev(torch.func.grad(f, argnums), argnums)
    return hessian


_TRANSFORMS: Mapping[Operator, Callable[[Any, Function, Argnums, int, bool], Prepared]] = MappingProxyType(
    {
        Operator.VALUE: lambda torch, f, argnums, n, wide: f,  # noqa: ARG005
        Operator.GRADIENT: lambda torch, f, argnums, n, wide: torch.func.grad(f, argnums),  # noqa: ARG005
        Operator.VALUE_AND_GRADIENT: _func_value_and_gradient,
        Operator.JVP: _func_jvp,
        Operator.VJP: _func_vjp,
        Operator.JACOBIAN: lambda torch, f, argnums, n, wide: (  # noqa: ARG005
            torch.func.jacrev(f, argnums) if wide else torch.func.jacfwd(f, argnums)
        ),
        Operator.HVP: _func_hvp,
        Operator.HESSIAN: _func_hessian,
    }
)
