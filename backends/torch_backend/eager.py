"""Operators by torch's autograd engine, with fallbacks where torch lacks a rule.

Each callable differentiates new leaves that share the caller's memory: ``requires_grad`` of the caller's tensors is
neither read nor set. The derivative with respect to an unused input is zero.

An operator has several implementations in `WAYS`, best first. `prepared` tries them on an example and takes the first
that works: dual numbers need a forward rule for every operation, a batched sweep needs batching rules of the backward
formulas, the transpose of a vjp needs second derivatives, and one row at a time needs only backward rules.

Let J = dy/dx. The vjp is v(u) = u' J, linear in the cotangent u. So the gradient of <v(u), t> with respect to u is J t,
the jvp. The rows of J are v(e_i) for the unit arrays e_i of the output.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, MappingProxyType
from typing import Any

from autodiff_compare.backends.operators.objective import Function, Prepared, Unsupported, Var
from autodiff_compare.backends.operators.orders import closed, second_derivative
from autodiff_compare.backends.torch_backend.forward_mode import load_forward_mode, never_wider
from autodiff_compare.backends.torch_backend.sweeps import basis_of, row_by_row, rows, zeros
from autodiff_compare.backends.torch_backend.twice import DifferentiableCheck
from autodiff_compare.vocabulary import Operator


@dataclass(frozen=True)
class Task:
    """A function ``f`` of ``n`` arguments, to be differentiated with respect to ``argnums``.

    ``out`` is one output; for a batch over samples, that of one sample.
    """

    torch: Any
    f: Function
    argnums: tuple[int, ...]
    n: int
    out: Var
    wide: bool  # the Jacobian has no more rows than columns, so rows are the cheaper side
    samples: tuple[int, ...] = ()  # positions of the arguments whose leading axis counts samples
    complex_inputs: tuple[bool, ...] = ()  # which differentiated arguments are complex

    @functools.cached_property
    def differentiates_all(self) -> bool:
        """Return whether all arguments are differentiated, in their order."""
        return self.argnums == tuple(range(self.n))

    @functools.cached_property
    def by_rows(self) -> bool:
        """Return whether a Jacobian is computed by rows.

        A real output of complex inputs has two derivatives by each entry of them, along 1 and i. One row has both.
        """
        halved = not self.out.is_complex() and any(self.complex_inputs)
        return self.wide or self.out.numel() == 0 or halved

    def record(self, args: Sequence[Var]) -> tuple[Var, list[Var]]:
        """Return the output and the leaves that it was computed from."""
        if self.differentiates_all:  # 0.2 us less than the general case below
            leaves = [a.detach().requires_grad_() for a in args]
            return self.f(*leaves), leaves
        inputs, leaves = list(args), []
        for i in self.argnums:
            leaf = inputs[i] = args[i].detach().requires_grad_()
            leaves.append(leaf)
        return self.f(*inputs), leaves


def prepared(
    operator: Operator,
    task: Task,
    example: Sequence[Var],
    order: str = "",
    ways: Mapping[Operator, Sequence[Callable[[Task], Prepared]]] | None = None,
) -> Prepared:
    """Return the first implementation of ``operator`` that works on an example.

    Parameters
    ----------
    operator, task
        The operator and the function.
    example
        Arguments, then directions.
    order
        The order of modes of a second derivative, ``""`` for the default. In `WAYS`, all are reverse over reverse.
    ways
        Implementations, `WAYS` by default.

    Raises
    ------
    Unsupported
        If none works; the message is torch's, for the best one.
    """
    refusals: list[str] = []
    for build in (ways or WAYS)[operator] if order in ("", "rr") else (_nested(operator, order),):
        run = build(task)
        try:
            with task.torch.enable_grad():
                run(*example)
        except task.torch.linalg.LinAlgError:
            return run  # no rule is missing: a matrix of the example is singular
        except RuntimeError as error:
            refusals.append((str(error).strip().splitlines() or [type(error).__name__])[0])
            continue
        return run
    raise Unsupported(f"torch cannot do {operator} of this function: {refusals[0]}")


def _used(torch: Any, found: tuple[Var | None, ...], leaves: Sequence[Var]) -> tuple[Var, ...]:
    """Replace `None` by zeros for unused leaves, as ``materialize_grads`` does, in 0.2 us instead of 1.7."""
    for part in found:
        if part is None:
            return tuple(torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True))
    return found


def _nested(operator: Operator, order: str) -> Callable[[Task], Prepared]:
    """Return a second derivative by the transforms of ``torch.func``, which nest in any order."""

    def build(task: Task) -> Prepared:
        load_forward_mode(task.torch)
        found = second_derivative(task.torch.func, operator, order, task.f, task.argnums, task.n)
        return never_wider(task.torch, found, task.out.dtype)

    return build


def value(torch: Any, f: Function) -> Prepared:
    """Return the function itself, without a trial call: some functions take minutes for one value."""

    # torch records only if an input has requires_grad. Checking that takes 0.1 us, entering no_grad 1.3 us.
    def recording_nothing(*args: Var) -> Var:
        for a in args:
            if a.requires_grad:
                with torch.no_grad():
                    return f(*args)
        return f(*args)

    return recording_nothing


def _gradient(task: Task) -> Prepared:
    general = _gradient_of_used(task)
    if task.argnums == (0,):
        return _gradient_of_first(task, general)
    return _gradient_of_all(task, general) if task.differentiates_all else general


def _gradient_of_used(task: Task) -> Prepared:
    """Return the gradient of a function that may not use all of its arguments, or none of them."""
    torch, record, grad = task.torch, task.record, task.torch.autograd.grad

    def gradient(*args: Var) -> tuple[Var, ...]:
        out, leaves = record(args)
        if not out.requires_grad:
            return zeros(torch, leaves)
        return _used(torch, grad(out, leaves, allow_unused=True), leaves)

    return gradient


def _gradient_of_all(task: Task, general: Prepared) -> Prepared:
    """Return the gradient in all arguments as users write it; ``general`` from the first that torch refuses on.

    torch refuses where an argument is unused. Asking for that beforehand, and calling a partial, took 1.7 of 3 us that
    this interface added to the gradient of a function of two numbers.
    """
    f, grad = _keywords_as_defaults(task.f), task.torch.autograd.grad
    uses_all = True

    def gradient(*args: Var) -> Any:
        nonlocal uses_all
        if uses_all:
            leaves = [a.detach().requires_grad_() for a in args]
            try:
                return grad(f(*leaves), leaves)
            except RuntimeError:
                uses_all = False
        return general(*args)

    return gradient


def _gradient_of_first(task: Task, general: Prepared) -> Prepared:
    """Return `_gradient_of_all` for one leaf in front of the data."""
    f, grad = _keywords_as_defaults(task.f), task.torch.autograd.grad
    uses_all = True

    def gradient(x: Var, *data: Var) -> Any:
        nonlocal uses_all
        if uses_all:
            leaf = x.detach().requires_grad_()
            try:
                return grad(f(leaf, *data), (leaf,))
            except RuntimeError:
                uses_all = False
        return general(x, *data)

    return gradient


def _keywords_as_defaults(f: Function) -> Function:
    """Return a function whose keywords were fixed by a partial as a copy with these defaults, called 0.3 us faster."""
    if not isinstance(f, functools.partial) or f.args or type(f.func) is not FunctionType:
        return f
    own, code = f.func, f.func.__code__
    only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    if not set(f.keywords) <= set(only):
        return f
    made = FunctionType(code, own.__globals__, own.__name__, own.__defaults__, own.__closure__)
    made.__kwdefaults__ = {**(own.__kwdefaults__ or {}), **f.keywords}
    return made


def _value_and_gradient(task: Task) -> Prepared:
    torch, record, grad = task.torch, task.record, task.torch.autograd.grad

    def value_and_gradient(*args: Var) -> tuple[Var, tuple[Var, ...]]:
        out, leaves = record(args)
        if not out.requires_grad:
            return out, zeros(torch, leaves)
        return out.detach(), _used(torch, grad(out, leaves, allow_unused=True), leaves)

    return value_and_gradient


def _vjp(task: Task) -> Prepared:
    torch, record, grad, n = task.torch, task.record, task.torch.autograd.grad, task.n

    def vjp(*given: Var) -> tuple[Var, ...]:
        out, leaves = record(given[:n])
        if not out.requires_grad:
            return zeros(torch, leaves)
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
    """Use ``torch.func``, whose forward mode nests; the plain dual numbers of `_dual_jvp` do not."""
    torch, f, argnums, n = task.torch, task.f, task.argnums, task.n

    def jvp(*given: Var) -> Var:
        inputs = [a.detach() for a in given[:n]]
        chosen = tuple(inputs[i] for i in argnums)
        return torch.func.jvp(closed(f, inputs, argnums), chosen, tuple(given[n:]))[1]

    return never_wider(torch, jvp, task.out.dtype)


def _transposed_jvp(task: Task) -> Prepared:
    """Transpose the vjp, as the module's text derives it."""
    torch, grad, n = task.torch, task.torch.autograd.grad, task.n

    def jvp(*given: Var) -> Var:
        out, leaves = task.record(given[:n])
        total = torch.zeros_like(out)
        if not out.requires_grad:
            zeros(torch, leaves)
            return total
        cotangent = torch.zeros_like(out, requires_grad=True)
        columns = grad(out, leaves, cotangent, create_graph=True, allow_unused=True)
        for column, tangent in zip(columns, given[n:], strict=True):
            if column is not None:
                # No allow_unused: torch leaves the cotangent unconnected where a formula cannot be differentiated.
                total = total + grad(column, cotangent, tangent, retain_graph=True)[0]
        return total

    return jvp


