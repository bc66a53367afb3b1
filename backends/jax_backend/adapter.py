"""JAX: one jitted function per operator, compiled ahead of time; the variant ``eager`` runs operation by operation.

``jax.numpy`` conforms to the array API standard 2024.12, so it is the namespace. 64-bit types are enabled, because
without them float64 input silently becomes float32.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.default_dtype import in_cells
from autodiff_compare.backends.idioms.jax import TAPE
from autodiff_compare.backends.interface import LOOP, Backend, Function, Prepared, Request, Unsupported, Var, bare
from autodiff_compare.backends.jax_backend.complex_numbers import CONVERSIONS, JACOBIANS, in_convention
from autodiff_compare.backends.jax_backend.composite import SIDE_BY_SIDE, batch
from autodiff_compare.backends.jax_backend.series import second_along, taylor
from autodiff_compare.backends.operators.complex_numbers import has_complex, is_complex
from autodiff_compare.backends.operators.curvature import by_second_derivatives
from autodiff_compare.backends.operators.derivation import Derivation
from autodiff_compare.backends.operators.orders import closed, second_derivative
from autodiff_compare.backends.operators.request import SCALAR_ONLY
from autodiff_compare.backends.operators.sparse_jacobian import constants
from autodiff_compare.backends.sparsity.colouring import Compression
from autodiff_compare.vocabulary import (
    BATCHES,
    BY_UNITS,
    DTYPES,
    HALF_DTYPES,
    ORDERS,
    PARTS,
    SAMPLED,
    SECOND_ORDER,
    SERIES,
    STANDARD_OPERATORS,
    Operator,
    Optimizer,
)

Argnums = tuple[int, ...]

#: Operators whose preparation needs the shape of the output.
_NEED_OUTPUT = SCALAR_ONLY | {
    Operator.JACOBIAN,
    Operator.VALUE_AND_JACOBIAN,
    Operator.JACOBIAN_BATCH,
    Operator.VJP,
    Operator.VALUE_AND_VJP,
}


@final
class JaxBackend(Backend):
    """JAX on the CPU, unless ``device`` or the environment variable ``JAX_PLATFORMS`` selects another device."""

    name = "jax"
    requires = ("jax", "jaxlib", "optax")
    dtypes: ClassVar[tuple[str, ...]] = (*DTYPES, *HALF_DTYPES)
    variants = MappingProxyType(
        {
            "": "jit, compiled ahead of time",
            "eager": "op by op, without jit",
            "loop": "jit, one call for each row of a batch",
            "jet": "jit; diagonals and Laplacians by jax.experimental.jet along each unit vector",
            "nested": "jit; Taylor series, diagonals and Laplacians by jvp within jvp",
        }
    )
    native = STANDARD_OPERATORS | set(PARTS) | set(BATCHES) | BY_UNITS | {Operator.TAYLOR}
    limited: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType({LOOP: frozenset(BATCHES), **SERIES})
    deriving: ClassVar[Mapping[str, frozenset[Operator]]] = MappingProxyType(
        {"": BY_UNITS, "eager": BY_UNITS, LOOP: frozenset(BATCHES) | BY_UNITS}
    )
    modes: ClassVar[Mapping[Operator, str]] = MappingProxyType(dict.fromkeys(SECOND_ORDER, "fr"))
    orders: ClassVar[frozenset[str]] = frozenset(ORDERS)
    devices: ClassVar[tuple[str, ...]] = ("cpu", "gpu")
    complex_numbers: ClassVar[bool] = True
    conversions: ClassVar[Mapping[Operator, str]] = CONVERSIONS
    import_s: ClassVar[float] = 1.5
    idioms: ClassVar[Mapping[str, str]] = TAPE

    def open(self) -> None:
        import jax
        import jax.monitoring
        import jax.numpy
        import optax

        from autodiff_compare.backends.jax_backend import namespace

        config: Any = jax.config
        config.update("jax_enable_x64", True)
        if self.device == "cpu" and "JAX_PLATFORMS" not in os.environ:
            config.update("jax_platforms", "cpu")
        elif self.device == "gpu" and jax.default_backend() != "gpu":
            raise Unsupported("jax finds no GPU that it can use: it needs jax[cuda13] or the like")
        self._jax: Any = jax
        self._optax: Any = optax
        self.xp = in_cells(namespace)
        self._updates: dict[Optimizer, Prepared] = {}
        self._compilations = 0
        jax.monitoring.register_event_duration_secs_listener(self._compiled)

    def _compiled(self, event: str, duration_secs: float, **_: str | int) -> None:  # noqa: ARG002 - what JAX calls
        self._compilations += event.startswith("/jax/core/compile/")

    def traces(self) -> int:
        """Return the number of traces and compilations in this process, from any caller."""
        return self._compilations

    def idiom_scope(self) -> Mapping[str, Any]:
        return {"jax": self._jax, "jnp": self._jax.numpy, "np": np}

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        source = np.asarray(array, dtype=dtype)
        # An array from a file may have a foreign byte order; JAX reads the machine's own only.
        return self._jax.numpy.array(source.astype(source.dtype.newbyteorder("="), copy=False), copy=True)

    def to_numpy(self, var: Var) -> NDArray[Any]:
        return np.array(var)

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        which = argnums if isinstance(argnums, int) else tuple(argnums)
        gradient: Callable[..., Any] = self._jax.grad(bare(f), which)
        return gradient

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        """Run ``lax.scan``, whose preparation does not depend on the number of rounds.

        The gradient of the problem ``ode`` takes 0.45 s of CPU to prepare for 10, 100 and 1000 rounds; unrolled, it
        takes 2.9 s for 10. Without jit, each call traces and compiles the loop again, in 0.5 s.
        """
        carry, ys = self._jax.lax.scan(f, init, xs)
        return carry, ys

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
        """Run a differentiable while loop: see `_bounded_while`."""
        return _bounded_while(self._jax, cond, body, init, limit)

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        derivative: Function = (self._jax.grad if mode == "reverse" else self._jax.jacfwd)(bare(f))
        return derivative

    def value_and_derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function:
        function = bare(f)
        if mode == "reverse":
            return self._jax.value_and_grad(function)  # type: ignore[no-any-return]

        def twice(x: Var) -> tuple[Var, Var]:
            value = function(x)
            return value, value

        forward = self._jax.jacfwd(twice, has_aux=True)
        return lambda x: forward(x)[::-1]

    def stop_gradient(self, x: Var) -> Var:
        return self._jax.lax.stop_gradient(x)

    def block(self, out: Any) -> Any:
        return self._jax.block_until_ready(out)

    def step(
        self, optimizer: Optimizer, params: Sequence[Var], grads: Sequence[Var], state: Any
    ) -> tuple[tuple[Var, ...], Any]:
        """Make one update by optax; the state is the update count and optax's own state."""
        n, inner = state or (0, None)
        # optax computes m' / (sqrt(v / c) + eps) with c = 1 - b2^n. The rule with eps-hat is m' / ((sqrt(v) + eps)
        # / sqrt(c)) = m' / (sqrt(v / c) + eps / sqrt(c)), so eps / sqrt(c) is passed.
        eps = optimizer.eps / math.sqrt(1 - optimizer.b2 ** (n + 1)) if optimizer.eps_hat else optimizer.eps
        new, inner = self._update(optimizer)(tuple(params), tuple(grads), inner, eps)
        return new, (n + 1, inner)

    def _update(self, optimizer: Optimizer) -> Prepared:
        if optimizer not in self._updates:
            update = functools.partial(_update, self._optax, optimizer)
            self._updates[optimizer] = update if self.variant == "eager" else self._jax.jit(update)
        return self._updates[optimizer]

    def _native(self, request: Request) -> Prepared:
        jax, operator, function = self._jax, request.operator, request.function
        args, argnums = request.args, request.argnums
        one = request.sample(args, 0) if operator in SAMPLED else args
        out: Any = jax.eval_shape(function, *one) if operator in _NEED_OUTPUT else None
        if out is not None:  # jax.hessian of a vector would return the second derivatives of every entry
            request.require_scalar(out.shape)
        if operator in BY_UNITS:
            return self._by_units(request)
        wide = out is None or out.size <= sum(one[i].size for i in argnums)
        row = BATCHES.get(operator, operator)
        complex_numbers = has_complex(request) or (out is not None and is_complex(out))
        if complex_numbers and row in JACOBIANS:
            transform = JACOBIANS[row](jax, request, out, wide)
        elif operator is Operator.TAYLOR:
            transform = taylor(jax, function, argnums, len(args), request.degree, self.variant)
        elif row in SECOND_ORDER:
            transform = second_derivative(jax, row, self.order_of(row), function, argnums, len(args))
        else:
            transform = _TRANSFORMS[row](jax, function, argnums, len(args), wide)
        if complex_numbers and row not in JACOBIANS:
            transform = in_convention(jax, row, transform, len(args))
        if operator in BATCHES:
            transform = batch(jax, request, transform)
        return self._ready(transform, (*args, *(request.directions or request.directions_like(out))))

    def _ready(self, transform: Prepared, example: Sequence[Var]) -> Prepared:
        """Compile a function for arguments like those of an example, unless the variant runs it as it is."""
        if self.variant == "eager":
            return transform
        compiled: Prepared = self._jax.jit(transform).lower(*example).compile()
        return compiled

    def _by_units(self, request: Request) -> Prepared:
        """Return a diagonal or Laplacian from second derivatives along the unit vectors."""
        n = len(request.args)
        series = taylor(self._jax, request.function, request.argnums, n, 2, self.variant)

        def second(units: Sequence[Var]) -> Prepared:
            return self._ready(second_along(self._jax, series, n), (*request.args, *units))

        return by_second_derivatives(Derivation(self, request), second)

    def compressed(self, request: Request, plan: Compression) -> Prepared:
        """Compile all products and the extraction of the entries into one function; batch the products if small."""
        jax, args, n, k = self._jax, request.args, len(request.args), len(plan.colours)
        product = _TRANSFORMS[plan.operator](jax, request.function, request.argnums, n, True)
        seeds, index = constants(self, request, plan)
        size = plan.number * jax.eval_shape(request.function, *args).size
        one_by_one = size > _AT_ONCE and self.variant != "eager"  # eager would trace the loop at each call
        many = jax.lax.map if one_by_one else lambda each, over: jax.vmap(each)(over)

        def entries(*given: Var) -> tuple[Var, ...]:
            found = many(lambda seed: product(*given[:n], *seed), given[n : n + k])
            return tuple(part.reshape(-1)[at] for part, at in zip(plan.sources(found), given[n + k :], strict=True))

        # Passed as arguments, because XLA would spend seconds folding constants of this size.
        fixed = (*seeds, *index)
        run = entries if self.variant == "eager" else jax.jit(entries).lower(*args, *fixed).compile()
        return lambda *given: run(*given, *fixed)


