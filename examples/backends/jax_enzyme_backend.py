"""Enzyme (Moses and Churavy 2020) within JAX: derivatives of the compiled program instead of the traced one.

``compare.py run sphere -b jax -b ./examples/backends/jax_enzyme_backend.py@PATH/TO/python``; ``make peers
PEERS=jax_enzyme`` makes such an environment, of 1 GB. JAX traces a function, Enzyme differentiates the program, and XLA
compiles it. First derivatives only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.backends.interface import Backend, Function, Prepared, Request, Unsupported, Var
from autodiff_compare.vocabulary import Operator


@final
class JaxEnzymeBackend(Backend):
    name = "jax_enzyme"
    requires = ("enzyme-ad", "jax", "jaxlib")
    native = frozenset({Operator.VALUE, Operator.VALUE_AND_GRADIENT, Operator.JVP, Operator.VJP})
    nestable = False
    import_s: ClassVar[float] = 3.0

    def open(self) -> None:
        import jax
        from enzyme_ad.jax import enzyme_jax_ir

        from autodiff_compare.backends.jax_backend import namespace

        config: Any = jax.config
        config.update("jax_enable_x64", True)
        config.update("jax_platforms", "cpu")
        self._jax, self._by_enzyme, self.xp = jax, enzyme_jax_ir(), namespace

    def to_var(self, array: Any, *, dtype: str | None = None) -> Var:
        return self._jax.numpy.array(np.asarray(array, dtype=dtype), copy=True)

    def to_numpy(self, var: Var) -> NDArray[Any]:
        return np.array(var)

    def block(self, out: Any) -> Any:
        return self._jax.block_until_ready(out)

    def scan(self, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
        return self._jax.lax.scan(f, init, xs)  # type: ignore[no-any-return]

    def while_loop(self, *_: Any) -> Any:
        raise Unsupported("a loop of a length that depends on data has no reverse mode in this adapter")

    def step(self, *_: Any, **__: Any) -> tuple[tuple[Var, ...], Any]:
        raise Unsupported("jax_enzyme has no optimizer")

    def grad(self, f: Function, argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
        wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def gradient(*args: Var) -> Any:
            if any(isinstance(a, self._jax.core.Tracer) for a in args):
                raise Unsupported("Enzyme's derivative is compiled: it is no part of another function")
            found = self.prepare(Operator.GRADIENT, f, args, argnums=wanted)(*args)
            return found[0] if isinstance(argnums, int) else found

        return gradient

    def _native(self, request: Request) -> Prepared:
        jax, function, argnums, n = self._jax, self._by_enzyme(request.function), request.argnums, len(request.args)
        out = jax.eval_shape(request.function, *request.args)
        request.require_scalar(out.shape)

        def closed(args: Sequence[Var]) -> tuple[Callable[..., Any], list[Var]]:
            """Return the function of the differentiated arguments alone, and these."""

            def of(*inputs: Var) -> Var:
                given = list(args)
                for i, x in zip(argnums, inputs, strict=True):
                    given[i] = x
                return function(*given)

            return of, [args[i] for i in argnums]

        def value_and_gradient(*args: Var) -> tuple[Var, tuple[Var, ...]]:
            of, inputs = closed(args)
            value, pull = jax.vjp(of, *inputs)
            return value, pull(jax.numpy.ones_like(value))

        def jvp(*given: Var) -> Var:
            of, inputs = closed(given[:n])
            return jax.jvp(of, inputs, list(given[n:]))[1]

        def vjp(*given: Var) -> tuple[Var, ...]:
            of, inputs = closed(given[:n])
            return tuple(jax.vjp(of, *inputs)[1](given[n]))

        transform = {
            Operator.VALUE: lambda *args: function(*args),
            Operator.VALUE_AND_GRADIENT: value_and_gradient,
            Operator.JVP: jvp,
            Operator.VJP: vjp,
        }[request.operator]
        example = (*request.args, *(request.directions or request.directions_like(out)))
        return self._compiled(transform, example)

    def _compiled(self, transform: Prepared, example: Sequence[Var]) -> Prepared:
        try:
            return self._jax.jit(transform).lower(*example).compile()  # type: ignore[no-any-return]
        except ValueError as error:
            _, failed, reason = str(error).partition("Pipeline failed:\n")
            if failed:
                raise Unsupported(f"Enzyme: {' '.join(reason.split())[:120]}") from error
            raise