def _jvp_by_rows(task: Task) -> Prepared:
    torch, jacobian, n = task.torch, _jacobian_by_rows(task), task.n

    def jvp(*given: Var) -> Var:
        blocks = zip(jacobian(*given[:n]), given[n:], strict=True)
        total = sum(torch.tensordot(block, t.to(block.dtype), dims=t.ndim) for block, t in blocks)
        return total.real if any(task.complex_inputs) and not task.out.is_complex() else total

    return jvp


def _hvp(task: Task) -> Prepared:
    """Pull the tangent back through the gradient: reverse over reverse."""
    torch, grad, n = task.torch, task.torch.autograd.grad, task.n
    check = DifferentiableCheck(task)

    def hvp(*given: Var) -> tuple[Var, ...]:
        out, leaves = task.record(given[:n])
        check(out, leaves)
        if not out.requires_grad:
            return zeros(torch, leaves)
        slopes = grad(out, leaves, create_graph=True, materialize_grads=True)
        pairs = [(s, t) for s, t in zip(slopes, given[n:], strict=True) if s.grad_fn is not None]
        if not pairs:
            return zeros(torch, leaves)
        return _used(torch, grad([s for s, _ in pairs], leaves, [t for _, t in pairs], allow_unused=True), leaves)

    return hvp


