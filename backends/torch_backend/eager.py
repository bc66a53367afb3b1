"""Operators by torch's engine itself, and what takes their place where torch lacks a rule.

Each callable differentiates fresh leaves that share the caller's memory: the caller's tensors are neither asked
for ``requires_grad`` nor given it. An input that is not used has the derivative zero.

An operator has several ways, best first. `prepared` tries them on the example it is given and takes the first
that torch can do: dual numbers need a forward rule, a batched sweep needs batching rules for the backward
formulas, the transpose of a vjp needs a second derivative. One row at a time needs nothing but a backward rule.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from autodiff_compare.backends.objective import Function, Prepared, Unsupported, Var
from autodiff_compare.backends.orders import closed, second_derivative
from autodiff_compare.backends.torch_backend.forward_mode import load_forward_mode, never_wider
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Task:
    """``f`` of ``n`` arguments, to be differentiated in ``argnums``; its output is like ``out``."""

    torch: Any
    f: Function
    argnums: tuple[int, ...]
    n: int
    out: Var
    wide: bool  # no more outputs than inputs, so that rows are the cheaper side of the Jacobian

    @functools.cached_property
    def differentiates_all(self) -> bool:
        """Whether the arguments are differentiated all, in their order."""
        return self.argnums == tuple(range(self.n))

    def record(self, args: Sequence[Var]) -> tuple[Var, list[Var]]:
        """The output and the leaves it was computed from."""
        if self.differentiates_all:  # 0.2 us less than what follows
            leaves = [a.detach().requires_grad_() for a in args]
            return self.f(*leaves), leaves
        inputs, leaves = list(args), []
        for i in self.argnums:
            leaf = inputs[i] = args[i].detach().requires_grad_()
            leaves.append(leaf)
        return self.f(*inputs), leaves


def prepared(operator: Operator, task: Task, example: Sequence[Var], order: str = "") -> Prepared:
    """The first way to do ``operator`` that works on ``example``, arguments and directions.

    ``order`` is that of the modes of a second derivative; all `WAYS` to one are reverse over reverse.

    Raises
    ------
    Unsupported
        If there is none, with what torch said to the best way.
    """
    refusals: list[str] = []
    for build in WAYS[operator] if order in ("", "rr") else (_nested(operator, order),):
        run = build(task)
        try:
            with task.torch.enable_grad():
                run(*example)
        except task.torch.linalg.LinAlgError:
            return run  # the example is singular, not the rule missing
        except RuntimeError as error:
            refusals.append((str(error).strip().splitlines() or [type(error).__name__])[0])
            continue
        return run
    raise Unsupported(f"torch cannot do {operator} of this function: {refusals[0]}")


def _zeros(torch: Any, leaves: Sequence[Var]) -> tuple[Var, ...]:
    """The gradient of an output that recorded nothing: zero, unless recording is off."""
    if not torch.is_grad_enabled():
        raise RuntimeError("got a derivative under torch.no_grad(), expected recording on: call it outside that block")
    return tuple(torch.zeros_like(leaf) for leaf in leaves)


def _used(torch: Any, found: tuple[Var | None, ...], leaves: Sequence[Var]) -> tuple[Var, ...]:
    """``found`` with zeros for unused leaves: what ``materialize_grads`` does, for 0.2 us instead of 1.7."""
    for part in found:
        if part is None:
            return tuple(torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True))
    return found


def _nested(operator: Operator, order: str) -> Callable[[Task], Prepared]:
    """A second derivative by the transforms of ``torch.func``, which nest in any order."""

    def build(task: Task) -> Prepared:
        load_forward_mode(task.torch)
        found = second_derivative(task.torch.func, operator, order, task.f, task.argnums, task.n)
        return never_wider(task.torch, found, task.out.dtype)

    return build


def value(torch: Any, f: Function) -> Prepared:
    """The function itself; there is no other way to it, so that none is tried: some take minutes for one value."""

    # Nothing is recorded unless an input asks for it; looking costs 0.1 us, entering no_grad 1.3 us.
    def recording_nothing(*args: Var) -> Var:
        for a in args:
            if a.requires_grad:
                with torch.no_grad():
                    return f(*args)
        return f(*args)

    return recording_nothing


def _gradient(task: Task) -> Prepared:
    if task.argnums == (0,):
        return _gradient_of_first(task)
    torch, f, record, grad = task.torch, task.f, task.record, task.torch.autograd.grad
    everything = task.differentiates_all

    def gradient(*args: Var) -> tuple[Var, ...]:
        if everything:  # as `record` does, whose call takes 0.1 us
            leaves = [a.detach().requires_grad_() for a in args]
            out = f(*leaves)
        else:
            out, leaves = record(args)
        if not out.requires_grad:
            return _zeros(torch, leaves)
        found: tuple[Var, ...] = grad(out, leaves, allow_unused=True)
        for part in found:  # as `_used` does, whose call takes 0.1 us
            if part is None:
                return _used(torch, found, leaves)
        return found

    return gradient


def _gradient_of_first(task: Task) -> Prepared:
    """The same written out for one leaf, before any data: 0.4 us less."""
    torch, f, grad = task.torch, task.f, task.torch.autograd.grad

    def gradient(x: Var, *data: Var) -> tuple[Var, ...]:
        leaf = x.detach().requires_grad_()
        out = f(leaf, *data)
        if not out.requires_grad:
            return _zeros(torch, (leaf,))
        found: tuple[Var, ...] = grad(out, (leaf,), allow_unused=True)
        return found if found[0] is not None else (torch.zeros_like(leaf),)

    return gradient


def _value_and_gradient(task: Task) -> Prepared:
    torch, record, grad = task.torch, task.record, task.torch.autograd.grad

    def value_and_gradient(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        out, leaves = record(args)
        if not out.requires_grad:
            return out, _zeros(torch, leaves)
        return out.detach(), _used(torch, grad(out, leaves, allow_unused=True), leaves)

    return value_and_gradient


def _vjp(task: Task) -> Prepared:
    torch, record, grad, n = task.torch, task.record, task.torch.autograd.grad, task.n

    def vjp(*given: Var) -> tuple[Var, ...]:
        out, leaves = record(given[:n])
        if not out.requires_grad:
            return _zeros(torch, leaves)
        return _used(torch, grad(out, leaves, given[n], allow_unused=True), leaves)

    return vjp


def _dual_jvp(task: Task) -> Prepared:
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n
    forward = torch.autograd.forward_ad
    load_forward_mode(torch)

    def jvp(*given: Var) -> Var:
        inputs = [a.detach() for a in given[:n]]
        with forward.dual_level():
            for k, i in enumerate(argnums):
                inputs[i] = forward.make_dual(inputs[i], given[n + k])
            primal, tangent = forward.unpack_dual(f(*inputs))
            return torch.zeros_like(primal) if tangent is None else tangent

    return jvp


def _nested_jvp(task: Task) -> Prepared:
    """By ``torch.func``, whose forward mode nests; the plain dual numbers of `_dual_jvp` do not."""
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def jvp(*given: Var) -> Var:
        inputs = [a.detach() for a in given[:n]]
        chosen = tuple(inputs[i] for i in argnums)
        return torch.func.jvp(closed(f, inputs, argnums), chosen, tuple(given[n:]))[1]

    return never_wider(torch, jvp, task.out.dtype)


def _transposed_jvp(task: Task) -> Prepared:
    """The vjp is linear in its cotangent; the transpose of that map is the jvp."""
    torch, grad, n = task.torch, task.torch.autograd.grad, task.n

    def jvp(*given: Var) -> Var:
        out, leaves = task.record(given[:n])
        total = torch.zeros_like(out)
        if not out.requires_grad:
            _zeros(torch, leaves)
            return total
        cotangent = torch.zeros_like(out, requires_grad=True)
        columns = grad(out, leaves, cotangent, create_graph=True, allow_unused=True)
        for column, tangent in zip(columns, given[n:], strict=True):
            if column is not None:
                # An unconnected cotangent must raise: torch marks a backward that it cannot differentiate so.
                total = total + grad(column, cotangent, tangent, retain_graph=True)[0]
        return total

    return jvp


def _jvp_by_rows(task: Task) -> Prepared:
    torch, jacobian, n = task.torch, _jacobian_by_rows(task), task.n

    def jvp(*given: Var) -> Var:
        blocks = zip(jacobian(*given[:n]), given[n:], strict=True)
        return sum(torch.tensordot(block, t, dims=t.ndim) for block, t in blocks)

    return jvp


def _hvp(task: Task) -> Prepared:
    """Reverse over reverse."""
    torch, grad, n = task.torch, task.torch.autograd.grad, task.n
    refuse = _Refusal(task)

    def hvp(*given: Var) -> tuple[Var, ...]:
        out, leaves = task.record(given[:n])
        refuse(out, leaves)
        if not out.requires_grad:
            return _zeros(torch, leaves)
        slopes = grad(out, leaves, create_graph=True, materialize_grads=True)
        pairs = [(s, t) for s, t in zip(slopes, given[n:], strict=True) if s.grad_fn is not None]
        if not pairs:
            return _zeros(torch, leaves)
        return _used(torch, grad([s for s, _ in pairs], leaves, [t for _, t in pairs], allow_unused=True), leaves)

    return hvp


class _Refusal:
    """Raises, on the first call, where a backward cannot be differentiated, which torch takes for constant."""

    def __init__(self, task: Task) -> None:
        self.torch, self.looked = task.torch, False

    def __call__(self, out: Var, leaves: Sequence[Var]) -> None:
        if self.looked or not out.requires_grad:
            return
        self.looked = True
        cotangent = self.torch.ones_like(out, requires_grad=True)
        slopes = self.torch.autograd.grad(out, leaves, cotangent, create_graph=True, allow_unused=True)
        for node in _nodes([s.grad_fn for s in slopes if s is not None]):
            if "Error" in node.name():
                raise RuntimeError("a backward formula here is marked as differentiable only once")


def _nodes(roots: Sequence[Any]) -> Iterator[Any]:
    """Every node of a recorded graph, once."""
    seen, waiting = set(), list(roots)
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting.extend(following for following, _ in node.next_functions)


def _basis(torch: Any, like: Var) -> Var:
    """The unit arrays of that shape and dtype, in C order."""
    return torch.eye(like.numel(), dtype=like.dtype).reshape(like.numel(), *like.shape)


def _jacobian(task: Task) -> Prepared:
    """All columns by vectorised dual numbers where these are fewer, else all rows in one batched sweep."""
    torch, f, argnums = task.torch, task.f, task.argnums
    if task.wide or task.out.numel() == 0:
        return _jacobian_batched(task)
    load_forward_mode(torch)

    def columns(*args: Var) -> tuple[Var, ...]:
        return tuple(torch.func.jacfwd(f, argnums)(*args))

    return never_wider(torch, columns, task.out.dtype)


def _jacobian_batched(task: Task) -> Prepared:
    basis = _basis(task.torch, task.out)
    return lambda *args: _rows(task.torch, *task.record(args), basis)


def _jacobian_by_rows(task: Task) -> Prepared:
    basis = _basis(task.torch, task.out)
    return lambda *args: _row_by_row(task.torch, *task.record(args), basis)


def _hessian(task: Task) -> Prepared:
    return _hessian_of(task, _rows)


def _hessian_by_rows(task: Task) -> Prepared:
    return _hessian_of(task, _row_by_row)


def _hessian_of(task: Task, rows: Callable[..., tuple[Var, ...]]) -> Prepared:
    torch, bases = task.torch, None
    refuse = _Refusal(task)

    def hessian(*args: Var) -> tuple[tuple[Var, ...], ...]:
        nonlocal bases
        out, leaves = task.record(args)
        refuse(out, leaves)
        bases = bases or [_basis(torch, x) for x in leaves]
        if out.requires_grad:
            slopes = torch.autograd.grad(out, leaves, create_graph=True, materialize_grads=True)
        else:
            slopes = _zeros(torch, leaves)
        return tuple(rows(torch, s, leaves, basis) for s, basis in zip(slopes, bases, strict=True))

    return hessian


def _rows(torch: Any, out: Var, leaves: Sequence[Var], basis: Var) -> tuple[Var, ...]:
    """The Jacobian blocks of ``out`` by one backward sweep over a batch of unit cotangents."""
    parts: Sequence[Var | None] = [None] * len(leaves)
    if _depends(torch, out, basis):
        parts = torch.autograd.grad(out, leaves, basis, is_grads_batched=True, allow_unused=True, retain_graph=True)
    return _blocks(torch, out, leaves, parts)


def _row_by_row(torch: Any, out: Var, leaves: Sequence[Var], basis: Var) -> tuple[Var, ...]:
    """The same, one backward sweep for each unit cotangent."""
    parts: Sequence[Var | None] = [None] * len(leaves)
    if _depends(torch, out, basis):
        sweeps = [torch.autograd.grad(out, leaves, row, allow_unused=True, retain_graph=True) for row in basis]
        parts = [None if column[0] is None else torch.stack(column) for column in zip(*sweeps, strict=True)]
    return _blocks(torch, out, leaves, parts)


def _depends(torch: Any, out: Var, basis: Var) -> bool:
    if basis.shape[0] and out.grad_fn is None:
        _zeros(torch, ())
    return bool(basis.shape[0]) and out.grad_fn is not None


def _blocks(torch: Any, out: Var, leaves: Sequence[Var], parts: Sequence[Var | None]) -> tuple[Var, ...]:
    shape = tuple(out.shape)
    return tuple(
        torch.zeros(shape + tuple(x.shape), dtype=x.dtype)
        if part is None
        else part.detach().reshape(shape + tuple(x.shape))
        for part, x in zip(parts, leaves, strict=True)
    )


#: Best first.
WAYS: Mapping[Operator, tuple[Callable[[Task], Prepared], ...]] = MappingProxyType(
    {
        Operator.GRADIENT: (_gradient,),
        Operator.VALUE_AND_GRADIENT: (_value_and_gradient,),
        Operator.VJP: (_vjp,),
        Operator.JVP: (_dual_jvp, _nested_jvp, _transposed_jvp, _jvp_by_rows),
        Operator.JACOBIAN: (_jacobian, _jacobian_batched, _jacobian_by_rows),
        Operator.HVP: (_hvp,),
        Operator.HESSIAN: (_hessian, _hessian_by_rows),
    }
)
