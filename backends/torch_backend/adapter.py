"""PyTorch: eager autograd by default; the variant ``compile`` is one ``torch.compile(fullgraph=True)`` graph.

Eager derivatives use the autograd engine directly, which is several times faster than ``torch.func``. Measured with
torch 2.13 for x*x*y + y on 0-d tensors: the gradient by ``torch.autograd.grad`` takes 25 us against 89; the jvp by dual
numbers 24 against 73; the hvp by reverse over reverse 67 against 596 for forward over reverse; the Hessian of a 6- or
100-vector by one batched second sweep 250 against 1400 or more. Under ``compile``, dynamo traces the ``torch.func``
transforms, which then cost nothing at run time.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.idioms.torch import TAPE
from autodiff_compare.backends.interface import (
    LOOP,
    Backend,
    Function,
    Prepared,
    Request,
    Unsupported,
    Var,
    bare,
    python_scan,
    python_while,
)
from autodiff_compare.backends.operators.complex_numbers import has_complex, is_complex
from autodiff_compare.backends.operators.curvature import by_second_derivatives
from autodiff_compare.backends.operators.derivation import Derivation
from autodiff_compare.backends.operators.sparse_jacobian import constants, one_by_one
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.backends.torch_backend.compiled import NO_FORWARD_WITHIN_FORWARD, all_at_once, compiled
from autodiff_compare.backends.torch_backend.eager import WAYS, Task, prepared, value
from autodiff_compare.backends.torch_backend.forward_mode import forward_value_and_derivative, load_forward_mode
from autodiff_compare.backends.torch_backend.layers import by_layers
from autodiff_compare.backends.torch_backend.namespace import indexed_take, namespace
from autodiff_compare.backends.torch_backend.series import second_along, taylor
from autodiff_compare.vocabulary import (
    BATCHES,
    BY_UNITS,
    DTYPES,
    HALF_DTYPES,
    ORDERS,
    PARTS,
    SAMPLED,
    SECOND_ORDER,
    STANDARD_OPERATORS,
    Operator,
    Optimizer,
)


@final
class TorchBackend(Backend):
    """PyTorch on the CPU."""

    name = "torch"
    requires = ("torch", "array-api-compat")
    variants = MappingProxyType(
        {
            "": "eager autograd",
            "compile": "torch.compile(fullgraph=True) of the torch.func transform; needs a C++ compiler",
            "loop": "eager autograd, one call for each row of a batch",
            "hooks": "gradients of single samples from the layers x @ W + b of a model, by one backward sweep",
            "nested": "diagonals and Laplacians by torch.func.jvp within itself, along each unit vector",
        }
    )
    dtypes: ClassVar[tuple[str, ...]] = (*DTYPES, *HALF_DTYPES)
    complex_numbers: ClassVar[bool] = True
    conversions: ClassVar[Mapping[Operator, str]] = MappingProxyType(
        {
            Operator.JACOBIAN: "rows of torch.autograd.grad, conjugated for complex inputs; "
            "or columns of torch.func.jacfwd"
        }
    )
    native = STANDARD_OPERATORS | set(PARTS) | set(BATCHES) | BY_UNITS | {Operator.TAYLOR}
    limited: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType(
        {LOOP: frozenset(BATCHES), "hooks": frozenset({Operator.GRADIENT_BATCH}), "nested": BY_UNITS}
    )
    deriving: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType(
        {"": BY_UNITS, "compile": BY_UNITS, "hooks": BY_UNITS, LOOP: frozenset(BATCHES) | BY_UNITS}
    )
    modes: ClassVar[Mapping[Operator, str]] = MappingProxyType(dict.fromkeys(SECOND_ORDER, "rr"))
    orders: ClassVar[frozenset[str]] = frozenset(ORDERS)
    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    import_s: ClassVar[float] = 3.0
    idioms: ClassVar[Mapping[str, str]] = TAPE

    def open(self) -> None:
        import array_api_compat.torch as compat
        import torch

        from autodiff_compare.backends.torch_backend.composite import ways

        self._torch: Any = torch
        self._ways = {**WAYS, **ways(WAYS)}
        self._in_forward_mode = False
        self._place = "cpu"
        if self.device == "gpu":
            if not torch.cuda.is_available():
                raise Unsupported("torch finds no GPU that it can use")
            self._place = "cuda"
            torch.set_default_device(self._place)
        self.xp = namespace(torch, compat)
        if self.variant == "compile":
            self.xp.take = indexed_take

    @contextlib.contextmanager
    def computing_in(self, dtype: str) -> Iterator[None]:
        """Make the cell's dtype torch's own default, too: what integers become in ``n / 7`` and ``xp.sqrt(n)``.

        In a float64 cell torch's own default would leave such numbers seven digits.
        """
        before = self._torch.get_default_dtype()
        self._torch.set_default_dtype(getattr(self._torch, dtype))
        try:
            with super().computing_in(dtype):
                yield
        finally:
            self._torch.set_default_dtype(before)

    def traces(self) -> int:
        """Return the number of graphs that dynamo has made in this process, without importing dynamo."""
        counters: Any = getattr(sys.modules.get("torch._dynamo.utils"), "counters", None)
        return int(counters["stats"]["unique_graphs"]) if counters else 0

    def idiom_scope(self) -> Mapping[str, Any]:
        return {"torch": self._torch, "np": np}

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        source = array.detach() if isinstance(array, self._torch.Tensor) else array
        if dtype == "bfloat16" or getattr(source, "dtype", None) == "bfloat16":
            # torch exchanges no bfloat16 with NumPy. Every such number is one of float32.
            return self._torch.tensor(np.asarray(source, np.float32)).to(self._place, self._torch.bfloat16)
        copy = np.array(source, dtype=dtype, order="C")
        # An array from a file may have a foreign byte order; torch reads the machine's own only.
        return self._torch.from_numpy(copy.astype(copy.dtype.newbyteorder("="), copy=False)).to(self._place)

    def to_numpy(self, var: Var) -> NDArray[Any]:
        if isinstance(var, self._torch.Tensor) and var.dtype == self._torch.bfloat16:
            import ml_dtypes

            return np.asarray(var.float().numpy(force=True), dtype=ml_dtypes.bfloat16)
        return np.array(var.numpy(force=True) if isinstance(var, self._torch.Tensor) else var)

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        which = argnums if isinstance(argnums, int) else tuple(argnums)
        gradient: Callable[..., Any] = self._torch.func.grad(bare(f), which)
        return gradient

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        rounds = (xs[0] if isinstance(xs, tuple) else xs).shape[0]
        if self.variant == "compile" and rounds > _MOST_UNROLLED:
            raise Unsupported(
                f"torch.compile unrolls a scan, here of {rounds} rounds, and takes a second and more for each"
                f" (torch 2.13); up to {_MOST_UNROLLED} are compiled: use torch"
            )
        return python_scan(self.xp, f, init, xs)

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        if self.variant == "compile":
            raise Unsupported(
                "torch.compile(fullgraph=True) has no loop whose length depends on data that torch.func can"
                " differentiate (torch 2.13: torch._higher_order_ops.while_loop fails under it): use torch"
            )
        return python_while(cond, body, init, limit)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        if mode == "reverse":
            return self.grad(f)
        both = self.value_and_derivative(f, mode)
        return lambda x: both(x)[1]

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        if mode == "reverse":
            gradient_and_value = self._torch.func.grad_and_value(bare(f))
            return lambda x: gradient_and_value(x)[::-1]
        both = forward_value_and_derivative(self._torch, bare(f), at_once=self.variant != "compile")
        if self._torch.compiler.is_compiling():
            return both
        load_forward_mode(self._torch)
        return self._not_within_itself(both) if self.variant == "compile" else both

    def _not_within_itself(self, derivative: Function) -> Function:
        """Reject forward mode within forward mode while shapes are being found, before anything is compiled."""

        def guarded(x: Var) -> Var:
            if self._in_forward_mode:
                raise Unsupported(NO_FORWARD_WITHIN_FORWARD)
            self._in_forward_mode = True
            try:
                return derivative(x)
            finally:
                self._in_forward_mode = False

        return guarded

    def stop_gradient(self, x: Var) -> Var:
        return x.detach()

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
        """Make one update by ``torch.optim``; the state is the optimizer with its own copy of the parameters."""
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
            # torch computes m' / (sqrt(v / c) + eps) with c = 1 - b2^n. The rule with eps-hat is m' / ((sqrt(v) + eps)
            # / sqrt(c)) = m' / (sqrt(v / c) + eps / sqrt(c)), so eps / sqrt(c) is passed.
            update.param_groups[0]["eps"] = optimizer.eps / math.sqrt(1 - optimizer.b2 ** (n + 1))
        update.step()
        return tuple(p.detach().clone() for p in own), (update, own, n + 1)

    def _native(self, request: Request) -> Prepared:
        torch, function, operator, every = self._torch, request.function, request.operator, request.args
        args = request.sample(every, 0) if operator in SAMPLED else every
        if operator is Operator.VALUE and self.variant != "compile":
            return value(torch, function)
        self._in_forward_mode = operator is Operator.JVP
        try:
            with torch.no_grad():
                out = function(*(a.detach() for a in args))
        finally:
            self._in_forward_mode = False
        request.require_scalar(out.shape)
        if self.variant == "compile" and (has_complex(request) or is_complex(out)):
            raise Unsupported("torch.compile generates no code for complex numbers: use torch")
        if operator in BATCHES:
            request.rows()
        wide = out.numel() <= sum(args[i].numel() for i in request.argnums)
        of_complex = tuple(map(is_complex, request.inputs))
        task = Task(torch, function, request.argnums, len(args), out, wide, request.samples, of_complex)
        example, row = (*every, *_directions(torch, request, out)), BATCHES.get(operator, operator)
        if operator is Operator.GRADIENT_BATCH and self.variant == "hooks":
            return by_layers(task, every)
        if operator is Operator.TAYLOR:
            if self.variant == "compile":
                raise Unsupported(NO_FORWARD_WITHIN_FORWARD)
            return taylor(task, request.degree, example)
        if operator in BY_UNITS:
            return by_second_derivatives(Derivation(self, request), lambda units: second_along(task, (*args, *units)))
        if self.variant == "compile":
            return compiled(operator, task, example, self.order_of(row))
        return prepared(operator, task, example, self.order_of(operator), self._ways)

    def compressed(self, request: Request, plan: Compression) -> Prepared:
        """Batch all products by ``torch.func.vmap``; take one by one where torch cannot batch this function."""
        function, args = request.function, request.args
        with self._torch.no_grad():
            task = Task(self._torch, function, request.argnums, len(args), function(*args), False)
        fixed = constants(self, request, plan)
        if self.variant != "compile":
            load_forward_mode(self._torch)
        try:
            return all_at_once(plan, task, args, *fixed, whole=self.variant == "compile")
        except Unsupported:
            return one_by_one(self, request, plan)


#: Most rounds of a scan that ``compile`` unrolls. Preparing the problem ``ode`` takes 4.2, 9.3 and 18 s of CPU time for
#: the gradient of 5, 10 and 20 rounds, and 2.2, 6.9 and 18 s for the value of 10, 20 and 40. Beyond 50 rounds it would
#: take minutes, then hours.
_MOST_UNROLLED = 50


def _optimizer(torch: Any, optimizer: Optimizer, params: list[Var]) -> Any:
    lr, rest = optimizer.learning_rate, {"foreach": False}
    if optimizer.name == "adam":
        return torch.optim.Adam(params, lr=lr, betas=(optimizer.b1, optimizer.b2), eps=optimizer.eps, **rest)
    momentum = 0.0 if optimizer.name == "sgd" else optimizer.momentum
    return torch.optim.SGD(params, lr=lr, momentum=momentum, nesterov=optimizer.name == "nesterov", **rest)


def _directions(torch: Any, request: Request, output: Var) -> Sequence[Var]:
    """Return the directions of a request once their shapes fit, or zeros where it has none."""
    zeros = [torch.zeros_like(like) for like in request.directions_like(output)]
    lead = (request.rows(),) if request.directions and request.operator in BATCHES else ()
    for given, like in zip(request.directions, zeros, strict=bool(request.directions)):
        if given.shape != (*lead, *like.shape):
            raise ValueError(
                f"got a direction of shape {tuple(given.shape)}, expected {(*lead, *like.shape)}:"
                " tangents are shaped like the differentiated inputs, a cotangent like the output"
            )
    return request.directions or zeros