def _jacobian(task: Task) -> Prepared:
    """Return all columns by vectorised dual numbers if these are fewer, else all rows by one batched sweep."""
    torch, f, argnums = task.torch, task.f, task.argnums
    if task.by_rows:
        return _jacobian_batched(task)
    load_forward_mode(torch)

    def columns(*args: Var) -> tuple[Var, ...]:
        return tuple(torch.func.jacfwd(f, argnums)(*args))

    return never_wider(torch, columns, task.out.dtype)


def _jacobian_batched(task: Task) -> Prepared:
    basis = basis_of(task.torch, task.out)
    return lambda *args: rows(task.torch, *task.record(args), basis)


def _jacobian_by_rows(task: Task) -> Prepared:
    basis = basis_of(task.torch, task.out)
    return lambda *args: row_by_row(task.torch, *task.record(args), basis)


def _hessian(task: Task) -> Prepared:
    return hessian_of(task, rows)


def _hessian_by_rows(task: Task) -> Prepared:
    return hessian_of(task, row_by_row)


def hessian_of(task: Task, sweep: Callable[..., tuple[Var, ...]], *, beside: bool = False) -> Prepared:
    """Return the Hessian by one sweep through the gradient, alone or with value and gradient beside it."""
    torch, bases = task.torch, None
    check = DifferentiableCheck(task)

    def hessian(*args: Var) -> tuple[Any, ...]:
        nonlocal bases
        out, leaves = task.record(args)
        check(out, leaves)
        bases = bases or [basis_of(torch, x) for x in leaves]
        if out.requires_grad:
            slopes = torch.autograd.grad(out, leaves, create_graph=True, materialize_grads=True)
        else:
            slopes = zeros(torch, leaves)
        second = tuple(sweep(torch, s, leaves, basis) for s, basis in zip(slopes, bases, strict=True))
        return (out.detach(), tuple(s.detach() for s in slopes), second) if beside else second

    return hessian


#: Operator -> implementations, best first.
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