#: Largest number of rounds in one scan of `_bounded_while`. With 352 rounds run of at most 5000, a gradient takes
#: 0.6 ms, against 27 ms with a single scan of 5000 rounds and 0.5 ms with one of 352. The value takes 15 us, as with
#: ``lax.while_loop``.
_WIDTH = 16


def _bounded_while(jax: Any, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
    """Repeat ``body`` while ``cond`` holds, at most ``limit`` times, by nested scans of fixed lengths.

    JAX cannot differentiate ``lax.while_loop`` in reverse mode, because the number of rounds, and so the memory for the
    intermediate states, is unknown. A scan has a fixed length. A single scan of ``limit`` rounds would pay for
    rounds that are not run, so scans are nested: with limit <= w^d, level 0 is one round, and level k is a scan of w
    times level k - 1. Every execution of a level is skipped by ``lax.cond`` once the loop has ended. For example, with
    w = 16, d = 2 and an end after 20 rounds, two of the 16 inner scans are executed. Reverse mode still allocates
    memory for ``limit`` rounds.

    The carried state is ``(rounds run, state)``; the count enforces ``limit`` where w^d is larger.
    """
    lax = jax.lax
    depth = 1
    while _WIDTH**depth < limit:
        depth += 1
    width = math.ceil(limit ** (1 / depth) - 1e-9)

    def one(counted: tuple[Any, Any]) -> tuple[Any, Any]:
        return counted[0] + 1, body(counted[1])

    def goes_on(counted: tuple[Any, Any]) -> Any:
        return (counted[0] < limit) & cond(counted[1])

    def repeated(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def round_(counted: Any, _: None) -> tuple[Any, None]:
            return lax.cond(goes_on(counted), inner, lambda same: same, counted), None

        return lambda counted: lax.scan(round_, counted, None, length=width)[0]

    run: Callable[[Any], Any] = one
    for _ in range(depth):
        run = repeated(run)
    return run((jax.numpy.zeros((), "int32"), init))[1]


#: Products of a sparse Jacobian with at most this many entries in all are batched. Fifteen products of 95 529 entries
#: took 170 ms of CPU time by ``vmap``, and 106 ms one after the other by ``lax.map``, whose intermediate results stay
#: in the cache.
_AT_ONCE = 2**17


def _update(optax: Any, optimizer: Optimizer, params: Any, grads: Any, state: Any, eps: Any) -> tuple[Any, Any]:
    rule = _rule(optax, optimizer, eps)
    updates, state = rule.update(grads, rule.init(params) if state is None else state, params)
    return optax.apply_updates(params, updates), state


def _rule(optax: Any, optimizer: Optimizer, eps: Any) -> Any:
    lr = optimizer.learning_rate
    if optimizer.name == "adam":
        return optax.adam(lr, b1=optimizer.b1, b2=optimizer.b2, eps=eps)
    if optimizer.name == "sgd":
        return optax.sgd(lr)
    return optax.sgd(lr, momentum=optimizer.momentum, nesterov=optimizer.name == "nesterov")


def _jvp(jax: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def jvp(*given: Var) -> Var:
        inputs = tuple(given[i] for i in argnums)
        return jax.jvp(closed(f, given[:n], argnums), inputs, given[n:])[1]

    return jvp


def _vjp(jax: Any, f: Function, argnums: Argnums, n: int, wide: bool) -> Prepared:  # noqa: ARG001
    def vjp(*given: Var) -> tuple[Var, ...]:
        return tuple(jax.vjp(closed(f, given[:n], argnums), *(given[i] for i in argnums))[1](given[n]))

    return vjp


_TRANSFORMS: Mapping[Operator, Callable[[Any, Function, Argnums, int, bool], Prepared]] = MappingProxyType(
    {
        Operator.VALUE: lambda jax, f, argnums, n, wide: f,  # noqa: ARG005
        Operator.GRADIENT: lambda jax, f, argnums, n, wide: jax.grad(f, argnums),  # noqa: ARG005
        Operator.VALUE_AND_GRADIENT: lambda jax, f, argnums, n, wide: jax.value_and_grad(f, argnums),  # noqa: ARG005
        Operator.JVP: _jvp,
        Operator.VJP: _vjp,
        Operator.JACOBIAN: lambda jax, f, argnums, n, wide: (  # noqa: ARG005
            jax.jacrev(f, argnums) if wide else jax.jacfwd(f, argnums)
        ),
        **SIDE_BY_SIDE,
    }
)
